"""Every kind of position, at every site: what it tells the model, and what it does not."""

import dataclasses
import itertools

import pytest
import torch
import torch.nn.functional as F

from vit_tutorial import VisionTransformer, ViTConfig
from vit_tutorial.model import (
    RelativeBias,
    Rotary,
    attention,
    fast_attention,
    make_position,
    sinusoidal_2d,
)
from vit_tutorial.model.config import IN_ATTENTION, POSITIONS

SMALL = dict(
    image_size=(12, 20), patch_size=4, dim=24, depth=2, num_heads=3, mlp_dim=32, position_std=0.5
)
PLACES = [
    (kind, place) for kind in POSITIONS for place in ("stem", "every_layer", "every_layer_shared")
]
PLACES = [
    (k, p)
    for k, p in PLACES
    if not (k == "none" and p != "stem") and not (k in IN_ATTENTION and p == "stem")
]


def make(**changes) -> VisionTransformer:
    torch.manual_seed(0)
    return VisionTransformer(ViTConfig(**SMALL | changes)).eval()


def shuffled(images, order, P=4):
    """The same patches at other places."""
    from vit_tutorial import patchify, unpatchify

    return unpatchify(patchify(images, P)[:, order], P, tuple(images.shape[2:]))


@pytest.mark.parametrize(("kind", "place"), PLACES)
@pytest.mark.parametrize("token", ["first", "last", "none"])
def test_order_matters_except_without_positions(kind, place, token):
    model = make(position=kind, position_site=place, class_token=token, pool="mean")
    images = torch.randn(2, 3, 12, 20)
    order = torch.randperm(15, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        change = (model(images) - model(shuffled(images, order))).abs().max().item()
    assert (change > 1e-4) == (kind != "none")


@pytest.mark.parametrize(("kind", "place"), PLACES)
def test_every_parameter_gets_a_gradient(kind, place):
    model = make(position=kind, position_site=place)
    model(torch.randn(2, 3, 12, 20)).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize(("kind", "place"), PLACES)
def test_a_saved_state_gives_the_same_model(kind, place, tmp_path):
    """No two entries share memory (safetensors refuses that), and a second model with the same
    state gives the same answer."""
    from safetensors.torch import load_file, save_file

    model, images = make(position=kind, position_site=place), torch.randn(1, 3, 12, 20)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    other = VisionTransformer(model.config).eval()
    other.load_state_dict(load_file(tmp_path / "model.safetensors"))
    torch.testing.assert_close(other(images), model(images))


@pytest.mark.parametrize(
    ("kind", "place", "number"),
    [
        ("none", None, 0),
        ("learned_1d", "stem", 16 * 24),
        ("learned_1d", "every_layer", 2 * 16 * 24),
        ("learned_1d", "every_layer_shared", 16 * 24),
        ("learned_2d", "stem", (3 + 5) * 12 + 24),
        ("learned_2d", "every_layer", 2 * ((3 + 5) * 12 + 24)),
        ("sinusoidal_2d", "every_layer", 0),
        ("relative", "every_layer", 2 * 3 * (5 * 9 + 3)),
        ("relative", "every_layer_shared", 3 * (5 * 9 + 3)),
        ("rotary", "every_layer", 0),
    ],
)
def test_cost_in_parameters(kind, place, number):
    """On paper, for 3 x 5 patches, a class token, D = 24, 3 heads, 2 layers."""

    def count(**changes):
        return sum(p.numel() for p in make(**changes).parameters())

    assert count(position=kind, position_site=place) - count(position="none") == number


@pytest.mark.parametrize(("place", "tables"), [("every_layer", 2), ("every_layer_shared", 1)])
def test_every_layer_by_hand(place, tables):
    model = make(position="learned_1d", position_site=place)
    assert len(model.encoder.positions) == tables
    images = torch.randn(2, 3, 12, 20)
    z = model.tokens(images)
    # Nothing is added at the stem.
    torch.testing.assert_close(z[:, 1:], model.patch_embedding(images))
    for i, block in enumerate(model.encoder.blocks):
        z = block(z + model.encoder.positions[i % tables].table)
    torch.testing.assert_close(model.encoder(model.tokens(images)), z)


def test_learned_2d_by_loops():
    config = ViTConfig(**SMALL, position="learned_2d", class_token="last", pool="mean")
    position = make_position(config)
    table = position.table[0]
    assert table.shape == (16, 24)
    for row, column in itertools.product(range(3), range(5)):
        expected = torch.cat([position.rows[row], position.columns[column]])
        torch.testing.assert_close(table[5 * row + column], expected)
    torch.testing.assert_close(table[-1], position.token[0])


@pytest.mark.parametrize("token", ["first", "last", "none"])
def test_relative_bias_by_loops(token):
    """Two pairs share a number exactly when their offsets agree; pairs with the class token are of
    three kinds of their own."""
    bias = RelativeBias(ViTConfig(**SMALL, position="relative", class_token=token, pool="mean"))
    places = [(n // 5, n % 5) for n in range(15)]
    places = {"first": ["token", *places], "last": [*places, "token"], "none": places}[token]

    def kind(a, b):
        if "token" in (a, b):
            return a if a == "token" else "patch", b if b == "token" else "patch"
        return a[0] - b[0], a[1] - b[1]

    number = {}
    for (i, a), (j, b) in itertools.product(enumerate(places), repeat=2):
        assert number.setdefault(kind(a, b), bias.index[i, j].item()) == bias.index[i, j].item()
    # As many kinds as numbers, and no number unused.
    assert sorted(number.values()) == list(range(bias.bias.shape[1]))


def test_rotary_scores_depend_on_the_offset_alone():
    rotary = Rotary(ViTConfig(**SMALL, position="rotary", class_token="none", pool="mean")).double()
    q = torch.randn(8, dtype=torch.float64).expand(1, 1, 15, 8)
    k = torch.randn(8, dtype=torch.float64).expand(1, 1, 15, 8)
    q, k, bias = rotary(q, k)
    assert bias is None
    scores = (q @ k.mT)[0, 0]
    by_offset = {}
    for i, j in itertools.product(range(15), repeat=2):
        offset = (i // 5 - j // 5, i % 5 - j % 5)
        # The angles are float32.
        assert by_offset.setdefault(offset, scores[i, j].item()) == pytest.approx(
            scores[i, j].item(), abs=1e-5
        )
    # And every offset has a score of its own.
    assert len({round(score, 4) for score in by_offset.values()}) == 5 * 9


def test_rotary_rotates_and_keeps_lengths():
    rotary = Rotary(ViTConfig(**SMALL, position="rotary"))
    q = torch.randn(2, 3, 16, 8)
    turned = rotary.rotate(q)
    torch.testing.assert_close(turned.norm(dim=-1), q.norm(dim=-1))
    # The class token, and the patch at row 0, column 0.
    torch.testing.assert_close(turned[:, :, :2], q[:, :, :2])
    # Entry 0 pairs with entry 4, at frequency 1 for the row. Patch (1, 0) is token 6, and its
    # angle 1 radian.
    angle = torch.tensor(1.0)
    torch.testing.assert_close(
        turned[..., 6, 0], q[..., 6, 0] * angle.cos() - q[..., 6, 4] * angle.sin()
    )


def test_fused_and_explicit_agree_with_a_bias():
    q, k, v = torch.randn(3, 2, 3, 7, 8).unbind(0)
    bias = torch.randn(3, 7, 7)
    expected = attention(q, k, v, bias)[0]
    torch.testing.assert_close(fast_attention(q, k, v, fused=True, bias=bias), expected)
    torch.testing.assert_close(fast_attention(q, k, v, fused=False, bias=bias), expected)
    torch.testing.assert_close(expected, F.softmax(q @ k.mT / 8**0.5 + bias, dim=-1) @ v)


def test_learned_positions_start_normal_or_truncated_and_may_be_frozen():
    big = ViTConfig(dim=192, position_std=0.02)
    cut = make_position(dataclasses.replace(big, position_init="truncated_normal")).table
    assert cut.abs().max() <= 0.04 + 1e-6 and cut.std().item() == pytest.approx(
        0.88 * 0.02, rel=0.03
    )
    assert make_position(big).table.abs().max() > 0.06
    frozen = make(position_frozen=True, position_std=1.0)
    assert (
        not frozen.position.table.requires_grad
        and frozen.position.table.std().item() == pytest.approx(1, abs=0.15)
    )


def test_sinusoidal_in_every_layer_is_the_same_table():
    model = make(
        position="sinusoidal_2d", position_site="every_layer", class_token="none", pool="mean"
    )
    for position in model.encoder.positions:
        torch.testing.assert_close(position.table[0], sinusoidal_2d((3, 5), 24))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (dict(position="relative", position_site="stem"), "inside attention"),
        (dict(position="none", position_site="every_layer"), "nothing to add"),
        (dict(position="learned_1d", position_site="everywhere"), "unknown position_site"),
        (dict(position="rotary", num_heads=4), "multiple of 4, not 6"),
        (dict(position="learned_2d", dim=15, num_heads=3), "15 is odd"),
        (dict(position_init="uniform"), "unknown position_init"),
        (dict(position_site="every_layer", position_class_token=False), "at the stem only"),
    ],
)
def test_a_position_that_cannot_be_built_says_why(changes, words):
    with pytest.raises(ValueError, match=words):
        ViTConfig(**SMALL | changes)
