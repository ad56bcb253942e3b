"""check_ridge_weights and check_difference_interval, of the lesson on scale and transfer."""

import math
import statistics

import torch
from checks_common import is_accepted, verdict

from vit_tutorial import checks
from vit_tutorial.checks.exercises import difference_interval, paired_interval
from vit_tutorial.checks.exercises.ridge_weights import ridge_weights
from vit_tutorial.relatives import ridge
from vit_tutorial.studies.statistics import T_975

RIDGE, DIFFERENCE = "check_ridge_weights", "check_difference_interval"


def test_the_packages_ridge_passes_and_has_the_references_values():
    is_accepted(RIDGE, ridge)
    for case in checks.get(RIDGE).draw(3):
        inputs = case.build()
        torch.testing.assert_close(ridge(*inputs.values()), ridge_weights(*inputs.values()))


def test_the_right_weights_are_a_minimum():
    """A step in any direction makes the sum of squares and penalty larger."""
    draw = torch.Generator().manual_seed(0)
    for case in checks.get(RIDGE).draw(1):
        x, labels, K, strength = case.build().values()
        weights, x = ridge_weights(x, labels, K, strength).double(), x.double()
        y = 2 * torch.nn.functional.one_hot(labels, K) - 1
        cost = lambda w, x=x, y=y, s=strength: (x @ w - y).square().sum() + s * w.square().sum()
        for _ in range(5):
            step = 0.1 * torch.randn(weights.shape, generator=draw, dtype=torch.float64)
            assert cost(weights + step) > cost(weights)


def test_the_factors_are_those_of_the_package():
    for module in (difference_interval, paired_interval):
        assert module.T[1:] == T_975[: len(module.T) - 1]


def test_as_many_intervals_hold_the_true_difference_as_promised():
    """95 of 100, for normal runs: the formula, and not only its copy."""
    draw, inside = torch.Generator().manual_seed(0), 0
    for _ in range(1000):
        values = torch.randn(2, 3, generator=draw, dtype=torch.float64).tolist()
        one, other = ((statistics.fmean(v), statistics.stdev(v)) for v in values)
        difference, half = difference_interval.difference_interval(one, other, 3)
        inside += abs(difference) <= half
    assert math.isclose(inside / 1000, 0.95, abs_tol=0.02)


def test_one_number_is_not_enough():
    found = verdict(DIFFERENCE, lambda *inputs: 1.0)
    assert not found.passed and "a number" in found.message
