"""Attention spelled out, and multi-head self-attention around it."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from ..common.validation import require_heads


def attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """softmax(q k^T / sqrt(d)) v for q, k, v (..., T, d): the output (..., T, d) and the weights (..., T, T); each row adds to 1.

    Vaswani et al. 2017, section 3.2.1. d is the width of one head, D/h, and not the width of the model.
    bias: added to the scores, (..., T, T); relative positions enter here.
    """
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])  # (..., T, T), one row for each query
    if bias is not None:
        scores = scores + bias
    weights = scores.softmax(dim=-1)
    return weights @ v, weights


def fast_attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    bias: torch.Tensor | None = None,
    fused: bool | None = None,
) -> torch.Tensor:
    """The output of `attention` alone, the faster way: the one place where the form is chosen.

    fused: True for F.scaled_dot_product_attention, False for the explicit form, None to choose: fused, except in half precision
    on a CPU, where the explicit form trains nearly twice as fast (data/results/step_cpu.csv).
    """
    if fused is None:
        fused = q.device.type != "cpu" or q.dtype == torch.float32
    return F.scaled_dot_product_attention(q, k, v, bias) if fused else attention(q, k, v, bias)[0]


class MultiHeadSelfAttention(nn.Module):
    """Tokens (B, T, D) -> (B, T, D): h heads of width d = D/h attend side by side, their outputs are joined and projected (W_0).

    The weight of `qkv` is (3D, D): rows for all queries, then keys, then values, each in head order (as in timm and PyTorch).
    Raises ValueError when h does not divide D.
    """

    def __init__(self, dim: int, num_heads: int, qkv_bias: bool = True, fused: bool | None = None):
        super().__init__()
        require_heads(dim, num_heads)
        self.num_heads = num_heads
        self.fused = fused
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.projection = nn.Linear(dim, dim)

    def split_heads(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Tokens (B, T, D) -> queries, keys and values, each (B, h, T, d)."""
        B, T, D = x.shape
        qkv = self.qkv(x).view(B, T, 3, self.num_heads, D // self.num_heads)  # (B, T, 3, h, d)
        return qkv.permute(2, 0, 3, 1, 4).unbind(0)  # 3 x (B, h, T, d)

    def project_qkv(self, x: torch.Tensor, position: nn.Module | None) -> tuple:
        """Queries, keys, values, and what is added to the scores: None, or a bias (h, T, T)."""
        q, k, v = self.split_heads(x)
        q, k, bias = position(q, k) if position else (q, k, None)
        return q, k, v, bias

    def weights(self, x: torch.Tensor, position: nn.Module | None = None) -> torch.Tensor:
        """The attention weights (B, h, T, T) for tokens (B, T, D); row t says what token t reads."""
        return attention(*self.project_qkv(x, position))[1]

    def forward(self, x: torch.Tensor, position: nn.Module | None = None) -> torch.Tensor:
        """position: relative or rotary positions (relative.py), if there are any."""
        heads = fast_attention(*self.project_qkv(x, position), fused=self.fused)  # (B, h, T, d)
        merged = heads.transpose(1, 2).reshape(x.shape)  # (B, T, h, d) -> (B, T, D)
        return self.projection(merged)
