"""Scores of maps against masks: small cases by hand, and SciPy's rank test."""

import pytest
import torch
from scipy.stats import mannwhitneyu

from vit_tutorial import data
from vit_tutorial.inspection.map_scores import auc, patches_inside, pointing, share_inside

MAP = torch.tensor([[[5.0, 1.0, 1.0], [1.0, 1.0, -3.0]]])
LEFT = torch.tensor([[[True, False, False], [True, False, False]]])


def test_a_map_by_hand():
    assert pointing(MAP, LEFT).tolist() == [1]
    assert share_inside(MAP, LEFT).tolist() == pytest.approx([6 / 9])  # -3 counts as 0
    # 5 beats 1, 1, 1, -3; 1 beats -3 and is equal to three: (4 + 1 + 1.5) / 8
    assert auc(MAP, LEFT).tolist() == [6.5 / 8]


def test_equal_values_share_the_point():
    even = torch.ones(1, 2, 3)
    assert pointing(even, LEFT).tolist() == pytest.approx([2 / 6])
    assert share_inside(even, LEFT).tolist() == pytest.approx([2 / 6])
    assert auc(even, LEFT).tolist() == [0.5]


def test_a_map_without_a_positive_value_counts_as_even():
    assert share_inside(-MAP.abs(), LEFT).tolist() == pytest.approx([2 / 6])


def test_each_image_has_its_own_score():
    maps, inside = torch.cat([MAP, -MAP]), torch.cat([LEFT, LEFT])
    assert pointing(maps, inside).tolist() == [1, 0]
    assert auc(maps, inside).tolist() == [6.5 / 8, 1 - 6.5 / 8]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_auc_is_mann_and_whitneys_share_of_pairs(dtype):
    draw = torch.Generator().manual_seed(0)
    maps = torch.randn(20, 4, 5, generator=draw).to(dtype)  # half precision: with equal values
    inside = torch.rand(20, 4, 5, generator=draw) < 0.3
    assert inside.flatten(1).any(1).all()
    expected = []
    for values, where in zip(maps.double(), inside):
        one, other = values[where].numpy(), values[~where].numpy()
        expected.append(mannwhitneyu(one, other).statistic / (len(one) * len(other)))
    torch.testing.assert_close(auc(maps, inside), torch.tensor(expected, dtype=torch.float64))


def test_auc_of_no_pairs_is_nan():
    assert auc(MAP, torch.ones_like(LEFT)).isnan().all()


def test_a_patch_with_one_pixel_of_the_mask_is_inside():
    masks = torch.zeros(2, 4, 6, dtype=torch.bool)
    masks[0, 1, 3] = True  # patch (0, 1) of 2 x 3
    found = patches_inside(masks, 2)
    assert found.nonzero().tolist() == [[0, 0, 1]]


def test_the_mask_of_a_shape_gets_every_score():
    split = data.load("shapes").test[torch.arange(20)]
    inside = patches_inside(split.masks, 4)
    for score in (pointing, share_inside, auc):
        assert score(inside.float(), inside).tolist() == [1] * 20


@pytest.mark.parametrize("score", [pointing, share_inside, auc])
def test_shapes_that_do_not_fit_are_named(score):
    with pytest.raises(ValueError, match=r"\(1, 2, 3\).*\(1, 3, 2\)"):
        score(MAP, LEFT.transpose(1, 2))
    with pytest.raises(ValueError, match="float32"):
        score(MAP, LEFT.float())
    with pytest.raises(ValueError, match="rank 2"):
        score(MAP[0], LEFT[0])


def test_masks_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="do not tile"):
        patches_inside(torch.zeros(1, 32, 30, dtype=torch.bool), 4)
    with pytest.raises(ValueError, match="rank 2"):
        patches_inside(torch.zeros(32, 32, dtype=torch.bool), 4)
