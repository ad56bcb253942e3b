"""Inputs that several exercises share."""

import torch

from ..engine.case import Case, ModuleRecipe, choice, numbers
from ..engine.modules import build_module


def random_module(
    kind: str, generator: torch.Generator, dtype=torch.float32, **settings
) -> ModuleRecipe:
    """A recipe with random numbers everywhere, in norms and biases too.

    So a part that is left out or used twice shows in the values.
    """
    built = build_module(kind, {key: value for key, value in settings.items() if key != "training"})
    state = {}
    for name, value in built.state_dict().items():
        drawn = numbers(generator, *value.shape, dtype=torch.float64)
        if name.endswith("weight") and value.ndim == 1:
            drawn = 1 + 0.3 * drawn  # a norm's scale
        elif value.ndim == 2:
            drawn = drawn / value.shape[1] ** 0.5
        state[name] = drawn.to(dtype)
    return ModuleRecipe(kind, settings, state)


def image_cases(generator: torch.Generator, inputs) -> list[Case]:
    """Square and not, batch 1, one channel, odd patch sides, a single patch, float64.

    inputs(images (B, C, H, W), patch side P) -> the inputs of the case.
    """

    def case(about, B, C, H, W, P, dtype=torch.float32, **more):
        return Case(about, inputs(numbers(generator, B, C, H, W, dtype=dtype), P), **more)

    P = choice(generator, 2, 3, 4)
    # Never P, or a side fixed at P would pass; both divide the image, so that it shows in a shape.
    odd = 5 if P == 3 else 3
    return [
        case("square", 2, 3, 2 * P, 2 * P, P),
        case("square, batch of 1", 1, 3, 3 * P, 3 * P, P),
        case("wide", 2, 3, 2 * P, 5 * P, P),
        case("tall, odd patch side", 2, 3, 2 * P * odd, P * odd, odd),
        case("one channel, square", 3, 1, 2 * P, 2 * P, P),
        case("five channels, square", 2, 5, 2 * P, 2 * P, P),
        case("one patch is the whole image", 2, 3, P, P, P),
        case("float64", 2, 3, 2 * P, 3 * P, P, torch.float64),
        case("another device", 2, 3, 2 * P, 2 * P, P, device="meta"),
    ]


def token_cases(generator: torch.Generator, second: str, rows: int | None) -> list[Case]:
    """Tokens (B, N, D) and a tensor (1, rows, D) called `second`; as many rows as tokens for None.

    Sizes that hide a wrong axis are there beside sizes that show it.
    """

    def case(about, B, N, D, dtype=torch.float32, **more):
        tokens = numbers(generator, B, N, D, dtype=dtype)
        return Case(
            about,
            {"tokens": tokens, second: numbers(generator, 1, rows or N, D, dtype=dtype)},
            **more,
        )

    N, D = choice(generator, 4, 5, 6), choice(generator, 7, 8, 9)
    return [
        case("", 2, N, D),
        case("batch of 1", 1, N, D),
        case("as many tokens as entries", 3, 6, 6),
        case("as many images as tokens", 4, 4, D),
        case("more tokens than entries", 2, 9, 4),
        case("one token for each image", 3, 1, D),
        case("float64", 2, N, D, torch.float64),
        case("with gradient", 2, N, D, grad=True),
        case("another device", 2, N, D, device="meta"),
    ]
