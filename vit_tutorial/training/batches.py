"""What one step is given: this process's share of a batch, augmented and normalised."""

import torch

from ..data import MADE, ImageData, augment
from .settings import TrainSettings


class Batches:
    """Endless batches: every epoch in a new seeded order, without its incomplete last batch.

    `next` gives images (b, C, H, W), float32, normalised, and labels (b,), int64, or with CutMix
    class shares (b, num_classes). A batch has settings.batch_size images over all `count`
    processes; process `rank` gets rows rank * b to (rank + 1) * b of it, b = batch_size / count.
    All processes draw the same random numbers, for the whole batch, so that together they see what
    one process would.
    Raises ValueError when the processes cannot share a batch evenly.
    """

    def __init__(self, data: ImageData, settings: TrainSettings, rank: int = 0, count: int = 1):
        if settings.batch_size % count:
            raise ValueError(
                f"a batch of {settings.batch_size} images cannot be shared evenly by {count} "
                f"processes: give a batch size that is a multiple of {count}"
            )
        self.data, self.settings = data, settings
        self.size = settings.batch_size // count
        self.first = rank * self.size
        self.share = None if count == 1 else (self.first, settings.batch_size)
        self.steps_per_epoch = len(data.train) // settings.batch_size
        self.shifting = settings.augment == "flip_shift" or (
            settings.augment == "auto" and data.name not in MADE
        )
        # The order is drawn on the CPU once an epoch, the augmentation on the device.
        self._order = torch.Generator().manual_seed(settings.seed)
        self._draw = torch.Generator(data.device).manual_seed(settings.seed)
        self._begin_epoch()

    def __next__(self) -> tuple[torch.Tensor, torch.Tensor]:
        if self.position == self.steps_per_epoch:
            self._begin_epoch()
        images, labels = next(self._source)
        self.position += 1
        s, drawn = self.settings, dict(generator=self._draw, shard=self.share)
        if self.shifting:
            images = augment.flip_and_shift(images, shift=s.shift, **drawn)
        if s.rand_augment_ops:
            images = augment.rand_augment(
                images, operations=s.rand_augment_ops, magnitude=s.rand_augment_magnitude, **drawn
            )
        if s.cutmix:
            images, labels = augment.cutmix(
                images, labels, self.data.num_classes, probability=s.cutmix, **drawn
            )
        return self.data.normalise(images), labels

    def state(self) -> dict:
        """For a checkpoint: the position in the epoch, and the random numbers to come."""
        draw = self._draw.get_state()
        return {"order": self._order_before, "draw": draw, "position": self.position}

    def restore(self, state: dict) -> None:
        """Continue where `state` was taken: in the middle of an epoch, used images are skipped."""
        self._order.set_state(state["order"])
        self._begin_epoch(state["position"])
        self._draw.set_state(state["draw"])

    def _begin_epoch(self, position: int = 0) -> None:
        self._order_before = self._order.get_state()  # enough to draw this epoch's order again
        self.position = position
        size, labels = self.settings.batch_size, self.data.train.labels
        order = torch.randperm(len(labels), generator=self._order).to(labels.device)
        whole = order[: self.steps_per_epoch * size].split(size)[position:]
        self._source = self.data.train.batches(
            [batch[self.first : self.first + self.size] for batch in whole]
        )
