"""This machine: the device to train on, its processor, its cores and its free memory."""

import os
import platform
from importlib import metadata
from pathlib import Path

import psutil
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
    """The device to train on: `wish` ("cpu", "cuda", "cuda:1", "mps"), or what "auto" chooses.

    "auto" is a CUDA GPU that works, else the CPU. Apple's mps is used only when asked for: the
    lessons' numbers have not been checked on it. Raises ValueError for a device that is unknown or
    missing.
    """
    if wish == "auto":
        return torch.device("cuda" if torch.cuda.is_available() and gpu_error() is None else "cpu")
    kind, _, index = wish.partition(":")
    require_choice("device", kind, ("auto", "cpu", "cuda", "mps"))
    if index and not index.isdigit():
        raise ValueError(
            f"device {wish!r} is unknown: after the colon comes a number, as in 'cuda:0'"
        )
    if index and kind != "cuda" and int(index) > 0:
        raise ValueError(f"device {wish!r} is not there: there is one {kind!r}, without a number")
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
    """Why the CUDA GPU cannot be used; None if it computes.

    A GPU that is too old for this torch is listed as available and fails at its first kernel.
    """
    try:
        torch.ones(2, 2, device="cuda").mm(torch.ones(2, 2, device="cuda")).sum().item()
    except RuntimeError as error:
        return str(error).splitlines()[0]
    return None


def versions() -> dict[str, str]:
    """Versions of Python, this package and the libraries of the lessons, or "not installed"."""
    found = {"python": platform.python_version()}
    for name in ("vit_tutorial", *LIBRARIES):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def hardware(device: torch.device | None = None) -> str:
    """For a table's provenance: the CPU with torch's threads, and the GPU if `device` is one."""
    line = f"{cpu_name()}, {torch.get_num_threads()} threads"
    if device is not None and device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} ({line})"
    return line


def cpu_name() -> str:
    """The processor's name as the system gives it, or its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(
            line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):  # not Linux, or the line is missing
        return platform.processor() or platform.machine()


def memory_gib() -> float:
    """Main memory in GiB."""
    return psutil.virtual_memory().total / 2**30


def processes_here() -> int:
    """How many processes train together on this machine, as their launcher counts them; else 1."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def cores() -> int:
    """This process's share of the cores that it may run on, at least 1."""
    process = psutil.Process()
    if hasattr(process, "cpu_affinity"):  # not on macOS
        allowed = len(process.cpu_affinity())
    else:
        allowed = psutil.cpu_count() or 1
    return max(1, allowed // processes_here())


def free_bytes(device: torch.device | str) -> int | None:
    """Bytes that this process can still get on `device`, or None where that is not known (MPS).

    On a GPU: what the driver has free, plus what torch has reserved but does not use. On a CPU:
    what the system calls available, or what the container's limit leaves if that is less, divided
    equally among the processes that train on this machine.
    """
    device = torch.device(device)
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    if device.type != "cpu":
        return None
    return min([psutil.virtual_memory().available, *_container()]) // processes_here()


def _container() -> list[int]:
    """Bytes still free under a container's limits (Linux control groups, version 2 or version 1).

    psutil ignores these limits: it reports the whole machine.
    """
    version_1 = ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")
    left = []
    for names in (("memory.max", "memory.current"), version_1):
        try:
            files = [Path("/sys/fs/cgroup", name) for name in names]
            limit, used = (file.read_text(encoding="ascii").strip() for file in files)
        except OSError:
            continue
        if limit.isdigit():  # else "max": no limit
            left.append(max(0, int(limit) - int(used)))
    return left
