"""A folder of images as a data set: one folder for each class, any size and mode, read by threads."""

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from tqdm import tqdm

from ..errors import check_whole
from .images import ImageData, Split, channel_statistics, split_validation, stratified

TEST_SHARE = 0.2  # of one folder without train/ and test/
TEST_SEED = 0


def load(path: str | Path, *, image_size: int | tuple[int, int] = 32, seed: int = 0, validation: float = 0.1) -> ImageData:
    """The images under `path` as ImageData on the CPU. Classes are the folders' names, in alphabetical order.

    Two layouts: PATH/train/CLASS/... and PATH/test/CLASS/..., or PATH/CLASS/... alone. Then one image in five of each class
    is for testing, the same ones whatever `seed` is (while the files stay the same), so that no seed trains on another's test
    images. `validation` is the share of the training images that `seed` sets aside, of each class. Folders inside a class are
    read too; names that start with a dot are left out.

    image_size: side in pixels, or (H, W). An image is turned upright as its camera noted, cut to the wanted proportions around
    its middle, and resized (`read_image`).
    A file that cannot be read is skipped, and named in one warning. Raises ValueError, with what was looked for, when there are
    no images, a class without any, fewer than two classes, other classes in test/ than in train/, or too few to split.
    """
    path = Path(path)
    size = tuple(image_size) if isinstance(image_size, tuple | list) else (image_size, image_size)
    if len(size) != 2:
        raise ValueError(f"image_size is {image_size}: give one side, or (height, width)")
    for name, side in zip(("image height", "image width"), size):
        check_whole(name, side)
    parts = [part for part in ("train", "test") if (path / part).is_dir()]
    if len(parts) == 1:
        missing = "test" if parts == ["train"] else "train"
        raise ValueError(
            f"{path} has {parts[0]}/ and no {missing}/: give both, or one folder with the classes in it, {path / parts[0]}"
        )
    if parts:
        classes = _classes(path / "train")
        if (tested := _classes(path / "test")) != classes:
            more, fewer = sorted(set(tested) - set(classes)), sorted(set(classes) - set(tested))
            raise ValueError(
                f"{path}: test/ and train/ need the same folders of images; only in test/: {', '.join(more) or 'none'}; "
                f"only in train/: {', '.join(fewer) or 'none'}"
            )
        rest, test = (_read(path / part, classes, size) for part in parts)
        how = "its own test images"
    else:
        classes = _classes(path)
        whole = _read(path, classes, size)
        kept, aside = stratified(whole.labels, TEST_SHARE, TEST_SEED)
        rest, test = whole[kept], whole[aside]
        how = f"{TEST_SHARE:.0%} of each class for testing"
    train, held = split_validation(rest.images, rest.labels, validation, seed)
    name = path.absolute().name
    provenance = (
        f"folder {name}, {how}: {len(train)} training, {len(held)} validation (seed {seed}), {len(test)} test images, "
        f"resized to {size[0]}x{size[1]}"
    )
    if name in ("shapes", "cifar10"):  # the name of another source: say which of the two it is
        name = f"{name} (folder)"
    return ImageData(name, tuple(classes), train, held, test, *channel_statistics(train.images), provenance)


def read_image(path: str | Path, image_size: tuple[int, int]) -> np.ndarray:
    """One image file as (H, W, 3), uint8, for image_size (H, W).

    The largest part around the middle that has the wanted proportions is resized with antialiasing (Lanczos); an image of the
    wanted size comes through as it is. Grey becomes three equal channels, palettes their colours, transparency lies on
    white, 16 bits a channel become 8 (divided by 257), of an animation the first frame counts, EXIF orientation is applied.
    Raises ValueError for pixels without a fixed range (32-bit floats), OSError for a file that is broken or no image.
    """
    with Image.open(path) as image:
        image.load()
        image = ImageOps.exif_transpose(image)
        if image.mode == "F":
            raise ValueError("its pixels are 32-bit floats, which have no fixed range")
        if image.mode.startswith("I"):  # 16 bits; "I" has room for 32, but that is how Pillow opens some 16-bit files
            image = Image.fromarray((np.asarray(image).astype(np.float64) / 257).round().clip(0, 255).astype(np.uint8))
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = image.convert("RGB")
        return np.asarray(ImageOps.fit(image, (image_size[1], image_size[0]), Image.Resampling.LANCZOS))


def _classes(path: Path) -> list[str]:
    classes = sorted(entry.name for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if len(classes) < 2:
        found = f"only {classes[0]!r}" if classes else "none"
        raise ValueError(f"{path}: looked for two or more folders of images, one for each class, and found {found}")
    return classes


def _files(path: Path) -> list[Path]:
    """All files under `path` in alphabetical order, hidden ones left out."""
    found = []
    for folder, below, names in os.walk(path, followlinks=True):
        below[:] = [name for name in below if not name.startswith(".")]
        found += [Path(folder, name) for name in names if not name.startswith(".")]
    return sorted(found)


def _read(path: Path, classes: list[str], size: tuple[int, int]) -> Split:
    """The images of all `classes` under `path`, in the order of classes and file names."""
    labelled = [(file, label) for label, name in enumerate(classes) for file in _files(path / name)]
    _refuse_empty(path, classes, [label for _, label in labelled], "has no files in it")
    images = np.empty((len(labelled), *size, 3), dtype=np.uint8)
    bad = {}

    def read(index):
        try:
            images[index] = read_image(labelled[index][0], size)
        except (
            OSError,
            ValueError,
            SyntaxError,
            Image.DecompressionBombError,
        ) as error:  # all that Pillow raises for broken files
            bad[index] = error

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
        indices = range(len(labelled))
        for _ in tqdm(
            threads.map(read, indices), total=len(labelled), desc=f"reading {path.name}", unit=" images", delay=2, leave=False
        ):
            pass
    if bad:
        named = "; ".join(f"{labelled[index][0]} ({bad[index]})" for index in sorted(bad)[:10])
        more = f"; and {len(bad) - 10} more" if len(bad) > 10 else ""
        warnings.warn(f"{len(bad)} of {len(labelled)} files skipped, they cannot be read as images: {named}{more}", stacklevel=4)
    good = [index for index in indices if index not in bad]
    _refuse_empty(path, classes, [labelled[index][1] for index in good], "has no image that can be read")
    labels = torch.tensor([labelled[index][1] for index in good])
    kept = torch.from_numpy(images if not bad else images[good])
    return Split(kept.permute(0, 3, 1, 2).contiguous(), labels)


def _refuse_empty(path: Path, classes: list[str], labels: list[int], what: str) -> None:
    empty = [classes[label] for label in sorted(set(range(len(classes))) - set(labels))]
    if empty:
        raise ValueError(
            f"{path}: {len(empty)} of {len(classes)} classes empty; {path / empty[0]} {what}. "
            "Add images (jpg, png, ...) or remove the folder"
        )
