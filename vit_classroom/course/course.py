"""Make an nbgrader course from the lessons: source/, release/, its settings and its grade book."""

import contextlib
import json
import logging
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat

from ..progress import track
from . import student

CONFIG = """# An nbgrader course, made by `python -m vit_classroom new`.
# nbgrader's own commands run in this folder.
c = get_config()  # noqa: F821

c.CourseDirectory.course_id = {name!r}
# What replaces a solution, the same as in the student copies of the lessons.
c.ClearSolutions.code_stub = {{"python": {code!r}}}
c.ClearSolutions.text_stub = {text!r}
# Collect submissions with `python -m vit_classroom collect`, and grade them with
# `python -m vit_classroom grade`, which runs them in isolation. `nbgrader autograde` has none:
# it would run learners' code as you, with your files and your network.
c.ExecutePreprocessor.timeout = 60
"""


def new(course: Path, lessons: str = "01-05", source: Path | None = None) -> list[dict]:
    """Make the course folder `course` from the lessons with these numbers: "01-05", "01,03", "04".

    source: the folder with the lessons, NN_topic.ipynb; without it, notebooks/ of the clone that
    this package runs from. Returns one {"assignment", "exercises", "points"} for each lesson. One
    without exercises is in release/, to be handed out with the others, and is not graded. Raises
    ValueError for lessons that cannot be taught, FileExistsError when the folder is in use,
    both before anything is written.
    """
    course = Path(course)
    if course.is_file() or (course.is_dir() and any(course.iterdir())):
        raise FileExistsError(
            f"{course} exists and is not empty. A course is never overwritten: give another name"
        )
    chosen = find_lessons(lessons, source)
    sources = {path.stem: _read(path) for path in chosen}
    empty = [name for name, nb in sources.items() if not student.exercises(nb)]
    if len(empty) == len(sources):
        raise ValueError(
            f"{', '.join(empty)}: no exercises, so there is nothing to grade. "
            "Add a lesson that has some, such as 01"
        )
    made_folder = not course.exists()
    try:
        return _write(course, sources, empty)
    except BaseException:  # Ctrl-C as well: half a course would be in the way of the next try
        for path in course.iterdir() if course.is_dir() else ():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if made_folder and course.is_dir():
            course.rmdir()
        raise


def _write(course: Path, sources: dict, empty: list[str]) -> list[dict]:
    """What `new` makes and returns. sources: {lesson: notebook}. empty: those with no exercise."""
    made = []
    for name, nb in sources.items():
        found = student.exercises(nb)
        made.append(
            {
                "assignment": name,
                "exercises": len(found),
                "points": sum(each["points"] for each in found),
            }
        )
        folder = course / ("source" if found else "release") / name
        folder.mkdir(parents=True)
        nbformat.write(nb, folder / f"{name}.ipynb")
    stub = student.settings()["ClearSolutions"]
    text = CONFIG.format(
        name=course_id(course), code=stub["code_stub"]["python"], text=stub["text_stub"]
    )
    (course / "nbgrader_config.py").write_text(text, encoding="utf-8")
    graded = [name for name in sources if name not in empty]
    for name in track(graded, "making the releases", "lessons"):
        release(course, name)
    return made


def release(course: Path, assignment: str) -> Path:
    """Let nbgrader make release/ASSIGNMENT/ASSIGNMENT.ipynb and its row in gradebook.db.

    Call it again after a change in source/. Returns the notebook's path. Raises ValueError with
    nbgrader's own message when nbgrader refuses.
    """
    from nbgrader.apps import NbGraderAPI
    from traitlets.config.loader import PyFileConfigLoader

    course = Path(course).resolve()
    config = PyFileConfigLoader("nbgrader_config.py", path=str(course)).load_config()
    config.CourseDirectory.root = str(course)
    config.CourseDirectory.db_url = f"sqlite:///{course / 'gradebook.db'}"
    api = NbGraderAPI(config=config)
    for log in (api.log, logging.getLogger("traitlets")):
        log.setLevel(logging.CRITICAL)
    with programs_on_path():
        result = api.generate_assignment(assignment, force=True, create=True)
    if not result["success"]:
        said = (result.get("log") or result.get("error") or "").strip().split("\n")
        raise ValueError(
            f"nbgrader could not make the release of {assignment}: {' '.join(said[-3:])}"
        )
    return course / "release" / assignment / f"{assignment}.ipynb"


@contextlib.contextmanager
def programs_on_path() -> Iterator[None]:
    """Put the programs installed beside this Python on PATH.

    nbgrader calls `alembic` by name when it makes a grade book, and in an environment that was not
    activated (.venv/bin/python -m ...) that is not on PATH.
    """
    before = os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = os.path.dirname(sys.executable) + os.pathsep + before
    try:
        yield
    finally:
        os.environ["PATH"] = before


def assignments(course: Path) -> dict[str, Path]:
    """The released notebooks of a course that have exercises, {assignment: path}.

    Raises ValueError when the folder is not a course.
    """
    return {name: path for name, path in handed_out(course).items() if _has_exercises(path)}


def _has_exercises(path: Path) -> bool:
    cells = json.loads(path.read_text(encoding="utf-8")).get("cells", [])
    own = [cell.get("metadata", {}).get("nbgrader", {}) for cell in cells]
    return any(each.get("grade") or each.get("task") for each in own)


def handed_out(course: Path) -> dict[str, Path]:
    """All released notebooks of a course, {lesson: path}. Raises ValueError as `assignments`."""
    course = Path(course)
    found = {
        path.parent.name: path
        for path in sorted(course.glob("release/*/*.ipynb"))
        if path.stem == path.parent.name
    }
    if not found:
        raise ValueError(
            f"{course} is no course: there is no release/NAME/NAME.ipynb in it. "
            f"Make one: python -m vit_classroom new {course}"
        )
    return found


def find_lessons(lessons: str, source: Path | None = None) -> list[Path]:
    """The files of the lessons with these numbers, in order.

    Raises ValueError when one is missing.
    """
    folder = Path(source) if source else Path(__file__).resolve().parents[2] / "notebooks"
    files = {
        path.name.partition("_")[0]: path for path in sorted(folder.glob("[0-9][0-9]*_*.ipynb"))
    }
    if not files:
        raise ValueError(
            f"no lessons in {folder if source else 'this installation'}: an installed package has "
            "none. Clone the repository and run this there, or give --source FOLDER, the folder "
            "with the files NN_topic.ipynb"
        )
    numbers = lesson_numbers(lessons, list(files))
    missing = [number for number in numbers if number not in files]
    if missing:
        raise ValueError(f"no lesson {', '.join(missing)}: there are {', '.join(files)}")
    return [files[number] for number in numbers]


def lesson_numbers(text: str, there: list[str]) -> list[str]:
    """ "01-03,11" -> ["01", "02", "03", "11"]: each once, in order.

    there: the numbers of the lessons that exist. The numbers have gaps between the core and the
    extras, so a range means those of its lessons that exist, and is itself wrong where none does.
    A lesson with a letter (06b) is named by itself, not in a range. Raises ValueError.
    """
    numbers = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,2})(?:([a-z])|\s*-\s*(\d{1,2}))?\s*", part)
        if not match:
            raise ValueError(f"{text!r} names no lessons: write 01-05, or 01,03, or 04")
        first, last = int(match[1]), int(match[3] or match[1])
        if last < first:
            raise ValueError(f"{part.strip()!r} runs backwards: write {last:02}-{first:02}")
        named = [f"{number:02}{match[2] or ''}" for number in range(first, last + 1)]
        numbers |= set(named) & set(there) or set(named)
    return sorted(numbers)


def course_id(course: Path) -> str:
    """A name that nbgrader takes: the folder's, letters, digits, - and _ alone."""
    return re.sub(r"[^\w-]+", "_", Path(course).resolve().name).strip("_") or "course"


def _read(path: Path):
    try:
        nb = student.prepared(nbformat.read(path, as_version=4))
        # Raises here, with the cell's name, what nbgrader would only log.
        student.without_solutions(nbformat.from_dict(nb))
        return student.prepared(nbformat.read(path, as_version=4))
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{path.name}: {error}") from None
