"""Known mistakes in 2-D sinusoidal positions."""

import dataclasses
import math

import torch

from ...model.positions import sinusoidal_1d, sinusoidal_2d
from ..check import Evidence, Mistake
from .general import general_mistakes


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


def sincos_2d_mistakes() -> tuple[Mistake, ...]:
    """For fn((rows, cols), dim) -> (rows*cols, dim), the general ones included."""
    return (
        *general_of_numbers(),
        Mistake(
            "interleaved",
            "In each half your sines and cosines alternate. Asked for are all sines first, then all cosines.",
            "Both orders are in use. Which one does the text of the exercise ask for, and what does your last reshape give?",
            "the formula of Vaswani et al. 2017, section 3.5: sine at 2i, cosine at 2i + 1",
            lambda grid, dim: table(grid, dim, waves=interleaved),
        ),
        Mistake(
            "cosines_first",
            "In each half the cosines stand first. Asked for are the sines first.",
            "Row 0 of the table is position (0, 0). What is sin 0, what is cos 0, and what stands first in yours?",
            "timestep embeddings of diffusion models (cosine first), copied into a ViT",
            lambda grid, dim: table(
                grid, dim, waves=lambda angle: joined(angle.cos(), angle.sin())
            ),
        ),
        Mistake(
            "sines_only",
            "Where the cosines should stand, there are sines again.",
            "What does each half hold behind its sines?",
            "first drafts: one line copied, one word not changed",
            lambda grid, dim: table(
                grid, dim, waves=lambda angle: joined(angle.sin(), angle.sin())
            ),
        ),
        Mistake(
            "halves_exchanged",
            "The first half of each vector follows the column, the second the row. Asked for is the row first.",
            "Take patch 1, the right neighbour of patch 0. Which half of its vector should differ from patch 0's?",
            "MAE's code gives meshgrid the width first; vit-pytorch's SimpleViT puts x before y",
            lambda grid, dim: table(grid, dim, halves=lambda row, column: joined(column, row)),
        ),
        Mistake(
            "patches_in_column_order",
            "The vectors are right, but they stand in the order of the grid's columns. Patches are numbered row by row.",
            "Which patch is number 1, the one to the right of patch 0 or the one below it?",
            "meshgrid or repeat with the two axes in the other order; torch.meshgrid's indexing argument",
            lambda grid, dim: table(grid, dim, place=lambda n, rows, cols: (n % rows, n // rows)),
        ),
        Mistake(
            "rows_and_columns_swapped",
            lambda e: (
                f"Square grids come out right. Here (rows, cols) is {grid_of(e)}: "
                f"a row has {grid_of(e)[1]} patches, not {grid_of(e)[0]}."
            ),
            "After how many patches does the next row begin? Which of the two numbers is that?",
            "first drafts: n // rows and n % rows, or a grid taken as (cols, rows)",
            lambda grid, dim: table(grid, dim, place=lambda n, rows, cols: (n // rows, n % rows)),
        ),
        Mistake(
            "square_grid_assumed",
            lambda e: (
                f"Square grids come out right, others do not: here (rows, cols) is {grid_of(e)}."
            ),
            "Does your code use both numbers of the grid?",
            "MAE's get_2d_sincos_pos_embed takes one grid_size for both sides",
            lambda grid, dim: sinusoidal_2d((grid[0], grid[0]), dim),
            lambda e: e.wrong_exactly_where(
                lambda case: case.inputs["grid"][0] != case.inputs["grid"][1]
            ),
        ),
        Mistake(
            "one_dimensional",
            "Your vectors count the patches from 0 to N - 1 in one line. Asked for are rows and columns, half of the width each.",
            "Patch 0 and the patch below it are neighbours. Can your vectors show that?",
            "the 1-D table of Vaswani et al. 2017 on the flattened grid",
            lambda grid, dim: sinusoidal_1d(grid[0] * grid[1], dim),
        ),
        Mistake(
            "row_in_both_halves",
            "Both halves hold the row. All patches of one row have the same vector.",
            "Which part of your code knows the column, and where does it end up?",
            "first drafts: one variable used twice",
            lambda grid, dim: table(grid, dim, halves=lambda row, column: joined(row, row)),
        ),
        Mistake(
            "added_not_joined",
            "Row and column were each given the whole width and then added. Asked for is half of the width each, side by side.",
            "How wide is the part of the row, how wide that of the column, and how wide the result?",
            "first drafts: two 1-D tables, one +",
            added_not_joined,
        ),
        Mistake(
            "class_row_added",
            "There is one row too many: a row of zeros in front, for a class token. Here only the patches get a position.",
            "How many rows has the grid times how many columns? How many vectors did you return?",
            "MAE's get_2d_sincos_pos_embed with cls_token=True",
            lambda grid, dim: torch.cat([torch.zeros(1, dim), sinusoidal_2d(grid, dim)]),
        ),
        Mistake(
            "grid_not_flattened",
            "The vectors are right, but they still lie in a grid. Asked for is one axis with rows * cols entries.",
            "How many axes does a table have that is added to a sequence of tokens?",
            "first drafts",
            lambda grid, dim: sinusoidal_2d(grid, dim).reshape(*grid, dim),
        ),
        Mistake(
            "counted_from_one",
            "Your rows and columns count from 1. Asked for is a count from 0.",
            "What is the first number that your range gives? What should the vector of patch 0 be?",
            "a cumulative sum of ones, as DETR's sine positions have it",
            lambda grid, dim: table(grid, dim, unit=lambda position, size: position + 1),
        ),
        Mistake(
            "degrees",
            "Your angles were turned from degrees into radians: each is smaller by π/180.",
            "In which unit does torch.sin take its argument, and in which unit is the angle of the formula?",
            "first drafts: deg2rad around the angle",
            lambda grid, dim: table(
                grid, dim, unit=lambda position, size: position * math.pi / 180
            ),
        ),
        Mistake(
            "scaled_to_one",
            "Your rows and columns were divided by the size of the grid. Asked for are the whole numbers 0, 1, 2, ...",
            "By how much should the angle of the highest frequency grow from one row to the next?",
            "DETR's sine positions with normalize=True scale so",
            lambda grid, dim: table(grid, dim, unit=lambda position, size: position / size),
            also=(
                lambda grid, dim: table(
                    grid, dim, unit=lambda position, size: position / max(size - 1, 1)
                ),
            ),
        ),
        Mistake(
            "last_frequency_included",
            lambda e: (
                f"Your frequencies run down to exactly 1/10000: i is divided by dim/4 - 1 = {quarter(e) - 1}. "
                f"Asked for is dim/4 = {quarter(e)}."
            ),
            "Does linspace include its last value? By what does the formula divide i?",
            "vit-pytorch's SimpleViT divides by dim // 4 - 1",
            lambda grid, dim: table(grid, dim, exponent=lambda m: torch.arange(m) / (m - 1)),
            lambda e: slope_is(
                e, lambda m: math.log(10_000) / (m - 1) if m > 1 else 0.0, all_values=False
            ),
        ),
        Mistake(
            "frequency_of_whole_width",
            lambda e: (
                f"Your frequencies fall too slowly: {step(e)}. In each half there are {quarter(e)} of them."
            ),
            "Count the frequencies of one half: dim is shared by row and column, and each half by sine and cosine. "
            "By what must i be divided? And which base does the formula have?",
            "first drafts: the 1-D formula's dim/2, or dim, in a half that is dim/2 wide",
            lambda grid, dim: table(grid, dim, exponent=lambda m: torch.arange(m) / (2 * m)),
            lambda e: any(slope_is(e, lambda m, k=k: math.log(10_000) / (k * m)) for k in (2, 4)),
        ),
        Mistake(
            "another_base",
            lambda e: f"Your frequencies are those of base {base_of(e):.4g}, not 10000.",
            "Which number stands under the exponent in your code?",
            "first drafts: 1000 or 100 for 10000; rotary variants with a base of their own",
            lambda grid, dim: table(grid, dim, base=1_000.0),
            lambda e: (
                abs(base_of(e) - 10_000) > 50 and slope_is(e, lambda m: math.log(base_of(e)) / m)
            ),
        ),
        Mistake(
            "frequencies_rise",
            "Your frequencies grow from one to the next, up to nearly 10000. Asked for is that they fall.",
            "What is the sign of your exponent? The slowest wave should hardly turn within the grid.",
            "first drafts: a minus sign lost, or a product where a quotient belongs",
            rising,
            nearly_rising,
        ),
    )


def rising(grid, dim):
    return table(grid, dim, exponent=lambda m: -torch.arange(m, dtype=torch.float64) / m)


def nearly_rising(e: Evidence) -> bool:
    """Angles of thousands: in single precision their sines are right to two digits only, and differ with the way of writing."""
    wrong = [rising(*case.inputs.values()).double() for case in e.cases]
    seen = [observation.tensors.get("output", torch.empty(0)).double() for observation in e.seen]
    alike = all(
        mine.shape == table.shape and torch.allclose(mine, table, rtol=0, atol=0.03)
        for mine, table in zip(seen, wrong)
    )
    return alike and not all(e.values_right(i) for i in range(len(e.cases)))


def general_of_numbers() -> list[Mistake]:
    """The general mistakes, for a function whose inputs are numbers."""
    general = general_mistakes(sinusoidal_2d, without=("detached", "changed_input", "wrong_device"))
    words = {
        "says": "The values are right, but the table is not float32.",
        "hint": "Which call of yours makes float64: NumPy's default, or .double()?",
        "seen_in": "tables made with NumPy, as MAE makes its own",
    }
    return [dataclasses.replace(m, **words) if m.name == "wrong_dtype" else m for m in general]


def added_not_joined(grid, dim):
    rows, cols = grid
    n = torch.arange(rows * cols)
    return sinusoidal_1d(rows, dim)[n // cols] + sinusoidal_1d(cols, dim)[n % cols]


def grid_of(e: Evidence) -> tuple:
    return e.cases[e.first_wrong()].inputs["grid"]


def quarter(e: Evidence) -> int:
    """dim / 4, the number of frequencies, in the first wrong case."""
    return e.cases[e.first_wrong()].inputs["dim"] // 4


def slope(tensor: torch.Tensor | None, grid, dim) -> float | None:
    """How fast the logarithm of the frequencies falls from one to the next, read off the sines and cosines of row 1."""
    rows, cols = grid
    m = dim // 4
    if tensor is None or tensor.shape != (rows * cols, dim) or m < 2 or rows < 2:
        return None
    x = tensor[cols].double()  # the first patch of row 1: its angles are the frequencies
    second = math.atan2(float(x[1]), float(x[m + 1]))
    return -math.log(second) if second > 0 else None


def slope_is(e: Evidence, expected, all_values: bool = True) -> bool:
    """In every case the table is the right one with frequencies exp(-i * expected(dim/4)); and something is wrong.

    all_values: otherwise a width of 4, which has a single frequency, may hold anything.
    """
    for case, seen in zip(e.cases, e.seen):
        grid, dim = case.inputs.values()
        if dim == 4 and not all_values:
            continue
        k = expected(dim // 4)
        mine = seen.tensors.get("output")
        right = table(grid, dim, exponent=lambda m, k=k: torch.arange(m) * k / math.log(10_000))
        if (
            mine is None
            or mine.shape != right.shape
            or not torch.allclose(mine.float(), right, rtol=1e-3, atol=1e-4)
        ):
            return False
    return not all(e.values_right(i) for i, case in enumerate(e.cases) if case.inputs["dim"] != 4)


def seen_slope(e: Evidence) -> tuple[float, int]:
    """The slope in the first case that shows one, and dim/4 there."""
    for case, seen in zip(e.cases, e.seen):
        found = slope(seen.tensors.get("output"), *case.inputs.values())
        if found is not None:
            return found, case.inputs["dim"] // 4
    return 0.0, 1


def base_of(e: Evidence) -> float:
    k, m = seen_slope(e)
    return math.exp(min(k * m, 40.0))


def step(e: Evidence) -> str:
    k, m = seen_slope(e)
    return f"each is the one before divided by {math.exp(k):.3g} instead of {10_000 ** (1 / m):.3g}"
