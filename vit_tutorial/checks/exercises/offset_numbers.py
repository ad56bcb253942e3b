"""check_offset_numbers: which number of a relative bias belongs to each pair of patches."""

import dataclasses

import torch

from ..engine.case import Case, choice
from ..engine.check import Check
from ..engine.mistake import Evidence, Mistake
from .general import general_mistakes


def places(grid) -> tuple[torch.Tensor, torch.Tensor]:
    """The row and the column of each patch, (N,) each."""
    n = torch.arange(grid[0] * grid[1])
    return n // grid[1], n % grid[1]


def steps(grid) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows and columns from the patch that is read to its reader, (N, N) each: reader first."""
    row, column = places(grid)
    return row[:, None] - row, column[:, None] - column


def number(down, right, grid):
    """The number of an offset of `down` rows and `right` columns."""
    rows, cols = grid
    return (down + rows - 1) * (2 * cols - 1) + right + cols - 1


def offset_numbers(grid):
    """(N, N), int64: the number of the offset from patch j (column) to patch i (row)."""
    return number(*steps(grid), grid)


def offset_numbers_cases(generator: torch.Generator) -> list[Case]:
    """Square grids and others, a single row, a single column, a single patch."""

    def case(about, rows, cols):
        return Case(about, {"grid": (rows, cols)})

    few, many = choice(generator, 2, 3), choice(generator, 5, 6, 7)
    side = choice(generator, 3, 4, 5)
    return [
        case("wide", few, many),
        case("square", side, side),
        case("tall", many, few),
        case("one row", 1, many),
        case("one column", many, 1),
        case("one patch", 1, 1),
        case("large grid", 7, 9),
    ]


def from_columns(grid):
    """Patches counted down the columns of the grid."""
    rows, cols = grid
    n = torch.arange(rows * cols)
    row, column = n % rows, n // rows
    return number(row[:, None] - row, column[:, None] - column, grid)


def counted_along_rows(grid):
    """The place of a patch by the number of rows, where the length of a row is meant."""
    rows, cols = grid
    n = torch.arange(rows * cols)
    row, column = n // rows, n % rows
    return number(row[:, None] - row, column[:, None] - column, grid)


def without_distances(grid):
    """Distances instead of offsets: up counts as down."""
    down, right = steps(grid)
    return number(down.abs(), right.abs(), grid)


def added(grid):
    rows, cols = grid
    down, right = steps(grid)
    return down + rows - 1 + right + cols - 1


def with_width(width):
    """The right formula with another number of offsets in a row."""

    def buggy(grid):
        rows, cols = grid
        down, right = steps(grid)
        return (down + rows - 1) * width(rows, cols) + right + cols - 1

    return buggy


def one_line(grid):
    n = torch.arange(grid[0] * grid[1])
    return n[:, None] - n


def on_the_grid(grid):
    return offset_numbers(grid).view(*grid, *grid)


def class_token(grid):
    """One more row and column, for a class token in front."""
    inner, count = offset_numbers(grid), (2 * grid[0] - 1) * (2 * grid[1] - 1)
    outer = torch.full((len(inner) + 1, len(inner) + 1), count)
    outer[1:, 1:], outer[0, 1:], outer[0, 0] = inner, count + 1, count + 2
    return outer


def spread(e: Evidence) -> tuple[int, int, int]:
    """Lowest and highest number of the learner, and how many offsets there are."""
    mine, (rows, cols) = e.observation.output, e.inputs["grid"]
    return int(mine.min()), int(mine.max()), (2 * rows - 1) * (2 * cols - 1)


def below_zero(e: Evidence) -> bool:
    """Something is wrong; each result is the right one less a constant, and goes below 0."""
    lowest = 0
    for _, actual, expected in e.compared():
        mine, right = actual.output, expected.output
        if mine is None or mine.shape != right.shape or mine.is_floating_point():
            return False
        if len((right - mine).unique()) != 1:
            return False
        lowest = min(lowest, int(mine.min()))
    return lowest < 0


def general_of_numbers() -> tuple[Mistake, ...]:
    """The general mistakes for a function whose input is a pair of numbers."""
    general = general_mistakes(
        offset_numbers, without=("detached", "changed_input", "wrong_device")
    )
    whole = {
        "explanation": "The values are right, but they are not integers (int64).",
        "hint": "An index must be an integer. Where does your code make floats?",
        "buggy": lambda grid: offset_numbers(grid).float(),
    }
    return tuple(dataclasses.replace(m, **whole) if m.name == "wrong_dtype" else m for m in general)


MISTAKES = (
    *general_of_numbers(),
    Mistake(
        name="offset_turned_round",
        explanation=(
            "Your offsets run the other way: entry [i, j] holds the number of the pair [j, i]."
        ),
        hint="Entry [i, j] is for patch i reading patch j. Whose row is subtracted from whose?",
        # row - row[:, None]
        buggy=lambda grid: offset_numbers(grid).T.contiguous(),
    ),
    Mistake(
        name="numbers_below_zero",
        explanation=lambda e: (
            f"Your numbers run from {spread(e)[0]} to {spread(e)[1]}. They should number "
            f"the {spread(e)[2]} offsets from 0 to {spread(e)[2] - 1}."
        ),
        hint="What is the lowest step between two rows, and what must you add to make it 0?",
        # the shift by R - 1 and C - 1 forgotten, in one direction or in both
        buggy=lambda grid: steps(grid)[0] * (2 * grid[1] - 1) + steps(grid)[1],
        detect=below_zero,
    ),
    Mistake(
        name="along_the_line",
        explanation=lambda e: (
            f"In your numbers, one row down counts as much as {e.inputs['grid'][1]} columns to the "
            "right, as if the patches stood in a line. So different offsets share a number: a row "
            f"of offsets holds {2 * e.inputs['grid'][1] - 1} of them."
        ),
        hint="How many different steps to the left and right does a grid of C columns have?",
        # times C, as for the number of a patch; i - j + N - 1, right for a sentence, is the same
        buggy=with_width(lambda rows, cols: cols),
    ),
    Mistake(
        name="one_too_many_in_a_row",
        explanation=(
            "Your numbers leave gaps: a grid of C columns has 2C - 1 steps to the left and right, "
            "not 2C."
        ),
        hint="For C = 2, write down the steps: -1, 0, ... How many are there?",
        # times 2 C
        buggy=with_width(lambda rows, cols: 2 * cols),
    ),
    Mistake(
        name="rows_for_columns",
        explanation=lambda e: (
            f"Square grids come out right. Here the grid is {e.inputs['grid']}, and your rows of "
            "offsets have a length that belongs to the other side of the grid."
        ),
        hint="Offsets are numbered row by row. How long is a row of offsets, 2R - 1 or 2C - 1?",
        # times 2 R - 1
        buggy=with_width(lambda rows, cols: 2 * rows - 1),
        variants=(counted_along_rows,),
    ),
    Mistake(
        name="grid_turned",
        explanation=lambda e: (
            f"Square grids come out right. Here the grid is {e.inputs['grid']}: the first number "
            "counts rows, the second counts columns."
        ),
        hint="After how many patches does the next row begin?",
        # (cols, rows), or n // rows
        buggy=lambda grid: offset_numbers((grid[1], grid[0])),
    ),
    Mistake(
        name="columns_first",
        explanation=(
            "Your offsets are numbered column by column. The exercise numbers them row by row: one "
            "step to the right adds 1."
        ),
        hint="Which of the two steps is multiplied by the length of a row of offsets?",
        # right * (2 R - 1) + down
        buggy=lambda grid: (
            (steps(grid)[1] + grid[1] - 1) * (2 * grid[0] - 1) + steps(grid)[0] + grid[0] - 1
        ),
    ),
    Mistake(
        name="patches_in_column_order",
        explanation=(
            "You numbered the patches down the columns of the grid. The exercise numbers them row "
            "by row."
        ),
        hint="Which patch is number 1: the one to the right of patch 0, or the one below it?",
        # n % rows
        buggy=from_columns,
    ),
    Mistake(
        name="distances_not_offsets",
        explanation=(
            "Your numbers treat one row up like one row down, because you took absolute values. An "
            "offset has a direction."
        ),
        hint="Should a patch treat the patch above it and the patch below it alike?",
        # abs()
        buggy=without_distances,
        variants=(
            lambda grid: steps(grid)[0].abs() * grid[1] + steps(grid)[1].abs(),
            lambda grid: steps(grid)[0].abs() * (2 * grid[1] - 1) + steps(grid)[1].abs(),
        ),
    ),
    Mistake(
        name="steps_added",
        explanation=(
            "You added the two steps. Then one down and one right share a number, although they "
            "are different offsets."
        ),
        hint="How can one number hold two, as the number of a patch holds its row and its column?",
        # down + right
        buggy=added,
    ),
    Mistake(
        name="not_flattened",
        explanation="The numbers are right, but they are still in a grid of four axes.",
        hint="The result has one row for each patch and one column for each patch.",
        # (R, C, R, C)
        buggy=on_the_grid,
    ),
    Mistake(
        name="class_token_added",
        explanation="Your result has one row and one column too many, for a class token.",
        hint="How many patches does the grid have? The exercise asks for pairs of patches.",
        # BEiT's table has numbers for the class token; here there is none
        buggy=class_token,
    ),
    Mistake(
        name="counted_from_one",
        explanation="Your numbers start at 1. The exercise counts from 0.",
        hint="What is the lowest number in your result?",
        buggy=lambda grid: offset_numbers(grid) + 1,
    ),
    Mistake(
        name="not_the_smallest_shift",
        explanation=(
            "The offsets are shifted by the sides of the grid, one more than needed: your numbers "
            "do not begin at 0."
        ),
        hint="The lowest step is -(rows - 1). What must be added to make it 0?",
        buggy=lambda grid: number(steps(grid)[0] + 1, steps(grid)[1] + 1, grid),
        variants=(lambda grid: number(steps(grid)[0] + 1, steps(grid)[1], grid),),
    ),
    Mistake(
        name="negative_steps_wrapped_round",
        explanation="Steps below 0 were wrapped round with %, so the lowest does not come first.",
        hint="In which order should the steps -2, -1, 0, 1, 2 be numbered?",
        buggy=lambda grid: (
            steps(grid)[0] % (2 * grid[0] - 1) * (2 * grid[1] - 1)
            + steps(grid)[1] % (2 * grid[1] - 1)
        ),
    ),
    Mistake(
        name="difference_of_the_numbers",
        explanation="You subtract the numbers of the patches. An offset has a row and a column.",
        hint="Patches 0 and 4 on a grid with rows of 4, and patches 3 and 7: where do they lie?",
        buggy=one_line,
        variants=(
            lambda grid: one_line(grid).T,
            lambda grid: one_line(grid).abs(),
        ),
    ),
)


check_offset_numbers = Check(
    name="check_offset_numbers",
    signature=(
        "fn((rows, cols)) -> (N, N), int64, N = rows*cols patches numbered row by row: entry "
        "[i, j] is the number of the offset (row of i - row of j, column of i - column of j); "
        "offsets are numbered row by row from 0, the lowest steps first"
    ),
    cases=offset_numbers_cases,
    reference=offset_numbers,
    mistakes=MISTAKES,
)
