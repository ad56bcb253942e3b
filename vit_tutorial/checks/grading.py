"""The same checks in two processes: a learner's function is observed in a sandbox and judged outside."""

from collections.abc import Callable
from pathlib import Path

from . import files
from .catalogue import get
from .failure import Verdict


def write_cases(name: str, seed: int, path: Path) -> None:
    """Write the cases of the check called `name` for a seed that the learner does not know."""
    files.save_cases(path, get(name).draw(seed))


def observe_file(name: str, fn: Callable, cases_path: Path, result_path: Path) -> None:
    """Call fn on the cases and write down what came back. This is all that runs beside untrusted code."""
    files.observe_file(get(name), fn, cases_path, result_path)


def judge_file(name: str, seed: int, result_path: Path) -> Verdict:
    """The verdict on what observe_file wrote, for the same name and seed. A bad file is a failed check, never an error."""
    return files.judge_file(get(name), seed, result_path)
