"""A known mistake, and the evidence by which it is recognised."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .case import Case, Observation
from .problem import problem, same_values


@dataclass(frozen=True)
class Evidence:
    """What the judge has: for each case the inputs, what came back, and what is right."""

    cases: list[Case]
    actual: list[Observation]
    expected: list[Observation]

    def compared(self) -> list[tuple[Case, Observation, Observation]]:
        """(case, actual, expected) for every case whose tensors hold values."""
        every = zip(self.cases, self.actual, self.expected)
        return [(case, *both) for case, *both in every if case.has_values]

    def with_values(self) -> list[Observation]:
        """What came back in every case whose tensors hold values."""
        return [actual for _, actual, _ in self.compared()]

    def right(self, i: int) -> bool:
        """Case i came out right in every value and every fact."""
        return self._right[i]

    @functools.cached_property
    def _right(self) -> list[bool]:
        """Asked for by every known mistake, and not for nothing."""
        every = zip(self.cases, self.actual, self.expected)
        # explained: no words are needed for how the values differ, and they take long to find
        return [problem(*one, explained=True) is None for one in every]

    def values_right(self, i: int) -> bool:
        """Case i came out right in shape and values, whatever its dtype and side effects."""
        return same_values(self.actual[i], self.expected[i])

    def all_values_right(self) -> bool:
        """Every case came out right in shape and values."""
        return all(same_values(actual, expected) for _, actual, expected in self.compared())

    def wrong_exactly_where(self, condition: Callable[[Case], bool]) -> bool:
        """Wrong in every case that meets the condition and right in every other; both exist."""
        numbers = [i for i, case in enumerate(self.cases) if case.has_values]
        meets = [condition(self.cases[i]) for i in numbers]
        return (
            any(meets)
            and not all(meets)
            and all(self.right(i) != met for i, met in zip(numbers, meets))
        )

    def first_wrong(self) -> int:
        """The first case that did not come out right."""
        return next(i for i in range(len(self.cases)) if not self.right(i))

    @property
    def inputs(self) -> Mapping:
        """The inputs of the first wrong case: an explanation shows their numbers."""
        return self.cases[self.first_wrong()].inputs

    @property
    def observation(self) -> Observation:
        """What came back in the first wrong case."""
        return self.actual[self.first_wrong()]


@dataclass(frozen=True)
class Mistake:
    """A known mistake. It is recognised by what a function gives; nobody reads how it is written.

    Where `detect` is None, a function has made the mistake when its values on all cases equal those
    of `buggy` or of one of the `variants`. With a `detect`, that decides, and then the `variants`.
    """

    name: str | None  # short, in snake_case; None for a remark that names nothing
    explanation: str | Callable[[Evidence], str]  # for the learner; a function can show numbers
    hint: str  # a question, or a place to look; never the solution
    buggy: Callable  # a function that makes the mistake
    detect: Callable[[Evidence], bool] | None = None
    variants: tuple[Callable, ...] = ()  # functions that make it with other values

    def explain(self, evidence: Evidence) -> str:
        """The explanation, with this learner's numbers in it."""
        return self.explanation if isinstance(self.explanation, str) else self.explanation(evidence)

    def made_in(
        self, evidence: Evidence, observe_one: Callable[[Callable, Case], Observation]
    ) -> bool:
        """The evidence shows this mistake. observe_one(fn, case): what fn gives on a case."""
        if self.detect is not None and self.detect(evidence):
            return True
        alike = self.variants if self.detect is not None else (self.buggy, *self.variants)
        return any(
            matches(evidence, lambda case, buggy=buggy: observe_one(buggy, case)) for buggy in alike
        )


def matches(evidence: Evidence, of_mistake: Callable[[Case], Observation]) -> bool:
    """The learner's function did on every case what the mistake does: equal values, or two errors.

    At least one case must show it by values that are wrong, or else any error would look like any
    other. Where the mistake gives wrong values and the learner's function stops with an error, or
    gives nan (the mean of nothing), that is a way to write it, too, as long as no more cases stop
    than show it. The mistake's function is
    called case by case, and no longer once a case differs: most do in the first.
    """
    shown = stopped = 0
    if all(mine.error for _, mine, _ in evidence.compared()):
        return False
    for case, mine, expected in evidence.compared():
        theirs = of_mistake(case)
        if same_values(mine, theirs):
            if set(mine.facts.get("changed", [])) != set(theirs.facts.get("changed", [])):
                return False
            shown += not same_values(mine, expected)
        elif not _broken(mine, expected):
            return False
        elif not _broken(theirs, expected):
            if same_values(theirs, expected):
                return False
            stopped += 1
    return shown > 0 and stopped <= shown


def _broken(mine: Observation, expected: Observation) -> bool:
    """Stopped with an error, or gave nan or inf where a number is right."""
    return mine.error is not None or any(
        tensor.is_floating_point()
        and not tensor.isfinite().all()
        and bool(expected.tensors[name].isfinite().all())
        for name, tensor in mine.tensors.items()
        if name in expected.tensors
    )
