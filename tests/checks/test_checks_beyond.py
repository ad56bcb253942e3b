"""Lessons 07 and 21 to 26: each mistake is named as itself, each right answer accepted."""

import pytest
from checks_common import SEEDS, is_accepted, is_named, mistake_id, mistakes, verdict
from corpus import entries

from vit_tutorial import checks

LESSONS = ("07", "21", "22", "23", "24", "25", "26")
NAMES = [name for lesson in LESSONS for name in checks._LESSONS[lesson]]
MISTAKES = [pair for name in NAMES for pair in mistakes(name)]
RIGHT = [entry for name in NAMES for entry in entries(name, "right")]


@pytest.mark.parametrize(("name", "mistake"), MISTAKES, ids=mistake_id)
def test_each_mistake_is_rejected_and_named(name, mistake):
    is_named(name, mistake)


@pytest.mark.parametrize(("name", "mistake"), MISTAKES, ids=mistake_id)
def test_each_variant_gets_the_same_name(name, mistake):
    for variant in mistake.variants:
        for seed in SEEDS:
            assert verdict(name, variant, seed).mistake == mistake.name


@pytest.mark.parametrize("entry", RIGHT, ids=lambda entry: entry.id)
def test_each_style_is_accepted(entry):
    is_accepted(entry.check, entry.fn)
