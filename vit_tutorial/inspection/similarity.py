"""What structure a table of positions has, in numbers.

Is the grid of patches in it? How much of it is a function of the row plus one of the column?
"""

import torch

from ..model.positions import sinusoidal_2d
from .analysis import cosine_similarity, grid_distance, patch_rows
from .layout import TokenLayout


def similarity_numbers(
    table: torch.Tensor, layout: TokenLayout | tuple[int, int] | None = None
) -> dict[str, float]:
    """A few numbers about a table (T, D) or (1, T, D); layout as in `analysis.patch_rows`.

    cosine_1 to cosine_5: mean cosine of two patches at that distance, rounded to whole patches
        (only distances that the grid has). cosine_1 holds the diagonal neighbours too, at 1.41;
        `neighbour_cosine` leaves them out.
    rows_recovered, columns_recovered: see `grid_recovery`.
    sinusoidal_share: see `sinusoidal_share`.
    """
    rows, grid = patch_rows(table, layout)
    first, second = torch.triu_indices(len(rows), len(rows), offset=1)  # every pair, once
    cosine = cosine_similarity(rows)[first, second]
    distance = grid_distance(grid)[first, second].round().long()
    numbers = {
        f"cosine_{d}": cosine[distance == d].mean().item()
        for d in range(1, 6)
        if (distance == d).any()
    }
    numbers["rows_recovered"], numbers["columns_recovered"] = grid_recovery(rows, grid)
    numbers["sinusoidal_share"] = sinusoidal_share(rows, grid)
    return numbers


def neighbour_cosine(
    table: torch.Tensor, layout: TokenLayout | tuple[int, int] | None = None
) -> float:
    """Mean cosine of two patches that share an edge: one beside the other, or one below the other.

    table: (T, D) or (1, T, D); layout as in `analysis.patch_rows`. A grid of R x C patches has
        R (C - 1) + C (R - 1) such pairs; patches that only touch at a corner are none.
    Raises ValueError for a single patch, which has no neighbour.
    """
    rows, grid = patch_rows(table, layout)
    if len(rows) < 2:
        raise ValueError("a grid of 1 patch has no neighbours: their mean cosine needs 2 patches")
    return cosine_similarity(rows)[grid_distance(grid) == 1].mean().item()


def grid_recovery(table: torch.Tensor, grid: tuple[int, int]) -> tuple[float, float]:
    """How well the similarities alone recover the patches' rows and columns: two shares, 0 to 1.

    Classical multidimensional scaling (Torgerson 1952): the two leading eigenvectors of the centred
    cosines place each patch in a plane. The share is the R squared of the best linear fit of the
    patch's row (and of its column) to that plane. Random tables give about 2 / (N - 1), because two
    random directions explain that much by chance.
    """
    cosine = cosine_similarity(table).double()
    N = len(cosine)
    centring = torch.eye(N, dtype=torch.float64) - 1 / N
    values, vectors = torch.linalg.eigh(centring @ cosine @ centring)  # in ascending order
    plane = vectors[:, -2:] * values[-2:].clamp(min=0).sqrt()  # (N, 2)
    n = torch.arange(N)
    return tuple(r_squared(plane, place.double()[:, None]) for place in (n // grid[1], n % grid[1]))


def sinusoidal_share(table: torch.Tensor, grid: tuple[int, int]) -> float:
    """The share of the table's variance that sines and cosines of row and column explain, 0 to 1.

    The basis is `sinusoidal_2d`, as wide as possible: R - 1 directions for rows and C - 1 for
    columns. Every table that is a function of the row plus a function of the column reaches 1, and
    a random one about (R + C - 2) / (N - 1).
    """
    return r_squared(sinusoidal_2d(grid, 8 * max(grid)).double(), table.detach().double().cpu())


def r_squared(inputs: torch.Tensor, targets: torch.Tensor) -> float:
    """R squared of the best linear map, with a constant, from inputs (N, a) to targets (N, b).

    0 for targets that do not vary.
    """
    inputs, targets = inputs - inputs.mean(0), targets - targets.mean(0)
    total = targets.square().sum()
    if total <= 1e-20:
        return 0.0
    left, scale, _ = torch.linalg.svd(inputs, full_matrices=False)
    spanned = left[:, scale > 1e-9 * scale.max().clamp(min=1e-30)]  # directions beyond rounding
    return ((spanned.T @ targets).square().sum() / total).item()
