"""Known mistakes in multi-head self-attention, from joined weights to the output projection."""

import math

from ...model import attention
from ..check import Evidence, Mistake


def multi_head(x, w_qkv, b_qkv, w_out, b_out, num_heads):
    """The right function: (B, T, D) -> (B, T, D). Each step is a parameter of `steps`, so that a mistake changes one of them."""
    return steps(x, w_qkv, b_qkv, w_out, b_out, num_heads)


def steps(
    x, w_qkv, b_qkv, w_out, b_out, h, parts=None, split=None, attend=None, merge=None, project=None
):
    q, k, v = (parts or three)(x, w_qkv, b_qkv, h)
    q, k, v = ((split or into_heads)(part, h) for part in (q, k, v))
    read = (attend or (lambda q, k, v: attention(q, k, v)[0]))(q, k, v)
    merged = (merge or joined)(read)
    return (project or (lambda z, w, b: z @ w.T + b))(merged, w_out, b_out)


def three(x, w, b, h, order=(0, 1, 2)):
    parts = (x @ w.T + b).chunk(3, dim=-1)
    return tuple(parts[i] for i in order)


def into_heads(part, h):
    B, T, D = part.shape
    return part.reshape(B, T, h, D // h).transpose(1, 2)  # (B, h, T, d)


def joined(heads):
    B, h, T, d = heads.shape
    return heads.transpose(1, 2).reshape(B, T, h * d)


def changed(**step):
    return lambda x, w_qkv, b_qkv, w_out, b_out, h: steps(x, w_qkv, b_qkv, w_out, b_out, h, **step)


def multi_head_mistakes() -> tuple[Mistake, ...]:
    """For fn(x, w_qkv, b_qkv, w_out, b_out, num_heads) -> (B, T, D)."""
    return (
        Mistake(
            "heads_merged_without_permute",
            "The heads were merged by a bare reshape: token 0 now holds what head 0 read for several tokens.",
            "Before the merge the axes are (B, h, T, d). Which two must change places, so that a token's heads lie side by side?",
            "the classic: the shape is right, so nothing complains",
            changed(merge=lambda z: z.reshape(z.shape[0], z.shape[2], -1)),
        ),
        Mistake(
            "heads_split_without_permute",
            "The heads were split by a bare reshape to (B, h, T, d): a head holds whole tokens, and not a part of each token.",
            "From (B, T, D), which axis is it that becomes h and d? What has to be exchanged afterwards?",
            "x.view(B, h, T, d), as often as the merge",
            changed(
                split=lambda p, h: p.reshape(p.shape[0], h, p.shape[1], -1),
                merge=lambda z: z.reshape(z.shape[0], z.shape[2], -1),
            ),
        ),
        Mistake(
            "split_alone_without_permute",
            "The heads were split by a bare reshape to (B, h, T, d), and merged with an exchange that does not undo it.",
            "From (B, T, D), which axis is it that becomes h and d? What has to be exchanged afterwards?",
            "first drafts",
            changed(split=lambda p, h: p.reshape(p.shape[0], h, p.shape[1], -1)),
        ),
        *(
            Mistake(
                name,
                f"The rows of w_qkv were taken as {words}. They are queries, then keys, then values.",
                "Which third of the output does each of your three names get?",
                "first drafts: v, k, q = ...; libraries that keep another order",
                changed(parts=lambda x, w, b, h, order=order: three(x, w, b, h, order)),
            )
            for name, words, order in (
                ("keys_first", "keys, queries, values", (1, 0, 2)),
                ("values_second", "queries, values, keys", (0, 2, 1)),
                ("values_first", "values, keys, queries", (2, 1, 0)),
                ("values_then_queries", "values, queries, keys", (1, 2, 0)),
                ("keys_then_values", "keys, values, queries", (2, 0, 1)),
            )
        ),
        Mistake(
            "shared_projection",
            "Queries, keys and values are the same numbers: only one third of w_qkv was used, for all three.",
            "How many linear layers has self-attention in front of the scores? What can a token not say when they are one?",
            "source 001 has one linear layer for queries, keys and values",
            changed(parts=lambda x, w, b, h: three(x, w, b, h, (0, 0, 0))),
            also=(
                changed(parts=lambda x, w, b, h: three(x, w, b, h, (1, 1, 1))),
                changed(parts=lambda x, w, b, h: three(x, w, b, h, (2, 2, 2))),
            ),
        ),
        Mistake(
            "queries_are_keys",
            "Queries and keys are the same numbers, so token i asks token j what token j asks token i.",
            "Which third of w_qkv makes the keys?",
            "first drafts: a line copied and not changed",
            changed(parts=lambda x, w, b, h: three(x, w, b, h, (0, 0, 2))),
            also=(changed(parts=lambda x, w, b, h: three(x, w, b, h, (1, 1, 2))),),
        ),
        Mistake(
            "output_projection_missing",
            "The heads were merged and returned: w_out and b_out were not used.",
            "Which inputs of the function does your code never read? What do they do for the heads?",
            "first drafts; the layer that mixes the heads is easy to forget, because the shape is right already",
            changed(project=lambda z, w, b: z),
        ),
        Mistake(
            "qkv_bias_forgotten",
            "Everything is right but b_qkv: queries, keys and values came without their bias.",
            "Which inputs of the function does your code never read?",
            "first drafts; vit-pytorch has no such bias on purpose",
            changed(parts=lambda x, w, b, h: three(x, w, 0 * b, h)),
        ),
        Mistake(
            "output_bias_forgotten",
            "Everything is right but b_out: it was not added at the end.",
            "Which inputs of the function does your code never read?",
            "first drafts",
            changed(project=lambda z, w, b: z @ w.T),
        ),
        Mistake(
            "both_biases_forgotten",
            "Neither b_qkv nor b_out was added.",
            "Which inputs of the function does your code never read?",
            "x @ w.T in the place of F.linear(x, w, b)",
            changed(
                parts=lambda x, w, b, h: three(x, w, 0 * b, h), project=lambda z, w, b: z @ w.T
            ),
        ),
        Mistake(
            "scale_by_model_width",
            lambda e: (
                f"The scores are divided by the root of {sizes(e)[0]}, the width of the model. With {sizes(e)[1]} heads a query "
                f"has {sizes(e)[0] // sizes(e)[1]} entries."
            ),
            "Which of the two widths is the one that a score is a sum over?",
            "omihub777/ViT-CIFAR; every shape still comes out right",
            changed(attend=lambda q, k, v: scaled(q, k, v, math.sqrt(q.shape[1] * q.shape[3]))),
        ),
        Mistake(
            "no_scale",
            "The scores are not divided by anything.",
            "How spread out are sums of d products, and what does softmax do with them?",
            "first drafts",
            changed(attend=lambda q, k, v: scaled(q, k, v, 1.0)),
        ),
        Mistake(
            "softmax_over_queries",
            "Softmax ran over the queries: each column of the weights adds to 1, and not each row.",
            "Each query shares its attention among all keys. Along which axis do the keys lie?",
            "softmax(dim=-2)",
            changed(attend=lambda q, k, v: (q @ k.mT / math.sqrt(q.shape[3])).softmax(dim=-2) @ v),
        ),
        Mistake(
            "one_head",
            lambda e: (
                f"num_heads was ignored: your result is that of one head, here {sizes(e)[1]} are asked for."
            ),
            "Where does num_heads enter your code?",
            "first drafts",
            lambda x, w_qkv, b_qkv, w_out, b_out, h: steps(x, w_qkv, b_qkv, w_out, b_out, 1),
        ),
        Mistake(
            "heads_interleaved",
            "Head 0 got every h-th entry of a query, and not the first d entries.",
            "The rows stand in head order: first all d entries of head 0. Which of h and d comes first when you split the width?",
            "view(B, T, d, h) in the place of view(B, T, h, d)",
            changed(split=split_interleaved, merge=merge_interleaved),
            also=(changed(split=split_interleaved), changed(merge=merge_interleaved)),
        ),
        Mistake(
            "qkv_in_each_head",
            "The rows of w_qkv were read head by head (queries, keys and values of head 0, then of head 1, ...). "
            "They are all queries, then all keys, then all values.",
            "In your reshape of 3D into three axes, which of 3, h and d comes first?",
            "view(B, T, h, 3, d), which other libraries use",
            changed(parts=qkv_in_each_head),
        ),
        Mistake(
            "weight_not_transposed",
            "w_out was applied as x @ w. A linear layer keeps its weight as (out, in), so that it computes x @ w.T.",
            "What are the axes of a linear layer's weight? Square matrices hide the difference.",
            "x @ w with a weight from nn.Linear",
            changed(project=lambda z, w, b: z @ w + b),
        ),
        Mistake(
            "residual_added",
            "The input was added to the result. In this function there is no residual: the block does that.",
            "Is adding x the layer's work or the block's?",
            "code that was taken from a whole block",
            lambda x, *rest: x + multi_head(x, *rest),
        ),
    )


def split_interleaved(part, h):
    return part.reshape(*part.shape[:2], -1, h).permute(0, 3, 1, 2)


def merge_interleaved(heads):
    return heads.permute(0, 2, 3, 1).reshape(heads.shape[0], heads.shape[2], -1)


def sizes(e: Evidence) -> tuple[int, int]:
    inputs = e.cases[e.first_wrong()].inputs
    return inputs["x"].shape[2], inputs["num_heads"]


def scaled(q, k, v, by):
    return (q @ k.mT / by).softmax(dim=-1) @ v


def qkv_in_each_head(x, w, b, h):
    B, T, D = x.shape
    return tuple(
        (x @ w.T + b).reshape(B, T, h, 3, D // h).permute(3, 0, 1, 2, 4).reshape(3, B, T, D)
    )
