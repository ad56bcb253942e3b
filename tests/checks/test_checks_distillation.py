"""check_soft_loss and check_error_kappa, of the lesson on distillation."""

import pytest
import torch
from checks_common import SEEDS

from vit_tutorial import checks
from vit_tutorial.checks.exercises.error_kappa import error_kappa
from vit_tutorial.checks.exercises.soft_loss import soft_loss
from vit_tutorial.relatives import distillation

SOFT, KAPPA = "check_soft_loss", "check_error_kappa"


@pytest.mark.parametrize("seed", SEEDS)
def test_the_references_are_the_package_s(seed):
    for case in checks.get(SOFT).draw(seed):
        inputs = case.build()
        torch.testing.assert_close(
            soft_loss(**inputs),
            distillation.soft_loss(inputs["student"], inputs["teacher"], inputs["temperature"]),
        )
    for case in checks.get(KAPPA).draw(seed):
        one, other, labels = case.inputs.values()
        found = distillation.error_consistency(one == labels, other == labels)["kappa"]
        assert error_kappa(one, other, labels) == pytest.approx(found)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_cases_agree_more_and_less_than_by_chance_and_differ_in_their_wrong_answers(seed):
    cases = [case.inputs for case in checks.get(KAPPA).draw(seed)]
    kappas = [error_kappa(**inputs) for inputs in cases]
    assert min(kappas) < -0.05 and max(kappas) == pytest.approx(1)
    both = [(c["one"] != c["labels"]) & (c["other"] != c["labels"]) for c in cases]
    assert any((c["one"] != c["other"])[b].any() for c, b in zip(cases, both))
