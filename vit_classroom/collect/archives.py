"""Read every file in a folder of submissions, and what is in its zip archives.

Nothing is unpacked to disk, so a name such as ../../x in an archive can do no harm: it is a label.

nbgrader has a collector as well (`nbgrader zip_collect`). This one does without a regular
expression from the teacher, opens archives within archives, and says why a file was not used.
"""

import io
import os
import stat
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..repair.parse import MAX_BYTES

MAX_DEPTH = 4  # archives in archives
MAX_FILES = 20_000
MAX_UNPACKED = 2_000_000_000  # bytes in all, out of one folder
# A large member that unpacks to more than this many times its size is a zip bomb.
MAX_RATIO = 200
# What operating systems and tools leave behind. Listed nowhere: nobody handed it in.
LEFTOVERS = {
    ".ds_store",
    "thumbs.db",
    "desktop.ini",
    "__macosx",
    ".ipynb_checkpoints",
    "__pycache__",
    ".git",
}


@dataclass(frozen=True)
class ArchiveMember:
    """A file in the folder, or in an archive there.

    where: its path below the folder with "/", archives included. changed: seconds since 1970.
    data: its bytes, or None with a `reason`.
    """

    where: str
    changed: float
    data: bytes | None
    reason: str | None = None


class _Budget:
    """What may still be unpacked."""

    def __init__(self):
        self.bytes, self.files = MAX_UNPACKED, MAX_FILES


def walk(folder: Path) -> Iterator[ArchiveMember]:
    """All files below `folder`, sorted by name.

    Raises NotADirectoryError when it is neither a folder nor a zip file.
    """
    folder, budget = Path(folder), _Budget()
    if folder.is_file() and zipfile.is_zipfile(folder):
        yield from _file(folder, folder.name, budget)
        return
    if not folder.is_dir():
        raise NotADirectoryError(
            f"{folder} is no folder: give the folder, or the zip file, with the submissions"
        )
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name.lower() not in LEFTOVERS)
        for name in sorted(names):
            path = Path(root, name)
            where = _text(path.relative_to(folder).as_posix())
            if not leftover(where):
                yield from _file(path, where, budget)


def leftover(where: str) -> bool:
    parts = where.lower().split("/")
    return bool(LEFTOVERS & set(parts)) or parts[-1].startswith(("._", "~$"))


def _file(path: Path, where: str, budget: _Budget) -> Iterator[ArchiveMember]:
    try:
        about = path.lstat()
        if not stat.S_ISREG(about.st_mode):
            yield ArchiveMember(
                where,
                about.st_mtime,
                None,
                "It is a link or a device, not a file. It was not followed.",
            )
        elif about.st_size > MAX_BYTES and not zipfile.is_zipfile(path):
            yield ArchiveMember(
                where,
                about.st_mtime,
                None,
                f"It has {about.st_size / 1e6:,.0f} MB; at most {MAX_BYTES / 1e6:.0f} MB are read.",
            )
        elif about.st_size > 10 * MAX_BYTES:
            size = f"{about.st_size / 1e6:,.0f} MB"
            reason = f"The archive has {size}: unpack it, and collect the folder."
            yield ArchiveMember(where, about.st_mtime, None, reason)
        else:
            yield from _opened(where, about.st_mtime, path.read_bytes(), budget, 0)
    except OSError as error:
        yield ArchiveMember(where, 0.0, None, f"It cannot be read: {error.strerror or error}.")


def _opened(
    where: str, changed: float, data: bytes, budget: _Budget, depth: int
) -> Iterator[ArchiveMember]:
    """The file itself, or what is in it when it is an archive."""
    lower = where.lower()
    if not data.startswith(b"PK\x03\x04") or lower.endswith(
        (".docx", ".xlsx", ".pptx", ".odt", ".ods", ".jar", ".whl")
    ):
        if lower.endswith(".zip"):
            yield ArchiveMember(
                where, changed, None, "The archive is damaged: it does not begin like a zip file."
            )
        else:
            yield ArchiveMember(where, changed, data)
        return
    if depth >= MAX_DEPTH:
        yield ArchiveMember(
            where, changed, None, f"It is an archive inside {depth} archives. It was not opened."
        )
        return
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        members = archive.infolist()
    except Exception as error:  # zipfile raises many kinds on a damaged archive
        yield ArchiveMember(where, changed, None, f"The archive is damaged ({error}).")
        return
    if not members:
        yield ArchiveMember(where, changed, None, "The archive is empty.")
    for member in members:
        inside = f"{where}/{_text(member.filename)}"
        if member.is_dir() or leftover(_text(member.filename)):
            continue
        content, reason = _member(archive, member, budget)
        when = _when(member) or changed
        if reason:
            yield ArchiveMember(inside, when, None, reason)
        else:
            yield from _opened(inside, when, content, budget, depth + 1)


def _member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, budget: _Budget
) -> tuple[bytes | None, str | None]:
    budget.files -= 1
    if budget.files < 0:
        return None, f"The archives hold more than {MAX_FILES:,} files. It was not opened."
    if member.flag_bits & 1:
        return None, "It is protected with a password. Ask for a file without one."
    if stat.S_ISLNK(member.external_attr >> 16):
        return None, "It is a link, not a file. It was not followed."
    limit = min(
        10 * MAX_BYTES if member.filename.lower().endswith(".zip") else MAX_BYTES, budget.bytes
    )
    if member.file_size > limit or (
        member.file_size > 10_000_000
        and member.file_size > MAX_RATIO * max(1, member.compress_size)
    ):
        return (
            None,
            f"It unpacks to {member.file_size / 1e6:,.0f} MB, which is more than is opened.",
        )
    try:
        with archive.open(member) as file:
            data = file.read(limit + 1)  # what the archive says about its sizes need not be true
    except Exception as error:
        return None, f"It is damaged in the archive ({error})."
    if len(data) > limit:
        return None, f"It unpacks to more than {limit / 1e6:,.0f} MB."
    budget.bytes -= len(data)
    return data, None


def _when(member: zipfile.ZipInfo) -> float | None:
    """When the member was changed; None when the archive does not say (1980)."""
    try:
        return time.mktime((*member.date_time, 0, 0, -1)) if member.date_time[0] > 1980 else None
    except (ValueError, OverflowError):
        return None


def _text(name: str) -> str:
    """A file name that can be written down: bytes that are no UTF-8 become marks."""
    return name.replace("\\", "/").encode("utf-8", "replace").decode("utf-8")
