"""What the tests of the single checks share: a verdict without printing, and the way through files."""

import functools
from collections.abc import Callable
from pathlib import Path

from corpus.measure import remembering

from vit_tutorial import checks
from vit_tutorial.checks.catalogue import get

SEEDS = (0, 7, 20_261)


@functools.cache
def judge(name: str, seed: int) -> Callable:
    """The check called `name`, what the library's own functions give on its cases kept: hundreds of tests ask for the same."""
    return remembering(name, seed)


def verdict(name: str, fn: Callable, seed: int = 0) -> checks.Verdict:
    """What the check called `name` says to fn."""
    return judge(name, seed)(fn)


def verdict_through_files(name: str, fn: Callable, seed: int, folder: Path) -> checks.Verdict:
    """The same, over files, as in grading."""
    checks.write_cases(name, seed, folder / "cases")
    checks.observe_file(name, fn, folder / "cases", folder / "result")
    return checks.judge_file(name, seed, folder / "result")


def mistakes(name: str) -> list[tuple]:
    """(check's name, mistake) for each known mistake, for parametrize."""
    return [(name, mistake) for mistake in get(name).mistakes]


def mistake_id(value) -> str:
    """A readable id for a parametrized test."""
    return getattr(value, "name", str(value))


def is_named(name: str, mistake, folder: Path) -> None:
    """The mistake is rejected and named as itself, with each seed and through files; its words are complete."""
    for seed in SEEDS:
        found = verdict(name, mistake.wrong, seed)
        assert not found.passed and found.mistake == mistake.name, (seed, found.message)
    checks.write_cases(name, 7, folder / "cases")
    checks.observe_file(name, mistake.wrong, folder / "cases", folder / "result")
    found = judge(name, 7).of_file(folder / "result")
    assert not found.passed and found.mistake == mistake.name, found.message
    hint = mistake.hint if mistake.name == "not_written" else f"Hint: {mistake.hint}"
    assert hint in found.message and mistake.seen_in


def is_accepted(name: str, fn: Callable, folder: Path) -> None:
    """A correct function passes with each seed and through files."""
    for seed in SEEDS:
        found = verdict(name, fn, seed)
        assert found.passed, found.message
    found = verdict_through_files(name, fn, 5, folder)
    assert found.passed, found.message


def names_one_of_two(name: str, both: Callable, one: str, two: str) -> None:
    """Two mistakes at once are rejected, under one of the two names or none."""
    found = verdict(name, both, SEEDS[1])
    assert not found.passed
    assert found.mistake in (one, two, None), found.message
