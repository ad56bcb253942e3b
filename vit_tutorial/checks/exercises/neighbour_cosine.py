"""check_neighbour_cosine: how similar the rows of direct neighbours on the grid are."""

import torch
from torch.nn import functional as F

from ..engine.case import Case, choice, numbers
from ..engine.check import Check
from ..engine.mistake import Evidence, Mistake
from ..engine.observe import record_number
from .general import general_mistakes


def unit(table):
    """Rows of length 1."""
    return F.normalize(table, dim=-1)


def edges(table, grid, rows_too=True, columns_too=True):
    """The cosines of pairs that share an edge: side by side (rows), and below each other."""
    x = unit(table).view(*grid, -1)
    beside, below = (x[:, 1:] * x[:, :-1]).sum(-1), (x[1:] * x[:-1]).sum(-1)
    kept = [part.flatten() for part, wanted in ((beside, rows_too), (below, columns_too)) if wanted]
    return torch.cat(kept)


def neighbour_cosine(table, grid):
    """The right number; `inspection.similarity` has it for models, too (a test compares both)."""
    return edges(table, grid).mean().item()


def neighbour_cosine_cases(generator: torch.Generator) -> list[Case]:
    """Square grids and others, a single row, a single column; rows of very different lengths."""

    def case(about, rows, cols, D, dtype=torch.float64):
        place = torch.cartesian_prod(torch.arange(rows), torch.arange(cols)).double()  # (N, 2)
        smooth = torch.sin(place @ numbers(generator, 2, D, dtype=torch.float64) + 1)
        lengths = 0.2 + torch.rand(rows * cols, 1, generator=generator, dtype=torch.float64)
        noise = numbers(generator, rows * cols, D, dtype=torch.float64)
        table = lengths * (0.5 + smooth + 0.5 * noise)  # neighbours alike, all rows a little
        return Case(about, {"table": table.to(dtype), "grid": (rows, cols)})

    few, many = choice(generator, 2, 3), choice(generator, 5, 6, 7)
    return [
        case("square", 4, 4, 12, torch.float32),
        case("wide", few, many, 10),
        case("tall", many, few, 9),
        case("one row", 1, many, 8),
        case("one column", many, 1, 8),
        case("the smallest square", 2, 2, 6),
        case("as many patches as entries", 3, 4, 12),
        case("large grid", 8, 8, 16, torch.float32),
    ]


def pairs(grid):
    """Row and column steps between every two patches, (N, N) each."""
    n = torch.arange(grid[0] * grid[1])
    row, column = n // grid[1], n % grid[1]
    return (row[:, None] - row).abs(), (column[:, None] - column).abs()


def mean_where(table, mask):
    x = unit(table)
    return (x @ x.T)[mask].mean().item()


def with_diagonals(table, grid):
    down, right = pairs(grid)
    return mean_where(table, torch.maximum(down, right) == 1)


def with_itself(table, grid):
    down, right = pairs(grid)
    return mean_where(table, down + right <= 1)


def everywhere(table, grid):
    down, right = pairs(grid)
    return mean_where(table, down + right > 0)


def around_the_border(table, grid):
    x = unit(table).view(*grid, -1)
    cosines = [(x * x.roll(1, axis)).sum(-1) for axis in (0, 1)]
    return torch.stack(cosines).mean().item()


def along_the_line(table, grid):
    x = unit(table)
    return (x[1:] * x[:-1]).sum(-1).mean().item()


def line_and_below(table, grid):
    """Beside: n and n + 1 wherever they are. Below: right."""
    x = unit(table)
    line = (x[1:] * x[:-1]).sum(-1)
    return torch.cat([line, edges(table, grid, rows_too=False)]).mean().item()


def by_patch(table, grid):
    down, right = pairs(grid)
    near, x = (down + right == 1), unit(table)
    return (((x @ x.T) * near).sum(1) / near.sum(1)).mean().item()


def by_direction(table, grid):
    found = [edges(table, grid, columns_too=False), edges(table, grid, rows_too=False)]
    return torch.stack([part.mean() for part in found if len(part)]).mean().item()


def by_direction_or_nan(table, grid):
    """As by_direction; the mean of no pair at all is nan."""
    beside = edges(table, grid, columns_too=False).mean()
    return ((beside + edges(table, grid, rows_too=False).mean()) / 2).item()


def one_direction(table, grid, **which):
    found = edges(table, grid, **which)
    return found.mean().item()  # nan where there is none


def dot_products(table, grid):
    down, right = pairs(grid)
    return (table @ table.T)[down + right == 1].mean().item()


def lengths_of_entries(table, grid):
    """normalize along axis 0: each entry over all patches, instead of each row."""
    x, (down, right) = F.normalize(table, dim=0), pairs(grid)
    return (x @ x.T)[down + right == 1].mean().item()


def mean_distance(table, grid):
    down, right = pairs(grid)
    return torch.cdist(table, table)[down + right == 1].mean().item()


def grid_of(e: Evidence) -> tuple[int, int]:
    return e.inputs["grid"]


def counts(e: Evidence) -> tuple[int, int]:
    """Pairs that share an edge, and pairs that touch only at a corner, in the first wrong case."""
    rows, cols = grid_of(e)
    return rows * (cols - 1) + cols * (rows - 1), 2 * (rows - 1) * (cols - 1)


def diagonals_only(table, grid):
    x = unit(table).view(*grid, -1)
    return (x[1:, 1:] * x[:-1, :-1]).sum(-1).mean().item()


def over(count):
    """The sum of the right cosines divided by count(rows, columns)."""
    return lambda table, grid: (edges(table, grid).sum() / max(1, count(*grid))).item()


def last_row_and_column_skipped(table, grid):
    """Both neighbours of a patch in one loop, which must end before either is outside."""
    x = unit(table).view(*grid, -1)
    inner = x[:-1, :-1]
    found = [(inner * x[:-1, 1:]).sum(-1).flatten(), (inner * x[1:, :-1]).sum(-1).flatten()]
    return torch.cat(found).mean().item()


MISTAKES = (
    Mistake(
        name="diagonals_included",
        explanation=lambda e: (
            f"Your mean includes diagonal pairs: here {counts(e)[1]} pairs that touch only at a "
            f"corner, besides the {counts(e)[0]} that share an edge."
        ),
        hint="How far apart are the centres of two diagonal neighbours? What does 1.41 round to?",
        # a distance that is rounded to whole patches, or a window of 3 x 3
        buggy=with_diagonals,
    ),
    Mistake(
        name="itself_included",
        explanation="Your mean includes each patch paired with itself, which has cosine 1.",
        hint="A patch is not its own neighbour. How far is it from itself?",
        # distance <= 1 instead of distance == 1
        buggy=with_itself,
    ),
    Mistake(
        name="all_pairs",
        explanation="You averaged over every pair of different patches, near or far.",
        hint="Which line of your code uses the grid, and which pairs does it keep?",
        # the mean of the whole matrix without its diagonal
        buggy=everywhere,
    ),
    Mistake(
        name="around_the_border",
        explanation=(
            "Your grid wraps around: the last patch of a row counts as a neighbour of the first "
            "one, or the last row as a neighbour of the first row."
        ),
        hint="What does roll do with the last entry?",
        # x * x.roll(1, axis)
        buggy=around_the_border,
    ),
    Mistake(
        name="along_the_line",
        explanation=(
            "You compared patch n with patch n + 1. Those are neighbours in the numbering, but "
            "a grid also has neighbours one above the other."
        ),
        hint="On a grid with rows of 4 patches, which two patches share an edge with "
        "patch 5, above and below it?",
        # x[1:] * x[:-1] on the flat table
        buggy=along_the_line,
    ),
    Mistake(
        name="over_the_end_of_a_row",
        explanation=lambda e: (
            f"Your code counts the last patch of a row and the first patch of the next row as "
            f"neighbours: here patch {grid_of(e)[1] - 1} and patch {grid_of(e)[1]}."
        ),
        hint="Where on the grid are these two patches?",
        # pairs (n, n + 1) and (n, n + C)
        buggy=line_and_below,
    ),
    Mistake(
        name="beside_only",
        explanation="Your mean has the pairs side by side, but not the pairs one above the other.",
        hint="How many pairs does a grid with a single column have? How many did your code find?",
        # one axis of the grid
        buggy=lambda table, grid: one_direction(table, grid, columns_too=False),
    ),
    Mistake(
        name="below_only",
        explanation="Your mean has the pairs one above the other, but not the pairs side by side.",
        hint="How many pairs does a grid with a single row have? How many did your code find?",
        # the other axis
        buggy=lambda table, grid: one_direction(table, grid, rows_too=False),
    ),
    Mistake(
        name="rows_and_columns_swapped",
        explanation=lambda e: (
            f"Square grids come out right. Here the grid is {grid_of(e)}: {grid_of(e)[0]} rows of "
            f"{grid_of(e)[1]} patches."
        ),
        hint="After how many patches does the next row begin? Which of the two numbers is that?",
        # view(cols, rows, D), or n // rows
        buggy=lambda table, grid: neighbour_cosine(table, (grid[1], grid[0])),
    ),
    Mistake(
        name="averaged_by_patch",
        explanation=(
            "You took the mean for each patch and then the mean of those means. So a corner patch "
            "with two pairs counts as much as an inner one with four. Each pair should count once."
        ),
        hint="How much weight does a pair at the border get, and how much a pair inside?",
        # a loop over the patches with a mean in it
        buggy=by_patch,
    ),
    Mistake(
        name="averaged_by_direction",
        explanation=lambda e: (
            "You averaged the horizontal pairs, then the vertical pairs, and then the two means. "
            f"On a grid of {grid_of(e)} there are more pairs of one kind, and each pair should "
            "count once."
        ),
        hint="How many pairs of each kind does this grid have?",
        # (a.mean() + b.mean()) / 2
        buggy=by_direction,
        variants=(by_direction_or_nan,),
    ),
    Mistake(
        name="dot_products",
        explanation="You averaged dot products. A cosine does not depend on the rows' lengths.",
        hint="Which part of cos(u, v) = u·v / (|u||v|) is missing?",
        # table @ table.T
        buggy=dot_products,
    ),
    Mistake(
        name="lengths_of_entries",
        explanation=(
            "You scaled each column of the table to length 1. A cosine needs rows of length 1."
        ),
        hint="Along which axis do the D entries of one position lie?",
        # F.normalize(table, dim=0)
        buggy=lengths_of_entries,
    ),
    Mistake(
        name="distances",
        explanation="You averaged distances between rows. The exercise asks for cosines.",
        hint="What should the result be for two rows that point the same way?",
        # torch.cdist, for which near means small
        buggy=mean_distance,
    ),
    Mistake(
        name="centred",
        explanation=(
            "You subtracted the mean row first. The exercise asks for the cosines of the rows as "
            "they are."
        ),
        hint="Which line changes the rows before you compute their lengths?",
        # principal components start like this
        buggy=lambda table, grid: neighbour_cosine(table - table.mean(0), grid),
    ),
    Mistake(
        name="absolute_values",
        explanation="You averaged absolute values. A cosine below 0 counts as it is.",
        hint="What does it mean when two neighbours have a cosine of -0.5?",
        # abs() somewhere
        buggy=lambda table, grid: edges(table, grid).abs().mean().item(),
    ),
    Mistake(
        name="sum_not_mean",
        explanation=lambda e: (
            f"You return a sum over {counts(e)[0]} pairs. The exercise asks for their mean."
        ),
        hint="A mean of cosines lies between -1 and 1. Does yours?",
        # sum() without a division
        buggy=lambda table, grid: edges(table, grid).sum().item(),
    ),
    Mistake(
        name="diagonals_only",
        explanation="You compare patches with the one below and to the right: they share a corner.",
        hint="In how many axes does your index move at once?",
        buggy=diagonals_only,
    ),
    Mistake(
        name="divided_by_another_number",
        explanation="The right cosines are added up, but not divided by the number of pairs.",
        hint="How many pairs are there in a row, and how many rows? The same for the columns.",
        buggy=over(lambda rows, cols: rows * cols),
        variants=(
            over(lambda rows, cols: 2 * rows * cols),
            over(lambda rows, cols: (rows - 1) * (cols - 1)),
            over(lambda rows, cols: 2 * (rows - 1) * (cols - 1)),
            over(lambda rows, cols: 2),
            over(lambda rows, cols: rows * cols - 1),
            over(lambda rows, cols: 4 * rows * cols),
        ),
    ),
    Mistake(
        name="median_for_mean",
        explanation="You return the median, the largest or the smallest cosine, not the mean.",
        hint="What does the exercise ask for?",
        buggy=lambda table, grid: edges(table, grid).median().item(),
        variants=(
            lambda table, grid: edges(table, grid).max().item(),
            lambda table, grid: edges(table, grid).min().item(),
        ),
    ),
    Mistake(
        name="last_row_and_column_skipped",
        explanation="The pairs inside the last row and inside the last column are missing.",
        hint="How many pairs lie side by side in the last row? Does your loop reach them?",
        buggy=last_row_and_column_skipped,
    ),
)


check_neighbour_cosine = Check(
    name="check_neighbour_cosine",
    signature=(
        "fn(table (N, D), (rows, cols)) -> a number: the mean cosine over all pairs of patches "
        "that share an edge, patches numbered row by row, each pair counted once"
    ),
    cases=neighbour_cosine_cases,
    reference=neighbour_cosine,
    mistakes=MISTAKES
    + general_mistakes(neighbour_cosine, without=("wrong_dtype", "wrong_device", "detached")),
    record=record_number("mean cosine"),
)
