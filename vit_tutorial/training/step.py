"""One step: forward, loss and backward in parts that fit into memory, then the optimizers."""

import dataclasses

import torch
import torch.nn.functional as F
from torch import nn

from .optimizers import make_optimizers
from .runtime.ema import ModelEMA
from .runtime.memory import MemoryPlan, is_out_of_memory, plan_memory
from .runtime.progress import report


class Step:
    """Makes steps and holds what they change: weights, optimizers, loss scale, moving average.

    size: this process's images of a batch. The other arguments are those of the run in loop.py.
    """

    def __init__(self, model: nn.Module, data, settings, precision, size: int, processes):
        self.model, self.settings = model, settings
        self.precision, self.processes = precision, processes
        self.optimizers = make_optimizers(model, settings)
        self.scaler = precision.scaler()
        self.ema = ModelEMA(model, settings.ema_decay)
        self._plan_args = (model, size, (data.channels, *data.image_size))
        self.plan: MemoryPlan | None = None
        self.compiled = False

    def prepare(self) -> None:
        """Plan the memory, unless a restored state holds a plan; compile and wrap the model."""
        s, device = self.settings, next(self.model.parameters()).device
        wishes = dict(micro_batch=s.micro_batch, checkpoint_activations=s.checkpoint_activations)
        kept = dict(optimizer=s.optimizer, ema=s.ema_decay > 0)
        self.plan = self.plan or plan_memory(
            *self._plan_args, device=device, precision=self.precision, **kept, **wishes
        )
        if hasattr(self.model, "encoder"):
            self.model.encoder.checkpoint_activations = self.plan.checkpoint_activations
        self.use_compiled(self.compiled or s.compile is True)

    def use_compiled(self, yes: bool) -> None:
        """Switch torch.compile on or off: the same weights, results equal but for the last bits."""
        self.compiled = yes
        self.forward = self.processes.wrap(
            torch.compile(self.model, dynamic=False) if yes else self.model
        )

    def __call__(self, images: torch.Tensor, labels: torch.Tensor, lr: float) -> torch.Tensor:
        """One step on images (b, C, H, W) with labels (b,) or class shares (b, num_classes).

        Returns the mean loss. It stays on the device: to read it here would make the CPU wait.
        """
        self.model.train()
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = lr
        loss = self.backward(images, labels)
        for optimizer in self.optimizers:
            self.scaler.step(optimizer)  # optimizer.step(); fp16: not if a gradient overflowed
        self.scaler.update()  # fp16: a smaller scale after an overflow, in time a larger one
        self.ema.update(self.model)
        return loss

    def backward(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Replace the gradients by those of the mean loss over `images`; that loss."""
        while (loss := self._try_backward(images, labels)) is None:  # the plan asked for too much
            self.plan = self.plan.halved(len(images))
            if images.is_cuda:
                torch.cuda.empty_cache()
            report(f"out of memory: continuing with {self.plan.micro_batch} images at once")
        return loss

    def _try_backward(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor | None:
        """As `backward`, with the plan as it is; None if memory ran out."""
        size, whole, total = self.plan.micro_batch, len(images), 0
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)  # None takes no memory during forward
        try:
            for first in range(0, whole, size):  # gradient accumulation: often one part, all images
                part = slice(first, first + size)
                # Several processes average their gradients once, after the last part.
                with self.processes.sync_gradients(self.forward, last=first + size >= whole):
                    with self.precision.autocast():
                        logits = self.forward(images[part])
                        loss = F.cross_entropy(
                            logits, labels[part], label_smoothing=self.settings.label_smoothing
                        )
                    loss = loss * (len(images[part]) / whole)  # the parts add up to the mean
                    self.scaler.scale(loss).backward()  # fp16: scaled, so small gradients survive
                total = total + loss.detach()
            return total
        except RuntimeError as error:
            # One image cannot be halved, and several processes would all have to halve at once.
            if not is_out_of_memory(error) or size == 1 or self.processes.count > 1:
                raise
            return None  # try again outside of `except`, which holds this attempt's tensors

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
