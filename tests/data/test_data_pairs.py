"""The embedded pairs: what labels mean, what a bag of patches can know, the same every time."""

import pytest
import torch

from vit_tutorial import data, patchify
from vit_tutorial.data.pairs import APART, CLASS_NAMES, GRID, QUARTERS, make_pairs, places


def test_twelve_in_a_row_have_all_labels():
    split = make_pairs(36, seed=0)
    assert split.images.shape == (36, 3, 32, 32) and split.images.dtype == torch.uint8
    assert split.labels.tolist() == 3 * list(range(12))


def test_the_same_seed_gives_the_same_images():
    one, two, other = (make_pairs(24, seed).images for seed in (3, 3, 4))
    assert torch.equal(one, two) and not torch.equal(one, other)
    assert int(one.sum()) == 3243624  # on every machine


@pytest.mark.parametrize("side", [2, 4, 8])
def test_the_images_of_a_set_are_made_of_the_same_patches(side):
    patches = patchify(make_pairs(24, seed=1).images.double(), side)  # (24, N, 3 * side * side)
    weights = torch.arange(1.0, patches.shape[2] + 1, dtype=torch.float64).sqrt()
    bags = (patches @ weights).sort(dim=1).values
    for first in (0, 12):
        torch.testing.assert_close(bags[first : first + 12], bags[first].expand(12, -1))
    assert not torch.allclose(bags[0], bags[12])


def test_a_label_says_the_disc_s_quarter_and_the_distance():
    for label, name in enumerate(CLASS_NAMES):
        quarter, apart = QUARTERS[label // 3], APART[label % 3]
        assert name == f"{quarter}, {apart} apart" and places(label)
        for disc, square in places(label):
            row, column, other_row, other_column = *divmod(disc, GRID), *divmod(square, GRID)
            assert (row < 2) == quarter.startswith("upper")
            assert (column < 2) == quarter.endswith("left")
            assert max(abs(row - other_row), abs(column - other_column)) == apart
    assert sum(len(places(label)) for label in range(12)) == 16 * 15


def test_the_shapes_lie_where_the_label_says():
    split = make_pairs(120, seed=5)
    cells = patchify(split.images.float(), 8).mean(dim=2)  # the brightness of each cell
    two = cells.topk(2, dim=1).indices.sort(dim=1).values
    for found, label in zip(two.tolist(), split.labels.tolist()):
        assert any(sorted(place) == found for place in places(label))


def test_load_gives_them_and_never_shifts_them():
    images = data.load("pairs")
    assert (len(images.train), len(images.validation), len(images.test)) == (10_080, 1_008, 3_000)
    assert images.num_classes == 12 and images.name == "pairs"
    assert torch.equal(images.test.images, data.load("pairs", seed=1).test.images)
    assert "pairs" in data.sources()


def test_a_count_that_is_no_multiple_is_refused():
    with pytest.raises(ValueError, match="count is 10: the images come in sets of 12"):
        make_pairs(10, seed=0)
