"""The small CNN: shapes, numbers, what padding does to a shift, and errors with numbers in them."""

import pytest
import torch

from vit_tutorial import data, training
from vit_tutorial.common.files import read_rows
from vit_tutorial.relatives import CNN, CNNConfig

SMALL = dict(widths=(4, 4, 8))


@pytest.fixture
def images():
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def made(**changes) -> CNN:
    torch.manual_seed(0)
    return CNN(CNNConfig(**SMALL | changes)).eval()


def test_shapes(images):
    model = made(num_classes=7)
    assert model.features(images).shape == (2, 8, 8, 8)
    assert model(images).shape == (2, 7)
    wide = made(image_size=(16, 40), channels=1)
    assert wide.config.stride == 4 and wide.config.image_size == (16, 40)
    assert wide.features(torch.randn(1, 1, 16, 40)).shape == (1, 8, 4, 10)


def test_parameters_counted_by_hand():
    """3x3 kernels, two numbers a channel for each norm, a head with biases."""
    kernels = 9 * (3 * 4 + 4 * 4 + 4 * 4 + 4 * 8 + 8 * 8)
    norms, head = 2 * (4 + 4 + 4 + 8 + 8), 8 * 10 + 10
    assert sum(p.numel() for p in made().parameters()) == kernels + norms + head


def test_the_default_is_the_cnn_of_the_readme():
    rows = read_rows(data.results_path("cifar10_budget.csv"))
    stored = {int(row["parameters"]) for row in rows if row["model"] == "cnn"}
    assert stored == {sum(p.numel() for p in CNN(CNNConfig()).parameters())}


@torch.no_grad()
def test_with_circular_padding_a_shift_by_the_stride_moves_the_features(images):
    model = made(padding="circular")
    moved = model.features(images.roll((8, -4), dims=(2, 3)))
    torch.testing.assert_close(moved, model.features(images).roll((2, -1), dims=(2, 3)))
    torch.testing.assert_close(model(images.roll(12, dims=3)), model(images))
    less = model.features(images.roll(1, dims=3))
    assert (less - model.features(images)).norm() > 0.05 * less.norm()


@torch.no_grad()
def test_zero_padding_tells_a_model_where_the_border_is():
    model = made(image_size=64)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    before = model.features(images)
    after = model.features(images.roll(32, dims=2)).roll(-8, dims=2)
    assert (before - after).norm() > 1e-3 * before.norm()
    # A place of the last map sees 24 pixels: rows 4 and 12 see no border, before and after.
    torch.testing.assert_close(before[:, :, 4::8], after[:, :, 4::8])


def test_the_residual_connection_is_there(images):
    model = made()
    stage = model.stages[0]
    torch.nn.init.zeros_(stage.same[0].weight)
    with torch.no_grad():
        x = model.stem(images)
        torch.testing.assert_close(stage(x), stage.down(x))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (dict(padding="zero"), "zeros"),
        (dict(widths=(8,)), "widths has 1 entries"),
        (dict(image_size=(32, 30)), "4 must divide its sides, 32 and 30"),
        (dict(widths=(8, 0, 8)), "a width is 0"),
        (dict(num_classes=0), "num_classes is 0"),
        (dict(channels=2.5), "channels is 2.5"),
    ],
)
def test_a_model_that_cannot_be_built_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        CNNConfig(**SMALL | changes)


@pytest.mark.slow
def test_it_learns_shapes():
    images = data.load("shapes")
    settings = training.TrainSettings(epochs=2, lr=3e-3, num_evaluations=1)
    model = made(widths=(8, 8, 16, 32))
    training.train(model, images, settings, progress=False)
    assert training.evaluate(model, images.test, images)[1] > 0.6
