"""What autograd keeps of a forward pass for the backward pass, counted in bytes on a few images."""

import dataclasses

import torch
import torch.nn.functional as F
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef

from .precision import Precision


@dataclasses.dataclass(frozen=True)
class Activations:
    """Bytes that autograd keeps until the backward pass."""

    fixed: float  # however many images there are
    each: float  # for each image
    largest: float  # of `each`, the largest tensor

    def bytes_for(self, images: int) -> float:
        """Bytes at the peak of a step: what is kept, and two gradients of the largest tensor."""
        return self.fixed + images * (self.each + 2 * self.largest)


def activation_bytes(
    model: nn.Module, image_shape: tuple[int, int, int], precision: Precision, checkpointing=False
) -> Activations:
    """What autograd keeps for the backward pass of `model` on images (C, H, W).

    Measured on two and on four images, on the model's device. Each storage that autograd saves is
    counted once, without parameters and buffers. None is kept while counting, so this takes no more
    memory than a forward pass without gradients. The model's weights, buffers and mode and the
    random state are unchanged afterwards. checkpointing: with activation checkpointing
    (`model.encoder.checkpoint_activations`), which keeps the input of each block, and the
    activations inside one block at a time.
    """
    whole = _measure(model, image_shape, precision, False)
    if not checkpointing:
        return whole
    # The inside of a block is (whole - inputs) / depth: it comes and goes block by block.
    inputs, depth = _measure(model, image_shape, precision, True), len(model.encoder.blocks)
    with_one_block = lambda kept, all_kept: kept + (all_kept - kept) / depth
    fixed = with_one_block(inputs.fixed, whole.fixed)
    return Activations(fixed, with_one_block(inputs.each, whole.each), whole.largest)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: a GPU's, or the CPU's (which torch reports as a RuntimeError)."""
    phrases = ("DefaultCPUAllocator", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    by_message = isinstance(error, RuntimeError) and any(p in str(error) for p in phrases)
    return known or by_message


def _measure(model: nn.Module, image_shape, precision: Precision, checkpointing) -> Activations:
    """What is fixed and what each image adds, from two and four images; or from one if need be."""
    saved = lambda images: _saved(model, images, image_shape, precision, checkpointing)
    try:
        (two, _), (four, largest) = saved(2), saved(4)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        one, largest = saved(1)
        return Activations(0, one, largest)
    each = (four - two) / 2
    return Activations(max(0, two - 2 * each), each, largest / 4)


def _saved(
    model: nn.Module, images: int, image_shape, precision: Precision, checkpointing: bool
) -> tuple[int, int]:
    """Bytes of all storages that autograd saves for `images` images, and of the largest one."""
    device = next(model.parameters()).device
    # Copies of the buffers, so that a BatchNorm does not count these images.
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    own = {t.untyped_storage()._cdata for t in [*model.parameters(), *buffers.values()]}
    found = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            # A weak reference frees the memory but keeps the address from being used again, so that
            # no storage is taken for another.
            found[storage._cdata] = (storage.nbytes(), StorageWeakRef(storage))

    modes = [(module, module.training) for module in model.modules()]
    before = getattr(getattr(model, "encoder", None), "checkpoint_activations", None)
    try:
        model.train()
        if before is not None:
            model.encoder.checkpoint_activations = checkpointing
        with (
            torch.random.fork_rng([device] if device.type == "cuda" else []),
            torch.enable_grad(),
            precision.autocast(),
            torch.autograd.graph.saved_tensors_hooks(pack, lambda nothing: None),
        ):
            batch = torch.zeros(images, *image_shape, device=device)
            own.add(batch.untyped_storage()._cdata)
            logits = torch.func.functional_call(model, buffers, (batch,))
            labels = torch.zeros(images, dtype=torch.long, device=device)
            F.cross_entropy(logits, labels, label_smoothing=0.1)
    finally:
        for module, training in modes:
            module.training = training
        if before is not None:
            model.encoder.checkpoint_activations = before
    sizes = [size for size, _ in found.values()]
    return sum(sizes), max(sizes, default=0)
