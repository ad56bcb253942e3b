"""What one damaged input did: its outcome, its seconds, and what it touched outside its folder."""

import dataclasses
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import common

# What our own errors are. A subclass that is not listed comes from inside a library.
OWN = (ValueError, OSError, FileNotFoundError, FloatingPointError, PermissionError)
OWN += (NotADirectoryError, IsADirectoryError, FileExistsError)
OUTCOMES = ("accepted", "refused", "traceback", "wrong", "hang", "crash", "memory", "outside")
SECONDS = 5.0


class WrongError(AssertionError):
    """An input was accepted, and what came of it is wrong."""


@dataclasses.dataclass(frozen=True)
class Trial:
    """What one input did."""

    parser: str
    number: int  # makes the input again
    outcome: str  # one of OUTCOMES
    seconds: float
    detail: str = ""  # of an error: its type, its message, the innermost places of the traceback


@dataclasses.dataclass
class Watcher:
    """Notes every file that this process opens to write, every program and connection it starts."""

    allowed: Path | None = None  # where files may be written; None: not watching
    seen: list[str] = dataclasses.field(default_factory=list)

    def __post_init__(self):
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple) -> None:
        if self.allowed is None:
            return
        if event in ("subprocess.Popen", "os.system", "os.posix_spawn", "socket.connect"):
            self.seen.append(f"{event} {str(args)[:200]}")
        paths = ()
        if event == "open":
            path, mode, flags = args
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            paths = (path,) if writes else ()
        elif event in ("os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.chmod"):
            # With an open folder (the last argument), a name is relative to that: rmtree works so.
            paths = args[:1] if args[-1] == -1 or event in ("os.truncate",) else ()
        elif event in ("os.rename", "os.link", "os.symlink"):
            paths = args[:2] if event == "os.rename" else args[1:2]
        for path in paths:
            if isinstance(path, str | bytes | os.PathLike) and not self._inside(path):
                self.seen.append(f"{event} {os.fsdecode(path)[:200]}")

    def _inside(self, path) -> bool:
        real = os.path.realpath(os.fsdecode(path))
        return real.startswith((str(self.allowed), "/dev/", "/proc/"))


def watch(
    parser: str, number: int, place: Path, watcher: Watcher, run: Callable[[], bool]
) -> Trial:
    """Run `run`, which returns whether the input was accepted, in the folder `place`."""
    began = time.perf_counter()
    watcher.seen.clear()
    watcher.allowed = place.resolve()
    detail = ""
    try:
        with common.at_most(SECONDS):
            answer = run()
        # A command gives what it said where it refused.
        outcome = "accepted" if answer is True else "refused"
        detail = "" if answer is True else f"{answer} [{' '.join(str(answer).split()[:4])}]"
    except common.OutOfTimeError as error:
        outcome, detail = "hang", _describe(error)
    except MemoryError as error:
        outcome, detail = "memory", _describe(error)
    except WrongError as error:
        outcome, detail = "wrong", str(error)
    except BaseException as error:
        own = type(error) in OWN and str(error)
        out_of_memory = "not enough memory" in str(error) or "out of memory" in str(error)
        outcome = "memory" if out_of_memory else "refused" if own else "traceback"
        detail = _describe(error)
    finally:
        watcher.allowed = None
    seconds = time.perf_counter() - began
    if seconds > SECONDS:
        outcome = "hang"
    if watcher.seen:
        outcome, detail = "outside", "; ".join(watcher.seen[:3])
    return Trial(parser, number, outcome, seconds, detail)


def _describe(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    where = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames))
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]} [{where}]"
