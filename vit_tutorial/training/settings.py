"""What a training run is asked to do: how long, how fast, in which precision."""

import dataclasses
import math

from ..common.validation import require_choice, require_int, require_types
from .runtime.precision import PRECISIONS
from .runtime.resolutions import check_stages
from .schedule import SCHEDULES

DECAYS = ("matrices", "all")
AUGMENTS = ("auto", "none", "flip_shift")
OPTIMIZERS = ("adamw", "muon", "sgd")


@dataclasses.dataclass(frozen=True)
class TrainSettings:
    """How `train` runs: give `minutes` or `epochs`. A ValueError names a number that cannot work.

    The comments beside the fields are also the help of `python -m vit_tutorial train`. Muon takes
    the same lr and weight decay as AdamW: its update is scaled to AdamW's usual size (Liu et al.
    2025). A run with compile="auto" depends on the clock: after a resume, and only then, it may not
    give the same bits.
    """

    minutes: float | None = None  # how long to train, evaluations included
    epochs: float | None = None  # passes over the training images, instead of minutes; 0.5 is fine
    batch_size: int = 128  # images per step, over all processes
    lr: float = 1e-3  # peak of the learning rate, above 0
    warmup: float = 0.1  # share of the run in which the learning rate rises to its peak, 0 to 1
    schedule: str = "cosine"  # how it falls to zero, cosine or linear; or constant
    # adamw; muon for the encoder's matrices and adamw for the rest; or sgd, with momentum 0.9
    optimizer: str = "adamw"
    weight_decay: float = 0.05  # each step shrinks a weight by this times lr; 0 or more
    decay: str = "matrices"  # what decays: matrices (no biases, norms, tokens, positions), or all
    label_smoothing: float = 0.0  # share of the target that is spread over all classes, 0 to 1
    augment: str = "auto"  # flip_shift, none, or auto: flip_shift, but none on shapes and pairs
    shift: int = 2  # the most pixels by which flip_shift moves an image
    rand_augment_ops: int = 0  # RandAugment: operations per image, 0 for none
    rand_augment_magnitude: float = 9  # RandAugment: strength of an operation, 0 to 10
    # Smaller images at the start of a run, each as SHARE@PX, such as 0.3@12 0.4@16: that share of
    # it with images of that side. The rest, and every validation, has the model's own size.
    resolutions: tuple[tuple[float, int], ...] = ()
    cutmix: float = 0.0  # probability of CutMix for a batch, 0 to 1
    ema_decay: float = 0.0  # decay of a moving average of the weights, such as 0.999; 0 for none
    micro_batch: int | None = None  # images at once in one process; unless given, as many as fit
    checkpoint_activations: bool | None = None  # less memory, slower; unless given, where needed
    compile: bool | str = False  # torch.compile: yes, no, or auto (in long runs, if it is faster)
    precision: str = "auto"  # fp32, bf16, fp16, or auto: whichever is fast on the device
    seed: int = 0  # seed of the weights, the split, the batches and dropout
    num_evaluations: int = 10  # on the validation images, evenly spread, the last one at the end

    def __post_init__(self):
        if (self.minutes is None) == (self.epochs is None):
            raise ValueError(
                f"minutes is {self.minutes}, epochs is {self.epochs}: give one of the two, not both"
            )
        if not isinstance(self.compile, bool) and self.compile != "auto":
            raise ValueError(f"compile is {self.compile!r}: it is True, False or 'auto'")
        require_types(self)
        object.__setattr__(self, "resolutions", check_stages(self.resolutions))
        for name in ("minutes", "epochs", "lr"):
            if (value := getattr(self, name)) is not None and not 0 < value < math.inf:
                raise ValueError(f"{name} is {value}: it must be a number above 0")
        below = dict(warmup=1, label_smoothing=1, ema_decay=1, weight_decay=math.inf)
        for name, top in below.items():
            value = getattr(self, name)
            if not 0 <= value < top:
                raise ValueError(f"{name} is {value}: it must be at least 0 and below {top}")
        for name, top in dict(cutmix=1, rand_augment_magnitude=10).items():
            value = getattr(self, name)
            if not 0 <= value <= top:
                raise ValueError(f"{name} is {value}: it must lie between 0 and {top}")
        for name, least in dict(batch_size=1, num_evaluations=1, shift=0, seed=0).items():
            require_int(name, getattr(self, name), minimum=least)
        # Each operation takes time, and a few leave nothing of an image.
        require_int("rand_augment_ops", self.rand_augment_ops, minimum=0, maximum=100)
        if self.micro_batch is not None:
            require_int("micro_batch", self.micro_batch)
        choices = dict(schedule=SCHEDULES, optimizer=OPTIMIZERS, decay=DECAYS, augment=AUGMENTS)
        for name, allowed in (choices | dict(precision=PRECISIONS)).items():
            require_choice(name, getattr(self, name), allowed)
