"""Position embeddings: tables that are added to the tokens, and the choice of a kind by name."""

import torch
from torch import Tensor, nn

from .config import ViTConfig
from .position_utils import concat_row_column, init_position_parameter, insert_class_token
from .relative import RelativeBias, Rotary


def sinusoidal_1d(length: int, dim: int) -> Tensor:
    """Sines and cosines of the index, (length, dim), float32 in [-1, 1]. dim must be even.

    Vaswani et al. 2017, section 3.5. Their sines and cosines alternate; here the sines fill the
    first half and the cosines the second. Raises ValueError for an odd dim.
    """
    if dim % 2:
        raise ValueError(
            f"sinusoidal positions pair a sine with a cosine: the width must be even, not {dim}"
        )
    frequency = 10_000 ** (-torch.arange(dim // 2) / (dim // 2))  # (dim/2,), 1 down to 1/10,000
    angle = torch.arange(length)[:, None] * frequency  # (length, dim/2)
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def sinusoidal_2d(grid: tuple[int, int], dim: int) -> Tensor:
    """Half of the entries encode the row, half the column: (rows*columns, dim), float32.

    As in MoCo v3 and MAE (He et al. 2022). Raises ValueError unless 4 divides dim.
    """
    if dim % 4:
        raise ValueError(
            "2-D sinusoidal positions need a width that is a multiple of 4 (sine, cosine; row, "
            f"column), not {dim}"
        )
    rows, columns = grid
    return concat_row_column(sinusoidal_1d(rows, dim // 2), sinusoidal_1d(columns, dim // 2))


class PositionEmbedding(nn.Module):
    """Adds `table` (1, T, D) to tokens (B, T, D); learned (a Parameter) or fixed (a buffer)."""

    def __init__(self, config: ViTConfig):
        super().__init__()
        extra = config.num_class_positions
        if config.position == "learned_1d":
            self.table = init_position_parameter(config, 1, config.num_patches + extra, config.dim)
            return
        if config.position == "sinusoidal_1d":
            table = sinusoidal_1d(config.num_patches, config.dim)
        else:
            table = sinusoidal_2d(config.grid, config.dim)
        # A class token lies nowhere in the image: its row is zeros, as in MAE.
        table = insert_class_token(config, table, table.new_zeros(extra, config.dim))  # (T, D)
        self.register_buffer("table", table[None])

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens + self.table


class Learned2D(nn.Module):
    """Adds a learned vector of width D/2 for the row, and one for the column, side by side.

    "2-D" in the paper's appendix D.4: (rows + columns) * D/2 parameters, not rows * columns * D,
    and a row of width D for the class token.
    """

    def __init__(self, config: ViTConfig):
        super().__init__()
        self.config = config
        rows, columns = config.grid
        self.rows = init_position_parameter(config, rows, config.dim // 2)
        self.columns = init_position_parameter(config, columns, config.dim // 2)
        self.token = init_position_parameter(config, config.num_class_positions, config.dim)

    @property
    def table(self) -> Tensor:
        """What is added, written out: (1, T, D)."""
        patches = concat_row_column(self.rows, self.columns)  # (N, D)
        return insert_class_token(self.config, patches, self.token)[None]

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens + self.table


def make_position(config: ViTConfig) -> nn.Module:
    """One position embedding of the kind that `config.position` names; "none" is nn.Identity."""
    if config.position == "none":
        return nn.Identity()
    kinds = {"learned_2d": Learned2D, "relative": RelativeBias, "rotary": Rotary}
    return kinds.get(config.position, PositionEmbedding)(config)
