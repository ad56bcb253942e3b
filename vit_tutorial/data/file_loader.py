"""Worker processes that read image files, one batch of indices at a time, a few batches ahead."""

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
    """File names in two tensors, which worker processes share.

    A list of a million strings would be copied into each of them.
    """

    def __init__(self, names: Iterable[str | Path]):
        encoded = [os.fsencode(name) for name in names]
        self.text = torch.from_numpy(np.frombuffer(b"".join(encoded), dtype=np.uint8).copy())
        self.ends = torch.tensor([0, *map(len, encoded)]).cumsum(0)

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, row: int) -> str:
        return os.fsdecode(self.text[self.ends[row] : self.ends[row + 1]].numpy().tobytes())


def make_loader(split) -> DataLoader:
    """A loader for the FileSplit `split`. Set its `batch_sampler.indices`, then iterate over it."""
    workers = default_workers(split.device) if split.workers is None else split.workers
    return DataLoader(
        _Reader(split.names, split.index, split.labels, split.size),
        batch_sampler=IndexBatches(),
        num_workers=workers,
        multiprocessing_context=_fresh_processes() if workers else None,
        collate_fn=identity,
        pin_memory=split.device.type == "cuda",
        persistent_workers=workers > 0,
        worker_init_fn=_leave_interrupts_to_the_main_process,
        # A generator of its own. By default a loader draws a seed from the global one, and dropout
        # would then depend on how images are read.
        generator=torch.Generator(),
    )


def _fresh_processes() -> multiprocessing.context.BaseContext:
    """How worker processes start: not as a copy (fork) of this process.

    Other threads of this process (autograd's, gloo's) hold locks. A copy has the locks but not the
    threads that would release them, so it waits forever: seen in two of two training runs over
    gloo, Python 3.11.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():  # Windows
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # torch is imported once, not by each worker
    return context


def default_workers(device: torch.device) -> int:
    """One worker for each core that this process may use; half as many if it trains on the CPU."""
    return max(1, cores() // (2 if device.type == "cpu" else 1))


class IndexBatches:
    """The batches of indices that a loader reads next.

    A loader keeps this object for as long as its workers live, so `indices` is set again before
    each iteration.
    """

    indices: Iterable[torch.Tensor] = ()

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self.indices:
            yield batch.tolist()


class _Reader(Dataset):
    """What a worker process holds. DataLoader calls `__getitems__` with one batch of indices."""

    def __init__(
        self, names: PackedPaths, index: torch.Tensor, labels: torch.Tensor, size: tuple[int, int]
    ):
        self.names, self.index, self.labels, self.size = names, index, labels, size

    def __len__(self) -> int:
        return len(self.index)

    def __getitems__(self, indices: list[int]) -> tuple[torch.Tensor, torch.Tensor] | str:
        """(images (B, C, H, W), labels (B,)), or a sentence that names a file that cannot be read.

        An exception would arrive in the main process as a different one, with a traceback as its
        text.
        """
        images = np.empty((len(indices), 3, *self.size), dtype=np.uint8)
        for row, i in enumerate(indices):
            name = self.names[self.index[i].item()]
            try:
                images[row] = read_image(name, self.size).transpose(2, 0, 1)
            except Exception as error:  # whatever a decoder raises, say which file it was
                return f"{name} cannot be read as an image ({type(error).__name__}: {error})"
        return torch.from_numpy(images), self.labels[indices]


def identity(batch):
    """A batch as the reader made it: there is nothing left to collate."""
    return batch


def _leave_interrupts_to_the_main_process(worker: int) -> None:
    """Ctrl-C reaches every process of a terminal. The main one finishes its step and evaluates, for
    which it needs its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
