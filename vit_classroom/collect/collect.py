"""Sort a folder of submissions, as teachers get it, into an nbgrader course.

Every file is accounted for in collected.json.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import nbformat

from ..course.course import assignments
from ..files import write_bytes, write_text
from ..repair.matching import Release, match_cells, overlap
from ..repair.parse import parse_submission
from ..repair.repair import LEAST
from . import student_names
from .archives import ArchiveMember, walk


@dataclass(frozen=True)
class CollectResult:
    """entries: what this run found, as in collected.json. pattern: the one that was used. notes:
    what a teacher should know."""

    entries: list[dict]
    pattern: str
    notes: list[str]


@dataclass
class _File:
    """One file on its way: what it is, whose, and how well it fits."""

    found: ArchiveMember
    named: student_names.StudentName | None
    assignment: str | None
    share: float  # of the release's cells that are in it
    reason: str | None  # why it cannot be read as a notebook
    student: str = ""


def collect(course: Path, folder: Path, pattern: str = "auto") -> CollectResult:
    """Copy the submissions in `folder` (or a zip file) to COURSE/submitted, byte for byte.

    pattern: auto, moodle, canvas, folders, files, or a regular expression with the group
    (?P<student>...) and perhaps (?P<assignment>...), searched in each file's path below the folder.
    The lesson is recognised by what is in the file. Of several files for one lesson the newest
    counts. Writes COURSE/collected.json as well. Raises ValueError when `course` is no course or
    the pattern is wrong, NotADirectoryError when there is no such folder.
    """
    released = {
        name: Release(nbformat.read(path, as_version=4))
        for name, path in assignments(course).items()
    }
    lessons = list(released)
    if pattern != "auto":
        student_names.compile_pattern(pattern, lessons)
    found = list(walk(folder))
    notes: list[str] = []
    chosen, known = _names(found, pattern, lessons, notes)
    files = [_look(each, name, released) for each, name in zip(found, known)]
    _students(files, notes)
    entries = _choose(course, files)
    _write(course, entries)
    return CollectResult(entries, chosen, notes)


def _names(
    found: list[ArchiveMember], pattern: str, lessons: list[str], notes: list[str]
) -> tuple[str, list[student_names.StudentName | None]]:
    wheres = [each.where for each in found]
    if pattern != "auto" and pattern not in student_names.BUILT_IN:
        own = student_names.compile_pattern(pattern, lessons)
        return pattern, [student_names.read_name(own, where) for where in wheres]
    depth = student_names.wrapper_depth(wheres)
    wheres = ["/".join(where.split("/")[depth:]) for where in wheres]
    chosen = pattern
    if pattern == "auto":
        likely = [where for where in wheres if where.lower().endswith(".ipynb")] or wheres
        chosen, count = student_names.best_pattern(likely, lessons)
        notes.append(
            f"Names are read with the pattern {chosen!r}: it fits {count} of {len(likely)} files."
        )
    order = [chosen]
    if pattern == "auto":
        order += [name for name in student_names.BUILT_IN if name != chosen]
    tried = [student_names.compile_pattern(name, lessons) for name in order]
    return chosen, [
        next(filter(None, (student_names.read_name(each, where) for each in tried)), None)
        for where in wheres
    ]


def _look(
    found: ArchiveMember, named: student_names.StudentName | None, released: dict[str, Release]
) -> _File:
    """Which lesson the file holds: by its content; by its name when the content says nothing."""
    if found.data is None:
        return _File(found, named, None, 0.0, found.reason)
    parsed = parse_submission(found.data)
    shares = {
        name: overlap(release, parsed.cells, match_cells(release, parsed.cells))
        for name, release in released.items()
        if parsed.cells
    }
    where = named.assignment if named and named.assignment else found.where
    by_name = _lesson_in(where, list(released))
    best = max(shares, key=lambda name: (shares[name], name == by_name), default=None)
    if best and shares[best] >= LEAST:
        return _File(found, named, best, shares[best], None)
    reason = parsed.reason or "It holds hardly any cell of a lesson of this course."
    if by_name is None and len(released) == 1:
        by_name = next(iter(released))
    return _File(found, named, by_name, 0.0, reason)


def _lesson_in(text: str, lessons: list[str]) -> str | None:
    """The lesson that a path names: by its whole name, or by its number at the start of a word.

    The last part of the path is searched first.
    """
    for part in reversed(text.lower().split("/")):
        words = re.sub(r"[^a-z0-9]+", "_", part)
        for lesson in lessons:
            if lesson.lower() in words:
                return lesson
        for lesson in lessons:
            number = re.split(r"[^a-z0-9]", lesson.lower())[0]  # 06, 13
            if re.search(rf"(?:^|_){number}(?:_|$)", words):
                return lesson
    return None


def _students(files: list[_File], notes: list[str]) -> None:
    """Give each file its student's id; tell where two names fall together."""
    numbers: dict[tuple, set] = {}
    spelled: dict[
        str, dict[str, str]
    ] = {}  # id -> {spelling without case and separators: as written}
    for file in files:
        if file.named:
            name = student_names.student_id(file.named.student)
            numbers.setdefault((name, file.assignment), set()).add(file.named.number)
            spelled.setdefault(name, {}).setdefault(
                _letters(file.named.student), file.named.student
            )
    several = {name for (name, _), found in numbers.items() if len(found - {None}) > 1}
    for name in sorted(several):
        notes.append(
            f"There seem to be several students called {name!r}: "
            "the number in the file's name was added to each."
        )
    for name, forms in sorted(spelled.items()):
        if len(forms) > 1:
            written = ", ".join(repr(form) for form in forms.values())
            notes.append(
                f"{written} would all be {name!r}: a number was added to tell them apart. "
                "Are they different people?"
            )
    for file in files:
        if not file.named:
            continue
        name = student_names.student_id(file.named.student)
        at = list(spelled[name]).index(_letters(file.named.student))
        suffix = f"_{at + 1}" if at else ""
        file.student = (
            name
            + suffix
            + (f"_{file.named.number}" if name in several and file.named.number else "")
        )


def _letters(name: str) -> str:
    return "".join(char for char in name.casefold() if char.isalnum())


def _choose(course: Path, files: list[_File]) -> list[dict]:
    """Of one student's files for one lesson the newest that can be read is collected; the others
    are listed."""
    groups: dict[tuple[str, str], list[_File]] = {}
    entries = []
    for file in files:
        where = file.found.where
        handed_in = file.reason is None or (
            file.found.data is not None and where.lower().endswith(".ipynb")
        )
        if handed_in and file.student and file.assignment:
            groups.setdefault((file.student, file.assignment), []).append(file)
            continue
        reason = file.reason or "No student's name can be read from its path: give --pattern."
        if file.reason and not file.student and handed_in:
            reason += " No student's name can be read from its path, either."
        entries.append(_entry(file, "listed", reason))
    for (student, assignment), group in groups.items():
        group.sort(
            key=lambda file: (
                file.reason is None,
                round(file.found.changed),
                _count(file.found.where),
                file.found.where,
            )
        )
        newest = group.pop()
        target = Path(course) / "submitted" / student / assignment / f"{assignment}.ipynb"
        target.parent.mkdir(parents=True, exist_ok=True)
        # A file that did not change keeps its time, which is older than that of its result.
        if not target.is_file() or target.read_bytes() != newest.found.data:
            write_bytes(target, newest.found.data)
        reason = (
            f"It will not be graded: {newest.reason}"
            if newest.reason
            else "The only file for this lesson."
        )
        if group and not newest.reason:
            reason = f"The newest of {len(group) + 1} files for this lesson."
        entries.append(_entry(newest, "collected", reason))
        for file in group:
            same = file.found.data == newest.found.data
            why = file.reason or ("the same, byte for byte." if same else "older.")
            entries.append(_entry(file, "listed", f"Not used: {why} {newest.found.where} counts."))
    return sorted(
        entries,
        key=lambda entry: (entry["student"] or "", entry["assignment"] or "", entry["original"]),
    )


def _count(where: str) -> int:
    """The number that a browser, Colab or Canvas adds to a name: "01_patches (2).ipynb" -> 2."""
    match = re.search(r"(?:\((\d{1,3})\)|-(\d{1,3})|_v(\d{1,3}))\.\w+$", where)
    return int(next(filter(None, match.groups()))) if match else 0


def _entry(file: _File, status: str, reason: str) -> dict:
    return {
        "student": file.student or None,
        "assignment": file.assignment,
        "original": file.found.where,
        "status": status,
        "reason": reason,
    }


def _write(course: Path, entries: list[dict]) -> None:
    """Write collected.json. What earlier runs found stays in it, unless it was collected again."""
    path = Path(course) / "collected.json"
    old = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    now = {entry["original"] for entry in entries}
    again = {
        (entry["student"], entry["assignment"])
        for entry in entries
        if entry["status"] == "collected"
    }
    kept = [entry for entry in old if entry["original"] not in now]
    for entry in kept:
        if entry["status"] == "collected" and (entry["student"], entry["assignment"]) in again:
            entry |= {
                "status": "listed",
                "reason": "Not used: it was collected again later, from another file.",
            }
    write_text(path, json.dumps(kept + entries, indent=1, ensure_ascii=False) + "\n")
