"""checks.summary: what passed is kept in one small file, and nothing goes wrong with that file."""

import json
import re
from pathlib import Path

import nbformat
import pytest

from vit_tutorial import checks, patchify
from vit_tutorial.checks import progress

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def session(monkeypatch, tmp_path):
    """A session in which nothing has passed yet, in a folder of its own."""
    fresh = set()
    monkeypatch.setattr(progress, "passed_here", lambda: fresh)
    monkeypatch.setattr("vit_tutorial.checks.engine.check.passed_here", lambda: fresh)
    monkeypatch.chdir(tmp_path)
    return fresh


def lines(capsys) -> list[str]:
    checks.summary()
    return capsys.readouterr().out.splitlines()


def kept() -> list[str]:
    return json.loads(Path(progress.FILE).read_text(encoding="utf-8"))["passed"]


def test_nothing_is_written_before_summary_is_called():
    checks.check_patchify(patchify)
    assert list(Path.cwd().iterdir()) == []


def test_what_passed_and_what_is_left(capsys):
    checks.check_patchify(patchify)
    capsys.readouterr()
    first, *_, last = lines(capsys)
    assert first == "lesson 01   1 of 3 passed   left: check_unpatchify, check_linear_to_conv"
    assert last == f"together    1 of {len(checks.names())} passed"
    assert kept() == ["check_patchify"]
    assert [path.name for path in Path.cwd().iterdir()] == [progress.FILE]


def test_the_next_session_knows_it(capsys, session):
    checks.check_patchify(patchify)
    lines(capsys)
    session.clear()
    assert any("lesson 01   1 of 3" in line for line in lines(capsys))


def test_two_notebooks_keep_what_the_other_one_wrote(capsys, session):
    passed = {"passed": ["check_holm", "check_of_tomorrow"]}
    Path(progress.FILE).write_text(json.dumps(passed), encoding="utf-8")
    session.add("check_patchify")
    assert f"together    2 of {len(checks.names())} passed" in lines(capsys)
    assert kept() == ["check_holm", "check_of_tomorrow", "check_patchify"]


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", '{"passed": 3}', '{"passed": [3]}', "\x00", "[" * 9]
)
def test_a_file_that_is_broken_is_left_as_it_is(text, capsys, session):
    Path(progress.FILE).write_text(text, encoding="utf-8")
    session.add("check_patchify")
    *_, together, trouble = lines(capsys)
    assert together.startswith("together    1 of") and "left as it is" in trouble
    assert Path(progress.FILE).read_text(encoding="utf-8") == text


def test_bytes_that_are_no_text(capsys):
    Path(progress.FILE).write_bytes(b"\xff\xfe\xff")
    assert "left as it is" in lines(capsys)[-1]


def test_a_folder_in_the_place_of_the_file(capsys):
    Path(progress.FILE).mkdir()
    assert "cannot be read" in lines(capsys)[-1]


def test_a_folder_that_cannot_be_written_to(capsys, session, monkeypatch):
    def refused(path, text):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(progress, "write_text", refused)
    session.add("check_patchify")
    *_, together, trouble = lines(capsys)
    assert together.startswith("together    1 of") and "Permission denied" in trouble


def test_the_lessons_are_those_that_use_the_checks():
    for lesson, names in checks._LESSONS.items():
        (path,) = (ROOT / "notebooks").glob(f"{lesson}_*.ipynb")
        source = "\n".join(cell.source for cell in nbformat.read(path, 4).cells)
        used = dict.fromkeys(re.findall(r"checks\.(check_\w+)\(", source))
        assert set(names) == set(used) - {"check_guess", "check_recap"}, lesson
