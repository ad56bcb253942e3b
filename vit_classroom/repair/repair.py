"""A submission in the shape of the release: its cells in its order, with the learner's answers.

Cells are matched by grade_id, then by cell id, then by content. Check cells are always the
release's. Nothing is executed.
"""

import copy
from dataclasses import dataclass, field
from itertools import permutations

from nbformat.v4 import new_code_cell, new_markdown_cell, new_raw_cell

from . import python_source
from .dependencies import move_helpers_up, tag_needed_cells
from .matching import (
    MatchedCell,
    Release,
    is_unchanged,
    match_by_place,
    match_cells,
    normalized,
    overlap,
    without_other_lessons,
)
from .parse import ParsedFile, parse_submission
from .split_cells import split_merged_cells

LEAST = 0.05  # share of the release that must be in a file to take it for this lesson
NEW = {"code": new_code_cell, "markdown": new_markdown_cell, "raw": new_raw_cell}
# What a note says about an answer that was found in another form.
HOW = {
    "text": "your answer was in a text cell. It was turned back into code.",
    "cut": "your answer was in one cell with other code. It was cut out.",
    "joined": "your answer was split over several cells. They were joined.",
}


@dataclass(frozen=True)
class RepairResult:
    """notebook: ready to run, or None. notes: what was repaired, one sentence each. reason: why it
    cannot be graded, or None."""

    notebook: object | None
    notes: list[str] = field(default_factory=list)
    reason: str | None = None


def repair(release: Release, submitted: bytes) -> RepairResult:
    """Put the answers in `submitted` (the file's bytes) into the released notebook.

    The result has every cell of the release, with its id and metadata; answers in solution cells;
    changed text in ordinary cells; the learner's own cells, with ids "extra-1", ..., after the cell
    that they followed. Outputs are left out. A cell of the lesson that an answer needs gets the tag
    `exercise`, so that grading runs it. Never raises on any bytes.
    """
    parsed = parse_submission(submitted)
    if parsed.reason:
        return RepairResult(None, parsed.notes, parsed.reason)
    matched = match_cells(release, parsed.cells)
    if overlap(release, parsed.cells, matched) < LEAST:
        lines = (line for cell in release.cells for line in cell.source.split("\n"))
        title = next((line for line in lines if line.strip()), "").lstrip("# ")
        reason = f"The notebook is not this lesson ({title}): hardly any of its cells are in it."
        return RepairResult(None, parsed.notes, reason)
    return _Repair(release, parsed, matched).result()


class _Repair:
    """One repair under way: the matched cells, what is chosen for each cell, the notes."""

    def __init__(self, release: Release, parsed: ParsedFile, matched: list[MatchedCell]):
        self.release, self.submitted, self.notes = release, parsed.cells, list(parsed.notes)
        own = without_other_lessons(release, matched)
        if len(own) < len(matched):
            self.notes.append(
                "An answer of another lesson has the name of an answer of this one. "
                "It was left out here."
            )
        self.cells = match_by_place(release, split_merged_cells(release, own))
        self.sources: dict[int, str] = {}
        # The learner's own cells: (index of the release's cell that it follows, cell).
        self.extras: list[tuple[int, MatchedCell]] = []

    def result(self) -> RepairResult:
        used: set[int] = set()
        old = self._is_old()
        for i in range(len(self.release.cells)):
            mine = [at for at, cell in enumerate(self.cells) if cell.owner == i]
            if i in self.release.solutions:
                used |= self._answer(i, mine)
            else:
                used |= self._ordinary(i, mine, old)
        self._keep_own_cells(used)
        self._note_about_notebook(old)
        return RepairResult(self._build(), list(dict.fromkeys(self.notes)))

    def _note(self, i: int, text: str) -> None:
        grade_id = self.release.cells[i].metadata["nbgrader"]["grade_id"]
        title = self.release.titles.get(grade_id, grade_id).split(":")[0]
        self.notes.append(f"{title}: {text}")

    # --- one cell of the release ------------------------------------------------------------------

    def _answer(self, i: int, mine: list[int]) -> set[int]:
        """Choose the answer for solution cell i: the last that parses and is not the stub.

        mine: the submitted cells that may be it. Returns those that are settled; the others become
        the learner's own cells.
        """
        names = {name for name, owner in self.release.names.items() if owner == i}
        code = self.release.is_code(i)
        if not mine:
            self._note(
                i, "the cell for your answer was missing. It was put back, without an answer."
            )
            return set()
        rank = {at: self._rank(i, at, names) for at in mine}
        best = max(mine, key=rank.get)
        cell = self.cells[best]
        if code and rank[best][:3] != (True, True, True):
            cell = self._joined_halves(mine, names) or cell
            self.cells[best] = cell
            rank[best] = self._rank(i, best, names)
        if cell.kind != "code" and code:
            self._note(
                i, "your answer was in a text cell and is not valid Python. It was left out."
            )
            return set()
        if not code or not python_source.is_stub(cell.text, names):
            self.sources[i] = cell.text
        elif not names <= python_source.defined_names(cell.text):
            self._note(i, "the cell for your answer was empty. It was put back, without an answer.")
        others = [
            at
            for at in mine
            if at != best
            and rank[at][0]
            and normalized(self.cells[at].text) != normalized(cell.text)
        ]
        answers = [
            at
            for at in others
            if not code or names & python_source.defined_names(self.cells[at].text)
        ]
        if answers:
            self._note(
                i,
                f"there were {len(answers) + 1} cells with an answer. "
                "One counts: the last that is complete.",
            )
        elif len(mine) > 1 and not others:
            self._note(i, "the cell for your answer was there more than once. One copy counts.")
        if rank[best][0]:
            if cell.how in HOW:
                self._note(i, HOW[cell.how])
            elif not cell.sure and self._has_marks():
                self._note(i, "your answer was in a cell of its own. It was put in its place.")
        return set(mine) - (set(others) - set(answers))

    def _rank(self, i: int, at: int, names: set[str]) -> tuple:
        """How well submitted cell `at` answers solution cell i: the largest is chosen."""
        cell = self.cells[at]
        if not self.release.is_code(i):
            written = normalized(cell.text) != normalized(self.release.cells[i].source)
            return (written, cell.sure, at)
        written = (
            not is_unchanged(self.release, cell)
            and not python_source.is_stub(cell.text, names)
            and cell.kind == "code"
        )
        complete = names <= python_source.defined_names(cell.text)
        return (written, python_source.parses(cell.text), complete, cell.sure, at)

    def _joined_halves(self, mine: list[int], names: set[str]) -> MatchedCell | None:
        """Two halves of one answer that were moved apart, joined; None when they make no answer."""
        for first, second in permutations(mine[:6], 2):
            text = f"{self.cells[first].text}\n{self.cells[second].text}"
            if (
                names
                and names <= python_source.defined_names(text)
                and python_source.parses(text)
                and not python_source.is_stub(text)
            ):
                return MatchedCell("code", text, self.cells[first].owner, True, "joined")
        return None

    def _ordinary(self, i: int, mine: list[int], old: bool) -> set[int]:
        """A cell of the lesson, or a check. Returns the submitted cells that are settled; the
        others become the learner's own cells."""
        same = {
            at
            for at in mine
            if is_unchanged(self.release, self.cells[at]) and self.cells[at].how != "changed"
        }
        changed = [at for at in mine if at not in same]
        if i in self.release.checks:
            if not mine:
                self._note(i, "the cell with the check was missing. It was put back.")
            elif changed:
                self._note(i, "the cell with the check was changed. The original was used.")
            return set(mine)
        if same or not changed or old:
            return same | (set(changed) if old else set())
        at = changed[0]
        if self.release.always_runs(i):
            return set()  # the release's runs first, the learner's after it
        if self.cells[at].kind == self.release.cells[i].cell_type:
            self.sources[i] = self.cells[at].text
            return {at}
        return set() if self.cells[at].kind == "code" else {at}

    # --- the learner's own cells ------------------------------------------------------------------

    def _keep_own_cells(self, used: set[int]) -> None:
        setup = next((i for i in range(len(self.release.cells)) if self.release.always_runs(i)), 0)
        anchor = setup
        for at, cell in enumerate(self.cells):
            if cell.owner is not None:
                anchor = max(cell.owner, setup)
            if at not in used and cell.text.strip():
                self.extras.append((anchor, cell))
        if move_helpers_up(self.release, self.sources, self.extras):
            self.notes.append(
                "A cell with a helper or an import was below the answer that needs it. "
                "It was moved above it."
            )

    # --- the whole notebook -----------------------------------------------------------------------

    def _has_marks(self) -> bool:
        return any(cell.grade_id or cell.id in self.release.by_id for cell in self.submitted)

    def _is_old(self) -> bool:
        """The file was made from another release of the lesson: known cells differ whose text a
        learner does not rewrite, or there are exercises that the release does not have."""
        text = [
            cell
            for cell in self.cells
            if cell.owner is not None and self.release.cells[cell.owner].cell_type == "markdown"
        ]
        changed = [
            cell
            for cell in text
            if cell.kind == "markdown"
            and not is_unchanged(self.release, cell)
            and cell.owner not in self.release.solutions
        ]
        unknown = {cell.grade_id for cell in self.submitted if cell.grade_id}
        unknown -= set(self.release.by_grade_id)
        return len(changed) >= max(3, 0.1 * len(text)) or bool(unknown)

    def _note_about_notebook(self, old: bool) -> None:
        graded = {*self.release.solutions, *self.release.checks}
        known = [cell.owner for cell in self.cells if cell.owner is not None]
        missing = [
            i
            for i, cell in enumerate(self.release.cells)
            if i not in graded and cell.source.strip() and i not in known
        ]
        if not any(cell.grade_id for cell in self.submitted) and self.release.by_grade_id:
            self.notes.insert(
                0,
                "The cells of the notebook had lost nbgrader's marks. "
                "They were recognised by their text.",
            )
        if old:
            self.notes.append(
                "The notebook was made from another release of the lesson. "
                "The present one was used for grading."
            )
        elif len(missing) == 1:
            self.notes.append("One cell of the lesson was missing. It was put back.")
        elif missing:
            self.notes.append(
                f"{len(missing)} cells of the lesson were missing. They were put back."
            )
        if any(later < earlier for earlier, later in zip(known, known[1:])):
            self.notes.append(
                "The cells were not in the order of the lesson. They were put back in its order."
            )

    def _build(self):
        nb = copy.deepcopy(self.release.notebook)
        for i, source in self.sources.items():
            nb.cells[i].source = source
        tag_needed_cells(self.release, self.sources, self.extras, nb)
        cells, number = [], 0
        for i, cell in enumerate(nb.cells):
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
            cells.append(cell)
            for anchor, extra in self.extras:
                if anchor == i:
                    number += 1
                    cells.append(NEW[extra.kind](extra.text, id=f"extra-{number}"))
        nb.cells = cells
        return nb
