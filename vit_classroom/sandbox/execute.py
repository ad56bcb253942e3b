"""Run a submission's plan in the sandbox, and collect what comes out.

There are three layers: `execute` runs the plan, and runs it again without a cell that ended the
process; `_run_process` is one process with its protocol; `isolation.run` is the sandbox around it.
"""

import json
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..course.plan import CellPart, Plan
from . import init, isolation
from .outputs import sanitize_outputs
from .shared_folder import SharedFolder
from .watcher import Limits

RERUNS = 3
STARTS = 2
MOST_RECORDS = 24 << 20  # bytes
Key = tuple[int, int | None]  # (number of the cell, number of its part or None): CellPart.key


@dataclass(frozen=True)
class Settings:
    """How submissions are run.

    limits: of one run of one submission. cell_seconds: of one cell or check. grace_seconds: in
    which a cell may end itself after its time limit. hidden: folders that must not be seen.
    asked_to_stop: true when grading is being interrupted.
    """

    limits: Limits = field(default_factory=Limits)
    cell_seconds: float = 20.0
    grace_seconds: float = 3.0
    isolated: bool = True
    hidden: tuple[Path, ...] = ()
    asked_to_stop: Callable[[], bool] = lambda: False


@dataclass
class RunResult:
    """What came out of a submission's run.

    observed: bytes for the judge. passed: whether code of the teacher's passed. problems: why a
    cell or a part failed. outputs: by the number of the cell. events: what the learner should know.
    """

    observed: dict[Key, bytes] = field(default_factory=dict)
    passed: dict[Key, bool] = field(default_factory=dict)
    problems: dict[Key, str] = field(default_factory=dict)
    outputs: dict[int, list] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Ended:
    """How one process ended. part: the index of the part that ended it, or None when it did them
    all. reason: why it ended. out_of_time: it used up the time of the whole run."""

    files: dict[str, bytes]
    part: int | None
    reason: str
    out_of_time: bool


class GradingInterruptedError(Exception):
    """Grading was asked to stop."""


class NotStartedError(RuntimeError):
    """The sandbox ended before the first cell, so nothing in it was a learner's doing."""


def execute(plan: Plan, cases: Mapping[str, bytes], settings: Settings) -> RunResult:
    """Run the plan. cases: {check: the file with its cases}.

    When an answer reads a name of a cell that was left out, every cell of the notebook runs, with
    three times the time. Raises NotStartedError when twice no cell was reached.
    """
    result = _run_with_reruns(plan.selected, cases, settings)
    errors = [
        str(output.get("evalue"))
        for outputs in result.outputs.values()
        for output in outputs
        if output["output_type"] == "error"
    ]
    missing = {
        name
        for text in [*result.problems.values(), *errors]
        for name in re.findall(r"name '(\w+)' is not def", text)
    }
    missing &= plan.skipped
    if missing:
        limits = replace(settings.limits, seconds=settings.limits.seconds * 3)
        longer = replace(settings, limits=limits, cell_seconds=settings.cell_seconds * 3)
        result = _run_with_reruns(plan.everything, cases, longer)
        names = ", ".join(sorted(missing)[:5])
        event = f"run with every cell of the lesson, because an answer uses {names}"
        result.events.insert(0, event)
    return result


def _run_with_reruns(
    parts: Sequence[CellPart], cases: Mapping[str, bytes], settings: Settings
) -> RunResult:
    """Run everything but the hidden tests; then, in a fresh process, the cells and hidden tests.

    A part that ends the process is left out and the others run again, at most RERUNS times.
    """
    result = RunResult()
    visible = [part for part in parts if not part.hidden]
    hidden = [part for part in parts if part.hidden]
    for then in ([], hidden) if hidden else ([],):
        first = visible
        if then:
            # A cell that ended the first process is not tried again.
            ended_it = {key for key, why in result.problems.items() if why.startswith("ended: ")}
            cells = [part for part in visible if part.part is None]
            first = [part for part in cells if part.key not in ended_it]
        left_out: set[Key] = set()
        for _ in range(RERUNS + 1):
            now = [part for part in first if part.key not in left_out]
            later = [part for part in then if part.key not in left_out]
            ended = _run_process(now, later, cases, settings)
            _collect(ended.files, now + later, result, hidden_only=bool(then))
            if ended.part is None or ended.part >= len(now + later):
                break
            part = (now + later)[ended.part]
            result.events.append(f"cell {part.cell + 1}: {ended.reason}")
            result.problems.setdefault(part.key, f"ended: {ended.reason}")
            left_out.add(part.key)
            if ended.out_of_time:
                break
    result.events[:] = list(dict.fromkeys(result.events))
    return result


def _run_process(
    parts: list[CellPart], hidden: list[CellPart], cases: Mapping[str, bytes], settings: Settings
) -> _Ended:
    """Run the parts, then the hidden ones, in one process.

    A sandbox that does not start, as when the machine is short of memory for a moment, is tried
    once more. Raises NotStartedError when that fails, too.
    """
    every = parts + hidden
    observed = {f"observed-{i}": part for i, part in enumerate(every) if part.kind == "observe"}
    steps = [_step(part, f"observed-{i}") for i, part in enumerate(every)]
    job = {
        "steps": steps[: len(parts)],
        "cell_seconds": settings.cell_seconds,
        "hidden": bool(hidden),
        "memory": settings.limits.memory,
    }
    files = {f"cases-{part.check}": cases[part.check] for part in observed.values()}
    files["job.json"] = json.dumps(job).encode()
    wanted = {"progress": 100, "records.jsonl": MOST_RECORDS}
    wanted |= dict.fromkeys(observed, settings.limits.file)
    place = init.PLACE if settings.isolated else ".."
    command = [sys.executable, "-m", "vit_classroom.sandbox.worker", place]
    for _ in range(STARTS):
        watch = _watch(json.dumps(steps[len(parts) :]).encode() if hidden else None, settings)
        outcome, found = isolation.run(
            command, files, wanted, settings.limits, watch, settings.hidden, settings.isolated
        )
        if outcome.stopped == "interrupted":
            raise GradingInterruptedError
        progress = found.get("progress", b"").strip()
        if progress:
            break
    reason = outcome.stopped or f"the process ended (exit code {outcome.code})"
    if not progress:
        said = outcome.output.strip()[-300:]
        raise NotStartedError(f"the sandbox did not get as far as the first cell: {reason}. {said}")
    out_of_time = bool(outcome.stopped) and outcome.seconds >= settings.limits.seconds
    if progress == b"done" and not outcome.stopped:
        return _Ended(found, None, "", False)
    if progress.isdigit() and len(progress) < 7:
        return _Ended(found, int(progress), reason, out_of_time)
    # The progress was forged, or written halfway: the last part is taken to have ended it.
    return _Ended(found, len(every) - 1, reason, out_of_time)


def _step(part: CellPart, result: str) -> dict:
    """A part as worker.py reads it. result: the file for what a check observes."""
    if part.kind != "observe":
        return {"kind": "run", "source": part.source}
    return {
        "kind": "observe",
        "check": part.check,
        "expression": part.expression,
        "cases": f"cases-{part.check}",
        "result": result,
    }


def _watch(
    hidden: bytes | None, settings: Settings
) -> Callable[[SharedFolder, SharedFolder], str | None]:
    """What isolation.run calls while the process runs: a reason to stop it, or None.

    It also sends the hidden tests, when the process says that every cell has run.
    """
    last, since, sent = b"", time.monotonic(), hidden is None

    def watch(inbox: SharedFolder, outbox: SharedFolder) -> str | None:
        nonlocal last, since, sent
        if settings.asked_to_stop():
            return "interrupted"
        progress, now = outbox.read("progress", 100), time.monotonic()
        if progress != last:
            last, since = progress, now
        if not sent and (progress or b"").startswith(b"hidden"):
            inbox.write("hidden.json", hidden)
            sent = True
        if progress and now - since > settings.cell_seconds + settings.grace_seconds:
            seconds = f"{settings.cell_seconds:.0f} s"
            return f"time limit: it ran for {seconds} and could not be interrupted"
        return None

    return watch


def _collect(
    files: Mapping[str, bytes], parts: Sequence[CellPart], result: RunResult, hidden_only: bool
) -> None:
    """Sort what one process left by its parts. It may be forged, so only its form is trusted.

    hidden_only: what the other parts gave is known already, from a process without hidden tests.
    """
    for i, part in enumerate(parts):
        if f"observed-{i}" in files and (part.hidden or not hidden_only):
            result.observed[part.key] = files[f"observed-{i}"]
    for line in files.get("records.jsonl", b"").split(b"\n"):
        try:
            record = json.loads(line)
            number, passed = record["step"], record["passed"] is True
            part = parts[number] if 0 <= number < len(parts) else None
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
        if part is None or (hidden_only and not part.hidden):
            continue
        result.passed[part.key] = passed
        if part.hidden:
            continue
        problem = record.get("problem")
        if isinstance(problem, str):
            result.problems[part.key] = problem[:600]
            if limit := _limit(problem):
                result.events.append(f"cell {part.cell + 1}: {limit}")
        result.outputs[part.cell] = sanitize_outputs(record.get("outputs"))


def _limit(problem: str) -> str | None:
    """The limit that a problem comes from, for the list of events, or None."""
    if problem.startswith("time limit"):
        return problem
    if re.match(r"MemoryError|(RuntimeError|OSError): .*(alloc|memory)", problem):
        return f"memory limit ({problem[:80]})"
    return None
