"""Checks of attention: one head spelled out, and many heads from joined weights."""

import torch

from ..model import attention
from .case import Case, some
from .check import Check
from .mistakes.attention import attention_mistakes
from .mistakes.general import general_mistakes
from .mistakes.heads import multi_head, multi_head_mistakes
from .observe import read_named

PARTS = ("output", "weights")


def read_pair(value, inputs) -> tuple[dict, dict]:
    """(output, weights), a tuple or a list of two tensors."""
    if type(value) in (tuple, list) and len(value) == 2:
        return read_named(PARTS, tuple(value))
    return read_named(PARTS, (value,))


def attention_cases(generator: torch.Generator) -> list[Case]:
    """More tokens than entries, fewer, as many; one head, one token, batch 1; large scores; float64; gradients."""

    def case(about, B, h, T, d, dtype=torch.float32, scale=1.0, **more):
        def numbers():
            return (scale * torch.randn(B, h, T, d, generator=generator, dtype=torch.float64)).to(
                dtype
            )

        return Case(about, {"q": numbers(), "k": numbers(), "v": numbers()}, **more)

    T, d = some(generator, 5, 6, 7), some(generator, 8, 9)
    return [
        case("", 2, 3, T, d),
        case("batch of 1, one head", 1, 1, T, d),
        case("as many tokens as entries", 2, 3, 4, 4),
        case("as many heads as tokens", 2, 5, 5, 3),
        case("one token", 2, 2, 1, 4),
        case("large scores", 1, 2, T, d, scale=12.0),
        case("float64", 2, 2, T, d, torch.float64),
        case("with gradient", 1, 2, T, d, grad=True),
        case("another device", 2, 2, T, d, device="meta"),
    ]


def attention_check() -> Check:
    return Check(
        "check_attention",
        "fn(q, k, v), each (B, h, T, d) -> (output (B, h, T, d), weights (B, h, T, T)), each row of weights adds to 1",
        attention_cases,
        attention,
        attention_mistakes() + general_mistakes(attention, result=0, without=()),
        read_pair,
    )


def multi_head_cases(generator: torch.Generator) -> list[Case]:
    """As many tokens as entries or heads (where a wrong axis goes unseen), one head, heads of one entry, odd sizes, batch 1."""

    def case(about, B, T, D, h, dtype=torch.float32, **more):
        def numbers(*shape):
            return torch.randn(shape, generator=generator, dtype=torch.float64)

        inputs = {
            "x": numbers(B, T, D),
            "w_qkv": numbers(3 * D, D) / D**0.5,
            "b_qkv": numbers(3 * D),
            "w_out": numbers(D, D) / D**0.5,
            "b_out": numbers(D),
        }
        return Case(
            about,
            {name: value.to(dtype) for name, value in inputs.items()} | {"num_heads": h},
            **more,
        )

    T, h = some(generator, 5, 7), some(generator, 2, 3)
    return [
        case("", 2, T, 4 * h, h),
        case("one head", 2, T, 6, 1),
        case("batch of 1", 1, T, 4 * h, h),
        case("as many tokens as entries", 2, 6, 6, 2),
        case("as many tokens as heads", 2, 4, 12, 4),
        case("heads of one entry", 2, T, 4, 4),
        case("one token", 3, 1, 4 * h, h),
        case("float64", 2, T, 4 * h, h, torch.float64),
        case("with gradient", 1, T, 4 * h, h, grad=True),
        case("another device", 2, T, 4 * h, h, device="meta"),
    ]


def multi_head_check() -> Check:
    return Check(
        "check_multi_head",
        "fn(x (B, T, D), w_qkv (3D, D), b_qkv (3D), w_out (D, D), b_out (D), num_heads h) -> (B, T, D); the rows of w_qkv: "
        "all queries, all keys, all values, each in head order",
        multi_head_cases,
        multi_head,
        multi_head_mistakes() + general_mistakes(multi_head, without=()),
    )
