"""Files written whole or not at all, and tables as CSV."""

import contextlib
import csv
import errno
import glob
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
    # Bytes of a file's name that are no letters become \udcff, so that what is written is text.
    text = {"encoding": "utf-8", "errors": "backslashreplace", "newline": ""}
    text = {} if "b" in mode else text
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():
        # A device or a pipe, such as /dev/stdout: to be written to, never to be replaced.
        with path.open(mode, **text) as file:
            yield file
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # Left by processes killed while writing.
    for left_over in path.parent.glob(f".{glob.escape(path.name)}.*.partial"):
        with contextlib.suppress(OSError):
            left_over.unlink()
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with _opened(partial, path, mode, text) as file:
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


def _opened(partial: Path, path: Path, mode: str, text: dict) -> IO:
    """`partial`, opened; an error is about `path`, the name that a person gave."""
    try:
        return partial.open(mode, **text)
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from error


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
    """The rows of a CSV file, every value a string; [] when there is no such file.

    Raises ValueError, with the line, for a file that is no table: not UTF-8, or with rows that do
    not have a value for each column. A byte order mark, as Excel writes it, is left out.
    """
    path, number = Path(path), 1
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader, rows = csv.DictReader(file), []
            for row in reader:
                number = reader.line_num
                more = len(row.pop(None, ()))
                count = sum(value is not None for value in row.values()) + more
                if more or count < len(row):
                    raise ValueError(f"{count} values for {len(row)} columns")
                rows.append(row)
            return rows
    except (ValueError, csv.Error) as error:
        raise ValueError(
            f"{path} cannot be read as a table, near line {number}: {error}. Was it saved by "
            "another program? Use a copy, or another file"
        ) from error


def _sync_folder(folder: Path) -> None:
    """Flush the file names in `folder` to the disk."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
