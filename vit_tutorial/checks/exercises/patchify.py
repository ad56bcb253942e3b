"""check_patchify: cut images into patches."""

from collections.abc import Callable

import torch
import torch.nn.functional as F

from ...model import patchify
from ..engine.case import Case, Observation
from ..engine.check import Check
from ..engine.mistake import Evidence, Mistake
from .general import general_mistakes
from .inputs import image_cases


def patchify_cases(generator: torch.Generator) -> list[Case]:
    """Images (B, C, H, W) and P."""
    return image_cases(generator, lambda images, P: {"images": images, "patch_size": P})


def all_shapes(e: Evidence, shape_of: Callable, ordered: bool = True) -> bool:
    """Every result has the shape that shape_of(*inputs) says, and that is a wrong one.

    ordered: all axes in that order; otherwise the first two are, and the rest in any order.
    """

    def agrees(case: Case, actual: Observation) -> bool:
        if actual.output is None:
            return False
        mine, shape = tuple(actual.output.shape), shape_of(*case.inputs.values())
        return mine == shape if ordered else mine[:2] == shape[:2] and sorted(mine) == sorted(shape)

    return all(agrees(case, actual) for case, actual, _ in e.compared())


def sizes(e: Evidence) -> str:
    return "{} and {}".format(*e.inputs["images"].shape[2:])


def channels(e: Evidence) -> int:
    return e.inputs["images"].shape[1]


def length(e: Evidence) -> int:
    return e.observation.output.shape[1]


def count(images: torch.Tensor, P: int) -> int:
    return (images.shape[2] // P) * (images.shape[3] // P)


def split(images: torch.Tensor, P: int) -> torch.Tensor:
    B, C, H, W = images.shape
    return images.reshape(B, C, H // P, P, W // P, P)  # (B, C, rows, P, columns, P)


def channel_first(images, P):
    return split(images, P).permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


def pixels_transposed(images, P):
    return split(images, P).permute(0, 2, 4, 5, 3, 1).flatten(3).flatten(1, 2)


def patches_in_column_order(images, P):
    return split(images, P).permute(0, 4, 2, 3, 5, 1).flatten(3).flatten(1, 2)


def reshape_without_permute(images, P):
    return images.reshape(len(images), count(images, P), P * P * images.shape[1])


def unfold_as_it_is(images, P):
    return F.unfold(images, P, stride=P)


def overlapping_patches(images, P):
    return images.unfold(2, P, 1).unfold(3, P, 1).permute(0, 2, 3, 4, 5, 1).flatten(3).flatten(1, 2)


def three_channels_assumed(images, P):
    return (
        split(images, P).permute(0, 2, 4, 3, 5, 1).reshape(len(images), count(images, P), P * P * 3)
    )


def square_images_assumed(images, P):
    B, C, H, W = images.shape
    side = H // P
    return (
        images.reshape(B, C, side, P, side, P).permute(0, 2, 4, 3, 5, 1).reshape(B, side * side, -1)
    )


MISTAKES = (
    Mistake(
        name="channel_first",
        explanation=(
            "Inside a patch your numbers are in channel order: all reds first, then all greens. "
            "The exercise asks for pixel by pixel."
        ),
        hint=(
            "Which of the three axes of a patch (row, column, channel) must change fastest, and so "
            "come last before the reshape?"
        ),
        # image.unfold(...).unfold(...) and a permute that leaves the channel in front
        buggy=channel_first,
    ),
    Mistake(
        name="pixels_transposed",
        explanation=(
            "Inside each patch, rows and columns of pixels are exchanged. The patches themselves "
            "are in the right order."
        ),
        hint=(
            "Take one patch whose pixels are numbered row by row. In which order do your "
            "numbers come out?"
        ),
        # a permute that ends in (column, row, channel)
        buggy=pixels_transposed,
    ),
    Mistake(
        name="patches_in_column_order",
        explanation=(
            "Each patch is right, but they are numbered down the columns of the grid. The exercise "
            "asks for row by row, as we read."
        ),
        hint=(
            "Which patch is the second one: the one to the right of the first, or the one below it?"
        ),
        # a permute that puts the grid's columns before its rows, or loops in that order
        buggy=patches_in_column_order,
    ),
    Mistake(
        name="reshape_without_permute",
        explanation=(
            "The numbers were filled into the new shape in memory order: a patch holds pieces from "
            "all over the image."
        ),
        hint=(
            "A reshape never moves a number. After splitting H into (rows, P) and W likewise, "
            "which axes change places?"
        ),
        # The shape is right, so nothing complains.
        buggy=reshape_without_permute,
    ),
    Mistake(
        name="unfold_as_it_is",
        explanation=(
            "This is what F.unfold gives: the patches are on the last axis, and each is flattened "
            "channel by channel."
        ),
        hint=(
            "Which axis should count the patches? And which of row, column and channel changes "
            "fastest inside a patch?"
        ),
        # as PyTorch's nn.Unfold documents it: (B, C*P*P, N)
        buggy=unfold_as_it_is,
    ),
    Mistake(
        name="patches_last",
        explanation=(
            "The numbers are right, but the patches are on the last axis. The exercise asks for "
            "one row for each patch."
        ),
        hint="Which axis will the next layer, a Linear, take as the features of a token?",
        # the axes of a convolution's output, where the grid comes last
        buggy=lambda images, P: patchify(images, P).transpose(1, 2),
    ),
    Mistake(
        name="overlapping_patches",
        explanation=lambda e: (
            f"You have {length(e)} patches: one starts at each pixel. Patches must not overlap."
        ),
        hint="How far does the window move from one patch to the next?",
        # the default of F.unfold and nn.Conv2d: stride 1
        buggy=overlapping_patches,
        detect=lambda e: all_shapes(
            e,
            lambda x, P: (
                len(x),
                (x.shape[2] - P + 1) * (x.shape[3] - P + 1),
                x.shape[1] * P * P,
            ),
        ),
    ),
    Mistake(
        name="pixels_not_flattened",
        explanation=(
            "You kept the axes of the pixels: each patch is still a small image. The exercise asks "
            "for one row of numbers for each patch."
        ),
        hint="How many axes does (B, N, P*P*C) have, and how many does your result have?",
        buggy=lambda images, P: patchify(images, P).unflatten(2, (P, P, images.shape[1])),
        detect=lambda e: all_shapes(
            e, lambda x, P: (len(x), count(x, P), P, P, x.shape[1]), ordered=False
        ),
    ),
    Mistake(
        name="grid_not_flattened",
        explanation=(
            "You kept the grid: one axis for its rows, one for its columns. The exercise asks for "
            "one axis of N patches."
        ),
        hint="A transformer reads a sequence. Which two axes of your result count patches?",
        buggy=lambda images, P: patchify(images, P).unflatten(
            1, (images.shape[2] // P, images.shape[3] // P)
        ),
        detect=lambda e: all_shapes(
            e, lambda x, P: (len(x), x.shape[2] // P, x.shape[3] // P, P * P * x.shape[1])
        ),
    ),
    Mistake(
        name="batch_merged",
        explanation=(
            "The patches of all images are in one long list. The exercise asks for an axis for the "
            "batch, then one for the patches."
        ),
        hint="How can the next layer know which patch belongs to which image?",
        # a reshape to (-1, P*P*C)
        buggy=lambda images, P: patchify(images, P).flatten(0, 1),
        detect=lambda e: all_shapes(e, lambda x, P: (len(x) * count(x, P), P * P * x.shape[1])),
    ),
    Mistake(
        name="first_image_only",
        explanation="Only the first image of the batch was cut into patches.",
        hint="Which line of yours takes one image out of the batch, by [0] or by squeeze?",
        buggy=lambda images, P: patchify(images[:1], P),
        detect=lambda e: all_shapes(e, lambda x, P: (1, count(x, P), P * P * x.shape[1])),
    ),
    Mistake(
        name="three_channels_assumed",
        explanation=lambda e: (
            f"Images with 3 channels come out right, others do not: here there are {channels(e)}."
        ),
        hint="Where is a 3 in your code? Which axis of the images has that size?",
        # P * P * 3 in the reshape
        buggy=three_channels_assumed,
        detect=lambda e: e.wrong_exactly_where(lambda case: case.inputs["images"].shape[1] != 3),
    ),
    Mistake(
        name="square_images_assumed",
        explanation=lambda e: (
            f"Square images come out right, others do not: here H and W are {sizes(e)}."
        ),
        hint="How many patches fit down, and how many across? Does your code use both?",
        # one side length for both directions
        buggy=square_images_assumed,
        detect=lambda e: e.wrong_exactly_where(
            lambda case: case.inputs["images"].shape[2] != case.inputs["images"].shape[3]
        ),
    ),
)


check_patchify = Check(
    name="check_patchify",
    signature=(
        "fn(images (B, C, H, W), patch_size P) -> patches (B, N, P*P*C), row by row, in each "
        "patch row by row, channel fastest"
    ),
    cases=patchify_cases,
    reference=patchify,
    mistakes=MISTAKES + general_mistakes(patchify),
)
