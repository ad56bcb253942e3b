"""Which cell of the release a handed-in cell is: by grade_id, then by cell id, then by content."""

import difflib
from dataclasses import dataclass, replace

from . import python_source
from .parse import Piece

ALIKE = 0.6  # difflib's ratio above which a changed cell is taken for the release's
COMPARED = 1_500  # characters of a cell that are compared


@dataclass(frozen=True)
class Part:
    """A cell as handed in, or what was cut out of one.

    owner: index of the release's cell that it is, or None for a cell of the learner's own. sure: known by grade_id or cell id.
    how: "" as it was, "cut" out of a merged cell, "joined" from a split one.
    """

    kind: str
    text: str
    owner: int | None = None
    sure: bool = False
    how: str = ""


class Release:
    """The released notebook, looked up by what a submission may still have of it."""

    def __init__(self, nb):
        self.cells = nb.cells
        own = [cell.metadata.get("nbgrader", {}) for cell in nb.cells]
        self.solutions = [
            i for i, each in enumerate(own) if each.get("solution") or each.get("task")
        ]
        self.checks = [
            i for i, each in enumerate(own) if each.get("grade") and not each.get("solution")
        ]
        self.by_grade_id = {each["grade_id"]: i for i, each in enumerate(own) if "grade_id" in each}
        self.by_id = {cell.get("id"): i for i, cell in enumerate(nb.cells) if cell.get("id")}
        self.by_text: dict[str, list[int]] = {}
        for i, cell in enumerate(nb.cells):
            self.by_text.setdefault(plain(cell.source), []).append(i)
        self.names = {
            name: i
            for i in self.solutions
            if self.code(i)
            for name in python_source.defined(self.cells[i].source)
        }
        self.check_statements = self._statements(self.checks)
        rest = [
            i
            for i, cell in enumerate(nb.cells)
            if cell.cell_type == "code" and i not in {*self.solutions, *self.checks}
        ]
        self.statements = self._statements(rest)

    def code(self, i: int) -> bool:
        return self.cells[i].cell_type == "code"

    def always_runs(self, i: int) -> bool:
        """The set-up cell, and cells that exercises lean on."""
        return bool({"setup", "exercise"} & set(self.cells[i].metadata.get("tags", [])))

    def _statements(self, indices) -> frozenset[str]:
        found = (
            block
            for i in indices
            if self.code(i)
            for block in python_source.blocks(self.cells[i].source)
        )
        return frozenset(block.bare for block in found)


def plain(text: str) -> str:
    """The text without what editors change: spaces at line ends, empty lines around it."""
    return "\n".join(line.rstrip() for line in text.strip().split("\n"))


def owners(release: Release, pieces: list[Piece]) -> list[Part]:
    """Each piece with the release's cell that it names, or whose text it has; joined where a cell had been split."""
    found, taken = [], set()
    for piece in pieces:
        owner = release.by_grade_id.get(piece.grade_id)
        owner = release.by_id.get(piece.id) if owner is None else owner
        found.append(Part(piece.kind, piece.source, owner, owner is not None))
        taken.add(owner)
    for at, part in enumerate(found):
        if part.owner is None and part.text.strip():
            same = release.by_text.get(plain(part.text), [])
            free = [i for i in same if i not in taken]
            if same:
                found[at] = replace(part, owner=(free or same)[0])
                taken.add(found[at].owner)
    return _joined(release, [part for part in found if part.text.strip() or part.sure])


def _joined(release: Release, parts: list[Part]) -> list[Part]:
    """Parts of a solution that had been split, put together again."""
    result, at = [], 0
    while at < len(parts):
        part, reach = parts[at], at + 1
        owner = part.owner
        if owner is None and part.kind == "code":
            owner = next(
                (
                    release.names[name]
                    for name in sorted(python_source.defined(part.text))
                    if name in release.names
                ),
                None,
            )
        if owner in release.solutions and part.kind == "code" and release.code(owner):
            text = part.text
            for end in range(at + 2, min(at + 7, len(parts)) + 1):
                following = parts[end - 1]
                if (
                    following.kind != "code"
                    or following.owner not in (None, part.owner)
                    or is_release(release, following)
                ):
                    break
                longer = f"{text}\n{following.text}"
                if not _continues(release, owner, text, following.text):
                    break
                text = longer
                if python_source.parses(
                    longer
                ):  # if not: cut inside a bracket, perhaps twice; look one cell further
                    reach = end
            if reach > at + 1:
                whole = "\n".join(each.text for each in parts[at:reach])
                part = replace(
                    part,
                    text=whole,
                    owner=owner,
                    sure=any(each.sure for each in parts[at:reach]),
                    how="joined",
                )
        result.append(part)
        at = reach
    return result


def _continues(release: Release, owner: int, text: str, following: str) -> bool:
    first = next((line for line in following.split("\n") if line.strip()), "")
    wanted = {name for name, i in release.names.items() if i == owner}
    there = wanted & python_source.defined(text)
    later = wanted & python_source.defined(following)
    return (
        not python_source.parses(text)
        or first[:1] in (" ", "\t")
        or bool(wanted and not there and later)
    )


def is_release(release: Release, part: Part) -> bool:
    """The part is a cell of the release, word for word."""
    return part.owner is not None and plain(part.text) == plain(release.cells[part.owner].source)


def by_place(release: Release, parts: list[Part]) -> list[Part]:
    """Owners for what is left: a written answer by its place, a changed cell by its likeness to what is missing there."""
    parts = list(parts)
    taken = {part.owner for part in parts}
    before = {part.owner: at for at, part in enumerate(parts) if part.owner is not None}
    for i in release.solutions:
        at = before.get(i - 1, -2) + 1
        nameless = i not in release.names.values()
        if i not in taken and nameless and 0 < at < len(parts) and parts[at].owner is None:
            parts[at] = replace(parts[at], owner=i)
            taken.add(i)
    last = -1
    for at, part in enumerate(parts):
        if part.owner is not None:
            last = part.owner
            continue
        gap = []
        for i in range(last + 1, len(release.cells)):
            if i in taken:
                break
            if (
                i not in release.solutions
                and i not in release.checks
                and release.cells[i].cell_type == part.kind
            ):
                gap.append(i)
        likeness = {i: _ratio(release.cells[i].source, part.text) for i in gap[:5]}
        best = max(likeness, key=likeness.get, default=None)
        if best is not None and likeness[best] >= ALIKE:
            parts[at] = replace(part, owner=best)
            taken.add(best)
            last = best
    return parts


def _ratio(one: str, two: str) -> float:
    match = difflib.SequenceMatcher(
        None, plain(one)[:COMPARED], plain(two)[:COMPARED], autojunk=False
    )
    if match.real_quick_ratio() < ALIKE or match.quick_ratio() < ALIKE:
        return 0.0
    return match.ratio()


def overlap(release: Release, pieces: list[Piece]) -> float:
    """How much of the release a submission holds, 0 to 1: cells by grade_id, cell id or text, answers by their names."""
    found = {part.owner for part in owners(release, pieces)} - {None}
    names = {name for piece in pieces for name in python_source.defined(piece.source)}
    answers = {i for name, i in release.names.items() if name in names}
    cells = [i for i, cell in enumerate(release.cells) if cell.source.strip()]
    graded = [*release.solutions, *release.checks]
    share = len(found & set(cells)) / max(1, len(cells))
    return max(
        share, 0.9 * len((found | answers) & set(graded)) / max(1, len(graded)), 0.5 * bool(answers)
    )
