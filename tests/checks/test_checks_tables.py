"""The checks of lessons 13 and 14: every mistake named, every style accepted."""

import itertools

import pytest
import torch
from checks_common import SEEDS, is_accepted, is_named, mistake_id, mistakes, verdict
from corpus import FAIR, entries

from vit_tutorial import ViTConfig, checks
from vit_tutorial.checks.exercises.neighbour_cosine import neighbour_cosine
from vit_tutorial.checks.exercises.offset_numbers import offset_numbers
from vit_tutorial.inspection.similarity import neighbour_cosine as of_package
from vit_tutorial.model.relative import RelativeBias

NAMES = ("check_neighbour_cosine", "check_shuffle_test", "check_offset_numbers")


@pytest.mark.parametrize(
    ("name", "mistake"),
    [pair for name in NAMES for pair in mistakes(name)],
    ids=mistake_id,
)
def test_each_mistake_is_rejected_and_named(name, mistake):
    is_named(name, mistake)


@pytest.mark.parametrize(
    "entry", [entry for name in NAMES for entry in entries(name, "right")], ids=lambda e: e.id
)
def test_each_style_is_accepted(entry):
    is_accepted(entry.check, entry.fn)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", NAMES)
def test_no_solution_passes_another_check(name, seed):
    for other in set(NAMES) - {name}:
        assert not verdict(name, checks.get(other).reference, seed).passed


@pytest.mark.parametrize("case", checks.get(NAMES[0]).draw(0), ids=lambda case: case.about)
def test_the_right_number_is_the_packages(case):
    table, grid = case.inputs.values()
    assert neighbour_cosine(table, grid) == pytest.approx(of_package(table, grid), abs=1e-5)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_shuffle_test_sees_a_grid_and_sees_none(seed):
    check = checks.get("check_shuffle_test")
    shares = [
        float(found.tensors["share"]) for found in check.observe(check.reference, check.draw(seed))
    ]
    assert min(shares) < 0.05 and any(0.1 < share < 0.9 for share in shares)


@pytest.mark.parametrize("grid", list(itertools.product((1, 2, 5), (1, 3))))
def test_the_numbers_are_those_of_the_packages_relative_bias(grid):
    size = tuple(4 * side for side in grid)
    config = ViTConfig(image_size=size, patch_size=4, dim=8, depth=1, num_heads=2, pool="mean",
                       position="relative")  # fmt: skip
    assert torch.equal(offset_numbers(grid), RelativeBias(config).index)


def test_the_false_sentence_of_a_share_in_percent():
    found = verdict("check_shuffle_test", lambda *inputs: 0.5)
    assert not found.passed and found.mistake in (None, *FAIR), found.message
