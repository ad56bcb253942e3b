"""check_receptive_field: how many pixels one unit of a stack of convolutions can see."""

import math

import torch

from ..engine.case import Case, choice
from ..engine.check import Check
from ..engine.mistake import Mistake
from .count_parameters import record_count
from .general import general_mistakes


def receptive_field(kernels, strides):
    """The side in pixels: each layer adds (kernel - 1) steps of its own input."""
    side, step = 1, 1  # step: pixels between two neighbours of the layer's input
    for kernel, stride in zip(kernels, strides):
        side += (kernel - 1) * step
        step *= stride
    return side


def layer_cases(generator: torch.Generator) -> list[Case]:
    """One layer and many, strides at the start, at the end and nowhere, kernels of all sizes."""

    def case(about, *layers):
        kernels, strides = zip(*layers)
        return Case(about, {"kernels": kernels, "strides": strides})

    k, s = choice(generator, 3, 5, 7), choice(generator, 2, 3)
    return [
        case("one convolution", (k, 1)),
        case("a patch embedding", (16, 16)),
        case("two convolutions", (3, 1), (3, 1)),
        case("a stride in the first layer", (k, s), (3, 1)),
        case("a stride in the last layer", (3, 1), (5, s)),
        case("three strides", (3, 2), (5, 3), (2, 2)),
        case("strides and pooling", (3, 1), (3, 1), (2, 2), (3, 1), (3, 1), (2, 2), (3, 1)),
        case("the stem of a ResNet", (7, 2), (3, 2), (3, 1), (3, 1)),
        case("1 x 1 convolutions", (1, 1), (k, 2), (1, 1), (3, 1), (1, 2)),
        case("no kernel larger than 1", (1, s), (1, 1)),
    ]


def grown(grow, start=1):
    """side after all layers, for grow(kernel, stride, step before the layer)."""

    def side_of(kernels, strides):
        side, step = start, 1
        for kernel, stride in zip(kernels, strides):
            side += grow(kernel, stride, step)
            step *= stride
        return side

    return side_of


def of_the_layer_before(kernels, strides):
    side, before = 1, 1
    for kernel, stride in zip(kernels, strides):
        side += (kernel - 1) * before
        before = stride
    return side


def added_steps(kernels, strides):
    side, step = 1, 1
    for kernel, stride in zip(kernels, strides):
        side += (kernel - 1) * step
        step += stride - 1
    return side


def summed_strides(kernels, strides):
    side, step = 1, 1
    for kernel, stride in zip(kernels, strides):
        side += (kernel - 1) * step
        step += stride
    return side


MISTAKES = (
    Mistake(
        name="strides_left_out",
        explanation="Your strides have no effect. After a stride of 2, places are 2 pixels apart.",
        hint="The second layer's kernel takes steps in its own input. How many pixels is a step?",
        buggy=grown(lambda kernel, stride, step: kernel - 1),
    ),
    Mistake(
        name="own_stride_counted",
        explanation=(
            "A layer's own stride already widens its own kernel. A convolution of stride 2 reads "
            "direct neighbours; only what comes after it takes larger steps."
        ),
        hint="Which layers does the stride of the last layer concern?",
        # step *= stride before the side grows
        buggy=grown(lambda kernel, stride, step: (kernel - 1) * step * stride),
    ),
    Mistake(
        name="one_stride_only",
        explanation="You use one layer's stride where the strides of all layers before count.",
        hint="After two layers of stride 2, how many pixels lie between two neighbours?",
        # side += (kernel - 1) * stride
        buggy=grown(lambda kernel, stride, step: (kernel - 1) * stride),
        variants=(of_the_layer_before,),
    ),
    Mistake(
        name="strides_added",
        explanation="Your steps add up the strides. Each stride multiplies the step before it.",
        hint="After two layers of stride 3, how many pixels lie between two neighbours?",
        buggy=added_steps,
        variants=(summed_strides,),
    ),
    Mistake(
        name="whole_kernels_added",
        explanation="Each layer adds its whole kernel. One of its places was seen already.",
        hint="Two 3 x 3 convolutions see 5 pixels. What does the second one add?",
        buggy=grown(lambda kernel, stride, step: kernel * step),
        variants=(
            grown(lambda kernel, stride, step: kernel * step, start=0),
            grown(lambda kernel, stride, step: kernel),
            grown(lambda kernel, stride, step: kernel, start=0),
        ),
    ),
    Mistake(
        name="started_at_0",
        explanation="You are one pixel short everywhere: without any layer a unit is one pixel.",
        hint="What is the receptive field of a pixel of the image?",
        buggy=grown(lambda kernel, stride, step: (kernel - 1) * step, start=0),
    ),
    Mistake(
        name="from_the_end",
        explanation=(
            "Your rule and the order of your layers don't fit. There is one rule from the first "
            "layer to the last and another one from the last to the first."
        ),
        hint="Is your number a side in pixels of the image, or in places of the current layer?",
        buggy=lambda kernels, strides: receptive_field(kernels[::-1], strides[::-1]),
    ),
    Mistake(
        name="the_stride_of_all",
        explanation="You return the product of the strides: how far apart two units are.",
        hint="Two 3 x 3 convolutions of stride 1: how many pixels does a unit see?",
        buggy=lambda kernels, strides: math.prod(strides),
    ),
    Mistake(
        name="kernels_multiplied",
        explanation="Your kernels multiply. The windows of neighbours overlap.",
        hint="Draw two 3 x 3 convolutions, one above the other. Is the side 9?",
        buggy=lambda kernels, strides: math.prod(kernels),
    ),
    Mistake(
        name="area",
        explanation="You return the number of pixels. The exercise asks for the side.",
        hint="A 3 x 3 convolution: 3 or 9?",
        buggy=lambda kernels, strides: receptive_field(kernels, strides) ** 2,
    ),
    Mistake(
        name="first_layer_left_out",
        explanation="The first layer is missing.",
        hint="With which layer does your loop start?",
        buggy=lambda kernels, strides: receptive_field(kernels[1:], strides[1:]),
    ),
    Mistake(
        name="last_layer_left_out",
        explanation="The last layer is missing.",
        hint="With which layer does your loop end?",
        buggy=lambda kernels, strides: receptive_field(kernels[:-1], strides[:-1]),
    ),
)


check_receptive_field = Check(
    name="check_receptive_field",
    signature=(
        "fn(kernels, strides) -> a whole number: the side in pixels of what one unit after the "
        "last layer sees; kernels and strides are tuples, one number for each layer"
    ),
    cases=layer_cases,
    reference=receptive_field,
    mistakes=MISTAKES
    + general_mistakes(
        receptive_field, without=("changed_input", "wrong_dtype", "wrong_device", "detached")
    ),
    record=record_count,
)
