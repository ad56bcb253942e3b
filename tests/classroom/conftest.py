"""Fixtures for tests that grade. nbgrader needs seconds for a course, so all tests share one."""

import shutil
from pathlib import Path

import nbformat
import pytest
from small_course import NAME, small_lesson

from vit_classroom.course import course as courses
from vit_classroom.course import student
from vit_classroom.sandbox import isolation


@pytest.fixture(scope="session")
def isolated():
    """Skips the test where there is no isolation."""
    try:
        isolation.probe()
    except isolation.NotIsolatedError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def made_course(tmp_path_factory) -> Path:
    """A course with the small lesson. Copy it before you hand anything in."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "lessons").mkdir()
    nbformat.write(small_lesson(), folder / "lessons" / f"{NAME}.ipynb")
    courses.new(folder / "course", "01", source=folder / "lessons")
    return folder / "course"


@pytest.fixture
def plain_course(tmp_path) -> Path:
    """The same without nbgrader: enough for a test that neither runs nor records submissions."""
    for kind, make in (("source", student.prepared), ("release", student.student_copy)):
        path = tmp_path / "course" / kind / NAME / f"{NAME}.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(make(small_lesson()), path)
    return tmp_path / "course"


@pytest.fixture
def small_course(made_course, tmp_path) -> Path:
    """The course with the small lesson, for this test alone."""
    return Path(shutil.copytree(made_course, tmp_path / "course"))
