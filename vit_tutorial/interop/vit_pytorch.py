"""vit-pytorch's ViT, from 1.17 on: LayerNorms around the patch projection, no bias in q, k, v."""

import importlib
import math

from torch import nn

from ..model import ViTConfig
from .read_config import not_dim

NAME = "vit_pytorch"
PARTS = {"ViT", "Rearrange", "Transformer", "ModuleList", "Attention", "FeedForward", "Softmax"}
PARTS |= {"Identity"}
EXTRA_DROPOUT = r"\.0\.dropout"  # on attention weights, which ours does not have
_NAMES = {
    "patch_embedding.norm_patches": "to_patch_embedding.1",
    "patch_embedding.projection": "to_patch_embedding.2",
    "patch_embedding.norm_tokens": "to_patch_embedding.3",
    "class_token": "cls_token",
    "position.table": "pos_embedding",
    "encoder.blocks.{}.norm1": "transformer.layers.{}.0.norm",
    "encoder.blocks.{}.attention.qkv": "transformer.layers.{}.0.to_qkv",
    "encoder.blocks.{}.attention.projection": "transformer.layers.{}.0.to_out.0",
    "encoder.blocks.{}.norm2": "transformer.layers.{}.1.net.0",
    "encoder.blocks.{}.mlp.0": "transformer.layers.{}.1.net.1",
    "encoder.blocks.{}.mlp.3": "transformer.layers.{}.1.net.4",
    "norm": "transformer.norm",
    "head": "mlp_head",
}


def names(model: nn.Module) -> dict[str, str]:
    """Our names of modules and parameters -> theirs; {} is the number of the block."""
    return _NAMES


def read(model: nn.Module, image_size) -> tuple[dict, dict]:
    """The fields of a ViTConfig, and what to refuse: feature -> value, None where it is absent."""
    if model.cls_token.ndim != 2:
        raise TypeError(
            f"cls_token is {tuple(model.cls_token.shape)}, it is (1, D) from vit-pytorch 1.17 on"
        )
    cut, _, projection, _ = model.to_patch_embedding
    attention, mlp = model.transformer.layers[0]
    patch_size = cut.axes_lengths["p1"], cut.axes_lengths["p2"]
    P, dim = patch_size[0], projection.out_features
    row_by_row = cut.pattern.endswith("-> b (h w) (p1 p2 c)")
    projected = isinstance(attention.to_out, nn.Sequential)
    classes = None if model.mlp_head is None else model.mlp_head.out_features
    refused = {
        "patches that are not square tiles": None if patch_size == (P, P) else patch_size,
        "patches cut in another order": None if row_by_row else cut.pattern,
        "heads that do not add up to the width": not_dim(attention.heads, attention.scale, dim),
        "no projection after attention, as heads = 1 and dim_head = dim": (
            None if projected else f"to_out is {attention.to_out}"
        ),
        "num_classes": None if classes else 0,
    }
    fields = dict(
        image_size=_image_size(model, P, image_size),
        patch_size=P,
        channels=projection.in_features // P**2,
        num_classes=classes or 1,
        dim=dim,
        depth=len(model.transformer.layers),
        num_heads=attention.heads,
        mlp_dim=mlp.net[1].out_features,
        pool="class" if model.pool == "cls" else "mean",
        class_token="first" if len(model.cls_token) else "none",
        position_std=1.0,
        patch_norms=True,
        qkv_bias=False,
    )
    return fields, refused


def build(c: ViTConfig) -> nn.Module:
    """Their model, as close to `c` as its arguments allow; export_to names what they do not."""
    # An absolute import: the library, not this file.
    theirs = importlib.import_module("vit_pytorch.vit").ViT(
        image_size=c.image_size,
        patch_size=c.patch_size,
        channels=c.channels,
        num_classes=c.num_classes,
        dim=c.dim,
        depth=c.depth,
        heads=c.num_heads,
        dim_head=c.dim // c.num_heads,
        mlp_dim=c.mlp_dim,
        pool="cls" if c.pool == "class" else "mean",
        dropout=c.dropout,
        emb_dropout=c.dropout,
    )
    # The constructor has no argument for either of these two.
    for part in theirs.modules():
        if isinstance(part, nn.LayerNorm):
            part.eps = c.norm_eps
    for attention, _ in theirs.transformer.layers:
        attention.dropout.p = 0.0  # of the attention weights
    return theirs


def _image_size(model: nn.Module, P: int, image_size) -> tuple[int, int]:
    """(H, W) in pixels, a square if `image_size` is None. Raises ValueError if it does not fit."""
    N = len(model.pos_embedding) - len(model.cls_token)
    if image_size is None:
        if math.isqrt(N) ** 2 != N:
            raise ValueError(
                f"{N} patches of {P}x{P} do not make a square image, and vit-pytorch keeps no "
                "size: give image_size=(H, W)"
            )
        return math.isqrt(N) * P, math.isqrt(N) * P
    H, W = (image_size, image_size) if isinstance(image_size, int) else image_size
    if (H // P) * (W // P) != N:
        raise ValueError(
            f"an image of {H}x{W} has {H // P} x {W // P} patches of {P}x{P}, but this vit-pytorch "
            f"ViT has {N}"
        )
    return H, W
