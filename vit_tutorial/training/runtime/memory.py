"""How much memory a training step takes, and how a batch is made to fit into what is free."""

import bisect
import dataclasses
import math

import torch
from torch import nn

from ...common.machine import free_bytes
from .activations import Activations, activation_bytes, is_out_of_memory
from .muon import muon_matrices
from .precision import Precision

MAX_FILL = (
    0.8  # share of free memory that a plan fills: allocators leave gaps, other programs need some
)
# Images at once; fewer leave a GPU idle, and then activation checkpointing is the smaller loss.
MIN_MICRO_BATCH = 16
WORKSPACE = 64 * 2**20  # bytes that libraries for matrix products reserve, on a CPU and on a GPU
# Of each parameter, kept by an optimizer: two moments, or one.
COPIES = {"adamw": 2, "muon": 1, "sgd": 1}
_ADVICE = (
    "use a smaller model, smaller images or larger patches, or close programs that hold memory"
)


@dataclasses.dataclass(frozen=True)
class MemoryPlan:
    """How one process fits its share of a batch into memory."""

    micro_batch: int  # images at once
    accumulation: int  # micro-batches whose gradients are added up for one step of the optimizer
    checkpoint_activations: bool  # keep only the input of each block, recompute the rest
    reason: str  # why, as a sentence
    bytes_needed: int  # that a step needs besides the model itself
    bytes_free: int | None  # None where the system does not say

    def halved(self, images: int) -> "MemoryPlan":
        """Half as many images at once, for a share of `images` images."""
        half = self.micro_batch // 2
        return dataclasses.replace(self, micro_batch=half, accumulation=math.ceil(images / half))


def step_bytes(
    model: nn.Module,
    activations: Activations,
    images: int,
    *,
    optimizer="adamw",
    ema=False,
    accumulated=False,
) -> int:
    """Bytes that one training step takes at its peak, on `images` images at once.

    They hold parameters, the optimizer's states, the moving average of the parameters if there is
    one (`ema`), gradients and activations, and a workspace. Gradients grow while activations
    shrink; only where they are summed over several micro-batches (`accumulated`) are both held in
    full. Without the workspace, within 10 % of what torch allocates on a CPU, and never far below
    (within 25 % in bf16 with activation checkpointing). The process may hold more, up to twice as
    much with activation checkpointing: glibc returns small blocks late unless
    MALLOC_MMAP_THRESHOLD_ is set.
    """
    size = lambda parameters: sum(p.numel() * p.element_size() for p in parameters)
    gradients = size(p for p in model.parameters() if p.requires_grad)
    by_muon = size(muon_matrices(model)) if optimizer == "muon" else 0
    others = "adamw" if optimizer == "muon" else optimizer
    states = COPIES[others] * (gradients - by_muon) + COPIES["muon"] * by_muon
    moving = activations.bytes_for(images)
    moving = gradients + moving if accumulated else max(gradients, moving)
    return math.ceil(parameter_bytes(model) * (2 if ema else 1) + states + moving + WORKSPACE)


def parameter_bytes(model: nn.Module) -> int:
    """Bytes of the parameters, trained or not."""
    return sum(p.numel() * p.element_size() for p in model.parameters())


def plan_memory(
    model: nn.Module,
    batch_size: int,
    image_shape: tuple[int, int, int],
    *,
    device: torch.device | str,
    precision: Precision,
    optimizer: str = "adamw",
    ema: bool = False,
    micro_batch: int | None = None,
    checkpoint_activations: bool | None = None,
    free: int | None = None,
) -> MemoryPlan:
    """How to train on batches of `batch_size` images (C, H, W) in the free memory, or `free` bytes.

    The whole batch at once if it fits into 80 % of the free memory. Else in micro-batches of equal
    size, whose gradients are added up; that costs next to nothing. Activation checkpointing costs
    about a quarter more time, so it is used only where fewer than 16 images at once would fit
    without it.
    micro_batch, checkpoint_activations: requests, granted as long as they fit into all of the free
    memory. `model` is on the device already: its parameters are not part of what the plan needs.
    Raises ValueError, with the numbers, where one image does not fit, or a request does not.
    """
    free = free_bytes(device) if free is None else free
    can_checkpoint = hasattr(getattr(model, "encoder", None), "checkpoint_activations")
    if checkpoint_activations and not can_checkpoint:
        raise ValueError(
            f"checkpoint_activations is True, but a {type(model).__name__} has no encoder that can"
            ": leave it out"
        )
    present, shape = parameter_bytes(model), " x ".join(map(str, image_shape))
    measured = {}

    def needed(images: int, checkpointing: bool) -> int:
        """Bytes for `images` images at once."""
        if checkpointing not in measured:
            try:
                measured[checkpointing] = activation_bytes(
                    model, image_shape, precision, checkpointing
                )
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                raise ValueError(
                    f"not even one image of {shape} can be measured in the {_gib(free or 0)} "
                    f"that are free: {_ADVICE}"
                ) from error
        step = step_bytes(
            model,
            measured[checkpointing],
            images,
            optimizer=optimizer,
            ema=ema,
            accumulated=images < batch_size,
        )
        batch = 8 * batch_size * math.prod(image_shape)  # float32, before and after augmentation
        return step - present + batch

    def make_plan(images: int, checkpointing: bool, reason: str) -> MemoryPlan:
        parts = math.ceil(batch_size / images)
        return MemoryPlan(images, parts, checkpointing, reason, needed(images, checkpointing), free)

    modes = [bool(checkpoint_activations)]
    if can_checkpoint and checkpoint_activations is None:
        modes = [False, True]
    wish = None if micro_batch is None else min(micro_batch, batch_size)
    if free is None:
        reason = "the free memory is not known: the whole batch, or what was asked for"
        return make_plan(wish or batch_size, modes[0], reason)
    if wish:
        for mode in modes:
            if needed(wish, mode) <= free:
                return make_plan(wish, mode, f"{wish} images at once, as asked for{_with(mode)}")
        raise ValueError(
            f"{wish} images at once need {_gib(needed(wish, modes[-1]))}{_with(modes[-1])}, "
            f"{_gib(free)} are free: ask for fewer, or leave micro_batch out"
        )
    room, size, checkpointing = MAX_FILL * free, 0, modes[-1]
    for mode in modes:
        largest = _largest(batch_size, room, lambda images, mode=mode: needed(images, mode))
        if largest > size:
            size, checkpointing = largest, mode
        if size >= min(MIN_MICRO_BATCH, batch_size):
            break
    if not size:
        leave_out = can_checkpoint and checkpoint_activations is False
        raise ValueError(
            f"one image of {shape} needs {_gib(needed(1, checkpointing))}{_with(checkpointing)}; "
            f"{_gib(room)} may be used, {MAX_FILL:.0%} of the {_gib(free)} that are free: "
            f"{'leave checkpoint_activations out, or ' if leave_out else ''}{_ADVICE}"
        )
    if size == batch_size:
        fit = f"all {size} images fit{_with(checkpointing)}"
        reason = f"{fit}: {_gib(needed(size, checkpointing))} of {_gib(free)} free"
        return make_plan(size, checkpointing, reason)
    whole = f"all {batch_size} images at once would need {_gib(needed(batch_size, False))}"
    reason = f"{whole}, {_gib(free)} are free: {size} at once{_with(checkpointing)}"
    return make_plan(size, checkpointing, reason)


def _largest(batch_size: int, room: float, needed) -> int:
    """The most images at once that fit, such that the parts of the batch are equal; 0 if none fit.

    Where the largest divisor of the batch is less than half of what fits, the parts are only nearly
    equal.
    """
    if needed(batch_size) <= room:
        return batch_size
    most = bisect.bisect_right(range(1, batch_size), room, key=needed)
    divisor = max((images for images in range(1, most + 1) if batch_size % images == 0), default=0)
    if 2 * divisor > most or not most:
        return divisor
    return math.ceil(batch_size / math.ceil(batch_size / most))


def _with(checkpointing: bool) -> str:
    return " with activation checkpointing" if checkpointing else ""


def _gib(size: float) -> str:
    return f"{size / 2**30:.2f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"
