"""Ready-made choices for a machine and a time: `--recipe cpu|t4|a100`. Each says what it costs and what it reached."""

import dataclasses

from ..common.validation import require_choice
from .settings import TrainSettings

# What data/results/recipe.csv says of every budget; what depends on the length of a run stands in each preset.
COMMON = dict(
    optimizer="muon", lr=3e-3, warmup=0.1, weight_decay=0.05, decay="matrices", augment="flip_shift"
)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A model by name, changes to its configuration, settings, and the minutes that they are meant for."""

    model: str
    minutes: float
    config: dict
    settings: dict

    def train_settings(self, **changes) -> TrainSettings:
        """TrainSettings of this preset; `changes` come last. Without minutes or passes, those it is meant for."""
        length = {} if "minutes" in changes or "epochs" in changes else {"minutes": self.minutes}
        return TrainSettings(**COMMON | self.settings | length | changes)


def cpu(minutes: float = 5) -> Recipe:
    """Two CPU cores with bf16 units, CIFAR-10: 5 minutes, or 30.

    Up to 12 minutes a small model (0.3 million parameters) and nothing against overfitting, of which there is none in ten passes;
    for longer a larger one (0.8 million) and CutMix. 5 minutes: 77.5 % of the test images (76.9 to 77.8, seeds 0
    to 2, nine passes; data/results/budgets.csv), where AdamW and learned positions reached 71.0 %
    (data/results/cifar10_budget.csv). 30 minutes: 84.7 % (84.9 and 84.4, seeds 0 and 1; 31 passes); a slower machine makes fewer
    passes and gets less. There compiling is tried and kept if it pays.
    """
    if minutes <= 12:
        return Recipe(
            "CIFAR-96x4/4",
            minutes,
            dict(position="sinusoidal_2d"),
            dict(batch_size=128, schedule="linear"),
        )
    settings = dict(batch_size=128, schedule="linear", cutmix=0.3, compile="auto")
    return Recipe("CIFAR-128x6/4", minutes, dict(position="sinusoidal_2d"), settings)


def t4(minutes: float = 10) -> Recipe:
    """A T4, Colab's free GPU, 10 minutes of fp16. Not measured yet, for want of one: planned by arithmetic in the README."""
    settings = dict(
        batch_size=256,
        schedule="linear",
        label_smoothing=0.1,
        rand_augment_ops=1,
        rand_augment_magnitude=5,
        cutmix=0.5,
    )
    return Recipe("CIFAR-192x6/4", minutes, dict(position="sinusoidal_2d"), settings)


def a100(minutes: float = 10) -> Recipe:
    """An A100, H100 or H200: 1 minute, or 10. Not measured yet, for want of one.

    In a minute nothing is compiled (that takes about as long); in ten the model is larger, compiled, and made to work harder.
    """
    if minutes <= 2:
        settings = dict(batch_size=256, schedule="linear", label_smoothing=0.1, cutmix=0.5)
        return Recipe("CIFAR-192x6/4", minutes, dict(position="sinusoidal_2d"), settings)
    settings = dict(
        batch_size=256,
        schedule="cosine",
        label_smoothing=0.1,
        rand_augment_ops=2,
        cutmix=0.5,
        ema_decay=0.999,
        compile=True,
    )
    return Recipe(
        "CIFAR-256x8/4", minutes, dict(position="sinusoidal_2d", drop_path_rate=0.1), settings
    )


def recipes() -> dict:
    """The presets by name, as functions of the minutes: the docstring of each says what it costs and what it reached."""
    return {"cpu": cpu, "t4": t4, "a100": a100}


def recipe(name: str, minutes: float | None = None) -> Recipe:
    """The preset called `name` for `minutes` (None: what it is meant for); ValueError, naming the nearest, when there is none."""
    require_choice("recipe", name, tuple(recipes()))
    return recipes()[name]() if minutes is None else recipes()[name](minutes)
