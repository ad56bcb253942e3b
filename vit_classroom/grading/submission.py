"""Grade one submission of a course, and write its result."""

import contextlib
import json
import threading
import time
from dataclasses import replace
from pathlib import Path

from ..files import write_bytes, write_text
from ..report import gradebook
from ..sandbox.execute import (
    GradingInterruptedError,
    MachineShortError,
    Settings,
    execute,
)
from .desk import Desk, NotReadError

MOST_BYTES = 50_000_000


class Grader:
    """What the submissions of one call share: the sandboxes and the locks. Close it."""

    def __init__(self, course: Path, settings: Settings, assignments: list[str], jobs: int):
        self.course, self.stopped = course, threading.Event()
        self.settings = replace(settings, asked_to_stop=self.stopped.is_set)
        self.desk = Desk(course, assignments, self.settings)
        # nbgrader's grade book is one SQLite file.
        self.recording = threading.Lock()
        # A submission that was stopped for the machine's sake runs again when no other runs.
        self.room = Room(jobs)

    def close(self) -> None:
        self.desk.close()

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
            try:
                with self.room.one():
                    notebook = self._grade(row)
            except MachineShortError:
                with self.room.alone():
                    notebook = self._grade(row)
        except GradingInterruptedError:
            return "interrupted"
        except MachineShortError:
            row |= {"status": "not graded", "exercises": []}
            row["reason"] = (
                "This machine had too little memory left to run it, also alone. That is not the "
                "learner's doing: close other programs, and grade it again."
            )
        except Exception as error:
            row |= {"status": "not graded", "exercises": []}
            row["reason"] = f"It could not be graded: {type(error).__name__}: {error}"[:500]
        target = self.course / "results" / student / f"{assignment}.json"
        result = target.with_suffix(".ipynb")
        result.unlink(missing_ok=True)
        if notebook:
            write_bytes(result, notebook)
            problem = self._record(student, assignment, result)
            if problem:
                row["events"].append(f"nbgrader could not take the result: {problem}")
        else:
            self._forget(student, assignment)
        row["seconds"] = round(time.monotonic() - start, 2)
        # Last, because a result with a .json is complete.
        write_text(target, json.dumps(row, indent=1, ensure_ascii=False))
        return row["status"]

    def _grade(self, row: dict) -> bytes | None:
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
        try:
            read, todo, made = self.desk.plan(assignment, path)
        except NotReadError as error:
            row["reason"] = f"The file cannot be read: {error}."
            return None
        row["repairs"] = list(read["repairs"])
        if todo is None:
            row["reason"] = read["reason"] or "It could not be repaired."
            return None
        cases = {check: self.desk.cases_of(check) for check in todo.checks}
        end = time.monotonic() + self.settings.limits.seconds
        raw = execute(self.desk.run, todo.selected, cases, self.settings, end)
        row["status"] = "graded"
        try:
            found, notebook = self.desk.assess(assignment, made, raw, everything=False)
            if names := found.get("missing"):
                longer = replace(self.settings, cell_seconds=self.settings.cell_seconds * 3)
                raw = execute(self.desk.run, todo.everything, cases, longer, end)
                found, notebook = self.desk.assess(assignment, made, raw, everything=True)
                event = "run with every cell of the lesson, because an answer uses "
                found["events"].insert(0, event + ", ".join(names[:5]))
        except NotReadError as error:
            message = f"What came out of the notebook's run cannot be read: {error}."
            row["events"] = [message]
            row["exercises"] = [_nothing(each, message) for each in todo.exercises]
            return None
        row["repairs"] += found["repairs"]
        row |= {name: found[name] for name in ("events", "exercises")}
        return notebook

    def _forget(self, student: str, assignment: str) -> None:
        """An earlier mark must not stay in the grade book when this file has none."""
        with self.recording, contextlib.suppress(Exception):  # the result stands in any case
            gradebook.forget(self.course, student, assignment)

    def _record(self, student: str, assignment: str, notebook: Path) -> str | None:
        """Put the result into nbgrader's grade book. Returns what went wrong, or None."""
        with self.recording:
            try:
                return gradebook.record(self.course, student, assignment, notebook)
            except Exception as error:  # the result stands, whatever nbgrader makes of it
                return f"{type(error).__name__}: {error}"[:300]


class Room:
    """Lets several submissions run at one time, or one alone."""

    def __init__(self, places: int):
        self.places, self.free = places, places
        self.changed, self.waiting_alone = threading.Condition(), threading.Lock()

    def one(self) -> "_Taken":
        return _Taken(self, 1)

    def alone(self) -> "_Taken":
        return _Taken(self, self.places)


class _Taken:
    """While it is entered, so many places are taken."""

    def __init__(self, room: Room, number: int):
        self.room, self.number = room, number

    def __enter__(self) -> None:
        # Whoever waits for all places is not overtaken by those who need one.
        with self.room.waiting_alone, self.room.changed:
            self.room.changed.wait_for(lambda: self.room.free >= self.number)
            self.room.free -= self.number

    def __exit__(self, *error) -> None:
        with self.room.changed:
            self.room.free += self.number
            self.room.changed.notify_all()


def _nothing(exercise: dict, message: str) -> dict:
    """The row of an exercise about which nothing can be known."""
    row = {name: exercise[name] for name in ("grade_id", "title", "points")}
    by_hand = "cell" not in exercise
    return row | {
        "score": None if by_hand else 0,
        "passed": None if by_hand else False,
        "mistake": None,
        "judged": "by hand" if by_hand else "outside",
        "message": "Your teacher marks it." if by_hand else message,
    }
