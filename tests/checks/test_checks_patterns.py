"""check_strided_mask and check_bits_per_pixel, of the lesson on attention patterns."""

import math

import pytest
import torch
from checks_common import verdict

from vit_tutorial import checks
from vit_tutorial.checks.exercises.bits_per_pixel import bits_per_pixel
from vit_tutorial.checks.exercises.strided_mask import strided_mask
from vit_tutorial.relatives import PixelGPT
from vit_tutorial.relatives import attention_patterns as patterns

MASK, BITS = "check_strided_mask", "check_bits_per_pixel"


@pytest.mark.parametrize(("rows", "columns"), [(4, 4), (3, 5), (6, 2)])
def test_the_mask_is_the_one_of_the_package(rows, columns):
    mask = patterns.strided((rows, columns))
    assert torch.equal(mask, strided_mask(rows * columns, columns))


def test_the_bits_are_those_of_the_package():
    torch.manual_seed(0)
    model = PixelGPT(torch.rand(5, 3), side=3, dim=8, depth=1, heads=2).eval()
    tokens = torch.randint(5, (4, 10))
    tokens[:, 0] = 5  # the start token, which is never predicted
    with torch.no_grad():
        logits = torch.cat([model(tokens[:, :-1]), torch.zeros(4, 1, 5)], dim=1)
    assert math.isclose(bits_per_pixel(logits, tokens), model.bits_per_pixel(tokens), rel_tol=1e-5)


def test_a_model_that_knows_nothing_pays_the_logarithm_of_the_colours():
    case = next(c for c in checks.get(BITS).draw(0) if "nothing" in c.about)
    assert math.isclose(bits_per_pixel(*case.build().values()), 3.0)


def test_what_is_no_number_is_asked_for_in_words():
    found = verdict(BITS, lambda *inputs: "small")
    assert not found.passed and "a number" in found.message
