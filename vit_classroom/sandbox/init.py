"""Process 1 of a sandbox: build the file system that a submission sees, and start the one command.

isolation.py starts this as a script, `python -I -S init.py FD`, inside fresh namespaces, so it
imports the standard library alone. It receives its plan over the socket FD, as one line of JSON,
hands back the folders `in` and `out`, and waits for "go". Before the command starts it drops every
privilege.
"""

import ctypes
import json
import os
import signal
import socket
import struct
import sys
import time

# <sys/mount.h>
RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT, BIND, REC = 1, 2, 4, 8, 32, 4096, 16384
DETACH = 2
# <linux/prctl.h>
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP = 1, 4, 24
PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 38, 47, 4
CAPABILITY_VERSION_3 = 0x20080522  # <linux/capability.h>
DEVICES = ("null", "zero", "full", "random", "urandom")
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store")
ETC = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/fonts")
FONTS = ("/usr/share/fonts", "/usr/local/share/fonts")
PLACE = "/sandbox"


def libc(name: str, *values) -> None:
    """Call a function of libc. Raises OSError when it fails."""
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*values) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}{values}: {os.strerror(code)}")


def mount(source, target: str, kind=None, flags: int = 0, data=None) -> None:
    text = [None if value is None else os.fsencode(value) for value in (source, target, kind, data)]
    libc("mount", text[0], text[1], text[2], ctypes.c_ulong(flags), text[3])


def tmpfs(target: str, size: int, flags: int = NOSUID | NODEV, mode: str = "755") -> None:
    os.makedirs(target, exist_ok=True)
    mount("tmpfs", target, "tmpfs", flags, f"size={size},nr_inodes=20000,mode={mode}")


def bind_read_only(root: str, path: str, flags: int = RDONLY | NOSUID | NODEV) -> None:
    """Show the sandbox a file or folder of the machine at its own path, read-only, with everything
    that is mounted below it."""
    target = root + path
    if os.path.isdir(path):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "a", encoding="utf-8"):
            pass
    mount(path, target, None, BIND | REC)
    kept = {"nosuid": NOSUID, "nodev": NODEV, "noexec": NOEXEC}
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        rows = [line.split() for line in file]
    for row in rows:
        point = (
            row[4]
            .encode("utf-8", "surrogateescape")
            .decode("unicode_escape")
            .encode("latin-1")
            .decode("utf-8")
        )
        if point == target or point.startswith(target + "/"):
            own = sum(flag for name, flag in kept.items() if name in row[5].split(","))
            mount(None, point, None, REMOUNT | BIND | flags | own)


def build(plan: dict) -> None:
    """Make a new root with what the plan lists and nothing else, and leave the machine's own."""
    base, root = plan["base"], plan["base"] + "/root"
    tmpfs(base, 1 << 20)
    os.mkdir(root)
    for path in SYSTEM:
        if os.path.islink(path):
            os.symlink(os.readlink(path), root + path)
        elif os.path.isdir(path):
            bind_read_only(root, path)
    # Before the visible paths, because it would cover an environment that is in /tmp.
    tmpfs(root + "/tmp", plan["folder"], mode="1777")
    for path in [*ETC, *plan["visible"]]:
        if os.path.exists(path):
            bind_read_only(root, path)
    for path in FONTS:  # matplotlib brings its own, and would read all of these each time
        if os.path.isdir(root + path):
            tmpfs(root + path, 1 << 12)
    os.makedirs(root + "/etc", exist_ok=True)
    user = f"learner:x:{plan['uid']}:{plan['uid']}::{PLACE}/run:/bin/sh\n"
    for name, text in {
        "passwd": user,
        "group": f"learner:x:{plan['uid']}:\n",
        "hosts": "127.0.0.1 localhost\n",
    }.items():
        with open(f"{root}/etc/{name}", "w", encoding="utf-8") as file:
            file.write(text)
    os.mkdir(root + "/dev")
    for name in DEVICES:
        bind_read_only(root, f"/dev/{name}", NOSUID | NOEXEC)
    for name, target in {"fd": "fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}.items():
        os.symlink(f"/proc/self/{target}", f"{root}/dev/{name}")
    tmpfs(root + "/dev/shm", plan["folder"], NOSUID | NODEV | NOEXEC, "1777")
    tmpfs(root + PLACE, plan["folder"])
    os.mkdir(root + "/proc")
    mount("proc", root + "/proc", "proc", NOSUID | NODEV | NOEXEC)
    if os.path.isdir("/sys/devices/system/cpu"):  # torch asks here how many cores there are
        bind_read_only(root, "/sys/devices/system/cpu")
    for name in ("in", "out", "run"):
        os.mkdir(f"{root}{PLACE}/{name}")
        if name != "in" and os.getuid() != plan["uid"]:
            os.chown(f"{root}{PLACE}/{name}", plan["uid"], plan["uid"])
    os.mkdir(base + "/old")
    libc("pivot_root", os.fsencode(base), os.fsencode(base + "/old"))
    os.chdir("/")
    libc("umount2", b"/old", DETACH)
    os.rmdir("/old")
    mount(None, "/", None, REMOUNT | BIND | RDONLY | NOSUID | NODEV)
    # In a changed root the kernel refuses new user namespaces, and with them every way to get
    # privileges back.
    os.chroot("/root")
    os.chdir("/")


def drop_privileges(uid: int) -> None:
    """Drop every capability and every way to gain one, and become another user if this is root.

    Nothing that runs after this is trusted.
    """
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
    libc("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # changing the user cleared it


def set_limits(plan: dict) -> None:
    """Set what the kernel itself enforces. The watcher outside does the rest."""
    import resource  # Windows has none, and isolation.py refuses to run there

    wanted = {
        "RLIMIT_FSIZE": plan["file"],
        "RLIMIT_NOFILE": plan["open_files"],
        "RLIMIT_CORE": 0,
        "RLIMIT_CPU": int(plan["seconds"] * 2) + 10,
        "RLIMIT_NPROC": plan["tasks"],
        "RLIMIT_MEMLOCK": 1 << 20,
        "RLIMIT_MSGQUEUE": 0,
    }
    for name, value in wanted.items():
        kind = getattr(resource, name, None)
        if kind is None or value is None:
            continue
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        try:
            resource.setrlimit(kind, (value, value))
        except (ValueError, OSError):
            pass  # macOS refuses some, and leaves them to the watcher
    try:  # if the whole machine runs out of memory, this process is the first to be killed
        with open("/proc/self/oom_score_adj", "w", encoding="utf-8") as file:
            file.write("1000")
    except OSError:
        pass


def main(fd: int) -> int:
    control = socket.socket(fileno=fd)
    plan = json.loads(control.makefile("rb").readline())
    isolated, place = plan["isolated"], plan["place"]
    if isolated:
        build(plan)
        folders = [
            os.open(f"{place}/{name}", os.O_RDONLY | os.O_DIRECTORY) for name in ("in", "out")
        ]
        socket.send_fds(control, [b"ready"], folders)
        for folder in folders:
            os.close(folder)
        set_limits(plan)
        drop_privileges(plan["uid"])
    else:
        control.sendall(b"ready")
        set_limits(plan)
    if control.recv(2) != b"go":
        return 1
    child = os.fork()
    if child == 0:
        control.close()
        os.chdir(f"{place}/run")
        os.execve(plan["command"][0], plan["command"], plan["environment"])
    for number in (0, 1, 2):
        os.close(number)
    control.setblocking(False)
    code = None
    while code is None:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
        elif pid == 0:
            try:
                if control.recv(1) == b"":  # the grader has ended, so nobody waits for a result
                    return 1
            except BlockingIOError:
                pass
            time.sleep(0.02)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    try:
        result = main(int(sys.argv[1]))
    except OSError as error:
        print(f"sandbox: {error}", file=sys.stderr, flush=True)
        result = 97
    os._exit(result)
