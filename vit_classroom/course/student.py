"""The copy of a lesson that a learner gets: the same text and cells, without solutions and outputs.

nbgrader's ClearSolutions and ClearHiddenTests take the solutions out, so that a student copy is
the same as nbgrader's release.
"""

import copy
import logging
import re

import nbformat

# Replaces a solution. It is valid Python, so the cell runs, and the check explains the error.
STUB = 'raise NotImplementedError("Write this function, then run the check below.")'
# A written answer (a markdown cell that is a solution) has this instead.
TEXT_STUB = "*Write your answer here.*"
# With this tag "Run all" continues after a check that fails.
GOES_ON = "raises-exception"

BADGE = re.compile(
    r"^\[!\[Open in Colab\]\((?P<picture>[^)]+)\)\]"
    r"\((?P<address>[^)]+/notebooks/)(?P<name>[^)/]+)\.ipynb\)$"
)
SAYS = "**This is the student copy.** The exercises are yours to write."
STUDENT_BADGE = "[![Open the student copy in Colab]"
ANSWER_SHOWN = re.compile(r"<summary>[^<]*\bsolutions?\b", re.IGNORECASE)


def student_copy(nb):
    """A copy of the lesson `nb` (nbformat 4.5) for learners; `nb` itself is not changed.

    Solutions become a stub. Hidden tests, outputs and execution counts are removed. Check cells get
    the tag `raises-exception`. Cell ids and nbgrader's metadata stay. Raises ValueError when a
    solution would survive, with the cell's number and first words.
    """
    return without_solutions(prepared(nb))


def prepared(nb):
    """The lesson with a student copy's head and tags, but with its solutions.

    This is what an nbgrader course keeps under source/.
    """
    nb = copy.deepcopy(nb)
    nb.metadata = nbformat.from_dict(
        {
            "kernelspec": nb.metadata.get("kernelspec", {"name": "python3"}),
            "language_info": nb.metadata.get("language_info", {"name": "python"}),
        }
    )
    _refuse_shown_solutions(nb)
    for cell in nb.cells:
        own = cell.metadata.get("nbgrader", {})
        tags = [
            tag
            for tag in cell.metadata.get("tags", [])
            if not tag.startswith("nbval") and tag != GOES_ON
        ]
        if own.get("grade") and cell.cell_type == "code":
            tags.append(GOES_ON)
        kept = {"nbgrader": own} if own else {}
        cell.metadata = nbformat.from_dict(kept | ({"tags": tags} if tags else {}))
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    if nb.cells:
        nb.cells[0].source = _head(nb.cells[0].source)
    return nb


def settings() -> dict:
    """nbgrader's settings, {class: {option: value}}, for student copies and for a new course."""
    return {"ClearSolutions": {"code_stub": {"python": STUB}, "text_stub": TEXT_STUB}}


def without_solutions(nb):
    """`nb` with solutions and hidden tests taken out, in place.

    Raises ValueError when the markers are not in order.
    """
    from nbgrader.preprocessors import ClearHiddenTests, ClearSolutions
    from traitlets.config import Config

    config = Config(settings())
    # nbgrader logs a problem before it raises it: here the error alone speaks.
    for step in (ClearSolutions(config=config), ClearHiddenTests(config=config)):
        step.log = _silent()
        try:
            nb, _ = step.preprocess(nb, {})
        except RuntimeError as error:
            raise ValueError(f"the markers of a solution are not in order: {error}") from None
    for number, cell in enumerate(nb.cells):
        if re.search(r"### *(BEGIN|END) (SOLUTION|HIDDEN TESTS)", cell.source):
            raise ValueError(
                f"a solution's marker is left in {place(number, cell)}: "
                "BEGIN and END must be on lines of their own"
            )
    return nb


def exercises(nb) -> list[dict]:
    """The graded cells of a lesson in order, each {"grade_id", "title", "points", "solution"}.

    title: the bold text "Exercise 1.2 ..." in the nearest markdown cell above; without one, the
    grade_id. solution: the grade_id of the answer's cell, or None.
    """
    found, title, answer = [], None, None
    for cell in nb.cells:
        own = cell.metadata.get("nbgrader", {})
        if cell.cell_type == "markdown" and not own:
            bold = re.search(r"\*\*\s*(Exercise .+?)\s*\*\*", cell.source)
            title = _short(bold[1]) if bold else title
        if own.get("solution"):
            answer = own["grade_id"]
        if own.get("grade") or own.get("task"):
            found.append(
                {
                    "grade_id": own["grade_id"],
                    "title": title or own["grade_id"],
                    "points": own.get("points", 0),
                    "solution": own["grade_id"] if own.get("solution") else answer,
                }
            )
            answer = None
    return found


def place(number: int, cell) -> str:
    """How a message names a cell: its number from 1 and its first words."""
    words = next((line.strip() for line in cell.source.split("\n") if line.strip()), "empty")
    return f"cell {number + 1} ({words[:60]!r})"


def _short(title: str) -> str:
    """The title without its points: they stand beside it anyway."""
    return " ".join(re.sub(r"\s*\(\d+ points?\)", "", title).split()).rstrip(":. ")


def _head(source: str) -> str:
    """The first cell of the student copy: its own badge, and a line that says what this is."""
    lines = [line for line in source.split("\n") if not line.startswith(STUDENT_BADGE)]
    for number, line in enumerate(lines):
        badge = BADGE.match(line.strip())
        if badge:
            owner = re.search(r"/github/([\w.-]+/[\w.-]+)/blob/", badge["address"])
            lesson = (
                f"https://github.com/{owner[1]}/blob/main/notebooks/{badge['name']}.ipynb"
                if owner
                else f"{badge['name']}.ipynb"
            )
            address = f"{badge['address']}student/{badge['name']}.ipynb"
            mine = f"{STUDENT_BADGE}({badge['picture']})]({address})"
            says = f"{SAYS} [The lesson]({lesson}) has every output and the solutions."
            lines[number : number + 1] = [mine, "", says]
            return "\n".join(lines)
    return "\n".join(
        [
            *lines[:1],
            "",
            f"{SAYS} The lesson of the same name has every output and the solutions.",
            *lines[1:],
        ]
    )


def _refuse_shown_solutions(nb) -> None:
    shown = [
        place(number, cell)
        for number, cell in enumerate(nb.cells)
        if cell.cell_type == "markdown" and ANSWER_SHOWN.search(cell.source)
    ]
    if shown:
        raise ValueError(
            f"a solution can be unfolded in {'; '.join(shown)}: "
            "put it into a code cell, between nbgrader's markers"
        )


def _silent():
    log = logging.getLogger("vit_classroom.nbgrader")
    log.addHandler(logging.NullHandler())
    log.propagate = False
    return log
