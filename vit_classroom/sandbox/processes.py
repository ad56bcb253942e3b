"""What a process and its descendants use, and what the machine has left."""

import contextlib
from collections.abc import Sequence

import psutil


def descendants(pid: int) -> list[int]:
    """The process and all its descendants, as they are now.

    When one of them dies, its children go to process 1 of the sandbox, which is one of them, too.
    """
    try:
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    except psutil.NoSuchProcess:
        return [pid]


def memory_used(pids: Sequence[int], exact: bool = False) -> int:
    """Bytes of anonymous and shared memory that these processes use, without files from the disk.

    What forked processes share is counted for each of them. exact=True divides it among them, which
    takes the kernel longer.

    Read from /proc and not with psutil: its `rss` and `uss` count the hundreds of MB of libraries
    that torch maps from disk, and `rss - shared` leaves out shared memory, where a submission could
    then hide. Its `pss` divides like exact=True, but counts files as well, and needs a walk through
    the page tables at each look.
    """
    name, fields = "status", ("RssAnon:", "RssShmem:")
    if exact:
        name, fields = "smaps_rollup", ("Pss_Anon:", "Pss_Shmem:")
    total = 0
    for pid in pids:
        with (
            contextlib.suppress(OSError),
            open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as file,
        ):
            total += sum(int(line.split()[1]) * 1024 for line in file if line.startswith(fields))
    return total


def memory_available() -> int:
    """Bytes of memory that the machine has left."""
    return psutil.virtual_memory().available


def cores() -> int:
    """How many cores this process may use."""
    process = psutil.Process()
    if hasattr(process, "cpu_affinity"):  # not on macOS
        return len(process.cpu_affinity())
    return psutil.cpu_count() or 1
