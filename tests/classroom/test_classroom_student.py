"""Student copies: solutions are out, and everything else is kept.

The committed ones are in step with their lessons, can be solved, and fail with a message.
"""

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from classroom_lesson import MEAN, lesson, solved

import notebooks as tool
from vit_classroom.course import student

ROOT = Path(__file__).parents[2]
LESSONS = sorted((ROOT / "notebooks").glob("[0-9][0-9]*_*.ipynb"))


def sources(nb) -> dict:
    return {
        cell.metadata["nbgrader"]["grade_id"]: cell.source
        for cell in nb.cells
        if "nbgrader" in cell.metadata
    }


# --- what a copy is -------------------------------------------------------------------------------


def test_solutions_are_out_and_the_stub_is_python_that_says_what_to_do():
    nb = lesson()
    before = nbformat.writes(nb)
    copy = student.student_copy(nb)
    assert nbformat.writes(nb) == before, "the lesson itself was changed"
    for name in ("01-mean", "01-spread"):
        assert "SOLUTION" not in sources(copy)[name] and student.STUB in sources(copy)[name]
        compile(sources(copy)[name], name, "exec")
    assert MEAN not in nbformat.writes(copy)
    assert sources(copy)["01-mean-check"] == sources(nb)["01-mean-check"]
    assert sources(copy)["01-why"] == student.TEXT_STUB


def test_outputs_and_counts_are_out_and_ids_and_metadata_stay():
    nb, copy = lesson(), student.student_copy(lesson())
    assert [cell.id for cell in copy.cells] == [cell.id for cell in nb.cells]
    assert any(cell.get("outputs") for cell in nb.cells)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in copy.cells)
    assert [cell.metadata.get("nbgrader") for cell in copy.cells] == [
        cell.metadata.get("nbgrader") for cell in nb.cells
    ]
    tags = {cell.id: cell.metadata.get("tags", []) for cell in copy.cells}
    assert tags["setup"] == ["setup"] and tags["helper"] == ["exercise"]
    assert [name for name, each in tags.items() if "raises-exception" in each] == [
        "mean-check",
        "spread-check",
    ]


def test_head_has_its_own_badge_and_says_what_it_is():
    lines = student.student_copy(lesson()).cells[0].source.split("\n")
    assert lines[0] == "# 01 · Numbers"
    badges = [line for line in lines if line.startswith("[![")]
    assert len(badges) == 1 and badges[0].endswith(
        "/a/b/blob/main/notebooks/student/01_numbers.ipynb)"
    )
    assert any(
        "student copy" in line and "github.com/a/b/blob/main/notebooks/01_numbers.ipynb" in line
        for line in lines
    )


def test_a_notebook_without_a_badge_gets_the_line_too():
    nb = lesson()
    nb.cells[0].source = "# Mine"
    assert "student copy" in student.student_copy(nb).cells[0].source


def test_hidden_tests_are_out():
    nb = lesson()
    cell = next(cell for cell in nb.cells if cell.id == "mean-check")
    cell.source += "\n### BEGIN HIDDEN TESTS\nassert mean([7]) == 7\n### END HIDDEN TESTS"
    assert "mean([7])" not in nbformat.writes(student.student_copy(nb))


@pytest.mark.parametrize(
    "text",
    [
        "<details><summary>Solution</summary>42</details>",
        "<details>\n<summary>The solutions</summary>",
    ],
)
def test_a_solution_that_can_be_unfolded_is_an_error_that_names_the_cell(text):
    nb = lesson()
    nb.cells[3].source += f"\n{text}"
    with pytest.raises(ValueError, match="cell 4 "):
        student.student_copy(nb)


def test_a_hint_may_be_unfolded():
    nb = lesson()
    nb.cells[3].source += "\n<details><summary>Hint</summary>The solution is short.</details>"
    student.student_copy(nb)  # raises nothing


@pytest.mark.parametrize("name", ["mean", "plain"])
@pytest.mark.parametrize(
    "wrong", ["### BEGIN SOLUTION\n1", "### BEGIN SOLUTION\n### BEGIN SOLUTION\n"]
)
def test_markers_out_of_order_are_an_error(name, wrong):
    nb = lesson()
    next(cell for cell in nb.cells if cell.id == name).source = wrong
    with pytest.raises(ValueError, match="solution"):
        student.student_copy(nb)


def test_a_region_outside_a_solution_cell_is_an_error():
    nb = lesson()
    next(
        cell for cell in nb.cells if cell.id == "plain"
    ).source = "### BEGIN SOLUTION\n1\n### END SOLUTION"
    with pytest.raises(ValueError, match="non-solution cell"):
        student.student_copy(nb)


def test_exercises_are_listed_with_titles_and_points():
    found = student.exercises(lesson())
    assert found[0] == {
        "grade_id": "01-mean-check",
        "title": "Exercise 1.1: the mean",
        "points": 2,
        "solution": "01-mean",
    }
    assert [each["grade_id"] for each in found] == ["01-mean-check", "01-spread-check", "01-why"]
    assert found[2]["solution"] == "01-why"


def test_solved_fills_every_stub():
    nb = solved(student.student_copy(lesson()), lesson())
    assert student.STUB not in nbformat.writes(nb) and MEAN in nbformat.writes(nb)


# --- the committed copies -------------------------------------------------------------------------


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_student_copy_is_in_step_and_fit_to_be_committed(path):
    assert tool.check_student(path) == []


def test_no_student_copy_without_its_lesson():
    assert {path.name for path in (ROOT / "notebooks" / "student").glob("*.ipynb")} == {
        path.name for path in LESSONS
    }


RUNNER = """
import io, json, sys, contextlib
from IPython.core.interactiveshell import InteractiveShell

def run(cells):
    shell = InteractiveShell()
    errors = {}
    for cell in cells:
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
            result = shell.run_cell(cell["source"])
        error = result.error_before_exec or result.error_in_exec
        if error is not None:
            mistake = getattr(error, "mistake", None)
            errors[cell["id"]] = [type(error).__name__, str(error), mistake, shown.getvalue()]
    return errors

copies = json.load(open(sys.argv[1]))
json.dump({name: run(cells) for name, cells in copies.items()}, open(sys.argv[2], "w"))
"""


def graded_part(nb) -> list[dict]:
    """What grading runs: the set-up cell, cells tagged `exercise`, solution and check cells."""
    return [
        {"id": cell.id, "source": cell.source}
        for cell in nb.cells
        if cell.cell_type == "code"
        and (
            cell.metadata.get("nbgrader")
            or {"setup", "exercise"} & set(cell.metadata.get("tags", []))
        )
    ]


@pytest.mark.slow
@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_solved_passes_every_check_and_unsolved_fails_with_a_message(path, tmp_path):
    nb = nbformat.read(path, as_version=4)
    if not student.exercises(nb):
        pytest.skip("no exercises in this lesson")
    copy = nbformat.read(tool.student_path(path), as_version=4)
    given, found = tmp_path / "cells.json", tmp_path / "errors.json"
    given.write_text(
        json.dumps({"unsolved": graded_part(copy), "solved": graded_part(solved(copy, nb))})
    )
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, given, found],
        cwd=path.parent,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    errors = json.loads(found.read_text())
    assert errors["solved"] == {}
    graded = {
        cell.id: "check_" in cell.source  # a check of the library, or the lesson's own assertions
        for cell in copy.cells
        if cell.metadata.get("nbgrader", {}).get("grade") and cell.cell_type == "code"
    }
    assert set(errors["unsolved"]) == set(graded)
    for cell, (kind, message, mistake, shown) in errors["unsolved"].items():
        expected = ("CheckFailed", "not_written") if graded[cell] else ("NotImplementedError", None)
        assert (kind, mistake) == expected
        assert graded[cell] or message.startswith("Write this function")
        assert len(message.split("\n")) <= 4 and (
            not graded[cell] or len(shown.split("\n")) <= 8
        ), f"a wall:\n{shown}"


# --- the tool -------------------------------------------------------------------------------------


@pytest.fixture
def copied(tmp_path):
    """The path of a lesson with a student copy in which check_student finds nothing wrong."""
    path = tmp_path / "01_numbers.ipynb"
    nb = lesson()
    nb.cells[0].source = f"# 01 · Numbers\n\n{tool.badge(path)}\n\n**Time.** about 3 s"
    nbformat.write(nb, path)
    tool.write_student(path)
    return path


def test_check_passes_a_good_copy(copied):
    assert tool.check_student(copied) == []


def damage(copied, change) -> str:
    path = tool.student_path(copied)
    nb = nbformat.read(path, as_version=4)
    change(nb)
    nbformat.write(nb, path)
    return "\n".join(tool.check_student(copied))


def test_check_finds_a_copy_out_of_step(copied):
    assert "not in step" in damage(copied, lambda nb: nb.cells.pop())


def test_check_finds_outputs(copied):
    found = damage(
        copied, lambda nb: nb.cells[1].outputs.append(nbformat.v4.new_output("stream", text="x"))
    )
    assert "holds outputs" in found


def test_check_finds_the_lessons_badge(copied):
    def swap(nb):
        nb.cells[0].source = nb.cells[0].source.replace("notebooks/student/", "notebooks/")

    assert "badge" in damage(copied, swap)


def test_check_finds_a_large_copy(copied):
    found = damage(
        copied,
        lambda nb: nb.cells.append(nbformat.v4.new_markdown_cell("x" * tool.MAX_STUDENT_BYTES)),
    )
    assert "bytes: at most" in found


def test_check_finds_a_missing_copy(copied):
    tool.student_path(copied).unlink()
    assert "is not there" in tool.check_student(copied)[0]


def test_the_two_badges_stand_in_the_lessons_head(copied):
    nb = nbformat.read(copied, as_version=4)
    nb.cells[0].source = nb.cells[0].source.replace(
        tool.badge(copied), tool.badge(copied).split("\n")[0]
    )
    assert any("two badge lines" in line for line in tool.check_head(nb, copied))
    tool.put_in_place(nb, copied)
    tool.put_in_place(nb, copied)
    assert nb.cells[0].source.count(tool.badge(copied)) == 1
    assert nb.cells[0].source.count("[![") == 2
