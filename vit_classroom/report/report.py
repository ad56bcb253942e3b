"""After grading: grades.csv, a page of feedback for each submission, and a page for the teacher. Reads JSON, runs nothing."""

import csv
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from . import charts

SHOWN = 4_000  # characters of one message; a learner's code may have written it
# Colours of a terminal, control characters, and marks that turn the direction of writing around.
UNPRINTABLE = re.compile(
    r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff]"
)


@dataclass
class Exercise:
    """One graded cell. score None: it waits for a person. outcome: "right", "not written", "named", "other" or "waiting"."""

    grade_id: str
    title: str
    points: float
    score: float | None
    passed: bool
    mistake: str | None
    message: str

    @property
    def outcome(self) -> str:
        if self.score is None:
            return "waiting"
        if self.passed:
            return "right"
        return (
            "not written" if self.mistake == "not_written" else "named" if self.mistake else "other"
        )

    @property
    def said(self) -> list[tuple[bool, str]]:
        """The message in paragraphs: (it is the hint, text)."""
        found, text = [], self.message
        at = re.search(r"^\s*Hint: ", text, re.MULTILINE)
        parts = [(False, text[: at.start()]), (True, text[at.start() :])] if at else [(False, text)]
        for hint, part in parts:
            lines = [re.sub(r"^ {4}", "", line) for line in part.strip("\n").split("\n")]
            if any(line.strip() for line in lines):
                found.append((hint, "\n".join(lines).strip()))
        return found


@dataclass
class Submission:
    """One result. status: "graded", "not graded" or "not handed in". score and out_of count graded exercises."""

    student: str
    assignment: str
    status: str
    reason: str | None = None
    repairs: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    exercises: list[Exercise] = field(default_factory=list)
    out_of: float = 0.0

    @property
    def score(self) -> float | None:
        return sum(each.score or 0 for each in self.exercises) if self.status == "graded" else None

    @property
    def waiting(self) -> int:
        return sum(each.score is None for each in self.exercises)

    @property
    def page(self) -> str:
        return quote(f"feedback_pages/{self.student}/{self.assignment}.html")


@dataclass(frozen=True)
class Made:
    """What report wrote: paths, and how many submissions of each status."""

    grades: Path
    exercises: Path
    teacher: Path
    pages: list[Path]
    counts: dict[str, int]


def report(course: Path) -> Made:
    """Write COURSE/grades.csv, grades_by_exercise.csv, report.html and feedback_pages/STUDENT/ASSIGNMENT.html.

    Raises ValueError when nothing was graded or collected yet. A result that cannot be read is listed as not graded.
    """
    course = Path(course)
    collected = _json(course / "collected.json", [])
    found = submissions(course, collected)
    if not found:
        raise ValueError(
            f"there is nothing to report in {course}: run classroom collect and classroom grade first"
        )
    pages = [_feedback(course, each) for each in found if each.status != "not handed in"]
    grades, exercises = _tables(course, found)
    teacher = _teacher(course, found, collected)
    return Made(grades, exercises, teacher, pages, dict(Counter(each.status for each in found)))


# --- reading -----------------------------------------------------------------------------------------------------------


def submissions(course: Path, collected: list[dict]) -> list[Submission]:
    """Every student with every lesson that somebody handed in, in order."""
    found: dict[tuple[str, str], Submission] = {}
    for path in sorted(Path(course).glob("results/*/*.json")):
        found[path.parent.name, path.stem] = _submission(path)
    entries = [entry for entry in collected if _is_name(entry.get("student"))]
    for status in ("collected", "listed"):
        for entry in entries:
            key = (entry["student"], entry.get("assignment"))
            if entry.get("status") != status or key in found or not _is_name(key[1]):
                continue
            reason = "It was collected and not graded yet: run classroom grade."
            if status == "listed":
                reason = f"{_clean(entry.get('original'))}: {_clean(entry.get('reason'))}"
            found[key] = Submission(*key, "not graded", reason)
    lessons = sorted({lesson for _, lesson in found})
    students = sorted({student for student, _ in found} | {entry["student"] for entry in entries})
    full = {
        lesson: max(each.out_of for key, each in found.items() if key[1] == lesson)
        for lesson in lessons
    }
    rows = []
    for student in students:
        for lesson in lessons:
            each = found.get((student, lesson)) or Submission(student, lesson, "not handed in")
            each.out_of = each.out_of or full[lesson]
            rows.append(each)
    return rows


def _submission(path: Path) -> Submission:
    student, assignment = path.parent.name, path.stem
    data = _json(path, None)
    if not isinstance(data, dict):
        return Submission(
            student, assignment, "not graded", "The result file cannot be read: grade it again."
        )
    exercises = [_exercise(each) for each in data.get("exercises") or [] if isinstance(each, dict)]
    return Submission(
        student,
        assignment,
        "graded" if data.get("status") == "graded" else "not graded",
        _clean(data["reason"]) if data.get("reason") else None,
        [_clean(text) for text in data.get("repairs") or []],
        [_clean(text) for text in data.get("events") or []],
        exercises,
        sum(each.points for each in exercises),
    )


def _exercise(data: dict) -> Exercise:
    score = data.get("score")
    return Exercise(
        _clean(data.get("grade_id")),
        _clean(data.get("title") or data.get("grade_id")),
        _number(data.get("points")),
        None if score is None else _number(score),
        data.get("passed") is True,
        _clean(data["mistake"]) if data.get("mistake") else None,
        _clean(data.get("message")),
    )


def _is_name(value) -> bool:
    """The name of one folder or file, and no way out of the course."""
    return isinstance(value, str) and value not in ("", ".", "..") and not set(value) & set("/\\\0")


def _json(path: Path, otherwise):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return otherwise


def _number(value) -> float:
    return float(value) if isinstance(value, (int, float)) and abs(value) < 1e6 else 0.0


def _clean(value) -> str:
    """Text that shows as it is, and not too much of it."""
    text = UNPRINTABLE.sub("", str("" if value is None else value).replace("\r\n", "\n"))
    text = text.encode("utf-8", "replace").decode("utf-8")
    return (
        text if len(text) <= SHOWN else f"{text[:SHOWN]} … ({len(text) - SHOWN:,} more characters)"
    )


# --- tables ------------------------------------------------------------------------------------------------------------


def _tables(course: Path, found: list[Submission]) -> tuple[Path, Path]:
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
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        table.writerows([harmless(cell) for cell in row] for row in rows)
    return path


def harmless(cell: str) -> str:
    """A spreadsheet runs what starts with = + - @ as a formula: such text gets a ' in front. Numbers stay."""
    if cell[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") and not re.fullmatch(
        r"-?\d+(\.\d+)?", cell
    ):
        return f"'{cell}"
    return cell


def number(value: float | None) -> str:
    """2.0 -> "2", 1.5 -> "1.5", None -> "" """
    return "" if value is None else f"{value:g}"


# --- pages -------------------------------------------------------------------------------------------------------------


def _environment():
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("vit_classroom.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "words": lambda name: name.replace("_", " ")}
    return environment


def _feedback(course: Path, each: Submission) -> Path:
    path = course / "feedback_pages" / each.student / f"{each.assignment}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        _environment().get_template("feedback.html").render(each=each), encoding="utf-8"
    )
    return path


def _teacher(course: Path, found: list[Submission], collected: list[dict]) -> Path:
    lessons = []
    for name in sorted({each.assignment for each in found}):
        mine = [each for each in found if each.assignment == name]
        graded = [each for each in mine if each.status == "graded"]
        exercises = _by_exercise(graded)
        mistakes = _by_mistake(graded)
        lessons.append(
            {
                "name": name,
                "handed_in": sum(each.status != "not handed in" for each in mine),
                "graded": len(graded),
                "full": sum(each.score == each.out_of for each in graded),
                "mean": sum(each.score for each in graded) / len(graded) if graded else None,
                "out_of": max(each.out_of for each in mine),
                "exercises": exercises,
                "mistakes": mistakes,
                "waiting": sum(each.waiting for each in graded),
                "exercise_picture": charts.exercises(name, exercises) if exercises else None,
                "mistake_picture": charts.mistakes(name, mistakes) if mistakes else None,
            }
        )
    template = _environment().get_template("report.html")
    text = template.render(
        course=course.resolve().name,
        students=sorted({each.student for each in found}),
        found=found,
        lessons=lessons,
        not_graded=[each for each in found if each.status == "not graded"],
        events=[each for each in found if each.events],
        repaired=[each for each in found if each.repairs],
        missing=[each for each in found if each.status == "not handed in"],
        listed=[
            {key: _clean(entry.get(key)) for key in ("student", "original", "reason")}
            for entry in collected
            if entry.get("status") == "listed"
        ],
    )
    path = course / "report.html"
    path.write_text(text, encoding="utf-8")
    return path


def _by_exercise(graded: list[Submission]) -> list[dict]:
    """For each exercise: how many came out how."""
    rows: dict[str, dict] = {}
    for submission in graded:
        for each in submission.exercises:
            row = rows.setdefault(
                each.grade_id, {"grade_id": each.grade_id, "title": each.title, "counts": Counter()}
            )
            row["counts"][each.outcome] += 1
    return list(rows.values())


def _by_mistake(graded: list[Submission]) -> list[dict]:
    """Named mistakes, the most frequent first: with the exercise and who made it."""
    rows: dict[tuple, dict] = {}
    for submission in graded:
        for each in submission.exercises:
            if each.outcome == "named":
                row = rows.setdefault(
                    (each.grade_id, each.mistake),
                    {"mistake": each.mistake, "title": each.title, "students": []},
                )
                row["students"].append(submission)
    return sorted(
        rows.values(), key=lambda row: (-len(row["students"]), row["title"], row["mistake"])
    )
