"""A whole Vision Transformer on one page, without options: copy it, change it, train it.

(1) to (4) are the equations of Dosovitskiy et al. 2021, section 3.1. Axes: B images, C channels,
patches of side P, N of them, T = N + 1 tokens of width D, h heads of width d = D / h, K classes.
"""

import math

import torch
from torch import Tensor, nn


def cut(images: Tensor, P: int) -> Tensor:
    """Images (B, C, H, W) -> patches (B, N, P*P*C), row by row, channel fastest."""
    B, C, H, W = images.shape
    x = images.reshape(B, C, H // P, P, W // P, P)  # (B, C, rows, P, columns, P)
    x = x.permute(0, 2, 4, 3, 5, 1)  # (B, rows, columns, P, P, C)
    return x.reshape(B, -1, P * P * C)


class Attention(nn.Module):
    """Tokens (B, T, D) -> (B, T, D): every token reads every token of its image."""

    def __init__(self, D: int, h: int):
        super().__init__()
        self.h = h
        self.qkv = nn.Linear(D, 3 * D)  # queries, keys and values of all heads in one product
        self.projection = nn.Linear(D, D)  # W^O

    def forward(self, x: Tensor) -> Tensor:
        B, T, D = x.shape
        qkv = self.qkv(x).reshape(B, T, 3, self.h, D // self.h)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, h, T, d)
        weights = (q @ k.mT / math.sqrt(D // self.h)).softmax(dim=-1)  # (B, h, T, T)
        heads = (weights @ v).transpose(1, 2)  # (B, T, h, d)
        return self.projection(heads.reshape(B, T, D))


class Block(nn.Module):
    """Tokens (B, T, D) -> (B, T, D): attention, then an MLP; each adds to what it read."""

    def __init__(self, D: int, h: int, M: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(D, eps=1e-6)
        self.attention = Attention(D, h)
        self.norm2 = nn.LayerNorm(D, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(D, M), nn.GELU(), nn.Linear(M, D))

    def forward(self, z: Tensor) -> Tensor:
        z = z + self.attention(self.norm1(z))  # (2)
        return z + self.mlp(self.norm2(z))  # (3)


class PlainViT(nn.Module):
    """Images (B, 3, H, W), float, normalised -> logits (B, K). The defaults are ViT-B/16."""

    def __init__(self, image_size=224, P=16, C=3, D=768, L=12, h=12, M=3072, K=1000):
        super().__init__()
        self.P, N = P, (image_size // P) ** 2
        self.E = nn.Linear(P * P * C, D)  # one layer for every patch
        self.class_token = nn.Parameter(torch.zeros(1, 1, D))
        self.positions = nn.Parameter(0.02 * torch.randn(1, N + 1, D))
        self.blocks = nn.ModuleList(Block(D, h, M) for _ in range(L))
        self.norm = nn.LayerNorm(D, eps=1e-6)
        self.head = nn.Linear(D, K)

    def forward(self, images: Tensor) -> Tensor:
        x = self.E(cut(images, self.P))  # (B, N, D)
        token = self.class_token.expand(len(x), -1, -1)  # (B, 1, D)
        z = torch.cat([token, x], dim=1) + self.positions  # (B, T, D)   (1)
        for block in self.blocks:
            z = block(z)  # (B, T, D)
        return self.head(self.norm(z[:, 0]))  # (B, D) -> (B, K)   (4) and the head


# torchvision's names -> ours, where they differ
NAMES = {"conv_proj": "E", "encoder.pos_embedding": "positions", "encoder.ln": "norm"}
NAMES |= {"encoder.layers.encoder_layer_": "blocks.", "ln_": "norm", "self_attention": "attention"}
NAMES |= {"in_proj_": "qkv.", "out_proj": "projection", "mlp.3": "mlp.2", "heads.head": "head"}


def weights_from_torchvision(theirs: nn.Module) -> dict[str, Tensor]:
    """The weights of a torchvision ViT, for `load_state_dict` of a PlainViT of the same sizes."""
    weights = {}
    for name, value in theirs.state_dict().items():
        for old, new in NAMES.items():
            name = name.replace(old, new)
        # The kernel of a convolution is (D, C, P, P): the channel becomes the fastest axis.
        weights[name] = value.permute(0, 2, 3, 1).flatten(1) if value.ndim == 4 else value
    return weights
