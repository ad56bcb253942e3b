"""check_patchify: cut images into patches."""

from collections.abc import Callable

import torch
import torch.nn.functional as F

from ...model import patchify
from ..engine.address import coordinates, digits, reading, sources
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


def pixel(images: torch.Tensor, image: int) -> Callable[[int], str]:
    """The name of a number of the images: channel, row, column, and the image if it is another."""

    def name(index: int) -> str:
        b, *place = coordinates(index, images.shape)
        other = f"image{b}:" if b != image else ""
        return other + digits(tuple(place), images.shape[1:])

    return name


def address(case: Case, actual: Observation, expected: Observation) -> str:
    """What the first wrong patch reads, by channel, row and column of the image."""
    images, mine, right = case.inputs["images"], actual.output, expected.output
    if mine is None or not mine.numel():
        return ""
    of_mine, of_right = sources(mine, images), sources(right, images)
    if of_mine is None or of_right is None:
        return ""
    b, what = 0, "your result"
    if mine.shape == right.shape:
        wrong = (of_mine != of_right).any(dim=2).nonzero()
        if not len(wrong):
            return ""
        b, n = wrong[0].tolist()
        of_mine, of_right = of_mine[b, n], of_right[b, n]
        what = f"patch {n}" if b == 0 else f"patch {n} of image {b}"
    read = reading(of_mine.flatten().tolist(), of_right.flatten().tolist(), pixel(images, b))
    return f"By channel, row and column of the image, {what} {read}."


# How the numbers of the patches are arranged, found by following each to its place.


def patch_of(images: torch.Tensor, P: int, index: torch.Tensor) -> torch.Tensor:
    """The patch that each number belongs to, counted through all images."""
    _, C, H, W = images.shape
    b, y, x = index // (C * H * W), index // W % H, index % W
    return b * count(images, P) + y // P * (W // P) + x // P


def rows_of(case: Case, actual: Observation, expected: Observation):
    """(patch of each number, right patch, inside is right): None where numbers are others."""
    images, P = case.inputs["images"], case.inputs["patch_size"]
    mine, right = actual.output, expected.output
    if mine is None or mine.shape != right.shape or mine.dtype != right.dtype:
        return None
    at, known = sources(mine, images), sources(right, images)
    if at is None or known is None or (at < 0).any() or len(at.unique()) != at.numel():
        return None
    return patch_of(images, P, at).flatten(0, 1), patch_of(images, P, known).flatten(0, 1), at


def arrangement(e: Evidence) -> str:
    """ "inside", "order", "both" or "mixed" for numbers that are only moved; else empty."""
    found = set()
    for case, actual, expected in e.compared():
        rows = rows_of(case, actual, expected)
        if rows is None:
            return ""
        mine, right, at = rows
        if torch.equal(actual.output, expected.output):
            continue
        if (mine != mine[:, :1]).any():
            found.add("mixed")
            continue
        same = torch.equal(mine, right)
        # The right numbers of each patch, whichever row it stands in.
        where = right[:, 0].argsort()[mine[:, 0]]
        inside = torch.equal(actual.output.flatten(0, 1), expected.output.flatten(0, 1)[where])
        found.add("order" if inside else "inside" if same else "both")
    return (
        "mixed" if "mixed" in found else found.pop() if len(found) == 1 else "both" if found else ""
    )


def mixed_in(e: Evidence) -> str:
    """The first row that mixes patches, and how many."""
    for case, actual, expected in e.compared():
        rows = rows_of(case, actual, expected)
        many = [] if rows is None else (rows[0] != rows[0][:, :1]).any(dim=1).nonzero().flatten()
        if len(many):
            row = int(many[0])
            held = len(rows[0][row].unique())
            return (
                f"Row {row % actual.output.shape[1]} of your result holds pieces of {held} patches"
            )
    return ""


def ends_too_early(e: Evidence) -> bool:
    """Right but for the last row and column, wherever they leave a patch; of none, no stack."""
    pairs = [
        (actual.output, without_the_end(*case.inputs.values())) for case, actual, _ in e.compared()
    ]
    pairs = [(mine, left) for mine, left in pairs if left.numel()]
    return bool(pairs) and all(
        mine is not None and mine.shape == left.shape and torch.allclose(mine.to(left), left)
        for mine, left in pairs
    )


def run(images: torch.Tensor, P: int) -> int:
    return P * P * images.shape[1]


def channel_first(images, P):
    return split(images, P).permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


def pixels_transposed(images, P):
    return split(images, P).permute(0, 2, 4, 5, 3, 1).flatten(3).flatten(1, 2)


def patches_in_column_order(images, P):
    return split(images, P).permute(0, 4, 2, 3, 5, 1).flatten(3).flatten(1, 2)


def reshape_without_permute(images, P):
    return images.reshape(len(images), count(images, P), P * P * images.shape[1])


def unfolded(images, P):
    return images.unfold(2, P, P).unfold(3, P, P)  # (B, C, rows, columns, P, P)


def poured(x, images, P):
    return x.reshape(len(images), count(images, P), P * P * images.shape[1])


def split_otherwise(sides, *axes):
    """H and W split into the axes that sides(rows, columns, P) names, which are then moved."""

    def buggy(images, P):
        B, C, H, W = images.shape
        return poured(images.reshape(B, C, *sides(H // P, W // P, P)).permute(0, *axes), images, P)

    return buggy


def grid_first(rows, columns, P):
    return rows, columns, P, P


def pixels_first(rows, columns, P):
    return P, rows, P, columns


def fixed_side(side):
    return lambda images, P: patchify(images, side)


def sides_that_fit(e: Evidence) -> set[int]:
    """Each p for which all shapes are those of patches with side p, whatever patch_size says."""

    def fits(p, case, actual):
        B, C, H, W = case.inputs["images"].shape
        shape = (B, (H // p) * (W // p), p * p * C)
        return actual.error or (actual.output is not None and actual.output.shape == shape)

    found = {p for p in range(1, 33) if all(fits(p, case, mine) for case, mine, _ in e.compared())}
    shown = [c.inputs["patch_size"] for c, mine, _ in e.compared() if mine.output is not None]
    return {p for p in found if any(p != side for side in shown)}


def square_of_three(images, P):
    B, C, H, W = images.shape
    side = H // P
    x = images.reshape(B, 3, side, P, side, P).permute(0, 2, 4, 3, 5, 1)
    return x.reshape(B, side * side, P * P * 3)


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


def without_the_end(images, P):
    """A loop over range(0, H - P, P): the last row and the last column of the grid are lost."""
    x = split(images, P).permute(0, 2, 4, 3, 5, 1).flatten(3)
    return x[:, :-1, :-1].flatten(1, 2)


def counted_in_pixels(images, P):
    """Patch (r, c) cut at pixel (r, c), where (r * P, c * P) is meant."""
    _, _, H, W = images.shape
    windows = overlapping_patches(images, P).unflatten(1, (H - P + 1, W - P + 1))
    return windows[:, : H // P, : W // P].flatten(1, 2)


def less(what):
    """Each pixel less something: what(images) -> the same shape, or one that fits."""
    return lambda images, P: patchify(images - what(images), P)


def into_many(images, P):
    """torch.chunk(images, P): P pieces along each side, in place of pieces of P pixels."""
    pieces = [
        piece.permute(0, 2, 3, 1).flatten(1)
        for strip in images.chunk(P, dim=2)
        for piece in strip.chunk(P, dim=3)
    ]
    return torch.stack(pieces, dim=1)


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
        explanation=lambda e: (
            "No number was moved. Each of your patches is a run of "
            f"{run(*e.inputs.values())} numbers as they follow one another in memory: along the "
            "rows of one channel, then on to the next."
        ),
        hint=(
            "A reshape never moves a number. After splitting H into (rows, P) and W likewise, "
            "which axes change places?"
        ),
        # The shape is right, so nothing complains.
        buggy=reshape_without_permute,
    ),
    Mistake(
        name="pixels_in_runs",
        explanation=lambda e: (
            "No patch was cut: each of yours is made of "
            f"{run(*e.inputs.values()) // channels(e)} pixels that follow one another along the "
            "rows of the image, where it should be a square."
        ),
        hint=(
            "Split H alone: which two axes does it become, and which two does W become? Where do "
            "these four stand before any axis is moved, and where before the last reshape?"
        ),
        # permute(0, 2, 3, 1) and a reshape; unfold twice and then permute(0, 2, 4, 3, 5, 1)
        # reshape(B, C, H//P, W//P, P, P): the axes have the right names, and no number moved
        buggy=split_otherwise(grid_first, 2, 3, 4, 5, 1),
        variants=(
            split_otherwise(grid_first, 2, 3, 1, 4, 5),
            split_otherwise(grid_first, 2, 3, 5, 4, 1),
        ),
    ),
    Mistake(
        name="split_with_pixels_first",
        explanation=(
            "H was split as (P, H//P), and W likewise. In a reshape the first of the two takes the "
            "large steps, so what you call the pixels of a patch lie far apart in the image."
        ),
        hint=(
            "Number the rows of a small image 0, 1, 2, ... and split them both ways. In which "
            "one are rows 0 and 1 in the same patch?"
        ),
        # '(p h) (q w)' in einops, or reshape(B, C, P, H//P, P, W//P)
        buggy=split_otherwise(pixels_first, 3, 5, 2, 4, 1),
        variants=(
            split_otherwise(pixels_first, 3, 5, 1, 2, 4),
            split_otherwise(pixels_first, 2, 4, 3, 5, 1),
            split_otherwise(pixels_first, 2, 4, 1, 3, 5),
            split_otherwise(pixels_first, 3, 5, 4, 2, 1),
        ),
    ),
    Mistake(
        name="lines_by_channel",
        explanation=(
            "No patch was cut: each of yours is made of whole rows of the image, one in each "
            "channel and then the next row."
        ),
        hint=(
            "Which axes stand side by side before your last reshape? Do those that count patches "
            "come first?"
        ),
        # unfold twice, then permute(0, 2, 4, 1, 3, 5), the order for axes that were split
        buggy=lambda images, P: poured(images.permute(0, 2, 1, 3), images, P),
    ),
    Mistake(
        name="channel_before_the_grid",
        explanation=(
            "The patches were cut, and the channel still stands before them: each row of yours "
            "holds patches of one channel only, as many as there are channels."
        ),
        hint=(
            "Which axes must stand in front before the last reshape, so that a row of the result "
            "is one patch in all its channels?"
        ),
        # unfold twice, and then a reshape at once
        buggy=lambda images, P: poured(unfolded(images, P), images, P),
        variants=(lambda images, P: poured(unfolded(images, P).mT, images, P),),
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
        name="patch_side_fixed",
        explanation=lambda e: (
            f"Your patches have the side {min(sides_that_fit(e))} in every case. Here patch_size "
            f"is {e.inputs['patch_size']}."
        ),
        hint="Where does your code read the side: from its parameter, or from a name outside?",
        # the notebook's own P
        buggy=fixed_side(2),
        variants=(fixed_side(3), fixed_side(4)),
        detect=lambda e: bool(sides_that_fit(e)),
    ),
    Mistake(
        name="last_patch_lost",
        explanation=lambda e: (
            f"You have {length(e)} patches of {count(*e.inputs.values())}: the last one is missing."
        ),
        hint="Where does your loop or your slice end? Is the last start reached?",
        # range(0, H - P, P), or a slice [:-1]
        buggy=lambda images, P: patchify(images, P)[:, :-1],
    ),
    Mistake(
        name="channels_averaged",
        explanation="Each pixel is one number in your result: the channels were added up.",
        hint="A patch of P x P pixels has P*P*C numbers. Where does your code lose the C?",
        buggy=lambda images, P: patchify(images.mean(1, keepdim=True), P),
        variants=(lambda images, P: patchify(images.sum(1, keepdim=True), P),),
    ),
    Mistake(
        name="first_channel_only",
        explanation="Only channel 0 of each image was cut into patches.",
        hint="Which of your indices picks one channel?",
        buggy=lambda images, P: patchify(images[:, :1], P),
    ),
    Mistake(
        name="images_after_patches",
        explanation=(
            "The axes of images and patches are exchanged: your first axis counts patches, and it "
            "should count images."
        ),
        hint="Which axis comes first in (B, N, P*P*C), and along which one does a stack join?",
        # torch.stack(patches) of a list, whose default is dim=0
        buggy=lambda images, P: patchify(images, P).transpose(0, 1),
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
    Mistake(
        name="square_and_three_channels",
        explanation=lambda e: (
            "Square images with 3 channels come out right. Here there are "
            f"{channels(e)} channels, and H and W are {sizes(e)}."
        ),
        hint="Which number in your code is a 3, and which side of the grid is used twice?",
        buggy=square_of_three,
        detect=lambda e: e.wrong_exactly_where(
            lambda case: (
                case.inputs["images"].shape[1] != 3
                or case.inputs["images"].shape[2] != case.inputs["images"].shape[3]
            )
        ),
    ),
    Mistake(
        name="colours_reversed",
        explanation="Each pixel's channels come in reverse order: blue, green, red.",
        hint="Which library wants blue first? Does this exercise ask for it?",
        # OpenCV's order
        buggy=lambda images, P: patchify(images.flip(1), P),
    ),
    # What is left of numbers that were only moved.
    Mistake(
        name="patches_mixed",
        explanation=lambda e: (
            f"{mixed_in(e)}. A row must hold one patch: P x P pixels that touch, in all channels."
        ),
        hint=(
            "Write down the axes before your last reshape. Do those that count patches come "
            "first, and all that belong to one patch behind them?"
        ),
        buggy=lambda images, P: poured(split(images, P).permute(0, 3, 5, 1, 2, 4), images, P),
        detect=lambda e: arrangement(e) == "mixed",
    ),
    Mistake(
        name="patches_in_another_order",
        explanation="Each row is one patch, and right inside. The patches come in another order.",
        hint="Which patch must be number 1: the one beside the first, or another one?",
        buggy=lambda images, P: patchify(images, P).flip(1),
        detect=lambda e: arrangement(e) == "order",
    ),
    Mistake(
        name="numbers_of_a_patch_in_another_order",
        explanation=(
            "Each row holds the numbers of its own patch. Inside the patch they come in another "
            "order than row by row, pixel by pixel, with a pixel's channels side by side."
        ),
        hint="In which order must row, column and channel stand before they are flattened?",
        buggy=lambda images, P: patchify(images, P).flip(2),
        detect=lambda e: arrangement(e) == "inside",
    ),
    Mistake(
        name="patches_and_their_numbers_in_another_order",
        explanation=(
            "Each row holds the numbers of one patch, but the patches are in another order, and so "
            "are the numbers inside them."
        ),
        hint=(
            "Mend one at a time: first which patch a row holds, then the order of row, column and "
            "channel inside it."
        ),
        buggy=lambda images, P: patchify(images, P).flip(1).flip(2),
        detect=lambda e: arrangement(e) == "both",
    ),
    Mistake(
        name="last_row_and_column_lost",
        explanation=(
            "The last row and the last column of patches are missing: your loops end one patch too "
            "early."
        ),
        hint="What does range(0, 8 - 4, 4) count, and what should it count?",
        buggy=without_the_end,
        detect=ends_too_early,
    ),
    Mistake(
        name="patches_cut_at_neighbouring_pixels",
        explanation=(
            "Your patches overlap: each begins one pixel after the last one, where it should begin "
            "P pixels later."
        ),
        hint="At which pixel does patch 1 begin? What do you multiply its number by?",
        # images[:, :, r : r + P, c : c + P] for r in range(H // P)
        buggy=counted_in_pixels,
    ),
    Mistake(
        name="pixels_changed",
        explanation=(
            "The patches are cut right, and their numbers are no longer those of the image: the "
            "mean or the smallest value was taken off."
        ),
        hint="Which line changes numbers? Cutting only moves them.",
        buggy=less(lambda images: images.mean()),
        variants=(
            less(lambda images: images.min()),
            less(lambda images: images.mean(dim=(1, 2, 3), keepdim=True)),
            less(lambda images: images.mean(dim=(2, 3), keepdim=True)),
        ),
    ),
    Mistake(
        name="patch_size_taken_for_a_number_of_pieces",
        explanation=(
            "patch_size was taken for the number of pieces along a side. It is the side of a "
            "patch in pixels."
        ),
        hint="Which of torch.chunk and torch.split is told a size, and which a number?",
        buggy=into_many,
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
    place=address,
)
