"""Which pattern do all cases show?"""

from collections.abc import Callable, Iterator

import torch

from ..engine.compare import close
from ..engine.mistake import Evidence, Mistake
from .functions import constants, functions
from .pattern import MAX_AXES, Pattern
from .places import along, moved, order_of_axes, places
from .truth import too_many_or_few, truth_values
from .where import where

MAX_NUMBERS = 1_000_000  # of a result that is looked at: what came from a sandbox may be large


def telling(e: Evidence) -> Mistake | None:
    """The first pattern that tells what happened to the result, as a mistake."""
    return _first(e, _telling)


def vague(e: Evidence) -> Mistake | None:
    """The first pattern that tells where the wrong values are, as a mistake."""
    return _first(e, _vague)


def _first(e: Evidence, patterns: Callable) -> Mistake | None:
    for name, pairs in wrong_tensors(e):
        stopped = [right for mine, right in pairs if mine is None]
        pairs = [pair for pair in pairs if pair[0] is not None]
        wrong = [pair for pair in pairs if not alike(*pair)]
        of = f"{name}: " if name else ""
        for pattern in patterns(wrong[0][1]):
            seen = pairs if pattern.everywhere else wrong
            if all(holds(pattern, *p) for p in seen) and all(
                leaves_nothing(pattern, r) for r in stopped
            ):
                return pattern.mistake(of)
    return None


Pairs = list[tuple[torch.Tensor, torch.Tensor]]


def wrong_tensors(e: Evidence) -> Iterator[tuple[str, Pairs]]:
    """(name, (mine, right) of each case): all tensors that are wrong together, then each alone.

    The name is empty for all together. mine is None where the function stopped with an error. A
    tensor that is missing in another case, or is too large to look at, is left out.
    """
    by_name, missing = {}, set()
    for _, mine, right in e.compared():
        for name, tensor in right.tensors.items():
            by_name.setdefault(name, []).append((mine.tensors.get(name), tensor))
            if name not in mine.tensors and not mine.error:
                missing.add(name)
    count = max(map(len, by_name.values()), default=0)
    found = {
        name: pairs
        for name, pairs in by_name.items()
        if len(pairs) == count
        and name not in missing
        and all(mine is None or mine.numel() <= MAX_NUMBERS for mine, _ in pairs)
        and any(mine is not None and not alike(mine, right) for mine, right in pairs)
    }
    if found and not missing:
        yield "", [pair for pairs in found.values() for pair in pairs]
    for name, pairs in found.items():
        if len(by_name) > 1:
            yield name, pairs


def alike(mine: torch.Tensor, right: torch.Tensor) -> bool:
    return close(mine, right, loose=True)


def leaves_nothing(pattern: Pattern, right: torch.Tensor) -> bool:
    """The pattern makes an empty tensor of the right one: functions stop with an error then."""
    return pattern.makes is not None and not pattern.makes(right).numel()


def holds(pattern: Pattern, mine: torch.Tensor, right: torch.Tensor) -> bool:
    """The pattern's relation; False where it does not apply to these shapes or dtypes."""
    try:
        return bool(pattern.holds(mine, right))
    except (RuntimeError, IndexError, ValueError, TypeError):
        return False


def _telling(right: torch.Tensor) -> Iterator[Pattern]:
    axes = range(min(right.ndim, MAX_AXES))
    yield from places(axes)
    for axis in axes:
        yield from along(axis)
    yield from constants()
    yield from order_of_axes(right.ndim)
    yield from truth_values(right) if right.dtype == torch.bool else functions(axes)


def _vague(right: torch.Tensor) -> Iterator[Pattern]:
    yield from where(right.shape)
    yield from too_many_or_few() if right.dtype == torch.bool else moved()
