"""Does self-attention keep two objects apart? Weights inside of one, and from one to another."""

import torch
from torch import Tensor, nn


def token_instances(instances: Tensor, grid: int) -> Tensor:
    """Instance of each pixel (B, H, W), 0 for the background -> of each token (B, grid^2), int64.

    A token belongs to the instance that covers at least half of its pixels; 0 if there is none.
    Raises ValueError when the grid does not divide the image.
    """
    B, H, W = instances.shape
    if H % grid or W % grid:
        raise ValueError(f"a grid of {grid} x {grid} tokens does not divide an image of {H} x {W}")
    tokens = instances.view(B, grid, H // grid, grid, W // grid).transpose(2, 3)
    counts = torch.nn.functional.one_hot(tokens.long().flatten(3)).sum(dim=3)  # (B, g, g, k + 1)
    counts[..., 0] = 0
    most, which = counts.max(dim=-1)
    return torch.where(2 * most * grid**2 >= H * W, which, 0).flatten(1)


def attention_between_neighbours(weights: Tensor, tokens: Tensor) -> tuple[float, float]:
    """(inside an instance, to another instance): mean attention from a token to a direct neighbour.

    weights (B, T, T), rows add up to 1; tokens (B, T): the instance of each, on a square grid.
    Only pairs of tokens that touch, also at a corner, count: tokens of one object are nearer to
    each other than those of two, and without this, attention to what is near would look like
    attention to the own object. nan where there is no such pair.
    """
    grid = round(tokens.shape[1] ** 0.5)
    place = torch.cartesian_prod(torch.arange(grid), torch.arange(grid))
    touch = (place[:, None] - place).abs().amax(dim=-1) == 1  # (T, T)
    mine, theirs = tokens[:, :, None], tokens[:, None, :]
    objects = touch & (mine > 0) & (theirs > 0)  # (B, T, T)
    same = weights[objects & (mine == theirs)].mean().item()
    return same, weights[objects & (mine != theirs)].mean().item()


@torch.inference_mode()
def encoder_weights(model: nn.Module, images: Tensor) -> list[Tensor]:
    """Of each encoder block of a `relatives.detection.DETR` the mean of the heads' weights.

    images (B, 3, H, W), normalised -> (B, T, T) each.
    """
    found = []
    look = lambda block, inputs: found.append(
        block.attention.weights(block.norm1(inputs[0])).mean(1)
    )
    handles = [block.register_forward_pre_hook(look) for block in model.encoder]
    try:
        model.eval().encode(images)
    finally:
        for handle in handles:
            handle.remove()
    return found
