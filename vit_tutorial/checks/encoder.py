"""Checks of the encoder block, and of the whole way from images to logits."""

import torch

from .case import Case, Module, some
from .check import Check
from .mistakes.encoder import block, encoder_block_mistakes
from .mistakes.forward import vit_forward, vit_forward_mistakes
from .mistakes.general import general_mistakes
from .modules import build_module


def module(kind: str, generator: torch.Generator, dtype=torch.float32, **settings) -> Module:
    """A recipe whose every number is random, norms and biases too: a part that is left out or used twice shows in the values."""
    built = build_module(kind, {key: value for key, value in settings.items() if key != "training"})
    state = {}
    for name, value in built.state_dict().items():
        numbers = torch.randn(value.shape, generator=generator, dtype=torch.float64)
        if name.endswith("weight") and value.ndim == 1:
            numbers = 1 + 0.3 * numbers  # a norm's scale
        elif value.ndim == 2:
            numbers = numbers / value.shape[1] ** 0.5
        state[name] = numbers.to(dtype)
    return Module(kind, settings, state)


def block_cases(generator: torch.Generator) -> list[Case]:
    """Several sizes, batch 1, one token, float64, with gradients; the norms differ from each other."""

    def case(about, B, T, D, h, dtype=torch.float32, **more):
        inputs = {
            "x": (2 * torch.randn(B, T, D, generator=generator, dtype=torch.float64) + 0.5).to(
                dtype
            ),
            "norm1": module("LayerNorm", generator, dtype, normalized_shape=D),
            "attention": module("MultiHeadSelfAttention", generator, dtype, dim=D, num_heads=h),
            "norm2": module("LayerNorm", generator, dtype, normalized_shape=D),
            "mlp": module("MLP", generator, dtype, dim=D, mlp_dim=2 * D),
        }
        return Case(about, inputs, **more)

    T = some(generator, 5, 6, 7)
    return [
        case("", 2, T, 12, 3),
        case("batch of 1", 1, T, 8, 2),
        case("one token", 3, 1, 12, 2),
        case("as many tokens as entries", 2, 8, 8, 1),
        case("float64", 2, T, 12, 3, torch.float64),
        case("with gradient", 2, T, 8, 2, grad=True),
        case("another device", 2, T, 8, 2, device="meta"),
    ]


def encoder_block_check() -> Check:
    return Check(
        "check_encoder_block",
        "fn(x (B, T, D), norm1, attention, norm2, mlp) -> (B, T, D): z = attention(norm1(x)) + x, then mlp(norm2(z)) + z",
        block_cases,
        block,
        encoder_block_mistakes() + general_mistakes(block, without=()),
    )


def forward_cases(generator: torch.Generator) -> list[Case]:
    """Square and not, batch 1, several patch sides and depths, dropout in the configuration, float64."""

    def case(about, B, size, P, dtype=torch.float32, device="cpu", **changes):
        settings = {
            "image_size": size,
            "patch_size": P,
            "dim": 12,
            "depth": 2,
            "num_heads": 2,
            "mlp_dim": 16,
            "num_classes": 5,
        }
        model = module("VisionTransformer", generator, dtype, **settings | changes)
        images = torch.randn(B, 3, *size, generator=generator, dtype=torch.float64).to(dtype)
        return Case(about, {"images": images, "model": model}, device=device)

    P = some(generator, 2, 4)
    return [
        case("", 2, (2 * P, 2 * P), P),
        case("wide", 2, (P, 3 * P), P),
        case("batch of 1", 1, (3 * P, 2 * P), P),
        case("batch larger than the number of tokens", 7, (4, 4), 4, depth=1),
        case(
            "dropout 0.5 in the configuration, evaluation mode", 2, (2 * P, 2 * P), P, dropout=0.5
        ),
        case("float64", 2, (2 * P, P), P, torch.float64),
        case("another device", 2, (2 * P, 2 * P), P, device="meta"),
    ]


def vit_forward_check() -> Check:
    return Check(
        "check_vit_forward",
        "fn(images (B, C, H, W), model) -> logits (B, classes), from the model's parts: patch_embedding, class_token (first), "
        "position, dropout, encoder, norm, head",
        forward_cases,
        vit_forward,
        vit_forward_mistakes() + general_mistakes(vit_forward),
    )
