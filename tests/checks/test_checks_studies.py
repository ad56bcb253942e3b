"""The checks of lessons 15 to 17: every mistake named, every style accepted."""

import pytest
from checks_common import is_accepted, is_named, mistake_id, mistakes, verdict
from corpus import entries

from vit_tutorial.checks.exercises import paired_interval
from vit_tutorial.studies.statistics import T_975

NAMES = (
    "check_paired_interval",
    "check_holm",
    "check_cutmix_targets",
    "check_ema_update",
    "check_row_plus_column",
    "check_enlarge_positions",
)
ALL = [pair for name in NAMES for pair in mistakes(name)]
RIGHT = [(name, entry.fn) for name in NAMES for entry in entries(name, "right")]


@pytest.mark.parametrize(("name", "mistake"), ALL, ids=mistake_id)
def test_each_mistake_is_rejected_and_named(name, mistake):
    is_named(name, mistake)


@pytest.mark.parametrize(("name", "fn"), RIGHT, ids=lambda v: getattr(v, "__name__", v))
def test_each_style_is_accepted(name, fn):
    is_accepted(name, fn)


def test_the_factors_are_those_of_the_lesson():
    assert paired_interval.T[1:] == T_975[: len(paired_interval.T) - 1]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_result_is_asked_for_in_words(name):
    found = verdict(name, lambda *inputs: "no")
    assert found.mistake == "text_returned"
    assert "must be" in found.message and "The exercise asks for" in found.message


def test_an_average_that_lacks_a_name_is_told_which_names():
    def one_name(average, weights, decay):
        name = next(iter(weights))
        return {name: weights[name].detach().clone()}

    message = verdict("check_ema_update", one_name).message
    assert "names: not as it should be" in message and "head.bias" in message


def test_holm_takes_numpy_and_torch_truths_but_no_numbers():
    found = verdict("check_holm", lambda p: [1 if x < 0.05 else 0 for x in p])
    assert not found.passed and "more than True and False" in found.message
