"""A folder of images as a data set: one subfolder for each class, in memory or left in files."""

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
from .dataset import MADE, ImageData, ImageSource, Split, channel_statistics, stratified
from .decode import UNREADABLE, read_image, unreadable
from .file_loader import PackedPaths
from .stream import FileSplit, sampled_statistics

TEST_SHARE = 0.2  # set aside from a folder without train/ and test/
TEST_SEED = 0

Labelled = list[tuple[str, int]]  # (file, label), in the order of classes and file names


def load(
    path: str | Path,
    *,
    image_size: int | tuple[int, int] = 32,
    seed: int = 0,
    validation: float = 0.1,
    stream: bool | None = None,
    device: torch.device | str = "cpu",
) -> ImageData:
    """The images under `path` as ImageData on `device`; classes are the folder names, sorted.

    Two layouts: PATH/train/CLASS/... and PATH/test/CLASS/..., or PATH/CLASS/... alone. In the
    second, one image in five of each class is for testing. These are the same for every `seed`
    as long as the files stay the same, so no seed trains on images that another is tested on.
    Folders inside a class are read too. Names that start with a dot are left out.

    image_size: side in pixels, or (H, W). How an image is cut and resized: `decode.read_image`.
    validation: the share of the training images of each class that `seed` sets aside.
    stream: True leaves the images in their files and reads them during training (`FileSplit`),
        False reads all of them now. None chooses True when their pixels would take more than a
        quarter of the free memory, and says so. Images and splits are the same either way. The mean
        and deviation of a stream are those of up to 10,000 training images, which `seed` draws.
    A file that cannot be read is skipped, and one warning names all of them. With a stream, files
    are checked but not decoded (`decode.unreadable`).
    Raises ValueError, with what was looked for, when there are no images, a class without any,
    fewer than two classes, other classes in test/ than in train/, or too few images to split.
    """
    path, size = Path(path), _height_width(image_size)
    roots, classes = _layout(path)
    files = [_labelled(root, classes) for root in roots]
    pixel_bytes = sum(map(len, files)) * 3 * size[0] * size[1]
    if stream is None:
        stream = _too_large(path, pixel_bytes, torch.device(device))
    read = _stream if stream else _read
    parts = [read(root, classes, labelled, size) for root, labelled in zip(roots, files)]
    splits = _split(parts, validation, seed)
    provenance = _provenance(path, splits, seed, size, own_test=len(roots) == 2)
    if stream:
        statistics = sampled_statistics(splits["train"], seed)
        provenance += (
            f", read from their files during training ({pixel_bytes / 1e9:.3g} GB of pixels)"
        )
    else:
        statistics = channel_statistics(splits["train"].images)
    mean, std = statistics
    data = ImageData(
        _name(path), tuple(classes), **splits, mean=mean, std=std, provenance=provenance
    )
    return data.to(device)


def _height_width(image_size: int | tuple[int, int]) -> tuple[int, int]:
    """(H, W), checked."""
    size = tuple(image_size) if isinstance(image_size, tuple | list) else (image_size, image_size)
    if len(size) != 2:
        raise ValueError(f"image_size is {image_size}: give one side, or (height, width)")
    require_int("image height", size[0])
    require_int("image width", size[1])
    return size


def _layout(path: Path) -> tuple[list[Path], list[str]]:
    """([train/, test/] or [path], names of the classes). Raises ValueError for other layouts."""
    there = [part for part in ("train", "test") if (path / part).is_dir()]
    if len(there) == 1:
        missing = "test" if there == ["train"] else "train"
        raise ValueError(
            f"{path} has {there[0]}/ and no {missing}/: give both, or one folder with the classes "
            f"in it, {path / there[0]}"
        )
    roots = [path / part for part in there] or [path]
    classes, *tested = map(_classes, roots)
    if tested and tested[0] != classes:
        more, fewer = sorted(set(tested[0]) - set(classes)), sorted(set(classes) - set(tested[0]))
        raise ValueError(
            f"{path}: test/ and train/ need the same folders of images; "
            f"only in test/: {', '.join(more) or 'none'}; "
            f"only in train/: {', '.join(fewer) or 'none'}"
        )
    return roots, classes


def _classes(path: Path) -> list[str]:
    classes = sorted(
        entry.name for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )
    if len(classes) < 2:
        found = f"only {classes[0]!r}" if classes else "none"
        raise ValueError(
            f"{path}: looked for two or more folders of images, one for each class, and found "
            f"{found}"
        )
    return classes


def _files(path: Path) -> list[Path]:
    """All files under `path` in alphabetical order, hidden ones left out."""
    found = []
    for folder, below, names in os.walk(path, followlinks=True):
        below[:] = [name for name in below if not name.startswith(".")]  # os.walk enters these
        found += [Path(folder, name) for name in names if not name.startswith(".")]
    return sorted(found)


def _labelled(path: Path, classes: list[str]) -> Labelled:
    labelled = [
        (str(file), label) for label, name in enumerate(classes) for file in _files(path / name)
    ]
    _refuse_empty(path, classes, [label for _, label in labelled], "has no files in it")
    return labelled


def _split(parts: list[ImageSource], fraction: float, seed: int) -> dict[str, ImageSource]:
    """train, validation and test, from [train/, test/] or from one folder."""
    if len(parts) == 2:
        train_pool, test = parts
    else:
        kept, tested = stratified(parts[0].labels, TEST_SHARE, TEST_SEED)
        train_pool, test = parts[0][kept], parts[0][tested]
    kept, aside = stratified(train_pool.labels, fraction, seed)
    return dict(train=train_pool[kept], validation=train_pool[aside], test=test)


def _provenance(
    path: Path, splits: dict[str, ImageSource], seed: int, size: tuple[int, int], own_test: bool
) -> str:
    how = "its own test images" if own_test else f"{TEST_SHARE:.0%} of each class for testing"
    return (
        f"folder {path.absolute().name}, {how}: {len(splits['train'])} training, "
        f"{len(splits['validation'])} validation (seed {seed}), {len(splits['test'])} test images, "
        f"resized to {size[0]}x{size[1]}"
    )


def _name(path: Path) -> str:
    """The folder's name, told apart from the sources that `data.load` knows by name."""
    name = path.absolute().name
    return f"{name} (folder)" if name in (*MADE, "cifar10") else name


def _read(path: Path, classes: list[str], labelled: Labelled, size: tuple[int, int]) -> Split:
    """The images of `labelled` in memory, in their order."""
    images = np.empty((len(labelled), *size, 3), dtype=np.uint8)
    bad = {}

    def read(index: int) -> None:
        try:
            images[index] = read_image(labelled[index][0], size)
        except UNREADABLE as error:
            bad[index] = error

    title = f"reading {path.name}"
    bar = tqdm(total=len(labelled), desc=title, unit=" images", delay=2, leave=False)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads, bar:
        for _ in threads.map(read, range(len(labelled))):
            bar.update()
    good = _without(bad, path, classes, labelled)
    labels = torch.tensor([labelled[index][1] for index in good])
    readable = torch.from_numpy(images if not bad else images[good])
    return Split(readable.permute(0, 3, 1, 2).contiguous(), labels)  # (n, H, W, 3) -> (n, 3, H, W)


def _stream(path: Path, classes: list[str], labelled: Labelled, size: tuple[int, int]) -> FileSplit:
    """The images of `labelled` in their files, in their order."""
    bad = unreadable([file for file, _ in labelled], path.name)
    good = _without(bad, path, classes, labelled)
    names = PackedPaths(labelled[index][0] for index in good)
    labels = torch.tensor([labelled[index][1] for index in good])
    return FileSplit(names, torch.arange(len(good)), labels, size)


def _without(
    bad: dict[int, Exception], path: Path, classes: list[str], labelled: Labelled
) -> list[int]:
    """The positions that are not `bad`, and one warning about those that are."""
    if bad:
        named = "; ".join(f"{labelled[index][0]} ({bad[index]})" for index in sorted(bad)[:10])
        more = f"; and {len(bad) - 10} more" if len(bad) > 10 else ""
        warnings.warn(
            f"{len(bad)} of {len(labelled)} files skipped, they cannot be read as images: "
            f"{named}{more}",
            stacklevel=5,
        )
    good = [index for index in range(len(labelled)) if index not in bad]
    labels = [labelled[index][1] for index in good]
    _refuse_empty(path, classes, labels, "has no image that can be read")
    return good


def _too_large(path: Path, pixel_bytes: int, device: torch.device) -> bool:
    """Whether the pixels should stay in their files; if so, a line on stderr gives the numbers."""
    places = {torch.device("cpu"), device}  # images are read into memory, then copied to the device
    free = [left for place in places if (left := free_bytes(place)) is not None]
    if not free or pixel_bytes <= min(free) / 4:
        return False
    if int(os.environ.get("RANK", "0")) == 0:  # one line, however many processes train together
        print(
            f"{path.name}: {pixel_bytes / 1e9:.3g} GB of pixels are more than a quarter of the "
            f"free {min(free) / 1e9:.3g} GB of memory: images stay in their files and are "
            "read during training (stream=False reads them all at once)",
            file=sys.stderr,
        )
    return True


def _refuse_empty(path: Path, classes: list[str], labels: list[int], what: str) -> None:
    """Raise ValueError when a class has none of the `labels`. what: the fault of its folder."""
    empty = [classes[label] for label in sorted(set(range(len(classes))) - set(labels))]
    if empty:
        raise ValueError(
            f"{path}: {len(empty)} of {len(classes)} classes empty; {path / empty[0]} {what}. "
            "Add images (jpg, png, ...) or remove the folder"
        )
