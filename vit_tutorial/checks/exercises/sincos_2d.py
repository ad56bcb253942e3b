"""check_sincos_2d: the table of 2-D sinusoidal positions."""

import dataclasses
import math
from collections.abc import Callable

import torch

from ...model.positions import sinusoidal_1d, sinusoidal_2d
from ..engine.case import Case, choice
from ..engine.check import Check
from ..engine.mistake import Evidence, Mistake
from .general import general_mistakes


def sincos_2d_cases(generator: torch.Generator) -> list[Case]:
    """Square grids and others, a single row, a single column, widths from 4 up."""

    def case(about, grid, dim):
        return Case(about, {"grid": grid, "dim": dim})

    side, few, many = (
        choice(generator, 3, 4, 5),
        choice(generator, 2, 3),
        choice(generator, 5, 6, 7),
    )
    return [
        # A wide one first: in a square, columns for rows look like halves exchanged.
        case("wide", (few, many), 8),
        case("square", (side, side), 16),
        case("tall", (many, few), 12),
        case("one row", (1, many), 8),
        case("one column", (many, 1), 20),
        case("the smallest width", (few, few), 4),
        case(
            "a width that is no power of two, square",
            (side, side),
            choice(generator, 12, 20, 24, 28),
        ),
        case("as many patches as entries", (4, 6), 24),
        case("large grid", (9, 13), 32),
    ]


def table(
    grid,
    dim,
    exponent=lambda m: torch.arange(m) / m,
    base=10_000.0,
    waves=lambda angle: torch.cat([angle.sin(), angle.cos()], dim=1),
    place=lambda n, rows, cols: (n // cols, n % cols),
    halves=lambda row, column: torch.cat([row, column], dim=1),
    unit=lambda position, size: position,
) -> torch.Tensor:
    """The right table (rows*cols, dim); each argument spoils one part of it."""
    rows, cols = grid
    row, column = place(torch.arange(rows * cols), rows, cols)
    frequency = base ** -exponent(dim // 4)
    return halves(
        waves(unit(row.float(), rows)[:, None] * frequency),
        waves(unit(column.float(), cols)[:, None] * frequency),
    )


def interleaved(angle: torch.Tensor) -> torch.Tensor:
    return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)


def joined(*parts: torch.Tensor) -> torch.Tensor:
    return torch.cat(parts, dim=1)


def rising(grid, dim):
    return table(grid, dim, exponent=lambda m: -torch.arange(m, dtype=torch.float64) / m)


def nearly_rising(e: Evidence) -> bool:
    """The table of `rising`, to two digits.

    The angles run into thousands. In single precision their sines are right to two digits only,
    and the rest depends on how the code is written.
    """
    for case, actual in zip(e.cases, e.actual):
        right, mine = rising(*case.inputs.values()).double(), actual.output
        if mine is None or mine.shape != right.shape:
            return False
        if not torch.allclose(mine.double(), right, rtol=0, atol=0.03):
            return False
    return not e.all_values_right()


def general_of_numbers() -> tuple[Mistake, ...]:
    """The general mistakes, for a function whose inputs are numbers."""
    general = general_mistakes(sinusoidal_2d, without=("detached", "changed_input", "wrong_device"))
    of_table = {
        "explanation": "The values are right, but the table is not float32.",
        "hint": "Which of your calls makes float64: NumPy's default, or .double()?",
    }
    return tuple(
        dataclasses.replace(m, **of_table) if m.name == "wrong_dtype" else m for m in general
    )


def added_not_joined(grid, dim):
    rows, cols = grid
    n = torch.arange(rows * cols)
    return sinusoidal_1d(rows, dim)[n // cols] + sinusoidal_1d(cols, dim)[n % cols]


def grid_of(e: Evidence) -> tuple:
    return e.inputs["grid"]


def quarter(e: Evidence) -> int:
    """dim / 4, the number of frequencies, in the first wrong case."""
    return e.inputs["dim"] // 4


def slope(tensor: torch.Tensor | None, grid, dim) -> float | None:
    """How far the logarithm of the frequency falls from one to the next, read off row 1."""
    rows, cols = grid
    m = dim // 4
    if tensor is None or tensor.shape != (rows * cols, dim) or m < 2 or rows < 2:
        return None
    x = tensor[cols].double()  # the first patch of row 1: its angles are the frequencies
    second = math.atan2(float(x[1]), float(x[m + 1]))
    return -math.log(second) if second > 0 else None


def slope_is(e: Evidence, slope_for: Callable, all_values: bool = True) -> bool:
    """Something is wrong, and all tables are right with frequencies exp(-i * slope_for(dim/4)).

    all_values: False where a width of 4, which has a single frequency, may hold anything.
    """
    for case, actual in zip(e.cases, e.actual):
        grid, dim = case.inputs.values()
        if dim == 4 and not all_values:
            continue
        k = slope_for(dim // 4)
        mine = actual.output
        right = table(grid, dim, exponent=lambda m, k=k: torch.arange(m) * k / math.log(10_000))
        if (
            mine is None
            or mine.shape != right.shape
            or not torch.allclose(mine.float(), right, rtol=1e-3, atol=1e-4)
        ):
            return False
    return not all(e.values_right(i) for i, case in enumerate(e.cases) if case.inputs["dim"] != 4)


def measured_slope(e: Evidence) -> tuple[float, int]:
    """The slope in the first case that shows one, and dim/4 there."""
    for case, actual in zip(e.cases, e.actual):
        found = slope(actual.output, *case.inputs.values())
        if found is not None:
            return found, case.inputs["dim"] // 4
    return 0.0, 1


def base_of(e: Evidence) -> float:
    k, m = measured_slope(e)
    return math.exp(min(k * m, 40.0))


def step(e: Evidence) -> str:
    k, m = measured_slope(e)
    return f"each is the one before divided by {math.exp(k):.3g} instead of {10_000 ** (1 / m):.3g}"


MISTAKES = (
    *general_of_numbers(),
    Mistake(
        name="interleaved",
        explanation=(
            "In each half your sines and cosines alternate. The exercise asks for all sines first, "
            "then all cosines."
        ),
        hint=(
            "Both orders are in use. Which one does the exercise ask for, and which does your last "
            "reshape give?"
        ),
        # the formula of Vaswani et al. 2017, section 3.5: sine at 2i, cosine at 2i + 1
        buggy=lambda grid, dim: table(grid, dim, waves=interleaved),
    ),
    Mistake(
        name="cosines_first",
        explanation="In each half the cosines come first. The exercise asks for the sines first.",
        hint=(
            "Row 0 of the table is position (0, 0). What is sin 0, what is cos 0, and which comes "
            "first in your result?"
        ),
        # timestep embeddings of diffusion models (cosine first), copied into a ViT
        buggy=lambda grid, dim: table(
            grid, dim, waves=lambda angle: joined(angle.cos(), angle.sin())
        ),
    ),
    Mistake(
        name="sines_only",
        explanation="Where the cosines should be, there are sines again.",
        hint="What does each half hold after its sines?",
        # one line copied, one word not changed
        buggy=lambda grid, dim: table(
            grid, dim, waves=lambda angle: joined(angle.sin(), angle.sin())
        ),
    ),
    Mistake(
        name="halves_exchanged",
        explanation=(
            "The first half of each vector follows the column, the second the row. The exercise "
            "asks for the row first."
        ),
        hint=(
            "Take patch 1, the right neighbour of patch 0. Which half of its vector should "
            "differ from patch 0's?"
        ),
        # MAE's code gives meshgrid the width first; vit-pytorch's SimpleViT puts x before y
        buggy=lambda grid, dim: table(grid, dim, halves=lambda row, column: joined(column, row)),
    ),
    Mistake(
        name="patches_in_column_order",
        explanation=(
            "The vectors are right, but they are in column order. The exercise numbers the "
            "patches row by row."
        ),
        hint="Which patch is number 1, the one to the right of patch 0 or the one below it?",
        # torch.meshgrid with indexing="xy", or repeat with the two axes in the other order
        buggy=lambda grid, dim: table(grid, dim, place=lambda n, rows, cols: (n % rows, n // rows)),
    ),
    Mistake(
        name="rows_and_columns_swapped",
        explanation=lambda e: (
            f"Square grids come out right. Here (rows, cols) is {grid_of(e)}: a row has "
            f"{grid_of(e)[1]} patches, not {grid_of(e)[0]}."
        ),
        hint=("After how many patches does the next row begin? Which of the two numbers is that?"),
        # n // rows and n % rows, or a grid taken as (cols, rows)
        buggy=lambda grid, dim: table(grid, dim, place=lambda n, rows, cols: (n // rows, n % rows)),
    ),
    Mistake(
        name="square_grid_assumed",
        explanation=lambda e: (
            f"Square grids come out right, but others do not: here (rows, cols) is {grid_of(e)}."
        ),
        hint="Does your code use both numbers of the grid?",
        # MAE's get_2d_sincos_pos_embed takes one grid_size for both sides
        buggy=lambda grid, dim: sinusoidal_2d((grid[0], grid[0]), dim),
        detect=lambda e: e.wrong_exactly_where(
            lambda case: case.inputs["grid"][0] != case.inputs["grid"][1]
        ),
    ),
    Mistake(
        name="one_dimensional",
        explanation=(
            "Your vectors number the patches from 0 to N - 1. The exercise asks for rows and "
            "columns, half of the width each."
        ),
        hint="Patch 0 and the patch below it are neighbours. Can your vectors show that?",
        # the 1-D table of Vaswani et al. 2017 on the flattened grid
        buggy=lambda grid, dim: sinusoidal_1d(grid[0] * grid[1], dim),
    ),
    Mistake(
        name="row_in_both_halves",
        explanation="Both halves hold the row. All patches of one row have the same vector.",
        hint="Which part of your code computes the column, and where does it end up?",
        # one variable used twice
        buggy=lambda grid, dim: table(grid, dim, halves=lambda row, column: joined(row, row)),
    ),
    Mistake(
        name="added_not_joined",
        explanation=(
            "Row and column each got the whole width and were then added. The exercise asks for "
            "half of the width each, side by side."
        ),
        hint="How wide is the row's part, how wide is the column's, and how wide is the result?",
        # two 1-D tables, one +
        buggy=added_not_joined,
    ),
    Mistake(
        name="class_row_added",
        explanation=(
            "There is one row too many: a row of zeros in front, for a class token. In this "
            "exercise only the patches get a position."
        ),
        hint="How many patches does the grid have? How many vectors did you return?",
        # MAE's get_2d_sincos_pos_embed with cls_token=True
        buggy=lambda grid, dim: torch.cat([torch.zeros(1, dim), sinusoidal_2d(grid, dim)]),
    ),
    Mistake(
        name="grid_not_flattened",
        explanation=(
            "The vectors are right, but they are still in a grid. The exercise asks for one axis "
            "with rows * cols entries."
        ),
        hint="How many axes does a table need if it is added to a sequence of tokens?",
        buggy=lambda grid, dim: sinusoidal_2d(grid, dim).reshape(*grid, dim),
    ),
    Mistake(
        name="counted_from_one",
        explanation="Your rows and columns count from 1. The exercise counts from 0.",
        hint=("What is the first number in your range? What should the vector of patch 0 be?"),
        # a cumulative sum of ones, as DETR's sine positions have it
        buggy=lambda grid, dim: table(grid, dim, unit=lambda position, size: position + 1),
    ),
    Mistake(
        name="degrees",
        explanation=(
            "Your angles were converted from degrees to radians: each is multiplied by π/180."
        ),
        hint=("Which unit does torch.sin expect, and in which unit is the angle of the formula?"),
        # deg2rad around the angle
        buggy=lambda grid, dim: table(
            grid, dim, unit=lambda position, size: position * math.pi / 180
        ),
    ),
    Mistake(
        name="scaled_to_one",
        explanation=(
            "Your rows and columns were divided by the size of the grid. The exercise asks for the "
            "whole numbers 0, 1, 2, ..."
        ),
        hint=(
            "By how much should the angle of the highest frequency grow from one row to the next?"
        ),
        # DETR's sine positions do so with normalize=True.
        buggy=lambda grid, dim: table(grid, dim, unit=lambda position, size: position / size),
        variants=(
            lambda grid, dim: table(
                grid, dim, unit=lambda position, size: position / max(size - 1, 1)
            ),
        ),
    ),
    Mistake(
        name="last_frequency_included",
        explanation=lambda e: (
            "Your frequencies run down to exactly 1/10000: i is divided by dim/4 - 1 = "
            f"{quarter(e) - 1}. The exercise divides by dim/4 = {quarter(e)}."
        ),
        hint="Does linspace include its last value? What does the formula divide i by?",
        # vit-pytorch's SimpleViT divides by dim // 4 - 1
        buggy=lambda grid, dim: table(grid, dim, exponent=lambda m: torch.arange(m) / (m - 1)),
        detect=lambda e: slope_is(
            e, lambda m: math.log(10_000) / (m - 1) if m > 1 else 0.0, all_values=False
        ),
    ),
    Mistake(
        name="frequency_of_whole_width",
        explanation=lambda e: (
            f"Your frequencies fall too slowly: {step(e)}. In each half there are {quarter(e)} "
            "of them."
        ),
        hint=(
            "Count the frequencies of one half: dim is shared by row and column, and each half "
            "by sine and cosine. What must i be divided by? And which base does the formula "
            "have?"
        ),
        # the 1-D formula's dim/2, or dim, in a half that is dim/2 wide
        buggy=lambda grid, dim: table(grid, dim, exponent=lambda m: torch.arange(m) / (2 * m)),
        detect=lambda e: any(
            slope_is(e, lambda m, k=k: math.log(10_000) / (k * m)) for k in (2, 4)
        ),
    ),
    Mistake(
        name="another_base",
        explanation=lambda e: f"Your frequencies are those of base {base_of(e):.4g}, not 10000.",
        hint="Which number is raised to the exponent in your code?",
        # 1000 or 100 for 10000; rotary variants with a base of their own
        buggy=lambda grid, dim: table(grid, dim, base=1_000.0),
        detect=lambda e: (
            abs(base_of(e) - 10_000) > 50 and slope_is(e, lambda m: math.log(base_of(e)) / m)
        ),
    ),
    Mistake(
        name="frequencies_rise",
        explanation=(
            "Your frequencies grow from one to the next, up to nearly 10000. They should fall."
        ),
        hint=(
            "What is the sign of your exponent? The slowest hand should hardly turn across the "
            "grid."
        ),
        # a minus sign lost, or a product where a quotient belongs
        buggy=rising,
        detect=nearly_rising,
    ),
)


check_sincos_2d = Check(
    name="check_sincos_2d",
    signature=(
        "fn((rows, cols), dim) -> (rows*cols, dim), float32, patches row by row; first half of "
        "dim from the row, second from the column; in each half all sines, then all cosines, of "
        "position * 10000 ** (-i / (dim / 4)), i = 0 ... dim/4 - 1"
    ),
    cases=sincos_2d_cases,
    reference=sinusoidal_2d,
    mistakes=MISTAKES,
)
