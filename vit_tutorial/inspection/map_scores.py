"""How well a map over the patches agrees with a mask: three scores, an image each.

The scores compare a map with where the object is. They do not say that the model uses it: a map of
the image's brightness can have the highest score (lesson 07). `inside` is what `patches_inside`
gives, or any other choice of patches.
"""

import torch
from torch import Tensor

from ..common.validation import require_divides, require_rank


def patches_inside(masks: Tensor, patch_size: int) -> Tensor:
    """Masks of pixels (B, H, W), bool -> of patches (B, rows, columns): with any part in the mask.

    Raises ValueError for another rank, or for sides that the patch size does not divide.
    """
    require_rank("patches_inside", "masks", masks, "B, H, W")
    P, (_, H, W) = patch_size, masks.shape
    require_divides((H, W), P)
    return masks.reshape(-1, H // P, P, W // P, P).amax(dim=(2, 4))


def pointing(maps: Tensor, inside: Tensor) -> Tensor:
    """The pointing game: whether the largest value lies inside, 0 or 1, (B,).

    Where several patches share the largest value, it is the share of them that lie inside.
    maps: (B, rows, columns). inside: (B, rows, columns), bool.
    Source: Zhang et al. 2016, Top-down Neural Attention by Excitation Backprop, section 4.1; there
    with a tolerance of 15 pixels, here with none. Raises ValueError when the shapes differ.
    """
    maps, inside = _flat(maps, inside)
    top = (maps == maps.amax(dim=1, keepdim=True)).double()
    return (top * inside).sum(dim=1) / top.sum(dim=1)


def share_inside(maps: Tensor, inside: Tensor) -> Tensor:
    """The share of a map's sum that lies inside, 0 to 1, (B,); values below 0 count as 0.

    A map without a value above 0 counts as equal everywhere. maps, inside: as in `pointing`.
    """
    maps, inside = _flat(maps, inside)
    maps = maps.clamp(min=0)
    maps = torch.where(maps.sum(dim=1, keepdim=True) > 0, maps, 1.0)
    return (maps * inside).sum(dim=1) / maps.sum(dim=1)


def auc(maps: Tensor, inside: Tensor) -> Tensor:
    """How often a patch inside has a larger value than one outside, over all pairs, 0 to 1, (B,).

    It is the area under the ROC curve: 0.5 for a map that knows nothing, and equal values count
    half. nan where all patches are inside, or none is. maps, inside: as in `pointing`.
    """
    maps, inside = _flat(maps, inside)
    larger = (maps[:, :, None] > maps[:, None, :]).double()  # [b, i, j]: i above j
    larger += 0.5 * (maps[:, :, None] == maps[:, None, :])
    pairs = (inside[:, :, None] & ~inside[:, None, :]).double()
    return (larger * pairs).sum(dim=(1, 2)) / pairs.sum(dim=(1, 2))


def _flat(maps: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
    """Both as (B, N), the maps in float64: sums of hundreds of small weights are compared."""
    require_rank("the score of a map", "maps", maps, "B, rows, columns")
    if inside.shape != maps.shape or inside.dtype != torch.bool:
        raise ValueError(
            f"maps {tuple(maps.shape)} need an `inside` of the same shape, bool; got "
            f"{tuple(inside.shape)}, {inside.dtype}"
        )
    return maps.detach().double().flatten(1), inside.flatten(1)
