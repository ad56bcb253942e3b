"""check_attention: attention for given queries, keys and values, with its weights."""

import math

import torch
import torch.nn.functional as F

from ...model import attention
from ..engine.case import Case, choice, numbers
from ..engine.check import Check
from ..engine.compare import close
from ..engine.mistake import Evidence, Mistake
from ..engine.named_tokens import who_looks_at_whom
from ..engine.observe import record_named
from .general import general_mistakes


def record_pair(value, inputs) -> tuple[dict, dict]:
    """(output, weights), a tuple or a list of two tensors."""
    names = ("output", "weights")
    if type(value) in (tuple, list) and len(value) == 2:
        return record_named(names, tuple(value))
    return record_named(names, (value,))


def attention_cases(generator: torch.Generator) -> list[Case]:
    """One head, one token, batch 1; sizes that hide a wrong axis; large scores; gradients."""

    def case(about, B, h, T, d, dtype=torch.float32, scale=1.0, **more):
        q, k, v = (numbers(generator, B, h, T, d, dtype=torch.float64) for _ in range(3))
        inputs = {"q": q, "k": k, "v": v}
        return Case(
            about, {name: (scale * value).to(dtype) for name, value in inputs.items()}, **more
        )

    T, d = choice(generator, 5, 6, 7), choice(generator, 8, 9)
    return [
        case("", 2, 3, T, d),
        case("batch of 1, one head", 1, 1, T, d),
        case("as many tokens as entries", 2, 3, 4, 4),
        case("as many heads as tokens", 2, 5, 5, 3),
        case("one token", 2, 2, 1, 4),
        case("large scores", 1, 2, T, d, scale=12.0),
        case("float64", 2, 2, T, d, torch.float64),
        case("with gradient", 1, 2, T, d, grad=True),
        case("another device", 2, 2, T, d, device="meta"),
    ]


def shape(e: Evidence) -> tuple:
    return tuple(e.inputs["q"].shape)


def width(e: Evidence) -> int:
    return shape(e)[3]


def heads(e: Evidence) -> int:
    return shape(e)[1]


def wide(e: Evidence) -> int:
    return heads(e) * width(e)


def reversed_axes(k):
    return k.permute(3, 2, 1, 0)  # what k.T does, without its warning


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
    """The mask hides the token itself, too. The last one has equal weights, nan, or 0."""

    def masked_by(value, repair=lambda weights: weights):
        def buggy(q, k, v):
            n = torch.arange(q.shape[2], device=q.device)
            weights = scores(q, k).masked_fill(n <= n[:, None], value).softmax(-1)
            return by_weights(repair(weights), v)

        return buggy

    return masked_by(-1e9), masked_by(float("-inf")), masked_by(float("-inf"), torch.nan_to_num)


def dropped(q, k, v):
    return by_weights(F.dropout(scores(q, k).softmax(dim=-1), 0.3), v)


def has_dropout(e: Evidence) -> bool:
    """With several tokens, each weight is 0 or the right one times one factor above 1."""
    factors, zeros = set(), 0
    for case, actual, expected in e.compared():
        if case.inputs["q"].shape[2] < 3 or case.about == "large scores":
            continue
        mine, right = actual.tensors.get("weights"), expected.tensors["weights"]
        if mine is None or mine.shape != right.shape:
            return False
        kept = mine != 0
        zeros += int((~kept).sum())
        factors |= {round(f, 3) for f in (mine[kept] / right[kept]).double().flatten().tolist()}
    return zeros > 0 and len(factors) == 1 and factors.pop() > 1


def fitted_divisor(q, k, weights) -> float | None:
    """c, where weights = softmax(q k^T / c) with one c for the whole case; None where no c fits."""
    raw = (q @ k.mT).double()
    logs = weights.double().clamp(min=1e-30).log()
    seen = weights > 1e-12  # below, a float32 weight says nothing about its score any more
    share = lambda x: x - (x * seen).sum(-1, keepdim=True) / seen.sum(-1, keepdim=True)
    raw_rows, log_rows = share(raw)[seen], share(logs)[seen]
    if not log_rows.square().sum() > 0:
        return None
    c = float(raw_rows.square().sum() / (raw_rows * log_rows).sum())
    fits = math.isfinite(c) and c > 0 and close((raw / c).softmax(-1).to(weights.dtype), weights)
    return c if fits else None


def divisors(e: Evidence) -> dict[int, float] | None:
    """By case, c in softmax(QK^T / c), the number the scores were divided by; None without a fit.

    One token says nothing, and large scores saturate: both are left out. The output must be the
    values' weighted sum.
    """
    found = {}
    for i, (case, actual, _) in enumerate(e.compared()):
        q, k, v = (case.inputs[name] for name in "qkv")
        if q.shape[2] == 1 or case.about == "large scores":
            continue
        output, weights = (actual.tensors.get(name) for name in ("output", "weights"))
        if weights is None or weights.shape != (*q.shape[:3], k.shape[2]) or output is None:
            return None
        c = fitted_divisor(q, k, weights)
        read = weights.double() @ v.double()
        if c is None or not close(output, read.to(output.dtype), loose=True):
            return None
        found[i] = c
    return found


def wrong_divisor(e: Evidence) -> bool:
    found = divisors(e)
    right = lambda i: math.sqrt(e.cases[i].inputs["q"].shape[3])
    return bool(found) and any(abs(c / right(i) - 1) > 1e-3 for i, c in found.items())


def explain_divisor(e: Evidence) -> str:
    found, first = divisors(e), e.first_wrong()
    c = found.get(first, next(iter(found.values())))
    text = f"Your weights equal softmax(QK^T / {c:.3g})."
    if len(found) > 2 and max(found.values()) - min(found.values()) < 1e-3 * abs(c):
        text += f" It is {c:.3g} in every case, whatever the width of the queries."
    else:
        square = c * c
        tokens = {i: case.inputs["q"].shape[2] for i, (case, *_) in enumerate(e.compared())}
        if len(found) > 2 and all(abs(value**2 - tokens[i]) < 0.01 for i, value in found.items()):
            text += (
                f" {c:.3g} is the root of {round(square)}, and {round(square)} is the number of "
                "tokens (axis 2), where the entries of a query are axis 3."
            )
        elif square > 1 and abs(square - round(square)) < 0.01 and abs(c - round(c)) > 1e-3:
            text += f" {c:.3g} is the root of {round(square)}."
    return f"{text} Here a query has {width(e)} entries."


def stops_like(*products):
    """Every case stops with the error that one of `products` raises for its q and k."""

    def error_of(product, case):
        try:
            product(case.inputs["q"], case.inputs["k"])
        except Exception as error:
            return str(error)[:60]
        return None

    def one_fits(product, e: Evidence) -> bool:
        pairs = [(actual.error, error_of(product, case)) for case, actual, _ in e.compared()]
        stopped = [pair for pair in pairs if pair[1]]
        return len(stopped) > len(pairs) / 2 and all(mine and own in mine for mine, own in stopped)

    return lambda e: any(one_fits(product, e) for product in products)


def over_axis(axis):
    """Attention among the entries of another axis than the tokens'; the weights have its size."""

    def buggy(q, k, v):
        output, weights = by_weights_of(*(x.transpose(axis, 2) for x in (q, k, v)))
        return output.transpose(axis, 2), weights

    return buggy


def by_weights_of(q, k, v):
    return by_weights(scores(q, k).softmax(-1), v)


def every(e: Evidence, name: str) -> bool:
    """In every case the result `name` is right."""
    pairs = [(mine.tensors.get(name), right.tensors[name]) for _, mine, right in e.compared()]
    return all(mine is not None and close(mine, right, loose=True) for mine, right in pairs)


def consistent(e: Evidence) -> bool:
    """In every case the output is the values' sum with the weights that came with it."""
    for case, actual, expected in e.compared():
        output, weights = (actual.tensors.get(name) for name in ("output", "weights"))
        if output is None or weights is None or weights.shape != expected.tensors["weights"].shape:
            return False
        read = (weights.double() @ case.inputs["v"].double()).to(output.dtype)
        if not close(output, read, loose=True):
            return False
    return not e.all_values_right()


def about_rows(e: Evidence) -> str:
    weights = e.observation.tensors["weights"].double()
    if close(weights.sum(-1), torch.ones_like(weights.sum(-1)), loose=True):
        return "Each row adds to 1, so softmax runs over the right axis."
    return f"A row does not add to 1: the first adds to {weights.sum(-1).flatten()[0]:.4g}."


def own_key_only(q, k, v):
    """Scores (B, h, T, 1): each query with its own key; softmax over the tokens."""
    weights = ((q * k).sum(dim=-1, keepdim=True) / math.sqrt(q.shape[3])).softmax(dim=-2)
    return weights * v, weights


MISTAKES = (
    Mistake(
        name="scale_by_model_width",
        explanation=lambda e: (
            f"Your weights equal softmax(QK^T / {math.sqrt(wide(e)):.3g}). "
            f"{math.sqrt(wide(e)):.3g} is the root of {wide(e)}, the width of all {heads(e)} "
            f"heads together. With {heads(e)} heads, a query has {width(e)} entries."
        ),
        hint="A score adds up the entries of one query. Which of the two widths is under the root?",
        # omihub777/ViT-CIFAR divides by it. With one head it makes no difference.
        buggy=lambda q, k, v: scaled(q, k, v, math.sqrt(q.shape[1] * q.shape[3])),
    ),
    Mistake(
        name="scale_by_d",
        explanation=lambda e: (
            f"Your weights equal softmax(QK^T / {width(e)}): the scores are divided by d = "
            f"{width(e)} itself."
        ),
        hint=("The variance of a sum of d terms is d. What is the standard deviation of that sum?"),
        # scale = dim_head ** -1
        buggy=lambda q, k, v: scaled(q, k, v, q.shape[3]),
    ),
    Mistake(
        name="no_scale",
        explanation="Your weights equal softmax(QK^T): the scores are not divided by anything.",
        hint=("How spread out are sums of d products? What does softmax do with scores like that?"),
        buggy=lambda q, k, v: scaled(q, k, v, 1.0),
    ),
    Mistake(
        name="multiplied_by_root",
        explanation=lambda e: (
            f"Your scores are multiplied by the root of d = {width(e)} instead of divided by it."
        ),
        hint=(
            "Should a wider head make softmax sharper, or should its scores stay as spread out "
            "as before?"
        ),
        # scale = d ** 0.5 in the place of d ** -0.5
        buggy=lambda q, k, v: scaled(q, k, v, 1 / math.sqrt(q.shape[3])),
    ),
    Mistake(
        name="wrong_divisor",
        explanation=explain_divisor,
        hint=(
            "A score adds up the products of one query's entries. Which number says how many they "
            "are, and is that the one your code divides by the root of, in every case?"
        ),
        # the notebook's own d or D, the number of tokens, a number typed in
        buggy=lambda q, k, v: scaled(q, k, v, 4.0),
        detect=wrong_divisor,
    ),
    Mistake(
        name="all_axes_reversed",
        explanation="`.T` reverses all four axes of k, but only two of them should be exchanged.",
        hint=(
            "k has the axes (B, h, T, d), and two of them are carried along. Which two does the "
            "product of q and k work on?"
        ),
        # q @ k.T, right for one picture without heads; torch stops in most cases
        buggy=lambda q, k, v: by_weights((q @ reversed_axes(k)).softmax(-1), v),
        detect=stops_like(lambda q, k: q @ reversed_axes(k)),
    ),
    Mistake(
        name="heads_and_tokens_exchanged",
        explanation=(
            "k.transpose(1, 2) exchanges heads and tokens. The axes of k are (batch, heads, "
            "tokens, entries), counted from 0."
        ),
        hint="Which two axes of k does the product with q sum over and keep? Count from the end.",
        # right for (B, T, d), without heads
        buggy=lambda q, k, v: by_weights((q @ k.transpose(1, 2)).softmax(-1), v),
        detect=stops_like(lambda q, k: q @ k.transpose(1, 2)),
    ),
    Mistake(
        name="transpose_without_axes",
        explanation="Your transpose does not say which two of the four axes to exchange.",
        hint="k has the axes (B, h, T, d). Which two of them does the product of q and k work on?",
        # k.transpose() is NumPy's, k.t() is for matrices
        buggy=lambda q, k, v: by_weights((q @ k.transpose()).softmax(-1), v),
        detect=stops_like(lambda q, k: k.transpose(), lambda q, k: k.t()),
    ),
    Mistake(
        name="keys_not_transposed",
        explanation="q @ k multiplies (T, d) by (T, d): k's last two axes were not exchanged.",
        hint="The table of scores is (T, T). Which axis of k must meet the d entries of a query?",
        buggy=lambda q, k, v: by_weights((q @ k).softmax(-1), v),
        detect=stops_like(lambda q, k: q @ k),
    ),
    Mistake(
        name="scaled_after_softmax",
        explanation=lambda e: (
            f"Each row of your weights adds to {1 / math.sqrt(width(e)):.3g}: softmax came first, "
            "and the division after it."
        ),
        hint=(
            "What should a row of weights add to? Which step makes sure of that, and what must "
            "not come after it?"
        ),
        buggy=scaled_after,
    ),
    Mistake(
        name="softmax_over_queries",
        explanation=(
            "The columns of your weights add to 1 and the rows do not: softmax ran over the "
            "queries."
        ),
        hint=("Each query shares its attention among all keys. Along which axis do the keys lie?"),
        # softmax(dim=-2), or dim=1 left over from a version without batch and heads
        buggy=lambda q, k, v: by_weights((scores(q, k)).softmax(dim=-2), v),
    ),
    Mistake(
        name="softmax_over_heads",
        explanation="Your weights add to 1 over the heads: softmax ran over axis 1.",
        hint=("Each query shares its attention among all keys. Along which axis do the keys lie?"),
        # softmax(dim=1), right for (B, T) scores and wrong for (B, h, T, T)
        buggy=lambda q, k, v: by_weights(scores(q, k).softmax(dim=1), v),
    ),
    Mistake(
        name="softmax_over_batch",
        explanation=(
            "Your weights add to 1 over the images of the batch: softmax ran over axis 0."
        ),
        hint=(
            "Should what one image reads depend on the other images? Along which axis do the keys "
            "lie?"
        ),
        # softmax(dim=0), right for the scores of a single query
        buggy=lambda q, k, v: by_weights(scores(q, k).softmax(dim=0), v),
    ),
    Mistake(
        name="softmax_forgotten",
        explanation=(
            "Your weights are the scores themselves: they do not add to 1, and some are negative."
        ),
        hint="What turns any row of numbers into positive numbers that add to 1?",
        buggy=lambda q, k, v: by_weights(scores(q, k), v),
    ),
    Mistake(
        name="scores_returned",
        explanation="The output is right, but your weights are the scores from before softmax.",
        hint="A row of weights adds to 1. Which of your variables does?",
        buggy=lambda q, k, v: (scaled(q, k, v, math.sqrt(q.shape[3]))[0], scores(q, k)),
        variants=(lambda q, k, v: (scaled(q, k, v, math.sqrt(q.shape[3]))[0], q @ k.mT),),
    ),
    Mistake(
        name="keys_reshaped",
        explanation=(
            "Your keys were reshaped, but their last two axes should have been exchanged: now a "
            "column mixes entries of several keys."
        ),
        hint=(
            "Which operation exchanges two axes, and which only fills the same numbers into a new "
            "shape?"
        ),
        # k.view(B, h, d, T): the shape is right, so nothing complains.
        buggy=lambda q, k, v: by_weights(
            (q @ k.reshape(*k.shape[:2], k.shape[3], k.shape[2]) / math.sqrt(q.shape[3])).softmax(
                -1
            ),
            v,
        ),
    ),
    Mistake(
        name="queries_and_keys_exchanged",
        explanation=(
            "Queries and keys are exchanged in your weights: row i holds the weights of key i for "
            "all queries."
        ),
        hint=(
            "Row i holds what token i reads. Whose question is that, and which of q and k holds "
            "the questions?"
        ),
        # k @ q.transpose(-2, -1)
        buggy=lambda q, k, v: by_weights(scores(k, q).softmax(dim=-1), v),
    ),
    Mistake(
        name="weights_transposed",
        explanation=(
            "Your weights are right, but you multiplied the values by their transpose: each token "
            "is read where it should read."
        ),
        hint=(
            "Row i of the weights belongs to query i. Which product takes, for row i, a "
            "weighted sum of the values?"
        ),
        # weights.transpose(-2, -1) @ v
        buggy=lambda q, k, v: (
            scaled(q, k, v, math.sqrt(q.shape[3]))[1].mT @ v,
            scaled(q, k, v, math.sqrt(q.shape[3]))[1],
        ),
    ),
    Mistake(
        name="keys_read",
        explanation="Your output is the weighted sum of the keys. The values were not used.",
        hint=(
            "Which tensor is compared with the queries, and which one is read? Which of them does "
            "your last product use?"
        ),
        # weights @ k
        buggy=lambda q, k, v: by_weights(scores(q, k).softmax(-1), v, k),
    ),
    Mistake(
        name="causal_mask",
        explanation=(
            "Each token reads from itself and the tokens before it only. No mask is asked for: "
            "patches have no future."
        ),
        hint="Why should patch 0 of an image not see patch 1? Where does your code hide keys?",
        # code taken from the decoder of a language model
        buggy=lambda q, k, v: masked(q, k, v, lambda i, j: j > i),
    ),
    Mistake(
        name="mask_of_the_wrong_sign",
        explanation=(
            "Each token reads from itself and the tokens after it only: a causal mask the "
            "wrong way round. No mask is asked for."
        ),
        hint=(
            "Which entries does your mask keep, those that are True or those that are False? And "
            "is a mask needed here?"
        ),
        # F.scaled_dot_product_attention keeps what is True, nn.MultiheadAttention hides it.
        buggy=lambda q, k, v: masked(q, k, v, lambda i, j: j < i),
        variants=strictly_later(),
    ),
    Mistake(
        name="results_exchanged",
        explanation="Your two results are right but in the wrong order: the weights came first.",
        hint="The exercise asks for (output, weights). What is the shape of each?",
        # return weights, output
        buggy=lambda q, k, v: scaled(q, k, v, math.sqrt(q.shape[3]))[::-1],
    ),
    Mistake(
        name="weights_not_returned",
        explanation=(
            "Your function returned one tensor. The exercise asks for two: the output and the "
            "weights."
        ),
        hint="Which second result does the caller want to look at?",
        # F.scaled_dot_product_attention returns the output alone.
        buggy=F.scaled_dot_product_attention,
        detect=lambda e: all(
            list(actual.facts.get("types", {})) == ["output"] and actual.tensors
            for actual in e.with_values()
        ),
    ),
    Mistake(
        name="dropout_left_on",
        explanation=(
            "Some of your weights are 0 and others too large: dropout is on, and nothing is being "
            "trained here."
        ),
        hint=(
            "F.dropout has a parameter that says whether this is training. What is it when you "
            "leave it out?"
        ),
        # F.dropout(weights, p) drops by default, in evaluation too.
        buggy=dropped,
        detect=has_dropout,
    ),
    Mistake(
        name="attention_over_the_batch",
        explanation=(
            "Attention ran among the images of the batch: token t of one image read token t of "
            "the others, and no other token of its own image."
        ),
        hint="Which axis must the keys lie on, and which axis did your product put there?",
        # nn.MultiheadAttention without batch_first takes axis 0 for the tokens
        buggy=over_axis(0),
    ),
    Mistake(
        name="attention_among_heads",
        explanation=(
            "Attention ran among the heads of one token: no token read another. Tokens are axis 2 "
            "of (B, h, T, d)."
        ),
        hint="Which axis must the keys lie on, and which axis did your product put there?",
        # q, k, v taken for (B, T, h, d)
        buggy=over_axis(1),
    ),
    Mistake(
        name="softmax_twice",
        explanation="Softmax was taken twice, so your weights are all nearly the same.",
        hint="How often should scores become weights? Does a helper of yours do it already?",
        buggy=lambda q, k, v: by_weights(scores(q, k).softmax(-1).softmax(-1), v),
    ),
    Mistake(
        name="sigmoid_for_softmax",
        explanation="Each weight is the sigmoid of its score: a row does not add to 1.",
        hint="What turns any row of numbers into positive numbers that add to 1?",
        buggy=lambda q, k, v: by_weights(scores(q, k).sigmoid(), v),
    ),
    Mistake(
        name="divided_by_the_sum",
        explanation=(
            "Your scores were divided by the sum of their row. They can be negative, so the "
            "weights can, too."
        ),
        hint="What does softmax do with the scores before it divides by a sum?",
        buggy=lambda q, k, v: by_weights(scores(q, k) / scores(q, k).sum(-1, keepdim=True), v),
    ),
    Mistake(
        name="sign_of_the_scores",
        explanation="Your scores have the wrong sign: a token reads what is least like its query.",
        hint="Should a large product of query and key give a large weight or a small one?",
        buggy=lambda q, k, v: by_weights((-scores(q, k)).softmax(-1), v),
    ),
    Mistake(
        name="queries_read",
        explanation="Your output is the weighted sum of the queries. The values were not used.",
        hint="Which of the three holds what is read?",
        buggy=lambda q, k, v: by_weights(scores(q, k).softmax(-1), v, q),
    ),
    Mistake(
        name="queries_compared_with_queries",
        explanation="Your scores compare queries with queries. The keys were not used.",
        hint="Which of the three does your first product take?",
        # a line copied and not changed
        buggy=lambda q, k, v: by_weights(scores(q, q).softmax(-1), v),
    ),
    Mistake(
        name="keys_compared_with_keys",
        explanation="Your scores compare keys with keys. The queries were not used.",
        hint="Which of the three does your first product take?",
        buggy=lambda q, k, v: by_weights(scores(k, k).softmax(-1), v),
    ),
    Mistake(
        name="cosine_scores",
        explanation=(
            "Your scores do not depend on the lengths of queries and keys: these were normalised."
        ),
        hint="Does the formula QK^T / √d divide by the length of a query or a key?",
        buggy=lambda q, k, v: by_weights(
            (F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).mT).softmax(-1), v
        ),
        variants=(
            lambda q, k, v: by_weights(
                scores(F.normalize(q, dim=-1), F.normalize(k, dim=-1)).softmax(-1), v
            ),
        ),
    ),
    Mistake(
        name="heaviest_only",
        explanation="Each token reads only the one with the largest score: a 1 and zeros.",
        hint="What does softmax give where argmax gives one winner?",
        buggy=lambda q, k, v: by_weights(
            F.one_hot(scores(q, k).argmax(-1), k.shape[2]).to(v.dtype), v
        ),
    ),
    Mistake(
        name="values_returned",
        explanation="Your output is the values themselves: no token read another.",
        hint="Which product takes, for each row of weights, a weighted sum of the values?",
        buggy=lambda q, k, v: (v * 1, scores(q, k).softmax(-1)),
    ),
    Mistake(
        name="averaged_over_heads",
        explanation="Your weights are the mean over the heads. Each head has weights of its own.",
        hint="Which axis of the weights counts heads, and which line of yours reduces it?",
        # what nn.MultiheadAttention returns by default
        buggy=lambda q, k, v: (
            scores(q, k).softmax(-1) @ v,
            scores(q, k).softmax(-1).mean(1, keepdim=True).expand(-1, q.shape[1], -1, -1),
        ),
        variants=(
            lambda q, k, v: (
                scores(q, k).softmax(-1) @ v,
                scores(q, k).softmax(-1).mean(1),
            ),
        ),
    ),
    # What is left: which of the two results is wrong.
    Mistake(
        name="weights_for_each_token_alone",
        explanation=(
            "Each query met its own key only: your scores are one number a token, and no token "
            "reads another."
        ),
        hint="How many scores are there for T queries and T keys? Which product gives them all?",
        # (q * k).sum(-1)
        buggy=own_key_only,
    ),
    Mistake(
        name="exponentials_not_divided",
        explanation=(
            "Your weights are exponentials that were not divided by their sum: the rows do not add "
            "to 1."
        ),
        hint="What are the two steps of softmax?",
        buggy=lambda q, k, v: by_weights(scores(q, k).exp(), v),
    ),
    Mistake(
        name="divided_by_the_sum_of_everything",
        explanation="The exponentials were divided by the sum of all, not by that of their row.",
        hint="Along which axis do the weights of one query add to 1?",
        buggy=lambda q, k, v: by_weights(scores(q, k).exp() / scores(q, k).exp().sum(), v),
        variants=(
            lambda q, k, v: by_weights(
                scores(q, k).flatten(2).softmax(-1).view_as(scores(q, k)), v
            ),
        ),
    ),
    Mistake(
        name="mistake_in_the_output",
        explanation=(
            "Your weights are right in every case. The output is not their weighted sum of the "
            "values, so the mistake is in the last step."
        ),
        hint="Which product takes, for each row of weights, a weighted sum of the rows of v?",
        buggy=lambda q, k, v: (scores(q, k).softmax(-1) @ v * 2, scores(q, k).softmax(-1)),
        detect=lambda e: every(e, "weights") and not e.all_values_right(),
    ),
    Mistake(
        name="mistake_in_the_weights",
        explanation=lambda e: (
            "Your output is the values' sum with the weights you return, as it should be: the "
            f"weights are wrong. {about_rows(e)}"
        ),
        hint="Which of the steps before is it: the product of q and k, the division, or softmax?",
        buggy=lambda q, k, v: by_weights((scores(q, k) ** 2).softmax(-1), v),
        detect=lambda e: consistent(e),
    ),
)


check_attention = Check(
    name="check_attention",
    signature=(
        "fn(q, k, v), each (B, h, T, d) -> (output (B, h, T, d), weights (B, h, T, T)), "
        "each row of weights adds to 1"
    ),
    cases=attention_cases,
    reference=attention,
    mistakes=MISTAKES + general_mistakes(attention, result=0, without=()),
    record=record_pair,
    place=who_looks_at_whom,
)
