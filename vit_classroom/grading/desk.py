"""The sandboxes of one grading, and what is asked of them. What comes back is taken with bounds."""

import ast
import json
import os
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..course import plan
from ..sandbox.execute import MachineShortError, RawResult, Settings
from ..sandbox.isolation import Sandbox
from ..sandbox.package import own_solutions
from ..sandbox.watcher import Limits, Outcome
from ..sandbox.zygote import join

# Of one child that reads. cpu: seconds of computing, which a busy machine does not shorten.
READING = Limits(seconds=120, cpu=5, memory=1 << 30, processes=2, file=64 << 20, reply=64 << 20)
JUDGING = Limits(seconds=240, cpu=60, memory=3 << 30, processes=8, file=64 << 20, reply=64 << 20)
_CHECK = re.compile(r"\bcheck_\w+")
MOST_ANSWER = 32 << 20  # bytes of JSON


class NotReadError(Exception):
    """A learner's file, or what came out of its run, could not be read. The message says why, in
    our words."""


class Desk:
    """Used by several threads. Close it."""

    def __init__(self, course: Path, assignments: list[str], settings: Settings):
        self.settings, self.run = settings, None
        texts = {
            name: [
                (course / kind / name / f"{name}.ipynb").read_text(encoding="utf-8")
                for kind in ("source", "release")
            ]
            for name in assignments
        }
        config = {"secret": secrets.randbelow(2**62), "assignments": texts}
        common = {"isolated": settings.isolated, "hidden": settings.hidden}
        self.judge = Sandbox("judge", json.dumps(config).encode(), **common)
        try:
            needed = _needed(texts) | {"own": own_solutions()}
            self.run = Sandbox("run", json.dumps(needed).encode(), **common)
            for each in (self.judge, self.run):  # both start at one time
                each.ready()
        except BaseException:
            self.close()
            raise
        self.cases: dict[str, bytes] = {}
        self.lock = threading.Lock()

    def close(self) -> None:
        for each in (self.judge, self.run):
            if each is not None:
                each.close()

    def cases_of(self, check: str) -> bytes:
        """The cases of a check, the same for every submission."""
        with self.lock:
            if check not in self.cases:
                _, self.cases[check] = self._ask({"do": "cases", "check": check}, JUDGING)
            return self.cases[check]

    def plan(self, assignment: str, file: Path) -> tuple[dict, plan.Plan | None, bytes]:
        """What a handed-in file holds: {"repairs", "reason"}, the plan to run it (without its
        notebook), and all that as bytes for `assess`. Raises NotReadError."""
        with _opened(file) as descriptor:
            asked = {"do": "plan", "assignment": assignment}
            _, data = self._ask(asked, READING, file=descriptor)
        made = _json(data)
        return made, plan.plan_from_json(made["plan"]) if "plan" in made else None, data

    def assess(
        self, assignment: str, made: bytes, raw: RawResult, everything: bool
    ) -> tuple[dict, bytes]:
        """({"exercises", "events", "repairs"}, the graded notebook as JSON); or ({"missing"}, b""),
        the names for which everything has to run. Raises NotReadError."""
        blobs = [
            (list(key), kind, data)
            for kind in ("observed", "records")
            for key, data in getattr(raw, kind).items()
        ]
        asked = {
            "do": "assess",
            "assignment": assignment,
            "everything": everything,
            "cell_seconds": self.settings.cell_seconds * (3 if everything else 1),
            "ended": [[list(key), why] for key, why in raw.ended.items()],
            "keys": [key for key, _, _ in blobs],
            "kinds": [kind for _, kind, _ in blobs],
        }
        notebook, data = self._ask(asked, JUDGING, [made, *(data for _, _, data in blobs)])
        return _json(data), notebook

    def _ask(
        self, asked: dict, limits: Limits, parts: list[bytes] = (), file: int | None = None
    ) -> tuple[bytes, bytes]:
        """Returns the frames "n" and "v"."""
        found: dict[bytes, bytes] = {}

        def on_frame(kind: bytes, number: int, data: bytes) -> None:
            found[kind] = data

        job = join([json.dumps(asked).encode(), *parts])
        for _ in range(3):
            found.clear()
            outcome = self.judge.run(job, limits, on_frame, file=file)
            if not outcome.machine:
                break
        else:
            raise MachineShortError(outcome.stopped)
        if b"x" in found:
            raise ValueError(found[b"x"].decode("utf-8", "replace")[:400])
        if b"v" not in found or outcome.code != 0:
            raise NotReadError(_why(outcome, limits))
        return found.get(b"n", b""), found[b"v"]


def _why(outcome: Outcome, limits: Limits) -> str:
    if outcome.code == 128 + 24 or (outcome.code == 128 + 9 and limits.cpu):  # SIGXCPU, SIGKILL
        return f"it takes more than {limits.cpu} s"
    return outcome.stopped or f"that ended with code {outcome.code}"


def _needed(texts: dict[str, list[str]]) -> dict[str, list[str]]:
    """What the course's own lessons use, which the sandbox loads beforehand: what may be the name
    of a check, and the modules that their cells import."""
    found, modules = set(), set()
    for source, _ in texts.values():
        found |= set(_CHECK.findall(source))
        for cell in json.loads(source)["cells"]:
            modules |= _imports("".join(cell["source"])) if cell["cell_type"] == "code" else set()
    return {"checks": sorted(found), "modules": sorted(modules)}


def _imports(source: str) -> set[str]:
    """The modules that a cell of the course imports. A name imported from one may be a module."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError):
        return set()
    found = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


def _json(data: bytes) -> dict:
    if len(data) > MOST_ANSWER:
        raise NotReadError(f"it becomes more than {MOST_ANSWER >> 20} MB")
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise NotReadError("what came out of it is not in form") from None


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
