"""Known mistakes in cutting images into patches."""

from collections.abc import Callable

import torch
import torch.nn.functional as F

from ...model import patchify
from ..case import Case
from ..check import Evidence, Mistake


def patchify_mistakes() -> tuple[Mistake, ...]:
    """For fn(images (B, C, H, W), patch_size) -> (B, N, P*P*C)."""
    return (
        Mistake(
            "channel_first",
            "Inside a patch your numbers stand channel by channel: all reds first, then all greens. Asked for is pixel by pixel.",
            "Which of the three axes of a patch (row, column, channel) must change fastest, so come last before the reshape?",
            "source 001's unfold and permute give it; source 003's text promises it (C x p x p) while its code does not",
            channel_first,
        ),
        Mistake(
            "pixels_transposed",
            "Inside each patch, rows and columns of pixels are exchanged. The patches themselves stand in the right order.",
            "Take one patch whose pixels are numbered row by row. In which order do your numbers come out?",
            "first drafts: a permute that ends in (column, row, channel)",
            pixels_transposed,
        ),
        Mistake(
            "patches_in_column_order",
            "Each patch is right, but they are numbered down the columns of the grid. Asked for is row by row, as one reads.",
            "Which patch is the second one: the one to the right of the first, or the one below it?",
            "first drafts: a permute that puts the grid's columns before its rows, or loops in that order",
            patches_in_column_order,
        ),
        Mistake(
            "reshape_without_permute",
            "The numbers were poured into the new shape as they lie in memory: a patch holds pieces from all over the image.",
            "A reshape never moves a number. After splitting H into (rows, P) and W likewise, which axes change places?",
            "first drafts: the shape is right, so nothing complains",
            reshape_without_permute,
        ),
        Mistake(
            "unfold_as_it_is",
            "This is what F.unfold gives: the patches lie along the last axis, and each is flattened channel by channel.",
            "Which axis must count the patches? And which of row, column and channel changes fastest inside a patch?",
            "as PyTorch's nn.Unfold documents it: (B, C*P*P, N)",
            unfold_as_it_is,
        ),
        Mistake(
            "patches_last",
            "The numbers are right, but the patches lie along the last axis. Asked for are rows: one patch, one row.",
            "Which axis will the next layer, a Linear, take as the features of a token?",
            "first drafts: the axes of a convolution's output, where the grid comes last",
            lambda images, P: patchify(images, P).transpose(1, 2),
        ),
        Mistake(
            "overlapping_patches",
            lambda e: (
                f"You have {length(e)} patches: one starts at each pixel. Patches must not overlap."
            ),
            "How far does the window move from one patch to the next?",
            "the default of F.unfold and nn.Conv2d: stride 1",
            overlapping_patches,
            lambda e: all_shapes(
                e,
                lambda x, P: (
                    len(x),
                    (x.shape[2] - P + 1) * (x.shape[3] - P + 1),
                    x.shape[1] * P * P,
                ),
            ),
        ),
        Mistake(
            "pixels_not_flattened",
            "You kept the axes of the pixels: each patch is still a small image. Asked for is one row of numbers for each patch.",
            "How many axes has (B, N, P*P*C), and how many has your result?",
            "source 003's patchify, when its parameter `flatten` is switched off",
            lambda images, P: patchify(images, P).unflatten(2, (P, P, images.shape[1])),
            lambda e: all_shapes(
                e, lambda x, P: (len(x), count(x, P), P, P, x.shape[1]), ordered=False
            ),
        ),
        Mistake(
            "grid_not_flattened",
            "You kept the grid: one axis for its rows, one for its columns. Asked for is one axis of N patches.",
            "A transformer reads a sequence. Which two axes of your result count patches?",
            "first drafts, and image models that keep the grid on purpose",
            lambda images, P: patchify(images, P).unflatten(
                1, (images.shape[2] // P, images.shape[3] // P)
            ),
            lambda e: all_shapes(
                e, lambda x, P: (len(x), x.shape[2] // P, x.shape[3] // P, P * P * x.shape[1])
            ),
        ),
        Mistake(
            "batch_merged",
            "The patches of all images stand in one long list. Asked for is an axis for the batch, then one for the patches.",
            "How can the next layer know which patch belongs to which image?",
            "first drafts: a reshape to (-1, P*P*C)",
            lambda images, P: patchify(images, P).flatten(0, 1),
            lambda e: all_shapes(e, lambda x, P: (len(x) * count(x, P), P * P * x.shape[1])),
        ),
        Mistake(
            "first_image_only",
            "Only the first image of the batch was cut into patches.",
            "Which line of yours takes one image out of the batch, by [0] or by squeeze?",
            "first drafts that were tried on a single image",
            lambda images, P: patchify(images[:1], P),
            lambda e: all_shapes(e, lambda x, P: (1, count(x, P), P * P * x.shape[1])),
        ),
        Mistake(
            "three_channels_assumed",
            lambda e: (
                f"Images of 3 channels come out right, others do not: here there are {channels(e)}."
            ),
            "Where is a 3 written in your code? Which axis of the images knows that number?",
            "first drafts: P * P * 3 in the reshape",
            three_channels_assumed,
            lambda e: e.wrong_exactly_where(lambda case: case.inputs["images"].shape[1] != 3),
        ),
        Mistake(
            "square_images_assumed",
            lambda e: f"Square images come out right, others do not: here H and W are {sizes(e)}.",
            "How many patches fit down, and how many across? Does your code ask for both?",
            "first drafts: one side length for both directions",
            square_images_assumed,
            lambda e: e.wrong_exactly_where(
                lambda case: case.inputs["images"].shape[2] != case.inputs["images"].shape[3]
            ),
        ),
    )


def all_shapes(e: Evidence, expected: Callable, ordered: bool = True) -> bool:
    """Every result has the shape that expected(*inputs) says, and at least one result is wrong. ordered: axes in that order."""

    def agrees(case: Case, seen) -> bool:
        shape, mine = (
            tuple(expected(*case.inputs.values())),
            seen.tensors.get("output", torch.empty(0)).shape,
        )
        return mine == shape if ordered else mine[:2] == shape[:2] and sorted(mine) == sorted(shape)

    return all(
        agrees(case, seen) for case, seen in zip(e.cases, e.seen) if case.device != "meta"
    ) and not e.right(e.first_wrong())


def sizes(e: Evidence) -> str:
    return "{} and {}".format(*e.cases[e.first_wrong()].inputs["images"].shape[2:])


def channels(e: Evidence) -> int:
    return e.cases[e.first_wrong()].inputs["images"].shape[1]


def length(e: Evidence) -> int:
    return e.seen[e.first_wrong()].tensors["output"].shape[1]


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
