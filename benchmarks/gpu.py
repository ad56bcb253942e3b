"""What docs/results.md measures on CPUs, on a GPU, in one call that fits a machine lent for minutes.

    python benchmarks/gpu.py cifar10-jpeg.tar.xz --provenance "CIFAR-10 (JPEG copy)" --minutes 9 --out FOLDER

Unpacks the archive (or takes a folder train/<class>/*, test/<class>/*), then runs, in the order of --parts, the same commands
that a reader would: training steps and whole loops beside the other libraries, augmentation, the cost of larger work, what the
presets reach in a minute and in eight, the same with a convolutional stem, the shipped weights, the recipe, the studies of
positions. After each part --out holds two files: parts.csv, what ran, how long and how it ended, and gpu.tar.gz, every table and
all weights so far (results/, weights/). A part is not started when no time is left, so a run that is cut off keeps what was
measured; a second call with other --parts and another --out goes on.
"""

import argparse
import csv
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from archive import images_in

HERE = Path(__file__).resolve().parent
# Those that do on a GPU what they cannot do without one.
GPU_TESTS = [
    HERE.parent / "tests" / name
    for name in (
        "data/test_data_augment.py",
        "training/test_training_run.py",
        "training/test_memory.py",
    )
]
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
    python, results, kind = sys.executable, str(out / "results"), args.device.split(":")[0]
    told = ["--provenance", args.provenance, "--device", args.device]
    study = [
        python,
        "-m",
        "vit_tutorial",
        "study",
        part,
        "--data",
        str(data),
        "--device",
        args.device,
        "--out",
        results,
    ]
    speed = lambda name: [python, str(HERE / f"{name}.py"), "--device", args.device]
    presets = [
        python,
        str(HERE / "budgets.py"),
        str(data),
        *told,
        "--recipe",
        args.recipe,
        "--quiet",
    ]
    presets += ["--out", f"{results}/budgets.csv"]
    return {
        "tests": [
            python,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:nbval",
            "--override-ini",
            "addopts=",
            *map(str, GPU_TESTS),
        ],
        "step": [*speed("step"), "--compile", "--out", f"{results}/step_{kind}.csv"],
        "loop": [*speed("loop"), "--compile", "--out", f"{results}/loop_{kind}.csv"],
        "augment": [*speed("augment"), "--out", f"{results}/augment_{kind}.csv"],
        "cost": [*speed("cost"), "--out", f"{results}/cost_{kind}.csv"],
        "minute": [*presets, "--minutes", "1"],
        "minutes": [*presets, "--minutes", str(args.longer), "--seeds", "0"],
        "stem": [
            *presets,
            "--minutes",
            str(args.longer),
            "--seeds",
            "0",
            "--stem",
            "convolutional",
        ],
        "recipe": [
            python,
            str(HERE / "recipe.py"),
            str(data),
            *told,
            "--quiet",
            "--out",
            f"{results}/recipe_{kind}.csv",
        ],
        "weights": [
            python,
            str(HERE / "weights.py"),
            str(data),
            *told,
            "--epochs",
            str(args.epochs),
            "--out",
            str(out / "weights"),
        ],
        "kinds": [
            *study,
            "--seeds",
            str(args.seeds),
            "--epochs",
            str(args.study_passes),
            "--quiet",
        ],
        "start": [
            *study,
            "--seeds",
            str(args.seeds),
            "--epochs",
            str(args.study_passes),
            "--quiet",
        ],
    }[part]


def main() -> int:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument(
        "data", type=Path, help="a tar archive, or a folder train/<class>/*, test/<class>/*"
    )
    arguments.add_argument(
        "--provenance", default="", help="what the data is, for tables and cards"
    )
    arguments.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    arguments.add_argument(
        "--minutes",
        type=float,
        default=9,
        help="for everything; what does not fit is left for another call",
    )
    arguments.add_argument(
        "--recipe", default="a100", help="of the parts `minute` and `minutes` (default a100)"
    )
    arguments.add_argument(
        "--longer", type=float, default=8, help="minutes of the part `minutes` (default 8)"
    )
    arguments.add_argument("--epochs", type=float, default=200, help="of the part `weights`")
    arguments.add_argument("--study-passes", type=float, default=10)
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--device", default="cuda")
    arguments.add_argument("--out", type=Path, required=True)
    args = arguments.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    end, rows = time.monotonic() + 60 * args.minutes, []
    with images_in(args.data, "cifar10") as data, tempfile.TemporaryDirectory() as work:
        for name in ("results", "weights"):
            (Path(work) / name).mkdir()
        for part in args.parts:
            left = end - time.monotonic()
            begun, ended = time.monotonic(), "not started: no time left"
            if left > 20:
                try:
                    done = subprocess.run(command(part, Path(data), Path(work), args), timeout=left)
                    ended = f"exit status {done.returncode}"
                except subprocess.TimeoutExpired:
                    ended = "stopped: out of time; its finished rows are kept"
            rows.append(
                dict(part=part, minutes=round((time.monotonic() - begun) / 60, 2), ended=ended)
            )
            print(f"{part}: {ended}", flush=True)
            with (args.out / "parts.csv").open("w", newline="") as file:
                writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)
            with tarfile.open(args.out / "gpu.tar.gz", "w:gz") as archive:
                for name in ("results", "weights"):
                    archive.add(Path(work) / name, arcname=name)
    return 0 if all(row["ended"] == "exit status 0" for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
