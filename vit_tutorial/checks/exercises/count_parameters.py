"""check_count_parameters: how many parameters does a ViT have?"""

from collections.abc import Callable

import torch

from ..engine.case import Case, Observation, choice
from ..engine.check import Check
from ..engine.mistake import Evidence, Mistake
from ..engine.observe import as_number, type_name
from .general import general_mistakes


def parameter_parts(
    image_size, patch_size, dim, depth, mlp_dim, num_classes, patches=None
) -> dict[str, int]:
    """The parameters by part, with biases on their own. patches: N, unless it is the right one."""
    D, M, K = dim, mlp_dim, num_classes
    N = (image_size // patch_size) ** 2 if patches is None else patches
    return {
        "embedding": 3 * patch_size**2 * D,
        "embedding bias": D,
        "class token": D,
        "positions": (N + 1) * D,
        "norms": depth * 4 * D,
        "qkv": depth * 3 * D * D,
        "qkv bias": depth * 3 * D,
        "output": depth * D * D,
        "output bias": depth * D,
        "MLP in": depth * D * M,
        "MLP in bias": depth * M,
        "MLP out": depth * M * D,
        "MLP out bias": depth * D,
        "last norm": 2 * D,
        "head": D * K,
        "head bias": K,
    }


def count_parameters(image_size, patch_size, dim, depth, mlp_dim, num_classes) -> int:
    """The parameters of the paper's ViT for square images with 3 channels."""
    parts = parameter_parts(image_size, patch_size, dim, depth, mlp_dim, num_classes)
    return sum(parts.values())


def size_cases(generator: torch.Generator) -> list[Case]:
    """Two models of the paper, and small ones of random sizes: no two sizes are equal."""

    def case(about, image_size, patch_size, dim, depth, mlp_dim, num_classes):
        sizes = image_size, patch_size, dim, depth, mlp_dim, num_classes
        names = "image_size", "patch_size", "dim", "depth", "mlp_dim", "num_classes"
        return Case(about, dict(zip(names, sizes)))

    P, D, L = (choice(generator, *options) for options in ((5, 6, 7), (40, 44, 52), (2, 3)))
    return [
        case("a small model", 4 * P, P, D, L, 2 * D + 1, 11),
        case("one block", 9 * P, P, 36, 1, 97, 13),
        case("ViT-B/16", 224, 16, 768, 12, 3072, 1000),
        case("ViT-L/32 at 384 pixels", 384, 32, 1024, 24, 4096, 21_843),
    ]


def record_count(value, inputs) -> tuple[dict, dict]:
    """A count is compared exactly, so it is kept as a fact and not as a rounded tensor."""
    number = as_number(value)
    if number is None:
        kind = type_name(value)
        return {}, {"types": {"output": kind}, "values": {"the count": f"not a number ({kind})"}}
    number = number.item()
    shown = f"{int(number):,}" if number.is_integer() else f"{number:,.6g}"
    return {}, {"types": {"output": "int"}, "values": {"the count": shown}}


def without(*names: str) -> Callable:
    """The count without these parts."""
    return lambda *sizes: sum(n for name, n in parameter_parts(*sizes).items() if name not in names)


def with_patches(patches: Callable) -> Callable:
    """The count with a table of positions for patches(image_size, patch_size) patches."""
    return lambda *sizes: sum(parameter_parts(*sizes, patches=patches(*sizes[:2])).values())


def counted(actual: Observation) -> int | None:
    """The count that came back; None for anything that is not a whole number."""
    digits = (actual.facts.get("values") or {}).get("the count", "").replace(",", "")
    return int(digits) if digits.isdigit() else None


def rows_missing(e: Evidence, in_each_block: bool) -> int | None:
    """How many rows of the width D every count is short by, in all or in each block; else None."""
    rows = set()
    for case, actual, expected in e.compared():
        mine, right = (
            seen.facts.get("values", {}).get("the count", "") for seen in (actual, expected)
        )
        if not mine.replace(",", "").isdigit():
            return None
        short = int(right.replace(",", "")) - int(mine.replace(",", ""))
        number, rest = divmod(short, case.inputs["dim"])
        if in_each_block:
            number, more = divmod(number, case.inputs["depth"])
            rest += more
        rows.add(number if rest == 0 and 0 < number < 10 else None)
    return rows.pop() if len(rows) == 1 else None


def rows(e: Evidence, in_each_block: bool) -> str:
    """The same in words."""
    number = rows_missing(e, in_each_block)
    return "one row" if number == 1 else f"{number} rows"


BIASES = tuple(name for name in parameter_parts(8, 4, 8, 1, 8, 2) if name.endswith("bias"))

MISTAKES = (
    Mistake(
        name="rows_missing",
        explanation=lambda e: f"Your count is short by {rows(e, False)} of width D.",
        hint=(
            "Which token is learned and does not come from a patch? How many rows do the table of "
            "positions and the last LayerNorm have? Does the embedding have a bias?"
        ),
        # the class token, its position, or the last norm
        buggy=without("class token"),
        detect=lambda e: rows_missing(e, False) is not None,
    ),
    Mistake(
        name="rows_missing_in_each_block",
        explanation=lambda e: f"Each block is short by {rows(e, True)} of width D.",
        hint=(
            "Count in one block: the two LayerNorms, the biases of attention's four layers, and "
            "the bias of the MLP's second layer."
        ),
        # norms, one norm, norms without a bias, biases of queries, keys and values
        buggy=without("norms"),
        detect=lambda e: rows_missing(e, True) is not None,
    ),
    Mistake(
        name="positions_left_out",
        explanation="The table of positions is missing.",
        hint="Is it learned? How many rows does it have, and how wide is a row?",
        buggy=without("positions"),
        variants=(without("positions", "class token"), with_patches(lambda size, P: 0)),
    ),
    Mistake(
        name="grid_side_not_squared",
        explanation="Your table of positions has too few rows: it counts one side of the grid.",
        hint="How many patches fit across, and how many down?",
        # image_size // patch_size
        buggy=with_patches(lambda size, P: size // P),
    ),
    Mistake(
        name="pixels_as_positions",
        explanation="Your table of positions has a row for each pixel.",
        hint="What does a token stand for?",
        buggy=with_patches(lambda size, P: size**2),
    ),
    Mistake(
        name="one_channel",
        explanation="Your patch embedding reads only P · P numbers of a patch.",
        hint="How many numbers does a pixel of a colour image have?",
        buggy=lambda size, P, D, *rest: count_parameters(size, P, D, *rest) - 2 * P * P * D,
    ),
    Mistake(
        name="embedding_left_out",
        explanation="The patch embedding is missing.",
        hint="Which layer turns the numbers of a patch into a token?",
        buggy=without("embedding", "embedding bias"),
        variants=(without("embedding"),),
    ),
    Mistake(
        name="head_left_out",
        explanation="The head is missing.",
        hint="Which argument does your formula not use?",
        buggy=without("head", "head bias"),
        variants=(without("head"),),
    ),
    Mistake(
        name="head_bias_left_out",
        explanation="Your count is short by the number of classes.",
        hint="Which layer has one bias for each class?",
        buggy=without("head bias"),
    ),
    Mistake(
        name="biases_left_out",
        explanation="Your count leaves out the biases of linear layers.",
        hint="A linear layer from a to b numbers has a · b weights. What else does it have?",
        buggy=without(*BIASES),
        variants=(without(*(name for name in BIASES if name != "head bias")),),
    ),
    Mistake(
        name="mlp_biases_left_out",
        explanation="The two layers of the MLP have no biases in your count.",
        hint="One layer has M outputs and the other has D. How many biases do they have?",
        buggy=without("MLP in bias", "MLP out bias"),
        variants=(
            without("MLP in bias"),
            lambda s, P, D, L, M, K: count_parameters(s, P, D, L, M, K) + L * (M - D),
            lambda s, P, D, L, M, K: count_parameters(s, P, D, L, M, K) - L * (M - D),
        ),
    ),
    Mistake(
        name="output_projection_left_out",
        explanation="The layer at the end of attention, which mixes the heads, is missing.",
        hint="Queries, keys and values take three linear layers. Which layer comes fourth?",
        buggy=without("output", "output bias"),
        variants=(without("output"),),
    ),
    Mistake(
        name="qkv_counted_once",
        explanation="Queries, keys and values share one layer in your count.",
        hint="How many linear layers read a token before the scores are computed?",
        buggy=lambda s, P, D, L, *rest: count_parameters(s, P, D, L, *rest) - L * 2 * (D * D + D),
        variants=(lambda s, P, D, L, *rest: count_parameters(s, P, D, L, *rest) - L * 2 * D * D,),
    ),
    Mistake(
        name="mlp_one_layer",
        explanation="Your MLP has one layer.",
        hint="The first layer goes from width D to width M. Which layer goes back to D?",
        buggy=without("MLP out", "MLP out bias"),
        variants=(without("MLP out"),),
    ),
    Mistake(
        name="one_block",
        explanation="Your count has one block, whatever the depth.",
        hint="Which argument does your formula not use?",
        buggy=lambda s, P, D, L, M, K: count_parameters(s, P, D, 1, M, K),
    ),
    Mistake(
        name="everything_times_depth",
        explanation="Your formula multiplies parts outside the blocks by the depth.",
        hint="Which parts does a model have once, however deep it is?",
        # a bracket that opens too early
        buggy=lambda s, P, D, L, M, K: L * count_parameters(s, P, D, 1, M, K),
        variants=(lambda s, P, D, L, M, K: count_parameters(s, P, D, L, M, K) + (L - 1) * 2 * D,),
    ),
    Mistake(
        name="in_millions",
        explanation="Your count is in millions.",
        hint="The exercise asks for a whole number.",
        buggy=lambda *sizes: count_parameters(*sizes) / 1e6,
        variants=(lambda *sizes: round(count_parameters(*sizes) / 1e6, 1),),
    ),
)


check_count_parameters = Check(
    name="check_count_parameters",
    signature=(
        "fn(image_size, patch_size, dim, depth, mlp_dim, num_classes) -> the number of parameters "
        "of a ViT for square images with 3 channels, with a class token and all biases"
    ),
    cases=size_cases,
    reference=count_parameters,
    mistakes=MISTAKES
    + general_mistakes(
        count_parameters, without=("changed_input", "wrong_dtype", "wrong_device", "detached")
    ),
    record=record_count,
)
