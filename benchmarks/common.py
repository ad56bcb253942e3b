"""What the benchmarks share: their options, images out of an archive, tables and provenance."""

import argparse
import contextlib
import datetime
import importlib.metadata
import platform
import re
import shlex
import signal
import sys
import tarfile
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from filelock import FileLock

from vit_tutorial.common import files, machine

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "data" / "results"

# --- options: parent parsers, each with the options of one subject -----------------------------


def make_parser(doc: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The parser of a script with the docstring `doc` and the options of `parents`."""
    raw = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(description=doc, formatter_class=raw, parents=list(parents))


def image_options() -> argparse.ArgumentParser:
    """For scripts that train: the images, what they are, and the device."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument(
        "data",
        help="cifar10, a folder train/<class>/*, test/<class>/*, or a tar archive of such a folder",
    )
    options.add_argument("--provenance", default="", help="what the images are, for the table")
    options.add_argument("--device", default="auto")
    return options


def run_options(out: Path, help: str = "the table (default: %(default)s)"):
    """For scripts that train with several seeds: --seeds, --quiet, --out."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options.add_argument("--quiet", action="store_true", help="no progress bars")
    options.add_argument("--out", type=Path, default=out, help=help)
    return options


def speed_options(kind: str, rounds: int | None = None) -> argparse.ArgumentParser:
    """For scripts that measure speed: --device, --out, and --rounds where contenders take turns."""
    options = argparse.ArgumentParser(add_help=False)
    default = "cuda" if torch.cuda.is_available() else "cpu"
    options.add_argument("--device", default=default, help="cpu or cuda (default: %(default)s)")
    if rounds:
        help = "turns that each contender gets (default: %(default)s)"
        options.add_argument("--rounds", type=int, default=rounds, help=help)
    options.add_argument(
        "--out", type=Path, help=f"the table (default: data/results/{kind}_<device>.csv)"
    )
    return options


def model_options() -> argparse.ArgumentParser:
    """For scripts that compare libraries: the size of the model and of the batch."""
    options = argparse.ArgumentParser(add_help=False)
    for name, default in (("batch", 128), ("dim", 192), ("depth", 6), ("heads", 3)):
        options.add_argument(f"--{name}", type=int, default=default, help="default: %(default)s")
    return options


# --- images ------------------------------------------------------------------------------------


@contextlib.contextmanager
def images_in(source: str | Path, name: str = "images") -> Iterator[str]:
    """`source` itself; for a tar archive a temporary folder with train/<class>/*, test/<class>/*.

    A machine that is lent for minutes starts bare: the archive is all it gets.
    name: what the temporary folder is called. SystemExit for an archive without train/.
    """
    if not (Path(source).is_file() and tarfile.is_tarfile(source)):
        yield str(source)
        return
    with tempfile.TemporaryDirectory() as place, tarfile.open(source) as archive:
        folder = Path(place) / name
        safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(folder, **safe)
        inside = [path.parent for path in sorted(folder.glob("**/train")) if path.is_dir()]
        if not inside:
            raise SystemExit(
                f"{source} holds no folder train/: give an archive or a folder with "
                "train/<class>/*, test/<class>/*"
            )
        yield str(inside[0])


# --- time --------------------------------------------------------------------------------------


class OutOfTimeError(BaseException):
    """The time of `at_most` is over. No Exception: torch.compile catches those and continues."""


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise OutOfTimeError in the block after `seconds`.

    Without SIGALRM (Windows), and outside the main thread, there is no limit.
    """
    main = threading.current_thread() is threading.main_thread()
    if not (main and hasattr(signal, "SIGALRM")):
        yield
        return

    def ring(*_):
        raise OutOfTimeError(f"{seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# --- provenance --------------------------------------------------------------------------------


def provenance(
    script: str,
    hardware: str,
    *,
    source: str = "",
    packages: Sequence[str] = (),
    **facts,
) -> dict:
    """The columns that say where a table comes from: `facts`, hardware, versions, date, command.

    source: the images, as given on the command line. packages: with them the columns are
    "versions", of these packages, and "python"; without them "torch".
    """
    versions = dict(torch=torch.__version__)
    if packages:
        named = (f"{name} {importlib.metadata.version(name)}" for name in packages)
        versions = dict(versions=", ".join(named), python=platform.python_version())
    today = datetime.date.today().isoformat()
    return facts | dict(
        hardware=hardware, **versions, date=today, command=shown_command(script, source)
    )


def shown_command(script: str, source: str = "") -> str:
    """The command for a table, without this machine's paths: FOLDER for the images, no --out."""
    words = [word for word, before in zip(sys.argv[1:], sys.argv) if "--out" not in (word, before)]
    path = source not in ("cifar10", "shapes")
    words = ["FOLDER" if path and word == source else word for word in words]
    return shlex.join(["python", f"benchmarks/{script}", *words])


def processor(device: torch.device) -> str:
    """The name of the GPU, or of the processor."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else machine.cpu_name()


# --- tables ------------------------------------------------------------------------------------


def table_path(kind: str, device: torch.device) -> Path:
    """data/results/<kind>_cpu.csv, or with the GPU's name in place of cpu."""
    slug = re.sub(r"[^a-z0-9]+", "-", processor(device).lower()).strip("-")
    return RESULTS / f"{kind}_{'cpu' if device.type == 'cpu' else slug}.csv"


def write_table(path: Path, rows: list[dict]) -> None:
    """Write `rows` whole or not at all; a row without a column of others gets an empty field."""
    columns = dict.fromkeys(name for row in rows for name in row)
    files.write_rows(path, [{name: row.get(name, "") for name in columns} for row in rows])
    print(f"\nwritten to {path.name}")


class SharedTable:
    """A CSV table that several scripts may write at the same time, row by row."""

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.lock = path, FileLock(f"{path}.lock")

    def rows(self) -> list[dict]:
        return files.read_rows(self.path)

    def find(self, **key) -> dict | None:
        """The first row with these values; None if there is none."""
        same = (row for row in self.rows() if all(row[k] == str(v) for k, v in key.items()))
        return next(same, None)

    def add(self, row: dict, instead_of: Sequence[str] = ()) -> None:
        """Write `row`. Rows that are equal to it in the columns `instead_of` go."""
        with self.lock:
            others = self.rows()
            if instead_of:
                key = [str(row[name]) for name in instead_of]
                others = [old for old in others if [old[name] for name in instead_of] != key]
            files.write_rows(self.path, [*others, row])

    def sort_by(self, names: Sequence[str]) -> None:
        """By these columns, one after the other, whole numbers by their size."""
        self.sort(lambda row: [int(row[n]) if row[n].isdigit() else row[n] for n in names])

    def sort(self, key) -> None:
        with self.lock:
            files.write_rows(self.path, sorted(self.rows(), key=key))
