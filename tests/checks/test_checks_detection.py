"""check_generalised_iou and check_match_objects, of the lesson on detection."""

import pytest
import torch
from checks_common import verdict
from torchvision.ops import box_convert, generalized_box_iou

from vit_tutorial import checks
from vit_tutorial.checks.exercises import match_objects as matching
from vit_tutorial.checks.exercises.generalised_iou import generalised_iou

GIOU, MATCH = "check_generalised_iou", "check_match_objects"


@pytest.mark.parametrize("seed", range(3))
def test_the_right_iou_is_that_of_torchvision(seed):
    for case in checks.get(GIOU).draw(seed)[:-1]:
        one, other = (part.double() for part in case.build().values())
        corners = (box_convert(boxes, "cxcywh", "xyxy") for boxes in (one, other))
        expected = generalized_box_iou(*corners).diagonal()
        torch.testing.assert_close(generalised_iou(one, other), expected)


@pytest.mark.parametrize("seed", range(5))
def test_no_shortcut_finds_the_best_assignment_of_a_contested_case(seed):
    contested = [case for case in checks.get(MATCH).draw(seed) if case.inputs["cost"].shape[1] > 1]
    for case in contested:
        cost = case.build()["cost"]
        best = matching.match_objects(cost)
        assert len(best.unique()) == cost.shape[1]
        total = lambda found, cost=cost: cost.gather(0, found[None]).sum()
        for shortcut in (matching.one_after_the_other, matching.cheapest_pair_first):
            if "no two objects" in case.about:
                assert torch.equal(shortcut(cost), best)
            else:
                assert total(shortcut(cost)) > total(best) + 0.009


def test_what_is_no_list_of_numbers_is_asked_for_in_words():
    for answer in ("all", [0.5, 1.5, 2.5], None):
        found = verdict(MATCH, lambda cost, answer=answer: answer)
        assert not found.passed and "whole number" in found.message
