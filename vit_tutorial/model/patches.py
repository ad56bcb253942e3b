"""From an image to a sequence: patchify, unpatchify, and the linear layer that makes a patch a token."""

import torch
from torch import nn

from ..common.validation import require_divides
from .config import ViTConfig


def patchify(images: torch.Tensor, patch_size: int) -> torch.Tensor:
    """Cut images (B, C, H, W) into patches (B, N, P*P*C), row by row; inside a patch row by row, the channel fastest.

    Any dtype and device; N = (H/P) * (W/P). The order is the paper's (section 3.1, x_p in R^(N x P*P*C)), and vit-pytorch's.
    Raises ValueError for a wrong rank, or for sides that P does not divide.
    """
    if images.ndim != 4:
        shape = tuple(images.shape)
        raise ValueError(
            f"patchify takes images (B, C, H, W), rank 4; got rank {images.ndim}, {shape}. One image: image[None]"
        )
    B, C, H, W = images.shape
    require_divides((H, W), patch_size)
    P = patch_size
    x = images.reshape(B, C, H // P, P, W // P, P)  # (B, C, rows, P, columns, P)
    x = x.permute(0, 2, 4, 3, 5, 1)  # (B, rows, columns, P, P, C): the grid first, the channel last
    return x.reshape(B, (H // P) * (W // P), P * P * C)  # (B, N, P*P*C)


def unpatchify(
    patches: torch.Tensor, patch_size: int, image_size: int | tuple[int, int]
) -> torch.Tensor:
    """Put patches (B, N, P*P*C) back together: images (B, C, H, W), the exact inverse of `patchify`.

    image_size: side, or (H, W), in pixels. Raises ValueError when the counts do not fit.
    """
    H, W = (image_size, image_size) if isinstance(image_size, int) else image_size
    P = patch_size
    if patches.ndim != 3:
        raise ValueError(
            f"unpatchify takes patches (B, N, P*P*C), rank 3; got rank {patches.ndim}, {tuple(patches.shape)}"
        )
    require_divides((H, W), P)
    B, N, L = patches.shape
    if N != (H // P) * (W // P):
        needed = f"{H // P} x {W // P} = {(H // P) * (W // P)}"
        raise ValueError(
            f"{N} patches of {P}x{P} do not make an image of {H}x{W}: that takes {needed}"
        )
    if L % (P * P):
        raise ValueError(
            f"a patch of {L} numbers is not {P} x {P} pixels of some channels: {L} is not a multiple of {P * P}"
        )
    x = patches.reshape(B, H // P, W // P, P, P, L // (P * P))  # (B, rows, columns, P, P, C)
    return x.permute(0, 5, 1, 3, 2, 4).reshape(
        B, -1, H, W
    )  # (B, C, rows, P, columns, P) -> (B, C, H, W)


class PatchEmbedding(nn.Module):
    """Images (B, C, H, W), float -> patch tokens (B, N, D): the same linear layer for every patch (equation 1, E).

    The same as a convolution with kernel and stride P (timm and torchvision write it so; lesson 01 proves it).
    """

    def __init__(self, config: ViTConfig):
        super().__init__()
        self.patch_size = config.patch_size
        norm = (
            (lambda width: nn.LayerNorm(width, eps=config.norm_eps))
            if config.patch_norms
            else (lambda width: nn.Identity())
        )
        self.norm_patches = norm(config.patch_dim)
        self.projection = nn.Linear(config.patch_dim, config.dim)
        self.norm_tokens = norm(config.dim)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        patches = patchify(images, self.patch_size)  # (B, N, P*P*C)
        return self.norm_tokens(self.projection(self.norm_patches(patches)))  # (B, N, D)
