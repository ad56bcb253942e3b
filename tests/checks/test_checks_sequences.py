"""check_rnn and check_read_by_content: every mistake named, every style accepted."""

import itertools

import pytest
import torch
from checks_common import is_accepted, is_named, mistake_id, mistakes, rejects_both, verdict
from corpus import entries

from vit_tutorial.checks.exercises.read_by_content import by_cosine, only
from vit_tutorial.checks.exercises.rnn import states

ALL = [*mistakes("check_rnn"), *mistakes("check_read_by_content")]
RIGHT = [*entries("check_rnn", "right"), *entries("check_read_by_content", "right")]


@pytest.mark.parametrize(("name", "mistake"), ALL, ids=mistake_id)
def test_each_mistake_is_rejected_and_named(name, mistake):
    is_named(name, mistake)


@pytest.mark.parametrize("entry", RIGHT, ids=lambda entry: entry.fn.__name__)
def test_each_style_is_accepted(entry):
    is_accepted(entry.check, entry.fn)


STEPS = {
    "no bias": lambda x, h, w, u, b: torch.tanh(x @ w.T + h @ u.T),
    "linear": lambda x, h, w, u, b: x @ w.T + h @ u.T + b,
    "u": lambda x, h, w, u, b: torch.tanh(x @ w.T + h @ u + b),
}
PATHS = {
    "backwards": dict(order=lambda T: reversed(range(T))),
    "late": dict(kept=lambda before, after: before),
    "ones": dict(start=lambda x, b: x.new_ones(len(x), len(b))),
}


@pytest.mark.parametrize(("one", "two"), list(itertools.product(STEPS, PATHS)))
def test_two_mistakes_in_a_recurrent_network(one, two):
    rejects_both("check_rnn", lambda *inputs: states(*inputs, step=STEPS[one], **PATHS[two]))


SIMILAR = {"keys": only("keys"), "memory": only("memory")}
WEIGHS = {"readers": lambda s: s.softmax(0), "sigmoid": torch.sigmoid}


@pytest.mark.parametrize(("one", "two"), list(itertools.product(SIMILAR, WEIGHS)))
def test_two_mistakes_in_reading(one, two):
    rejects_both(
        "check_read_by_content",
        lambda *inputs: by_cosine(*inputs, similar=SIMILAR[one], weigh=WEIGHS[two]),
    )


def test_the_last_state_alone_is_named_although_its_shape_is_wrong():
    found = verdict("check_rnn", lambda *inputs: states(*inputs)[:, -1:])
    assert found.mistake == "last_state_only" and "all tokens" in found.message


def test_the_solutions_of_lesson_12_do_not_pass_each_others_check():
    with_memory = lambda keys, memory, strength: by_cosine(keys, memory, strength)
    assert not verdict("check_rnn", lambda x, w, u, b: with_memory(x[0], w, b)).passed
    assert not verdict("check_read_by_content", lambda k, m, s: states(k, m, m, s)).passed
