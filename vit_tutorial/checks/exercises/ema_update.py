"""check_ema_update: an exponential moving average of a model's weights."""

import torch

from ..engine.case import Case, numbers
from ..engine.check import Check
from ..engine.mistake import Evidence, Mistake
from ..engine.observe import TENSORS, type_name
from .general import general_mistakes

NAMES = ("embed.weight", "head.bias")
CALLS = 4


def ema_update(average, weights, decay):
    """The weights at first (average None); then decay * average + (1 - decay) * weights."""
    if average is None:
        return {name: w.detach().clone() for name, w in weights.items()}
    return mix(average, weights, decay, 1 - decay)


def mix(average, weights, a, b):
    """a * average + b * weights, name by name, without a gradient."""
    return {name: a * average[name] + b * w.detach() for name, w in weights.items()}


def as_in_training(fn, inputs):
    """Call fn after each of four steps, which change the weights in place, as an optimiser does.

    What came back is copied after the next step: an average that shares memory has moved by then.
    """
    weights = {name: torch.nn.Parameter(inputs[f"{name}, step 0"].clone()) for name in NAMES}
    average, seen, written = None, [], False
    for call in range(CALLS):
        before = {name: w.detach().clone() for name, w in weights.items()}
        average = fn(average, weights, inputs["decay"])
        written |= any(not torch.equal(before[name], w) for name, w in weights.items())
        with torch.no_grad():
            for name, w in weights.items():
                w.copy_(inputs[f"{name}, step {call + 1}"])
        if not isinstance(average, dict):
            return average
        seen.append(
            {n: v.detach().clone() if type(v) in TENSORS else v for n, v in average.items()}
        )
    grads = any(type(v) in TENSORS and v.requires_grad for v in average.values())
    return seen, {
        "names": sorted(map(str, average)),
        "weights written into": written,
        "gradient": grads,
    }


def record_history(value, inputs) -> tuple[dict, dict]:
    """The averages after each call, one row of numbers each, and what else the calls did."""
    if not isinstance(value, tuple):
        return {}, {"types": {"the average after call 1": type_name(value)}, "form": "a dict"}
    seen, values = value
    facts = {"values": values, "types": {}, "form": "a dict of tensors"}
    if values["names"] != sorted(NAMES):
        return {}, facts
    tensors = {}
    for call, average in enumerate(seen, start=1):
        parts = [average[name] for name in NAMES]
        if all(type(part) in TENSORS for part in parts):
            tensors[f"the average after call {call}"] = torch.cat([p.flatten() for p in parts])
    return tensors, facts


def ema_update_cases(generator: torch.Generator) -> list[Case]:
    """Decays from 0 to 0.99; float32 and float64."""

    def case(about, decay, dtype=torch.float32):
        inputs = {"decay": decay}
        for step in range(CALLS + 1):
            for name, shape in zip(NAMES, ((3, 4), (5,))):
                inputs[f"{name}, step {step}"] = numbers(generator, *shape, dtype=dtype)
        return Case(about, inputs)

    return [
        case("decay 0.9", 0.9),
        case("decay 0.99", 0.99),
        case("decay 0.25", 0.25),
        case("decay 0: the weights themselves", 0.0),
        case("float64", 0.7, torch.float64),
    ]


def first(weights):
    return {name: w.detach().clone() for name, w in weights.items()}


def later(update):
    """Right at the first call; `update(average, weights, decay)` at the others."""
    return lambda average, weights, decay: (
        first(weights) if average is None else update(average, weights, decay)
    )


def from_zero(average, weights, decay):
    average = average or {name: torch.zeros_like(w) for name, w in weights.items()}
    return mix(average, weights, decay, 1 - decay)


def zeros_at_first(average, weights, decay):
    """The first call returns zeros themselves."""
    if average is None:
        return {name: torch.zeros_like(w).detach() for name, w in weights.items()}
    return mix(average, weights, decay, 1 - decay)


def sharing(average, weights, decay):
    """The first average is the weights themselves, which move on."""
    if average is None:
        return {name: w.detach() for name, w in weights.items()}
    return mix(average, weights, decay, 1 - decay)


def into_the_weights(average, weights, decay):
    if average is None:
        return first(weights)
    with torch.no_grad():
        for name, w in weights.items():
            w.mul_(1 - decay).add_(decay * average[name])
    return {name: w.detach().clone() for name, w in weights.items()}


def with_gradient(average, weights, decay):
    if average is None:
        return {name: w.clone() for name, w in weights.items()}
    return {name: decay * average[name] + (1 - decay) * w for name, w in weights.items()}


def has(e: Evidence, fact: str) -> bool:
    return any(actual.facts.get("values", {}).get(fact) is True for actual in e.actual)


MISTAKES = (
    Mistake(
        name="writes_into_the_weights",
        explanation="Your function changed the weights, so training would continue from them.",
        hint="Which line uses += or a method ending in an underscore? Which tensor changes?",
        buggy=into_the_weights,
        detect=lambda e: has(e, "weights written into"),
    ),
    Mistake(
        name="shares_memory",
        explanation=(
            "Your first call returns the weights themselves, so the optimiser's next step also "
            "changes your average."
        ),
        hint="Does .detach() copy the numbers? Which method does?",
        buggy=sharing,
        variants=(
            lambda average, weights, decay: (
                dict(weights) if average is None else mix(average, weights, decay, 1 - decay)
            ),
        ),
    ),
    Mistake(
        name="keeps_the_gradient",
        explanation=(
            "The values are right, but your average requires a gradient, so the graph grows with "
            "every step."
        ),
        hint="Which method takes a tensor out of autograd, or which block switches it off?",
        buggy=with_gradient,
        detect=lambda e: e_values_right(e) and has(e, "gradient"),
    ),
    Mistake(
        name="decay_and_rest_exchanged",
        explanation="You swapped decay and 1 - decay.",
        hint="With decay 0.99, which should count more: the old average or the current weights?",
        buggy=later(lambda average, weights, decay: mix(average, weights, 1 - decay, decay)),
    ),
    Mistake(
        name="starts_at_zero",
        explanation="Your average starts from zero, so it is too small in the first steps.",
        hint="What should you return when average is None?",
        buggy=from_zero,
        variants=(zeros_at_first,),
    ),
    Mistake(
        name="rest_forgotten",
        explanation="You add the weights without multiplying them by 1 - decay.",
        hint="If the weights never changed, where should the average end?",
        buggy=later(lambda average, weights, decay: mix(average, weights, decay, 1)),
    ),
    Mistake(
        name="decay_forgotten",
        explanation="You add the old average without multiplying it by decay.",
        hint="If the weights never changed, where should the average end?",
        buggy=later(lambda average, weights, decay: mix(average, weights, 1, 1 - decay)),
    ),
    Mistake(
        name="plain_mean",
        explanation="Your average is half the old one and half the weights, whatever decay is.",
        hint="Which input does your code never read?",
        buggy=later(lambda average, weights, decay: mix(average, weights, 0.5, 0.5)),
    ),
    Mistake(
        name="never_moves",
        explanation="Your average never changes after the first call.",
        hint="What should the later calls do with the weights?",
        buggy=later(lambda average, weights, decay: average),
    ),
    Mistake(
        name="no_memory",
        explanation="You return the current weights, without averaging.",
        hint="What should the later calls do with the previous average?",
        buggy=later(lambda average, weights, decay: first(weights)),
    ),
)


def e_values_right(e: Evidence) -> bool:
    """Every average is right, whatever else the calls did."""
    return all(
        a.error is None
        and a.tensors.keys() == b.tensors.keys()
        and all(
            torch.allclose(a.tensors[n].double(), b.tensors[n].double(), atol=1e-5)
            for n in b.tensors
        )
        for a, b in zip(e.actual, e.expected)
    )


check_ema_update = Check(
    name="check_ema_update",
    signature=(
        "fn(average, weights, decay) -> a dict of tensors: the current weights if average is "
        "None, else decay * average + (1 - decay) * weights for each name; no gradient, no shared "
        "memory"
    ),
    cases=ema_update_cases,
    reference=ema_update,
    mistakes=MISTAKES
    + general_mistakes(
        ema_update, without=("changed_input", "wrong_dtype", "wrong_device", "detached")
    ),
    record=record_history,
    call=as_in_training,
)
