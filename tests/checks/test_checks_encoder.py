"""check_encoder_block, check_influence, check_vit_forward: mistakes named, styles accepted."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from checks_common import is_accepted, is_named, mistake_id, mistakes, rejects_both, verdict

from vit_tutorial.checks.exercises.encoder_block import encoder_block
from vit_tutorial.checks.exercises.influence import influence
from vit_tutorial.checks.exercises.vit_forward import joined, stem, vit_forward
from vit_tutorial.checks.unlisted import NAMES

CHECKS = ("check_encoder_block", "check_influence", "check_vit_forward")
ALL = [entry for check in CHECKS for entry in mistakes(check)]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "mistake"), ALL, ids=mistake_id)
def test_each_mistake_is_rejected_and_named(name, mistake):
    is_named(name, mistake)


def with_two_names(x, norm1, attention, norm2, mlp):
    z = attention(norm1(x)) + x
    return mlp(norm2(z)) + z


def in_a_loop(x, n1, a, n2, m):
    for norm, part in ((n1, a), (n2, m)):
        x = x + part(norm(x))
    return x


def with_functional_norms(x, n1, a, n2, m):
    x = x + a(F.layer_norm(x, x.shape[-1:], n1.weight, n1.bias, n1.eps))
    return torch.add(x, m(F.layer_norm(x, x.shape[-1:], n2.weight, n2.bias, n2.eps)))


def in_place_on_copies(x, n1, a, n2, m):
    z = a(n1(x)).clone()
    z += x
    y = m(n2(z)).clone()
    y += z
    return y


def image_by_image(x, n1, a, n2, m, dropout=0.0):
    return torch.cat([encoder_block(image[None], n1, a, n2, m) for image in x])


def with_a_residual(x, n1, a, n2, m):
    def residual(part):
        return lambda z: z + part(z)

    return residual(lambda z: m(n2(z)))(residual(lambda z: a(n1(z)))(x))


def with_expand(images, model):
    x = model.patch_embedding(images)
    x = torch.cat([model.class_token.expand(len(x), -1, -1), x], 1)
    return model.head(model.norm(model.encoder(model.dropout(model.position(x))))[:, 0])


def norm_after_reading(images, model):
    return model.head(model.norm(model.encoder(stem(images, model))[:, 0]))


def block_by_block(images, model):
    x = model.patch_embedding(images)
    z = model.dropout(
        model.position(torch.cat((model.class_token.repeat(x.shape[0], 1, 1), x), dim=1))
    )
    for layer in model.encoder.blocks:
        z = layer(z)
    return model.head(model.norm(z[:, 0]))


def one_image_at_a_time(images, model):
    return torch.cat([with_expand(image[None], model) for image in images])


@torch.no_grad()
def without_gradients(images, model):
    return with_expand(images, model.eval())


def with_the_models_own_pool(images, model, verbose=False):
    return model.head(model.pool(model.norm(model.encoder(stem(images, model)))))


def table_added_by_hand(images, model):
    x = model.patch_embedding(images)
    table = model.position.table
    x = torch.cat(
        [model.class_token.expand(len(x), -1, -1) + table[:, :1], x + table[:, 1:]], dim=1
    )
    return model.head(model.norm(model.encoder(x))[:, 0])


def by_gradients(layer, x):
    x = x.clone().requires_grad_()
    B, T, D = x.shape
    jacobian = torch.autograd.functional.jacobian(layer, x)  # (B, T, D, B, T, D)
    return jacobian.abs().amax(dim=(2, 5)) > 0


def by_flat_index(layer, x):
    before, rows = layer(x), []
    for n in range(x.shape[0] * x.shape[1]):
        changed = x.clone().flatten(0, 1)
        changed[n] = torch.randn(x.shape[2]).to(x)
        after = layer(changed.view_as(x))
        rows.append(~torch.isclose(after, before, atol=1e-8).all(dim=-1))
    return torch.stack(rows, dim=-1).unflatten(-1, x.shape[:2])


@torch.no_grad()
def with_one_entry(layer, x):
    B, T, D = x.shape
    found = torch.zeros((B, T, B, T), dtype=torch.bool)
    for c in range(B):
        for s in range(T):
            changed = x.clone()
            changed[c, s, 0] += 3
            found[:, :, c, s] = (layer(changed) != layer(x)).any(-1)
    return found


STYLES = {
    "check_influence": [by_gradients, by_flat_index, with_one_entry],
    "check_encoder_block": [
        with_two_names,
        in_a_loop,
        with_functional_norms,
        in_place_on_copies,
        image_by_image,
        with_a_residual,
    ],
    "check_vit_forward": [
        with_expand,
        norm_after_reading,
        block_by_block,
        one_image_at_a_time,
        without_gradients,
        with_the_models_own_pool,
        table_added_by_hand,
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "fn"),
    [(n, f) for n, fs in STYLES.items() for f in fs],
    ids=lambda v: getattr(v, "__name__", v),
)
def test_each_style_is_accepted(name, fn):
    is_accepted(name, fn)


HALVES = {
    "first_residual_forgotten": lambda x, n, f: f(n(x)),
    "residual_doubled": lambda x, n, f: 2 * x + f(n(x)),
    "first_norm_missing": lambda x, n, f: x + f(x),
    "norm_after_the_part": lambda x, n, f: x + n(f(x)),
}
OTHERS = {
    "second_residual_forgotten": lambda x, n, f: f(n(x)),
    "second_residual_doubled": lambda x, n, f: 2 * x + f(n(x)),
    "second_norm_missing": lambda x, n, f: x + f(x),
    "post_norm": lambda x, n, f: n(x + f(x)),
}
TOGETHER = {
    ("first_residual_forgotten", "second_residual_forgotten"),
    ("first_norm_missing", "second_norm_missing"),
}


@pytest.mark.parametrize(
    ("one", "two"),
    [
        pair for pair in itertools.product(HALVES, OTHERS) if pair not in TOGETHER
    ],  # those two have a name of their own
)
def test_two_mistakes_in_the_block(one, two):
    def both(x, n1, a, n2, m):
        return OTHERS[two](HALVES[one](x, n1, a), n2, m)

    rejects_both("check_encoder_block", both)


STEMS = {
    "class_token_appended": lambda images, model: joined(images, model, last=True),
    "position_forgotten": lambda images, model: joined(images, model, position=False),
}
READS = {
    "mean_of_all_tokens": lambda z, model: model.head(model.norm(z).mean(1)),
    "first_patch_read": lambda z, model: model.head(model.norm(z)[:, 1]),
    "last_norm_forgotten": lambda z, model: model.head(z[:, 0]),
    "head_forgotten": lambda z, model: model.norm(z)[:, 0],
    "softmax_on_logits": lambda z, model: model.head(model.norm(z)[:, 0]).softmax(-1),
}


@pytest.mark.parametrize(("one", "two"), list(itertools.product(STEMS, READS)))
def test_two_mistakes_in_the_whole(one, two):
    rejects_both(
        "check_vit_forward",
        lambda images, model: READS[two](model.encoder(STEMS[one](images, model)), model),
    )


@pytest.mark.parametrize(
    ("name", "fn", "difference"),
    [
        ("check_encoder_block", lambda *a: -encoder_block(*a), "wrong sign"),
        ("check_encoder_block", lambda *a: encoder_block(*a).flip(1), "reverse order along axis 1"),
        ("check_influence", lambda *a: influence(*a)[:1], "The shape is"),
        ("check_vit_forward", lambda *a: vit_forward(*a) * 3, "times 3"),
        ("check_vit_forward", lambda *a: vit_forward(*a).T, "axes 0 and 1 exchanged"),
    ],
)
def test_an_unknown_mistake_is_reported_by_its_difference(name, fn, difference):
    found = verdict(name, fn)
    assert not found.passed and found.mistake in (None, *NAMES), found.message
    assert difference in " ".join(found.message.split())


@pytest.mark.parametrize("shortcut", ["forward", "representation", "tokens"])
def test_a_shortcut_through_the_model_composes_nothing(shortcut):
    assert (
        verdict("check_vit_forward", lambda images, model: getattr(model, shortcut)(images)).mistake
        == "whole_model_called"
    )


def test_an_overwritten_tensor_is_reported_as_such():
    def overwrites(x, n1, a, n2, m):
        x = x.clone()
        x += a(n1(x))
        return x + m(n2(x))

    found = verdict("check_encoder_block", overwrites)
    assert not found.passed and "modified by an inplace operation" in found.message, found.message


def test_the_line_under_a_decorator_is_the_learners_own():
    @torch.no_grad()
    def wrong(images, model):
        return model.no_such_part(images)

    assert "return model.no_such_part(images)" in verdict("check_vit_forward", wrong).message
