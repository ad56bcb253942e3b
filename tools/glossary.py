"""The lessons' new terms as one list: what each lesson defines below **New terms**.

A lesson writes them as a table, as a list, or in one paragraph:

    | term | meaning |      - **term**: meaning.      **New terms.** *Term*: meaning. *Other*: ...
"""

import dataclasses
import re
from pathlib import Path

import lesson_heads
import nbformat

HEAD = re.compile(r"\*\*New terms\.?\*\*\.?")
END = re.compile(r"^(?:\*\*|#|!\[)", re.MULTILINE)  # the next bold heading, title or picture
BOLD_STARTS = re.compile(r"(?:^|(?<=[.?] ))(?=\*\*)")
ITALIC_STARTS = re.compile(r"(?:^|(?<=[.?] ))(?=\*[^*\s])")


@dataclasses.dataclass(frozen=True)
class Term:
    """One definition: of a name, in a lesson ("03")."""

    name: str  # Markdown, without the marks of its emphasis
    meaning: str  # Markdown
    lesson: Path


def terms(path: Path) -> list[Term]:
    """What the lesson at `path` defines, in its order.

    Raises ValueError where it has no list of new terms, or one that cannot be read.
    """
    text = "\n\n".join(
        cell.source for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "markdown"
    )  # fmt: skip
    head = HEAD.search(text)
    if not head:
        raise ValueError(f"{path.name} has no **New terms**")
    below = text[head.end() :].lstrip()
    end = END.search(below)
    found = _pairs(below[: end.start()] if end else below)
    wrong = [name for name, meaning in found if not name or not meaning or len(name) > 80]
    if not found or wrong:
        raise ValueError(
            f"{path.name}: the new terms cannot be read{f' near {wrong[0]!r}' if wrong else ''}: "
            "write - **term**: meaning. for each"
        )
    return [Term(name, meaning, path) for name, meaning in found]


def _pairs(text: str) -> list[tuple[str, str]]:
    text = text.strip()
    if text.startswith("|"):
        rows = [line.strip().strip("|").split("|", 1) for line in text.splitlines()[2:]]
        return [(_plain(name), meaning.strip()) for name, meaning in rows]
    if text.startswith("- "):
        items = [" ".join(item.split()) for item in re.split(r"^- ", text, flags=re.MULTILINE)[1:]]
        parts = [part for item in items for part in BOLD_STARTS.split(item) if part]
    else:
        parts = [part for part in ITALIC_STARTS.split(" ".join(text.split())) if part]
    return [_pair(part) for part in parts]


def _pair(part: str) -> tuple[str, str]:
    """ "**term** (other name): meaning" as two texts."""
    name, _, meaning = part.partition(": ")
    return _plain(name), meaning.strip()


def _plain(name: str) -> str:
    """A name without bold and italic marks, beginning with a small letter unless it is a name."""
    name = re.sub(r"\*+", "", name).strip()
    ordinary = re.match(r"[A-Z][a-zé]+\b(?!['’])", name)
    return name[0].lower() + name[1:] if ordinary and not _is_name(name) else name


def _is_name(name: str) -> bool:
    """Whether the first word is someone's or something's name, and keeps its capital."""
    return bool(re.match(r"(?:Student|Bonferroni|Holm|Muon|Adam)\b", name))


def collect(lessons: list[Path] | None = None) -> dict[str, list[Term]]:
    """Every term of `lessons` (None: all) in alphabetical order, each with its definitions."""
    found: dict[str, list[Term]] = {}
    for path in lesson_heads.lessons() if lessons is None else lessons:
        for term in terms(path):
            same = next((name for name in found if name.casefold() == term.name.casefold()), None)
            found.setdefault(same or term.name, []).append(term)
    return dict(sorted(found.items(), key=lambda item: re.sub(r"\W", "", item[0]).casefold()))


def page(found: dict[str, list[Term]]) -> str:
    """The glossary as a MyST page beside notebooks/."""
    lines = ["# Glossary", "", "Every term that a lesson defines, with the lesson.", ""]
    lines += ["````{glossary}"]
    for name, definitions in found.items():
        lines.append(name)
        said: dict[str, list[str]] = {}
        for term in definitions:
            link = f"[{lesson_heads.number(term.lesson)}](notebooks/{term.lesson.name})"
            said.setdefault(term.meaning.rstrip("."), []).append(link)
        text = "\n\n  ".join(
            f"{meaning}. *Lesson{'s' if len(links) > 1 else ''} {', '.join(links)}*"
            for meaning, links in said.items()
        )
        lines += [f"  {text}", ""]
    return "\n".join([*lines, "````", ""])
