"""Take merged cells apart: cut the definition that an exercise asks for out of a larger cell."""

import re
from dataclasses import replace

from . import python_source
from .matching import MatchedCell, Release, is_unchanged

# With this many of the lesson's own statements in one cell, the lesson's cells were run together.
WHOLE_LESSON = 6
FENCE = re.compile(r"^[ \t]*(```|~~~).*$", re.MULTILINE)


def split_merged_cells(release: Release, cells: list[MatchedCell]) -> list[MatchedCell]:
    """The cells, with merged ones taken apart and answers in text cells turned back to code."""
    return [part for cell in cells for part in _split(release, cell)]


def _split(release: Release, cell: MatchedCell) -> list[MatchedCell]:
    if is_unchanged(release, cell):
        return [cell]
    if cell.kind != "code":
        cell = _as_code(release, cell)
        if cell.kind != "code":
            return [cell]
    asked = {
        release.names[name]
        for name in python_source.defined_names(cell.text)
        if name in release.names
    }
    solution = cell.owner in release.solutions
    if not asked and cell.owner not in release.checks:
        return [cell]
    found = python_source.statements(cell.text)
    if not found:
        return _definitions(release, cell) if asked else [cell]
    written = _without_copies(release, found)
    if len(written) < len(found):
        text = _rejoined(cell.text, [statement.text for statement in written])
        cell = replace(cell, text=text, how="cut")
        found = written
    has_check = any(statement.normalized in release.check_statements for statement in found)
    lesson = sum(statement.normalized in release.statements for statement in found)
    if solution:
        alone = asked <= {cell.owner}
    else:
        alone = len(asked) == 1 and cell.owner is None and lesson < WHOLE_LESSON
    if alone and not has_check:
        return [cell if solution else replace(cell, owner=asked.pop())]
    return _answers(release, cell, found)


def _as_code(release: Release, cell: MatchedCell) -> MatchedCell:
    """A text cell as code again, when it holds an answer that reads as Python."""
    text = FENCE.sub("", cell.text).strip("\n")
    names = python_source.defined_names(text) & set(release.names)
    known = cell.owner in release.solutions and release.is_code(cell.owner)
    if known and (python_source.parses(text) or names):
        return replace(cell, kind="code", text=text, how="text")
    if (
        cell.owner is None
        and names
        and python_source.parses(text)
        and not python_source.is_stub(text)
    ):
        return replace(cell, kind="code", text=text, how="text")
    return cell


def _answers(
    release: Release, cell: MatchedCell, found: list[python_source.Statement]
) -> list[MatchedCell]:
    """One cell for each answer in a merged cell.

    Any other statement goes with the answer above it, or into a cell of its own. Statements of the
    lesson and of its checks are dropped, because the release has them.
    """
    groups: list[tuple[int | None, list[str]]] = []
    own = cell.owner if cell.owner in release.solutions else None
    whole_lesson = sum(each.normalized in release.statements for each in found) >= WHOLE_LESSON
    current = own
    for statement in found:
        if statement.kind == "text":
            # Colab writes a text cell into a script as a string: another cell begins here.
            current = None
            continue
        target = None
        if statement.kind == "def":
            asked = (name for name in sorted(statement.defines) if name in release.names)
            target = next((release.names[name] for name in asked), None)
        if target is None:
            if statement.normalized in release.check_statements:
                continue
            if statement.kind == "other" and cell.owner in release.checks:
                continue  # whatever else was done in a check cell
            if statement.normalized in release.statements and (
                whole_lesson or statement.kind != "import"
            ):
                current = own if not whole_lesson else None
                continue
        else:
            current = target
        if groups and groups[-1][0] == current:
            groups[-1][1].append(statement.text)
        else:
            groups.append((current, [statement.text]))
    how = "text" if cell.how == "text" else "cut"
    made = [
        MatchedCell(
            "code",
            _rejoined(cell.text, texts),
            owner,
            cell.sure and owner == cell.owner,
            how if owner is not None else "",
        )
        for owner, texts in groups
    ]
    owners = {None, *release.solutions, *(each.owner for each in made)}
    if cell.owner not in owners:
        # The cell of the lesson into which the answers were merged is still there, or was changed.
        text = release.cells[cell.owner].source
        theirs = {each.normalized for each in python_source.statements(text)}
        whole = theirs <= {each.normalized for each in found}
        made.append(replace(cell, text=text, how="" if whole else "changed"))
    return made


def _without_copies(
    release: Release, found: list[python_source.Statement]
) -> list[python_source.Statement]:
    """The statements without doubles: a stub, or the same text again, beside the written answer."""
    stubs = [
        each
        for each in found
        if each.kind == "def"
        and each.defines & set(release.names)
        and python_source.is_stub(each.text)
    ]
    written = {name for each in found if each not in stubs for name in each.defines}
    kept = [each for each in found if each not in stubs or not each.defines <= written]
    return [
        each
        for at, each in enumerate(kept)
        if each.kind != "def" or each.normalized not in {b.normalized for b in kept[at + 1 :]}
    ]


def _rejoined(whole: str, texts: list[str]) -> str:
    """The texts in one, with the empty lines that stood between them in `whole`."""
    joined = texts[0]
    for text in texts[1:]:
        gaps = ("\n", "\n\n", "\n\n\n", "\n\n\n\n")
        between = next((gap for gap in gaps if f"{joined}{gap}{text}" in whole), "\n")
        joined = f"{joined}{between}{text}"
    return joined


def _definitions(release: Release, cell: MatchedCell) -> list[MatchedCell]:
    """The definitions in a cell that does not parse as a whole, because something else is in it."""
    imports = re.findall(r"^(?:import|from) .+$", cell.text, re.MULTILINE)
    helpers = [line for line in imports if python_source.parses(line)]
    answers: dict[int, list[str]] = {}
    for name in re.findall(r"^(?:async +)?(?:def|class) +(\w+)", cell.text, re.MULTILINE):
        text = python_source.definition(cell.text, name)
        if name in release.names:
            if text is None:
                # The fault is in what was written, and has to be seen.
                text = python_source.definition_block(cell.text, name)
            elif python_source.is_stub(text):
                return [cell]  # only its head is Python: the fault is below it
            answers.setdefault(release.names[name], []).append(text)
        elif text is not None:
            helpers.append(text)
    if not answers:
        return [cell]
    whole = next(iter(answers.values()))[0]
    if not helpers and len(answers) == 1 and whole.strip() == cell.text.strip():
        return [replace(cell, owner=next(iter(answers)))]
    made = [MatchedCell("code", "\n".join(helpers))] if helpers else []
    made += [
        MatchedCell("code", "\n\n".join(texts), owner, cell.sure and owner == cell.owner, "cut")
        for owner, texts in answers.items()
    ]
    return made
