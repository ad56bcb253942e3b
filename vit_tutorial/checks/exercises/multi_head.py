"""check_multi_head: multi-head self-attention, from joined weights to the output projection."""

import math

import torch

from ...model import attention
from ..engine.case import Case, choice, numbers
from ..engine.check import Check
from ..engine.mistake import Evidence, Mistake
from .general import general_mistakes


def multi_head(x, w_qkv, b_qkv, w_out, b_out, num_heads):
    """(B, T, D) -> (B, T, D), the right function: `steps` with nothing changed."""
    return steps(x, w_qkv, b_qkv, w_out, b_out, num_heads)


def multi_head_cases(generator: torch.Generator) -> list[Case]:
    """One head, heads of one entry, one token, batch 1; sizes that hide a wrong axis."""

    def case(about, B, T, D, h, dtype=torch.float32, **more):
        shapes = {"x": (B, T, D), "w_qkv": (3 * D, D), "b_qkv": (3 * D,)}
        shapes |= {"w_out": (D, D), "b_out": (D,)}
        inputs = {
            name: numbers(generator, *shape, dtype=torch.float64) for name, shape in shapes.items()
        }
        inputs["w_qkv"] /= D**0.5
        inputs["w_out"] /= D**0.5
        inputs = {name: value.to(dtype) for name, value in inputs.items()}
        return Case(about, inputs | {"num_heads": h}, **more)

    T, h = choice(generator, 5, 7), choice(generator, 2, 3)
    return [
        case("", 2, T, 4 * h, h),
        case("one head", 2, T, 6, 1),
        case("batch of 1", 1, T, 4 * h, h),
        case("as many tokens as entries", 2, 6, 6, 2),
        case("as many tokens as heads", 2, 4, 12, 4),
        case("heads of one entry", 2, T, 4, 4),
        case("one token", 3, 1, 4 * h, h),
        case("float64", 2, T, 4 * h, h, torch.float64),
        case("with gradient", 1, T, 4 * h, h, grad=True),
        case("another device", 2, T, 4 * h, h, device="meta"),
    ]


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


def split_interleaved(part, h):
    return part.reshape(*part.shape[:2], -1, h).permute(0, 3, 1, 2)


def merge_interleaved(heads):
    return heads.permute(0, 2, 3, 1).reshape(heads.shape[0], heads.shape[2], -1)


def merge_by(*order):
    """Heads (B, h, T, d) with their axes in this order, poured into (B, T, h * d)."""
    return lambda z: z.permute(*order).reshape(z.shape[0], z.shape[2], -1)


def among_heads(x, w_qkv, b_qkv, w_out, b_out, h):
    """The heads stay behind the tokens, so that attention runs over the heads of each token."""
    parts = (x @ w_qkv.T + b_qkv).chunk(3, dim=-1)
    q, k, v = (part.unflatten(-1, (h, part.shape[-1] // h)) for part in parts)  # (B, T, h, d)
    return attention(q, k, v)[0].flatten(2) @ w_out.T + b_out


def heads_fixed(count):
    """`count` heads, whatever num_heads says: the default of a helper that was not overridden."""
    return lambda x, w_qkv, b_qkv, w_out, b_out, h: steps(x, w_qkv, b_qkv, w_out, b_out, count)


def fitted_divisor(case, actual) -> float | None:
    """c, where the case's result is multi-head attention with its scores divided by c."""
    x, w, b, w_out, b_out, h = case.inputs.values()
    q, k, v = (into_heads(part, h).double() for part in three(x, w, b, h))
    raw, right = q @ k.mT, actual.output.double()
    merged = lambda c: joined((raw / c).softmax(-1) @ v) @ w_out.T.double() + b_out.double()
    error = lambda c: float((merged(c) - right).abs().max())
    low, high = math.log(0.05), math.log(200.0)
    for _ in range(4):  # a grid, then three finer ones around its best point
        step = (high - low) / 40
        best = min((low + step * i for i in range(41)), key=lambda log_c: error(math.exp(log_c)))
        low, high = best - step, best + step
    # What the result is worth in its dtype, and what is left of the search's own step.
    return math.exp(best) if error(math.exp(best)) < 2e-3 * float(right.abs().max()) else None


def divisors(e: Evidence) -> dict[int, float] | None:
    """By case, c in softmax(QK^T / c); None where one case has no fit. One token says nothing."""
    found = {}
    for i, (case, actual, expected) in enumerate(e.compared()):
        if case.inputs["x"].shape[1] == 1:
            continue
        if actual.output is None or actual.output.shape != expected.output.shape:
            return None
        c = fitted_divisor(case, actual)
        if c is None:
            return None
        found[i] = c
    return found


def wrong_divisor(e: Evidence) -> bool:
    found = divisors(e)
    right = lambda case: math.sqrt(case.inputs["x"].shape[2] // case.inputs["num_heads"])
    return bool(found) and any(abs(c / right(e.cases[i]) - 1) > 1e-2 for i, c in found.items())


def explain_divisor(e: Evidence) -> str:
    found, (D, h) = divisors(e), sizes(e)
    c = found.get(e.first_wrong(), next(iter(found.values())))
    text = f"Your weights equal softmax(QK^T / {c:.3g})."
    if max(found.values()) - min(found.values()) < 1e-2 * c:
        text += f" It is {c:.3g} in every case, whatever the width of a head."
    heads = "1 head" if h == 1 else f"{h} heads"
    return f"{text} Here the width is {D} and there are {heads}, so a query has {D // h} entries."


def sizes(e: Evidence) -> tuple[int, int]:
    inputs = e.inputs
    return inputs["x"].shape[2], inputs["num_heads"]


def scaled(q, k, v, by):
    return (q @ k.mT / by).softmax(dim=-1) @ v


def qkv_in_each_head(x, w, b, h):
    B, T, D = x.shape
    return tuple(
        (x @ w.T + b).reshape(B, T, h, 3, D // h).permute(3, 0, 1, 2, 4).reshape(3, B, T, D)
    )


def packed(*layout):
    """The rows of w_qkv read in another layout of (3, h, d), as "h", "3", "d" in some order."""

    def parts(x, w, b, h):
        B, T, D = x.shape
        sizes = {"3": 3, "h": h, "d": D // h}
        rows = (x @ w.T + b).reshape(B, T, *(sizes[name] for name in layout))
        order = [2 + layout.index(name) for name in ("3", "h", "d")]
        return tuple(rows.permute(order[0], 0, 1, order[1], order[2]).reshape(3, B, T, D))

    return parts


def projected_by_head(heads, w, b):
    """Each head through its own block of w_out alone: (B, T, D) -> (B, T, D)."""

    def project(z, w_out, b_out):
        d = z.shape[-1] // heads
        parts = [slice(i * d, (i + 1) * d) for i in range(heads)]
        return torch.cat([z[..., s] @ w_out[s, s].T + b_out[s] for s in parts], dim=-1)

    return project


def own_block_of_w_out(x, w_qkv, b_qkv, w_out, b_out, h):
    return steps(x, w_qkv, b_qkv, w_out, b_out, h, project=projected_by_head(h, w_out, b_out))


def heads_reduced(to):
    """One head made of all, by `to` (B, h, T, d) -> (B, 1, T, d), and repeated h times."""

    def merge(z):
        return joined(to(z).expand_as(z))

    return changed(merge=merge)


def width_and_number_exchanged(x, w_qkv, b_qkv, w_out, b_out, h):
    return steps(x, w_qkv, b_qkv, w_out, b_out, x.shape[-1] // h)


def attended(weights):
    """weights(scores (B, h, T, T), already divided) -> the weights."""
    return changed(attend=lambda q, k, v: weights(q @ k.mT / math.sqrt(q.shape[3])) @ v)


def bias_before_the_projection(x, w_qkv, b_qkv, w_out, b_out, h):
    return steps(x, w_qkv, b_qkv, w_out, b_out, h, project=lambda z, w, b: (z + b) @ w.T)


def one_head_scaled_as_many(x, w_qkv, b_qkv, w_out, b_out, h):
    """Heads forgotten, but the scores divided as in a head."""
    q, k, v = three(x, w_qkv, b_qkv, h)
    return scaled(q, k, v, math.sqrt(x.shape[-1] // h)) @ w_out.T + b_out


MISTAKES = (
    Mistake(
        name="heads_merged_without_permute",
        explanation=(
            "The heads were merged by a bare reshape: token 0 now holds what head 0 read for "
            "several tokens."
        ),
        hint=(
            "Before the merge the axes are (B, h, T, d). Which two must be exchanged, so that a "
            "token's heads are side by side?"
        ),
        # the classic: the shape is right, so nothing complains
        buggy=changed(merge=lambda z: z.reshape(z.shape[0], z.shape[2], -1)),
    ),
    Mistake(
        name="heads_split_without_permute",
        explanation=(
            "The heads were split by a bare reshape to (B, h, T, d): a head holds whole tokens "
            "instead of a part of each token."
        ),
        hint=(
            "Starting from (B, T, D): which axis becomes h and d? Which axes must be exchanged "
            "afterwards?"
        ),
        # x.view(B, h, T, d), as often as the merge
        buggy=changed(
            split=lambda p, h: p.reshape(p.shape[0], h, p.shape[1], -1),
            merge=lambda z: z.reshape(z.shape[0], z.shape[2], -1),
        ),
    ),
    Mistake(
        name="split_alone_without_permute",
        explanation=(
            "The heads were split by a bare reshape to (B, h, T, d). The merge exchanges axes, but "
            "that does not undo it."
        ),
        hint=(
            "Starting from (B, T, D): which axis becomes h and d? Which axes must be exchanged "
            "afterwards?"
        ),
        buggy=changed(split=lambda p, h: p.reshape(p.shape[0], h, p.shape[1], -1)),
    ),
    *(
        Mistake(
            name=name,
            explanation=(
                f"The rows of w_qkv were read as {words}. They are queries, then keys, then values."
            ),
            hint="Which third of the output does each of your three names get?",
            # v, k, q = ...; libraries that keep another order
            buggy=changed(parts=lambda x, w, b, h, order=order: three(x, w, b, h, order)),
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
        name="shared_projection",
        explanation=(
            "Queries, keys and values are the same numbers: only one third of w_qkv was used, "
            "for all three."
        ),
        hint=(
            "How many linear layers does self-attention have before the scores? What can a token "
            "not express when there is only one?"
        ),
        # one linear layer for queries, keys and values
        buggy=changed(parts=lambda x, w, b, h: three(x, w, b, h, (0, 0, 0))),
        variants=(
            changed(parts=lambda x, w, b, h: three(x, w, b, h, (1, 1, 1))),
            changed(parts=lambda x, w, b, h: three(x, w, b, h, (2, 2, 2))),
        ),
    ),
    Mistake(
        name="queries_are_keys",
        explanation=(
            "Queries and keys are the same numbers, so token i scores token j as token j scores "
            "token i."
        ),
        hint="Which third of w_qkv makes the keys?",
        # a line copied and not changed
        buggy=changed(parts=lambda x, w, b, h: three(x, w, b, h, (0, 0, 2))),
        variants=(changed(parts=lambda x, w, b, h: three(x, w, b, h, (1, 1, 2))),),
    ),
    Mistake(
        name="output_projection_missing",
        explanation="The heads were merged and returned: w_out and b_out were not used.",
        hint=(
            "Which inputs of the function does your code never read? What do they do for the heads?"
        ),
        # easy to forget, since the shape is right already
        buggy=changed(project=lambda z, w, b: z),
    ),
    Mistake(
        name="qkv_bias_forgotten",
        explanation="Everything is right except b_qkv: queries, keys and values have no bias.",
        hint="Which inputs of the function does your code never read?",
        # vit-pytorch has no such bias, on purpose.
        buggy=changed(parts=lambda x, w, b, h: three(x, w, 0 * b, h)),
    ),
    Mistake(
        name="output_bias_forgotten",
        explanation="Everything is right except b_out: it was not added at the end.",
        hint="Which inputs of the function does your code never read?",
        buggy=changed(project=lambda z, w, b: z @ w.T),
    ),
    Mistake(
        name="both_biases_forgotten",
        explanation="Neither b_qkv nor b_out was added.",
        hint="Which inputs of the function does your code never read?",
        # x @ w.T in the place of F.linear(x, w, b)
        buggy=changed(
            parts=lambda x, w, b, h: three(x, w, 0 * b, h), project=lambda z, w, b: z @ w.T
        ),
    ),
    Mistake(
        name="scale_by_model_width",
        explanation=lambda e: (
            f"The scores are divided by the root of {sizes(e)[0]}, the width of the model. With "
            f"{sizes(e)[1]} heads a query has {sizes(e)[0] // sizes(e)[1]} entries."
        ),
        hint="Which of the two widths is a score a sum over?",
        # omihub777/ViT-CIFAR has it. Every shape still comes out right.
        buggy=changed(attend=lambda q, k, v: scaled(q, k, v, math.sqrt(q.shape[1] * q.shape[3]))),
    ),
    Mistake(
        name="no_scale",
        explanation="The scores are not divided by anything.",
        hint="How spread out are sums of d products, and what does softmax do with them?",
        buggy=changed(attend=lambda q, k, v: scaled(q, k, v, 1.0)),
    ),
    Mistake(
        name="wrong_divisor",
        explanation=explain_divisor,
        hint=(
            "A score adds up the products of one query's entries. Where does your code read how "
            "many they are: from the tensors, or from a name outside the function?"
        ),
        # the notebook's own d or D, d itself, the number of tokens or heads
        buggy=changed(attend=lambda q, k, v: scaled(q, k, v, 4.0)),
        detect=wrong_divisor,
    ),
    Mistake(
        name="softmax_over_queries",
        explanation=(
            "Softmax ran over the queries: each column of the weights adds to 1 instead of each "
            "row."
        ),
        hint=("Each query shares its attention among all keys. Along which axis do the keys lie?"),
        # softmax(dim=-2)
        buggy=changed(
            attend=lambda q, k, v: (q @ k.mT / math.sqrt(q.shape[3])).softmax(dim=-2) @ v
        ),
    ),
    Mistake(
        name="softmax_over_heads",
        explanation="Softmax ran over the heads: the weights of one pair of tokens add to 1.",
        hint="Each query shares its attention among all keys. Along which axis do the keys lie?",
        # softmax(dim=1), right for (B, T) scores
        buggy=changed(attend=lambda q, k, v: (q @ k.mT / math.sqrt(q.shape[3])).softmax(dim=1) @ v),
    ),
    Mistake(
        name="attention_over_the_batch",
        explanation=(
            "Attention ran among the images of the batch: token t of one image read token t of "
            "the others, and no other token of its own image."
        ),
        hint="Which axis do the tokens lie on, here and in the attention that you use?",
        # nn.MultiheadAttention without batch_first takes axis 0 for the tokens
        buggy=changed(
            attend=lambda q, k, v: attention(*(part.transpose(0, 2) for part in (q, k, v)))[
                0
            ].transpose(0, 2)
        ),
    ),
    Mistake(
        name="one_head",
        explanation=lambda e: (
            "num_heads was ignored: your result is that of a single head, but here num_heads is "
            f"{sizes(e)[1]}."
        ),
        hint="Where does your code use num_heads?",
        buggy=lambda x, w_qkv, b_qkv, w_out, b_out, h: steps(x, w_qkv, b_qkv, w_out, b_out, 1),
    ),
    Mistake(
        name="heads_fixed",
        explanation=lambda e: (
            "Your function makes the same number of heads in every case, whatever num_heads says. "
            f"Here num_heads is {sizes(e)[1]}."
        ),
        hint="Does a helper of yours have a default number of heads? Where do you override it?",
        # split(x) with h=3 by default
        buggy=heads_fixed(3),
        variants=(heads_fixed(2), heads_fixed(4)),
    ),
    Mistake(
        name="attention_among_heads",
        explanation=(
            "The heads stayed after the tokens, (B, T, h, d): attention ran among the heads of "
            "one token, and no token read another."
        ),
        hint="Attention works on the last two axes. Which should they be, and which are they now?",
        # view(B, T, h, d), and no exchange of axes at all
        buggy=among_heads,
    ),
    Mistake(
        name="heads_interleaved",
        explanation="Head 0 got every h-th entry of a query instead of the first d entries.",
        hint=(
            "The rows are in head order: first all d entries of head 0. Which of h and d comes "
            "first when you split the width?"
        ),
        # view(B, T, d, h) in the place of view(B, T, h, d)
        buggy=changed(split=split_interleaved, merge=merge_interleaved),
        variants=(changed(split=split_interleaved),),
    ),
    Mistake(
        name="merge_interleaved",
        explanation=(
            "The split is right. Your merge takes entry 0 of every head, then entry 1 of every "
            "head, and so on, instead of one head after the other."
        ),
        hint=(
            "A merged token is (h, d) read row by row. In which order are h and d before your "
            "reshape?"
        ),
        # permute(0, 2, 3, 1).reshape(B, T, D), or an einsum that ends in "bidh"
        buggy=changed(merge=merge_interleaved),
    ),
    Mistake(
        name="heads_merged_in_another_order",
        explanation=(
            "The axes are not in the order (B, T, h, d) before your merge, so a row of the result "
            "holds numbers of several tokens."
        ),
        hint="Which order of the axes leaves each token in a row of its own after the reshape?",
        # transpose(1, 3), transpose(2, 3) and the like: the shape is right all the same
        buggy=changed(merge=merge_by(0, 1, 3, 2)),
        variants=tuple(changed(merge=merge_by(*order)) for order in ((0, 3, 1, 2), (0, 3, 2, 1))),
    ),
    Mistake(
        name="qkv_in_each_head",
        explanation=(
            "The rows of w_qkv were read head by head (queries, keys and values of head 0, "
            "then of head 1, ...). They are all queries, then all keys, then all values."
        ),
        hint="In your reshape of 3D into three axes, which of 3, h and d comes first?",
        # view(B, T, h, 3, d), which other libraries use
        buggy=changed(parts=qkv_in_each_head),
    ),
    Mistake(
        name="weight_not_transposed",
        explanation=(
            "w_out was applied as x @ w. A linear layer keeps its weight as (out, in), so that "
            "it computes x @ w.T."
        ),
        hint=("What are the axes of a linear layer's weight? Square matrices hide the difference."),
        # x @ w with a weight from nn.Linear
        buggy=changed(project=lambda z, w, b: z @ w + b),
    ),
    Mistake(
        name="residual_added",
        explanation=(
            "The input was added to the result. This function has no residual: adding it is the "
            "block's job."
        ),
        hint="Does this layer add x, or does the block?",
        # code that was taken from a whole block
        buggy=lambda x, *rest: x + multi_head(x, *rest),
    ),
    Mistake(
        name="packing_read_otherwise",
        explanation=(
            "The rows of w_qkv were read in another layout: they are all queries, all keys, all "
            "values, and in each third the heads one after the other."
        ),
        hint="In w_qkv, which of the three counts slowest: query-key-value, head, entry?",
        buggy=changed(parts=packed("h", "d", "3")),
        variants=tuple(
            changed(parts=packed(*layout)) for layout in (("d", "h", "3"), ("d", "3", "h"))
        ),
    ),
    Mistake(
        name="width_and_number_of_heads_exchanged",
        explanation=lambda e: (
            f"num_heads was taken for the width of a head: here you have "
            f"{sizes(e)[0] // sizes(e)[1]} heads of {sizes(e)[1]} entries, and it should be the "
            "other way round."
        ),
        hint="Which of the two numbers in your reshape is h, and which is D / h?",
        # view(B, T, D // h, h)
        buggy=width_and_number_exchanged,
    ),
    Mistake(
        name="heads_averaged",
        explanation=(
            "The heads were averaged or added up, and the result stands h times side by side. They "
            "should stand side by side themselves."
        ),
        hint="How many numbers does a token have after the merge, and how many does a head give?",
        buggy=heads_reduced(lambda z: z.mean(dim=1, keepdim=True)),
        variants=(
            heads_reduced(lambda z: z.sum(dim=1, keepdim=True)),
            heads_reduced(lambda z: z.amax(dim=1, keepdim=True)),
        ),
    ),
    Mistake(
        name="one_head_for_all",
        explanation="One head stands in the place of all heads, h times side by side.",
        hint="What in your loop over the heads depends on the number of the head?",
        buggy=heads_reduced(lambda z: z[:, :1]),
        variants=(heads_reduced(lambda z: z[:, -1:]),),
    ),
    Mistake(
        name="projection_of_each_head_alone",
        explanation=(
            "Each head went through its own square of w_out. The projection should mix the heads: "
            "every output reads all of them."
        ),
        hint="What should be joined first: the heads, or what the projection makes of each?",
        buggy=own_block_of_w_out,
    ),
    Mistake(
        name="softmax_forgotten",
        explanation="There is no softmax: the values are added with the scores as weights.",
        hint="What makes positive weights of the scores, that add to 1 for each query?",
        buggy=attended(lambda scores: scores),
        variants=(attended(lambda scores: scores / scores.sum(dim=-1, keepdim=True)),),
    ),
    Mistake(
        name="scaled_after_softmax",
        explanation="The division by the root comes after softmax, where it should come before.",
        hint="What does the division do to the scores that softmax reads?",
        buggy=changed(
            attend=lambda q, k, v: (q @ k.mT).softmax(dim=-1) / math.sqrt(q.shape[3]) @ v
        ),
    ),
    Mistake(
        name="causal_mask",
        explanation="Each token reads only itself and the tokens before it.",
        hint="May patch 0 not know what is in patch 5?",
        buggy=attended(
            lambda s: s.masked_fill(
                ~torch.ones_like(s[0, 0], dtype=torch.bool).tril(), -math.inf
            ).softmax(dim=-1)
        ),
    ),
    Mistake(
        name="weights_transposed",
        explanation="The weights were transposed before they met the values.",
        hint="Which axis of the weights has to meet the tokens of the values?",
        buggy=attended(lambda scores: scores.softmax(dim=-1).mT),
    ),
    Mistake(
        name="bias_inside_the_projection_twice",
        explanation="A bias was added twice.",
        hint="Does F.linear, or a layer of yours, add the bias already?",
        buggy=changed(project=lambda z, w, b: z @ w.T + 2 * b),
        variants=(changed(parts=lambda x, w, b, h: three(x, w, 2 * b, h)),),
    ),
    Mistake(
        name="output_bias_before_the_projection",
        explanation="b_out is added before the product with w_out; it comes after.",
        hint="In which order does nn.Linear do the two?",
        buggy=bias_before_the_projection,
    ),
    Mistake(
        name="other_values_read",
        explanation="What the heads read are not the values: queries or keys stand in their place.",
        hint="Which of your three names meets the weights?",
        buggy=changed(attend=lambda q, k, v: attention(q, k, q)[0]),
        variants=(changed(attend=lambda q, k, v: attention(q, k, k)[0]),),
    ),
    Mistake(
        name="heads_forgotten",
        explanation=(
            "The scores are divided as in one head, and the whole width was compared at once: the "
            "heads were never split."
        ),
        hint="Which shape do queries have in each head?",
        buggy=one_head_scaled_as_many,
    ),
)


check_multi_head = Check(
    name="check_multi_head",
    signature=(
        "fn(x (B, T, D), w_qkv (3D, D), b_qkv (3D), w_out (D, D), b_out (D), num_heads h) -> "
        "(B, T, D); the rows of w_qkv: all queries, all keys, all values, each in head order"
    ),
    cases=multi_head_cases,
    reference=multi_head,
    mistakes=MISTAKES + general_mistakes(multi_head, without=()),
)
