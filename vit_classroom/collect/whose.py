"""Whose each file is: the part of its path that may say so, the name there, and the roster."""

import re
import unicodedata
from collections.abc import Sequence

from .formats import SYSTEMS, StudentName
from .roster import Roster, Student
from .student_names import Reader, best_reader, free_name, is_letter, reader, student_id

# Formats that no learner's own archive has by accident.
SURE = ("moodle", "canvas", "blackboard", "brightspace", "ilias", "teams")
MAY_COUNT = re.compile(r"\.(?:ipynb|py|zip)(?:\.txt)?\Z", re.IGNORECASE)
# What teachers and systems put beside submissions. Its own name is nobody's.
BESIDE = re.compile(r"\.(?:csv|tsv|xlsx?|ods|ya?ml|json|html?|log|ini|db)\Z", re.IGNORECASE)
DRAFTS = re.compile(r"(?:\A|/)(?:working files|arbeitsdateien)/", re.IGNORECASE)


def schools_archives(
    names: dict[str, list[str]], beside: Sequence[str], lessons: Sequence[str]
) -> dict[str, bool]:
    """Those of some archives that hold the submissions of several people, as {archive: whether that
    is sure}: a system's downloads, the one archive there is, or one with nobody's name.

    What a learner packed into an archive could be called after somebody else, so no other archive
    is looked into for names, and none is sure beside files that may be learners' own. names: {path
    of an archive: the names in it}. beside: the paths of the files that lie with them.
    """
    lessons = tuple(lessons)
    counted = {
        where: [name for name in inside if MAY_COUNT.search(name)]
        for where, inside in names.items()
    }
    outside = [where for where in beside if MAY_COUNT.search(where)]
    open_to = [where for where in names if not _says_whose(where)]
    found = {
        where: not outside for where in open_to if free_name(where.split("/")[-1], lessons) is None
    }
    if len(open_to) == len(names) and all(
        paths and any(all(SYSTEMS[name].read(path) for path in paths) for name in SURE)
        for paths in counted.values()
    ):
        found |= dict.fromkeys(names, not outside)
    elif len(names) == 1 and not outside and open_to:
        paths = counted[open_to[0]]
        by, _ = best_reader(paths, lessons)
        if len({name.student for path in paths if (name := by.read(path))}) > 1:
            found[open_to[0]] = True
    return found


def _says_whose(archive: str) -> bool:
    return any(SYSTEMS[name].read(archive) for name in SURE)


def read_names(
    paths: Sequence[str], handed_in: Sequence[bool], pattern: str, lessons: Sequence[str]
) -> tuple[Reader, list[StudentName | None], list[str]]:
    """The reader that was chosen, each path's name, and notes.

    Raises ValueError when a pattern that was asked for fits nothing that was handed in, or when no
    name can be read from any path.
    """
    submissions = [path for path, counts in zip(paths, handed_in) if counts]
    notes = []
    if pattern == "auto":
        chosen, count = best_reader(submissions, lessons)
        notes.append(
            f"Names are read with the pattern {chosen.name!r}: "
            f"it fits {count} of {len(submissions)} files."
        )
        if chosen.raw:
            notes.append(
                "The folders are called like 'Group 3', so these are the students' names here."
            )
        rest = [path for path in submissions if chosen.read(path) is None]
        others = [best_reader(rest, lessons)[0]] if rest else []
        others += [reader(name, lessons) for name in (*SURE, "files")]
    else:
        chosen, others = reader(pattern, lessons), []
        count = sum(chosen.read(path) is not None for path in submissions)
    if submissions and not count:
        raise ValueError(
            f"no student's name can be read from any of {len(submissions)} paths, such as "
            f"{submissions[0]!r}{'' if pattern == 'auto' else f', with the pattern {pattern!r}'}: "
            "give --pattern with a regular expression, or put each student's files into a folder "
            "with the student's name"
        )
    names = []
    for path, counts in zip(paths, handed_in):
        beside = not counts and BESIDE.search(path)
        readers = [each for each in (chosen, *others) if not (beside and each.name == "files")]
        names.append(next((name for each in readers if (name := each.read(path))), None))
    return chosen, names, notes


def settle(
    names: Sequence[StudentName | None], lessons: Sequence[str | None], roster: Roster | None
) -> tuple[list[str], dict[str, Student], list[str]]:
    """Each file's student id ("" without a name), the people by id, and notes for the teacher.

    lessons: of each file, which tells two people of one name from one who handed in twice.
    """
    ids = [""] * len(names)
    people: dict[str, Student] = {}
    notes: list[str] = []
    left = list(range(len(names)))
    if roster:
        strangers: dict[str, list[Student]] = {}
        for i, named in enumerate(names):
            found = roster.find(named) if named else []
            if len(found) == 1:
                ids[i], people[found[0].id] = found[0].id, found[0]
            elif named:
                strangers.setdefault(named.student, found)
        left = [i for i in left if not ids[i]]
        for name, several in sorted(strangers.items()):
            if several:
                who = ", ".join(each.id for each in several)
                notes.append(f"{name!r} may be any of {who} in the roster. Whose is it?")
            else:
                notes.append(f"{name!r} is not in the roster.")
    taken = {each.id for each in roster.students} if roster else set()
    _without_roster(names, lessons, left, taken, ids, people, notes)
    return ids, people, notes


def _without_roster(names, lessons, left, taken, ids, people, notes) -> None:
    """Give the files numbered in `left` an id after the name; tell where names fall together."""
    numbers: dict[tuple, set] = {}
    spelled: dict[str, dict[str, str]] = {}  # id -> {spelling without separators: as written}
    for i in left:
        if names[i]:
            name = student_id(names[i].student)
            numbers.setdefault((name, lessons[i]), set()).add(_own(names[i]))
            forms = spelled.setdefault(name, {})
            forms.setdefault(_letters(names[i].student), names[i].student)
    several = {name for (name, _), found in numbers.items() if len(found - {None}) > 1}
    for name in sorted(several):
        notes.append(
            f"There seem to be several students called {name!r}: "
            "the number or account in the file's name was added to each."
        )
    for name, forms in sorted(spelled.items()):
        if len(forms) > 1:
            written = ", ".join(repr(form) for form in forms.values())
            notes.append(
                f"{written} would all be {name!r}: a number was added to tell them apart. "
                "Are they different people? A roster (--roster FILE) settles it."
            )
    for i in left:
        named = names[i]
        if not named:
            continue
        name = student_id(named.student)
        at = list(spelled[name]).index(_letters(named.student))
        own = _own(named)
        ids[i] = f"{name}_{at + 1}" if at else name
        if name in several and own:
            ids[i] += f"_{student_id(own)}"
        if ids[i] in taken:
            ids[i] += "_not_in_roster"
        known = {key: getattr(named, key) or "" for key in ("number", "account", "email")}
        people.setdefault(ids[i], Student(ids[i], named.student, **known))


def _own(named: StudentName) -> str | None:
    """What tells this person from another of the same name."""
    return named.number or named.account or named.whole


def _letters(name: str) -> str:
    """A name without separators; a name without letters, such as an emoji, is itself."""
    name = unicodedata.normalize("NFC", name.casefold())
    return "".join(char for char in name if is_letter(char)) or name
