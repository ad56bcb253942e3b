"""Ready-made choices for a machine and a time budget, with their results: `--recipe cpu`."""

import dataclasses

from ..common.validation import require_choice
from .runtime.muon import MUON_REPLACED, has_muon
from .runtime.progress import report
from .settings import TrainSettings

DEFAULT_MODEL = "CIFAR-96x4/4"  # 0.3 million parameters, for minutes on two CPU cores
# What data/results/recipe.csv found best in every budget; a recipe adds what depends on the length.
COMMON = dict(optimizer="muon", lr=3e-3, augment="flip_shift")


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
            settings = dataclasses.replace(settings, optimizer="adamw")
        return settings


def default(minutes: float = 5) -> Recipe:
    """What `python -m vit_tutorial train` does without --recipe: the small model, AdamW, 5 minutes.

    Learned positions and AdamW reach 71.0 % of CIFAR-10 that way (data/results/cifar10_budget.csv).
    """
    return Recipe(DEFAULT_MODEL, minutes, {}, dict(lr=3e-3, schedule="linear"))


def cpu(minutes: float = 5) -> Recipe:
    """Two CPU cores that compute fast in bf16, CIFAR-10: 5 minutes, or 30.

    Up to 12 minutes: a small model (0.3 million parameters) and nothing against overfitting, since
    ten epochs show none. Longer: a larger model (0.8 million) and CutMix, compiled if that pays.
    5 minutes: 77.5 % of the test images (76.9 to 77.8, seeds 0 to 2, nine epochs;
    data/results/budgets.csv), where AdamW and learned positions reached 71.0 %. 30 minutes: 84.7 %
    (84.9 and 84.4, seeds 0 and 1; 31 epochs). A slower machine completes fewer epochs and reaches
    less.
    """
    config, settings = dict(position="sinusoidal_2d"), dict(batch_size=128, schedule="linear")
    if minutes <= 12:
        return Recipe(DEFAULT_MODEL, minutes, config, COMMON | settings)
    settings |= dict(cutmix=0.3, compile="auto")
    return Recipe("CIFAR-128x6/4", minutes, config, COMMON | settings)


def t4(minutes: float = 10) -> Recipe:
    """A T4, Colab's free GPU, 10 minutes of fp16. Not measured yet, only planned by arithmetic."""
    settings = dict(batch_size=256, schedule="linear", label_smoothing=0.1, cutmix=0.5)
    settings |= dict(rand_augment_ops=1, rand_augment_magnitude=5)
    return Recipe("CIFAR-192x6/4", minutes, dict(position="sinusoidal_2d"), COMMON | settings)


def a100(minutes: float = 10) -> Recipe:
    """An A100, H100 or H200: 1 minute, or 10. Not measured yet.

    In one minute nothing is compiled, since compiling takes about as long. In ten the model is
    larger and compiled, and stronger augmentation keeps it from overfitting.
    """
    settings = dict(batch_size=256, label_smoothing=0.1, cutmix=0.5)
    if minutes <= 2:
        settings |= dict(schedule="linear")
        return Recipe("CIFAR-192x6/4", minutes, dict(position="sinusoidal_2d"), COMMON | settings)
    settings |= dict(schedule="cosine", rand_augment_ops=2, ema_decay=0.999, compile=True)
    config = dict(position="sinusoidal_2d", drop_path_rate=0.1)
    return Recipe("CIFAR-256x8/4", minutes, config, COMMON | settings)


def recipes() -> dict:
    """The recipes by name, as functions of the minutes; their docstrings give their results."""
    return {"cpu": cpu, "t4": t4, "a100": a100}


def recipe(name: str, minutes: float | None = None) -> Recipe:
    """The recipe `name` for `minutes` (None: its own). ValueError, with the nearest, if none."""
    require_choice("recipe", name, tuple(recipes()))
    return recipes()[name]() if minutes is None else recipes()[name](minutes)
