"""What of this machine one process may use: memory that is free, and processor cores."""

import os
import sys
from pathlib import Path

import torch


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
        free = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")] if sys.platform == "darwin" else []
    return min((size // processes_here() for size in [*free, *_container()]), default=None)


def _container() -> list[int]:
    """What the limits of a container leave, as Linux control groups (version 2, version 1) say it."""
    left = []
    for limit, used in (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")):
        try:
            limit, used = (Path("/sys/fs/cgroup", name).read_text().strip() for name in (limit, used))
        except OSError:
            continue
        left += [max(0, int(limit) - int(used))] if limit.isdigit() else []
    return left
