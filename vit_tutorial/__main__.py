"""python -m vit_tutorial COMMAND"""

import os
import sys

from .cli.main import main


def run() -> int:
    """The command line on this process's console; the exit status."""
    for stream in (sys.stdout, sys.stderr):
        # A console that lacks a letter of a folder's name shows another one instead.
        stream.reconfigure(errors="replace")
    status = main()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes once more at its end: let it write to nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


if __name__ == "__main__":
    sys.exit(run())
