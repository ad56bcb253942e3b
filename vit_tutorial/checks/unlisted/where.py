"""Where the wrong values are: at one end, on the diagonal, or everywhere but there."""

import itertools
from collections.abc import Callable, Iterator

import torch

from ..engine.compare import wrong_values
from .pattern import MAX_AXES, Pattern


def _wrong(mine: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    if mine.shape != right.shape:
        raise ValueError("no place can be named where the shapes differ")
    return wrong_values(mine, right)


def where(shape) -> Iterator[Pattern]:
    """Where the wrong values are: at one end, or everywhere but there."""

    def pattern(name: str, words: str, hint: str, of: Callable) -> Pattern:
        return Pattern(
            name, words, hint, lambda mine, right: of(_wrong(mine, right)), everywhere=False
        )

    axes = [axis for axis in range(min(len(shape), MAX_AXES)) if shape[axis] > 1]
    for axis in axes:
        for end, words in ((0, "first"), (-1, "last")):
            yield pattern(
                "one_entry_wrong",
                f"Everything is right except the {words} entry along axis {axis}.",
                f"What does your code do differently for the {words} entry along axis {axis}?",
                lambda wrong, a=axis, end=end: (
                    wrong.select(a, end).any() and not _without(wrong, a, end).any()
                ),
            )
    for axis in axes:
        for end, words in ((0, "first"), (-1, "last")):
            yield pattern(
                "one_entry_right",
                f"Only the {words} entry along axis {axis} is right; each of the others has "
                "wrong values.",
                f"What changes from one entry along axis {axis} to the next, and does your code "
                "follow it?",
                lambda wrong, a=axis, end=end: (
                    wrong.shape[a] > 1
                    and not wrong.select(a, end).any()
                    and bool(_without(wrong, a, end).movedim(a, 0).flatten(1).any(dim=1).all())
                ),
            )
    for one, two in itertools.combinations(axes, 2):
        for words, of in (
            ("is wrong; everything else is right", lambda on, off: on.any() and not off.any()),
            ("is right; elsewhere there are wrong values", lambda on, off: not on.any()),
        ):
            yield pattern(
                "diagonal",
                f"The diagonal of axes {one} and {two} {words}.",
                "What does your code do when it pairs an entry with itself?",
                lambda wrong, a=one, b=two, of=of: (
                    wrong.shape[a] == wrong.shape[b] > 1 and bool(of(*_diagonal(wrong, a, b)))
                ),
            )


def _without(wrong: torch.Tensor, axis: int, end: int) -> torch.Tensor:
    return wrong.narrow(axis, 1 if end == 0 else 0, wrong.shape[axis] - 1)


def _diagonal(wrong: torch.Tensor, one: int, two: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(the values on the diagonal of two axes, all others)."""
    on = torch.eye(wrong.shape[one], dtype=torch.bool)
    flat = wrong.movedim((one, two), (0, 1))
    return flat[on], flat[~on]
