"""Read the student's name from the names of files and folders, and spell it for any file system."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from .formats import LONGEST, SYSTEMS, TIME, StudentName, clean, moment, named

BUILT_IN = (*SYSTEMS, "folders", "files")
COPY = re.compile(r"(?:copy of|kopie von|copie de|copia de|copia di)[ _]+", re.IGNORECASE)
# (1), -2, _copy, " - Kopie", _v3
END = re.compile(
    r"(?:[ _]*\(\d{1,3}\)|[ _-]+(?:copy|kopie|copie|copia)(?:[ _-]?\d{1,2})?"
    r"|-\d{1,2}|[ _]v\d{1,2})\Z",
    re.IGNORECASE,
)
EXTENSION = re.compile(
    r"\.(?:ipynb|py|txt|md|json|html?|zip|pdf|docx?|gz|csv|ya?ml|rar|7z|tar|xz|bz2|zst|tgz|rtf|odt"
    r"|pages|jpe?g|png|heic)\Z",
    re.IGNORECASE,
)
NUMBERED = re.compile(
    r"(?:group|gruppe|team|student|participant|teilnehmer|submission)[ _-]*\d", re.IGNORECASE
)
STAMP = re.compile(rf"(?<!\d){TIME}(?!\d)")
# Words that are nobody's name, with or without a number: "Untitled3", "hw1", "(final)".
NOBODYS = frozenset(
    """copy kopie copie copia final finished last version new neu old untitled notebook notebooks
    ipynb jupyter colab kaggle work student students submission submissions submitted submit
    abgabe abgaben abgegeben handin homework hw hausaufgabe assignment assignments exercise
    exercises exercice ubung uebung blatt problem ps pset task lab labs lesson lessons lecture week
    woche tutorial tutorials group groups gruppe team section class klasse course kurs export
    download downloads upload uploads file files folder archive release source solution solutions
    solved answer answers answered graded attempt versuch try feedback autograded inbound""".split()
)
# Words that are nobody's beside one of those: "Copy of", "Group A". Alone they may be a name.
BESIDE = frozenset("the of my all bulk in v first second".split())
# Those that are cut off from the ends of a name, because hardly anybody is called so. Work, Lab,
# Week and New are surnames, and without them two people would become one.
CUT_OFF = frozenset(
    """copy kopie final finished untitled notebook ipynb colab submission submissions submitted
    abgabe abgegeben homework hw hausaufgabe assignment exercise solution solutions solved answers
    graded""".split()
)


@dataclass(frozen=True)
class Reader:
    """How the paths of one download are read. name: the format's. depth: for `folders`, which part
    of the path is the student's. prefix: what every student's folder begins with. raw: the folders
    are called "Group 3" or "Student 7", and there is no better name."""

    name: str
    lessons: tuple[str, ...]
    depth: int = 0
    prefix: str = ""
    raw: bool = False
    own: re.Pattern | None = None

    def read(self, where: str) -> StudentName | None:
        """What the path says about its file, or None. The path is in Unicode's composed form."""
        where = unicodedata.normalize("NFC", where)
        if self.own:
            match = self.own.search(where[: 10 * LONGEST])
            return named(match.groupdict()) if match else None
        if self.name in SYSTEMS:
            found = SYSTEMS[self.name].read(where)
            # Only in these two formats did a person write the name.
            by_hand = self.name in ("google", "nbgrader")
            return None if found and by_hand and is_nobody(found.student) else found
        if self.name == "files":
            return free_name(where.split("/")[-1], self.lessons)
        folders = folders_of(where)
        if len(folders) <= self.depth:
            return None
        name = folders[self.depth].removeprefix(self.prefix)
        if self.raw:
            return StudentName(clean(EXTENSION.sub("", name)[:LONGEST]))
        return free_name(name, self.lessons)


def reader(pattern: str, lessons: Sequence[str]) -> Reader:
    """For a built-in format by its name, or a regular expression with a group named student.

    Raises ValueError when it is neither.
    """
    if pattern in BUILT_IN:
        return Reader(pattern, tuple(lessons))
    try:
        own = re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        raise ValueError(f"the pattern {pattern!r} is no regular expression: {error}") from None
    if "student" not in own.groupindex:
        raise ValueError(
            f"the pattern {pattern!r} has no group (?P<student>...): add one, or use a built-in "
            f"pattern: auto, {', '.join(BUILT_IN)}"
        )
    return Reader(pattern, tuple(lessons), own=own)


def best_reader(wheres: Sequence[str], lessons: Sequence[str]) -> tuple[Reader, int]:
    """The reader that fits these paths best, and how many of them it fits.

    wheres: the paths of what was handed in, and of nothing else: a stray grades.csv must not decide
    who is who. The systems' formats are so particular that half of the paths is enough.
    """
    lessons = tuple(lessons)
    enough = max(1, len(wheres) / 2)
    fits = {
        name: sum(Reader(name, lessons).read(where) is not None for where in wheres)
        for name in SYSTEMS
    }
    best = max(fits, key=fits.get)
    if fits[best] >= enough:
        return Reader(best, lessons), fits[best]
    folders = _folders(wheres, lessons)
    files = Reader("files", lessons)
    by_folder = [found for where in wheres if (found := folders.read(where))]
    by_file = [found for where in wheres if (found := files.read(where))]
    both = [
        found.student
        for where in wheres
        if (found := files.read(where)) and _lesson_pattern(lessons).search(where.split("/")[-1])
    ]
    in_folders = {found.student for found in by_folder}
    called = len(both) >= enough and len(set(both)) >= len(in_folders)
    several = len(in_folders) > 1 or len(in_folders) >= len({each.student for each in by_file})
    if len(by_folder) >= enough and several and not called and not (folders.raw and by_file):
        return folders, len(by_folder)
    return files, len(by_file)


def _folders(wheres: Sequence[str], lessons: tuple[str, ...]) -> Reader:
    """Folders with the students' names: the outermost ones that are not groups of students.

    Folders of lessons ("01_patches/jane doe/any.ipynb"), those with nobody's name, and one folder
    around everything are passed over.
    """
    split = [folders_of(where) for where in wheres]
    deepest = max((len(folders) for folders in split), default=0)
    levels = [[each[depth] for each in split if len(each) > depth] for depth in range(deepest)]
    named = [[part for part in level if free_name(part, lessons)] for level in levels]
    found = None
    for depth, people in enumerate(named):
        if len(people) < max(1, len(split) / 2):
            continue
        found = depth
        deeper = [*named[depth + 1 :], *(_numbered(level) for level in levels[depth + 1 :])]
        if len(set(people)) == 1 and any(len(set(level)) > 1 for level in deeper):
            found = None
            continue  # one folder around everything
        here = [folders for folders in split if len(folders) > depth]
        if not _are_groups(here, depth, lessons):
            break
    if found is not None:
        return Reader("folders", lessons, found, _shared_prefix(levels[found]))
    numbered = [n for n, level in enumerate(levels) if len(_numbered(level)) > 1]
    return Reader("folders", lessons, numbered[0] if numbered else 0, raw=bool(numbered))


def _numbered(level: list[str]) -> set[str]:
    """Those of the folders that are called like "Group 3"."""
    return {part for part in level if NUMBERED.match(part)}


def folders_of(where: str) -> list[str]:
    """The folders of a path, from the outside to the inside; an archive is one, too."""
    parts = where.split("/")
    return parts if parts[-1].lower().endswith(".zip") else parts[:-1]


def _are_groups(split: list[list[str]], depth: int, lessons: tuple[str, ...]) -> bool:
    """Whether the folders at this depth hold students rather than one student's files: nothing lies
    in them directly, and half of them, or the only one, hold several folders with people's names.
    """
    below: dict[str, set[str]] = {}
    for folders in split:
        inner = folders[depth + 1] if len(folders) > depth + 1 else None
        if inner is None:
            return False
        if free_name(inner, lessons):
            below.setdefault(folders[depth], set()).add(inner)
    groups = {folders[depth] for folders in split}
    return sum(len(people) > 1 for people in below.values()) >= max(1, len(groups) / 2)


def _shared_prefix(names: Iterable[str]) -> str:
    """What three or more folders all begin with, to a hyphen: GitHub Classroom calls a student's
    repository ASSIGNMENT-USERNAME (GitHub's glossary of GitHub Classroom)."""
    names = sorted(set(names))
    if len(names) < 3:
        return ""
    first, last = names[0], names[-1]
    same = next((n for n, pair in enumerate(zip(first, last)) if len(set(pair)) > 1), len(first))
    prefix = first[: first.rfind("-", 0, same) + 1]
    return prefix if all(len(name) > len(prefix) for name in names) else ""


def free_name(part: str, lessons: tuple[str, ...]) -> StudentName | None:
    """A name that people gave to a file or folder: what is left without the lesson, marks of
    copies, times and words that are nobody's. None when nothing is left."""
    text = unicodedata.normalize("NFC", part)[:LONGEST]
    while match := EXTENSION.search(text):
        text = text[: match.start()]
    while match := COPY.match(text):
        text = text[match.end() :]
    stamp = STAMP.search(text)
    if stamp:
        text = f"{text[: stamp.start()]} {text[stamp.end() :]}"
    lesson = _lesson_pattern(lessons).search(text)
    sides = [text[: lesson.start()], text[lesson.end() :]] if lesson else [text]
    kept = [
        side for side in (_without_marks(side) for side in sides) if side and not is_nobody(side)
    ]
    if not kept:
        return None
    name = _without_nobodys(" ".join(kept))
    return StudentName(name, time=moment(stamp[0]) if stamp else None)


def is_nobody(text: str) -> bool:
    """No word is a person's: "Untitled3", "Copy of", "Group A", "12"."""
    words = words_of(text)
    return not words or (
        any(_is_nobodys(word) for word in words)
        and all(_is_nobodys(word) or word in BESIDE or _counts_groups(word) for word in words)
    )


def _counts_groups(word: str) -> bool:
    """It counts groups: "Group A". A Chinese name has one character, too."""
    return len(word) == 1 and word.isascii()


def _is_nobodys(word: str) -> bool:
    bare = word.rstrip("0123456789")
    return bare in NOBODYS or (not bare and len(word) <= 2)  # a long number is a student's


def _is_cut_off(word: str) -> bool:
    return word in CUT_OFF or (_is_nobodys(word) and word[-1].isdigit())


def words_of(text: str) -> list[str]:
    """The words of a name, lower case and without accents."""
    text = unicodedata.normalize("NFKD", text.casefold().replace("ß", "ss").replace("ø", "o"))
    text = "".join(char for char in text if not unicodedata.combining(char))
    return "".join(char if is_letter(char) else " " for char in text).split()


def is_letter(char: str) -> bool:
    """A letter or digit of any script, or a mark that is part of one: the vowels of Hindi, Thai
    and Tamil are marks, and two names may differ in nothing else."""
    return char.isalnum() or unicodedata.category(char)[0] == "M"


def _without_marks(text: str) -> str:
    """Without (1), -2, " - Copy" and _v3 at the end, and separators around it."""
    text = clean(text)
    while match := END.search(text):
        text = clean(text[: match.start()])
    return text


def _without_nobodys(text: str) -> str:
    """Without CUT_OFF and nobody's words with a number at the beginning and the end:
    "hw1_jane_doe_final" -> "jane_doe"."""
    pieces = re.split(r"([\s_.,-]+)", text)
    for end, cut in ((0, slice(2, None)), (-1, slice(None, -2))):
        while len(pieces) > 1 and all(_is_cut_off(word) for word in words_of(pieces[end])):
            pieces = pieces[cut]
    return clean("".join(pieces)) or text


@lru_cache(maxsize=32)
def _lesson_pattern(lessons: tuple[str, ...]) -> re.Pattern:
    """The name of a lesson with any separators: 01_patches, "01 patches", 01-patches."""
    forms = sorted(
        (
            r"[ _-]{0,3}".join(re.escape(word) for word in re.split(r"[ _-]+", lesson))
            for lesson in lessons
        ),
        key=len,
        reverse=True,
    )
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(forms) or '(?!)'})(?![^\W_])", re.IGNORECASE)


def student_id(name: str) -> str:
    """A name as a folder's name and nbgrader's student id: lower case, letters and digits of any
    script, and - _ . between them."""
    text = unicodedata.normalize("NFKD", name)
    # Latin letters lose their accents.
    if all(ord(char) < 0x250 or unicodedata.combining(char) for char in text):
        text = "".join(
            char
            for char in text.translate({0xDF: "ss", 0xF8: "o", 0xD8: "o"})
            if not unicodedata.combining(char)
        )
    text = unicodedata.normalize("NFC", text).casefold()
    text = "".join(char if is_letter(char) or char in "-_." else "_" for char in text)
    text = re.sub(r"_{2,}", "_", text).strip("._-")[:60].rstrip("._-") or "student"
    return f"{text}_" if re.fullmatch(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", text) else text
