"""Cells that a hostile learner may put into a notebook. Run them in a sandbox and nowhere else.

`{book}`, `{course}`, `{source}`, `{outside}` and `{port}` in a cell stand for paths and a port of
the teacher's machine: `HostileCell.fill_in` writes them in.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class HostileCell:
    """source: the cell. event: words that an event of the result must have, or None.

    tested: the tests run it; the benchmark runs all.
    """

    source: str
    event: str | None = None
    tested: bool = False

    def fill_in(
        self, course: Path, assignment: str = "", outside: Path = Path("/nowhere"), port: int = 9
    ) -> str:
        """The cell with the teacher's paths and a listening port in it."""
        text = self.source
        places = {
            "{book}": course / "gradebook.db",
            "{course}": course,
            "{source}": course / "source" / assignment / f"{assignment}.ipynb",
            "{outside}": outside,
        }
        for mark, path in places.items():
            text = text.replace(mark, repr(str(path)))
        return text.replace("{port}", str(port))


PATCH_TORCH = """\
import torch
torch.equal = torch.allclose = lambda *a, **k: True
torch.testing.assert_close = lambda *a, **k: None
torch.Tensor.__eq__ = lambda *a: True"""

# The answers are right, so they must keep their marks; the cell must do no harm.
HOSTILE = {
    "endless loop": HostileCell("while True:\n    pass", "time limit", True),
    "loop that catches": HostileCell(
        """\
while True:
    try:
        while True:
            pass
    except BaseException:
        pass""",
        "could not be interrupted",
        True,
    ),
    "10 GB allocation": HostileCell(
        "import torch\nkept = torch.ones(10 * 2**30 // 4)", "memory limit", True
    ),
    "memory bit by bit": HostileCell("kept = []\nwhile True:\n    kept.append(bytearray(2**24))"),
    "shared memory": HostileCell(
        """\
import mmap
kept = []
while True:
    kept.append(mmap.mmap(-1, 2**24))
    kept[-1].write(bytes(2**24))""",
        "memory limit",
        True,
    ),
    "fork bomb": HostileCell("import os\nwhile True:\n    os.fork()"),
    "many processes": HostileCell(
        """\
import os, time
for _ in range(60):
    if os.fork() == 0:
        time.sleep(9)
        os._exit(0)
time.sleep(9)""",
        "process limit",
        True,
    ),
    "endless output": HostileCell("while True:\n    print('y' * 1000)", "time limit", True),
    "endless raw output": HostileCell(
        "import os\nwhile True:\n    os.write(1, b'y' * 60000)", "limit", True
    ),
    "fills the disk": HostileCell(
        """\
import itertools
for i in itertools.count():
    open(f'/tmp/{i}', 'wb').write(b'x' * 2**24)""",
        None,
        True,
    ),
    "sys.exit": HostileCell("import sys\nsys.exit(0)", None, True),
    "os._exit": HostileCell("import os\nos._exit(0)", "process ended", True),
    "kill": HostileCell("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"),
    "kill everything": HostileCell("import os, signal\nos.kill(-1, signal.SIGKILL)", None, True),
    "segmentation fault": HostileCell("import ctypes\nctypes.string_at(0)", "process ended", True),
    "patches torch": HostileCell(PATCH_TORCH, None, True),
    "reads the grade book": HostileCell("print(open({book}, 'rb').read())"),
    "reads hidden tests": HostileCell("print(open({source}).read())"),
    "reads other submissions": HostileCell(
        """\
import glob
for name in glob.glob({course} + '/submitted/*/*/*'):
    print(open(name).read())"""
    ),
    "walks the disk": HostileCell(
        """\
import os
for base, _, names in os.walk('/'):
    for name in names:
        if 'canary' in name:
            print(open(os.path.join(base, name)).read())"""
    ),
    "opens a socket": HostileCell(
        "import socket\nsocket.create_connection(('127.0.0.1', {port}), 3).send(b'escaped')"
    ),
    "starts a server": HostileCell("import socket\nprint(socket.create_server(('0.0.0.0', 8080)))"),
    "writes outside": HostileCell(
        """\
for place in ({outside}, {course}, '/etc', '/usr', '/root', '/home', '/'):
    try:
        open(place + '/escaped', 'w').write('x')
    except OSError as error:
        print(error)"""
    ),
    "overwrites marks": HostileCell(
        """\
import sqlite3
with sqlite3.connect({book}) as b:
    b.execute('update grade set auto_score = 99')"""
    ),
    "reads variables": HostileCell(
        "import os\nprint(dict(os.environ), open('/proc/1/environ').read())"
    ),
    "memory of nobody": HostileCell(
        """\
import mmap, os
kept = []
for i in range(200):
    try:
        kept.append(os.memfd_create('x'))
    except OSError as error:
        print('refused', error.errno)
        break
    os.write(kept[-1], bytes(2**25))""",
        None,
        True,
    ),
    "shared memory of System V": HostileCell(
        """\
import ctypes
libc = ctypes.CDLL(None)
for i in range(200):
    if libc.shmget(0, 2**25, 0o1600) < 0:
        print('refused')
        break""",
        None,
        True,
    ),
    "leaves the machine": HostileCell(
        """\
import socket
for family in (40, 16, 17, 31):
    try:
        socket.socket(family, socket.SOCK_STREAM).connect((2, 22))
        print('CONNECTED')
    except OSError as error:
        print('refused', error.errno)""",
        None,
        True,
    ),
    "background process": HostileCell(
        """\
import os, time
if os.fork() == 0:
    os.setsid()
    while True:
        time.sleep(1)"""
    ),
}

# Finds its targets in sys.modules, so that it goes on working when they move to another module.
PATCH_CHECKS = """\
import sys
import vit_tutorial.checks as c
fine = lambda *a, **k: c.Verdict(True, None, 'fine')
patched = 0
for name, module in list(sys.modules.items()):
    if name.startswith(('vit_tutorial.checks', 'vit_classroom')):
        for word, value in list(vars(module).items()):
            if 'judge' in word or word.startswith('check_'):
                setattr(module, word, fine)
                patched += 1
            if isinstance(value, type) and hasattr(value, 'judge'):
                value.judge = fine
                patched += 1
assert patched >= 3"""
FORGE_RESULTS = """\
import json, sys
for name, module in list(sys.modules.items()):
    if name.startswith(('vit_tutorial.checks', 'vit_classroom')):
        for word in [word for word in vars(module) if word.startswith('observe')]:
            setattr(module, word, lambda *a, **k: a[-1])  # the cases themselves
worker = sys.stdout.worker
channel = worker.channel
passed = json.dumps(dict(passed=True, status='graded', score=100, problem=None)).encode()
for i in range(99):
    channel.send(b'r', i, passed)
    for case in worker.cases.values():
        channel.send(b'o', i, case)
channel.send(b'p', 98)
channel.send(b'h', 0)
channel.send(b'e', 0)"""

# The answers are wrong, and the cell tries to have them taken for right ones.
FORGERS = {
    "wrong + patched torch": HostileCell(PATCH_TORCH, tested=True),
    "wrong + patched checks": HostileCell(PATCH_CHECKS, tested=True),
    "wrong + forged results": HostileCell(FORGE_RESULTS, tested=True),
    "wrong + friendly result": HostileCell(
        """\
class Yes:
    shape = dtype = property(lambda self: self)
    def __eq__(self, other):
        return True
    def __getattr__(self, name):
        return self""",
        tested=True,
    ),
}
