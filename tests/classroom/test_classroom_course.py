"""A new course: nbgrader's folders, a release that equals the student copy, and the command line.

Errors say what to do.
"""

import io
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from classroom_lesson import MEAN, lesson

from vit_classroom import cli, progress
from vit_classroom.cli import main
from vit_classroom.course import course as tool
from vit_classroom.course import student
from vit_classroom.sandbox import outer


@pytest.fixture(scope="module")
def lessons(tmp_path_factory) -> Path:
    """A folder with two lessons with exercises and one without."""
    folder = tmp_path_factory.mktemp("notebooks")
    nbformat.write(lesson(), folder / "01_numbers.ipynb")
    nbformat.write(lesson(), folder / "02_more.ipynb")
    plain = lesson()
    plain.cells = [cell for cell in plain.cells if "nbgrader" not in cell.metadata]
    nbformat.write(plain, folder / "03_plain.ipynb")
    return folder


@pytest.fixture(scope="module")
def made(lessons, tmp_path_factory):
    course = tmp_path_factory.mktemp("teaching") / "my course 2026"
    return course, tool.new(course, "01-03", source=lessons)


@pytest.mark.slow
def test_course_has_nbgraders_layout(made):
    course, told = made
    files = {path.relative_to(course).as_posix() for path in course.rglob("*") if path.is_file()}
    names = ("01_numbers", "02_more")
    assert files == {"nbgrader_config.py", "gradebook.db"} | {
        f"{a}/{n}/{n}.ipynb" for a in ("source", "release") for n in names
    } | {"release/03_plain/03_plain.ipynb"}
    assert told[0] == {"assignment": "01_numbers", "exercises": 3, "points": 6}
    # A lesson without exercises is handed out with the others, and not graded.
    assert told[2] == {"assignment": "03_plain", "exercises": 0, "points": 0}
    assert list(tool.assignments(course)) == ["01_numbers", "02_more"]
    assert list(tool.handed_out(course)) == [*names, "03_plain"]


@pytest.mark.slow
def test_release_is_the_student_copy_apart_from_what_nbgrader_adds(made):
    """nbgrader adds checksums, and locks cells."""
    release = nbformat.read(tool.assignments(made[0])["01_numbers"], as_version=4)
    copy = student.student_copy(lesson())
    assert [(cell.id, cell.cell_type, cell.source) for cell in release.cells] == [
        (cell.id, cell.cell_type, cell.source) for cell in copy.cells
    ]
    for mine, theirs in zip(copy.cells, release.cells):
        for name in ("checksum", "cell_type"):
            theirs.metadata.get("nbgrader", {}).pop(name, None)
        for name in ("deletable", "editable"):
            theirs.metadata.pop(name, None)
        own = mine.metadata.get("nbgrader", {})
        own.pop("cell_type", None)
        assert theirs.metadata == mine.metadata
    assert release.metadata.kernelspec == copy.metadata.kernelspec


@pytest.mark.slow
def test_source_has_the_solutions_and_no_outputs(made):
    text = (made[0] / "source" / "01_numbers" / "01_numbers.ipynb").read_text()
    assert MEAN in text
    assert not any(cell.get("outputs") for cell in nbformat.reads(text, as_version=4).cells)


@pytest.mark.slow
def test_gradebook_knows_the_points(made):
    with sqlite3.connect(made[0] / "gradebook.db") as book:
        assert [row[0] for row in book.execute("select name from assignment order by name")] == [
            "01_numbers",
            "02_more",
        ]
        assert sorted(row[0] for row in book.execute("select max_score from grade_cells")) == [
            1,
            1,
            2,
            2,
            3,
            3,
        ]


@pytest.mark.slow
def test_environment_need_not_be_activated(lessons, tmp_path, monkeypatch):
    """`.venv/bin/python -m vit_classroom new`: nbgrader calls `alembic` by its name alone."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    tool.new(tmp_path / "course", "01", source=lessons)
    assert (tmp_path / "course" / "gradebook.db").is_file() and os.environ[
        "PATH"
    ] == "/usr/bin:/bin"


@pytest.mark.slow
def test_release_again_after_a_change(lessons, tmp_path):
    """A teacher's own assert, hidden from the learners."""
    tool.new(tmp_path / "c", "01", source=lessons)
    path = tmp_path / "c" / "source" / "01_numbers" / "01_numbers.ipynb"
    nb = nbformat.read(path, as_version=4)
    cell = next(cell for cell in nb.cells if cell.id == "mean-check")
    hidden = "### BEGIN HIDDEN TESTS\nassert mean([7]) == 7\n### END HIDDEN TESTS"
    cell.source += f"\nassert mean([4]) == 4\n{hidden}"
    nbformat.write(nb, path)
    text = tool.release(tmp_path / "c", "01_numbers").read_text()
    assert "mean([4])" in text and "mean([7])" not in text


THERE = ["01", "02", "03", "04", "05", "06", "06b", "07", "11", "13", "31"]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("01-03", ["01", "02", "03"]),
        ("1,3", ["01", "03"]),
        ("04", ["04"]),
        ("05,01-02,02", ["01", "02", "05"]),
        ("3 - 3", ["03"]),
        ("6b, 06-07", ["06", "06b", "07"]),
        ("31,11-18,07", ["07", "11", "13", "31"]),  # the core comes first; 12 is not there
        ("12", ["12"]),  # named by itself: said to be missing later
        ("20-22", ["20", "21", "22"]),
    ],
)
def test_lesson_numbers(text, numbers):
    assert tool.lesson_numbers(text, THERE) == numbers


@pytest.mark.parametrize("text", ["", "one", "01-", "1-2-3", "01;02", "001", "06bc", "b", "05-06b"])
def test_lesson_numbers_that_are_none(text):
    with pytest.raises(ValueError, match="01-05"):
        tool.lesson_numbers(text, THERE)


def test_lessons_of_a_range_that_is_not_there_are_named(lessons):
    assert [path.stem for path in tool.find_lessons("00-02", lessons)] == ["01_numbers", "02_more"]
    with pytest.raises(ValueError, match="no lesson 21, 22: there are 01, 02, 03"):
        tool.find_lessons("21-22", lessons)


def test_lesson_numbers_backwards():
    with pytest.raises(ValueError, match="write 01-05"):
        tool.lesson_numbers("05-01", THERE)


def test_a_folder_in_use_is_left_alone(lessons, tmp_path):
    (tmp_path / "marks.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="not empty"):
        tool.new(tmp_path, "01", source=lessons)
    assert [path.name for path in tmp_path.iterdir()] == ["marks.txt"]


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ("01,07", "no lesson 07: there are 01, 02, 03"),
        ("03", "03_plain: no exercises"),
        ("03", "03_plain"),
    ],
)
def test_what_cannot_be_taught_is_told_before_anything_is_written(lessons, tmp_path, numbers, says):
    with pytest.raises(ValueError, match=says):
        tool.new(tmp_path / "c", numbers, source=lessons)
    assert not (tmp_path / "c").exists()


def test_no_lessons_at_hand(tmp_path):
    with pytest.raises(ValueError, match="Clone the repository"):
        tool.new(tmp_path / "c", "01", source=tmp_path)


def test_a_broken_lesson_is_named(lessons, tmp_path):
    nb = lesson()
    nb.cells[4].source = "### BEGIN SOLUTION\n1"
    nbformat.write(nb, tmp_path / "04_broken.ipynb")
    with pytest.raises(ValueError, match="04_broken.ipynb: .*no end solution"):
        tool.new(tmp_path / "c", "04", source=tmp_path)
    assert not (tmp_path / "c").exists()


def test_what_is_no_course_is_told(tmp_path):
    with pytest.raises(ValueError, match="is no course"):
        tool.assignments(tmp_path)


# --- the command line -----------------------------------------------------------------------------


@pytest.mark.slow
def test_command_makes_a_course_and_says_what_is_in_it(lessons, tmp_path, capsys):
    assert main(["new", str(tmp_path / "c"), "--lessons", "01", "--source", str(lessons)]) == 0
    assert "01_numbers: 3 exercises, 6 points" in capsys.readouterr().out
    assert main(["new", str(tmp_path / "c"), "--lessons", "01", "--source", str(lessons)]) == 2
    assert "not empty" in capsys.readouterr().err


@pytest.mark.slow
def test_commands_collect_and_report(lessons, tmp_path, capsys):
    course, folder = tmp_path / "c", tmp_path / "in" / "jane"
    main(["new", str(course), "--lessons", "01", "--source", str(lessons)])
    folder.mkdir(parents=True)
    nbformat.write(student.student_copy(lesson()), folder / "x.ipynb")
    (folder / "essay\x1b[2J.pdf").write_bytes(b"%PDF-1.7")
    assert main(["collect", str(course), str(tmp_path / "in"), "--pattern", "folders"]) == 0
    out = capsys.readouterr().out
    assert "2 files: 1 collected from 1 students, 1 not used" in out and "\x1b" not in out
    assert main(["report", str(course)]) == 0
    assert "1 not graded" in capsys.readouterr().out
    assert main(["report", str(tmp_path / "nothing")]) == 2
    assert "nothing to report" in capsys.readouterr().err


def test_flag_of_the_command_line_is_the_one_that_the_message_names():
    flag = re.search(r"Add (--[\w-]+)\.", outer.advice("why"))[1]
    assert cli.parser().parse_args(["grade", "course"]).isolated is True
    assert cli.parser().parse_args(["grade", "course", flag]).isolated is False


@pytest.mark.parametrize(
    "words", [["--jobs", "0"], ["--seconds", "0"], ["--memory", "10"], ["--cell-seconds", "-1"]]
)
def test_limits_that_are_too_small_are_told(tmp_path, words, capsys):
    assert main(["grade", str(tmp_path), *words]) == 2
    assert "too small" in capsys.readouterr().err


def test_a_missing_extra_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cli, "find_spec", lambda name: None)
    for words in (
        ["new", "x"],
        ["collect", str(tmp_path), "x"],
        ["grade", str(tmp_path)],
        ["report", str(tmp_path)],
    ):
        assert main([*words]) == 2
        assert "classroom" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    ["vit_classroom.cli", pytest.param("vit_tutorial.cli.main", marks=pytest.mark.slow)],
)
def test_the_command_line_needs_no_teachers_tools(name):
    """Colab has none of them, and a learner's commands must not load them; nor must --help."""
    heavy = {"matplotlib", "nbgrader", "IPython", "nbformat", "jinja2"}
    code = f"import sys; from {name} import parser; parser()"
    code += f"; print(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError("nbgrader could not")])
def test_new_that_was_stopped_leaves_nothing_in_the_way(
    stop, exists, lessons, tmp_path, monkeypatch, capsys
):
    course = tmp_path / "course"
    if exists:
        course.mkdir()

    def release(course, name):
        (course / "release" / name).mkdir(parents=True)
        (course / "gradebook.db").write_text("half")
        if name == "02_more":
            raise stop

    monkeypatch.setattr(tool, "release", release)
    words = ["new", str(course), "--lessons", "01-03", "--source", str(lessons)]
    assert main(words) == (130 if stop is KeyboardInterrupt else 2)
    assert course.exists() == exists and not (exists and list(course.iterdir()))
    monkeypatch.setattr(tool, "release", lambda *_: None)
    assert main(words) == 0


def test_what_takes_longer_than_two_seconds_shows_the_time_left(monkeypatch):
    stream = io.StringIO()
    stream.isatty = lambda: True
    bar = progress.tqdm
    more = dict(file=stream, mininterval=0)
    monkeypatch.setattr(progress, "tqdm", lambda *a, **how: bar(*a, **how | more))
    assert list(progress.track(range(3), "reading", "files")) == [0, 1, 2]
    assert not stream.getvalue()
    more["delay"] = 0
    assert list(progress.track(range(3), "reading", "files")) == [0, 1, 2]
    assert "reading" in stream.getvalue() and "3/3" in stream.getvalue()
    stream.isatty = lambda: False
    stream.truncate(0)
    list(progress.track(range(3), "reading", "files"))
    assert not stream.getvalue()


@pytest.mark.parametrize(
    "words", [["new", ""], ["collect", "c", ""], ["grade", ""], ["report", " "]]
)
def test_an_empty_path_is_not_the_current_folder(words, capsys):
    with pytest.raises(SystemExit):
        main(words)
    assert "is an empty path" in capsys.readouterr().err
