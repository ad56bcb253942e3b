"""flip_and_shift: each image on its own, moved and mirrored as it says, and nothing else."""

import pytest
import torch

from vit_tutorial.data.augment import flip_and_shift


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def positions(batch, height=9, width=11):
    """Images whose three channels are image number, row and column: an augmented pixel says where it came from."""
    parts = torch.meshgrid(torch.arange(batch), torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack(parts, dim=1).to(torch.uint8)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bfloat16])
def test_same_seed_same_batch_in_the_same_dtype(dtype):
    images = torch.randint(0, 256, (16, 3, 8, 8), generator=seeded()).to(dtype)
    first, again, other = (flip_and_shift(images, 2, generator=seeded(seed)) for seed in (1, 1, 2))
    assert first.dtype == dtype and first.shape == images.shape
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_every_pixel_comes_from_its_own_image_and_the_input_stays_as_it_was():
    images = positions(64)
    before = images.clone()
    moved = flip_and_shift(images, 3, generator=seeded())
    assert torch.equal(moved[:, 0], images[:, 0]) and torch.equal(images, before)


def test_shifts_stay_within_bounds_reach_all_of_them_and_flips_are_flips():
    shift, height, width = 2, 9, 11
    moved = flip_and_shift(positions(600), shift, generator=seeded()).long()
    row, column = moved[:, 1, height // 2, :], moved[:, 2, :, width // 2]
    down = height // 2 - row[:, 0]
    step = moved[:, 2, 0, width // 2 + 1] - column[:, 0]  # 1 as it was, -1 mirrored
    right = torch.where(step > 0, width // 2 - column[:, 0], column[:, 0] - width // 2)
    assert (row == row[:, :1]).all() and (column == column[:, :1]).all(), "whole rows and whole columns move"
    for offset in (down, right):
        assert sorted(offset.unique().tolist()) == [-2, -1, 0, 1, 2]
    assert 240 < (step < 0).sum() < 360, "about half are mirrored"
    table = torch.zeros(2, 5, 5)
    table.index_put_(((step < 0).long(), down + 2, right + 2), torch.ones(600), accumulate=True)
    assert (table > 0).all(), "flip, rows and columns are drawn each for itself"


@pytest.mark.parametrize("flip", [False, True])
def test_without_a_shift_an_image_is_itself_or_its_mirror(flip):
    images = torch.randint(0, 256, (200, 3, 8, 8), generator=seeded(), dtype=torch.uint8)
    moved = flip_and_shift(images, 0, flip=flip, generator=seeded())
    same, mirrored = ((moved == other).flatten(1).all(1) for other in (images, images.flip(3)))
    assert (same ^ mirrored).all()
    assert mirrored.any() == flip


def test_the_border_is_filled_by_reflection():
    image = torch.arange(5, dtype=torch.uint8).view(1, 1, 1, 5).expand(300, 1, 5, 5)
    rows = {tuple(row.tolist()) for row in flip_and_shift(image, 2, flip=False, generator=seeded())[:, 0, 0]}
    assert rows == {(2, 3, 4, 3, 2), (1, 2, 3, 4, 3), (0, 1, 2, 3, 4), (1, 0, 1, 2, 3), (2, 1, 0, 1, 2)}


def test_what_does_not_work_is_refused():
    with pytest.raises(ValueError, match="rank 3"):
        flip_and_shift(torch.zeros(3, 8, 8))
    with pytest.raises(ValueError, match="shift is -1"):
        flip_and_shift(torch.zeros(1, 3, 8, 8), -1)
    with pytest.raises(ValueError, match="8x6.*smaller than both sides"):
        flip_and_shift(torch.zeros(1, 3, 8, 6), 6)


def test_a_batch_takes_one_gather_and_no_loop_over_images():
    images = torch.zeros(2048, 3, 32, 32, dtype=torch.uint8)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        flip_and_shift(images, generator=seeded())
    assert sum(event.count for event in profile.key_averages()) < 100
