"""Images as tensors: a Split of them, the three splits of a data set, the share for validation."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import torch

# Sources whose labels say where something lies: their images are not flipped or shifted.
MADE = ("shapes", "pairs")


class ImageSource(Protocol):
    """What training reads from: a Split in memory, or a FileSplit (stream.py) that reads files."""

    labels: torch.Tensor  # (n,), int64
    streamed: bool  # whether the images stay in their files

    @property
    def shape(self) -> tuple[int, int, int]: ...  # (C, H, W) of each image

    @property
    def device(self) -> torch.device: ...  # where batches come out

    def __len__(self) -> int: ...

    def __getitem__(self, indices) -> "ImageSource": ...

    def batches(
        self, indices: Iterable[torch.Tensor]
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]: ...

    def iter_batches(self, batch_size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]: ...

    def to(self, device: torch.device | str) -> "ImageSource": ...


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Images that belong together, in memory, on one device.

    images: (n, C, H, W), uint8, 0..255. labels: (n,), int64.
    masks: (n, H, W), bool, True on the object; None when the data set has no masks.
    Raises ValueError, with the shapes, when the three do not match.
    """

    images: torch.Tensor
    labels: torch.Tensor
    masks: torch.Tensor | None = None

    streamed = False

    def __post_init__(self):
        if self.images.ndim != 4 or self.images.dtype != torch.uint8:
            raise ValueError(
                f"images are (n, C, H, W), uint8, 0..255; got {tuple(self.images.shape)}, "
                f"{self.images.dtype}"
            )
        n, _, H, W = self.images.shape
        if self.labels.shape != (n,) or self.labels.dtype != torch.int64:
            raise ValueError(
                f"{n} images need labels ({n},), int64; got {tuple(self.labels.shape)}, "
                f"{self.labels.dtype}"
            )
        masks = self.masks
        if masks is not None and (masks.shape != (n, H, W) or masks.dtype != torch.bool):
            raise ValueError(
                f"{n} images of {H}x{W} need masks ({n}, {H}, {W}), bool; "
                f"got {tuple(masks.shape)}, {masks.dtype}"
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

    def __getitem__(self, indices) -> "Split":
        """The images that `indices` name: a slice, or a tensor of indices or booleans."""
        masks = None if self.masks is None else self.masks[indices]
        return Split(self.images[indices], self.labels[indices], masks)

    def batches(
        self, indices: Iterable[torch.Tensor]
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """(images (B, C, H, W), labels (B,)) for each tensor of indices (B,), on `device`.

        Batches come in the order given. Indices on the same device are used as they are.
        """
        for batch in indices:
            batch = batch.to(self.labels.device)
            yield self.images[batch], self.labels[batch]

    def iter_batches(self, batch_size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """(images, labels) from first to last, `batch_size` at a time, the last batch smaller.

        These are views: nothing is copied.
        """
        return zip(self.images.split(batch_size), self.labels.split(batch_size))

    def to(self, device: torch.device | str) -> "Split":
        """The same images on `device`."""
        masks = None if self.masks is None else self.masks.to(device)
        return Split(self.images.to(device), self.labels.to(device), masks)


@dataclasses.dataclass(frozen=True, eq=False)
class ImageData:
    """A data set: three splits on one device, and what is needed to feed them to a model.

    Raises ValueError when the splits differ in image shape or device, are empty, or hold labels
    that have no class name.
    """

    name: str
    class_names: tuple[str, ...]  # label i is class_names[i]
    train: ImageSource
    validation: ImageSource
    test: ImageSource
    mean: tuple[float, ...]  # one number per channel, of the training images scaled to 0..1
    std: tuple[float, ...]  # as mean; both are used by `normalise`
    provenance: str  # where the images come from and how they were split, in one line, for tables
    fingerprint: str = ""  # of a folder: a hash of its class names and files, in order
    # mean and std as tensors, by device. They are made once: making them in each step would make a
    # GPU wait for a copy.
    _scales: dict = dataclasses.field(default_factory=dict, init=False, repr=False)

    def __post_init__(self):
        for name in ("train", "validation", "test"):
            split = getattr(self, name)
            if len(split) == 0:
                raise ValueError(
                    f"{self.name}: 0 images in {name}; train, validation and test each need some"
                )
            if split.shape != self.train.shape or split.device != self.device:
                raise ValueError(
                    f"{self.name}: {name} holds {split.shape} on {split.device}, "
                    f"train {self.train.shape} on {self.device}: all splits share one (C, H, W) "
                    "and one device"
                )
            low, high = split.labels.min().item(), split.labels.max().item()
            if low < 0 or high >= self.num_classes:
                raise ValueError(
                    f"{self.name}: labels {low}..{high} in {name}, but {self.num_classes} class "
                    f"names: labels must be 0..{self.num_classes - 1}"
                )
        if len(self.mean) != self.channels or len(self.std) != self.channels or min(self.std) <= 0:
            raise ValueError(
                f"{self.name}: {self.channels} channels need that many means, and deviations above "
                f"0; got {self.mean}, {self.std}"
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

    def require_scores(self, logits: torch.Tensor) -> None:
        """Raise ValueError unless `logits` (B, K) has a column for each class."""
        if logits.shape[-1] != self.num_classes:
            raise ValueError(
                f"the model gives {logits.shape[-1]} scores for an image, {self.name} has "
                f"{self.num_classes} classes: give the model's own data"
            )

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """Images (..., C, H, W), uint8 -> float32, (x / 255 - mean) / std, on their own device."""
        if images.dtype != torch.uint8:
            raise ValueError(
                f"normalise takes uint8 images, 0..255; got {images.dtype}. Are they normalised "
                "already?"
            )
        mean, std = self._scale(images.device)
        return (images.float() - mean) / std

    def denormalise(self, images: torch.Tensor) -> torch.Tensor:
        """The inverse: normalised images (..., C, H, W) -> uint8, rounded and clamped to 0..255."""
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
    """(mean, standard deviation) of each channel of images (n, C, H, W), uint8, scaled to 0..1.

    They are computed from the counts of the 256 values, so they are exact up to the last division.
    A channel that never changes gets a deviation of 1, so that dividing by it is safe.
    """
    return statistics_of_counts(value_counts(images))


def value_counts(images: torch.Tensor) -> torch.Tensor:
    """How often each of the 256 values occurs in each channel: (C, 256), float64."""
    channels = [torch.bincount(channel.flatten(), minlength=256) for channel in images.unbind(1)]
    return torch.stack(channels).double()


def statistics_of_counts(counts: torch.Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """What `channel_statistics` gives, from `value_counts` (C, 256)."""
    share = counts / counts.sum(1, keepdim=True)
    value = torch.arange(256, device=counts.device) / 255
    mean = (share * value).sum(1)
    std = (share * (value - mean[:, None]).square()).sum(1).sqrt()
    return tuple(mean.tolist()), tuple(torch.where(std > 1e-6, std, 1.0).tolist())


def stratified(
    labels: torch.Tensor, fraction: float, seed: int, class_names: Sequence[str] = ()
) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices (kept, set aside), each in rising order: `fraction` of every class is set aside.

    The number is rounded, and is at least one image of each class. The same labels (n,), fraction
    and seed give the same indices. class_names: for the message. Raises ValueError for a fraction
    that is not between 0 and 1, or for a class with too few images to leave one on each side.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"the share to set aside is {fraction}: it must be above 0 and below 1")
    labels = labels.cpu()
    counts = torch.bincount(labels)
    aside = (counts * fraction).round().long().clamp(min=1)  # of each class
    poor = ((counts > 0) & (aside >= counts)).nonzero().flatten().tolist()
    if poor:
        label, count = poor[0], int(counts[poor[0]])
        name = repr(class_names[label]) if class_names else label
        raise ValueError(
            f"class {name} has {count} image{'s' if count > 1 else ''} left: setting "
            f"{fraction:.0%} aside, and at least one, leaves none to train on. Three images of a "
            "class are the least (training, validation, test); add some"
        )
    shuffled = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    # Class after class, in random order inside each; the first ones of each class are set aside.
    by_class = shuffled[labels[shuffled].argsort(stable=True)]
    first_of_class = (counts.cumsum(0) - counts)[labels[by_class]]
    rank = torch.arange(len(labels)) - first_of_class  # 0, 1, 2, ... inside each class
    chosen = rank < aside[labels[by_class]]
    return by_class[~chosen].sort().values, by_class[chosen].sort().values


def split_validation(
    images: torch.Tensor, labels: torch.Tensor, fraction: float, seed: int
) -> tuple[Split, Split]:
    """(train, validation): `seed` draws `fraction` of each class. Raises as `stratified` does."""
    train_pool = Split(images, labels)
    kept, aside = stratified(labels, fraction, seed)
    return train_pool[kept.to(images.device)], train_pool[aside.to(images.device)]
