"""What a learner handed in, as cells: whatever the file's encoding, notebook version or damage. Nothing is executed.

Only text is taken over: kind, source, cell id, grade_id. Outputs, attachments and other metadata are not looked at.
"""

import json
import re
from dataclasses import dataclass, field

MAX_BYTES = 30_000_000
MAX_CELLS = 2_000
MAX_SOURCE = 100_000  # characters in one cell; a lesson has under 3,000
MAX_FAILURES = 100  # places in a damaged file where a cell seems to begin and does not end: a bound on the time

# What else people hand in, by its first bytes.
OTHER = {
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a zip archive or an office document",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"\xd0\xcf\x11\xe0": "an office document",
    b"{\\rtf": "a text document (RTF)",
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"\x1f\x8b": "a gzip archive",
}
SCRIPT_MARK = re.compile(r"^# (?:%%(?P<percent>.*)|In\[[ \d*]*\]:[ \t]*)$", re.MULTILINE)
PYTHON_LINE = re.compile(
    r"^(def |class |import |from \w+ import|@\w+|\w+ = |# %%|# In\[)", re.MULTILINE
)


@dataclass
class Piece:
    """One cell as handed in. kind: "code", "markdown" or "raw". grade_id and id may be missing, copied or forged."""

    kind: str
    source: str
    id: str | None = None
    grade_id: str | None = None


@dataclass(frozen=True)
class Reading:
    """pieces: the cells in order. notes: what had to be mended, as sentences. reason: why there are no cells, or None."""

    pieces: list[Piece] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    reason: str | None = None


def read(data: bytes) -> Reading:
    """The cells of a submission. Never raises on any bytes."""
    if len(data) > MAX_BYTES:
        return Reading(
            reason=f"The file has {len(data) / 1e6:,.0f} MB; at most {MAX_BYTES / 1e6:.0f} MB are read."
        )
    if not data.strip(b" \t\r\n\x00\xef\xbb\xbf\xfe\xff"):
        return Reading(reason="The file is empty.")
    for start, kind in OTHER.items():
        if data.startswith(start):
            return Reading(reason=f"The file is {kind}, not a notebook.")
    text, notes = _decode(data)
    if text is None:
        return Reading(reason="The file is neither a notebook nor text.")
    pieces, more, reason = _cells(text)
    if reason:
        return Reading(reason=reason)
    if len(pieces) > MAX_CELLS:
        return Reading(
            reason=f"The notebook has {len(pieces):,} cells; at most {MAX_CELLS:,} are read."
        )
    return Reading(pieces, notes + more + _shorten(pieces))


def _decode(data: bytes) -> tuple[str | None, list[str]]:
    """The text, and a note when it was not plain UTF-8."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _clean(data.decode("utf-16", "replace")), [
            "The file was saved as UTF-16. It was read all the same."
        ]
    for encoding, zeros in (("utf-16-le", data[1:200:2]), ("utf-16-be", data[0:200:2])):
        if len(zeros) > 4 and zeros.count(0) > 0.8 * len(zeros):
            return _clean(data.decode(encoding, "replace")), [
                "The file was saved as UTF-16. It was read all the same."
            ]
    if data.startswith(b"\xef\xbb\xbf"):
        return _clean(data[3:].decode("utf-8", "replace")), [
            "The file began with a byte order mark. It was left out."
        ]
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        if data[:4096].count(0):
            return None, []
        whole = data.decode("utf-8", "replace")
        if whole.count("\ufffd") <= 3 and re.search(
            r"[^\x00-\x7f\ufffd]", whole
        ):  # a file cut inside a character, and not another encoding
            return _clean(whole), ["Some characters in the file were broken. They were replaced."]
        return _clean(data.decode("cp1252", "replace")), [
            "The file was not saved as UTF-8. It was read as Windows text."
        ]
    return _clean(text), []


def _cells(text: str) -> tuple[list[Piece], list[str], str | None]:
    """(pieces, notes, reason)"""
    start = text.lstrip()[:1]
    if start in ("{", "["):
        try:
            found = _from_json(json.loads(text))
            return (found, [], None) if found else ([], [], "The notebook has no cells.")
        except (ValueError, RecursionError):
            found = _recovered(text)
            if found:
                note = f"The file was broken off or damaged. {len(found)} complete cells could be read."
                return found, [note], None
            return [], [], "The file starts like a notebook, but not one complete cell can be read."
    if start == "<" and re.search(r"<(!doctype html|html|head|body)\b", text[:2000], re.IGNORECASE):
        return (
            [],
            [],
            "The file is a web page, not a notebook. In Colab, use File, Download, Download .ipynb.",
        )
    found = _recovered(text) if '"cell_type"' in text else []
    if found:
        return (
            found,
            [
                f"The beginning of the file is missing or damaged. {len(found)} complete cells could be read."
            ],
            None,
        )
    if PYTHON_LINE.search(text):
        return (
            _script(text),
            ["The file is a Python script, not a notebook. Its cells were put back in place."],
            None,
        )
    return [], [], "The file is neither a notebook nor a Python script."


def _from_json(data) -> list[Piece]:
    """The cells of nbformat 2 to 4, or of a bare list of cells."""
    if isinstance(data, dict) and isinstance(data.get("worksheets"), list):
        sheets = [sheet for sheet in data["worksheets"] if isinstance(sheet, dict)]
        cells = [cell for sheet in sheets for cell in _list(sheet.get("cells"))]
    else:
        cells = _list(data.get("cells")) if isinstance(data, dict) else data
    return [
        _piece(cell)
        for cell in cells
        if isinstance(cell, dict) and isinstance(cell.get("cell_type"), str)
    ]


def _piece(cell: dict) -> Piece:
    kind = cell["cell_type"]
    source = cell.get(
        "source", cell.get("input", "")
    )  # nbformat 3 calls the source of a code cell "input"
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    source = _clean(source) if isinstance(source, str) else ""
    if kind == "heading":  # nbformat 3
        level = cell.get("level")
        kind, source = (
            "markdown",
            "#" * (level if isinstance(level, int) and 0 < level < 7 else 1) + " " + source,
        )
    kind = kind if kind in ("code", "markdown") else "raw"
    metadata = cell.get("metadata") if isinstance(cell.get("metadata"), dict) else {}
    own = metadata.get("nbgrader") if isinstance(metadata.get("nbgrader"), dict) else {}
    names = [cell.get("id"), metadata.get("id")]  # Colab keeps an id of its own in the metadata
    name = next((name for name in names if isinstance(name, str)), None)
    grade_id = own.get("grade_id")
    return Piece(kind, source, name, grade_id if isinstance(grade_id, str) else None)


def _recovered(text: str) -> list[Piece]:
    """Every complete cell of a notebook whose JSON does not parse: cut off, or damaged in the middle."""
    decoder, found, at, failures = json.JSONDecoder(), [], 0, 0
    for match in re.finditer(
        r"\{\s{0,20}\"(?:cell_type|id|attachments|execution_count|metadata|source)\"", text
    ):
        if match.start() < at:
            continue  # inside the cell before
        if len(found) > MAX_CELLS or failures > MAX_FAILURES:
            break
        try:
            cell, end = decoder.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            failures += 1
            continue
        if isinstance(cell, dict) and isinstance(cell.get("cell_type"), str):
            found.append(_piece(cell))
            at = end
    return found


def _script(text: str) -> list[Piece]:
    """The cells of a Python export: jupytext's or VS Code's `# %%`, nbconvert's `# In[3]:`, or Colab's, which has no marks."""
    marks = list(SCRIPT_MARK.finditer(text))
    if not marks:
        return [Piece("code", text.strip("\n"))]
    pieces = [Piece("code", text[: marks[0].start()].strip("\n"))]
    for mark, following in zip(marks, [*marks[1:], None]):
        source = text[mark.end() : following.start() if following else len(text)].strip("\n")
        head = mark["percent"] or ""
        kind = "markdown" if re.match(r"\s*(\[markdown\]|\[md\])", head) else "code"
        own = re.search(r'"grade_id":\s*"([^"]+)"', head)
        if kind == "markdown":
            source = re.sub(r"^# ?", "", source, flags=re.MULTILINE)
        if mark["percent"] is None:
            source = _without_comments_below(source)
        pieces.append(Piece(kind, source.strip("\n"), None, own[1] if own else None))
    return [piece for piece in pieces if piece.source.strip()]


def _without_comments_below(source: str) -> str:
    """nbconvert writes text cells as comments, two blank lines below the code: the code alone."""
    lines = source.split("\n")
    end = len(lines)
    while end and (not lines[end - 1].strip() or lines[end - 1].startswith("#")):
        end -= 1
    for number in range(end, len(lines) - 2):
        if not lines[number].strip() and not lines[number + 1].strip():
            return "\n".join(lines[:number])
    return source


def _shorten(pieces: list[Piece]) -> list[str]:
    long = [piece for piece in pieces if len(piece.source) > MAX_SOURCE]
    for piece in long:
        piece.source = piece.source[:MAX_SOURCE]
    return (
        [f"{len(long)} cells were longer than {MAX_SOURCE:,} characters and were cut."]
        if long
        else []
    )


def _clean(text: str) -> str:
    """Text that can be written as UTF-8 and parsed: no half characters, no zero bytes, one kind of line end."""
    text = text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "")
    return text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")


def _list(value) -> list:
    return value if isinstance(value, list) else []
