"""check_strided_mask: which earlier tokens a token reads in a strided pattern."""

import dataclasses

import torch

from ..engine.case import Case, choice
from ..engine.check import Check
from ..engine.mistake import Evidence, Mistake
from .general import general_mistakes


def distance(length) -> torch.Tensor:
    """How many tokens before its reader i a token j stands, (T, T): entry [i, j] is i - j."""
    n = torch.arange(length)
    return n[:, None] - n


def strided_mask(length, stride):
    """(T, T), bool: the last `stride` tokens, and every stride-th before them (Child et al.)."""
    back = distance(length)
    return ((back < stride) | (back % stride == 0)) & (back >= 0)


def strided_mask_cases(generator: torch.Generator) -> list[Case]:
    """Strides that divide the length and others, 1, as long as the text, and longer."""

    def case(about, length, stride):
        return Case(about, {"length": length, "stride": stride})

    stride = choice(generator, 3, 4, 5)
    return [
        case("rows of an image", 4 * stride, stride),
        case("the last row is not full", 4 * stride + 2, stride),
        case("stride 2", choice(generator, 7, 9, 11), 2),
        case("stride 1: all that is earlier", 6, 1),
        case("as long as the whole text", 5, 5),
        case("longer than the text", 4, 7),
        case("a single token", 1, 3),
        case("a long text", 40, 6),
    ]


def of(rule):
    """A mask by rule(i - j, stride, i, j)."""

    def mask(length, stride):
        n = torch.arange(length)
        return rule(distance(length), stride, n[:, None], n)

    return mask


def window(back, stride):
    return (back >= 0) & (back < stride)


def far(back, stride):
    return (back >= 0) & (back % stride == 0)


def scores_returned(e: Evidence) -> bool:
    """0 where a token may be read and -inf, or a large negative number, elsewhere."""
    every = [(mine.output, right.output) for _, mine, right in e.compared()]
    return all(
        mine is not None
        and mine.shape == right.shape
        and mine.dtype.is_floating_point
        and torch.equal(mine == 0, right)
        and bool((mine <= 0).all())
        for mine, right in every
    )


def general_of_masks() -> tuple[Mistake, ...]:
    """The general mistakes for a function whose inputs are numbers."""
    general = general_mistakes(strided_mask, without=("detached", "changed_input", "wrong_device"))
    numbers = {
        "explanation": "The values are right, but the mask is not bool: it holds 0 and 1.",
        "hint": "A float mask is added to the scores. What would adding 0 or 1 do?",
        "buggy": lambda length, stride: strided_mask(length, stride).float(),
    }
    return tuple(
        dataclasses.replace(m, **numbers) if m.name == "wrong_dtype" else m for m in general
    )


MISTAKES = (
    *general_of_masks(),
    Mistake(
        name="scores_for_a_mask",
        explanation=(
            "You return what is added to the scores, 0 and minus infinity. The exercise asks for "
            "True and False."
        ),
        hint="Which comparison gives True where a token may be read?",
        buggy=lambda length, stride: torch.zeros(length, length).masked_fill(
            ~strided_mask(length, stride), float("-inf")
        ),
        detect=scores_returned,
    ),
    Mistake(
        name="true_for_hidden",
        explanation=(
            "True and False are exchanged. True means that a token may be read, as in "
            "F.scaled_dot_product_attention; in nn.MultiheadAttention it means the opposite."
        ),
        hint="May a token read itself?",
        buggy=lambda length, stride: ~strided_mask(length, stride),
    ),
    Mistake(
        name="readers_in_columns",
        explanation="Your mask is transposed: tokens read what comes after them.",
        hint="Entry [i, j] is for token i reading token j. Which one must be earlier?",
        buggy=lambda length, stride: strided_mask(length, stride).T.contiguous(),
    ),
    Mistake(
        name="future_read",
        explanation="Some tokens read later ones: there they would find the answer.",
        hint="What sign has i - j for a later token j, and what is its remainder?",
        # back < stride holds for every negative number
        buggy=of(lambda back, stride, i, j: (back < stride) | (back % stride == 0)),
        variants=(
            of(lambda back, stride, i, j: (back.abs() < stride) | (back % stride == 0)),
            of(lambda back, stride, i, j: window(back, stride) | (back % stride == 0)),
            of(lambda back, stride, i, j: (back < stride) | far(back, stride)),
            of(lambda back, stride, i, j: (back.abs() < stride) | far(back, stride)),
        ),
    ),
    Mistake(
        name="itself_left_out",
        explanation="A token does not read itself. The first one then reads nothing at all.",
        hint="What is i - j for a token and itself?",
        buggy=of(lambda back, stride, i, j: (window(back, stride) | far(back, stride)) & (i != j)),
    ),
    Mistake(
        name="window_too_short",
        explanation="Your window holds one token too few. It counts the token itself, too.",
        hint="With stride 3, which three tokens are the last ones for token 10?",
        buggy=of(lambda back, stride, i, j: window(back, stride - 1) | far(back, stride)),
    ),
    Mistake(
        name="window_too_long",
        explanation="Your window holds more than `stride` tokens.",
        hint="With stride 3, which three tokens are the last ones for token 10?",
        # back <= stride + 1; back <= stride is harmless: that token is read anyway
        buggy=of(lambda back, stride, i, j: window(back, stride + 2) | far(back, stride)),
    ),
    Mistake(
        name="window_alone",
        explanation="Your tokens read the last ones alone. Every stride-th before is missing.",
        hint="Which remainders of i - j mark the tokens further back?",
        buggy=of(lambda back, stride, i, j: window(back, stride)),
    ),
    Mistake(
        name="strides_alone",
        explanation="Your tokens read every stride-th one alone. The last ones are missing.",
        hint="Which values of i - j do the last `stride` tokens have?",
        buggy=of(lambda back, stride, i, j: far(back, stride)),
    ),
    Mistake(
        name="both_at_once",
        explanation="You ask for both conditions at once. A token is read if either of them holds.",
        hint="Which operator joins two masks so that one of them is enough?",
        # &
        buggy=of(lambda back, stride, i, j: window(back, stride) & far(back, stride)),
    ),
    Mistake(
        name="counted_from_the_start",
        explanation=(
            "Every stride-th token is counted from the start of the text. So all readers see the "
            "same ones. The exercise counts back from each reader."
        ),
        hint="On an image with rows of `stride` pixels, should pixel 10 read the pixel above it?",
        # j % stride
        buggy=of(
            lambda back, stride, i, j: (window(back, stride) | (j % stride == 0)) & (back >= 0)
        ),
        variants=(
            of(
                lambda back, stride, i, j: (
                    (window(back, stride) | (j % stride == stride - 1)) & (back >= 0)
                )
            ),
        ),
    ),
    Mistake(
        name="line_for_window",
        explanation=(
            "Your tokens read their own line from its start, not the last `stride` tokens. So the "
            "first token of a line has no neighbours."
        ),
        hint="Which tokens stand just before the first token of a line?",
        # i // stride == j // stride
        buggy=of(
            lambda back, stride, i, j: (
                ((i // stride == j // stride) | far(back, stride)) & (back >= 0)
            )
        ),
    ),
    Mistake(
        name="fixed_pattern",
        explanation="This is the fixed pattern: a line, and the last token of each line.",
        hint="What does the strided pattern read in place of the last token of each line?",
        buggy=of(
            lambda back, stride, i, j: (
                ((i // stride == j // stride) | (j % stride == stride - 1)) & (back >= 0)
            )
        ),
    ),
    Mistake(
        name="all_that_is_earlier",
        explanation="Your tokens read everything before them, whatever the stride.",
        hint="How many tokens should the last one of 12 read with stride 4?",
        buggy=of(lambda back, stride, i, j: back >= 0),
    ),
)


check_strided_mask = Check(
    name="check_strided_mask",
    signature=(
        "fn(length, stride) -> (T, T), bool, T = length: entry [i, j] is True if token i reads "
        "token j, which is i itself, one of the stride - 1 tokens before it, or a multiple of "
        "stride before it; never a later one"
    ),
    cases=strided_mask_cases,
    reference=strided_mask,
    mistakes=MISTAKES,
)
