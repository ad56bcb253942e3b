"""What all position embeddings need: the grid of patches, the class token's place, and how learned numbers start."""

import torch
from torch import nn

from .config import ViTConfig


def concat_row_column(rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """A vector for each row (R, a) and each column (C, b) -> one for each patch, row by row: (R*C, a + b)."""
    row = rows.repeat_interleave(len(columns), dim=0)  # patch n lies in row n // C
    column = columns.repeat(len(rows), 1)  # and in column n % C
    return torch.cat([row, column], dim=1)


def num_class_token_rows(config: ViTConfig) -> int:
    """1 when the class token has a position of its own, else 0."""
    return int(config.class_token != "none" and config.position_class_token)


def insert_class_token(
    config: ViTConfig, patches: torch.Tensor, token: torch.Tensor
) -> torch.Tensor:
    """The class token's row (0 or 1 of them) set where the token stands: (N + 0 or 1, D)."""
    return torch.cat([token, patches] if config.class_token == "first" else [patches, token])


def init_position_parameter(config: ViTConfig, *shape: int) -> nn.Parameter:
    """A random init_position_parameter, normal with standard deviation s = `config.position_std`, or the same cut off beyond 2 s. Frozen: it stays.

    Cutting the tails leaves a standard deviation of 0.88 s. (timm's trunc_normal_ means cuts at -2 and 2, which for s = 0.02
    cuts nothing.)
    """
    if config.position_init == "truncated_normal":
        values = nn.init.trunc_normal_(torch.empty(*shape), std=1.0, a=-2.0, b=2.0)
    else:
        values = torch.randn(*shape)
    return nn.Parameter(config.position_std * values, requires_grad=not config.position_frozen)
