"""How the benchmarks of speed measure: wait for the device, take turns, medians with quartiles."""

import statistics
from collections.abc import Iterator

import torch


def wait(device: torch.device) -> None:
    """Until the GPU has done what it was given: its clock is not the CPU's."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def in_turns(names: list, rounds: int, step: int = 1) -> Iterator:
    """Every name once a round, each round beginning `step` further on (A B C, B C A, ...).

    A machine that slows down then slows down all of them.
    """
    for turn in range(rounds):
        first = turn * step % len(names)
        yield from names[first:] + names[:first]


def quartiles(values: list[float]) -> list[float]:
    """[lower quartile, median, upper quartile]."""
    return statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3


def spread(
    name: str, values: list[float] | None, digits: int = 3, short: str | None = None
) -> dict:
    """{name: median, short_q1, short_q3}, rounded; empty fields where there are no values.

    short: `name` if None.
    """
    cells = [round(value, digits) for value in quartiles(values)] if values else [""] * 3
    low, middle, high = cells
    return {name: middle, f"{short or name}_q1": low, f"{short or name}_q3": high}


def ratios(ours: list[float], theirs: list[float]) -> list[float]:
    """One ratio a round: both were measured in it."""
    return [a / b for a, b in zip(ours, theirs)]
