"""check_linear_to_conv: write the linear layer of the patches as a convolution."""

import dataclasses
from collections.abc import Callable

import torch
from torch import nn

from ..engine.address import reading, sources
from ..engine.case import Case, ModuleRecipe, Observation, choice, numbers
from ..engine.check import Check
from ..engine.mistake import Evidence, Mistake
from .general import general_mistakes


def convolve(linear, P, C, kernel=None, settings=None, bias=None) -> nn.Conv2d:
    """The right convolution; each of the last three arguments spoils one part of it.

    kernel: (D, P, P, C) -> (D, C, P, P), the order of the weights.
    settings: of nn.Conv2d, in place of the right ones.
    bias: "none", "fresh" (made and not copied) or "always" (also where linear has none).
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


def linear_to_conv_cases(generator: torch.Generator) -> list[Case]:
    """Linear layers with and without a bias, one to five channels, a square weight, float64."""

    def case(about, C, P, D, bias, dtype=torch.float32, **more):
        inputs = P * P * C
        state = {"weight": numbers(generator, D, inputs, dtype=dtype)}
        if bias:
            state["bias"] = numbers(generator, D, dtype=dtype)
        settings = {"in_features": inputs, "out_features": D, "bias": bias}
        linear = ModuleRecipe("Linear", settings, state)
        return Case(about, {"linear": linear, "patch_size": P, "channels": C}, **more)

    P, D = choice(generator, 2, 3, 4), choice(generator, 5, 6, 7)
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


def record_convolution(value, inputs) -> tuple[dict, dict]:
    """The settings and parameters of an nn.Conv2d, and what it makes of an image of 2 x 3 patches.

    Of a subclass only the type: it could answer anything.
    """
    kind = type(value).__name__
    facts = {"values": {"the result's type": kind}, "types": {"output": kind}}
    if type(value) is not nn.Conv2d:
        return {}, facts
    # Memory that is shared can be told by its address alone.
    theirs = {tensor.data_ptr() for tensor in inputs["linear"].parameters() if tensor.numel()}
    shares = not value.weight.is_meta and any(p.data_ptr() in theirs for p in value.parameters())
    facts["values"] |= {
        "kernel_size": str(value.kernel_size),
        "stride": str(value.stride),
        "padding": "(0, 0)" if value.padding == "valid" else str(value.padding),
        "dilation": str(value.dilation),
        "groups": str(value.groups),
        "bias": "none" if value.bias is None else "there is one",
        "memory shared with the linear layer": shares,
    }
    tensors = {"weight": value.weight} | ({} if value.bias is None else {"bias": value.bias})
    P = inputs["patch_size"]
    shape = 2, inputs["channels"], 2 * P, 3 * P
    image = numbers(torch.Generator().manual_seed(1), *shape, dtype=torch.float64).to(value.weight)
    try:
        tensors["output on an image"] = value(image)
    except RuntimeError:  # sizes that do not fit: the kernel's shape tells it better
        pass
    return tensors, facts


def address(case: Case, actual: Observation, expected: Observation) -> str:
    """Which columns of linear.weight the first wrong kernel holds."""
    mine, right = actual.tensors.get("weight"), expected.tensors["weight"]
    weight = case.inputs["linear"].state["weight"]
    if mine is None or not mine.numel() or len(mine) != len(right):
        return ""
    of_mine, of_right = sources(mine, weight), sources(right, weight)
    if of_mine is None or of_right is None:
        return ""
    d = 0
    if mine.shape == right.shape:
        wrong = (of_mine != of_right).flatten(1).any(dim=1).nonzero()
        if not len(wrong):
            return ""
        d = int(wrong[0])

    def column(index: int) -> str:
        row, number = divmod(index, weight.shape[1])
        return str(number) if row == d else f"{number} of row {row}"

    read = reading(of_mine[d].flatten().tolist(), of_right[d].flatten().tolist(), column)
    return f"By columns of linear.weight, kernel {d} {read}."


def kernels_rearranged(e: Evidence) -> bool:
    """Each kernel holds the numbers of its own row of linear.weight, in another order."""

    def condition(case, actual, expected):
        mine, right = actual.tensors.get("weight"), expected.tensors["weight"]
        if mine is None or mine.shape != right.shape:
            return False
        one, two = (x.double().flatten(1).sort(dim=1).values for x in (mine, right))
        return torch.allclose(one, two)

    return in_every_case(e, condition) and not in_every_case(
        e, lambda case, actual, expected: near(actual.tensors["weight"], expected.tensors["weight"])
    )


def sharing(linear, P, C) -> nn.Conv2d:
    convolution = convolve(linear, P, C)
    convolution.weight = nn.Parameter(linear.weight.reshape(-1, P, P, C).permute(0, 3, 1, 2))
    if linear.bias is not None:
        convolution.bias = linear.bias
    return convolution


def shape_of_weight(e: Evidence) -> tuple:
    return tuple(e.observation.tensors["weight"].shape)


def exchanged(linear, P, C) -> nn.Conv2d:
    return nn.Conv2d(
        linear.out_features, C, P, P, bias=linear.bias is not None, device=linear.weight.device
    )


def sides_exchanged(e: Evidence) -> bool:
    """The kernel counts channels first and outputs second, in each case."""
    pairs = [
        (mine.tensors.get("weight"), right.tensors["weight"]) for _, mine, right in e.compared()
    ]
    return all(
        mine is not None and mine.ndim == 4 and mine.shape[:2] == (right.shape[1], right.shape[0])
        for mine, right in pairs
    ) and any(mine.shape != right.shape for mine, right in pairs)


def kernel_order(*axes):
    """A layer whose kernel has the axes in this order, whatever its settings say."""

    def buggy(linear, P, C):
        convolution = convolve(linear, P, C)
        weight = linear.weight.detach().reshape(-1, P, P, C).permute(axes)
        convolution.weight = nn.Parameter(weight.clone())
        return convolution

    return buggy


def axes_wrong(e: Evidence) -> bool:
    """The kernel has the right sizes in another order, in each case where that shows."""

    def condition(case, actual, expected):
        mine, right = actual.tensors.get("weight"), expected.tensors["weight"]
        return mine is not None and sorted(mine.shape) == sorted(right.shape)

    return in_every_case(e, condition) and any(
        actual.tensors["weight"].shape != expected.tensors["weight"].shape
        for _, actual, expected in e.compared()
    )


def general_of_modules() -> tuple[Mistake, ...]:
    """The general mistakes, made on a layer instead of a tensor."""

    def changing(linear, P, C):
        convolution = convolve(linear, P, C)
        linear.weight.data = linear.weight.data.reshape(-1, P, P, C).permute(0, 3, 1, 2)
        return convolution

    buggy = {
        "changed_input": changing,
        "wrong_dtype": lambda linear, P, C: convolve(
            linear, P, C, settings={"dtype": torch.float32}
        ),
        "wrong_device": on_the_cpu,
    }
    return tuple(
        dataclasses.replace(mistake, buggy=buggy.get(mistake.name, mistake.buggy))
        for mistake in general_mistakes(convolve)
    )


def on_the_cpu(linear, P, C) -> nn.Conv2d:
    if linear.weight.is_meta:
        return nn.Conv2d(C, linear.out_features, P, P, bias=linear.bias is not None, device="cpu")
    return convolve(linear, P, C)


def facts(actual) -> dict:
    return actual.facts.get("values") or {}


def kind(actual) -> str:
    """The type of what came back; an empty string where there was an error."""
    return str(facts(actual).get("the result's type", ""))


def near(one: torch.Tensor | None, two: torch.Tensor) -> bool:
    return (
        one is not None
        and one.shape == two.shape
        and torch.allclose(one.double(), two.double(), rtol=1e-3, atol=1e-4)
    )


def in_every_case(e: Evidence, condition: Callable) -> bool:
    return all(
        not actual.error and condition(case, actual, expected)
        for case, actual, expected in e.compared()
    )


def only_wrong(e: Evidence, name: str) -> bool:
    """In every case the kernel and all settings are right, except this one."""

    def condition(case, actual, expected):
        mine, right = facts(actual), facts(expected)
        return [key for key in right if mine.get(key) != right[key]] == [name] and near(
            actual.tensors.get("weight"), expected.tensors["weight"]
        )

    return in_every_case(e, condition)


def only_shared(e: Evidence) -> bool:
    """Settings and numbers are right; only the memory is the linear layer's."""
    key = "memory shared with the linear layer"

    def condition(case, actual, expected):
        return {**facts(actual), key: False} == facts(expected) and all(
            near(actual.tensors.get(name), right) for name, right in expected.tensors.items()
        )

    return in_every_case(e, condition)


def drawn(tensor: torch.Tensor | None, case) -> bool:
    """Drawn by PyTorch for a new layer: within 1 / sqrt(inputs). Those of the cases are larger."""
    bound = case.inputs["linear"].state["weight"].shape[1] ** -0.5
    return tensor is not None and 0 < float(tensor.abs().max()) <= bound * 1.001


def fresh_weights(e: Evidence) -> bool:
    return in_every_case(
        e,
        lambda case, actual, expected: (
            facts(actual) == facts(expected) and drawn(actual.tensors.get("weight"), case)
        ),
    )


def fresh_bias(e: Evidence) -> bool:
    def condition(case, actual, expected):
        if facts(actual) != facts(expected) or not near(
            actual.tensors.get("weight"), expected.tensors["weight"]
        ):
            return False
        return "bias" not in expected.tensors or drawn(actual.tensors.get("bias"), case)

    return in_every_case(e, condition)


def written_with_gradients(linear, patch_size, channels):
    conv = torch.nn.Conv2d(
        channels, linear.out_features, patch_size, patch_size, bias=linear.bias is not None
    )
    conv.weight.copy_(
        linear.weight.reshape(-1, patch_size, patch_size, channels).permute(0, 3, 1, 2)
    )
    return conv


def read_transposed(linear, P, C, axes, *shape):
    """The weight transposed to (P*P*C, D), and poured into `shape` of D, P and C by name."""
    sizes = {"D": linear.out_features, "P": P, "C": C}
    poured = linear.weight.T.reshape([sizes[name] for name in shape]).permute(axes)
    made = convolve(linear, P, C)
    with torch.no_grad():
        made.weight.copy_(poured)
    return made


def transposed_first(axes, *shape):
    return lambda linear, P, C: read_transposed(linear, P, C, axes, *shape)


def zero_bias(linear, P, C):
    made = convolve(linear, P, C)
    if made.bias is not None:
        nn.init.zeros_(made.bias)
    return made


def other_setting(e: Evidence) -> str:
    """The name of the first setting that is wrong in a wrong case; empty for none."""
    mine, right = (side[e.first_wrong()].facts.get("values", {}) for side in (e.actual, e.expected))
    settings = ("kernel_size", "stride", "padding", "dilation", "groups")
    return next((s for s in settings if s in mine and mine[s] != right[s]), "")


MISTAKES = (
    *general_of_modules(),
    Mistake(
        name="in_and_out_exchanged",
        explanation=(
            "nn.Conv2d takes the channels of the image first, and the number of outputs second. "
            "Yours has them the other way round."
        ),
        hint="How many channels does the image have, and how many numbers does a token get?",
        # nn.Conv2d(D, C, P, P)
        buggy=exchanged,
        detect=sides_exchanged,
    ),
    Mistake(
        name="written_without_no_grad",
        explanation=(
            "You wrote into a parameter while gradients are recorded. PyTorch does not allow that."
        ),
        hint=(
            "Copying numbers by hand needs no gradient. How do you tell PyTorch not to record "
            "these lines?"
        ),
        # It works in a notebook that has switched gradients off for all cells.
        buggy=written_with_gradients,
        detect=lambda e: any(
            "a leaf Variable that requires grad" in (actual.error or "") for actual in e.actual
        ),
    ),
    Mistake(
        name="not_a_convolution",
        explanation=lambda e: (
            f"Your function returned: {kind(e.observation)}. The exercise asks for the layer "
            "itself, an nn.Conv2d."
        ),
        hint="Make the layer, put the numbers into it, and return it. What did you return?",
        # the result on an image, a Sequential with the flattening in it, or the bare kernel
        buggy=lambda linear, P, C: nn.Sequential(convolve(linear, P, C), nn.Flatten(2)),
        detect=lambda e: all(
            kind(actual) not in ("NoneType", "Conv2d", "") for actual in e.with_values()
        ),
    ),
    Mistake(
        name="stride_forgotten",
        explanation=(
            "The stride is 1: the kernel moves by one pixel at a time, and the patches overlap."
        ),
        hint="Where must the kernel be next, once it has seen the first patch?",
        # stride=1 is the default of nn.Conv2d.
        buggy=lambda linear, P, C: convolve(linear, P, C, settings={"stride": 1}),
        detect=lambda e: (
            only_wrong(e, "stride")
            and all(facts(actual)["stride"] == "(1, 1)" for actual in e.with_values())
        ),
    ),
    Mistake(
        name="padded",
        explanation=(
            "The convolution pads the image with zeros, so its first window does not cover the "
            "first patch."
        ),
        hint="Does the linear layer ever see a number from outside the image?",
        # padding='same' or padding=1, copied from convolutional networks
        buggy=lambda linear, P, C: convolve(linear, P, C, settings={"padding": P // 2}),
        detect=lambda e: only_wrong(e, "padding"),
    ),
    Mistake(
        name="channel_first",
        explanation=(
            "The kernel holds the linear layer's numbers in their old order. The columns of "
            "linear.weight run over (row, column, channel) of a patch; a kernel has the channel "
            "first."
        ),
        hint=(
            "Split the columns into three axes first. Which axes are they, in which order, and "
            "which order does a kernel have?"
        ),
        # weight.reshape(D, C, P, P) is right only where patches are flattened channel by channel.
        buggy=lambda linear, P, C: convolve(
            linear, P, C, kernel=lambda w: w.reshape(len(w), C, P, P)
        ),
    ),
    Mistake(
        name="kernel_transposed",
        explanation="In each kernel, rows and columns are exchanged.",
        hint="Of the two axes of length P, which one is the row? It comes before the column.",
        # permute(0, 3, 2, 1), the reverse order
        buggy=lambda linear, P, C: convolve(linear, P, C, kernel=lambda w: w.permute(0, 3, 2, 1)),
    ),
    Mistake(
        name="kernel_flipped",
        explanation="Each kernel is upside down and mirrored, as in the mathematical convolution.",
        hint=(
            "Does nn.Conv2d flip its kernel? Its documentation names the operation that it "
            "computes."
        ),
        # In signal processing a convolution flips; PyTorch's is a cross-correlation.
        buggy=lambda linear, P, C: convolve(
            linear, P, C, kernel=lambda w: w.permute(0, 3, 1, 2).flip(2, 3)
        ),
    ),
    Mistake(
        name="weight_read_as_in_out",
        explanation=(
            "Your code reads linear.weight as (inputs, outputs). PyTorch keeps it as (outputs, "
            "inputs)."
        ),
        hint="Print linear.weight.shape: which of its two numbers is the width D?",
        # Keras and JAX keep a dense layer's kernel as (inputs, outputs).
        buggy=lambda linear, P, C: convolve(
            linear, P, C, kernel=lambda w: w.reshape(P, P, C, -1).permute(3, 2, 0, 1)
        ),
    ),
    Mistake(
        name="fresh_weights",
        explanation=(
            "The layer has the right sizes, but it still holds the random numbers that PyTorch "
            "drew for it. None of the linear layer's weights is in it."
        ),
        hint="After making the layer: which line puts the linear layer's numbers in?",
        # also a copy into a temporary tensor: conv.weight.data.reshape(...).copy_(...)
        buggy=lambda linear, P, C: nn.Conv2d(
            C, linear.out_features, P, P, bias=linear.bias is not None
        ),
        detect=fresh_weights,
    ),
    Mistake(
        name="bias_dropped",
        explanation="The kernel is right, but the linear layer's bias is lost.",
        hint="A linear layer computes x Wᵀ + b. Which part of it is missing from your convolution?",
        buggy=lambda linear, P, C: convolve(linear, P, C, bias="none"),
    ),
    Mistake(
        name="fresh_bias",
        explanation=(
            "The kernel is right. The bias is not the linear layer's: it still holds the random "
            "numbers that PyTorch drew for it."
        ),
        hint="A layer has two parameters. How many did you copy?",
        buggy=lambda linear, P, C: convolve(linear, P, C, bias="fresh"),
        detect=fresh_bias,
    ),
    Mistake(
        name="bias_always_expected",
        explanation=(
            "With a bias everything is right. This linear layer has none: linear.bias is None."
        ),
        hint="What should the convolution have when the linear layer was made with bias=False?",
        # nn.Conv2d makes a bias by default.
        buggy=lambda linear, P, C: convolve(linear, P, C, bias="always"),
        detect=lambda e: e.wrong_exactly_where(
            lambda case: "bias" not in case.inputs["linear"].state
        ),
    ),
    Mistake(
        name="memory_shared",
        explanation=(
            "The convolution gives the right numbers, and they lie in the linear layer's memory: "
            "whoever trains or changes one changes the other."
        ),
        hint="Which line hands over linear's own tensor, or a view of it, in place of a copy?",
        # nn.Parameter(linear.weight.reshape(...).permute(...)), conv.bias = linear.bias
        buggy=sharing,
        detect=lambda e: (
            any(
                facts(actual).get("memory shared with the linear layer")
                for actual in e.with_values()
            )
            and only_shared(e)
        ),
    ),
    Mistake(
        name="kernel_axes_in_another_order",
        explanation=lambda e: (
            f"Your kernel has the shape {shape_of_weight(e)}. nn.Conv2d reads it as (outputs, "
            "channels, rows, columns)."
        ),
        hint=(
            "After the reshape the axes are (outputs, row, column, channel). To which place must "
            "the channel move, and what is permute given for that?"
        ),
        # permute(0, 2, 3, 1), the way back; or no permute at all
        buggy=kernel_order(0, 2, 3, 1),
        variants=(kernel_order(0, 1, 2, 3),),
        detect=axes_wrong,
    ),
    Mistake(
        name="three_channels_assumed",
        explanation=lambda e: (
            "With 3 channels everything is right, with others it is not: here channels is "
            f"{e.inputs['channels']}."
        ),
        hint="Where is a 3 in your code? Your function is given that number.",
        # nn.Conv2d(3, D, ...), copied from a model for colour images
        buggy=lambda linear, P, C: convolve(linear, P, 3),
        detect=lambda e: e.wrong_exactly_where(lambda case: case.inputs["channels"] != 3),
    ),
    Mistake(
        name="kernel_in_another_order",
        explanation=(
            "Each kernel holds the numbers of its own row of linear.weight, in another order than "
            "(channel, row, column)."
        ),
        hint=(
            "The columns of linear.weight run over (row, column, channel). Split them first, and "
            "move the axes then."
        ),
        buggy=lambda linear, P, C: convolve(
            linear, P, C, kernel=lambda w: w.permute(0, 3, 1, 2).flip(1)
        ),
        detect=kernels_rearranged,
    ),
    Mistake(
        name="weight_transposed_first",
        explanation=(
            "The weight was transposed, and then reshaped as if its rows still stood for outputs: "
            "each kernel mixes numbers of several outputs."
        ),
        hint="nn.Linear keeps its weight as (out, in). Which axis of the kernel is the first?",
        # linear.weight.T.reshape(D, P, P, C)
        buggy=transposed_first((0, 3, 1, 2), "D", "P", "P", "C"),
        variants=(
            transposed_first((0, 1, 2, 3), "D", "C", "P", "P"),
            transposed_first((2, 3, 0, 1), "P", "P", "D", "C"),
        ),
    ),
    Mistake(
        name="weight_scaled",
        explanation="The kernel is the right one times a factor: the numbers should only move.",
        hint="A convolution adds up the same products as the linear layer. Is there a mean in it?",
        buggy=lambda linear, P, C: convolve(linear, P, C, lambda w: w.permute(0, 3, 1, 2) / P**2),
        variants=(
            lambda linear, P, C: convolve(linear, P, C, lambda w: w.permute(0, 3, 1, 2) / C),
            lambda linear, P, C: convolve(linear, P, C, lambda w: w.permute(0, 3, 1, 2) * P**2),
            lambda linear, P, C: convolve(linear, P, C, lambda w: -w.permute(0, 3, 1, 2)),
        ),
    ),
    Mistake(
        name="bias_of_zeros",
        explanation="The kernel is right, and the bias holds zeros: linear's bias was not copied.",
        hint="Which two tensors does a linear layer have?",
        buggy=zero_bias,
    ),
    Mistake(
        name="other_setting",
        explanation=lambda e: f"The {other_setting(e)} of your convolution is not that of patches.",
        hint="Which side does a patch have, and by how many pixels does the next one begin later?",
        buggy=lambda linear, P, C: convolve(linear, P, C, settings={"stride": max(1, P // 2)}),
        detect=lambda e: bool(other_setting(e)),
    ),
)


check_linear_to_conv = Check(
    name="check_linear_to_conv",
    signature=(
        "fn(linear, patch_size P, channels C) -> nn.Conv2d that gives for an image what linear "
        "gives for its patches; a bias only if linear has one; on linear's device, in its dtype"
    ),
    cases=linear_to_conv_cases,
    reference=convolve,
    mistakes=MISTAKES,
    record=record_convolution,
    place=address,
)
