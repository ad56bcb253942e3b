"""A check in the sandbox: it observes a learner's function, and knows nothing of what is right."""

import contextlib
import importlib
import inspect
from collections.abc import Iterator

from vit_tutorial.checks.engine.check import Check

# The package's own functions that are the answer to an exercise. While a learner's function is
# observed, they raise OwnSolutionError; in everything else that a lesson does they work.
OWN_SOLUTIONS = {
    "check_patchify": ("vit_tutorial.model:patchify",),
    "check_unpatchify": ("vit_tutorial.model:unpatchify",),
    "check_attention": ("vit_tutorial.model:attention",),
    "check_multi_head": ("vit_tutorial.model:MultiHeadSelfAttention.forward",),
    "check_encoder_block": ("vit_tutorial.model:EncoderBlock.forward",),
    "check_sincos_2d": ("vit_tutorial.model.positions:sinusoidal_2d",),
    "check_warmup_cosine": ("vit_tutorial.training:learning_rate",),
    "check_evaluate": ("vit_tutorial.training.evaluation:evaluate",),
}
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
    """
    functions = [_find(place) for place in OWN_SOLUTIONS.get(check, ())]
    before = [function.__code__ for function in functions]
    for function in functions:
        function.__code__ = _refuse.__code__
    try:
        yield
    finally:
        for function, code in zip(functions, before):
            function.__code__ = code


def _find(place: str):
    module, _, path = place.partition(":")
    found = importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    return inspect.unwrap(found)


def _refuse(*args, **more):
    from vit_classroom.sandbox.observing import OwnSolutionError

    raise OwnSolutionError("this is the package's own solution of the exercise")
