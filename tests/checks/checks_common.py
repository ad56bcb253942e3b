"""What the tests of the single checks share: a verdict without printing, and the way over bytes."""

import functools
from collections.abc import Callable

from corpus import FAIR
from corpus.measure import remembering

from vit_classroom.sandbox import wire
from vit_tutorial import checks

SEEDS = (0, 7, 20_261)


@functools.cache
def judge(name: str, seed: int) -> Callable:
    """The check called `name`. What the library's functions give is kept: hundreds of tests ask."""
    return remembering(name, seed)


def verdict(name: str, fn: Callable, seed: int = 0) -> checks.Verdict:
    """What the check called `name` says to fn."""
    return judge(name, seed)(fn)


def mistakes(name: str) -> list[tuple]:
    """(check's name, mistake) for each known mistake, for parametrize."""
    return [(name, mistake) for mistake in checks.get(name).mistakes]


def mistake_id(value) -> str:
    """A readable id for a parametrized test."""
    return getattr(value, "name", str(value))


def is_named(name: str, mistake) -> None:
    """The mistake is rejected and named as itself, with each seed and over bytes, with its hint."""
    for seed in SEEDS:
        found = verdict(name, mistake.buggy, seed)
        assert not found.passed and found.mistake == mistake.name, (seed, found.message)
    found = judge(name, 7).of_bytes(wire.observe(name, mistake.buggy, wire.draw_cases(name, 7)))
    assert not found.passed and found.mistake == mistake.name, found.message
    hint = mistake.hint if mistake.name == "not_written" else f"Hint: {mistake.hint}"
    assert hint in found.message


def is_accepted(name: str, fn: Callable) -> None:
    """A correct function passes with each seed and over bytes, as in grading."""
    for seed in SEEDS:
        found = verdict(name, fn, seed)
        assert found.passed, found.message
    found = wire.judge(name, 5, wire.observe(name, fn, wire.draw_cases(name, 5)))
    assert found.passed, found.message


def rejects_both(name: str, both: Callable, named: str | None = None) -> None:
    """Two mistakes at once are rejected: as the mistake `named`, or without a name, as most are.

    In place of no name, one is fair that only says what is seen.
    """
    for seed in SEEDS[:2]:
        found = verdict(name, both, seed)
        assert not found.passed
        assert found.mistake == named or found.mistake in FAIR, (seed, found.message)
        assert ("Hint: " if found.mistake else "Asked for: fn(") in found.message
