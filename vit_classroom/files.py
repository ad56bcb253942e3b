"""Write a file whole or not at all."""

import os
from pathlib import Path


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` under the name `path`, which holds either the old file or the whole new one.

    The bytes go to a temporary file beside it, which is then renamed. Makes the folder if it is
    missing. Raises OSError when it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all. Half characters become question marks."""
    write_bytes(path, text.encode("utf-8", "replace"))
