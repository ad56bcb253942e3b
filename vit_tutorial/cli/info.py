"""The command `info`: a table of what this machine has, and what that means for the lessons."""

import json
from pathlib import Path

# torch, and all that loads it, is imported where it is needed: --help does without.


def describe_device(device) -> str:
    """`device` in a phrase: what it is, and the precision that training would choose.

    If there is a GPU that cannot be used, it says why.
    """
    import torch

    from ..common.machine import gpu_error
    from ..training import choose_precision

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
        note = "; Apple's GPU (mps) is not used, since no lesson has been tested on it"
    return f"CPU with {torch.get_num_threads()} threads; training precision {chosen}{note}"


def describe() -> list[tuple[str, str, str]]:
    """Rows (what, what this machine has, what that means) for the table that `info` prints."""
    import torch

    from ..common.machine import hardware, memory_gib, pick_device, versions
    from ..common.needed import missing_packages
    from ..data import data_root, find_cifar10
    from ..training import choose_precision

    found = versions()
    device = pick_device()
    precision = choose_precision(device)
    memory = memory_gib()
    name, meaning = hardware(), "every lesson runs; training on CIFAR-10 takes patience"
    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory / 2**30
        name = f"{torch.cuda.get_device_name(device)}, {total:.0f} GiB"
        meaning = "lesson 06 can train on CIFAR-10 in minutes"
    cifar10 = find_cifar10()
    missing = missing_packages()
    return [
        ("Python", found["python"], "3.10 to 3.13 are tested"),
        ("torch", found["torch"], "2.6 or newer is needed"),
        ("device", name, meaning),
        ("precision", precision.name, precision.reason),
        (
            "memory",
            f"{memory:.0f} GiB" if memory else "unknown",
            "no lesson needs more than 3 GB",
        ),
        ("data: shapes, pairs", "made from a seed", "always available, no download"),
        (
            "data: CIFAR-10",
            "found" if cifar10 else "not found",
            "lesson 06 uses it" if cifar10 else "170 MB, downloaded when you ask for it",
        ),
        ("data folder", _short(data_root()), "set VIT_TUTORIAL_DATA to choose another"),
        (
            "libraries",
            "missing: " + ", ".join(missing) if missing else "all found",
            f"pip install {' '.join(missing)}" if missing else "nothing to install",
        ),
    ]


def _short(path: Path) -> str:
    """A path as a person would write it: relative to the clone (./) or to the home folder (~/)."""
    from ..data.paths import home

    for base, sign in ((Path(__file__).resolve().parents[2], "."), (home(), "~")):
        if base and path.is_relative_to(base):
            return str(sign / path.relative_to(base))
    return str(path)


def format_table(
    rows: list[tuple[str, str, str]],
    head: tuple[str, str, str] = ("what", "this machine", "what that means"),
) -> str:
    """`rows` as text in aligned columns under `head`."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(3)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
        for row in [head, *rows]
    ]
    return "\n".join([lines[0], "-" * len(max(lines, key=len)), *lines[1:]])


def add_to(commands) -> None:
    """Add the command to `commands`."""
    info = commands.add_parser(
        "info",
        help="what this machine has, and what that means for the lessons",
        description=(
            "Print a table: Python, libraries, device, precision, memory and data, and what "
            "each means for the lessons."
        ),
    )
    info.add_argument("--json", action="store_true", help="versions and hardware as JSON")
    info.set_defaults(run=run_info)


def run_info(args) -> int:
    from ..common.machine import hardware, pick_device, versions

    if args.json:
        print(json.dumps({"hardware": hardware(pick_device()), "versions": versions()}, indent=2))
    else:
        print(format_table(describe()))
    return 0
