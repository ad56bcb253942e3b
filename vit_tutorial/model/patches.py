"""From an image to a sequence: patchify, unpatchify, and the layer from patches to tokens."""

from torch import Tensor, nn

from ..common.validation import both_sides, require_divides, require_rank
from .config import ViTConfig


def patchify(images: Tensor, patch_size: int) -> Tensor:
    """Cut images (B, C, H, W) into patches (B, N, P*P*C), N = (H/P) * (W/P), any dtype.

    Patches come row by row; inside a patch the pixels do too, with each pixel's channels side by
    side. That is the order of the paper (section 3.1, x_p in R^(N x P*P*C)) and of vit-pytorch.
    Raises ValueError for a rank other than 4, or for sides that P does not divide; TypeError for
    what is no tensor.

    >>> import torch
    >>> patchify(torch.zeros(2, 3, 32, 32), patch_size=4).shape
    torch.Size([2, 64, 48])
    """
    require_rank("patchify", "images", images, "B, C, H, W")
    B, C, H, W = images.shape
    P = patch_size
    require_divides((H, W), P)
    # Name all five axes first, then move the grid to the front and the channels to the end. A lone
    # reshape would cut the memory into runs of P*P*C numbers, which are not squares of the image.
    x = images.reshape(B, C, H // P, P, W // P, P)  # (B, C, rows, P, columns, P)
    x = x.permute(0, 2, 4, 3, 5, 1)  # (B, rows, columns, P, P, C)
    return x.reshape(B, (H // P) * (W // P), P * P * C)  # (B, N, P*P*C)


def unpatchify(patches: Tensor, patch_size: int, image_size: int | tuple[int, int]) -> Tensor:
    """Put patches (B, N, P*P*C) back together into images (B, C, H, W): the inverse of `patchify`.

    image_size: side, or (H, W), in pixels. Raises ValueError when the numbers do not fit.
    """
    require_rank("unpatchify", "patches", patches, "B, N, P*P*C")
    H, W = both_sides(image_size)
    P = patch_size
    require_divides((H, W), P)
    B, N, L = patches.shape
    rows, columns = H // P, W // P
    if N != rows * columns:
        raise ValueError(
            f"{N} patches of {P}x{P} do not make an image of {H}x{W}: that takes "
            f"{rows} x {columns} = {rows * columns}"
        )
    if L % (P * P):
        raise ValueError(
            f"a patch of {L} numbers is not {P} x {P} pixels of some channels: {L} is not a "
            f"multiple of {P * P}"
        )
    C = L // (P * P)
    x = patches.reshape(B, rows, columns, P, P, C)
    x = x.permute(0, 5, 1, 3, 2, 4)  # (B, C, rows, P, columns, P)
    return x.reshape(B, C, H, W)


class PatchEmbedding(nn.Module):
    """Images (B, C, H, W), float -> patch tokens (B, N, D): E in the paper's equation 1.

    One linear layer, the same for every patch. timm and torchvision write it as a convolution with
    kernel and stride P, which computes the same (lesson 01 proves it).
    """

    def __init__(self, config: ViTConfig):
        super().__init__()
        self.patch_size = config.patch_size

        def norm(width: int) -> nn.Module:  # vit-pytorch has these two, the paper neither
            return nn.LayerNorm(width, eps=config.norm_eps) if config.patch_norms else nn.Identity()

        self.norm_patches = norm(config.patch_dim)
        self.projection = nn.Linear(config.patch_dim, config.dim)
        self.norm_tokens = norm(config.dim)

    def forward(self, images: Tensor) -> Tensor:
        patches = patchify(images, self.patch_size)  # (B, N, P*P*C)
        return self.norm_tokens(self.projection(self.norm_patches(patches)))  # (B, N, D)
