"""check_row_plus_column: how much of a table is a function of the row plus one of the column."""

import torch

from ..engine.case import Case, choice, numbers
from ..engine.check import Check
from ..engine.mistake import Mistake
from ..engine.observe import as_number, type_name
from .general import general_mistakes


def row_plus_column(table, grid):
    """Table (N, D), grid (R, C) -> the share of its variance, 0 to 1."""
    centred, row, column = parts(table, grid)
    return share(row + column, centred)


def parts(table, grid):
    """The table as (R, C, D) without its mean, the means of its rows (R, 1, D), of its columns."""
    centred = table.unflatten(0, tuple(grid))
    centred = centred - centred.mean((0, 1))
    return centred, centred.mean(1, keepdim=True), centred.mean(0, keepdim=True)


def share(explained, of):
    return explained.expand_as(of).square().sum() / of.square().sum()


def record_share(value, inputs) -> tuple[dict, dict]:
    """The share, if a number came back."""
    number = as_number(value)
    facts = {"types": {"the share": type_name(value)}, "form": "a number"}
    return ({} if number is None else {"the share": number}), facts


def row_plus_column_cases(generator: torch.Generator) -> list[Case]:
    """Random tables, sums of a row and a column with noise, grids that are not square."""

    def case(about, R, C, D, noise, mean=0.0, row=1.0, column=1.0, dtype=torch.float32):
        draw = lambda *shape: numbers(generator, *shape, dtype=torch.float64)
        table = row * draw(R, 1, D) + column * draw(1, C, D) + noise * draw(R, C, D) + mean
        return Case(about, {"table": table.flatten(0, 1).to(dtype), "grid": (R, C)})

    side = choice(generator, 4, 5)
    return [
        case("a row, a column and noise", side, side, 6, 0.7),
        case("a wide grid", 3, 6, 8, 0.5),
        case("a tall grid", 5, 2, 4, 0.5),
        case("a mean far from zero", 4, 4, 8, 0.6, mean=3.0),
        case("noise alone", 4, 4, 12, 1.0, row=0, column=0),
        case("a sum exactly", 3, 5, 7, 0.0),
        case("a function of the row alone", 4, 3, 6, 0.0, column=0),
        case("float64", 4, 5, 6, 0.4, dtype=torch.float64),
    ]


def without_mean(table, grid):
    """The mean of the whole table is left in: it counts as explained, once or twice."""
    x = table.unflatten(0, tuple(grid))
    row, column = x.mean(1, keepdim=True), x.mean(0, keepdim=True)
    return share(row + column, x)


def mean_left_in_total(table, grid):
    x = table.unflatten(0, tuple(grid))
    row, column = x.mean(1, keepdim=True), x.mean(0, keepdim=True)
    return share(row + column - x.mean((0, 1)), x)


def one_mean_too_many(table, grid):
    """Means of the table as it is, added: the mean is in there twice."""
    x = table.unflatten(0, tuple(grid))
    row, column = x.mean(1, keepdim=True), x.mean(0, keepdim=True)
    return 1 - (x - row - column).square().sum() / (x - x.mean((0, 1))).square().sum()


def number_mean(table, grid):
    """One mean for all numbers, in place of one for each of the D entries."""
    x = table.unflatten(0, tuple(grid)) - table.mean()
    row, column = x.mean(1, keepdim=True), x.mean(0, keepdim=True)
    return share(row + column, x)


def of_one(which):
    return lambda table, grid: share(parts(table, grid)[which], parts(table, grid)[0])


def columns_first(table, grid):
    """The grid read as (C, R), so that patches of different rows are averaged."""
    return row_plus_column(table, (grid[1], grid[0]))


def left_over_of_the_raw(table, grid):
    """1 - what is left over, without the mean taken off anywhere."""
    x = table.unflatten(0, tuple(grid))
    row, column = x.mean(1, keepdim=True), x.mean(0, keepdim=True)
    return 1 - (x - row - column).square().sum() / x.square().sum()


MISTAKES = (
    Mistake(
        name="mean_left_in",
        explanation=(
            "The mean of the whole table is still in your numbers: a table far from zero comes out "
            "as explained, whatever it holds."
        ),
        hint="What is the variance of numbers that are all 3? And the sum of their squares?",
        buggy=without_mean,
        variants=(mean_left_in_total, one_mean_too_many),
    ),
    Mistake(
        name="one_mean_for_all_entries",
        explanation="You take off one number for all: each of the D entries has its own mean.",
        hint="What is the shape of the mean of N vectors of D entries?",
        buggy=number_mean,
    ),
    Mistake(
        name="rows_alone",
        explanation="Your share is that of the row alone: the columns are missing.",
        hint="Which of the two averages does your sum of squares hold?",
        buggy=of_one(1),
    ),
    Mistake(
        name="columns_alone",
        explanation="Your share is that of the column alone: the rows are missing.",
        hint="Which of the two averages does your sum of squares hold?",
        buggy=of_one(2),
    ),
    Mistake(
        name="grid_exchanged",
        explanation=(
            "Square grids are right. You read a grid (R, C) as (C, R): patches are numbered row by "
            "row, so a row has C of them."
        ),
        hint="On a grid of 3 rows and 6 columns, which numbers have the patches of row 0?",
        buggy=columns_first,
        detect=lambda e: e.wrong_exactly_where(
            lambda case: case.inputs["grid"][0] != case.inputs["grid"][1]
        ),
    ),
    Mistake(
        name="what_is_left_over",
        explanation="You return the share that is NOT explained: 1 minus what is asked for.",
        hint="For a table that is exactly row plus column, should the share be 1 or 0?",
        buggy=lambda table, grid: 1 - row_plus_column(table, grid),
    ),
    Mistake(
        name="counted_once",
        explanation=(
            "You add the squares of R row means and C column means as they are. Each row mean "
            "stands in C patches, and each column mean in R."
        ),
        hint="How many patches share the mean of one row?",
        buggy=lambda table, grid: (
            sum(part.square().sum() for part in parts(table, grid)[1:])
            / parts(table, grid)[0].square().sum()
        ),
    ),
    Mistake(
        name="root_of_the_share",
        explanation="You return the ratio of lengths: the share of a variance is its square.",
        hint="Is a variance a length or a square?",
        buggy=lambda table, grid: row_plus_column(table, grid).sqrt(),
    ),
    Mistake(
        name="not_a_share",
        explanation="You return the explained sum of squares, not its share of the whole.",
        hint="By what must you divide, so that the result lies between 0 and 1?",
        buggy=lambda table, grid: (
            sum(parts(table, grid)[1:]).square().sum() + 0 * parts(table, grid)[0].sum()
        ),
        variants=(
            lambda table, grid: (parts(table, grid)[1] + parts(table, grid)[2]).square().mean(),
        ),
    ),
    Mistake(
        name="mean_of_shares",
        explanation=(
            "You average the shares of the D entries. An entry with little variance then counts as "
            "much as one with a lot."
        ),
        hint="Sum before you divide, or divide before you average: which is a share of the whole?",
        buggy=lambda table, grid: per_entry(table, grid),
    ),
    Mistake(
        name="mean_never_taken_off",
        explanation="The mean over all patches was not taken off before the shares were formed.",
        hint="Of which numbers is a variance the mean square?",
        buggy=left_over_of_the_raw,
    ),
)


def per_entry(table, grid):
    centred, row, column = parts(table, grid)
    explained = (row + column).expand_as(centred).square().sum((0, 1))
    return (explained / centred.square().sum((0, 1))).mean()


check_row_plus_column = Check(
    name="check_row_plus_column",
    signature=(
        "fn(table (N, D), grid (R, C)) -> the share of the table's variance, 0 to 1, that a "
        "function of the row plus a function of the column explains; patches row by row"
    ),
    cases=row_plus_column_cases,
    reference=row_plus_column,
    mistakes=MISTAKES
    + general_mistakes(row_plus_column, without=("wrong_dtype", "wrong_device", "detached")),
    record=record_share,
)
