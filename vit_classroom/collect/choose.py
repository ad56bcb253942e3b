"""Of one student's files for one lesson, one counts; each of the others is listed with a reason."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ..files import write_bytes
from ..progress import track
from .archives import ArchiveMember
from .formats import StudentName

SYSTEM_LATE = "yes, says the school's system"


@dataclass
class File:
    """One file on its way: what it is, whose, and how well it fits.

    share: of the release's cells that are in it. reason: why it cannot be read as a notebook. time:
    when it was handed in, in seconds since 1970. timed: whether that is known; the archives of some
    systems have the time of the download everywhere. draft: why it was not handed in at all.
    """

    found: ArchiveMember
    named: StudentName | None
    assignment: str | None
    share: float
    reason: str | None
    time: float
    student: str = ""
    draft: str | None = None
    timed: bool = True

    def seconds_late(self, deadline: float | None) -> float:
        """How late it came: 0 in time; infinite where the system says so, and not how much."""
        if deadline is not None and self.timed:
            return max(0.0, self.time - deadline)
        return math.inf if self.named and self.named.late else 0.0


def choose(
    course: Path, files: list[File], until: datetime | None, readable: Callable[[Path], bool]
) -> list[dict]:
    """Copy what counts to COURSE/submitted. Returns an entry of collected.json for each file.

    The newest file that can be read counts; with `until`, the newest that came in time, and a later
    one only where there is none. readable: whether a file that was collected before can be read.
    """
    groups: dict[tuple[str, str], list[File]] = {}
    entries = []
    for file in files:
        where = file.found.where
        handed_in = file.reason is None or (
            file.found.file is not None and where.lower().endswith(".ipynb")
        )
        if file.draft:
            entries.append(_entry(file, "listed", file.draft))
        elif handed_in and file.student and file.assignment:
            groups.setdefault((file.student, file.assignment), []).append(file)
        else:
            reason = file.reason or "No student's name can be read from its path: give --pattern."
            if file.reason and not file.student and handed_in:
                reason += " No student's name can be read from its path, either."
            entries.append(_entry(file, "listed", reason))
    for (student, assignment), group in track(groups.items(), "choosing", "submissions"):
        entries += _one_counts(Path(course), student, assignment, group, until, readable)
    return sorted(
        entries,
        key=lambda entry: (entry["student"] or "", entry["assignment"] or "", entry["original"]),
    )


def _one_counts(
    course: Path,
    student: str,
    assignment: str,
    group: list[File],
    until: datetime | None,
    readable: Callable[[Path], bool],
) -> list[dict]:
    deadline = until.timestamp() if until else None
    group.sort(
        key=lambda file: (
            not file.found.doubtful,
            file.reason is None,
            deadline is None or not file.seconds_late(deadline),
            round(file.time) if file.timed else 0,
            _count(file.found.where),
            file.found.where,
        )
    )
    *others, newest = group
    target = course / "submitted" / student / assignment / f"{assignment}.ipynb"
    there = target.is_file() and not target.is_symlink()
    if newest.reason and there and readable(target):
        # What was collected, and perhaps graded, stays: so the grade book and the tables agree.
        why = "The file that was collected before counts."
        return [
            _entry(file, "listed", f"Not used: {file.reason or 'older.'} {why}", deadline)
            for file in group
        ]
    # A file that did not change keeps its time, which is older than that of its result.
    data = newest.found.data
    if not there or target.read_bytes() != data:
        write_bytes(target, data)
    reason = "The only file for this lesson."
    if newest.reason:
        reason = f"It will not be graded: {newest.reason}"
    elif others:
        reason = f"The newest of {len(group)} files for this lesson."
    entries = [_entry(newest, "collected", reason, deadline)]
    for file in others:
        why = file.reason or "older."
        if not file.reason and file.found.data == data:
            why = "the same, byte for byte."
        elif file.found.doubtful and not newest.found.doubtful:
            why = "it is in an archive with nobody's name. If that is yours, collect it by itself."
        elif not file.reason and file.seconds_late(deadline) > newest.seconds_late(deadline):
            why = f"it came late: {_late(file, deadline)}."
        entries.append(
            _entry(file, "listed", f"Not used: {why} {newest.found.where} counts.", deadline)
        )
    return entries


def _count(where: str) -> int:
    """The number that a browser, Colab or Canvas adds to a name: "01_patches (2).ipynb" -> 2."""
    match = re.search(r"(?:\((\d{1,3})\)|-(\d{1,3})|_v(\d{1,3}))\.\w+$", where[-300:])
    return int(next(filter(None, match.groups()))) if match else 0


def _late(file: File, deadline: float | None) -> str:
    """How late it came, in words: "2 h 10 min"; "" in time."""
    seconds = file.seconds_late(deadline)
    if not seconds:
        return ""
    if seconds == math.inf:
        return SYSTEM_LATE
    minutes = max(1, round(seconds / 60))
    hours, days = minutes // 60, minutes // 1440
    if days:
        return f"{days} d {hours % 24} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


def _entry(file: File, status: str, reason: str, deadline: float | None = None) -> dict:
    when = datetime.fromtimestamp(file.time) if file.timed and file.time > 0 else None
    return {
        "student": file.student or None,
        "assignment": file.assignment,
        "original": file.found.where,
        "status": status,
        "reason": reason,
        "handed_in": when.isoformat(" ", "minutes") if when else None,
        "late": _late(file, deadline),
    }
