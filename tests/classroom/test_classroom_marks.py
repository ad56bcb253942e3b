"""The marks as teachers take them on: names, lateness, totals, the forms of Moodle and Canvas,
files that could not be used; and answers that are nearly the same."""

import csv
import json

import pytest
from nbformat.v4 import new_code_cell, new_notebook, writes
from small_course import graded
from test_classroom_report import Page, exercise, result, rows

from vit_classroom.report import charts, report
from vit_classroom.report.similar import Answer, similar_pairs

PEOPLE = {
    "4711": {"name": "Jane Doe", "first": "Jane", "last": "Doe", "number": "4711",
             "account": "jdoe", "email": "jane@school.edu", "canvas": "12", "section": "A",
             "roster": "yes"},
    "bli": {"name": "Li, Bob", "number": "4712", "email": "bob@school.edu", "roster": "yes"},
    "xi": {"name": "Xi Wang", "roster": "yes"},
    "eve": {"name": "Eve"},
}  # fmt: skip


def entry(student, original, assignment="01_patches", status="collected", reason="x", **more):
    told = {"handed_in": "2026-03-01 10:00", "late": ""} | more
    return {"student": student, "assignment": assignment, "original": original,
            "status": status, "reason": reason} | told  # fmt: skip


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    """The charts take most of a report's time, and have tests of their own."""
    for name in ("exercises", "mistakes"):
        monkeypatch.setattr(charts, name, lambda *given: charts.Chart("data:,", "a chart"))


@pytest.fixture
def course(tmp_path):
    """Jane has both lessons, the second late; Bob's zip is damaged; Xi handed in nothing; Eve is
    not in the roster, and has an answer that waits."""
    for each in (
        result("4711"),
        result("4711", "02_class_token", exercises=[exercise(1), exercise(2, score=0)]),
        result("eve", "02_class_token", exercises=[exercise(1), exercise(2, score=None)]),
    ):
        path = tmp_path / "results" / each["student"] / f"{each['assignment']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(each))
    entries = [
        entry("4711", "a.ipynb"),
        entry("4711", "b.ipynb", "02_class_token", late="2 h 10 min"),
        entry("eve", "c.ipynb", "02_class_token"),
        entry("bli", "all.zip/bob_/bob.zip", None, "listed", "The archive is damaged."),
    ]
    (tmp_path / "collected.json").write_text(json.dumps(entries))
    (tmp_path / "students.json").write_text(json.dumps(PEOPLE))
    return tmp_path


def table(course, name) -> list[list[str]]:
    with (course / name).open(newline="", encoding="utf-8-sig") as file:
        return list(csv.reader(file))


def test_names_times_and_lateness_are_in_the_table(course):
    report.report(course)
    found = {(row["student"], row["assignment"]): row for row in rows(course)}
    assert len(found) == 4 * 2
    jane = found["4711", "02_class_token"]
    assert (jane["name"], jane["late"], jane["handed_in"]) == (
        "Jane Doe",
        "2 h 10 min",
        "2026-03-01 10:00",
    )
    assert found["xi", "01_patches"]["status"] == "not handed in"
    assert found["bli", "01_patches"]["reason"] == "bob.zip: The archive is damaged."


def test_a_row_for_each_student_with_the_total(course):
    report.report(course)
    assert table(course, "grades_by_student.csv") == [
        ["student", "name", "number", "email", "01_patches", "02_class_token", "total", "max",
         "late"],
        ["4711", "Jane Doe", "4711", "jane@school.edu", "4", "2", "6", "8", "1"],
        ["bli", "Li, Bob", "4712", "bob@school.edu", "", "", "0", "8", ""],
        ["eve", "Eve", "", "", "", "2", "2", "8", ""],
        ["xi", "Xi Wang", "", "", "", "", "0", "8", ""],
    ]  # fmt: skip


def test_the_forms_that_moodle_and_canvas_import(course):
    """Where there is no mark yet the cell is empty: an import must not write a 0."""
    report.report(course)
    assert table(course, "grades_for_moodle.csv")[:4] == [
        ["First name", "Last name", "ID number", "Email address", "01_patches", "02_class_token"],
        ["Jane", "Doe", "4711", "jane@school.edu", "4", "2"],
        ["Bob", "Li", "4712", "bob@school.edu", "", ""],
        ["", "Eve", "", "", "", ""],
    ]
    assert table(course, "grades_for_canvas.csv")[:4] == [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "01_patches", "02_class_token"],
        ["    Points Possible", "", "", "", "", "4", "4"],
        ["Doe, Jane", "12", "4711", "jdoe", "A", "4", "2"],
        ["Li, Bob", "", "4712", "", "", "", ""],
    ]


def test_pages_have_names_lateness_and_what_could_not_be_used(course):
    report.report(course)
    words = " ".join(" ".join(Page((course / "report.html").read_text()).words).split())
    assert "Not in the roster: Eve ." in words.replace("Eve.", "Eve .")
    for part in ("Jane Doe", "Late (1)", "2 h 10 min", "Xi Wang", "Total", "bob.zip",
                 "Handed in something that could not be used (2)"):  # fmt: skip
        assert part in words, part
    page = (course / "feedback_pages" / "bli" / "01_patches.html").read_text()
    assert "What you handed in could not be used" in page and "archive is damaged" in page
    page = (course / "feedback_pages" / "4711" / "02_class_token.html").read_text()
    assert "Jane Doe" in page and "Late: 2 h 10 min" in page
    assert not (course / "feedback_pages" / "xi").exists()


def test_broken_lists_stop_nothing(course):
    for text in ("{", "[]", '{"4711": 3, "../x": {"name": "y"}, "bli": {"name": ["z"]}}'):
        (course / "students.json").write_text(text)
        report.report(course)
    assert not (course.parent / "x").exists()


# --- nearly the same ------------------------------------------------------------------------------

SOLUTION = """def f(x, P):
    B, C, H, W = x.shape
    x = x.reshape(B, C, H // P, P, W // P, P)
    return x.permute(0, 2, 4, 3, 5, 1).reshape(B, -1, P * P * C)"""
ODD = """def f(images, size):
    batch, channels, height, width = images.shape
    made = []
    for top in range(0, height, size):  # rows of patches
        for left in range(0, width, size):
            piece = images[:, :, top:top + size, left:left + size]
            made.append(piece.permute(0, 2, 3, 1).flatten(1))
    return torch.stack(made, dim=1)"""
COPIED = """def f(a, b):
    '''My own.'''
    n, c, h, w = a.shape

    result = []
    for i in range(0, h, b):
        for j in range(0, w, b):
            q = a[:, :, i:i+b, j:j+b]
            result.append(q.permute(0, 2, 3, 1).flatten(1))
    return torch.stack(result, dim=1)"""
OTHER = """def f(x, P):
    patches = torch.nn.functional.unfold(x, kernel_size=P, stride=P)
    B, D, N = patches.shape
    patches = patches.view(B, x.shape[1], P * P, N)
    return patches.permute(0, 3, 2, 1).contiguous().view(B, N, D)"""


def answers(**sources) -> list[Answer]:
    return [
        Answer(name, "01_patches", "e1", "Exercise 1.1", text) for name, text in sources.items()
    ]


def found(given: list[Answer], solution: str = SOLUTION) -> list[tuple[str, str]]:
    return [(p.one.student, p.two.student) for p in similar_pairs(given, {"e1": solution})]


def test_a_copy_with_other_names_and_spaces_is_found():
    given = answers(a=ODD, b=OTHER, c=COPIED, d=SOLUTION, e=SOLUTION.replace("x", "y"))
    (pair,) = similar_pairs(given, {"e1": SOLUTION})
    assert (pair.one.student, pair.two.student) == ("a", "c")
    assert pair.share == 1 and pair.unusual > 30 and not pair.same_text
    (pair,) = similar_pairs(answers(a=ODD, b=ODD + "\n"), {"e1": SOLUTION})
    assert pair.same_text


def test_what_everybody_writes_is_no_sign():
    # The course's own answer, a short answer, and what a third of the class found by itself.
    assert found(answers(**{f"s{n}": SOLUTION.replace("B", f"B{n}") for n in range(6)})) == []
    short = "def f(x):\n    return x.mean(dim=1)"
    assert found(answers(a=short, b=short, c=OTHER)) == []
    class_of_20 = {f"s{n}": ODD if n % 3 else OTHER for n in range(20)}
    assert found(answers(**class_of_20)) == []
    # Two of twenty with one unusual answer are a pair, whatever the others wrote.
    rare = class_of_20 | {"x": LONG, "y": LONG.replace("total", "t")}
    assert found(answers(**rare)) == [("x", "y")]


LONG = """def f(x, P):
    total = torch.zeros(x.shape[0], 0, P * P * x.shape[1])
    row = 0
    while row < x.shape[2]:
        strip = x[..., row : row + P, :].movedim(1, -1)
        blocks = torch.tensor_split(strip, x.shape[3] // P, dim=2)
        total = torch.cat([total, *(block.flatten(1)[:, None] for block in blocks)], dim=1)
        row += P
    return total"""


def test_broken_and_monstrous_answers_are_passed_over():
    deep = "def f(x):\n    return " + "(" * 5_000 + "x" + ")" * 5_000
    assert found(answers(a="def f(", b="def f(", c=deep, d=deep, e="", g="")) == []


def test_the_report_lists_the_pairs_only_when_asked(course):
    notebooks = {"4711": ODD, "eve": COPIED}
    for student, source in notebooks.items():
        cells = [new_code_cell(source, metadata=graded("01-e1")),
                 new_code_cell("check(f)", metadata=graded("01-e1-check", 2))]  # fmt: skip
        path = course / "results" / student / "02_class_token.ipynb"
        path.write_text(writes(new_notebook(cells=cells)))
    assert report.report(course).similar is None and not (course / "similar.csv").exists()
    made = report.report(course, similar=True)
    assert len(made.similar) == 1
    (row,) = rows(course, "similar.csv")
    assert (row["student"], row["other_student"], row["share"]) == ("4711", "eve", "1.00")
    words = " ".join(Page((course / "report.html").read_text()).words)
    assert "A hint, not a finding" in words and "100 %" in words
