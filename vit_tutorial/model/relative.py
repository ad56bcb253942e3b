"""Positions that act inside attention: on scores (relative), or on queries and keys (rotary)."""

import torch
import torch.nn.functional as F
from torch import nn

from .config import ViTConfig
from .position_utils import concat_row_column, init_position_parameter, insert_class_token


class RelativeBias(nn.Module):
    """Adds to each score a learned number for the offset between the two patches, for each head: (h, T, T).

    Every pair that is two rows down and one column left shares one number, wherever it lies: h (2R-1)(2C-1) parameters.
    The bias table of Swin (Liu et al. 2021, section 3.2). A class token's three kinds of pairs have numbers of their own.
    """

    def __init__(self, config: ViTConfig):
        super().__init__()
        rows, columns = config.grid
        row, column = (
            torch.arange(config.num_patches) // columns,
            torch.arange(config.num_patches) % columns,
        )
        down = row[:, None] - row + rows - 1  # (N, N), from 0 to 2R-2
        right = column[:, None] - column + columns - 1  # (N, N), from 0 to 2C-2
        index, offsets = down * (2 * columns - 1) + right, (2 * rows - 1) * (2 * columns - 1)
        if config.class_token != "none":
            first = int(config.class_token == "first")
            index = F.pad(index, (first, 1 - first), value=offsets)  # a patch reads the token
            index = F.pad(
                index, (0, 0, first, 1 - first), value=offsets + 1
            )  # the token reads a patch
            index[0 if first else -1, 0 if first else -1] = offsets + 2  # and itself
            offsets += 3
        self.bias = init_position_parameter(config, config.num_heads, offsets)
        self.register_buffer("index", index, persistent=False)

    def forward(
        self, q: torch.Tensor, k: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries and keys as they are, and what is added to their scores, (h, T, T)."""
        return q, k, self.bias[:, self.index].to(q.dtype)


class Rotary(nn.Module):
    """Turns pairs of entries of queries and keys by angles that grow with the row and the column; nothing is learned.

    A score then depends on the offset between two patches only. Su et al. 2021 (RoFormer), in two dimensions: half of the pairs
    for the row, half for the column, frequencies from 1 down to 1/100 (Heo et al. 2024). A class token is not turned.
    """

    def __init__(self, config: ViTConfig):
        super().__init__()
        pairs = config.dim // config.num_heads // 4  # for the row, and as many for the column
        frequency = 100 ** (-torch.arange(pairs) / pairs)
        rows, columns = (torch.arange(side)[:, None] * frequency for side in config.grid)
        angle = concat_row_column(rows, columns)  # (N, d/2)
        angle = insert_class_token(
            config, angle, angle.new_zeros(int(config.class_token != "none"), angle.shape[1])
        )  # (T, d/2)
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)

    def rotate(self, x: torch.Tensor) -> torch.Tensor:
        """(..., T, d): entry i and entry i + d/2 are the two coordinates of one pair."""
        a, b = x.chunk(2, dim=-1)
        return torch.cat([a * self.cos - b * self.sin, a * self.sin + b * self.cos], dim=-1).to(
            x.dtype
        )

    def forward(self, q: torch.Tensor, k: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        """Queries and keys, turned; nothing is added to their scores."""
        return self.rotate(q), self.rotate(k), None
