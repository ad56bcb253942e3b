"""What autograd keeps of a forward pass for the backward pass, counted in bytes on a few images."""

import dataclasses

import torch
import torch.nn.functional as F
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef

from .precision import Precision


@dataclasses.dataclass(frozen=True)
class Activations:
    """Bytes kept for the backward pass: `fixed`, and for each image `each`; `largest`: the largest tensor of them, an image."""

    fixed: float
    each: float
    largest: float

    def bytes_for(self, images: int) -> float:
        """Bytes at the peak of a step with `images` images: all that is kept, and two gradients of the largest."""
        return self.fixed + images * (self.each + 2 * self.largest)


def activation_bytes(
    model: nn.Module, image_shape: tuple[int, int, int], precision: Precision, checkpoint=False
) -> Activations:
    """What autograd keeps for the backward pass of `model` on images (C, H, W), measured on two and on four of them.

    Counted are the storages that autograd saves, each once, without parameters and buffers; none is held while counting, so
    that this takes no more memory than a forward pass without gradients. Works on the model's device; the model's weights,
    buffers and mode, and the random state, are afterwards what they were. checkpoint: with activations computed twice
    (`model.encoder.checkpoint_activations`): then what enters each block is kept, and the inside of one block at a time.
    """
    whole = _measure(model, image_shape, precision, False)
    if not checkpoint:
        return whole
    kept, depth = _measure(model, image_shape, precision, True), len(model.encoder.blocks)
    inside = lambda name: getattr(kept, name) + (getattr(whole, name) - getattr(kept, name)) / depth
    return Activations(inside("fixed"), inside("each"), whole.largest)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory ran out: a GPU's, or the CPU's (which torch reports as a plain RuntimeError)."""
    said = ("DefaultCPUAllocator", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return known or (isinstance(error, RuntimeError) and any(words in str(error) for words in said))


def _measure(model: nn.Module, image_shape, precision: Precision, checkpoint: bool) -> Activations:
    try:
        (two, _), (four, largest) = (
            _saved(model, images, image_shape, precision, checkpoint) for images in (2, 4)
        )
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        one, largest = _saved(model, 1, image_shape, precision, checkpoint)
        return Activations(0, one, largest)
    each = (four - two) / 2
    return Activations(max(0, two - 2 * each), each, largest / 4)


def _saved(
    model: nn.Module, images: int, image_shape, precision: Precision, checkpoint: bool
) -> tuple[int, int]:
    """Bytes of all storages that autograd saves for `images` images, and of the largest one."""
    device = next(model.parameters()).device
    buffers = {
        name: buffer.clone() for name, buffer in model.named_buffers()
    }  # a BatchNorm counts on copies
    own = {t.untyped_storage()._cdata for t in [*model.parameters(), *buffers.values()]}
    found = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if (
            storage._cdata not in own
        ):  # a weak reference frees the memory and keeps the address: no storage is taken for another
            found[storage._cdata] = (storage.nbytes(), StorageWeakRef(storage))

    modes = [(module, module.training) for module in model.modules()]
    before = getattr(getattr(model, "encoder", None), "checkpoint_activations", None)
    try:
        model.train()
        if before is not None:
            model.encoder.checkpoint_activations = checkpoint
        with (
            torch.random.fork_rng([device] if device.type == "cuda" else []),
            torch.enable_grad(),
            precision.autocast(),
        ):
            with torch.autograd.graph.saved_tensors_hooks(pack, lambda nothing: None):
                batch = torch.zeros(images, *image_shape, device=device)
                own.add(batch.untyped_storage()._cdata)
                logits = torch.func.functional_call(model, buffers, (batch,))
                F.cross_entropy(
                    logits,
                    torch.zeros(images, dtype=torch.long, device=device),
                    label_smoothing=0.1,
                )
    finally:
        for module, training in modes:
            module.training = training
        if before is not None:
            model.encoder.checkpoint_activations = before
    sizes = [size for size, _ in found.values()]
    return sum(sizes), max(sizes, default=0)
