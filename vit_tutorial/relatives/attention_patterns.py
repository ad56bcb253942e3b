"""Who may read whom: masks for the attention patterns of image transformers, and a ViT with them.

A mask is (T, T), bool, for the T tokens of a grid (rows, columns), row by row. True at [i, j] says
that token i reads token j, as in F.scaled_dot_product_attention.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..common.validation import require_int
from ..model import VisionTransformer

Grid = tuple[int, int]


def places(grid: Grid) -> tuple[Tensor, Tensor]:
    """The row and the column of each token, (T,) each. ValueError for a grid that is none."""
    rows, columns = grid
    for side in (rows, columns):
        require_int("a side of the grid", side)
    number = torch.arange(rows * columns)
    return number // columns, number % columns


def steps(grid: Grid) -> tuple[Tensor, Tensor]:
    """Rows and columns from the reader i to the token j that it reads, (T, T) each."""
    row, column = places(grid)
    return row - row[:, None], column - column[:, None]


def full(grid: Grid) -> Tensor:
    """Every token reads every token: the ViT."""
    return torch.ones_like(steps(grid)[0], dtype=torch.bool)


def raster(grid: Grid) -> Tensor:
    """Every token reads itself and all earlier ones, row by row (Image GPT, Chen et al. 2020)."""
    return full(grid).tril()


def local(grid: Grid, radius: int) -> Tensor:
    """A token reads the square of 2 radius + 1 tokens around it, as far as there is an image.

    As in the Image Transformer (Parmar et al. 2018), which is autoregressive: `& raster(grid)`.
    """
    require_int("radius", radius, minimum=0)
    down, right = steps(grid)
    return (down.abs() <= radius) & (right.abs() <= radius)


def rows(grid: Grid) -> Tensor:
    """A token reads its row; with `columns`, axial attention (Ho et al. 2019)."""
    return steps(grid)[0] == 0


def columns(grid: Grid) -> Tensor:
    """A token reads its column."""
    return steps(grid)[1] == 0


def blocks(grid: Grid, block: Grid, shift: Grid = (0, 0)) -> Tensor:
    """A token reads the block (height, width) that it lies in (Weissenborn et al. 2019).

    shift: the blocks' borders move up and to the left by so many tokens, and what is cut off at the
    border of the image is a smaller block: the shifted windows of Swin (Liu et al. 2021).
    Raises ValueError unless the block divides the grid and the shift is smaller than the block.
    """
    for side, part, moved in zip(grid, block, shift):
        require_int("a side of the block", part)
        require_int("the shift", moved, minimum=0, maximum=part - 1)
        if side % part:
            raise ValueError(f"blocks of {part} do not divide a side of {side}: give a divisor")
    row, column = places(grid)
    # A number for each block: tokens with the same pair are in one block.
    down, right = (row + shift[0]) // block[0], (column + shift[1]) // block[1]
    return (down == down[:, None]) & (right == right[:, None])


def strided(grid: Grid) -> Tensor:
    """A token reads the last tokens, as many as a row has, itself included, and its column above.

    Child et al. 2019, with a stride of one row; their two parts in one mask.
    """
    number = torch.arange(len(places(grid)[0]))
    back = number[:, None] - number
    return ((back < grid[1]) | (back % grid[1] == 0)) & (back >= 0)


def fixed(grid: Grid) -> Tensor:
    """A token reads its row up to itself and the last token of each row above (Child et al.)."""
    last = places(grid)[1] == grid[1] - 1  # (T,)
    return (rows(grid) | last) & raster(grid)


def reach(masks: Sequence[Tensor]) -> Tensor:
    """Which tokens can change which after these layers, the first layer first: (T, T), bool.

    A product of matrices of 0 and 1: a token reaches what all that it reads had reached before.
    """
    found = torch.eye(len(masks[0]))
    for mask in masks:
        found = ((mask.float() @ found) > 0).float()
    return found.bool()


class Pattern(nn.Module):
    """Adds 0 to the scores of pairs that a mask (T, T) allows, and minus infinity to the others.

    Takes the place of relative positions in model/attention.py. For queries (B, h, t, d) of fewer
    tokens it uses the first t rows and columns. Raises ValueError for a mask in which a token reads
    nothing: the softmax of nothing is nan.
    """

    def __init__(self, mask: Tensor):
        super().__init__()
        empty = (~mask.any(dim=1)).sum().item()
        if empty:
            raise ValueError(f"{empty} tokens read nothing, of {len(mask)}: let each read itself")
        scores = torch.zeros(mask.shape).masked_fill(~mask, float("-inf"))
        self.register_buffer("scores", scores, persistent=False)

    def forward(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        T = q.shape[-2]
        return q, k, self.scores[:T, :T].to(q.dtype)


def restrict(model: VisionTransformer, masks: Sequence[Tensor]) -> VisionTransformer:
    """`model` itself, with masks in its attention: block i uses masks[i % len(masks)].

    Positions at the stem stay. Raises ValueError for a model with positions inside attention, for
    masks of another number of tokens, and without any mask.
    """
    c = model.config
    T = c.grid[0] * c.grid[1] + c.num_class_tokens
    if not masks:
        raise ValueError("restrict takes at least one mask, got none")
    if c.position_site != "stem" or any(mask.shape != (T, T) for mask in masks):
        shapes = ", ".join(str(tuple(mask.shape)) for mask in masks)
        raise ValueError(
            f"masks of {shapes} for {T} tokens, positions at {c.position_site!r}: give masks "
            f"({T}, {T}), and a model with positions at the stem"
        )
    model.encoder.positions = nn.ModuleList(map(Pattern, masks))
    model.encoder.in_attention = True
    return model
