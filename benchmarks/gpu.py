"""What docs/results.md measures on CPUs, on a GPU, in one call that fits a machine lent for
minutes.

    python benchmarks/gpu.py cifar10-jpeg.tar.xz --provenance "CIFAR-10 (JPEG copy)" \\
        --minutes 9 --out FOLDER

Unpacks the archive (or takes a folder train/<class>/*, test/<class>/*), then runs, in the order of
--parts, the same commands that a reader would: training steps and whole loops beside the other
libraries, augmentation, the cost of larger work, what the recipes reach in a minute and in eight,
the same with a convolutional stem, the shipped weights, the ingredients of a recipe, the studies of
positions.
After each part --out holds two files: parts.csv, what ran, how long and how it ended, and
gpu.tar.gz, every table and all weights so far (results/, weights/). A part is not started when no
time is left, so a call that is cut off keeps what was measured; a second call with other --parts
and another --out continues.
"""

import argparse
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import common

from vit_tutorial.common.files import write_rows

HERE = Path(__file__).resolve().parent
# Those that do on a GPU what they cannot do without one.
GPU_TESTS = (
    "data/test_data_augment.py",
    "training/test_training_run.py",
    "training/test_memory.py",
)
PARTS = (
    "tests",
    "step",
    "loop",
    "augment",
    "cost",
    "minute",
    "minutes",
    "stem",
    "weights",
    "recipe",
    "kinds",
    "start",
)


def command(part: str, data: Path, out: Path, args) -> list[str]:
    """The command of one part."""
    python, results, kind = sys.executable, out / "results", args.device.split(":")[0]

    def script(name: str, *options) -> list:
        return [python, HERE / f"{name}.py", *options, "--device", args.device]

    def speed(name: str, *options) -> list:
        return script(name, *options, "--out", results / f"{name}_{kind}.csv")

    def train(name: str, *options) -> list:
        return script(name, data, "--provenance", args.provenance, *options)

    def budget(minutes: float, *options) -> list:
        table = ["--out", results / "budgets.csv"]
        recipe = ["--recipe", args.recipe, "--minutes", minutes]
        return train("budgets", *recipe, *options, "--quiet", *table)

    def study(name: str) -> list:
        plan = ["--seeds", args.seeds, "--epochs", args.study_epochs]
        where = ["--data", data, "--device", args.device, "--out", results]
        return [python, "-m", "vit_tutorial", "study", name, *where, *plan, "--quiet"]

    tests = [HERE.parent / "tests" / name for name in GPU_TESTS]
    pytest = [python, "-m", "pytest", "-q", "-p", "no:nbval", "--override-ini", "addopts="]
    words = {
        "tests": [*pytest, *tests],
        "step": speed("step", "--compile"),
        "loop": speed("loop", "--compile"),
        "augment": speed("augment"),
        "cost": speed("cost"),
        "minute": budget(1),
        "minutes": budget(args.longer, "--seeds", 0),
        "stem": budget(args.longer, "--seeds", 0, "--stem", "convolutional"),
        "recipe": train("recipe", "--quiet", "--out", results / f"recipe_{kind}.csv"),
        "weights": train("weights", "--epochs", args.epochs, "--out", out / "weights"),
        "kinds": study("kinds"),
        "start": study("start"),
    }[part]
    return [str(word) for word in words]


def arguments() -> argparse.Namespace:
    parser = common.make_parser(__doc__, common.image_options())
    parser.set_defaults(device="cuda")
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument(
        "--minutes",
        type=float,
        default=9,
        help="for everything; what does not fit is left for another call",
    )
    parser.add_argument(
        "--recipe", default="a100", help="of the parts `minute` and `minutes` (default a100)"
    )
    parser.add_argument(
        "--longer", type=float, default=8, help="minutes of the part `minutes` (default 8)"
    )
    parser.add_argument("--epochs", type=float, default=200, help="of the part `weights`")
    parser.add_argument("--study-epochs", type=float, default=10, help="of `kinds` and `start`")
    parser.add_argument("--seeds", type=int, default=5, help="how many, of `kinds` and `start`")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


def run_part(part: str, data: Path, work: Path, args, seconds_left: float) -> dict:
    """Run one part, if there is time; its row of parts.csv."""
    begin, ended = time.monotonic(), "not started: no time left"
    if seconds_left > 20:
        try:
            done = subprocess.run(command(part, data, work, args), timeout=seconds_left)
            ended = f"exit status {done.returncode}"
        except subprocess.TimeoutExpired:
            ended = "stopped: out of time; its finished rows are kept"
    return dict(part=part, minutes=round((time.monotonic() - begin) / 60, 2), ended=ended)


def main() -> int:
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    end, rows = time.monotonic() + 60 * args.minutes, []
    with common.images_in(args.data, "cifar10") as data, tempfile.TemporaryDirectory() as place:
        work = Path(place)
        for name in ("results", "weights"):
            (work / name).mkdir()
        for part in args.parts:
            rows.append(run_part(part, Path(data), work, args, end - time.monotonic()))
            print(f"{part}: {rows[-1]['ended']}", flush=True)
            write_rows(args.out / "parts.csv", rows)
            with tarfile.open(args.out / "gpu.tar.gz", "w:gz") as archive:
                for name in ("results", "weights"):
                    archive.add(work / name, arcname=name)
    return 0 if all(row["ended"] == "exit status 0" for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
