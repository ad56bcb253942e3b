"""check_unpatchify: put patches together into images again."""

import torch

from ...model import patchify, unpatchify
from ..engine.address import coordinates, reading, sources
from ..engine.case import Case, Observation
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


def number(patches: torch.Tensor, image: int):
    """The name of a number of the patches: the patch, and its place in it."""

    def name(index: int) -> str:
        b, n, k = coordinates(index, patches.shape)
        return ("" if b == image else f"image{b}:") + f"{n}:{k}"

    return name


def address(case: Case, actual: Observation, expected: Observation) -> str:
    """What the first wrong row of pixels reads, by patch and number in it."""
    patches, mine, right = case.inputs["patches"], actual.output, expected.output
    if mine is None or not mine.numel():
        return ""
    of_mine, of_right = sources(mine, patches), sources(right, patches)
    if of_mine is None or of_right is None:
        return ""
    b, what = 0, "your result"
    if mine.shape == right.shape:
        wrong = (of_mine != of_right).any(dim=3).nonzero()
        if not len(wrong):
            return ""
        b, c, y = wrong[0].tolist()
        of_mine, of_right = of_mine[b, c, y], of_right[b, c, y]
        what = f"row {y} of channel {c}" + (f" of image {b}" if b else "")
    read = reading(of_mine.flatten().tolist(), of_right.flatten().tolist(), number(patches, b))
    return f"Named by patch and number in it, {what} {read}."


def tiles(case: Case, actual: Observation, expected: Observation):
    """(patch of each number, right patch), one row for each P x P of an image in all channels.

    None where the numbers are not those of the patches, each once.
    """
    patches, P, mine = case.inputs["patches"], case.inputs["patch_size"], actual.output
    if mine is None or mine.shape != expected.output.shape or mine.dtype != patches.dtype:
        return None
    found = [sources(x, patches) for x in (mine, expected.output)]
    if any(at is None or (at < 0).any() or len(at.unique()) != at.numel() for at in found):
        return None
    return [patchify(at, P).flatten(0, 1) // patches.shape[2] for at in found]


def arrangement(e: Evidence) -> str:
    """ "inside", "order", "both" or "mixed" for numbers that are only moved; else empty."""
    found = set()
    for case, actual, expected in e.compared():
        rows = tiles(case, actual, expected)
        if rows is None:
            return ""
        if torch.equal(actual.output, expected.output):
            continue
        mine, right = rows
        if (mine != mine[:, :1]).any():
            found.add("mixed")
            continue
        P = case.inputs["patch_size"]
        inside, known = (patchify(x.output, P).flatten(0, 1) for x in (actual, expected))
        ordered = torch.equal(inside, known[mine[:, 0]])
        found.add("inside" if torch.equal(mine, right) else "order" if ordered else "both")
    if not found:
        return ""
    return "mixed" if "mixed" in found else found.pop() if len(found) == 1 else "both"


def grid_sides_swapped(patches, P, size):
    x = patches.reshape(len(patches), size[1] // P, size[0] // P, P, P, -1)
    return arrange(x, size, (0, 5, 1, 3, 2, 4))


def fixed_side(side):
    return lambda patches, P, size: unpatchify(patches, side, size)


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


def one_patch_for_a_row(patches, P, size):
    """A counter that grows in the outer loop only: patch r everywhere in row r of the grid."""
    columns = size[1] // P
    rows = torch.arange(size[0] // P).repeat_interleave(columns)
    return unpatchify(patches[:, rows], P, size)


def tiles_joined_wrongly(patches, P, size):
    """Tiles joined below each other to columns, which are then joined side by side."""
    x = split(patches, P, size).permute(0, 5, 1, 2, 3, 4)  # (B, C, rows, columns, P, P)
    lines = x.flatten(3, 4)  # (B, C, rows, columns * P, P)
    return lines.permute(0, 1, 3, 2, 4).flatten(3)  # (B, C, columns * P, rows * P)


def placed_at_neighbouring_pixels(patches, P, size):
    """Patch (r, c) written at pixel (r, c), where (r * P, c * P) is meant."""
    right = unpatchify(patches, P, size)
    made = torch.zeros_like(right)
    for r in range(size[0] // P):
        for c in range(size[1] // P):
            rows, columns = slice(r * P, r * P + P), slice(c * P, c * P + P)
            made[:, :, r : r + P, c : c + P] = right[:, :, rows, columns]
    return made


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
        name="permute_of_patchify_again",
        explanation=(
            "This is the permute that cuts an image, (0, 2, 4, 3, 5, 1). Here the axes stand in "
            "another order: the grid's two first, then the patch's two, then the channel."
        ),
        hint=(
            "Write down the six axes after your first reshape, and the order that (C, H, W) "
            "needs: H is two of them side by side, W is two."
        ),
        # the same numbers as in patchify, applied to axes in another order
        buggy=lambda patches, P, size: arrange(split(patches, P, size), size, (0, 2, 4, 3, 5, 1)),
    ),
    Mistake(
        name="channel_not_moved",
        explanation=(
            "The pixels of each row of the image were put side by side, and the channel is still "
            "the last axis: the reshape then reads colours where it should read pixels."
        ),
        hint="Which axis must come first in (C, H, W)? Where does it stand before your reshape?",
        # permute(0, 1, 3, 2, 4, 5), and then a reshape to (B, C, H, W)
        buggy=lambda patches, P, size: arrange(split(patches, P, size), size, (0, 1, 3, 2, 4, 5)),
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
        name="grid_sides_swapped",
        explanation=lambda e: (
            "Your grid has W//P rows and H//P columns. It is the other way round: here (H, W) is "
            f"{size_of(e)}."
        ),
        hint="How many patches are below each other in an image of height H?",
        # reshape(B, W//P, H//P, ...): with square images nothing is wrong
        buggy=grid_sides_swapped,
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
    Mistake(
        name="colours_reversed",
        explanation="The channels come in reverse order: blue, green, red.",
        hint="Which library wants blue first? Does this exercise ask for it?",
        # OpenCV's order
        buggy=lambda patches, P, size: unpatchify(patches, P, size).flip(1),
    ),
    Mistake(
        name="image_transposed",
        explanation="Your image is mirrored along its diagonal: rows and columns are exchanged.",
        hint="Which axes of yours become H, and which W?",
        # permute(0, 5, 2, 4, 1, 3)
        buggy=lambda patches, P, size: unpatchify(patches, P, size).mT,
    ),
    # What is left of numbers that were only moved.
    Mistake(
        name="patches_mixed",
        explanation=(
            "A square of P x P pixels of your image holds numbers of several patches. In the right "
            "image each square is one patch."
        ),
        hint=(
            "Write down the axes before your last reshape: do a row of the grid and a row inside "
            "the patch stand side by side, and the two columns behind them?"
        ),
        buggy=lambda patches, P, size: arrange(split(patches, P, size), size, (0, 5, 3, 1, 4, 2)),
        detect=lambda e: arrangement(e) == "mixed",
    ),
    Mistake(
        name="patches_in_another_order",
        explanation="Each square of your image is one patch, and right inside, in another place.",
        hint="Where does patch 1 belong, and where patch W//P?",
        buggy=lambda patches, P, size: unpatchify(patches.flip(1), P, size),
        detect=lambda e: arrangement(e) == "order",
    ),
    Mistake(
        name="numbers_of_a_patch_in_another_order",
        explanation="Each patch is in its place. Inside it, the numbers are in another order.",
        hint="In which order do row, column and channel stand in a flattened patch?",
        buggy=lambda patches, P, size: unpatchify(patches.flip(2), P, size),
        detect=lambda e: arrangement(e) == "inside",
    ),
    Mistake(
        name="patches_and_their_numbers_in_another_order",
        explanation=(
            "Each square of your image holds one patch, in another place than it should, and its "
            "numbers are in another order, too."
        ),
        hint="Mend one at a time: first the places of the patches, then the order inside them.",
        buggy=lambda patches, P, size: unpatchify(patches.flip(1).flip(2), P, size),
        detect=lambda e: arrangement(e) == "both",
    ),
    Mistake(
        name="one_patch_for_a_row",
        explanation=(
            "Each row of the grid shows one patch again and again: the number of the patch grows "
            "from row to row only."
        ),
        hint="Which of your two loops should count the patches on?",
        buggy=one_patch_for_a_row,
    ),
    Mistake(
        name="tiles_joined_along_the_wrong_axis",
        explanation=(
            "The patches of one row of the grid stand below each other, and the rows side by side. "
            "It should be the other way round."
        ),
        hint="Of an image (B, C, H, W), along which axis are two patches of one row joined?",
        # torch.cat(tiles, dim=2), then torch.cat(lines, dim=3)
        buggy=tiles_joined_wrongly,
    ),
    Mistake(
        name="placed_at_neighbouring_pixels",
        explanation=(
            "Your patches overlap: each was written one pixel after the last one, where it should "
            "be P pixels later."
        ),
        hint="At which pixel does patch 1 begin? What do you multiply its number by?",
        buggy=placed_at_neighbouring_pixels,
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
    place=address,
)
