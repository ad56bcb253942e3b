"""check_repair_strips: patches out of tokens that a wrong permutation made into strips."""

import torch

from ..engine.case import Case, choice, numbers
from ..engine.check import Check
from ..engine.mistake import Evidence, Mistake
from .general import general_mistakes


def repair_strips(tokens, P, columns):
    """Strips (B, N, P*P*C) -> patches (B, N, P*P*C), as `patchify` cuts them; N = rows * columns.

    The strips hold the image row by row, in the order (rows, P, C, columns, P).
    """
    return rearranged(tokens, P, columns, 0, 1, 4, 2, 5, 3)


def rearranged(tokens, P, columns, *order):
    """The axes (B, rows, P, C, columns, P) of the strips in another order."""
    B, N, L = tokens.shape
    x = tokens.reshape(B, N // columns, P, L // P**2, columns, P)
    return x.permute(*order).reshape(B, N, L)


def repair_strips_cases(generator: torch.Generator) -> list[Case]:
    """Square grids and others, batch 1, one channel, one row, one column, float64."""

    def case(about, B, C, rows, columns, P, dtype=torch.float32, **more):
        tokens = numbers(generator, B, rows * columns, P * P * C, dtype=dtype)
        return Case(about, {"tokens": tokens, "P": P, "columns": columns}, **more)

    P = choice(generator, 2, 4, 5)
    return [
        case("square grid", 2, 3, 2, 2, P),
        case("square grid, batch of 1", 1, 3, 4, 4, P),
        case("wide", 2, 3, 2, 5, P),
        case("tall", 2, 3, 4, 2, 3),
        case("one channel", 2, 1, 2, 4, P),
        case("five channels", 2, 5, 2, 3, 3),
        case("one row of patches", 2, 3, 1, 4, P),
        case("one column of patches", 2, 3, 4, 1, P),
        case("float64", 2, 3, 2, 3, P, torch.float64),
        case("another device", 2, 3, 2, 2, P, device="meta"),
    ]


def grid_exchanged(tokens, P, columns):
    B, N, L = tokens.shape
    return rearranged(tokens, P, N // columns, 0, 1, 4, 2, 5, 3)


def grid_is_square(tokens, P, columns):
    side = round(tokens.shape[1] ** 0.5)
    return rearranged(tokens, P, side, 0, 1, 4, 2, 5, 3)


def channel_last_strips(tokens, P, columns):
    B, N, L = tokens.shape
    x = tokens.reshape(B, N // columns, P, columns, P, L // P**2)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(B, N, L)


def not_square(e: Evidence) -> bool:
    def of(case):
        return case.inputs["tokens"].shape[1] != case.inputs["columns"] ** 2

    return e.wrong_exactly_where(of)


MISTAKES = (
    Mistake(
        name="unchanged",
        explanation="You return the strips unchanged.",
        hint="In which order do the strips hold the axes rows, P, C, columns, P?",
        buggy=lambda tokens, P, columns: tokens.clone(),
    ),
    Mistake(
        name="channel_first",
        explanation="Your patches have the channel first: (C, P, P) instead of (P, P, C).",
        hint="In a patch from `patchify`, which axis varies fastest?",
        buggy=lambda tokens, P, columns: rearranged(tokens, P, columns, 0, 1, 4, 3, 2, 5),
    ),
    Mistake(
        name="channel_taken_for_last",
        explanation=(
            "You split the strips as if the channel varied fastest. It comes before the columns."
        ),
        hint=(
            "The slide permutes (B, C, rows, columns, P, P) by 0, 2, 4, 1, 3, 5. What order "
            "results?"
        ),
        buggy=channel_last_strips,
    ),
    Mistake(
        name="pixels_transposed",
        explanation="Each patch came out transposed: its rows and columns are swapped.",
        hint="Two axes have the length P. Which of them counts the rows inside a patch?",
        buggy=lambda tokens, P, columns: rearranged(tokens, P, columns, 0, 1, 4, 5, 2, 3),
    ),
    Mistake(
        name="patches_column_by_column",
        explanation="The patches are right, but they come column by column, not row by row.",
        hint="Which axis of the grid must come first: rows or columns?",
        buggy=lambda tokens, P, columns: rearranged(tokens, P, columns, 0, 4, 1, 2, 5, 3),
    ),
    Mistake(
        name="grid_exchanged",
        explanation="You swapped the rows and the columns of the grid.",
        hint="N = rows * columns. How many rows are there?",
        buggy=grid_exchanged,
    ),
    Mistake(
        name="square_grid_assumed",
        explanation="Square grids are right, others are not: your code does not use `columns`.",
        hint="Where does your code get the number of columns from?",
        buggy=grid_is_square,
        detect=not_square,
    ),
)


check_repair_strips = Check(
    name="check_repair_strips",
    signature=(
        "fn(tokens (B, N, P*P*C), P, columns) -> (B, N, P*P*C): strips as the slide cuts them, "
        "turned into the patches that `patchify` makes"
    ),
    cases=repair_strips_cases,
    reference=repair_strips,
    mistakes=MISTAKES + general_mistakes(repair_strips),
)
