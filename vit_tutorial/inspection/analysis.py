"""Numbers about what a model has learned: tensors in, tensors out. Nothing here knows a model class or draws."""

import math

import torch

from ..common.validation import require_int


def cosine_similarity(table: torch.Tensor) -> torch.Tensor:
    """Cosine of the angle between every two rows of `table` (T, D) or (1, T, D): (T, T), float32 in [-1, 1], on the CPU.

    A row of zeros has no direction: its similarity is 0 with every row, itself included. Raises ValueError for another rank.
    """
    table = _rows(table)
    length = table.norm(dim=-1, keepdim=True)  # (T, 1)
    unit = table / length.where(length > 0, torch.ones_like(length))
    return (unit @ unit.T).clamp(-1, 1)  # rounding leaves 1.0000001 here and there


def expected_random_cosine(dim: int) -> float:
    """Standard deviation of the cosine between two independent random directions in `dim` dimensions: 1 / sqrt(dim), exactly.

    Turn the space so that one direction is the first axis: the cosine is then the first entry of the other unit vector. The
    squares of its dim entries add to 1 and are alike, so each has the mean 1/dim; the mean of an entry is 0, by symmetry.
    Rows of independent normal numbers, such as learned positions at the start, have such directions at any scale but 0.
    """
    require_int("dim", dim)
    return 1 / math.sqrt(dim)


def grid_distance(grid: tuple[int, int]) -> torch.Tensor:
    """Straight-line distance between the centres of every two patches of a grid (rows, columns): (N, N), float32, in patches."""
    rows, columns = _check_grid(grid)
    n = torch.arange(rows * columns)
    place = torch.stack(
        [n // columns, n % columns], dim=1
    ).float()  # (N, 2): row and column of patch n
    return (
        (place[:, None] - place).square().sum(-1).sqrt()
    )  # not cdist: on large grids it rounds, and the diagonal is not 0


def similarity_by_distance(
    table: torch.Tensor, grid: tuple[int, int] | None = None, *, extra: int | None = None
) -> dict[int, tuple[float, float, int]]:
    """Cosine similarity of two patches' rows by their distance: {distance: (mean, standard deviation, number of pairs)}.

    distance: straight-line, rounded to whole patches (a diagonal neighbour, 1.41, counts as 1). Each pair counts once, no patch
    with itself; the deviation is over pairs (0 for one pair). table, grid, extra: as in `patch_rows`.
    """
    table, grid = patch_rows(table, grid, extra)
    first, second = torch.triu_indices(
        len(table), len(table), offset=1
    )  # every pair of two patches, once
    cosine = cosine_similarity(table)[first, second]
    distance = grid_distance(grid)[first, second].round().long()
    groups = {int(d): cosine[distance == d] for d in distance.unique()}
    return {d: (float(c.mean()), float(c.std(correction=0)), len(c)) for d, c in groups.items()}


def confusion_matrix(true: torch.Tensor, predicted: torch.Tensor, classes: int) -> torch.Tensor:
    """How often each class was taken for each: (classes, classes), int64 counts, rows true, columns predicted.

    true, predicted: class numbers (n,), 0 to classes - 1. Raises ValueError for other lengths or numbers.
    """
    require_int("classes", classes)
    true, predicted = (torch.as_tensor(labels).detach().cpu() for labels in (true, predicted))
    if true.ndim != 1 or true.shape != predicted.shape:
        raise ValueError(
            f"one true and one predicted class for an image: got {tuple(true.shape)} and {tuple(predicted.shape)}, not (n,) twice"
        )
    for name, labels in (("true", true), ("predicted", predicted)):
        if labels.is_floating_point():
            raise ValueError(
                f"{name} classes are {labels.dtype}: give class numbers; for logits (n, classes) that is logits.argmax(-1)"
            )
        if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
            raise ValueError(
                f"{name} classes run from {labels.min()} to {labels.max()}: with {classes} classes they are 0 to {classes - 1}"
            )
    pairs = true.long() * classes + predicted.long()  # one number for each (true, predicted)
    return torch.bincount(pairs, minlength=classes * classes).view(classes, classes)


def patch_rows(
    table: torch.Tensor, grid: tuple[int, int] | None = None, extra: int | None = None
) -> tuple[torch.Tensor, tuple[int, int]]:
    """The rows of a table (T, D) or (1, T, D) that belong to patches, (N, D) float32 on the CPU, and the grid (rows, columns).

    extra: how many rows belong to no patch: 1 for a class token that comes first, -1 for one that comes last, 0 for none.
        None: 0 or 1, whichever fits; the row then comes first (the paper, torchvision, timm). grid: None for a square one.
    Raises ValueError when the counts do not fit.
    """
    table = _rows(table)
    T = len(table)
    if grid is None:
        counts = (T, T - 1) if extra is None else (T - abs(extra),)
        sides = [math.isqrt(n) for n in counts if n > 0 and math.isqrt(n) ** 2 == n]
        if not sides:
            tried = " and ".join(str(n) for n in counts)
            raise ValueError(
                f"{T} positions, {tried} of them for patches, make no square: give grid=(rows, columns)"
            )
        grid = (sides[0], sides[0])
    rows, columns = _check_grid(grid)
    N = rows * columns
    beyond = T - N
    if beyond not in ((0, 1) if extra is None else (abs(extra),)):
        told = "" if extra is None else f" with extra={extra}"
        raise ValueError(
            f"{T} positions do not fit a grid of {rows}x{columns} = {N} patches{told}: T must be rows * columns, "
            "and 1 more with a class token (extra=1 where it comes first, -1 where last)"
        )
    return (table[:N] if extra is not None and extra < 0 else table[beyond:]), (rows, columns)


def _rows(table: torch.Tensor) -> torch.Tensor:
    """(T, D) or (1, T, D) -> (T, D), float32 on the CPU."""
    if not isinstance(table, torch.Tensor):
        raise ValueError(
            f"a table of positions is a tensor (T, D) or (1, T, D), not a {type(table).__name__}"
        )
    rows = table.detach()[0] if table.ndim == 3 and len(table) == 1 else table.detach()
    if rows.ndim != 2 or not rows.numel():
        raise ValueError(f"a table of positions is (T, D) or (1, T, D): got {tuple(table.shape)}")
    return rows.float().cpu()


def _check_grid(grid: tuple[int, int]) -> tuple[int, int]:
    if not isinstance(grid, (tuple, list)) or len(grid) != 2:
        raise ValueError(
            f"grid is {grid!r}: give (rows, columns), the number of patches down and across"
        )
    require_int("rows of the grid", grid[0])
    require_int("columns of the grid", grid[1])
    return tuple(grid)
