"""A prepared process, which forks one child for each piece of work.

`python -m vit_classroom.sandbox.zygote KIND FD` runs in the sandbox that outer.py describes. It
imports what the work needs (torch takes seconds), reads its configuration from the socket FD, and
never reads what a learner sent. For each message on FD it forks: the first child leaves the common
namespaces and waits, the second is process 1 of the new ones, and the third does the work, with
the job on its standard connection to the grader.

    grader -- message, sockets --> zygote, fork, fork --> "ready", process 1
    grader -- job ----------------------------------> the work
    grader <-- frames (kind, number, bytes) --------- the work
    grader <-- exit code, when every process of it is gone
"""

import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import struct
import sys
import traceback

from . import inner

# The work of each kind: a module with prepare(config) -> state and handle(state, job, channel).
KINDS = {
    "read": "vit_classroom.reading.read",
    "judge": "vit_classroom.reading.judge",
    "run": "vit_classroom.sandbox.worker",
    "test": "vit_classroom.sandbox.python",
}
FRAME = struct.Struct("<cIQ")  # kind, number, length
LENGTH = struct.Struct("<Q")


class Channel:
    """The connection of a piece of work with the grader, and the file that it was given, if any."""

    def __init__(self, end: socket.socket, file: int | None = None):
        self.end, self.file = end, file

    def send(self, kind: bytes, number: int, data: bytes = b"") -> None:
        self.end.sendall(FRAME.pack(kind, number, len(data)) + data)

    def receive(self) -> bytes:
        """The job, or what the grader answered. Raises EOFError when it has gone."""
        (length,) = LENGTH.unpack(self._exactly(LENGTH.size))
        return self._exactly(length)

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            part = self.end.recv(min(size - len(data), 1 << 20))
            if not part:
                raise EOFError("the grader has gone")
            data += part
        return bytes(data)


def join(parts: list[bytes]) -> bytes:
    """Several byte strings in one, see `split`."""
    return b"".join(LENGTH.pack(len(part)) + part for part in parts)


def split(data: bytes) -> list[bytes]:
    """What `join` was given."""
    parts, at = [], 0
    while at < len(data):
        (length,) = LENGTH.unpack_from(data, at)
        at += LENGTH.size
        parts.append(data[at : at + length])
        at += length
    return parts


def serve(kind: str, control: socket.socket) -> None:
    """Prepare, then fork for each message until the grader closes the connection."""
    # jsonschema (through nbformat) would use it to check addresses in schemas, which nothing here
    # does, and where it is installed it takes 3 s to load.
    sys.modules.setdefault("rfc3987_syntax", None)
    config, program = split(Channel(control).receive())
    module = importlib.import_module(KINDS[kind])
    state = module.prepare(config)
    gc.collect()
    gc.freeze()  # a collection in a child would copy the pages of everything that is loaded
    control.sendall(b"+")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        message, ends, _, _ = socket.recv_fds(control, 65536, 4)
        if not message:
            return
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            control.close()
            _start(json.loads(message) | {"filter": program}, ends, module.handle, state)
        for end in ends:
            os.close(end)
        control.sendall(b"+")


def _start(plan: dict, ends: list[int], handle, state) -> None:
    """The first child: start process 1 in namespaces of its own, and tell how it ended."""
    job, output, status, *file = ends
    code = 97
    try:
        if plan["isolated"]:
            inner.new_namespaces(plan["own_user"])
        first = os.fork()
        if first == 0:
            os.close(status)
            code = _first(plan, socket.socket(fileno=job), output, [*file, None][0], handle, state)
        else:
            for end in (job, output, *file):
                os.close(end)
            code = os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])
            os.write(status, str(code).encode())
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.write(output, f"sandbox: {error!r}\n".encode())
    finally:
        os._exit(code if 0 <= code < 256 else 128 - code)


def _first(plan: dict, end: socket.socket, output: int, file, handle, state) -> int:
    """Process 1: build, drop, then start the work and wait for it. Returns the work's exit code."""
    os.setsid()
    nothing = os.open("/dev/null", os.O_RDONLY)
    for number, descriptor in enumerate((nothing, output, output)):
        os.dup2(descriptor, number)
    if plan["isolated"]:
        inner.new_folders(plan["folder"], plan["uid"], plan["below_tmp"])
    end.sendall(f"ready {os.getpid():<10}".encode())
    if end.recv(1) != b"g":  # the grader has put this process into a control group, or has gone
        return 1
    inner.set_limits(plan)
    if plan["isolated"]:
        inner.drop_privileges(plan["uid"])
        inner.install_filter(plan["filter"])
    work = os.fork()
    if work == 0:
        code = 1
        try:
            os.chdir(plan["run"])
            os.environ.update(plan["environment"])
            channel = Channel(end, file)
            task = channel.receive()
            inner.bound_memory(plan["memory"])
            handle(state, task, channel)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)  # threads and exit handlers that a learner's code left do not run
    end.close()
    for number in (0, 1, 2):
        os.close(number)
    while True:
        pid, status = os.wait()
        if pid == work:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


if __name__ == "__main__":
    # The module is loaded a second time under its name where the work imports it: harmless.
    serve(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))
