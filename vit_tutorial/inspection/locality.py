"""Two experiments with feature maps: do they follow a shift, and what does one place of them see?

A feature map is any function of images (B, C, H, W) that gives (B, C', H / stride, W / stride).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ..common.validation import require_int, require_rank
from ..model import VisionTransformer

FeatureMap = Callable[[Tensor], Tensor]


def token_map(model: VisionTransformer, blocks: int | None = None) -> FeatureMap:
    """Images -> the patch tokens after so many encoder blocks, as a map (B, D, H / P, W / P).

    blocks: 0 for the patch embedding alone, without positions; None for all blocks.
    Raises ValueError for more blocks than there are, and for a model with a class token, which has
    no place on a map.
    """
    depth = len(model.encoder.blocks)
    blocks = depth if blocks is None else blocks
    require_int("blocks", blocks, minimum=0)
    if blocks > depth or model.config.num_class_tokens:
        raise ValueError(
            f"blocks is {blocks}, the model has {depth} and {model.config.num_class_tokens} class "
            "tokens: give at most that many blocks, and a model with class_token='none'"
        )
    if model.encoder.positions:
        raise ValueError("positions enter in every layer of this model: use one with a stem's")

    def features(images: Tensor) -> Tensor:
        z = model.tokens(images) if blocks else model.patch_embedding(images)
        for block in model.encoder.blocks[:blocks]:
            z = block(z)  # (B, N, D)
        return z.transpose(1, 2).unflatten(2, model.config.grid)

    return features


@torch.no_grad()
def shift_error(f: FeatureMap, images: Tensor, shift: int, stride: int) -> float:
    """How badly the feature map follows when images (B, C, H, W) move to the right, from 0 on.

    The images move by `shift` pixels around the border. Their feature maps are moved back by the
    whole number of places that fits best, shift / stride rounded down or up. Returned is the norm
    of what still differs from f(images), divided by the norm of f(images). 0: the map follows
    exactly, the part is equivariant to this shift.
    """
    require_rank("shift_error", "images", images, "B, C, H, W")
    require_int("stride", stride)
    before, moved = f(images), f(images.roll(shift, dims=-1))
    places = {shift // stride, -(-shift // stride)}
    return min(((moved.roll(-n, dims=-1) - before).norm() / before.norm()).item() for n in places)


def seen_from(f: FeatureMap, images: Tensor, place: tuple[int, int]) -> Tensor:
    """What one place (row, column) of a feature map sees: (H, W), the sum is 1.

    The mean size of the gradient of its features with respect to each pixel of images
    (B, C, H, W): exactly 0 where the place sees nothing (Luo et al. 2016, "Understanding the
    effective receptive field"). Max pooling passes a gradient to one pixel of four, so give some 20
    images of noise.
    """
    require_rank("seen_from", "images", images, "B, C, H, W")
    images = images.detach().clone().requires_grad_()
    features = f(images)[:, :, place[0], place[1]]  # (B, C')
    # A weight for each feature: their plain sum would be 0 after a LayerNorm.
    weights = torch.linspace(-1, 1, features.shape[1], device=images.device)
    (gradient,) = torch.autograd.grad((features * weights).sum(), images)
    size = gradient.abs().mean(dim=(0, 1))  # (H, W)
    return size / size.sum()
