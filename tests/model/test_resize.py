"""One model, two image sizes."""

import pytest
import torch

from vit_tutorial import VisionTransformer, ViTConfig
from vit_tutorial.model.resize import _interpolate, resize_model

SMALL = dict(
    image_size=(16, 24), patch_size=4, dim=24, depth=2, num_heads=3, mlp_dim=32, position_std=0.5
)
EVERY = [
    dict(position="none"),
    dict(),
    dict(class_token="last"),
    dict(pool="mean"),
    dict(position_class_token=False),
    dict(position_site="every_layer"),
    dict(position="learned_2d"),
    dict(position="learned_2d", position_site="every_layer_shared", class_token="last"),
    dict(position="sinusoidal_2d"),
    dict(position="relative"),
    dict(position="relative", position_site="every_layer_shared", class_token="none", pool="mean"),
    dict(position="rotary"),
]


def make(**changes):
    torch.manual_seed(0)
    return VisionTransformer(ViTConfig(**SMALL | changes)).eval()


@pytest.mark.parametrize("changes", EVERY)
def test_the_same_size_changes_nothing(changes):
    model, images = make(**changes), torch.randn(2, 3, 16, 24)
    state = torch.random.get_rng_state()
    copy = resize_model(model, (16, 24))
    assert torch.equal(state, torch.random.get_rng_state())
    torch.testing.assert_close(copy(images), model(images))


@pytest.mark.parametrize("changes", EVERY)
def test_another_size_gives_logits_and_keeps_all_other_weights(changes):
    model = make(**changes).double()
    larger = resize_model(model, (32, 40))
    assert larger(torch.randn(1, 3, 32, 40, dtype=torch.float64)).shape == (1, 10)
    before, after = model.state_dict(), larger.state_dict()
    for name in before:
        if "position" not in name:
            assert torch.equal(before[name], after[name]), name
    assert resize_model(larger, (16, 24)).config == model.config


def test_a_ramp_in_a_learned_table_stays_a_ramp():
    """Rows that grow by 1 a patch grow by 1/2 on a grid twice as fine, away from the border."""
    model = make(pool="mean")
    with torch.no_grad():
        model.position.table.copy_((torch.arange(24) // 6)[None, :, None].float())
    table = resize_model(model, (32, 48)).position.table[0].view(8, 12, 24)
    torch.testing.assert_close(
        table[2:6, 3, 0], torch.tensor([0.75, 1.25, 1.75, 2.25]), atol=0.05, rtol=0
    )
    assert (table - table[:, :1]).abs().max() < 1e-5  # columns are alike, as before


@pytest.mark.parametrize(("token", "place"), [("first", 0), ("last", -1)])
def test_the_class_tokens_row_stays(token, place):
    model = make(class_token=token)
    larger = resize_model(model, 32)
    assert torch.equal(larger.position.table[0, place], model.position.table[0, place])
    two = make(position="learned_2d", class_token=token)
    assert torch.equal(resize_model(two, 32).position.token, two.position.token)


@pytest.mark.parametrize("length", [8, 3])
def test_a_line_of_one_column_is_resized_as_a_line_of_one_row(length):
    """torch 2.15 gives the same value at every place of an image that is one pixel wide."""
    line = torch.tensor([[-1.13, -0.32, 0.17, 2.01], [0, 1, 2, 3]])[None]  # (1, D, R)
    down, across = (
        _interpolate(line[..., None], (length, 1)),
        _interpolate(line[:, :, None], (1, length)),
    )
    torch.testing.assert_close(down[..., 0], across[:, :, 0])
    assert (down[0, 1, 1:, 0] > down[0, 1, :-1, 0]).all()
    one = line[..., :1, None]
    torch.testing.assert_close(_interpolate(one, (1, 1)), one)


def test_learned_rows_and_columns_keep_their_ramp():
    """Rows 0 to 3 hold a ramp. At twice the size it is the same ramp in smaller steps."""
    model = make(position="learned_2d", image_size=32, patch_size=8)
    ramp = torch.arange(4.0)[:, None].expand(4, model.config.dim // 2)
    with torch.no_grad():
        model.position.rows.copy_(ramp)
        model.position.columns.copy_(-ramp)
    large = resize_model(model, 64).position
    steps = large.rows[2:7] - large.rows[1:6]
    torch.testing.assert_close(steps, torch.full_like(steps, 0.5), atol=0.05, rtol=0)
    torch.testing.assert_close(large.columns, -large.rows)


def test_relative_offsets_keep_their_meaning():
    """A bias that says 'right of me' says so on the larger grid, too. The class token's three
    numbers stay."""
    model = make(position="relative")
    position = model.encoder.positions[0]
    with torch.no_grad():
        right = torch.arange(-5, 6.0).expand(7, 11).flatten()
        position.bias.copy_(torch.cat([right, torch.tensor([7.0, 8.0, 9.0])]))
    bias = resize_model(model, (16, 48)).encoder.positions[0].bias
    assert torch.equal(bias[:, -3:], torch.tensor([7.0, 8.0, 9.0]).expand(3, 3))
    line = bias[0, :-3].view(7, 23)[3]
    # No offset: still 0; further right: still more.
    assert line[11].abs() < 1e-4 and (line.diff() > 0).all()


def test_sinusoids_continue_on_a_larger_grid():
    model = make(position="sinusoidal_2d", pool="mean")
    larger = resize_model(model, (32, 48)).position.table[0].view(8, 12, 24)
    torch.testing.assert_close(larger[:4, :6], model.position.table[0].view(4, 6, 24))


def test_a_new_size_that_patches_do_not_tile_is_refused():
    with pytest.raises(ValueError, match="do not tile"):
        resize_model(make(), 30)


DYNAMIC = [
    dict(position="none"),
    dict(),
    dict(class_token="last"),
    dict(position_class_token=False),
    dict(pool="mean"),
    dict(position="learned_2d"),
    dict(position="sinusoidal_2d"),
    dict(position="sinusoidal_1d", class_token="last"),
    dict(stem="convolutional"),
]


@pytest.mark.parametrize("changes", DYNAMIC, ids=str)
@pytest.mark.parametrize("size", [(8, 12), (16, 16), (32, 48)])
def test_a_dynamic_model_takes_other_sizes_with_the_weights_it_has(changes, size):
    model = make(**changes)
    images, small = torch.randn(2, 3, 16, 24), torch.randn(2, 3, *size)
    before = model(images)
    with pytest.raises(ValueError, match=r"takes images \(B, 3, 16, 24\)"):
        model(small)
    model.dynamic_image_size = True
    assert torch.equal(model(images), before), "at its own size nothing changes"
    tokens = size[0] * size[1] // 16 + model.config.num_class_tokens
    assert model.tokens(small).shape == (2, tokens, 24)
    model(small).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name
    with torch.no_grad():
        # Images are told apart by where their patches lie, unless there are no positions.
        moved = (model(small) - model(small.flip(3).flip(3).roll(4, dims=3))).abs().max()
    assert moved < 1e-5 if model.config.position == "none" else moved > 1e-5


def test_a_patch_of_half_the_size_gets_the_position_of_its_place():
    """Rows 0 to 3 hold a ramp; of four patches one remains, with the mean of its rows."""
    model = make(pool="mean", class_token="first")
    model.dynamic_image_size = True
    with torch.no_grad():
        ramp = (torch.arange(24) // 6)[:, None].float().expand(24, 24)
        model.position.table.copy_(torch.cat([torch.full((1, 24), 9.0), ramp])[None])
        for parameter in (model.class_token, *model.patch_embedding.parameters()):
            parameter.zero_()
    tokens = model.tokens(torch.randn(1, 3, 8, 12))[0]  # what is added, and nothing else
    assert torch.equal(tokens[0], torch.full((24,), 9.0))
    small = tokens[1:].view(2, 3, 24)
    assert (small - small[:, :1]).abs().max() < 1e-5
    torch.testing.assert_close(small[:, 0, 0], torch.tensor([0.5, 2.5]), atol=0.25, rtol=0)
    torch.testing.assert_close(small.mean(), torch.tensor(1.5))
    tall = make(pool="mean", image_size=(16, 4))
    tall.dynamic_image_size = True
    with torch.no_grad():
        tall.position.table.copy_(torch.arange(4.0)[None, :, None])
        tall.patch_embedding.projection.weight.zero_()
    line = tall.tokens(torch.randn(1, 3, 8, 4))[0, :, 0]
    torch.testing.assert_close(line, torch.tensor([0.5, 2.5]), atol=0.25, rtol=0)


@pytest.mark.parametrize(
    "changes, size, words",
    [
        (dict(), (8, 14), ["4x4", "8x14", "2 columns"]),
        (dict(position="relative"), (8, 12), ["relative", "4 x 6 patches", "8x12", "resize_model"]),
        (dict(position="rotary"), (8, 12), ["rotary", "in its layers"]),
        (dict(position_site="every_layer"), (32, 48), ["learned_1d", "added at the stem"]),
    ],
)
def test_what_a_dynamic_model_cannot_take_is_refused_in_words(changes, size, words):
    model = make(**changes)
    model.dynamic_image_size = True
    assert model(torch.randn(1, 3, 16, 24)).shape == (1, 10)
    with pytest.raises(ValueError) as refused:
        model(torch.randn(1, 3, *size))
    assert [word for word in words if word not in str(refused.value)] == []
    with pytest.raises(ValueError, match=r"images \(B, 3, 8, 12\), got \(1, 1, 8, 12\)"):
        model(torch.randn(1, 1, 8, 12))
