"""Where data lies: one setting for what is fetched, and a place for the results that are committed."""

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def clone() -> Path | None:
    """The repository's root, when the package runs from a clone of it; None when it is installed."""
    root = PACKAGE.parent
    return (
        root
        if (root / "pyproject.toml").is_file() and (root / "data" / "results").is_dir()
        else None
    )


def data_root(root: str | Path | None = None) -> Path:
    """The folder for what is fetched, absolute; it may not exist yet.

    `root` if given, else the environment variable VIT_TUTORIAL_DATA if it is set, else data/ in a clone of the repository,
    else this user's cache folder (~/.cache/vit_tutorial on Linux).
    """
    chosen = root or os.environ.get("VIT_TUTORIAL_DATA")
    if chosen:
        return Path(chosen).expanduser().absolute()
    if repository := clone():
        return repository / "data"
    import pooch  # here, because it takes a moment and the other ways do not need it

    return Path(pooch.os_cache("vit_tutorial")).absolute()


def results_path(name: str) -> Path:
    """The committed file data/results/`name`: in the repository, or packed into the installed package.

    Raises FileNotFoundError, naming the files that are there, when it is not.
    """
    return _committed("results", name)


def weights_path(name: str) -> Path:
    """The committed weights data/weights/`name`, for `training.load_model`: in the repository, or in the installed package.

    Raises FileNotFoundError, naming the files that are there, when it is not.
    """
    return _committed("weights", name)


def _committed(kind: str, name: str) -> Path:
    repository = clone()
    folder = repository / "data" / kind if repository else PACKAGE / f"_{kind}"
    if (folder / name).is_file():
        return folder / name
    there = (
        sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        if folder.is_dir()
        else []
    )
    listed = f"There are: {', '.join(there)}" if there else "There is none"
    raise FileNotFoundError(
        f"no committed {kind} {name!r} in {folder}. {listed}. They are made by the scripts in benchmarks/ of the repository; "
        "if you expected this one, bring your clone or your installation up to date"
    )


def find_cifar10(root: str | Path | None = None) -> Path | None:
    """The CIFAR-10 that lies under `data_root(root)`, each byte checked (md5, about half a second), or None. Never the network.

    The folder of the unpacked files, or else the archive.
    """
    from . import cifar10  # torchvision, for its checksums: only when somebody asks

    return cifar10.find(data_root(root))
