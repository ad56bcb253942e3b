"""A Vision Transformer to learn from: the reference that the lessons build, and their helpers.

What this shows is loaded when it is first asked for: torch takes seconds, and a command's --help
needs none of it.
"""

import importlib
from typing import TYPE_CHECKING

from .common.needed import missing_error, missing_packages

if TYPE_CHECKING:  # what editors and type checkers read
    from . import checks, interop
    from .model import (
        EncoderBlock,
        MultiHeadSelfAttention,
        PatchEmbedding,
        VisionTransformer,
        ViTConfig,
        patchify,
        unpatchify,
    )

__version__ = "0.1.0"
__all__ = [
    "EncoderBlock",
    "MultiHeadSelfAttention",
    "PatchEmbedding",
    "ViTConfig",
    "VisionTransformer",
    "checks",
    "interop",
    "patchify",
    "unpatchify",
]

_PACKAGES = ("checks", "interop")
# Installed alone (--no-deps), as on Colab: name everything that is missing at once, with one
# command, before a module fails for want of torch.
if "torch" in (_missing := missing_packages()):
    raise missing_error(_missing)


def __getattr__(name: str):
    """`vit_tutorial.patchify`, and `from vit_tutorial import patchify` (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        if name in _PACKAGES:
            return importlib.import_module(f".{name}", __name__)
        return getattr(importlib.import_module(".model", __name__), name)
    except ModuleNotFoundError:
        if missing := missing_packages():
            raise missing_error(missing) from None
        raise


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
