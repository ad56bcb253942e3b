"""Functions as learners write them, right and wrong.

Their author had not seen the library of mistakes, so they show what the checks are worth: the
library's own wrong functions are named by construction, these are not. Each function is an Entry in
the module of its subject: `known` has one mistake that the library lists, `unknown` one that it
does not list, `two` has two at once, `right` has none.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from vit_tutorial.checks.engine.errors import ERRORS
from vit_tutorial.checks.unlisted import NAMES

MODULES = (
    "patches",
    "tokens",
    "positions",
    "attention",
    "encoder",
    "training",
    "counting",
    "experiments",
    "sequences",
    "machines",
    "statistics",
    "recipe",
    "grids",
    "tables",
    "influence",
    "tutorials",
    "looking",
    "convolutions",
    "transfer",
    "distillation",
    "masked",
    "detection",
    "patterns",
)

# Names that only say what is seen, or what an error means: fair for whatever stands behind them.
FAIR = (
    "patches_mixed",
    "patches_in_another_order",
    "numbers_of_a_patch_in_another_order",
    "patches_and_their_numbers_in_another_order",
    "kernel_in_another_order",
    "mistake_in_the_output",
    "mistake_in_the_weights",
    "strip_axes_in_another_order",
    "other_rows",
    *(mistake.name for mistake in ERRORS),
    *NAMES,
)


@dataclass(frozen=True)
class Entry:
    """One function, and what the check should make of it."""

    check: str
    kind: str  # "known", "unknown", "two" or "right"
    names: tuple[str | None, ...]  # that the check may give; None: no name is fine, too
    fn: Callable

    @property
    def id(self) -> str:
        return f"{self.check.removeprefix('check_')}: {self.fn.__name__}"


def known(check: str, name: str) -> Callable:
    """One mistake, and the library has a name for it."""
    return lambda fn: Entry(check, "known", (name,), fn)


def unknown(check: str, *names: str) -> Callable:
    """A mistake that the library does not list. names: what would still be fair to say about it."""
    return lambda fn: Entry(check, "unknown", (None, *names, *FAIR), fn)


def two(check: str, one: str, other: str) -> Callable:
    """Two known mistakes at once: one of the two names, or none."""
    return lambda fn: Entry(check, "two", (one, other, None, *FAIR), fn)


def right(check: str) -> Callable:
    """Nothing is wrong."""
    return lambda fn: Entry(check, "right", (), fn)


def entries(check: str | None = None, kind: str | None = None) -> list[Entry]:
    """All entries, or those of one check or one kind, in the order of the modules."""
    modules = [importlib.import_module(f".{name}", __name__) for name in MODULES]
    found = [
        value for module in modules for value in vars(module).values() if isinstance(value, Entry)
    ]
    return [entry for entry in found if check in (None, entry.check) and kind in (None, entry.kind)]
