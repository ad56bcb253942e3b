"""Run a submission's plan in the sandbox. What it sends is collected, and not read.

There are two layers: `execute` runs the parts, and runs them again without a part that ended the
process; `_run_once` is one process with its protocol (worker.py). `reading/results.py` reads what
came out, in a limited child.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..course.plan import CellPart
from .isolation import Sandbox
from .watcher import Limits, Outcome
from .zygote import join

RERUNS = 3
STARTS = 2
MOST_RECORD = 2 << 20  # bytes of one record
# What a learner is told of a hidden run that ended early. One sentence, whatever happened, because
# a number in it would carry something out.
HIDDEN_ENDED = "the hidden tests could not be finished"
Key = tuple[int, int | None]  # (number of the cell, number of its part or None): CellPart.key


@dataclass(frozen=True)
class Settings:
    """How submissions are run.

    limits: of one submission, with all its runs together. cell_seconds: of one cell or check.
    grace_seconds: in which a cell may end itself after its time limit. hidden: folders that must
    not be seen. asked_to_stop: true when grading is being interrupted.
    """

    limits: Limits = field(default_factory=Limits)
    cell_seconds: float = 20.0
    grace_seconds: float = 3.0
    isolated: bool = True
    hidden: tuple[Path, ...] = ()
    asked_to_stop: Callable[[], bool] = lambda: False


@dataclass
class RawResult:
    """What one submission sent, as bytes, and what we saw of it.

    observed, records: by part. ended: the parts that ended a process, with the reason in our words.
    """

    observed: dict[Key, bytes] = field(default_factory=dict)
    records: dict[Key, bytes] = field(default_factory=dict)
    ended: dict[Key, str] = field(default_factory=dict)


@dataclass
class RunResult:
    """What came out of a submission's run, as it was read (reading/results.py).

    observed: bytes for the judge. passed: whether code of the teacher's passed. problems: why a
    cell or a part failed. lines: where in its cell, from 1. cut: the cells whose answers were tried
    alone. outputs: by the number of the cell. events: what the learner should know.
    """

    observed: dict[Key, bytes] = field(default_factory=dict)
    passed: dict[Key, bool] = field(default_factory=dict)
    problems: dict[Key, str] = field(default_factory=dict)
    lines: dict[Key, int] = field(default_factory=dict)
    cut: set[int] = field(default_factory=set)
    outputs: dict[int, list] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)


@dataclass
class _Run:
    """One process: what it sent, by the number of the step, and how far it came."""

    outcome: Outcome
    observed: dict[int, bytes] = field(default_factory=dict)
    records: dict[int, bytes] = field(default_factory=dict)
    started: int | None = None
    done: bool = False


class GradingInterruptedError(Exception):
    """Grading was asked to stop."""


class NotStartedError(RuntimeError):
    """The sandbox ended before the first cell, so nothing in it was a learner's doing."""


class MachineShortError(RuntimeError):
    """The machine ran out of memory, so this submission has to run again, alone."""


def execute(
    sandbox: Sandbox,
    parts: Sequence[CellPart],
    cases: Mapping[str, bytes],
    settings: Settings,
    end: float | None = None,
) -> RawResult:
    """Run everything but the hidden tests; then, in a fresh process, the cells and hidden tests.

    A part that ends the process is left out and the others run again, at most RERUNS times. cases:
    {check: bytes}. end: until when, by time.monotonic(); without it, the limit of a submission from
    now on. Raises NotStartedError when twice no cell was reached, MachineShortError.
    """
    end = time.monotonic() + settings.limits.seconds if end is None else end
    result = RawResult()
    visible = [part for part in parts if not part.hidden]
    hidden = [part for part in parts if part.hidden]
    for then in ([], hidden) if hidden else ([],):
        # A cell that ended the first process is not tried again with the hidden tests.
        first = visible
        if then:
            cells = [part for part in visible if part.kind in ("run", "alone")]
            first = [part for part in cells if part.key not in result.ended]
        left_out: set[Key] = set()
        for _ in range(RERUNS + 1):
            now = [part for part in first if part.key not in left_out]
            later = [part for part in then if part.key not in left_out]
            every = now + later
            left = end - time.monotonic()
            if left <= 0 or not (later if then else now):
                break
            run = _run_process(sandbox, now, later, cases, settings, left)
            for number, part in enumerate(every):
                if then and not part.hidden:
                    continue  # known already, from a process without hidden tests
                for found, kept in ((run.observed, result.observed), (run.records, result.records)):
                    if number in found:
                        kept[part.key] = found[number]
            if run.done and not run.outcome.stopped:
                break
            # A number that was forged is taken for the last part.
            at = run.started if run.started < len(every) else len(every) - 1
            part = every[at]
            left_out.add(part.key)
            # What a cell does without the hidden tests has been told already.
            if not then or part.hidden:
                result.ended[part.key] = HIDDEN_ENDED if then else _reason(run.outcome)
        for part in then:
            if part.key not in result.records:  # it was not reached
                result.ended.setdefault(part.key, HIDDEN_ENDED)
    return result


def _reason(outcome: Outcome) -> str:
    return outcome.stopped or f"the process ended (exit code {outcome.code})"


def _run_process(
    sandbox: Sandbox,
    parts: list[CellPart],
    hidden: list[CellPart],
    cases: Mapping[str, bytes],
    settings: Settings,
    seconds: float,
) -> _Run:
    """Run the parts, then the hidden ones, in one process.

    A process that does not start, as when the machine is short of memory for a moment, is tried
    once more.
    """
    for _ in range(STARTS):
        run = _run_once(sandbox, parts, hidden, cases, settings, seconds)
        if run.outcome.stopped == "interrupted":
            raise GradingInterruptedError
        if run.outcome.machine:
            raise MachineShortError(run.outcome.stopped)
        if run.started is not None:
            return run
    raise NotStartedError(
        f"the sandbox did not get as far as the first cell: {_reason(run.outcome)}. "
        f"{run.outcome.printed.strip()[-300:]}"
    )


def _run_once(
    sandbox: Sandbox,
    parts: list[CellPart],
    hidden: list[CellPart],
    cases: Mapping[str, bytes],
    settings: Settings,
    seconds: float,
) -> _Run:
    every = parts + hidden
    names = sorted({part.check for part in every if part.kind == "observe"})
    steps = [_step(part) for part in every]
    plan = {
        "steps": steps[: len(parts)],
        "cell_seconds": settings.cell_seconds,
        "hidden": bool(hidden),
        "memory": settings.limits.memory,
        "cases": names,
    }
    job = join([json.dumps(plan).encode(), *(cases[name] for name in names)])
    run = _Run(None)
    since, sent = time.monotonic(), not hidden

    def on_frame(kind: bytes, number: int, data: bytes) -> bytes | None:
        nonlocal since, sent
        if kind == b"p":
            if number != run.started:
                since = time.monotonic()
            run.started = number
        elif kind == b"o" and number < len(every) and every[number].kind == "observe":
            run.observed[number] = data
        elif kind == b"r" and number < len(every) and len(data) <= MOST_RECORD:
            run.records[number] = data
        elif kind == b"h" and not sent:
            sent = True
            return json.dumps(steps[len(parts) :]).encode()
        elif kind == b"e":
            run.done = True
        return None

    def watch() -> str | None:
        if settings.asked_to_stop():
            return "interrupted"
        longest = settings.cell_seconds + settings.grace_seconds
        if run.started is not None and time.monotonic() - since > longest:
            return (
                f"time limit: it ran for {settings.cell_seconds:.0f} s and could not be interrupted"
            )
        return None

    limits = replace(settings.limits, seconds=seconds)
    run.outcome = sandbox.run(job, limits, on_frame, watch)
    return run


def _step(part: CellPart) -> dict:
    """A part as worker.py reads it."""
    if part.kind == "alone":
        return {"kind": "alone", "names": part.names, "sources": part.alone}
    if part.kind == "observe":
        return {"kind": "observe", "check": part.check, "expression": part.expression}
    return {"kind": "run", "source": part.source}
