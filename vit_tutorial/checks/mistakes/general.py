"""Mistakes that any function can make, whatever it computes. Each is made here by wrapping the right function."""

from collections.abc import Callable

import torch

from ..check import Evidence, Mistake


def general_mistakes(
    reference: Callable, result: int | None = None, without: tuple[str, ...] = ("detached",)
) -> tuple[Mistake, ...]:
    """The general mistakes for one check, each with an implementation made from `reference`.

    result: which entry of a returned tuple is spoiled; None when one tensor is returned. without: names that make no sense for
    this check ("detached" needs cases with grad=True, "wrong_device" one with device="meta").
    """

    def spoiled(spoil):
        def wrong(*inputs):
            value = reference(*inputs)
            if result is None:
                return spoil(value)
            return tuple(spoil(part) if i == result else part for i, part in enumerate(value))

        return wrong

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
            "not_written",
            "This function is not written yet: it raises NotImplementedError.",
            "Replace the line that raises by your own code, run that cell, then this one.",
            "the student copy, as it is handed out",
            not_written,
            lambda e: all(
                (seen.error or "").startswith("NotImplementedError") for seen in on_values(e)
            ),
        ),
        Mistake(
            "nothing_returned",
            "Your function returned None.",
            "What does a Python function give back when it has no return statement?",
            "first drafts everywhere",
            nothing,
            lambda e: any(
                kinds(seen) and set(kinds(seen)) == {"NoneType"} for seen in on_values(e)
            ),
        ),
        Mistake(
            "changed_input",
            lambda e: (
                f"The values are right, but your function wrote into {first_changed(e)}, which belongs to the caller."
            ),
            "Which line assigns into a tensor, or ends in an underscore or +=? Who else holds that tensor?",
            "x += position inside a forward pass: the caller's tokens change with it",
            changing,
            lambda e: values_all_right(e) and any(seen.facts.get("changed") for seen in e.seen),
        ),
        Mistake(
            "wrong_dtype",
            "The values are right, but not of the inputs' dtype.",
            "Which tensor did your function make itself, and of which dtype? The inputs carry the one that is wanted.",
            "torch.zeros(...) without dtype; .float() on the way: mixed precision and float64 tests meet it",
            spoiled(lambda x: x.to(torch.float64 if x.dtype == torch.float32 else torch.float32)),
            lambda e: (
                values_all_right(e)
                and any(dtypes(a) != dtypes(b) for a, b in zip(e.seen, e.wanted))
            ),
        ),
        Mistake(
            "wrong_device",
            "On the CPU all is right. On another device, your result does not lie where the inputs lie.",
            "Which tensor did your function make itself, and on which device? On a GPU the next line would stop with an error.",
            "torch.zeros(...) or torch.arange(...) without device, met at the first run on a GPU",
            spoiled(
                lambda x: (
                    torch.zeros(x.shape, dtype=x.dtype, device="cpu")
                    if x.device.type == "meta"
                    else x
                )
            ),
            lambda e: all(e.right(i) for i, case in enumerate(e.cases) if case.device != "meta"),
        ),
        Mistake(
            "detached",
            "The values are right, but no gradient flows from the result back to the inputs.",
            "Which call leaves autograd: .data, .detach(), torch.tensor(...), .numpy(), torch.no_grad()?",
            "torch.tensor(list of tensors) and .data: training runs, and the part before never learns",
            spoiled(lambda x: x.detach()),
            lambda e: values_all_right(e) and any(seen.facts.get("detached") for seen in e.seen),
        ),
    )
    return tuple(mistake for mistake in every if mistake.name not in without)


def on_values(e: Evidence) -> list:
    """The observations of the cases that ask for values (the stand-in for a GPU asks for none)."""
    return [seen for case, seen in zip(e.cases, e.seen) if case.device != "meta"]


def values_all_right(e: Evidence) -> bool:
    return all(e.values_right(i) for i, case in enumerate(e.cases) if case.device != "meta")


def dtypes(observation) -> dict:
    return {name: tensor.dtype for name, tensor in observation.tensors.items()}


def kinds(observation) -> tuple:
    return tuple(observation.facts.get("types", {}).values())


def first_changed(e: Evidence) -> str:
    return next(" and ".join(seen.facts["changed"]) for seen in e.seen if seen.facts.get("changed"))
