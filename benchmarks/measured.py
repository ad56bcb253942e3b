"""What every benchmark of speed needs: waiting for a device, taking turns, medians with quartiles, provenance, tables."""

import datetime
import platform
import re
import shlex
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from vit_tutorial.common import files, machine

RESULTS = Path(__file__).resolve().parents[1] / "data" / "results"


def wait(device: torch.device) -> None:
    """Until the GPU has done what it was given: its clock is not the CPU's."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def in_turns(names: list, rounds: int) -> Iterator:
    """Every name once a round, each round beginning one further on: a machine that slows down slows down all of them."""
    for turn in range(rounds):
        first = turn % len(names)
        yield from names[first:] + names[:first]


def quartiles(values: list[float]) -> list[float]:
    return statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3


def spread(
    name: str, values: list[float] | None, digits: int = 3, short: str | None = None
) -> dict:
    """{name: median, short_q1, short_q3}, rounded; three empty cells where there are no values. short: `name` if None."""
    low, middle, high = (
        (round(value, digits) for value in quartiles(values)) if values else ("", "", "")
    )
    return {name: middle, f"{short or name}_q1": low, f"{short or name}_q3": high}


def ratios(mine: list[float], theirs: list[float]) -> list[float]:
    return [a / b for a, b in zip(mine, theirs)]


def hardware(device: torch.device) -> str:
    """The name of the GPU, or of the processor."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else machine.cpu_name()


def made(script: str) -> dict:
    """When and by which command a table was measured."""
    return dict(
        python=platform.python_version(),
        date=datetime.date.today().isoformat(),
        command=shlex.join(["python", f"benchmarks/{script}", *sys.argv[1:]]),
    )


def table_path(kind: str, device: torch.device) -> Path:
    """data/results/<kind>_cpu.csv, or with the GPU's name in it."""
    slug = (
        "cpu"
        if device.type == "cpu"
        else re.sub(r"[^a-z0-9]+", "-", hardware(device).lower()).strip("-")
    )
    return RESULTS / f"{kind}_{slug}.csv"


def write(path: Path, rows: list[dict]) -> None:
    """The table of `rows`, whole or not at all; a row without a column that others have gets an empty cell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = dict.fromkeys(name for row in rows for name in row)
    files.write_rows(path, [{name: row.get(name, "") for name in columns} for row in rows])
    print(f"\nwritten to {path.name}")
