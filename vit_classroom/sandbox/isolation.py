"""Run one command in a sandbox: Linux namespaces, an allow-list of files, no network, and limits on time, memory and output.

Nothing of the machine is visible but /usr and the like, Python's own folders and this package, all read-only. Files go in and out
through two folders that are handed over; they are read after every process of the sandbox is dead. docs: the teacher's guide.
"""

import contextlib
import json
import os
import secrets
import select
import shutil
import signal
import site
import socket
import stat
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import init

FLAG = "--without-isolation-i-trust-every-submission"
ROOT = Path(__file__).resolve().parents[2]  # the clone: both packages lie in it
NAMESPACES = (
    "--mount",
    "--pid",
    "--net",
    "--ipc",
    "--uts",
    "--fork",
    "--kill-child",
    "--propagation",
    "private",
)
POLL_SECONDS = 0.05
LOOKS = 5  # in a row that find too much memory, before a process is stopped for it
# Processes of a sandbox get a user of their own, which no account has, so that one cannot use up the limits of another.
FIRST_UID = 1_900_000_000


class NotIsolatedError(RuntimeError):
    """This machine offers no isolation; the text says why and how to go on."""


@dataclass(frozen=True)
class Limits:
    """seconds: of wall time. memory, output, file, folder: bytes. processes: at one time. folder: each of three."""

    seconds: float = 180.0
    memory: int = 2 << 30
    processes: int = 24
    output: int = 100_000
    file: int = 32 << 20
    folder: int = 96 << 20


@dataclass(frozen=True)
class Outcome:
    """code: the exit code, None when it was stopped. stopped: the reason, or None. output: what it printed, cut."""

    code: int | None
    stopped: str | None
    output: str
    seconds: float


class Folder:
    """A folder shared with a sandbox, by its descriptor: plain files by name, and no link is ever followed."""

    def __init__(self, descriptor: int):
        self.descriptor = descriptor

    def write(self, name: str, data: bytes) -> None:
        """Write whole: the sandbox sees the file under this name when it is complete."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with open(os.open(name + ".part", flags, 0o644, dir_fd=self.descriptor), "wb") as file:
            file.write(data)
        os.rename(name + ".part", name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def read(self, name: str, most: int) -> bytes | None:
        """The bytes of a plain file, at most `most` of them; None for no such file, a link, a pipe or a larger file."""
        try:
            descriptor = os.open(
                name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self.descriptor
            )
        except OSError:
            return None
        try:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode) or facts.st_size > most:
                return None
            with open(descriptor, "rb", closefd=False) as file:
                data = file.read(most + 1)
        finally:
            os.close(descriptor)
        return data if len(data) <= most else None


def run(
    command: Sequence[str],
    files: Mapping[str, bytes],
    wanted: Mapping[str, int],
    limits: Limits = Limits(),
    watch: Callable[[Folder, Folder], str | None] = lambda inbox, outbox: None,
    hidden: Sequence[Path] = (),
    isolated: bool = True,
) -> tuple[Outcome, dict[str, bytes]]:
    """Run `command` with `files` in its folder ../in; return how it ended, and those of the `wanted` {name: most bytes} that it
    left in ../out.

    watch(in, out) is called about 20 times a second, and stops the command by returning a reason. hidden: folders that must not
    be seen; ValueError when Python's own folders hold one. isolated=False runs it as an ordinary process: with your files, your
    network and your rights. Raises NotIsolatedError where isolation does not work.
    """
    if sys.platform == "win32":
        raise NotIsolatedError(
            "grading runs on Linux (with isolation) and macOS (without): on Windows, use WSL 2"
        )
    base = Path(tempfile.mkdtemp(prefix="classroom-"))
    mine, theirs = socket.socketpair()
    folders: list[int] = []
    process = None
    try:
        uid = 0 if os.getuid() else FIRST_UID + secrets.randbelow(100_000_000)
        plan = {
            "isolated": isolated,
            "base": str(base),
            "place": init.PLACE if isolated else str(base),
            "visible": visible(hidden) if isolated else [],
            "uid": uid,
            "command": list(command),
            "environment": environment(init.PLACE if isolated else str(base)),
            "open_files": 256,
            "tasks": (limits.processes * 4 if os.getuid() == 0 or _kernel() >= (5, 14) else 4096)
            if isolated
            else None,
            **{name: getattr(limits, name) for name in ("seconds", "file", "folder")},
        }
        start = [sys.executable, "-I", "-S", init.__file__, str(theirs.fileno())]
        if isolated:
            user = ("--user", "--map-root-user") if os.getuid() else ()
            start = [_unshare(), *user, *NAMESPACES, *start]
        else:
            for name in ("in", "out", "run"):
                (base / name).mkdir()
        process = subprocess.Popen(
            start,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,  # Ctrl-C is for the grader, which then stops the sandboxes itself
            cwd="/",
            env={"PATH": os.defpath},
        )
        theirs.close()
        mine.settimeout(30)
        try:
            mine.sendall(json.dumps(plan).encode() + b"\n")
            word, folders, _, _ = socket.recv_fds(mine, 16, 2)
        except OSError as error:
            word, folders = str(error).encode(), []
        if word != b"ready":
            stop(process)
            said = process.stdout.read(2000).decode("utf-8", "replace").strip()
            raise NotIsolatedError(
                advice(said or f"the sandbox did not start ({word!r}, code {process.returncode})")
            )
        if not isolated:
            folders = [os.open(base / name, os.O_RDONLY | os.O_DIRECTORY) for name in ("in", "out")]
        inbox, outbox = map(Folder, folders)
        for name, data in files.items():
            inbox.write(name, data)
        mine.sendall(b"go")
        outcome = _follow(process, limits, lambda: watch(inbox, outbox))
        stop(process, isolated)
        found = {name: outbox.read(name, most) for name, most in wanted.items()}
        return outcome, {name: data for name, data in found.items() if data is not None}
    finally:
        if process is not None:
            stop(process, isolated)
            process.stdout.close()
        for end in (mine, theirs):
            end.close()
        for descriptor in folders:
            os.close(descriptor)
        shutil.rmtree(base, ignore_errors=True)


def probe() -> None:
    """Really run `true` in a sandbox. Raises NotIsolatedError, with what to do, when that does not work here."""
    if not sys.platform.startswith("linux"):
        raise NotIsolatedError(
            advice(f"isolation uses Linux namespaces, and this is {sys.platform}")
        )
    if not os.path.exists(f"/proc/self/task/{os.getpid()}/children"):
        raise NotIsolatedError(
            advice("this kernel does not list a process's children (CONFIG_PROC_CHILDREN)")
        )
    true = shutil.which("true", path="/usr/bin:/bin") or "/bin/true"
    outcome, _ = run([true], {}, {}, Limits(seconds=20))
    if outcome.code != 0:
        raise NotIsolatedError(
            advice(
                f"`true` in a sandbox ended with {outcome.code}: {outcome.stopped or outcome.output.strip()}"
            )
        )


def advice(reason: str) -> str:
    return (
        f"Submissions cannot be isolated here: {reason[:600]}.\nTwo ways to go on:\n"
        "  1. Grade on Linux where user namespaces are allowed: a virtual machine, WSL 2, or a container started for it "
        "(docker run --cap-add SYS_ADMIN --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
        "--security-opt systempaths=unconfined ...).\n"
        f"  2. Add {FLAG}. Then every submission runs as you: it can read and change your files, the grade book, hidden tests "
        "and other submissions, use the network, and mark itself. Only limits on time and memory remain. Take it for code whose "
        "authors you trust, or in a container that holds nothing else and is thrown away."
    )


def visible(hidden: Sequence[Path] = ()) -> list[str]:
    """What the sandbox sees beside the system's folders: Python, its packages, and this package without the lessons."""
    places = {
        sys.prefix,
        sys.base_prefix,
        sys.exec_prefix,
        sys.base_exec_prefix,
        os.path.dirname(os.path.realpath(sys.executable)),
    }
    places |= {
        path for path in sys.path if os.path.basename(path) in ("site-packages", "dist-packages")
    }
    places |= {sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib")} | {
        site.getusersitepackages()
    }
    places |= {str(ROOT / name) for name in ("vit_tutorial", "vit_classroom")}
    # A link and what it leads to are both needed: Python knows itself by the one, the loader by the other.
    places |= {os.path.realpath(path) for path in places}
    places = {os.path.abspath(path) for path in places if os.path.isdir(path)}
    system = [path for path in init.SYSTEM if os.path.isdir(path)]
    places = sorted(path for path in places if not any(_within(path, root) for root in system))
    places = [
        path
        for path in places
        if not any(_within(path, other) for other in places if other != path)
    ]
    for secret in map(os.path.realpath, hidden):
        holder = next(
            (path for path in [*system, *places] if _within(secret, os.path.realpath(path))), None
        )
        if holder:
            raise ValueError(
                f"{secret} lies in {holder}, which submissions can read: Python is installed there. Move the course"
            )
    return places


def environment(place: str) -> dict[str, str]:
    """The few variables that a submission sees; none of the teacher's."""
    return {
        "PATH": f"{os.path.dirname(sys.executable)}:/usr/local/bin:/usr/bin:/bin",
        "HOME": f"{place}/run",
        "TMPDIR": "/tmp" if place == init.PLACE else place,
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "IPYTHONDIR": f"{place}/run/.ipython",
        "MPLCONFIGDIR": f"{place}/run/.matplotlib",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    } | {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS", "NUMEXPR")}


def family(pid: int) -> list[int]:
    """The process and all its descendants. When one dies, its children go to process 1 of the sandbox: still here."""
    found, queue = [], [pid]
    while queue:
        pid = queue.pop()
        found.append(pid)
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):
                with (
                    contextlib.suppress(OSError),
                    open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file,
                ):
                    queue += map(int, file.read().split())
    return found


def memory(pids: Sequence[int], exact: bool = False) -> int:
    """Bytes that belong to these processes alone or are shared memory; files mapped from disk do not count.

    What forked processes share is counted for each of them; exact=True divides it among them, which takes longer.
    """
    name, fields = (
        ("smaps_rollup", ("Pss_Anon:", "Pss_Shmem:"))
        if exact
        else ("status", ("RssAnon:", "RssShmem:"))
    )
    total = 0
    for pid in pids:
        with (
            contextlib.suppress(OSError),
            open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as file,
        ):
            total += sum(int(line.split()[1]) * 1024 for line in file if line.startswith(fields))
    return total


def stop(process: subprocess.Popen, isolated: bool = True) -> None:
    """Kill every process of the sandbox: process 1 takes the others with it. Returns when they are gone."""
    if process.poll() is None:
        # Its first child is process 1 of the sandbox. `unshare` waits for that one, and that one's end waits for all the others.
        for pid in family(process.pid)[1:]:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if not isolated:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def _follow(process: subprocess.Popen, limits: Limits, watch: Callable[[], str | None]) -> Outcome:
    """Read what the command prints, keep its beginning, and stop it at the first limit that it passes."""
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
        stopped = watch() or _over(process, limits, now - start, printed)
    code = process.poll() if stopped is None else None
    if stopped:
        stop(process)
    text = bytes(kept).decode("utf-8", "replace") + ("\n[cut]" if printed > len(kept) else "")
    return Outcome(code, stopped, text, time.monotonic() - start)


def _over(process: subprocess.Popen, limits: Limits, seconds: float, printed: int) -> str | None:
    """The limit that is passed, in words."""
    pids = family(process.pid)
    used = _used(pids, limits)
    for _ in range(LOOKS - 1):
        # Between vfork and exec a child shares its parent's memory, and both are told to have all of it: one look proves nothing.
        if used <= limits.memory:
            break
        time.sleep(POLL_SECONDS)
        used = _used(family(process.pid), limits)
    if seconds > limits.seconds:
        return f"time limit: it ran for {limits.seconds:.0f} s"
    if len(pids) - 2 > limits.processes:
        return (
            f"process limit: it started {len(pids) - 2} processes, {limits.processes} are allowed"
        )
    if used > limits.memory:
        return f"memory limit: it used {used / 2**30:.1f} GB, {limits.memory / 2**30:.1f} GB are allowed"
    if printed > 100 * limits.output:
        return f"output limit: it printed more than {printed // 1_000_000} MB"
    if _available() < 200 << 20:
        return "memory limit: this machine had less than 0.2 GB left"
    return None


def _used(pids: Sequence[int], limits: Limits) -> int:
    used = memory(pids)
    if used > limits.memory and len(pids) > 3:  # 3: unshare, process 1 and the command
        used = memory(pids, exact=True) or used
    return used


def _available() -> int:
    """Bytes of memory that the machine has left."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            return next(
                int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable:")
            )
    except (OSError, StopIteration):
        return 1 << 62


def _unshare() -> str:
    found = shutil.which("unshare", path=f"{os.defpath}:/usr/bin:/bin:/usr/sbin:/sbin")
    if not found:
        raise NotIsolatedError(advice("the program `unshare` (util-linux) is not installed"))
    return found


def _kernel() -> tuple[int, ...]:
    return tuple(
        int(part) for part in os.uname().release.split("-")[0].split(".")[:2] if part.isdigit()
    )


def _within(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")
