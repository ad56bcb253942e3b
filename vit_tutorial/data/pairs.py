"""Images made from a seed: a disc and a square. Where is the disc, and how far apart are the two?

Twelve classes, no download. Harder about places than `shapes`: an answer needs both positions.
"""

import itertools

import torch

from ..common.validation import require_int
from .dataset import Split

SIDE, CELL = 32, 8  # pixels: an image is a grid of 4 x 4 cells
GRID = SIDE // CELL
QUARTERS = ("upper left", "upper right", "lower left", "lower right")
APART = (1, 2, 3)  # cells: the larger of the differences in row and in column
# The label is 3 * quarter + (apart - 1).
CLASS_NAMES = tuple(f"{quarter}, {apart} apart" for quarter in QUARTERS for apart in APART)


def places(label: int) -> list[tuple[int, int]]:
    """Every (cell of the disc, cell of the square) that has this label; cells row by row."""
    found = []
    for disc, square in itertools.permutations(range(GRID**2), 2):
        (row, column), (other_row, other_column) = divmod(disc, GRID), divmod(square, GRID)
        quarter = 2 * (row // 2) + column // 2
        apart = max(abs(row - other_row), abs(column - other_column))
        if 3 * quarter + apart - 1 == label:
            found.append((disc, square))
    return found


def make_pairs(count: int, seed: int) -> Split:
    """`count` images (count, 3, 32, 32), uint8, with labels; 12 in a row have all 12 labels.

    These 12 are made of exactly the same cells of 8 x 8 pixels, one with a disc, one with a square
    and 14 of dark noise, in another order each. For every patch size that divides 8, a model that
    ignores the order gives all 12 the same answer: it is right on one, and its ceiling is 1/12. A
    model that knows the disc's quarter and nothing of the square has the ceiling 1/3.
    The same count and seed give the same images. Raises ValueError unless 12 divides the count.
    """
    require_int("count", count)
    require_int("seed", seed, minimum=0, maximum=2**62)
    K = len(CLASS_NAMES)
    if count % K:
        raise ValueError(f"count is {count}: the images come in sets of {K}, one of each class")
    draw = torch.Generator().manual_seed(seed)
    cells = _draw_cells(count // K, draw)  # (n, 16, 3, 8, 8): disc, square, 14 x background
    own = torch.arange(len(cells))[:, None]
    sets = [cells[own, _order(places(label), len(cells), draw)] for label in range(K)]
    images = torch.stack(sets, dim=1).flatten(0, 1)  # (count, 16, 3, 8, 8)
    images = images.unflatten(1, (GRID, GRID)).permute(0, 3, 1, 4, 2, 5).reshape(-1, 3, SIDE, SIDE)
    return Split(images, torch.arange(K).repeat(len(cells)))


def _order(choices: list[tuple[int, int]], count: int, draw: torch.Generator) -> torch.Tensor:
    """(count, 16): which of an image's cells lies at each place. Cells 0 and 1 are the shapes."""
    chosen = torch.tensor(choices)[torch.randint(len(choices), (count,), generator=draw)]
    order = torch.empty(count, GRID**2, dtype=torch.long)
    for i, (disc, square) in enumerate(chosen.tolist()):
        rest = iter(range(2, GRID**2))
        order[i] = torch.tensor(
            [0 if p == disc else 1 if p == square else next(rest) for p in range(GRID**2)]
        )
    return order


def _draw_cells(count: int, draw: torch.Generator) -> torch.Tensor:
    """(count, 16, 3, 8, 8), uint8: cell 0 has a disc, cell 1 a square, the others noise alone."""

    # Only uniform numbers: normal ones come from vectorised code, which differs between CPUs.
    def between(low: float, high: float, *size: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(count, *size, generator=draw)

    radius, x, y = (
        between(2.2, 3.2, 2, 1, 1),
        between(3.5, 4.5, 2, 1, 1),
        between(3.5, 4.5, 2, 1, 1),
    )
    centres = torch.arange(CELL) + 0.5
    dx, dy = centres - x, centres[:, None] - y  # (count, 2, 1, 8), (count, 2, 8, 1)
    disc = (dx[:, :1] ** 2 + dy[:, :1] ** 2).sqrt() - radius[:, :1]
    square = torch.maximum(dx[:, 1:].abs(), dy[:, 1:].abs()) - 0.9 * radius[:, 1:]
    cover = torch.zeros(count, GRID**2, 1, CELL, CELL)
    cover[:, :2, 0] = (0.5 - torch.cat([disc, square], dim=1)).clamp(0, 1)
    dark, bright = between(20, 70, 1, 3, 1, 1), between(150, 255, GRID**2, 3, 1, 1)
    cells = dark + (bright - dark) * cover + between(-20, 20, GRID**2, 3, CELL, CELL)
    return cells.round().clamp(0, 255).to(torch.uint8)
