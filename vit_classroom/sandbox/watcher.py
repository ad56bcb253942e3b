"""Follow a sandbox from outside: read what it prints, and stop it at the first limit it exceeds."""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .processes import descendants, memory_available, memory_used

POLL_SECONDS = 0.05
LOOKS = 5  # that must find too much memory, one after the other, before a sandbox is stopped for it
LEAST_AVAILABLE = 200 << 20  # bytes that the machine keeps for itself


@dataclass(frozen=True)
class Limits:
    """Of one sandbox. seconds: wall time. processes: at one time. All others are bytes.

    memory: of all processes together. output: of what is printed and kept. file: of each file.
    folder: of each of the three folders that can be written to.
    """

    seconds: float = 180.0
    memory: int = 2 << 30
    processes: int = 24
    output: int = 100_000
    file: int = 32 << 20
    folder: int = 96 << 20


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Outcome:
    """How a sandbox ended. code: the exit code, or None when it was stopped. stopped: the reason,
    or None. output: the beginning of what it printed. seconds: wall time."""

    code: int | None
    stopped: str | None
    output: str
    seconds: float


def follow(process: subprocess.Popen, limits: Limits, watch: Callable[[], str | None]) -> Outcome:
    """Wait until the process ends; stop it when `watch` returns a reason or a limit is exceeded."""
    start, looked = time.monotonic(), 0.0
    kept, printed, stopped = bytearray(), 0, None
    pipe = process.stdout.fileno()
    os.set_blocking(pipe, False)
    open_end = True
    while stopped is None:
        if open_end:
            ready, _, _ = select.select([pipe], [], [], POLL_SECONDS)
        else:
            time.sleep(POLL_SECONDS)
            ready = []
        if ready:
            data = os.read(pipe, 1 << 16)
            open_end = bool(data)
            printed += len(data)
            kept += data[: max(0, limits.output - len(kept))]
        if process.poll() is not None:
            break
        now = time.monotonic()
        if now - looked < POLL_SECONDS:
            continue
        looked = now
        stopped = watch() or exceeded_limit(process, limits, now - start, printed)
    code = process.poll() if stopped is None else None
    if stopped:
        stop(process, drain=True)
    text = bytes(kept).decode("utf-8", "replace") + ("\n[cut]" if printed > len(kept) else "")
    return Outcome(code, stopped, text, time.monotonic() - start)


def stop(process: subprocess.Popen, isolated: bool = True, drain: bool = False) -> None:
    """Kill every process of the sandbox, and wait until they are gone.

    drain: throw away what it still prints. `unshare` reports how process 1 ended, and would wait
    for room in a pipe that the sandbox has filled.
    """
    if process.poll() is None:
        # The first child of `unshare` is process 1 of the sandbox, and takes all others with it.
        # `unshare` waits for process 1, whose end waits for all the others.
        for pid in descendants(process.pid)[1:]:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if not isolated:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
        end = time.monotonic() + 5
        while process.poll() is None and time.monotonic() < end:
            if drain:
                with contextlib.suppress(BlockingIOError):
                    os.read(process.stdout.fileno(), 1 << 20)
            time.sleep(0.005)
        process.kill()  # does nothing when it has ended
    process.wait()


def exceeded_limit(
    process: subprocess.Popen, limits: Limits, seconds: float, printed: int
) -> str | None:
    """Which limit is exceeded, as a message, or None.

    seconds: that it has run. printed: bytes that it has printed.
    """
    pids = descendants(process.pid)
    used = _memory(pids, limits)
    for _ in range(LOOKS - 1):
        # Between vfork and exec a child shares its parent's memory, and the kernel reports all of
        # it for both, so one look proves nothing.
        if used <= limits.memory:
            break
        time.sleep(POLL_SECONDS)
        used = _memory(descendants(process.pid), limits)
    if seconds > limits.seconds:
        return f"time limit: it ran for {limits.seconds:.0f} s"
    started = len(pids) - 2  # without `unshare` and process 1
    if started > limits.processes:
        return f"process limit: it started {started} processes, {limits.processes} are allowed"
    if used > limits.memory:
        allowed = f"{limits.memory / 2**30:.1f} GB are allowed"
        return f"memory limit: it used {used / 2**30:.1f} GB, {allowed}"
    if printed > 100 * limits.output:
        return f"output limit: it printed more than {printed // 1_000_000} MB"
    if memory_available() < LEAST_AVAILABLE:
        return f"memory limit: this machine had less than {LEAST_AVAILABLE / 2**30:.1f} GB left"
    return None


def _memory(pids: Sequence[int], limits: Limits) -> int:
    """The quick count; the exact one only when forked processes could have been counted twice."""
    used = memory_used(pids)
    if used > limits.memory and len(pids) > 3:  # `unshare`, process 1 and the command
        used = memory_used(pids, exact=True) or used
    return used
