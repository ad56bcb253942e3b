"""Read the cells of what a learner handed in, whatever its encoding, format or damage.

Only text is kept: kind, source, cell id and grade_id of each cell. Outputs, attachments and other
metadata are ignored. Nothing is executed.
"""

import json
import re
from dataclasses import dataclass, field

MAX_BYTES = 30_000_000
MAX_CELLS = 2_000
MAX_SOURCE = 100_000  # characters in one cell; a lesson has under 3,000
# Places in a damaged file where a cell seems to begin and does not end: this bounds the time.
MAX_FAILURES = 100

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
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive",
}
# jupytext and VS Code write "# %%", PyCharm "#%%", nbconvert "# In[3]:", Databricks "# COMMAND".
SCRIPT_MARK = re.compile(
    r"^#(?: ?%%(?P<percent>.*)| In\[[ \d*]*\]:[ \t]*| COMMAND -+(?P<command>)[ \t]*)$", re.MULTILINE
)
PYTHON_LINE = re.compile(
    r"^(def |class |import |from \w+ import|@\w+|\w+ = |# ?%%|# In\[|# COMMAND -)", re.MULTILINE
)


@dataclass
class SubmittedCell:
    """One cell as handed in. kind: "code", "markdown" or "raw". id and grade_id may be missing,
    copied or forged."""

    kind: str
    source: str
    id: str | None = None
    grade_id: str | None = None


@dataclass(frozen=True)
class ParsedFile:
    """cells: in order. notes: what was wrong with the file, one sentence each. reason: why there
    are no cells, or None."""

    cells: list[SubmittedCell] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    reason: str | None = None


def parse_submission(data: bytes) -> ParsedFile:
    """The cells of a submission. Never raises on any bytes."""
    if len(data) > MAX_BYTES:
        size, most = f"{len(data) / 1e6:,.0f} MB", f"{MAX_BYTES / 1e6:.0f} MB"
        return ParsedFile(reason=f"The file has {size}; at most {most} are read.")
    if not data.strip(b" \t\r\n\x00\xef\xbb\xbf\xfe\xff"):
        return ParsedFile(reason="The file is empty.")
    for start, kind in OTHER.items():
        if data.startswith(start):
            return ParsedFile(reason=f"The file is {kind}, not a notebook.")
    text, notes = _decode(data)
    if text is None:
        return ParsedFile(reason="The file is neither a notebook nor text.")
    cells, more, reason = _cells(text)
    if reason:
        return ParsedFile(reason=reason)
    if len(cells) > MAX_CELLS:
        return ParsedFile(
            reason=f"The notebook has {len(cells):,} cells; at most {MAX_CELLS:,} are read."
        )
    return ParsedFile(cells, notes + more + _cut_long_cells(cells))


def _decode(data: bytes) -> tuple[str | None, list[str]]:
    """The text, and a note when it was not plain UTF-8."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _normalized(data.decode("utf-16", "replace")), [
            "The file was saved as UTF-16. It was read all the same."
        ]
    for encoding, zeros in (("utf-16-le", data[1:200:2]), ("utf-16-be", data[0:200:2])):
        if len(zeros) > 4 and zeros.count(0) > 0.8 * len(zeros):
            return _normalized(data.decode(encoding, "replace")), [
                "The file was saved as UTF-16. It was read all the same."
            ]
    if data.startswith(b"\xef\xbb\xbf"):
        return _normalized(data[3:].decode("utf-8", "replace")), [
            "The file began with a byte order mark. It was left out."
        ]
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        if data[:4096].count(0):
            return None, []
        whole = data.decode("utf-8", "replace")
        # A few broken characters among good ones: UTF-8 cut inside a character, no other encoding.
        if whole.count("\ufffd") <= 3 and re.search(r"[^\x00-\x7f\ufffd]", whole):
            return _normalized(whole), [
                "Some characters in the file were broken. They were replaced."
            ]
        return _normalized(data.decode("cp1252", "replace")), [
            "The file was not saved as UTF-8. It was read as Windows text."
        ]
    return _normalized(text), []


def _cells(text: str) -> tuple[list[SubmittedCell], list[str], str | None]:
    """(cells, notes, reason)"""
    start = text.lstrip()[:1]
    if start in ("{", "["):
        try:
            found = _from_json(json.loads(text))
            return (found, [], None) if found else ([], [], "The notebook has no cells.")
        except (ValueError, RecursionError):
            found = _recovered(text)
            if found:
                note = "The file was cut off or damaged."
                return found, [f"{note} {len(found)} complete cells could be read."], None
            return [], [], "The file starts like a notebook, but not one complete cell can be read."
    if start == "<" and re.search(r"<(!doctype html|html|head|body)\b", text[:2000], re.IGNORECASE):
        reason = "The file is a web page, not a notebook."
        return [], [], f"{reason} In Colab, use File, Download, Download .ipynb."
    found = _recovered(text) if '"cell_type"' in text else []
    if found:
        note = "The beginning of the file is missing or damaged."
        return found, [f"{note} {len(found)} complete cells could be read."], None
    if PYTHON_LINE.search(text):
        note = "The file is a Python script, not a notebook. Its cells were put back in place."
        return _script(text), [note], None
    return [], [], "The file is neither a notebook nor a Python script."


def _from_json(data) -> list[SubmittedCell]:
    """The cells of nbformat 2 to 4, or of a bare list of cells."""
    if isinstance(data, dict) and isinstance(data.get("worksheets"), list):
        sheets = [sheet for sheet in data["worksheets"] if isinstance(sheet, dict)]
        cells = [cell for sheet in sheets for cell in _list(sheet.get("cells"))]
    else:
        cells = _list(data.get("cells")) if isinstance(data, dict) else data
    return [
        _cell(cell)
        for cell in cells
        if isinstance(cell, dict) and isinstance(cell.get("cell_type"), str)
    ]


def _cell(cell: dict) -> SubmittedCell:
    kind = cell["cell_type"]
    # nbformat 3 calls the source of a code cell "input".
    source = cell.get("source", cell.get("input", ""))
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    source = _normalized(source) if isinstance(source, str) else ""
    if kind == "heading":  # nbformat 3
        level = cell.get("level")
        level = level if isinstance(level, int) and 0 < level < 7 else 1
        kind, source = "markdown", f"{'#' * level} {source}"
    kind = kind if kind in ("code", "markdown") else "raw"
    metadata = cell.get("metadata") if isinstance(cell.get("metadata"), dict) else {}
    own = metadata.get("nbgrader") if isinstance(metadata.get("nbgrader"), dict) else {}
    names = [cell.get("id"), metadata.get("id")]  # Colab keeps an id of its own in the metadata
    name = next((name for name in names if isinstance(name, str)), None)
    grade_id = own.get("grade_id")
    return SubmittedCell(kind, source, name, grade_id if isinstance(grade_id, str) else None)


def _recovered(text: str) -> list[SubmittedCell]:
    """Every complete cell of a notebook whose JSON does not parse."""
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
            found.append(_cell(cell))
            at = end
    return found


def _script(text: str) -> list[SubmittedCell]:
    """The cells of a Python export, at SCRIPT_MARK. Colab marks them not at all."""
    marks = list(SCRIPT_MARK.finditer(text))
    if not marks:
        return [SubmittedCell("code", text.strip("\n"))]
    cells = [SubmittedCell("code", text[: marks[0].start()].strip("\n"))]
    for mark, following in zip(marks, [*marks[1:], None]):
        source = text[mark.end() : following.start() if following else len(text)].strip("\n")
        head = mark["percent"] or ""
        kind = "markdown" if re.match(r"\s*(\[markdown\]|\[md\]|md\b)", head) else "code"
        if mark["command"] is not None and re.match(r"# MAGIC %md\b", source):
            kind, source = (
                "markdown",
                re.sub(r"^# MAGIC(?: %md\b)?", "#", source, flags=re.MULTILINE),
            )
        elif mark["command"] is not None:
            source = re.sub(r"^# MAGIC ", "", source, flags=re.MULTILINE)
        own = re.search(r'"grade_id":\s*"([^"]+)"', head)
        if kind == "markdown":
            source = re.sub(r"^# ?", "", source, flags=re.MULTILINE)
        if mark["percent"] is None and mark["command"] is None:
            source = _without_comments_below(source)
        cells.append(SubmittedCell(kind, source.strip("\n"), None, own[1] if own else None))
    return [cell for cell in cells if cell.source.strip()]


def _without_comments_below(source: str) -> str:
    """The code alone: nbconvert writes text cells as comments, two blank lines below the code."""
    lines = source.split("\n")
    end = len(lines)
    while end and (not lines[end - 1].strip() or lines[end - 1].startswith("#")):
        end -= 1
    for number in range(end, len(lines) - 2):
        if not lines[number].strip() and not lines[number + 1].strip():
            return "\n".join(lines[:number])
    return source


def _cut_long_cells(cells: list[SubmittedCell]) -> list[str]:
    long = [cell for cell in cells if len(cell.source) > MAX_SOURCE]
    for cell in long:
        cell.source = cell.source[:MAX_SOURCE]
    return (
        [f"{len(long)} cells were longer than {MAX_SOURCE:,} characters and were cut."]
        if long
        else []
    )


def _normalized(text: str) -> str:
    """Text that can be written as UTF-8 and parsed: no half characters, no zero bytes, line ends
    as \\n."""
    text = text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "")
    return text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")


def _list(value) -> list:
    return value if isinstance(value, list) else []
