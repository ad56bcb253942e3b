"""Read the results of grading, and what was collected, as one row for each student and lesson.

What a learner's code may have written is cleaned here, once.
"""

import json
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from urllib.parse import quote

from ..collect.roster import Student

SHOWN = 4_000  # characters of one message; a learner's code may have written it
# Colours of a terminal, control characters, and marks that turn the direction of writing around.
UNPRINTABLE = re.compile(
    r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff]"
)


@dataclass
class Exercise:
    """One graded cell. score: None when it waits for the teacher."""

    grade_id: str
    title: str
    points: float
    score: float | None
    passed: bool
    mistake: str | None
    message: str

    @property
    def outcome(self) -> str:
        """ "right", "named" (a known mistake), "other", "not written" or "waiting"."""
        if self.score is None:
            return "waiting"
        if self.passed:
            return "right"
        if self.mistake == "not_written":
            return "not written"
        return "named" if self.mistake else "other"

    @property
    def paragraphs(self) -> list[tuple[bool, str]]:
        """The message in paragraphs: (whether it is the hint, text)."""
        found, text = [], self.message
        at = re.search(r"^[ \t]*Hint: ", text, re.MULTILINE)
        parts = [(False, text[: at.start()]), (True, text[at.start() :])] if at else [(False, text)]
        for hint, part in parts:
            lines = [re.sub(r"^ {4}", "", line) for line in part.strip("\n").split("\n")]
            if any(line.strip() for line in lines):
                found.append((hint, "\n".join(lines).strip()))
        return found


@dataclass(frozen=True)
class Person(Student):
    """A student as students.json has them. roster: not empty for those of the roster."""

    roster: str = ""


@dataclass
class Submission:
    """One result. status: "graded", "not graded" or "not handed in". out_of: the points of all
    exercises. name: the student's, as it was written. handed_in: the time. late: by how much."""

    student: str
    assignment: str
    status: str
    reason: str | None = None
    repairs: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    exercises: list[Exercise] = field(default_factory=list)
    out_of: float = 0.0
    name: str = ""
    handed_in: str = ""
    late: str = ""

    @property
    def score(self) -> float | None:
        return sum(each.score or 0 for each in self.exercises) if self.status == "graded" else None

    @property
    def waiting(self) -> int:
        return sum(each.score is None for each in self.exercises)

    @property
    def page(self) -> str:
        return quote(f"feedback_pages/{self.student}/{self.assignment}.html")


def people(course: Path) -> dict[str, Person]:
    """The students of students.json, {id: person}; what is not in form is left out."""
    told = read_json(Path(course) / "students.json", {})
    known = {each.name for each in fields(Person)} - {"id"}
    found = {}
    for student, row in told.items() if isinstance(told, dict) else ():
        if _is_name(student) and isinstance(row, dict):
            kept = {key: clean(value) for key, value in row.items() if key in known}
            found[student] = Person(student, **{"name": student} | kept)
    return found


def submissions(
    course: Path, collected: list[dict], known: dict[str, Person] | None = None
) -> list[Submission]:
    """Every student with every lesson that somebody handed in, in order.

    known: the people of the class; those of the roster are listed even if they handed in nothing.
    """
    known = known or {}
    found: dict[tuple[str, str], Submission] = {}
    for path in sorted(Path(course).glob("results/*/*.json")):
        found[path.parent.name, path.stem] = _submission(path)
    entries = [entry for entry in collected if _is_name(entry.get("student"))]
    for status in ("collected", "listed"):
        for entry in entries:
            key = (entry["student"], entry.get("assignment"))
            if entry.get("status") != status or key in found or not _is_name(key[1]):
                continue
            reason = "It was collected and not graded yet: run python -m vit_classroom grade."
            if status == "listed":
                reason = _not_used(entry)
            found[key] = Submission(*key, "not graded", reason)
    lessons = sorted({lesson for _, lesson in found})
    students = {student for student, _ in found} | {entry["student"] for entry in entries}
    students = sorted(students | {name for name, each in known.items() if each.roster})
    times = {(e["student"], e.get("assignment")): e for e in entries if e["status"] == "collected"}
    unused: dict[str, list[str]] = {}  # files whose lesson nobody can tell, such as a damaged zip
    for entry in entries:
        if entry.get("status") == "listed" and entry.get("assignment") is None:
            unused.setdefault(entry["student"], []).append(_not_used(entry))
    full = {
        lesson: max(each.out_of for key, each in found.items() if key[1] == lesson)
        for lesson in lessons
    }
    rows = []
    for student in students:
        for lesson in lessons:
            each = found.get((student, lesson)) or Submission(student, lesson, "not handed in")
            if each.status == "not handed in" and student in unused:
                each.reason = " ".join(unused[student][:5])
            each.out_of = each.out_of or full[lesson]
            each.name = known[student].name if student in known else student
            when = times.get((student, lesson), {})
            each.handed_in, each.late = clean(when.get("handed_in")), clean(when.get("late"))
            rows.append(each)
    return rows


def _not_used(entry: dict) -> str:
    """Why a file was not used, with its name: its folders mean nothing to the learner."""
    return f"{clean(entry.get('original')).split('/')[-1]}: {clean(entry.get('reason'))}"


def _submission(path: Path) -> Submission:
    student, assignment = path.parent.name, path.stem
    data = read_json(path, None)
    if not isinstance(data, dict):
        reason = "The result file cannot be read: grade it again."
        return Submission(student, assignment, "not graded", reason)
    exercises = [_exercise(each) for each in data.get("exercises") or [] if isinstance(each, dict)]
    return Submission(
        student,
        assignment,
        "graded" if data.get("status") == "graded" else "not graded",
        clean(data["reason"]) if data.get("reason") else None,
        [clean(text) for text in data.get("repairs") or []],
        [clean(text) for text in data.get("events") or []],
        exercises,
        sum(each.points for each in exercises),
    )


def _exercise(data: dict) -> Exercise:
    score = data.get("score")
    return Exercise(
        clean(data.get("grade_id")),
        clean(data.get("title") or data.get("grade_id")),
        _number(data.get("points")),
        None if score is None else _number(score),
        data.get("passed") is True,
        clean(data["mistake"]) if data.get("mistake") else None,
        clean(data.get("message")),
    )


def _is_name(value) -> bool:
    """The name of one folder or file, which does not lead out of the course."""
    return isinstance(value, str) and value not in ("", ".", "..") and not set(value) & set("/\\\0")


def read_json(path: Path, otherwise):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return otherwise


def _number(value) -> float:
    return float(value) if isinstance(value, (int, float)) and abs(value) < 1e6 else 0.0


def clean(value) -> str:
    """Text as it can be shown: without control characters, and cut to SHOWN characters."""
    text = UNPRINTABLE.sub("", str("" if value is None else value).replace("\r\n", "\n"))
    text = text.encode("utf-8", "replace").decode("utf-8")
    if len(text) <= SHOWN:
        return text
    return f"{text[:SHOWN]} … ({len(text) - SHOWN:,} more characters)"
