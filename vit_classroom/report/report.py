"""After grading: tables of marks, feedback for each learner, and a page for the teacher.

Reads the JSON files of results and runs nothing.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ..progress import track
from .answers import course_answers, given_answers
from .pages import write_feedback, write_teacher_page
from .results import Submission, people, read_json, submissions
from .school_tables import write_school_tables
from .similar import Pair, similar_pairs
from .tables import write_similar, write_tables


@dataclass(frozen=True)
class ReportPaths:
    """What a report wrote. school: the tables by student. counts: how many submissions there are of
    each status. similar: pairs of answers that are nearly the same, or None if not asked for."""

    grades: Path
    exercises: Path
    school: list[Path]
    teacher: Path
    pages: list[Path]
    counts: dict[str, int]
    similar: list[Pair] | None = None


def report(course: Path, similar: bool = False) -> ReportPaths:
    """Write the tables and the pages into the folder of the course.

    They are grades.csv, grades_by_exercise.csv, grades_by_student.csv, grades_for_moodle.csv,
    grades_for_canvas.csv, report.html and feedback_pages/STUDENT/ASSIGNMENT.html; with `similar`
    also similar.csv. A result that cannot be read is listed as not graded. Raises ValueError when
    nothing was graded or collected yet.
    """
    course = Path(course)
    collected = read_json(course / "collected.json", [])
    known = people(course)
    found = submissions(course, collected, known)
    if not found:
        raise ValueError(
            f"there is nothing to report in {course}: run python -m vit_classroom collect, "
            "then python -m vit_classroom grade"
        )
    shown = [each for each in found if _has_page(each)]
    pages = [write_feedback(course, each) for each in track(shown, "writing pages", "pages")]
    grades, exercises = write_tables(course, found)
    school = write_school_tables(course, found, known)
    pairs = None
    if similar:
        pairs = similar_pairs(given_answers(course, found), course_answers(course))
        write_similar(course, pairs)
    teacher = write_teacher_page(course, found, collected, known, pairs)
    counts = dict(Counter(each.status for each in found))
    return ReportPaths(grades, exercises, school, teacher, pages, counts, pairs)


def _has_page(each: Submission) -> bool:
    """Something was handed in, or something that could not be used."""
    return each.status != "not handed in" or bool(each.reason)
