"""A submission as the release would have it: its cells in its order, with the learner's answers in them. Nothing is executed.

Cells are matched by grade_id, then by cell id, then by content. Check cells are always the release's.
"""

import copy
from dataclasses import dataclass, field
from itertools import permutations

from nbformat.v4 import new_code_cell, new_markdown_cell, new_raw_cell

from ..course.student import exercises
from . import python_source
from .matching import Part, Release, by_place, is_release, overlap, owners, plain
from .parse import Piece, read
from .split_cells import cut

LEAST = 0.05  # share of the release that must be in a file to take it for this lesson
NEW = {"code": new_code_cell, "markdown": new_markdown_cell, "raw": new_raw_cell}


@dataclass(frozen=True)
class Repaired:
    """notebook: ready to run, or None. notes: what was repaired, a sentence each. reason: why it cannot be graded, or None."""

    notebook: object | None
    notes: list[str] = field(default_factory=list)
    reason: str | None = None


def repair(release_nb, submitted: bytes) -> Repaired:
    """Put the answers in `submitted` (the file's bytes) into the released notebook. Never raises on any bytes.

    The result has every cell of the release, with its id and metadata; answers in solution cells; changed text in ordinary cells;
    the learner's own cells after the cell that they followed, with ids "extra-1", ... Outputs are left out. A cell of the lesson
    that an answer leans on gets the tag `exercise`, so that grading runs it.
    """
    reading = read(submitted)
    if reading.reason:
        return Repaired(None, reading.notes, reading.reason)
    release = Release(release_nb)
    if overlap(release, reading.pieces) < LEAST:
        title = next(
            (line for cell in release_nb.cells for line in cell.source.split("\n") if line.strip()),
            "",
        ).lstrip("# ")
        return Repaired(
            None,
            reading.notes,
            f"The notebook is not this lesson ({title}): hardly any of its cells are in it.",
        )
    return _Repair(release, release_nb, reading.pieces, reading.notes).result()


class _Repair:
    """One repair under way: the parts, what is chosen for each cell, the notes."""

    def __init__(self, release: Release, release_nb, pieces: list[Piece], notes: list[str]):
        self.release, self.release_nb, self.pieces, self.notes = (
            release,
            release_nb,
            pieces,
            list(notes),
        )
        self.parts = by_place(release, cut(release, owners(release, pieces)))
        self.titles = {each["solution"]: each["title"] for each in exercises(release_nb)}
        self.titles |= {each["grade_id"]: each["title"] for each in exercises(release_nb)}
        self.sources: dict[int, str] = {}
        self.extras: list[
            tuple[int, Part]
        ] = []  # (index of the release's cell that it follows, part)

    def result(self) -> Repaired:
        used: set[int] = set()
        old = self._is_old()
        for i in range(len(self.release.cells)):
            mine = [at for at, part in enumerate(self.parts) if part.owner == i]
            used |= (
                self._answer(i, mine)
                if i in self.release.solutions
                else self._ordinary(i, mine, old)
            )
        self._own_cells(used)
        self._say_about_all(old)
        return Repaired(self._build(), list(dict.fromkeys(self.notes)))

    def title(self, i: int) -> str:
        grade_id = self.release.cells[i].metadata["nbgrader"]["grade_id"]
        return self.titles.get(grade_id, grade_id).split(":")[0]

    def say(self, i: int, text: str) -> None:
        self.notes.append(f"{self.title(i)}: {text}")

    # --- one cell of the release -------------------------------------------------------------------------------------

    def _answer(self, i: int, mine: list[int]) -> set[int]:
        """Choose the answer for solution cell i: the last that parses and is not the stub. Returns the parts that are settled."""
        names = {name for name, owner in self.release.names.items() if owner == i}
        code = self.release.code(i)

        def rank(at: int):
            part = self.parts[at]
            if not code:
                return (plain(part.text) != plain(self.release.cells[i].source), part.sure, at)
            written = (
                not is_release(self.release, part)
                and not python_source.is_stub(part.text)
                and part.kind == "code"
            )
            return (
                written,
                python_source.parses(part.text),
                names <= python_source.defined(part.text),
                part.sure,
                at,
            )

        if not mine:
            self.say(i, "the cell for your answer was missing. It was put back, without an answer.")
            return set()
        best = max(mine, key=rank)
        part = self.parts[best]
        if code and rank(best)[:3] != (True, True, True):
            part = self._halves(mine, names) or part
            self.parts[best] = part
        if part.kind != "code" and code:
            self.say(
                i, "your answer was in a text cell, and does not read as Python. It was left out."
            )
            return set()
        if code and python_source.is_stub(part.text):
            if not names <= python_source.defined(part.text):
                self.say(
                    i, "the cell for your answer was empty. It was put back, without an answer."
                )
        else:
            self.sources[i] = part.text
        others = [
            at
            for at in mine
            if at != best and rank(at)[0] and plain(self.parts[at].text) != plain(part.text)
        ]
        answers = [
            at for at in others if not code or names & python_source.defined(self.parts[at].text)
        ]
        if answers:
            self.say(
                i,
                f"there were {len(answers) + 1} cells with an answer. One counts: the last that is complete.",
            )
        elif len(mine) > 1 and not others:
            self.say(i, "the cell for your answer was there more than once. One copy counts.")
        if rank(best)[0]:
            how = {
                "text": "your answer was in a text cell. It was turned back into code.",
                "cut": "your answer stood in one cell with other things. It was cut out.",
                "joined": "your answer was split over several cells. They were joined.",
                "": ""
                if part.sure or not self._labels()
                else "your answer stood in a cell of its own. It was put in its place.",
            }[part.how]
            if how:
                self.say(i, how)
        return set(mine) - {at for at in others if at not in answers}

    def _halves(self, mine: list[int], names: set[str]) -> Part | None:
        """Two parts of one answer that do not stand one below the other, joined; None when they make no answer."""
        for first, second in permutations(mine[:6], 2):
            text = f"{self.parts[first].text}\n{self.parts[second].text}"
            if (
                names
                and names <= python_source.defined(text)
                and python_source.parses(text)
                and not python_source.is_stub(text)
            ):
                return Part("code", text, self.parts[first].owner, True, "joined")
        return None

    def _ordinary(self, i: int, mine: list[int], old: bool) -> set[int]:
        """A cell of the lesson, or a check. Returns the parts that are settled; others become the learner's own cells."""
        same = {
            at
            for at in mine
            if is_release(self.release, self.parts[at]) and self.parts[at].how != "changed"
        }
        changed = [at for at in mine if at not in same]
        if i in self.release.checks:
            if not mine:
                self.say(i, "the cell with the check was missing. It was put back.")
            elif changed:
                self.say(i, "the cell with the check was changed. The original was used.")
            return set(mine)
        if same or not changed or old:
            return same | (set(changed) if old else set())
        at = changed[0]
        if self.release.always_runs(i):
            return set()  # the release's runs first, the learner's after it
        if self.parts[at].kind == self.release.cells[i].cell_type:
            self.sources[i] = self.parts[at].text
            return {at}
        return set() if self.parts[at].kind == "code" else {at}

    # --- the learner's own cells -----------------------------------------------------------------------------------------

    def _own_cells(self, used: set[int]) -> None:
        setup = next((i for i in range(len(self.release.cells)) if self.release.always_runs(i)), 0)
        anchor = setup
        for at, part in enumerate(self.parts):
            if part.owner is not None:
                anchor = max(part.owner, setup)
            if at not in used and part.text.strip():
                self.extras.append((anchor, part))
        self._definitions_first()

    def _definitions_first(self) -> None:
        """A helper that stands below the answer that needs it is moved above that answer."""
        moved = False
        for i in self.release.solutions:
            if i not in self.sources or not self.release.code(i):
                continue
            names = set(python_source.needed(self.sources[i]))
            above = {
                name
                for anchor, part in self.extras
                if anchor < i
                for name in python_source.bound(part.text)
            }
            for number, (anchor, part) in enumerate(self.extras):
                binds = python_source.bound(part.text) if part.kind == "code" else frozenset()
                if (
                    anchor >= i
                    and (names & binds) - above
                    and all(b.kind != "other" for b in python_source.blocks(part.text))
                ):
                    self.extras[number] = (i - 1, part)
                    names |= python_source.needed(part.text)
                    above |= binds
                    moved = True
        if moved:
            self.notes.append(
                "A cell with a helper or an import stood below the answer that needs it. It was moved above it."
            )

    # --- the whole -------------------------------------------------------------------------------------------------------

    def _labels(self) -> bool:
        return any(piece.grade_id or piece.id in self.release.by_id for piece in self.pieces)

    def _is_old(self) -> bool:
        """Known cells whose text nobody would rewrite differ: the file was made from another release of the lesson."""
        text = [
            part
            for part in self.parts
            if part.owner is not None and self.release.cells[part.owner].cell_type == "markdown"
        ]
        changed = [
            part for part in text if part.kind == "markdown" and not is_release(self.release, part)
        ]
        changed = [part for part in changed if part.owner not in self.release.solutions]
        strange = {piece.grade_id for piece in self.pieces if piece.grade_id} - set(
            self.release.by_grade_id
        )
        return len(changed) >= max(3, 0.1 * len(text)) or bool(strange)

    def _say_about_all(self, old: bool) -> None:
        graded = {*self.release.solutions, *self.release.checks}
        there = {part.owner for part in self.parts}
        cells = [
            i
            for i, cell in enumerate(self.release.cells)
            if i not in graded and cell.source.strip()
        ]
        missing = [i for i in cells if i not in there]
        known = [part.owner for part in self.parts if part.owner is not None]
        if not any(piece.grade_id for piece in self.pieces) and self.release.by_grade_id:
            self.notes.insert(
                0,
                "The notebook had lost the marks of its cells. They were found again by their text.",
            )
        if old:
            self.notes.append(
                "The notebook was made from another release of the lesson. The present one was used for grading."
            )
        elif len(missing) == 1:
            self.notes.append("One cell of the lesson was missing. It was put back.")
        elif missing:
            self.notes.append(
                f"{len(missing)} cells of the lesson were missing. They were put back."
            )
        if any(later < earlier for earlier, later in zip(known, known[1:])):
            self.notes.append(
                "Cells stood in another order than in the lesson. They were put back in its order."
            )

    def _build(self):
        nb = copy.deepcopy(self.release_nb)
        for i, source in self.sources.items():
            nb.cells[i].source = source
        self._tag_what_answers_lean_on(nb)
        cells, number = [], 0
        for i, cell in enumerate(nb.cells):
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
            cells.append(cell)
            for anchor, part in self.extras:
                if anchor == i:
                    number += 1
                    cells.append(NEW[part.kind](part.text, id=f"extra-{number}"))
        nb.cells = cells
        return nb

    def _tag_what_answers_lean_on(self, nb) -> None:
        """Grading leaves ordinary cells of the lesson out; those that bind a name that an answer reads must run."""
        own = [
            self.sources[i]
            for i in self.sources
            if i in self.release.solutions and self.release.code(i)
        ]
        own += [part.text for _, part in self.extras if part.kind == "code"]
        names = {name for text in own for name in python_source.needed(text)}
        bound_by = [
            python_source.bound(cell.source) if cell.cell_type == "code" else frozenset()
            for cell in nb.cells
        ]
        own_names = {name for text in own for name in python_source.bound(text)}
        always = {
            name for i, each in enumerate(bound_by) if self.release.always_runs(i) for name in each
        }
        missing, graded = (
            names - own_names - always,
            {*self.release.solutions, *self.release.checks},
        )
        for i in reversed(range(len(nb.cells))):
            if i not in graded and bound_by[i] & missing and not self.release.always_runs(i):
                nb.cells[i].metadata["tags"] = [*nb.cells[i].metadata.get("tags", []), "exercise"]
                missing |= python_source.needed(nb.cells[i].source) - always
