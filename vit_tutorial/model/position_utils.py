"""What positions share: the patch grid, the class token's row, the start of learned numbers."""

import torch
from torch import Tensor, nn

from .config import ViTConfig


def concat_row_column(rows: Tensor, columns: Tensor) -> Tensor:
    """A vector for each row (R, a) and for each column (C, b) -> for each patch (R*C, a + b)."""
    row = rows.repeat_interleave(len(columns), dim=0)  # patch n lies in row n // C
    column = columns.repeat(len(rows), 1)  # and in column n % C
    return torch.cat([row, column], dim=1)


def insert_class_token(config: ViTConfig, patches: Tensor, token: Tensor) -> Tensor:
    """Rows of patches (..., N, D) and of the class token (..., 0 or 1, D), in token order."""
    first = config.class_token == "first"
    return torch.cat([token, patches] if first else [patches, token], dim=-2)


def split_class_token(config: ViTConfig, rows: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The inverse, `count` (0 or 1) rows being the class token's: (..., N, D), (..., count, D)."""
    number = rows.shape[-2] - count  # of patches
    if config.class_token == "first":
        token, patches = rows.split([count, number], dim=-2)
    else:
        patches, token = rows.split([number, count], dim=-2)
    return patches, token


def init_position_parameter(config: ViTConfig, *shape: int) -> nn.Parameter:
    """Random numbers with standard deviation s = `config.position_std`; frozen ones stay as drawn.

    "truncated_normal" redraws what lies beyond 2 s, which leaves a deviation of 0.88 s. timm's
    trunc_normal_ has its limits at -2 and 2, not at 2 s: for s = 0.02 it cuts nothing.
    """
    if config.position_init == "truncated_normal":
        values = nn.init.trunc_normal_(torch.empty(*shape), std=1.0, a=-2.0, b=2.0)
    else:
        values = torch.randn(*shape)
    return nn.Parameter(config.position_std * values, requires_grad=not config.position_frozen)
