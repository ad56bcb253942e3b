"""Read the student's name from the names of files and folders, and spell it for any file system."""

import re
import unicodedata
from dataclasses import dataclass

BUILT_IN = ("moodle", "canvas", "folders", "files")
# (1), -2, _copy, _v3, .ipynb
END = r"(?:[ _-]*\(\d+\)|[ _-]+copy(?:[ _-]*\d+)?|-\d+|[ _-]+v\d+)*(?:\.\w{1,6})*"
COPY = r"(?:(?:copy[ _]of|kopie[ _]von|copie[ _]de|copia[ _]de)[ _])*"
# Nobody's name: what is left of "01_patches (copy)" or "Untitled3".
NOBODY = (
    r"(?!(?:copy|kopie|copie|copia|of|von|de|final|version|new|neu|v?\d{1,2}|untitled|notebook"
    r"|[ _()-])+(?:\.\w{1,6})*(?:\Z|/))"
)


@dataclass(frozen=True)
class StudentName:
    """What a path says about its file.

    student: the name as it is written there. number: tells two people of one name apart.
    assignment: the lesson.
    """

    student: str
    number: str | None = None
    assignment: str | None = None


def built_in_patterns(lessons: list[str]) -> dict[str, str]:
    """The built-in regular expressions for a course with these lessons, {name: expression}.

    They are tried on a path with "/" between its parts.
    """
    forms = sorted(
        (
            r"[ _-]*".join(re.escape(word) for word in re.split(r"[ _-]+", lesson))
            for lesson in lessons
        ),
        key=len,
        reverse=True,
    )
    lesson = f"(?:{'|'.join(forms) or '(?!)'})"
    name = rf"(?!{lesson}{END}\Z){NOBODY}"
    return {
        # "Download all submissions": Doe, Jane_12345_assignsubmission_file_/01_patches.ipynb
        "moodle": r"\A(?:.*/)?(?P<student>[^/]+?)_(?P<number>\d+)_assignsubmission_[^/]*(?:/.*)?\Z",
        # doejane_12345_678901_01_patches-2.ipynb; doejane_LATE_12345_678901_01_patches.ipynb
        "canvas": r"\A(?:.*/)?(?P<student>[^/_]+)_(?:late_)?(?P<number>\d{2,})_\d{2,}_[^/]*\Z",
        # A folder, or an archive, for each student: jane doe/Copy of 01_patches.ipynb,
        # 01_patches/jane doe/any.ipynb
        "folders": rf"\A(?:{lesson}(?:\.zip)?/)?{name}(?P<student>[^/]+?)(?:\.zip)?/.*\Z",
        # All in one folder: jane_doe-01_patches.ipynb, 01_patches_jane_doe.ipynb, jane_doe.ipynb
        "files": rf"\A(?:.*/)?{COPY}(?:{lesson}[ _-]+{NOBODY}(?P<before>[^/]+?){END}|"
        rf"{name}(?P<student>[^/]+?)(?:[ _-]+{lesson})?{END})\Z",
    }


def compile_pattern(pattern: str, lessons: list[str]) -> re.Pattern:
    """A built-in pattern by its name, or a regular expression with a group named student.

    Raises ValueError when it is neither.
    """
    try:
        found = re.compile(built_in_patterns(lessons).get(pattern, pattern), re.IGNORECASE)
    except re.error as error:
        raise ValueError(f"the pattern {pattern!r} is no regular expression: {error}") from None
    if "student" not in found.groupindex:
        raise ValueError(
            f"the pattern {pattern!r} has no group (?P<student>...): add one, or use a built-in "
            f"pattern: auto, {', '.join(BUILT_IN)}"
        )
    return found


def read_name(pattern: re.Pattern, where: str) -> StudentName | None:
    """What the pattern finds in the path `where`, or None."""
    match = pattern.search(where)
    if not match:
        return None
    groups = match.groupdict()
    name = " ".join((groups["student"] or groups.get("before") or "").split()).strip(" _-.,")
    return StudentName(name, groups.get("number"), groups.get("assignment")) if name else None


def best_pattern(wheres: list[str], lessons: list[str]) -> tuple[str, int]:
    """The built-in pattern that fits these paths best: (its name, how many it fits).

    moodle and canvas are so particular that half of the paths is enough. Next come files named
    after student and lesson, then folders, if there is more than one, and at last files.
    """
    found = {}
    for name in BUILT_IN:
        pattern = compile_pattern(name, lessons)
        found[name] = [
            (where, each.student) for where in wheres if (each := read_name(pattern, where))
        ]
    enough = max(1, len(wheres) / 2)
    for name in ("moodle", "canvas"):
        if len(found[name]) >= enough:
            return name, len(found[name])
    by_both = [
        student
        for where, student in found["files"]
        if any(student_id(lesson) in student_id(where.split("/")[-1]) for lesson in lessons)
    ]
    folders = {student for _, student in found["folders"]}
    called = len(by_both) >= enough and len(set(by_both)) >= len(folders)
    chosen = (
        "folders"
        if len(folders) > 1 and len(found["folders"]) >= enough and not called
        else "files"
    )
    return chosen, len(found[chosen])


def wrapper_depth(wheres: list[str]) -> int:
    """How many leading parts all paths share: folders or archives around everything name nobody."""
    split, depth = [where.split("/") for where in wheres], 0
    while (
        len(split) > 1
        and len({parts[depth] for parts in split}) == 1
        and all(len(parts) > depth + 2 for parts in split)
    ):
        depth += 1
    return depth


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
    text = "".join(char if char.isalnum() or char in "-_." else "_" for char in text)
    text = re.sub(r"_{2,}", "_", text).strip("._-")[:60].rstrip("._-") or "student"
    return f"{text}_" if re.fullmatch(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", text) else text
