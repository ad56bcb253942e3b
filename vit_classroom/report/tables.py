"""The marks as CSV tables, safe to open in a spreadsheet."""

import csv
import io
import re
from pathlib import Path

from ..files import write_text
from .results import Submission
from .similar import Pair

# The wide forms are read as formulas, too, where Chinese or Japanese is written.
_FORMULA = re.compile(r"""((?:^|;)[\s"']*)(?=[=+\-@＝＋－＠])""")
BOM = "\ufeff"  # with it Excel reads UTF-8


def write_tables(course: Path, found: list[Submission]) -> tuple[Path, Path]:
    """Write grades.csv and grades_by_exercise.csv. Returns their paths."""
    rows = [
        [
            each.student,
            each.name,
            each.assignment,
            each.status,
            number(each.score),
            number(each.out_of),
            each.handed_in,
            each.late,
            each.reason or "",
        ]
        for each in found
    ]
    columns = ["student", "name", "assignment", "status", "score", "max"]
    columns += ["handed_in", "late", "reason"]
    grades = write_csv(course / "grades.csv", columns, rows)
    rows = [
        [
            s.student,
            s.assignment,
            e.grade_id,
            e.title,
            number(e.points),
            number(e.score),
            e.outcome,
            e.mistake or "",
        ]
        for s in found
        for e in s.exercises
    ]
    columns = [
        "student",
        "assignment",
        "exercise",
        "title",
        "points",
        "score",
        "outcome",
        "mistake",
    ]
    return grades, write_csv(course / "grades_by_exercise.csv", columns, rows)


def write_similar(course: Path, pairs: list[Pair]) -> Path:
    """Write similar.csv: the pairs of answers that are nearly the same. Returns its path."""
    columns = ["assignment", "exercise", "student", "other_student", "share", "unusual_pieces"]
    rows = [
        [
            pair.one.assignment,
            pair.one.exercise,
            pair.one.student,
            pair.two.student,
            f"{pair.share:.2f}",
            str(pair.unusual),
            "yes" if pair.same_text else "",
        ]
        for pair in pairs
    ]
    return write_csv(course / "similar.csv", [*columns, "word_for_word"], rows)


def write_csv(path: Path, columns: list[str], rows: list[list[str]]) -> Path:
    """Write one table, with every cell made safe for a spreadsheet. Returns its path."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    table.writerows([escape_formula(cell) for cell in row] for row in rows)
    write_text(path, BOM + text.getvalue())
    return path


def escape_formula(cell: str) -> str:
    """Text that a spreadsheet does not run as a formula, also one that splits at semicolons or
    tabs: line ends and tabs become spaces, and = + - @ at the beginning or after a semicolon get a
    ' in front. Numbers stay."""
    if re.fullmatch(r"-?\d+(\.\d+)?", cell):
        return cell
    return _FORMULA.sub(r"\1'", re.sub(r"[\t\r\n\v\f]", " ", cell))


def number(value: float | None) -> str:
    """2.0 -> "2", 1.5 -> "1.5", None -> "" """
    return "" if value is None else f"{value:g}"
