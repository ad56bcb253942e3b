"""Checks of patches: cutting, putting together, and the two forms of the projection."""

import torch
from torch import nn

from ..model import patchify, unpatchify
from .case import Case, Module, some
from .check import Check
from .mistakes.convolution import convolve, linear_to_conv_mistakes
from .mistakes.general import general_mistakes
from .mistakes.patches import patchify_mistakes
from .mistakes.pictures import unpatchify_mistakes


def image_sizes(generator: torch.Generator) -> list[tuple]:
    """(about, (B, C, H, W), P, dtype, device): square and not, batch 1, one channel, odd patch sides, one patch, float64."""
    P = some(generator, 2, 3, 4)
    return [
        ("square", (2, 3, 2 * P, 2 * P), P, torch.float32, "cpu"),
        ("square, batch of 1", (1, 3, 3 * P, 3 * P), P, torch.float32, "cpu"),
        ("wide", (2, 3, 2 * P, 5 * P), P, torch.float32, "cpu"),
        ("tall, odd patch side", (2, 3, 12, 6), 3, torch.float32, "cpu"),
        ("one channel, square", (3, 1, 2 * P, 2 * P), P, torch.float32, "cpu"),
        ("five channels, square", (2, 5, 2 * P, 2 * P), P, torch.float32, "cpu"),
        ("one patch is the whole image", (2, 3, P, P), P, torch.float32, "cpu"),
        ("float64", (2, 3, 2 * P, 3 * P), P, torch.float64, "cpu"),
        ("another device", (2, 3, 2 * P, 2 * P), P, torch.float32, "meta"),
    ]


def images(generator: torch.Generator, shape: tuple, dtype: torch.dtype) -> torch.Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def patchify_cases(generator: torch.Generator) -> list[Case]:
    """Images (B, C, H, W) and P."""
    return [
        Case(about, {"images": images(generator, shape, dtype), "patch_size": P}, device=device)
        for about, shape, P, dtype, device in image_sizes(generator)
    ]


def unpatchify_cases(generator: torch.Generator) -> list[Case]:
    """Patches (B, N, P*P*C), P and (H, W)."""
    return [
        Case(
            about,
            {
                "patches": patchify(images(generator, shape, dtype), P),
                "patch_size": P,
                "image_size": shape[2:],
            },
            device=device,
        )
        for about, shape, P, dtype, device in image_sizes(generator)
    ]


def linear_to_conv_cases(generator: torch.Generator) -> list[Case]:
    """Linear layers with and without a bias, one to five channels, a square weight, float64."""

    def case(about, C, P, D, bias, dtype=torch.float32, **more):
        inputs = P * P * C
        state = {
            "weight": torch.randn(D, inputs, generator=generator, dtype=torch.float64).to(dtype)
        }
        if bias:
            state["bias"] = torch.randn(D, generator=generator, dtype=torch.float64).to(dtype)
        linear = Module("Linear", {"in_features": inputs, "out_features": D, "bias": bias}, state)
        return Case(about, {"linear": linear, "patch_size": P, "channels": C}, **more)

    P, D = some(generator, 2, 3, 4), some(generator, 5, 6, 7)
    return [
        case("", 3, P, D, True),
        case("no bias", 3, P, D + 3, False),
        case("one channel", 1, 4, D, True),
        case("five channels, no bias", 5, 2, D, False),
        case("as many outputs as inputs", 3, 2, 12, True),
        case("as many channels as pixels in a row", 3, 3, D, True),
        case("float64", 3, P, D, True, torch.float64),
        case("another device", 3, P, D, True, device="meta"),
    ]


def read_convolution(value, inputs) -> tuple[dict, dict]:
    """An nn.Conv2d, no subclass: its settings, its parameters, and what it makes of an image of 2 x 3 patches."""
    facts = {
        "values": {"the result's type": type(value).__name__},
        "types": {"output": type(value).__name__},
    }
    if type(value) is not nn.Conv2d:
        return {}, facts
    padding = "(0, 0)" if value.padding == "valid" else str(value.padding)
    facts["values"] |= {
        "kernel_size": str(value.kernel_size),
        "stride": str(value.stride),
        "padding": padding,
    }
    facts["values"] |= {
        "dilation": str(value.dilation),
        "groups": str(value.groups),
        "bias": str(value.bias is not None),
    }
    tensors = {"weight": value.weight} | ({} if value.bias is None else {"bias": value.bias})
    P = inputs["patch_size"]
    generator = torch.Generator().manual_seed(1)
    image = torch.randn(
        2, inputs["channels"], 2 * P, 3 * P, generator=generator, dtype=torch.float64
    ).to(value.weight)
    try:
        tensors["output on an image"] = value(image)
    except RuntimeError:  # sizes that do not fit: the kernel's shape tells it better
        pass
    return tensors, facts


def patchify_check() -> Check:
    return Check(
        "check_patchify",
        "fn(images (B, C, H, W), patch_size P) -> patches (B, N, P*P*C), row by row, in each patch row by row, channel fastest",
        patchify_cases,
        patchify,
        patchify_mistakes() + general_mistakes(patchify),
    )


def unpatchify_check() -> Check:
    return Check(
        "check_unpatchify",
        "fn(patches (B, N, P*P*C), patch_size P, (H, W)) -> images (B, C, H, W), the inverse of patchify",
        unpatchify_cases,
        unpatchify,
        unpatchify_mistakes() + general_mistakes(unpatchify),
    )


def linear_to_conv_check() -> Check:
    return Check(
        "check_linear_to_conv",
        "fn(linear, patch_size P, channels C) -> nn.Conv2d that gives for an image what linear gives for its patches; "
        "a bias only if linear has one; on linear's device, in its dtype",
        linear_to_conv_cases,
        convolve,
        linear_to_conv_mistakes(),
        read_convolution,
    )
