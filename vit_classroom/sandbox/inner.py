"""What one process does to itself before it reads what a learner sent.

It runs in the sandbox that bubblewrap built (outer.py), in a process forked by zygote.py. It gets
namespaces, folders and limits of its own, so that two submissions share nothing, and then drops
every privilege. Only the kernel's calls are in here: nothing of it can be had from a library,
because bubblewrap starts programs and a prepared process must be forked.
"""

import contextlib
import ctypes
import os
import stat
import struct

# <sched.h>
NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = (
    0x20000,
    0x4000000,
    0x8000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
NOSUID, NODEV, NOEXEC, BIND, REC, PRIVATE = 2, 4, 8, 4096, 16384, 0x40000  # <sys/mount.h>
# <linux/prctl.h>
PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 4, 24, 38
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
CAPABILITY_VERSION_3 = 0x20080522  # <linux/capability.h>
PLACE = "/sandbox"
RUN = f"{PLACE}/run"  # the working folder of a submission


def libc(name: str, *values) -> None:
    """Call a function of libc. Raises OSError when it fails."""
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*values) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}{values}: {os.strerror(code)}")


def mount(source, target: str, kind=None, flags: int = 0, data=None) -> None:
    text = [None if value is None else os.fsencode(value) for value in (source, target, kind, data)]
    libc("mount", text[0], text[1], text[2], ctypes.c_ulong(flags), text[3])


def new_namespaces(own_user: bool) -> None:
    """Leave the namespaces that all submissions of a sandbox share. The next child is process 1.

    own_user: a user namespace as well. Without root all submissions belong to one user, and a
    namespace of its own gives each a count of processes of its own.
    """
    if own_user:
        libc("unshare", NEWUSER)
        for name, text in {"setgroups": "deny", "uid_map": "0 0 1", "gid_map": "0 0 1"}.items():
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
    libc("unshare", NEWNS | NEWUTS | NEWIPC | NEWPID | NEWNET)


def new_folders(size: int, uid: int, below_tmp: list[str]) -> None:
    """Mount the folders that can be written to, each of at most `size` bytes, and /proc.

    below_tmp: folders and files in /tmp that must stay visible, as when Python is installed there.
    """
    mount("none", "/", None, PRIVATE | REC)
    kept = {}
    for path in below_tmp:
        with contextlib.suppress(FileNotFoundError):  # outer.py leaves out what is not there
            kept[path] = os.open(path, os.O_PATH)
    for target, mode, flags in (
        ("/tmp", "1777", NOSUID | NODEV),
        ("/dev/shm", "1777", NOSUID | NODEV | NOEXEC),
        (PLACE, "755", NOSUID | NODEV),
    ):
        mount("tmpfs", target, "tmpfs", flags, f"size={size},nr_inodes=20000,mode={mode}")
    for path, descriptor in kept.items():
        _place_for(path, stat.S_ISDIR(os.fstat(descriptor).st_mode))
        mount(f"/proc/self/fd/{descriptor}", path, None, BIND | REC)
        os.close(descriptor)
    mount("proc", "/proc", "proc", NOSUID | NODEV | NOEXEC)
    os.mkdir(RUN)
    if os.getuid() != uid:
        os.chown(RUN, uid, uid)


def _place_for(path: str, is_folder: bool) -> None:
    """Make what a folder or a file can be mounted on: the kernel wants the same kind there."""
    before = os.umask(0o022)  # the work, another user, must get through the folders above
    os.makedirs(path if is_folder else os.path.dirname(path), exist_ok=True)
    os.umask(before)
    if not is_folder and not os.path.exists(path):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))


def drop_privileges(uid: int) -> None:
    """Drop every capability and every way to gain one, and become another user if this is root."""
    library = ctypes.CDLL(None, use_errno=True)
    for capability in range(64):
        if library.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            break
    if os.getuid() != uid:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    library.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header, nothing = struct.pack("Ii", CAPABILITY_VERSION_3, 0), bytes(24)
    libc("capset", ctypes.create_string_buffer(header), ctypes.create_string_buffer(nothing))
    libc("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc("prctl", PR_SET_DUMPABLE, 0, 0, 0, 0)


class _Program(ctypes.Structure):
    """struct sock_fprog of <linux/filter.h>."""

    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def install_filter(program: bytes) -> None:
    """Refuse system calls to this process and to all that it starts (syscalls.py). Call it when
    all privileges are dropped."""
    if program:
        given = _Program(len(program) // 8, program)
        libc("prctl", PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(given), 0, 0)


def set_limits(limits: dict) -> None:
    """Set what the kernel itself enforces. The watcher outside does the rest."""
    import resource  # Windows has none

    wanted = {
        "RLIMIT_FSIZE": limits["file"],
        "RLIMIT_NOFILE": 256,
        "RLIMIT_CORE": 0,
        "RLIMIT_CPU": limits["cpu"] or int(limits["seconds"] * 2) + 10,
        "RLIMIT_NPROC": limits["tasks"],
        "RLIMIT_MEMLOCK": 1 << 20,
        "RLIMIT_MSGQUEUE": 0,
    }
    for name, value in wanted.items():
        kind = getattr(resource, name, None)
        if kind is None or value is None:
            continue
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS refuses some
            resource.setrlimit(kind, (value, value))
    # If the whole machine runs out of memory, this process is the first to be killed.
    with (
        contextlib.suppress(OSError),
        open("/proc/self/oom_score_adj", "w", encoding="utf-8") as file,
    ):
        file.write("1000")


def bound_memory(most: int) -> None:
    """Let this process map at most this many bytes more than now.

    An absurd allocation then fails in its cell and ends nothing else.
    """
    import resource

    with contextlib.suppress(OSError, ValueError, KeyError):
        now = status_bytes("VmSize")
        resource.setrlimit(resource.RLIMIT_AS, (now + most, now + most))


def status_bytes(*fields: str) -> int:
    """The sum of these fields of /proc/self/status, in bytes. Raises OSError where there is none,
    KeyError for an unknown field."""
    with open("/proc/self/status", encoding="utf-8") as file:
        rows = dict(line.split(":", 1) for line in file)
    return sum(int(rows[field].split()[0]) * 1024 for field in fields)
