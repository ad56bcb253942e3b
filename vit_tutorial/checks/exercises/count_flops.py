"""check_count_flops: how many FLOPs does the forward pass of a ViT take?"""

from ..engine.check import Check
from ..engine.mistake import Mistake
from .count_parameters import record_count, size_cases
from .general import general_mistakes


def flop_parts(N, P, D, L, M, K, T=None) -> dict[str, int]:
    """The FLOPs of a forward pass by part, for N patches and T tokens (N + 1 unless given)."""
    T = N + 1 if T is None else T
    return {
        "embedding": 2 * N * 3 * P * P * D,
        "qkv": L * 6 * T * D * D,
        "scores": L * 2 * T * T * D,
        "weighted sum": L * 2 * T * T * D,
        "output": L * 2 * T * D * D,
        "MLP in": L * 2 * T * D * M,
        "MLP out": L * 2 * T * M * D,
        "head": 2 * D * K,
    }


def changed(patches=None, tokens=None, without=(), **times):
    """The count of a model where something is not as it should be.

    patches(image_size, P): the number of patches, instead of N. tokens(N): that of the tokens.
    without: parts that are left out. times: a factor for a part, its spaces written as _.
    """

    def count(image_size, patch_size, *rest):
        N = (image_size // patch_size) ** 2 if patches is None else patches(image_size, patch_size)
        parts = flop_parts(N, patch_size, *rest, T=tokens(N) if tokens else None)
        factors = {name.replace("_", " "): factor for name, factor in times.items()}
        return round(
            sum(n * factors.get(name, 1) for name, n in parts.items() if name not in without)
        )

    return count


count_flops = changed()

MISTAKES = (
    Mistake(
        name="macs",
        explanation="Your count is half the FLOPs. It counts MACs.",
        hint="How many FLOPs are one multiplication and one addition?",
        # abc for a product of (a, b) and (b, c)
        buggy=lambda *sizes: count_flops(*sizes) // 2,
    ),
    Mistake(
        name="class_token_forgotten",
        explanation="Your blocks see N tokens. The class token is missing.",
        hint="How many tokens enter the encoder?",
        buggy=changed(tokens=lambda N: N),
    ),
    Mistake(
        name="class_token_embedded",
        explanation="Your patch embedding is applied to one row too many.",
        hint="Does the class token pass through the patch embedding?",
        # T in place of N
        buggy=lambda size, P, D, *rest: count_flops(size, P, D, *rest) + 2 * 3 * P * P * D,
    ),
    Mistake(
        name="grid_side_not_squared",
        explanation="Your number of patches counts one side of the grid.",
        hint="How many patches fit across, and how many down?",
        buggy=changed(patches=lambda size, P: size // P),
    ),
    Mistake(
        name="one_channel",
        explanation="Your patch embedding reads only P · P numbers of a patch.",
        hint="How many numbers does a pixel of a colour image have?",
        buggy=changed(embedding=1 / 3),
    ),
    Mistake(
        name="embedding_left_out",
        explanation="The patch embedding is missing.",
        hint="Which layer turns the numbers of a patch into a token?",
        buggy=changed(without=("embedding",)),
    ),
    Mistake(
        name="embedding_once",
        explanation="Your patch embedding is computed for one patch.",
        hint="How many patches does the layer read in one image?",
        # the layer's weights, times 2
        buggy=lambda size, P, D, *rest: (
            changed(without=("embedding",))(size, P, D, *rest) + 2 * 3 * P * P * D
        ),
    ),
    Mistake(
        name="head_left_out",
        explanation="The head is missing.",
        hint="Which argument does your formula not use?",
        buggy=changed(without=("head",)),
    ),
    Mistake(
        name="head_for_every_token",
        explanation="Your head is computed for every token.",
        hint="How many vectors does the head read in one image?",
        buggy=lambda size, P, D, L, M, K: (
            count_flops(size, P, D, L, M, K) + (size // P) ** 2 * 2 * D * K
        ),
    ),
    Mistake(
        name="quadratic_part_left_out",
        explanation="Scores and weighted sum are missing. Nothing in your count grows as T².",
        hint="Two products in attention use no weights of a layer. Which are they?",
        buggy=changed(without=("scores", "weighted sum")),
    ),
    Mistake(
        name="half_of_the_quadratic_part",
        explanation="Your count has only one of the two products that grow as T².",
        hint="One product gives the scores. Which product uses the attention weights?",
        buggy=changed(without=("weighted sum",)),
    ),
    Mistake(
        name="output_projection_left_out",
        explanation="The layer at the end of attention, which mixes the heads, is missing.",
        hint="Queries, keys and values take three linear layers. Which layer comes fourth?",
        buggy=changed(without=("output",)),
    ),
    Mistake(
        name="qkv_counted_once",
        explanation="Queries, keys and values share one layer in your count.",
        hint="How many linear layers read a token before the scores are computed?",
        buggy=changed(qkv=1 / 3),
    ),
    Mistake(
        name="mlp_one_layer",
        explanation="Your MLP has one layer.",
        hint="The first layer goes from width D to width M. Which layer goes back to D?",
        buggy=changed(without=("MLP out",)),
    ),
    Mistake(
        name="mlp_left_out",
        explanation="The MLPs are missing.",
        hint="Which argument does your formula not use?",
        buggy=changed(without=("MLP in", "MLP out")),
    ),
    Mistake(
        name="one_block",
        explanation="Your count has one block, whatever the depth.",
        hint="Which argument does your formula not use?",
        buggy=lambda s, P, D, L, M, K: count_flops(s, P, D, 1, M, K),
    ),
    Mistake(
        name="everything_times_depth",
        explanation="Your formula multiplies parts outside the blocks by the depth.",
        hint="Which products does a model compute once, however deep it is?",
        buggy=lambda s, P, D, L, M, K: L * count_flops(s, P, D, 1, M, K),
    ),
    Mistake(
        name="in_billions",
        explanation="Your count is in GFLOP.",
        hint="The exercise asks for a whole number.",
        buggy=lambda *sizes: count_flops(*sizes) / 1e9,
    ),
)


check_count_flops = Check(
    name="check_count_flops",
    signature=(
        "fn(image_size, patch_size, dim, depth, mlp_dim, num_classes) -> the FLOPs of one forward "
        "pass of a ViT for one square image with 3 channels: matrix products only, 2 for each "
        "multiply-and-add"
    ),
    cases=size_cases,
    reference=count_flops,
    mistakes=MISTAKES
    + general_mistakes(
        count_flops, without=("changed_input", "wrong_dtype", "wrong_device", "detached")
    ),
    record=record_count,
)
