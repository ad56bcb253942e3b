"""What is wrong with one observation, as a headline and a detail for the learner."""

from .case import Case, Observation
from .compare import close, shape_difference, value_difference


def listed(names: list) -> str:
    """ "x", "x and y", "x, y and z"."""
    *first, last = map(str, names)
    return f"{', '.join(first)} and {last}" if first else last


def same_values(one: Observation, two: Observation) -> bool:
    """The same tensors up to rounding (another dtype is allowed) and the same recorded "values"."""
    return (
        one.error is None
        and two.error is None
        and one.tensors.keys() == two.tensors.keys()
        and one.facts.get("values") == two.facts.get("values")
        and all(close(one.tensors[name], two.tensors[name], loose=True) for name in one.tensors)
    )


def problem(
    case: Case,
    actual: Observation,
    expected: Observation,
    place: str = "",
    explained: bool = False,
) -> tuple[str, str] | None:
    """The first thing that is wrong in one case: (headline, detail). None when nothing is.

    place: where the values first differ, in words that tell more than their numbers. explained: a
    sentence beside this one says already what the difference is.
    """
    if not case.has_values:
        return _device_problem(actual)
    if actual.error is not None:
        line = actual.facts.get("line")
        place = f"\n    in {line}" if line else ""
        return "your function stopped with an error.", f"{actual.error}{place}"
    values = actual.facts.get("values"), expected.facts.get("values")
    if None not in values and values[0] != values[1]:  # a wrong stride explains a wrong shape
        return _values_problem(*values)
    for name in expected.tensors:
        found = _tensor_problem(name, actual, expected, place, explained)
        if found:
            return found
    if values[0] != values[1]:
        return _values_problem(*values)
    return _side_effect_problem(actual, expected)


def _device_problem(actual: Observation) -> tuple[str, str] | None:
    """On the stand-in for a GPU the result must lie there; code may also refuse to run there."""
    devices = {} if actual.error else actual.facts.get("devices", {})
    stray = [device for device in devices.values() if device != "meta"]
    if not stray:
        return None
    return (
        "the result is on another device than the inputs.",
        f"The inputs were on the device 'meta' (a stand-in for a GPU), the result on {stray[0]!r}.",
    )


def _tensor_problem(
    name: str, actual: Observation, expected: Observation, place: str, explained: bool
) -> tuple[str, str] | None:
    right = expected.tensors[name]
    mine = actual.tensors.get(name)
    form = expected.facts.get("form")
    what = "the result" if name == "output" and len(expected.tensors) == 1 else name
    if mine is None:
        kind = actual.facts.get("types", {}).get(name, "missing")
        more = " A function without a return statement returns None." if kind == "NoneType" else ""
        return f"{what} must be {form or 'a torch.Tensor'}.", f"It is: {kind}.{more}"
    if mine.shape != right.shape:
        text = shape_difference(mine, right)
        return f"{what} has the wrong shape.", f"{text} {place}".strip()
    if not close(mine, right, loose=True):
        wrong = "is not right" if form else "has the right shape, but not the right values"
        return f"{what} {wrong}.", value_difference(mine, right, place, explained)
    if mine.dtype != right.dtype:
        return f"{what} has the wrong dtype.", f"It is {mine.dtype}, expected {right.dtype}."
    if not close(mine, right):
        return (
            f"{what} is less precise than its dtype.",
            f"{value_difference(mine, right)} Was it computed in another dtype on the way?",
        )
    return None


def _values_problem(actual, expected) -> tuple[str, str]:
    """The first of the recorded values (such as a convolution's stride) that differs."""
    actual, expected = actual or {}, expected or {}
    name = next(name for name in {**expected, **actual} if actual.get(name) != expected.get(name))
    mine, right = (_in_words(values.get(name)) for values in (actual, expected))
    return f"{name}: not as it should be.", f"It is: {mine}. Expected: {right}."


def _in_words(value) -> str:
    """A recorded fact as a learner reads it: yes and no for truth values."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _side_effect_problem(actual: Observation, expected: Observation) -> tuple[str, str] | None:
    """The values are right; what else did the call do, or leave undone?"""
    facts = actual.facts
    if facts.get("changed"):
        names = listed(facts["changed"])
        return (
            "your function changed its input.",
            f"After the call, {names} held other numbers than before.",
        )
    if facts.get("detached"):
        return (
            "no gradient flows through your function.",
            "The inputs require a gradient, the result does not: nothing before it could learn.",
        )
    if facts.get("backward_error"):
        return (
            "no gradient can be computed through your function.",
            f"The backward pass stops with: {facts['backward_error']}. "
            "The usual cause is a line that writes into a tensor.",
        )
    missed = unreached(actual, expected)
    if missed:
        return (
            "the gradient does not reach every input.",
            f"No gradient reaches {listed(missed)}: training could never change it.",
        )
    return None


def unreached(actual: Observation, expected: Observation) -> list[str]:
    """The inputs that no gradient reaches, and that one should reach."""
    reached_by_none = expected.facts.get("no_gradient", [])
    return [name for name in actual.facts.get("no_gradient", []) if name not in reached_by_none]
