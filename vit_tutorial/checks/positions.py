"""Check of the 2-D sinusoidal positions."""

import torch

from ..model.positions import sinusoidal_2d
from .case import Case, some
from .check import Check
from .mistakes.positions import sincos_2d_mistakes


def sincos_2d_cases(generator: torch.Generator) -> list[Case]:
    """Square grids and others, a single row, a single column, widths from 4 up."""

    def case(about, grid, dim):
        return Case(about, {"grid": grid, "dim": dim})

    side, few, many = some(generator, 3, 4, 5), some(generator, 2, 3), some(generator, 5, 6, 7)
    return [
        # A wide one first: in a square, columns for rows look like halves exchanged.
        case("wide", (few, many), 8),
        case("square", (side, side), 16),
        case("tall", (many, few), 12),
        case("one row", (1, many), 8),
        case("one column", (many, 1), 20),
        case("the smallest width", (few, few), 4),
        case(
            "a width that is no power of two, square", (side, side), some(generator, 12, 20, 24, 28)
        ),
        case("as many patches as entries", (4, 6), 24),
        case("large grid", (9, 13), 32),
    ]


def sincos_2d_check() -> Check:
    return Check(
        "check_sincos_2d",
        "fn((rows, cols), dim) -> (rows*cols, dim), float32, patches row by row; first half of dim from the row, second from the "
        "column; in each half all sines, then all cosines, of position * 10000 ** (-i / (dim / 4)), i = 0 ... dim/4 - 1",
        sincos_2d_cases,
        sinusoidal_2d,
        sincos_2d_mistakes(),
    )
