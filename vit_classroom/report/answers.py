"""The answers of a course as text: what the learners wrote, and the course's own."""

from pathlib import Path

import nbformat

from .results import Submission
from .similar import Answer

MOST_BYTES = 50_000_000


def given_answers(course: Path, found: list[Submission]) -> list[Answer]:
    """The code of every graded submission, from results/, without the exercises left unsolved."""
    answers = []
    for each in found:
        path = Path(course) / "results" / each.student / f"{each.assignment}.ipynb"
        if each.status != "graded" or not path.is_file() or path.stat().st_size > MOST_BYTES:
            continue
        written = {one.grade_id: one for one in each.exercises if one.outcome != "not written"}
        for exercise, source in _answers(path):
            if exercise in written:
                title = written[exercise].title
                answers.append(Answer(each.student, each.assignment, exercise, title, source))
    return answers


def course_answers(course: Path) -> dict[str, str]:
    """{grade_id of a check: the course's own answer}."""
    paths = sorted(Path(course).glob("source/*/*.ipynb"))
    return {exercise: source for path in paths for exercise, source in _answers(path)}


def _answers(path: Path) -> list[tuple[str, str]]:
    """(grade_id of the check, code of the answer) for each exercise of a notebook."""
    found, answer = [], None
    try:
        cells = nbformat.read(path, as_version=4).cells
    except (OSError, ValueError, AttributeError):
        return []
    for cell in cells:
        own = cell.metadata.get("nbgrader", {})
        if cell.cell_type == "code" and own.get("solution"):
            answer = cell.source
        elif own.get("grade") and answer is not None:
            found.append((own["grade_id"], answer))
            answer = None
    return found
