"""Which files are no images, found before a training begins and not in its third hour."""

import os
from concurrent.futures import ThreadPoolExecutor

from PIL import Image
from tqdm import tqdm

from .folder import UNREADABLE, read_image

ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}  # what a whole file has among its last bytes


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
        tqdm(total=len(names), desc=f"checking {title}", unit=" files", delay=2, leave=False) as bar,
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
