"""Images that stay in their files: the same interface as a Split, read by worker processes a few batches ahead."""

import dataclasses
import os
import signal
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from .folder import UNREADABLE, read_image
from .images import statistics_of_counts, value_counts

SAMPLE = 10_000  # training images that a stream's mean and deviation are taken from
ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}  # what a whole file has among its last bytes


class Names:
    """File names in two tensors. A list of a million strings would be copied into each worker process, tensors are shared."""

    def __init__(self, names: Iterable[str | Path]):
        encoded = [os.fsencode(name) for name in names]
        self.text = torch.from_numpy(np.frombuffer(b"".join(encoded), dtype=np.uint8).copy())
        self.ends = torch.tensor([0, *map(len, encoded)]).cumsum(0)

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, row: int) -> str:
        return os.fsdecode(self.text[self.ends[row] : self.ends[row + 1]].numpy().tobytes())


@dataclasses.dataclass(frozen=True, eq=False)
class FileSplit:
    """Images that belong together, read from their files when asked for. `batches` and `in_order` give what a Split's would.

    names: all files; index: (n,), int64, which of them are here. labels: (n,), int64, always on the CPU, since the files are
    asked for from there. size: (H, W) that images are cut and resized to (`folder.read_image`). device: where batches go.
    workers: processes that read; 0 reads in this one; None takes one for each core that this process may use, on a CPU half.
    No random number is drawn, here or in a worker: an index list gives its images, in its order, however it is read.
    Raises ValueError, with the shapes, when index and labels do not fit each other.
    """

    names: Names
    index: torch.Tensor
    labels: torch.Tensor
    size: tuple[int, int]
    device: torch.device = torch.device("cpu")
    workers: int | None = None
    # loaders whose workers wait for the next pass
    _idle: list = dataclasses.field(default_factory=list, init=False, repr=False)

    def __post_init__(self):
        n = len(self.index)
        if self.labels.shape != (n,) or self.labels.dtype != torch.int64 or self.labels.device.type != "cpu":
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
            device = torch.device("cuda", torch.cuda.current_device())  # as a tensor there would say
        return self if device == self.device else dataclasses.replace(self, device=device)

    def batches(self, picked: Iterable[torch.Tensor]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """(images (B, C, H, W), uint8, labels (B,)) on `device` for each tensor of indices (B,) in `picked`, in its order.

        To go on in the middle of a pass, leave out the lists that are done: nothing of them is read. Indices on the CPU cost
        no waiting for a GPU. Raises OSError that names the file when one cannot be read.
        """
        # Several passes at once (a look at the training images during one) get a loader each; one after the other share it.
        loader = self._idle.pop() if self._idle else self._loader()
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
        self._idle.append(loader)  # after any other error its workers are not to be trusted: it ends
        if broken:
            raise OSError(
                f"{broken}. It looked whole when the folder was loaded. To go on with this run, put a good copy there and "
                "resume from the last checkpoint; without the file, remove it and begin anew, since other images get split"
            )

    def in_order(self, batch_size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """(images, labels) of all the split from first to last, `batch_size` at a time, the last one smaller."""
        return self.batches(torch.arange(len(self)).split(batch_size))

    def _loader(self) -> DataLoader:
        workers = default_workers(self.device) if self.workers is None else self.workers
        return DataLoader(
            _Reader(self.names, self.index, self.labels, self.size),
            batch_sampler=_Lists(),
            num_workers=workers,
            collate_fn=_as_it_is,
            pin_memory=self.device.type == "cuda",
            persistent_workers=workers > 0,
            worker_init_fn=_leave_interrupts_to_the_main_process,
            # a generator of its own: by default a loader draws a seed from the global one, and dropout would change with it
            generator=torch.Generator(),
        )


class _Lists:
    """The index lists of one pass, in their order. A loader keeps this object, so its `picked` is exchanged between passes."""

    picked: Iterable[torch.Tensor] = ()

    def __iter__(self) -> Iterator[list[int]]:
        for indices in self.picked:
            yield indices.tolist()


class _Reader(Dataset):
    """What a worker process holds. `__getitems__` is what a DataLoader calls with a whole index list."""

    def __init__(self, names: Names, index: torch.Tensor, labels: torch.Tensor, size: tuple[int, int]):
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
            except Exception as error:  # whatever a decoder raises, the name of the file belongs to it
                return f"{name} cannot be read as an image ({type(error).__name__}: {error})"
        return torch.from_numpy(images), self.labels[indices]


def _as_it_is(batch):
    return batch


def _leave_interrupts_to_the_main_process(worker: int) -> None:
    """Ctrl-C reaches every process of a terminal; a worker that died of it would fail the evaluation that follows."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def default_workers(device: torch.device) -> int:
    """Processes that read for this one: its part of the cores it may run on, and half of that when it computes on them too."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    beside = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # training processes on this machine, as their launcher counts them
    return max(1, cores // beside // (2 if device.type == "cpu" else 1))


def unreadable(names: list[str], title: str) -> dict[int, Exception]:
    """Which of the files are no images that can be read, and why, by position. Reads headers and ends only, in threads.

    A JPEG or PNG whose end is missing is decoded to be sure. What is damaged in its middle is found when it is used.
    """
    bad = {}

    def check(first):
        for position in range(first, min(first + 100, len(names))):
            try:
                _check_header(names[position])
            except UNREADABLE as error:
                bad[position] = error
        return position + 1 - first

    with (
        ThreadPoolExecutor(min(32, 4 * (os.cpu_count() or 1))) as threads,
        tqdm(total=len(names), desc=f"checking {title}", unit=" files", delay=2, leave=False) as bar,
    ):
        for count in threads.map(check, range(0, len(names), 100)):
            bar.update(count)
    return bad


def _check_header(name: str) -> None:
    with open(name, "rb") as file, Image.open(file) as image:
        if image.mode == "F":
            raise ValueError("its pixels are 32-bit floats, which have no fixed range")
        end = ENDS.get(image.format, b"")
        file.seek(max(0, os.fstat(file.fileno()).st_size - 64))
        whole = end in file.read()
    if not whole:
        read_image(name, (1, 1))


def sampled_statistics(split: FileSplit, seed: int, count: int = SAMPLE) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(mean, standard deviation) as `channel_statistics`, of `count` images that `seed` draws, of all when there are no more."""
    picked = torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))[:count].sort().values
    lists = picked.split(64)
    parts = tqdm(split.batches(lists), total=len(lists), desc="colours", unit=" batches", delay=2, leave=False)
    return statistics_of_counts(sum(value_counts(images) for images, _ in parts))


def free_memory(device: torch.device) -> int | None:
    """Bytes that this process may still fill, the smaller of main memory and `device`'s; None where the system does not say.

    Processes that train together on one machine get equal parts of main memory.
    """
    free = []
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free += [1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
        free += [int(Path("/sys/fs/cgroup/memory.max").read_text())]  # "max" where a container has no limit
    except (OSError, ValueError):
        pass
    if not free and hasattr(os, "sysconf"):  # macOS: what there is, since what is free is not told
        free += [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    free = [size // int(os.environ.get("LOCAL_WORLD_SIZE", "1")) for size in free]
    if device.type == "cuda":
        free += [torch.cuda.mem_get_info(device)[0]]
    return min(free, default=None)
