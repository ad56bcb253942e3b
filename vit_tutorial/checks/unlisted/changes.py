"""All ways to change the inputs of a case: what could have been read in place of what is there."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F

from ..engine.case import Case, ModuleRecipe

CONSTANTS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 32, 64, 100, 224)


@dataclass(frozen=True)
class Change:
    """One way to change the inputs of any case; `to` raises where it does not apply."""

    name: str  # of the mistake
    words: str  # "`b` held only zeros"
    hint: str
    to: Callable[[dict], dict]  # the inputs of a case -> those that are changed

    def case(self, case: Case) -> Case:
        return replace(case, inputs={**case.inputs, **self.to(dict(case.inputs))})


def changes(inputs: dict) -> Iterator[Change]:
    """All changes to try, the likelier ones first."""
    kinds = {
        ModuleRecipe: [name for name, v in inputs.items() if isinstance(v, ModuleRecipe)],
        torch.Tensor: [name for name, v in inputs.items() if isinstance(v, torch.Tensor)],
        tuple: [name for name, v in inputs.items() if isinstance(v, tuple)],
        float: [name for name, v in inputs.items() if type(v) in (int, float)],
    }
    for names in kinds.values():
        yield from _one_for_another(names)
    for name in kinds[float]:
        yield from _numbers(name, inputs)
    for name in kinds[tuple]:
        yield from _pairs(name, len(inputs[name]))
    for name in kinds[torch.Tensor]:
        yield from _tensors(name, inputs[name])
        yield from _sizes_for_a_tensor(name, inputs)
    for name in kinds[ModuleRecipe]:
        yield from _modules(name, inputs[name])


def _one_for_another(names: list[str]) -> Iterator[Change]:
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            yield Change(
                "inputs_exchanged",
                f"`{one}` and `{other}` were swapped",
                f"Where does your code read `{one}`, and where should it read `{other}`?",
                lambda x, a=one, b=other: {a: x[b], b: x[a]},
            )
        for other in names:
            if other != one:
                yield Change(
                    "one_input_for_another",
                    f"`{other}` were used in place of `{one}`",
                    f"Where does your code read `{one}`? Look at each use of `{other}`.",
                    lambda x, a=one, b=other: {a: x[b]},
                )


def _numbers(name: str, inputs: dict) -> Iterator[Change]:
    def change(kind: str, words: str, hint: str, to: Callable) -> Change:
        return Change(kind, f"`{name}` were {words}", hint, lambda x: {name: to(x[name])})

    whole = type(inputs[name]) is int
    more = "one larger" if whole else "larger by 1"
    less = "one smaller" if whole else "smaller by 1"
    off = f"Where is your code off by one from `{name}`: in a range, a slice or a division?"
    yield change("number_one_off", more, off, lambda n: n + 1)
    yield change("number_one_off", less, off, lambda n: n - 1)
    scale = f"Look at each use of `{name}`: what is it multiplied or divided by?"
    yield change("number_scaled", "twice as large", scale, lambda n: 2 * n)
    yield change("number_scaled", "half as large", scale, lambda n: n // 2 if whole else n / 2)
    yield change("number_scaled", "squared", scale, lambda n: n * n)
    if not whole:
        yield change("number_scaled", "replaced by its square root", scale, lambda n: n**0.5)
        yield change("number_scaled", "replaced by its inverse", scale, lambda n: 1 / n)
        yield change("number_scaled", "replaced by 1 minus itself", scale, lambda n: 1 - n)
        yield change("number_scaled", "100 times as large", scale, lambda n: 100 * n)
    fixed = f"Where does your code read `{name}`? Does a line use a fixed number instead?"
    values = (0, inputs[name], *CONSTANTS) if whole else (0.0, 1.0, 0.5, inputs[name])
    for value in dict.fromkeys(values):
        yield change("number_fixed", f"always {value}", fixed, lambda n, v=value: v)
    for other, value in inputs.items():
        if whole and type(value) is int and other != name:
            for times in (2, 3, 4):
                yield Change(
                    "one_number_for_another",
                    f"`{name}` were {times} times `{other}`",
                    fixed,
                    lambda x, o=other, t=times: {name: t * x[o]},
                )
        if whole and isinstance(value, torch.Tensor):
            for axis in range(value.ndim):
                size = f"the size of axis {axis} of `{other}`"
                hint = f"Which size does your code use where it should use `{name}`?"
                yield Change(
                    "size_for_a_number",
                    f"`{name}` were {size}",
                    hint,
                    lambda x, o=other, a=axis: {name: x[o].shape[a]},
                )
                yield Change(
                    "size_for_a_number",
                    f"`{name}` were {size} divided by `{name}`",
                    hint,
                    lambda x, o=other, a=axis: {name: x[o].shape[a] // x[name]},
                )


def _pairs(name: str, length: int) -> Iterator[Change]:
    hint = f"Which entry of `{name}` comes first, and where does your code use each of them?"
    if length == 2:
        for words, to in (
            ("the two numbers were swapped", lambda a, b: (b, a)),
            ("the first number were used twice", lambda a, b: (a, a)),
            ("the second number were used twice", lambda a, b: (b, b)),
        ):
            yield Change(
                "pair_mixed_up",
                f"in `{name}` {words}",
                hint,
                lambda x, to=to: {name: to(*x[name])},
            )
    for i in range(length):
        for by, words in ((1, "one larger"), (-1, "one smaller")):
            yield Change(
                "number_one_off",
                f"number {i} of `{name}` were {words}",
                "Where is your code off by one: in a range, a slice or a division?",
                lambda x, i=i, by=by: {
                    name: tuple(n + by * (j == i) for j, n in enumerate(x[name]))
                },
            )


def _tensors(name: str, value: torch.Tensor) -> Iterator[Change]:
    used = f"Where does your code use `{name}`? Follow it from line to line."

    def change(kind: str, words: str, to: Callable, hint: str = used) -> Change:
        return Change(kind, f"`{name}` {words}", hint, lambda x: {name: to(x[name])})

    if value.is_floating_point():
        yield change("input_not_used", "held only zeros", torch.zeros_like)
        yield change("input_not_used", "held only ones", torch.ones_like)
        sized = (
            f"What is `{name}` multiplied or divided by in your code, and how often is it added?"
        )
        yield change("input_scaled", "had the opposite sign", lambda x: -x, sized)
        yield change("input_scaled", "were twice as large", lambda x: 2 * x, sized)
        yield change("input_scaled", "were three times as large", lambda x: 3 * x, sized)
        yield change("input_scaled", "were half as large", lambda x: x / 2, sized)
        altered = f"Which line changes the values in `{name}` before your code uses them?"
        for words, to in (
            ("had gone through a softmax", lambda x: x.softmax(dim=-1)),
            ("had gone through a ReLU", torch.relu),
            ("had lost its minus signs", torch.abs),
            ("were squared", torch.square),
            ("were rounded to whole numbers", torch.round),
        ):
            yield change("input_altered", words, to, altered)
        for axis in range(value.ndim):
            along = f"along axis {axis}"
            for words, to in (
                ("were scaled to length 1", lambda x, a=axis: F.normalize(x, dim=a)),
                ("had its mean subtracted", lambda x, a=axis: x - x.mean(dim=a, keepdim=True)),
                ("were replaced by its mean", lambda x, a=axis: x.mean(a, True).expand_as(x)),
                (
                    "were normalised to mean 0 and standard deviation 1",
                    lambda x, a=axis: (x - x.mean(a, True)) / x.std(a, correction=0, keepdim=True),
                ),
            ):
                yield change("input_altered", f"{words} {along}", to, altered)
    moved = f"Which line moves the values in `{name}`? Print a small example before and after it."
    for axis, size in enumerate(value.shape):
        along = f"along axis {axis}"
        if size > 1:
            first = lambda x, a=axis: x.narrow(a, 0, 1).expand_as(x)
            last = lambda x, a=axis: x.narrow(a, x.shape[a] - 1, 1).expand_as(x)
            one = f"Does your loop or your index run over all of axis {axis} of `{name}`?"
            yield change(
                "one_entry_for_all", f"held its first entry {along} everywhere", first, one
            )
            yield change("one_entry_for_all", f"held its last entry {along} everywhere", last, one)
            yield change(
                "input_moved", f"were reversed {along}", lambda x, a=axis: x.flip(a), moved
            )
            for by, words in ((1, "forward"), (-1, "back")):
                yield change(
                    "input_moved",
                    f"were shifted by one place {words} {along}",
                    lambda x, a=axis, by=by: x.roll(by, a),
                    moved,
                )
            if value.is_floating_point():
                for end, words in ((0, "first"), (-1, "last")):
                    yield change(
                        "entry_left_out",
                        f"were zero at its {words} entry {along}",
                        lambda x, a=axis, end=end: x.index_fill(
                            a, torch.tensor([end % x.shape[a]]), 0
                        ),
                        f"Does your code read all of axis {axis} of `{name}`, from 0 to the end?",
                    )
    for one in range(value.ndim):
        for two in range(one + 1, value.ndim):
            yield change(
                "input_transposed",
                f"had its axes {one} and {two} swapped",
                lambda x, a=one, b=two: x.transpose(a, b),
                moved,
            )
            yield change(
                "input_poured",
                f"had its axes {one} and {two} swapped and were then reshaped to its old shape",
                lambda x, a=one, b=two: x.transpose(a, b).reshape(x.shape),
                f"A reshape keeps the order of values. Which axes of `{name}` should move instead?",
            )


def _sizes_for_a_tensor(name: str, inputs: dict) -> Iterator[Change]:
    """One size, or its root, in place of each number of a tensor with one axis."""
    if inputs[name].ndim != 1 or not inputs[name].is_floating_point():
        return
    for other, value in inputs.items():
        for axis in range(value.ndim if isinstance(value, torch.Tensor) else 0):
            for words, power in (
                ("", 1),
                ("the root of ", 0.5),
                ("1 / the root of ", -0.5),
            ):
                yield Change(
                    "size_for_a_number",
                    f"`{name}` held {words}the size of axis {axis} of `{other}` everywhere",
                    f"Where does your code use `{name}`? What does it use instead?",
                    lambda x, o=other, a=axis, p=power: {
                        name: torch.full_like(x[name], x[o].shape[a] ** p)
                    },
                )


def _modules(name: str, value: ModuleRecipe) -> Iterator[Change]:
    yield Change(
        "part_left_out",
        f"`{name}` passed its input on unchanged",
        f"Where does your code call `{name}`, and what does it do with the result?",
        lambda x: {name: ModuleRecipe("Identity", {}, {})},
    )

    def with_state(recipe: ModuleRecipe, key: str) -> ModuleRecipe:
        return replace(recipe, state={**recipe.state, key: torch.zeros_like(recipe.state[key])})

    for key in value.state:
        yield Change(
            "parameter_not_used",
            f"`{key}` of `{name}` held only zeros",
            f"Does your code use `{key}`, or a part of `{name}` that contains it?",
            lambda x, key=key: {name: with_state(x[name], key)},
        )
