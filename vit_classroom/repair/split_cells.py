"""Cutting merged cells: the definition that an exercise asks for, out of a cell that holds more."""

import re
from dataclasses import replace

from . import python_source
from .matching import Part, Release, is_release

SCRIPT = 6  # so many of the lesson's own statements in one cell: the cells of the lesson were run together
FENCE = re.compile(r"^\s*(```|~~~).*$", re.MULTILINE)


def cut(release: Release, parts: list[Part]) -> list[Part]:
    """The parts, with merged cells taken apart and cells that had become text turned back into code."""
    return [piece for part in parts for piece in _cut(release, part)]


def _cut(release: Release, part: Part) -> list[Part]:
    if is_release(release, part):
        return [part]
    if part.kind != "code":
        part = _as_code(release, part)
        if part.kind != "code":
            return [part]
    asked = {
        release.names[name] for name in python_source.defined(part.text) if name in release.names
    }
    solution = part.owner in release.solutions
    if not asked and part.owner not in release.checks:
        return [part]
    found = python_source.blocks(part.text)
    if not found:
        return _lines(release, part) if asked else [part]
    written = _without_copies(release, found)
    if len(written) < len(found):
        part = replace(
            part, text=_rejoined(part.text, [block.text for block in written]), how="cut"
        )
        found = written
    has_check = any(block.bare in release.check_statements for block in found)
    lesson = sum(block.bare in release.statements for block in found)
    alone = (
        asked <= {part.owner}
        if solution
        else len(asked) == 1 and part.owner is None and lesson < SCRIPT
    )
    if alone and not has_check:
        return [part if solution else replace(part, owner=asked.pop())]
    return _groups(release, part, found)


def _as_code(release: Release, part: Part) -> Part:
    """A solution that had been turned into text, as code again, when it reads as code."""
    text = FENCE.sub("", part.text).strip("\n")
    names = python_source.defined(text) & set(release.names)
    known = part.owner in release.solutions and release.code(part.owner)
    if known and (python_source.parses(text) or names):
        return replace(part, kind="code", text=text, how="text")
    if (
        part.owner is None
        and names
        and python_source.parses(text)
        and not python_source.is_stub(text)
    ):
        return replace(part, kind="code", text=text, how="text")
    return part


def _groups(release: Release, part: Part, found: list[python_source.Block]) -> list[Part]:
    """One part for each answer in a merged cell; the rest goes with the answer above it, or becomes a cell of its own."""
    groups: list[tuple[int | None, list[str]]] = []
    now = part.owner if part.owner in release.solutions else None
    whole_lesson = sum(block.bare in release.statements for block in found) >= SCRIPT
    for block in found:
        if (
            block.kind == "text"
        ):  # a text cell, as Colab writes it into a script: what follows belongs to another cell
            now = None
            continue
        target = next(
            (
                release.names[name]
                for name in sorted(block.defines)
                if name in release.names and block.kind == "def"
            ),
            None,
        )
        if target is None and block.bare in release.check_statements:
            continue  # the check itself comes from the release
        if target is None and block.kind == "other" and part.owner in release.checks:
            continue  # whatever else was done in a check cell
        if (
            target is None
            and block.bare in release.statements
            and (whole_lesson or block.kind != "import")
        ):
            now = part.owner if part.owner in release.solutions and not whole_lesson else None
            continue  # a line of the lesson: the release has it
        if target is not None:
            now = target
        if groups and groups[-1][0] == now:
            groups[-1][1].append(block.text)
        else:
            groups.append((now, [block.text]))
    how = "text" if part.how == "text" else "cut"
    made = [
        Part(
            "code",
            _rejoined(part.text, texts),
            owner,
            part.sure and owner == part.owner,
            how if owner is not None else "",
        )
        for owner, texts in groups
    ]
    if (
        part.owner is not None
        and part.owner not in {each.owner for each in made}
        and part.owner not in release.solutions
    ):
        theirs = {block.bare for block in python_source.blocks(release.cells[part.owner].source)}
        whole = theirs <= {block.bare for block in found}
        made.append(
            replace(part, text=release.cells[part.owner].source, how="" if whole else "changed")
        )
    return made


def _without_copies(
    release: Release, found: list[python_source.Block]
) -> list[python_source.Block]:
    """Without the stub, or the same words again, of an answer that stands in the same cell: two copies of a cell, merged."""
    stubs = [
        block
        for block in found
        if block.kind == "def"
        and block.defines & set(release.names)
        and python_source.is_stub(block.text)
    ]
    written = {name for block in found if block not in stubs for name in block.defines}
    kept = [block for block in found if block not in stubs or not block.defines <= written]
    return [
        block
        for at, block in enumerate(kept)
        if block.kind != "def" or block.bare not in {b.bare for b in kept[at + 1 :]}
    ]


def _rejoined(whole: str, texts: list[str]) -> str:
    """The texts with the empty lines that stood between them."""
    joined = texts[0]
    for text in texts[1:]:
        between = next(
            (
                gap
                for gap in ("\n", "\n\n", "\n\n\n", "\n\n\n\n")
                if f"{joined}{gap}{text}" in whole
            ),
            "\n",
        )
        joined = f"{joined}{between}{text}"
    return joined


def _lines(release: Release, part: Part) -> list[Part]:
    """The definitions in a cell that does not parse as a whole: text merged into it, or a line that is no Python."""
    made = []
    imports = re.findall(r"^(?:import|from) .+$", part.text, re.MULTILINE)
    helpers = [line for line in imports if python_source.parses(line)]
    answers: dict[int, list[str]] = {}
    for name in re.findall(r"^(?:async +)?(?:def|class) +(\w+)", part.text, re.MULTILINE):
        text = python_source.definition(part.text, name)
        if text is not None and name in release.names:
            if python_source.is_stub(text):
                return [
                    part
                ]  # its head alone is Python, and the fault lies in what was written: it has to be seen
            answers.setdefault(release.names[name], []).append(text)
        elif text is not None:
            helpers.append(text)
    if not answers:
        return [part]
    if helpers:
        made.append(Part("code", "\n".join(helpers)))
    made += [
        Part("code", "\n\n".join(texts), owner, part.sure and owner == part.owner, "cut")
        for owner, texts in answers.items()
    ]
    return made
