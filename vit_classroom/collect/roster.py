"""The list of a class: a CSV file of names, numbers and addresses, as any school system writes it.

It settles who is who: two spellings of one person are one, and two people of one name are two.
"""

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .formats import StudentName
from .student_names import student_id, words_of

MOST_BYTES, MOST_ROWS = 5_000_000, 20_000
# The columns by their headers, without spaces, accents and capitals.
HEADERS = {
    "first": "firstname first forename givenname vorname prenom nombre nome voornaam fornamn",
    "last": "lastname last surname familyname nachname familienname nom apellidos apellido cognome "
    "achternaam efternamn",
    "name": "name fullname student studentname displayname namevorname nameofstudent learner",
    "number": "idnumber studentid studentnumber studentno number sisuserid sid matriculationnumber "
    "matrikelnummer matrikel matrnr martikelnr numerodetudiant numero matricola orgdefinedid "
    "personnumber",
    "account": "username login loginid sisloginid user account benutzername kennung eid netid "
    "githubusername utilisateur usuario",
    "email": "email emailaddress mail emailadresse emailaddresses correo correoelectronico "
    "courriel adressemail",
    "section": "section group groups gruppe class klasse tutorial",
}
COLUMN = {word: key for key, words in HEADERS.items() for word in words.split()}


@dataclass(frozen=True)
class Student:
    """One person of the class. id: the folder's name and nbgrader's id. canvas: Canvas's own number
    of the person."""

    id: str
    name: str
    first: str = ""
    last: str = ""
    number: str = ""
    account: str = ""
    email: str = ""
    canvas: str = ""
    section: str = ""

    def told(self) -> dict[str, str]:
        """What is known of the person, for students.json."""
        return {key: value for key, value in asdict(self).items() if value and key != "id"}


@dataclass
class Roster:
    """The people of a class, found by name, number, login or address."""

    students: list[Student]
    _exact: dict[str, set[int]] = field(default_factory=dict)
    _names: dict[object, set[int]] = field(default_factory=dict)

    def __post_init__(self):
        for i, each in enumerate(self.students):
            local = each.email.partition("@")[0]
            for key in (each.number, each.account, each.email, local, each.canvas):
                if key:
                    self._exact.setdefault(_key(key), set()).add(i)
            for spelling in _spellings(each):
                self._names.setdefault(spelling, set()).add(i)

    def find(self, named: StudentName) -> list[Student]:
        """Those whom a path's name may mean: one if it is settled, none if nobody fits."""
        inside = re.findall(r"\d{4,}|[^\s,;()]+@[^\s,;()]+", named.student)
        parts = (named.whole or "").split("_")
        accounts = [["_".join(parts[at:])] for at in range(len(parts))]  # the longest first
        for keys in ([named.account, named.email], *accounts, [named.student, *inside]):
            found = self._by(self._exact, (_key(key) for key in keys if key))
            if len(found) == 1:
                return found
        found = self._by(self._names, _spellings(Student("", named.student)))
        found = found or self._near(frozenset(words_of(named.student)))
        if len(found) != 1 and named.number:
            # Last, because most systems' numbers are not those of the school.
            by_number = self._by(self._exact, [_key(named.number)])
            return [each for each in by_number if not found or each in found] or found
        return found

    def _by(self, index: dict, keys: Iterable) -> list[Student]:
        found = sorted({i for key in keys for i in index.get(key, ())})
        return [self.students[i] for i in found]

    def _near(self, words: frozenset[str]) -> list[Student]:
        """People with a middle name more or less: two names at least are the same."""
        found = []
        for each in self.students:
            theirs = frozenset(words_of(each.name))
            if len(words & theirs) > 1 and (words < theirs or theirs < words):
                found.append(each)
        return found


def read_roster(path: Path) -> Roster:
    """The class in a CSV file: separated by , ; or tab, in UTF-8, UTF-16 or Windows text.

    The first row names the columns; names, numbers, logins and mail addresses are recognised, and
    others are passed over. Raises ValueError with the row's number when the file cannot be the list
    of a class, OSError when it cannot be read.
    """
    data = Path(path).read_bytes()
    if len(data) > MOST_BYTES:
        raise ValueError(f"{path} has {len(data) / 1e6:.0f} MB: a roster has 5 MB at most")
    rows = _rows(_decoded(data))
    heads = [_letters(cell) for cell in (rows[0] if rows else [])]
    columns: dict[str, int] = {}
    for at, head in enumerate(heads):
        if head in COLUMN:
            columns.setdefault(COLUMN[head], at)
    if "id" in heads:  # Canvas's own number beside the school's; nbgrader's student id without one
        columns.setdefault("canvas" if "sisuserid" in heads else "account", heads.index("id"))
    if not {"name", "last", "number", "account", "email"} & set(columns):
        there = ", ".join(repr(cell) for cell in (rows[0] if rows else [])[:8]) or "nothing"
        raise ValueError(
            f"{path}: no column of names, numbers or addresses. Its first row has {there}; write "
            "such as: First name, Last name, ID number, Email address"
        )
    if len(rows) > MOST_ROWS:
        raise ValueError(f"{path} has {len(rows):,} rows: at most {MOST_ROWS:,} are read")
    found: list[Student] = []
    seen: dict[tuple[str, str], int] = {}
    for number, row in enumerate(rows[1:], start=2):
        cells = {key: " ".join(row[at].split()) for key, at in columns.items() if at < len(row)}
        name = cells.get("name") or " ".join(filter(None, [cells.get("first"), cells.get("last")]))
        # Canvas puts a row of points below the header, and a made-up student at the end.
        if not any(cells.values()) or _letters(name) in ("pointspossible", "studenttest"):
            continue
        for key in ("number", "account", "email"):
            value = _key(cells.get(key, ""))
            if value and seen.setdefault((key, value), number) != number:
                raise ValueError(
                    f"{path}: rows {seen[key, value]} and {number} have the same {key}, "
                    f"{cells[key]!r}: two people cannot be told apart"
                )
        spelled = cells.get("account") or cells.get("number") or cells.get("email", "")
        own = student_id(spelled.partition("@")[0] or name)
        same = sum(re.sub(r"_\d+\Z", "", each.id) == own for each in found)
        cells["name"] = name or spelled
        found.append(Student(f"{own}_{same + 1}" if same else own, **cells))
    if not found:
        raise ValueError(f"{path}: there is nobody below the first row")
    return Roster(found)


def _decoded(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _rows(text: str) -> list[list[str]]:
    """The rows of a table; Excel's "sep=;" above it is obeyed."""
    text = text.replace("\x00", "")
    told = re.match(r"sep=(.)\r?\n", text)
    if told:
        text = text[told.end() :]
    first = text.partition("\n")[0]
    separator = told[1] if told else max(",;\t", key=first.count)
    return [
        row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if any(row)
    ]


def _spellings(student: Student) -> set[object]:
    """The keys under which a name is found: its words in any order, and run together."""
    words = words_of(student.name)
    forms = {frozenset(words), "".join(words), "".join(words[1:] + words[:1])}
    forms |= {"".join(words[-1:] + words[:-1])}
    if student.first or student.last:
        first, last = words_of(student.first), words_of(student.last)
        forms |= {"".join(last + first), "".join(first + last), frozenset(first + last)}
    return {form for form in forms if form}


def _letters(text: str) -> str:
    return "".join(words_of(text))


def _key(text: str) -> str:
    """A number, login or address as it is compared: without capitals and leading zeros."""
    text = text.strip().casefold()
    return text.lstrip("0") if text.isdigit() else text
