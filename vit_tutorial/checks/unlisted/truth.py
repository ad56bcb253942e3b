"""Truth values: amounts in their place, inverted, too many or too few of them."""

from collections.abc import Iterator

import torch

from .pattern import Pattern


def truth_values(right: torch.Tensor) -> Iterator[Pattern]:
    yield Pattern(
        "amounts_for_truth_values",
        "Your result holds numbers that differ from 0 exactly where True is right.",
        "Which comparison turns a number into True or False?",
        lambda mine, right: (
            mine.shape == right.shape and mine.dtype != torch.bool and torch.equal(mine != 0, right)
        ),
    )
    yield Pattern(
        "truth_values_counted",
        "Your result is the number of True values. The exercise asks for the values themselves.",
        "How many values does the exercise ask for?",
        lambda mine, right: mine.numel() == 1 and float(mine) == float(right.sum()),
    )
    yield Pattern(
        "truth_values_inverted",
        "True and False are swapped everywhere.",
        "Is your comparison True where two things are equal, or where they differ?",
        lambda mine, right: mine.shape == right.shape and torch.equal(mine.bool(), ~right),
    )
    for axis in range(right.ndim + 1):
        for words, to in (("any", torch.any), ("all", torch.all)):
            yield Pattern(
                "one_axis_left",
                f"Your result has one axis too many: {words}() along axis {axis} turns it into the "
                "right one.",
                "Which axis does the exercise not ask for, and how do many truth values along it "
                "become one?",
                lambda mine, right, axis=axis, to=to: (
                    mine.ndim == right.ndim + 1
                    and mine.dtype == torch.bool
                    and to(mine, dim=axis).shape == right.shape
                    and torch.equal(to(mine, dim=axis), right)
                ),
            )


def too_many_or_few() -> Iterator[Pattern]:
    """Wrong in one direction only."""
    yield Pattern(
        "true_values_missing",
        "Some True values are missing: yours are False there. The opposite never happens.",
        "What does your comparison count as equal? A wide tolerance hides a difference, and so "
        "does a change that is small or that the part undoes.",
        lambda mine, right: (
            mine.shape == right.shape and mine.dtype == torch.bool and not (mine & ~right).any()
        ),
        everywhere=False,
    )
    yield Pattern(
        "true_values_too_many",
        "Some values are True where False is right. The opposite never happens.",
        "What else differs between the two things that you compare? Rounding alone does not count.",
        lambda mine, right: (
            mine.shape == right.shape and mine.dtype == torch.bool and not (right & ~mine).any()
        ),
        everywhere=False,
    )
