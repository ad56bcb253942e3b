"""Position embeddings by name. Each is a module that adds one vector to each token: (B, T, D) -> (B, T, D)."""

import torch
from torch import nn

from .config import ViTConfig


def sinusoidal_1d(length: int, dim: int) -> torch.Tensor:
    """Sines and cosines of the index, (length, dim), float32 in [-1, 1]; dim must be even.

    Vaswani et al. 2017, section 3.5, with the sines in the first half and the cosines in the second instead of interleaved.
    """
    if dim % 2:
        raise ValueError(f"sinusoidal positions pair a sine with a cosine: the width must be even, not {dim}")
    frequency = 10_000 ** (-torch.arange(dim // 2) / (dim // 2))  # (dim/2,), from 1 down to almost 1/10,000
    angle = torch.arange(length)[:, None] * frequency  # (length, dim/2)
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def sinusoidal_2d(grid: tuple[int, int], dim: int) -> torch.Tensor:
    """Half of the entries encode the row, half the column: (rows*columns, dim), float32; dim must be a multiple of 4.

    As in MoCo v3 and MAE (He et al. 2022).
    """
    if dim % 4:
        raise ValueError(f"2-D sinusoidal positions need a width that is a multiple of 4 (sine, cosine; row, column), not {dim}")
    rows, columns = grid
    row = sinusoidal_1d(rows, dim // 2).repeat_interleave(columns, dim=0)  # patch n lies in row n // columns
    column = sinusoidal_1d(columns, dim // 2).repeat(rows, 1)  # and in column n % columns
    return torch.cat([row, column], dim=1)


class PositionEmbedding(nn.Module):
    """Adds `table` (1, T, D), learned (a Parameter) or fixed (a buffer). A class token's row, if there is one, stands where
    the token does; fixed kinds give it zeros, as MAE does."""

    def __init__(self, config: ViTConfig):
        super().__init__()
        extra = int(config.class_token != "none" and config.position_class_token)
        if config.position == "learned_1d":
            self.table = nn.Parameter(config.position_std * torch.randn(1, config.num_patches + extra, config.dim))
            return
        if config.position == "sinusoidal_1d":
            table = sinusoidal_1d(config.num_patches, config.dim)
        else:
            table = sinusoidal_2d(config.grid, config.dim)
        blank = table.new_zeros(extra, config.dim)
        table = torch.cat([blank, table] if config.class_token == "first" else [table, blank])
        self.register_buffer("table", table[None])

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return tokens + self.table


def make_position(config: ViTConfig) -> nn.Module:
    """The position embedding that `config.position` names; "none" is nn.Identity."""
    return nn.Identity() if config.position == "none" else PositionEmbedding(config)
