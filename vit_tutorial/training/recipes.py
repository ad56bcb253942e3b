"""Ready-made choices for a machine and a time budget, with their results: `--recipe cpu`."""

import dataclasses

from ..common.validation import require_choice
from .runtime.muon import MUON_REPLACED, has_muon
from .runtime.progress import report
from .settings import TrainSettings

DEFAULT_MODEL = "CIFAR-96x4/4"  # 0.3 million parameters, for minutes on two CPU cores
# What data/results/recipe.csv found best in every budget; a recipe adds what depends on the length.
COMMON = dict(optimizer="muon", lr=3e-3, augment="flip_shift")
SINES = dict(position="sinusoidal_2d")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A model by name, changes to its configuration, and settings, for a number of minutes."""

    model: str
    minutes: float
    config: dict
    settings: dict

    def train_settings(self, **changes) -> TrainSettings:
        """TrainSettings of this recipe; `changes` win. Without minutes or epochs, its own minutes.

        Where this torch has no Muon, a recipe that wants it trains with AdamW, and says so.
        """
        length = {} if "minutes" in changes or "epochs" in changes else {"minutes": self.minutes}
        settings = TrainSettings(**self.settings | length | changes)
        if settings.optimizer == "muon" and "optimizer" not in changes and not has_muon():
            report(MUON_REPLACED)
            rate = changes.get("lr", COMMON["lr"])  # tried with AdamW, as higher ones are not
            settings = dataclasses.replace(settings, optimizer="adamw", lr=rate)
        return settings


def default(minutes: float = 5) -> Recipe:
    """What `train` does with data that is not like CIFAR-10: the small model, AdamW, 5 minutes.

    Learned positions and AdamW reach 71.0 % of CIFAR-10 that way (data/results/cifar10_budget.csv).
    """
    return Recipe(DEFAULT_MODEL, minutes, {}, dict(lr=3e-3, schedule="linear"))


def cpu(minutes: float = 5) -> Recipe:
    """Two CPU cores that compute fast in bf16, CIFAR-10: 5 minutes, or 30.

    Up to 12 minutes a small model and nothing against overfitting, of which ten epochs show none:
    77.5 % of the test images after 5 minutes. For longer a larger model and CutMix, compiled if
    that pays: 84.7 % after 30 (data/results/budgets.csv). A slower machine gets less.
    """
    settings = COMMON | dict(batch_size=128, schedule="linear")
    if minutes <= 12:
        return Recipe(DEFAULT_MODEL, minutes, SINES, settings)
    return Recipe("CIFAR-128x6/4", minutes, SINES, settings | dict(cutmix=0.3, compile="auto"))


def t4(minutes: float = 10) -> Recipe:
    """A T4, Colab's free GPU, 10 minutes of fp16."""
    settings = dict(batch_size=256, schedule="linear", label_smoothing=0.1, cutmix=0.5)
    settings |= dict(rand_augment_ops=1, rand_augment_magnitude=5)
    return Recipe("CIFAR-192x6/4", minutes, SINES, COMMON | settings)


def a100(minutes: float = 10) -> Recipe:
    """An A100, H100 or H200: 1 minute, or 10.

    In one minute nothing is compiled, since compiling takes about as long. In ten the model is
    larger and compiled, and stronger augmentation keeps it from overfitting.
    """
    settings = COMMON | dict(batch_size=256, label_smoothing=0.1, cutmix=0.5)
    if minutes <= 2:
        return Recipe("CIFAR-192x6/4", minutes, SINES, settings | dict(schedule="linear"))
    settings |= dict(schedule="cosine", rand_augment_ops=2, ema_decay=0.999, compile=True)
    return Recipe("CIFAR-256x8/4", minutes, SINES | dict(drop_path_rate=0.1), settings)


SMALL_FIRST = dict(lr=5e-3, resolutions=((0.3, 12), (0.4, 16)), num_evaluations=5)
# `auto` takes the last row of which a budget buys that many epochs with images of the full size.
LADDER = (  # epochs; the recipe; GFLOPs of a step for an image at full size; what it reached, where
    (0, dataclasses.replace(cpu(), settings=cpu().settings | SMALL_FIRST), 0.13, ""),
    (12, cpu(30), 0.34, "84.7 % in 31 epochs (data/results/budgets.csv)"),
    (30, t4(), 0.74, ""),
    (100, a100(), 1.71, ""),
)


def recipes() -> dict:
    """The recipes by name, as functions of the minutes; their docstrings give their results."""
    return {"cpu": cpu, "t4": t4, "a100": a100}


def recipe(name: str, minutes: float | None = None) -> Recipe:
    """The recipe `name` for `minutes` (None: its own). ValueError, with the nearest, if none."""
    require_choice("recipe", name, tuple(recipes()))
    return recipes()[name]() if minutes is None else recipes()[name](minutes)
