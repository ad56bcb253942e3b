"""As much of Windows as Linux can play: run in a new process before anything is imported.

No fork, no links that need rights, no POSIX modules, no signals but SIGINT and the like, a rename
that refuses to replace, names that no file can have, and a code page for text.
"""

import builtins
import io
import os
import pathlib
import signal
import sys

ABSENT = "fork forkpty getuid geteuid getgid uname sysconf sched_getaffinity mkfifo wait killpg"
NO_MODULES = ("fcntl", "grp", "pwd", "resource", "termios")
NO_FILE_NAME = set('<>:"|?*')


def refuse(*arguments, **options):
    raise OSError(1314, "A required privilege is not held by the client")


def play() -> None:
    """Take away what Windows lacks. torch must have been imported before."""
    for name in ABSENT.split():
        if hasattr(os, name):
            delattr(os, name)
    for name in ("SIGALRM", "SIGHUP", "SIGUSR1", "SIGKILL", "setitimer", "alarm"):
        if hasattr(signal, name):
            delattr(signal, name)
    for name in NO_MODULES:
        sys.modules[name] = None
    os.symlink = os.link = refuse
    rename = os.rename

    def rename_only(old, new, **options):
        if os.path.exists(new):
            raise FileExistsError(183, "Cannot create a file when that file already exists", new)
        rename(old, new, **options)

    os.rename = rename_only
    builtins.open = io.open = checked(io.open)
    os.makedirs = checked(os.makedirs)
    os.replace = checked(os.replace, 1)


def checked(call, place: int = 0):
    """`call` refuses a path, its argument number `place`, that no file of Windows can have."""

    def checking(*arguments, **options):
        path = arguments[place] if len(arguments) > place else ""
        if isinstance(path, str | pathlib.PurePath):
            for part in map(str, pathlib.PurePath(path).parts[1:]):
                if NO_FILE_NAME & set(part) or (part != ".." and part[-1] in ". "):
                    raise OSError(123, "The filename, directory name, or label is incorrect", part)
        return call(*arguments, **options)

    return checking
