"""torchvision's VisionTransformer: a class token in front, one position table, nothing more."""

import functools
import importlib

from torch import nn

from ..model import ViTConfig
from .read_config import not_tiles

NAME = "torchvision"
PARTS = {"VisionTransformer", "Encoder", "EncoderBlock", "MLPBlock", "Conv2d"}
PARTS |= {"MultiheadAttention", "NonDynamicallyQuantizableLinear"}
EXTRA_DROPOUT = "self_attention"  # dropout on attention weights, which ours does not have
_BLOCK = "encoder.layers.encoder_layer_{}"
_NAMES = {
    "patch_embedding.projection": "conv_proj",
    "class_token": "class_token",
    "position.table": "encoder.pos_embedding",
    "encoder.blocks.{}.norm1": f"{_BLOCK}.ln_1",
    "encoder.blocks.{}.attention.qkv": f"{_BLOCK}.self_attention.in_proj",
    "encoder.blocks.{}.attention.projection": f"{_BLOCK}.self_attention.out_proj",
    "encoder.blocks.{}.norm2": f"{_BLOCK}.ln_2",
    "encoder.blocks.{}.mlp.0": f"{_BLOCK}.mlp.0",
    "encoder.blocks.{}.mlp.3": f"{_BLOCK}.mlp.3",
    "norm": "encoder.ln",
    "head": "heads.head",
}


def names(model: nn.Module) -> dict[str, str]:
    """Our names of modules and parameters -> theirs; {} is the number of the block."""
    return _NAMES


def read(model: nn.Module, image_size) -> tuple[dict, dict]:
    """The fields of a ViTConfig, and what to refuse: feature -> value, None where it is absent."""
    conv, block = model.conv_proj, model.encoder.layers[0]
    fields = dict(
        image_size=model.image_size,
        patch_size=conv.kernel_size[0],
        channels=conv.in_channels,
        num_classes=model.heads.head.out_features,
        dim=conv.out_channels,
        depth=len(model.encoder.layers),
        num_heads=block.self_attention.num_heads,
        mlp_dim=block.mlp[0].out_features,
    )
    return fields, {"patches that are not square tiles": not_tiles(conv)}


def build(c: ViTConfig) -> nn.Module:
    """Their model, as close to `c` as its arguments allow; export_to names what they do not."""
    # An absolute import: the library, not this file.
    library = importlib.import_module("torchvision.models.vision_transformer")
    return library.VisionTransformer(
        image_size=c.image_size[0],
        patch_size=c.patch_size,
        num_classes=c.num_classes,
        num_layers=c.depth,
        num_heads=c.num_heads,
        hidden_dim=c.dim,
        mlp_dim=c.mlp_dim,
        dropout=c.dropout,
        norm_layer=functools.partial(nn.LayerNorm, eps=c.norm_eps),
    )
