"""Answer a prediction that the learner wrote down before the cell ran."""

import ast
import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

SLACK = 0.05  # of a share from 0 to 1: this far off is right, too
YES, NO = ("true", "yes", "y", "t"), ("false", "no", "n", "f")
_NUMBER = r"[-+]?(?:\d[\d_]*\.?\d*|\.\d+)(?:e[-+]?\d+)?"
_AROUND = re.compile(r"^(?:~|≈|about|around|roughly|circa|ca\.?|approx\.?)\s*")


@dataclass(frozen=True)
class Room:
    """How far off still counts as right."""

    tolerance: float | None = None  # relative to what came out; None for the usual
    factor: float | None = None  # so many times too large or too small

    def relative(self, actual) -> float:
        if self.tolerance is not None:
            return self.tolerance
        return 0 if isinstance(actual, int) else 0.05

    def slack(self, guess, actual) -> float:
        """Off by this much is right for a share. Less near 0, where 0.05 is a wild guess."""
        exact = self.relative(actual) == 0 or isinstance(actual, int)
        if exact or not (0 <= guess <= 1 and 0 <= actual <= 1):
            return 0
        return SLACK if actual >= 2 * SLACK else actual / 2

    def words(self, guess, actual) -> str:
        """What counts as right here, for a guess that came near; empty where nothing is to say."""
        if self.factor:
            return f"up to {_show(float(self.factor))} times too large or too small counts as right"
        relative = self.relative(actual)
        if not relative:
            return ""
        slack = self.slack(guess, actual)
        # A share's slack is said where it is the wider of the two.
        if slack > relative * abs(actual):
            return f"within {_show(float(slack))} of it counts as right"
        return f"within {100 * relative:.3g} % of it counts as right"


def check_guess(guess, actual, tolerance: float | None = None, factor: float | None = None) -> None:
    """Print how a guess compares with what came out. A wrong guess is no error: nothing is raised.

    guess, actual: numbers, truth values, strings (upper and lower case alike), shapes (tuples,
        lists, torch.Size), tensors with one value, or dicts of these (one line for each key). A
        guess may be written as people write: "78 %" for 0.78, "yes" or 1 for True, a list in the
        order of a dict's keys.
    tolerance: how far off, relative to `actual`, still counts as right. 0 for whole numbers and
        0.05 for others unless given. Between 0 and 1, a guess within 0.05 of `actual` is right as
        well, unless the tolerance is 0.
    factor: in place of a tolerance, how many times too large or too small is still right; 10**0.5
        where the right power of ten will do.
    """
    room = Room(tolerance, factor)
    if not isinstance(actual, Mapping):
        print(answer(guess, actual, room))
        return
    guesses, complaint = _by_key(guess, list(actual))
    width = max((len(str(key)) for key in actual), default=0)
    for key, value in actual.items():
        print(f"{key!s:{width}}  {answer(guesses.get(key), value, room)}")
    if complaint:
        print(complaint)


def _by_key(guess, keys: list) -> tuple[dict, str]:
    """The guesses by key, and a line about a guess that could not be read as one for each key."""
    read = _literal(_to_python(guess))
    if isinstance(read, Mapping):
        plain = {_plain(key): value for key, value in read.items()}
        found = {key: read[key] if key in read else plain.get(_plain(key)) for key in keys}
        strange = [key for key in plain if key not in map(_plain, keys)]
        text = f"no such key: {', '.join(strange)}; " if strange else ""
        return found, f"({text}the keys are {_listed(keys)})" if strange else ""
    if _is_empty(read):
        return {}, ""
    if isinstance(read, tuple) and len(read) == len(keys):
        return dict(zip(keys, read)), ""
    if len(keys) == 1:
        return {keys[0]: read}, ""
    return {}, (
        f"(your guess {_show(read)} is not one for each of these: write one value for "
        f"{_listed(keys)})"
    )


def answer(guess, actual, room: Room | float | None = None) -> str:
    """The line for one guess. Where none was recorded it holds the answer alone."""
    room = room if isinstance(room, Room) else Room(room)
    guess, actual = _to_python(guess), _to_python(actual)
    if _is_empty(guess):
        return f"answer: {_show(actual)}"
    read = _read_as(guess, actual)
    if agrees(read, actual, room):
        # Within the tolerance is right; the exact value is still worth reading.
        same = isinstance(actual, str) or _show(read) == _show(actual)
        exact = "" if same else f" (it is {_show(actual)})"
        return f"your guess {_show(guess if _is_percent(guess) else read)}: right{exact}"
    is_ = "the answer:" if isinstance(actual, str) else "it is"
    about = _about(read, actual, room)
    return f"your guess {_show(read)}; {is_} {_show(actual)}{f' ({about})' if about else ''}"


def agrees(guess, actual, room: Room) -> bool:
    """Whether the guess, read as what came out, is right."""
    if isinstance(actual, tuple):
        return (
            isinstance(guess, tuple)
            and len(guess) == len(actual)
            and all(agrees(g, a, room) for g, a in zip(guess, actual))
        )
    if isinstance(actual, bool):
        return _truth(guess) is actual
    if isinstance(guess, bool):
        return isinstance(actual, str) and _truth(actual) is guess
    if _is_number(actual) and _is_number(guess):
        try:
            if guess == actual or (_is_float(actual) and _show(float(guess)) == _show(actual)):
                return True
            off = abs(guess - actual)
            if room.factor:
                larger, smaller = max(guess, actual), min(guess, actual)
                return smaller > 0 and larger <= smaller * room.factor * (1 + 1e-9)
            allowed = max(room.relative(actual) * abs(actual), room.slack(guess, actual))
            return off <= allowed * (1 + 1e-9)
        except OverflowError:  # a whole number beyond the largest float
            return False
    return _plain(guess) == _plain(actual)


def _about(guess, actual, room: Room) -> str:
    """What helps whoever was near: the scale that was asked for, or how near counts as right."""
    if not (_is_number(guess) and _is_number(actual)) or isinstance(actual, bool):
        return ""
    if _is_float(actual) and 0 <= actual <= 1 and 2 <= guess <= 100:
        share = guess / 100
        if agrees(share, actual, room) or abs(share - actual) < 0.25:
            right = "right in percent, but " if agrees(share, actual, room) else ""
            return f"{right}a number from 0 to 1 was asked for: {_show(guess)} % is {share:.3g}"
    if 1 < actual <= 100 and 0 < guess < 1 and agrees(100 * guess, actual, room):
        return f"right as a share: {_show(guess)} is {_show(100 * guess)} %"
    try:
        off = abs(guess - actual)
        near = 4 * max(room.relative(actual) * abs(actual), room.slack(guess, actual))
        if room.factor and guess > 0 and actual > 0:
            near = off if max(guess / actual, actual / guess) <= room.factor**2 else 0
    except OverflowError:
        return ""
    return room.words(guess, actual) if off <= near else ""


def _read_as(guess, actual):
    """A guess in quotes, in percent or in words, as the kind of thing that came out."""
    if isinstance(actual, str):
        return guess
    if isinstance(actual, tuple):
        guess = _literal(guess)
        if isinstance(guess, tuple) and len(guess) == len(actual):
            return tuple(_read_as(g, a) for g, a in zip(guess, actual))
        return guess
    if not isinstance(guess, str):
        return guess
    if isinstance(actual, bool):
        truth = _truth(guess)
        return _literal(guess) if truth is None else truth
    number = _number_in(guess, actual)
    return _literal(guess) if number is None else number


def _number_in(text: str, actual) -> float | int | None:
    """The number in "about 80 %", "1,000", "2**10", "3/4", "49 patches"; None where there is none.

    Of a number in percent the share, where a share came out.
    """
    text = _AROUND.sub("", text.strip().casefold())
    percent = re.search(r"\s*(?:%|per ?cent)$", text)
    if percent:
        text = text[: percent.start()]
    if re.fullmatch(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?", text):
        text = text.replace(",", "")
    elif re.fullmatch(r"[-+]?\d+,\d+", text) and _is_number(actual):
        text = text.replace(",", ".")
    pair = re.fullmatch(rf"({_NUMBER})\s*(/|\*\*|\^)\s*({_NUMBER})", text)
    alone = re.fullmatch(rf"({_NUMBER})", text) or re.fullmatch(rf"({_NUMBER})\s*[^\W\d]\D*", text)
    if alone:
        value = float(alone[1])
        value = int(alone[1]) if re.fullmatch(r"[-+]?[\d_]+", alone[1]) else value
    elif pair:
        one, two = float(pair[1]), float(pair[3])
        try:
            value = one / two if pair[2] == "/" else one**two
        except (ZeroDivisionError, OverflowError):
            return None
        value = int(value) if pair[2] != "/" and value == int(value) else value
    else:
        return None
    return value / 100 if percent and _is_number(actual) and 0 <= actual <= 1 else value


def _truth(value) -> bool | None:
    """True for True, 1, "yes", "T"; None for what is no truth value."""
    if isinstance(value, bool) or (_is_number(value) and value in (0, 1)):
        return bool(value)
    word = _plain(value)
    return True if word in (*YES, "1") else False if word in (*NO, "0") else None


def _literal(guess):
    """ "True" or "(4, 16)" in quotes is meant without them."""
    if isinstance(guess, str):
        with contextlib.suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            return _to_python(ast.literal_eval(guess.strip()))
        parts = guess.strip().strip("()[]").split(",")
        if len(parts) > 1:
            return tuple(_literal(part.strip()) for part in parts)
    return guess


def _plain(value) -> str:
    """Text without what makes no difference: case, quotes, hyphens, a full stop at the end."""
    return re.sub(r"[\s_-]+", " ", str(value)).strip(" .,!?'\"").casefold()


def _listed(keys: list) -> str:
    names = [str(key) for key in keys]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_float(value) -> bool:
    return isinstance(value, float)


def _is_percent(guess) -> bool:
    return isinstance(guess, str) and guess.strip().endswith("%")


def _to_python(value):
    """Tensors and arrays become numbers or tuples, shapes and lists become tuples."""
    if isinstance(value, (list, tuple)):
        return tuple(_to_python(part) for part in value)
    return _to_python(value.tolist()) if hasattr(value, "tolist") else value


def _is_empty(guess) -> bool:
    """No guess was recorded: None, Ellipsis, an empty text, or a row of them."""
    if isinstance(guess, tuple):
        return len(guess) > 0 and all(_is_empty(part) for part in guess)
    return guess is None or guess is Ellipsis or (isinstance(guess, str) and not guess.strip())


def _show(value) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, tuple):
        comma = "," if len(value) == 1 else ""
        return f"({', '.join(_show(part) for part in value)}{comma})"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 9999:
        return f"{value:,}"
    return str(value)
