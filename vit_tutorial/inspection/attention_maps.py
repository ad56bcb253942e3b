"""From attention weights to maps over the patches, and to numbers: weights in, tensors out.

`weights` is what `recording.record` keeps: by layer (B, h, T, T), first layer first.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from .analysis import grid_distance
from .layout import TokenLayout
from .recording import Recording, record

Layers = Mapping[str, Tensor] | Sequence[Tensor] | Tensor


def rollout(weights: Layers) -> Tensor:
    """How much of each token that enters the first layer flows into each that leaves the last.

    (B, T, T), each row sums to 1. Abnar and Zuidema 2020, section 3: heads averaged, half of the
    identity added for the residual path, rows normalised, layers multiplied, the last on the left.
    """
    flow = None
    for layer in _layers(weights):
        mean = layer.mean(dim=1)  # (B, T, T)
        step = 0.5 * mean + 0.5 * torch.eye(mean.shape[-1], device=mean.device)
        step = step / step.sum(dim=-1, keepdim=True)
        flow = step if flow is None else step @ flow
    return flow


def relevance(weights: Layers, gradients: Layers) -> Tensor:
    """How much each entering token counts for a score, by attention and its gradient: (B, T, T).

    Chefer et al. 2021, "Generic Attention-model Explainability", equations 5 and 6, for
    self-attention: R = 1, then R + A R for each layer, where A is the mean over heads of the
    positive part of gradient times weight. Row t belongs to token t where the head reads it.
    gradients: of the score, as `Recording.gradients` gives them. Rows do not sum to 1.
    Raises ValueError when weights and gradients do not fit.
    """
    weights, gradients = _layers(weights), _layers(gradients)
    if [x.shape for x in weights] != [x.shape for x in gradients]:
        raise ValueError(
            f"{len(weights)} layers of weights {tuple(weights[0].shape)} and {len(gradients)} of "
            f"gradients {tuple(gradients[0].shape)}: take both from one recording"
        )
    R = torch.eye(weights[0].shape[-1], device=weights[0].device).expand_as(weights[0][:, 0])
    for layer, gradient in zip(weights, gradients):
        R = R + (gradient.to(layer.device) * layer).clamp(min=0).mean(dim=1) @ R
    return R


def gradient_attention(
    model: nn.Module, images: Tensor, classes: Sequence[int] | Tensor | None = None
) -> tuple[Tensor, Recording]:
    """`relevance` for one class of each of images (B, C, H, W), (B, T, T), and the recording.

    classes: one class number for each image; None for the class that the model names.
    Raises ValueError when the model returns no logits (B, K), or for a class that it does not have.
    """
    recorded = record(model, images, gradients=True)
    logits = recorded.output
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        raise ValueError("this model returns no logits (B, K): a class needs them")
    B, K = logits.shape
    classes = logits.argmax(dim=1) if classes is None else torch.as_tensor(classes)
    if classes.shape != (B,) or classes.min() < 0 or classes.max() >= K:
        raise ValueError(f"classes are {classes.tolist()}: give {B} numbers, each 0 to {K - 1}")
    score = logits[torch.arange(B), classes.to(logits.device)].sum()  # no image reads another
    return relevance(recorded.weights, recorded.gradients(score)), recorded


def attention_distance(
    weights: Layers, layout: TokenLayout, patch_size: float | tuple[float, float] = 1
) -> Tensor:
    """Mean distance from a patch to what it reads, by layer and head: (L, h), in pixels.

    Dosovitskiy et al. 2021, Figure 11 and appendix D.7: distances between the centres of patches,
    weighted by attention, averaged over the patches that read and over images. What goes to class
    and register tokens has no distance: it is left out, and the rest of each row counts as 1.
    patch_size: P in pixels, or (height, width); 1 gives patches.
    Raises ValueError for weights that do not fit the layout.
    """
    sides = patch_size if isinstance(patch_size, tuple) else (patch_size, patch_size)
    distance = grid_distance(layout.grid, sides)  # (N, N)
    found = []
    for layer in _layers(weights):
        _check(layer, layout)
        rows = layer[..., layout.patches, layout.patches].float()  # (B, h, N, N)
        total = rows.sum(dim=-1).clamp(min=1e-12)  # (B, h, N)
        mean = (rows * distance.to(rows.device)).sum(dim=-1) / total
        found.append(mean.mean(dim=(0, 2)))
    return torch.stack(found)


def class_token_map(weights: Tensor, layout: TokenLayout) -> Tensor:
    """What the class token reads: (..., T, T) -> (..., rows, columns), not rescaled.

    weights: of one layer, a rollout, or a relevance. What it reads of itself and of registers is
    left out, so a map of attention sums to 1 at most.
    Raises ValueError for a layout without a class token: `received_map` needs none.
    """
    if layout.class_token is None:
        raise ValueError(
            f"no class token in {layout}: received_map shows what all patches read. If one of the "
            "other tokens is a class token, say which: TokenLayout(..., class_token=0)"
        )
    return token_map(weights, layout, layout.class_token)


def token_map(weights: Tensor, layout: TokenLayout, token: int) -> Tensor:
    """What one token reads, by its number: (..., T, T) -> (..., rows, columns), not rescaled."""
    _check(weights, layout)
    if not -layout.num_tokens <= token < layout.num_tokens:
        raise ValueError(f"no token {token}: there are {layout.num_tokens}, counted from 0")
    return weights[..., token, layout.patches].unflatten(-1, layout.grid)


def received_map(weights: Tensor, layout: TokenLayout) -> Tensor:
    """What all patches read, on average: (..., T, T) -> (..., rows, columns), not rescaled.

    It is what a model that takes the mean of its patches hands on: there is no token of which one
    could ask what it reads.
    """
    _check(weights, layout)
    rows = weights[..., layout.patches, layout.patches]  # (..., N, N)
    return rows.mean(dim=-2).unflatten(-1, layout.grid)


def reading_map(weights: Tensor, layout: TokenLayout) -> Tensor:
    """`class_token_map` where there is a class token, else `received_map`."""
    make = received_map if layout.class_token is None else class_token_map
    return make(weights, layout)


def _layers(weights: Layers) -> list[Tensor]:
    layers = list(weights.values()) if isinstance(weights, Mapping) else list(weights)
    if not layers or any(x.ndim != 4 or x.shape[-1] != x.shape[-2] for x in layers):
        shapes = [tuple(x.shape) for x in layers[:3]]
        raise ValueError(f"weights by layer are (B, h, T, T), first layer first: got {shapes}")
    return layers


def _check(weights: Tensor, layout: TokenLayout) -> None:
    if tuple(weights.shape[-2:]) != (layout.num_tokens, layout.num_tokens):
        raise ValueError(
            f"weights {tuple(weights.shape)} do not fit {layout}: their last two sides are "
            f"{layout.num_tokens}"
        )
