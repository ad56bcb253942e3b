"""The pages in HTML: feedback for each learner, and one page for the teacher."""

from collections import Counter
from pathlib import Path

from jinja2 import Environment, PackageLoader

from ..files import write_text
from . import charts
from .results import Person, Submission, clean
from .similar import Pair
from .tables import number


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("vit_classroom.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "words": lambda name: name.replace("_", " ")}
    return environment


def write_feedback(course: Path, each: Submission) -> Path:
    """Write feedback_pages/STUDENT/ASSIGNMENT.html. Returns its path."""
    path = course / "feedback_pages" / each.student / f"{each.assignment}.html"
    write_text(path, _environment().get_template("feedback.html").render(each=each))
    return path


def write_teacher_page(
    course: Path,
    found: list[Submission],
    collected: list[dict],
    known: dict[str, Person],
    pairs: list[Pair] | None = None,
) -> Path:
    """Write report.html. known: the people of the class. pairs: answers that are nearly the same,
    or None if nobody asked. Returns its path."""
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
        late=[each for each in found if each.late],
        unused=[each for each in found if each.status == "not handed in" and each.reason],
        strangers=_strangers(found, known),
        pairs=pairs,
        names={each.student: each.name or each.student for each in found},
        listed=[
            {key: clean(entry.get(key)) for key in ("student", "original", "reason")}
            for entry in collected
            if entry.get("status") == "listed"
        ],
    )
    path = course / "report.html"
    write_text(path, text)
    return path


def _strangers(found: list[Submission], known: dict[str, Person]) -> list[Submission]:
    """Who is not in the roster, one submission each; nobody where there is no roster."""
    if not any(each.roster for each in known.values()):
        return []
    first = {each.student: each for each in reversed(found) if each.status != "not handed in"}
    return [
        each
        for student, each in sorted(first.items())
        if student not in known or not known[student].roster
    ]


def _by_exercise(graded: list[Submission]) -> list[dict]:
    """How many submissions had each outcome, for each exercise."""
    rows: dict[str, dict] = {}
    for submission in graded:
        for each in submission.exercises:
            row = rows.setdefault(
                each.grade_id, {"grade_id": each.grade_id, "title": each.title, "counts": Counter()}
            )
            row["counts"][each.outcome] += 1
    return list(rows.values())


def _by_mistake(graded: list[Submission]) -> list[dict]:
    """Named mistakes, the most frequent first, with the exercise and the students who made it."""
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
