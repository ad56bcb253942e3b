"""Grade one submission of a course, and write its result."""

import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import nbformat

from ..course import plan
from ..files import write_text
from ..repair.matching import Release
from ..repair.repair import repair
from ..report import gradebook
from ..sandbox.execute import GradingInterruptedError, Settings, execute
from .outputs import notebook_with_outputs
from .verdict import Judge, grade_exercise

MOST_BYTES = 50_000_000


class Grader:
    """What the submissions of one call share: the course's notebooks, the judge, and the locks."""

    def __init__(self, course: Path, settings: Settings):
        self.course, self.stopped = course, threading.Event()
        self.settings = replace(settings, asked_to_stop=self.stopped.is_set)
        self.judge = Judge()
        self.assignments: dict[str, tuple[plan.Assignment, Release]] = {}
        # ast.parse in two threads at once is a SystemError now and then (CPython issue 106905, seen
        # with 3.11.7), so submissions are read one at a time.
        self.reading = threading.Lock()
        # nbgrader's grade book is one SQLite file.
        self.recording = threading.Lock()

    def grade(self, student: str, assignment: str) -> str:
        """Grade one submission: "graded", "not graded" or "interrupted".

        Writes COURSE/results/STUDENT/ASSIGNMENT.json and .ipynb, and the grade book. Never raises:
        an error in our own code becomes the reason why the submission was not graded.
        """
        start = time.monotonic()
        row = {
            "student": student,
            "assignment": assignment,
            "status": "not graded",
            "reason": None,
            "repairs": [],
            "seconds": 0.0,
            "events": [],
            "exercises": [],
        }
        notebook = None
        if self.stopped.is_set():
            return "interrupted"
        try:
            notebook = self._grade(row)
        except GradingInterruptedError:
            return "interrupted"
        except Exception as error:
            row |= {"status": "not graded", "exercises": []}
            row["reason"] = f"It could not be graded: {type(error).__name__}: {error}"[:500]
        target = self.course / "results" / student / f"{assignment}.json"
        result = target.with_suffix(".ipynb")
        result.unlink(missing_ok=True)
        if notebook is not None:
            write_text(result, nbformat.writes(notebook))
            problem = self._record(student, assignment, result)
            if problem:
                row["events"].append(f"nbgrader could not take the result: {problem}")
        row["seconds"] = round(time.monotonic() - start, 2)
        # Last, because a result with a .json is complete.
        write_text(target, json.dumps(row, indent=1, ensure_ascii=False))
        return row["status"]

    def _grade(self, row: dict):
        """Fill in the row. Returns the notebook with outputs, or None."""
        student, assignment = row["student"], row["assignment"]
        path = self.course / "submitted" / student / assignment / f"{assignment}.ipynb"
        if not path.is_file() or path.is_symlink():
            row["reason"] = f"There is no file {assignment}.ipynb."
            return None
        size = path.stat().st_size
        if size > MOST_BYTES:
            most = f"{MOST_BYTES / 1e6:.0f} MB"
            row["reason"] = f"The file has {size / 1e6:.0f} MB; at most {most} are read."
            return None
        with self.reading:
            own, release = self._assignment(assignment)
            repaired = repair(release, path.read_bytes())
            row["repairs"] = list(repaired.notes)
            if repaired.notebook is None:
                row["reason"] = repaired.reason or "It could not be repaired."
                return None
            todo = plan.make_plan(own, repaired.notebook)
        cases = {check: self.judge.cases_of(check) for check in todo.checks}
        result = execute(todo, cases, self.settings)
        row["events"] = result.events
        row["exercises"] = [
            grade_exercise(each, todo, result, self.judge) for each in todo.exercises
        ]
        row["status"] = "graded"
        return notebook_with_outputs(todo, result, row["exercises"])

    def _assignment(self, name: str) -> tuple[plan.Assignment, Release]:
        """What is known of an assignment from the course's own notebooks."""
        if name not in self.assignments:
            source, release = (
                nbformat.read(self.course / kind / name / f"{name}.ipynb", as_version=4)
                for kind in ("source", "release")
            )
            self.assignments[name] = plan.Assignment(source, release), Release(release)
        return self.assignments[name]

    def _record(self, student: str, assignment: str, notebook: Path) -> str | None:
        """Put the result into nbgrader's grade book. Returns what went wrong, or None."""
        with self.recording:
            try:
                return gradebook.record(self.course, student, assignment, notebook)
            except Exception as error:  # the result stands, whatever nbgrader makes of it
                return f"{type(error).__name__}: {error}"[:300]
