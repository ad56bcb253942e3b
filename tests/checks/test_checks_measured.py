"""What the checks are worth on code whose author had not seen the library of mistakes (corpus/)."""

import time

import pytest
import torch
from corpus import entries
from corpus.measure import Outcome, remembering, try_function

from vit_tutorial.checks import names

NAMED_AT_LEAST = 0.95
SECONDS = 2.0

pytestmark = pytest.mark.slow  # every test here reads all lessons or runs all functions


@pytest.fixture(scope="module")
def outcomes() -> dict[str, list[Outcome]]:
    """By kind. Each check remembers what the library's functions gave, so this takes seconds."""
    found = {"known": [], "unknown": [], "two": [], "right": []}
    for name in names():
        look = remembering(name)
        for entry in entries(name):
            found[entry.kind].append(Outcome(entry, look(entry.fn), 0.0))
    return found


def test_the_corpus_is_large_enough():
    for name in names():
        count = {kind: len(entries(name, kind)) for kind in ("known", "unknown", "two", "right")}
        assert (
            count["known"] >= 12
            and count["unknown"] >= 3
            and count["two"] >= 3
            and count["right"] >= 5
        ), (name, count)


@pytest.mark.parametrize("kind", ["known", "unknown", "two"])
def test_everything_wrong_is_rejected(outcomes, kind):
    assert [str(outcome) for outcome in outcomes[kind] if outcome.verdict.passed] == []


def test_everything_right_is_accepted(outcomes):
    assert [
        f"{outcome}\n{outcome.verdict.message}"
        for outcome in outcomes["right"]
        if not outcome.verdict.passed
    ] == []


def test_known_mistakes_carry_their_name(outcomes):
    known = outcomes["known"]
    others = [str(outcome) for outcome in known if not outcome.as_it_should_be]
    assert len(others) <= (1 - NAMED_AT_LEAST) * len(known), "\n".join(others)


@pytest.mark.parametrize("kind", ["unknown", "two"])
def test_no_other_name_is_given(outcomes, kind):
    """Two at once: one of the two, or none. Of no name: none, or what is still fair to say."""
    assert [str(outcome) for outcome in outcomes[kind] if not outcome.as_it_should_be] == []


@pytest.mark.parametrize("name", names())
def test_each_check_is_quick(name):
    """With a mistake of no name, for which the whole library is tried."""
    entry = entries(name, "unknown")[0]
    try_function(name, entry.fn, 0)  # the first call may load something
    threads, tries = torch.get_num_threads(), []
    torch.set_num_threads(1)  # a second thread that waits in a loop is counted as work
    try:
        for _ in range(2):
            start = time.process_time()  # what else the machine does is not the check's fault
            try_function(name, entry.fn, 0)
            tries.append(time.process_time() - start)
    finally:
        torch.set_num_threads(threads)
    assert min(tries) < SECONDS
