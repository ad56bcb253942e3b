"""This machine: the device to train on, its processor, its cores and its free memory."""

import os
import platform
import sys
from importlib import metadata
from pathlib import Path

import torch

from .validation import require_choice

LIBRARIES = (
    "torch",
    "torchvision",
    "numpy",
    "matplotlib",
    "einops",
    "safetensors",
    "pooch",
    "ipywidgets",
    "timm",
)


def pick_device(wish: str = "auto") -> torch.device:
    """The device to train on: `wish` ("cpu", "cuda", "cuda:1", "mps"), or for "auto" a GPU that works, else the CPU.

    Apple's mps is used when asked for and not by itself: the lessons' numbers have not been checked on it.
    Raises ValueError for a device that is unknown or is not there.
    """
    if wish == "auto":
        return torch.device("cuda" if torch.cuda.is_available() and gpu_error() is None else "cpu")
    kind, _, index = wish.partition(":")
    require_choice("device", kind, ("auto", "cpu", "cuda", "mps"))
    if index and not index.isdigit():
        raise ValueError(
            f"device {wish!r} is not understood: the part after the colon is a number, as in 'cuda:0'"
        )
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


def gpu_error() -> str | None:
    """Why the CUDA GPU cannot be used, or None when it computes: one too old for this torch is listed, and fails then."""
    try:
        torch.ones(2, 2, device="cuda").mm(torch.ones(2, 2, device="cuda")).sum().item()
    except RuntimeError as error:
        return str(error).splitlines()[0]
    return None


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
    return (
        f"{torch.cuda.get_device_name(device)} ({line})"
        if device is not None and device.type == "cuda"
        else line
    )


def cpu_name() -> str:
    """The processor's name as the system gives it, or its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(
            line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):  # not Linux, or a CPU that does not say
        return platform.processor() or platform.machine()


def memory_gib() -> float | None:
    """Main memory in GiB, or None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    except (AttributeError, ValueError, OSError):
        return None


def processes_here() -> int:
    """Processes that train together on this machine, as their launcher counts them; 1 without one."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def cores() -> int:
    """This process's part of the cores that it may run on, at least 1."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, here // processes_here())


def free_bytes(device: torch.device | str) -> int | None:
    """Bytes that this process can still get on `device`, or None where that is not known (MPS, or a system that does not say).

    On a GPU what the driver has, and what torch has put aside and does not use. On a CPU an equal part for each process of what
    Linux calls available, or what the container's limit leaves, if that is less; on macOS, which does not tell, of all there is.
    """
    device = torch.device(device)
    if device.type == "cuda":
        aside = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + aside
    if device.type != "cpu":
        return None
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = [1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
    except OSError:
        free = (
            [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
            if sys.platform == "darwin"
            else []
        )
    return min((size // processes_here() for size in [*free, *_container()]), default=None)


def _container() -> list[int]:
    """What the limits of a container leave, as Linux control groups (version 2, version 1) say it."""
    left = []
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            limit, used = (
                Path("/sys/fs/cgroup", name).read_text().strip() for name in (limit, used)
            )
        except OSError:
            continue
        left += [max(0, int(limit) - int(used))] if limit.isdigit() else []
    return left
