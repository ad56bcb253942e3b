"""Small ViTs of every kind, with random weights, and how to check a recording of each by value."""

import dataclasses
from collections.abc import Callable

from torch import Tensor, nn

from vit_tutorial import interop
from vit_tutorial.model import VisionTransformer, ViTConfig
from vit_tutorial.model.plain_vit import PlainViT


@dataclasses.dataclass(frozen=True)
class Kind:
    make: Callable[[], nn.Module]
    layout: tuple  # (grid, prefix, suffix, class token)
    # (attention module, what the joined heads (B, T, h d) give) -> its output (B, T, D)
    project: Callable[[nn.Module, Tensor], Tensor]
    size: tuple[int, int] = (32, 32)


def ours(**changes):
    size = dict(dim=48, depth=3, num_heads=3, num_classes=5)
    return lambda: VisionTransformer(ViTConfig(**size | changes))


def timm(name, **changes):
    def make():
        import timm as library

        small = dict(img_size=32, depth=3, num_classes=5)
        return library.create_model(name, **small | changes)

    return make


def vit_pytorch(module, kind, **changes):
    def make():
        import importlib

        small = dict(image_size=32, patch_size=8, num_classes=5, dim=32, depth=3, heads=2)
        small |= dict(mlp_dim=64, dim_head=16)
        library = importlib.import_module(f"vit_pytorch.{module}")
        return getattr(library, kind)(**small | changes)

    return make


def torchvision(**changes):
    def make():
        from torchvision.models.vision_transformer import VisionTransformer as Theirs

        small = dict(image_size=32, patch_size=8, num_layers=3, num_heads=2, hidden_dim=32)
        model = Theirs(**small | dict(mlp_dim=64, num_classes=5) | changes)
        nn.init.normal_(model.heads.head.weight, std=0.02)  # theirs starts at 0: no gradient
        return model

    return make


class TorchEncoder(nn.Module):
    """What many write by themselves: torch's own encoder between a patch layer and a head."""

    def __init__(self, norm_first: bool):
        super().__init__()
        self.cut = nn.Conv2d(3, 32, 8, 8)
        layer = nn.TransformerEncoderLayer(32, 2, 64, batch_first=True, norm_first=norm_first)
        self.encoder = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.head = nn.Linear(32, 5)

    def forward(self, images):
        return self.head(self.encoder(self.cut(images).flatten(2).mT).mean(dim=1))


def timm_projection(attention, joined):
    if getattr(attention, "norm", None) is not None:
        joined = attention.norm(joined)
    return attention.proj(joined)


own_projection = lambda attention, joined: attention.projection(joined)
mha_projection = lambda attention, joined: attention.out_proj(joined)
out_projection = lambda attention, joined: attention.to_out(joined)

FIRST, NONE = (1, 0, 0), (0, 0, None)
KINDS = {
    "ours": Kind(ours(), ((8, 8), *FIRST), own_projection),
    "ours, last": Kind(ours(class_token="last"), ((8, 8), 0, 1, 64), own_projection),
    "ours, mean": Kind(ours(pool="mean"), ((8, 8), *NONE), own_projection),
    "ours, mean with a class token": Kind(
        ours(pool="mean", class_token="first"), ((8, 8), *FIRST), own_projection
    ),
    "ours, rotary": Kind(ours(position="rotary"), ((8, 8), *FIRST), own_projection),
    "ours, relative": Kind(ours(position="relative"), ((8, 8), *FIRST), own_projection),
    "ours, every layer": Kind(ours(position_site="every_layer"), ((8, 8), *FIRST), own_projection),
    "ours, wide": Kind(ours(image_size=(16, 32)), ((4, 8), *FIRST), own_projection, (16, 32)),
    "plain_vit": Kind(
        lambda: PlainViT(32, 8, D=32, L=3, h=2, M=64, K=5), ((4, 4), *FIRST), own_projection
    ),
    "timm": Kind(timm("vit_tiny_patch16_224"), ((2, 2), *FIRST), timm_projection),
    "timm, registers": Kind(
        timm("vit_small_patch14_reg4_dinov2", patch_size=8), ((4, 4), 5, 0, 0), timm_projection
    ),
    "timm, distilled": Kind(
        timm("deit_tiny_distilled_patch16_224", patch_size=8), ((4, 4), 2, 0, 0), timm_projection
    ),
    "timm, no class token": Kind(
        timm("vit_medium_patch16_gap_256", patch_size=8), ((4, 4), *NONE), timm_projection
    ),
    "timm, registers without a class token": Kind(
        timm("vit_little_patch16_reg1_gap_256", patch_size=8), ((4, 4), 1, 0, None), timm_projection
    ),
    "timm, dynamic size": Kind(
        timm("vit_tiny_patch16_224", patch_size=8, dynamic_img_size=True),
        ((3, 6), *FIRST),
        timm_projection,
        (24, 48),
    ),
    "timm, eva": Kind(
        timm("eva02_tiny_patch14_224", patch_size=8), ((4, 4), *FIRST), timm_projection
    ),
    "timm, rope": Kind(
        timm("vit_small_patch16_rope_224", patch_size=8), ((4, 4), *FIRST), timm_projection
    ),
    "timm, dinov3": Kind(
        timm("vit_small_patch16_dinov3", patch_size=8), ((4, 4), 5, 0, 0), timm_projection
    ),
    "timm, beit": Kind(
        timm("beit_base_patch16_224", patch_size=8, embed_dim=48, num_heads=3),
        ((4, 4), *FIRST),
        timm_projection,
    ),
    "timm, relative": Kind(
        timm("vit_relpos_small_patch16_224", patch_size=8), ((4, 4), *NONE), timm_projection
    ),
    "timm, siglip": Kind(
        timm("vit_base_patch16_siglip_224", patch_size=8, embed_dim=48, num_heads=3),
        ((4, 4), *NONE),
        timm_projection,
    ),
    "torchvision": Kind(torchvision(), ((4, 4), *FIRST), mha_projection),
    "torchvision, odd heads": Kind(
        torchvision(num_heads=3, hidden_dim=48), ((4, 4), *FIRST), mha_projection
    ),
    "vit-pytorch": Kind(vit_pytorch("vit", "ViT"), ((4, 4), *FIRST), out_projection),
    "vit-pytorch, mean": Kind(
        vit_pytorch("vit", "ViT", pool="mean"), ((4, 4), *NONE), out_projection
    ),
    "vit-pytorch, simple": Kind(
        vit_pytorch("simple_vit", "SimpleViT"), ((4, 4), *NONE), out_projection
    ),
    "vit-pytorch, registers": Kind(
        vit_pytorch("simple_vit_with_register_tokens", "SimpleViT"),
        ((4, 4), 0, 4, None),
        out_projection,
    ),
    "from timm": Kind(
        lambda: interop.load_from(timm("vit_tiny_patch16_224", patch_size=8)()),
        ((4, 4), *FIRST),
        own_projection,
    ),
    "torch's encoder": Kind(lambda: TorchEncoder(True), ((4, 4), *NONE), mha_projection),
    "torch's encoder, post-norm": Kind(
        lambda: TorchEncoder(False), ((4, 4), *NONE), mha_projection
    ),
}
