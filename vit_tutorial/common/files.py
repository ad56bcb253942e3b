"""Files written whole or not at all, and tables as CSV."""

import contextlib
import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def atomic_write(path: str | Path, mode: str = "wb", sync: bool = False) -> Iterator[IO]:
    """A file to write into. When the block ends, it appears complete as `path`; after an error it
    is deleted.

    The bytes go to a hidden file beside `path`, which is then renamed: a crash in the middle leaves
    the old file intact.
    mode: "wb" for bytes, "w" for text (UTF-8, line endings as written). sync: wait until the bytes
    are on the disk, so that even a power cut cannot lose them. Makes the folder if it is missing.
    Raises OSError when the disk is full or the folder cannot be written to.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for left_over in path.parent.glob(
        f".{path.name}.*.partial"
    ):  # left by processes killed while writing
        with contextlib.suppress(OSError):
            left_over.unlink()
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    try:
        with partial.open(mode, **text) as file:
            yield file
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(partial, path)
        if sync:
            with contextlib.suppress(OSError):  # Windows and some network folders cannot
                _sync_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` in UTF-8, whole or not at all."""
    with atomic_write(path, "w") as file:
        file.write(text)


def write_rows(path: str | Path, rows: list[dict]) -> None:
    """Write `rows` as CSV, whole or not at all: the columns are the first row's keys, None becomes
    an empty field."""
    with atomic_write(path, "w") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_rows(path: str | Path) -> list[dict[str, str]]:
    """The rows of a CSV file, every value a string; [] when there is no such file."""
    path = Path(path)
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _sync_folder(folder: Path) -> None:
    """Flush the file names in `folder` to the disk."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
