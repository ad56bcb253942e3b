"""The embedded images: their pairs, patches, masks and balance, all by value."""

import pytest
import torch

from vit_tutorial import patchify
from vit_tutorial.data import load, make_shapes
from vit_tutorial.data.shapes import CLASS_NAMES


def test_same_seed_same_images_and_another_seed_other_images():
    first, again, other = make_shapes(40, 7), make_shapes(40, 7), make_shapes(40, 8)
    for name in ("images", "labels", "masks"):
        assert torch.equal(getattr(first, name), getattr(again, name))
    assert not torch.equal(first.images, other.images)
    assert (first.images == other.images).flatten(1).float().mean(1).max() < 0.2, (
        "no image comes back under another seed"
    )


def test_the_global_random_state_plays_no_part():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    make_shapes(20, 3)
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("patch_size", [1, 2, 4, 8, 16])
def test_both_halves_are_made_of_exactly_the_same_patches(patch_size):
    upper, lower = (patchify(make_shapes(30, 5, half=half).images, patch_size) for half in (0, 1))
    assert not torch.equal(upper, lower)
    sort = lambda patches: [sorted(map(tuple, image)) for image in patches.tolist()]
    assert sort(upper) == sort(lower)


def test_images_come_in_pairs_one_rolled_into_the_other():
    split = make_shapes(60, 1)
    upper, lower = split[0::2], split[1::2]
    assert torch.equal(lower.images, upper.images.roll(16, dims=2)) and torch.equal(
        lower.masks, upper.masks.roll(16, dims=1)
    )
    assert torch.equal(lower.labels, upper.labels + 1) and (upper.labels % 2 == 0).all()
    for half in (0, 1):
        alone = make_shapes(30, 1, half=half)
        assert torch.equal(alone.images, split.images[half::2]) and torch.equal(
            alone.labels, split.labels[half::2]
        )
        assert torch.equal(alone.masks, split.masks[half::2])


def test_an_answer_from_the_bag_of_patches_is_right_on_one_of_a_pair_at_most():
    split = make_shapes(200, 2)
    # Any answer that ignores the order.
    bag = patchify(split.images, 4).double().square().sum(dim=(1, 2)).long() % 10
    assert torch.equal(bag[0::2], bag[1::2])
    right = (bag == split.labels).view(-1, 2).sum(1)
    assert right.max() == 1


@pytest.mark.parametrize("count", [10, 20, 500])
def test_every_class_has_the_same_number_of_images(count):
    labels = make_shapes(count, 0).labels
    assert torch.equal(torch.bincount(labels, minlength=10), torch.full((10,), count // 10))
    assert torch.equal(labels, torch.arange(count) % 10), "image n has label n % 10"


def test_masks_lie_in_their_half_and_hold_the_bright_pixels():
    split = make_shapes(400, 4)
    images, masks = split.images.float().mean(1), split.masks
    lower = split.labels % 2 == 1
    assert not masks[~lower, 16:].any() and not masks[lower, :16].any()
    assert not masks[:, :, [0, -1]].any() and not masks[:, [0, 15, 16, -1]].any(), (
        "no shape touches a border: none is cut"
    )
    area = masks.sum(dim=(1, 2))
    assert area.min() >= 20 and area.max() <= 3.2 * 6.5**2
    inside = torch.stack([image[mask].mean() for image, mask in zip(images, masks)])
    outside = torch.stack([image[~mask].mean() for image, mask in zip(images, masks)])
    assert (inside - outside).min() > 50


def test_areas_and_holes_tell_the_five_shapes_apart():
    split = make_shapes(5000, 5)
    area = torch.stack(
        [
            split.masks[split.labels // 2 == shape].sum(dim=(1, 2)).float().mean()
            for shape in range(5)
        ]
    )
    r2 = 5.75**2 + 1.5**2 / 12  # the mean of the squared radius, uniform between 5 and 6.5
    expected = r2 * torch.tensor(
        [torch.pi, 1.7**2, 3 * 3**0.5 / 4, 2 * 2 * 0.6 - 0.6**2, torch.pi * (1 - 0.25)]
    )
    torch.testing.assert_close(area, expected, rtol=0.03, atol=0)
    ring = split[split.labels // 2 == 4]
    rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    middle = [
        (int((rows * m).sum() / m.sum() + 0.5), int((columns * m).sum() / m.sum() + 0.5))
        for m in ring.masks.float()
    ]
    assert not any(mask[spot] for mask, spot in zip(ring.masks, middle)), "a ring is hollow"


def test_colour_does_not_give_the_class_away():
    split = make_shapes(2000, 9)
    colour = torch.stack(
        [image[:, mask].float().mean(1) for image, mask in zip(split.images, split.masks)]
    )
    means = torch.stack([colour[split.labels == label].mean(0) for label in range(10)])
    assert (means - colour.mean(0)).abs().max() < 4 * 30 / 100**0.5, (
        "within 4 standard errors (100 draws a shape, deviation 30)"
    )


def test_load_gives_the_agreed_sizes_without_a_shared_image():
    data = load("shapes", seed=1)
    assert (len(data.train), len(data.validation), len(data.test)) == (10_000, 1_000, 2_000)
    assert data.class_names == CLASS_NAMES and data.class_names[:3] == (
        "disc, upper",
        "disc, lower",
        "square, upper",
    )
    assert data.image_size == (32, 32) and data.channels == 3
    seen = [
        {image.tobytes() for image in split.images.numpy()}
        for split in (data.train, data.validation, data.test)
    ]
    assert [len(images) for images in seen] == [10_000, 1_000, 2_000]
    assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])
    assert torch.equal(data.test.images, load("shapes", seed=0).test.images), (
        "the test images are the same for every seed"
    )


@pytest.mark.parametrize(
    ("count", "half", "words"),
    [
        (0, None, "at least 1"),
        (3, None, "ask for 4"),
        (2, 2, "half is 2"),
        (2.0, None, "whole number"),
    ],
)
def test_counts_and_halves_that_do_not_work_are_refused(count, half, words):
    with pytest.raises(ValueError, match=words):
        make_shapes(count, 0, half=half)
