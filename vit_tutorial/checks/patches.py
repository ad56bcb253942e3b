"""Checks of patches: cutting, putting together, and the two forms of the projection."""

import torch

from ..model import patchify
from .case import Case
from .check import Check
from .mistakes.general import general_mistakes
from .mistakes.patches import patchify_mistakes


def some(generator: torch.Generator, *choices):
    """One of the choices."""
    return choices[torch.randint(len(choices), (), generator=generator)]


def patchify_cases(generator: torch.Generator) -> list[Case]:
    """Square and not, batch 1, one channel, odd patch sides, patches of one pixel, float64."""

    def case(about, B, C, H, W, P, dtype=torch.float32, **more):
        return Case(
            about,
            {"images": torch.randn(B, C, H, W, generator=generator, dtype=torch.float64).to(dtype), "patch_size": P},
            **more,
        )

    P = some(generator, 2, 3, 4)
    return [
        case("square", 2, 3, 2 * P, 2 * P, P),
        case("square, batch of 1", 1, 3, 3 * P, 3 * P, P),
        case("wide", 2, 3, 2 * P, 5 * P, P),
        case("tall, odd patch side", 2, 3, 12, 6, 3),
        case("one channel, square", 3, 1, 2 * P, 2 * P, P),
        case("five channels", 2, 5, 3 * P, 2 * P, P),
        case("one patch is the whole image", 2, 3, P, P, P),
        case("float64", 2, 3, 2 * P, 3 * P, P, torch.float64),
        case("another device", 2, 3, 2 * P, 2 * P, P, device="meta"),
    ]


def patchify_check() -> Check:
    return Check(
        "check_patchify",
        "fn(images (B, C, H, W), patch_size P) -> patches (B, N, P*P*C), row by row, in each patch row by row, channel fastest",
        patchify_cases,
        patchify,
        patchify_mistakes() + general_mistakes(patchify),
    )
