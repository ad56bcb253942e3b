"""Why there is nothing to judge, in words for the learner: what became of the answer's cell."""

import re

from ..course.plan import CellPart, Plan
from ..repair import python_source
from ..sandbox.execute import RunResult

NOT_REACHED = "your function could not be tried, because the notebook had ended before."
SHOWN = 120  # characters of a line of code
# What torch says on a machine without a GPU.
NO_GPU = re.compile(
    r"not compiled with CUDA|No CUDA GPUs|Found no NVIDIA driver|No HIP GPUs"
    r"|(?:CUDA|MPS|XPU)\S* .{0,40}not available|not linked with support for (?:mps|xpu)",
    re.IGNORECASE,
)
GPU_HINT = (
    "The machine that grades has no GPU. Your function works on both when it makes new tensors on "
    "the device of its input: device=x.device."
)


def missing(part: CellPart, exercise: dict, plan: Plan, result: RunResult) -> str:
    """Why a check observed nothing. exercise: a row of plan.exercises."""
    problem = result.problems.get(part.key)
    if problem is None:
        return NOT_REACHED
    if problem.startswith("ended: "):
        return f"your function ended the run. {problem.removeprefix('ended: ')}."
    if problem.startswith("NameError"):
        return f"`{part.expression}` is not defined. {_about_cell(exercise, plan, result)}"
    return f"your function could not be tried. {problem}"


def asserted(problem: str, exercise: dict, plan: Plan, result: RunResult) -> str:
    """A NameError in the teacher's own check, with what became of the answer if it is that name."""
    found = re.match(r"NameError: name '(\w+)' is not defined", problem)
    if not found or found[1] not in exercise.get("names", ()):
        return problem
    return f"`{found[1]}` is not defined. {_about_cell(exercise, plan, result)}"


def cut_note(exercise: dict, plan: Plan, result: RunResult) -> str | None:
    """What a learner is told whose cell stopped before the answer, which was then tried alone."""
    number = exercise.get("answer")
    if number not in result.cut:
        return None
    names = " and ".join(f"`{name}`" for name in exercise["names"]) or "your answer"
    title = exercise["title"].split(":")[0]
    text, problem = _what_stopped(number, plan, result)
    said = f" ({problem})" if problem else ""
    return (
        f"{title}: {text}{said}. That was before {names}, so your answer was cut out of the cell "
        "and tried alone."
    )


def _about_cell(exercise: dict, plan: Plan, result: RunResult) -> str:
    """What became of the answer's cell."""
    number = exercise.get("answer")
    if number is None:
        return "The cell for your answer is missing."
    if (number, None) in result.problems:
        return _stopped(number, plan, result)
    there = sorted(python_source.defined_names(plan.notebook.cells[number].source))
    if there:
        names = ", ".join(f"`{name}`" for name in there[:5])
        return f"Your cell defines {names}: give your function the name that was asked for."
    return "Your cell ran, and defines no function."


def _stopped(number: int, plan: Plan, result: RunResult) -> str:
    """The first error of a cell, with its line."""
    text, problem = _what_stopped(number, plan, result)
    return f"{text}.\n    Python says: {problem}" if problem else f"{text}."


def _what_stopped(number: int, plan: Plan, result: RunResult) -> tuple[str, str]:
    """(what happened to a cell, in our words; Python's words, or "")"""
    problem = result.problems.get((number, None))
    if problem is None:
        return "Your cell ended without defining what it should", ""
    line = result.lines.get((number, None))
    rows = plan.notebook.cells[number].source.split("\n")
    code = rows[line - 1].strip()[:SHOWN] if line and line <= len(rows) else ""
    where = f" in line {line}: {code}" if code else f" in line {line}" if line else ""
    if problem.startswith("ended: "):
        return f"Your cell ended the run: {problem.removeprefix('ended: ')}", ""
    if problem.startswith(("time limit", "memory limit")):
        return f"Your cell met the {problem}", ""
    if re.match(r"(SyntaxError|IndentationError|TabError)\b", problem):
        return f"Your cell is not valid Python, so nothing in it ran. The fault is{where}", problem
    return f"Your cell stopped with an error{where}", problem
