"""Process 1 of a sandbox: builds the file system that a submission sees, gives up every right, and starts the one command.

isolation.py starts it as a script, `python -I -S jail.py FD`, inside fresh namespaces; it needs the standard library alone.
Over the socket FD it gets its plan as one line of JSON, hands back the folders `in` and `out`, and waits for "go".
"""

import ctypes
import json
import os
import signal
import socket
import struct
import sys
import time

RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT, BIND, REC = 1, 2, 4, 8, 32, 4096, 16384  # <sys/mount.h>
DETACH = 2
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = (
    1,
    4,
    24,
    38,
    47,
)
DEVICES = ("null", "zero", "full", "random", "urandom")
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store")
ETC = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/fonts")
FONTS = ("/usr/share/fonts", "/usr/local/share/fonts")
PLACE = "/sandbox"


def call(name: str, *values) -> None:
    """A function of libc; OSError when it says no."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*values) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}{values}: {os.strerror(code)}")


def mount(source, target: str, kind=None, flags: int = 0, data=None) -> None:
    text = [None if value is None else os.fsencode(value) for value in (source, target, kind, data)]
    call("mount", text[0], text[1], text[2], ctypes.c_ulong(flags), text[3])


def tmpfs(target: str, size: int, flags: int = NOSUID | NODEV, mode: str = "755") -> None:
    os.makedirs(target, exist_ok=True)
    mount("tmpfs", target, "tmpfs", flags, f"size={size},nr_inodes=20000,mode={mode}")


def show(root: str, path: str, flags: int = RDONLY | NOSUID | NODEV) -> None:
    """Let the sandbox see a file or folder of the machine at its own place, read-only, with all that is mounted below it."""
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
    """A new root on a tmpfs with what is listed and nothing else; the machine's own root is gone at the end."""
    base, root = plan["base"], plan["base"] + "/root"
    tmpfs(base, 1 << 20)
    os.mkdir(root)
    for path in SYSTEM:
        if os.path.islink(path):
            os.symlink(os.readlink(path), root + path)
        elif os.path.isdir(path):
            show(root, path)
    # Before what is visible: an environment that lies in /tmp would be covered by it.
    tmpfs(root + "/tmp", plan["folder"], mode="1777")
    for path in [*ETC, *plan["visible"]]:
        if os.path.exists(path):
            show(root, path)
    for path in FONTS:  # matplotlib would read them all for every submission; it brings its own
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
        show(root, f"/dev/{name}", NOSUID | NOEXEC)
    for name, target in {"fd": "fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}.items():
        os.symlink(f"/proc/self/{target}", f"{root}/dev/{name}")
    tmpfs(root + "/dev/shm", plan["folder"], NOSUID | NODEV | NOEXEC, "1777")
    tmpfs(root + PLACE, plan["folder"])
    os.mkdir(root + "/proc")
    mount("proc", root + "/proc", "proc", NOSUID | NODEV | NOEXEC)
    if os.path.isdir("/sys/devices/system/cpu"):  # torch asks here how many cores there are
        show(root, "/sys/devices/system/cpu")
    for name in ("in", "out", "run"):
        os.mkdir(f"{root}{PLACE}/{name}")
        if name != "in" and os.getuid() != plan["uid"]:
            os.chown(f"{root}{PLACE}/{name}", plan["uid"], plan["uid"])
    os.mkdir(base + "/old")
    call("pivot_root", os.fsencode(base), os.fsencode(base + "/old"))
    os.chdir("/")
    call("umount2", b"/old", DETACH)
    os.rmdir("/old")
    mount(None, "/", None, REMOUNT | BIND | RDONLY | NOSUID | NODEV)
    # In a changed root the kernel refuses new user namespaces, and with them every way to get rights back.
    os.chroot("/root")
    os.chdir("/")


def give_up_rights(uid: int) -> None:
    """No capability, no way to gain one, and (when root) another user: nothing after this line is trusted."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(64):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            break
    if os.getuid() != uid:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    libc.prctl(PR_CAP_AMBIENT, 4, 0, 0, 0)  # 4: clear all
    header, nothing = struct.pack("Ii", 0x20080522, 0), bytes(24)
    call("capset", ctypes.create_string_buffer(header), ctypes.create_string_buffer(nothing))
    call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    call("prctl", PR_SET_DUMPABLE, 0, 0, 0, 0)
    call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # giving up rights cleared it


def limit(plan: dict) -> None:
    """What the kernel itself enforces; the watcher outside does the rest."""
    import resource  # not on Windows, where isolation.py says so before this is needed

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
        except (
            ValueError,
            OSError,
        ):  # macOS refuses some; without isolation the watcher is all there is
            pass
    try:  # if the whole machine runs short, this goes first
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
        limit(plan)
        give_up_rights(plan["uid"])
    else:
        control.sendall(b"ready")
        limit(plan)
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
                if control.recv(1) == b"":  # the grader is gone, so nobody waits for a result
                    return 1
            except BlockingIOError:
                pass
            time.sleep(0.02)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    try:
        result = main(int(sys.argv[1]))
    except OSError as error:
        print(f"jail: {error}", file=sys.stderr, flush=True)
        result = 97
    os._exit(result)
