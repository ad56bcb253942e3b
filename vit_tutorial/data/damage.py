"""Images with something taken away or exchanged, to find out what a model relies on.

After Naseer et al. 2021, "Intriguing properties of vision transformers": patches in another order,
patches dropped anywhere or only on the object, and shapes whose filling says something else.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..common.validation import require_divides, require_rank
from ..model.patches import patchify, unpatchify
from .dataset import Split
from .shapes import SHAPES


def shuffle_patches(images: Tensor, patch_size: int, generator: torch.Generator) -> Tensor:
    """Images (n, C, H, W), any dtype -> the same patches in another order, one for each image.

    Raises ValueError for another rank, or for sides that the patch size does not divide.
    """
    patches = patchify(images, patch_size)  # (n, N, P*P*C)
    order = torch.rand(patches.shape[:2], generator=generator).argsort(dim=1).to(images.device)
    moved = patches.gather(1, order[:, :, None].expand_as(patches))
    return unpatchify(moved, patch_size, tuple(images.shape[2:]))


def patches_on(masks: Tensor, patch_size: int) -> Tensor:
    """Masks (n, H, W), bool -> (n, N), bool: True for each patch with a pixel of the object."""
    require_rank("patches_on", "masks", masks, "n, H, W")
    require_divides(tuple(masks.shape[1:]), patch_size)
    return F.max_pool2d(masks[:, None].float(), patch_size).flatten(1) > 0


def drop_patches(
    images: Tensor,
    share: float,
    patch_size: int,
    generator: torch.Generator,
    among: Tensor | None = None,
) -> Tensor:
    """Images (n, C, H, W), float -> the same with `share` of their patches filled with 0.

    Zero is black in an image from 0 to 1, and the mean colour in a normalised one.
    among: (n, N), bool, the patches that may be dropped; all if None. The share, 0 to 1, is of
        these, rounded to whole patches. Raises ValueError for a share or a shape that does not fit.
    """
    require_rank("drop_patches", "images", images, "n, C, H, W")
    H, W = images.shape[2:]
    require_divides((H, W), patch_size)
    rows, columns = H // patch_size, W // patch_size
    allowed = torch.ones(len(images), rows * columns) > 0 if among is None else among.cpu()
    if not 0 <= share <= 1 or allowed.shape != (len(images), rows * columns):
        raise ValueError(
            f"share is {share}, among is {tuple(allowed.shape)}: the share is from 0 to 1, and "
            f"these images have ({len(images)}, {rows * columns}) patches"
        )
    lots = torch.rand(allowed.shape, generator=generator).masked_fill(~allowed, 2.0)
    place = lots.argsort(dim=1).argsort(dim=1)  # (n, N): the allowed ones come first
    kept = place >= (share * allowed.sum(dim=1, keepdim=True)).round()
    kept = kept.unflatten(1, (rows, columns))[:, None].to(images)  # (n, 1, rows, columns)
    return images * F.interpolate(kept, scale_factor=patch_size)


def fill_shapes(split: Split, shift: int = 0) -> Split:
    """Images of `shapes` whose objects have a texture: shape s gets texture (s + shift) % 5.

    The five textures are rows, columns, squares, diagonals and dots. Each repeats after 4 pixels,
    so that a patch of 4 x 4 shows it whole. With shift=0 shape and texture always agree; with 1 to
    4 they never do. Raises ValueError for images without masks.
    """
    if split.masks is None:
        raise ValueError("these images have no masks: use data.load('shapes') or make_shapes")
    y, x = torch.meshgrid(*(torch.arange(side) for side in split.shape[1:]), indexing="ij")
    textures = [y % 4 < 2, x % 4 < 2, (x // 2 + y // 2) % 2 == 0, (x + y) % 4 < 2]
    textures = torch.stack([*textures, (x % 4 < 2) & (y % 4 < 2)]).to(split.device)  # (5, H, W)
    dark = split.masks & textures[(split.labels // 2 + shift) % len(SHAPES)]  # (n, H, W)
    images = torch.where(dark[:, None], split.images * 0.4, split.images.float())
    return Split(images.round().to(torch.uint8), split.labels, split.masks)
