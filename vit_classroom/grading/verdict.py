"""The verdict on each exercise, from what the sandbox left. The cases come from a secret seed."""

from vit_tutorial import checks
from vit_tutorial.checks import Verdict

from ..course.plan import CellPart, Plan
from ..sandbox import wire
from ..sandbox.execute import RunResult
from ..sandbox.observing import NAME as OWN_SOLUTION_ERROR
from . import reasons

OWN_SOLUTION = "own_solution"  # the name of this mistake in the results


class Judge:
    """Draws the cases of each check, and judges what learners' functions gave on them.

    secret: the seed, so that no learner can know the cases. The same in each process that judges.
    """

    def __init__(self, secret: int):
        self.secret = secret

    def cases_of(self, check: str) -> bytes:
        """The cases of a check as bytes, the same for every submission."""
        return wire.draw_cases(check, self._seed(check))

    def judge(self, check: str, observed: bytes) -> Verdict:
        """The verdict on what a check observed in the sandbox."""
        verdict = wire.judge(check, self._seed(check), observed)
        if not verdict.passed and f"\n    {OWN_SOLUTION_ERROR}: " in verdict.message:
            text = (
                f"{check}: your function calls the package's own solution of this exercise. "
                "It was not counted.\n    Hint: Write in it what the package's function does."
            )
            return Verdict(False, OWN_SOLUTION, text)
        return verdict

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
    verdicts = [_verdict(part, exercise, plan, result, judge) for part in counted]
    failed = next((verdict for verdict in verdicts if not verdict.passed), None)
    messages = [failed.message] if failed else [verdict.message for verdict in verdicts]
    if failed and reasons.NO_GPU.search(failed.message):
        messages.append(f"    {reasons.GPU_HINT}")
    return row | {
        "score": 0 if failed else exercise["points"],
        "passed": failed is None,
        "mistake": failed.mistake if failed else None,
        "judged": "inside" if any(part.kind == "inside" for part in parts) else "outside",
        "message": "\n".join(dict.fromkeys(messages)),
    }


def _verdict(
    part: CellPart, exercise: dict, plan: Plan, result: RunResult, judge: Judge
) -> Verdict:
    problem = result.problems.get(part.key)
    if part.kind == "inside":
        if problem and problem.startswith("NameError") and not part.hidden:
            problem = reasons.asserted(problem, exercise, plan, result)
        return _inside_verdict(part, problem, result.passed.get(part.key, False))
    if part.key not in result.observed:
        why = reasons.missing(part, exercise, plan, result)
        return Verdict(False, None, f"{part.check or 'The check'}: {why}")
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
