"""What one step is given: this process's share of a batch, augmented and normalised, and where in the data the run stands."""

import torch

from ..data import ImageData, augment
from .settings import TrainSettings


class Batches:
    """Batches for ever: every pass in a new seeded order, the incomplete last batch left for next time.

    `next` gives (images (b, C, H, W), float32, normalised; labels (b,), int64, or with CutMix shares (b, num_classes)).
    A batch is settings.batch_size images over all `count` processes; process `rank` gets rows rank * b to (rank + 1) * b of it,
    b = batch_size / count. All draw the same random numbers, for the whole batch, so that together they do what one would.
    Raises ValueError when the processes cannot share a batch evenly.
    """

    def __init__(self, data: ImageData, settings: TrainSettings, rank: int = 0, count: int = 1):
        if settings.batch_size % count:
            raise ValueError(
                f"a batch of {settings.batch_size} images cannot be shared evenly by {count} processes: take a multiple"
            )
        self.data, self.settings = data, settings
        self.size = settings.batch_size // count
        self.first = rank * self.size
        self.share = None if count == 1 else (self.first, settings.batch_size)
        self.steps_per_epoch = len(data.train) // settings.batch_size
        self.shifting = settings.augment == "flip_shift" or (
            settings.augment == "auto" and data.name != "shapes"
        )
        self._order = torch.Generator().manual_seed(settings.seed)
        self._draw = torch.Generator(data.device).manual_seed(settings.seed)
        self._begin_pass()

    def __next__(self) -> tuple[torch.Tensor, torch.Tensor]:
        if self.position == self.steps_per_epoch:
            self._begin_pass()
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
        """Where the run stands in the data, and the random numbers to come."""
        return {
            "order": self._before_pass,
            "draw": self._draw.get_state(),
            "position": self.position,
        }

    def restore(self, state: dict) -> None:
        """Go on where `state` was taken: in the middle of a pass the images already seen are left out."""
        self._order.set_state(state["order"])
        self._begin_pass(state["position"])
        self._draw.set_state(state["draw"])

    def _begin_pass(self, position: int = 0) -> None:
        self._before_pass = self._order.get_state()
        self.position = position
        size, labels = self.settings.batch_size, self.data.train.labels
        order = torch.randperm(len(labels), generator=self._order).to(labels.device)
        whole = order[: self.steps_per_epoch * size].split(size)[position:]
        self._source = self.data.train.batches(
            [batch[self.first : self.first + self.size] for batch in whole]
        )
