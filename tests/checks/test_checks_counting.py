"""check_count_parameters and check_count_flops: exact counts, every mistake named."""

import pytest
import torch
from checks_common import is_accepted, is_named, mistake_id, mistakes, rejects_both, verdict
from torch.utils.flop_counter import FlopCounterMode

from vit_tutorial import VisionTransformer, ViTConfig, checks
from vit_tutorial.checks.exercises.count_flops import count_flops
from vit_tutorial.checks.exercises.count_parameters import count_parameters

PARAMETERS, FLOPS = "check_count_parameters", "check_count_flops"
ALL = [*mistakes(PARAMETERS), *mistakes(FLOPS)]


@pytest.mark.parametrize(("name", "mistake"), ALL, ids=mistake_id)
def test_each_mistake_is_rejected_and_named(name, mistake):
    is_named(name, mistake)


@pytest.mark.parametrize(("name", "mistake"), ALL, ids=mistake_id)
def test_each_variant_gets_the_same_name(name, mistake):
    for variant in mistake.variants:
        assert verdict(name, variant).mistake == mistake.name


def test_the_references_agree_with_the_model_on_every_case():
    for case in checks.get(PARAMETERS).draw(3):
        S, P, D, L, M, K = sizes = tuple(case.inputs.values())
        config = ViTConfig(
            image_size=S, patch_size=P, dim=D, depth=L, num_heads=1, mlp_dim=M, num_classes=K
        )
        with torch.device("meta"):
            model, image = VisionTransformer(config), torch.empty(1, 3, S, S)
        for block in model.encoder.blocks:
            block.attention.fused = False  # the counter has to see both products
        with FlopCounterMode(display=False) as counter:
            model(image)
        assert count_parameters(*sizes) == sum(p.numel() for p in model.parameters())
        assert count_flops(*sizes) == counter.get_total_flops()


def test_one_too_many_is_wrong_even_in_a_large_model():
    assert not verdict(PARAMETERS, lambda *sizes: count_parameters(*sizes) + 1).passed
    assert not verdict(FLOPS, lambda *sizes: count_flops(*sizes) - 1).passed


def test_a_count_may_be_any_kind_of_number():
    is_accepted(PARAMETERS, lambda *sizes: float(count_parameters(*sizes)))
    is_accepted(FLOPS, lambda *sizes: torch.tensor(count_flops(*sizes)))


def test_how_many_rows_are_missing_is_said():
    found = verdict(PARAMETERS, lambda s, P, D, *rest: count_parameters(s, P, D, *rest) - D)
    assert "short by one row of width D" in found.message
    found = verdict(
        PARAMETERS, lambda s, P, D, L, *rest: count_parameters(s, P, D, L, *rest) - 3 * L * D
    )
    assert "Each block is short by 3 rows" in found.message


def test_something_that_is_no_number():
    found = verdict(PARAMETERS, lambda *sizes: "many")
    assert found.mistake is None and "not a number" in found.message


def test_two_mistakes_at_once():
    rejects_both(FLOPS, lambda s, P, D, L, M, K: count_flops(s, P, D, L, M, K) // 2 - 2 * D * K)
