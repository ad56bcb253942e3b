"""A course with one small lesson, and submissions to it. `conftest.py` has the fixtures."""

import json
import sqlite3
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from vit_classroom.grade import grade
from vit_classroom.sandbox.execute import Settings
from vit_classroom.sandbox.watcher import Limits

NAME = "01_small"
LOOPS = """def my_patchify(images, patch_size):
    B, C, H, W = images.shape
    P = patch_size
    rows = [images[:, :, i:i + P, j:j + P] for i in range(0, H, P) for j in range(0, W, P)]
    return torch.stack([row.permute(0, 2, 3, 1).reshape(B, -1) for row in rows], 1)"""
CHANNEL_FIRST = LOOPS.replace("row.permute(0, 2, 3, 1).reshape", "row.reshape")
DOUBLE = "def double(x):\n    return 2 * x"
TRIPLE = "def triple(x):\n    return 3 * x"
FULL = [2, 1, 3]  # the scores of right answers
SECRET = "canary_of_the_hidden_test"


def graded(grade_id: str, points: int | None = None) -> dict:
    """nbgrader's metadata of a solution cell, or of a check with `points`."""
    check = points is not None
    own = {"grade_id": grade_id, "grade": check, "locked": check, "solution": not check}
    own |= {"schema_version": 3, "task": False}
    return {"nbgrader": own | ({"points": points} if check else {})}


def solution(text: str) -> str:
    head, body = text.split("\n", 1)
    return f"{head}\n    ### BEGIN SOLUTION\n{body}\n    ### END SOLUTION"


def small_lesson():
    """Three exercises: one judged outside, one by the teacher's asserts, one with a hidden test."""
    setup = "import os\nfrom vit_tutorial import colab\n\ndevice = colab.setup(lesson='01')"
    imports = "import torch\n\nfrom vit_tutorial import checks"
    lesson = "helper_of_the_lesson = 2\nraise RuntimeError('a lesson cell ran')"
    hidden = f"### BEGIN HIDDEN TESTS\nassert triple(5) == 15, '{SECRET}'\n### END HIDDEN TESTS"
    code = [
        ("setup", setup, {"tags": ["setup"]}),
        ("imports", imports, {"tags": ["exercise"]}),
        ("lesson", lesson, {}),
        ("a", solution(LOOPS), graded("01-patchify")),
        ("a-check", "checks.check_patchify(my_patchify)", graded("01-patchify-check", 2)),
        ("b", solution(DOUBLE), graded("01-double")),
        ("b-check", "assert double(4) == 8, 'twice 4 is 8'", graded("01-double-check", 1)),
        ("c", solution(TRIPLE), graded("01-triple")),
        ("c-check", f"assert triple(2) == 6\n{hidden}", graded("01-triple-check", 3)),
    ]
    cells = [new_markdown_cell("# 01 · Small", id="title")]
    for name, text, metadata in code:
        if name in "abc":
            title = f"**Exercise 1.{'abc'.index(name) + 1}: {name}.** Write it."
            cells.append(new_markdown_cell(title, id=f"text-{name}"))
        cells.append(new_code_cell(text, id=name, metadata=metadata))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def hand_in(
    course: Path,
    student: str,
    a: str = LOOPS,
    b: str = DOUBLE,
    c: str = TRIPLE,
    extra: str | None = None,
    data: bytes | None = None,
) -> None:
    """A submission: the release with these answers, or these bytes.

    extra: a cell of the learner's own, above the first exercise.
    """
    nb = nbformat.read(course / "release" / NAME / f"{NAME}.ipynb", as_version=4)
    for cell in nb.cells:
        cell.source = {"a": a, "b": b, "c": c}.get(cell.id, cell.source)
    if extra is not None:
        place = next(i for i, cell in enumerate(nb.cells) if cell.id == "text-a")
        nb.cells.insert(place, new_code_cell(extra, id="mine"))
    folder = course / "submitted" / student / NAME
    folder.mkdir(parents=True)
    (folder / f"{NAME}.ipynb").write_bytes(nbformat.writes(nb).encode() if data is None else data)


def run(course: Path, cell_seconds: float = 10, **more) -> dict:
    """Grade the course, with limits that are low enough for tests.

    cell_seconds: right answers need well under 1 s, but more on a busy machine.
    """
    limits = Limits(seconds=60, memory=600 << 20)
    settings = Settings(limits, cell_seconds, grace_seconds=1)
    return grade(course, settings=settings, progress=False, **more)


def result(course: Path, student: str) -> dict:
    return json.loads((course / "results" / student / f"{NAME}.json").read_text())


def notebook(course: Path, student: str):
    """The graded notebook."""
    return nbformat.read(course / "results" / student / f"{NAME}.ipynb", as_version=4)


def own_outputs(course: Path, student: str) -> list:
    """What the learner's own cell gave, see hand_in's `extra`."""
    found = notebook(course, student).cells
    return next(cell.outputs for cell in found if cell.id.startswith("extra-"))


def reasons(course: Path, *students: str) -> list:
    """Why each was not graded; None for those that were."""
    return [result(course, student)["reason"] for student in students]


def scores(course: Path, student: str) -> list:
    return [each["score"] for each in result(course, student)["exercises"]]


def marks(course: Path) -> dict[str, float]:
    """{student: the sum of the scores} in nbgrader's grade book."""
    query = """
        select student.id, sum(grade.auto_score) from grade
        join submitted_notebook on grade.notebook_id = submitted_notebook.id
        join submitted_assignment on submitted_notebook.assignment_id = submitted_assignment.id
        join student on submitted_assignment.student_id = student.id group by student.id"""
    with sqlite3.connect(course / "gradebook.db") as book:
        return dict(book.execute(query))
