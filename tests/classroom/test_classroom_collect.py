"""Collecting submissions as teachers get them: whose they are, which lesson, which of several.

Every file is accounted for.
"""

import io
import json
import os
import signal
import zipfile
from pathlib import Path

import damage as damaged
import nbformat
import pytest
from classroom_lesson import lesson, solved
from reading_here import ReadsHere

from vit_classroom.collect import archives, collect, student_names
from vit_classroom.course import student

LESSONS = ["01_numbers", "02_letters"]
ENTRY = {"student", "assignment", "original", "status", "reason", "handed_in", "late"}


def second():
    """Another lesson: other ids, other words."""
    nb = lesson()
    for cell in nb.cells:
        cell.id = f"two-{cell.id}"
        cell.source = (
            cell.source.replace("mean", "letter")
            .replace("spread", "word")
            .replace("01", "02")
            .replace("list", "text")
        )
        if "nbgrader" in cell.metadata:
            cell.metadata["nbgrader"]["grade_id"] = cell.metadata["nbgrader"]["grade_id"].replace(
                "01-", "02-two-"
            )
    return nb


@pytest.fixture(autouse=True)
def reading_here(request, monkeypatch):
    """Most tests read in this process; those with the mark `slow` in a sandbox."""
    if not request.node.get_closest_marker("slow"):
        monkeypatch.setattr(archives, "Sandbox", ReadsHere)


@pytest.fixture
def course(tmp_path):
    """A course with two released lessons; nbgrader is not needed to collect."""
    for name, nb in zip(LESSONS, (lesson(), second())):
        path = tmp_path / "course" / "release" / name / f"{name}.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(student.student_copy(nb), path)
    return tmp_path / "course"


def one(seed: int = 0) -> bytes:
    nb = solved(student.student_copy(lesson()), lesson())
    nb.cells[-1].source = f"print({seed})"
    return damaged.utf8(nb, None)


def two() -> bytes:
    return damaged.utf8(solved(student.student_copy(second()), second()), None)


def zipped(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()


def put(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def submitted(course: Path) -> dict[str, bytes]:
    folder = course / "submitted"
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def run(course, tmp_path, files, pattern="auto"):
    done = collect.collect(course, put(tmp_path / "in", files), pattern)
    stored = json.loads((course / "collected.json").read_text(encoding="utf-8"))
    assert stored == done.entries
    for entry in stored:
        assert set(entry) == ENTRY
        assert entry["status"] in ("collected", "listed") and entry["reason"]
    assert len([entry for entry in stored if entry["status"] == "collected"]) == len(
        submitted(course)
    )
    return done


def collected(done) -> dict:
    return {
        (e["student"], e["assignment"]): e["original"]
        for e in done.entries
        if e["status"] == "collected"
    }


# --- names ----------------------------------------------------------------------------------------

STYLES = {
    "moodle": {
        "Doe, Jane_12345_assignsubmission_file_/01 numbers (1).ipynb": "doe_jane",
        "Müller, Zoë_9_assignsubmission_file_x.ipynb": "muller_zoe"},
    "canvas": {
        "doejane_123_456_01_numbers-2.ipynb": "doejane",
        "smithbob_LATE_124_457_01_numbers.ipynb": "smithbob",
    },
    "folders": {
        "jane doe/Copy of 01_numbers.ipynb": "jane_doe",
        "Bob/work/deep/anything.ipynb": "bob",
    },
    "files": {
        "jane_doe-01_numbers.ipynb": "jane_doe",
        "01_numbers_bob (2).ipynb": "bob",
        "王小明 01 numbers.ipynb": "王小明",
        "Ann Lee.ipynb": "ann_lee",
    },
}  # fmt: skip


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("wrapper", ["", "downloads/all of them/"])
def test_names_of_every_style_are_read(course, tmp_path, style, wrapper):
    done = run(
        course, tmp_path, {f"{wrapper}{name}": one(n) for n, name in enumerate(STYLES[style])}
    )
    assert done.pattern == style
    assert {e["original"]: e["student"] for e in done.entries} == {
        f"{wrapper}{name}": who for name, who in STYLES[style].items()
    }
    assert {e["assignment"] for e in done.entries} == {"01_numbers"}
    assert any(style in note for note in done.notes)


def test_an_own_pattern(course, tmp_path):
    files = {"hw1/s-007/x.ipynb": one(), "hw1/s-008/x.ipynb": one(1), "readme.ipynb": one(2)}
    done = run(course, tmp_path, files, r"/s-(?P<student>\d+)/")
    assert collected(done) == {
        ("007", "01_numbers"): "hw1/s-007/x.ipynb",
        ("008", "01_numbers"): "hw1/s-008/x.ipynb",
    }
    assert [e["reason"] for e in done.entries if e["status"] == "listed"] == [
        "No student's name can be read from its path: give --pattern."
    ]


@pytest.mark.parametrize(
    ("pattern", "says"), [("(", "no regular expression"), (r"(\w+)", r"no group \(\?P<student>")]
)
def test_a_wrong_pattern_is_told(course, tmp_path, pattern, says):
    with pytest.raises(ValueError, match=says):
        collect.collect(course, put(tmp_path / "in", {"a.ipynb": one()}), pattern)
    assert not (course / "collected.json").exists()


def test_two_people_of_one_name_are_kept_apart(course, tmp_path):
    files = {
        "Doe, Jane_11_assignsubmission_file_/a.ipynb": one(),
        "Doe, Jane_12_assignsubmission_file_/a.ipynb": one(1),
    }
    done = run(course, tmp_path, files)
    assert set(collected(done)) == {("doe_jane_11", "01_numbers"), ("doe_jane_12", "01_numbers")}
    assert any("several students called 'doe_jane'" in note for note in done.notes)


def test_names_that_fall_together_are_told(course, tmp_path):
    done = run(
        course,
        tmp_path,
        {"Zoe/a.ipynb": one(), "Zoë/a.ipynb": one(1), "zoe/b.ipynb": two(), "ZOE/c.ipynb": two()},
    )
    assert len(submitted(course)) == 3
    assert {e["student"] for e in done.entries} == {"zoe", "zoe_2"}
    assert any("different people" in note for note in done.notes)


@pytest.mark.parametrize(
    ("name", "safe"),
    [("../../etc", "etc"), ("=cmd|' /C calc'!A0", "cmd_c_calc_a0"),
     ("con", "con_"), ("...", "student"), ("a" * 99, "a" * 60), ("Ørsted", "orsted"),
     ("Name\n", "name"), ("x*[y]?", "x_y")],
)  # fmt: skip
def test_student_ids_are_safe_for_any_file_system(name, safe):
    assert student_names.student_id(name) == safe


# --- which lesson, which file ---------------------------------------------------------------------


def test_the_lesson_is_recognised_by_content(course, tmp_path):
    colab = damaged.damage(solved(student.student_copy(second()), second()), 1, ["colab"])
    done = run(
        course,
        tmp_path,
        {"jane/01_numbers.ipynb": two(), "bob/Untitled7.ipynb": one(), "ann/homework.ipynb": colab},
    )
    assert set(collected(done)) == {
        ("jane", "02_letters"),
        ("bob", "01_numbers"),
        ("ann", "02_letters"),
    }


def test_the_newest_counts_and_the_others_are_listed(course, tmp_path):
    folder = put(
        tmp_path / "in",
        {f"jane/{n}.ipynb": one(n) for n in "abc"}
        | {"jane/same.ipynb": one("b"), "bob/x.ipynb": one(9)},
    )
    for name, when in {"a": 100, "b": 900, "c": 500, "same": 300}.items():
        os.utime(folder / "jane" / f"{name}.ipynb", (10**9 + when,) * 2)
    done = collect.collect(course, folder)
    assert collected(done)["jane", "01_numbers"] == "jane/b.ipynb"
    assert submitted(course)["jane/01_numbers/01_numbers.ipynb"] == one("b")
    reasons = {e["original"]: e["reason"] for e in done.entries if e["status"] == "listed"}
    assert set(reasons) == {"jane/a.ipynb", "jane/c.ipynb", "jane/same.ipynb"}
    assert "byte for byte" in reasons["jane/same.ipynb"] and "older" in reasons["jane/a.ipynb"]


def test_the_number_in_a_name_decides_between_files_of_one_moment(course, tmp_path):
    files = {
        "jane/01_numbers (10).ipynb": one(10),
        "jane/01_numbers (2).ipynb": one(2),
        "jane/01_numbers.ipynb": one(0),
        "bob/x.ipynb": one(9),
    }
    folder = put(tmp_path / "in", files)
    for path in folder.rglob("*.ipynb"):
        os.utime(path, (10**9, 10**9))
    assert (
        collected(collect.collect(course, folder))["jane", "01_numbers"]
        == "jane/01_numbers (10).ipynb"
    )


def test_a_readable_file_counts_before_a_newer_broken_one(course, tmp_path):
    folder = put(
        tmp_path / "in",
        {
            "jane/01_numbers.ipynb": one(),
            "jane/01_numbers (1).ipynb": b"",
            "bob/01_numbers.ipynb": b"",
        },
    )
    os.utime(folder / "jane" / "01_numbers.ipynb", (10**9, 10**9))
    done = collect.collect(course, folder)
    assert collected(done)["jane", "01_numbers"] == "jane/01_numbers.ipynb"
    assert (
        collected(done)["bob", "01_numbers"] == "bob/01_numbers.ipynb"
    )  # so that grading says why there are no points
    assert "The file is empty" in next(e["reason"] for e in done.entries if e["student"] == "bob")


def test_other_files_are_listed_with_a_reason(course, tmp_path):
    files = {
        "jane/a.ipynb": one(),
        "jane/essay.pdf": b"%PDF-1.4",
        "jane/data.csv": b"a,b\n1,2\n",
        "bob/x.ipynb": one(1),
        "bob/p.png": b"\x89PNG",
    }
    done = run(course, tmp_path, files | {"jane/.DS_Store": b"x", "__MACOSX/jane/._a.ipynb": b"x"})
    assert {e["original"] for e in done.entries} == set(files)
    assert {e["original"] for e in done.entries if e["status"] == "listed"} == {
        "jane/essay.pdf",
        "jane/data.csv",
        "bob/p.png",
    }


def test_a_python_export_is_collected(course, tmp_path):
    export = damaged.damage(
        solved(student.student_copy(lesson()), lesson()), 1, file="script_nbconvert"
    )
    done = run(course, tmp_path, {"jane/01_numbers.py": export, "bob/x.ipynb": one()})
    assert collected(done)["jane", "01_numbers"] == "jane/01_numbers.py"


def test_collecting_again_keeps_what_was_found_before(course, tmp_path):
    collect.collect(
        course, put(tmp_path / "first", {"jane/a.ipynb": one(1), "bob/a.ipynb": one(2)})
    )
    collect.collect(
        course, put(tmp_path / "second", {"jane/b.ipynb": one(3), "ann/b.ipynb": one(4)})
    )
    stored = json.loads((course / "collected.json").read_text())
    assert {(e["original"], e["status"]) for e in stored} == {
        ("jane/a.ipynb", "listed"),
        ("bob/a.ipynb", "collected"),
        ("jane/b.ipynb", "collected"),
        ("ann/b.ipynb", "collected"),
    }
    assert submitted(course)["jane/01_numbers/01_numbers.ipynb"] == one(3)


# --- archives -------------------------------------------------------------------------------------


def test_zip_files_are_opened_also_inside_others(course, tmp_path):
    inner = zipped({"01 numbers.ipynb": one(), "notes.txt": b"hello"})
    files = {
        "all.zip": zipped(
            {"jane.zip": inner, "bob/x.ipynb": one(1), "__MACOSX/bob/._x.ipynb": b"x"}
        )
    }
    done = run(course, tmp_path, files)
    assert collected(done) == {
        ("jane", "01_numbers"): "all.zip/jane.zip/01 numbers.ipynb",
        ("bob", "01_numbers"): "all.zip/bob/x.ipynb",
    }
    assert collect.collect(course, tmp_path / "in" / "all.zip").entries == done.entries


def locked() -> bytes:
    """A zip file whose one member says that it has a password."""
    data = bytearray(zipped({"01_numbers.ipynb": one()}))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.find(mark) + at] |= 1
    return bytes(data)


def nested(depth: int) -> bytes:
    data = zipped({"01_numbers.ipynb": one()})
    for _ in range(depth):
        data = zipped({"more.zip": data})
    return data


def linked() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        about = zipfile.ZipInfo("01_numbers.ipynb")
        about.external_attr = 0o120777 << 16
        archive.writestr(about, "/etc/passwd")
    return made.getvalue()


BAD = {
    "password": (locked, "password"),
    "cut": (lambda: zipped({"01_numbers.ipynb": one()})[:-40], "damaged"),
    "noise": (lambda: b"not a zip", "damaged"),
    "broken member": (
        lambda: zipped({"01_numbers.ipynb": one()}).replace(b"\x00\x00\x00", b"\x01\x00\x00", 3),
        "damaged",
    ),
    "bomb": (lambda: zipped({"01_numbers.ipynb": b"0" * 29_000_000}), "unpacks to"),
    "too large": (lambda: zipped({"01_numbers.ipynb": os.urandom(1000) * 31_000}), "unpacks to"),
    "matryoshka": (lambda: nested(7), "archive inside"),
    "link": (linked, "link"),
    "empty": (lambda: zipped({}) + b"", "damaged"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_archive_is_listed_and_stops_nothing(course, tmp_path, name):
    make, says = BAD[name]
    done = run(course, tmp_path, {"jane.zip": make(), "bob/x.ipynb": one(), "ann/x.ipynb": one(1)})
    assert set(collected(done)) == {("bob", "01_numbers"), ("ann", "01_numbers")}
    bad = [e for e in done.entries if e["original"].startswith("jane.zip")]
    assert len(bad) == 1 and says in bad[0]["reason"], bad


def test_an_archive_writes_nowhere_else(course, tmp_path):
    files = {
        "../../escaped.ipynb": one(),
        "/tmp/absolute.ipynb": one(1),
        "..\\up.ipynb": one(2),
        "jane/../../x.ipynb": one(3),
    }
    before = {path for path in tmp_path.rglob("*") if course not in path.parents}
    done = run(course, tmp_path, {"bad.zip": zipped(files), "bob/x.ipynb": one(4)})
    after = {path for path in tmp_path.rglob("*") if course not in path.parents}
    assert after - before == {
        tmp_path / "in",
        tmp_path / "in" / "bad.zip",
        tmp_path / "in" / "bob",
        tmp_path / "in" / "bob" / "x.ipynb",
    }
    assert not Path("/tmp/absolute.ipynb").exists()
    assert len(done.entries) == 5
    for path in submitted(course):
        assert ".." not in path and len(Path(path).parts) == 3


def test_what_may_be_unpacked_in_all_is_limited(course, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_FILES", 3)
    done = run(course, tmp_path, {"all.zip": zipped({f"s{n}/x.ipynb": one(n) for n in range(5)})})
    assert len(collected(done)) == 3
    assert sum("more than 3 files" in e["reason"] for e in done.entries) == 2


def test_links_in_the_folder_are_not_followed(course, tmp_path):
    folder = put(tmp_path / "in", {"jane/x.ipynb": one(), "bob/x.ipynb": one(1)})
    (tmp_path / "secret.ipynb").write_bytes(one(7))
    (folder / "eve").mkdir()
    (folder / "eve" / "x.ipynb").symlink_to(tmp_path / "secret.ipynb")
    (folder / "loop").symlink_to(folder)
    done = collect.collect(course, folder)
    assert ("eve", "01_numbers") not in collected(done)
    assert any("link" in e["reason"] and e["original"] == "eve/x.ipynb" for e in done.entries)


def test_a_huge_file_is_listed_without_being_read(course, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_BYTES", 100_000)
    done = run(
        course,
        tmp_path,
        {"jane/x.ipynb": b"x" * 100_001, "bob/x.ipynb": one(), "ann/x.ipynb": one(1)},
    )
    assert "at most" in next(e["reason"] for e in done.entries if e["original"] == "jane/x.ipynb")


def test_no_folder_and_no_course_are_told(course, tmp_path):
    with pytest.raises(NotADirectoryError, match="no folder"):
        collect.collect(course, tmp_path / "nowhere")
    with pytest.raises(ValueError, match="is no course"):
        collect.collect(tmp_path, tmp_path)


def test_an_empty_folder_is_no_error(course, tmp_path):
    (tmp_path / "in").mkdir()
    assert run(course, tmp_path, {}).entries == []


def test_a_pipe_or_a_link_stops_nothing(course, tmp_path):
    """Opened, a pipe would be waited for without end."""
    folder = put(tmp_path / "in", {"ann/x.ipynb": one()})
    os.mkfifo(folder / "ann" / "pipe.ipynb")
    os.mkfifo(folder / "work.zip")
    (folder / "ann" / "link.ipynb").symlink_to("/dev/zero")
    signal.alarm(60)
    try:
        done = collect.collect(course, folder)
    finally:
        signal.alarm(0)
    assert len(done.entries) == 4
    reasons = {each["original"]: each["reason"] for each in done.entries}
    assert all(
        "not followed" in reasons[n] for n in ("ann/pipe.ipynb", "work.zip", "ann/link.ipynb")
    )
