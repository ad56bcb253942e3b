"""The marks in the forms that schools' systems import, and one row for each student."""

from pathlib import Path

from .results import Person, Submission
from .tables import number, write_csv


def write_school_tables(
    course: Path, found: list[Submission], people: dict[str, Person]
) -> list[Path]:
    """Write grades_by_student.csv, grades_for_moodle.csv and grades_for_canvas.csv.

    A cell is empty where there is no mark to import: not handed in, not graded, or with written
    answers that still wait for the teacher. Returns the paths.
    """
    lessons = sorted({each.assignment for each in found})
    rows: dict[str, dict[str, Submission]] = {}
    for each in found:
        rows.setdefault(each.student, {})[each.assignment] = each
    out_of = {
        name: max(each.out_of for each in found if each.assignment == name) for name in lessons
    }
    who = {student: people.get(student) or Person(student, name=student) for student in rows}
    return [
        _by_student(course, rows, who, lessons, out_of),
        _for_moodle(course, rows, who, lessons),
        _for_canvas(course, rows, who, lessons, out_of),
    ]


def _by_student(course, rows, who, lessons, out_of) -> Path:
    columns = ["student", "name", "number", "email", *lessons, "total", "max", "late"]
    table = []
    for student, mine in rows.items():
        person = who[student]
        score = sum(each.score or 0 for each in mine.values())
        late = sum(bool(each.late) for each in mine.values())
        table.append(
            [student, person.name, person.number, person.email]
            + [number(mine[name].score) for name in lessons]
            + [number(score), number(sum(out_of.values())), str(late or "")]
        )
    return write_csv(course / "grades_by_student.csv", columns, table)


def _for_moodle(course, rows, who, lessons) -> Path:
    """Moodle's import takes the form of its export (docs.moodle.org, Grade import): it asks which
    column finds the student, such as the address, and to which grade item each lesson goes."""
    columns = ["First name", "Last name", "ID number", "Email address", *lessons]
    table = [
        [*_first_and_last(who[student]), who[student].number, who[student].email]
        + [_to_import(mine[name]) for name in lessons]
        for student, mine in rows.items()
    ]
    return write_csv(course / "grades_for_moodle.csv", columns, table)


def _for_canvas(course, rows, who, lessons, out_of) -> Path:
    """Canvas needs Student, one of ID, SIS User ID and SIS Login ID, and Section, and knows the
    row of possible points (its guide to importing grades)."""
    columns = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", *lessons]
    table = [["    Points Possible", "", "", "", "", *(number(out_of[name]) for name in lessons)]]
    for student, mine in rows.items():
        person = who[student]
        first, last = _first_and_last(person)
        name = f"{last}, {first}" if first and last else person.name
        table.append(
            [name, person.canvas, person.number, person.account, person.section]
            + [_to_import(mine[name]) for name in lessons]
        )
    return write_csv(course / "grades_for_canvas.csv", columns, table)


def _to_import(each: Submission) -> str:
    return "" if each.waiting else number(each.score)


def _first_and_last(person: Person) -> tuple[str, str]:
    if person.first or person.last:
        return person.first, person.last
    last, comma, first = person.name.partition(",")
    if comma:
        return first.strip(), last.strip()
    first, _, last = person.name.rpartition(" ")
    return first, last
