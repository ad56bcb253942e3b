"""What a sandbox sees: the paths of the machine, all read-only, and the environment variables."""

import os
import site
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from . import init

ROOT = Path(__file__).resolve().parents[2]  # the clone: both packages are in it


def visible_paths(hidden: Sequence[Path] = ()) -> list[str]:
    """What the sandbox sees beside the system's folders: Python, its packages, and our two.

    Of the clone it sees the two packages alone, and an environment such as .venv if Python runs
    from one there. hidden: folders that must not be seen; raises ValueError when one of them is
    inside a folder that is.
    """
    places = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    places.add(os.path.dirname(os.path.realpath(sys.executable)))
    places |= {
        path for path in sys.path if os.path.basename(path) in ("site-packages", "dist-packages")
    }
    places |= {sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib")}
    places.add(site.getusersitepackages())
    places |= {str(ROOT / name) for name in ("vit_tutorial", "vit_classroom")}
    # A link and its target are both needed: Python knows itself by one, the loader by the other.
    places |= {os.path.realpath(path) for path in places}
    places = {os.path.abspath(path) for path in places if os.path.isdir(path)}
    system = [path for path in init.SYSTEM if os.path.isdir(path)]
    places = {path for path in places if not any(is_within(path, root) for root in system)}
    places = sorted(
        path for path in places if not any(is_within(path, other) for other in places - {path})
    )
    for secret in map(os.path.realpath, hidden):
        for path in [*system, *places]:
            if is_within(secret, os.path.realpath(path)):
                raise ValueError(
                    f"{secret} is in {path}, which submissions can read, because Python is "
                    "installed there. Move the course"
                )
    return places


def environment(place: str) -> dict[str, str]:
    """The few variables that a submission sees, none of which is the teacher's.

    place: the folder with in/, out/ and run/, as the submission sees it.
    """
    return {
        "PATH": f"{os.path.dirname(sys.executable)}:/usr/local/bin:/usr/bin:/bin",
        "HOME": f"{place}/run",
        "TMPDIR": "/tmp" if place == init.PLACE else place,
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "IPYTHONDIR": f"{place}/run/.ipython",
        "MPLCONFIGDIR": f"{place}/run/.matplotlib",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    } | {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS", "NUMEXPR")}


def is_within(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")
