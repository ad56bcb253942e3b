"""One call for every source of images."""

from pathlib import Path

import torch

from ..common.validation import nearest, require_int
from .dataset import ImageData, channel_statistics
from .pairs import CLASS_NAMES as PAIR_NAMES
from .pairs import make_pairs
from .paths import data_root, expand
from .shapes import CLASS_NAMES, SIDE, make_shapes

# The test images of `shapes`, the same for every seed. Training images are drawn from 3 * seed and
# validation images from 3 * seed + 1, so neither ever uses seed 2.
TEST_SEED = 2
ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".xz", ".bz2", ".7z", ".rar")


def sources() -> dict[str, str]:
    """What `load` takes by name, with a line about each. It also takes the path of a folder."""
    return {
        "shapes": "made from a seed, 10 classes of 32x32 images, no download",
        "pairs": "made from a seed, 12 classes of 32x32 images: where and how far, no download",
        "cifar10": "60,000 photographs, 10 classes of 32x32 images, fetched once (170 MB)",
    }


def load(
    source: str | Path,
    *,
    device: torch.device | str = "cpu",
    seed: int = 0,
    root: str | Path | None = None,
    validation: float = 0.1,
    image_size: int | tuple[int, int] | None = None,
    download: bool = True,
    stream: bool | None = None,
) -> ImageData:
    """The images of `source` on `device`: a name in `sources()`, or the path of a folder of images.

    seed: which images are for training and which for validation. The test images are the same for
        every seed, so runs can be compared, and no seed trains on what another is tested on.
    root: where "cifar10" is found or downloaded to (`data_root`).
    validation: the share of the training images of each class that is set aside for validation,
        above 0 and below 1. "shapes" and "pairs" draw that share on top of their
        training images (10,000 and 10,080).
    image_size: side in pixels, or (H, W), for a folder's images (default 32). The other sources
        have 32 and accept nothing else.
    download: False never touches the network.
    stream: True leaves a folder's images in their files and reads them during training, False
        reads all of them now, None decides by the free memory (`folder.load`). The other sources
        are small and always in memory.
    Raises ValueError, with the nearest name, for an unknown source; and whatever `make_shapes`,
    `cifar10.fetch` and `folder.load` raise.
    """
    require_int("seed", seed, minimum=0)
    if not 0 < validation < 1:
        raise ValueError(
            f"validation is {validation}: it is a share of the training images, above 0 and below 1"
        )
    if source in sources() and image_size not in (None, SIDE, (SIDE, SIDE)):
        raise ValueError(
            f"{source} has images of {SIDE}x{SIDE}, not {image_size}: leave image_size out; "
            "only a folder's images are resized"
        )
    if source == "shapes":
        return _shapes(seed, validation).to(device)
    if source == "pairs":
        return _pairs(seed, validation).to(device)
    if source == "cifar10":
        from . import cifar10  # imports torchvision, which `shapes` does not need

        fetched = dict(root=data_root(root), download=download)
        return cifar10.load(**fetched, seed=seed, validation=validation).to(device)
    from . import folder  # imports Pillow

    return folder.load(
        _folder(source),
        seed=seed,
        validation=validation,
        image_size=SIDE if image_size is None else image_size,
        stream=stream,
        device=device,
    )


def _shapes(seed: int, share: float) -> ImageData:
    train = make_shapes(10_000, 3 * seed)
    rounds = max(1, round(len(train) * share / 10))  # of the 10 classes
    validation = make_shapes(10 * rounds, 3 * seed + 1)
    test = make_shapes(2_000, TEST_SEED)
    provenance = (
        f"shapes, made from seed {seed}: {len(train)} training, {len(validation)} validation "
        f"images; {len(test)} test images, the same for every seed"
    )
    mean, std = channel_statistics(train.images)
    return ImageData("shapes", CLASS_NAMES, train, validation, test, mean, std, provenance)


def _pairs(seed: int, share: float) -> ImageData:
    K = len(PAIR_NAMES)
    train = make_pairs(840 * K, 3 * seed)
    validation = make_pairs(K * max(1, round(len(train) * share / K)), 3 * seed + 1)
    test = make_pairs(250 * K, TEST_SEED)
    provenance = (
        f"pairs, made from seed {seed}: {len(train)} training, {len(validation)} validation "
        f"images; {len(test)} test images, the same for every seed"
    )
    mean, std = channel_statistics(train.images)
    return ImageData("pairs", PAIR_NAMES, train, validation, test, mean, std, provenance)


def _folder(source: str | Path) -> Path:
    path = expand(source, "data") if str(source).startswith("~") else Path(source)
    if path.is_dir():
        return path
    if path.exists():
        unpack = "an archive: unpack it, and" if path.suffix.lower() in ARCHIVES else "a file:"
        raise ValueError(
            f"{source} is {unpack} give the folder that holds the images, one folder for each class"
        )
    near = nearest(source, sources(), cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ValueError(
        f"unknown data {str(source)!r}: {hint}give one of {', '.join(map(repr, sources()))}, "
        "or the path of a folder of images that exists"
    )
