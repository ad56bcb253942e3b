"""How much memory a training step takes, measured on a few images, and how a batch is brought into what is free."""

import bisect
import dataclasses
import math

import torch
from torch import nn

from ...common.machine import free_bytes
from .activations import Activations, activation_bytes, is_out_of_memory
from .precision import Precision

MAX_FILL = 0.8  # of the free memory that a plan fills: allocators leave gaps, and other programs want some too
MIN_MICRO_BATCH = 16  # images at once; fewer leave a GPU idle, and then computing activations twice is the smaller loss
WORKSPACE = (
    64 * 2**20
)  # what libraries for matrix products keep for themselves, on a CPU and on a GPU
_ADVICE = (
    "take a smaller model, smaller images or larger patches, or close programs that hold memory"
)
COPIES = {"adamw": 2, "muon": 1}  # of each parameter that an optimiser keeps: two moments, or one


@dataclasses.dataclass(frozen=True)
class MemoryPlan:
    """How one process brings its share of a batch into memory: `micro_batch` images at once, `accumulation` times for each step
    of the optimiser, activations computed twice or not; why, in words; bytes that a step still needs, and bytes that are free
    (None where no one says)."""

    micro_batch: int
    accumulation: int
    checkpoint_activations: bool
    reason: str
    bytes_needed: int
    bytes_free: int | None


def step_bytes(
    model: nn.Module,
    activations: Activations,
    images: int,
    *,
    optimizer="adamw",
    averaged=False,
    accumulated=False,
) -> int:
    """Bytes that one training step takes at its peak: parameters, the optimiser's states, the average of the parameters if there
    is one (`averaged`), gradients and activations of `images` images at once, and a workspace.

    Gradients grow while activations shrink; only where they are summed over several parts (`accumulated`) are both there in full.
    Without the workspace, within 10 % of what torch allocates on a CPU, and never far below (within 25 % in bf16 with activations
    computed twice). The process may hold more: glibc gives back small blocks late, up to twice as much with activations computed
    twice, unless MALLOC_MMAP_THRESHOLD_ is set.
    """
    parameters = parameter_bytes(model)
    gradients = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    blocks = (
        sum(m.weight.numel() * m.weight.element_size() for m in _matrices(model))
        if optimizer == "muon"
        else 0
    )
    states = COPIES["adamw"] * (gradients - blocks) + COPIES["muon"] * blocks
    moving = activations.bytes_for(images)
    moving = gradients + moving if accumulated else max(gradients, moving)
    return math.ceil(parameters * (2 if averaged else 1) + states + moving + WORKSPACE)


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
    averaged: bool = False,
    micro_batch: int | None = None,
    checkpoint_activations: bool | None = None,
    free: int | None = None,
) -> MemoryPlan:
    """How to train on batches of `batch_size` images (C, H, W) with the memory that is free, or with `free` bytes of it.

    The whole batch at once if it fits into 80 % of the free memory. Else in parts of equal size, whose gradients are added up:
    that costs next to nothing. Activations are computed twice, for a quarter more work, only where fewer than 16 images would
    fit at once without it. micro_batch, checkpoint_activations: wishes, which are followed as long as they fit into all of it.
    `model` is on the device already: its parameters are not part of what the plan needs.
    Raises ValueError, with the numbers, where one image does not fit, or a wish does not.
    """
    free = free_bytes(device) if free is None else free
    can = hasattr(getattr(model, "encoder", None), "checkpoint_activations")
    if checkpoint_activations and not can:
        raise ValueError(
            f"checkpoint_activations is True, but a {type(model).__name__} has no encoder that can: leave it out"
        )
    here, shape = parameter_bytes(model), " x ".join(map(str, image_shape))
    measured = {}

    def needed(images: int, twice: bool) -> int:
        if twice not in measured:
            try:
                measured[twice] = activation_bytes(model, image_shape, precision, twice)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                raise ValueError(
                    f"not even a look at one image of {shape} fits into the {_gib(free or 0)} that are free: {_ADVICE}"
                ) from error
        in_parts = images < batch_size
        step = step_bytes(
            model,
            measured[twice],
            images,
            optimizer=optimizer,
            averaged=averaged,
            accumulated=in_parts,
        )
        return (
            step - here + 8 * batch_size * math.prod(image_shape)
        )  # float32 images, before and after augmentation

    def make_plan(images: int, twice: bool, reason: str) -> MemoryPlan:
        return MemoryPlan(
            images, math.ceil(batch_size / images), twice, reason, needed(images, twice), free
        )

    modes = (
        [False, True] if can and checkpoint_activations is None else [bool(checkpoint_activations)]
    )
    wish = None if micro_batch is None else min(micro_batch, batch_size)
    if free is None:
        return make_plan(
            wish or batch_size,
            modes[0],
            "the free memory is not known here: the whole batch, or what was asked for",
        )
    if wish:
        for twice in modes:
            if needed(wish, twice) <= free:
                return make_plan(wish, twice, f"{wish} images at once, as asked for{_twice(twice)}")
        raise ValueError(
            f"{wish} images at once need {_gib(needed(wish, modes[-1]))}{_twice(modes[-1])}, {_gib(free)} are free: "
            "ask for fewer, or leave micro_batch out"
        )
    room = MAX_FILL * free
    size, twice = 0, modes[-1]
    for mode in modes:
        most = _largest(batch_size, room, lambda images, mode=mode: needed(images, mode))
        size, twice = max(
            (size, twice), (most, mode), key=lambda choice: choice[0]
        )  # the first of two equal ones
        if size >= min(MIN_MICRO_BATCH, batch_size):
            break
    if not size:
        advice = (
            "leave checkpoint_activations out, or "
            if can and checkpoint_activations is False
            else ""
        )
        raise ValueError(
            f"one image of {shape} needs {_gib(needed(1, twice))}{_twice(twice)}; {_gib(room)} may be used, {MAX_FILL:.0%} of the "
            f"{_gib(free)} that are free: {advice}{_ADVICE}"
        )
    if size == batch_size:
        return make_plan(
            size,
            twice,
            f"all {size} images fit{_twice(twice)}: {_gib(needed(size, twice))} of {_gib(free)} free",
        )
    reason = f"all {batch_size} images at once would need {_gib(needed(batch_size, False))}, {_gib(free)} are free"
    return make_plan(size, twice, f"{reason}: {size} at once{_twice(twice)}")


def _largest(batch_size: int, room: float, needed) -> int:
    """The most images that fit and divide the batch; where no such number is near, a number for nearly equal parts; or 0."""
    if needed(batch_size) <= room:
        return batch_size
    most = bisect.bisect_right(range(1, batch_size), room, key=needed)
    divisor = max((images for images in range(1, most + 1) if batch_size % images == 0), default=0)
    return (
        divisor
        if 2 * divisor > most or not most
        else math.ceil(batch_size / math.ceil(batch_size / most))
    )


def _matrices(model: nn.Module) -> list[nn.Linear]:
    """The linear layers that Muon takes (optimizers.py)."""
    return [
        m for m in getattr(model, "encoder", nn.Identity()).modules() if isinstance(m, nn.Linear)
    ]


def _twice(twice: bool) -> str:
    return ", activations computed twice" if twice else ""


def _gib(bytes_: float) -> str:
    return f"{bytes_ / 2**30:.2f} GiB" if bytes_ >= 2**30 else f"{bytes_ / 2**20:.0f} MiB"
