"""Pretrained weights for a new task: another head, another image size, and what may learn."""

import dataclasses

import torch
from torch import nn

from .resize import resize_model
from .vit import VisionTransformer


def with_new_head(
    model: VisionTransformer, num_classes: int, image_size: int | tuple[int, int] | None = None
) -> VisionTransformer:
    """A copy of `model` whose head has `num_classes` outputs, all 0, for images of `image_size`.

    A head of zeros gives every class the same probability, so the first step changes the head
    alone; the weights below it move once the head asks for something (the paper's section 3.2 does
    the same). Positions are resampled for the new size as `resize_model` says. image_size: a side
    or (H, W) in pixels, None for the one that `model` has. Raises ValueError when the patch size
    does not divide it.
    """
    resized = resize_model(model, model.config.image_size if image_size is None else image_size)
    body = {n: value for n, value in resized.state_dict().items() if not n.startswith("head.")}
    with torch.random.fork_rng(devices=[]):  # every number is overwritten: draw nothing
        copy = VisionTransformer(dataclasses.replace(resized.config, num_classes=num_classes))
    first = next(resized.parameters())
    copy.to(first.device, first.dtype)
    copy.load_state_dict(body, strict=False)
    for parameter in copy.head.parameters():
        nn.init.zeros_(parameter)
    return copy.train(model.training)


def freeze_body(model: nn.Module) -> nn.Module:
    """Let only `model.head` learn: a linear probe of what the rest already knows.

    Returns `model`. Each other parameter keeps its value, to the last bit.
    """
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for parameter in model.head.parameters():
        parameter.requires_grad_(True)
    return model
