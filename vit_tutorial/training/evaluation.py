"""How good a model is on images that it was not trained on."""

import torch
import torch.nn.functional as F
from torch import nn

from ..data import ImageData, Split
from .runtime.precision import Precision, choose_precision
from .runtime.processes import SINGLE_PROCESS, Processes


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    split: Split,
    data: ImageData,
    batch_size: int | None = None,
    precision: Precision | None = None,
    processes: Processes = SINGLE_PROCESS,
) -> tuple[float, float]:
    """(mean cross-entropy in nats, accuracy in 0..1) of `model` over all of `split`.

    In evaluation mode and without augmentation. batch_size: by default as many images as have the
    pixels of 1000 of 32x32 (of 128 on a CPU, for its caches), at least 16. precision: by default
    float32. processes: each takes its own share, and all get the numbers of the whole split.
    """
    precision = precision or choose_precision(data.device, "fp32")
    pixels = 32 * 32 * (128 if data.device.type == "cpu" else 1000)
    batch_size = batch_size or max(16, pixels // (data.image_size[0] * data.image_size[1]))
    was_training = model.training
    model.eval()
    own = split if processes.count == 1 else split[processes.rank :: processes.count]
    # Sums over images, not means over batches: the last batch is smaller and must count less.
    loss, correct = sums = torch.zeros(2, device=data.device, dtype=torch.float32)
    for images, labels in own.iter_batches(batch_size):
        with precision.autocast():
            logits = model(data.normalise(images))
        data.require_scores(logits)
        loss += F.cross_entropy(logits.float(), labels, reduction="sum")
        correct += (logits.argmax(dim=1) == labels).sum()
    model.train(was_training)
    loss, correct = processes.sum(sums)
    return (loss / len(split)).item(), (correct / len(split)).item()


@torch.inference_mode()
def predict(
    model: nn.Module, images: torch.Tensor, data: ImageData, batch_size: int = 1000
) -> torch.Tensor:
    """Logits (n, num_classes), float32, on the CPU, for raw images (n, C, H, W), uint8."""
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    logits = torch.cat(
        [model(data.normalise(part.to(device))).float().cpu() for part in images.split(batch_size)]
    )
    model.train(was_training)
    return logits
