"""The kinds of modules that a case can hold, by name: a recipe is data, so it can cross from one process to another."""

from torch import nn

from ..errors import check_choice
from ..model import VisionTransformer, ViTConfig


def build_module(kind: str, settings: dict) -> nn.Module:
    """A fresh module of this kind. Raises ValueError for an unknown kind."""
    kinds = {
        "Linear": lambda **s: nn.Linear(**s),
        "LayerNorm": lambda **s: nn.LayerNorm(**s),
        "VisionTransformer": lambda **s: VisionTransformer(ViTConfig(**s)),
    }
    check_choice("kind of module", kind, tuple(kinds))
    return kinds[kind](**settings)
