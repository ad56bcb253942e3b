"""The downloads of the systems that schools use, from their documented file names (the sources are
in vit_classroom/collect/formats.py): as many students as people, and nobody speaks for another."""

import csv
import json
import os
import random
import time
from datetime import datetime

import nbformat
import pytest
from test_classroom_collect import collected, locked, one, put, run, submitted, two, zipped
from test_classroom_collect import course as course  # fixtures
from test_classroom_collect import reading_here as reading_here

from vit_classroom import cli
from vit_classroom.collect import archives, collect, formats, student_names
from vit_classroom.collect.roster import read_roster
from vit_classroom.report import report

LESSONS = ("01_numbers", "02_letters")
METADATA = """---
submission_33:
  :submitters:
  - :name: Jane Doe
    :sid: '4711'
    :email: jane@school.edu
  :created_at: 2026-03-01 11:00:00.000000000 Z
submission_34:
  :submitters:
  - :name: Bob Li
    :sid: '4712'
    :email: bob@school.edu
  - :name: Cy Ng
    :sid: '4713'
    :email: cy@school.edu
  :created_at: 2026-03-02 11:00:00.000000000 Z
"""
# {format: ({path: id of the student, or None for a file beside them})}
DOWNLOADS = {
    "moodle": {
        "C1-Numbers-77/Jane Doe_12345_assignsubmission_file_/01_numbers.ipynb": "jane_doe",
        "C1-Numbers-77/Bob Li_12346_assignsubmission_file_/hw.ipynb": "bob_li",
        "C1-Numbers-77/Bob Li_12346_assignsubmission_onlinetext_/onlinetext.html": "bob_li",
    },
    "moodle ": {  # "Download submissions in folders" is off
        "Jane Doe_12345_assignsubmission_file_01_numbers.ipynb": "jane_doe",
        "Participant_12399_assignsubmission_file_01_numbers.ipynb": "participant",
    },
    "canvas": {
        "doejane_123_456_01_numbers-2.ipynb": "doejane",
        "smithbob_LATE_124_457_01_numbers.ipynb": "smithbob",
        "anon_Ab1C2_458_01_numbers.ipynb": "anon_ab1c2",
        "niñojosé_125_459_01_numbers.ipynb": "ninojose",
    },
    "blackboard": {
        "Patches_jdoe_attempt_2023-10-05-14-30-21_01_numbers.ipynb": "jdoe",
        "Patches_jdoe_attempt_2023-10-05-14-30-21.txt": "jdoe",
        "Patches_bli_attempt_2023-10-06-09-00-00_x.ipynb": "bli",
    },
    "brightspace": {
        "12345-678 - Jane Doe - Oct 5, 2023 230 PM - 01_numbers.ipynb": "jane_doe",
        "12346-678 - Bob Li-Smith - Oct 5, 2023 1130 AM - x.ipynb": "bob_li-smith",
        "index.html": None,
    },
    "brightspace ": {
        "12345-678 - Jane Doe - 5 October, 2023 1430/01_numbers.ipynb": "jane_doe",
        "12346-678 - Bob Li - 5 October, 2023 1431/x.ipynb": "bob_li",
    },
    "ilias": {
        "Blatt 1/Abgaben/Team 7/Doe_Jane_jdoe_4711/01_numbers.ipynb": "doe_jane",
        "Blatt 1/Abgaben/Team 8/Li_Bob_bli_4712/x.ipynb": "li_bob",
    },
    "sakai": {
        "Lab 1/Doe, Jane(jdoe)/Submission attachment(s)/01_numbers.ipynb": "doe_jane",
        "Lab 1/Doe, Jane(jdoe)/timestamp.txt": "doe_jane",
        "Lab 1/Li, Bob(bli)/Submission attachment(s)/x.ipynb": "li_bob",
        "Lab 1/grades.csv": None,
    },
    "sakai ": {
        "Doe, Jane(jdoe)_Submission attachment(s)_01_numbers.ipynb": "doe_jane",
        "Li, Bob(bli)_Submission attachment(s)_x.ipynb": "li_bob",
    },
    "teams": {
        "9A - Student Work/Submitted files/Jane Doe/Patches/Version 2/01_numbers.ipynb": "jane_doe",
        "9A - Student Work/Submitted files/Li, Bob/Patches/x.ipynb": "li_bob",
    },
    "google": {
        "Assignment 1/Jane Doe - 01_numbers.ipynb": "jane_doe",
        "Assignment 1/Bob Li - Copy of 01_numbers.ipynb": "bob_li",
        "Assignment 1/Copy of Cy Ng - Homework.ipynb": "cy_ng",
    },
    "folders": {  # GitHub Classroom's repositories, after the lesson
        "01-numbers-submissions/01-numbers-jdoe/01_numbers.ipynb": "jdoe",
        "01-numbers-submissions/01-numbers-bob-li/x.ipynb": "bob-li",
        "01-numbers-submissions/classroom_roster.csv": None,
    },
    "folders ": {  # and after another name
        "hw-vit-jdoe/01_numbers.ipynb": "jdoe",
        "hw-vit-bli/x.ipynb": "bli",
        "hw-vit-cy/README.md": "cy",
        "hw-vit-cy/x.ipynb": "cy",
    },
    "gradescope": {
        "assignment_12_export/submission_33/01_numbers.ipynb": "jane_doe",
        "assignment_12_export/submission_metadata.yml": None,
    },
    "nbgrader": {
        "jdoe+01_numbers+2024-03-01 11:00:00 UTC+4zk2/01_numbers.ipynb": "jdoe",
        "bli+01_numbers+2024-03-01 11:00:00 UTC+4zk3/01_numbers.ipynb": "bli",
    },
    "nbgrader ": {
        "jdoe_2024-03-01-11-00-00_01_numbers.ipynb": "jdoe",
        "bli_2024-03-01-11-00-00_01_numbers.ipynb": "bli",
    },
    "folders  ": {  # nbgrader's submitted/
        "submitted/jdoe/01_numbers/01_numbers.ipynb": "jdoe",
        "submitted/jdoe/01_numbers/timestamp.txt": "jdoe",
        "submitted/bli/01_numbers/01_numbers.ipynb": "bli",
    },
    "folders   ": {  # student numbers
        f"{number}/01_numbers.ipynb": str(number)
        for number in (4711, 47110, 345678, 3456780)
    },
    "folders    ": {  # a folder for each tutor's group
        "Tutorial A/Jane/01_numbers.ipynb": "jane",
        "monday/Bob/01_numbers.ipynb": "bob",
        "monday/Cy/01_numbers.ipynb": "cy",
        "monday/grades.csv": None,
    },
    "folders     ": {  # groups hand in together
        "Group 1/01_numbers.ipynb": "group_1",
        "Group 2/01_numbers.ipynb": "group_2",
    },
}  # fmt: skip


@pytest.mark.parametrize("zip_it", [False, True])
@pytest.mark.parametrize("download", DOWNLOADS)
def test_downloads_of_school_systems(course, tmp_path, download, zip_it):
    files = {
        path: METADATA.encode() if path.endswith(".yml") else one(n)
        if path.endswith(".ipynb") else b"beside them"
        for n, path in enumerate(DOWNLOADS[download])
    }  # fmt: skip
    wanted = DOWNLOADS[download]
    if zip_it:  # as the system's own archive, beside a file of the teacher's
        files = {"submissions.zip": zipped(files), "grades.csv": b"Jane;2"}
        wanted = {f"submissions.zip/{path}": who for path, who in wanted.items()}
    done = run(course, tmp_path, files)
    assert done.pattern == download.strip()
    found = {e["original"]: e["student"] for e in done.entries}
    assert {path: found[path] for path in wanted if wanted[path]} == {
        path: who for path, who in wanted.items() if who
    }
    people = {who for path, who in wanted.items() if who and path.endswith(".ipynb")}
    assert {student for student, _ in collected(done)} == people


def test_the_times_of_systems_are_read(course, tmp_path):
    files = {
        "Patches_jdoe_attempt_2023-10-05-14-30-21_01_numbers.ipynb": one(1),
        "Patches_jdoe_attempt_2023-10-07-14-30-21_01_numbers.ipynb": one(2),
        "Patches_jdoe_attempt_2023-10-06-14-30-21_01_numbers.ipynb": one(3),
    }
    done = run(course, tmp_path, files)
    assert collected(done) == {("jdoe", "01_numbers"): list(files)[1]}
    assert [e["handed_in"] for e in done.entries if e["status"] == "collected"] == [
        "2023-10-07 14:30"
    ]
    late = {"smithbob_LATE_124_457_01_numbers.ipynb": one(), "doejane_9999_1234_x.ipynb": one(1)}
    done = collect.collect(course, put(tmp_path / "late", late))
    assert {e["student"]: e["late"] for e in done.entries} == {
        "smithbob": "yes, says the school's system",
        "doejane": "",
    }


def test_a_group_in_gradescope_counts_for_each_member(course, tmp_path):
    files = {
        "assignment_1_export/submission_34/01_numbers.ipynb": one(),
        "assignment_1_export/submission_33/x.zip": zipped({"01_numbers.ipynb": one(1)}),
        "assignment_1_export/submission_metadata.yml": METADATA.encode(),
    }
    done = run(course, tmp_path, files)
    assert set(collected(done)) == {
        ("jane_doe", "01_numbers"),
        ("bob_li", "01_numbers"),
        ("cy_ng", "01_numbers"),
    }
    people = json.loads((course / "students.json").read_text())
    assert people["cy_ng"] == {"name": "Cy Ng", "number": "4713", "email": "cy@school.edu"}


# --- nobody speaks for another, nobody is merged with another -------------------------------------


def forged(name: str) -> bytes:
    """mallory's archive, with a file in another's name and of the future."""
    import io
    import zipfile

    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name, (2031, 1, 1, 0, 0, 0)), one(666))
    return made.getvalue()


@pytest.mark.parametrize(
    ("anna", "mallory", "inside"),
    [
        ("anna-01_numbers.ipynb", "mallory.zip", "anna-01_numbers.ipynb"),
        ("anna-01_numbers.ipynb", "mallory-01_numbers.zip", "anna-01_numbers.ipynb"),
        ("anna/01_numbers.ipynb", "mallory/hw.zip", "anna/01_numbers.ipynb"),
        ("Anna_1_assignsubmission_file_/x.ipynb", "Mallory_2_assignsubmission_file_/x.zip",
         "Anna_1_assignsubmission_file_/x.ipynb"),
        ("anna_111_222_x.ipynb", "mallory_112_223_x.zip", "anna_111_999_x.ipynb"),
        ("A_anna_attempt_2026-01-01-10-00-00_x.ipynb",
         "A_mallory_attempt_2026-01-01-10-00-00_x.zip",
         "A_anna_attempt_2031-01-01-10-00-00_x.ipynb"),
        ("Anna Li - x.ipynb", "Mallory Li - x.zip", "Anna Li - x.ipynb"),
        ("anna-01_numbers.ipynb", "01_numbers.zip", "anna-01_numbers.ipynb"),
        ("anna-01_numbers.ipynb", "mallory.zip", "anna_1_assignsubmission_file_/x.ipynb"),
        ("anna/01_numbers.ipynb", "mallory.zip", "anna_111_222_x.ipynb"),
    ],
)  # fmt: skip
def test_an_archive_hands_in_for_its_owner_alone(course, tmp_path, anna, mallory, inside):
    done = run(course, tmp_path, {anna: one(1), mallory: forged(inside)})
    right = [e for e in done.entries if e["original"] == anna]
    assert [e["status"] for e in right] == ["collected"], done.entries
    who = right[0]["student"]
    assert submitted(course)[f"{who}/01_numbers/01_numbers.ipynb"] == one(1)


def test_a_name_behind_the_systems_part_says_nothing(course, tmp_path):
    files = {
        "A_anna_attempt_2026-01-01-10-00-00_x.ipynb": one(1),
        "A_mallory_attempt_2026-01-01-10-00-00_B_anna_attempt_2031-01-01-10-00-00_x.ipynb": one(2),
    }
    assert collected(run(course, tmp_path, files))["anna", "01_numbers"] == list(files)[0]
    moodle = {
        "Anna_1_assignsubmission_file_/x.ipynb": one(1),
        "Mallory_2_assignsubmission_file_/Anna_1_assignsubmission_file_/x.ipynb": one(2),
    }
    done = collect.collect(course, put(tmp_path / "moodle", moodle))
    assert [e["student"] for e in done.entries] == ["anna", "mallory"]


def test_a_stray_file_changes_nobody(course, tmp_path):
    files = {"export/Jane Doe/x.ipynb": one(), "export/Xi Wang/x.ipynb": one(1)}
    beside = {"export/grades.csv": b"a;b", "export/notes.txt": b"", "readme.pdf": b"%PDF"}
    done = run(course, tmp_path, files | beside)
    assert set(collected(done)) == {("jane_doe", "01_numbers"), ("xi_wang", "01_numbers")}


def test_copies_are_nobodys(course, tmp_path):
    files = {
        "Copy of 01_numbers.ipynb": one(),
        "Copy of 02_letters.ipynb": two(),
        "01_numbers - Copy (2).ipynb": one(2),
        "jane-01_numbers.ipynb": one(3),
    }
    done = run(course, tmp_path, files)
    assert set(collected(done)) == {("jane", "01_numbers")}
    listed = [e for e in done.entries if e["status"] == "listed"]
    assert len(listed) == 3 and all(e["student"] is None for e in listed)
    with pytest.raises(ValueError, match="no student's name can be read from any of 3 paths"):
        collect.collect(course, put(tmp_path / "two", dict(list(files.items())[:3])))


def test_a_pattern_that_fits_nothing_is_told(course, tmp_path):
    folder = put(tmp_path / "in", {"jane/x.ipynb": one(), "bob/x.ipynb": one(1)})
    for pattern in ("moodle", "canvas", r"s-(?P<student>\d+)"):
        with pytest.raises(ValueError, match="from any of 2 paths"):
            collect.collect(course, folder, pattern)
    assert not (course / "collected.json").exists() and submitted(course) == {}


@pytest.mark.parametrize("class_of", ["{}/x.ipynb", "{}-01_numbers.ipynb"])
def test_a_table_beside_submissions_is_nobody(course, tmp_path, class_of):
    """Neither with folders nor with names in file names: a roster is no student called Roster."""
    beside = {"roster.csv": b"Name", "Marks 2026.xlsx": b"PK", "index.html": b"<html>"}
    files = {class_of.format(name): one() for name in ("ann lee", "bob li")}
    done = run(
        course, tmp_path, files | beside | {class_of.format("cy").replace("ipynb", "rar"): b"Rar!"}
    )
    students = {each["original"]: each["student"] for each in done.entries}
    assert [students[name] for name in beside] == [None] * 3
    assert sorted(filter(None, students.values())) == ["ann_lee", "bob_li", "cy"]


ALIKE = {  # two people each, whom only a part that is easily lost tells apart
    "vowels of Hindi": ["रवि/x.ipynb", "रवी/x.ipynb"],
    "vowels of Tamil": ["கவி/x.ipynb", "கவு/x.ipynb"],
    "vowels of Thai": ["ดี/x.ipynb", "ดู/x.ipynb"],
    "pictures": ["Submitted files/😀/x.ipynb", "Submitted files/🎉/x.ipynb"],
    "logins with _": [f"HW 1_{name}_smith_attempt_2026-03-01-10-00-00_x.ipynb" for name in "ab"],
    "logins with _, one more": [
        f"HW_1_{name}_attempt_2026-03-01-10-00-00_x.ipynb" for name in ("smith", "b_smith")
    ],
}


@pytest.mark.parametrize("kind", ALIKE)
def test_two_people_who_are_written_alike_are_two(course, tmp_path, kind):
    done = run(course, tmp_path, {path: one(i) for i, path in enumerate(ALIKE[kind])})
    counted = [entry for entry in done.entries if entry["status"] == "collected"]
    assert len({entry["student"] for entry in counted}) == 2, done.entries


@pytest.mark.parametrize("kind", ["vowels of Hindi", "vowels of Thai", "logins with _"])
def test_a_roster_knows_people_who_are_written_alike(course, tmp_path, kind):
    paths = ALIKE[kind]
    logins = ["a_smith", "b_smith"] if "login" in kind else [path.split("/")[0] for path in paths]
    (tmp_path / "class.csv").write_text("Name,Username\n" + "".join(f"{n},{n}\n" for n in logins))
    folder = put(tmp_path / "in", {path: one(i) for i, path in enumerate(paths)})
    done = collect.collect(course, folder, roster=tmp_path / "class.csv")
    assert {entry["student"] for entry in done.entries} == {
        student_names.student_id(name) for name in logins
    }
    assert not any("roster" in note for note in done.notes), done.notes


def test_one_name_in_two_forms_of_unicode(course, tmp_path):
    files = {
        "José Núñez_4711_assignsubmission_file_/a.ipynb": one(),
        "José Núñez_4711_assignsubmission_file_/b.ipynb": one(1),
    }
    assert set(collected(run(course, tmp_path, files))) == {("jose_nunez", "01_numbers")}


FIRST = """Anna Bob Chloé Dmitri Gül Kofi Zoë 王 Đặng محمد O'Brien Jean-Luc Di An Xi Ma De Max Mark
    Will Grace Art""".split()
LAST = ["Li", "Dupont", "Núñez", "O'Neil", "Yılmaz", "Groß", "van der Berg", "小明", "علي", "Doe",
        "Smith-Jones", "Lab", "Work", "Young", "Week", "Page", "New", "Ng"]  # fmt: skip


def paths(lesson: str, first: str, last: str, i: int) -> dict[str, str]:
    """How each system, and people by hand, would write this person's file."""
    run_together = "".join(char for char in f"{last}{first}".lower() if char.isalnum())
    late, again = "_LATE" if i % 3 == 0 else "", "-1" if i % 4 == 0 else ""
    copied = "Copy of " if i % 2 else ""
    return {
        "moodle": f"{first} {last}_{1000 + i}_assignsubmission_file_/{lesson}.ipynb",
        "moodle flat": f"{first} {last}_{1000 + i}_assignsubmission_file_{lesson}.ipynb",
        "canvas": f"{run_together}{late}_{200 + i}_{9000 + i}_{lesson}{again}.ipynb",
        "blackboard": f"Lab 1_{first}{i}_attempt_2026-01-0{1 + i % 9}-10-00-00_{lesson}.ipynb",
        "brightspace": f"{1000 + i}-5 - {first} {last} - Mar {1 + i}, 2026 105 PM - {lesson}.ipynb",
        "ilias": f"Blatt 1/Abgaben/{last}_{first}_u{i}_{400 + i}/{lesson}.ipynb",
        "sakai": f"Lab 1/{last}, {first}(eid{i})/Submission attachment(s)/{lesson}.ipynb",
        "teams": f"Student Work/Submitted files/{first} {last}/Lab/Version 1/{lesson}.ipynb",
        "google": f"Lab 1/{first} {last} - {copied}{lesson}.ipynb",
        "github": f"{lesson.replace('_', '-')}-user{i}x/{lesson}.ipynb",
        "folders": f"download/{first} {last}/{copied}{lesson}.ipynb",
        "lessons": f"{lesson}/{last}, {first}/x.ipynb",
        "files": f"{first} {last}-{lesson}.ipynb",
        "behind": f"{lesson}_{first}_{last}{' (1)' if again else ''}.ipynb",
        "numbers": f"{400000 + i}/{lesson}.ipynb",
        "number files": f"{lesson}_{400000 + i}.ipynb",
    }


@pytest.mark.parametrize("form", paths("01", "a", "b", 0))
def test_as_many_students_as_people(form):
    """Made-up classes with names from everywhere: nobody is two, and no two are one."""
    for seed in range(25):
        rng = random.Random(seed)
        wanted = rng.choice([2, 3, 5, 20])
        people = sorted({(rng.choice(FIRST), rng.choice(LAST)) for _ in range(wanted)})
        given = [
            (paths(lesson, *person, i)[form], i)
            for lesson in rng.choice([LESSONS[:1], LESSONS])
            for i, person in enumerate(people)
        ]
        reader, _ = student_names.best_reader([path for path, _ in given], LESSONS)
        found: dict[tuple, set] = {}
        for path, i in given:
            named = reader.read(path)
            assert named is not None, (path, reader)
            found.setdefault((named.student, named.number or named.account), set()).add(i)
        assert len(found) == len(people) and all(len(who) == 1 for who in found.values()), found


# --- every file is in the list, with a reason -----------------------------------------------------


def test_two_lessons_in_one_notebook_both_count(course, tmp_path):
    first, second = (nbformat.reads(data.decode(), as_version=4) for data in (one(), two()))
    first.cells += second.cells
    both = nbformat.writes(first).encode()
    done = run(course, tmp_path, {"jane/all.ipynb": both, "bob/x.ipynb": one(1)})
    assert set(collected(done)) == {
        ("jane", "01_numbers"),
        ("jane", "02_letters"),
        ("bob", "01_numbers"),
    }


def test_a_newer_unreadable_file_takes_nothing_away(course, tmp_path):
    """Also when it comes with a later download: the grade book and the tables go on to agree."""
    collect.collect(course, put(tmp_path / "in", {"jane/x.ipynb": one(), "bob/x.ipynb": one(1)}))
    later = put(tmp_path / "later", {"jane/01_numbers.ipynb": b"{", "bob/01_numbers.ipynb": one(2)})
    done = collect.collect(course, later)
    assert submitted(course)["jane/01_numbers/01_numbers.ipynb"] == one()
    reason = next(e["reason"] for e in done.entries if e["student"] == "jane")
    assert "not one complete cell" in reason and "collected before counts" in reason
    assert submitted(course)["bob/01_numbers/01_numbers.ipynb"] == one(2)


def test_a_lesson_without_exercises_is_told(course, tmp_path):
    plain = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell(f"Words of part {n}", id=f"p{n}") for n in range(9)]
    )
    (course / "release" / "00_start").mkdir()
    nbformat.write(plain, course / "release" / "00_start" / "00_start.ipynb")
    files = {"jane/00_start.ipynb": nbformat.writes(plain).encode(), "bob/x.ipynb": one()}
    done = run(course, tmp_path, files)
    assert [e["reason"] for e in done.entries if e["student"] == "jane"] == [
        "00_start has no exercises, so there is nothing to grade."
    ]


def test_a_linked_folder_is_listed(course, tmp_path):
    folder = put(tmp_path / "in", {"jane/x.ipynb": one(), "bob/x.ipynb": one(1)})
    (folder / "eve").symlink_to(tmp_path)
    entries = collect.collect(course, folder).entries
    assert [e["reason"] for e in entries if e["original"] == "eve"] == [
        "It is a link or a device, not a file. It was not followed."
    ]


def test_every_file_that_could_not_be_used_is_in_every_list(course, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_BYTES", 100_000)
    files = {
        "ann/01_numbers.ipynb": one(),
        "large/01_numbers.ipynb": b"[" + b" " * 100_001,
        "damaged/homework.zip": b"PK\x03\x04 and no more",
        "locked/01_numbers.zip": locked(),
        "text/essay.docx": b"PK\x03\x04",
    }
    folder = put(tmp_path / "in", files)
    (folder / "linked").symlink_to(tmp_path)
    (folder / "link").mkdir()
    (folder / "link" / "01_numbers.ipynb").symlink_to(tmp_path / "in" / "ann" / "01_numbers.ipynb")
    collect.collect(course, folder)
    report.report(course)
    with open(course / "grades.csv", newline="", encoding="utf-8-sig") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    page = (course / "report.html").read_text(encoding="utf-8")
    says = {"large": "at most 0 MB", "damaged": "damaged", "locked": "password",
            "text": "essay.docx", "link": "not followed"}  # fmt: skip
    for student, words in says.items():
        assert words in rows[student]["reason"], rows[student]
        own = (course / "feedback_pages" / student / "01_numbers.html").read_text(encoding="utf-8")
        assert words in own and words in page
    assert "linked: It is a link" in page


def test_until(course, tmp_path):
    folder = put(
        tmp_path / "in",
        {"jane/a.ipynb": one(1), "jane/b.ipynb": one(2), "bob/x.ipynb": one(3)},
    )
    limit = datetime(2026, 3, 1, 23, 59)
    for path, minutes in {"jane/a": -60, "jane/b": 130, "bob/x": 3 * 1440}.items():
        os.utime(folder / f"{path}.ipynb", (limit.timestamp() + 60 * minutes,) * 2)
    done = collect.collect(course, folder, until=limit)
    rows = {e["original"]: e for e in done.entries}
    assert submitted(course)["jane/01_numbers/01_numbers.ipynb"] == one(1)
    assert rows["jane/a.ipynb"]["late"] == ""
    assert "came late: 2 h 10 min" in rows["jane/b.ipynb"]["reason"]
    assert rows["bob/x.ipynb"]["status"] == "collected" and rows["bob/x.ipynb"]["late"] == "3 d 0 h"


def test_the_arguments_of_the_command_line(capsys):
    words = ["collect", "course", "downloads", "--roster", "class.csv", "--until"]
    assert cli.parser().parse_args([*words, "2026-03-01"]).until == datetime(2026, 3, 1, 23, 59, 59)
    assert cli.parser().parse_args([*words, "2026-03-01 10:30"]).until == datetime(
        2026, 3, 1, 10, 30
    )
    with pytest.raises(SystemExit):
        cli.parser().parse_args([*words, "tomorrow"])
    assert "'tomorrow' is not a time: write" in capsys.readouterr().err


def test_the_time_of_a_download_makes_nobody_late(course, tmp_path):
    """Canvas, Sakai and ILIAS give every file the time of the download. Canvas says LATE, Sakai has
    a file with the time."""
    limit = datetime(2026, 3, 1, 23, 59)
    files = {
        "doejane_1001_2001_x.ipynb": one(1),
        "doejane_LATE_1001_2002_x-1.ipynb": one(2),
        "smithbob_LATE_1002_2003_x.ipynb": one(3),
    }
    done = collect.collect(course, put(tmp_path / "canvas", files), until=limit)
    assert submitted(course)["doejane/01_numbers/01_numbers.ipynb"] == one(1)
    assert {e["original"]: e["late"] for e in done.entries} == {
        "doejane_1001_2001_x.ipynb": "",
        "doejane_LATE_1001_2002_x-1.ipynb": "yes, says the school's system",
        "smithbob_LATE_1002_2003_x.ipynb": "yes, says the school's system",
    }
    files = {
        "Doe, Ann(adoe)/Submission attachment(s)/x.ipynb": one(4),
        "Doe, Ann(adoe)/timestamp.txt": b"20260301120000123",
        "Li, Cy(cli)/Submission attachment(s)/x.ipynb": one(5),
        "Li, Cy(cli)/timestamp.txt": b"20260302120000123",
        "Ng, Ed(eng)/Submission attachment(s)/x.ipynb": one(6),
    }
    done = collect.collect(course, put(tmp_path / "sakai", files), until=limit)
    taken = {e["student"]: e for e in done.entries if e["status"] == "collected"}
    assert {name: e["late"] for name, e in taken.items()} == {
        "doe_ann": "",
        "li_cy": "12 h 1 min",
        "ng_ed": "",
    }
    assert taken["doe_ann"]["handed_in"] == "2026-03-01 12:00" and not taken["ng_ed"]["handed_in"]


def test_files_of_one_hour_after_the_deadline_are_those_of_the_download(course, tmp_path):
    limit = datetime(2026, 3, 1, 23, 59)
    folder = put(tmp_path / "in", {f"{who}/x.ipynb": one(who) for who in ("ann", "bob", "cy")})
    for minutes, path in enumerate(sorted(folder.rglob("*.ipynb"))):
        os.utime(path, (limit.timestamp() + 86_400 + 60 * minutes,) * 2)
    done = collect.collect(course, folder, until=limit)
    assert [e["late"] for e in done.entries] == ["", "", ""]
    assert any("that of the download" in note for note in done.notes)
    os.utime(path, (limit.timestamp() + 3 * 86_400,) * 2)
    done = collect.collect(course, folder, until=limit)
    assert [e["late"] for e in done.entries] == ["1 d 0 h", "1 d 0 h", "3 d 0 h"]


# --- the roster -----------------------------------------------------------------------------------

ROSTERS = {
    "moodle": "First name,Last name,ID number,Email address\n"
    "Jane,Doe,0471,jane@school.edu\nBob,Li,0472,bob.li@school.edu\n",
    "canvas": "Student,ID,SIS User ID,SIS Login ID,Section\n    Points Possible,,,,\n"
    '"Doe, Jane",123,0471,jdoe,A\n"Li, Bob",124,0472,bli,A\n"Student, Test",9,,x,A\n',
    "excel": "sep=;\nNachname;Vorname;Matrikelnummer;E-Mail-Adresse\n"
    "Doe;Jane;0471;jane@school.edu\nLi;Bob;0472;bob.li@school.edu\n",
    "tabs": "name\tstudent id\n\nJane Doe\t0471\nBob Li\t0472\n",
    "nbgrader": "id,first_name,last_name,email\njdoe,Jane,Doe,jane@school.edu\nbli,Bob,Li,b@x.y\n",
    "github": "identifier,github_username,github_id,name\n1,jdoe,7,Jane Doe\n2,bli,8,Bob Li\n",
}


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("style", ROSTERS)
def test_a_roster_in_any_form(tmp_path, style, coding):
    text = ROSTERS[style].replace("Jane", "Zoë").replace("jane", "zoe")
    (tmp_path / "class.csv").write_bytes(text.replace("\n", "\r\n").encode(coding))
    first, second = read_roster(tmp_path / "class.csv").students
    assert {*first.name.replace(",", "").split()} == {"Zoë", "Doe"}
    assert first.number == ("0471" if style not in ("nbgrader", "github") else "")
    assert second.id in ("0472", "bli")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("colour,size\nred,1\n", "no column of names"),
        ("", "no column of names"),
        ("name,number\n", "nobody below"),
        ("name,number\nJane,7\nBob,7\n", "rows 2 and 3 have the same number, '7'"),
    ],
)
def test_a_file_that_is_no_roster_is_told(tmp_path, text, says):
    (tmp_path / "class.csv").write_text(text)
    with pytest.raises(ValueError, match=says):
        read_roster(tmp_path / "class.csv")


def test_the_roster_settles_who_is_who(course, tmp_path):
    """Four spellings of one person are one; two people of one name are two; a stranger is told."""
    roster = tmp_path / "class.csv"
    roster.write_text(
        "First name,Last name,ID number,Email address\n"
        "Jane,Doe,0471,jane@school.edu\nJane,Doe,0999,jane2@school.edu\nJosé,Núñez,0500,j@x.y\n"
    )
    files = {
        "doe jane 471/a.ipynb": one(1),
        "jane@school.edu/b.ipynb": two(),
        "jane2@school.edu/b.ipynb": one(2),
        "Nunez, Jose/b.ipynb": one(3),
        "José María Núñez/b.ipynb": two(),
        "Doe, Jane/b.ipynb": one(4),
        "Eve/b.ipynb": one(5),
    }
    folder = put(tmp_path / "in", files)
    done = collect.collect(course, folder, roster=roster)
    by_path = {e["original"]: e["student"] for e in done.entries}
    assert [by_path[path] for path in list(files)[1:5]] == ["0471", "0999", "0500", "0500"]
    assert any("'Doe, Jane' may be any of 0471, 0999" in note for note in done.notes)
    assert any("'Eve' is not in the roster" in note for note in done.notes)
    assert by_path["Eve/b.ipynb"] == "eve" and by_path["Doe, Jane/b.ipynb"] == "doe_jane"
    # It is kept for the next download.
    again = put(tmp_path / "again", {"jane@school.edu/b.ipynb": one(9), "x y/b.ipynb": one(8)})
    assert ("0471", "01_numbers") in collected(collect.collect(course, again))
    people = json.loads((course / "students.json").read_text())
    assert people["0999"] == {
        "name": "Jane Doe", "first": "Jane", "last": "Doe", "number": "0999",
        "email": "jane2@school.edu", "roster": "yes",
    }  # fmt: skip


@pytest.mark.parametrize("where", ["doejane_12_456_x.ipynb", "janedoe_12_457_x.ipynb"])
def test_canvas_names_are_found_in_the_roster(tmp_path, where):
    (tmp_path / "class.csv").write_text(
        "Student,ID,SIS User ID\n'Doe, Jane',12,99\n".replace("'", '"')
    )
    named = formats.SYSTEMS["canvas"].read(where)
    assert [each.id for each in read_roster(tmp_path / "class.csv").find(named)] == ["99"]


# --- hostile names --------------------------------------------------------------------------------

LONG = 100_000
NAMES = ["1" * 36, "1" * LONG, "copy of " * 9_000, "(1)" * 9_000, "_" * LONG, "a-" * 50_000,
         "final_" * 20_000, "2024-01-01-" * 9_000, " " * LONG, "(" * LONG, "_1" * 50_000,
         "a_1" * 30_000 + "_attempt_", " - " * 30_000, "v1" * 50_000, "é" * LONG]  # fmt: skip


@pytest.mark.parametrize("pattern", student_names.BUILT_IN)
@pytest.mark.parametrize("number", range(len(NAMES)))
def test_a_monstrous_name_costs_no_time(pattern, number):
    start = time.process_time()
    for where in (f"{NAMES[number]}.ipynb", f"{NAMES[number]}/x.ipynb", f"x/{NAMES[number]}"):
        student_names.reader(pattern, LESSONS).read(where)
    assert time.process_time() - start < 1
