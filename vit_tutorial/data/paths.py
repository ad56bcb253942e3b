"""Where data is kept: one setting for downloads, and the place of the committed results."""

import os
import tempfile
from pathlib import Path

from ..common.validation import MOST_LISTED, nearest

PACKAGE = Path(__file__).resolve().parents[1]


def clone() -> Path | None:
    """The repository's root if the package runs from a clone of it; None if it is installed."""
    root = PACKAGE.parent
    is_clone = (root / "pyproject.toml").is_file() and (root / "data" / "results").is_dir()
    return root if is_clone else None


def home() -> Path | None:
    """This user's home folder, or None (HOME is unset, and the system knows no such user)."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def expand(path: str | Path, what: str) -> Path:
    """`path`, absolute, with the home folder in place of ~. what: the path's name, for the message.

    Raises ValueError where there is no home folder.
    """
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError as error:
        raise ValueError(
            f"{what} is {str(path)!r}, but this user has no such home folder: give an absolute path"
        ) from error


def data_root(root: str | Path | None = None) -> Path:
    """The folder for downloads, absolute; it may not exist yet.

    `root` if given, else the environment variable VIT_TUTORIAL_DATA if it is set, else data/ in a
    clone of the repository, else this user's cache folder (~/.cache/vit_tutorial on Linux), or a
    temporary folder for a user without a home. Raises ValueError for a ~ without a home folder.
    """
    if root:
        return expand(root, "the data folder")
    if chosen := os.environ.get("VIT_TUTORIAL_DATA"):
        return expand(chosen, "VIT_TUTORIAL_DATA")
    if repository := clone():
        return repository / "data"
    if home() is None and not os.environ.get("XDG_CACHE_HOME"):
        return Path(tempfile.gettempdir()).absolute() / "vit_tutorial"
    import pooch  # imported late: it takes a moment, and only this way needs it

    return Path(pooch.os_cache("vit_tutorial")).absolute()


def results_path(name: str) -> Path:
    """The committed file data/results/`name`, in the repository or in the installed package.

    Raises FileNotFoundError when it does not exist, naming the files that do.
    """
    return _committed("results", name)


def weights_path(name: str) -> Path:
    """The committed weights data/weights/`name`, for `training.load_model`.

    In the repository, or packed into the installed package.

    Raises FileNotFoundError when it does not exist, naming the files that do.
    """
    return _committed("weights", name)


def weights_folder() -> Path:
    """The folder of the committed weights, in the repository or in the installed package."""
    return _folder("weights")


def _folder(kind: str) -> Path:
    repository = clone()
    return repository / "data" / kind if repository else PACKAGE / f"_{kind}"


def _committed(kind: str, name: str) -> Path:
    folder = _folder(kind)
    if (folder / name).is_file():
        return folder / name
    found = folder.rglob(f"*{Path(name).suffix}")  # weights have cards beside them
    there = (
        sorted(str(path.relative_to(folder)) for path in found if path.is_file())
        if folder.is_dir()
        else []
    )
    near = nearest(name, there, count=3) if len(there) > MOST_LISTED else there
    begin = "There are" if near == there else f"There are {len(there)}, and near it"
    listed = f"{begin}: {', '.join(near or there)}" if there else "There is none"
    raise FileNotFoundError(
        f"no committed {kind} {name!r} in {folder}. {listed}. They are made by the scripts in "
        "benchmarks/ of the repository; if you expected this one, bring your clone or your "
        "installation up to date"
    )


def find_cifar10(root: str | Path | None = None) -> Path | None:
    """The CIFAR-10 in `data_root(root)`: the folder of unpacked files, else the archive, or None.

    Every byte is checked (md5, about half a second); nothing is downloaded.
    """
    from . import cifar10  # torchvision, for its checksums: imported only when needed

    return cifar10.find(data_root(root))
