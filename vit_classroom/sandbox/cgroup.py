"""A piece of work in a control group, where this user may make one: then the kernel itself bounds
its memory, with everything that processes do not show, such as files in memory.

The watcher looks at processes and says which limit was exceeded. This is the wall behind it.
"""

import contextlib
import os
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
# (file of the limit, file of the use, file that counts how often the limit ended a process)
FILES = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.oom_control"),
    2: ("memory.max", "memory.current", "memory.events"),
}


class Group:
    """One group below `parent`, with at most `memory` bytes. Raises OSError where it cannot be."""

    def __init__(self, parent: Path, version: int, memory: int):
        self.limit, self.use, self.count = FILES[version]
        self.place = parent / f"classroom-{os.getpid()}-{time.monotonic_ns()}"
        self.place.mkdir()
        try:
            (self.place / self.limit).write_text(str(memory))
            for name in ("memory.memsw.limit_in_bytes", "memory.swap.max"):
                with contextlib.suppress(OSError):
                    (self.place / name).write_text("0" if version == 2 else str(memory))
        except OSError:
            self.close()
            raise

    def add(self, pid: int) -> None:
        """Put a process in it; its children will be in it, too."""
        (self.place / "cgroup.procs").write_text(str(pid))

    def was_exceeded(self) -> bool:
        """The kernel has ended a process of the group for its memory."""
        with contextlib.suppress(OSError, ValueError):
            rows = (line.split() for line in (self.place / self.count).read_text().splitlines())
            return int(dict(rows).get("oom_kill", 0)) > 0
        return False

    def close(self) -> None:
        """Remove it. Its processes must have ended."""
        for _ in range(50):
            try:
                self.place.rmdir()
                return
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(0.02)


def find() -> tuple[Path, int] | None:
    """(folder in which groups with a limit on memory can be made, version of cgroups), or None."""
    with contextlib.suppress(OSError, ValueError):
        rows = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
        for row in rows:
            _, controllers, path = row.split(":", 2)
            version = 2 if not controllers else 1 if "memory" in controllers.split(",") else 0
            base = ROOT if version == 2 else ROOT / "memory"
            if not version or (version == 2 and not (ROOT / "cgroup.controllers").exists()):
                continue
            for parent in (base / path.lstrip("/"), base):
                with contextlib.suppress(OSError):
                    Group(parent, version, 1 << 30).close()
                    return parent, version
    return None
