"""shift_error and seen_from: exact where theory gives the answer."""

import pytest
import torch
from torch import nn

from vit_tutorial import VisionTransformer, ViTConfig
from vit_tutorial.inspection.locality import seen_from, shift_error, token_map
from vit_tutorial.relatives import CNN, CNNConfig

SIZE = dict(image_size=32, patch_size=8, dim=24, depth=2, num_heads=2, pool="mean")


@pytest.fixture
def images():
    return torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def vit(**changes) -> VisionTransformer:
    torch.manual_seed(0)
    return VisionTransformer(ViTConfig(**SIZE | changes)).eval()


def test_what_follows_a_shift_and_what_does_not(images):
    torch.manual_seed(0)
    circular = nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular")
    zeros = nn.Conv2d(3, 4, 3, padding=1)
    assert shift_error(circular, images, 5, 1) < 1e-6 < 0.01 < shift_error(zeros, images, 5, 1)
    for shift in range(0, 33, 4):
        follows = shift % 8 == 0
        assert (shift_error(token_map(vit(position="none")), images, shift, 8) < 1e-5) == follows
        assert (
            shift % 32 == 0
            or shift_error(token_map(vit(position_std=1.0)), images, shift, 8) > 0.05
        )


def test_an_error_by_hand():
    """A map that is the image times a column of weights: (1, 2) for two pixels."""
    images = torch.tensor([3.0, 4.0]).reshape(1, 1, 1, 2)
    f = lambda x: x * torch.tensor([1.0, 2.0])
    # f(x) = (3, 8); the image moved by 1 is (4, 3), its map (4, 6), moved back (6, 4)
    assert shift_error(f, images, 1, 1) == pytest.approx(
        ((3 - 6) ** 2 + (8 - 4) ** 2) ** 0.5 / 73**0.5
    )


def test_the_better_of_two_whole_places_is_taken():
    images = torch.rand(1, 1, 4, 12)
    nearest = lambda x: x[:, :, ::4, ::4]
    smooth = torch.arange(12.0).repeat(4, 1)[None, None]
    assert shift_error(nearest, images, 4, 4) == 0
    up, down = shift_error(nearest, smooth, 3, 4), shift_error(nearest, smooth, 1, 4)
    assert up < 1.2 and down < 1.2 and shift_error(nearest, smooth, 0, 4) == 0


def test_a_place_sees_its_patch_then_everything(images):
    model = vit()
    patch = seen_from(token_map(model, 0), images, (1, 2)) > 0
    expected = torch.zeros(32, 32, dtype=torch.bool)
    expected[8:16, 16:24] = True
    assert torch.equal(patch, expected)
    whole = seen_from(token_map(model, 1), images, (1, 2))
    assert (whole > 0).all() and whole.sum() == pytest.approx(1)


def test_a_place_of_a_cnn_sees_its_receptive_field(images):
    torch.manual_seed(0)
    model = CNN(CNNConfig(widths=(4, 4, 8))).eval()
    many = torch.randn(64, 3, 32, 32)
    side = lambda f, place: [
        int(n) for n in ((seen_from(f, many, place) > 0).sum(0) > 0).sum()[None]
    ]
    assert side(model.stem, (16, 16)) == [3]
    assert side(lambda x: model.stages[:1](model.stem(x)), (8, 8)) == [10]
    assert side(model.features, (4, 4)) == [24]


def test_the_last_tokens_are_those_that_the_head_reads(images):
    model = vit()
    tokens = token_map(model)(images)
    assert tokens.shape == (4, 24, 4, 4)
    pooled = model.norm(tokens.flatten(2).transpose(1, 2)).mean(dim=1)
    torch.testing.assert_close(model.head(pooled), model(images))


def test_what_has_no_map_is_refused(images):
    with pytest.raises(ValueError, match="blocks is 3, the model has 2"):
        token_map(vit(), 3)
    with pytest.raises(ValueError, match="1 class tokens"):
        token_map(vit(pool="class"))
    with pytest.raises(ValueError, match="every layer"):
        token_map(vit(position="rotary"))
    with pytest.raises(ValueError, match="rank 4"):
        shift_error(nn.Identity(), images[0], 1, 1)
    with pytest.raises(ValueError, match="stride is 0"):
        shift_error(nn.Identity(), images, 1, 0)
