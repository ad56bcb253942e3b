"""Match handed-in cells with those of the release: by grade_id, then cell id, then content."""

import difflib
from dataclasses import dataclass, replace

from ..course.student import exercises
from . import python_source
from .parse import SubmittedCell

ALIKE = 0.6  # difflib's ratio above which a changed cell is taken for the release's
COMPARED = 1_500  # characters of a cell that are compared


@dataclass(frozen=True)
class MatchedCell:
    """A cell as handed in, or what was cut out of one, with the cell of the release that it is.

    owner: index of that cell, or None for a cell of the learner's own.
    sure: known by grade_id or cell id.
    how: "" as it was, "cut" out of a merged cell, "joined" from a split one, "text" turned back
    from text to code, "changed" a cell of the lesson with other statements in it.
    foreign: it has the grade_id of an exercise that the release does not have.
    """

    kind: str
    text: str
    owner: int | None = None
    sure: bool = False
    how: str = ""
    foreign: bool = False


class Release:
    """The released notebook, indexed by everything that a submission may still have of it.

    Made once for an assignment and used for each of its submissions, which leave it unchanged.
    """

    def __init__(self, notebook):
        self.notebook, self.cells = notebook, notebook.cells
        own = [cell.metadata.get("nbgrader", {}) for cell in self.cells]
        self.solutions = [
            i for i, each in enumerate(own) if each.get("solution") or each.get("task")
        ]
        self.checks = [
            i for i, each in enumerate(own) if each.get("grade") and not each.get("solution")
        ]
        self.by_grade_id = {each["grade_id"]: i for i, each in enumerate(own) if "grade_id" in each}
        self.by_id = {cell.get("id"): i for i, cell in enumerate(self.cells) if cell.get("id")}
        self.by_text: dict[str, list[int]] = {}
        for i, cell in enumerate(self.cells):
            self.by_text.setdefault(normalized(cell.source), []).append(i)
        self.names = {
            name: i
            for i in self.solutions
            if self.is_code(i)
            for name in python_source.defined_names(self.cells[i].source)
        }
        self.check_statements = self._statements(self.checks)
        graded = {*self.solutions, *self.checks}
        rest = [i for i in range(len(self.cells)) if self.is_code(i) and i not in graded]
        self.statements = self._statements(rest)
        found = exercises(notebook)
        self.titles = {each["solution"]: each["title"] for each in found}
        self.titles |= {each["grade_id"]: each["title"] for each in found}

    def is_code(self, i: int) -> bool:
        return self.cells[i].cell_type == "code"

    def always_runs(self, i: int) -> bool:
        """The set-up cell, and cells that exercises need."""
        return bool({"setup", "exercise"} & set(self.cells[i].metadata.get("tags", [])))

    def _statements(self, indices) -> frozenset[str]:
        sources = [self.cells[i].source for i in indices if self.is_code(i)]
        return frozenset(
            each.normalized for source in sources for each in python_source.statements(source)
        )


def normalized(text: str) -> str:
    """The text without what editors change: spaces at line ends, empty lines around it."""
    return "\n".join(line.rstrip() for line in text.strip().split("\n"))


def is_unchanged(release: Release, cell: MatchedCell) -> bool:
    """The cell is a cell of the release, word for word."""
    if cell.owner is None:
        return False
    return normalized(cell.text) == normalized(release.cells[cell.owner].source)


def match_cells(release: Release, cells: list[SubmittedCell]) -> list[MatchedCell]:
    """Each cell with the release's cell that it names, or whose text it has.

    A solution that had been split over several cells is joined.
    """
    found, taken = [], set()
    for cell in cells:
        owner = release.by_grade_id.get(cell.grade_id)
        owner = release.by_id.get(cell.id) if owner is None else owner
        foreign = bool(cell.grade_id) and cell.grade_id not in release.by_grade_id
        found.append(MatchedCell(cell.kind, cell.source, owner, owner is not None, "", foreign))
        taken.add(owner)
    for at, cell in enumerate(found):
        if cell.owner is None and cell.text.strip():
            same = release.by_text.get(normalized(cell.text), [])
            free = [i for i in same if i not in taken]
            if same:
                found[at] = replace(cell, owner=(free or same)[0])
                taken.add(found[at].owner)
    return _joined(release, [cell for cell in found if cell.text.strip() or cell.sure])


def _joined(release: Release, cells: list[MatchedCell]) -> list[MatchedCell]:
    """The cells, with the parts of a split solution put together again."""
    result, at = [], 0
    while at < len(cells):
        cell, end = cells[at], at + 1
        owner = cell.owner
        if owner is None and cell.kind == "code":
            names = sorted(python_source.defined_names(cell.text))
            owner = next((release.names[name] for name in names if name in release.names), None)
        if owner in release.solutions and cell.kind == "code" and release.is_code(owner):
            end = _end_of_split(release, cells, at, owner)
            if end > at + 1:
                cell = replace(
                    cell,
                    text="\n".join(each.text for each in cells[at:end]),
                    owner=owner,
                    sure=any(each.sure for each in cells[at:end]),
                    how="joined",
                )
        result.append(cell)
        at = end
    return result


def _end_of_split(release: Release, cells: list[MatchedCell], at: int, owner: int) -> int:
    """One past the last of the cells from `at` on that together are the solution `owner`."""
    text, end = cells[at].text, at + 1
    for number in range(at + 1, min(at + 7, len(cells))):
        following = cells[number]
        if (
            following.kind != "code"
            or following.owner not in (None, cells[at].owner)
            or is_unchanged(release, following)
            or not _continues(release, owner, text, following.text)
        ):
            break
        text = f"{text}\n{following.text}"
        # Text that does not parse was cut inside a bracket, perhaps twice: look one cell further.
        if python_source.parses(text):
            end = number + 1
    return end


def _continues(release: Release, owner: int, text: str, following: str) -> bool:
    first = next((line for line in following.split("\n") if line.strip()), "")
    wanted = {name for name, i in release.names.items() if i == owner}
    there = wanted & python_source.defined_names(text)
    later = wanted & python_source.defined_names(following)
    return (
        not python_source.parses(text)
        or first[:1] in (" ", "\t")
        or bool(wanted and not there and later)
    )


def without_other_lessons(release: Release, matched: list[MatchedCell]) -> list[MatchedCell]:
    """The cells without answers that have another lesson's mark and the name of an answer that is
    written where it belongs: two lessons in one notebook."""
    marked = {
        cell.owner
        for cell in matched
        if cell.sure and cell.kind == "code" and not python_source.is_stub(cell.text)
    }
    here = {name for name, i in release.names.items() if i in marked}
    return [
        cell
        for cell in matched
        if not (cell.foreign and python_source.bound_names(cell.text) & here)
    ]


def match_by_place(release: Release, cells: list[MatchedCell]) -> list[MatchedCell]:
    """Owners for cells without one: a written answer by its place, a changed cell by its likeness
    to a cell that is missing there."""
    cells = list(cells)
    taken = {cell.owner for cell in cells}
    position = {cell.owner: at for at, cell in enumerate(cells) if cell.owner is not None}
    for i in release.solutions:
        at = position.get(i - 1, -2) + 1
        nameless = i not in release.names.values()
        if i not in taken and nameless and 0 < at < len(cells) and cells[at].owner is None:
            cells[at] = replace(cells[at], owner=i)
            taken.add(i)
    graded = {*release.solutions, *release.checks}
    last = -1
    for at, cell in enumerate(cells):
        if cell.owner is not None:
            last = cell.owner
            continue
        missing = []
        for i in range(last + 1, len(release.cells)):
            if i in taken:
                break
            if i not in graded and release.cells[i].cell_type == cell.kind:
                missing.append(i)
        likeness = {i: _ratio(release.cells[i].source, cell.text) for i in missing[:5]}
        best = max(likeness, key=likeness.get, default=None)
        if best is not None and likeness[best] >= ALIKE:
            cells[at] = replace(cell, owner=best)
            taken.add(best)
            last = best
    return cells


def _ratio(one: str, two: str) -> float:
    one, two = normalized(one)[:COMPARED], normalized(two)[:COMPARED]
    match = difflib.SequenceMatcher(None, one, two, autojunk=False)
    if match.real_quick_ratio() < ALIKE or match.quick_ratio() < ALIKE:
        return 0.0
    return match.ratio()


def overlap(release: Release, cells: list[SubmittedCell], matched: list[MatchedCell]) -> float:
    """The share of the release that a submission holds, 0 to 1.

    Counted are cells known by grade_id, cell id or text, and answers known by their names.
    matched: match_cells(release, cells).
    """
    found = {cell.owner for cell in matched} - {None}
    names = {name for cell in cells for name in python_source.defined_names(cell.source)}
    answers = {i for name, i in release.names.items() if name in names}
    written = {i for i, cell in enumerate(release.cells) if cell.source.strip()}
    graded = {*release.solutions, *release.checks}
    share = len(found & written) / max(1, len(written))
    graded_share = len((found | answers) & graded) / max(1, len(graded))
    return max(share, 0.9 * graded_share, 0.5 * bool(answers))
