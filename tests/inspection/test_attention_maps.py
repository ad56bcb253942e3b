"""Maps of attention, beside numbers that were computed by hand."""

import pytest
import torch

from vit_tutorial.inspection import attention_maps as maps
from vit_tutorial.inspection.layout import TokenLayout
from vit_tutorial.inspection.recording import record
from vit_tutorial.model import VisionTransformer, ViTConfig


def layer(*heads):
    """One image's weights, (1, h, T, T)."""
    return torch.tensor(heads, dtype=torch.float32)[None]


# Two tokens. Heads: token 0 reads itself, or token 1; their mean is a half each. Token 1 reads 0.
FIRST = layer([[1, 0], [1, 0]], [[0, 1], [1, 0]])
SECOND = layer([[0, 1], [0, 1]], [[0, 1], [0, 1]])


def test_rollout_of_one_layer_is_the_mean_of_heads_and_half_of_the_identity():
    # mean [[.5, .5], [1, 0]]; halved, plus half the identity
    expected = torch.tensor([[[0.75, 0.25], [0.5, 0.5]]])
    torch.testing.assert_close(maps.rollout({"a": FIRST}), expected)


def test_rollout_of_two_layers_multiplies_the_later_one_from_the_left():
    # the second layer alone: [[.5, .5], [0, 1]]; times the first, row by row
    expected = torch.tensor([[[0.625, 0.375], [0.5, 0.5]]])
    torch.testing.assert_close(maps.rollout([FIRST, SECOND]), expected)
    swapped = torch.tensor([[[0.375, 0.625], [0.25, 0.75]]])
    torch.testing.assert_close(maps.rollout([SECOND, FIRST]), swapped)
    torch.testing.assert_close(maps.rollout(torch.stack([FIRST, SECOND])), expected)


def test_rows_of_a_rollout_sum_to_one_even_when_the_weights_do_not():
    flow = maps.rollout([3 * FIRST, SECOND])
    torch.testing.assert_close(flow.sum(-1), torch.ones(1, 2))


def test_relevance_keeps_only_what_raises_the_score():
    gradient = layer([[2, 5], [-4, 1]], [[7, -1], [2, 3]])
    # gradient x weight, clamped: head 0 [[2, 0], [0, 0]], head 1 [[0, 0], [2, 0]]; their mean
    expected = torch.tensor([[[2.0, 0.0], [1.0, 1.0]]])  # plus the identity
    torch.testing.assert_close(maps.relevance([FIRST], [gradient]), expected)
    # a second layer: R + A R with A = [[0, 1], [0, 1]]
    second = torch.ones(1, 2, 2, 2)
    expected = torch.tensor([[[3.0, 1.0], [2.0, 2.0]]])
    torch.testing.assert_close(maps.relevance([FIRST, SECOND], [gradient, second]), expected)


# A row of three patches behind a class token.
ROW = TokenLayout((1, 3), prefix=1, class_token=0)
UNIFORM = torch.full((1, 1, 4, 4), 0.25)


def test_attention_distance_by_hand():
    # Uniform over 3 patches: the ends are 0, 1 and 2 away (mean 1), the middle 1, 0, 1 (mean 2/3).
    expected = torch.tensor([[(1 + 2 / 3 + 1) / 3]])
    torch.testing.assert_close(maps.attention_distance([UNIFORM], ROW), expected)
    torch.testing.assert_close(maps.attention_distance([UNIFORM], ROW, 16), 16 * expected)
    torch.testing.assert_close(maps.attention_distance([UNIFORM], ROW, (8, 16)), 16 * expected)
    down = TokenLayout((3, 1), prefix=1)
    torch.testing.assert_close(maps.attention_distance([UNIFORM], down, (8, 16)), 8 * expected)


def test_attention_distance_leaves_the_class_token_out():
    to_class = UNIFORM.clone()
    to_class[..., 0], to_class[..., 1:] = 0.7, 0.1  # the rest is as uniform as before
    expected = maps.attention_distance([UNIFORM], ROW)
    torch.testing.assert_close(maps.attention_distance([to_class], ROW), expected)
    itself = torch.eye(4)[None, None]
    two = torch.cat([itself, UNIFORM], dim=1)
    found = maps.attention_distance({"a": two, "b": two}, ROW)
    assert found.shape == (2, 2) and found[0, 0] == 0
    torch.testing.assert_close(found[:, 1:], expected.expand(2, 1))


def test_maps_of_the_class_token_of_one_token_and_of_what_all_read():
    weights = torch.arange(16.0).view(1, 1, 4, 4)
    assert maps.class_token_map(weights, ROW).tolist() == [[[[1, 2, 3]]]]
    behind = TokenLayout((1, 3), suffix=1, class_token=3)
    assert maps.class_token_map(weights, behind).tolist() == [[[[12, 13, 14]]]]
    assert maps.token_map(weights[0, 0], ROW, 2).tolist() == [[9, 10, 11]]
    assert maps.received_map(weights[0, 0], ROW).tolist() == [[9, 10, 11]]
    assert maps.reading_map(weights[0, 0], ROW).tolist() == [[1, 2, 3]]
    pooled = TokenLayout((2, 2))
    assert maps.reading_map(weights[0, 0], pooled).tolist() == [[6, 7], [8, 9]]


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: maps.class_token_map(UNIFORM, TokenLayout((2, 2))),
            "no class token.*received_map",
        ),
        (lambda: maps.class_token_map(UNIFORM, TokenLayout((1, 3), 1)), "class_token=0"),
        (lambda: maps.received_map(UNIFORM, TokenLayout((3, 3))), r"\(1, 1, 4, 4\) do not fit 3x3"),
        (lambda: maps.token_map(UNIFORM, ROW, 4), "no token 4: there are 4"),
        (lambda: maps.attention_distance([UNIFORM], TokenLayout((3, 3))), "do not fit 3x3"),
        (lambda: maps.rollout([]), r"by layer are \(B, h, T, T\)"),
        (lambda: maps.rollout(UNIFORM[0]), r"got \[\(4, 4\)\]"),
        (lambda: maps.relevance([FIRST], [FIRST, FIRST]), "take both from one recording"),
        (lambda: TokenLayout((1, 3), 1, class_token=2), "tokens 1 to 3 are patches"),
        (lambda: TokenLayout((1, 3), 1, class_token=4), "the last token is 3"),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def small(**changes):
    torch.manual_seed(0)
    config = ViTConfig(image_size=16, dim=32, depth=2, num_heads=2, num_classes=3, **changes)
    return VisionTransformer(config).eval(), torch.randn(2, 3, 16, 16)


def test_gradient_attention_belongs_to_the_class_that_is_asked_for():
    model, images = small()
    named, recorded = maps.gradient_attention(model, images)
    assert named.shape == (2, 17, 17) and recorded.output.shape == (2, 3)
    asked, _ = maps.gradient_attention(model, images, recorded.output.argmax(1))
    other, _ = maps.gradient_attention(model, images, (recorded.output.argmax(1) + 1) % 3)
    torch.testing.assert_close(asked, named)
    assert not torch.allclose(other, named)
    alone, _ = maps.gradient_attention(model, images[1:])
    torch.testing.assert_close(alone, named[1:], rtol=1e-3, atol=1e-5)
    with pytest.raises(ValueError, match=r"\[0, 3\]: give 2 numbers, each 0 to 2"):
        maps.gradient_attention(model, images, [0, 3])
    # the head reads the class token alone: in the last layer only its row has a gradient
    gradients = recorded.gradients(recorded.output[:, 0].sum())
    *_, last = gradients.values()
    assert last[:, :, 0].abs().max() > 0 and last[:, :, 1:].abs().max() == 0


def test_without_a_class_token_the_maps_of_a_recording_still_work():
    model, images = small(pool="mean")
    recorded = record(model, images)
    shown = maps.reading_map(maps.rollout(recorded.weights), recorded.layout)
    assert shown.shape == (2, 4, 4)
    torch.testing.assert_close(shown.sum((1, 2)), torch.ones(2))
    assert recorded.patch_size == (4, 4)
    far = maps.attention_distance(recorded.weights, recorded.layout, recorded.patch_size)
    assert far.shape == (2, 2) and 4 < far.min() and far.max() < 12
