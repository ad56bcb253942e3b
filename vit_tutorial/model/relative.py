"""Positions that act inside attention: on scores (relative), or on queries and keys (rotary)."""

import torch
from torch import Tensor, nn

from .config import ViTConfig
from .position_utils import concat_row_column, init_position_parameter, insert_class_token


class RelativeBias(nn.Module):
    """Adds to each score a learned number for the offset between the two patches, for each head.

    All pairs that are two rows down and one column left share one number, wherever they are:
    h (2R-1)(2C-1) parameters for R rows and C columns. This is the bias table of Swin (Liu et al.
    2021, section 3.2). Three more numbers are for pairs with the class token: a patch reading it,
    the class token reading a patch, and the class token reading itself.
    """

    def __init__(self, config: ViTConfig):
        super().__init__()
        (rows, columns), N = config.grid, config.num_patches
        row, column = torch.arange(N) // columns, torch.arange(N) % columns
        down = row[:, None] - row + rows - 1  # (N, N), from 0 to 2R-2
        right = column[:, None] - column + columns - 1  # (N, N), from 0 to 2C-2
        index = down * (2 * columns - 1) + right  # which number the pair (reader, read) uses
        number = (2 * rows - 1) * (2 * columns - 1)
        if config.class_token != "none":
            # One more column, for the patches that read the token, then one more row, its own.
            read = insert_class_token(config, index.T, torch.full((1, N), number)).T  # (N, T)
            reads, itself = torch.full((N, 1), number + 1), torch.full((1, 1), number + 2)
            own = insert_class_token(config, reads, itself).T  # (1, T)
            index = insert_class_token(config, read, own)  # (T, T)
            number += 3
        self.bias = init_position_parameter(config, config.num_heads, number)
        self.register_buffer("index", index, persistent=False)

    def forward(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries and keys (B, h, T, d), unchanged, and a bias for their scores, (h, T, T)."""
        return q, k, self.bias[:, self.index].to(q.dtype)


class Rotary(nn.Module):
    """Rotates pairs of entries of queries and keys by angles that grow with the row and the column.

    A score then depends only on the offset between two patches; nothing is learned. This is
    RoFormer (Su et al. 2021) in two dimensions: half of the pairs for the row and half for the
    column, at frequencies from 1 down to 1/100 (Heo et al. 2024). A class token is not rotated.
    """

    def __init__(self, config: ViTConfig):
        super().__init__()
        pairs = config.dim // config.num_heads // 4  # for the row, and as many for the column
        frequency = 100 ** (-torch.arange(pairs) / pairs)  # (d/4,)
        rows, columns = (torch.arange(side)[:, None] * frequency for side in config.grid)
        angle = concat_row_column(rows, columns)  # (N, d/2)
        unturned = angle.new_zeros(config.num_class_tokens, angle.shape[1])
        angle = insert_class_token(config, angle, unturned)  # (T, d/2)
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)

    def rotate(self, x: Tensor) -> Tensor:
        """(..., T, d) -> the same shape: entries i and i + d/2 are the coordinates of one point."""
        a, b = x.chunk(2, dim=-1)  # 2 x (..., T, d/2)
        turned = [a * self.cos - b * self.sin, a * self.sin + b * self.cos]
        return torch.cat(turned, dim=-1).to(x.dtype)  # cos and sin are float32

    def forward(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor, None]:
        """Queries and keys (B, h, T, d), rotated; nothing is added to their scores."""
        return self.rotate(q), self.rotate(k), None
