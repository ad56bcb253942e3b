"""What a training run is told: how long, how fast, in which precision. Checked when it is made."""

import dataclasses
import math

from ..common.validation import require_choice, require_int
from .runtime.precision import PRECISIONS
from .schedule import SCHEDULES

DECAYS = ("matrices", "all")
AUGMENTS = ("auto", "none", "flip_shift")
OPTIMIZERS = ("adamw", "muon")


@dataclasses.dataclass(frozen=True)
class TrainSettings:
    """How `train` runs. Give `minutes` or `passes`, one of the two; a ValueError says which number does not work.

    minutes: a budget by the clock, evaluations on the validation images included; the schedule reaches zero when it is spent.
    epochs: epochs; fractions are fine. batch_size: images a step, over all processes. warmup: the share of the run
        spent warming up.
    lr: the peak, of AdamW and of Muon alike (Muon's update is scaled to AdamW's usual size, Liu et al. 2025).
    optimizer: "adamw", or "muon" for the matrices inside the encoder blocks and AdamW for the rest (Jordan et al. 2024).
    weight_decay: how much; decay says on what: "matrices", the weights of linear layers and convolutions only (not biases, norms,
        class token, positions), or "all", as AdamW(model.parameters()) does.
    augment: "flip_shift" flips and shifts by up to `shift` pixels; "auto" does, except on `shapes`: it would break the pairs.
    rand_augment_ops: operations of RandAugment an image, 0 for none, of strength `magnitude`, 0..10.
    cutmix: the probability of CutMix.
    ema_decay: decay of an exponential moving average of the weights, which is then what is evaluated and kept; 0 for none.
    micro_batch: images at once in one process; the rest of the batch follows before the optimiser steps. checkpoint_activations:
        compute activations twice and keep fewer. None for either: what the free memory asks for, see `memory.plan`.
    compile: torch.compile, which costs a wait at the start (benchmarks/step.py --compile measures that and what it brings).
        "auto" tries it in a run that lasts ten times as long as the wait, and keeps it if steps are faster. Such a run depends
        on the clock: with it, and only with it, going on after a stop need not give the same bits.
    precision: see `choose_precision`. evaluations: looks at the validation images, evenly spread, the last at the end.
    """

    minutes: float | None = None
    epochs: float | None = None
    batch_size: int = 128
    lr: float = 1e-3
    warmup: float = 0.1
    schedule: str = "cosine"
    optimizer: str = "adamw"
    weight_decay: float = 0.05
    decay: str = "matrices"
    label_smoothing: float = 0.0
    augment: str = "auto"
    shift: int = 2
    rand_augment_ops: int = 0
    rand_augment_magnitude: float = 9
    cutmix: float = 0.0
    ema_decay: float = 0.0
    micro_batch: int | None = None
    checkpoint_activations: bool | None = None
    compile: bool | str = False
    precision: str = "auto"
    seed: int = 0
    num_evaluations: int = 10

    def __post_init__(self):
        if (self.minutes is None) == (self.epochs is None):
            raise ValueError(
                f"minutes is {self.minutes}, passes is {self.epochs}: give one of the two, and only one"
            )
        for name in ("minutes", "epochs", "lr"):
            value = getattr(self, name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{name} is {value}: it must be a number above 0")
        for name, top in (
            ("warmup", 1),
            ("label_smoothing", 1),
            ("ema_decay", 1),
            ("weight_decay", math.inf),
        ):
            if not 0 <= getattr(self, name) < top:
                raise ValueError(
                    f"{name} is {getattr(self, name)}: it must be at least 0 and below {top}"
                )
        for name, top in (("cutmix", 1), ("rand_augment_magnitude", 10)):
            if not 0 <= getattr(self, name) <= top:
                raise ValueError(f"{name} is {getattr(self, name)}: it goes from 0 to {top}")
        require_int("batch_size", self.batch_size)
        require_int("shift", self.shift, minimum=0)
        require_int("rand_augment_ops", self.rand_augment_ops, minimum=0)
        require_int("seed", self.seed, minimum=0)
        require_int("num_evaluations", self.num_evaluations)
        if self.micro_batch is not None:
            require_int("micro_batch", self.micro_batch)
        if not isinstance(self.compile, bool) and self.compile != "auto":
            raise ValueError(f"compile is {self.compile!r}: it is True, False or 'auto'")
        require_choice("optimizer", self.optimizer, OPTIMIZERS)
        require_choice("schedule", self.schedule, SCHEDULES)
        require_choice("decay", self.decay, DECAYS)
        require_choice("augment", self.augment, AUGMENTS)
        require_choice("precision", self.precision, PRECISIONS)
