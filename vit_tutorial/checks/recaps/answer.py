"""One question of a recap: its right answer, and how a reader's answer compares with it."""

import ast
import contextlib
import dataclasses
import re

from ..engine.guess import Room, agrees


@dataclasses.dataclass(frozen=True)
class Answer:
    """What is right, and why.

    right: a letter ("b") or a number. Whole numbers must be met exactly, others within 5 %.
    why: one sentence with the reason, printed once the answer is right.
    see: where a reader finds it again, such as "section 2.4"; printed when the answer is wrong.
    """

    right: str | int | float
    why: str
    see: str = ""

    def is_right(self, given) -> bool:
        """Whether `given` says the right thing: "B", "b)" and " b " are all b; "65" is 65."""
        if isinstance(self.right, str):
            return isinstance(given, str) and _letter(given) == self.right.casefold()
        return any(agrees(number, self.right, Room(None)) for number in _numbers(given))

    def reply(self, given) -> str:
        """What a teacher says to this answer. The right one is named only when asked for: "?"."""
        if given == "?":
            return f"it is {self.right}. {self.why}"
        if self.is_right(given):
            return f"right. {self.why}"
        where = f"look at {self.see} again" if self.see else "look at the summary again"
        return f"not yet: {where}."


def _letter(text: str) -> str:
    return re.sub(r"[\s().:]", "", text).casefold()


def _numbers(given) -> list:
    """What an answer may mean as a number: "1,000" is 1000, and "50 %" is 50 or 0.5."""
    if not isinstance(given, str):
        return [given]
    text = given.replace(",", "").strip()
    with contextlib.suppress(ValueError, SyntaxError, TypeError):
        value = ast.literal_eval(text.rstrip("% "))
        return [value, value / 100] if text.endswith("%") else [value]
    return []
