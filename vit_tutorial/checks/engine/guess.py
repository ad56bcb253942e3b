"""Answer a prediction that the learner wrote down before the cell ran."""

import ast
import contextlib
import math
from collections.abc import Mapping


def check_guess(guess, actual, tolerance: float | None = None) -> None:
    """Print how a guess compares with what came out. A wrong guess is no error: nothing is raised.

    guess, actual: numbers, truth values, strings (upper and lower case alike), shapes (tuples,
        lists, torch.Size), tensors with one value, or dicts of these (one line for each key).
    tolerance: how far off, relative to `actual`, still counts as right. 0 for whole numbers and
        0.05 for others unless given.
    """
    if isinstance(actual, Mapping):
        guesses = guess if isinstance(guess, Mapping) else {}
        width = max((len(str(key)) for key in actual), default=0)
        for key, value in actual.items():
            print(f"{key!s:{width}}  {answer(guesses.get(key), value, tolerance)}")
    else:
        print(answer(guess, actual, tolerance))


def answer(guess, actual, tolerance: float | None = None) -> str:
    """The line for one guess. Where none was recorded it holds the answer alone."""
    guess, actual = _to_python(guess), _to_python(actual)
    if isinstance(guess, str) and not isinstance(actual, str):
        # "True" or "(4, 16)" in quotes is meant without them.
        with contextlib.suppress(ValueError, SyntaxError):
            guess = _to_python(ast.literal_eval(guess))
    if _is_empty(guess):
        return f"answer: {_show(actual)}"
    if agrees(guess, actual, tolerance):
        # Within the tolerance is right; the exact value is still worth reading.
        exact = "" if _show(guess) == _show(actual) else f" (it is {_show(actual)})"
        return f"your guess {_show(guess)}: right{exact}"
    return f"your guess {_show(guess)}; it is {_show(actual)}"


def _to_python(value):
    """Tensors and arrays become numbers or tuples, shapes and lists become tuples."""
    if isinstance(value, (list, tuple)):
        return tuple(_to_python(part) for part in value)
    return _to_python(value.tolist()) if hasattr(value, "tolist") else value


def _is_empty(guess) -> bool:
    """No guess was recorded: None, Ellipsis, or a row of them."""
    if isinstance(guess, tuple):
        return len(guess) > 0 and all(_is_empty(part) for part in guess)
    return guess is None or guess is Ellipsis


def agrees(guess, actual, tolerance: float | None) -> bool:
    """Whether the guess is right. tolerance: relative; None for 0 or, for no whole number, 0.05."""
    if isinstance(actual, tuple):
        return (
            isinstance(guess, tuple)
            and len(guess) == len(actual)
            and all(agrees(g, a, tolerance) for g, a in zip(guess, actual))
        )
    if isinstance(actual, bool) or isinstance(guess, bool):
        return guess is actual
    if isinstance(actual, (int, float)) and isinstance(guess, (int, float)):
        if tolerance is None:
            tolerance = 0 if isinstance(actual, int) else 0.05
        try:
            return guess == actual or math.isclose(
                guess, actual, rel_tol=tolerance, abs_tol=1e-12 if tolerance else 0
            )
        except OverflowError:  # a whole number beyond the largest float
            return False
    return str(guess).strip().casefold() == str(actual).strip().casefold()


def _show(value) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, tuple):
        comma = "," if len(value) == 1 else ""
        return f"({', '.join(_show(part) for part in value)}{comma})"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 9999:
        return f"{value:,}"
    return str(value)
