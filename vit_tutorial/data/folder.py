"""A folder of images as a data set: one subfolder for each class, in memory or left in files."""

import dataclasses
import os
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from ..common.machine import free_bytes, memory_gib
from ..common.validation import both_sides
from .dataset import MADE, ImageData, ImageSource, Split, channel_statistics, stratified
from .decode import UNREADABLE, read_image, unreadable
from .file_loader import PackedPaths
from .layout import (
    Labelled,
    find_layout,
    fingerprint,
    folders,
    labelled,
    refuse_empty,
    warn_of_shared_folders,
)
from .stream import FileSplit, sampled_statistics

TEST_SHARE = 0.2  # set aside from a folder without train/ and test/
TEST_SEED = 0
LARGEST = 89_000_000  # pixels of an image, about as many as Pillow reads without a warning


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

    Three layouts: PATH/train/CLASS/... with PATH/test/CLASS/..., PATH/val/CLASS/... or both;
    PATH/CLASS/... alone. Splits may have other usual names, such as Training (`split_names`).
    Without test images of its own, one image in five of each class is for testing. These are the
    same for every `seed` as long as the files stay the same, so no seed trains on images that
    another is tested on.
    Folders inside a class are read too. Names that start with a dot are left out.

    image_size: side in pixels, or (H, W). How an image is cut and resized: `decode.read_image`.
    validation: the share of the training images of each class that `seed` sets aside; not used
        where PATH has validation images of its own.
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
    found = find_layout(path)
    classes = found.class_names
    files = {split: labelled(root, classes) for split, root in found.roots.items()}
    if len(files) > 1:
        warn_of_shared_folders(found.roots.values())
    pixel_bytes = sum(map(len, files.values())) * 3 * size[0] * size[1]
    if stream is None:
        stream = _too_large(path, pixel_bytes, torch.device(device))
    if not stream:
        _require_room(path, pixel_bytes)
    read = _stream if stream else _read
    parts = {
        split: read(found.roots[split], classes, pairs, size) for split, pairs in files.items()
    }
    splits = _split(parts, validation, seed, classes)
    provenance = _provenance(path, parts, splits, seed, size)
    if stream:
        statistics = sampled_statistics(splits["train"], seed)
        provenance += (
            f", read from their files during training ({pixel_bytes / 1e9:.3g} GB of pixels)"
        )
    else:
        statistics = channel_statistics(splits["train"].images)
    mean, std = statistics
    data = ImageData(
        _name(path),
        tuple(classes),
        **splits,
        mean=mean,
        std=std,
        provenance=provenance,
        fingerprint=fingerprint(path, classes, files.values()),
    )
    return data.to(device)


def load_all(
    path: str | Path,
    class_names: tuple[str, ...],
    *,
    image_size: int | tuple[int, int] = 32,
    device: torch.device | str = "cpu",
) -> ImageData:
    """All images of PATH/CLASS/... for a model that was trained on others: each split is all.

    class_names: those of the model, in its order. Not every class needs a folder.
    Raises ValueError for a folder that is none of the classes, or where there are no images.
    """
    path, size = Path(path), _height_width(image_size)
    there = folders(path)
    if unknown := [name for name in there if name not in class_names]:
        raise ValueError(
            f"{path}: the model was trained on the classes {', '.join(class_names)}, and not on "
            f"{', '.join(unknown)}: rename or move these folders"
        )
    if not there:
        raise ValueError(
            f"{path}: looked for a folder of images for each class, {', '.join(class_names)}, and "
            "found none"
        )
    pairs = labelled(path, there)
    pixel_bytes = len(pairs) * 3 * size[0] * size[1]
    stream = _too_large(path, pixel_bytes, torch.device(device))
    split = (_stream if stream else _read)(path, there, pairs, size)
    labels = torch.tensor([class_names.index(name) for name in there])[split.labels]
    split = dataclasses.replace(split, labels=labels)
    mean, std = sampled_statistics(split, 0) if stream else channel_statistics(split.images)
    provenance = f"all of folder {path.absolute().name}, resized to {size[0]}x{size[1]}"
    data = ImageData(_name(path), class_names, split, split, split, mean, std, provenance)
    return data.to(device)


def _height_width(image_size: int | tuple[int, int]) -> tuple[int, int]:
    """(H, W), checked."""
    size = both_sides(image_size)
    if size[0] * size[1] > LARGEST:
        raise ValueError(
            f"image_size is {size[0]}x{size[1]}: {size[0] * size[1] / 1e6:,.0f} million pixels in "
            f"an image, and {LARGEST / 1e6:.0f} million are the most"
        )
    return size


def _split(
    parts: dict[str, ImageSource], fraction: float, seed: int, class_names: list[str]
) -> dict[str, ImageSource]:
    """train, validation and test; what the folder does not have is taken from its training part."""
    train, taken = parts["train"], {}
    for name, share, draw in (("test", TEST_SHARE, TEST_SEED), ("validation", fraction, seed)):
        if name in parts:
            taken[name] = parts[name]
        else:
            kept, aside = stratified(train.labels, share, draw, class_names)
            train, taken[name] = train[kept], train[aside]
    return {"train": train, **taken}


def _provenance(
    path: Path,
    parts: dict[str, ImageSource],
    splits: dict[str, ImageSource],
    seed: int,
    size: tuple[int, int],
) -> str:
    how = (
        "its own test images" if "test" in parts else f"{TEST_SHARE:.0%} of each class for testing"
    )
    drawn = "its own" if "validation" in parts else f"seed {seed}"
    return (
        f"folder {path.absolute().name}, {how}: {len(splits['train'])} training, "
        f"{len(splits['validation'])} validation ({drawn}), {len(splits['test'])} test images, "
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
    refuse_empty(path, classes, labels, "has no image that can be read")
    return good


def _require_room(path: Path, pixel_bytes: int) -> None:
    """Raise ValueError when the pixels are more than the machine's memory, free or not."""
    if pixel_bytes > memory_gib() * 2**30:
        raise ValueError(
            f"{path}: {pixel_bytes / 1e9:,.1f} GB of pixels, and the machine has "
            f"{memory_gib() * 2**30 / 1e9:,.1f} GB of memory: leave them in their files "
            "(stream=True, or --stream), or give a smaller image_size"
        )


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
