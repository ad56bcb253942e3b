"""Images as tensors: a Split of them, the three splits of a data set, and how validation images are set aside."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from .stream import FileSplit


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Images that belong together, on one device.

    images: (n, C, H, W), uint8, 0..255. labels: (n,), int64. masks: (n, H, W), bool, True on the object; None where nobody knows.
    Raises ValueError, with the shapes, when the three do not fit each other.
    """

    images: torch.Tensor
    labels: torch.Tensor
    masks: torch.Tensor | None = None

    def __post_init__(self):
        if self.images.ndim != 4 or self.images.dtype != torch.uint8:
            raise ValueError(
                f"images are (n, C, H, W), uint8, 0..255; got {tuple(self.images.shape)}, {self.images.dtype}"
            )
        n, _, H, W = self.images.shape
        if self.labels.shape != (n,) or self.labels.dtype != torch.int64:
            raise ValueError(
                f"{n} images need labels ({n},), int64; got {tuple(self.labels.shape)}, {self.labels.dtype}"
            )
        if self.masks is not None and (
            self.masks.shape != (n, H, W) or self.masks.dtype != torch.bool
        ):
            raise ValueError(
                f"{n} images of {H}x{W} need masks ({n}, {H}, {W}), bool; got {tuple(self.masks.shape)}, {self.masks.dtype}"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of each image."""
        return tuple(self.images.shape[1:])

    @property
    def device(self) -> torch.device:
        return self.images.device

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, picked) -> "Split":
        """A Split of the images that `picked` (a slice, or a tensor of indices or booleans) names."""
        return Split(
            self.images[picked],
            self.labels[picked],
            None if self.masks is None else self.masks[picked],
        )

    def batches(
        self, picked: Iterable[torch.Tensor]
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """(images (B, C, H, W), labels (B,)) for each tensor of indices (B,) in `picked`, in its order, on the split's device.

        Indices on the same device are used as they are. The training loop reads through this: a `FileSplit` does the same.
        """
        for indices in picked:
            indices = indices.to(self.labels.device)
            yield self.images[indices], self.labels[indices]

    def iter_batches(self, batch_size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """(images, labels) of all the split from first to last, `batch_size` at a time, the last one smaller. No copies."""
        return zip(self.images.split(batch_size), self.labels.split(batch_size))

    def to(self, device: torch.device | str) -> "Split":
        """The same images on `device`."""
        return Split(
            self.images.to(device),
            self.labels.to(device),
            None if self.masks is None else self.masks.to(device),
        )


@dataclasses.dataclass(frozen=True, eq=False)
class ImageData:
    """A data set: three splits on one device, each a Split or a FileSplit, and what it takes to read them.

    mean, std: one number a channel, of the training images scaled to 0..1 (`channel_statistics`); used by `normalise`.
    provenance: one line for tables and checkpoints: where the images come from and how they were split.
    Raises ValueError when the splits differ in image shape or device, are empty, or hold labels that have no class name.
    """

    name: str
    class_names: tuple[str, ...]
    train: "Split | FileSplit"
    validation: "Split | FileSplit"
    test: "Split | FileSplit"
    mean: tuple[float, ...]
    std: tuple[float, ...]
    provenance: str
    # mean and std as tensors, by device: made once, so that a training step on a GPU does not wait for a copy
    _scales: dict = dataclasses.field(default_factory=dict, init=False, repr=False)

    def __post_init__(self):
        for name in ("train", "validation", "test"):
            split = getattr(self, name)
            if len(split) == 0:
                raise ValueError(
                    f"{self.name}: 0 images in {name}; each of train, validation and test needs some"
                )
            if split.shape != self.train.shape or split.device != self.device:
                raise ValueError(
                    f"{self.name}: {name} holds {split.shape} on {split.device}, "
                    f"train {self.train.shape} on {self.device}: all splits share one (C, H, W) and one device"
                )
            low, high = split.labels.min().item(), split.labels.max().item()
            if low < 0 or high >= self.num_classes:
                raise ValueError(
                    f"{self.name}: labels {low}..{high} in {name}, but {self.num_classes} class names: they go from 0 up"
                )
        if len(self.mean) != self.channels or len(self.std) != self.channels or min(self.std) <= 0:
            raise ValueError(
                f"{self.name}: {self.channels} channels need that many means and deviations above 0; got {self.mean}, {self.std}"
            )

    @property
    def image_size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.train.shape[1:]

    @property
    def channels(self) -> int:
        return self.train.shape[0]

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def device(self) -> torch.device:
        return self.train.device

    def to(self, device: torch.device | str) -> "ImageData":
        """The same data on `device`."""
        moved = {name: getattr(self, name).to(device) for name in ("train", "validation", "test")}
        return dataclasses.replace(self, **moved)

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """Images (..., C, H, W), uint8 -> float32, (x / 255 - mean) / std for each channel, on the images' own device."""
        if images.dtype != torch.uint8:
            raise ValueError(
                f"normalise takes uint8 images, 0..255; got {images.dtype}. Are they normalised already?"
            )
        mean, std = self._scale(images.device)
        return (images.float() - mean) / std

    def denormalise(self, images: torch.Tensor) -> torch.Tensor:
        """The way back: normalised images (..., C, H, W), float -> uint8, rounded and held to 0..255."""
        mean, std = self._scale(images.device)
        return (images.float() * std + mean).round().clamp(0, 255).to(torch.uint8)

    def _scale(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """mean and std in units of 0..255, (C, 1, 1)."""
        if device not in self._scales:
            self._scales[device] = tuple(
                255 * torch.tensor(v, device=device).view(-1, 1, 1) for v in (self.mean, self.std)
            )
        return self._scales[device]


def channel_statistics(images: torch.Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(mean, standard deviation) of each channel of images (n, C, H, W), uint8, in units of 0..1, over all their pixels.

    From the counts of the 256 values, so exact up to the last division. A channel that never changes gets a deviation of 1, so
    that it can be divided by.
    """
    return statistics_of_counts(value_counts(images))


def value_counts(images: torch.Tensor) -> torch.Tensor:
    """How often each of the 256 values occurs in each channel of images (n, C, H, W), uint8: (C, 256), float64."""
    return torch.stack(
        [torch.bincount(channel.flatten(), minlength=256) for channel in images.unbind(1)]
    ).double()


def statistics_of_counts(counts: torch.Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(mean, standard deviation) of each channel, as `channel_statistics`, from `value_counts` (C, 256)."""
    share = counts / counts.sum(1, keepdim=True)
    value = torch.arange(256, device=counts.device) / 255
    mean = (share * value).sum(1)
    std = (share * (value - mean[:, None]).square()).sum(1).sqrt()
    return tuple(mean.tolist()), tuple(torch.where(std > 1e-6, std, 1.0).tolist())


def stratified(
    labels: torch.Tensor, fraction: float, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices (kept, set aside), each in rising order: of every class `fraction` is set aside, rounded, at least one image.

    The same labels (n,), fraction and seed give the same indices. Raises ValueError for a fraction that is not between 0 and 1,
    or when a class has too few images to leave one on each side.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"the share to set aside is {fraction}: it must be above 0 and below 1")
    labels = labels.cpu()
    counts = torch.bincount(labels)
    aside = (counts * fraction).round().long().clamp(min=1)
    if ((counts > 0) & (aside >= counts)).any():
        poor = ((counts > 0) & (aside >= counts)).nonzero().flatten().tolist()
        raise ValueError(
            f"class {poor[0]} has {counts[poor[0]]} images: setting {fraction:.0%} aside leaves none on one side. Add images"
        )
    shuffled = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    by_class = shuffled[
        labels[shuffled].argsort(stable=True)
    ]  # class after class, in random order inside each
    rank = (
        torch.arange(len(labels)) - (counts.cumsum(0) - counts)[labels[by_class]]
    )  # 0, 1, 2, ... inside each class
    chosen = rank < aside[labels[by_class]]
    return by_class[~chosen].sort().values, by_class[chosen].sort().values


def split_validation(
    images: torch.Tensor, labels: torch.Tensor, fraction: float, seed: int
) -> tuple[Split, Split]:
    """(train, validation): `fraction` of each class becomes validation images, drawn by `seed`. Raises as `stratified` does."""
    whole = Split(images, labels)
    kept, aside = stratified(labels, fraction, seed)
    return whole[kept.to(images.device)], whole[aside.to(images.device)]
