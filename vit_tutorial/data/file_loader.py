"""Worker processes that read image files, an index list at a time, a few batches ahead."""

import multiprocessing
import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from ..common.machine import cores
from .decode import read_image


class PackedPaths:
    """File names in two tensors. A list of a million strings would be copied into each worker process, tensors are shared."""

    def __init__(self, names: Iterable[str | Path]):
        encoded = [os.fsencode(name) for name in names]
        self.text = torch.from_numpy(np.frombuffer(b"".join(encoded), dtype=np.uint8).copy())
        self.ends = torch.tensor([0, *map(len, encoded)]).cumsum(0)

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, row: int) -> str:
        return os.fsdecode(self.text[self.ends[row] : self.ends[row + 1]].numpy().tobytes())


def make_loader(split) -> DataLoader:
    """A loader for the FileSplit `split`, whose `batch_sampler.picked` takes the index lists of a pass."""
    workers = default_workers(split.device) if split.workers is None else split.workers
    return DataLoader(
        _Reader(split.names, split.index, split.labels, split.size),
        batch_sampler=IndexBatches(),
        num_workers=workers,
        multiprocessing_context=_start_afresh() if workers else None,
        collate_fn=identity,
        pin_memory=split.device.type == "cuda",
        persistent_workers=workers > 0,
        worker_init_fn=_leave_interrupts_to_the_main_process,
        # a generator of its own: by default a loader draws a seed from the global one, and dropout would change with it
        generator=torch.Generator(),
    )


def _start_afresh() -> multiprocessing.context.BaseContext:
    """How worker processes start: without a copy of this process, whose other threads (autograd's, gloo's) hold locks.

    A copy waits forever for a lock that no thread of its own will give back: seen in two of two trainings over gloo, Python 3.11.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():  # Windows
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # torch is imported once, not by each worker
    return context


def default_workers(device: torch.device) -> int:
    """Processes that read for this one: one for each core that it may use, and half as many when it computes on them too."""
    return max(1, cores() // (2 if device.type == "cpu" else 1))


class IndexBatches:
    """The index lists of one pass, in their order. A loader keeps this object, so its `picked` is exchanged between passes."""

    picked: Iterable[torch.Tensor] = ()

    def __iter__(self) -> Iterator[list[int]]:
        for indices in self.picked:
            yield indices.tolist()


class _Reader(Dataset):
    """What a worker process holds. `__getitems__` is what a DataLoader calls with a whole index list."""

    def __init__(
        self, names: PackedPaths, index: torch.Tensor, labels: torch.Tensor, size: tuple[int, int]
    ):
        self.names, self.index, self.labels, self.size = names, index, labels, size

    def __len__(self) -> int:
        return len(self.index)

    def __getitems__(self, indices: list[int]) -> tuple[torch.Tensor, torch.Tensor] | str:
        """(images (B, C, H, W), labels (B,)), or in words which file cannot be read: an exception would lose its form here."""
        images = np.empty((len(indices), 3, *self.size), dtype=np.uint8)
        for row, i in enumerate(indices):
            name = self.names[self.index[i].item()]
            try:
                images[row] = read_image(name, self.size).transpose(2, 0, 1)
            except (
                Exception
            ) as error:  # whatever a decoder raises, the name of the file belongs to it
                return f"{name} cannot be read as an image ({type(error).__name__}: {error})"
        return torch.from_numpy(images), self.labels[indices]


def identity(batch):
    return batch


def _leave_interrupts_to_the_main_process(worker: int) -> None:
    """Ctrl-C reaches every process of a terminal; a worker that died of it would fail the evaluation that follows."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
