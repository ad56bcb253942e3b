"""How the systems that schools use name the files of a download: whose each is, and when it came.

Each format says where its names are documented. A pattern is tried on the parts of a path from the
outside to the inside, so nothing that a learner packed into an archive, or wrote behind the
system's part of the name, can speak for somebody else.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone

# Characters of one part of a path that are looked at. Systems write less; a zip file may hold more.
LONGEST = 300
TIME = (
    r"\d{4}-\d\d-\d\d(?:[-_ T]\d\d[-.:_h]?\d\d(?:[-.:_m]?\d\d(?:\.\d{1,9})?)?(?:[ _]?(?:UTC|Z))?)?"
)


@dataclass(frozen=True)
class StudentName:
    """What a path says about its file.

    student: the name as it is written there. number: the system's number of this person, which
    tells two people of one name apart. account: the login. email: the address. assignment: the
    lesson. time: when it was handed in, in seconds since 1970. late: the system calls it late.
    whole: the account with what stands before it, where nothing tells where it begins.
    """

    student: str
    number: str | None = None
    account: str | None = None
    email: str | None = None
    assignment: str | None = None
    time: float | None = None
    late: bool = False
    whole: str | None = None


@dataclass(frozen=True)
class Format:
    """A system's way of naming. pattern: tried on each part of a path, of which the first that fits
    counts. below: the pattern fits the part after the one that this fits, such as a folder of the
    system's own. folder: only a folder or an archive can be meant, never the file itself."""

    name: str
    pattern: re.Pattern
    below: re.Pattern | None = None
    folder: bool = False

    def read(self, where: str) -> StudentName | None:
        """What the path says, or None where it is not of this format."""
        parts = where.split("/")
        for at, part in enumerate(parts):
            if self.below and (at == 0 or not self.below.fullmatch(parts[at - 1][:LONGEST])):
                continue
            if self.folder and at == len(parts) - 1 and not part.lower().endswith(".zip"):
                continue
            text = re.sub(r"\.zip\Z", "", part, flags=re.IGNORECASE) if self.folder else part
            match = self.pattern.match(text[:LONGEST])
            if match:
                return named(match.groupdict())
        return None


def _format(name: str, pattern: str, **more) -> Format:
    return Format(name, re.compile(pattern, re.IGNORECASE), **more)


# The names that are particular enough to be recognised when half of the files have them.
SYSTEMS = {
    each.name: each
    for each in (
        # Moodle, "Download all submissions", mod/assign/locallib.php, download_submissions():
        # Jane Doe_12345_assignsubmission_file_/01_patches.ipynb, or without folders
        # Jane Doe_12345_assignsubmission_file_01_patches.ipynb; Participant_12345_... when blind.
        # The number is of the submission's participant, not the student number.
        _format(
            "moodle",
            r"(?P<student>[^/]+?)_(?P<number>\d+)_assignsubmission_(?:file|onlinetext)_",
        ),
        # Canvas, instructure/canvas-lms, lib/content_zipper.rb: the sortable name in lower case and
        # without separators, LATE, the user's id, the attachment's id, the file's own name:
        # doejane_LATE_123_456_01_patches-2.ipynb; anon_Ab1C2_456_x.ipynb when anonymous.
        _format(
            "canvas",
            r"(?:(?P<student>[^/]+?)_(?:(?P<late>late)_)?(?P<number>\d{2,})"
            r"|(?:(?P<late2>late)_)?(?P<student2>anon_\w{5}))_\d{2,}_",
        ),
        # Blackboard Learn, "Assignment File Download" (README of kwurst/bb-file-cleanup and of
        # vangef/BBGradebookOrganiser), and the example of nbgrader's zip_collect
        # (nbgrader/plugins/zipcollect.py): ASSIGNMENT_USERNAME_attempt_2016-01-30-15-00-00_x.ipynb
        # Both may hold "_", so a_smith and b_smith are told apart by the whole.
        _format(
            "blackboard",
            r"(?P<whole>(?:.*?_)?(?P<student>[^_/]+))_(?:attempt|versuch|intento|tentative)"
            rf"_(?P<time>{TIME})",
        ),
        # Brightspace (D2L), "Download" of a folder of assignments: a folder or a file
        # 12345-67890 - Jane Doe - Oct 5, 2023 230 PM - 01_patches.ipynb
        _format(
            "brightspace",
            r"(?P<number>\d{3,})-\d+ ?- (?:[A-Za-z]?\d{5,} ?- )?(?P<student>[^/]+?) ?- "
            r"(?P<time2>[^/]{3,12}? \d{1,2},? \d{4} \d{3,4} ?(?:[AP]M)?"
            r"|\d{1,2} [^/]{3,12}?,? \d{4} \d{3,4}(?: ?[AP]M)?)",
        ),
        # ILIAS, "Download all submissions" of an exercise (README of
        # Slandy95/eCampus-collective-team-feedback-upload):
        # EXERCISE/Abgaben/Team 7/Doe_Jane_jdoe_4711/01_patches.ipynb
        _format(
            "ilias",
            r"(?P<student>[^/_]+_[^/_]+)_(?P<account>[^/_]+)_(?P<number>\d{2,})\Z",
            folder=True,
        ),
        # Sakai, "Download all" of an assignment: Doe, Jane(jdoe)/Submission attachment(s)/x.ipynb
        # beside grades.csv and timestamp.txt; flat in newer versions:
        # Doe, Jane(jdoe)_Submission attachment(s)_x.ipynb
        _format(
            "sakai",
            r"(?P<student>[^/()]+)\((?P<account>[^/()]*[^\W\d][^/()]*|\d{4,})\)(?:\Z|_Submission )",
        ),
        # Microsoft Teams, the class's document library "Student Work" (Microsoft's admin
        # documentation of Assignments): Submitted files/Jane Doe/Patches/Version 2/x.ipynb
        _format(
            "teams",
            r"(?P<student>[^/]+)",
            below=re.compile(
                r"(?:submitted|working) files|(?:eingereichte|übermittelte|arbeits)[ -]?dateien",
                re.IGNORECASE,
            ),
            folder=True,
        ),
        # nbgrader's exchange, inbound/ (nbgrader/exchange, collect.py):
        # jdoe+01_patches+2024-03-01 11:00:00 UTC+4zk2/01_patches.ipynb; and what its users write:
        # jdoe_2024-03-01-11-00-00_01_patches.ipynb
        _format(
            "nbgrader",
            rf"(?P<student>[^/+]+)\+(?P<assignment>[^/+]+)\+(?P<time>{TIME})"
            rf"|(?P<student2>[^/_]+)_(?P<time3>{TIME})_",
        ),
        # Google Classroom: the class's folder in Drive holds "Jane Doe - 01_patches.ipynb"; Colab
        # and Drive put "Copy of" before it.
        _format(
            "google",
            r"(?:(?:copy of|kopie von|copie de|copia di|copia de) )*"
            r"(?P<student>[^/\d]+?) [-–] (?=[^/]*\.\w{1,6}\Z)",
        ),
    )
}


def named(groups: dict[str, str | None]) -> StudentName | None:
    """The groups of a pattern as a name, or None when they hold none."""

    def first(*keys: str) -> str | None:
        return next((groups[key] for key in keys if groups.get(key)), None)

    name = clean(first("student", "student2", "before") or "")
    if not name:
        return None
    when = first("time", "time2", "time3")
    return StudentName(
        name,
        first("number"),
        first("account"),
        first("email"),
        first("assignment"),
        moment(when) if when else None,
        bool(first("late", "late2")),
        first("whole"),
    )


def clean(name: str) -> str:
    """A name without the separators around it."""
    return " ".join(name.split()).strip(" _-.,+")


def moment(text: str) -> float | None:
    """Seconds since 1970 of a time as the systems write it, on this machine's clock, or None."""
    utc = re.search(r"(?:UTC|Z)\Z", text.strip())
    digits = re.findall(r"\d+", text)
    forms: list[Callable[[], datetime]] = [
        lambda: datetime(*(int(each) for each in digits[:6])),
        lambda: datetime.strptime(_spaced(text), "%b %d %Y %I%M %p"),
        lambda: datetime.strptime(_spaced(text), "%B %d %Y %I%M %p"),
        lambda: datetime.strptime(_spaced(text), "%d %B %Y %H%M"),
        lambda: datetime.strptime(_spaced(text), "%b %d %Y %H%M"),
    ]
    for form in forms:
        try:
            found = form()
        except (ValueError, TypeError, OverflowError):
            continue
        if 1990 < found.year < 2200:
            if utc:
                found = found.replace(tzinfo=timezone.utc)
            return found.timestamp()
    return None


def _spaced(text: str) -> str:
    """ "Oct 5, 2023 230 PM" -> "Oct 5 2023 0230 PM" """
    words = text.replace(",", " ").split()
    return " ".join(f"{word:0>4}" if re.fullmatch(r"\d{3}", word) else word for word in words)
