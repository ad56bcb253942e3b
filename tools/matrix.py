"""Run the lessons and the parity tests with the lowest and the newest versions that pyproject.toml
allows.

    python tools/matrix.py lowest --python python3.10
    python tools/matrix.py newest --python python3.13 --threads 4

Each corner gets a new virtual environment in a temporary folder (PyTorch is a download of several
GB). `lowest` pins every package for which pyproject.toml names a lower bound to that bound. What
ran, in which versions, and what came out is written to data/results/matrix.csv, one row for a
corner, number of threads and file; rows of the same key are replaced.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path

from packaging.requirements import Requirement

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "data" / "results" / "matrix.csv"
# What computes or shows something in a lesson, or is compared with by value; test runners and build
# tools may be newest.
PINNED_EXTRAS = ("timm", "vit-pytorch", "accelerate")
PARITY = ["tests/model", "tests/checks/test_checks_engine.py", "tests/inspection"]
SHOWN = (
    "torch",
    "torchvision",
    "numpy",
    "matplotlib",
    "pillow",
    "safetensors",
    "ipywidgets",
    "timm",
    "vit-pytorch",
)
FACTS = """import importlib.metadata as m, json, platform
from vit_tutorial.common import machine
shown = {shown!r}
facts = {{"python": platform.python_version(), "cpu": machine.cpu_name()}}
print(json.dumps(facts | {{n: m.version(n) for n in shown}}))"""


def lowest() -> list[str]:
    """'name==bound' for each package that has a lower bound and whose version can change what a
    lesson shows."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = list(project["dependencies"])
    lines += [
        line for line in project["optional-dependencies"]["dev"] if line.startswith(PINNED_EXTRAS)
    ]
    pins = []
    for requirement in map(Requirement, lines):
        bounds = [each.version for each in requirement.specifier if each.operator == ">="]
        pins += [f"{requirement.name}=={bound}" for bound in bounds]
    return pins


def make_environment(folder: Path, python: str, corner: str) -> Path:
    """A new virtual environment with this checkout and what its tests need; the path of its
    Python."""
    subprocess.run([python, "-m", "venv", folder], check=True)
    inside = folder / "bin" / "python"
    pins = folder / "pins.txt"
    pins.write_text("\n".join(lowest() if corner == "lowest" else []) + "\n", encoding="utf-8")
    command = [inside, "-m", "pip", "install", "--quiet", "-e", f"{ROOT}[dev]", "-c", pins]
    subprocess.run(command, check=True)
    return inside


def run(python: Path, target: str, threads: int) -> dict:
    """The tests of one target in that environment: how many passed, failed and were skipped, the
    seconds, and what failed."""
    with tempfile.TemporaryDirectory() as place:
        report = Path(place) / "report.xml"
        begun = time.perf_counter()
        command = [
            python,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            f"--junitxml={report}",
            target,
        ]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        seconds = time.perf_counter() - begun
        if not report.exists():
            raise SystemExit(
                f"{target}: pytest wrote no report\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
            )
        suite = ET.parse(report).getroot().find("testsuite")
        cases = suite.findall("testcase")
        red = [
            case.get("name")
            for case in cases
            if case.find("failure") is not None or case.find("error") is not None
        ]
        skipped = sum(case.find("skipped") is not None for case in cases)
    passed = len(cases) - len(red) - skipped
    counted = dict(passed=passed, failed=len(red), skipped=skipped, seconds=round(seconds))
    return counted | dict(which_failed="; ".join(red[:5]))


def targets() -> list[str]:
    """The lessons, each by itself, and the parity tests."""
    lessons = sorted(
        path.relative_to(ROOT).as_posix() for path in (ROOT / "notebooks").glob("*.ipynb")
    )
    return [*lessons, *PARITY]


def write(rows: list[dict]) -> None:
    """Put `rows` into the table, in place of older ones of the same corner, threads and target."""
    sys.path.insert(0, str(ROOT))
    from vit_tutorial.common.files import read_rows, write_rows

    key = lambda row: (row["corner"], str(row["threads"]), row["target"])
    new = {key(row) for row in rows}
    kept = [row for row in read_rows(TABLE) if key(row) not in new]
    write_rows(TABLE, sorted([*kept, *rows], key=key))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corner", choices=["lowest", "newest"])
    parser.add_argument(
        "--python", default=sys.executable, help="the Python that the environment is made with"
    )
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N", help="threads of PyTorch (default 1)"
    )
    parser.add_argument(
        "--environment",
        type=Path,
        metavar="DIR",
        help="keep the environment here, or use the one that is",
    )
    parser.add_argument(
        "--only", nargs="+", metavar="TARGET", help="some lessons or tests, in place of all"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = args.environment or Path(place) / "environment"
        python = folder / "bin" / "python"
        if not python.exists():
            python = make_environment(folder, args.python, args.corner)
        facts = subprocess.run(
            [python, "-c", FACTS.format(shown=SHOWN)],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        about = json.loads(facts.stdout) | {"date": datetime.date.today().isoformat()}
        rows = []
        for target in args.only or targets():
            row = dict(
                corner=args.corner,
                threads=args.threads,
                target=target,
                **run(python, target, args.threads),
                **about,
            )
            print(
                f"{target}: {row['passed']} passed, {row['failed']} failed, "
                f"{row['seconds']} s  {row['which_failed']}"
            )
            rows.append(row)
            write(rows)  # an hour of runs that is stopped keeps what it found
    return 1 if any(row["failed"] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
