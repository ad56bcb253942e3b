"""Checks of what happens to the tokens before the encoder: the class token is joined, the position is added."""

import torch

from .case import Case, some
from .check import Check
from .mistakes.general import general_mistakes
from .mistakes.tokens import add_position_mistakes, prepend_class_token_mistakes


def prepend(tokens: torch.Tensor, class_token: torch.Tensor) -> torch.Tensor:
    """(B, N, D) and (1, 1, D) -> (B, N+1, D)."""
    return torch.cat([class_token.expand(len(tokens), -1, -1), tokens], dim=1)


def add(tokens: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
    """(B, T, D) and (1, T, D) -> (B, T, D)."""
    return tokens + position


def token_cases(generator: torch.Generator, second: str, rows: int | None) -> list[Case]:
    """Tokens (B, N, D) and a second tensor (1, rows, D), as many rows as tokens where rows is None."""

    def case(about, B, N, D, dtype=torch.float32, **more):
        def numbers(*shape):
            return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

        return Case(about, {"tokens": numbers(B, N, D), second: numbers(1, rows or N, D)}, **more)

    N, D = some(generator, 4, 5, 6), some(generator, 7, 8, 9)
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


def prepend_class_token_check() -> Check:
    return Check(
        "check_prepend_class_token",
        "fn(tokens (B, N, D), class_token (1, 1, D)) -> (B, N+1, D), the one token in front, the same for each image",
        lambda generator: token_cases(generator, "class_token", 1),
        prepend,
        prepend_class_token_mistakes() + general_mistakes(prepend, without=()),
    )


def add_position_check() -> Check:
    return Check(
        "check_add_position",
        "fn(tokens (B, T, D), position (1, T, D)) -> (B, T, D), each token with its own row, the same rows for each image",
        lambda generator: token_cases(generator, "position", None),
        add,
        add_position_mistakes() + general_mistakes(add, without=()),
    )
