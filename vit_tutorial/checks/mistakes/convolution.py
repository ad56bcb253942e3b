"""Known mistakes in writing the linear layer of the patches as a convolution."""

import dataclasses
from collections.abc import Callable

import torch
from torch import nn

from ..check import Evidence, Mistake
from .general import general_mistakes, on_values


def convolve(linear, P, C, kernel=None, settings=None, bias=None) -> nn.Conv2d:
    """The right convolution; each argument spoils one part of it.

    kernel(weight (D, P, P, C)) -> (D, C, P, P); settings: of nn.Conv2d; bias: "none", "fresh" (not copied), "always" (demanded).
    """
    kernel = kernel or (lambda weight: weight.permute(0, 3, 1, 2))
    has_bias = bias != "none" and (linear.bias is not None or bias == "always")
    made = {
        "kernel_size": P,
        "stride": P,
        "bias": has_bias,
        "device": linear.weight.device,
        "dtype": linear.weight.dtype,
    }
    convolution = nn.Conv2d(C, linear.out_features, **made | (settings or {}))
    with torch.no_grad():
        convolution.weight.copy_(kernel(linear.weight.reshape(-1, P, P, C)))
        if has_bias and bias != "fresh":
            convolution.bias.copy_(linear.bias)
    return convolution


def linear_to_conv_mistakes() -> tuple[Mistake, ...]:
    """For fn(linear, patch_size, channels) -> nn.Conv2d, the general ones included."""
    return (
        *general_of_modules(),
        Mistake(
            "written_without_no_grad",
            "You wrote into a parameter while gradients are recorded, and PyTorch refuses that.",
            "Setting numbers by hand is nothing to learn from. How do you tell PyTorch to look away for these lines?",
            "conv.weight.copy_(...) as it stands in a notebook that has switched gradients off for all cells",
            written_with_gradients,
            lambda e: any(
                "a leaf Variable that requires grad" in (seen.error or "") for seen in e.seen
            ),
        ),
        Mistake(
            "not_a_convolution",
            lambda e: (
                f"Your function returned: {kind(e.seen[e.first_wrong()])}. Asked for is the layer itself, an nn.Conv2d."
            ),
            "Make the layer, put the numbers into it, and return it. What did you return?",
            "first drafts: the result on an image, a Sequential with the flattening behind it, or the bare kernel",
            lambda linear, P, C: nn.Sequential(convolve(linear, P, C), nn.Flatten(2)),
            lambda e: all(kind(seen) not in ("NoneType", "Conv2d", "") for seen in on_values(e)),
        ),
        Mistake(
            "stride_forgotten",
            "The stride is 1: the kernel moves on pixel by pixel, and the patches overlap.",
            "Where must the kernel stand next, once it has seen the first patch?",
            "the default of nn.Conv2d",
            lambda linear, P, C: convolve(linear, P, C, settings={"stride": 1}),
            lambda e: (
                only_wrong(e, "stride")
                and all(facts(seen)["stride"] == "(1, 1)" for seen in on_values(e))
            ),
        ),
        Mistake(
            "padded",
            "The convolution pads the image with zeros, so its first window does not cover the first patch.",
            "Does the linear layer ever see a number from outside the image?",
            "padding='same' or padding=1, copied from convolutional networks",
            lambda linear, P, C: convolve(linear, P, C, settings={"padding": P // 2}),
            lambda e: only_wrong(e, "padding"),
        ),
        Mistake(
            "channel_first",
            "The kernel holds the linear layer's numbers, but in the order in which they lie. "
            "A column of linear.weight stands for (row, column, channel) of a patch; the kernel wants the channel first.",
            "Give the columns three axes first. Which axes have they, in which order, and which order does a kernel have?",
            "weight.reshape(D, C, P, P), which is right only where patches are flattened channel by channel, as in source 001",
            lambda linear, P, C: convolve(
                linear, P, C, kernel=lambda w: w.reshape(len(w), C, P, P)
            ),
        ),
        Mistake(
            "kernel_transposed",
            "In each kernel, rows and columns are exchanged.",
            "Of the two axes of length P, which one is the row? It stays in front of the column.",
            "first drafts: permute(0, 3, 2, 1), which turns the order round",
            lambda linear, P, C: convolve(linear, P, C, kernel=lambda w: w.permute(0, 3, 2, 1)),
        ),
        Mistake(
            "kernel_flipped",
            "Each kernel is upside down and mirrored, as a convolution in mathematics has it.",
            "Does nn.Conv2d flip its kernel? Its documentation names the operation that it computes.",
            "signal processing, where a convolution flips; PyTorch's is a cross-correlation",
            lambda linear, P, C: convolve(
                linear, P, C, kernel=lambda w: w.permute(0, 3, 1, 2).flip(2, 3)
            ),
        ),
        Mistake(
            "weight_read_as_in_out",
            "Your code reads linear.weight as (inputs, outputs). PyTorch keeps it as (outputs, inputs).",
            "Print linear.weight.shape: which of its two numbers is the width D?",
            "Keras and JAX keep a dense layer's kernel as (inputs, outputs)",
            lambda linear, P, C: convolve(
                linear, P, C, kernel=lambda w: w.reshape(P, P, C, -1).permute(3, 2, 0, 1)
            ),
        ),
        Mistake(
            "fresh_weights",
            "The layer has the right sizes, but still the random numbers that PyTorch gave it when it was made. "
            "None of the linear layer's weights is in it.",
            "After making the layer: which line puts the linear layer's numbers in?",
            "first drafts; a copy into a temporary tensor, as conv.weight.data.reshape(...).copy_(...) can be, does it too",
            lambda linear, P, C: nn.Conv2d(
                C, linear.out_features, P, P, bias=linear.bias is not None
            ),
            fresh_weights,
        ),
        Mistake(
            "bias_dropped",
            "The kernel is right, but the linear layer's bias is lost.",
            "A linear layer computes x Wᵀ + b. Which part of it is not in your convolution?",
            "first drafts; many patch embeddings are written with bias=False",
            lambda linear, P, C: convolve(linear, P, C, bias="none"),
        ),
        Mistake(
            "fresh_bias",
            "The kernel is right. The bias is not the linear layer's: it still holds what PyTorch drew when the layer was made.",
            "A layer has two parameters. How many did you copy?",
            "first drafts: only the weight is copied",
            lambda linear, P, C: convolve(linear, P, C, bias="fresh"),
            fresh_bias,
        ),
        Mistake(
            "bias_always_expected",
            "With a bias all is right. This linear layer has none: linear.bias is None.",
            "What should the convolution have when the linear layer was made with bias=False?",
            "nn.Conv2d makes a bias unless told not to",
            lambda linear, P, C: convolve(linear, P, C, bias="always"),
            lambda e: e.wrong_exactly_where(lambda case: "bias" not in case.inputs["linear"].state),
        ),
        Mistake(
            "three_channels_assumed",
            lambda e: (
                f"With 3 channels all is right, else not: here channels is {e.cases[e.first_wrong()].inputs['channels']}."
            ),
            "Where is a 3 written in your code? Your function gets that number.",
            "nn.Conv2d(3, D, ...), copied from a model for colour images",
            lambda linear, P, C: convolve(linear, P, 3),
            lambda e: e.wrong_exactly_where(lambda case: case.inputs["channels"] != 3),
        ),
    )


def general_of_modules() -> list[Mistake]:
    """The general mistakes, made on a layer instead of a tensor."""

    def changing(linear, P, C):
        convolution = convolve(linear, P, C)
        linear.weight.data = linear.weight.data.reshape(-1, P, P, C).permute(0, 3, 1, 2)
        return convolution

    wrong = {
        "changed_input": changing,
        "wrong_dtype": lambda linear, P, C: convolve(
            linear, P, C, settings={"dtype": torch.float32}
        ),
        "wrong_device": on_the_cpu,
    }
    general = general_mistakes(convolve)
    return [
        dataclasses.replace(mistake, wrong=wrong.get(mistake.name, mistake.wrong))
        for mistake in general
    ]


def on_the_cpu(linear, P, C) -> nn.Conv2d:
    if linear.weight.is_meta:
        return nn.Conv2d(C, linear.out_features, P, P, bias=linear.bias is not None, device="cpu")
    return convolve(linear, P, C)


def facts(seen) -> dict:
    return seen.facts.get("values") or {}


def kind(seen) -> str:
    """The type of what came back; an empty string where there was an error."""
    return str(facts(seen).get("the result's type", ""))


def pairs(e: Evidence) -> list:
    return [
        (case, seen, wanted)
        for case, seen, wanted in zip(e.cases, e.seen, e.wanted)
        if case.device != "meta"
    ]


def near(one: torch.Tensor | None, two: torch.Tensor) -> bool:
    return (
        one is not None
        and one.shape == two.shape
        and torch.allclose(one.double(), two.double(), rtol=1e-3, atol=1e-4)
    )


def each(e: Evidence, condition: Callable) -> bool:
    return all(not seen.error and condition(case, seen, wanted) for case, seen, wanted in pairs(e))


def only_wrong(e: Evidence, name: str) -> bool:
    """In every case the kernel and all settings are right, but this one."""

    def so(case, seen, wanted):
        mine, right = facts(seen), facts(wanted)
        return [key for key in right if mine.get(key) != right[key]] == [name] and near(
            seen.tensors.get("weight"), wanted.tensors["weight"]
        )

    return each(e, so)


def drawn(tensor: torch.Tensor | None, case) -> bool:
    """As PyTorch draws the numbers of a new layer: within 1 / sqrt(inputs of a kernel). Those of the cases are larger."""
    bound = case.inputs["linear"].state["weight"].shape[1] ** -0.5
    return tensor is not None and 0 < float(tensor.abs().max()) <= bound * 1.001


def fresh_weights(e: Evidence) -> bool:
    return each(
        e,
        lambda case, seen, wanted: (
            facts(seen) == facts(wanted) and drawn(seen.tensors.get("weight"), case)
        ),
    )


def fresh_bias(e: Evidence) -> bool:
    def so(case, seen, wanted):
        if facts(seen) != facts(wanted) or not near(
            seen.tensors.get("weight"), wanted.tensors["weight"]
        ):
            return False
        return "bias" not in wanted.tensors or drawn(seen.tensors.get("bias"), case)

    return each(e, so)


def written_with_gradients(linear, patch_size, channels):
    conv = torch.nn.Conv2d(
        channels, linear.out_features, patch_size, patch_size, bias=linear.bias is not None
    )
    conv.weight.copy_(
        linear.weight.reshape(-1, patch_size, patch_size, channels).permute(0, 3, 1, 2)
    )
    return conv
