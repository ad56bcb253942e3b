"""check_repair_strips: patches out of tokens that a wrong permutation made into strips."""

import itertools

import torch

from ..engine.address import coordinates, reading, sources
from ..engine.case import Case, Observation, choice, numbers
from ..engine.check import Check
from ..engine.mistake import Evidence, Mistake
from .general import general_mistakes


def repair_strips(tokens, P, columns):
    """Strips (B, N, P*P*C) -> patches (B, N, P*P*C), as `patchify` cuts them; N = rows * columns.

    The strips hold the image row by row, in the order (rows, P, C, columns, P).
    """
    return rearranged(tokens, P, columns, 0, 1, 4, 2, 5, 3)


def rearranged(tokens, P, columns, *order):
    """The axes (B, rows, P, C, columns, P) of the strips in another order."""
    B, N, L = tokens.shape
    x = tokens.reshape(B, N // columns, P, L // P**2, columns, P)
    return x.permute(*order).reshape(B, N, L)


def repair_strips_cases(generator: torch.Generator) -> list[Case]:
    """Square grids and others, batch 1, one channel, one row, one column, float64."""

    def case(about, B, C, rows, columns, P, dtype=torch.float32, **more):
        tokens = numbers(generator, B, rows * columns, P * P * C, dtype=dtype)
        return Case(about, {"tokens": tokens, "P": P, "columns": columns}, **more)

    P = choice(generator, 2, 4, 5)
    return [
        case("square grid", 2, 3, 2, 2, P),
        case("square grid, batch of 1", 1, 3, 4, 4, P),
        case("wide", 2, 3, 2, 5, P),
        case("tall", 2, 3, 4, 2, 3),
        case("one channel", 2, 1, 2, 4, P),
        case("five channels", 2, 5, 2, 3, 3),
        case("one row of patches", 2, 3, 1, 4, P),
        case("one column of patches", 2, 3, 4, 1, P),
        case("float64", 2, 3, 2, 3, P, torch.float64),
        case("another device", 2, 3, 2, 2, P, device="meta"),
    ]


def address(case: Case, actual: Observation, expected: Observation) -> str:
    """What the first wrong patch reads, by strip and number in it."""
    tokens, mine, right = case.inputs["tokens"], actual.output, expected.output
    if mine is None or mine.shape != right.shape:
        return ""
    of_mine, of_right = sources(mine, tokens), sources(right, tokens)
    if of_mine is None or of_right is None:
        return ""
    wrong = (of_mine != of_right).any(dim=2).nonzero()
    if not len(wrong):
        return ""
    b, n = wrong[0].tolist()

    def name(index: int) -> str:
        image, strip, place = coordinates(index, tokens.shape)
        return ("" if image == b else f"image{image}:") + f"{strip}:{place}"

    read = reading(of_mine[b, n].tolist(), of_right[b, n].tolist(), name)
    return f"Named by strip and number in it, patch {n} of image {b} {read}."


def grid_exchanged(tokens, P, columns):
    B, N, L = tokens.shape
    return rearranged(tokens, P, N // columns, 0, 1, 4, 2, 5, 3)


def grid_is_square(tokens, P, columns):
    side = round(tokens.shape[1] ** 0.5)
    return rearranged(tokens, P, side, 0, 1, 4, 2, 5, 3)


def channel_last_strips(tokens, P, columns):
    B, N, L = tokens.shape
    x = tokens.reshape(B, N // columns, P, columns, P, L // P**2)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(B, N, L)


def not_square(e: Evidence) -> bool:
    def of(case):
        return case.inputs["tokens"].shape[1] != case.inputs["columns"] ** 2

    return e.wrong_exactly_where(of)


# The orders of (rows, P, C, columns, P) that are right, nothing, or a mistake with its own name.
NAMED = ((1, 4, 2, 5, 3), (1, 2, 3, 4, 5), (1, 4, 3, 2, 5), (1, 4, 5, 2, 3), (4, 1, 2, 5, 3))


def taken_for(*shape, order):
    """The tokens read as other axes, named by B, rows, columns, P and C, then moved."""

    def buggy(tokens, P, columns):
        B, N, L = tokens.shape
        sizes = {"rows": N // columns, "columns": columns, "P": P, "C": L // P**2}
        x = tokens.reshape(B, *(sizes[name] for name in shape))
        return x.permute(0, *order).reshape(B, N, L)

    return buggy


def as_images(tokens, P, columns):
    """The image itself (B, C, H, W), not yet cut."""
    B, N, L = tokens.shape
    x = tokens.reshape(B, N // columns, P, L // P**2, columns, P)
    return x.permute(0, 3, 1, 2, 4, 5).flatten(4, 5).flatten(2, 3)


MISTAKES = (
    Mistake(
        name="unchanged",
        explanation="You return the strips unchanged.",
        hint="In which order do the strips hold the axes rows, P, C, columns, P?",
        buggy=lambda tokens, P, columns: tokens.clone(),
    ),
    Mistake(
        name="channel_first",
        explanation="Your patches have the channel first: (C, P, P) instead of (P, P, C).",
        hint="In a patch from `patchify`, which axis varies fastest?",
        buggy=lambda tokens, P, columns: rearranged(tokens, P, columns, 0, 1, 4, 3, 2, 5),
    ),
    Mistake(
        name="channel_taken_for_last",
        explanation=(
            "You split the strips as if the channel varied fastest. It comes before the columns."
        ),
        hint=(
            "The slide permutes (B, C, rows, columns, P, P) by 0, 2, 4, 1, 3, 5. What order "
            "results?"
        ),
        buggy=channel_last_strips,
    ),
    Mistake(
        name="pixels_transposed",
        explanation="Each patch came out transposed: its rows and columns are swapped.",
        hint="Two axes have the length P. Which of them counts the rows inside a patch?",
        buggy=lambda tokens, P, columns: rearranged(tokens, P, columns, 0, 1, 4, 5, 2, 3),
    ),
    Mistake(
        name="patches_column_by_column",
        explanation="The patches are right, but they come column by column, not row by row.",
        hint="Which axis of the grid must come first: rows or columns?",
        buggy=lambda tokens, P, columns: rearranged(tokens, P, columns, 0, 4, 1, 2, 5, 3),
    ),
    Mistake(
        name="grid_exchanged",
        explanation="You swapped the rows and the columns of the grid.",
        hint="N = rows * columns. How many rows are there?",
        buggy=grid_exchanged,
    ),
    Mistake(
        name="square_grid_assumed",
        explanation="Square grids are right, others are not: your code does not use `columns`.",
        hint="Where does your code get the number of columns from?",
        buggy=grid_is_square,
        detect=not_square,
    ),
    Mistake(
        name="image_returned",
        explanation="You put the image together and return it. Patches are asked for.",
        hint="Which call cuts an image (B, C, H, W) into patches?",
        buggy=as_images,
    ),
    Mistake(
        name="read_as_patches_already",
        explanation=(
            "You read the strips as if they held patches: first the grid, then the numbers of a "
            "patch. They hold whole lines of the image."
        ),
        hint="In which order do the strips hold the axes rows, P, C, columns, P?",
        buggy=taken_for("rows", "columns", "C", "P", "P", order=(1, 2, 4, 5, 3)),
        variants=(
            taken_for("rows", "columns", "P", "P", "C", order=(1, 2, 4, 3, 5)),
            taken_for("rows", "columns", "C", "P", "P", order=(1, 2, 5, 4, 3)),
            taken_for("rows", "columns", "P", "C", "P", order=(1, 2, 3, 5, 4)),
        ),
    ),
    Mistake(
        name="read_as_an_image",
        explanation=(
            "You read the strips as if they held the image channel by channel. They hold it line "
            "by line: the channel comes between the line and the columns."
        ),
        hint="In which order do the strips hold the axes rows, P, C, columns, P?",
        buggy=taken_for("C", "rows", "P", "columns", "P", order=(2, 4, 3, 5, 1)),
        variants=(taken_for("C", "rows", "columns", "P", "P", order=(2, 3, 4, 5, 1)),),
    ),
    Mistake(
        name="strip_axes_in_another_order",
        explanation=(
            "Your permute puts the axes of a strip into another order than rows, columns, P, P, C."
        ),
        hint="Write down what each number in your permute stands for. In which order must they be?",
        buggy=lambda tokens, P, columns: rearranged(tokens, P, columns, 0, 1, 4, 3, 5, 2),
        variants=tuple(
            lambda tokens, P, columns, order=order: rearranged(tokens, P, columns, 0, *order)
            for order in itertools.permutations(range(1, 6))
            if order not in NAMED
        ),
    ),
)


check_repair_strips = Check(
    name="check_repair_strips",
    signature=(
        "fn(tokens (B, N, P*P*C), P, columns) -> (B, N, P*P*C): strips as the slide cuts them, "
        "turned into the patches that `patchify` makes"
    ),
    cases=repair_strips_cases,
    reference=repair_strips,
    mistakes=MISTAKES + general_mistakes(repair_strips),
    place=address,
)
