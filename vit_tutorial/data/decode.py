"""One image file: decoded upright at a given size, or found to be unreadable before training."""

import contextlib
import functools
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from ..common.file_kind import kind_of

# What `open_upright` raises for files that are broken, too large, or no images.
UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
# Formats that Pillow does not read by itself: it hands the file to another program.
FOREIGN = ("EPS", "WMF")
# What a whole file has among its last bytes. An MPO is a JPEG with more pictures after it.
ENDS = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND"}
CHUNK = 100  # files that a thread checks at a time


def read_image(path: str | Path | BinaryIO, image_size: tuple[int, int]) -> np.ndarray:
    """One image file as (H, W, 3), uint8, for image_size (H, W).

    The largest central crop with the proportions of `image_size` is resized with antialiasing
    (Lanczos). An image that has this size already is not changed.
    Raises as `open_upright` does.
    """
    width_height = image_size[1], image_size[0]
    return np.asarray(ImageOps.fit(open_upright(path), width_height, Image.Resampling.LANCZOS))


def open_upright(path: str | Path | BinaryIO) -> Image.Image:
    """One image file as a Pillow image, RGB, at its own size: the one way in which files are read.

    - EXIF orientation is applied. Of an animation, the first frame is used.
    - Grey becomes three equal channels, a palette its colours, and 16 bits a channel become 8
      (divided by 257). Transparent parts are blended onto white.
    Raises ValueError for pixels without a fixed range (floats, or integers of 32 bits beyond 16),
    OSError for a file that is broken or not an image.
    """
    with opened(path) as image:
        image.load()
        return to_rgb(ImageOps.exif_transpose(image))


@contextlib.contextmanager
def opened(path: str | Path | BinaryIO) -> Iterator[Image.Image]:
    """The image file at `path`, its pixels not read yet. All that goes wrong is in UNREADABLE.

    path: may be an open file too, such as the io.BytesIO of an upload.
    """
    # A pipe would wait for somebody to write, and a device such as /dev/zero never ends.
    if not hasattr(path, "read") and os.path.exists(path) and not os.path.isfile(path):
        raise OSError("it is not a file of its own, but a folder, a pipe or a device")
    try:
        with Image.open(path, formats=_formats()) as image:
            yield image
    except UnidentifiedImageError as error:
        if hasattr(path, "read") or not (kind := kind_of(path)):
            raise
        raise OSError(kind) from error
    except UNREADABLE:
        raise
    except MemoryError as error:  # a part of the file says that it is gigabytes long
        raise OSError("it asks for more memory than is free: damaged, or too large") from error
    except Exception as error:  # a decoder met bytes that its author had not thought of
        raise OSError(f"it cannot be decoded ({type(error).__name__}: {error})") from error


@functools.cache
def _formats() -> tuple[str, ...]:
    """What Pillow and its plug-ins read by themselves."""
    Image.init()
    return tuple(name for name in Image.ID if name not in FOREIGN)


def to_rgb(image: Image.Image) -> Image.Image:
    """A Pillow image of any mode as RGB, with the rules and errors of `open_upright`."""
    _refuse_floats(image)
    # "I;16" has 16 bits. "I" has 32, but some 16-bit files are opened as "I" too.
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.float64)
        if values.min() < 0 or values.max() > 65_535:
            raise ValueError(
                f"its pixels are whole numbers from {values.min():.0f} to {values.max():.0f}: "
                "16 bits, 0 to 65535, are the most. Scale them and save it again"
            )
        image = Image.fromarray((values / 257).round().astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def unreadable(names: list[str], title: str) -> dict[int, Exception]:
    """The position of each file that cannot be read as an image, and why.

    Threads look only at the beginning and the end of each JPEG, PNG or WebP. One whose end is
    missing is decoded, to be sure, and so is a file of any other format. Damage in the middle of a
    file shows when the image is used.
    title: what the progress bar says it is checking.
    """
    bad = {}

    def check(first: int) -> int:
        positions = range(first, min(first + CHUNK, len(names)))
        for position in positions:
            try:
                _check_file(names[position])
            except UNREADABLE as error:
                bad[position] = error
        return len(positions)

    bar = tqdm(total=len(names), desc=f"checking {title}", unit=" files", delay=2, leave=False)
    with ThreadPoolExecutor(min(32, 4 * (os.cpu_count() or 1))) as threads, bar:
        for count in threads.map(check, range(0, len(names), CHUNK)):
            bar.update(count)
    return bad


def _check_file(name: str) -> None:
    """Raise one of UNREADABLE unless the file opens as an image and has an end."""
    with opened(name) as image:
        _refuse_floats(image)
        kind = image.format
    with open(name, "rb") as file:
        if kind == "WEBP":  # it says how long it is
            length = 8 + int.from_bytes(file.read(8)[4:], "little")
            whole = length <= os.fstat(file.fileno()).st_size
        else:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 64))
            whole = kind in ENDS and ENDS[kind] in file.read()
    if not whole:
        read_image(name, (1, 1))


def _refuse_floats(image: Image.Image) -> None:
    if image.mode == "F":
        raise ValueError("its pixels are 32-bit floats, which have no fixed range")
