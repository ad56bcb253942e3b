"""The sandbox by itself: what is seen, what is refused, what is stopped.

Skipped where there are no namespaces.
"""

import ast
import errno
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from vit_classroom.sandbox import NO_ISOLATION_FLAG, init, isolation
from vit_classroom.sandbox.isolation import NotIsolatedError
from vit_classroom.sandbox.processes import descendants
from vit_classroom.sandbox.visible import ROOT, is_within, visible_paths
from vit_classroom.sandbox.watcher import Limits

QUICK = Limits(seconds=20, memory=300 << 20, processes=8, output=5000, file=1 << 20, folder=4 << 20)


@pytest.fixture(scope="module")
def sandbox():
    try:
        isolation.probe()
    except NotIsolatedError as error:
        pytest.skip(str(error))


def python(code: str, limits: Limits = QUICK, wanted=None, files=None, **more):
    """Run code in a sandbox with the standard library alone."""
    command = [sys.executable, "-I", "-S", "-c", code]
    return isolation.run(command, files or {}, wanted or {}, limits, **more)


def tree() -> list[int]:
    """The processes below this one."""
    return descendants(os.getpid())[1:]


def test_files_go_in_and_out_and_the_code_is_told(sandbox):
    before = tree()
    code = """
import os, sys
open('../out/b', 'w').write(open('../in/a').read() * 2)
print('hi')
print(os.getcwd())
sys.exit(3)
"""
    outcome, files = python(code, files={"a": b"xy"}, wanted={"b": 10, "c": 10})
    assert (outcome.code, outcome.stopped, files) == (3, None, {"b": b"xyxy"})
    assert outcome.output == f"hi\n{init.PLACE}/run\n"
    assert tree() == before


def test_only_plain_files_under_the_limit_come_out(sandbox, tmp_path):
    (tmp_path / "mark").write_text("secret")
    code = f"""
import os
os.chdir('../out')
os.symlink({str(tmp_path / "mark")!r}, 'link')
os.mkfifo('pipe')
os.mkdir('folder')
open('large', 'w').write('x' * 101)
open('good', 'w').write('x' * 100)
os.link('large', 'hard')
"""
    outcome, files = python(
        code, wanted=dict.fromkeys(("link", "pipe", "folder", "large", "good", "hard"), 100)
    )
    assert outcome.code == 0 and files == {"good": b"x" * 100}


def test_only_what_is_listed_is_there(sandbox):
    """Of the machine, of the clone, of the variables and of the processes."""
    code = f"""import os
print(os.listdir('/'))
print(os.listdir({str(ROOT)!r}))
print(sorted(os.environ))
print([name for name in os.listdir('/proc') if name.isdigit()])"""
    root, clone, variables, pids = map(ast.literal_eval, python(code)[0].output.splitlines())
    own = {"tmp", "dev", "proc", "sys", "etc", "sandbox"}
    system = {Path(path).name for path in init.SYSTEM if len(Path(path).parts) == 2}
    assert set(root) <= own | system | {"nix"} | {Path(path).parts[1] for path in visible_paths()}
    # The two packages without the lessons; and an environment in the clone, because Python is
    # there: the README puts .venv into it.
    prefixes = [Path(prefix) for prefix in (sys.prefix, sys.base_prefix)]
    environment = {each.relative_to(ROOT).parts[0] for each in prefixes if ROOT in each.parents}
    assert set(clone) == {"vit_tutorial", "vit_classroom"} | environment
    assert variables == sorted(isolation.environment(init.PLACE))
    assert sorted(pids) == ["1", "2"]


def test_python_that_lives_in_tmp_is_there(sandbox, monkeypatch):
    """The sandbox has a /tmp of its own, and an environment may be in the machine's /tmp."""
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        os.chmod(place, 0o755)
        (Path(place) / "mark").write_text("here")
        listed = [*visible_paths(), place]
        monkeypatch.setattr(isolation, "visible_paths", lambda hidden: listed)
        code = f"""
import os
print(open({place + "/mark"!r}).read(), os.access({place!r}, os.W_OK))
open('/tmp/new', 'w')
"""
        outcome, _ = python(code)
        assert (outcome.code, outcome.output) == (0, "here False\n")


def test_nothing_can_be_written_but_its_own_folders(sandbox):
    places = [*visible_paths(), "/", "/etc", "/usr", "/dev", "/proc"]
    code = f"""
for place in {places!r}:
    try:
        open(place + '/canary', 'w')
        print('WRITTEN', place)
    except OSError:
        print('refused')
"""
    outcome, _ = python(code)
    assert outcome.output.split() == ["refused"] * len(places)
    assert not any(os.path.exists(f"{place}/canary") for place in places)
    outcome, _ = python(
        "for p in ('/tmp', '/dev/shm', '../run', '../out'):\n    open(p + '/x', 'w')"
    )
    assert outcome.code == 0


def test_every_folder_of_the_machine_is_mounted_read_only(sandbox):
    """The files may belong to the user who grades: their permissions would not protect them."""
    limits = Limits(seconds=20, output=50_000)  # a machine may have many mounts
    text = python("print(open('/proc/self/mountinfo').read())", limits)[0].output
    rows = [line.split() for line in text.strip().split("\n")]
    own = {"/proc", "/tmp", "/dev/shm", init.PLACE, *init.FONTS}
    own |= {f"/dev/{name}" for name in init.DEVICES}
    flags = {row[4]: row[5].split(",") for row in rows if row[4] not in own}
    assert {"/usr", *visible_paths()} <= flags.keys(), flags.keys()
    assert all("ro" in each and "nosuid" in each for each in flags.values()), flags


def test_no_rights_and_no_way_to_get_them(sandbox):
    code = """
import ctypes, os
status = open("/proc/self/status").read()
capabilities = [line.split()[1] for line in status.split("\\n") if line.startswith("Cap")]
print(capabilities, "NoNewPrivs:\\t1" in status)
libc = ctypes.CDLL(None, use_errno=True)
mount = libc.mount(b"none", b"/usr", None, 4096 | 32, None)
print("namespace", libc.unshare(0x10000000), "mount", mount)
for call in (
    lambda: os.chroot("/tmp"),
    lambda: os.setuid(1),
    lambda: os.setgroups([0]),
    lambda: os.kill(1, 0) or os.kill(1, 9),
):
    try:
        call(); print("done")
    except OSError as error:
        print("refused")
"""
    outcome, _ = python(code)
    lines = outcome.output.split("\n")
    assert lines[:2] == [f"{['0' * 16] * 5} True", "namespace -1 mount -1"], outcome.output
    assert lines[2:5] == ["refused"] * 3
    assert outcome.code == 0  # process 1 does not hear a signal from inside


def test_no_network(sandbox):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        code = f"""
import socket
try:
    socket.create_connection({address!r}, 2)
    print('CONNECTED')
except OSError:
    print('refused')
"""
        assert python(code)[0].output == "refused\n"
        code = "import socket\nprint(socket.if_nameindex())"
        assert python(code)[0].output == "[(1, 'lo')]\n"


def stopped(code: str, limits: Limits = QUICK, **more) -> str:
    before = tree()
    outcome, _ = python(code, limits, **more)
    assert outcome.code is None and tree() == before
    return outcome.stopped


@pytest.mark.slow
def test_time_memory_processes_output(sandbox):
    assert stopped("while True: pass", Limits(seconds=1)).startswith("time limit")
    grow = "kept = []\nwhile True:\n    kept.append(bytearray(2**24))"
    assert stopped(grow).startswith("memory limit")
    children = (
        "import os, time\nfor _ in range(14):\n    os.fork() or time.sleep(60)\ntime.sleep(60)"
    )
    assert stopped(children).startswith("process limit")
    assert stopped("import os\nwhile True: os.write(1, b'x' * 4096)").startswith("output limit")


@pytest.mark.slow
def test_memory_that_forked_processes_share_counts_once(sandbox):
    code = """
import os, time
kept = b'x' * (100 << 20)
for _ in range(5):
    if os.fork() == 0:
        break
time.sleep(1)
"""
    outcome, _ = python(code)
    assert (outcome.code, outcome.stopped) == (0, None)


@pytest.mark.slow
def test_memory_that_a_starting_process_borrows_counts_once(sandbox):
    """Between vfork and exec the kernel reports all of it for both parent and child: a look at that
    moment finds twice as much."""
    code = "import subprocess, time\nkept = b'x' * (200 << 20)\nend = time.time() + 3\n"
    code += "while time.time() < end:\n    subprocess.run(['/bin/true'])"
    outcome, _ = python(code)
    assert (outcome.code, outcome.stopped) == (0, None)


def test_fork_bomb(sandbox):
    """The kernel holds it at four times the processes, and the watcher ends it."""
    code = "import os, resource\nprint(resource.getrlimit(resource.RLIMIT_NPROC)[1], os.getuid())"
    most, uid = map(int, python(code)[0].output.split())
    # The kernel does not hold root to it: without another user the bomb would be let loose here.
    assert most == 4 * QUICK.processes and (os.getuid() != 0 or uid >= isolation.FIRST_UID)
    bomb = "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass"
    # For "process limit" the watcher must count them before the time limit of 20 s ends them all.
    assert stopped(bomb).startswith("process limit")


def test_output_is_cut_and_not_stored(sandbox):
    outcome, _ = python("print('x' * 100_000)")
    assert len(outcome.output) == 5000 + len("\n[cut]") and outcome.output.endswith("[cut]")


def test_folders_and_files_have_a_size(sandbox):
    code = """
for name, number in (("/tmp/a", 3), ("/tmp/b", 9), ("/tmp/c", 9)):
    written = 0
    try:
        with open(name, "wb", buffering=0) as file:
            for _ in range(number):
                written += file.write(b"x" * 2**19)
    except OSError as error:
        print(name, error.errno)
"""
    limits = Limits(seconds=20, file=2 << 20, folder=4 << 20)

    assert python(code, limits)[0].output.split("\n")[:2] == [
        f"/tmp/b {errno.EFBIG}",
        f"/tmp/c {errno.ENOSPC}",
    ]


def test_watch_can_stop_it_and_sees_its_files(sandbox):
    met = []

    def watch(inbox, outbox):
        met.append(outbox.read("note", 100))
        return "enough" if met[-1] == b"hello" else None

    assert (
        stopped("import time\nopen('../out/note', 'w').write('hello')\ntime.sleep(60)", watch=watch)
        == "enough"
    )


def test_orphans_do_not_survive(sandbox):
    mark = f"classroom-orphan-{os.getpid()}"
    code = f"""
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv('/bin/sleep', ['{mark}', '60'])
    os._exit(0)
time.sleep(0.5)
"""
    assert python(code)[0].code == 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            assert mark.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            pass


@pytest.mark.slow
def test_sandbox_dies_with_the_grader(sandbox, tmp_path):
    """Kill the grader outright: nothing goes on in the background."""
    code = (
        "import sys\nfrom vit_classroom.sandbox import isolation\n"
        "isolation.run([sys.executable, '-I', '-S', '-c', 'import time; time.sleep(100)'], {}, {})"
    )
    grader = subprocess.Popen(
        [sys.executable, "-c", code],
        env=dict(os.environ, OMP_NUM_THREADS="1", TMPDIR=str(tmp_path)),
    )
    end = time.monotonic() + 60
    while len(inside := descendants(grader.pid)) < 4 and time.monotonic() < end:
        time.sleep(0.1)
    assert len(inside) == 4
    grader.kill()
    grader.wait()
    end = time.monotonic() + 10
    while any(os.path.exists(f"/proc/{pid}") for pid in inside) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(os.path.exists(f"/proc/{pid}") for pid in inside)


def test_python_that_holds_the_course_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    (tmp_path / "course").mkdir()
    with pytest.raises(ValueError, match="Move the course"):
        visible_paths([tmp_path / "course"])


def test_lessons_and_their_solutions_are_not_visible(monkeypatch):
    """Also when .venv is in the clone: then it is shown, and nothing beside it."""
    if not (ROOT / "notebooks").is_dir():
        pytest.skip("an installed package has no lessons beside it")
    for prefix in (sys.prefix, str(ROOT / ".venv")):
        monkeypatch.setattr(sys, "prefix", prefix)
        shown = visible_paths()
        for name in ("notebooks", ".lessons", "tests", "docs", ".git"):
            assert not any(is_within(str(ROOT / name), place) for place in shown), (name, shown)
            assert not any(is_within(place, str(ROOT / name)) for place in shown), (name, shown)
        assert {str(ROOT / "vit_classroom"), str(ROOT / "vit_tutorial")} <= set(shown)


def test_where_there_is_no_isolation_it_says_how_to_go_on(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda *a, **k: None)
    with pytest.raises(NotIsolatedError) as caught:
        isolation.probe()
    text = str(caught.value)
    assert (
        "unshare" in text
        and NO_ISOLATION_FLAG in text
        and "container" in text
        and "read and change your files" in text
    )
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(NotIsolatedError, match="darwin"):
        isolation.probe()


def test_refusal_by_the_system_is_told(monkeypatch):
    monkeypatch.setattr(isolation, "_unshare", lambda: shutil.which("false"))
    with pytest.raises(NotIsolatedError, match="did not start"):
        isolation.probe()


@pytest.mark.slow
def test_without_isolation_the_limits_remain():
    code = "import os\nopen('../out/b', 'w').write(open('../in/a').read() * 2)"
    outcome, files = python(code, files={"a": b"xy"}, wanted={"b": 10}, isolated=False)
    assert outcome.code == 0 and files == {"b": b"xyxy"}
    assert stopped("while True: pass", Limits(seconds=1), isolated=False).startswith("time limit")
