"""A Vision Transformer to learn from: the reference that the lessons build, and their helpers."""

from .common.needed import missing_error, missing_packages

try:
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
except ModuleNotFoundError:
    # Installed alone (--no-deps): name everything that is missing at once, with one command.
    if _missing := missing_packages():
        raise missing_error(_missing) from None
    raise

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
