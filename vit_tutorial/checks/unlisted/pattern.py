"""A pattern: one relation between what came back and what is right, and the words for it."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..engine.compare import close
from ..engine.mistake import Mistake

MAX_AXES = 5  # of results whose axes are looked at one by one


def seen(name: str | None, explanation: str, hint: str) -> Mistake:
    """A mistake that is told from what came back: no function of the library makes it."""
    return Mistake(name, explanation, hint, buggy=lambda *inputs: None)


@dataclass(frozen=True)
class Pattern:
    """A relation of one tensor to the right one, with the mistake's name and the words for it."""

    name: str
    words: str
    hint: str
    holds: Callable[[torch.Tensor, torch.Tensor], bool]  # (mine, right)
    everywhere: bool = True  # in each case; False: in each case that is wrong
    # (right) -> what it makes of it: where that is nothing, an error is what happens, too
    makes: Callable[[torch.Tensor], torch.Tensor] | None = None

    def mistake(self, of: str = "") -> Mistake:
        """of: the name of the tensor, with a colon, where there are several."""
        return seen(self.name, f"{of}{self.words}", self.hint)


def becomes(to: Callable[[torch.Tensor], torch.Tensor]) -> Callable:
    """The relation "mine is to(right)"."""

    def holds(mine: torch.Tensor, right: torch.Tensor) -> bool:
        made = to(right)
        return made.shape == mine.shape and close(mine, made.to(right.dtype), loose=True)

    return holds
