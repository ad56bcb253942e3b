"""A check in the sandbox: it observes a learner's function, and knows nothing of what is right."""

import contextlib
import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping

from vit_tutorial.checks.engine.check import Check

from .own_solutions import OWN_SOLUTIONS

# By place (own_solutions.py): the functions whose text is not in the sandbox, and those that are
# refused at the moment.
_originals: dict[str, Callable] = {}
_refused: set[str] = set()
NAME = "OwnSolutionError"


class OwnSolutionError(RuntimeError):
    """A learner's function called the package's own solution of the exercise."""


class Observer(Check):
    """A Check without cases, reference and mistakes."""

    def __call__(self, fn) -> None:
        """What a call in a learner's own cell does here: the grader judges afterwards."""
        print(f"{self.name}: your function is judged when the notebook has run.")


def observer(name: str, signature: str, **how) -> Observer:
    """how: `record` and `call` of the check, see Check."""
    return Observer(name, signature, cases=None, reference=None, mistakes=(), **how)


@contextlib.contextmanager
def own_solutions_refused(check: str) -> Iterator[None]:
    """Let the package's own solution of this check raise OwnSolutionError.

    Its code is replaced and not its name, so that it makes no difference how a learner imported it.
    A copy of its code asks `own` and is refused there.
    """
    places = OWN_SOLUTIONS.get(check, ())
    functions = [_find(place) for place in places]
    before = [function.__code__ for function in functions]
    for function in functions:
        function.__code__ = _refuse.__code__
    _refused.update(places)
    try:
        yield
    finally:
        _refused.difference_update(places)
        for function, code in zip(functions, before):
            function.__code__ = code


def give_back(texts: Mapping[str, str]) -> None:
    """Let the package's own solutions work in this process. texts: {place: its definition}."""
    for place, text in texts.items():
        module, _, path = place.partition(":")
        made: dict[str, Callable] = {}
        exec(text, vars(importlib.import_module(module)), made)
        _originals[place] = made[path.split(".")[-1]]


def own(place: str) -> Callable:
    """The function of that place, for the package's own use."""
    if place in _refused or place not in _originals:
        _refuse()
    return _originals[place]


def _find(place: str):
    module, _, path = place.partition(":")
    found = importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    return inspect.unwrap(found)


def _refuse(*args, **more):
    from vit_classroom.sandbox.observing import OwnSolutionError

    raise OwnSolutionError("this is the package's own solution of the exercise")
