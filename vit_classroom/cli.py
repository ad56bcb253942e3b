"""The commands `python -m vit_classroom new | collect | grade | report`.

They parse their arguments, call the package, and print what came out. What is slow to import, or
installed by an extra alone, is imported by the command that needs it, so that --help is fast.
"""

import argparse
import sys
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

from .sandbox import NO_ISOLATION_FLAG

EPILOG = """a course, from nothing to marks:
  python -m vit_classroom new mycourse --lessons 01-03
  python -m vit_classroom collect mycourse downloads/
  python -m vit_classroom grade mycourse
  python -m vit_classroom report mycourse

docs/teaching.md explains every step on one page. Nothing leaves this machine.
"""
NEW = """Make an nbgrader course from the lessons: source/ with the solutions, for you, and release/
without them, for the learners."""
COLLECT = """Copy submissions, as downloaded from a school's system, into the course. Zip files are
opened. A file's content tells which lesson it is; its path, or the roster, tells whose it is.
collected.json lists every file."""
GRADE = """Run and grade the collected submissions, each in a sandbox of its own, without a network
or other files. Submissions with an up-to-date result are skipped. After Ctrl-C, the same command
continues where it stopped."""
REPORT = """Write the marks (grades.csv, grades_by_exercise.csv, grades_by_student.csv, and
grades_for_moodle.csv and grades_for_canvas.csv, which these systems import), a page of feedback for
each learner (feedback_pages/), and report.html for you. No submission is run."""


def parser() -> argparse.ArgumentParser:
    """The command line, with its help."""
    top = argparse.ArgumentParser(
        prog="python -m vit_classroom",
        description="Teach a class with the lessons: make a course, collect submissions,\n"
        "grade them in isolation, and write the reports.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    new = _add(commands, "new", run_new, "make an nbgrader course from the lessons", NEW)
    new.add_argument(
        "--lessons",
        default="01-05",
        metavar="NUMBERS",
        help="lessons as a range or a list: 01-05, 01,03 or 04 (default: %(default)s)",
    )
    new.add_argument(
        "--source",
        type=given_path,
        metavar="DIR",
        help="folder with the lessons (default: notebooks/ of this clone)",
    )

    collect = _add(commands, "collect", run_collect, "copy submissions into the course", COLLECT)
    collect.add_argument(
        "folder", type=given_path, metavar="SUBMISSIONS", help="the downloaded folder or zip file"
    )
    collect.add_argument(
        "--pattern",
        default="auto",
        help="how paths name students: moodle, canvas, blackboard, brightspace, ilias, sakai, "
        "teams, google, nbgrader, folders, files, or a regular expression with a group "
        "(?P<student>...); auto chooses the one that fits (default: %(default)s)",
    )
    collect.add_argument(
        "--roster",
        type=given_path,
        metavar="FILE",
        help="the class as a CSV file with names, numbers or email addresses, such as your system "
        "exports; it settles who is who, and the course keeps it for the next time",
    )
    collect.add_argument(
        "--until",
        type=moment,
        metavar="TIME",
        help='the deadline, such as "2026-03-01 23:59" or 2026-03-01: the newest file that '
        "came in by then counts; if all are later, the newest counts and is marked as late",
    )

    grade = _add(commands, "grade", run_grade, "run and grade what was collected", GRADE)
    grade.add_argument(
        "--student", action="append", metavar="ID", help="only this student; may be repeated"
    )
    grade.add_argument(
        "--assignment",
        action="append",
        metavar="NAME",
        help="only this lesson, such as 01_patches; may be repeated",
    )
    grade.add_argument(
        "--again", action="store_true", help="also grade submissions with an up-to-date result"
    )
    grade.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="submissions graded at a time (default: one for each core)",
    )
    grade.add_argument(
        "--seconds",
        type=float,
        default=180,
        metavar="S",
        help="time limit of a submission (default: %(default)s)",
    )
    grade.add_argument(
        "--cell-seconds",
        type=float,
        default=20,
        metavar="S",
        help="time limit of a cell (default: %(default)s)",
    )
    grade.add_argument(
        "--memory",
        type=int,
        default=2048,
        metavar="MB",
        help="memory limit of a submission (default: %(default)s)",
    )
    grade.add_argument(
        NO_ISOLATION_FLAG,
        dest="isolated",
        action="store_false",
        help="run submissions as you, with your files and your network, if you trust their authors",
    )

    report = _add(commands, "report", run_report, "write the tables and pages of marks", REPORT)
    report.add_argument(
        "--similar",
        action="store_true",
        help="also list pairs of answers that are nearly the same (similar.csv): a hint, worked "
        "out on this machine",
    )
    return top


def main(argv: list[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0, 2 after an error, 130 after Ctrl-C."""
    args = parser().parse_args(argv)
    # jsonschema (through nbformat) would use it to check addresses in schemas, which nothing here
    # does, and where it is installed, as with JupyterLab, it takes 3 s to load.
    sys.modules.setdefault("rfc3987_syntax", None)
    try:
        return args.run(args)
    except (ValueError, OSError) as error:
        print(f"vit_classroom: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("vit_classroom: stopped by Ctrl-C", file=sys.stderr)
        return 130


def run_new(args: argparse.Namespace) -> int:
    _require("nbgrader", "nbformat")
    from .course import course

    made = course.new(args.course, args.lessons, args.source)
    for each in made:
        about = f"{each['exercises']} exercises, {each['points']:g} points"
        print(
            f"{each['assignment']}: {about if each['exercises'] else 'to read; nothing to grade'}"
        )
    print(f"{args.course}/source has the solutions: keep this folder to yourself")
    print(f"{args.course}/release is for the learners: hand out its notebooks, or the links to")
    print("the student copies")
    print(f"next: python -m vit_classroom collect {args.course} SUBMISSIONS")
    return 0


def run_collect(args: argparse.Namespace) -> int:
    _require("nbformat", "nbgrader")
    from .collect import collect

    done = collect.collect(args.course, args.folder, args.pattern, args.roster, args.until)
    for note in done.notes:
        print(printable(note))
    taken = [entry for entry in done.entries if entry["status"] == "collected"]
    for assignment in sorted({entry["assignment"] for entry in taken}):
        number = sum(entry["assignment"] == assignment for entry in taken)
        print(f"{assignment}: {number} submissions")
    for entry in done.entries:
        if entry["status"] == "listed":
            print(f"not used: {printable(entry['original'])}: {entry['reason']}")
    late = sum(bool(entry["late"]) for entry in taken)
    if late:
        print(f"late: {late} of them; grades.csv and report.html say by how much")
    students = len({entry["student"] for entry in taken})
    print(
        f"{len(done.entries)} files: {len(taken)} collected from {students} students, "
        f"{len(done.entries) - len(taken)} not used"
    )
    print(f"next: python -m vit_classroom grade {args.course}")
    return 0


def run_grade(args: argparse.Namespace) -> int:
    _require("nbgrader", "nbformat", "IPython", "psutil")
    from .grade import grade
    from .sandbox.execute import Settings
    from .sandbox.isolation import NotIsolatedError
    from .sandbox.watcher import Limits

    _require_limits(args)
    limits = Limits(seconds=args.seconds, memory=args.memory << 20)
    settings = Settings(limits=limits, cell_seconds=args.cell_seconds)
    chosen = (args.student, args.assignment, args.jobs, args.again)
    try:
        done = grade(args.course, *chosen, args.isolated, settings)
    except NotIsolatedError as error:
        raise ValueError(str(error)) from None
    print(f"next: python -m vit_classroom report {args.course}")
    return 130 if done["interrupted"] else 0


def run_report(args: argparse.Namespace) -> int:
    _require("jinja2", "matplotlib")
    from .report import report

    made = report.report(args.course, args.similar)
    print(", ".join(f"{count} {status}" for status, count in made.counts.items()))
    for path in (made.grades, made.exercises, *made.school):
        print(path)
    if made.similar is not None:
        print(
            f"{args.course / 'similar.csv'}: {len(made.similar)} pairs of nearly identical answers"
        )
    print(made.teacher)
    print(f"{len(made.pages)} pages of feedback in {args.course / 'feedback_pages'}")
    return 0


def moment(text: str) -> datetime:
    """The argument of --until: a date alone means the end of that day, on this machine's clock."""
    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a time: write "2026-03-01 23:59", or 2026-03-01 for the end of '
            "that day"
        ) from None
    return when.replace(hour=23, minute=59, second=59) if len(text.strip()) == 10 else when


def given_path(text: str) -> Path:
    """The argument that names a file or a folder. An empty one would be the current folder."""
    if not text.strip():
        raise argparse.ArgumentTypeError(
            f"{text!r} is an empty path; was it a variable that is not set? Write . for this folder"
        )
    return Path(text)


def printable(text: str) -> str:
    """A file's name for a terminal, with ? for what could move the cursor."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _add(commands, name: str, run, summary: str, description: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=summary, description=description)
    command.add_argument(
        "course", type=given_path, metavar="COURSE", help="the folder of the course"
    )
    command.set_defaults(run=run)
    return command


def _require_limits(args: argparse.Namespace) -> None:
    for flag, value, least in (
        ("--seconds", args.seconds, None),
        ("--cell-seconds", args.cell_seconds, None),
        ("--memory", args.memory, 256),
        ("--jobs", args.jobs, 1),
    ):
        if value is None:
            continue
        if value < least if least else value <= 0:
            allowed = f"at least {least}" if least else "more than 0"
            raise ValueError(f"{flag} {value:g} is too small: give {allowed}")


def _require(*modules: str) -> None:
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise ValueError(
            f"{', '.join(missing)} {verb} not installed: "
            "in a clone, run python -m pip install -e '.[classroom]'"
        )
