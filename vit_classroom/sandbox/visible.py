"""What a sandbox sees: the paths of the machine, all read-only, and the environment variables."""

import os
import site
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # the clone: both packages are in it
PACKAGES = ("vit_tutorial", "vit_classroom")
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store")
ETC = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/fonts")
FONTS = ("/usr/share/fonts", "/usr/local/share/fonts")
# Of an environment: what Python itself has there. It may have been made in the clone, or in a home.
ENVIRONMENT = ("bin", "lib", "lib32", "lib64", "libexec", "include", "ssl", "pyvenv.cfg")


def visible_paths(hidden: Sequence[Path] = ()) -> list[str]:
    """What the sandbox sees beside the system's folders: Python and its packages.

    hidden: folders that must not be seen; raises ValueError when one of them is inside a folder
    that is.
    """
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    places = {os.path.join(prefix, name) for prefix in prefixes for name in ENVIRONMENT}
    places.add(os.path.dirname(os.path.realpath(sys.executable)))
    places |= {
        path for path in sys.path if os.path.basename(path) in ("site-packages", "dist-packages")
    }
    places |= {sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib")}
    places.add(site.getusersitepackages())
    # A link and its target are both needed: Python knows itself by one, the loader by the other.
    places |= {os.path.realpath(path) for path in places}
    places = {os.path.abspath(path) for path in places if os.path.exists(path)}
    system = [path for path in SYSTEM if os.path.isdir(path)]
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


def installed_copies() -> list[str]:
    """Folders of our two packages that are installed in what a sandbox sees, beside the clone's."""
    found = {os.path.join(path, name) for path in sys.path for name in PACKAGES}
    own = {str(ROOT / name) for name in PACKAGES}
    return sorted(
        path for path in found if os.path.isdir(path) and os.path.realpath(path) not in own
    )


def environment(run: str, temporary: str) -> dict[str, str]:
    """The few variables that a submission sees, none of which is the teacher's.

    run: its working folder. temporary: its folder for temporary files.
    """
    return {
        "PATH": f"{os.path.dirname(sys.executable)}:/usr/local/bin:/usr/bin:/bin",
        "HOME": run,
        "TMPDIR": temporary,
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "IPYTHONDIR": f"{run}/.ipython",
        "MPLCONFIGDIR": f"{run}/.matplotlib",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    } | {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS", "NUMEXPR")}


def is_within(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")
