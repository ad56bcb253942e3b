"""Photographs: square, in range, offline; the cat is one that the shipped model names."""

import subprocess
import sys

import pytest
import torch

from vit_tutorial.data import PHOTOGRAPHS, photograph, weights_path
from vit_tutorial.training import load_model


@pytest.mark.parametrize("name", PHOTOGRAPHS)
@pytest.mark.parametrize("size", [32, 224])
def test_each_is_a_square_in_range(name, size):
    image = photograph(name, size)
    assert image.shape == (3, size, size) and image.dtype == torch.float32
    assert 0 <= image.min() < 0.2 and 0.7 < image.max() <= 1


def test_the_cat_is_the_default_and_is_not_stretched():
    from skimage.data import chelsea

    whole = torch.from_numpy(chelsea()).permute(2, 0, 1) / 255
    torch.testing.assert_close(photograph(size=300), whole[:, :, 105:405], atol=1e-6, rtol=0)
    assert photograph().shape == (3, 224, 224)


def test_the_horse_is_whole_and_black_on_white():
    horse = photograph("horse", 400)
    assert horse[0].equal(horse[1]) and set(horse.unique().tolist()) == {0, 1}
    assert horse[:, :36].eq(1).all() and horse[:, -36:].eq(1).all()


def test_the_shipped_model_names_the_cat_and_the_horse():
    model, header = load_model(weights_path("vit_cifar10_start_0.02.safetensors"))
    data = header["data"]
    mean, std = (torch.tensor(data[key])[:, None, None] for key in ("mean", "std"))
    images = torch.stack([photograph(name, 32) for name in ("cat", "horse")])
    with torch.no_grad():
        chosen = model((images - mean) / std).argmax(dim=1)
    assert [data["class_names"][i] for i in chosen] == ["cat", "horse"]


def test_an_unknown_name_or_size_is_named():
    with pytest.raises(ValueError, match="unknown photograph 'dog': .*'cat', 'horse', 'rocket'"):
        photograph("dog")
    with pytest.raises(ValueError, match="size is 0"):
        photograph("cat", 0)


def test_importing_the_data_loads_no_scikit_image():
    code = "import sys, vit_tutorial.data; assert 'skimage' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
