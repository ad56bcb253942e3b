"""How many mistakes the checks name that newcomers make: python benchmarks/newcomers.py first

Answers as newcomers write them, right and wrong, stand in benchmarks/newcomers/NAME.jsonl. Their
author saw the student copies of the lessons and nothing of the library. Each is tried as a cell of
a notebook would be. A row for the set goes into data/results/newcomers.csv (--out), and one for
each check into newcomers_by_check.csv beside it; --when says what the library had learned by then.
--list prints the answers that got no name.
"""

import argparse
import contextlib
import datetime
import io
import json
from pathlib import Path

import common
import torch

from vit_tutorial import checks
from vit_tutorial.checks import unlisted

FOLDER = Path(__file__).parent / "newcomers"
# The names that the exercises ask for, where it is not my_ and the name of the check.
NAMES = {
    "check_prepend_class_token": "my_prepend",
    "check_warmup_cosine": "my_schedule",
    "check_repair_strips": "my_repair",
}


def asked_for(check: str, scope: dict):
    """The function that an answer defines for `check`."""
    name = check.removeprefix("check_")
    return next(scope[n] for n in (NAMES.get(check), f"my_{name}", name) if n in scope)


def verdict(answer: dict) -> tuple[bool, str | None]:
    """(passed, the mistake's name or None)."""
    scope = {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            exec(compile(answer["code"], "<answer>", "exec"), scope)
            getattr(checks, answer["check"])(asked_for(answer["check"], scope))
        except checks.CheckFailed as error:
            return False, error.mistake
    return True, None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("set", choices=sorted(path.stem for path in FOLDER.glob("*.jsonl")))
    parser.add_argument("--when", default="now", help="what the library had learned by then")
    parser.add_argument("--list", action="store_true", help="print the answers without a name")
    parser.add_argument("--out", type=Path, default=common.RESULTS / "newcomers.csv")
    args = parser.parse_args()
    lines = (FOLDER / f"{args.set}.jsonl").read_text(encoding="utf-8").splitlines()
    answers = [json.loads(line) for line in lines]
    found = [(answer, *verdict(answer)) for answer in answers]
    wrong = [(answer, passed, name) for answer, passed, name in found if not answer["right"]]
    right = [passed for answer, passed, _ in found if answer["right"]]
    row = {
        "set": args.set,
        "when": args.when,
        "wrong": len(wrong),
        "rejected": sum(not passed for _, passed, _ in wrong),
        "named": sum(name is not None for _, _, name in wrong),
        # of these by a sentence that only says what is seen, the same for all exercises
        "seen": sum(name in unlisted.NAMES for _, _, name in wrong),
        "right": len(right),
        "accepted": sum(right),
        "torch": torch.__version__,
        "date": datetime.date.today().isoformat(),
        "command": f"python benchmarks/newcomers.py {args.set}",
    }
    print(row)
    if args.list:
        for answer, passed, name in wrong:
            if name is None:
                verb = "accepted" if passed else "no name"
                print(f"{answer['check']:28} {verb:9} {answer['kind']}")
    common.SharedTable(args.out).add(row, instead_of=("set", "when"))
    by_check = common.SharedTable(args.out.with_name(f"{args.out.stem}_by_check.csv"))
    for check in sorted({answer["check"] for answer, _, _ in wrong}):
        mine = [(passed, name) for answer, passed, name in wrong if answer["check"] == check]
        each = {
            "set": args.set,
            "when": args.when,
            "check": check,
            "wrong": len(mine),
            "rejected": sum(not passed for passed, _ in mine),
            "named": sum(name is not None for _, name in mine),
        }
        by_check.add(each, instead_of=("set", "when", "check"))


if __name__ == "__main__":
    main()
