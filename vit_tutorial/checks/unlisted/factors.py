"""One factor or one difference for all values, and the sizes and numbers of the case in it."""

import itertools
import math
from collections.abc import Iterator

import torch

from ..engine.case import Case
from ..engine.mistake import Evidence, Mistake
from .in_cases import numbers
from .pattern import seen
from .patterns import wrong_tensors

POWERS = {1: "{}", -1: "1 / {}", 0.5: "the root of {}", -0.5: "1 / the root of {}", 2: "{} squared"}
_TIMES = {1: "", -1: "-", 2: "2 * ", -2: "-2 * ", 0.5: "half ", -0.5: "-half "}
FACTORS = (2, 3, 4, 5, 6, 8, 10, 12, 100, 1000, 1e6, 1e9, math.pi, math.pi / 180)


def found(e: Evidence) -> Mistake | None:
    """A factor, an offset, or a difference of counts, as a mistake."""
    return _factor(e) or _difference_of_counts(e)


def _factor(e: Evidence) -> Mistake | None:
    cases = [case for case, *_ in e.compared()]
    for name, pairs in wrong_tensors(e):
        if len(pairs) != len(cases) or any(m is None or m.shape != r.shape for m, r in pairs):
            continue
        of = f"{name}: every value" if name else "Every value"
        lines = [_line(m.flatten().double(), r.flatten().double()) for m, r in pairs]
        for kind, (mistake, verb, hint) in enumerate(_KINDS):
            found = [(case, line[kind]) for case, line in zip(cases, lines)]
            found = [(case, value) for case, value in found if value is not math.inf]
            if found and all(value is not None for _, value in found):
                words = _in_words(found)
                if words:
                    text = f"{of} is the right one {verb} {words}."
                    return seen(mistake, text, hint)
    return None


_KINDS = (
    (
        "times_a_factor",
        "times",
        "Which line multiplies or divides, and by what? What does the formula say there?",
    ),
    (
        "plus_a_number",
        "plus",
        "Which line adds a number, starts counting at a different one, or leaves one out?",
    ),
)


def _line(mine: torch.Tensor, right: torch.Tensor):
    """(factor, offset): None where there is none, inf where any would do (all values are 0)."""
    if not torch.isfinite(mine).all() or not torch.isfinite(right).all():
        return None, None
    scale = float(right.abs().max())
    tolerance = {"rtol": 1e-3, "atol": 1e-5 + 1e-5 * scale}
    square = float((right * right).sum())
    if square == 0:
        factor = math.inf if not mine.any() else None
    else:
        factor = float((mine * right).sum()) / square
        if not torch.allclose(mine, factor * right, **tolerance):
            factor = None
    offset = float((mine - right).mean())
    if not torch.allclose(mine, right + offset, **tolerance):
        offset = None
    return factor, offset


def _in_words(found: list[tuple[Case, float]]) -> str:
    """One number that is the same in all cases, or what in the cases it goes with. Else empty."""
    values = [value for _, value in found]
    if all(abs(value) < 1e-9 for value in values):
        return ""
    if all(math.isclose(value, values[0], rel_tol=2e-3) for value in values):
        known = next(
            (n for f in FACTORS for n in (f, 1 / f) if math.isclose(values[0], n, rel_tol=1e-3)), 0
        )
        return f"{known or values[0]:.4g}" + (" in every case" if len(values) > 1 else "")
    of_cases = [quantities(case) for case, _ in found]  # many products: made once
    for power, words in POWERS.items():
        for label in of_cases[0]:
            sizes = [of_case.get(label) for of_case in of_cases]
            if any(not size or size < 0 for size in sizes):  # no root of these
                continue
            for by in (1, -1, 2, -2, 0.5, -0.5):
                made = [by * size**power for size in sizes]
                if all(math.isclose(value, m, rel_tol=2e-3) for value, m in zip(values, made)):
                    return f"{_TIMES[by]}{words.format(label)}"
    return ""


def quantities(case: Case) -> dict[str, float]:
    """The numbers of a case by name: its inputs, their sizes, products and quotients of two."""
    named = {
        f"the size of {label}" if is_size else label: number
        for label, number, is_size in numbers(case)
    }
    pairs = {}
    for (one, a), (two, b) in itertools.combinations(named.items(), 2):
        pairs[f"{one} times {two}"] = a * b
        if b:
            pairs[f"{one} divided by {two}"] = a / b
        if a:
            pairs[f"{two} divided by {one}"] = b / a
    less = {f"{name} minus 1": n - 1 for name, n in named.items()}
    return named | less | pairs


def _difference_of_counts(e: Evidence) -> Mistake | None:
    """Counts of the sizes of a model: the difference is a product of few of them in every case."""
    counts = [(case, _count(mine), _count(right)) for case, mine, right in e.compared()]
    if len(counts) < 3 or any(mine is None or right is None for _, mine, right in counts):
        return None
    by = tuple(mine - right for _, mine, right in counts)
    products = {}
    for label, values in _products([case.inputs for case, *_ in counts]):
        products.setdefault(tuple(values), label)
    label = _sum_of_few(tuple(map(abs, by)), products) if len(set(map(_sign, by))) == 1 else ""
    if not label:
        return None
    return seen(
        "count_off_by_a_product",
        f"In every case your number is too {'small' if by[0] < 0 else 'large'} by {label}.",
        "Which part of the model has that many? Is it counted once, twice or never?",
    )


def _sign(number: float) -> int:
    return (number > 0) - (number < 0)


def _sum_of_few(by: tuple, products: dict[tuple, str]) -> str:
    """ "2 * dim" or "2 * dim + depth * dim", which make the number `by` of each case; else ""."""
    if by in products:
        return products[by]
    for values, label in products.items():
        rest = tuple(b - value for b, value in zip(by, values))
        if rest in products:
            return f"{label} + {products[rest]}"
        more = tuple(b + value for b, value in zip(by, values))
        if more in products:
            return f"{products[more]} - {label}"
    return ""


def _count(observation) -> float | None:
    text = (observation.facts.get("values") or {}).get("the count", "").replace(",", "")
    try:
        return float(text)
    except ValueError:
        return None


def _products(inputs: list[dict]) -> Iterator[tuple[str, list[float]]]:
    """Products of up to four of the whole numbers, with a small factor in front."""
    inputs = [dict(each) for each in inputs]
    for each in inputs:
        if "image_size" in each and "patch_size" in each:
            each["patches"] = (each["image_size"] // each["patch_size"]) ** 2
    names = [name for name, value in inputs[0].items() if type(value) is int]
    for many in range(5):
        for chosen in itertools.combinations_with_replacement(names, many):
            products = [math.prod(each[name] for name in chosen) for each in inputs]
            for factor in (1, 2, 3, 4, 5, 6, 8, 12, 16):
                if many == 0 and factor > 1:
                    break
                label = " * ".join(([str(factor)] if factor > 1 or not chosen else []) + [*chosen])
                yield label, [factor * product for product in products]
