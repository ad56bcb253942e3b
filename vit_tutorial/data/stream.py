"""Images that stay in their files: the same interface as a Split, read by worker processes a few batches ahead."""

import dataclasses
from collections.abc import Iterable, Iterator

import torch
from tqdm import tqdm

from .dataset import statistics_of_counts, value_counts
from .file_loader import PackedPaths, make_loader

SAMPLE = 10_000  # training images that a stream's mean and deviation are taken from


@dataclasses.dataclass(frozen=True, eq=False)
class FileSplit:
    """Images that belong together, read from their files when asked for. `batches` and `in_order` give what a Split's would.

    names: all files; index: (n,), int64, which of them are here. labels: (n,), int64, always on the CPU, since the files are
    asked for from there. size: (H, W) that images are cut and resized to (`folder.read_image`). device: where batches go.
    workers: processes that read; 0 reads in this one; None takes one for each core that this process may use, on a CPU half.
        They start afresh, so a script that reads with them does its work under `if __name__ == "__main__":`, as on Windows.
    No random number is drawn, here or in a worker: an index list gives its images, in its order, however it is read.
    Raises ValueError, with the shapes, when index and labels do not fit each other.
    """

    names: PackedPaths
    index: torch.Tensor
    labels: torch.Tensor
    size: tuple[int, int]
    device: torch.device = torch.device("cpu")
    workers: int | None = None
    # loaders whose workers wait for the next pass
    _idle: list = dataclasses.field(default_factory=list, init=False, repr=False)

    def __post_init__(self):
        n = len(self.index)
        if (
            self.labels.shape != (n,)
            or self.labels.dtype != torch.int64
            or self.labels.device.type != "cpu"
        ):
            raise ValueError(
                f"{n} files need labels ({n},), int64, on the CPU; got {tuple(self.labels.shape)}, {self.labels.dtype}, "
                f"{self.labels.device}"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of each image."""
        return (3, *self.size)

    @property
    def images(self) -> torch.Tensor:
        raise AttributeError(
            f"these {len(self)} images stay in their files: read them with in_order(batch_size) or batches(indices), "
            "or load the folder with stream=False if they fit into memory"
        )

    @property
    def masks(self) -> None:
        return None

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, picked) -> "FileSplit":
        """A FileSplit of the images that `picked` (a slice, or a tensor of indices or booleans) names. Nothing is read."""
        picked = picked.cpu() if isinstance(picked, torch.Tensor) else picked
        return dataclasses.replace(self, index=self.index[picked], labels=self.labels[picked])

    def to(self, device: torch.device | str) -> "FileSplit":
        """The same files, whose batches come to `device`."""
        device = torch.device(device)
        if device.type == "cuda" and device.index is None:
            device = torch.device(
                "cuda", torch.cuda.current_device()
            )  # as a tensor there would say
        return self if device == self.device else dataclasses.replace(self, device=device)

    def batches(
        self, picked: Iterable[torch.Tensor]
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """(images (B, C, H, W), uint8, labels (B,)) on `device` for each tensor of indices (B,) in `picked`, in its order.

        To go on in the middle of a pass, leave out the lists that are done: nothing of them is read. Indices on the CPU cost
        no waiting for a GPU. Raises OSError that names the file when one cannot be read.
        """
        # Several passes at once (a look at the training images during one) get a loader each; one after the other share it.
        loader = self._idle.pop() if self._idle else make_loader(self)
        loader.batch_sampler.picked = picked
        broken = None
        try:
            for got in loader:
                if isinstance(got, str):
                    broken = got
                    break
                yield tuple(part.to(self.device, non_blocking=True) for part in got)
        except GeneratorExit:  # the rest of the pass is not wanted
            self._idle.append(loader)
            raise
        self._idle.append(
            loader
        )  # after any other error its workers are not to be trusted: it ends
        if broken:
            raise OSError(
                f"{broken}. It looked whole when the folder was loaded. To go on with this run, put a good copy there and "
                "resume from the last checkpoint; without the file, remove it and begin anew, since other images get split"
            )

    def iter_batches(self, batch_size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """(images, labels) of all the split from first to last, `batch_size` at a time, the last one smaller."""
        return self.batches(torch.arange(len(self)).split(batch_size))


def sampled_statistics(
    split: FileSplit, seed: int, count: int = SAMPLE
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(mean, standard deviation) as `channel_statistics`, of `count` images that `seed` draws, of all when there are no more."""
    picked = (
        torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))[:count]
        .sort()
        .values
    )
    lists = picked.split(64)
    parts = tqdm(
        split.batches(lists),
        total=len(lists),
        desc="colours",
        unit=" batches",
        delay=2,
        leave=False,
    )
    return statistics_of_counts(sum(value_counts(images) for images, _ in parts))
