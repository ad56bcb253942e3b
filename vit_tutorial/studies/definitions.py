"""What is compared: a study is a list of variants of one small model, all trained the same way."""

import dataclasses

from ..common.validation import require_choice
from ..data.dataset import MADE
from ..model import ViTConfig
from ..model.config import IN_ATTENTION, POSITION_SITES, POSITIONS
from ..training import DEFAULT_MODEL, TrainSettings

STUDIES = ("kinds", "loud", "start", "figure9")


@dataclasses.dataclass(frozen=True)
class Variant:
    """One line of a study."""

    name: str  # for tables
    config: dict = dataclasses.field(default_factory=dict)  # changes to the base configuration
    settings: dict = dataclasses.field(default_factory=dict)  # and to the base settings


def variants(study: str) -> list[Variant]:
    """The variants of a study, in the order of its table; the others are compared with the first.

    Raises ValueError for an unknown study.
    """
    require_choice("study", study, STUDIES)
    return {"kinds": kinds, "loud": loud_kinds, "start": starts, "figure9": figure9}[study]()


def kinds() -> list[Variant]:
    """Every kind of position, at every place where it can enter.

    More than the paper's table (Dosovitskiy et al. 2021, appendix D.4).
    """
    found = [Variant("none", dict(position="none"))]
    for kind in POSITIONS[1:]:
        for place in POSITION_SITES:
            if kind in IN_ATTENTION and place == "stem":
                continue
            if kind == "rotary" and place == "every_layer_shared":
                continue  # nothing is learned: shared or not, it computes the same
            found.append(
                Variant(
                    f"{kind}, {place.replace('_', ' ')}", dict(position=kind, position_site=place)
                )
            )
    return found


def loud_kinds() -> list[Variant]:
    """Seven kinds of positions, all as loud as sines from the first step.

    A table that starts at 0.02 first has to be made louder, and waits (the study `start`). Here
    what is learned starts at 1, so that kinds differ in what they say and not in how loudly.
    """
    loud = dict(position_std=1.0)
    return [
        Variant("none", dict(position="none")),
        Variant("learned 1-D", dict(position="learned_1d") | loud),
        Variant("random, frozen", dict(position="learned_1d", position_frozen=True) | loud),
        Variant("sinusoidal 1-D", dict(position="sinusoidal_1d")),
        Variant("sinusoidal 2-D", dict(position="sinusoidal_2d")),
        Variant("relative", dict(position="relative", position_site="every_layer") | loud),
        Variant("rotary", dict(position="rotary", position_site="every_layer")),
    ]


def starts() -> list[Variant]:
    """Every random start of a learned table, and tables that are not learned."""
    learned = "learned_1d"
    return [
        Variant("none", dict(position="none")),
        Variant("zeros", dict(position=learned, position_std=0.0)),
        Variant("0.02", dict(position=learned, position_std=0.02)),
        Variant(
            "0.02, truncated",
            dict(position=learned, position_std=0.02, position_init="truncated_normal"),
        ),
        Variant("randn", dict(position=learned, position_std=1.0)),
        Variant("randn, frozen", dict(position=learned, position_std=1.0, position_frozen=True)),
        Variant("randn, decayed", dict(position=learned, position_std=1.0), dict(decay="all")),
        Variant(
            "randn, decayed x 10",
            dict(position=learned, position_std=1.0),
            dict(decay="all", weight_decay=0.5),
        ),
        Variant("sinusoidal 2-D, frozen", dict(position="sinusoidal_2d")),
    ]


def figure9() -> list[Variant]:
    """One hyperparameter at a time: does the map of learned positions change?

    After the paper's figure 9 (appendix D.4).
    """
    found = [Variant("base")]
    for factor in (0.25, 4):
        found.append(Variant(f"epochs x {factor:g}", settings=dict(epochs=factor)))
        found.append(Variant(f"learning rate x {factor:g}", settings=dict(lr=factor)))
    found += [
        Variant(f"weight decay {value:g}", settings=dict(weight_decay=value))
        for value in (0.0, 0.5)
    ]
    found += [Variant(f"initial scale {value:g}", dict(position_std=value)) for value in (0.2, 1.0)]
    return found + [Variant(f"patch size {value}", dict(patch_size=value)) for value in (4, 16)]


def budget(
    data_name: str, epochs: float | None = None, model: str | None = None
) -> tuple[dict, dict]:
    """The base (config, settings) of all studies on a data set: each variant has this budget.

    shapes, pairs: width 64, 2 blocks, patches of 8, 12 epochs (about 10 s a run on 2 CPU cores).
    Anything else: `model`, a name as in `ViTConfig.named`, by default CIFAR-96x4/4; 10 epochs.
    All pool the mean of the patches, so that no class token comes between positions and answer.
    Raises ValueError for a model on shapes or pairs, or an unknown name.
    """
    made = data_name in MADE
    if made:
        if model is not None:
            raise ValueError(
                f"the studies on {data_name} have a model of their own; {model!r} is for other "
                "data (--data)"
            )
        config = dict(patch_size=8, dim=64, depth=2, num_heads=4, mlp_dim=128, pool="mean")
        settings = dict(epochs=12.0, lr=3e-3)
    else:
        config = dataclasses.asdict(ViTConfig.named(model or DEFAULT_MODEL, pool="mean"))
        config = {
            key: config[key]
            for key in ("patch_size", "dim", "depth", "num_heads", "mlp_dim", "pool")
        }
        settings = dict(epochs=10.0, lr=3e-3, schedule="linear")
    # On made images evaluations say when 90 % is reached; elsewhere they cost too much time.
    settings |= dict(num_evaluations=24 if made else 5)
    return config, settings | ({} if epochs is None else dict(epochs=float(epochs)))


def resolve_variant(
    variant: Variant, data, seed: int, epochs: float | None = None, model: str | None = None
) -> tuple[ViTConfig, TrainSettings]:
    """The configuration and settings of one run; "epochs x 4" multiplies the base's epochs."""
    config, settings = budget(data.name, epochs, model)
    changes = {
        key: settings[key] * value if key in ("epochs", "lr") else value
        for key, value in variant.settings.items()
    }
    shape = dict(image_size=data.image_size, channels=data.channels, num_classes=data.num_classes)
    return ViTConfig(**shape | config | variant.config), TrainSettings(
        **settings | changes | dict(seed=seed)
    )
