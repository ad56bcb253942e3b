"""Known mistakes in attention for given queries, keys and values."""

import math

import torch
import torch.nn.functional as F

from ..check import Evidence, Mistake


def attention_mistakes() -> tuple[Mistake, ...]:
    """For fn(q, k, v), each (B, h, T, d) -> (output, weights)."""
    return (
        Mistake(
            "scale_by_model_width",
            lambda e: (
                f"Your weights equal softmax(QK^T / {math.sqrt(wide(e)):.3g}). {math.sqrt(wide(e)):.3g} is the root of "
                f"{wide(e)}, the width of all {heads(e)} heads together."
            ),
            "A score is a sum over the entries of one query. How many entries has a query here?",
            "omihub777/ViT-CIFAR divides by the root of the model's width; with one head nobody can tell",
            lambda q, k, v: scaled(q, k, v, math.sqrt(q.shape[1] * q.shape[3])),
        ),
        Mistake(
            "scale_by_d",
            lambda e: (
                f"Your weights equal softmax(QK^T / {width(e)}): the scores are divided by d = {width(e)} itself."
            ),
            "The variance of a sum of d terms is d. Which number has the unit of the score itself?",
            "first drafts: dim_head ** -1",
            lambda q, k, v: scaled(q, k, v, q.shape[3]),
        ),
        Mistake(
            "no_scale",
            "Your weights equal softmax(QK^T): the scores are not divided by anything.",
            "How spread out are sums of d products? What does softmax do with scores like that?",
            "the dot-product attention of before 2017; first drafts",
            lambda q, k, v: scaled(q, k, v, 1.0),
        ),
        Mistake(
            "multiplied_by_root",
            lambda e: (
                f"Your scores are multiplied by the root of d = {width(e)}, where they should be divided."
            ),
            "Should a wider head make softmax sharper, or should its scores stay as spread out as before?",
            "scale = d ** 0.5 in the place of d ** -0.5",
            lambda q, k, v: scaled(q, k, v, 1 / math.sqrt(q.shape[3])),
        ),
        Mistake(
            "scaled_after_softmax",
            lambda e: (
                f"Each row of your weights adds to {1 / math.sqrt(width(e)):.3g}: softmax came first, the division after it."
            ),
            "What should a row of weights add to? Which step makes sure of that, and what must not come after it?",
            "first drafts",
            scaled_after,
        ),
        Mistake(
            "softmax_over_queries",
            "The columns of your weights add to 1, the rows do not: softmax ran over the queries.",
            "Each query shares its attention among all keys. Along which axis do the keys lie?",
            "softmax(dim=-2), or dim=1 left over from a version without batch and heads",
            lambda q, k, v: by_weights((scores(q, k)).softmax(dim=-2), v),
        ),
        Mistake(
            "softmax_over_heads",
            "Your weights add to 1 over the heads: softmax ran over axis 1.",
            "Each query shares its attention among all keys. Along which axis do the keys lie?",
            "softmax(dim=1), right for (B, T) scores and wrong for (B, h, T, T)",
            lambda q, k, v: by_weights(scores(q, k).softmax(dim=1), v),
        ),
        Mistake(
            "softmax_over_batch",
            "Your weights add to 1 over the images of the batch: softmax ran over axis 0.",
            "May what one image reads depend on the other images? Along which axis do the keys lie?",
            "softmax(dim=0), right for the scores of a single query",
            lambda q, k, v: by_weights(scores(q, k).softmax(dim=0), v),
        ),
        Mistake(
            "softmax_forgotten",
            "Your weights are the scores themselves: they do not add to 1, and some are negative.",
            "What turns any row of numbers into positive numbers that add to 1?",
            "first drafts",
            lambda q, k, v: by_weights(scores(q, k), v),
        ),
        Mistake(
            "scores_returned",
            "The output is right. What you return as weights are the scores, from before softmax.",
            "A row of weights adds to 1. Which of your variables does?",
            "first drafts, and code that returns logits to save memory",
            lambda q, k, v: (scaled(q, k, v, math.sqrt(q.shape[3]))[0], scores(q, k)),
            also=(lambda q, k, v: (scaled(q, k, v, math.sqrt(q.shape[3]))[0], q @ k.mT),),
        ),
        Mistake(
            "keys_reshaped",
            "Your keys were reshaped where their last two axes had to be exchanged: a column mixes entries of several keys.",
            "Which operation exchanges two axes, and which only counts the same numbers out anew?",
            "k.view(B, h, d, T) or k.reshape(...): the shape is right, so nothing complains",
            lambda q, k, v: by_weights(
                (
                    q @ k.reshape(*k.shape[:2], k.shape[3], k.shape[2]) / math.sqrt(q.shape[3])
                ).softmax(-1),
                v,
            ),
        ),
        Mistake(
            "queries_and_keys_exchanged",
            "Your weights are those of the keys asking the queries: row i holds what key i gives to each query.",
            "In row i stands what token i reads. Whose question is row i, and which of q and k holds questions?",
            "k @ q.transpose(-2, -1)",
            lambda q, k, v: by_weights(scores(k, q).softmax(dim=-1), v),
        ),
        Mistake(
            "weights_transposed",
            "Your weights are right, but they met the values the wrong way round: each token gives where it should read.",
            "Row i of the weights belongs to query i. Which product takes, for row i, a weighted sum of the values?",
            "first drafts: weights.transpose(-2, -1) @ v",
            lambda q, k, v: (
                scaled(q, k, v, math.sqrt(q.shape[3]))[1].mT @ v,
                scaled(q, k, v, math.sqrt(q.shape[3]))[1],
            ),
        ),
        Mistake(
            "keys_read",
            "Your output is the weighted sum of the keys. The values were not used.",
            "What is found by, and what is handed over? Which of the three tensors does your last product take?",
            "first drafts: weights @ k",
            lambda q, k, v: by_weights(scores(q, k).softmax(-1), v, k),
        ),
        Mistake(
            "causal_mask",
            "Each token reads from itself and the tokens before it only. No mask is asked for: patches have no future.",
            "Must patch 0 of an image not see patch 1? Where does your code take keys away?",
            "decoders of language models, from which the code was taken",
            lambda q, k, v: masked(q, k, v, lambda i, j: j > i),
        ),
        Mistake(
            "mask_of_the_wrong_sign",
            "Each token reads from itself and the tokens after it only: a causal mask the wrong way round. No mask is asked for.",
            "Which entries does your mask keep, those that are True or those that are False? And is there a need for it here?",
            "F.scaled_dot_product_attention keeps what is True, nn.MultiheadAttention takes away what is True",
            lambda q, k, v: masked(q, k, v, lambda i, j: j < i),
            also=strictly_later(),
        ),
        Mistake(
            "results_exchanged",
            "Your two results are the right ones in the wrong order: the weights came first.",
            "Asked for is (output, weights). What is the shape of each?",
            "first drafts: return weights, output",
            lambda q, k, v: scaled(q, k, v, math.sqrt(q.shape[3]))[::-1],
        ),
        Mistake(
            "weights_not_returned",
            "Your function returned one tensor. Asked for are two: the output and the weights.",
            "Which second result does the caller want to look at?",
            "F.scaled_dot_product_attention returns the output alone",
            lambda q, k, v: F.scaled_dot_product_attention(q, k, v),
            lambda e: all(
                list(seen.facts.get("types", {})) == ["output"] and seen.tensors
                for seen in plain(e)
            ),
        ),
        Mistake(
            "dropout_left_on",
            "Some of your weights are 0 and others too large: dropout is at work, and here nothing is being trained.",
            "F.dropout has a parameter that says whether this is training. What is it when you leave it out?",
            "F.dropout(weights, p): on by default, in evaluation too",
            lambda q, k, v: dropped(q, k, v),
            has_dropout,
        ),
    )


def plain(e: Evidence) -> list:
    return [seen for case, seen in zip(e.cases, e.seen) if case.device != "meta"]


def shape(e: Evidence) -> tuple:
    return tuple(e.cases[e.first_wrong()].inputs["q"].shape)


def width(e: Evidence) -> int:
    return shape(e)[3]


def heads(e: Evidence) -> int:
    return shape(e)[1]


def wide(e: Evidence) -> int:
    return heads(e) * width(e)


def scores(q, k):
    return q @ k.mT / math.sqrt(q.shape[3])


def by_weights(weights, v, read=None):
    return weights @ (v if read is None else read), weights


def scaled(q, k, v, by):
    return by_weights((q @ k.mT / by).softmax(dim=-1), v)


def scaled_after(q, k, v):
    return by_weights((q @ k.mT).softmax(dim=-1) / math.sqrt(q.shape[3]), v)


def masked(q, k, v, hidden):
    n = torch.arange(q.shape[2], device=q.device)
    return by_weights(
        scores(q, k).masked_fill(hidden(n[:, None], n), float("-inf")).softmax(-1).nan_to_num(), v
    )


def strictly_later() -> tuple:
    """The token itself is taken away too, so nothing is left for the last one: all alike, or nan, or 0."""

    def masked_by(value, mend=lambda weights: weights):
        def wrong(q, k, v):
            n = torch.arange(q.shape[2], device=q.device)
            return by_weights(mend(scores(q, k).masked_fill(n <= n[:, None], value).softmax(-1)), v)

        return wrong

    return masked_by(-1e9), masked_by(float("-inf")), masked_by(float("-inf"), torch.nan_to_num)


def dropped(q, k, v):
    return by_weights(F.dropout(scores(q, k).softmax(dim=-1), 0.3), v)


def has_dropout(e: Evidence) -> bool:
    """In every case with several tokens, each weight is 0 or the right one times one factor above 1."""
    factors, zeros = set(), 0
    for case, seen, wanted in zip(e.cases, e.seen, e.wanted):
        if case.device == "meta" or case.inputs["q"].shape[2] < 3 or case.about == "large scores":
            continue
        mine, right = seen.tensors.get("weights"), wanted.tensors["weights"]
        if mine is None or mine.shape != right.shape:
            return False
        kept = mine != 0
        zeros += int((~kept).sum())
        factors |= {round(f, 3) for f in (mine[kept] / right[kept]).double().flatten().tolist()}
    return zeros > 0 and len(factors) == 1 and factors.pop() > 1
