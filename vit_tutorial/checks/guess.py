"""Answer a prediction: the learner wrote a guess down before the cell ran, and one line says how it turned out."""

import ast
import contextlib
import math
from collections.abc import Mapping


def check_guess(guess, seen, tolerance: float | None = None) -> None:
    """Print how a guess compares with what was seen. Never raises, returns nothing: a wrong prediction is no mistake.

    guess, seen: numbers, truth values, strings (upper and lower case alike), shapes (tuples, lists, torch.Size), tensors with one
    value, or dicts of these (one line a key). tolerance: how far off, relative to what was seen, still counts as right;
    0 for whole numbers and 0.05 for others unless given.
    """
    if isinstance(seen, Mapping):
        given = guess if isinstance(guess, Mapping) else {}
        width = max((len(str(key)) for key in seen), default=0)
        for key, value in seen.items():
            print(f"{key!s:{width}}  {answer(given.get(key), value, tolerance)}")
    else:
        print(answer(guess, seen, tolerance))


def answer(guess, seen, tolerance: float | None = None) -> str:
    """The line for one guess."""
    guess, seen = plain(guess), plain(seen)
    if isinstance(guess, str) and not isinstance(
        seen, str
    ):  # "True" or "(4, 16)" in quotes is meant as what it says
        with contextlib.suppress(ValueError, SyntaxError):
            guess = plain(ast.literal_eval(guess))
    if empty(guess):
        return f"no guess recorded; it is {show(seen)}"
    if agrees(guess, seen, tolerance):
        # Within the tolerance is right; the exact value is still worth reading.
        return f"your guess {show(guess)}: right" + (
            "" if show(guess) == show(seen) else f" (it is {show(seen)})"
        )
    return f"your guess {show(guess)}; it is {show(seen)}"


def plain(value):
    """Tensors and arrays become numbers or tuples, shapes and lists become tuples."""
    if isinstance(value, (list, tuple)):
        return tuple(plain(part) for part in value)
    return plain(value.tolist()) if hasattr(value, "tolist") else value


def empty(guess) -> bool:
    """No guess was recorded: None, Ellipsis, or a row of them."""
    return (
        guess is None
        or guess is Ellipsis
        or (isinstance(guess, tuple) and len(guess) > 0 and all(empty(part) for part in guess))
    )


def agrees(guess, seen, tolerance: float | None) -> bool:
    if isinstance(seen, tuple):
        return (
            isinstance(guess, tuple)
            and len(guess) == len(seen)
            and all(agrees(g, s, tolerance) for g, s in zip(guess, seen))
        )
    if isinstance(seen, bool) or isinstance(guess, bool):
        return guess is seen
    if isinstance(seen, (int, float)) and isinstance(guess, (int, float)):
        if tolerance is None:
            tolerance = 0 if isinstance(seen, int) else 0.05
        try:
            return guess == seen or math.isclose(
                guess, seen, rel_tol=tolerance, abs_tol=1e-12 if tolerance else 0
            )
        except OverflowError:  # a whole number beyond the largest float
            return False
    return str(guess).strip().casefold() == str(seen).strip().casefold()


def show(value) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, tuple):
        return (
            "(" + ", ".join(show(part) for part in value) + ("," if len(value) == 1 else "") + ")"
        )
    return (
        f"{value:,}"
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 9999
        else str(value)
    )
