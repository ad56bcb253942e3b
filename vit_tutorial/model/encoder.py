"""The encoder: blocks of attention and MLP, each behind a LayerNorm and beside a residual path."""

import torch
from torch import Tensor, nn
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
    """Tokens (B, T, D) -> (B, T, D), the paper's equations 2 and 3, pre-norm.

    z' = MSA(LN(z)) + z, where tokens read each other, then z'' = MLP(LN(z')) + z', each by itself.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        mlp_dim: int,
        dropout: float = 0.0,
        qkv_bias: bool = True,
        norm_eps: float = 1e-6,
        drop_path_rate: float = 0.0,
    ):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=norm_eps)
        self.attention = MultiHeadSelfAttention(dim, num_heads, qkv_bias=qkv_bias)
        self.norm2 = nn.LayerNorm(dim, eps=norm_eps)
        self.mlp = MLP(dim, mlp_dim, dropout)
        self.dropout = nn.Dropout(dropout)
        self.drop_path_rate = drop_path_rate

    def forward(self, x: Tensor, position: nn.Module | None = None) -> Tensor:
        # x itself is never normalised: what a block adds reaches the end by a path of sums alone,
        # and gradients come back along it unchanged.
        x = x + self.drop_path(self.dropout(self.attention(self.norm1(x), position)))
        return x + self.drop_path(self.dropout(self.mlp(self.norm2(x))))

    def drop_path(self, x: Tensor) -> Tensor:
        """Stochastic depth (Huang et al. 2016): in training, x (B, T, D) is 0 for some images."""
        if not self.training or self.drop_path_rate == 0:
            return x
        # One draw for each image: 0, or 1 / (1 - rate), so that the mean over draws is x.
        keep = torch.dropout(x.new_ones(x.shape[0], 1, 1), self.drop_path_rate, True)  # (B, 1, 1)
        return x * keep


class Encoder(nn.Module):
    """Tokens (B, T, D) -> (B, T, D): `depth` blocks in a row. The last LayerNorm is in vit.py."""

    def __init__(self, c: ViTConfig):
        super().__init__()
        rates = [c.drop_path_rate * i / max(1, c.depth - 1) for i in range(c.depth)]  # 0 at first
        self.blocks = nn.ModuleList(
            EncoderBlock(c.dim, c.num_heads, c.mlp_dim, c.dropout, c.qkv_bias, c.norm_eps, rate)
            for rate in rates
        )
        # One position embedding for each block, one for all, or none: then the stem has added it.
        number = {"stem": 0, "every_layer": c.depth, "every_layer_shared": 1}[c.position_site]
        self.positions = nn.ModuleList(make_position(c) for _ in range(number))
        self.in_attention = c.position in IN_ATTENTION
        # True: training keeps the input of each block only, and computes the rest again going back.
        self.checkpoint_activations = False

    def forward(self, x: Tensor) -> Tensor:
        recompute = self.checkpoint_activations and self.training
        for i, block in enumerate(self.blocks):
            position = self.positions[i % len(self.positions)] if self.positions else None
            if position is not None and not self.in_attention:
                x, position = position(x), None  # a table: added to the tokens before the block
            inputs = (x,) if position is None else (x, position)
            x = checkpoint(block, *inputs, use_reentrant=False) if recompute else block(*inputs)
        return x
