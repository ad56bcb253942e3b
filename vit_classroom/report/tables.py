"""The marks as CSV tables, safe to open in a spreadsheet."""

import csv
import io
import re
from pathlib import Path

from ..files import write_text
from .results import Submission


def write_tables(course: Path, found: list[Submission]) -> tuple[Path, Path]:
    """Write grades.csv and grades_by_exercise.csv. Returns their paths."""
    rows = [
        [
            each.student,
            each.assignment,
            each.status,
            number(each.score),
            number(each.out_of),
            each.reason or "",
        ]
        for each in found
    ]
    grades = _csv(
        course / "grades.csv", ["student", "assignment", "status", "score", "max", "reason"], rows
    )
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
    return grades, _csv(course / "grades_by_exercise.csv", columns, rows)


def _csv(path: Path, columns: list[str], rows: list[list[str]]) -> Path:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    table.writerows([escape_formula(cell) for cell in row] for row in rows)
    write_text(path, text.getvalue())
    return path


def escape_formula(cell: str) -> str:
    """Text that a spreadsheet does not run as a formula: what starts with = + - or @ gets a ' in
    front. Numbers stay."""
    if cell[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") and not re.fullmatch(
        r"-?\d+(\.\d+)?", cell
    ):
        return f"'{cell}"
    return cell


def number(value: float | None) -> str:
    """2.0 -> "2", 1.5 -> "1.5", None -> "" """
    return "" if value is None else f"{value:g}"
