"""check_attention_distance: how far away, on average, the patches are that each head reads."""

import torch

from ..engine.case import Case, choice, numbers
from ..engine.check import Check
from ..engine.mistake import Mistake
from .general import general_mistakes


def places(grid, like):
    """Row and column of each patch, (N, 2)."""
    rows, cols = (torch.arange(side, device=like.device, dtype=like.dtype) for side in grid)
    return torch.cartesian_prod(rows, cols).reshape(-1, 2)


def distances(grid, like):
    """Between every two patches, in patches, (N, N)."""
    at = places(grid, like)
    return (at[:, None] - at).square().sum(dim=-1).sqrt()


def of_patches(weights):
    """The weights of patches for patches; each row sums to 1."""
    kept = weights[:, :, 1:, 1:]
    return kept / kept.sum(dim=-1, keepdim=True)


def attention_distance(weights, grid):
    """(B, h, 1 + N, 1 + N) -> (h,), in patches."""
    return weighted(of_patches(weights), distances(grid, weights))


def weighted(weights, far):
    return (weights * far).sum(dim=-1).mean(dim=(0, 2))


def attention_distance_cases(generator: torch.Generator) -> list[Case]:
    """Grids that are square and not; as many heads as images; sharp and even weights."""

    def case(about, B, h, rows, cols, sharp=2.0, dtype=torch.float32, **more):
        T = 1 + rows * cols
        scores = sharp * numbers(generator, B, h, T, T, dtype=dtype)
        scores[..., 0] += choice(generator, 1.0, 1.5)  # the class token is read a lot
        inputs = {"weights": scores.softmax(dim=-1), "grid": (rows, cols)}
        return Case(about, inputs, **more)

    few, many = choice(generator, 2, 3), choice(generator, 4, 5)
    return [
        case("square", 2, 3, 3, 3),
        case("wide", 2, 3, few, many),
        case("tall", 3, 2, many, few),
        case("one image", 1, 4, 3, 4),
        case("as many heads as images", 3, 3, few, 3),
        case("one row of patches", 2, 2, 1, many),
        case("nearly even weights", 2, 3, 3, 4, sharp=0.1),
        case("float64", 2, 2, 3, 2, dtype=torch.float64),
        case("another device", 2, 3, 3, 3, device="meta"),
    ]


def class_row(weights, grid):
    """What the class token reads, seen from the middle of the grid: it has no place of its own."""
    kept = weights[:, :, 0, 1:]
    kept = kept / kept.sum(dim=-1, keepdim=True)
    at = places(grid, weights)
    return (kept * (at - at.mean(dim=0)).norm(dim=-1)).sum(dim=-1).mean(dim=0)


def with_class_token_as_patch(weights, grid):
    """The class token as if it lay on the first patch."""
    far = distances(grid, weights)
    index = torch.cat([torch.zeros_like(far[:1, 0]), torch.arange(len(far)).to(far)]).long()
    return weighted(weights, far[index][:, index])


def divided_at_the_end(weights, grid, axes=(0, 2, 3)):
    """One division for all queries of a head, where each query should have its own."""
    kept = weights[:, :, 1:, 1:]
    return (kept * distances(grid, weights)).sum(dim=axes) / kept.sum(dim=axes)


def mean_of_ratios_by_image(weights, grid):
    return divided_at_the_end(weights, grid, axes=(2, 3)).mean(dim=0)


def last_left_out(weights, grid):
    """The class token taken for the last one."""
    kept = weights[:, :, :-1, :-1]
    return weighted(kept / kept.sum(dim=-1, keepdim=True), distances(grid, weights))


def read_by_others(weights, grid):
    """Normalised over the queries: who reads this patch, and from how far."""
    kept = weights[:, :, 1:, 1:]
    kept = kept / kept.sum(dim=-2, keepdim=True)
    return (kept * distances(grid, weights)).sum(dim=-2).mean(dim=(0, 2))


def itself_left_out(weights, grid):
    far = distances(grid, weights)
    kept = weights[:, :, 1:, 1:] * (far > 0)
    return weighted(kept / kept.sum(dim=-1, keepdim=True), far)


def grid_exchanged(weights, grid):
    """Row n // rows and column n % rows: right on square grids only."""
    return attention_distance(weights, (grid[1], grid[0]))


def along_the_line(weights, grid):
    n = torch.arange(grid[0] * grid[1], device=weights.device, dtype=weights.dtype)
    return weighted(of_patches(weights), (n[:, None] - n).abs())


def by_norm(weights, grid, p):
    at = places(grid, weights)
    return weighted(of_patches(weights), (at[:, None] - at).norm(p=p, dim=-1))


def to_the_most_read(weights, grid):
    most = weights[:, :, 1:, 1:].argmax(dim=-1, keepdim=True)  # (B, h, N, 1)
    far = distances(grid, weights).expand(*most.shape[:2], -1, -1)
    return far.gather(-1, most)[..., 0].mean(dim=(0, 2))


MISTAKES = (
    Mistake(
        name="not_normalised",
        explanation=(
            "Without the class token a row no longer sums to 1, and your distances come out too "
            "small: the part of the weight that went to the class token counts as distance 0."
        ),
        hint="What is the sum of a row after you have cut the class token off?",
        buggy=lambda weights, grid: weighted(weights[:, :, 1:, 1:], distances(grid, weights)),
    ),
    Mistake(
        name="class_token_counted",
        explanation=(
            "The class token is still in your table. It lies nowhere on the grid, so it has no "
            "distance to a patch."
        ),
        hint="Which row and which column of the table belong to the class token?",
        buggy=with_class_token_as_patch,
        variants=(
            lambda weights, grid: weighted(
                weights, torch.nn.functional.pad(distances(grid, weights), (1, 0, 1, 0))
            ),
        ),
    ),
    Mistake(
        name="last_token_left_out",
        explanation="You leave out the last token. The class token is the first one.",
        hint="Which number has the class token here, and which has the first patch?",
        buggy=last_left_out,
        variants=(
            lambda weights, grid: weighted(weights[:, :, :-1, :-1], distances(grid, weights)),
        ),
    ),
    Mistake(
        name="divided_at_the_end",
        explanation=(
            "You add up all distances first and divide once. A query that reads the class token a "
            "lot then counts less than the others."
        ),
        hint="Which sum makes the weights of one query add up to 1?",
        buggy=divided_at_the_end,
        variants=(mean_of_ratios_by_image,),
    ),
    Mistake(
        name="class_token_only",
        explanation=(
            "You use the class token's row alone. The exercise asks how far the patches read."
        ),
        hint="Which rows of the table belong to queries that are patches?",
        buggy=class_row,
    ),
    Mistake(
        name="query_and_key_exchanged",
        explanation=(
            "You weight each distance by the share among the queries: who reads this patch. A row "
            "of the table holds what one query reads."
        ),
        hint="Along which axis do the weights of one query sum to 1?",
        buggy=read_by_others,
        variants=(
            lambda weights, grid: weighted(
                of_patches(weights.transpose(-2, -1)), distances(grid, weights)
            ),
        ),
    ),
    Mistake(
        name="itself_left_out",
        explanation=(
            "You leave out the patch itself. It counts here, with distance 0: a head that reads "
            "only the patch itself has the mean distance 0."
        ),
        hint="Which entries of your table are 0 before you divide by its sum?",
        buggy=itself_left_out,
    ),
    Mistake(
        name="rows_and_columns_exchanged",
        explanation=(
            "You exchange rows and columns of the grid. On a square grid that changes nothing; "
            "here it does."
        ),
        hint="On a grid of 2 rows and 4 columns, where is patch 4?",
        buggy=grid_exchanged,
    ),
    Mistake(
        name="along_the_line",
        explanation=(
            "You take the difference of patch numbers as the distance. The last patch of a row and "
            "the first of the next row are then neighbours."
        ),
        hint="On a grid of 4 columns, how far is patch 3 from patch 4, and patch 0 from patch 4?",
        buggy=along_the_line,
    ),
    Mistake(
        name="city_blocks",
        explanation=(
            "You add the steps along rows and columns. The exercise asks for the straight line."
        ),
        hint="How far apart are the ends of a diagonal of one patch?",
        buggy=lambda weights, grid: by_norm(weights, grid, 1),
    ),
    Mistake(
        name="larger_of_the_two",
        explanation=(
            "You take the larger of the two steps, rows or columns. The exercise asks for the "
            "straight line."
        ),
        hint="How far apart are the ends of a diagonal of one patch?",
        buggy=lambda weights, grid: by_norm(weights, grid, float("inf")),
    ),
    Mistake(
        name="squared",
        explanation="Your distances are squared.",
        hint="Which root is missing?",
        buggy=lambda weights, grid: weighted(of_patches(weights), distances(grid, weights) ** 2),
    ),
    Mistake(
        name="to_the_most_read",
        explanation=(
            "You take the distance to the patch that is read most. The exercise asks for the mean "
            "over all patches, each weighted by how much it is read."
        ),
        hint="What should the distance be for a head that reads all patches equally?",
        buggy=to_the_most_read,
    ),
    Mistake(
        name="weights_ignored",
        explanation=(
            "Every head has the distance of equal weights: your result doesn't depend on them."
        ),
        hint="What multiplies a distance before you add it up?",
        buggy=lambda weights, grid: (
            distances(grid, weights).mean().expand(weights.shape[1]).clone()
        ),
    ),
    Mistake(
        name="mean_over_keys",
        explanation=lambda e: (
            "You take a mean over the patches that are read. Their weights already sum to 1, so "
            f"the result is {len(distances(e.inputs['grid'], e.inputs['weights']))} times too "
            "small."
        ),
        hint="A weighted mean is a sum of weight times value. What is left to divide by?",
        buggy=lambda weights, grid: (of_patches(weights) * distances(grid, weights)).mean(
            dim=(0, 2, 3)
        ),
    ),
    Mistake(
        name="summed_over_queries",
        explanation="You add up the queries' distances. The exercise asks for their mean.",
        hint="Should a head's distance depend on how many patches there are?",
        buggy=lambda weights, grid: (
            (of_patches(weights) * distances(grid, weights)).sum(dim=(-2, -1)).mean(dim=0)
        ),
    ),
    Mistake(
        name="images_kept",
        explanation="You return one number for each image and head. Take the mean over the images.",
        hint="Which axes of (B, h, N) should be gone in the end?",
        buggy=lambda weights, grid: (
            (of_patches(weights) * distances(grid, weights)).sum(dim=-1).mean(dim=-1)
        ),
    ),
    Mistake(
        name="heads_averaged",
        explanation="You average over the heads. Each head has its own distance.",
        hint="Which axes of (B, h, N) should be gone in the end?",
        buggy=lambda weights, grid: attention_distance(weights, grid).mean(),
        variants=(
            lambda weights, grid: (
                (of_patches(weights) * distances(grid, weights)).sum(dim=-1).mean(dim=(1, 2))
            ),
        ),
    ),
)


check_attention_distance = Check(
    name="check_attention_distance",
    signature=(
        "fn(weights (B, h, 1 + N, 1 + N), class token first, (rows, cols)) -> (h,): the mean "
        "distance in patches from a patch to the patches that it reads, weighted by how much"
    ),
    cases=attention_distance_cases,
    reference=attention_distance,
    mistakes=MISTAKES + general_mistakes(attention_distance),
)
