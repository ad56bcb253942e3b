"""What the checks are worth: mistakes rejected and named, correct code accepted, seconds.

    python benchmarks/checks.py
    python benchmarks/checks.py check_rnn check_holm

Writes data/results/checks.csv; the rows of checks that are not named stay.
library: the known mistakes' own functions, with three seeds.
corpus: tests/checks/corpus, written without a look at the library.
"""

import argparse
import datetime
import sys
from pathlib import Path

import torch

from vit_tutorial import checks
from vit_tutorial.common import machine
from vit_tutorial.common.files import read_rows, write_rows

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "checks"))  # the corpus is beside the tests

from corpus import entries  # noqa: E402
from corpus.measure import Outcome, remembering, try_function  # noqa: E402

SEEDS = (0, 7, 20_261)


def row(name: str) -> dict:
    """One line of the table: what the check called `name` made of all functions."""
    mistakes = checks.get(name).mistakes
    judges = [remembering(name, seed) for seed in SEEDS]
    verdicts = {mistake.name: [judge(mistake.buggy) for judge in judges] for mistake in mistakes}
    corpus = {
        kind: [Outcome(entry, judges[0](entry.fn), 0.0) for entry in entries(name, kind)]
        for kind in ("known", "unknown", "two", "right")
    }
    rejected = lambda kind: sum(not outcome.verdict.passed for outcome in corpus[kind])
    fair = lambda kind: sum(outcome.as_it_should_be for outcome in corpus[kind])
    timed = [
        entry.fn for kind in ("known", "unknown", "right") for entry in entries(name, kind)[:3]
    ]
    try_function(name, timed[0], 0)  # the first call of a process loads things
    return {
        "check": name,
        "mistakes_known": len(mistakes),
        "library_rejected": sum(not any(v.passed for v in each) for each in verdicts.values()),
        "library_named": sum(
            all(v.mistake == known for v in each) for known, each in verdicts.items()
        ),
        "corpus_wrong": len(corpus["known"]),
        "corpus_rejected": rejected("known"),
        "corpus_named": fair("known"),
        "unknown_wrong": len(corpus["unknown"]),
        "unknown_rejected": rejected("unknown"),
        "two_at_once": len(corpus["two"]),
        "two_at_once_rejected": rejected("two"),
        "two_at_once_named_wrongly": rejected("two") - fair("two"),
        "variants": len(corpus["right"]),
        "variants_accepted": fair("right"),
        "seconds_slowest": f"{max(try_function(name, fn, 0)[1] for fn in timed):.2f}",
        "date": datetime.date.today().isoformat(),
        "torch": torch.__version__,
        "hardware": machine.hardware(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="CHECK", help="all of them if none is named")
    named = parser.parse_args().names or checks.names()
    path = ROOT / "data" / "results" / "checks.csv"
    rows = {old["check"]: old for old in read_rows(path)}
    for name in named:
        rows[name] = row(name)
        print("  ".join(str(value) for value in list(rows[name].values())[:-3]), flush=True)
        write_rows(path, [rows[check] for check in checks.names() if check in rows])


if __name__ == "__main__":
    main()
