"""The painted landscape of six patches."""

import torch

from vit_tutorial import data, patchify


def test_landscape_is_always_the_same_and_cuts_into_its_six_patches():
    picture = data.landscape()
    assert picture.shape == (3, 8, 12) and picture.dtype == torch.float32
    assert torch.equal(picture, data.landscape())
    assert 0 <= picture.min() and picture.max() <= 1
    assert len(patchify(picture[None], 4)[0]) == len(data.LANDSCAPE) == 6


def test_landscape_leaves_the_random_state_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    data.landscape()
    assert torch.equal(before, torch.get_rng_state())


def test_patches_show_what_they_are_called():
    patches = patchify(data.landscape()[None], 4)[0].view(6, 16, 3)
    named = dict(zip(data.LANDSCAPE, patches))
    means = {name: patch.mean(dim=0) for name, patch in named.items()}
    assert means["sky"].argmax() == 2 and means["house"].argmax() == 0
    assert means["grass"].argmax() == 1 and means["tree"].argmax() == 1
    assert means["cloud"].mean() == max(mean.mean() for mean in means.values())
    sun = named["sun"].view(4, 4, 3)
    assert sun[1:3, 1:3, 0].min() > 0.9 > 0.4 > sun[1:3, 1:3, 2].max()  # yellow in its middle


def test_no_two_pixels_are_alike():
    pixels = data.landscape().flatten(1).T
    assert len(pixels.unique(dim=0)) == 96
