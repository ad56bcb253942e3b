"""What is in a file: the file itself, or what its zip archive holds, archives in archives included.

It runs in a limited child. Nothing is unpacked to disk, so a name such as ../../x in an archive
can do no harm: it is a label. Dates in an archive count for nothing: their author wrote them.
"""

import io
import stat
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

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
LONGEST_NAME = 1_000  # characters of a path in an archive; no file system allows more in a name
OFFICE = (".docx", ".xlsx", ".pptx", ".odt", ".ods", ".jar", ".whl")


@dataclass
class Bounds:
    """file, archive: bytes of one. bytes, files: what may still be unpacked in
    all, of at most `most` files. depth: archives
    in archives. ratio: a large member that unpacks to more than this many times its size is a zip
    bomb."""

    file: int
    archive: int
    bytes: int
    files: int
    most: int
    depth: int
    ratio: int


@dataclass(frozen=True)
class Member:
    """inside: its path in the archive, empty for the file itself. data: its bytes, or None with a
    `reason`. changed: what the outermost archive says, in seconds since 1970: to be believed where
    a school's system made it."""

    inside: str
    data: bytes | None
    reason: str | None = None
    changed: float | None = None


def unpack(file: BinaryIO, name: str, bounds: Bounds, depth: int) -> Iterator[Member]:
    """depth: how deep archives are opened; 1 gives the members of the outermost as they are."""
    yield from _opened("", name, file, bounds, depth)


def names(file: BinaryIO, most: int) -> list[str]:
    """The names of the files in a zip archive; none in what is no such archive."""
    try:
        members = zipfile.ZipFile(file).infolist()
    except Exception:  # zipfile raises many kinds on a damaged archive
        return []
    labels = [clean_path(each.filename) for each in members[:most] if not each.is_dir()]
    return [label for label in labels if not leftover(label)]


def leftover(where: str) -> bool:
    parts = where.lower().split("/")
    return bool(LEFTOVERS & set(parts)) or parts[-1].startswith(("._", "~$"))


def clean_path(name: str) -> str:
    """A file name that can be written down: bytes that are no UTF-8 become marks."""
    text = name[:LONGEST_NAME].replace("\\", "/")
    return text.encode("utf-8", "replace").decode("utf-8")


def _opened(inside: str, name: str, file: BinaryIO, bounds: Bounds, depth: int) -> Iterator[Member]:
    lower = name.lower()
    begin = file.read(4)
    file.seek(0)
    if begin != b"PK\x03\x04" or lower.endswith(OFFICE):
        if lower.endswith(".zip"):
            text = "The archive is damaged: it does not begin like a zip file."
            yield Member(inside, None, text)
        else:
            yield Member(inside, file.read())
        return
    if depth <= 0:
        if bounds.depth == 1:  # a school's archive: what is in it is opened one by one
            yield Member(inside, file.read())
        else:
            text = f"It is an archive inside {bounds.depth} archives. It was not opened."
            yield Member(inside, None, text)
        return
    try:
        archive = zipfile.ZipFile(file)
        members = archive.infolist()
    except Exception as error:  # zipfile raises many kinds on a damaged archive
        yield Member(inside, None, f"The archive is damaged ({_said(error)}).")
        return
    if not members:
        yield Member(inside, None, "The archive is empty.")
    for member in members:
        label = clean_path(member.filename)
        if member.is_dir() or leftover(label):
            continue
        label = label or "(no name)"
        path = f"{inside}/{label}" if inside else label
        content, reason = _content(archive, member, bounds)
        when = _when(member)
        if reason:
            yield Member(path, None, reason, when)
        else:
            for each in _opened(path, label, io.BytesIO(content), bounds, depth - 1):
                yield replace(each, changed=when)


def _content(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, bounds: Bounds
) -> tuple[bytes | None, str | None]:
    bounds.files -= 1
    if bounds.files < 0:
        return None, f"The archives hold more than {bounds.most:,} files. It was not opened."
    if member.flag_bits & 1:
        return None, "It is protected with a password. Ask for a file without one."
    if stat.S_ISLNK(member.external_attr >> 16):
        return None, "It is a link, not a file. It was not followed."
    most = bounds.archive if member.filename.lower().endswith(".zip") else bounds.file
    limit = min(most, bounds.bytes)
    if member.file_size > limit or (
        member.file_size > 10_000_000
        and member.file_size > bounds.ratio * max(1, member.compress_size)
    ):
        size = f"{member.file_size / 1e6:,.0f} MB"
        return None, f"It unpacks to {size}, which is more than is opened."
    try:
        with archive.open(member) as file:
            data = file.read(limit + 1)  # what the archive says about its sizes need not be true
    except Exception as error:
        return None, f"It is damaged in the archive ({_said(error)})."
    if len(data) > limit:
        return None, f"It unpacks to more than {limit / 1e6:,.0f} MB."
    bounds.bytes -= len(data)
    return data, None


def _when(member: zipfile.ZipInfo) -> float | None:
    """When the member was changed; None when the archive does not say (1980)."""
    try:
        return time.mktime((*member.date_time, 0, 0, -1)) if member.date_time[0] > 1980 else None
    except (ValueError, OverflowError):
        return None


def _said(error: Exception) -> str:
    """zipfile's words hold the learner's names."""
    return "".join(c if c.isprintable() else "?" for c in f"{error}")[:100]
