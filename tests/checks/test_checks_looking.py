"""The checks of lesson 07. That each mistake is named: test_checks_beyond.py."""

import pytest
import torch
from checks_common import SEEDS, verdict

from vit_tutorial import checks
from vit_tutorial.checks.exercises.cover_top import cover_top
from vit_tutorial.inspection.occlusion import deletion_curve

NAMES = ("check_attention_distance", "check_cover_top")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", NAMES)
def test_no_solution_passes_another_check(name, seed):
    for other in set(NAMES) - {name}:
        assert not verdict(name, checks.get(other).reference, seed).passed


def test_the_packages_deletion_covers_the_same_patches():
    draw = torch.Generator().manual_seed(0)
    images = torch.randn(4, 3, 6, 8, generator=draw)
    maps = torch.randn(4, 3, 4, generator=draw)
    seen = []

    def model(x):
        seen.append(x)
        return torch.zeros(len(x), 2)

    deletion_curve(model, images, torch.zeros(4, dtype=torch.long), maps, [0, 5, 12], 2)
    for k, actual in zip([0, 5, 12], seen):
        torch.testing.assert_close(actual, cover_top(images, maps, k), rtol=0, atol=0)
