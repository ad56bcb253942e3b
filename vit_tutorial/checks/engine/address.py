"""Where the numbers of a result come from: "patch 0 reads 000 001, expected 000 100".

Random inputs are what a check needs, and their numbers tell a learner nothing. But no two of them
are equal, so each number of a result that only moves numbers can be followed back to its place.
"""

from collections.abc import Callable

import torch

SHOWN = 6  # numbers of a row
MISSING = "?"  # a number that is none of the input's


def sources(values: torch.Tensor, of: torch.Tensor) -> torch.Tensor | None:
    """For each value its index in the flattened `of`, -1 where it is not one of its numbers.

    None where `of` holds a number twice, or where most values are no numbers of it.
    """
    known, order = of.flatten().double().sort()
    if len(known) > 1 and (known[1:] == known[:-1]).any() or not len(known) or not values.numel():
        return None
    flat = values.flatten().double().contiguous()
    at = torch.searchsorted(known, flat).clamp(max=len(known) - 1)
    found = torch.where(known[at] == flat, order[at], -1)
    return found.view(values.shape) if (found >= 0).double().mean() > 0.5 else None


def coordinates(index: int, shape: tuple) -> tuple[int, ...]:
    """The place of a flattened index."""
    place = []
    for size in reversed(shape):
        place.append(index % size)
        index //= size
    return tuple(reversed(place))


def reading(mine: list[int], right: list[int], name: Callable[[int], str]) -> str:
    """ "reads 000 001, expected 000 100": from the start, or from just before they differ."""
    first = next((i for i, (a, b) in enumerate(zip(mine, right)) if a != b), 0)
    start = 0 if first < SHOWN - 1 else first
    names = [
        " ".join(MISSING if i < 0 else name(i) for i in row[start : start + SHOWN])
        for row in (mine, right)
    ]
    since = f" from its number {start} on" if start else ""
    return f"reads{since} {names[0]}, expected {names[1]}"


def digits(place: tuple[int, ...], shape: tuple) -> str:
    """ "012" for (0, 1, 2), with commas where a side is longer than ten."""
    return ("," if max(shape) > 10 else "").join(map(str, place))
