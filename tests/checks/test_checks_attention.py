"""check_attention and check_multi_head: every mistake named, every style accepted."""

import functools
import itertools
import re

import corpus
import einops
import pytest
import torch
import torch.nn.functional as F
from checks_common import SEEDS, is_accepted, is_named, mistake_id, mistakes, rejects_both, verdict
from torch import nn

from vit_tutorial.checks.exercises.attention import by_weights
from vit_tutorial.checks.exercises.multi_head import multi_head, steps, three
from vit_tutorial.model import MultiHeadSelfAttention

ALL = [*mistakes("check_attention"), *mistakes("check_multi_head")]


@pytest.mark.parametrize(("name", "mistake"), ALL, ids=mistake_id)
def test_each_mistake_is_rejected_and_named(name, mistake):
    is_named(name, mistake)


def with_matmul(q, k, v):
    weights = (torch.matmul(q, k.transpose(-2, -1)) / q.shape[-1] ** 0.5).softmax(-1)
    return torch.matmul(weights, v), weights


def with_einsum(q, k, v, dropout=None):
    weights = F.softmax(torch.einsum("bhid,bhjd->bhij", q, k) * q.size(-1) ** -0.5, dim=-1)
    return [torch.einsum("bhij,bhjd->bhid", weights, v), weights]


def fused_beside_explicit(q, k, v):
    return F.scaled_dot_product_attention(q, k, v), torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, 3)


def head_by_head(q, k, v):
    pairs = [with_matmul(q[:, h], k[:, h], v[:, h]) for h in range(q.shape[1])]
    return tuple(torch.stack(parts, dim=1) for parts in zip(*pairs))


def stable_softmax_by_hand(q, k, v):
    q = q.clone()
    q /= q.shape[-1] ** 0.5
    scores = q @ k.transpose(-1, -2)
    raised = (scores - scores.amax(-1, keepdim=True)).exp()
    weights = raised / raised.sum(-1, keepdim=True)
    return weights @ v, weights


def query_by_query(q, k, v):
    rows = [
        ((q[:, :, i : i + 1] * k).sum(-1) / q.shape[-1] ** 0.5).softmax(-1)
        for i in range(q.shape[2])
    ]
    weights = torch.stack(rows, dim=2)
    return (weights[..., None] * v[:, :, None]).sum(3), weights


def joined_linear(x, w_qkv, b_qkv, w_out, b_out, num_heads):
    B, T, D = x.shape
    q, k, v = (
        F.linear(x, w_qkv, b_qkv).reshape(B, T, 3, num_heads, D // num_heads).permute(2, 0, 3, 1, 4)
    )
    return F.linear(
        F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(B, T, D), w_out, b_out
    )


def slices_of_heads(x, w_qkv, b_qkv, w_out, b_out, h):
    d = x.shape[2] // h
    q, k, v = (x @ w_qkv.T + b_qkv).chunk(3, -1)
    heads = [
        with_matmul(*(part[..., i * d : (i + 1) * d] for part in (q, k, v)))[0] for i in range(h)
    ]
    return torch.cat(heads, -1) @ w_out.T + b_out


def pytorchs_function(x, w_qkv, b_qkv, w_out, b_out, h):
    x = x.transpose(0, 1)
    no = (None, None, False, 0.0)
    y, _ = F.multi_head_attention_forward(
        x, x, x, x.shape[-1], h, w_qkv, b_qkv, *no, w_out, b_out, need_weights=False
    )
    return y.transpose(0, 1)


def pytorchs_module(x, w_qkv, b_qkv, w_out, b_out, h):
    layer = nn.MultiheadAttention(x.shape[-1], h, batch_first=True, device=x.device, dtype=x.dtype)
    names = ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")
    return torch.func.functional_call(
        layer, dict(zip(names, (w_qkv, b_qkv, w_out, b_out))), (x, x, x)
    )[0]


def our_module(x, w_qkv, b_qkv, w_out, b_out, h):
    layer = MultiHeadSelfAttention(x.shape[-1], h).to(x.device, x.dtype)
    names = ("qkv.weight", "qkv.bias", "projection.weight", "projection.bias")
    return torch.func.functional_call(layer, dict(zip(names, (w_qkv, b_qkv, w_out, b_out))), (x,))


def with_einops(x, w_qkv, b_qkv, w_out, b_out, h, **more):
    q, k, v = einops.rearrange(F.linear(x, w_qkv, b_qkv), "b t (s h d) -> s b h t d", s=3, h=h)
    return F.linear(einops.rearrange(with_einsum(q, k, v)[0], "b h t d -> b t (h d)"), w_out, b_out)


def without_transposes(x, w_qkv, b_qkv, w_out, b_out, h):
    B, T, D = x.shape
    q, k, v = (part.view(B, T, h, D // h) for part in F.linear(x, w_qkv, b_qkv).split(D, dim=-1))
    weights = (torch.einsum("bihd,bjhd->bhij", q, k) / (D // h) ** 0.5).softmax(-1)
    return F.linear(torch.einsum("bhij,bjhd->bihd", weights, v).reshape(B, T, D), w_out, b_out)


STYLES = {
    "check_attention": [
        with_matmul,
        with_einsum,
        fused_beside_explicit,
        head_by_head,
        stable_softmax_by_hand,
        query_by_query,
    ],
    "check_multi_head": [
        joined_linear,
        slices_of_heads,
        pytorchs_function,
        pytorchs_module,
        our_module,
        with_einops,
        without_transposes,
    ],
}


@pytest.mark.parametrize(
    ("name", "fn"),
    [(n, f) for n, fs in STYLES.items() for f in fs],
    ids=lambda v: getattr(v, "__name__", v),
)
def test_each_style_is_accepted(name, fn):
    is_accepted(name, fn)


SCALES = {
    "scale_by_model_width": lambda q: (q.shape[1] * q.shape[3]) ** 0.5,
    "scale_by_d": lambda q: q.shape[3],
    "no_scale": lambda q: 1.0,
    "multiplied_by_root": lambda q: q.shape[3] ** -0.5,
}
READS = {
    "softmax_over_queries": lambda s, q, k, v: by_weights(s.softmax(-2), v),
    "softmax_over_heads": lambda s, q, k, v: by_weights(s.softmax(1), v),
    "softmax_forgotten": lambda s, q, k, v: by_weights(s, v),
    "weights_transposed": lambda s, q, k, v: (s.softmax(-1).mT @ v, s.softmax(-1)),
    "keys_read": lambda s, q, k, v: by_weights(s.softmax(-1), v, k),
    "results_exchanged": lambda s, q, k, v: by_weights(s.softmax(-1), v)[::-1],
}


@pytest.mark.parametrize(("one", "two"), list(itertools.product(SCALES, READS)))
def test_two_mistakes_in_attention(one, two):
    rejects_both("check_attention", lambda q, k, v: READS[two](q @ k.mT / SCALES[one](q), q, k, v))


FIRST = {
    "values_first": dict(parts=lambda x, w, b, h: three(x, w, b, h, (2, 1, 0))),
    "shared_projection": dict(parts=lambda x, w, b, h: three(x, w, b, h, (0, 0, 0))),
    "qkv_bias_forgotten": dict(parts=lambda x, w, b, h: three(x, w, 0 * b, h)),
}
SECOND = {
    "heads_merged_without_permute": dict(merge=lambda z: z.reshape(z.shape[0], z.shape[2], -1)),
    "output_projection_missing": dict(project=lambda z, w, b: z),
    "weight_not_transposed": dict(project=lambda z, w, b: z @ w + b),
    "no_scale": dict(attend=lambda q, k, v: (q @ k.mT).softmax(-1) @ v),
    "softmax_over_queries": dict(
        attend=lambda q, k, v: (q @ k.mT / q.shape[3] ** 0.5).softmax(-2) @ v
    ),
}


@pytest.mark.parametrize(("one", "two"), list(itertools.product(FIRST, SECOND)))
def test_two_mistakes_in_heads(one, two):
    rejects_both("check_multi_head", lambda *inputs: steps(*inputs, **FIRST[one], **SECOND[two]))


@pytest.mark.parametrize(
    ("name", "fn", "difference"),
    [
        (
            "check_attention",
            lambda q, k, v: (2 * with_matmul(q, k, v)[0], with_matmul(q, k, v)[1]),
            "times 2",
        ),
        (
            "check_attention",
            lambda q, k, v: with_matmul(q.flip(2), k, v),
            "reverse order along axis 2",
        ),
        (
            "check_attention",
            lambda q, k, v: (with_matmul(q, k, v)[0].transpose(1, 2), q),
            "axes 1 and 2 exchanged",
        ),
        ("check_multi_head", lambda *a: multi_head(*a) + 1, "plus 1"),
        ("check_multi_head", lambda *a: multi_head(*a).roll(1, 1), "shifted 1 place"),
    ],
)
def test_an_unknown_mistake_is_reported_by_its_difference(name, fn, difference):
    found = verdict(name, fn)
    # Which half is wrong may be said; that it is one of the slips that people make may not.
    assert not found.passed and found.mistake in (None, *corpus.FAIR), found.message
    assert difference in found.message
    assert ("Hint: " if found.mistake else "Asked for: fn(") in found.message


def test_a_scale_by_the_models_width_is_explained_with_this_cases_numbers():
    def by_model_width(q, k, v):
        weights = (q @ k.mT / (q.shape[1] * q.shape[3]) ** 0.5).softmax(-1)
        return weights @ v, weights

    message = verdict("check_attention", by_model_width).message
    _, heads, _, width = map(int, re.search(r"q \((\d+), (\d+), (\d+), (\d+)\)", message).groups())
    root = f"{(heads * width) ** 0.5:.3g}"
    assert heads > 1  # with one head there is no mistake to explain
    assert (
        f"Your weights equal softmax(QK^T / {root}). {root} is the root of {heads * width}"
        in message
    )
    assert f"the width of all {heads} heads together" in message
    assert f"With {heads} heads, a query has {width} entries" in message


DIVISORS = {
    "the notebook's own width": (lambda q: 4.0, "It is 4 in every case"),
    "the root of the tokens": (lambda q: q.shape[2] ** 0.5, "is the root of"),
    "the tokens": (lambda q: q.shape[2], "softmax(QK^T / "),
    "a number typed in": (lambda q: 6.93, "softmax(QK^T / 6.93). It is 6.93 in every case"),
    "the root of the batch": (lambda q: (1 + q.shape[0]) ** 0.5, "softmax(QK^T / 1.73)"),
}


@pytest.mark.parametrize("about", DIVISORS)
def test_every_wrong_divisor_is_named_with_its_number(about):
    divisor, text = DIVISORS[about]
    heads = lambda *inputs: steps(
        *inputs, attend=lambda q, k, v: (q @ k.mT / divisor(q)).softmax(-1) @ v
    )
    for seed in SEEDS:
        one = verdict(
            "check_attention",
            lambda q, k, v: by_weights((q @ k.mT / divisor(q)).softmax(-1), v),
            seed,
        )
        assert one.mistake == "wrong_divisor" and text in one.message, one.message
        many = verdict("check_multi_head", heads, seed)
        assert many.mistake == "wrong_divisor", many.message
        assert "so a query has" in many.message


SLIPS = {
    "q @ k.T": (lambda q, k: q @ k.T, "all_axes_reversed"),
    "k.t()": (lambda q, k: q @ k.t(), "transpose_without_axes"),
    "k.transpose()": (lambda q, k: q @ k.transpose(), "transpose_without_axes"),
    "q @ k": (lambda q, k: q @ k, "keys_not_transposed"),
}


@pytest.mark.filterwarnings("ignore:The use of `x.T`")
@pytest.mark.parametrize("written", SLIPS)
def test_a_slip_in_the_transpose_is_named_although_it_stops(written):
    product, name = SLIPS[written]
    for fn in (
        lambda q, k, v: by_weights((product(q, k) / q.shape[-1] ** 0.5).softmax(-1), v),
        lambda q, k, v: by_weights(product(q / q.shape[-1] ** 0.5, k).softmax(-1), v),
    ):
        found = verdict("check_attention", fn)
        assert found.mistake == name, found.message
        assert "four" in found.message or "last two axes" in found.message


def test_another_error_is_not_taken_for_a_slip_in_the_transpose():
    found = verdict("check_attention", lambda q, k, v: by_weights(q.view(7, 11) @ k, v))
    assert found.mistake == "reshape_to_another_size" and "stopped with an error" in found.message


def test_a_merge_that_interleaves_is_not_called_a_split():
    """The heads were split rightly: a hint about the split would mislead."""
    merges = (
        lambda z: z.permute(0, 2, 3, 1).flatten(2),
        lambda z: torch.einsum("bhtd->btdh", z).reshape(z.shape[0], z.shape[2], -1),
    )
    for merge in merges:
        found = verdict("check_multi_head", functools.partial(steps, merge=merge))
        assert found.mistake == "merge_interleaved"
        assert "The split is right" in found.message and "h-th entry" not in found.message


def test_the_fused_call_alone_lacks_the_weights():
    found = verdict("check_attention", lambda q, k, v: F.scaled_dot_product_attention(q, k, v))
    assert found.mistake == "weights_not_returned" and "return statement" not in found.message
