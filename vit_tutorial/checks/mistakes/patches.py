"""Known mistakes in cutting images into patches, and putting them together again."""

import torch

from ..check import Evidence, Mistake


def patchify_mistakes() -> tuple[Mistake, ...]:
    """For fn(images (B, C, H, W), patch_size) -> (B, N, P*P*C)."""
    return (
        Mistake(
            "channel_first",
            "Inside a patch your numbers stand channel by channel: all reds first, then all greens. Asked for is pixel by pixel.",
            "Which of the three axes of a patch (row, column, channel) must change fastest, so come last before the reshape?",
            "source 003 flattens this way, as nn.Unfold does, while its text says P·P·C",
            channel_first,
        ),
        Mistake(
            "pixels_transposed",
            "Inside each patch, rows and columns of pixels are exchanged. The patches themselves stand in the right order.",
            "Take one patch whose pixels are numbered row by row. In which order do your numbers come out?",
            "a permute that ends in (column, row, channel)",
            pixels_transposed,
        ),
        Mistake(
            "patches_in_column_order",
            "Each patch is right, but they are numbered down the columns of the grid. Asked for is row by row, as one reads.",
            "Which patch is the second one: the one to the right of the first, or the one below it?",
            "a permute that puts the grid's columns before its rows",
            patches_in_column_order,
        ),
        Mistake(
            "reshape_without_permute",
            "The shape is right, but the numbers were poured into it as they lie in memory: a patch holds pieces from all over.",
            "A reshape never moves a number. After splitting H into (rows, P) and W likewise, which axes change places?",
            "the most common one: the shape is right, so nothing complains",
            reshape_without_permute,
        ),
        Mistake(
            "square_images_assumed",
            lambda e: f"Square images come out right, others do not: here H and W are {sizes(e)}.",
            "How many patches fit down, and how many across? Does your code ask for both?",
            "int(N ** 0.5) for both sides of the grid, in many published notebooks",
            square_images_assumed,
            lambda e: e.wrong_exactly_where(lambda case: case.inputs["images"].shape[2] != case.inputs["images"].shape[3]),
        ),
    )


def sizes(e: Evidence) -> str:
    return "{} and {}".format(*e.cases[e.first_wrong()].inputs["images"].shape[2:])


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
    B, C, H, W = images.shape
    return images.reshape(B, (H // P) * (W // P), P * P * C)


def square_images_assumed(images, P):
    B, C, H, W = images.shape
    side = H // P
    return images.reshape(B, C, side, P, side, P).permute(0, 2, 4, 3, 5, 1).reshape(B, side * side, -1)
