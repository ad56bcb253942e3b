"""How good a model is on images it was not trained on."""

import torch
import torch.nn.functional as F
from torch import nn

from ..data import ImageData, Split
from .runtime.precision import Precision, choose_precision
from .runtime.processes import Processes


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    split: Split,
    data: ImageData,
    batch_size: int | None = None,
    precision: Precision | None = None,
    processes: Processes | None = None,
) -> tuple[float, float]:
    """(mean cross-entropy in nats, accuracy in 0..1) of `model` over all of `split`, in evaluation mode and without augmentation.

    batch_size: None for as many images as have the pixels of a thousand of 32x32, but 16 at least.
    Sums over images, not means over batches, so a smaller last batch counts for what it is. precision: None computes in float32.
    processes: each takes its own share of the images, and all get the numbers of the whole.
    """
    precision = precision or choose_precision(data.device, "fp32")
    processes = processes or Processes()
    height, width = data.image_size
    batch_size = batch_size or max(16, 1000 * 32 * 32 // (height * width))
    was_training = model.training
    model.eval()
    mine = split if processes.count == 1 else split[processes.rank :: processes.count]
    loss, right = sums = torch.zeros(2, device=data.device, dtype=torch.float32)
    for images, labels in mine.iter_batches(batch_size):
        with precision.autocast():
            logits = model(data.normalise(images))
        loss += F.cross_entropy(logits.float(), labels, reduction="sum")
        right += (logits.argmax(dim=1) == labels).sum()
    model.train(was_training)
    loss, right = processes.sum(sums)
    return (loss / len(split)).item(), (right / len(split)).item()


@torch.inference_mode()
def predict(
    model: nn.Module, images: torch.Tensor, data: ImageData, batch_size: int = 1000
) -> torch.Tensor:
    """Logits (n, num_classes), float32, on the CPU, for images (n, C, H, W), uint8, normalised as `data` is."""
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    logits = torch.cat(
        [model(data.normalise(part.to(device))).float().cpu() for part in images.split(batch_size)]
    )
    model.train(was_training)
    return logits


def check_fit(model: nn.Module, data: ImageData, batch_size: int = 1) -> None:
    """Raise ValueError, with the numbers, unless the model's classes, size and channels are those of `data`."""
    config = model.config
    if config.num_classes != data.num_classes:
        raise ValueError(
            f"the model tells {config.num_classes} classes apart, {data.name} has {data.num_classes}: "
            f"build it with ViTConfig(num_classes={data.num_classes}, ...)"
        )
    if config.image_size != data.image_size or config.channels != data.channels:
        model_size, data_size = (
            "x".join(map(str, size)) for size in (config.image_size, data.image_size)
        )
        raise ValueError(
            f"the model takes {config.channels} channels of {model_size} pixels, {data.name} has {data.channels} of {data_size}: "
            "change the configuration, or load the data with another image_size"
        )
    if batch_size > len(data.train):
        raise ValueError(
            f"a batch of {batch_size} is more than the {len(data.train)} training images of {data.name}: take a smaller one"
        )
