"""timm's VisionTransformer, from timm 1.0.9 on: the plain one among its many variants."""

import functools
import importlib
import re

from torch import nn

from ..model import ViTConfig
from .read_config import not_dim, not_tiles

NAME = "timm"
PARTS = {"VisionTransformer", "PatchEmbed", "Conv2d", "Block", "Attention", "Mlp"}
PARTS |= {"LayerNormFp32", "Identity"}
EXTRA_DROPOUT = "attn_drop|head_drop"  # on attention weights and before the head: not in ours
_NAMES = {
    "patch_embedding.projection": "patch_embed.proj",
    "class_token": "cls_token",
    "position.table": "pos_embed",
    "encoder.blocks.{}.norm1": "blocks.{}.norm1",
    "encoder.blocks.{}.attention.qkv": "blocks.{}.attn.qkv",
    "encoder.blocks.{}.attention.projection": "blocks.{}.attn.proj",
    "encoder.blocks.{}.norm2": "blocks.{}.norm2",
    "encoder.blocks.{}.mlp.0": "blocks.{}.mlp.fc1",
    "encoder.blocks.{}.mlp.3": "blocks.{}.mlp.fc2",
    "head": "head",
}


def names(model: nn.Module) -> dict[str, str]:
    """Our names of modules and parameters -> theirs; {} is the number of the block."""
    return _NAMES | {"norm": "norm" if _absent(model.fc_norm) else "fc_norm"}


def read(model: nn.Module, image_size) -> tuple[dict, dict]:
    """The fields of a ViTConfig, and what to refuse: feature -> value, None where it is absent."""
    embed, attention = model.patch_embed, model.blocks[0].attn
    dim, pool = embed.proj.out_channels, model.global_pool
    refused = {
        "global_pool": None if pool in ("token", "avg") else repr(pool),
        "pool_include_prefix": getattr(model, "pool_include_prefix", False) or None,
        "dynamic_img_size": model.dynamic_img_size or None,
        "dynamic_img_pad": embed.dynamic_img_pad or None,
        "pre_norm": None if _absent(model.norm_pre) else True,
        "final_norm": False if _absent(model.norm) and _absent(model.fc_norm) else None,
        "num_classes": 0 if _absent(model.head) else None,
        "heads that do not add up to the width": not_dim(attention.num_heads, attention.scale, dim),
        "patches that are not square tiles": not_tiles(embed.proj),
        "a class token that pos_embed='none' leaves out": _lost_class_token(model),
    }
    fields = dict(
        image_size=embed.img_size,
        patch_size=embed.patch_size[0],
        channels=embed.proj.in_channels,
        num_classes=model.num_classes,
        dim=dim,
        depth=len(model.blocks),
        num_heads=attention.num_heads,
        mlp_dim=model.blocks[0].mlp.fc1.out_features,
        pool="class" if pool == "token" else "mean",
        position="none" if model.pos_embed is None else "learned_1d",
        class_token="none" if model.cls_token is None else "first",
        position_class_token=not model.no_embed_class,
        qkv_bias=attention.qkv.bias is not None,
        norm_after_pool=not _absent(model.fc_norm),
    )
    return fields, refused


def build(c: ViTConfig) -> nn.Module:
    """Their model, as close to `c` as its arguments allow; export_to names what they do not."""
    # An absolute import: the library, not this file.
    library = importlib.import_module("timm.models.vision_transformer")
    return library.VisionTransformer(
        img_size=c.image_size,
        patch_size=c.patch_size,
        in_chans=c.channels,
        num_classes=c.num_classes,
        embed_dim=c.dim,
        depth=c.depth,
        num_heads=c.num_heads,
        mlp_ratio=(c.mlp_dim + 0.5) / c.dim,  # timm rounds the product down
        global_pool="token" if c.pool == "class" else "avg",
        class_token=c.class_token != "none",
        pos_embed="none" if c.position == "none" else "learn",
        no_embed_class=not c.position_class_token,
        qkv_bias=c.qkv_bias,
        fc_norm=c.norm_after_pool,
        pos_drop_rate=c.dropout,
        proj_drop_rate=c.dropout,
        norm_layer=functools.partial(nn.LayerNorm, eps=c.norm_eps),
    )


def _absent(part: nn.Module) -> bool:
    return isinstance(part, nn.Identity)


def _lost_class_token(model: nn.Module) -> str | None:
    """Before 1.0.26, timm returned early without positions: the class token never joined the
    sequence, and the first patch was read, or left out of the mean, in its place."""
    version = importlib.import_module("timm").__version__
    if model.pos_embed is not None or model.cls_token is None:
        return None
    if tuple(map(int, re.findall(r"\d+", version)[:3])) >= (1, 0, 26):
        return None
    return f"timm {version} takes the first patch for it. Update timm to 1.0.26 or later"
