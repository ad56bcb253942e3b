"""Is the result right for other inputs? "It is what a correct function would return if b were 0."

The right function is tried on inputs that are changed in one way, the same in each case. A sentence
is given only where every value of every case agrees.
"""

from collections.abc import Callable

import torch

from ..engine.case import Observation
from ..engine.mistake import Evidence, Mistake
from ..engine.problem import same_values
from .changes import Change, changes
from .pattern import seen


def found(
    e: Evidence, reference: Callable, observe_one: Callable, hidden: tuple[str, ...] = ()
) -> Mistake | None:
    """The change of the inputs that explains every case, as a mistake with its own words.

    hidden: inputs that a function does not get, so that it cannot have read them wrongly.
    """
    if not _tell_apart(e) or all(mine.error for _, mine, _ in e.compared()):
        return None
    for change in changes({n: value for n, value in e.inputs.items() if n not in hidden}):
        if _explains(change, e, reference, observe_one):
            text = f"Your result is what a correct function would return if {change.words}."
            return seen(change.name, text, change.hint)
    return None


def _tell_apart(e: Evidence) -> bool:
    """The values are many enough to agree with one explanation alone: truth values are not."""
    return all(
        tensor.dtype != torch.bool
        for _, _, right in e.compared()
        for tensor in right.tensors.values()
    ) and all(right.facts.get("form") != "a list of True and False" for right in e.expected)


def _explains(change: Change, e: Evidence, reference: Callable, observe_one: Callable) -> bool:
    shown = silent = 0
    for case, mine, expected in e.compared():
        try:
            altered = change.case(case)
        except (RuntimeError, IndexError, ValueError, KeyError, TypeError, ZeroDivisionError):
            return False
        theirs: Observation = observe_one(reference, altered)
        if mine.error and theirs.error:
            silent += 1
        elif mine.error or not same_values(mine, theirs):
            return False
        else:
            shown += not same_values(mine, expected)
    return shown > 0 and silent <= shown
