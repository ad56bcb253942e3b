"""Position embeddings by name: some add a vector to each token, two speak inside attention (relative, rotary)."""

import torch
from torch import nn

from .config import ViTConfig
from .position_utils import (
    concat_row_column,
    init_position_parameter,
    insert_class_token,
    num_class_token_rows,
)
from .relative import RelativeBias, Rotary


def sinusoidal_1d(length: int, dim: int) -> torch.Tensor:
    """Sines and cosines of the index, (length, dim), float32 in [-1, 1]; dim must be even.

    Vaswani et al. 2017, section 3.5, with the sines in the first half and the cosines in the second instead of interleaved.
    """
    if dim % 2:
        raise ValueError(
            f"sinusoidal positions pair a sine with a cosine: the width must be even, not {dim}"
        )
    frequency = 10_000 ** (
        -torch.arange(dim // 2) / (dim // 2)
    )  # (dim/2,), from 1 down to almost 1/10,000
    angle = torch.arange(length)[:, None] * frequency  # (length, dim/2)
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def sinusoidal_2d(grid: tuple[int, int], dim: int) -> torch.Tensor:
    """Half of the entries encode the row, half the column: (rows*columns, dim), float32; dim must be a multiple of 4.

    As in MoCo v3 and MAE (He et al. 2022).
    """
    if dim % 4:
        raise ValueError(
            f"2-D sinusoidal positions need a width that is a multiple of 4 (sine, cosine; row, column), not {dim}"
        )
    rows, columns = grid
    return concat_row_column(sinusoidal_1d(rows, dim // 2), sinusoidal_1d(columns, dim // 2))


class PositionEmbedding(nn.Module):
    """Adds `table` (1, T, D), learned (a Parameter) or fixed (a buffer). A class token's row, if there is one, stands where
    the token does; fixed kinds give it zeros, as MAE does."""

    def __init__(self, config: ViTConfig):
        super().__init__()
        extra = num_class_token_rows(config)
        if config.position == "learned_1d":
            self.table = init_position_parameter(config, 1, config.num_patches + extra, config.dim)
            return
        if config.position == "sinusoidal_1d":
            table = sinusoidal_1d(config.num_patches, config.dim)
        else:
            table = sinusoidal_2d(config.grid, config.dim)
        self.register_buffer(
            "table", insert_class_token(config, table, table.new_zeros(extra, config.dim))[None]
        )

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return tokens + self.table


class Learned2D(nn.Module):
    """Adds a learned vector of width D/2 for the row and one for the column, side by side (ViT, appendix D.4, "2-D").

    (rows + columns) * D/2 parameters instead of rows * columns * D; the class token has a whole row of its own.
    """

    def __init__(self, config: ViTConfig):
        super().__init__()
        self.config = config
        rows, columns = config.grid
        self.rows = init_position_parameter(config, rows, config.dim // 2)
        self.columns = init_position_parameter(config, columns, config.dim // 2)
        self.token = init_position_parameter(config, num_class_token_rows(config), config.dim)

    @property
    def table(self) -> torch.Tensor:
        """What is added, written out: (1, T, D)."""
        return insert_class_token(
            self.config, concat_row_column(self.rows, self.columns), self.token
        )[None]

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return tokens + self.table


def make_position(config: ViTConfig) -> nn.Module:
    """One position embedding of the kind that `config.position` names; "none" is nn.Identity."""
    kinds = {
        "none": lambda c: nn.Identity(),
        "learned_2d": Learned2D,
        "relative": RelativeBias,
        "rotary": Rotary,
    }
    return kinds.get(config.position, PositionEmbedding)(config)
