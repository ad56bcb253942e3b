"""Damaged images: patches in another order, dropped patches counted, textures in shapes."""

import pytest
import torch

from vit_tutorial import data
from vit_tutorial.data import damage
from vit_tutorial.model import patchify


def draw(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def shapes():
    return data.make_shapes(20, 0)


def as_sets(images, P):
    return [{tuple(patch.tolist()) for patch in image} for image in patchify(images, P)]


def test_shuffled_patches_are_the_same_patches_in_orders_of_their_own(shapes):
    images = shapes.images[:2]
    shuffled = damage.shuffle_patches(images, 8, draw())
    assert shuffled.dtype == torch.uint8 and shuffled.shape == images.shape
    assert as_sets(shuffled, 8) == as_sets(images, 8)
    assert not torch.equal(shuffled, images)
    address = torch.arange(32.0 * 32).reshape(1, 1, 32, 32).repeat(2, 1, 1, 1)
    first, second = damage.shuffle_patches(address, 8, draw())
    assert not torch.equal(first, second)
    assert torch.equal(damage.shuffle_patches(address, 8, draw()), torch.stack([first, second]))
    assert torch.equal(damage.shuffle_patches(address, 32, draw()), address)


def test_patches_on_the_object_are_those_with_a_pixel_of_it():
    masks = torch.zeros(2, 8, 12, dtype=torch.bool)
    masks[0, 3, 4] = masks[0, 4, 11] = True
    assert damage.patches_on(masks, 4).nonzero().tolist() == [[0, 1], [0, 5]]


@pytest.mark.parametrize("share", [0, 0.25, 0.5, 1])
def test_the_share_of_patches_is_dropped_and_no_other_pixel_changes(share):
    images = torch.rand(3, 3, 16, 32, generator=draw()) + 1
    dropped = damage.drop_patches(images, share, 4, draw())
    gone = (patchify(dropped, 4) == 0).all(dim=2)
    assert (gone.sum(dim=1) == share * 32).all()
    assert torch.equal(patchify(dropped, 4)[~gone], patchify(images, 4)[~gone])


@pytest.mark.parametrize("share", [0.5, 1])
def test_only_allowed_patches_are_dropped(shapes, share):
    images = shapes.images.float() + 1
    on_object = damage.patches_on(shapes.masks, 4)
    for among in (on_object, ~on_object):
        dropped = damage.drop_patches(images, share, 4, draw(), among)
        gone = (patchify(dropped, 4) == 0).all(dim=2)
        assert not (gone & ~among).any()
        assert torch.equal(gone.sum(dim=1), (share * among.sum(dim=1)).round().long())


def test_without_its_patches_nothing_of_the_object_is_left(shapes):
    images = shapes.images.float() + 1
    dropped = damage.drop_patches(images, 1, 4, draw(), damage.patches_on(shapes.masks, 4))
    assert (dropped * shapes.masks[:, None]).abs().sum() == 0


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_outside_of_0_to_1_is_refused(share):
    with pytest.raises(ValueError, match="share is .* from 0 to 1"):
        damage.drop_patches(torch.zeros(1, 3, 8, 8), share, 4, draw())


def test_shapes_that_do_not_fit_are_refused(shapes):
    with pytest.raises(ValueError, match=r"among is \(1, 3\).*\(1, 4\) patches"):
        damage.drop_patches(torch.zeros(1, 3, 8, 8), 0.5, 4, draw(), torch.ones(1, 3) > 0)
    with pytest.raises(ValueError, match="5"):
        damage.shuffle_patches(shapes.images, 5, draw())
    with pytest.raises(ValueError, match="5"):
        damage.patches_on(shapes.masks, 5)
    with pytest.raises(ValueError, match="no masks"):
        damage.fill_shapes(data.Split(shapes.images, shapes.labels))


def test_textures_darken_the_object_alone_and_agree_only_without_a_shift(shapes):
    filled = [damage.fill_shapes(shapes, shift) for shift in range(5)]
    for split in filled:
        outside = ~shapes.masks[:, None].expand_as(shapes.images)
        assert torch.equal(split.images[outside], shapes.images[outside])
        assert torch.equal(split.labels, shapes.labels)
        assert (split.images <= shapes.images).all()
    # the texture of one image under five shifts: five different fillings
    assert len({tuple(split.images[0].flatten().tolist()) for split in filled}) == 5


def test_shape_and_texture_go_round_together(shapes):
    """Shape s with shift k has the texture of shape s + k: rows are darkened for texture 0."""
    dark = lambda split, n: split.images[n].float() < 0.7 * shapes.images[n].float()
    disc, ring = 0, 8  # labels 0 and 8: shapes 0 and 4, the ring gets texture 0 with shift 1
    for n, shift in ((disc, 0), (ring, 1)):
        found = dark(damage.fill_shapes(shapes, shift), n)[0]
        assert found[2:32:4].sum() == found[3:32:4].sum() == 0 and found.any()
