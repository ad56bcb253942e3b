"""The ViTConfig of another library's model, or the feature that ours lacks."""

import math
import re
from types import ModuleType
from typing import NoReturn

from torch import nn

from ..model import ViTConfig

# Parts that plain ViTs of every library are made of. Each library's file adds its own; any other
# part computes something that our model does not.
_PARTS = {"Sequential", "Linear", "LayerNorm", "GELU", "Dropout"}

FEATURES = {  # part of the name of a weight or module -> the feature it belongs to, for messages
    "dist_token": "a distillation token",
    "reg_token": "register tokens",
    "q_norm": "qk_norm",
    "k_norm": "qk_norm",
    "attn.norm": "scale_attn_norm",
    "attn.gate": "gated attention",
    "mlp.norm": "scale_mlp_norm",
    "patch_embed.norm": "embed_norm_layer",
    "norm_pre": "pre_norm",
    "attn_pool": "attention pooling",
    "drop_path": "stochastic depth",
    "patch_drop": "patch dropout",
    ".ls1": "LayerScale",
    ".ls2": "LayerScale",
    ".mlp": "another MLP",
    "conv_proj": "a convolutional stem",
    "heads.": "representation_size",
}


def feature_of(name: str) -> str:
    """The feature that a weight or module of this name belongs to."""
    features = (what for part, what in FEATURES.items() if part in name)
    return next(features, "a part of another kind")


def refuse(library: str, feature: str, value) -> NoReturn:
    """Raise the ValueError that names one of their features, and its value."""
    raise ValueError(
        f"this {library} ViT has a feature that vit_tutorial's model lacks, {feature}: {value}"
    )


def read_config(model: nn.Module, library: ModuleType, image_size) -> ViTConfig:
    """The ViTConfig of their `model`. Raises ValueError for what no ViTConfig can express.

    library: our description of the library, one of the modules of this package.
    """
    _check_parts(model, library)
    try:
        fields, refused = library.read(model, image_size)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(
            f"this {library.NAME} ViT is not built like the releases that interop was tried with: "
            f"{error}"
        ) from error
    for feature, value in refused.items():
        if value is not None:
            refuse(library.NAME, feature, value)
    eps = {part.eps for part in model.modules() if isinstance(part, nn.LayerNorm)}
    if len(eps) != 1:
        refuse(library.NAME, "LayerNorms of more than one eps", sorted(eps))
    _check_equal_blocks(model, library)
    config = ViTConfig(**fields, norm_eps=eps.pop(), dropout=_read_dropout(model, library))
    given = (image_size, image_size) if isinstance(image_size, int) else image_size
    if given is not None and tuple(given) != config.image_size:
        raise ValueError(
            f"this {library.NAME} ViT takes images of {config.image_size}, not of {tuple(given)}"
        )
    return config


def _check_parts(model: nn.Module, library: ModuleType) -> None:
    """Raise ValueError for a module that a plain ViT of the library does not have."""
    for name, part in model.named_modules():
        if type(part).__name__ not in _PARTS | library.PARTS:
            values = (f", first weight {value.flatten()[0]:.3g}" for value in part.parameters())
            what = f"{name} is a {type(part).__name__}{next(values, '')}"
            refuse(library.NAME, feature_of(name), what)
        if getattr(part, "approximate", "none") != "none":
            refuse(library.NAME, "an approximate GELU", f"{name} is {part}")


def _check_equal_blocks(model: nn.Module, library: ModuleType) -> None:
    """Raise ValueError where blocks differ in what their weights' shapes do not show.

    The configuration is read from the first block and holds for all.
    """
    for feature in ("num_heads", "heads", "scale", "head_dim", "batch_first"):
        found = {
            name: getattr(part, feature)
            for name, part in model.named_modules()
            if isinstance(getattr(part, feature, None), int | float)
        }
        if len(set(found.values())) > 1:
            (first, value), *others = found.items()
            name, other = next(pair for pair in others if pair[1] != value)
            what = f"{first} has {value}, {name} has {other}"
            refuse(library.NAME, f"blocks that differ in {feature}", what)


def _read_dropout(model: nn.Module, library: ModuleType) -> float:
    """Their one dropout probability.

    Raises ValueError where they drop at several rates, or in places where ours does not.
    """
    rates = {name: part.p for name, part in model.named_modules() if isinstance(part, nn.Dropout)}
    rates |= {
        name: part.dropout
        for name, part in model.named_modules()
        if isinstance(part, nn.MultiheadAttention)
    }
    elsewhere = {
        name: rate for name, rate in rates.items() if re.search(library.EXTRA_DROPOUT, name)
    }
    shared = {rate for name, rate in rates.items() if name not in elsewhere}
    if len(shared) > 1 or any(elsewhere.values()):
        found = [f"{name} {rate}" for name, rate in (elsewhere | rates).items() if rate]
        raise ValueError(
            f"this {library.NAME} ViT has dropout at {', '.join(found[:3])} "
            f"(places: {len(found)}). Ours has one rate, for the stem, the end of attention and "
            "the MLP, and none elsewhere. In eval mode dropout does nothing: set all rates to 0 "
            "to continue"
        )
    return shared.pop()


# For the files of the libraries: what is wrong, or None.


def not_tiles(conv: nn.Conv2d) -> str | None:
    """What is wrong with a patch projection that does not cut the image into square tiles."""
    kernel, stride, padding = conv.kernel_size, conv.stride, conv.padding
    if kernel == stride and kernel[0] == kernel[1] and padding == (0, 0):
        return None
    return f"kernel {kernel}, stride {stride}, padding {padding}"


def not_dim(heads: int, scale: float, dim: int) -> str | None:
    """What is wrong with heads whose widths do not add up to the width of the model."""
    width = scale**-2  # they scale scores by 1 / sqrt(width of a head)
    if math.isclose(heads * width, dim):
        return None
    return f"{heads} heads x {width:g} (dim_head) = {heads * width:g}, width {dim}"
