"""A folder of images as a data set: one folder for each class, any size and mode, in memory or left in their files."""

import os
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from ..common.machine import free_bytes
from ..common.validation import require_int
from .dataset import ImageData, Split, channel_statistics, stratified
from .decode import UNREADABLE, read_image, unreadable
from .file_loader import PackedPaths
from .stream import FileSplit, sampled_statistics

TEST_SHARE = 0.2  # of one folder without train/ and test/
TEST_SEED = 0


def load(
    path: str | Path,
    *,
    image_size: int | tuple[int, int] = 32,
    seed: int = 0,
    validation: float = 0.1,
    stream: bool | None = None,
    device: torch.device | str = "cpu",
) -> ImageData:
    """The images under `path` as ImageData on `device`. Classes are the folders' names, in alphabetical order.

    Two layouts: PATH/train/CLASS/... and PATH/test/CLASS/..., or PATH/CLASS/... alone. Then one image in five of each class
    is for testing, the same ones whatever `seed` is (while the files stay the same), so that no seed trains on another's test
    images. `validation` is the share of the training images that `seed` sets aside, of each class. Folders inside a class are
    read too; names that start with a dot are left out.

    image_size: side in pixels, or (H, W). An image is turned upright as its camera noted, cut to the wanted proportions around
    its middle, and resized (`read_image`).
    stream: True leaves the images in their files and reads them in passing (`FileSplit`); False reads all of them now; None
    does the first when their pixels would take more than a quarter of the free memory, and says so. Either way the same images
    come into the same split. A stream's mean and deviation are those of up to 10,000 training images, drawn by `seed`.
    A file that cannot be read is skipped, and named in one warning; with a stream, files are looked into, not decoded (see
    `unreadable.py`). Raises ValueError, with what was looked for, when there are no images, a class without any, fewer than two
    classes, other classes in test/ than in train/, or too few to split.
    """
    path = Path(path)
    size = tuple(image_size) if isinstance(image_size, tuple | list) else (image_size, image_size)
    if len(size) != 2:
        raise ValueError(f"image_size is {image_size}: give one side, or (height, width)")
    for name, side in zip(("image height", "image width"), size):
        require_int(name, side)
    parts = [part for part in ("train", "test") if (path / part).is_dir()]
    if len(parts) == 1:
        missing = "test" if parts == ["train"] else "train"
        raise ValueError(
            f"{path} has {parts[0]}/ and no {missing}/: give both, or one folder with the classes in it, {path / parts[0]}"
        )
    roots = [path / part for part in parts] or [path]
    classes = _classes(roots[0])
    if parts and (tested := _classes(roots[1])) != classes:
        more, fewer = sorted(set(tested) - set(classes)), sorted(set(classes) - set(tested))
        raise ValueError(
            f"{path}: test/ and train/ need the same folders of images; only in test/: {', '.join(more) or 'none'}; "
            f"only in train/: {', '.join(fewer) or 'none'}"
        )
    found = [_labelled(root, classes) for root in roots]
    pixels = sum(map(len, found)) * 3 * size[0] * size[1]
    if stream is None:
        stream = _too_large(path, pixels, torch.device(device))
    read = _stream if stream else _read
    wholes = [read(root, classes, files, size) for root, files in zip(roots, found)]
    if parts:
        rest, test = wholes
        how = "its own test images"
    else:
        rest, test = (
            wholes[0][picked] for picked in stratified(wholes[0].labels, TEST_SHARE, TEST_SEED)
        )
        how = f"{TEST_SHARE:.0%} of each class for testing"
    train, held = (rest[picked] for picked in stratified(rest.labels, validation, seed))
    name = path.absolute().name
    provenance = (
        f"folder {name}, {how}: {len(train)} training, {len(held)} validation (seed {seed}), {len(test)} test images, "
        f"resized to {size[0]}x{size[1]}"
    )
    if stream:
        statistics = sampled_statistics(train, seed)
        provenance += f", read from their files in passing ({pixels / 1e9:.3g} GB of pixels)"
    else:
        statistics = channel_statistics(train.images)
    if name in ("shapes", "cifar10"):  # the name of another source: say which of the two it is
        name = f"{name} (folder)"
    return ImageData(name, tuple(classes), train, held, test, *statistics, provenance).to(device)


def _classes(path: Path) -> list[str]:
    classes = sorted(
        entry.name for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )
    if len(classes) < 2:
        found = f"only {classes[0]!r}" if classes else "none"
        raise ValueError(
            f"{path}: looked for two or more folders of images, one for each class, and found {found}"
        )
    return classes


def _files(path: Path) -> list[Path]:
    """All files under `path` in alphabetical order, hidden ones left out."""
    found = []
    for folder, below, names in os.walk(path, followlinks=True):
        below[:] = [name for name in below if not name.startswith(".")]
        found += [Path(folder, name) for name in names if not name.startswith(".")]
    return sorted(found)


def _labelled(path: Path, classes: list[str]) -> list[tuple[str, int]]:
    """(file, label) in the order of classes and file names."""
    labelled = [
        (str(file), label) for label, name in enumerate(classes) for file in _files(path / name)
    ]
    _refuse_empty(path, classes, [label for _, label in labelled], "has no files in it")
    return labelled


def _read(
    path: Path, classes: list[str], labelled: list[tuple[str, int]], size: tuple[int, int]
) -> Split:
    """The images of `labelled` in memory, in their order."""
    images = np.empty((len(labelled), *size, 3), dtype=np.uint8)
    bad = {}

    def read(index):
        try:
            images[index] = read_image(labelled[index][0], size)
        except UNREADABLE as error:
            bad[index] = error

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
        indices = range(len(labelled))
        for _ in tqdm(
            threads.map(read, indices),
            total=len(labelled),
            desc=f"reading {path.name}",
            unit=" images",
            delay=2,
            leave=False,
        ):
            pass
    good = _without(bad, path, classes, labelled)
    labels = torch.tensor([labelled[index][1] for index in good])
    kept = torch.from_numpy(images if not bad else images[good])
    return Split(kept.permute(0, 3, 1, 2).contiguous(), labels)


def _stream(
    path: Path, classes: list[str], labelled: list[tuple[str, int]], size: tuple[int, int]
) -> "FileSplit":
    """The images of `labelled` in their files, in their order."""

    bad = unreadable([file for file, _ in labelled], path.name)
    good = _without(bad, path, classes, labelled)
    names = PackedPaths(labelled[index][0] for index in good)
    return FileSplit(
        names, torch.arange(len(good)), torch.tensor([labelled[index][1] for index in good]), size
    )


def _without(
    bad: dict[int, Exception], path: Path, classes: list[str], labelled: list[tuple[str, int]]
) -> list[int]:
    """The positions that are not `bad`, and one warning about those that are."""
    if bad:
        named = "; ".join(f"{labelled[index][0]} ({bad[index]})" for index in sorted(bad)[:10])
        more = f"; and {len(bad) - 10} more" if len(bad) > 10 else ""
        warnings.warn(
            f"{len(bad)} of {len(labelled)} files skipped, they cannot be read as images: {named}{more}",
            stacklevel=5,
        )
    good = [index for index in range(len(labelled)) if index not in bad]
    _refuse_empty(
        path, classes, [labelled[index][1] for index in good], "has no image that can be read"
    )
    return good


def _too_large(path: Path, pixels: int, device: torch.device) -> bool:
    """Whether so many bytes of `pixels` should stay in files, with a line that gives the numbers when they should."""
    places = {torch.device("cpu"), device}  # images are read here and then go there
    free = min((left for place in places if (left := free_bytes(place)) is not None), default=None)
    if free is None or pixels <= free / 4:
        return False
    if int(os.environ.get("RANK", "0")) == 0:  # one line, however many processes train together
        print(
            f"{path.name}: {pixels / 1e9:.3g} GB of pixels are more than a quarter of the free {free / 1e9:.3g} GB of memory: "
            "images stay in their files and are read in passing (stream=False reads them all at once)",
            file=sys.stderr,
        )
    return True


def _refuse_empty(path: Path, classes: list[str], labels: list[int], what: str) -> None:
    empty = [classes[label] for label in sorted(set(range(len(classes))) - set(labels))]
    if empty:
        raise ValueError(
            f"{path}: {len(empty)} of {len(classes)} classes empty; {path / empty[0]} {what}. "
            "Add images (jpg, png, ...) or remove the folder"
        )
