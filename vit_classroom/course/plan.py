"""What is run for a submission: its cells in order, and what each check asks for, from the course and never from the learner."""

import ast
import re
from dataclasses import dataclass

from vit_tutorial import checks

from .student import exercises

HIDDEN = re.compile(
    r"^[ \t]*### *BEGIN HIDDEN TESTS.*?^[ \t]*### *END HIDDEN TESTS[^\n]*$\n?",
    re.MULTILINE | re.DOTALL,
)
MARKS = re.compile(r"^[ \t]*### *(?:BEGIN|END) HIDDEN TESTS[^\n]*$\n?", re.MULTILINE)
# The set-up cell installs and looks at the machine; here everything is installed and there is no network.
SETUP = "import importlib.util\nimport os\nimport subprocess\nimport sys\n\nimport torch\nfrom vit_tutorial import colab\n\n"
SETUP += 'device = torch.device("cpu")'


@dataclass(frozen=True)
class Piece:
    """A part of a check cell. kind: "observe" (a check of vit_tutorial.checks), "inside" (other code; passes when nothing is
    raised) or "neutral" (imports, guesses: run, with no say)."""

    kind: str
    source: str
    check: str = ""
    expression: str = ""
    hidden: bool = False


@dataclass(frozen=True)
class Step:
    """One thing to do in the sandbox: run a cell (piece None), or a piece of the check cell `cell` (numbers in the notebook)."""

    cell: int
    piece: int | None
    kind: str
    source: str = ""
    check: str = ""
    expression: str = ""
    hidden: bool = False

    @property
    def key(self) -> tuple:
        return self.cell, self.piece


@dataclass(frozen=True)
class Plan:
    """exercises: as in the results. pieces: of each check cell, by the cell's number in `notebook`. skipped: names that cells
    which do not run would define."""

    notebook: object
    exercises: list[dict]
    pieces: dict[int, list[Piece]]
    steps: list[Step]
    everything: list[Step]
    skipped: frozenset[str]

    @property
    def checks(self) -> list[str]:
        """The names of the checks that are judged outside."""
        return sorted(
            {
                piece.check
                for pieces in self.pieces.values()
                for piece in pieces
                if piece.kind == "observe"
            }
        )


def make(source, release, notebook) -> Plan:
    """The plan for a repaired notebook. source, release: the course's own notebooks of this assignment."""
    graded = {
        cell.metadata["nbgrader"]["grade_id"]: cell.source for cell in source.cells if _graded(cell)
    }
    text = {cell.get("id"): cell.source.strip() for cell in release.cells}
    found = {each["grade_id"]: dict(each) for each in exercises(source)}
    pieces, steps, everything, skipped = {}, [], [], set()
    for number, cell in enumerate(notebook.cells):
        own = cell.metadata.get("nbgrader", {})
        grade_id = own.get("grade_id")
        if grade_id in graded:
            found[grade_id]["cell"] = number
            if cell.cell_type == "code" and not own.get("solution"):
                pieces[number] = parse(graded[grade_id])
                parts = [
                    Step(number, i, p.kind, p.source, p.check, p.expression, p.hidden)
                    for i, p in enumerate(pieces[number])
                ]
                steps += parts
                everything += parts
                continue
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        tags = cell.metadata.get("tags", [])
        setup = "colab.setup(" in cell.source
        run = Step(number, None, "run", SETUP if setup else cell.source)
        everything.append(run)
        if (
            setup
            or "setup" in tags
            or "exercise" in tags
            or own.get("solution")
            or text.get(cell.get("id")) != cell.source.strip()
        ):
            steps.append(run)
        else:
            skipped |= _binds(cell.source)
    return Plan(notebook, list(found.values()), pieces, steps, everything, frozenset(skipped))


def parse(source: str) -> list[Piece]:
    """The pieces of a check cell: those outside its hidden regions first, then the hidden ones."""
    visible = HIDDEN.sub("", source)
    hidden = "\n".join(MARKS.sub("", found[0]) for found in HIDDEN.finditer(source))
    pieces = _parse(visible, False) + _parse(hidden, True)
    if not any(
        piece.kind != "neutral" for piece in pieces
    ):  # a cell that only runs passes when it does
        pieces = [Piece("inside", piece.source, hidden=piece.hidden) for piece in pieces]
    return pieces


def _parse(text: str, hidden: bool) -> list[Piece]:
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError):
        return [Piece("inside", text, hidden=hidden)]
    pieces: list[Piece] = []
    for node in body:
        call = _check(node)
        piece = ast.unparse(node)
        if call:
            pieces.append(Piece("observe", piece, call[0], call[1], hidden))
            continue
        kind = (
            "neutral"
            if isinstance(node, (ast.Import, ast.ImportFrom)) or "check_guess(" in piece
            else "inside"
        )
        if pieces and pieces[-1].kind == kind:
            pieces[-1] = Piece(kind, f"{pieces[-1].source}\n{piece}", hidden=hidden)
        else:
            pieces.append(Piece(kind, piece, hidden=hidden))
    return pieces


def _check(node) -> tuple[str, str] | None:
    """(name, expression) when the statement is checks.check_X(expression) or check_X(expression)."""
    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        return None
    call = node.value
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if (
        name in checks.names()
        and len(call.args) == 1
        and not call.keywords
        and not isinstance(call.args[0], ast.Starred)
    ):
        return name, ast.unparse(call.args[0])
    return None


def _graded(cell) -> bool:
    return bool(cell.metadata.get("nbgrader", {}).get("grade"))


def _binds(source: str) -> set[str]:
    """Names that a cell of the lesson defines at its top level or in a loop there."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError):
        return set()
    names = {
        node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    names |= {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    names |= {
        a.asname or a.name.split(".")[0]
        for n in nodes
        if isinstance(n, (ast.Import, ast.ImportFrom))
        for a in n.names
    }
    return names
