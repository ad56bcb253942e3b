"""What a training run is told: how long, how fast, in which precision. Checked when it is made."""

import dataclasses
import math

from ..errors import check_choice, check_whole
from .precision import PRECISIONS
from .schedule import SCHEDULES

DECAYS = ("matrices", "all")
AUGMENTS = ("auto", "none", "flip_shift")


@dataclasses.dataclass(frozen=True)
class TrainSettings:
    """How `train` runs. Give `minutes` or `passes`, one of the two; a ValueError says which number does not work.

    minutes: a budget by the clock, evaluations on the validation images included; the schedule reaches zero when it is spent.
    passes: epochs; fractions are fine. learning_rate: the peak, of AdamW. warmup: the share of the run spent warming up.
    weight_decay: how much; decay says on what: "matrices", the weights of linear layers and convolutions only (not biases, norms,
        class token, positions), or "all", as AdamW(model.parameters()) does.
    augment: "flip_shift" flips and shifts by up to `shift` pixels; "auto" does, except on `shapes`: it would break the pairs.
    precision: see `choose_precision`. evaluations: looks at the validation images, evenly spread, the last at the end.
    """

    minutes: float | None = None
    passes: float | None = None
    batch_size: int = 128
    learning_rate: float = 1e-3
    warmup: float = 0.1
    schedule: str = "cosine"
    weight_decay: float = 0.05
    decay: str = "matrices"
    label_smoothing: float = 0.0
    augment: str = "auto"
    shift: int = 2
    precision: str = "auto"
    seed: int = 0
    evaluations: int = 10

    def __post_init__(self):
        if (self.minutes is None) == (self.passes is None):
            raise ValueError(f"minutes is {self.minutes}, passes is {self.passes}: give one of the two, and only one")
        for name in ("minutes", "passes", "learning_rate"):
            value = getattr(self, name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{name} is {value}: it must be a number above 0")
        for name, top in (("warmup", 1), ("label_smoothing", 1), ("weight_decay", math.inf)):
            if not 0 <= getattr(self, name) < top:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be at least 0 and below {top}")
        check_whole("batch_size", self.batch_size)
        check_whole("shift", self.shift, least=0)
        check_whole("seed", self.seed, least=0)
        check_whole("evaluations", self.evaluations)
        check_choice("schedule", self.schedule, SCHEDULES)
        check_choice("decay", self.decay, DECAYS)
        check_choice("augment", self.augment, AUGMENTS)
        check_choice("precision", self.precision, PRECISIONS)
