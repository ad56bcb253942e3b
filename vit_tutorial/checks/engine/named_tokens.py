"""Tokens with names: "sun looks at sun 3 %, cloud 20 %". For results whose numbers say nothing."""

from collections.abc import Callable

import torch

from .case import Case, Observation
from .compare import close, wrong_values

NAMES = ("sun", "cloud", "tree", "river", "house", "bird", "stone", "boat", "road", "moon")
SHOWN = 4  # tokens of a row of weights


def first_wrong_row(mine: torch.Tensor, right: torch.Tensor) -> tuple[int, ...] | None:
    """The place of the first row (the last axis) that differs, in two tensors of one shape."""
    if mine.shape != right.shape:
        return None
    rows = wrong_values(mine, right).any(dim=-1).nonzero()
    return tuple(rows[0].tolist()) if len(rows) else None


def who_looks_at_whom(case: Case, actual: Observation, expected: Observation) -> str:
    """The first wrong row of the weights (B, h, T, T), by the tokens' names."""
    mine, right = actual.tensors.get("weights"), expected.tensors["weights"]
    at = first_wrong_row(mine, right) if mine is not None else None
    if at is None or not 1 < right.shape[-1] <= len(NAMES):
        return ""
    image, head, token = at

    def told(row: torch.Tensor) -> str:
        parts = [f"{name} {100 * float(w):.0f} %" for name, w in zip(NAMES, row[:SHOWN])]
        return ", ".join(parts)

    who = NAMES[token]
    called = ", ".join(NAMES[: min(SHOWN, right.shape[-1])])
    return (
        f"Call the tokens {called} and so on. In image {image}, head {head}, {who} looks at "
        f"{told(mine[at])}; right is {told(right[at])}."
    )


def whose_numbers(row: torch.Tensor, known: dict[str, torch.Tensor]) -> str:
    """The name of the known row that this one equals; empty for none."""
    return next((name for name, other in known.items() if close(row, other, loose=True)), "")


def which_row(rows_of: Callable[[dict], dict[str, torch.Tensor]], less: str = "") -> Callable:
    """A `place` for checks whose result (B, T, D) is made of rows of the inputs.

    rows_of(inputs) -> the rows (D,) by name. less: the name of an input (B, T, D) that was added.
    """

    def place(case: Case, actual: Observation, expected: Observation) -> str:
        mine, right = actual.output, expected.output
        at = first_wrong_row(mine, right) if mine is not None else None
        if at is None or mine.ndim != 3:
            return ""
        own = case.inputs[less][at] if less else 0.0
        known = rows_of(dict(case.inputs))
        found, asked = (whose_numbers(x[at] - own, known) for x in (mine, right))
        if not found or found == asked:
            return ""
        image, token = at
        return f"Image {image}, token {token}: yours is {found}, right is {asked}."

    return place
