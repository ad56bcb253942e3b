"""What runs for a submission: its cells in order, and the course's own checks, never the learner's.

A check cell is taken apart. Calls such as `checks.check_patchify(patchify)` are observed in the
sandbox and judged outside. Other code of the teacher's runs in the sandbox and passes when it
raises nothing.
"""

import ast
import re
from dataclasses import asdict, dataclass, replace

from ..repair import python_source
from .student import exercises

HIDDEN = re.compile(
    r"^[ \t]*### *BEGIN HIDDEN TESTS.*?^[ \t]*### *END HIDDEN TESTS[^\n]*$\n?",
    re.MULTILINE | re.DOTALL,
)
MARKS = re.compile(r"^[ \t]*### *(?:BEGIN|END) HIDDEN TESTS[^\n]*$\n?", re.MULTILINE)
# The lesson's set-up cell installs packages and describes the machine. In the sandbox everything
# is installed and there is no network, so only the names that it defines are needed.
SETUP = """import importlib.util
import os
import subprocess
import sys

import torch
from vit_tutorial import colab

device = torch.device("cpu")"""


@dataclass(frozen=True)
class CellPart:
    """What runs in one go: a whole cell, or a part of a check cell.

    kind: "run" (a whole cell), "alone" (after such a cell, if it stopped before it bound `names`:
    the statements that bind them), "observe" (a check of vit_tutorial.checks, judged outside),
    "inside" (the teacher's own code, which passes when nothing is raised) or "neutral" (imports and
    guesses, which run and count for nothing).
    check, expression: of an "observe" part, the check's name and what it is called with.
    hidden: between the marks of hidden tests.
    cell, part: the cell's number in the notebook, and the part's number in a check cell.
    """

    kind: str
    source: str = ""
    check: str = ""
    expression: str = ""
    hidden: bool = False
    cell: int = 0
    part: int | None = None
    names: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[int, int | None]:
        return self.cell, self.part


@dataclass(frozen=True)
class Plan:
    """What to run of one submission, in order.

    exercises: as in the results; "cell" is the number of the check cell, "answer" that of the cell
    with the answer, "names" what is asked for there.
    check_parts: {number of a check cell in `notebook`: its parts}.
    selected: answers, checks, and the cells that they need. everything: all cells of the notebook.
    skipped: names that only cells outside `selected` define.
    """

    notebook: object
    exercises: list[dict]
    check_parts: dict[int, list[CellPart]]
    selected: list[CellPart]
    everything: list[CellPart]
    skipped: frozenset[str]

    @property
    def checks(self) -> list[str]:
        """The names of the checks that are judged outside."""
        parts = (part for parts in self.check_parts.values() for part in parts)
        return sorted({part.check for part in parts if part.kind == "observe"})


class Assignment:
    """The course's own notebooks of one assignment, with what the plans of its submissions need.

    Made once for an assignment and used for each of its submissions, which leave it unchanged.
    """

    def __init__(self, source, release):
        self.checks = {
            cell.metadata["nbgrader"]["grade_id"]: cell.source
            for cell in source.cells
            if cell.metadata.get("nbgrader", {}).get("grade")
        }
        self.names = {
            cell.metadata["nbgrader"]["grade_id"]: python_source.defined_names(cell.source)
            for cell in source.cells
            if cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("solution")
        }
        self.released = {cell.get("id"): cell.source.strip() for cell in release.cells}
        self.exercises = exercises(source)


def make_plan(assignment: Assignment, notebook) -> Plan:
    """The plan for a repaired notebook of this assignment."""
    found = {each["grade_id"]: dict(each) for each in assignment.exercises}
    by_answer = {each["solution"]: each for each in found.values() if each["solution"]}
    check_parts, selected, everything, skipped = {}, [], [], set()
    for number, cell in enumerate(notebook.cells):
        own = cell.metadata.get("nbgrader", {})
        grade_id = own.get("grade_id")
        if grade_id in assignment.checks:
            found[grade_id]["cell"] = number
            if cell.cell_type == "code" and not own.get("solution"):
                parts = parse_check_cell(assignment.checks[grade_id], number)
                check_parts[number] = parts
                selected += parts
                everything += parts
                continue
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        tags = cell.metadata.get("tags", [])
        setup = "colab.setup(" in cell.source
        whole = [CellPart("run", SETUP if setup else cell.source, cell=number)]
        if grade_id in by_answer:
            by_answer[grade_id]["answer"] = number
            by_answer[grade_id]["names"] = sorted(assignment.names.get(grade_id, ()))
        if not setup and assignment.released.get(cell.get("id")) != cell.source.strip():
            asked = assignment.names.get(grade_id) or python_source.defined_names(cell.source)
            whole += _alone(cell.source, frozenset(asked), number)
        everything += whole
        if (
            setup
            or "setup" in tags
            or "exercise" in tags
            or own.get("solution")
            or assignment.released.get(cell.get("id")) != cell.source.strip()
        ):
            selected += whole
        else:
            skipped |= _bound_names(cell.source)
    return Plan(
        notebook, list(found.values()), check_parts, selected, everything, frozenset(skipped)
    )


def _alone(source: str, names: frozenset[str], number: int) -> list[CellPart]:
    """A part that binds these names when their cell stopped before it did; none where a cell holds
    nothing but definitions."""
    kinds = {each.kind for each in python_source.statements(source)}
    needed = python_source.needed_statements(source, names)
    if not needed or (kinds <= {"def"} and not source.lstrip().startswith("%%")):
        return []
    names = names & {name for text in needed for name in python_source.bound_names(text)}
    return [
        CellPart("alone", cell=number, part=-1, names=tuple(sorted(names)), alone=tuple(needed))
    ]


def parse_check_cell(source: str, number: int = 0) -> list[CellPart]:
    """The parts of check cell `number`: first those outside its hidden regions, then the hidden
    ones."""
    visible = HIDDEN.sub("", source)
    hidden = "\n".join(MARKS.sub("", found[0]) for found in HIDDEN.finditer(source))
    parts = _parse(visible, False) + _parse(hidden, True)
    if all(part.kind == "neutral" for part in parts):
        # A cell that checks nothing passes when it runs.
        parts = [replace(part, kind="inside") for part in parts]
    return [replace(part, cell=number, part=i) for i, part in enumerate(parts)]


def _parse(text: str, hidden: bool) -> list[CellPart]:
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError):
        return [CellPart("inside", text, hidden=hidden)]
    parts: list[CellPart] = []
    for node in body:
        source, call = ast.unparse(node), _check_call(node)
        if call:
            check, expression = call
            parts.append(CellPart("observe", source, check, expression, hidden))
            continue
        imports = isinstance(node, (ast.Import, ast.ImportFrom))
        kind = "neutral" if imports or "check_guess(" in source else "inside"
        if parts and parts[-1].kind == kind:
            parts[-1] = replace(parts[-1], source=f"{parts[-1].source}\n{source}")
        else:
            parts.append(CellPart(kind, source, hidden=hidden))
    return parts


def _check_call(node) -> tuple[str, str] | None:
    """(name, expression) of a statement `checks.check_X(expression)` or `check_X(expression)`.

    Anything but this plain form is the teacher's own code, and gives None.
    """
    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        return None
    call = node.value
    # Here, because it loads torch, which the process that only reads plans does not need.
    from vit_tutorial import checks

    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if (
        name in checks.names()
        and len(call.args) == 1
        and not call.keywords
        and not isinstance(call.args[0], ast.Starred)
    ):
        return name, ast.unparse(call.args[0])
    return None


def _bound_names(source: str) -> set[str]:
    """Every name that a cell of the lesson assigns, defines or imports, at any depth."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError):
        return set()
    names = set()
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {item.asname or item.name.split(".")[0] for item in node.names}
    return names


def plan_as_json(plan: Plan) -> dict:
    """The plan without its notebook, as JSON can hold it."""
    return {
        "exercises": plan.exercises,
        "check_parts": [
            [number, [asdict(part) for part in parts]] for number, parts in plan.check_parts.items()
        ],
        "selected": [asdict(part) for part in plan.selected],
        "everything": [asdict(part) for part in plan.everything],
        "skipped": sorted(plan.skipped),
    }


def plan_from_json(made: dict, notebook=None) -> Plan:
    """What `plan_as_json` was given, with a notebook."""
    return Plan(
        notebook,
        made["exercises"],
        {number: [_part(each) for each in parts] for number, parts in made["check_parts"]},
        [_part(each) for each in made["selected"]],
        [_part(each) for each in made["everything"]],
        frozenset(made["skipped"]),
    )


def _part(values: dict) -> CellPart:
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
    return CellPart(**values)
