"""What this machine is and what that means for training: a device, and a table that a person can read."""

import os
import platform
from importlib import metadata
from pathlib import Path

import torch

from .data import data_root, find_cifar10
from .errors import check_choice
from .training.precision import choose_precision

LIBRARIES = ("torch", "torchvision", "numpy", "matplotlib", "einops", "safetensors", "pooch", "ipywidgets", "timm")


def pick_device(wish: str = "auto") -> torch.device:
    """The device to train on: `wish` ("cpu", "cuda", "cuda:1", "mps"), or for "auto" a GPU that works, else the CPU.

    Apple's mps is used when asked for and not by itself: the lessons' numbers have not been checked on it.
    Raises ValueError for a device that is unknown or is not there.
    """
    if wish == "auto":
        return torch.device("cuda" if torch.cuda.is_available() and gpu_trouble() is None else "cpu")
    kind, _, index = wish.partition(":")
    check_choice("device", kind, ("auto", "cpu", "cuda", "mps"))
    if index and not index.isdigit():
        raise ValueError(f"device {wish!r} is not understood: the part after the colon is a number, as in 'cuda:0'")
    if kind == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count <= int(index or 0):
            raise ValueError(
                f"device {wish!r} is not there: torch sees {count} CUDA devices. "
                "Use 'auto' or 'cpu'; on Colab, Runtime > Change runtime type gives a GPU"
            )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise ValueError("device 'mps' is not there: torch sees no Apple GPU. Use 'auto' or 'cpu'")
    return torch.device(wish)


def gpu_trouble() -> str | None:
    """Why the CUDA GPU cannot be used, or None when it computes: one too old for this torch is listed, and fails then."""
    try:
        torch.ones(2, 2, device="cuda").mm(torch.ones(2, 2, device="cuda")).sum().item()
    except RuntimeError as error:
        return str(error).splitlines()[0]
    return None


def in_words(device: torch.device) -> str:
    """`device` as a phrase: what it is, the precision that training would pick there, and why a GPU is left alone if one is."""
    precision = choose_precision(device)
    chosen = f"{precision.name} ({precision.reason})"
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory / 1e9
        return f"{torch.cuda.get_device_name(device)} with {memory:.0f} GB; mixed precision {chosen}"
    note = ""
    if torch.cuda.is_available() and (trouble := gpu_trouble()):
        note = f"; {torch.cuda.get_device_name()} is there, but this torch cannot use it: {trouble}"
    elif torch.backends.mps.is_available():
        note = "; Apple's GPU (mps) is left alone, since no lesson has been tried on it"
    return f"CPU with {torch.get_num_threads()} threads; training precision {chosen}{note}"


def versions() -> dict[str, str]:
    """Versions of this package, Python and the libraries that the lessons lean on; "not installed" where one is missing."""
    found = {"python": platform.python_version()}
    for name in ("vit_tutorial", *LIBRARIES):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def hardware(device: torch.device | None = None) -> str:
    """One line for a table's provenance: the GPU's name when `device` is one, and the CPU with the cores torch uses."""
    line = f"{cpu_name()}, {torch.get_num_threads()} threads"
    return f"{torch.cuda.get_device_name(device)} ({line})" if device is not None and device.type == "cuda" else line


def cpu_name() -> str:
    """The processor's name as the system gives it, or its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):  # not Linux, or a CPU that does not say
        return platform.processor() or platform.machine()


def memory_gib() -> float | None:
    """Main memory in GiB, or None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    except (AttributeError, ValueError, OSError):
        return None


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
            ("device", f"{torch.cuda.get_device_name(device)}, {total:.0f} GiB", "lesson 06 can train on CIFAR-10 in minutes")
        )
    else:
        rows.append(("device", hardware(), "every lesson runs; CIFAR-10 takes patience"))
    rows.append(("precision", precision.name, precision.reason))
    rows.append(("memory", f"{memory:.0f} GiB" if memory else "unknown", "no lesson needs more than 3 GB"))
    rows.append(("data: shapes", "made from a seed", "always there, no download"))
    cifar10 = find_cifar10()
    rows.append(
        ("data: CIFAR-10", "found" if cifar10 else "not here", "used by 06" if cifar10 else "fetched when asked for (170 MB)")
    )
    rows.append(("data folder", _short(data_root()), "set VIT_TUTORIAL_DATA for another"))
    missing = [name for name in LIBRARIES if found[name] == "not installed" and name != "timm"]
    rows.append(
        ("libraries", "all found" if not missing else "missing: " + ", ".join(missing), "pip install -r requirements.txt")
    )
    return rows


def _short(path: Path) -> str:
    """A path as a person writes it: from the clone, or from the home folder, where it lies below one of them."""
    for base, sign in ((Path(__file__).resolve().parents[1], "."), (Path.home(), "~")):
        if path.is_relative_to(base):
            return str(sign / path.relative_to(base))
    return str(path)


def table(rows: list[tuple[str, str, str]], head: tuple[str, str, str] = ("what", "here", "what follows")) -> str:
    """`rows` as text in aligned columns under `head`."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(3)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in [head, *rows]]
    return "\n".join([lines[0], "-" * len(max(lines, key=len)), *lines[1:]])
