"""The pages and tables after grading, from made-up results.

Everything is there, escaped, and nothing is loaded from elsewhere.
"""

import csv
import json
import re
from html.parser import HTMLParser

import pytest

from vit_classroom.report import report, tables

CHANNEL = """check_patchify: the result has the right shape, but not the right values.
    Each patch holds all reds, then all greens, then all blues.
    First wrong at (0, 0, 1): 0.25, expected 0.75.
    Tried with images (2, 3, 6, 8), patch_size 2; 7 of 7 cases are wrong.
    Hint: which axis of permute should stand last?"""
EVIL = "<script>alert('x')</script><img src=x onerror=alert(1)> "
EVIL += "\x1b[31mred\x1b[0m \u202eevil {{ 7 * 7 }} {% raw %}"


def exercise(number=1, **more):
    right = {
        "grade_id": f"01-e{number}-check",
        "title": f"Exercise 1.{number}: part {number}",
        "points": 2,
        "score": 2,
        "passed": True,
    }
    return right | {"mistake": None, "message": "check_patchify: passed, 7 cases"} | more


def wrong(number=1, mistake="channel_first", message=CHANNEL):
    return exercise(number, score=0, passed=False, mistake=mistake, message=message)


def result(
    student,
    assignment="01_patches",
    status="graded",
    reason=None,
    repairs=(),
    events=(),
    exercises=None,
):
    return {
        "student": student,
        "assignment": assignment,
        "status": status,
        "reason": reason,
        "repairs": list(repairs),
        "seconds": 3.2,
        "events": list(events),
        "exercises": [exercise(1), exercise(2)] if exercises is None else exercises,
    }


@pytest.fixture
def course(tmp_path):
    """Five students and two lessons, as `grade` and `collect` leave them."""
    results = [
        result("ann"),
        result(
            "bob",
            exercises=[wrong(1), exercise(2)],
            repairs=["Exercise 1.1: your answer was in a text cell. It was turned back into code."],
        ),
        result(
            "eve",
            exercises=[wrong(1, None, EVIL), wrong(2, EVIL, EVIL)],
            events=[f"time limit {EVIL}"],
            repairs=[EVIL],
        ),
        result("zoe", exercises=[wrong(1), wrong(2, "not_written", "check_x: not written yet.")]),
        result("ian", status="not graded", reason="The file is empty.", exercises=[]),
        result(
            "ann", "02_class_token", exercises=[exercise(1), exercise(2, score=None, passed=False)]
        ),
    ]
    for each in results:
        path = tmp_path / "results" / each["student"] / f"{each['assignment']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(each))
    entries = [
        {
            "student": "bob",
            "assignment": "01_patches",
            "original": "bob/a.ipynb",
            "status": "collected",
            "reason": "x",
        },
        {
            "student": "bob",
            "assignment": "01_patches",
            "original": "bob/old.ipynb",
            "status": "listed",
            "reason": "Not used: older.",
        },
        {
            "student": None,
            "assignment": None,
            "original": f"{EVIL}.pdf",
            "status": "listed",
            "reason": "The file is a PDF.",
        },
        {
            "student": "kim",
            "assignment": "01_patches",
            "original": "kim.zip",
            "status": "listed",
            "reason": "The archive is damaged.",
        },
        {
            "student": "lou",
            "assignment": "02_class_token",
            "original": "lou/x.ipynb",
            "status": "collected",
            "reason": "x",
        },
    ]
    (tmp_path / "collected.json").write_text(json.dumps(entries))
    return tmp_path


class Page(HTMLParser):
    """What a browser would see: tags, addresses, text, and what a blind reader would miss."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.words, self.faults, self.text = [], [], [], [], text
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append(tag)
        self.addresses += [
            found[name] for name in ("src", "href", "action", "srcset") if name in found
        ]
        self.faults += [f"{tag} {name}" for name in found if name.startswith("on")]
        if tag == "img" and not found.get("alt"):
            self.faults.append("a picture without words")
        if tag == "html" and not found.get("lang"):
            self.faults.append("no language")
        if tag == "th" and "scope" not in found:
            self.faults.append("a table's head without scope")

    def handle_data(self, data):
        self.words.append(data)


def page(course, name) -> Page:
    return Page((course / name).read_text(encoding="utf-8"))


def rows(course, name="grades.csv"):
    with (course / name).open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def test_grades_have_every_student_and_lesson_with_the_reason(course):
    made = report.report(course)
    found = {(row["student"], row["assignment"]): row for row in rows(course)}
    assert len(found) == 7 * 2
    assert [found["ann", "01_patches"][name] for name in ("status", "score", "max")] == [
        "graded",
        "4",
        "4",
    ]
    assert [found["bob", "01_patches"][name] for name in ("status", "score", "max")] == [
        "graded",
        "2",
        "4",
    ]
    assert [found["ian", "01_patches"][name] for name in ("status", "score", "max", "reason")] == [
        "not graded",
        "",
        "4",
        "The file is empty.",
    ]
    assert found["kim", "01_patches"]["reason"] == "kim.zip: The archive is damaged."
    assert "not graded yet" in found["lou", "02_class_token"]["reason"]
    assert found["bob", "02_class_token"]["status"] == "not handed in"
    assert made.counts == {"graded": 5, "not graded": 3, "not handed in": 6}


def test_exercises_are_a_tidy_table(course):
    report.report(course)
    found = {
        (row["student"], row["exercise"]): row
        for row in rows(course, "grades_by_exercise.csv")
        if row["assignment"] == "01_patches"
    }
    assert found["bob", "01-e1-check"]["mistake"] == "channel_first"
    assert {key: row["outcome"] for key, row in found.items()}[
        "zoe", "01-e2-check"
    ] == "not written"
    assert [
        row["outcome"]
        for row in rows(course, "grades_by_exercise.csv")
        if row["assignment"] == "02_class_token"
    ] == [
        "right",
        "waiting",
    ]


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-x", "@SUM(A1)", "-1+1"])
def test_a_spreadsheet_finds_no_formula(cell):
    """tests/classroom/test_classroom_attacks.py has those behind separators."""
    assert tables.escape_formula(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["-1", "-1.5", "12", "", "ann", "a=b"])
def test_ordinary_cells_stay(cell):
    assert tables.escape_formula(cell) == cell


def test_names_that_are_formulas_are_defused_in_the_files(course):
    text = (course / "results" / "ann" / "01_patches.json").read_text()
    (course / "results" / "=HYPERLINK").mkdir()
    (course / "results" / "=HYPERLINK" / "01_patches.json").write_text(
        text.replace("Exercise", "@Exercise")
    )
    report.report(course)
    for name in ("grades.csv", "grades_by_exercise.csv"):
        for row in rows(course, name):
            assert not any(value[:1] in "=+@" for value in row.values() if value)


def test_feedback_names_the_mistake_and_gives_the_hint(course):
    report.report(course)
    words = " ".join(" ".join(page(course, "feedback_pages/bob/01_patches.html").words).split())
    for part in (
        "2 of 4",
        "channel first",
        "all reds",
        "Hint: which axis",
        "Exercise 1.2: part 2",
        "turned back into code",
    ):
        assert part in words
    assert "not graded" not in words


def test_feedback_of_what_was_not_graded_says_why(course):
    report.report(course)
    words = " ".join(page(course, "feedback_pages/ian/01_patches.html").words)
    assert "could not be graded" in words and "The file is empty." in words
    assert "archive is damaged" in " ".join(
        page(course, "feedback_pages/kim/01_patches.html").words
    )


def test_feedback_tells_what_happened_and_what_waits(course):
    report.report(course)
    assert "time limit" in " ".join(page(course, "feedback_pages/eve/01_patches.html").words)
    words = " ".join(" ".join(page(course, "feedback_pages/ann/02_class_token.html").words).split())
    assert "1 answer waits for your teacher" in words


def test_every_page_is_escaped_self_contained_and_accessible(course):
    made = report.report(course)
    assert len(made.pages) == 8
    for path in [made.teacher, *made.pages]:
        found = Page(path.read_text(encoding="utf-8"))
        assert "script" not in found.tags and found.faults == [], path
        for address in found.addresses:
            assert (
                address.startswith("data:image/png;base64,") or (path.parent / address).is_file()
            ), address
        assert not re.search(r"url\(|@import|\x1b|\u202e", found.text)
        assert found.tags.count("h1") == found.tags.count("main") == found.tags.count("title") == 1


def test_what_a_learner_wrote_shows_as_text(course):
    report.report(course)
    found = page(course, "feedback_pages/eve/01_patches.html")
    assert "alert('x')" in " ".join(found.words)
    assert "{{ 7 * 7 }}" in " ".join(found.words)


def test_the_teachers_page_counts_and_lists(course):
    report.report(course)
    found = page(course, "report.html")
    words = " ".join(" ".join(found.words).split())
    for part in (
        "Not graded (3)",
        "Unusual while running (1)",
        "1 written answers wait",
        "bob/old.ipynb",
        "The file is a PDF",
        "channel first",
    ):
        assert part in words, part
    assert found.tags.count("img") == 3
    alts = re.findall(r'alt="([^"]+)"', found.text)
    assert (
        "Exercise 1.1: part 1: 1 right, 2 wrong, mistake named, 1 wrong, mistake unknown" in alts[0]
    )
    assert "channel first in Exercise 1.1: part 1: 2" in alts[1]


def test_a_broken_result_is_listed_and_stops_nothing(course):
    for student, text in {
        "bob": "{",
        "zoe": "[]",
        "ann": '{"status": "graded", "exercises": [1, {"points": "x", "score": 1e300}]}',
    }.items():
        (course / "results" / student / "01_patches.json").write_text(text)
    report.report(course)
    found = {(row["student"], row["assignment"]): row for row in rows(course)}
    assert "cannot be read" in found["bob", "01_patches"]["reason"]
    assert found["zoe", "01_patches"]["status"] == "not graded"
    assert found["ann", "01_patches"]["score"] == "0"


def test_a_name_in_collected_json_leads_nowhere_else(course, tmp_path):
    entries = [
        {
            "student": "../../up",
            "assignment": "01_patches",
            "original": "x",
            "status": "collected",
            "reason": "x",
        }
    ]
    (course / "collected.json").write_text(json.dumps(entries))
    report.report(course)
    assert not (course.parent / "up").exists() and not (course / "up").exists()


def test_long_messages_are_cut(course):
    path = course / "results" / "bob" / "01_patches.json"
    path.write_text(json.dumps(result("bob", exercises=[wrong(1, None, "x" * 100_000)])))
    report.report(course)
    assert (course / "feedback_pages" / "bob" / "01_patches.html").stat().st_size < 20_000


def test_nothing_to_report_is_told(tmp_path):
    with pytest.raises(ValueError, match="nothing to report"):
        report.report(tmp_path)


def test_reporting_twice_gives_the_same(course):
    report.report(course)
    first = {path: path.read_bytes() for path in course.rglob("*") if path.is_file()}
    report.report(course)
    assert first == {path: path.read_bytes() for path in course.rglob("*") if path.is_file()}
