"""What a check does for the person in front of it: signs of work, and the prints of one case."""

import contextlib
import io
import os
import sys
from collections.abc import Callable

from tqdm import tqdm

from .case import Case, Observation

SECONDS = 5.0  # without a sign; a bar that comes sooner would flicker on most checks


def learner_at_work() -> bool:
    """A notebook in Jupyter or Colab, and no grader runs it (nbgrader says so in a variable)."""
    if "IPython" not in sys.modules or "NBGRADER_EXECUTION" in os.environ:
        return False
    shell = type(sys.modules["IPython"].get_ipython())
    return any(kind.__name__ == "ZMQInteractiveShell" for kind in shell.__mro__)


def sign_of_work(name: str, steps: int) -> tqdm:
    """A bar on stderr, where somebody can see it, once the work takes longer than SECONDS."""
    return tqdm(
        total=steps,
        desc=name,
        delay=SECONDS,
        leave=False,
        ncols=88,
        bar_format="{desc}: case {n_fmt} of {total_fmt} |{bar}|",
        file=sys.stderr,
        disable=not (sys.stderr.isatty() or "ipykernel" in sys.modules),
    )


def observe_quietly(
    observe_one: Callable[[Case], Observation], cases: list[Case], bar: tqdm
) -> tuple[list[Observation], list[str]]:
    """What each case gives, and what it printed. The first one prints as it runs: it can stop in a
    debugger."""
    observations, printed = [], []
    for i, case in enumerate(cases):
        kept = io.StringIO()
        with contextlib.redirect_stdout(kept) if i else contextlib.nullcontext():
            observations.append(observe_one(case))
        printed.append(kept.getvalue())
        bar.update()
    return observations, printed
