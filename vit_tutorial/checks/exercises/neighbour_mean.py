"""check_neighbour_mean: guess hidden patches from the patches beside them."""

import torch

from ...relatives.masked_autoencoder import neighbour_mean
from ..engine.case import Case, choice, numbers
from ..engine.check import Check
from ..engine.mistake import Evidence, Mistake
from .general import general_mistakes

STEPS = ((-1, 0), (1, 0), (0, -1), (0, 1))  # above, below, left, right
DIAGONAL = ((-1, -1), (-1, 1), (1, -1), (1, 1))


def neighbour_mean_cases(generator: torch.Generator) -> list[Case]:
    """Grids of all forms, masks from one hidden patch to one visible patch."""

    def case(about, B, rows, columns, L, visible, dtype=torch.float32, **more):
        N = rows * columns
        patches = 3 + numbers(generator, B, N, L, dtype=torch.float64)
        ranks = torch.rand(B, N, generator=generator).argsort(dim=1).argsort(dim=1)
        inputs = dict(patches=patches.to(dtype), mask=ranks >= visible, grid=(rows, columns))
        return Case(about, inputs, **more)

    few, many, L = choice(generator, 2, 3), choice(generator, 5, 6), choice(generator, 4, 6)
    return [
        case("half hidden", 2, 4, 4, L, 8),
        case("wide", 2, few, many, L, few * many // 2),
        case("tall", 2, many, few, L, few * many // 2),
        case("three of four hidden", 3, 6, 6, L, 9),
        case("one patch hidden", 2, 3, 4, L, 11),
        case("one patch visible", 2, 4, 4, L, 1),
        case("one row", 2, 1, 7, L, 4),
        case("one column, one image", 1, 7, 1, L, 4),
        case("float64", 2, 4, 5, L, 9, torch.float64),
    ]


def by_hand(
    patches,
    mask,
    grid,
    steps=STEPS,
    divide_by=None,
    hidden_too=False,
    alone="visible",
    around=False,
    sequence=False,
    everywhere=False,
):
    """The function as a loop. The options are what goes wrong.

    divide_by: "four" or "inside" (neighbours in the image) instead of the visible neighbours.
    alone: what a patch without a visible neighbour gets: the mean of the "visible" patches, of
        "all" patches of the image, of the visible ones of the "batch", "zero", or "nan".
    """
    rows, columns = grid
    out = patches.clone()
    source = out if sequence else patches
    seen = ~mask.clone()
    for b in range(len(patches)):
        for n in range(rows * columns):
            if not (mask[b, n] or everywhere):
                continue
            r, c = divmod(n, columns)
            places = [(r + dr, c + dc) for dr, dc in steps]
            if around:
                places = [(y % rows, x % columns) for y, x in places]
            inside = [y * columns + x for y, x in places if 0 <= y < rows and 0 <= x < columns]
            chosen = [k for k in inside if hidden_too or seen[b, k]]
            count = {"four": 4, "inside": len(inside)}.get(divide_by, len(chosen))
            if chosen:
                out[b, n] = source[b, chosen].sum(0) / count
            elif alone == "visible":
                out[b, n] = patches[b][~mask[b]].mean(0)
            elif alone == "all":
                out[b, n] = patches[b].mean(0)
            elif alone == "batch":
                out[b, n] = patches[~mask].mean(0)
            else:
                out[b, n] = 0 if alone == "zero" else float("nan")
            if sequence:
                seen[b, n] = True
    return out


def made(**options):
    return lambda patches, mask, grid: by_hand(patches, mask, grid, **options)


def overall_everywhere(patches, mask, grid):
    seen = (~mask)[..., None]
    overall = (patches * seen).sum(1, keepdim=True) / seen.sum(1, keepdim=True)
    return torch.where(seen, patches, overall)


def along_the_line(patches, mask, grid, also_rows=True):
    """Neighbours by number: n - 1 and n + 1, over the end of a row."""
    N, columns = patches.shape[1], grid[1]
    steps = (-1, 1, -columns, columns) if also_rows else (-1, 1)
    out = patches.clone()
    for b in range(len(patches)):
        for n in mask[b].nonzero().flatten().tolist():
            near = [n + s for s in steps if 0 <= n + s < N and not mask[b, n + s]]
            out[b, n] = patches[b, near].mean(0) if near else patches[b][~mask[b]].mean(0)
    return out


def grid_of(e: Evidence) -> tuple[int, int]:
    return e.inputs["grid"]


MISTAKES = (
    Mistake(
        name="hidden_neighbours_read",
        explanation="Your code reads the values of hidden neighbours. They are what has to be "
        "guessed.",
        hint="Which patches may the mean contain? Where do you ask the mask about a neighbour?",
        buggy=made(hidden_too=True),
    ),
    Mistake(
        name="hidden_neighbours_count_as_zero",
        explanation="Hidden neighbours add nothing to your sum, but they count in the number that "
        "you divide by.",
        hint="How many patches did you add up, and by how many do you divide?",
        buggy=made(divide_by="inside", alone="zero"),
        variants=(made(divide_by="inside"),),
    ),
    Mistake(
        name="always_divided_by_four",
        explanation="You divide by 4 wherever the patch lies. A patch in a corner has two "
        "neighbours, and some neighbours are hidden.",
        hint="How many patches did you add up, and by how many do you divide?",
        buggy=made(divide_by="four", alone="zero"),
        variants=(
            made(divide_by="four"),
            made(divide_by="four", hidden_too=True),
            made(divide_by="four", around=True, alone="zero"),
        ),
    ),
    Mistake(
        name="around_the_border",
        explanation=(
            "Your grid wraps around: the last patch of a row counts as a neighbour of the first "
            "one, or the last row as a neighbour of the first row."
        ),
        hint="What does roll do with the last entry? What does index -1 mean?",
        buggy=made(around=True),
    ),
    Mistake(
        name="over_the_end_of_a_row",
        explanation=lambda e: (
            "Your code counts the last patch of a row and the first patch of the next row as "
            f"neighbours. With {grid_of(e)[1]} patches in a row, these are patch "
            f"{grid_of(e)[1] - 1} and patch {grid_of(e)[1]}."
        ),
        hint="Where on the grid are patches n and n + 1 when n is the last of its row?",
        buggy=along_the_line,
        variants=(lambda *inputs: along_the_line(*inputs, also_rows=False),),
    ),
    Mistake(
        name="diagonals_included",
        explanation="Your mean includes diagonal patches. Neighbours share a side.",
        hint="How many neighbours can a patch have at most?",
        buggy=made(steps=STEPS + DIAGONAL),
        variants=(made(steps=DIAGONAL),),
    ),
    Mistake(
        name="beside_only",
        explanation="You use the neighbours to the left and right, but not those above and below.",
        hint="Which neighbours does a patch have in a grid with one column?",
        buggy=made(steps=STEPS[2:]),
    ),
    Mistake(
        name="above_and_below_only",
        explanation="You use the neighbours above and below, but not those to the left and right.",
        hint="Which neighbours does a patch have in a grid with one row?",
        buggy=made(steps=STEPS[:2]),
    ),
    Mistake(
        name="one_direction_only",
        explanation="You use the neighbours on one side only, such as above and to the left.",
        hint="A patch in the middle of the grid has four neighbours. How many does your code find?",
        buggy=made(steps=(STEPS[0], STEPS[2])),
        variants=(
            made(steps=(STEPS[1], STEPS[3])),
            *(made(steps=(step,)) for step in STEPS),
        ),
    ),
    Mistake(
        name="rows_and_columns_swapped",
        explanation=lambda e: (
            f"Square grids come out right. Here the grid is {grid_of(e)}: {grid_of(e)[0]} rows of "
            f"{grid_of(e)[1]} patches."
        ),
        hint="After how many patches does the next row begin? Which of the two numbers is that?",
        buggy=lambda patches, mask, grid: neighbour_mean(patches, mask, (grid[1], grid[0])),
    ),
    Mistake(
        name="guesses_reused",
        explanation="Your code uses patches that it has just guessed as if they were visible.",
        hint="Do you write into the tensor that you read the neighbours from?",
        buggy=made(sequence=True),
    ),
    Mistake(
        name="alone_left_at_zero",
        explanation="A hidden patch without a visible neighbour becomes 0 in your result. It "
        "should get the mean of the image's visible patches.",
        hint="What does your code do where it finds no neighbour?",
        buggy=made(alone="zero"),
        variants=(
            lambda patches, mask, grid: torch.where(
                by_hand(patches, mask, grid, alone="nan").isnan(),
                patches,
                by_hand(patches, mask, grid),
            ),
        ),
    ),
    Mistake(
        name="alone_not_a_number",
        explanation="A hidden patch without a visible neighbour becomes nan: the mean of nothing.",
        hint="What is 0 divided by 0? What should such a patch get?",
        buggy=made(alone="nan"),
    ),
    Mistake(
        name="overall_mean_of_all",
        explanation="Where no neighbour is visible, you take the mean of all patches of the image, "
        "with the hidden ones among them.",
        hint="Which patches may that mean contain?",
        buggy=made(alone="all"),
    ),
    Mistake(
        name="overall_mean_of_the_batch",
        explanation="Where no neighbour is visible, you take the mean over the whole batch. Each "
        "image has its own visible patches.",
        hint="Does your result change when an image is alone in its batch?",
        buggy=made(alone="batch"),
    ),
    Mistake(
        name="overall_mean_everywhere",
        explanation="You give every hidden patch the mean of all visible patches, also where it "
        "has visible neighbours.",
        hint="Which input says where a patch lies, and does your code use it?",
        buggy=overall_everywhere,
    ),
    Mistake(
        name="visible_changed",
        explanation="Your function also replaces visible patches. They should stay as they are.",
        hint="For which entries of the mask do you write into the result?",
        buggy=made(everywhere=True),
    ),
    Mistake(
        name="mask_inverted",
        explanation="You replaced the visible patches and kept the hidden ones. In `mask`, True "
        "marks a hidden patch.",
        hint="Which patches should come back unchanged?",
        buggy=lambda patches, mask, grid: neighbour_mean(patches, ~mask, grid),
    ),
    Mistake(
        name="itself_included",
        explanation="Your mean includes the hidden patch itself.",
        hint="How many entries does your window have in the middle of the grid: four or five?",
        buggy=lambda patches, mask, grid: with_itself(patches, mask, grid),
    ),
    Mistake(
        name="sum_of_neighbours",
        explanation="You add up the visible neighbours and do not divide.",
        hint="If two neighbours have the same value, which value should the guess have?",
        buggy=lambda patches, mask, grid: summed(patches, mask, grid),
    ),
    Mistake(
        name="nothing_filled",
        explanation="Your function returns the patches as they came.",
        hint="Which patches should differ from the input?",
        buggy=lambda patches, mask, grid: patches.clone(),
    ),
)


def with_itself(patches, mask, grid):
    """The mean of the visible neighbours and the patch's own hidden value."""
    rows, columns = grid
    out = patches.clone()
    for b in range(len(patches)):
        for n in mask[b].nonzero().flatten().tolist():
            r, c = divmod(n, columns)
            near = [
                y * columns + x
                for y, x in ((r + dr, c + dc) for dr, dc in STEPS)
                if 0 <= y < rows and 0 <= x < columns and not mask[b, y * columns + x]
            ]
            out[b, n] = patches[b, [n, *near]].mean(0)
    return out


def summed(patches, mask, grid):
    """The sum of the visible neighbours where there are some."""
    ones = torch.ones_like(patches[..., :1])
    rows, columns = grid
    out = neighbour_mean(patches, mask, grid)
    for b in range(len(patches)):
        for n in mask[b].nonzero().flatten().tolist():
            r, c = divmod(n, columns)
            count = sum(
                0 <= r + dr < rows
                and 0 <= c + dc < columns
                and not mask[b, (r + dr) * columns + c + dc]
                for dr, dc in STEPS
            )
            out[b, n] *= max(1, count) * ones[b, n]
    return out


check_neighbour_mean = Check(
    name="check_neighbour_mean",
    signature=(
        "fn(patches (B, N, L), mask (B, N), (rows, columns)) -> (B, N, L): each hidden patch (mask "
        "True) replaced by the mean of its visible neighbours, which share a side; without any, by "
        "the mean of the image's visible patches"
    ),
    cases=neighbour_mean_cases,
    reference=neighbour_mean,
    mistakes=MISTAKES + general_mistakes(neighbour_mean, without=("wrong_device", "detached")),
)
