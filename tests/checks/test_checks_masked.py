"""check_neighbour_mean and check_masked_loss, of the lesson on masked autoencoding."""

import pytest
import torch
from checks_common import SEEDS

from vit_tutorial import checks


@pytest.mark.parametrize("seed", SEEDS)
def test_the_cases_have_patches_without_a_visible_neighbour_and_an_image_with_nothing_hidden(seed):
    found = [case.inputs for case in checks.get("check_neighbour_mean").draw(seed)]
    one = next(inputs for inputs in found if (~inputs["mask"]).sum() == len(inputs["mask"]))
    assert torch.equal(one["mask"].sum(1), torch.full((2,), 15))
    hidden = [case.inputs["mask"].sum(1) for case in checks.get("check_masked_loss").draw(seed)]
    assert any(0 in counts.tolist() for counts in hidden)
