"""The training loop of a detector, the one that lesson 25 writes out."""

import math

import torch
from torch import Tensor, nn

from ..data.scenes import Scenes, normalise
from .detection_loss import Assign, match, set_loss


def train_detector(
    model: nn.Module,
    scenes: Scenes,
    steps: int,
    assign: Assign = match,
    *,
    batch_size: int = 32,
    lr: float = 1e-3,
    seed: int = 0,
    report=None,
) -> list[float]:
    """Train `model` in place on `scenes`; the loss of each step.

    AdamW, the learning rate up over a tenth of the steps and down along a cosine, gradients clipped
    to norm 1. Half of the batches are mirrored, left to right. report(step, loss): called after
    each step.
    """
    draw = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=1e-4)
    shape = lambda step: min(10 * (step + 1) / steps, 0.5 + 0.5 * math.cos(math.pi * step / steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, shape)
    losses = []
    model.train()
    for step in range(steps):
        batch = scenes[torch.randint(len(scenes), (batch_size,), generator=draw)]
        images, targets = mirror(batch) if step % 2 else (batch.images, batch.boxes)
        loss = set_loss(model(normalise(images)), batch.labels, targets, assign)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if report:
            report(step, losses[-1])
    return losses


def mirror(scenes: Scenes) -> tuple[Tensor, Tensor]:
    """Images and boxes of the scenes with left and right exchanged."""
    boxes = scenes.boxes.clone()
    boxes[..., 0] = 1 - boxes[..., 0]
    return scenes.images.flip(-1), boxes
