"""After grading: tables of marks, feedback for each learner, and a page for the teacher.

Reads the JSON files of results and runs nothing.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from .pages import write_feedback, write_teacher_page
from .results import read_json, submissions
from .tables import write_tables


@dataclass(frozen=True)
class ReportPaths:
    """What a report wrote. counts: how many submissions there are of each status."""

    grades: Path
    exercises: Path
    teacher: Path
    pages: list[Path]
    counts: dict[str, int]


def report(course: Path) -> ReportPaths:
    """Write the tables and the pages into the folder of the course.

    They are grades.csv, grades_by_exercise.csv, report.html and
    feedback_pages/STUDENT/ASSIGNMENT.html. A result that cannot be read is listed as not graded.
    Raises ValueError when nothing was graded or collected yet.
    """
    course = Path(course)
    collected = read_json(course / "collected.json", [])
    found = submissions(course, collected)
    if not found:
        raise ValueError(
            f"there is nothing to report in {course}: run python -m vit_classroom collect, "
            "then python -m vit_classroom grade"
        )
    pages = [write_feedback(course, each) for each in found if each.status != "not handed in"]
    grades, exercises = write_tables(course, found)
    teacher = write_teacher_page(course, found, collected)
    counts = dict(Counter(each.status for each in found))
    return ReportPaths(grades, exercises, teacher, pages, counts)
