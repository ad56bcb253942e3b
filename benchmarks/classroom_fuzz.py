"""Collect and grade generated nonsense: nothing stops the run, nothing is read for long.

    python benchmarks/classroom_fuzz.py --read 10000 --run 300

tests/classroom/classroom_nonsense.py generates the submissions from seeds. `read` of them go
through collect, 500 in a folder; `run` more are graded, each with right answers and a cell that
sends forged results.
Writes data/results/classroom_fuzz.csv: a row for each kind, with how many were taken, listed with a
reason and refused for their time, the longest time of reading one, and what stopped the run.
"""

import argparse
import datetime
import json
import shlex
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import nbformat

from vit_classroom.collect import archives, collect
from vit_classroom.course import course as courses
from vit_classroom.grade import grade
from vit_classroom.sandbox.execute import Settings
from vit_classroom.sandbox.processes import cores
from vit_classroom.sandbox.watcher import Limits
from vit_tutorial.cli.info import describe_device
from vit_tutorial.common import machine
from vit_tutorial.common.files import write_rows

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests" / "classroom"))
import classroom_nonsense as nonsense  # noqa: E402
from small_course import DOUBLE, LOOPS, NAME, TRIPLE, hand_in, small_lesson  # noqa: E402

FOLDER = 500
TOO_LONG = "needs more than"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--read", type=int, default=10_000)
    parser.add_argument("--run", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=30, help="no new folder after that")
    parser.add_argument("--results", type=Path, default=ROOT / "data" / "results")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="classroom-fuzz-") as temporary:
        rows = work(args, Path(temporary))
    facts = {
        "hardware": f"{cores()} cores, {describe_device(machine.pick_device())}",
        "date": datetime.date.today().isoformat(),
        "command": shlex.join(["python", "benchmarks/classroom_fuzz.py", *sys.argv[1:]]),
    }
    args.results.mkdir(parents=True, exist_ok=True)
    write_rows(args.results / "classroom_fuzz.csv", [row | facts for row in rows])
    for row in rows:
        print(row)


def work(args, base: Path) -> list[dict]:
    (base / "lessons").mkdir()
    nbformat.write(small_lesson(), base / "lessons" / f"{NAME}.ipynb")
    course = base / "course"
    courses.new(course, "01", source=base / "lessons")
    end = time.monotonic() + 60 * args.minutes
    counts: dict[str, Counter] = {}
    longest: dict[str, float] = Counter()
    for first in range(args.seed, args.seed + args.read, FOLDER):
        if time.monotonic() > end:
            break
        seeds = range(first, min(first + FOLDER, args.seed + args.read))
        read_folder(course, base / f"in{first}", seeds, counts, longest)
        print(f"{seeds.stop - args.seed} read", flush=True)
    rows = [row(kind, counts[kind], longest[kind]) for kind in sorted(counts)]
    if args.run:
        rows.append(run(course, args))
    return rows


def row(kind: str, count: Counter, seconds: float) -> dict:
    names = ("number", "taken", "listed", "too_long", "missing", "stops")
    return {"kind": kind} | {n: count[n] for n in names} | {"longest_seconds": round(seconds, 2)}


def solved():
    nb = small_lesson()
    answers = {"a": LOOPS, "b": DOUBLE, "c": TRIPLE}
    for cell in nb.cells:
        cell.source = answers.get(cell.id, cell.source)
    return nb


def read_folder(course: Path, folder: Path, seeds, counts: dict, longest: dict) -> None:
    """Collect one folder, and look for every file in the list that comes out."""
    kinds, base = {}, solved()
    for seed in seeds:
        kind, path, data = nonsense.files(seed, base)
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        kinds[archives.clean_path(path)] = kind
        counts.setdefault(kind, Counter())["number"] += 1
    (folder / "ann").mkdir(exist_ok=True)
    real = archives.Reader.open

    def timed(reader, path, name, *given, **more):
        start = time.monotonic()
        try:
            return real(reader, path, name, *given, **more)
        finally:
            where = path.relative_to(folder).as_posix() if folder in path.parents else name
            kind = kinds.get(archives.clean_path(where), "archive")
            longest[kind] = max(longest[kind], time.monotonic() - start)

    archives.Reader.open = timed
    try:
        entries = collect.collect(course, folder).entries
    except Exception as error:
        print(f"STOPPED: {type(error).__name__}: {error}")
        for kind in set(kinds.values()):
            counts[kind]["stops"] += 1
        return
    finally:
        archives.Reader.open = real
    status: dict[str, set] = {}
    for entry in entries:
        where = next((p for p in (entry["original"],) if p in kinds), None)
        where = where or next((p for p in kinds if entry["original"].startswith(p + "/")), None)
        said = "too_long" if TOO_LONG in entry["reason"] else entry["status"]
        status.setdefault(where, set()).add({"collected": "taken"}.get(said, said))
    for path, kind in kinds.items():
        found = status.get(path, set())
        names = [name for name in ("taken", "too_long", "listed") if name in found]
        counts[kind][names[0] if names else "missing"] += 1


def run(course: Path, args) -> dict:
    """Grade forged results beside right answers."""
    students = [f"zz{args.seed + i:05}" for i in range(args.run)]
    for i, student in enumerate(students):
        hand_in(course, student, extra=nonsense.forged(args.seed + i))
    count, longest = Counter(number=args.run), 0.0
    settings = Settings(Limits(seconds=60, memory=600 << 20), cell_seconds=10, grace_seconds=1)
    try:
        grade(course, students, settings=settings, progress=False)
    except Exception as error:
        print(f"STOPPED: {type(error).__name__}: {error}")
        count["stops"] += 1
    for student in students:
        path = course / "results" / student / f"{NAME}.json"
        result = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
        status = result["status"] if result else "missing"
        count[{"graded": "taken", "not graded": "listed"}.get(status, status)] += 1
        longest = max(longest, result["seconds"] if result else 0)
        if status != "graded":
            print(student, result and result["reason"])
    return row("forged results", count, longest)


if __name__ == "__main__":
    main()
