"""The encoder: blocks of attention and MLP, each behind a LayerNorm and beside a residual path (pre-norm)."""

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from .attention import MultiHeadSelfAttention
from .config import IN_ATTENTION, ViTConfig
from .positions import make_position


class MLP(nn.Sequential):
    """Tokens (B, T, D) -> (B, T, D), each token by itself: D -> mlp_dim, GELU, back to D."""

    def __init__(self, dim: int, mlp_dim: int, dropout: float = 0.0):
        super().__init__(
            nn.Linear(dim, mlp_dim), nn.GELU(), nn.Dropout(dropout), nn.Linear(mlp_dim, dim)
        )


class EncoderBlock(nn.Module):
    """Tokens (B, T, D) -> (B, T, D): z' = MSA(LN(z)) + z, then MLP(LN(z')) + z' (the paper's equations 2 and 3)."""

    def __init__(
        self,
        dim: int,
        num_heads: int,
        mlp_dim: int,
        dropout=0.0,
        qkv_bias=True,
        norm_eps=1e-6,
        drop_path_rate=0.0,
    ):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=norm_eps)
        self.attention = MultiHeadSelfAttention(dim, num_heads, qkv_bias=qkv_bias)
        self.norm2 = nn.LayerNorm(dim, eps=norm_eps)
        self.mlp = MLP(dim, mlp_dim, dropout)
        self.dropout = nn.Dropout(dropout)
        self.drop_path_rate = drop_path_rate

    def forward(self, x: torch.Tensor, position: nn.Module | None = None) -> torch.Tensor:
        x = x + self.drop_path(self.dropout(self.attention(self.norm1(x), position)))
        return x + self.drop_path(self.dropout(self.mlp(self.norm2(x))))

    def drop_path(self, x: torch.Tensor) -> torch.Tensor:
        """Stochastic depth (Huang et al. 2016): training makes an image's x 0 with probability `drop_path_rate`, x / (1 - drop_path_rate) else."""
        return (
            x * torch.dropout(x.new_ones(len(x), 1, 1), self.drop_path_rate, True)
            if self.training and self.drop_path_rate
            else x
        )


class Encoder(nn.Module):
    """`depth` blocks in a row, (B, T, D) -> (B, T, D). The last LayerNorm belongs to the VisionTransformer (equation 4)."""

    def __init__(self, c: ViTConfig):
        super().__init__()
        drop_path_rates = [
            c.drop_path_rate * i / max(1, c.depth - 1) for i in range(c.depth)
        ]  # 0 in the first block, as timm's
        self.blocks = nn.ModuleList(
            EncoderBlock(
                c.dim, c.num_heads, c.mlp_dim, c.dropout, c.qkv_bias, c.norm_eps, drop_path_rate
            )
            for drop_path_rate in drop_path_rates
        )
        # One position embedding for each block, a single one that all share, or none: then it is added at the stem.
        number = {"stem": 0, "every_layer": c.depth, "every_layer_shared": 1}[c.position_site]
        self.positions = nn.ModuleList(make_position(c) for _ in range(number))
        self.in_attention = c.position in IN_ATTENTION
        self.checkpoint_activations = (
            False  # True: training keeps only what enters a block, and computes the block again
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        twice = self.checkpoint_activations and self.training
        for i, block in enumerate(self.blocks):
            position = self.positions[i % len(self.positions)] if self.positions else None
            inputs = (x, position) if position is None or self.in_attention else (position(x),)
            x = checkpoint(block, *inputs, use_reentrant=False) if twice else block(*inputs)
        return x
