"""check_unpatchify: put patches together into images again."""

import torch

from ...model import patchify, unpatchify
from ..engine.case import Case
from ..engine.check import Check
from ..engine.mistake import Evidence, Mistake
from .general import general_mistakes
from .inputs import image_cases


def unpatchify_cases(generator: torch.Generator) -> list[Case]:
    """Patches (B, N, P*P*C), P and (H, W)."""

    def inputs(images, P):
        size = tuple(images.shape[2:])
        return {"patches": patchify(images, P), "patch_size": P, "image_size": size}

    return image_cases(generator, inputs)


def size_of(e: Evidence) -> tuple:
    return e.inputs["image_size"]


def channels_of(case) -> int:
    return case.inputs["patches"].shape[2] // case.inputs["patch_size"] ** 2


def channels(e: Evidence) -> int:
    return channels_of(e.cases[e.first_wrong()])


def split(patches, P, size, channel_first=False, C=-1):
    """(B, rows, columns, P, P, C), or (B, rows, columns, C, P, P)."""
    shape = (C, P, P) if channel_first else (P, P, C)
    return patches.reshape(len(patches), size[0] // P, size[1] // P, *shape)


def arrange(x, size, axes):
    return x.permute(axes).reshape(len(x), -1, *size)


def patches_in_column_order(patches, P, size):
    x = patches.reshape(
        len(patches), size[1] // P, size[0] // P, P, P, -1
    )  # (B, columns, rows, P, P, C)
    return arrange(x, size, (0, 5, 2, 3, 1, 4))


def square_images_assumed(patches, P, size):
    side = int(patches.shape[1] ** 0.5)
    return unpatchify(patches, P, side * P)


MISTAKES = (
    Mistake(
        name="channel_first",
        explanation=(
            "Your code reads a patch channel by channel. In these patches the three colours of one "
            "pixel are side by side."
        ),
        hint=(
            "In which order are the axes row, column and channel in a flattened patch? The fastest "
            "one is last."
        ),
        # as PyTorch's nn.Fold reads a column: (C, P, P)
        buggy=lambda patches, P, size: arrange(
            split(patches, P, size, channel_first=True), size, (0, 3, 1, 4, 2, 5)
        ),
    ),
    Mistake(
        name="pixels_transposed",
        explanation=(
            "Each patch is in its place, but inside it rows and columns of pixels are exchanged."
        ),
        hint=(
            "Of the two axes of length P, which one is the row of a pixel? It belongs next to the "
            "grid's rows."
        ),
        # the two axes of length P look alike
        buggy=lambda patches, P, size: arrange(split(patches, P, size), size, (0, 5, 1, 4, 2, 3)),
    ),
    Mistake(
        name="patches_in_column_order",
        explanation=(
            "Your code fills the grid column by column. Patch 1 is to the right of patch 0, not "
            "below it."
        ),
        hint="Which of the grid's two sides must come first when N is split into two axes?",
        # split into (columns, rows)
        buggy=patches_in_column_order,
    ),
    Mistake(
        name="reshape_without_permute",
        explanation="The numbers were filled into the image in memory order: no number was moved.",
        hint=(
            "A row of the image runs through several patches. Which axes must be side by side "
            "before H and W are joined?"
        ),
        # the shape is right, so nothing complains
        buggy=lambda patches, P, size: patches.reshape(len(patches), -1, *size),
    ),
    Mistake(
        name="grid_beside_grid",
        explanation=(
            "The channels are in place, but the two grid axes come together, and then the two "
            "pixel axes. So the numbers of a patch form a line, not a square."
        ),
        hint="H is made of two axes: a row of the grid, then a row inside the patch. And W?",
        # a permute that only brings the channel to the front
        buggy=lambda patches, P, size: arrange(split(patches, P, size), size, (0, 5, 1, 2, 3, 4)),
    ),
    Mistake(
        name="channel_last",
        explanation=(
            "The picture is right, but its channels are on the last axis. The exercise asks for "
            "(B, C, H, W)."
        ),
        hint="Who wants the channels last, matplotlib or PyTorch?",
        # first drafts that were looked at with imshow; UvA's and MAE's helpers permute
        # before they show an image
        buggy=lambda patches, P, size: unpatchify(patches, P, size).permute(0, 2, 3, 1),
    ),
    Mistake(
        name="height_and_width_swapped",
        explanation=lambda e: (
            f"Square images come out right. Here (H, W) is {size_of(e)}, and your code takes "
            "the first number for W."
        ),
        hint="Which comes first in the pair: the height or the width?",
        # image libraries that give (width, height), as PIL's Image.size does
        buggy=lambda patches, P, size: unpatchify(patches, P, size[::-1]),
    ),
    Mistake(
        name="three_channels_assumed",
        explanation=lambda e: (
            f"Images with 3 channels come out right, others do not: here there are {channels(e)}."
        ),
        hint="How many numbers does a patch have, and how many pixels? So how many channels?",
        # reshape(..., P, P, 3), as MAE's unpatchify has it
        buggy=lambda patches, P, size: arrange(
            split(patches, P, size, C=3), size, (0, 5, 1, 3, 2, 4)
        ),
        detect=lambda e: e.wrong_exactly_where(lambda case: channels_of(case) != 3),
    ),
    Mistake(
        name="square_images_assumed",
        explanation=lambda e: (
            f"Square images come out right, others do not: here (H, W) is {size_of(e)}."
        ),
        hint=(
            "The number of patches alone does not determine the grid: 12 patches may be 3 x 4 or 2 "
            "x 6. What else is your function given?"
        ),
        # int(N ** 0.5) for both sides of the grid, as in MAE's unpatchify
        buggy=square_images_assumed,
        detect=lambda e: e.wrong_exactly_where(
            lambda case: case.inputs["image_size"][0] != case.inputs["image_size"][1]
        ),
    ),
)


check_unpatchify = Check(
    name="check_unpatchify",
    signature=(
        "fn(patches (B, N, P*P*C), patch_size P, (H, W)) -> images (B, C, H, W), "
        "the inverse of patchify"
    ),
    cases=unpatchify_cases,
    reference=unpatchify,
    mistakes=MISTAKES + general_mistakes(unpatchify),
)
