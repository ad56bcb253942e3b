"""checks.summary(): which exercises are done, in this session and in those before."""

import functools
import json
from pathlib import Path

from ..common.files import write_text

FILE = "vit_tutorial_passed.json"  # in the folder of the notebook


@functools.cache
def passed_here() -> set[str]:
    """The names of the checks that passed in this session. A set for the life of the process: a
    check that passes adds its name, and nothing is written before `summary` is called."""
    return set()


def summary(lessons: dict[str, tuple[str, ...]], path: str | Path | None = None) -> None:
    """Print what has passed and what is left, lesson by lesson, and keep it for the next session.

    lessons: {lesson: names of its checks}. path: of the file; FILE beside the notebook if None.
    What other notebooks wrote into the file stays in it. A file that cannot be read is left as it
    is, and a folder that cannot be written to is no error: both are said.
    """
    path = Path.cwd() / FILE if path is None else Path(path)
    known = {name for names in lessons.values() for name in names}
    before, trouble = _read(path)
    passed = (before | passed_here()) & known
    for lesson, names in lessons.items():
        left = [name for name in names if name not in passed]
        done = len(names) - len(left)
        todo = f"   left: {', '.join(left)}" if left else ""
        print(f"lesson {lesson}   {done} of {len(names)} passed{todo}")
    print(f"together    {len(passed)} of {len(known)} passed")
    if not trouble and passed - before:
        try:
            write_text(path, json.dumps({"passed": sorted(before | passed)}, indent=1) + "\n")
        except OSError as error:
            trouble = f"{path} cannot be written ({error.strerror or error}): not kept."
    if trouble:
        print(trouble)


def _read(path: Path) -> tuple[set[str], str]:
    """(names in the file, what is wrong with it)."""
    try:
        names = json.loads(path.read_text(encoding="utf-8"))["passed"]
    except FileNotFoundError:
        return set(), ""
    except OSError as error:
        return set(), f"{path} cannot be read ({error.strerror or error}): not kept."
    except (ValueError, KeyError, TypeError, RecursionError):
        names = None
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return set(names), ""
    return (
        set(),
        f"{path} holds no list of checks: left as it is. Delete it to start anew.",
    )
