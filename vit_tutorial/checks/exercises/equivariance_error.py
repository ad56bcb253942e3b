"""check_equivariance_error: by how much feature maps fail to follow a shift of the image."""

import torch

from ..engine.case import Case, choice, numbers
from ..engine.check import Check
from ..engine.mistake import Mistake
from ..engine.observe import record_number
from .general import general_mistakes
from .inputs import random_module


def equivariance_error(f, images, shift, stride):
    """Relative norm of what is left when the shift of the image is undone in the feature map."""
    before = f(images)  # (B, C', H / stride, W / stride)
    return relative(shifted_and_back(f, images, shift, shift // stride), before)


def shifted_and_back(f, images, shift, places, axis=-1):
    return f(images.roll(shift, dims=axis)).roll(-places, dims=axis)


def relative(after, before):
    return ((after - before).norm() / before.norm()).item()


def shift_cases(generator: torch.Generator) -> list[Case]:
    """Convolutions that follow a shift, that fail at the border, and that have no such place."""

    def case(about, kernel, stride, shift, B, H, W, circular=True, dtype=torch.float64):
        settings = dict(in_channels=3, out_channels=4, kernel_size=kernel, stride=stride)
        settings |= dict(padding=kernel // 2 if kernel % 2 else 0)
        settings |= dict(padding_mode="circular" if circular else "zeros")
        f = random_module("Conv2d", generator, dtype, **settings)
        images = numbers(generator, B, 3, H, W, dtype=dtype) + 0.5
        return Case(about, {"f": f, "images": images, "shift": shift, "stride": stride})

    far = choice(generator, 3, 5)
    return [
        case("a convolution around the border", 3, 1, far, 2, 8, 12),
        case("a convolution with zeros at the border", 3, 1, far, 2, 8, 12, circular=False),
        case("patches of 4 pixels, moved by two patches", 4, 4, 8, 2, 12, 16),
        case("patches of 4 pixels, moved by less", 4, 4, 3, 2, 12, 16),
        case("patches of 4 pixels, moved by more", 4, 4, 7, 3, 12, 16),
        case("stride 2, around the border", 3, 2, 6, 2, 10, 16),
        case("stride 2, an odd shift", 3, 2, far, 2, 10, 16),
        case("stride 2, zeros at the border", 5, 2, 4, 3, 10, 16, circular=False),
        case("square, one image", 3, 1, 2, 1, 9, 9, circular=False),
        case("no shift at all", 3, 2, 0, 2, 8, 8, circular=False),
        case("float32", 4, 4, 6, 2, 12, 16, dtype=torch.float32),
    ]


def with_places(places):
    """The right experiment, but the feature maps go back by places(shift, stride)."""

    def error(f, images, shift, stride):
        return relative(shifted_and_back(f, images, shift, places(shift, stride)), f(images))

    return error


def along(image_axis, map_axis):
    def error(f, images, shift, stride):
        moved = f(images.roll(shift, dims=image_axis))
        return relative(moved.roll(-(shift // stride), dims=map_axis), f(images))

    return error


def flat(f, images, shift, stride):
    return relative(f(images.roll(shift)).roll(-(shift // stride)), f(images))


def measured(measure):
    """The right experiment with another measure of two feature maps."""

    def error(f, images, shift, stride):
        after = shifted_and_back(f, images, shift, shift // stride)
        return measure(after, f(images)).item()

    return error


def shifted_out(f, images, shift, stride):
    """What leaves on one side does not come in on the other."""
    moved = torch.zeros_like(images)
    moved[..., shift:] = images[..., : images.shape[-1] - shift]
    return relative(f(moved).roll(-(shift // stride), dims=-1), f(images))


MISTAKES = (
    Mistake(
        name="not_shifted_back",
        explanation=(
            "You compare the feature maps of the shifted images with the others as they are. That "
            "measures invariance: a part whose feature maps move with the image looks bad."
        ),
        hint="If the image moves by one place, where should its feature map be?",
        buggy=with_places(lambda shift, stride: 0),
    ),
    Mistake(
        name="shifted_on",
        explanation="The feature maps are moved on in the direction of the image, not back.",
        hint="Which sign undoes a roll?",
        buggy=with_places(lambda shift, stride: -(shift // stride)),
    ),
    Mistake(
        name="pixels_for_places",
        explanation=(
            "Your feature maps go back by as many places as the images moved by pixels. With a "
            "stride of 1 that is right."
        ),
        hint="How many pixels lie between two neighbouring places of a feature map?",
        buggy=with_places(lambda shift, stride: shift),
        variants=(with_places(lambda shift, stride: shift * stride),),
    ),
    Mistake(
        name="rounded",
        explanation=(
            "Where the stride does not divide the shift, your feature maps go back by one place "
            "too many: the number of places was rounded up or to the nearest."
        ),
        hint="Which operator of Python gives the whole places, without the rest?",
        # round(shift / stride), math.ceil(shift / stride)
        buggy=with_places(lambda shift, stride: round(shift / stride)),
        variants=(with_places(lambda shift, stride: -(-shift // stride)),),
    ),
    Mistake(
        name="up_and_down",
        explanation="You move the images down. The exercise asks for a shift to the right.",
        hint="Which axis of (B, C, H, W) runs from left to right?",
        buggy=along(-2, -2),
    ),
    Mistake(
        name="two_directions",
        explanation="The images are moved along one axis and the feature maps along another.",
        hint="Both have the axes (B, C, H, W). Which one is in your two calls of roll?",
        buggy=along(-1, -2),
        variants=(along(-2, -1), along(-1, 1), along(-1, 0)),
    ),
    Mistake(
        name="all_axes_in_one_line",
        explanation=(
            "roll without dims moves the numbers along all axes at once, as if they were written "
            "in one line: the end of a row enters at the start of the next row."
        ),
        hint="Which argument of roll names an axis?",
        buggy=flat,
    ),
    Mistake(
        name="to_the_left",
        explanation="You move the images to the left. The exercise asks for the right.",
        hint="In which direction does a positive number roll?",
        buggy=lambda f, images, shift, stride: relative(
            shifted_and_back(f, images, -shift, -(shift // stride)), f(images)
        ),
    ),
    Mistake(
        name="image_not_shifted",
        explanation="Only the feature maps are moved. The images that f sees are the same twice.",
        hint="What does each of your two calls of f get?",
        buggy=lambda f, images, shift, stride: relative(
            f(images).roll(-(shift // stride), dims=-1), f(images)
        ),
        variants=(
            lambda f, images, shift, stride: relative(
                f(images).roll(shift // stride, dims=-1), f(images)
            ),
        ),
    ),
    Mistake(
        name="shifted_out",
        explanation=(
            "What leaves the images on the right is lost, and zeros come in on the left. The "
            "exercise asks for a shift around the border."
        ),
        hint="What does torch.roll do with the last column?",
        buggy=shifted_out,
    ),
    Mistake(
        name="not_relative",
        explanation="Your number grows with the size of the features: it is not divided by it.",
        hint="Make all features ten times as large. What should happen to the error?",
        buggy=measured(lambda after, before: (after - before).norm()),
        variants=(
            measured(lambda after, before: (after - before).square().mean()),
            measured(lambda after, before: (after - before).abs().mean()),
            measured(lambda after, before: (after - before).abs().max()),
            measured(lambda after, before: (after - before).square().mean().sqrt()),
        ),
    ),
    Mistake(
        name="squared",
        explanation="Your number is the square of the error.",
        hint="A norm is the root of a sum of squares. Where is the root?",
        buggy=measured(
            lambda after, before: (after - before).square().sum() / before.square().sum()
        ),
    ),
    Mistake(
        name="another_norm",
        explanation="The experiment is right. You compare absolute values, not norms.",
        hint="What does .norm() of a tensor do with its numbers?",
        buggy=measured(lambda after, before: (after - before).abs().sum() / before.abs().sum()),
        variants=(
            measured(lambda after, before: (after - before).abs().max() / before.abs().max()),
        ),
    ),
    Mistake(
        name="divided_by_the_shifted",
        explanation="You divide by the norm of the shifted images' feature maps.",
        hint="Which of the two feature maps knows nothing of the shift?",
        buggy=measured(lambda after, before: (after - before).norm() / after.norm()),
    ),
    Mistake(
        name="image_by_image",
        explanation="You take one norm for each image, or each number, and the mean of the ratios.",
        hint="How many norms does the exercise ask for?",
        buggy=measured(
            lambda after, before: (
                (after - before).flatten(1).norm(dim=1) / before.flatten(1).norm(dim=1)
            ).mean()
        ),
        variants=(measured(lambda after, before: ((after - before).abs() / before.abs()).mean()),),
    ),
)


check_equivariance_error = Check(
    name="check_equivariance_error",
    signature=(
        "fn(f, images (B, C, H, W), shift, stride) -> a number: the norm of f(shifted images), "
        "moved back by shift // stride places, minus f(images), divided by the norm of f(images)"
    ),
    cases=shift_cases,
    reference=equivariance_error,
    mistakes=MISTAKES
    + general_mistakes(
        equivariance_error, without=("detached", "wrong_device", "wrong_dtype", "changed_input")
    ),
    record=record_number("error"),
)
