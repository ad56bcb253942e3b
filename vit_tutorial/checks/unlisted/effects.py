"""Side effects beside wrong values: inputs written into, random numbers, lost gradients."""

import torch

from ..engine.mistake import Evidence, Mistake
from ..engine.problem import listed, unreached
from .pattern import seen


def found(e: Evidence) -> Mistake | None:
    """What the calls did beside returning something."""
    return _lost_gradient(e) or _written(e) or _random(e)


def _lost_gradient(e: Evidence) -> Mistake | None:
    """Only where the values are right: a gradient through wrong values tells nothing."""
    if not e.all_values_right():
        return None
    for mine, right in zip(e.actual, e.expected):
        if mine.facts.get("backward_error"):
            return seen(
                "backward_stops",
                "The values are right, but the backward pass ends in an error.",
                "Which line writes into a tensor that an earlier line needs for its gradient?",
            )
        missing = unreached(mine, right)
        if missing:
            return seen(
                "gradient_lost_on_the_way",
                f"The values are right, but no gradient reaches {listed(missing)}.",
                "Which line takes a tensor out of autograd: .data, .detach(), torch.tensor(...), "
                ".numpy(), torch.no_grad()?",
            )
    return None


def _written(e: Evidence) -> Mistake | None:
    changed = next((a.facts["changed"] for a in e.actual if a.facts.get("changed")), None)
    if not changed:
        return None
    return seen(
        "writes_into_its_input",
        f"Your function wrote into {listed(changed)}, which belongs to the caller.",
        "Which line assigns to part of a tensor, uses +=, or calls a method whose name ends in an "
        "underscore? A view is no copy, and neither is `y = x`.",
    )


def _random(e: Evidence) -> Mistake | None:
    # An experiment, which answers with truth values, may draw what it tries.
    experiment = any(t.dtype == torch.bool for right in e.expected for t in right.tensors.values())
    if experiment or any(right.facts.get("random") for right in e.expected):
        return None
    drawn = next((a.facts["random"] for a in e.actual if a.facts.get("random")), None)
    if not drawn:
        return None
    return seen(
        "draws_random_numbers",
        "Your function draws random numbers. Its result should depend on the inputs alone.",
        "Which line makes random numbers: randn, rand, randperm, dropout, a new nn.Linear, a "
        "loader that shuffles?",
    )
