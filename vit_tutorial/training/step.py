"""One step: forward, loss and backward in parts that fit into memory, then the optimisers and the average of the weights."""

import dataclasses
import math
import sys

import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from ..data import ImageData
from .optimizers import make_optimizers
from .runtime.ema import ModelEMA
from .runtime.memory import MemoryPlan, is_out_of_memory, plan_memory
from .runtime.precision import Precision
from .runtime.processes import Processes
from .settings import TrainSettings


class Step:
    """Everything that a step changes: weights, optimisers, the scale of the loss, the average.

    Call it with images (b, C, H, W), labels (b,) or shares (b, num_classes), and a learning lr; it gives the mean loss, still
    on the device, so that nothing waits for it.
    """

    def __init__(
        self,
        model: nn.Module,
        data: ImageData,
        settings: TrainSettings,
        precision: Precision,
        size: int,
        processes: Processes,
    ):
        self.model, self.settings, self.precision, self.processes = (
            model,
            settings,
            precision,
            processes,
        )
        self.optimizers = make_optimizers(model, settings)
        self.scaler = precision.scaler()
        self.ema = ModelEMA(model, settings.ema_decay)
        self._plan_args = (model, size, (data.channels, *data.image_size))
        self.plan: MemoryPlan | None = None
        self.compiled = False

    def prepare(self) -> None:
        """MemoryPlan the memory, unless a restored state has a plan, and compile and share the model as the settings say."""
        s, device = self.settings, next(self.model.parameters()).device
        self.plan = self.plan or plan_memory(
            *self._plan_args,
            device=device,
            precision=self.precision,
            optimizer=s.optimizer,
            averaged=s.ema_decay > 0,
            micro_batch=s.micro_batch,
            checkpoint_activations=s.checkpoint_activations,
        )
        if hasattr(self.model, "encoder"):
            self.model.encoder.checkpoint_activations = self.plan.checkpoint_activations
        self.use_compiled(self.compiled or s.compile is True)

    def use_compiled(self, yes: bool) -> None:
        """Go on with torch.compile, or without. The weights are the same ones; the last bits of what is computed are not."""
        self.compiled = yes
        self.forward = self.processes.wrap(torch.compile(self.model) if yes else self.model)

    def __call__(self, images: torch.Tensor, labels: torch.Tensor, lr: float) -> torch.Tensor:
        self.model.train()
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = lr
        loss = self.backward_all(images, labels)
        for optimizer in self.optimizers:
            self.scaler.step(optimizer)
        self.scaler.update()
        self.ema.update(self.model)
        return loss

    def backward_all(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Gradients of the mean loss over all images, in place of those that were there; the loss."""
        loss = self._backward(images, labels)
        while loss is None:  # outside the `except` that holds the tensors of the attempt
            if images.is_cuda:
                torch.cuda.empty_cache()
            loss = self._backward(images, labels)
        return loss

    def _backward(self, images, labels) -> torch.Tensor | None:
        """Gradients of the mean loss over all images; the loss, or None if memory ran out and the plan was made smaller."""
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        try:
            return self._accumulate(images, labels)
        except RuntimeError as error:  # the plan was wrong, or another program took memory: half as many images at once
            half = self.plan.micro_batch // 2
            if not is_out_of_memory(error) or not half or self.processes.count > 1:
                raise
            self.plan = dataclasses.replace(
                self.plan, micro_batch=half, accumulation=math.ceil(len(images) / half)
            )
            tqdm.write(f"out of memory: going on with {half} images at once", file=sys.stderr)
            return None

    def _accumulate(self, images, labels) -> torch.Tensor:
        size, whole, total = self.plan.micro_batch, len(images), 0
        for first in range(0, whole, size):
            part = slice(first, first + size)
            with self.processes.sync_gradients(self.forward, last=first + size >= whole):
                with self.precision.autocast():
                    logits = self.forward(images[part])
                    loss = F.cross_entropy(
                        logits, labels[part], label_smoothing=self.settings.label_smoothing
                    )
                if size < whole:
                    loss = loss * (len(images[part]) / whole)
                self.scaler.scale(loss).backward()
            total = total + loss.detach()
        return total

    def state(self) -> dict:
        return {
            "model": self.model.state_dict(),
            "ema": self.ema.state(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "scaler": self.scaler.state_dict(),
            "plan": dataclasses.asdict(self.plan),
            "compiled": self.compiled,
        }

    def restore(self, state: dict) -> None:
        self.model.load_state_dict(state["model"])
        self.ema.restore(state["ema"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.scaler.load_state_dict(state["scaler"])
        self.plan = MemoryPlan(**state["plan"])
        self.compiled = state.get("compiled", False)
