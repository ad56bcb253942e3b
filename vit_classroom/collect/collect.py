"""Sort a folder of submissions, as teachers get it, into an nbgrader course.

Every file is accounted for in collected.json.
"""

import contextlib
import json
import re
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from ..course.course import assignments, handed_out
from ..files import write_bytes, write_text
from ..progress import track
from ..repair.repair import LEAST
from . import student_names, whose
from .archives import ArchiveMember, Reader, walk
from .choose import File, choose
from .gradescope import by_submission, people_at
from .roster import Roster, Student, read_roster

ROSTER, PEOPLE = "roster.csv", "students.json"
# The systems that write the time into a name.
TELL_TIME = ("blackboard", "brightspace", "nbgrader", "gradescope")
# The systems whose archives have the time of the download, or of a copy, everywhere (Canvas's
# lib/content_zipper.rb writes each entry anew; Sakai puts the time into timestamp.txt beside it).
TIMELESS = ("canvas", "sakai", "ilias")
# What may be a submission, whatever is in it, by its name.
NOTEBOOK = re.compile(r"\.ipynb(?:\.(?:txt|json))?\Z", re.IGNORECASE)


@dataclass(frozen=True)
class CollectResult:
    """entries: what this run found, as in collected.json. pattern: the one that was used. notes:
    what a teacher should know."""

    entries: list[dict]
    pattern: str
    notes: list[str]


def collect(
    course: Path,
    folder: Path,
    pattern: str = "auto",
    roster: Path | None = None,
    until: datetime | None = None,
) -> CollectResult:
    """Copy the submissions in `folder` (or a zip file) to COURSE/submitted, byte for byte.

    pattern: auto, the name of a system's format (student_names.BUILT_IN), or a regular expression
    with the group (?P<student>...) and perhaps (?P<assignment>...), searched in each file's path
    below the folder. roster: the list of the class, kept as COURSE/roster.csv for the next time.
    until: what came later counts only where nothing came in time, and is marked as late.

    The lesson is recognised by what is in the file. Of several files for one lesson the newest
    counts. Writes COURSE/collected.json and COURSE/students.json as well. Raises ValueError when
    `course` is no course, the pattern or the roster is wrong, or no name can be read;
    NotADirectoryError when there is no such folder.
    """
    course = Path(course)
    released, lessons = handed_out(course), list(assignments(course))
    if pattern != "auto":
        student_names.reader(pattern, lessons)
    known = _roster(course, roster)
    with Reader(released) as reader:
        found = list(track(walk(folder, reader), "opening archives", "files"))
        notes = list(reader.notes)
        chosen, files = _files(found, lessons, pattern, notes)
        ids, people, more = whose.settle(
            [file.named for file in files], [file.assignment for file in files], known
        )
        for file, student in zip(files, ids):
            file.student = student
        if until and _are_of_the_download(files, until.timestamp()):
            notes.append(
                "All files have nearly the same time, later than the deadline: that of the "
                "download or of unpacking it. So nobody is marked as late."
            )
            files = [replace(file, timed=False) for file in files]
        entries = choose(course, files, until, reader.readable)
    if roster:
        write_bytes(course / ROSTER, Path(roster).read_bytes())
    _write(course, entries)
    _write_people(course, people, known)
    return CollectResult(entries, chosen, notes + more)


def _roster(course: Path, given: Path | None) -> Roster | None:
    kept = course / ROSTER
    if given is None and not kept.is_file():
        return None
    return read_roster(given or kept)


def _files(
    found: list[ArchiveMember], lessons: list[str], pattern: str, notes: list[str]
) -> tuple[str, list[File]]:
    """The pattern that was chosen, and what was handed in: a notebook with two lessons twice."""
    looked = [_look(each, lessons) for each in track(found, "reading", "files")]
    handed_in = [_may_be_submission(each, looks) for each, looks in zip(found, looked)]
    groups = by_submission(found)
    paths = [each.owner for each in found]
    known = [people_at(path, groups) for path in paths]
    counted = [counts and not people for people, counts in zip(known, handed_in)]
    sure = [counts and not each.doubtful for each, counts in zip(found, counted)]
    counted = sure if any(sure) else counted
    if groups and not any(counted):
        chosen, names = "gradescope", [None] * len(paths)
    else:
        by, names, more = whose.read_names(paths, counted, pattern, lessons)
        chosen = by.name
        notes += more
    stamps = _sakai_times(found) if chosen == "sakai" else {}
    files = []
    for each, people, name, looks in zip(found, known, names, looked):
        for named in people or [name]:
            for lesson, share, reason in looks:
                if lesson is None:
                    lesson = _lesson_in(named.assignment if named else None, each.where, lessons)
                file = File(each, named, lesson, share, reason, each.changed)
                if named and named.time is not None and chosen in TELL_TIME:
                    file.time = named.time
                elif chosen in TIMELESS:
                    stamp = stamps.get(each.owner.partition("/Submission attachment")[0])
                    file.time, file.timed = stamp or each.changed, stamp is not None
                if chosen == "teams" and whose.DRAFTS.search(each.owner):
                    file.draft = "It is a working file in Teams, and was not handed in."
                files.append(file)
    return chosen, files


def _are_of_the_download(files: list[File], deadline: float) -> bool:
    """Three students or more, all late, and all within an hour: those are not the times when they
    handed in."""
    times = [file.time for file in files if file.reason is None and file.student and file.timed]
    people = {file.student for file in files if file.reason is None and file.student}
    return len(people) > 2 and min(times, default=0) > deadline and max(times) - min(times) < 3600


def _sakai_times(found: list[ArchiveMember]) -> dict[str, float]:
    """{a student's folder: the time in its timestamp.txt, 20260301143021123}"""
    times = {}
    for each in found:
        folder, _, name = each.owner.rpartition("/")
        if name == "timestamp.txt" and each.file is not None and each.file.stat().st_size < 100:
            digits = re.match(rb"\s*(\d{14})", each.file.read_bytes())
            if digits:
                with contextlib.suppress(ValueError, OverflowError):
                    when = datetime.strptime(digits[1].decode(), "%Y%m%d%H%M%S")
                    times[folder] = when.timestamp()
    return times


def _may_be_submission(each: ArchiveMember, looks: list[tuple]) -> bool:
    """Whether the file decides how names are read: it holds a lesson, or is called a notebook."""
    return any(lesson is not None and reason is None for lesson, _, reason in looks) or bool(
        NOTEBOOK.search(each.where)
    )


def _look(found: ArchiveMember, lessons: list[str]) -> list[tuple[str | None, float, str | None]]:
    """Which lessons the file holds by its content, as (lesson, share, reason); the lesson is None
    where the content says nothing."""
    if found.file is None:
        return [(None, 0.0, found.reason)]
    by_name = _lesson_in(None, found.where, lessons)
    shares = found.shares
    best = max(shares, key=lambda name: (shares[name], name == by_name), default=None)
    if not best or shares[best] < LEAST:
        reason = found.unread or "It holds hardly any cell of a lesson of this course."
        return [(None, 0.0, reason)]
    if best not in lessons:
        return [(None, 0.0, f"{best} has no exercises, so there is nothing to grade.")]
    both = [name for name in found.also if name != best and name in lessons]
    return [(name, shares[name], None) for name in (best, *both)]


def _lesson_in(told: str | None, where: str, lessons: list[str]) -> str | None:
    """The lesson that a path names: by its whole name, or by its number at the start of a word.

    told: what a pattern's group says. The last part of the path is searched first. A course with
    one lesson leaves no choice.
    """
    for part in reversed((told or where).lower().split("/")):
        words = re.sub(r"[^a-z0-9]+", "_", part[-300:])
        for lesson in lessons:
            if lesson.lower() in words:
                return lesson
        for lesson in lessons:
            number = re.split(r"[^a-z0-9]", lesson.lower())[0]  # 06, 13
            if re.search(rf"(?:^|_){number}(?:_|$)", words):
                return lesson
    return lessons[0] if len(lessons) == 1 else None


def _write(course: Path, entries: list[dict]) -> None:
    """Write collected.json. What earlier runs found stays in it, unless it was collected again."""
    path = Path(course) / "collected.json"
    old = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    now = {(entry["original"], entry["assignment"]) for entry in entries}
    again = {
        (entry["student"], entry["assignment"])
        for entry in entries
        if entry["status"] == "collected"
    }
    kept = [entry for entry in old if (entry["original"], entry["assignment"]) not in now]
    for entry in kept:
        if entry["status"] == "collected" and (entry["student"], entry["assignment"]) in again:
            entry |= {
                "status": "listed",
                "reason": "Not used: it was collected again later, from another file.",
            }
    write_text(path, json.dumps(kept + entries, indent=1, ensure_ascii=False) + "\n")


def _write_people(course: Path, people: dict[str, Student], roster: Roster | None) -> None:
    """Write students.json, {id: what is known of the person}: names and numbers as they were
    written, for the tables of marks."""
    path = Path(course) / PEOPLE
    told = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    told |= {name: each.told() for name, each in people.items()}
    if roster:
        told |= {each.id: each.told() | {"roster": "yes"} for each in roster.students}
    write_text(path, json.dumps(told, indent=1, ensure_ascii=False) + "\n")
