"""Attention spelled out, and multi-head self-attention around it."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..common.validation import require_heads, require_qkv, require_tokens


def attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """softmax(q k^T / sqrt(d)) v for q, k, v (..., T, d): output (..., T, d), weights (..., T, T).

    Vaswani et al. 2017, section 3.2.1. d is the width of one head, D/h, not that of the model.
    bias: added to the scores, (..., T, T); relative positions enter here.
    Raises ValueError when queries and keys differ in width, or keys and values in number.
    """
    require_qkv(q, k, v)
    # Without the division the scores grow like sqrt(d), and softmax puts all weight on one token.
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])  # (..., T, T), a row for each query
    if bias is not None:
        scores = scores + bias
    weights = scores.softmax(dim=-1)  # (..., T, T), each row sums to 1
    return weights @ v, weights


def fast_attention(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None, fused: bool | None = None
) -> Tensor:
    """The output of `attention` without its weights, computed in the faster of two ways.

    fused: True for F.scaled_dot_product_attention, False for the explicit form above. None chooses:
    fused, except in half precision on a CPU, where the explicit form trains nearly twice as fast
    (data/results/step_cpu.csv). Raises as `attention` does.
    """
    require_qkv(q, k, v)
    if fused is None:
        fused = q.device.type != "cpu" or q.dtype == torch.float32
    return F.scaled_dot_product_attention(q, k, v, bias) if fused else attention(q, k, v, bias)[0]


class MultiHeadSelfAttention(nn.Module):
    """Tokens (B, T, D) -> (B, T, D): h heads of width d = D/h, joined and projected (W^O).

    The weight of `qkv` is (3D, D): rows for all queries, then all keys, then all values, each in
    the order of the heads (as in timm and PyTorch). Raises ValueError when h does not divide D, and
    for tokens of another rank or width.
    """

    def __init__(self, dim: int, num_heads: int, qkv_bias: bool = True, fused: bool | None = None):
        super().__init__()
        require_heads(dim, num_heads)
        self.num_heads = num_heads
        self.fused = fused
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)  # three linear layers in one product
        self.projection = nn.Linear(dim, dim)

    def split_heads(self, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The output of the layer `qkv`, (B, T, 3D) -> queries, keys, values, each (B, h, T, d)."""
        B, T, width = qkv.shape
        qkv = qkv.view(B, T, 3, self.num_heads, width // (3 * self.num_heads))  # (B, T, 3, h, d)
        # h moves in front of T: the matrix products of attention then run for each head separately.
        return qkv.permute(2, 0, 3, 1, 4).unbind(0)  # 3 x (B, h, T, d)

    def project_qkv(
        self, x: Tensor, position: nn.Module | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Tokens (B, T, D) -> queries, keys, values, each (B, h, T, d), and a bias for the scores.

        position: relative positions give the bias, (h, T, T); rotary ones turn queries and keys.
        """
        require_tokens(x, self.qkv.in_features)
        q, k, v = self.split_heads(self.qkv(x))
        q, k, bias = position(q, k) if position else (q, k, None)
        return q, k, v, bias

    def weights(self, x: Tensor, position: nn.Module | None = None) -> Tensor:
        """The attention weights (B, h, T, T) of tokens (B, T, D): row t is what token t reads."""
        return attention(*self.project_qkv(x, position))[1]

    def forward(self, x: Tensor, position: nn.Module | None = None) -> Tensor:
        q, k, v, bias = self.project_qkv(x, position)
        heads = fast_attention(q, k, v, bias, self.fused)  # (B, h, T, d)
        joined = heads.transpose(1, 2).reshape(x.shape)  # (B, T, h, d) -> (B, T, D)
        return self.projection(joined)  # so far no head has seen another: this mixes them
