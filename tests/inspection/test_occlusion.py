"""Covering patches: which pixels, which logit, in which order."""

import pytest
import torch
from torch import nn

from vit_tutorial import VisionTransformer, ViTConfig
from vit_tutorial.inspection.occlusion import cover, deletion_curve, occlusion_map


class SumOfPatch(nn.Module):
    """Logit 0 is the sum of the 2x2 patch (1, 2), logit 1 is -3 times that of patch (0, 0)."""

    def forward(self, images):
        mine, other = images[:, :, 2:4, 4:6], images[:, :, 0:2, 0:2]
        return torch.stack([mine.sum((1, 2, 3)), -3 * other.sum((1, 2, 3))], dim=1)


IMAGES = torch.rand(3, 3, 4, 6, generator=torch.Generator().manual_seed(0)) + 0.1


def test_cover_fills_exactly_the_chosen_patches():
    chosen = torch.zeros(3, 2, 3, dtype=torch.bool)
    chosen[0, 1, 2] = chosen[2, 0, 1] = True
    before = IMAGES.clone()
    out = cover(IMAGES, chosen, 2)
    assert torch.equal(IMAGES, before)
    expected = IMAGES.clone()
    expected[0, :, 2:4, 4:6] = 0
    expected[2, :, 0:2, 2:4] = 0
    assert torch.equal(out, expected)
    assert torch.equal(cover(IMAGES, chosen.flatten(1), 2), expected)


def test_cover_with_a_colour_for_each_image():
    colours = torch.rand(3, 3, 1, 1)
    out = cover(IMAGES, torch.ones(3, 6, dtype=torch.bool), 2, colours)
    assert torch.equal(out, colours.expand_as(IMAGES))


def test_the_map_is_the_fall_of_the_logit_that_is_asked_for():
    found = occlusion_map(SumOfPatch(), IMAGES, torch.tensor([0, 1, 0]), 2)
    assert found.shape == (3, 2, 3)
    expected = torch.zeros(3, 2, 3)
    for image in (0, 2):
        expected[image, 1, 2] = IMAGES[image, :, 2:4, 4:6].sum()
    expected[1, 0, 0] = -3 * IMAGES[1, :, 0:2, 0:2].sum()  # covering it makes the logit rise
    torch.testing.assert_close(found, expected)


def test_the_map_of_a_vit_one_patch_at_a_time(monkeypatch):
    monkeypatch.setattr("vit_tutorial.inspection.occlusion.BATCH", 3)  # several batches an image
    torch.manual_seed(0)
    config = ViTConfig(image_size=(8, 12), patch_size=4, dim=16, depth=1, num_heads=2)
    vit = VisionTransformer(config).eval()
    images = torch.randn(2, 3, 8, 12)
    found = occlusion_map(vit, images, torch.tensor([3, 5]), 4, fill=0.5)
    for b, asked in enumerate((3, 5)):
        for n in range(6):
            r, c = divmod(n, 3)
            one = images[b : b + 1].clone()
            one[:, :, 4 * r : 4 * r + 4, 4 * c : 4 * c + 4] = 0.5
            fall = vit(images[b : b + 1])[0, asked] - vit(one)[0, asked]
            torch.testing.assert_close(found[b, r, c], fall.detach(), atol=1e-5, rtol=1e-4)


def test_deletion_goes_from_the_highest_down():
    maps = torch.zeros(3, 2, 3)
    maps[:, 1, 2] = torch.tensor([3.0, 2.0, 1.0])
    maps[:, 0, 1] = torch.tensor([1.0, 3.0, 2.0])
    maps[:, 0, 2] = torch.tensor([2.0, 1.0, 3.0])
    labels = torch.tensor([0, 0, 1])
    # Every image is class 0 until its patch (1, 2) is covered.
    model = nn.Sequential(SumOfPatch(), Shift())
    assert deletion_curve(model, IMAGES, labels, maps, [0, 1, 2, 3, 6], 2) == pytest.approx(
        [2 / 3, 1 / 3, 0, 1 / 3, 1 / 3]
    )


class Shift(nn.Module):
    """Class 1 wins as soon as logit 0 is 0."""

    def forward(self, logits):
        return torch.stack([logits[:, 0], torch.full_like(logits[:, 0], 0.01)], dim=1)


def test_shapes_that_do_not_fit_are_named():
    model, classes = SumOfPatch(), torch.tensor([0, 0, 0])
    with pytest.raises(ValueError, match=r"\(3, 6\).*\(3, 5\)"):
        cover(IMAGES, torch.ones(3, 5, dtype=torch.bool), 2)
    with pytest.raises(ValueError, match="float32"):
        cover(IMAGES, torch.ones(3, 6), 2)
    with pytest.raises(ValueError, match="do not tile"):
        cover(IMAGES, torch.ones(3, 6, dtype=torch.bool), 4)
    with pytest.raises(ValueError, match="One image"):
        occlusion_map(model, IMAGES[0], classes, 2)
    with pytest.raises(ValueError, match=r"3 images need 3 classes"):
        occlusion_map(model, IMAGES, classes[:2], 2)
    with pytest.raises(ValueError, match=r"maps \(3, 2, 3\); got \(3,\) and \(3, 6\)"):
        deletion_curve(model, IMAGES, classes, torch.zeros(3, 6), [1], 2)
