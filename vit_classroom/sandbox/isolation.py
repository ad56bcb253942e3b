"""A prepared process in its sandbox, and the pieces of work that it starts, from the grader's side.

with Sandbox("read", config) as sandbox:
    outcome = sandbox.run(job, Limits(seconds=5), on_frame)
"""

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from . import cgroup, inner, outer, syscalls
from .outer import NotIsolatedError
from .package import observing_package
from .visible import PACKAGES, ROOT, environment, installed_copies, visible_paths
from .watcher import DEFAULT_LIMITS, Ends, Limits, Outcome, follow, receive_first, stop
from .zygote import LENGTH, join

# Each piece of work gets a user of its own, which no account has, so that it cannot use up
# another's limits.
FIRST_UID = 1_900_000_000
START_SECONDS = 120  # torch's import, on a busy machine with a cold disk
WORK_SECONDS = 30


class Sandbox:
    """kind: one of zygote.KINDS. config: what its module is prepared with. hidden: folders that
    must not be seen. isolated=False: an ordinary process, with your files, your network and your
    rights. Several threads may run work at one time.

    Raises ValueError when Python is installed where a hidden folder would be seen.
    """

    def __init__(
        self,
        kind: str,
        config: bytes = b"",
        isolated: bool = True,
        hidden: Sequence[Path] = (),
    ):
        if sys.platform == "win32":
            raise NotIsolatedError(
                "grading runs on Linux (with isolation) and macOS (without): on Windows, use WSL 2"
            )
        self.kind, self.config, self.isolated = kind, config, isolated
        self.lock = threading.Lock()
        self.process = None
        self.groups = cgroup.find() if isolated else None
        self.folder = Path(tempfile.mkdtemp(prefix="classroom-"))
        try:
            self.visible = visible_paths(hidden) if isolated else []
            self._prepare()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def run(
        self,
        job: bytes,
        limits: Limits = DEFAULT_LIMITS,
        on_frame: Callable[[bytes, int, bytes], bytes | None] = lambda kind, number, data: None,
        watch: Callable[[], str | None] = lambda: None,
        file: int | None = None,
    ) -> Outcome:
        """Do one piece of work in a process of its own. See watcher.follow.

        file: the descriptor of a file that it may read.
        """
        ends = self._start(limits, file)
        group = None
        try:
            group = self._group(ends.first, limits)
            ends.job.sendall(b"g")
            outcome = follow(ends, job, limits, on_frame, watch)
            stop(ends, self.isolated)
            if group and not outcome.stopped and group.was_exceeded():
                allowed = f"{limits.memory / 2**30:.1f} GB are allowed"
                reason = f"memory limit: {allowed}"
                outcome = replace(outcome, code=None, stopped=reason)
            return outcome
        finally:
            if sys.exc_info()[0] is not None:
                stop(ends, self.isolated)
            ends.close()
            if group:
                group.close()

    def _group(self, first: int, limits: Limits) -> cgroup.Group | None:
        """A control group around process 1, where there can be one.

        Its limit is beyond what the watcher allows, with the folders that are in memory.
        """
        if self.groups is None:
            return None
        with contextlib.suppress(OSError):
            group = cgroup.Group(*self.groups, limits.memory + 3 * limits.folder + (64 << 20))
            try:
                group.add(first)
                return group
            except OSError:
                group.close()
        return None

    def close(self) -> None:
        """End the prepared process and everything that it started."""
        if self.process is not None:
            self.control.close()
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _prepare(self) -> None:
        """Start the prepared process."""
        self.control, theirs = socket.socketpair()
        module = "vit_classroom.sandbox.zygote"
        program = [sys.executable, "-P", "-m", module, self.kind, str(theirs.fileno())]
        if sys.version_info < (3, 11):
            program.remove("-P")
        variables = environment(inner.RUN, "/tmp")
        if self.isolated:
            program = outer.command(program, self.visible, self._packages())
        log = open(self.folder / "log", "wb")
        with theirs, log:
            self.process = subprocess.Popen(
                program,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(theirs.fileno(),),
                # Ctrl-C is for the grader, which then stops the sandboxes itself.
                start_new_session=True,
                cwd="/",
                env={"PATH": os.defpath} if self.isolated else variables,
            )
        self.control.settimeout(START_SECONDS)
        self.is_ready = False
        with contextlib.suppress(OSError):  # `ready` says what was wrong
            program = syscalls.filter_program() if self.isolated else b""
            config = join([self.config, program])
            self.control.sendall(LENGTH.pack(len(config)) + config)

    def ready(self) -> None:
        """Wait until the prepared process can serve. `run` does so, too.

        Raises NotIsolatedError, with what to do, where isolation does not work.
        """
        if self.is_ready:
            return
        try:
            ready = self.control.recv(1)
        except OSError as error:
            ready = str(error).encode()
        self.is_ready = ready == b"+"
        if not self.is_ready:
            self.process.kill()
            code = self.process.wait()
            said = (self.folder / "log").read_bytes()[-600:].decode("utf-8", "replace").strip()
            reason = f"the sandbox did not start (exit code {code}). {said}"
            raise NotIsolatedError(outer.advice(reason)) if self.isolated else OSError(reason)

    def _packages(self) -> dict[str, str]:
        """What is seen in the place of our two packages: {path: folder of the machine}.

        Where learners' code runs, that is a copy without right answers.
        """
        places = {str(ROOT / name): str(ROOT / name) for name in PACKAGES}
        if self.kind == "run":
            copy = self.folder / "package"
            observing_package(copy)
            places = {str(ROOT / name): str(copy / name) for name in PACKAGES}
        empty = self.folder / "empty"
        empty.mkdir(exist_ok=True)
        return places | dict.fromkeys(installed_copies(), str(empty))

    def _start(self, limits: Limits, file: int | None) -> Ends:
        """Let the prepared process fork. A second one is started when the first has gone, as when
        the machine was out of memory."""
        with self.lock:
            try:
                return self._fork(limits, file)
            except OSError:
                self.control.close()
                self.process.kill()
                self.process.wait()
                self._prepare()
                return self._fork(limits, file)

    def _fork(self, limits: Limits, file: int | None) -> Ends:
        job, theirs = socket.socketpair()
        output, output_end = os.pipe()
        status, status_end = os.pipe()
        ends = Ends(job, output, status)
        try:
            self.ready()
            if self.isolated:
                job.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            given = [theirs.fileno(), output_end, status_end, *([] if file is None else [file])]
            self.control.settimeout(WORK_SECONDS)
            socket.send_fds(self.control, [json.dumps(self._plan(limits)).encode()], given)
            if self.control.recv(1) != b"+":
                raise OSError("the prepared process has gone")
            for end in (output_end, status_end):
                os.close(end)
            output_end = status_end = None
            theirs.close()
            try:
                ends.first = receive_first(job, self.isolated, WORK_SECONDS)
            except OSError as error:
                os.set_blocking(output, False)
                with contextlib.suppress(OSError):
                    error = os.read(output, 500).decode("utf-8", "replace").strip() or error
                raise OSError(f"the sandbox did not start a process: {error}") from None
            return ends
        except BaseException:
            ends.close()
            raise
        finally:
            theirs.close()
            for end in (output_end, status_end):
                if end is not None:
                    os.close(end)

    def _plan(self, limits: Limits) -> dict:
        """What the forked process is told."""
        if self.isolated:
            run, variables, tasks = inner.RUN, {}, limits.processes * 4
        else:
            run = tempfile.mkdtemp(dir=self.folder)
            variables, tasks = environment(run, run), None
        return asdict(limits) | {
            "isolated": self.isolated,
            "own_user": bool(os.getuid()),
            "uid": 0 if os.getuid() else FIRST_UID + secrets.randbelow(100_000_000),
            "below_tmp": outer.below_tmp([*self.visible, *map(str, [ROOT])]),
            "run": run,
            "environment": variables,
            "tasks": tasks,
        }


def missing_promises() -> list[str]:
    """What this machine lacks, each with the promise that falls and what to install."""
    return [text for text in (syscalls.missing(),) if text]


def probe() -> None:
    """Do nothing in a sandbox. Raises NotIsolatedError, with what to do, when that fails."""
    try:
        with Sandbox("test") as sandbox:
            outcome = sandbox.run(b"''", Limits(seconds=20))
    except OSError as error:
        raise NotIsolatedError(outer.advice(str(error))) from None
    if outcome.code != 0:
        why = outcome.stopped or outcome.printed.strip()
        raise NotIsolatedError(outer.advice(f"nothing, in a sandbox, ended with {why}"))
