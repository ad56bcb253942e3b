"""A Vision Transformer to learn from: the reference that the lessons build up to, and what they lean on."""

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
except (
    ModuleNotFoundError
) as error:  # installed alone, with --no-deps: say which one package is needed first
    if error.name != "torch":
        raise
    message = "vit_tutorial needs PyTorch, which is not installed here. In a notebook, run: %pip install torch torchvision"
    raise ModuleNotFoundError(message, name="torch") from None

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
