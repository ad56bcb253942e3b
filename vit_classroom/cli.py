"""The commands `python -m vit_classroom new | collect | grade | report`. It parses, calls and says what came out."""

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

FLAG = "--without-isolation-i-trust-every-submission"
EPILOG = """a course, from nothing to marks:
  python -m vit_classroom new mycourse --lessons 01-03
  python -m vit_classroom collect mycourse downloads/
  python -m vit_classroom grade mycourse
  python -m vit_classroom report mycourse

docs/teaching.md has the whole way on one page. Nothing leaves this machine.
"""


def parser() -> argparse.ArgumentParser:
    """The command line, with its help."""
    top = argparse.ArgumentParser(
        prog="python -m vit_classroom",
        description="Make a course from the lessons, collect submissions, grade them in isolation, and write the reports.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    steps = top.add_subparsers(dest="step", required=True, metavar="STEP")

    new = _step(steps, "new", run_new, "make an nbgrader course from the lessons")
    new.add_argument(
        "--lessons", default="01-05", help="which lessons: 01-05 (the default), 01,03 or 04"
    )
    new.add_argument(
        "--source",
        type=Path,
        metavar="DIR",
        help="folder with the lessons (default: notebooks/ of this clone)",
    )

    collect = _step(
        steps,
        "collect",
        run_collect,
        "sort a folder of submissions, as downloaded, into the course",
    )
    collect.add_argument(
        "folder",
        type=Path,
        help="the folder, or the zip file, with the submissions: any names, zip files inside",
    )
    collect.add_argument(
        "--pattern",
        default="auto",
        help="how names are read: auto (the default), moodle, canvas, folders, files, or a regular expression with (?P<student>)",
    )

    grade = _step(
        steps, "grade", run_grade, "run and grade what was collected, each submission in isolation"
    )
    grade.add_argument(
        "--student", action="append", metavar="ID", help="only this student; may be given again"
    )
    grade.add_argument(
        "--assignment",
        action="append",
        metavar="NAME",
        help="only this lesson, e.g. 01_patches; may be given again",
    )
    grade.add_argument(
        "--again", action="store_true", help="also what has a result that is up to date"
    )
    grade.add_argument(
        "--jobs", type=int, metavar="N", help="submissions at a time (default: one for each core)"
    )
    grade.add_argument(
        "--seconds",
        type=float,
        default=180,
        metavar="S",
        help="time limit for a submission (default 180)",
    )
    grade.add_argument(
        "--cell-seconds",
        type=float,
        default=20,
        metavar="S",
        help="time limit for a cell (default 20)",
    )
    grade.add_argument(
        "--memory",
        type=int,
        default=2048,
        metavar="MB",
        help="memory limit for a submission (default 2048)",
    )
    grade.add_argument(
        FLAG,
        dest="isolated",
        action="store_false",
        help="run submissions as you, with your files and your network: for code whose authors you trust",
    )

    _step(
        steps, "report", run_report, "write grades.csv, the feedback pages and the teacher's page"
    )
    return top


def main(argv: list[str] | None = None) -> int:
    """Run one step; the exit status: 0, 2 for a mistake that the message names, 130 after Ctrl-C."""
    args = parser().parse_args(argv)
    try:
        return args.run(args)
    except (ValueError, OSError) as error:
        print(f"vit_classroom: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("vit_classroom: stopped by Ctrl-C", file=sys.stderr)
        return 130


def _step(steps, name: str, run, text: str):
    step = steps.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    step.add_argument("course", type=Path, help="the course's folder")
    step.set_defaults(run=run)
    return step


def run_new(args) -> int:
    _need("nbgrader", "nbformat")
    from .course import course

    made = course.new(args.course, args.lessons, args.source)
    for each in made:
        print(f"{each['assignment']}: {each['exercises']} exercises, {each['points']:g} points")
    print(
        f"{args.course}: source/ (with solutions: keep it to yourself), release/ (for the learners), gradebook.db"
    )
    print(
        "next: hand out the notebooks in release/, or the links of the student copies; then python -m vit_classroom collect"
    )
    return 0


def run_collect(args) -> int:
    _need("nbformat", "nbgrader")
    from .collect import collect

    done = collect.collect(args.course, args.folder, args.pattern)
    for note in done.notes:
        print(note)
    taken = [entry for entry in done.entries if entry["status"] == "collected"]
    for assignment in sorted({entry["assignment"] for entry in taken}):
        print(
            f"{assignment}: {sum(entry['assignment'] == assignment for entry in taken)} submissions"
        )
    for entry in done.entries:
        if entry["status"] == "listed":
            print(f"not used: {printable(entry['original'])}: {entry['reason']}")
    students = len({entry["student"] for entry in taken})
    print(
        f"{len(done.entries)} files: {len(taken)} collected from {students} students, {len(done.entries) - len(taken)} not used"
    )
    return 0


def run_grade(args) -> int:
    _need("nbgrader", "nbformat", "IPython")
    from . import grade
    from .sandbox import execute, isolation

    if (
        args.seconds <= 0
        or args.cell_seconds <= 0
        or args.memory < 256
        or (args.jobs is not None and args.jobs < 1)
    ):
        raise ValueError(
            "the limits are too small: --seconds and --cell-seconds above 0, --memory at least 256, --jobs at least 1"
        )
    limits = isolation.Limits(seconds=args.seconds, memory=args.memory << 20)
    settings = execute.Settings(limits=limits, cell_seconds=args.cell_seconds)
    try:
        done = grade.grade(
            args.course,
            args.student,
            args.assignment,
            args.jobs,
            args.again,
            args.isolated,
            settings,
        )
    except isolation.NotIsolatedError as error:
        raise ValueError(str(error)) from None
    print(f"next: python -m vit_classroom report {args.course}")
    return 130 if done["interrupted"] else 0


def run_report(args) -> int:
    _need("jinja2")
    from .report import report

    made = report.report(args.course)
    print(", ".join(f"{count} {status}" for status, count in made.counts.items()))
    print(f"{made.grades}\n{made.exercises}\n{made.teacher}")
    print(f"{len(made.pages)} pages of feedback in {args.course / 'feedback_pages'}")
    return 0


def printable(text: str) -> str:
    """A file's name for a terminal: nothing in it moves the cursor."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _need(*modules: str) -> None:
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise ValueError(
            f"{', '.join(missing)} is not installed: in a clone, run python -m pip install -e '.[classroom]'"
        )
