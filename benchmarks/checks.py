"""What the checks are worth: mistakes rejected and named, correct code accepted, seconds. Writes data/results/checks.csv.

    python benchmarks/checks.py

library: the known mistakes' own functions, with three seeds. corpus: tests/corpus, written without a look at the library.
"""

import csv
import datetime
import sys
from pathlib import Path

import torch

from vit_tutorial.checks import names
from vit_tutorial.checks.catalogue import get
from vit_tutorial.common import machine

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "checks"))  # the corpus lives with the tests

from corpus import entries  # noqa: E402
from corpus.measure import Outcome, remembering, try_function  # noqa: E402

SEEDS = (0, 7, 20_261)


def row(name: str) -> dict:
    mistakes = get(name).mistakes
    looks = [remembering(name, seed) for seed in SEEDS]
    said = {mistake.name: [look(mistake.wrong) for look in looks] for mistake in mistakes}
    found = {
        kind: [Outcome(entry, looks[0](entry.fn), 0.0) for entry in entries(name, kind)]
        for kind in ("known", "unknown", "two", "right")
    }
    rejected = lambda kind: sum(not outcome.verdict.passed for outcome in found[kind])
    fair = lambda kind: sum(outcome.as_it_should_be for outcome in found[kind])
    wrong_names = sum(not o.verdict.passed and not o.as_it_should_be for o in found["two"])
    timed = [
        entry.fn for kind in ("known", "unknown", "right") for entry in entries(name, kind)[:3]
    ]
    try_function(name, timed[0], 0)  # the first call of a process loads things
    return {
        "check": name,
        "mistakes_known": len(mistakes),
        "library_rejected": sum(not any(v.passed for v in verdicts) for verdicts in said.values()),
        "library_named": sum(
            all(v.mistake == known for v in verdicts) for known, verdicts in said.items()
        ),
        "corpus_wrong": len(found["known"]),
        "corpus_rejected": rejected("known"),
        "corpus_named": fair("known"),
        "unknown_wrong": len(found["unknown"]),
        "unknown_rejected": rejected("unknown"),
        "two_at_once": len(found["two"]),
        "two_at_once_rejected": rejected("two"),
        "two_at_once_named_wrongly": wrong_names,
        "variants": len(found["right"]),
        "variants_accepted": fair("right"),
        "seconds_slowest": f"{max(try_function(name, fn, 0)[1] for fn in timed):.2f}",
        "date": datetime.date.today().isoformat(),
        "torch": torch.__version__,
        "hardware": machine.hardware(),
    }


def main() -> None:
    rows = []
    for name in names():
        rows.append(row(name))
        print("  ".join(str(value) for value in list(rows[-1].values())[:-3]), flush=True)
    with open(ROOT / "data" / "results" / "checks.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
