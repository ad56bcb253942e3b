"""Python as text: whether it parses, what it defines, where it can be cut.

Nothing is executed or compiled.
"""

import ast
import builtins
import re
import symtable
import warnings
from dataclasses import dataclass
from functools import lru_cache

from .ipython_lines import as_ipython_reads, masked, without_cell_magic

# Characters. Python's own parser recurses, and should not meet enormous input.
LONGEST_PARSED = 60_000


@dataclass(frozen=True)
class Statement:
    """One statement at the top level, with the comments above it.

    text: its lines. normalized: the statement alone, as ast.unparse writes it.
    """

    text: str
    normalized: str
    defines: frozenset[str]
    kind: str  # "def", "import", "assign", "text" (a string that stands alone) or "other"


@lru_cache(maxsize=512)
def parse(source: str) -> ast.Module | None:
    """The syntax tree, or None; nobody changes it. Lines for IPython (%time, !ls, x?) are read as
    a kernel reads them, and a cell magic (%%time) on the first line is passed over."""
    if len(source) > LONGEST_PARSED:
        return None
    tree = _tree(source)
    if tree is None and any(mark in source for mark in "%!?"):
        text = without_cell_magic(source)
        spelled = as_ipython_reads(text)
        tree = _tree(masked(text) if spelled is None else spelled)
    return tree


def _tree(source: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            # Such as "invalid escape sequence", which is the learner's and not ours.
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return None


def parses(source: str) -> bool:
    return parse(source) is not None


def defined_names(source: str) -> frozenset[str]:
    """Functions and classes that the text defines at its top level.

    In a text that does not parse they are found by their first line.
    """
    tree = parse(source)
    if tree is None:
        return frozenset(re.findall(r"^(?:async +)?(?:def|class) +(\w+)", source, re.MULTILINE))
    return frozenset(node.name for node in tree.body if isinstance(node, DEFINITIONS))


def is_stub(source: str, names: frozenset[str] | set[str] = frozenset()) -> bool:
    """Nobody wrote anything: there is nothing but text, imports, `pass`, and functions that raise
    NotImplementedError at once. Who imports one of `names`, which are asked for, wrote that."""
    tree = parse(source)
    if tree is None:
        return False
    imports = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    if names & _names(imports):
        return False
    left = [
        node
        for node in tree.body
        if not _only_text(node) and not isinstance(node, (ast.Import, ast.ImportFrom, ast.Pass))
    ]
    return all(
        _raises(node) or (isinstance(node, FUNCTIONS) and _empty(node.body)) for node in left
    )


def statements(source: str) -> list[Statement]:
    """The statements of a text, in order; together they hold all of its lines.

    Empty when it does not parse.
    """
    tree = parse(source)
    if tree is None or not tree.body:
        return []
    lines, found, start = source.split("\n"), [], 0
    groups: list[list[ast.stmt]] = []
    for node in tree.body:  # statements that share a line (a; b) stay together
        first = min([node.lineno, *(item.lineno for item in getattr(node, "decorator_list", []))])
        if groups and first <= groups[-1][-1].end_lineno:
            groups[-1].append(node)
        else:
            groups.append([node])
    for number, group in enumerate(groups):
        end = len(lines) if number == len(groups) - 1 else group[-1].end_lineno
        text = "\n".join(lines[start:end]).strip("\n")
        found.append(
            Statement(
                text, "; ".join(_spelled(node) for node in group), _names(group), _kind(group)
            )
        )
        start = end
    return found


def definition(source: str, name: str) -> str | None:
    """The lines that define `name` in a text that does not parse as a whole, or None.

    A definition ends before the next line at the left margin that cannot belong to it. Nothing that
    is indented is dropped: a function without its broken last line would be another function.
    """
    lines = definition_block(source, name).split("\n")
    while len(lines) > 1 and lines[-1][:1] and lines[-1][0] in ")]}#":
        if parses("\n".join(lines)):
            break
        lines.pop()
    text = "\n".join(lines).rstrip()
    return text if name in defined_names(text) and parses(text) else None


def definition_block(source: str, name: str) -> str:
    """The lines that look like the definition of `name`, whether or not they parse; or ""."""
    lines = source.split("\n")
    head = re.compile(rf"(?:async +)?(?:def|class) +{re.escape(name)}\b")
    first = next((number for number, line in enumerate(lines) if head.match(line)), None)
    if first is None:
        return ""
    last = first + 1
    # isspace() also takes the non-breaking spaces that come along from web pages.
    while last < len(lines) and (
        not lines[last].strip() or lines[last][0].isspace() or lines[last][0] in ")]}#"
    ):
        last += 1
    while first and lines[first - 1].startswith("@"):
        first -= 1
    return "\n".join(lines[first:last]).rstrip()


def needed_statements(source: str, names: frozenset[str]) -> list[str]:
    """The statements that bind these names, and those that bind what they read, in order.

    Empty when the text does not parse or binds none of the names.
    """
    kept: list[str] = []
    needed = set(names)
    for each in reversed(statements(without_cell_magic(source))):
        binds = bound_names(each.text)
        if binds & needed:
            kept.insert(0, each.text)
            needed |= free_names(each.text)
    return kept


def free_names(source: str) -> frozenset[str]:
    """The names that the text reads, also inside its functions, and does not bind."""
    tree = parse(source)
    if tree is None:
        return frozenset()
    try:
        table = symtable.symtable(ast.unparse(tree), "cell", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    names, tables = set(), [table]
    bound = {
        symbol.get_name()
        for symbol in table.get_symbols()
        if symbol.is_assigned() or symbol.is_imported()
    }
    while tables:
        scope = tables.pop()
        tables += scope.get_children()
        names |= {
            each.get_name()
            for each in scope.get_symbols()
            if each.is_referenced() and (scope is table or each.is_global())
        }
    return frozenset(names - bound - set(dir(builtins)))


def bound_names(source: str) -> frozenset[str]:
    """The names that the text binds at its top level: functions, classes, imports, assignments,
    loops."""
    tree = parse(source)
    names, nodes = set(), list(tree.body) if tree else []
    while nodes:
        node = nodes.pop()
        names |= _names([node])
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        if not isinstance(node, (*DEFINITIONS, ast.Lambda)):
            nodes += ast.iter_child_nodes(node)
    return frozenset(names)


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DEFINITIONS = (*FUNCTIONS, ast.ClassDef)


def _only_text(node) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, (str, type(...)))
    )


def _raises(node) -> bool:
    if not isinstance(node, ast.Raise) or node.exc is None:
        return False
    error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    return isinstance(error, ast.Name) and error.id == "NotImplementedError"


def _empty(body) -> bool:
    return all(_only_text(node) or isinstance(node, ast.Pass) or _raises(node) for node in body)


def _names(nodes) -> frozenset[str]:
    names = set()
    for node in nodes:
        if isinstance(node, DEFINITIONS):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {(item.asname or item.name).split(".")[0] for item in node.names}
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {
                part.id
                for target in targets
                for part in ast.walk(target)
                if isinstance(part, ast.Name)
            }
    return frozenset(names)


def _kind(nodes) -> str:
    kinds = {_kind_of(node) for node in nodes}
    return kinds.pop() if len(kinds) == 1 else "other"


def _kind_of(node) -> str:
    for kind, types in (
        ("def", DEFINITIONS),
        ("import", (ast.Import, ast.ImportFrom)),
        ("assign", (ast.Assign, ast.AnnAssign)),
    ):
        if isinstance(node, types):
            return kind
    return "text" if _only_text(node) else "other"


def _spelled(node) -> str:
    try:
        return ast.unparse(node)
    except (RecursionError, ValueError):
        return ""
