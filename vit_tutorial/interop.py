"""Weights to and from torchvision, timm (1.x) and vit-pytorch: the same numbers in the places where each library keeps them.

`load_from(theirs)` makes one of our models out of one of theirs, `export_to(ours, theirs)` goes the other way. Both first read a
ViTConfig off their instance, so that all else is compared before a number moves: a feature that one side lacks is a ValueError
that names it, and no weight is left behind. None of the three libraries is imported before it is needed.
"""

import dataclasses
import functools
import importlib
import math
import re

import torch
from torch import nn

from .common.validation import require_choice
from .model import VisionTransformer, ViTConfig

LIBRARIES = ("torchvision", "timm", "vit_pytorch")
_CLASSES = {
    "torchvision.models.vision_transformer.VisionTransformer": "torchvision",
    "timm.models.vision_transformer.VisionTransformer": "timm",
    "vit_pytorch.vit.ViT": "vit_pytorch",
}
_NAMES = [  # ours, then torchvision's, timm's and vit-pytorch's; {} is the number of the block, .weight and .bias follow
    ("patch_embedding.norm_patches", None, None, "to_patch_embedding.1"),
    ("patch_embedding.projection", "conv_proj", "patch_embed.proj", "to_patch_embedding.2"),
    ("patch_embedding.norm_tokens", None, None, "to_patch_embedding.3"),
    ("class_token", "class_token", "cls_token", "cls_token"),
    ("position.table", "encoder.pos_embedding", "pos_embed", "pos_embedding"),
    ("encoder.blocks.{}", "encoder.layers.encoder_layer_{}", "blocks.{}", "transformer.layers.{}"),
    ("norm", "encoder.ln", "norm", "transformer.norm"),
    ("head", "heads.head", "head", "mlp_head"),
]
_NAMES_IN_BLOCK = [
    ("norm1", "ln_1", "norm1", "0.norm"),
    ("attention.qkv", "self_attention.in_proj", "attn.qkv", "0.to_qkv"),
    ("attention.projection", "self_attention.out_proj", "attn.proj", "0.to_out.0"),
    ("norm2", "ln_2", "norm2", "1.net.0"),
    ("mlp.0", "mlp.0", "mlp.fc1", "1.net.1"),
    ("mlp.3", "mlp.3", "mlp.fc2", "1.net.4"),
]
_PARTS = {  # what a plain ViT of each library is made of; any other part computes something that our model does not
    "all": {"Sequential", "Linear", "LayerNorm", "GELU", "Dropout"},
    "torchvision": {"VisionTransformer", "Encoder", "EncoderBlock", "MLPBlock", "Conv2d"}
    | {"MultiheadAttention", "NonDynamicallyQuantizableLinear"},
    "timm": {
        "VisionTransformer",
        "PatchEmbed",
        "Conv2d",
        "Block",
        "Attention",
        "Mlp",
        "LayerNormFp32",
        "Identity",
    },
    "vit_pytorch": {
        "ViT",
        "Rearrange",
        "Transformer",
        "ModuleList",
        "Attention",
        "FeedForward",
        "Softmax",
        "Identity",
    },
}
_EXTRA_DROPOUT = {  # dropout on attention weights and before the head, which ours does not have
    "torchvision": "self_attention",
    "timm": "attn_drop|head_drop",
    "vit_pytorch": r"\.0\.dropout",
}
_FEATURES = {  # part of the name of a weight or module -> the feature that it belongs to, for the error message
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


def load_from(
    model: nn.Module, image_size: int | tuple[int, int] | None = None
) -> VisionTransformer:
    """A VisionTransformer of ours with the configuration and a copy of the weights of a torchvision, timm or vit-pytorch ViT.

    Logits for the same images agree up to rounding. Dtype, device and train or eval mode are kept; every parameter is trainable.
    image_size: side or (H, W), needed for vit-pytorch with images that are not square: its model keeps N and forgets H and W.
    Raises ValueError for a class of model that it does not know, and for any feature that our model lacks.
    """
    library = _library(model)
    config = _read_config(model, library, image_size)
    with torch.device(
        "meta"
    ):  # shapes without numbers: the weights come from `model`, and the random generator stays as it was
        ours = VisionTransformer(config)
    source = _weights(model)
    names = _match(ours, model, library)
    ours.load_state_dict(
        {name: _to_ours(source[names[name]], slot) for name, slot in ours.state_dict().items()},
        assign=True,
    )
    return ours.train(model.training)


def export_to(model: VisionTransformer, target: str | nn.Module) -> nn.Module:
    """Write the weights of our `model` into `target`, and return the target.

    target: an instance of torchvision's, timm's or vit-pytorch's ViT, which keeps its own dtype, device and mode; or the name of
        a library, "torchvision", "timm" or "vit_pytorch": then an instance is built, with the dtype, device and mode of `model`.
    Raises ValueError, with both values, where the two differ in more than weights, so for what the library cannot express: a
    class token that stands last, fixed positions, in torchvision mean pooling or images that are not square, ... The target
    changes only when all of it fits. ModuleNotFoundError when the library is not installed.
    """
    if not isinstance(model, VisionTransformer):
        raise ValueError(
            f"export_to writes a model of vit_tutorial, this is a {_class_name(model)}: load_from(model) reads theirs"
        )
    if isinstance(target, str):
        require_choice("library", target, LIBRARIES)
        first = next(model.parameters())
        with torch.random.fork_rng(
            devices=[]
        ):  # their random start is overwritten: leave the generator as it was
            target = (
                _build(model.config, target).to(first.device, first.dtype).train(model.training)
            )
    library = _library(target)
    theirs = _read_config(
        target, library, model.config.image_size if library == "vit_pytorch" else None
    )
    _check_same(model.config, theirs, library)
    slots = _weights(target)  # these share their memory with the target's parameters
    names = _match(model, target, library)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            slots[names[name]].copy_(_to_theirs(value, slots[names[name]]))
    return target


def _class_name(model) -> str:
    return f"{type(model).__module__}.{type(model).__qualname__}"


def _library(model) -> str:
    if (name := _class_name(model)) in _CLASSES:
        return _CLASSES[name]
    if isinstance(model, VisionTransformer):
        raise ValueError(
            "this is a VisionTransformer of vit_tutorial already: copy.deepcopy(model) makes a second one"
        )
    feature = next(
        (
            f" (with {what})"
            for part, what in _FEATURES.items()
            if getattr(model, part, None) is not None
        ),
        "",
    )
    wrapped = [
        inner
        for inner in ("_orig_mod", "module")
        if isinstance(getattr(model, inner, None), nn.Module)
    ]
    hint = f". It wraps a model: pass model.{wrapped[0]}" if wrapped else ""
    raise ValueError(
        f"unknown class of model {name}{feature}: known are {', '.join(_CLASSES)}{hint}"
    )


def _refuse(library: str, feature: str, value) -> None:
    raise ValueError(
        f"this {library} ViT has a feature that vit_tutorial's model lacks, {feature}: {value}"
    )


def _feature(name: str) -> str:
    return next(
        (what for part, what in _FEATURES.items() if part in name), "a part of another kind"
    )


def _weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and buffers by name; without empty ones (vit-pytorch's class token (0, D) under mean pooling)."""
    return {name: value for name, value in model.state_dict().items() if value.numel()}


def _read_config(model: nn.Module, library: str, image_size) -> ViTConfig:
    """The ViTConfig of their `model`. Raises ValueError for what no ViTConfig can say."""
    for name, part in model.named_modules():
        if type(part).__name__ not in _PARTS["all"] | _PARTS[library]:
            weight = next(
                (f", first weight {value.flatten()[0]:.3g}" for value in part.parameters()), ""
            )
            _refuse(library, _feature(name), f"{name} is a {type(part).__name__}{weight}")
        if getattr(part, "approximate", "none") != "none":
            _refuse(library, "an approximate GELU", f"{name} is {part}")
    read = {"torchvision": _read_torchvision, "timm": _read_timm, "vit_pytorch": _read_vit_pytorch}[
        library
    ]
    try:
        fields, refused = read(model, image_size)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(
            f"this {library} ViT is not built like the releases that interop was tried with: {error}"
        ) from error
    for feature, value in refused.items():
        if value is not None:
            _refuse(library, feature, value)
    eps = {part.eps for part in model.modules() if isinstance(part, nn.LayerNorm)}
    if len(eps) != 1:
        _refuse(library, "LayerNorms of more than one eps", sorted(eps))
    config = ViTConfig(**fields, norm_eps=eps.pop(), dropout=_read_dropout(model, library))
    given = (image_size, image_size) if isinstance(image_size, int) else image_size
    if given is not None and tuple(given) != config.image_size:
        raise ValueError(
            f"this {library} ViT takes images of {config.image_size}, not of {tuple(given)}"
        )
    return config


def _read_dropout(model: nn.Module, library: str) -> float:
    """Their one dropout probability. Raises ValueError where they drop at several rates, or in places where ours does not."""
    rates = {name: part.p for name, part in model.named_modules() if isinstance(part, nn.Dropout)}
    rates |= {
        name: part.dropout
        for name, part in model.named_modules()
        if isinstance(part, nn.MultiheadAttention)
    }
    elsewhere = {
        name: rate for name, rate in rates.items() if re.search(_EXTRA_DROPOUT[library], name)
    }
    shared = {rate for name, rate in rates.items() if name not in elsewhere}
    if len(shared) > 1 or any(elsewhere.values()):
        found = [f"{name} {rate}" for name, rate in (elsewhere | rates).items() if rate]
        raise ValueError(
            f"this {library} ViT has dropout at {', '.join(found[:3])} (places: {len(found)}). Ours has one rate, for the stem, "
            "the end of attention and the MLP, and none elsewhere. In eval mode dropout does nothing: set all rates to 0 to go on"
        )
    return shared.pop()


# Each reader returns the fields of a ViTConfig, and what to refuse: feature -> value, None for a feature that is absent.


def _read_torchvision(model, image_size) -> tuple[dict, dict]:
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
    return fields, _not_tiles(conv)


def _read_timm(model, image_size) -> tuple[dict, dict]:
    embed, attention = model.patch_embed, model.blocks[0].attn
    no_norm = isinstance(model.norm, nn.Identity) and isinstance(model.fc_norm, nn.Identity)
    refused = {
        "global_pool": None if model.global_pool in ("token", "avg") else repr(model.global_pool),
        "pool_include_prefix": getattr(model, "pool_include_prefix", False) or None,
        "dynamic_img_size": model.dynamic_img_size or None,
        "dynamic_img_pad": embed.dynamic_img_pad or None,
        "pre_norm": None if isinstance(model.norm_pre, nn.Identity) else True,
        "final_norm": False if no_norm else None,
        "num_classes": 0 if isinstance(model.head, nn.Identity) else None,
        "heads that do not add up to the width": _not_dim(
            attention.num_heads, attention.scale, embed.proj.out_channels
        ),
    }
    fields = dict(
        image_size=embed.img_size,
        patch_size=embed.patch_size[0],
        channels=embed.proj.in_channels,
        num_classes=model.num_classes,
        dim=embed.proj.out_channels,
        depth=len(model.blocks),
        num_heads=attention.num_heads,
        mlp_dim=model.blocks[0].mlp.fc1.out_features,
        pool="class" if model.global_pool == "token" else "mean",
        position="none" if model.pos_embed is None else "learned_1d",
        class_token="none" if model.cls_token is None else "first",
        position_class_token=not model.no_embed_class,
        qkv_bias=attention.qkv.bias is not None,
        norm_after_pool=not isinstance(model.fc_norm, nn.Identity),
    )
    return fields, refused | _not_tiles(embed.proj)


def _read_vit_pytorch(model, image_size) -> tuple[dict, dict]:
    if model.cls_token.ndim != 2:
        raise TypeError(
            f"cls_token is {tuple(model.cls_token.shape)}, it is (1, D) from vit-pytorch 1.17 on"
        )
    (cut, _, projection, _), (attention, mlp) = (
        model.to_patch_embedding,
        model.transformer.layers[0],
    )
    patch_size = cut.axes_lengths["p1"], cut.axes_lengths["p2"]
    P, N = patch_size[0], len(model.pos_embedding) - len(model.cls_token)
    if image_size is None and math.isqrt(N) ** 2 != N:
        raise ValueError(
            f"{N} patches of {P}x{P} do not make a square image, and vit-pytorch keeps no size: give image_size=(H, W)"
        )
    H, W = (
        (math.isqrt(N) * P,) * 2
        if image_size is None
        else (image_size,) * 2
        if isinstance(image_size, int)
        else image_size
    )
    if (H // P) * (W // P) != N:
        raise ValueError(
            f"an image of {H}x{W} has {H // P} x {W // P} patches of {P}x{P}, but this vit-pytorch ViT has {N}"
        )
    refused = {
        "patches that are not square tiles": None if patch_size == (P, P) else patch_size,
        "patches cut in another order": None
        if cut.pattern.endswith("-> b (h w) (p1 p2 c)")
        else cut.pattern,
        "heads that do not add up to the width": _not_dim(
            attention.heads, attention.scale, projection.out_features
        ),
        "no projection after attention, as heads = 1 and dim_head = dim": None
        if isinstance(attention.to_out, nn.Sequential)
        else f"to_out is {attention.to_out}",
        "num_classes": 0 if model.mlp_head is None else None,
    }
    fields = dict(
        image_size=(H, W),
        patch_size=P,
        channels=projection.in_features // P**2,
        num_classes=1 if model.mlp_head is None else model.mlp_head.out_features,
        dim=projection.out_features,
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


def _not_tiles(conv: nn.Conv2d) -> dict:
    K, S, padding = conv.kernel_size, conv.stride, conv.padding
    tiles = K == S and K[0] == K[1] and padding == (0, 0)
    return {
        "patches that are not square tiles": None
        if tiles
        else f"kernel {K}, stride {S}, padding {padding}"
    }


def _not_dim(heads: int, scale: float, dim: int) -> str | None:
    width = scale**-2  # they scale by 1 / sqrt(width of a head)
    return (
        None
        if math.isclose(heads * width, dim)
        else f"{heads} heads x {width:g} (dim_head) = {heads * width:g}, width {dim}"
    )


def _check_same(ours: ViTConfig, theirs: ViTConfig, library: str) -> None:
    """Raise ValueError, with both values, where the configurations differ in more than in how weights start."""
    ours, theirs = dataclasses.asdict(ours), dataclasses.asdict(theirs)
    for config in (ours, theirs):
        for start in ("position_std", "position_init", "position_frozen"):
            del config[start]
        config["norm_after_pool"] |= (
            config["pool"] == "class"
        )  # one token is read: both orders are the same
        config["position_class_token"] |= "none" in (
            config["class_token"],
            config["position"],
        )  # there is no such row
    different = [
        f"{name} is {ours[name]!r} here and {theirs[name]!r} there"
        for name in ours
        if ours[name] != theirs[name]
    ]
    if different:
        raise ValueError(f"this {library} ViT cannot hold these weights: {'; '.join(different)}")


def _match(ours: VisionTransformer, model: nn.Module, library: str) -> dict[str, str]:
    """Our names -> theirs, one to one. Raises ValueError, with the feature, for a weight that has no place on the other side."""
    column = 1 + LIBRARIES.index(library)
    outside, inside = ({row[0]: row[column] for row in rows} for rows in (_NAMES, _NAMES_IN_BLOCK))
    if library == "timm" and not isinstance(model.fc_norm, nn.Identity):
        outside["norm"] = "fc_norm"
    names, theirs = {}, _weights(model)
    for name in ours.state_dict():
        stem, dot, leaf = name.rpartition(".")
        if block := re.fullmatch(r"encoder\.blocks\.(\d+)\.(.+)", stem):
            stem_there = f"{outside['encoder.blocks.{}'].format(block[1])}.{inside[block[2]]}"
            joint = (
                "_" if stem_there.endswith("in_proj") else "."
            )  # MultiheadAttention calls them in_proj_weight, in_proj_bias
            names[name] = f"{stem_there}{joint}{leaf}"
        else:
            names[name] = outside[name] if name in outside else f"{outside[stem]}.{leaf}"
    left = [name for name in theirs if name not in names.values()]
    if left:
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        _refuse(
            library, _feature(left[0]), f"weights {left[0]} {tuple(theirs[left[0]].shape)}{more}"
        )
    for name, value in ours.state_dict().items():
        shape = tuple(theirs[names[name]].shape) if names[name] in theirs else "missing"
        if shape == "missing" or math.prod(shape) != value.numel():
            raise ValueError(
                f"{names[name]} is {shape} in this {library} ViT: our {name} is {tuple(value.shape)}"
            )
    return names


def _to_ours(value: torch.Tensor, slot: torch.Tensor) -> torch.Tensor:
    """A copy of their weight in the shape of ours; a convolution's (D, C, P, P) becomes (D, P*P*C), the channel fastest."""
    if value.ndim == 4:
        value = value.permute(0, 2, 3, 1)  # (D, P, P, C)
    return value.clone(memory_format=torch.contiguous_format).reshape(slot.shape)


def _to_theirs(value: torch.Tensor, slot: torch.Tensor) -> torch.Tensor:
    """Our weight in the shape of theirs, the inverse of `_to_ours`."""
    if slot.ndim == 4:
        D, C, P, _ = slot.shape
        return value.reshape(D, P, P, C).permute(0, 3, 1, 2)
    return value.reshape(slot.shape)


def _build(c: ViTConfig, library: str) -> nn.Module:
    """Their ViT as close to `c` as the library's arguments allow; `_check_same` finds what they do not."""
    norm = functools.partial(nn.LayerNorm, eps=c.norm_eps)
    shared = dict(patch_size=c.patch_size, num_classes=c.num_classes, depth=c.depth)
    if library == "torchvision":
        shared["num_layers"] = shared.pop("depth")
        return importlib.import_module("torchvision.models.vision_transformer").VisionTransformer(
            **shared,
            image_size=c.image_size[0],
            hidden_dim=c.dim,
            num_heads=c.num_heads,
            mlp_dim=c.mlp_dim,
            dropout=c.dropout,
            norm_layer=norm,
        )
    if library == "timm":
        return importlib.import_module("timm.models.vision_transformer").VisionTransformer(
            **shared,
            img_size=c.image_size,
            in_chans=c.channels,
            embed_dim=c.dim,
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
            norm_layer=norm,
        )
    theirs = importlib.import_module("vit_pytorch.vit").ViT(
        **shared,
        image_size=c.image_size,
        channels=c.channels,
        dim=c.dim,
        heads=c.num_heads,
        dim_head=c.dim // c.num_heads,
        mlp_dim=c.mlp_dim,
        pool="cls" if c.pool == "class" else "mean",
        dropout=c.dropout,
        emb_dropout=c.dropout,
    )
    for part in theirs.modules():
        if isinstance(part, nn.LayerNorm):
            part.eps = c.norm_eps  # the constructor has no argument for it
    for attention, _ in theirs.transformer.layers:
        attention.dropout.p = 0.0  # nor one that leaves the attention weights alone
    return theirs
