"""Answers that are nearly the same: a hint for the teacher, worked out on this machine.

Two answers are compared as syntax trees, so formatting, comments and the names of variables count
for nothing. What many in the class wrote, or what stands in the course's own solution, is no sign
of anything: a pair is shown for the unusual pieces that it shares, and there must be enough.
"""

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from ..progress import track
from ..repair import python_source

PIECE = 5  # nodes of the tree in a row that make one piece
LEAST_PIECES = 12  # unusual pieces that both answers must have
LEAST_SHARE = 0.8  # of the smaller answer's unusual pieces that the other must have, too
USUAL_SHARE = 0.25  # of the class: a piece that more have is usual, and so is one of four people
USUAL_NUMBER = 4


@dataclass(frozen=True)
class Answer:
    """One student's answer to one exercise. exercise: the grade_id of its check."""

    student: str
    assignment: str
    exercise: str
    title: str
    source: str


@dataclass(frozen=True)
class Pair:
    """Two answers that are nearly the same. share: of all their pieces that both have, 0 to 1.
    unusual: pieces that they share and hardly anybody else has. same_text: word for word, with the
    comments."""

    one: Answer
    two: Answer
    share: float
    unusual: int
    same_text: bool


def similar_pairs(answers: Sequence[Answer], solutions: dict[str, str]) -> list[Pair]:
    """The pairs of answers that are nearly the same, the most alike first.

    solutions: {exercise: the course's own answer}, which is no sign of copying.
    """
    by_exercise: dict[tuple[str, str], list[Answer]] = {}
    for each in answers:
        by_exercise.setdefault((each.assignment, each.exercise), []).append(each)
    found = [
        pair
        for (_, exercise), group in track(by_exercise.items(), "comparing", "exercises")
        for pair in _pairs(group, solutions.get(exercise, ""))
    ]
    return sorted(found, key=lambda pair: (-pair.share, -pair.unusual, pair.one.student))


def _pairs(group: list[Answer], solution: str) -> Iterator[Pair]:
    counted = [pieces(each.source) for each in group]
    people = Counter(piece for each in counted for piece in each)
    usual = max(USUAL_NUMBER - 1, USUAL_SHARE * len(group))
    own = pieces(solution)
    unusual = [
        {piece for piece in each if people[piece] <= usual and piece not in own} for each in counted
    ]
    long_enough = [i for i, each in enumerate(unusual) if len(each) >= LEAST_PIECES]
    for i, j in combinations(long_enough, 2):
        shared = len(unusual[i] & unusual[j])
        if shared < LEAST_PIECES or shared < LEAST_SHARE * min(len(unusual[i]), len(unusual[j])):
            continue
        both = sum((counted[i] & counted[j]).values())
        share = 2 * both / (counted[i].total() + counted[j].total())
        if share >= LEAST_SHARE:
            same = group[i].source.split() == group[j].source.split()
            yield Pair(group[i], group[j], share, shared, same)


def pieces(source: str) -> Counter[tuple[str, ...]]:
    """The answer as pieces of PIECE nodes in a row, with how often each occurs."""
    tree = python_source.parse(source)
    if tree is None:
        return Counter()
    nodes = _nodes(tree)
    return Counter(tuple(nodes[i : i + PIECE]) for i in range(len(nodes) - PIECE + 1))


def _nodes(tree: ast.Module) -> list[str]:
    """The tree's nodes in the order of the text; a variable by the order in which it appears."""
    bound = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and _stores(node)} | {
        node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)
    }
    numbers: dict[str, int] = {}
    found: list[str] = []
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, (ast.Load, ast.Store, ast.Import, ast.ImportFrom)):
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # a docstring
        name = getattr(node, "id", None) or getattr(node, "arg", None)
        if name in bound:
            name = f"v{numbers.setdefault(name, len(numbers))}"
        value = repr(node.value)[:40] if isinstance(node, ast.Constant) else ""
        found.append(f"{type(node).__name__} {name or ''}{getattr(node, 'attr', '')}{value}")
        children = [
            child
            for key, value in ast.iter_fields(node)
            if key not in ("annotation", "returns")
            for child in (value if isinstance(value, list) else [value])
            if isinstance(child, ast.AST)
        ]
        stack.extend(reversed(children))
    return found


def _stores(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)
