"""The command `info`: what this machine is and what that means for the lessons, as a table that a person can read."""

import json
from pathlib import Path

import torch

from ..common.machine import LIBRARIES, gpu_error, hardware, memory_gib, pick_device, versions
from ..data import data_root, find_cifar10
from ..data.paths import home
from ..training import choose_precision


def describe_device(device: torch.device) -> str:
    """`device` as a phrase: what it is, the precision that training would pick there, and why a GPU is left alone if one is."""
    precision = choose_precision(device)
    chosen = f"{precision.name} ({precision.reason})"
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory / 1e9
        return (
            f"{torch.cuda.get_device_name(device)} with {memory:.0f} GB; mixed precision {chosen}"
        )
    note = ""
    if torch.cuda.is_available() and (trouble := gpu_error()):
        note = f"; {torch.cuda.get_device_name()} is there, but this torch cannot use it: {trouble}"
    elif torch.backends.mps.is_available():
        note = "; Apple's GPU (mps) is left alone, since no lesson has been tried on it"
    return f"CPU with {torch.get_num_threads()} threads; training precision {chosen}{note}"


def describe() -> list[tuple[str, str, str]]:
    """Rows (what, found here, what follows from it) about Python, the libraries, the device, memory and the data at hand."""
    found = versions()
    device = pick_device()
    precision = choose_precision(device)
    memory = memory_gib()
    rows = [
        ("Python", found["python"], "3.10 to 3.13 are tested"),
        ("torch", found["torch"], "2.6 or newer is needed"),
    ]
    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory / 2**30
        rows.append(
            (
                "device",
                f"{torch.cuda.get_device_name(device)}, {total:.0f} GiB",
                "lesson 06 can train on CIFAR-10 in minutes",
            )
        )
    else:
        rows.append(("device", hardware(), "every lesson runs; CIFAR-10 takes patience"))
    rows.append(("precision", precision.name, precision.reason))
    rows.append(
        ("memory", f"{memory:.0f} GiB", "no lesson needs more than 3 GB")
    )
    rows.append(("data: shapes", "made from a seed", "always there, no download"))
    cifar10 = find_cifar10()
    rows.append(
        (
            "data: CIFAR-10",
            "found" if cifar10 else "not here",
            "used by 06" if cifar10 else "fetched when asked for (170 MB)",
        )
    )
    rows.append(("data folder", _short(data_root()), "set VIT_TUTORIAL_DATA for another"))
    missing = [name for name in LIBRARIES if found[name] == "not installed" and name != "timm"]
    rows.append(
        (
            "libraries",
            "all found" if not missing else "missing: " + ", ".join(missing),
            "pip install -r requirements.txt",
        )
    )
    return rows


def _short(path: Path) -> str:
    """`path` as a person writes it: from the clone (.) or the home folder (~) if it is in one."""
    for base, sign in ((Path(__file__).resolve().parents[2], "."), (home(), "~")):
        if base and path.is_relative_to(base):
            return str(sign / path.relative_to(base))
    return str(path)


def format_table(
    rows: list[tuple[str, str, str]], head: tuple[str, str, str] = ("what", "here", "what follows")
) -> str:
    """`rows` as text in aligned columns under `head`."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(3)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
        for row in [head, *rows]
    ]
    return "\n".join([lines[0], "-" * len(max(lines, key=len)), *lines[1:]])


def add_to(commands) -> None:
    """Add the command to `commands`"""
    info = commands.add_parser(
        "info",
        help="what this machine is, and what that means for training",
        description=(
            "Print a table: Python, libraries, device, precision, memory, data at hand, and what follows for the lessons."
        ),
    )
    info.add_argument("--json", action="store_true", help="versions and hardware as JSON")
    info.set_defaults(run=run_info)


def run_info(args) -> int:
    if args.json:
        print(json.dumps({"hardware": hardware(pick_device()), "versions": versions()}, indent=2))
    else:
        print(format_table(describe()))
    return 0
