"""Held-out classes and a few labelled images: the same for a lesson and for its table."""

import dataclasses

import pytest
import torch

from vit_tutorial import data


@pytest.fixture(scope="module")
def shapes():
    found = data.load("shapes")
    parts = dict(train=found.train[:400], validation=found.validation[:50], test=found.test[:50])
    return dataclasses.replace(found, **parts)


def test_no_image_of_a_held_out_class_is_pre_trained_on(shapes):
    before, after = data.held_out(shapes, 6)
    assert before.class_names + after.class_names == shapes.class_names
    assert len(before.train) == 240 and len(after.train) == 160
    assert set(after.train.labels.tolist()) == set(range(4))
    assert torch.equal(after.train.images, shapes.train.images[shapes.train.labels >= 6])
    assert before.mean == after.mean != shapes.mean  # pixels of held-out classes have no say


@pytest.mark.parametrize("first", [0, 10])
def test_each_part_has_a_class(shapes, first):
    with pytest.raises(ValueError, match="for 10 classes give 1 to 9"):
        data.held_out(shapes, first)


def test_a_subset_has_as_many_of_each_class_and_depends_on_the_seed(shapes):
    _, after = data.held_out(shapes, 6)
    few = [data.subset(after, 20, seed).train for seed in (0, 0, 1)]
    assert all(torch.bincount(part.labels).tolist() == [5] * 4 for part in few)
    assert torch.equal(few[0].images, few[1].images)
    assert not torch.equal(few[0].images, few[2].images)
    assert data.subset(after, 1000, 0) is after


def drawings(split) -> int:
    """How many images differ when those of the lower half are moved up."""
    lower = (split.labels % 2).bool()[:, None, None, None]
    upper = torch.where(lower, split.images.roll(16, dims=2), split.images)
    return len(upper.flatten(1).unique(dim=0))


def test_a_subset_of_shapes_is_a_sample_of_drawings_and_the_first_images_are_not():
    """Two images of one drawing say less, or more, than two drawings: a table takes the latter."""
    _, after = data.held_out(data.load("shapes"), 6)
    assert drawings(after.train[:100]) == 50
    assert all(drawings(data.subset(after, 100, seed).train) > 95 for seed in range(5))
