"""Run one command in a sandbox: Linux namespaces, an allow-list of files, no network, and limits.

The sandbox sees /usr and the like, Python's own folders and our two packages, all read-only, and
nothing else of the machine. Files go in and out through two folders, `in` and `out`. What is in
`out` is read when every process of the sandbox is dead. docs/teaching.md says what this keeps out,
and what it doesn't.
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from . import NO_ISOLATION_FLAG, init
from .shared_folder import SharedFolder
from .visible import environment, visible_paths
from .watcher import DEFAULT_LIMITS, Limits, Outcome, follow, stop

NAMESPACES = (
    *("--mount", "--pid", "--net", "--ipc", "--uts"),
    *("--fork", "--kill-child", "--propagation", "private"),
)
# Each sandbox gets a user of its own, which no account has, so that it cannot use up another's
# limits.
FIRST_UID = 1_900_000_000
START_SECONDS = 30


class NotIsolatedError(RuntimeError):
    """This machine offers no isolation. The message says why and what to do."""


def run(
    command: Sequence[str],
    files: Mapping[str, bytes],
    wanted: Mapping[str, int],
    limits: Limits = DEFAULT_LIMITS,
    watch: Callable[[SharedFolder, SharedFolder], str | None] = lambda inbox, outbox: None,
    hidden: Sequence[Path] = (),
    isolated: bool = True,
) -> tuple[Outcome, dict[str, bytes]]:
    """Run `command` in a sandbox of its own. Returns how it ended, and the files that it left.

    files: {name: bytes} that the command finds in ../in. wanted: {name: most bytes} of the files to
    take from ../out. watch(in, out) is called about 20 times a second and stops the command by
    returning a reason. hidden: folders that must not be seen; raises ValueError when Python's own
    folders contain one. isolated=False runs an ordinary process, with your files, your network and
    your rights. Raises NotIsolatedError where isolation does not work.
    """
    if sys.platform == "win32":
        raise NotIsolatedError(
            "grading runs on Linux (with isolation) and macOS (without): on Windows, use WSL 2"
        )
    base = Path(tempfile.mkdtemp(prefix="classroom-"))
    control, theirs = socket.socketpair()
    folders: list[int] = []
    process = None
    try:
        plan = _plan(command, base, limits, hidden, isolated)
        if not isolated:
            for name in ("in", "out", "run"):
                (base / name).mkdir()
        process = _start(theirs.fileno(), isolated)
        theirs.close()
        folders = _folders(control, plan, process)
        inbox, outbox = map(SharedFolder, folders)
        for name, data in files.items():
            inbox.write(name, data)
        control.sendall(b"go")
        outcome = follow(process, limits, lambda: watch(inbox, outbox))
        stop(process, isolated)
        found = {name: outbox.read(name, most) for name, most in wanted.items()}
        return outcome, {name: data for name, data in found.items() if data is not None}
    finally:
        if process is not None:
            stop(process, isolated)
            process.stdout.close()
        for end in (control, theirs):
            end.close()
        for descriptor in folders:
            os.close(descriptor)
        shutil.rmtree(base, ignore_errors=True)


def _plan(
    command: Sequence[str], base: Path, limits: Limits, hidden: Sequence[Path], isolated: bool
) -> dict:
    """What init.py is told, as JSON."""
    place = init.PLACE if isolated else str(base)
    tasks = None
    if isolated:
        # Before 5.14 the kernel counts a user's tasks over all namespaces, the grader's included.
        exact = os.getuid() == 0 or _kernel() >= (5, 14)
        tasks = limits.processes * 4 if exact else 4096
    return {
        "isolated": isolated,
        "base": str(base),
        "place": place,
        "visible": visible_paths(hidden) if isolated else [],
        "uid": 0 if os.getuid() else FIRST_UID + secrets.randbelow(100_000_000),
        "command": list(command),
        "environment": environment(place),
        "open_files": 256,
        "tasks": tasks,
        "seconds": limits.seconds,
        "file": limits.file,
        "folder": limits.folder,
    }


def _start(control: int, isolated: bool) -> subprocess.Popen:
    """Start init.py, in fresh namespaces when isolated. control: the descriptor of its socket."""
    start = [sys.executable, "-I", "-S", init.__file__, str(control)]
    if isolated:
        user = ("--user", "--map-root-user") if os.getuid() else ()
        start = [_unshare(), *user, *NAMESPACES, *start]
    return subprocess.Popen(
        start,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=(control,),
        start_new_session=True,  # Ctrl-C is for the grader, which then stops the sandboxes itself
        cwd="/",
        env={"PATH": os.defpath},
    )


def _folders(control: socket.socket, plan: dict, process: subprocess.Popen) -> list[int]:
    """Send the plan to init.py. Returns the descriptors of the folders `in` and `out`."""
    control.settimeout(START_SECONDS)
    try:
        control.sendall(json.dumps(plan).encode() + b"\n")
        word, folders, _, _ = socket.recv_fds(control, 16, 2)
    except OSError as error:
        word, folders = str(error).encode(), []
    if word != b"ready":
        stop(process)
        printed = process.stdout.read(2000).decode("utf-8", "replace").strip()
        reason = f"the sandbox did not start ({word!r}, exit code {process.returncode})"
        raise NotIsolatedError(advice(printed or reason))
    if not plan["isolated"]:
        flags = os.O_RDONLY | os.O_DIRECTORY
        folders = [os.open(f"{plan['base']}/{name}", flags) for name in ("in", "out")]
    return folders


def probe() -> None:
    """Run `true` in a sandbox. Raises NotIsolatedError, with what to do, when that fails."""
    if not sys.platform.startswith("linux"):
        reason = f"isolation uses Linux namespaces, and this is {sys.platform}"
        raise NotIsolatedError(advice(reason))
    true = shutil.which("true", path="/usr/bin:/bin") or "/bin/true"
    outcome, _ = run([true], {}, {}, Limits(seconds=20))
    if outcome.code != 0:
        why = outcome.stopped or outcome.output.strip()
        raise NotIsolatedError(advice(f"`true` in a sandbox ended with {outcome.code}: {why}"))


def advice(reason: str) -> str:
    """The message for a machine without isolation."""
    return (
        f"Submissions cannot be isolated here: {reason[:600]}.\n"
        "There are two ways to continue:\n"
        "  1. Grade on Linux where user namespaces are allowed: in a virtual machine, in WSL 2, or "
        "in a container started for it (docker run --cap-add SYS_ADMIN "
        "--security-opt seccomp=unconfined --security-opt apparmor=unconfined "
        "--security-opt systempaths=unconfined ...).\n"
        f"  2. Add {NO_ISOLATION_FLAG}. Then every submission runs as you: it can read and change "
        "your files, the grade book, hidden tests and other submissions, use the network, and mark "
        "itself. Only limits on time and memory remain. Use it for code whose authors you trust, "
        "or in a container that holds nothing else and is thrown away."
    )


def _unshare() -> str:
    found = shutil.which("unshare", path=f"{os.defpath}:/usr/bin:/bin:/usr/sbin:/sbin")
    if not found:
        raise NotIsolatedError(advice("the program `unshare` (util-linux) is not installed"))
    return found


def _kernel() -> tuple[int, ...]:
    """The kernel's version, such as (5, 14)."""
    numbers = os.uname().release.split("-")[0].split(".")[:2]
    return tuple(int(number) for number in numbers if number.isdigit())
