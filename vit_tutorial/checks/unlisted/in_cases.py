"""Right in some cases and wrong in others: what do the wrong ones have in common?"""

from collections.abc import Iterator

import torch

from ..engine.case import Case, ModuleRecipe
from ..engine.mistake import Evidence, Mistake
from .pattern import seen


def found(e: Evidence) -> Mistake | None:
    """What tells the right cases from the wrong ones. It narrows the search, and names nothing."""
    cases = [(case, e.right(i)) for i, case in enumerate(e.cases) if case.has_values]
    right, wrong = (sum(r is each for _, r in cases) for each in (True, False))
    if not right or not wrong:
        return None
    facts = [dict(_facts(case)) for case, _ in cases]
    for label in facts[0]:
        if min(right, wrong) < 2 and not label.endswith((" is 1", " is 0", "64", "asked for")):
            continue  # a single case agrees with many relations by chance
        holds = [each.get(label) is True for each in facts]
        if all(held == right for held, (_, right) in zip(holds, cases)):
            return _remark(f"It is right where {label}, and wrong in all other cases.")
        if all(held != right for held, (_, right) in zip(holds, cases)):
            return _remark(f"It is wrong where {label}, and right in all other cases.")
    return None


def _remark(text: str) -> Mistake:
    return seen(
        None,
        text,
        "What does your code do that makes no difference in the cases that are right?",
    )


def numbers(case: Case) -> Iterator[tuple[str, float, bool]]:
    """(label, number, whether it is a size): the numbers and sizes of all inputs."""
    for name, value in case.inputs.items():
        if type(value) in (int, float):
            yield f"`{name}`", value, False
        elif isinstance(value, tuple):
            yield from ((f"number {i} of `{name}`", n, False) for i, n in enumerate(value))
        elif isinstance(value, torch.Tensor):
            yield from ((f"axis {axis} of `{name}`", n, True) for axis, n in enumerate(value.shape))


def _facts(case: Case) -> Iterator[tuple[str, bool]]:
    """What may be special about a case, the more telling first."""
    sizes, counts = {}, {}
    for label, number, is_size in numbers(case):
        (sizes if is_size else counts)[label] = number
    tensors = [v for v in case.inputs.values() if isinstance(v, torch.Tensor)]
    recipes = [v for v in case.inputs.values() if isinstance(v, ModuleRecipe)]
    tensors += [tensor for recipe in recipes for tensor in recipe.state.values()]
    yield "the numbers are float64", any(t.dtype == torch.float64 for t in tensors)
    yield "gradients are asked for", case.grad
    for name, size in (counts | sizes).items():
        yield f"{name} is 1", size == 1
        yield f"{name} is 0", size == 0
    for group in (counts, sizes):
        items = list(group.items())
        for i, (one, a) in enumerate(items):
            for two, b in items[i + 1 :]:
                yield f"{one} equals {two}", a == b
    for one, a in sizes.items():
        for two, b in counts.items():
            yield f"{one} is larger than {two}", a > b
            yield f"{one} is a multiple of {two}", bool(b) and a % b == 0
