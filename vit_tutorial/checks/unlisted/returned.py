"""Something else came back than what was asked for: a list, a tuple, an array, a function."""

import torch

from ..engine.compare import close
from ..engine.mistake import Evidence, Mistake
from .pattern import seen

_KINDS = (  # (name, how the type starts, what to look at)
    (
        "list_returned",
        ("list", "empty list"),
        "Which function makes one tensor from a list of tensors?",
    ),
    (
        "tuple_returned",
        ("tuple", "empty tuple"),
        "How many values does the exercise ask for? A comma after return makes a tuple, and so "
        "does max(dim=...), which returns the indices, too.",
    ),
    ("array_returned", ("numpy.",), "Which torch function does the same as the NumPy one?"),
    (
        "truth_value_returned",
        ("bool",),
        "Which comparison is in your last line, and what does the exercise ask for?",
    ),
    (
        "number_returned",
        ("int", "float", "complex"),
        "Which line turns a tensor into one number: item, sum, mean, len?",
    ),
    (
        "text_returned",
        ("str",),
        "Does the exercise ask for a string? Return the value, and print it outside.",
    ),
    (
        "loop_not_run",
        ("generator", "map", "zip", "range", "filter"),
        "A loop in brackets ( ), map and zip only make a recipe for values. Which brackets make a "
        "list of them?",
    ),
    (
        "function_returned",
        ("function", "method", "builtin_function", "functools"),
        "Is a pair of brackets ( ) missing after the name in your return line?",
    ),
    (
        "tensor_returned",
        ("Tensor", "Parameter"),
        "What does the exercise ask for? item() returns the number in a tensor that holds only "
        "one; a tensor of several needs one more step.",
    ),
    ("set_or_dict_returned", ("set", "dict"), "In which order are the values in a {...}?"),
)


def found(e: Evidence) -> Mistake | None:
    """What kind of thing came back, where in every case a tensor or number is missing for it."""
    kinds = []
    for _, mine, right in e.compared():
        missing = [name for name in right.tensors if name not in mine.tensors]
        types = mine.facts.get("types", {})
        if mine.error or not missing or missing[0] not in types:
            return None
        kinds.append(types[missing[0]])
    for name, starts, hint in _KINDS:
        if kinds and all(kind.startswith(starts) for kind in kinds):
            first = e.observation.facts.get("types", {})
            kind = next(k for k in first.values() if k.startswith(starts))
            form = e.expected[e.first_wrong()].facts.get("form") or "one tensor"
            text = f"Your function returns {_a(kind)}. The exercise asks for {form}."
            return seen(name, text, hint)
    return None


def _a(kind: str) -> str:
    """ "list of 4 Tensor" -> "a list of 4 Tensor"."""
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def less_precise(e: Evidence) -> Mistake | None:
    """Values that are right to a few digits and of the right dtype: they were rounded between."""
    rough = False
    for _, mine, right in e.compared():
        if mine.error or mine.tensors.keys() != right.tensors.keys():
            return None
        for name, expected in right.tensors.items():
            actual = mine.tensors[name]
            if actual.shape != expected.shape or not torch.allclose(
                actual.double(), expected.double(), rtol=1e-3, atol=1e-4, equal_nan=True
            ):
                return None
            rough |= actual.dtype == expected.dtype and not close(actual, expected)
    if not rough:
        return None
    return seen(
        "less_precise",
        "The values are right to only a few digits: they were rounded on the way.",
        "Which line converts the numbers to another dtype, rounds them, or adds something small?",
    )
