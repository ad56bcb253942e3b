"""Grade a course: repair each submission, run it in a sandbox, judge outside, write results/ and nbgrader's grade book."""

import json
import os
import secrets
import threading
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path

import nbformat

from vit_tutorial import checks
from vit_tutorial.checks import Verdict

from .course import plan
from .repair.repair import repair
from .report import gradebook
from .sandbox import isolation, wire
from .sandbox.execute import GradingInterruptedError, Seen, Settings, attempt

MOST_BYTES = 50_000_000


def grade(
    course: Path,
    students: Sequence[str] | None = None,
    assignments: Sequence[str] | None = None,
    jobs: int | None = None,
    again: bool = False,
    isolated: bool = True,
    settings: Settings | None = None,
    progress: bool = True,
) -> dict:
    """Grade what lies in COURSE/submitted; write COURSE/results/STUDENT/ASSIGNMENT.json and .ipynb, and the grade book.

    students, assignments: only these. jobs: sandboxes at one time, without it one for each core. again: also those with a result
    newer than the submission and the release. isolated=False: see isolation.FLAG. Returns {"graded", "not graded", "kept",
    "seconds", "per_minute", "interrupted", "line"}; the line is also printed. Raises ValueError when the folder is no course or a
    name is unknown, isolation.NotIsolatedError where there is no isolation. Ctrl-C ends it; what is done stays, the next call goes on.
    """
    course = Path(
        course
    ).resolve()  # nbgrader changes the working directory while other threads write
    found = submissions(course, students, assignments)
    if isolated:
        isolation.probe()
    todo = [each for each in found if again or not _is_done(course, *each)]
    grader = Grader(course, replace(settings or Settings(), isolated=isolated, hidden=(course,)))
    jobs = jobs or (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    start, status, interrupted = time.monotonic(), [], False
    pool = ThreadPoolExecutor(max(1, jobs))
    bar = _bar(len(todo), progress)
    waiting = {pool.submit(grader.one, *each) for each in todo}
    try:
        while waiting:
            done, waiting = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
            for future in done:
                status.append(future.result())
                bar.update()
    except KeyboardInterrupt:
        interrupted = True
        grader.stopped.set()
    finally:
        grader.stopped.set()
        pool.shutdown(wait=True, cancel_futures=True)
        bar.close()
    seconds = time.monotonic() - start
    return _summary(status, len(found) - len(todo), len(todo), seconds, interrupted, jobs)


def submissions(course: Path, students=None, assignments=None) -> list[tuple[str, str]]:
    """(student, assignment) of every submission, in order. Raises ValueError for an unknown student or assignment."""
    from .course.course import assignments as released

    names = released(course)
    for wanted in assignments or []:
        if wanted not in names:
            raise ValueError(f"no assignment {wanted!r} in {course}: there are {', '.join(names)}")
    folder = Path(course) / "submitted"
    there = (
        sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    )
    for wanted in students or []:
        if wanted not in there:
            raise ValueError(
                f"no student {wanted!r} in {folder}: {len(there)} students handed something in"
            )
    found = [
        (student, name) for student in there for name in names if (folder / student / name).is_dir()
    ]
    return [
        (s, a)
        for s, a in found
        if (not students or s in students) and (not assignments or a in assignments)
    ]


class Grader:
    """What the submissions of one call share: the course's notebooks, a secret seed for each check, and the locks."""

    def __init__(self, course: Path, settings: Settings):
        self.course, self.stopped = course, threading.Event()
        self.settings = replace(settings, asked_to_stop=self.stopped.is_set)
        self.secret = secrets.randbelow(2**62)  # no learner can know the cases
        self.notebooks: dict[str, tuple] = {}
        self.cases: dict[str, bytes] = {}
        # Reading takes turns since ast.parse in two threads at once is a SystemError now and then (gh-106905, seen with 3.11.7).
        self.reading, self.judging, self.recording = (
            threading.Lock(),
            threading.Lock(),
            threading.Lock(),
        )

    def one(self, student: str, assignment: str) -> str:
        """Grade one submission; "graded", "not graded" or "interrupted". Never raises: a fault of ours is a reason too."""
        start = time.monotonic()
        row = {
            "student": student,
            "assignment": assignment,
            "status": "not graded",
            "reason": None,
            "repairs": [],
        }
        row |= {"seconds": 0.0, "events": [], "exercises": []}
        notebook = None
        if self.stopped.is_set():
            return "interrupted"
        try:
            notebook = self._grade(row, student, assignment)
        except GradingInterruptedError:
            return "interrupted"
        except Exception as error:
            row |= {"status": "not graded", "exercises": []}
            row["reason"] = f"It could not be graded: {type(error).__name__}: {error}"[:500]
        target = self.course / "results" / student / f"{assignment}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        result = target.with_suffix(".ipynb")
        result.unlink(missing_ok=True)
        if notebook is not None:
            _write(result, nbformat.writes(notebook))
            with self.recording:
                try:
                    problem = gradebook.record(self.course, student, assignment, result)
                except Exception as error:  # the result stands, whatever nbgrader makes of it
                    problem = f"{type(error).__name__}: {error}"[:300]
            if problem:
                row["events"].append(f"nbgrader could not take the result: {problem}")
        row["seconds"] = round(time.monotonic() - start, 2)
        _write(
            target, json.dumps(row, indent=1, ensure_ascii=False)
        )  # last: the others are there when it is
        return row["status"]

    def _grade(self, row: dict, student: str, assignment: str):
        """Fill the row; the notebook with outputs, or None."""
        folder = self.course / "submitted" / student / assignment
        path = folder / f"{assignment}.ipynb"
        if not path.is_file() or path.is_symlink():
            row["reason"] = f"There is no file {assignment}.ipynb."
            return None
        size = path.stat().st_size
        if size > MOST_BYTES:
            row["reason"] = (
                f"The file has {size / 1e6:.0f} MB; at most {MOST_BYTES / 1e6:.0f} MB are read."
            )
            return None
        with self.reading:
            source, release = self._course(assignment)
            repaired = repair(release, path.read_bytes())
            row["repairs"] = list(repaired.notes)
            if repaired.notebook is None:
                row["reason"] = repaired.reason or "It could not be repaired."
                return None
            todo = plan.make(source, release, repaired.notebook)
        seen = attempt(todo, {name: self._cases(name) for name in todo.checks}, self.settings)
        row["events"] = seen.events
        row["exercises"] = [self._exercise(each, todo, seen) for each in todo.exercises]
        row["status"] = "graded"
        return with_outputs(todo, seen, row["exercises"])

    def _exercise(self, each: dict, todo: plan.Plan, seen: Seen) -> dict:
        """The result of one exercise."""
        row = {name: each[name] for name in ("grade_id", "title", "points")}
        number = each.get("cell")
        if number not in todo.pieces:  # a written answer
            return row | {
                "score": None,
                "passed": None,
                "mistake": None,
                "judged": "by hand",
                "message": "Your teacher marks it.",
            }
        pieces = todo.pieces[number]
        verdicts = [
            self._verdict((number, i), piece, seen)
            for i, piece in enumerate(pieces)
            if piece.kind != "neutral"
        ]
        failed = next((verdict for verdict in verdicts if not verdict.passed), None)
        judged = "inside" if any(piece.kind == "inside" for piece in pieces) else "outside"
        message = (
            failed.message if failed else "\n".join(dict.fromkeys(v.message for v in verdicts))
        )
        mistake = failed.mistake if failed else None
        score = 0 if failed else each["points"]
        return row | {
            "score": score,
            "passed": failed is None,
            "mistake": mistake,
            "judged": judged,
            "message": message,
        }

    def _verdict(self, key: tuple, piece: plan.Piece, seen: Seen) -> Verdict:
        problem = seen.problems.get(key)
        what = piece.check or "The check"
        if piece.kind == "inside" and piece.hidden:
            passed = seen.passed.get(key, False)
            return Verdict(
                passed,
                None,
                "The hidden tests passed." if passed else "A hidden test of this exercise failed.",
            )
        if piece.kind == "inside":
            if seen.passed.get(key):
                return Verdict(True, None, "The check passed.")
            return Verdict(False, None, f"The check failed. {problem or 'It was not reached.'}")
        if key not in seen.observed:
            return Verdict(False, None, f"{what}: {_missing(piece, problem)}")
        with self.judging:
            verdict = wire.judge(piece.check, self._seed(piece.check), seen.observed[key])
        if piece.hidden and not verdict.passed:
            return Verdict(False, verdict.mistake, "A hidden test of this exercise failed.")
        return verdict

    def _course(self, assignment: str) -> tuple:
        """The course's own (source, release) of an assignment."""
        if assignment not in self.notebooks:
            read = [
                self.course / kind / assignment / f"{assignment}.ipynb"
                for kind in ("source", "release")
            ]
            self.notebooks[assignment] = tuple(nbformat.read(path, as_version=4) for path in read)
        return self.notebooks[assignment]

    def _seed(self, check: str) -> int:
        return (self.secret + sorted(checks.names()).index(check)) % 2**62

    def _cases(self, check: str) -> bytes:
        """The cases of a check, packed."""
        with self.judging:
            if check not in self.cases:
                self.cases[check] = wire.draw_cases(check, self._seed(check))
            return self.cases[check]


def with_outputs(todo: plan.Plan, seen: Seen, exercises: list[dict]):
    """The repaired notebook with what its cells gave; the outputs of check cells are the judge's, as nbgrader reads them."""
    nb = nbformat.from_dict(todo.notebook)
    graded = {
        each["cell"]: row
        for each, row in zip(todo.exercises, exercises)
        if each.get("cell") in todo.pieces
    }
    count = 0
    for number, cell in enumerate(nb.cells):
        if cell.cell_type != "code":
            continue
        outputs = seen.outputs.get(number, [])
        if number in graded:
            row = graded[number]
            if row["passed"]:
                outputs = [
                    {"output_type": "stream", "name": "stdout", "text": row["message"] + "\n"}
                ]
            else:
                text = f"CheckFailed in {row['message']}"
                outputs = [
                    {
                        "output_type": "error",
                        "ename": "CheckFailed",
                        "evalue": row["message"],
                        "traceback": [text],
                    }
                ]
        count += bool(outputs)
        cell.outputs = [nbformat.from_dict(output) for output in outputs]
        cell.execution_count = count if outputs else None
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = cell.execution_count
    return nb


def _missing(piece: plan.Piece, problem: str | None) -> str:
    """Why there is nothing to judge, for the learner."""
    if problem is None:
        return "your function could not be tried, because the notebook had ended before."
    if problem.startswith("NameError"):
        return f"`{piece.expression}` is not there: its cell is missing, or stopped with an error. {problem}"
    if problem.startswith("ended: "):
        return f"your function ended the run. {problem.removeprefix('ended: ')}."
    return f"your function could not be tried. {problem}"


def _is_done(course: Path, student: str, assignment: str) -> bool:
    try:
        result = (course / "results" / student / f"{assignment}.json").stat().st_mtime
        names = [
            f"{kind}/{assignment}/{assignment}.ipynb"
            for kind in ("source", "release", f"submitted/{student}")
        ]
        return all(
            not (course / name).exists() or (course / name).stat().st_mtime < result
            for name in names
        )
    except OSError:
        return False


def _write(path: Path, text: str) -> None:
    """Write whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8", errors="replace")
    os.replace(part, path)


def _bar(total: int, show: bool):
    from tqdm import tqdm

    return tqdm(total=total, unit="submission", desc="grading", disable=not show or not total)


def _summary(
    status: list[str], kept: int, todo: int, seconds: float, interrupted: bool, jobs: int
) -> dict:
    graded, failed = status.count("graded"), status.count("not graded")
    rate = (graded + failed) / seconds * 60 if seconds > 0 else 0.0
    line = f"{graded} graded, {failed} not graded, {kept} had a result already; {seconds:.0f} s"
    line += f" with {jobs} at a time, {rate:.0f} submissions a minute" if graded + failed else ""
    if interrupted:
        line += f". GradingInterruptedError: {todo - graded - failed} are left, the same command goes on with them"
    print(line)
    return {
        "graded": graded,
        "not graded": failed,
        "kept": kept,
        "seconds": seconds,
        "per_minute": rate,
        "interrupted": interrupted,
        "line": line,
    }
