"""Right numbers in wrong places: axes exchanged, entries missing, shifted, reshaped too early."""

import itertools
from collections.abc import Callable, Iterator

import torch

from ..engine.compare import close
from .pattern import MAX_AXES, Pattern, becomes


def places(axes) -> Iterator[Pattern]:
    for one, two in itertools.combinations(axes, 2):
        yield Pattern(
            "axes_exchanged",
            f"Axes {one} and {two} of your result are swapped; everything else is right.",
            "In which order does the exercise name the axes of the result?",
            becomes(lambda x, a=one, b=two: x.transpose(a, b)),
        )
    yield Pattern(
        "only_the_shape",
        "All numbers are right and in the right order; only the shape is wrong.",
        "Which axis is one too many, missing, or merged with its neighbour? Which method splits "
        "or merges axes?",
        lambda mine, right: (
            mine.shape != right.shape
            and mine.numel() == right.numel()
            and close(mine.reshape(right.shape), right, loose=True)
        ),
        everywhere=False,
    )


def along(axis: int) -> Iterator[Pattern]:
    along = f"along axis {axis}"

    def pattern(name: str, words: str, hint: str, to: Callable) -> Pattern:
        return Pattern(name, words, hint, becomes(to), makes=to)

    reach = f"Which of your indices or loops runs along axis {axis}? Where does it start and end?"
    yield pattern(
        "first_entry_alone",
        f"You return only the first entry {along}. It is right, but the others are missing.",
        reach,
        lambda x: x.narrow(axis, 0, 1),
    )
    yield pattern(
        "first_entry_alone",
        f"You return only the first entry {along}, without that axis. The others are missing.",
        reach,
        lambda x: x.select(axis, 0),
    )
    yield pattern(
        "last_entry_alone",
        f"You return only the last entry {along}. It is right, but the others are missing.",
        reach,
        lambda x: x.narrow(axis, x.shape[axis] - 1, 1),
    )
    yield pattern(
        "last_entry_alone",
        f"You return only the last entry {along}, without that axis. The others are missing.",
        reach,
        lambda x: x.select(axis, -1),
    )
    for end, words in ((0, "first"), (-1, "last")):
        yield pattern(
            "one_entry_for_all",
            f"Your result repeats its {words} entry {along}. That entry is right, but it fills the "
            "places of the others, too.",
            f"What in your code should change from one entry {along} to the next?",
            lambda x, end=end: x.select(axis, end).unsqueeze(axis).expand_as(x),
        )
    yield pattern(
        "first_entry_missing",
        f"The first entry {along} is missing; the others are right.",
        reach,
        lambda x: x.narrow(axis, 1, x.shape[axis] - 1),
    )
    yield pattern(
        "last_entry_missing",
        f"The last entry {along} is missing; the others are right.",
        reach,
        lambda x: x.narrow(axis, 0, x.shape[axis] - 1),
    )
    for start, words in ((1, "before the right ones"), (0, "after the right ones")):
        yield Pattern(
            "one_entry_too_many",
            f"There is one entry too many {along}, {words}; the others are right.",
            reach,
            lambda mine, right, start=start: (
                mine.ndim == right.ndim
                and mine.shape[axis] == right.shape[axis] + 1
                and close(mine.narrow(axis, start, right.shape[axis]), right, loose=True)
            ),
        )
    for axis_words, end in (("first", 0), ("last", -1)):
        yield Pattern(
            "some_entries_missing",
            f"Only the {axis_words} entries {along} are there. They are right, but the rest is "
            "missing.",
            reach,
            lambda mine, right, end=end: (
                mine.ndim == right.ndim
                and 0 < mine.shape[axis] < right.shape[axis]
                and close(
                    mine,
                    right.narrow(
                        axis,
                        0 if end == 0 else right.shape[axis] - mine.shape[axis],
                        mine.shape[axis],
                    ),
                    loose=True,
                )
            ),
            everywhere=False,
        )
    yield pattern(
        "result_reversed",
        f"All values are right, but in reverse order {along}.",
        f"Which of your lines counts {along}, and from which end?",
        lambda x: x.flip(axis),
    )
    for by in (1, -1, 2, -2):
        steps = f"{abs(by)} place{'s' if abs(by) > 1 else ''} {'forward' if by > 0 else 'back'}"
        yield pattern(
            "result_shifted",
            f"All values are right, but shifted {steps} {along}; what falls off one end "
            "comes back at the other.",
            f"Which of your indices is off {along}?",
            lambda x, by=by: x.roll(by, axis),
        )
    yield pattern(
        "every_entry_twice",
        f"Every entry {along} appears twice, side by side.",
        f"Does your loop add each entry {along} to the list only once?",
        lambda x: x.repeat_interleave(2, axis),
    )
    yield pattern(
        "everything_twice",
        f"The right result appears twice {along}, one copy after the other.",
        f"What does your code join {along}, and how often?",
        lambda x: torch.cat([x, x], axis),
    )


def order_of_axes(ndim: int) -> Iterator[Pattern]:
    if not 2 <= ndim <= MAX_AXES - 1:
        return
    for order in itertools.permutations(range(ndim)):
        if order == tuple(range(ndim)):
            continue
        yield Pattern(
            "axes_in_another_order",
            f"Your result has the axes of the right one, but in the order {order}.",
            "In which order does the exercise name the axes of the result?",
            becomes(lambda x, order=order: x.permute(order)),
        )
        yield Pattern(
            "moved_then_reshaped",
            f"All numbers are right, but in memory they follow the axes in the order {order}; then "
            "a reshape forced them into the right shape.",
            "A reshape moves no numbers. Which axes must change places before it?",
            lambda mine, right, order=order: (
                mine.numel() == right.numel()
                and close(mine.flatten(), right.permute(order).flatten(), loose=True)
            ),
        )
        yield Pattern(
            "reshaped_then_moved",
            f"All numbers are right, but they were reshaped first, and only then moved by "
            f"permute{order}.",
            "Which axes must change places before the reshape?",
            lambda mine, right, order=order: (
                mine.shape == right.shape
                and close(
                    mine,
                    right.reshape([right.shape[a] for a in order]).permute(
                        [order.index(a) for a in range(ndim)]
                    ),
                    loose=True,
                )
            ),
        )


def moved() -> Iterator[Pattern]:
    """All numbers are there: within each image, within each row of each image, or somewhere."""

    def ordered(x: torch.Tensor, kept: int) -> torch.Tensor:
        return x.flatten(kept).sort(dim=-1).values

    for kept, words in (
        (2, "in each row of each image, but in a different order"),
        (1, "in each image, but in other places"),
        (0, "once each, but in other places"),
    ):
        yield Pattern(
            "numbers_in_other_places",
            f"All numbers of the right result are there {words}.",
            "Take a tiny input whose numbers say where they come from (torch.arange, reshaped), "
            "and print the result. Which axis should vary fastest?",
            lambda mine, right, kept=kept: (
                right.ndim > kept
                and right.numel() > 1
                and mine.numel() == right.numel()
                and mine.ndim > kept
                and mine.shape[:kept] == right.shape[:kept]
                and close(ordered(mine, kept), ordered(right, kept), loose=True)
            ),
        )
