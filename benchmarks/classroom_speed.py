"""How many submissions a minute: this version and an earlier one, by turns on the same class.

    git worktree add ../before COMMIT
    python benchmarks/classroom_speed.py --before ../before --number 12 --rounds 3

Both versions grade the same submissions (benchmarks/classroom.py makes them: right, wrong, unsolved
and damaged ones), each with the command `grade`, starting included, two at a time. They take turns
within each round, so that a busy machine slows both; the ratio is taken in each round. Writes
data/results/classroom_speed.csv (or --results DIR).
"""

import argparse
import datetime
import os
import random
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from classroom import ROOT, fill, lesson_exercises, wrong_answer
from measured import in_turns, ratios, spread

from vit_classroom.course import course as courses
from vit_classroom.sandbox.processes import cores
from vit_tutorial.cli.info import describe_device
from vit_tutorial.common import machine
from vit_tutorial.common.files import write_rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", type=Path, required=True, help="a checkout of another version")
    parser.add_argument("--number", type=int, default=12, help="submissions")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lesson", default="01")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--results", type=Path, default=ROOT / "data" / "results")
    args = parser.parse_args()
    seconds: dict[str, list[float]] = {"before": [], "after": []}
    with tempfile.TemporaryDirectory(prefix="classroom-speed-") as folder:
        course = Path(folder) / "course"
        courses.new(course, args.lesson)
        hand_in(course, args.number)
        places = {"before": args.before.resolve(), "after": ROOT}
        for name in in_turns(list(places), args.rounds):
            seconds[name].append(grade(places[name], course, args))
            print(f"{name}: {seconds[name][-1]:.1f} s", flush=True)
    times = ratios(seconds["before"], seconds["after"])
    rows = []
    for name, each in seconds.items():
        a_minute = [60 * args.number / value for value in each]
        rows.append(
            {"version": name, "submissions": args.number, "at_a_time": args.jobs}
            | {"rounds": args.rounds}
            | spread("seconds", each, 1)
            | spread("a_minute", a_minute, 1)
            | spread("times_as_fast", times if name == "after" else [1.0] * len(times), 2)
            | {"commit": commit(places[name])}
            | {
                "hardware": f"{cores()} cores, {describe_device(machine.pick_device())}",
                "date": datetime.date.today().isoformat(),
                "command": shlex.join(["python", "benchmarks/classroom_speed.py", *shown()]),
            }
        )
    write_rows(args.results / "classroom_speed.csv", rows)
    for row in rows:
        print(row)


def hand_in(course: Path, number: int) -> None:
    """Half of them right, half with a known mistake in every exercise that has one."""
    (name,) = courses.assignments(course)
    source, release = (
        nbformat.read(course / kind / name / f"{name}.ipynb", as_version=4)
        for kind in ("source", "release")
    )
    exercises, rng = lesson_exercises(source), random.Random(0)
    for i in range(number):
        answers = {each["grade_id"]: each["solution"] for each in exercises}
        if i % 2:
            answers = {each["grade_id"]: wrong_answer(each, rng)[0] for each in exercises}
        path = course / "submitted" / f"s{i:03}" / name / f"{name}.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(fill(release, exercises, answers), path)


def grade(place: Path, course: Path, args) -> float:
    """Seconds of the command `grade` of the version in `place`, its start included."""
    command = [sys.executable, "-m", "vit_classroom", "grade", str(course), "--again"]
    start = time.monotonic()
    done = subprocess.run(
        [*command, "--jobs", str(args.jobs)],
        cwd=place,
        env=dict(os.environ, PYTHONPATH=str(place)),
        capture_output=True,
        text=True,
        check=True,
    )
    seconds = time.monotonic() - start
    line = next(each for each in done.stdout.split("\n") if " graded, " in each)
    if int(line.split()[0]) != args.number:
        raise ValueError(f"{place}: {line}")
    return seconds


def commit(place: Path) -> str:
    found = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=place, capture_output=True, text=True
    )
    return found.stdout.strip()


def shown() -> list[str]:
    """The arguments, without the name of the machine's folder."""
    words = sys.argv[1:]
    return ["../before" if words[i - 1] == "--before" else word for i, word in enumerate(words)]


if __name__ == "__main__":
    main()
