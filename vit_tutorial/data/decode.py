"""One image file: decoded upright at the size that is wanted, or found to be unreadable before a training begins."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    Image.DecompressionBombError,
)  # all that Pillow raises for broken files
ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}  # what a whole file has among its last bytes


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
        if image.mode.startswith(
            "I"
        ):  # 16 bits; "I" has room for 32, but that is how Pillow opens some 16-bit files
            image = Image.fromarray(
                (np.asarray(image).astype(np.float64) / 257).round().clip(0, 255).astype(np.uint8)
            )
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = image.convert("RGB")
        return np.asarray(
            ImageOps.fit(image, (image_size[1], image_size[0]), Image.Resampling.LANCZOS)
        )


def unreadable(names: list[str], title: str) -> dict[int, Exception]:
    """Which of the files are no images that can be read, and why, by position. Reads headers and ends only, in threads.

    A JPEG or PNG whose end is missing is decoded to be sure. What is damaged in its middle is found when it is used.
    """
    bad = {}

    def check(first):
        for position in range(first, min(first + 100, len(names))):
            try:
                _check_header(names[position])
            except UNREADABLE as error:
                bad[position] = error
        return position + 1 - first

    with (
        ThreadPoolExecutor(min(32, 4 * (os.cpu_count() or 1))) as threads,
        tqdm(
            total=len(names), desc=f"checking {title}", unit=" files", delay=2, leave=False
        ) as bar,
    ):
        for count in threads.map(check, range(0, len(names), 100)):
            bar.update(count)
    return bad


def _check_header(name: str) -> None:
    with open(name, "rb") as file, Image.open(file) as image:
        if image.mode == "F":
            raise ValueError("its pixels are 32-bit floats, which have no fixed range")
        end = ENDS.get(image.format, b"")
        file.seek(max(0, os.fstat(file.fileno()).st_size - 64))
        whole = end in file.read()
    if not whole:
        read_image(name, (1, 1))
