"""Grade a course: every submission in a sandbox of its own, several at a time."""

import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from .course.course import assignments as released_assignments
from .grading.submission import Grader
from .sandbox import isolation
from .sandbox.execute import Settings
from .sandbox.processes import cores


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
    """Grade what is in COURSE/submitted.

    Writes COURSE/results/STUDENT/ASSIGNMENT.json and .ipynb, and the grade book.

    students, assignments: only these. jobs: sandboxes at one time, without it one for each core.
    again: also submissions whose result is newer than the submission and the release. isolated=
    False: run them without isolation, see isolation.advice. progress: show a progress bar.

    Returns {"graded", "not graded", "kept", "seconds", "per_minute", "interrupted", "line"}, and
    prints the line. Ctrl-C ends it and keeps what is done; the next call continues there. Raises
    ValueError when the folder is no course or a name is unknown, isolation.NotIsolatedError where
    there is no isolation.
    """
    # Absolute, because nbgrader changes the working directory while other threads write.
    course = Path(course).resolve()
    found = submissions(course, students, assignments)
    todo = [each for each in found if again or not _is_done(course, *each)]
    jobs = max(1, jobs or cores())
    if isolated:
        for text in isolation.missing_promises():
            print(text)
    settings = replace(settings or Settings(), isolated=isolated, hidden=(course,))
    names = sorted({assignment for _, assignment in todo})
    start, status, interrupted = time.monotonic(), [], False
    grader = Grader(course, settings, names, jobs)
    pool = ThreadPoolExecutor(jobs)
    hide = not progress or not todo
    bar = tqdm(total=len(todo), unit="submission", desc="grading", disable=hide)
    waiting = {pool.submit(grader.grade, *each) for each in todo}
    try:
        while waiting:
            done, waiting = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
            for future in done:
                status.append(future.result())
                bar.update()
    except KeyboardInterrupt:
        interrupted = True
    finally:
        grader.stopped.set()
        pool.shutdown(wait=True, cancel_futures=True)
        grader.close()
        bar.close()
    told = {
        "graded": status.count("graded"),
        "not graded": status.count("not graded"),
        "kept": len(found) - len(todo),
        "seconds": time.monotonic() - start,
        "interrupted": interrupted,
    }
    told["per_minute"] = 60 * (told["graded"] + told["not graded"]) / max(told["seconds"], 1e-9)
    told["line"] = _line(told, len(todo), jobs)
    print(told["line"])
    return told


def submissions(
    course: Path, students: Sequence[str] | None = None, assignments: Sequence[str] | None = None
) -> list[tuple[str, str]]:
    """(student, assignment) of every submission, in order.

    students, assignments: only these. Raises ValueError when one of them is unknown.
    """
    names = released_assignments(course)
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
                f"no student {wanted!r} in {folder}: it holds submissions of {len(there)} students"
            )
    return [
        (student, name)
        for student in there
        for name in names
        if (folder / student / name).is_dir()
        and (not students or student in students)
        and (not assignments or name in assignments)
    ]


def _is_done(course: Path, student: str, assignment: str) -> bool:
    """The result is newer than the submission and the course's notebooks."""
    kinds = ("source", "release", f"submitted/{student}")
    inputs = [course / kind / assignment / f"{assignment}.ipynb" for kind in kinds]
    try:
        result = (course / "results" / student / f"{assignment}.json").stat().st_mtime
        return all(path.stat().st_mtime < result for path in inputs if path.exists())
    except OSError:
        return False


def _line(told: dict, todo: int, jobs: int) -> str:
    """The summary of a call, for people."""
    graded, failed = told["graded"], told["not graded"]
    line = f"{graded} graded, {failed} not graded, {told['kept']} had a result already; "
    line += f"{told['seconds']:.0f} s"
    if graded + failed:
        line += f" with {jobs} at a time, {told['per_minute']:.0f} submissions a minute"
    if told["interrupted"]:
        left = todo - graded - failed
        line += f". Interrupted: {left} are left, and the same command continues with them"
    return line
