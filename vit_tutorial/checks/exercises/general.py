"""Mistakes that any function can make, made here by wrapping the right function."""

from collections.abc import Callable

import torch

from ..engine.mistake import Evidence, Mistake
from ..engine.problem import listed


def general_mistakes(
    reference: Callable, result: int | None = None, without: tuple[str, ...] = ("detached",)
) -> tuple[Mistake, ...]:
    """The general mistakes for one check, each with an implementation made from `reference`.

    result: which entry of a returned tuple is spoiled; None when one tensor is returned.
    without: names that make no sense for this check. "detached" needs cases with grad=True,
        "wrong_device" one with device="meta".
    """

    def spoiled(spoil):
        def buggy(*inputs):
            value = reference(*inputs)
            if result is None:
                return spoil(value)
            return tuple(spoil(part) if i == result else part for i, part in enumerate(value))

        return buggy

    def changing(*inputs):
        # On copies: the value must not be a view of what is written into.
        value = reference(*(x.clone() if isinstance(x, torch.Tensor) else x for x in inputs))
        with torch.no_grad():
            next(x for x in inputs if isinstance(x, torch.Tensor)).add_(1)
        return value

    def not_written(*inputs):
        raise NotImplementedError("write this function")

    def nothing(*inputs):
        reference(*inputs)

    every = (
        Mistake(
            name="not_written",
            explanation="This function is not written yet: it raises NotImplementedError.",
            hint=(
                "Replace the line that raises the error with your own code, run that cell, then "
                "this one."
            ),
            buggy=not_written,
            detect=lambda e: all(
                (actual.error or "").startswith("NotImplementedError") for actual in e.with_values()
            ),
        ),
        Mistake(
            name="nothing_returned",
            explanation="Your function returned None.",
            hint="What does a Python function return when it has no return statement?",
            buggy=nothing,
            detect=lambda e: any(
                kinds(actual) and set(kinds(actual)) == {"NoneType"} for actual in e.with_values()
            ),
        ),
        Mistake(
            name="changed_input",
            explanation=lambda e: (
                f"The values are right, but your function wrote into {first_changed(e)}, which "
                "belongs to the caller."
            ),
            hint=(
                "Which line assigns into a tensor, or ends in an underscore or +=? Who else holds "
                "that tensor?"
            ),
            # x += position inside a forward pass: the caller's tokens change with it
            buggy=changing,
            detect=lambda e: (
                e.all_values_right() and any(actual.facts.get("changed") for actual in e.actual)
            ),
        ),
        Mistake(
            name="wrong_dtype",
            explanation="The values are right, but their dtype is not that of the inputs.",
            hint=(
                "Which tensor did your function create, and with which dtype? The inputs have the "
                "right one."
            ),
            # torch.zeros(...) without dtype, or .float() on the way
            buggy=spoiled(
                lambda x: x.to(torch.float64 if x.dtype == torch.float32 else torch.float32)
            ),
            detect=lambda e: (
                e.all_values_right()
                and any(dtypes(a) != dtypes(b) for a, b in zip(e.actual, e.expected))
            ),
        ),
        Mistake(
            name="wrong_device",
            explanation=(
                "On the CPU everything is right. On another device, your result is not where the "
                "inputs are."
            ),
            hint=(
                "Which tensor did your function create, and on which device? On a GPU the next "
                "line would stop with an error."
            ),
            # torch.zeros(...) or torch.arange(...) without device
            buggy=spoiled(
                lambda x: (
                    torch.zeros(x.shape, dtype=x.dtype, device="cpu")
                    if x.device.type == "meta"
                    else x
                )
            ),
            detect=lambda e: all(e.right(i) for i, case in enumerate(e.cases) if case.has_values),
        ),
        Mistake(
            name="detached",
            explanation=(
                "The values are right, but no gradient flows from the result back to the inputs."
            ),
            hint=(
                "Which call leaves autograd: .data, .detach(), torch.tensor(...), .numpy(), "
                "torch.no_grad()?"
            ),
            # torch.tensor(list of tensors), or .data: training runs, the part before never learns
            buggy=spoiled(lambda x: x.detach()),
            detect=lambda e: (
                e.all_values_right() and any(actual.facts.get("detached") for actual in e.actual)
            ),
        ),
    )
    return tuple(mistake for mistake in every if mistake.name not in without)


def dtypes(observation) -> dict:
    return {name: tensor.dtype for name, tensor in observation.tensors.items()}


def kinds(observation) -> tuple:
    return tuple(observation.facts.get("types", {}).values())


def first_changed(e: Evidence) -> str:
    return next(
        listed(actual.facts["changed"]) for actual in e.actual if actual.facts.get("changed")
    )
