"""check_equivariance_error and check_receptive_field, of the lesson on ViT and CNN."""

import pytest
import torch
from checks_common import verdict
from torch import nn

from vit_tutorial import checks
from vit_tutorial.checks.exercises.equivariance_error import equivariance_error
from vit_tutorial.checks.exercises.receptive_field import receptive_field

SHIFT, FIELD = "check_equivariance_error", "check_receptive_field"


def test_the_cases_have_errors_of_zero_and_others():
    errors = [equivariance_error(*case.build().values()) for case in checks.get(SHIFT).draw(0)]
    assert sum(error < 1e-6 for error in errors) >= 3
    assert sum(error > 0.05 for error in errors) >= 4


@pytest.mark.parametrize("seed", range(3))
def test_the_receptive_field_is_what_a_gradient_reaches(seed):
    for case in checks.get(FIELD).draw(seed):
        kernels, strides = case.inputs.values()
        side = receptive_field(kernels, strides)
        layers = [nn.Conv1d(1, 1, k, s, bias=False) for k, s in zip(kernels, strides)]
        for layer in layers:
            nn.init.ones_(layer.weight)
        line = torch.zeros(1, 1, side, requires_grad=True)
        out = nn.Sequential(*layers)(line)
        assert out.shape == (1, 1, 1)  # exactly one unit fits, and it sees both ends
        (gradient,) = torch.autograd.grad(out.sum(), line)
        assert gradient[0, 0, 0] > 0 and gradient[0, 0, -1] > 0


def test_what_is_no_number_is_asked_for_in_words():
    for name in (SHIFT, FIELD):
        found = verdict(name, lambda *inputs: "small")
        assert not found.passed and "a number" in found.message
