"""Walk through a folder of submissions: every file, and what is in its zip archives.

Nothing that a learner sent is read in this process. Each file is opened in a limited child
(reading/read.py), which sends back what it holds. The bytes go to a temporary folder, so that the
memory needed does not grow with the class.

nbgrader has a collector as well (`nbgrader zip_collect`). This one does without a regular
expression from the teacher, opens archives within archives, and says why a file was not used.
"""

import json
import os
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..reading.plain import one_line
from ..reading.unpack import LEFTOVERS, LONGEST_NAME, OFFICE, clean_path, leftover
from ..repair.parse import MAX_BYTES
from ..sandbox.isolation import Sandbox
from ..sandbox.outer import NotIsolatedError
from ..sandbox.watcher import Limits, Outcome
from .whose import schools_archives

MAX_DEPTH = 4  # archives in archives
MAX_FILES = 20_000
MAX_UNPACKED = 2_000_000_000  # bytes in all, out of one folder
# A large member that unpacks to more than this many times its size is a zip bomb.
MAX_RATIO = 200
# Of the child that opens one learner's file. cpu: seconds of computing.
READING = Limits(
    seconds=120, cpu=5, memory=1 << 30, processes=2, file=16 << 20, reply=2_200_000_000
)
# A school's download is large, and made by the school.
UNPACKING = Limits(
    seconds=1200, cpu=600, memory=2 << 30, processes=2, file=16 << 20, reply=2_200_000_000
)
MOST_ANSWER = 32 << 20  # bytes of JSON
_NOT_IN_FORM = {"where": None, "size": None, "reason": None, "unread": None, "shares": {}}
_NOT_IN_FORM |= {"also": (), "changed": None}
NOT_ISOLATED = (
    "Files were read in a limited process, but without isolation, because this machine has none: a "
    "fault of Python's own in reading a file would act as you. Install bubblewrap."
)


@dataclass(frozen=True)
class ArchiveMember:
    """A file in the folder, or in an archive there.

    where: its path below the folder with "/", archives included. changed: seconds since 1970, of
    the file in the folder or in the school's archive. reason: why it has no bytes.
    owner: what of `where` the learner did not write, from which names are read: up to a learner's
    archive, and not what is in it. doubtful: it is in an archive with nobody's name beside files of
    people, so whose archive that is, nobody knows.
    file: where its bytes are. shares: {lesson: the share of it that is in the file}. also: lessons
    whose answers' cells are in it. unread: why it cannot be read as a notebook.
    """

    where: str
    changed: float
    reason: str | None = None
    owner: str = ""
    file: Path | None = None
    shares: dict[str, float] = field(default_factory=dict)
    unread: str | None = None
    also: tuple[str, ...] = ()
    doubtful: bool = False

    @property
    def data(self) -> bytes | None:
        """Its bytes, or None with a `reason`."""
        return None if self.file is None else self.file.read_bytes()


@dataclass(frozen=True)
class Found:
    """A file to be opened. path: where its bytes are. where: as in ArchiveMember. changed: what a
    school's archive says; without it, the file's own time counts."""

    path: Path
    where: str
    changed: float | None = None

    def is_archive(self) -> bool:
        """It begins like a zip file, and is not an office document. A pipe is not opened: nobody
        writes into it, so that would never end."""
        try:
            if self.where.lower().endswith(OFFICE) or not stat.S_ISREG(self.path.lstat().st_mode):
                return False
            with open(self.path, "rb") as file:
                return file.read(4) == b"PK\x03\x04"
        except OSError:
            return False


class Reader:
    """A sandbox in which files are opened, and a temporary folder for what is in them.

    released: {lesson: path of the released notebook}. notes: what the teacher should know of this
    machine.
    """

    def __init__(self, released: dict[str, Path]):
        texts = {name: path.read_text(encoding="utf-8") for name, path in released.items()}
        config, self.notes = json.dumps(texts).encode(), []
        self.lessons = tuple(released)
        try:
            self.sandbox = Sandbox("read", config)
            self.sandbox.ready()
        except NotIsolatedError:
            self.sandbox = Sandbox("read", config, isolated=False)
            self.notes.append(NOT_ISOLATED)
        self.folder = Path(tempfile.mkdtemp(prefix="classroom-"))
        self.number = 0
        self.bytes, self.files = MAX_UNPACKED, MAX_FILES

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *error) -> None:
        self.sandbox.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def open(self, path: Path, name: str, school: bool) -> tuple[list[dict], str | None]:
        """What a file holds, as reading/read.py tells it, each with its "file"; or why it cannot be
        read. school: a download of the school's, whose members are sent as they are."""
        depth = 1 if school else MAX_DEPTH
        bounds = {
            "file": MAX_BYTES,
            "archive": 10 * MAX_BYTES,
            "bytes": self.bytes,
            "files": self.files,
            "most": MAX_FILES,
            "depth": depth,
            "ratio": MAX_RATIO,
        }
        asked = {"name": name, "depth": depth, "look": not school, "bounds": bounds}
        found: list[dict] = []

        def on_frame(kind: bytes, number: int, data: bytes) -> None:
            if kind == b"m":
                # Beyond what anybody hands in nothing is kept, and the last says so.
                told = _told(data) if len(found) <= 2 * MAX_FILES + 1000 else _NOT_IN_FORM
                found.append(told | {"file": self._place()})
            elif kind == b"d" and found:
                self.bytes -= len(data)
                with open(found[-1]["file"], "ab") as file:
                    file.write(data)

        limits = UNPACKING if school else READING
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            outcome = self.sandbox.run(
                json.dumps(asked).encode(), limits, on_frame, file=descriptor
            )
        finally:
            os.close(descriptor)
        if outcome.code != 0 or None in (each["where"] for each in found):
            for each in found:
                each["file"].unlink(missing_ok=True)
            return [], f"It cannot be read: {_why(outcome, limits)}."
        for each in found:
            if each["size"] is None:
                each["file"] = None
            elif not each["where"]:
                each["file"] = path
            else:
                self.files -= 1
                each["file"].touch()
        return found, None

    def names(self, path: Path) -> list[str]:
        """The names of the files in an archive; none where it cannot be read."""
        found: list[bytes] = []
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            self.sandbox.run(
                json.dumps({"names": True}).encode(),
                READING,
                lambda kind, number, data: found.append(data) if kind == b"n" else None,
                file=descriptor,
            )
        finally:
            os.close(descriptor)
        try:
            told = json.loads(found[0]) if found and len(found[0]) < MOST_ANSWER else []
        except (ValueError, RecursionError):
            return []
        names = told if isinstance(told, list) else []
        return [name for name in names if isinstance(name, str) and len(name) <= LONGEST_NAME]

    def readable(self, path: Path) -> bool:
        """Whether a lesson's cells can be read from the file."""
        found, _ = self.open(path, path.name, school=False)
        return any(each["shares"] for each in found)

    def _place(self) -> Path:
        self.number += 1
        return self.folder / str(self.number)


def walk(folder: Path, reader: Reader) -> Iterator[ArchiveMember]:
    """All files below `folder`, sorted by name.

    An archive that holds several learners' submissions is the school's: the names and times in it
    are its system's. Any other archive is one learner's. Raises NotADirectoryError when `folder` is
    neither a folder nor a zip file.
    """
    folder = Path(folder)
    if folder.is_file() and zipfile.is_zipfile(folder):
        file = Found(folder, folder.name, folder.stat().st_mtime)
        yield from _all([file], reader, given=True)
        return
    if not folder.is_dir():
        raise NotADirectoryError(
            f"{folder} is no folder: give the folder, or the zip file, with the submissions"
        )
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name.lower() not in LEFTOVERS)
        links = [name for name in folders if Path(root, name).is_symlink()]  # not followed
        for name in sorted([*names, *links]):
            where = _text(Path(root, name).relative_to(folder))
            if not leftover(where):
                found.append(Found(Path(root, name), where))
    yield from _all(found, reader)


def _all(
    found: list[Found], reader: Reader, given: bool = False, doubtful: bool = False
) -> Iterator[ArchiveMember]:
    """given: the one file is what the teacher named, so it is the school's."""
    archives = {each.where: each for each in found if each.is_archive()}
    schools = dict.fromkeys(archives, True) if given else {}
    if archives and not given:
        names = {where: reader.names(each.path) for where, each in archives.items()}
        beside = [each.where for each in found if each.where not in archives]
        schools = schools_archives(names, beside, reader.lessons)
    for each in found:
        if each.where in schools:
            unsure = doubtful or not schools[each.where]
            yield from _school(each, reader, unsure)
        else:
            yield from _learner(each, reader, doubtful)


def _learner(each: Found, reader: Reader, doubtful: bool) -> Iterator[ArchiveMember]:
    """A learner's file, or what is in a learner's archive: named by what is outside it alone."""
    where, path = each.where, each.path
    try:
        about = path.lstat()
        changed = about.st_mtime if each.changed is None else each.changed
        size = about.st_size
        reason = None
        if not stat.S_ISREG(about.st_mode):
            reason = "It is a link or a device, not a file. It was not followed."
        elif size > MAX_BYTES and not each.is_archive():
            most = f"{MAX_BYTES / 1e6:.0f} MB"
            reason = f"It has {size / 1e6:,.0f} MB; at most {most} are read."
        elif size > 10 * MAX_BYTES:
            reason = f"The archive has {size / 1e6:,.0f} MB: unpack it, and collect the folder."
        found = []
        if not reason:
            found, reason = reader.open(path, where.split("/")[-1], school=False)
    except OSError as error:
        changed, found = 0.0, []
        reason = f"It cannot be read: {error.strerror or error}."
    if reason:
        yield ArchiveMember(where, changed, reason, where, doubtful=doubtful)
    for member in found:
        inside = f"{where}/{member['where']}" if member["where"] else where
        yield ArchiveMember(
            inside,
            changed,
            member["reason"],
            where,
            member["file"],
            member["shares"],
            member["unread"],
            member["also"],
            doubtful,
        )


def _school(each: Found, reader: Reader, doubtful: bool) -> Iterator[ArchiveMember]:
    """Everything in a school's archive, which may hold such archives itself."""
    where = each.where
    try:
        found, reason = reader.open(each.path, where, school=True)
        changed = each.path.lstat().st_mtime if each.changed is None else each.changed
    except OSError as error:
        found, changed = [], 0.0
        reason = f"It cannot be read: {error.strerror or error}."
    if reason:
        yield ArchiveMember(where, changed, reason, where)
    members = []
    for member in found:
        inside = f"{where}/{member['where']}" if member["where"] else where
        when = changed if member["changed"] is None else member["changed"]
        if member["reason"] or member["file"] is None:
            yield ArchiveMember(inside, when, member["reason"], inside)
        elif member["where"]:
            members.append(Found(member["file"], inside, when))
    yield from _all(members, reader, doubtful=doubtful)


def _told(data: bytes) -> dict:
    """A frame "m", with bounds. "where" is None when it is not in form."""
    try:
        told = json.loads(data) if len(data) < 1 << 20 else _NOT_IN_FORM
        where, size = told["where"], told["size"]
        if not isinstance(where, str) or len(where) > (MAX_DEPTH + 1) * (LONGEST_NAME + 1):
            return _NOT_IN_FORM
        shares = {str(name): float(share) for name, share in (told["shares"] or {}).items()}
        also = tuple(name for name in told["also"] if isinstance(name, str))[:100]
        when = told["changed"]
        when = float(when) if isinstance(when, (int, float)) and abs(when) < 1e11 else None
        reasons = {
            key: one_line(told[key]) if isinstance(told[key], str) else None
            for key in ("reason", "unread")
        }
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return _NOT_IN_FORM
    more = {"also": also, "changed": when}
    return reasons | {"where": where, "size": size, "shares": shares} | more


def _why(outcome: Outcome, limits: Limits) -> str:
    if outcome.code is not None and outcome.code >= 128:
        return f"it needs more than {limits.cpu} s, or {limits.memory >> 20} MB of memory"
    return outcome.stopped or "it needs more memory than is given to one file"


def _text(path: Path) -> str:
    return clean_path(path.as_posix())
