"""One image file: decoded upright at a given size, or found to be unreadable before training."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

# Everything that Pillow raises for broken files.
UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}  # what a whole file has among its last bytes
CHUNK = 100  # files that a thread checks at a time


def read_image(path: str | Path, image_size: tuple[int, int]) -> np.ndarray:
    """One image file as (H, W, 3), uint8, for image_size (H, W).

    The largest central crop with the proportions of `image_size` is resized with antialiasing
    (Lanczos). An image that has this size already is not changed.
    Raises as `open_upright` does.
    """
    width_height = image_size[1], image_size[0]
    return np.asarray(ImageOps.fit(open_upright(path), width_height, Image.Resampling.LANCZOS))


def open_upright(path: str | Path) -> Image.Image:
    """One image file as a Pillow image, RGB, at its own size: the one way in which files are read.

    - EXIF orientation is applied. Of an animation, the first frame is used.
    - Grey becomes three equal channels, a palette its colours, and 16 bits a channel become 8
      (divided by 257). Transparent parts are blended onto white.
    Raises ValueError for pixels without a fixed range (floats, or integers of 32 bits beyond 16),
    OSError for a file that is broken or not an image.
    """
    with Image.open(path) as image:
        image.load()
        return to_rgb(ImageOps.exif_transpose(image))


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

    Threads look only at the beginning and the end of each file. A JPEG or PNG whose end is missing
    is decoded, to be sure. Damage in the middle of a file shows when the image is used.
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
    with open(name, "rb") as file, Image.open(file) as image:
        _refuse_floats(image)
        end = ENDS.get(image.format, b"")
        file.seek(max(0, os.fstat(file.fileno()).st_size - 64))
        whole = end in file.read()
    if not whole:
        read_image(name, (1, 1))


def _refuse_floats(image: Image.Image) -> None:
    if image.mode == "F":
        raise ValueError("its pixels are 32-bit floats, which have no fixed range")
