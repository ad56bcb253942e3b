"""check_enlarge_positions: a learned table for a larger grid of patches."""

import torch
import torch.nn.functional as F

from ..engine.case import Case, choice, numbers
from ..engine.check import Check
from ..engine.mistake import Mistake
from .general import general_mistakes


def enlarge_positions(table, old, new):
    """(1, N, D) of a grid `old` -> (1, N', D) of a grid `new`, bilinear."""
    return back(interpolated(picture(table, old), new))


def picture(table, grid):
    """(1, N, D) -> (1, D, R, C): the table as a picture with D channels."""
    return table.transpose(1, 2).unflatten(2, tuple(grid))


def interpolated(image, new, **options):
    options = dict(mode="bilinear", align_corners=False) | options
    return F.interpolate(image, size=tuple(new), **options)


def back(image):
    """(1, D, R, C) -> (1, N, D)."""
    return image.flatten(2).transpose(1, 2)


def enlarge_positions_cases(generator: torch.Generator) -> list[Case]:
    """Square and not; growth in one direction; the same grid; float64."""

    def case(about, old, new, D, dtype=torch.float32, **more):
        table = numbers(generator, 1, old[0] * old[1], D, dtype=dtype)
        return Case(about, {"table": table, "old": old, "new": new}, **more)

    side, D = choice(generator, 3, 4), choice(generator, 5, 6)
    return [
        case("square", (side, side), (2 * side, 2 * side), D),
        case("half as large again", (4, 4), (6, 6), D),
        case("wide", (2, 5), (4, 10), D),
        case("higher only", (3, 4), (6, 4), D),
        case("wider only", (3, 3), (3, 7), D),
        case("as many entries as patches", (3, 3), (5, 5), 9),
        case("the same grid", (4, 3), (4, 3), D),
        case("float64", (3, 2), (5, 4), D, torch.float64),
        case("with gradient", (2, 3), (4, 6), D, grad=True),
        case("another device", (3, 3), (6, 6), D, device="meta"),
    ]


def viewed(table, old, new):
    """(1, N, D) reshaped to (1, D, R, C) without moving the axes."""
    return back(interpolated(table.reshape(1, table.shape[2], *old), new))


def not_moved_back(table, old, new):
    """The way back without moving the axes."""
    return interpolated(picture(table, old), new).reshape(1, -1, table.shape[2])


def as_line(table, old, new):
    """Along the line of numbers, as text would be."""
    length = new[0] * new[1]
    line = F.interpolate(table.transpose(1, 2), size=length, mode="linear", align_corners=False)
    return line.transpose(1, 2)


def tiled(table, old, new):
    """Patch i of the new grid gets row i of the table, from the start again at its end."""
    length = new[0] * new[1]
    return table[:, torch.arange(length, device=table.device) % table.shape[1]]


def padded(table, old, new):
    """The old rows at the same row and column, zeros elsewhere."""
    image = picture(table, old)
    return back(F.pad(image, (0, new[1] - old[1], 0, new[0] - old[0])))


def turned(table, old, new):
    """The picture with its sides exchanged on the way in."""
    made = interpolated(picture(table, old).transpose(2, 3), new)
    return back(made)


def by_factor(table, old, new):
    """A fixed factor of two, in place of the new size."""
    return back(interpolated(picture(table, old), (2 * old[0], 2 * old[1])))


def one_factor(table, old, new):
    """The factor of the rows for the columns, too."""
    return back(interpolated(picture(table, old), (new[0], old[1] * new[0] // old[0])))


MISTAKES = (
    Mistake(
        name="axes_not_moved",
        explanation=(
            "Your picture mixes patches and entries: (1, N, D) is read as (1, D, R, C) without "
            "exchanging axes first."
        ),
        hint="Which number follows table[0, 0, 0] in memory: the next patch's, or the next entry?",
        buggy=viewed,
    ),
    Mistake(
        name="not_moved_back",
        explanation=(
            "Up to the interpolation all is right. Then (1, D, R, C) is read as (1, N, D) without "
            "exchanging axes."
        ),
        hint="After flatten(2) the shape is (1, D, N). Which two axes are still to be exchanged?",
        buggy=not_moved_back,
    ),
    Mistake(
        name="along_the_line",
        explanation=(
            "You interpolate along the line of patch numbers. The last patch of a row is then "
            "mixed with the first of the next row."
        ),
        hint="Which patches are neighbours of patch 3 on a grid of 4 columns?",
        buggy=as_line,
        variants=(
            lambda table, old, new: F.interpolate(
                table.transpose(1, 2), size=new[0] * new[1], mode="nearest"
            ).transpose(1, 2),
        ),
    ),
    Mistake(
        name="nearest",
        explanation="You take the nearest old patch: the enlarged table has steps in it.",
        hint="Which mode of F.interpolate blends neighbours? It is not the default.",
        buggy=lambda table, old, new: back(
            F.interpolate(picture(table, old), size=tuple(new), mode="nearest")
        ),
        variants=(
            lambda table, old, new: back(
                F.interpolate(picture(table, old), size=tuple(new), mode="nearest-exact")
            ),
        ),
    ),
    Mistake(
        name="bicubic",
        explanation=(
            "You interpolate bicubically, as the package does. It is a good choice; this exercise "
            "asks for bilinear, so that every version of PyTorch gives the same numbers."
        ),
        hint="Which mode does the exercise name?",
        buggy=lambda table, old, new: back(interpolated(picture(table, old), new, mode="bicubic")),
        variants=(
            lambda table, old, new: back(
                interpolated(picture(table, old), new, mode="bicubic", antialias=True)
            ),
        ),
    ),
    Mistake(
        name="corners_aligned",
        explanation=(
            "You align the corners: the new corner patches keep the old ones' rows. Patches are "
            "areas, and the middle of a smaller patch lies nearer to the corner."
        ),
        hint="What does align_corners say about the places of the outermost values?",
        buggy=lambda table, old, new: back(
            interpolated(picture(table, old), new, align_corners=True)
        ),
    ),
    Mistake(
        name="grid_exchanged",
        explanation="You exchange rows and columns of a grid: it is (rows, columns).",
        hint="How many patches lie side by side on a grid (2, 5)?",
        buggy=lambda table, old, new: back(interpolated(picture(table, old[::-1]), new)),
        variants=(
            lambda table, old, new: back(interpolated(picture(table, old), new[::-1])),
            lambda table, old, new: back(interpolated(picture(table, old[::-1]), new[::-1])),
            lambda table, old, new: (
                interpolated(picture(table, old), new).transpose(2, 3).flatten(2).transpose(1, 2)
            ),
        ),
    ),
    Mistake(
        name="repeated",
        explanation="Beyond its end your table starts again from the first patch.",
        hint="Should the lower right patch of a large grid get the row of an upper left one?",
        buggy=tiled,
    ),
    Mistake(
        name="filled_with_zeros",
        explanation="The old rows stay where they were, and the new places get zeros.",
        hint="Which part of the picture did the old lower right patch see?",
        buggy=padded,
    ),
    Mistake(
        name="batch_lost",
        explanation="The values are right, but the first axis, of length 1, is gone.",
        hint="Which shape does a table have that is added to tokens (B, N, D)?",
        buggy=lambda table, old, new: enlarge_positions(table, old, new)[0],
    ),
    Mistake(
        name="sides_of_the_picture_exchanged",
        explanation="The picture is lying: its rows and columns changed places on the way in.",
        hint="F.interpolate wants (1, D, rows, columns). In which order are your four axes?",
        buggy=turned,
    ),
    Mistake(
        name="fixed_factor",
        explanation="Your grid is enlarged by two, whatever the new size is.",
        hint="Which of F.interpolate's arguments takes the new sides?",
        buggy=by_factor,
    ),
    Mistake(
        name="area",
        explanation="Interpolated with mode 'area', which averages and does not interpolate.",
        hint="Which mode does the exercise name?",
        buggy=lambda table, old, new: back(
            F.interpolate(picture(table, old), size=tuple(new), mode="area")
        ),
    ),
    Mistake(
        name="one_factor_for_both_sides",
        explanation="Both sides are enlarged by the same factor, that of one of them.",
        hint="May the new grid have another shape than the old one? Which argument takes both?",
        buggy=one_factor,
        variants=(
            lambda table, old, new: back(
                interpolated(picture(table, old), (old[0] * new[1] // old[1], new[1]))
            ),
        ),
    ),
)


check_enlarge_positions = Check(
    name="check_enlarge_positions",
    signature=(
        "fn(table (1, N, D), old (R, C), new (R', C')) -> (1, N', D): the table seen as a picture "
        "with D channels, interpolated bilinearly, corners not aligned; patches row by row"
    ),
    cases=enlarge_positions_cases,
    reference=enlarge_positions,
    mistakes=MISTAKES + general_mistakes(enlarge_positions, without=()),
)
