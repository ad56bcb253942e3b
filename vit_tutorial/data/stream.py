"""Images that stay in their files: the interface of a Split, read a few batches ahead."""

import dataclasses
from collections.abc import Iterable, Iterator

import torch
from tqdm import tqdm

from .dataset import statistics_of_counts, value_counts
from .file_loader import PackedPaths, make_loader

SAMPLE = 10_000  # training images that a stream's mean and deviation are computed from


@dataclasses.dataclass(frozen=True, eq=False)
class FileSplit:
    """Images that belong together, read from their files by worker processes when they are needed.

    It gives the batches that a Split of the same images would. No random number is drawn, here or
    in a worker. Workers start as fresh processes, so a script that reads with them must do its work
    under `if __name__ == "__main__":`, as on Windows.
    Raises ValueError, with the shapes, when index and labels do not match.
    """

    names: PackedPaths  # all files of the folder
    index: torch.Tensor  # (n,), int64: which of them belong to this split
    labels: torch.Tensor  # (n,), int64, always on the CPU, where the files are read
    size: tuple[int, int]  # (H, W) that images are cut and resized to (`decode.read_image`)
    device: torch.device = torch.device("cpu")  # where batches go
    workers: int | None = None  # processes that read; 0: this one. None: `default_workers`
    # Loaders whose workers wait for the next call of `batches`.
    _idle: list = dataclasses.field(default_factory=list, init=False, repr=False)

    streamed = True

    def __post_init__(self):
        n, labels = len(self.index), self.labels
        fits = labels.shape == (n,) and labels.dtype == torch.int64
        if not fits or labels.device.type != "cpu":
            raise ValueError(
                f"{n} files need labels ({n},), int64, on the CPU; got {tuple(labels.shape)}, "
                f"{labels.dtype}, {labels.device}"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of each image."""
        return (3, *self.size)

    @property
    def images(self) -> torch.Tensor:
        raise AttributeError(
            f"these {len(self)} images stay in their files: read them with "
            "iter_batches(batch_size) or batches(indices), or load the folder with stream=False "
            "if they fit into memory"
        )

    @property
    def masks(self) -> None:
        return None

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, indices) -> "FileSplit":
        """The images that `indices` name (a slice, or a tensor of indices or booleans), unread."""
        indices = indices.cpu() if isinstance(indices, torch.Tensor) else indices
        return dataclasses.replace(self, index=self.index[indices], labels=self.labels[indices])

    def to(self, device: torch.device | str) -> "FileSplit":
        """The same files, whose batches come out on `device`."""
        device = torch.device(device)
        if device.type == "cuda" and device.index is None:  # name it as a tensor's device is named
            device = torch.device("cuda", torch.cuda.current_device())
        return self if device == self.device else dataclasses.replace(self, device=device)

    def batches(
        self, indices: Iterable[torch.Tensor]
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """(images (B, C, H, W), uint8, labels (B,)) for each tensor of indices (B,), on `device`.

        Batches come in the order given. To continue in the middle of an epoch, leave out the
        batches that are done: none of their files is read. Keep indices on the CPU: reading them
        from a GPU would wait for it. Raises OSError that names the file when one cannot be read.
        """
        # Two iterations at once (an evaluation on training images during an epoch) get a loader
        # each. Successive iterations share one, and its workers.
        loader = self._idle.pop() if self._idle else make_loader(self)
        loader.batch_sampler.indices = indices
        broken = None
        try:
            for batch in loader:
                if isinstance(batch, str):
                    broken = batch
                    break
                yield tuple(part.to(self.device, non_blocking=True) for part in batch)
        except GeneratorExit:  # the caller stops before the last batch
            self._idle.append(loader)
            raise
        # After any other error the loader is dropped and its workers end: they may be broken.
        self._idle.append(loader)
        if broken:
            raise OSError(
                f"{broken}. It looked whole when the folder was loaded. To continue this run, put "
                "a good copy there and resume from the last checkpoint. Without the file, remove "
                "it and start a new run, since the images will be split in another way"
            )

    def iter_batches(self, batch_size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """(images, labels) from first to last, `batch_size` at a time, the last batch smaller."""
        return self.batches(torch.arange(len(self)).split(batch_size))


def sampled_statistics(
    split: FileSplit, seed: int, count: int = SAMPLE
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """`channel_statistics` of `count` images that `seed` draws, or of all if there are fewer."""
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))
    batches = order[:count].sort().values.split(64)
    bar = tqdm(total=len(batches), desc="colours", unit=" batches", delay=2, leave=False)
    counts = 0
    with bar:
        for images, _ in split.batches(batches):
            counts = counts + value_counts(images)  # (3, 256)
            bar.update()
    return statistics_of_counts(counts)
