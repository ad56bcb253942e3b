"""What a check says to an entry, and whether that is what it should say."""

import contextlib
import copy
import io
import time
from dataclasses import dataclass

from vit_classroom.sandbox.wire import unpack_observations
from vit_tutorial.checks import Verdict, get

from . import Entry


@dataclass(frozen=True)
class Outcome:
    """verdict: of the check. seconds: of the whole call, as a learner waits for it."""

    entry: Entry
    verdict: Verdict
    seconds: float

    @property
    def as_it_should_be(self) -> bool:
        """Right code accepted; wrong code rejected under a name that is allowed."""
        if self.entry.kind == "right":
            return self.verdict.passed
        return not self.verdict.passed and self.verdict.mistake in self.entry.names

    def __str__(self) -> str:
        said = "accepted" if self.verdict.passed else f"called {self.verdict.mistake}"
        expected = " or ".join(str(name) for name in self.entry.names) or "accepted"
        return f"{self.entry.id} ({self.entry.kind}) was {said}; should be: {expected}"


def try_function(name: str, fn, seed: int) -> tuple[Verdict, float]:
    """The verdict of the check called `name` on fn, and the seconds. What fn prints is dropped."""
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        check = get(name)
        cases = check.draw(seed)
        verdict = check.judge(cases, check.observe(fn, cases))
    return verdict, time.perf_counter() - start


def remembering(name: str, seed: int = 0):
    """A function fn -> Verdict. It calls the library's own functions only once: the same, sooner.

    Only on the drawn cases: a case that a judge makes on the way leaves its id to the next one. The
    attribute `of_bytes` judges packed observations, as the classroom does.
    """
    check = get(name)
    cases = check.draw(seed)
    drawn, memory = set(map(id, cases)), {}

    def observe_one(fn, case):
        if id(case) not in drawn:
            return check.observe_one(fn, case)
        key = fn, id(case)
        if key not in memory:
            memory[key] = check.observe_one(fn, case)
        return memory[key]

    quick = copy.copy(check)
    object.__setattr__(quick, "observe_one", observe_one)

    def look(fn):
        with contextlib.redirect_stdout(io.StringIO()):
            return quick.judge(
                cases, check.observe(fn, cases)
            )  # what the learner's fn gives is not remembered

    look.of_bytes = lambda data: quick.judge(cases, unpack_observations(data, len(cases)))
    return look


def measure(entry: Entry, seed: int = 0) -> Outcome:
    return Outcome(entry, *try_function(entry.check, entry.fn, seed))
