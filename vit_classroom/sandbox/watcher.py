"""Follow a piece of work from outside: take what it sends, and stop it at the first limit that it
exceeds. Nothing that it sends is interpreted here."""

import contextlib
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

from .processes import descendants, memory_available, memory_used
from .zygote import FRAME, LENGTH

POLL_SECONDS = 0.05
LOOKS = 5  # that must find too much memory, one after the other, before a sandbox is stopped for it
LEAST_AVAILABLE = 200 << 20  # bytes that the machine keeps for itself
MACHINE = "this machine had too little memory left"


@dataclass(frozen=True)
class Limits:
    """Of one piece of work. seconds: wall time. cpu: seconds of computing, or None. processes: at
    one time. All others are bytes.

    memory: of all processes together. output: of what is printed. file: of each file, and of each
    frame that it sends. reply: of all frames together. folder: of each of the three folders that
    can be written to.
    """

    seconds: float = 180.0
    cpu: int | None = None
    memory: int = 2 << 30
    processes: int = 24
    output: int = 10_000_000
    file: int = 32 << 20
    reply: int = 96 << 20
    folder: int = 96 << 20


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Outcome:
    """How a piece of work ended. code: the exit code, or None when it was stopped. stopped: the
    reason, in our words, or None. machine: it was stopped for the machine's sake, not for what it
    did itself. printed: the beginning of what it printed, whoever wrote it. seconds: wall time."""

    code: int | None
    stopped: str | None
    machine: bool
    printed: str
    seconds: float


@dataclass
class Ends:
    """The grader's ends of the three connections with a piece of work, and its process 1."""

    job: socket.socket
    output: int
    status: int
    first: int = 0

    def close(self) -> None:
        self.job.close()
        for end in (self.output, self.status):
            os.close(end)


class _Frames:
    """Takes frames out of a stream of bytes, with bounds on each and on all of them."""

    def __init__(self, limits: Limits):
        self.limits, self.data, self.taken = limits, bytearray(), 0

    def add(self, data: bytes) -> str | None:
        """Returns a reason to stop, or None."""
        self.data += data
        self.taken += len(data)
        if self.taken > self.limits.reply:
            return f"output limit: it sent more than {self.limits.reply >> 20} MB of results"
        if len(self.data) >= FRAME.size and FRAME.unpack_from(self.data)[2] > self.limits.file:
            return f"output limit: one result has more than {self.limits.file >> 20} MB"
        return None

    def take(self):
        """The next whole frame (kind, number, bytes), or None."""
        if len(self.data) < FRAME.size:
            return None
        kind, number, length = FRAME.unpack_from(self.data)
        end = FRAME.size + length
        if length > self.limits.file or len(self.data) < end:
            return None
        frame = kind, number, bytes(self.data[FRAME.size : end])
        del self.data[:end]
        return frame


def follow(
    ends: Ends,
    job: bytes,
    limits: Limits,
    on_frame: Callable[[bytes, int, bytes], bytes | None],
    watch: Callable[[], str | None],
) -> Outcome:
    """Send the job, and hand on each frame, until it has ended.

    on_frame(kind, number, data) may return an answer. watch() is called about 20 times a second
    and stops the work by returning a reason.
    """
    start, looked = time.monotonic(), 0.0
    kept, printed, stopped, machine, code = bytearray(), 0, None, False, None
    frames, sending = _Frames(limits), bytearray(LENGTH.pack(len(job)) + job)
    ends.job.setblocking(False)
    os.set_blocking(ends.output, False)
    open_ends = [ends.job, ends.output, ends.status]
    while stopped is None and ends.status in open_ends:
        writing = [ends.job] if sending and ends.job in open_ends else []
        ready, room, _ = select.select(open_ends, writing, [], POLL_SECONDS)
        if room:
            try:
                del sending[: ends.job.send(sending[: 1 << 20])]
            except OSError:
                sending.clear()
        if ends.job in ready:
            data = _received(ends.job)
            if not data:
                open_ends.remove(ends.job)
            stopped = frames.add(data)
            while frame := frames.take():
                if answer := on_frame(*frame):
                    sending += LENGTH.pack(len(answer)) + answer
        if ends.output in ready:
            with contextlib.suppress(BlockingIOError):
                data = os.read(ends.output, 1 << 16)
                if not data:
                    open_ends.remove(ends.output)
                printed += len(data)
                kept += data[: max(0, 2000 - len(kept))]
        if ends.status in ready:
            said = os.read(ends.status, 10)
            code = int(said) if said.isdigit() else 97
            break
        now = time.monotonic()
        if stopped is None and now - looked >= POLL_SECONDS:
            looked = now
            stopped = watch() or exceeded_limit(ends.first, limits, now - start, printed)
            if stopped is None and memory_available() < LEAST_AVAILABLE:
                stopped, machine = MACHINE, True
    if stopped is None:  # what it sent with its last breath
        while data := _received(ends.job):
            stopped = stopped or frames.add(data)
            while stopped is None and (frame := frames.take()):
                on_frame(*frame)
    text = bytes(kept).decode("utf-8", "replace")
    return Outcome(None if stopped else code, stopped, machine, text, time.monotonic() - start)


def stop(ends: Ends, isolated: bool) -> None:
    """Kill every process of the work, and wait until they are gone."""
    if isolated:
        # Process 1 of a namespace takes all others with it.
        victims = [ends.first]
    else:
        victims = descendants(ends.first)[::-1]
        with contextlib.suppress(OSError):
            os.killpg(ends.first, signal.SIGKILL)
    for pid in victims:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + 5
    while time.monotonic() < end:
        # The last process that held it has gone when nothing can be read from it any more.
        ready, _, _ = select.select([ends.status], [], [], 0.2)
        if ready and not os.read(ends.status, 100):
            return


def receive_first(end: socket.socket, isolated: bool, seconds: float) -> int:
    """The process id of process 1, as the grader sees it. Raises OSError when it does not come.

    The kernel adds the id to what is sent, so inside a namespace nobody can claim another's.
    """
    end.settimeout(seconds)
    text, more, _, _ = end.recvmsg(16, socket.CMSG_SPACE(12) if isolated else 0)
    if not text.startswith(b"ready "):
        raise OSError(f"it said {text!r}")
    if not isolated:
        return int(text.split()[1])
    for level, kind, data in more:
        if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            return struct.unpack("3i", data[:12])[0]
    raise OSError("the kernel did not say who it is")


def exceeded_limit(first: int, limits: Limits, seconds: float, printed: int) -> str | None:
    """Which limit is exceeded, as a message, or None.

    first: process 1. seconds: that it has run. printed: bytes that it has printed.
    """
    if seconds > limits.seconds:
        return f"time limit: it ran for {limits.seconds:.0f} s"
    pids = descendants(first)[1:]
    used = _memory(pids, limits)
    for _ in range(LOOKS - 1):
        # Between vfork and exec a child shares its parent's memory, and the kernel reports all of
        # it for both, so one look proves nothing.
        if used <= limits.memory:
            break
        time.sleep(POLL_SECONDS)
        used = _memory(descendants(first)[1:], limits)
    if len(pids) > limits.processes:
        return f"process limit: it started {len(pids)} processes, {limits.processes} are allowed"
    if used > limits.memory:
        allowed = f"{limits.memory / 2**30:.1f} GB are allowed"
        return f"memory limit: it used {used / 2**30:.1f} GB, {allowed}"
    if printed > limits.output:
        return f"output limit: it printed more than {limits.output // 1_000_000} MB"
    return None


def _memory(pids: list[int], limits: Limits) -> int:
    """The quick count; the exact one only where memory shared with others may be counted twice.

    A forked child shares with the prepared process what it has not changed.
    """
    used = memory_used(pids)
    if used > limits.memory:
        used = memory_used(pids, exact=True) or used
    return used


def _received(end: socket.socket) -> bytes:
    try:
        return end.recv(1 << 20)
    except (BlockingIOError, OSError):
        return b""
