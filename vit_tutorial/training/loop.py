"""One training run: batches on the device, AdamW, a schedule by steps or by the clock, looks at the validation images."""

import dataclasses
import math
import sys
import time
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from ..data import ImageData, Split, augment
from .precision import Precision, choose_precision
from .schedule import learning_rate
from .settings import TrainSettings


@dataclasses.dataclass
class History:
    """What a run did. rows: one dict for each look at the validation images (the first before any step), with step, passes,
    minutes, learning_rate, train_loss (mean since the look before; None in the first row), validation_loss,
    validation_accuracy. stopped: "finished" or "interrupted" (Ctrl-C: the model keeps what it has learned)."""

    settings: TrainSettings
    precision: Precision
    rows: list[dict] = dataclasses.field(default_factory=list)
    steps: int = 0
    passes: float = 0.0
    minutes: float = 0.0
    stopped: str = "finished"


def train(
    model: nn.Module,
    data: ImageData,
    settings: TrainSettings,
    *,
    progress: bool = True,
    on_evaluation: Callable[[History], None] | None = None,
) -> History:
    """Train `model` in place on `data.train`, on the device where the data lies. The test images are not touched.

    The same settings, model and machine give the same run when `passes` is set (on a CPU bit for bit); by the clock, the
    number of steps depends on the machine. on_evaluation is called after each look at the validation images, to save things.
    Raises ValueError when the model's configuration does not fit the data, FloatingPointError when the loss is no longer finite.
    """
    check_fit(model, data, settings.batch_size)
    model.to(data.device)
    history = History(settings, choose_precision(data.device, settings.precision))
    devices = [data.device] if data.device.type == "cuda" else []
    with torch.random.fork_rng(devices):  # dropout draws from the global state: leave it as it was
        torch.manual_seed(settings.seed)
        try:
            _run(model, data, history, progress, on_evaluation)
        except KeyboardInterrupt:
            history.stopped = "interrupted"
    model.eval()
    return history


def _run(model, data, history, progress, on_evaluation):
    settings, precision = history.settings, history.precision
    optimizer, scaler = make_optimizer(model, settings), precision.scaler()
    batches = _batches(data, settings)
    steps_a_pass = len(data.train) // settings.batch_size
    total_steps = math.inf if settings.passes is None else max(1, round(settings.passes * steps_a_pass))
    budget = math.inf if settings.minutes is None else 60 * settings.minutes
    start = time.perf_counter()

    def look(rate, loss):
        before = time.perf_counter()
        validation_loss, accuracy = evaluate(model, data.validation, data, precision=precision)
        history.minutes = (time.perf_counter() - start) / 60
        history.passes = history.steps / steps_a_pass
        row = dict(step=history.steps, passes=history.passes, minutes=history.minutes, learning_rate=rate, train_loss=loss)
        history.rows.append(row | dict(validation_loss=validation_loss, validation_accuracy=accuracy))
        bar.set_postfix_str(f"pass {history.passes:.1f}, loss {loss or validation_loss:.3f}, validation {accuracy:.1%}")
        if on_evaluation:
            on_evaluation(history)
        return time.perf_counter() - before

    unit = "step" if settings.minutes is None else "s"
    whole = total_steps if settings.minutes is None else round(budget)
    with tqdm(total=whole, unit=unit, disable=not progress, file=sys.stderr, mininterval=0.5, ncols=100) as bar:
        budget -= look(0.0, None)  # keep back the time that the last look will take
        loss_sum, loss_count, looks = torch.zeros((), device=data.device), 0, 1
        done = 0.0
        while done < 1:
            rate = learning_rate(done, 1, settings.warmup, settings.learning_rate, settings.schedule)
            loss_sum += _step(model, next(batches), optimizer, scaler, rate, history)
            loss_count += 1
            history.steps += 1
            elapsed = time.perf_counter() - start
            done = min(1.0, max(history.steps / total_steps, elapsed / budget))
            bar.update(1 if settings.minutes is None else int(min(whole, elapsed)) - bar.n)  # whole seconds
            if done >= looks / settings.evaluations:
                mean_loss = (loss_sum / loss_count).item()
                if not math.isfinite(mean_loss):
                    raise FloatingPointError(
                        f"the loss is {mean_loss} after step {history.steps}: lower the learning rate "
                        f"(now {settings.learning_rate}), warm up for longer, or use precision='fp32'"
                    )
                look(rate, mean_loss)
                loss_sum.zero_()
                loss_count = 0
                looks = int(done * settings.evaluations) + 1


def _step(model, batch, optimizer, scaler, rate, history) -> torch.Tensor:
    """One step of AdamW at learning rate `rate`; the loss, still on the device, so that nothing waits for it."""
    images, labels = batch
    model.train()
    for group in optimizer.param_groups:
        group["lr"] = rate
    with history.precision.autocast():
        loss = F.cross_entropy(model(images), labels, label_smoothing=history.settings.label_smoothing)
    optimizer.zero_grad(set_to_none=True)
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    return loss.detach()


def make_optimizer(model: nn.Module, settings: TrainSettings) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019), with weight decay on what `settings.decay` says."""
    matrices = {id(m.weight) for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)}
    everything = settings.decay == "all"
    decayed = [p for p in model.parameters() if everything or id(p) in matrices]
    others = [p for p in model.parameters() if not (everything or id(p) in matrices)]
    groups = [dict(params=decayed, weight_decay=settings.weight_decay), dict(params=others, weight_decay=0.0)]
    fused = next(model.parameters()).device.type in ("cpu", "cuda")
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=fused)


def _batches(data: ImageData, settings: TrainSettings) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Augmented, normalised batches for ever: every pass in a new seeded order, the incomplete last batch left for next time."""
    order_seed = torch.Generator().manual_seed(settings.seed)
    draw = torch.Generator(data.device).manual_seed(settings.seed)
    shifting = settings.augment == "flip_shift" or (settings.augment == "auto" and data.name != "shapes")
    images, labels = data.train.images, data.train.labels
    while True:
        order = torch.randperm(len(labels), generator=order_seed).to(data.device)
        for picked in order.split(settings.batch_size):
            if len(picked) == settings.batch_size:
                batch = images[picked]
                if shifting:
                    batch = augment.flip_and_shift(batch, shift=settings.shift, generator=draw)
                yield data.normalise(batch), labels[picked]


@torch.inference_mode()
def evaluate(
    model: nn.Module, split: Split, data: ImageData, batch_size: int = 1000, precision: Precision | None = None
) -> tuple[float, float]:
    """(mean cross-entropy in nats, accuracy in 0..1) of `model` over all of `split`, in evaluation mode and without augmentation.

    Sums over images, not means over batches, so a smaller last batch counts for what it is. precision: None computes in float32.
    """
    precision = precision or choose_precision(data.device, "fp32")
    was_training = model.training
    model.eval()
    loss, right = torch.zeros(2, device=data.device, dtype=torch.float32)
    for images, labels in zip(split.images.split(batch_size), split.labels.split(batch_size)):
        with precision.autocast():
            logits = model(data.normalise(images))
        loss += F.cross_entropy(logits.float(), labels, reduction="sum")
        right += (logits.argmax(dim=1) == labels).sum()
    model.train(was_training)
    return (loss / len(split)).item(), (right / len(split)).item()


@torch.inference_mode()
def predict(model: nn.Module, images: torch.Tensor, data: ImageData, batch_size: int = 1000) -> torch.Tensor:
    """Logits (n, num_classes), float32, on the CPU, for images (n, C, H, W), uint8, normalised as `data` is."""
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    logits = torch.cat([model(data.normalise(part.to(device))).float().cpu() for part in images.split(batch_size)])
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
        model_size, data_size = ("x".join(map(str, size)) for size in (config.image_size, data.image_size))
        raise ValueError(
            f"the model takes {config.channels} channels of {model_size} pixels, {data.name} has {data.channels} of {data_size}: "
            "change the configuration, or load the data with another image_size"
        )
    if batch_size > len(data.train):
        raise ValueError(
            f"a batch of {batch_size} is more than the {len(data.train)} training images of {data.name}: take a smaller one"
        )
