"""One call for every source of images."""

import difflib
from pathlib import Path

import torch

from ..common.validation import require_int
from .dataset import ImageData, channel_statistics
from .paths import data_root
from .shapes import CLASS_NAMES, SIDE, make_shapes

TEST_SEED = 2  # the test images of `shapes` for every seed: train and validation draw from 3 * seed and 3 * seed + 1


def sources() -> dict[str, str]:
    """What `load` takes by name, each with one line about it. A path to a folder of images is the third way."""
    return {
        "shapes": "made from a seed, 10 classes of 32x32 images, no download",
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
    """The images of `source`, as uint8 on `device`: "shapes", "cifar10", or the path of a folder of images.

    seed: which images are for training and which for validation. The test images are the same for every seed, so that runs
        can be compared and no seed trains on what another one is tested on.
    root: where "cifar10" lies or is put (`data_root`). download: False never touches the network.
    validation: the share of the training images that is set aside for validation, above 0 and below 1, of every class alike.
        "shapes" has 10,000 training images, and makes that share of them in addition.
    image_size: side in pixels, or (H, W), for a folder's images (default 32); the other sources have 32 and take nothing else.
    stream: True leaves a folder's images in their files and reads them in passing, False reads them all now, None decides by
        the free memory (`folder.load`). The other sources are small and always in memory.
    Raises ValueError, naming the nearest source, when there is none; and as `make_shapes`, `cifar10.fetch` and `folder.load` do.
    """
    require_int("seed", seed, minimum=0)
    if not 0 < validation < 1:
        raise ValueError(
            f"validation is {validation}: it is a share of the training images, above 0 and below 1"
        )
    if source in sources() and image_size not in (None, SIDE, (SIDE, SIDE)):
        raise ValueError(
            f"{source} has images of {SIDE}x{SIDE}, not {image_size}: leave image_size out; a folder's images are resized"
        )
    if source == "shapes":
        data = _shapes(seed, validation)
    elif source == "cifar10":
        from . import cifar10  # these two pull in torchvision and PIL, which `shapes` does not need

        data = cifar10.load(data_root(root), seed=seed, validation=validation, download=download)
    else:
        from . import folder

        data = folder.load(
            _folder(source),
            seed=seed,
            validation=validation,
            image_size=SIDE if image_size is None else image_size,
            stream=stream,
            device=device,
        )
    return data.to(device)


def _shapes(seed: int, validation: float) -> ImageData:
    train = make_shapes(10_000, 3 * seed)
    held = make_shapes(
        max(10, 10 * round(len(train) * validation / 10)), 3 * seed + 1
    )  # whole rounds of the 10 classes
    test = make_shapes(2_000, TEST_SEED)
    provenance = (
        f"shapes, made from seed {seed}: {len(train)} training, {len(held)} validation images; "
        f"{len(test)} test images, the same for every seed"
    )
    return ImageData(
        "shapes", CLASS_NAMES, train, held, test, *channel_statistics(train.images), provenance
    )


def _folder(source: str | Path) -> Path:
    path = Path(source).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise ValueError(
            f"{source} is a file: give the folder that holds the images, one folder for each class"
        )
    near = difflib.get_close_matches(str(source), sources(), n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ValueError(
        f"unknown data {str(source)!r}: {hint}give one of {', '.join(map(repr, sources()))}, "
        "or the path of a folder of images that exists"
    )
