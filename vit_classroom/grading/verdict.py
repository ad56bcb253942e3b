"""The verdict on each exercise, from what the sandbox left. The cases come from a secret seed."""

import secrets
import threading

from vit_tutorial import checks
from vit_tutorial.checks import Verdict

from ..course.plan import CellPart, Plan
from ..sandbox import wire
from ..sandbox.execute import RunResult

NOT_REACHED = "your function could not be tried, because the notebook had ended before."


class Judge:
    """Draws the cases of each check, and judges what learners' functions gave on them.

    Used by several threads, one at a time.
    """

    def __init__(self):
        self.secret = secrets.randbelow(2**62)  # no learner can know the cases
        self.cases: dict[str, bytes] = {}
        self.lock = threading.Lock()

    def cases_of(self, check: str) -> bytes:
        """The cases of a check as bytes, the same for every submission."""
        with self.lock:
            if check not in self.cases:
                self.cases[check] = wire.draw_cases(check, self._seed(check))
            return self.cases[check]

    def judge(self, check: str, observed: bytes) -> Verdict:
        """The verdict on what a check observed in the sandbox."""
        with self.lock:
            return wire.judge(check, self._seed(check), observed)

    def _seed(self, check: str) -> int:
        return (self.secret + sorted(checks.names()).index(check)) % 2**62


def grade_exercise(exercise: dict, plan: Plan, result: RunResult, judge: Judge) -> dict:
    """The row of one exercise: its points, whether it passed, the mistake, and the message."""
    row = {name: exercise[name] for name in ("grade_id", "title", "points")}
    parts = plan.check_parts.get(exercise.get("cell"))
    if parts is None:  # a written answer
        return row | {
            "score": None,
            "passed": None,
            "mistake": None,
            "judged": "by hand",
            "message": "Your teacher marks it.",
        }
    counted = [part for part in parts if part.kind != "neutral"]
    verdicts = [_verdict(part, result, judge) for part in counted]
    failed = next((verdict for verdict in verdicts if not verdict.passed), None)
    messages = [failed.message] if failed else [verdict.message for verdict in verdicts]
    return row | {
        "score": 0 if failed else exercise["points"],
        "passed": failed is None,
        "mistake": failed.mistake if failed else None,
        "judged": "inside" if any(part.kind == "inside" for part in parts) else "outside",
        "message": "\n".join(dict.fromkeys(messages)),
    }


def _verdict(part: CellPart, result: RunResult, judge: Judge) -> Verdict:
    problem = result.problems.get(part.key)
    if part.kind == "inside":
        return _inside_verdict(part, problem, result.passed.get(part.key, False))
    if part.key not in result.observed:
        return Verdict(False, None, f"{part.check or 'The check'}: {_missing(part, problem)}")
    verdict = judge.judge(part.check, result.observed[part.key])
    if part.hidden and not verdict.passed:
        return Verdict(False, verdict.mistake, "A hidden test of this exercise failed.")
    return verdict


def _inside_verdict(part: CellPart, problem: str | None, passed: bool) -> Verdict:
    """On the teacher's own code, which ran beside the learner's."""
    if part.hidden:
        message = "The hidden tests passed." if passed else "A hidden test of this exercise failed."
    elif passed:
        message = "The check passed."
    else:
        message = f"The check failed. {problem or 'It was not reached.'}"
    return Verdict(passed, None, message)


def _missing(part: CellPart, problem: str | None) -> str:
    """Why there is nothing to judge, for the learner."""
    if problem is None:
        return NOT_REACHED
    if problem.startswith("NameError"):
        return (
            f"`{part.expression}` is not defined: its cell is missing, or stopped with an error. "
            f"{problem}"
        )
    if problem.startswith("ended: "):
        return f"your function ended the run. {problem.removeprefix('ended: ')}."
    return f"your function could not be tried. {problem}"
