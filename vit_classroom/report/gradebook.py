"""Put a graded notebook through `nbgrader autograde` without executing it.

nbgrader's own tools can continue from there.
"""

import contextlib
import logging
import re
import shutil
import tempfile
import warnings
from pathlib import Path


def forget(course: Path, student: str, assignment: str) -> None:
    """Take a submission out of autograded/ and gradebook.db: what was graded before is no longer
    what was handed in, and the grade book must not say otherwise than the results."""
    folder = Path(course) / "autograded" / student / assignment
    if not folder.is_dir():
        return  # nothing was recorded
    from nbgrader.api import Gradebook, MissingEntry

    with Gradebook(f"sqlite:///{Path(course).resolve() / 'gradebook.db'}") as book:
        with contextlib.suppress(MissingEntry):
            book.remove_submission(assignment, student)
    shutil.rmtree(folder)


def record(course: Path, student: str, assignment: str, notebook: Path) -> str | None:
    """Write autograded/STUDENT/ASSIGNMENT and the scores in gradebook.db.

    notebook: the path of one with the judge's outputs. Returns None, or nbgrader's message when it
    fails. Make one call at a time: the grade book is one SQLite file.
    """
    from nbgrader.apps import NbGraderAPI
    from traitlets.config.loader import PyFileConfigLoader

    course = Path(course).resolve()
    config = PyFileConfigLoader("nbgrader_config.py", path=str(course)).load_config()
    # nbgrader takes it from a folder of its own: submitted/ keeps the file as it was received.
    with tempfile.TemporaryDirectory(prefix="classroom-nbgrader-") as submitted:
        folder = Path(submitted) / student / assignment
        folder.mkdir(parents=True)
        shutil.copyfile(notebook, folder / f"{assignment}.ipynb")
        received = course / "submitted" / student / assignment / "timestamp.txt"
        if received.is_file() and not received.is_symlink():
            shutil.copyfile(received, folder / "timestamp.txt")
        config.CourseDirectory.root = str(course)
        config.CourseDirectory.db_url = f"sqlite:///{course / 'gradebook.db'}"
        config.CourseDirectory.submitted_directory = submitted
        config.CourseDirectory.directory_structure = "{nbgrader_step}/{student_id}/{assignment_id}"
        # Everything but the steps that clear outputs and that execute.
        clean = ["DeduplicateIds", "OverwriteKernelspec", "OverwriteCells", "CheckCellMetadata"]
        config.Autograde.sanitize_preprocessors = [
            f"nbgrader.preprocessors.{name}" for name in clean
        ]
        grade = ["LimitOutput", "SaveAutoGrades", "AssignLatePenalties", "CheckCellMetadata"]
        config.Autograde.autograde_preprocessors = [
            f"nbgrader.preprocessors.{name}" for name in grade
        ]
        try:
            api = NbGraderAPI(config=config)
            for log in (api.log, logging.getLogger("traitlets")):
                log.setLevel(logging.CRITICAL + 1)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # SQLAlchemy's, about the inside of nbgrader
                result = api.autograde(assignment, student, force=True, create=True)
        except Exception as error:  # one notebook that nbgrader refuses must not stop the others
            return f"{type(error).__name__}: {error}"[:400]
    if result["success"]:
        return None
    said = " ".join(
        (result.get("error") or result.get("log") or "no reason given").strip().split("\n")[-3:]
    )
    return re.sub(r"\s+", " ", said)[-400:]
