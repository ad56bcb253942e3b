"""Run a submission's plan in the sandbox, once more without a cell that ended it, and collect what came out."""

import base64
import binascii
import json
import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..course.plan import Plan, Step
from . import init, isolation

RERUNS = 3
MOST_RECORDS = 24 << 20
STARTS = 2
GRACE = 3.0  # seconds in which a cell may end itself after its time limit
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Settings:
    """How submissions are run. limits: of one run of one submission. cell_seconds: of one cell or check. hidden: what must not be
    seen. asked_to_stop: true when grading is being interrupted."""

    limits: isolation.Limits = field(default_factory=isolation.Limits)
    cell_seconds: float = 20.0
    isolated: bool = True
    hidden: tuple[Path, ...] = ()
    asked_to_stop: Callable[[], bool] = lambda: False


@dataclass
class Seen:
    """What came out. Keys are (cell, piece). observed: bytes for the judge. passed: of code judged inside. problems: why a piece
    or cell failed. outputs: by cell."""

    observed: dict[tuple, bytes] = field(default_factory=dict)
    passed: dict[tuple, bool] = field(default_factory=dict)
    problems: dict[tuple, str] = field(default_factory=dict)
    outputs: dict[int, list] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)


class GradingInterruptedError(Exception):
    """Grading was asked to stop."""


class NotStartedError(RuntimeError):
    """The sandbox ended before the first cell, so nothing in it was a learner's doing."""


def attempt(plan: Plan, cases: Mapping[str, bytes], settings: Settings) -> Seen:
    """Run the plan; cases: {check: the file with its cases}. Raises NotStartedError when no cell was reached, twice."""
    seen = _attempt(plan.steps, cases, settings)
    missing = {
        name
        for text in [*seen.problems.values(), *_errors(seen)]
        for name in re.findall(r"name '(\w+)' is not def", text)
    }
    missing &= plan.skipped
    if missing:
        limits = replace(settings.limits, seconds=settings.limits.seconds * 3)
        longer = replace(settings, limits=limits, cell_seconds=settings.cell_seconds * 3)
        seen = _attempt(plan.everything, cases, longer)
        seen.events.insert(
            0,
            f"run with every cell of the lesson, because an answer uses {', '.join(sorted(missing)[:5])}",
        )
    return seen


def _attempt(steps: list[Step], cases: Mapping[str, bytes], settings: Settings) -> Seen:
    seen = Seen()
    shown = [step for step in steps if not step.hidden]
    _with_reruns(shown, [], cases, settings, seen)
    hidden = [step for step in steps if step.hidden]
    if hidden:
        skip = {
            key
            for key in seen.problems
            if key[1] is None and seen.problems[key].startswith("ended: ")
        }
        cells = [step for step in steps if step.piece is None and step.key not in skip]
        _with_reruns(cells, hidden, cases, settings, Seen(events=seen.events), into=seen)
    seen.events[:] = list(dict.fromkeys(seen.events))
    return seen


def _with_reruns(steps, hidden, cases, settings, seen: Seen, into: Seen | None = None) -> None:
    """Run, and again without the step that ended the process, at most RERUNS times."""
    left = set()
    for _ in range(RERUNS + 1):
        now = [step for step in steps if step.key not in left]
        later = [step for step in hidden if step.key not in left]
        outcome, files, at, reason = _started(now, later, cases, settings)
        _take(files, now, later, seen, into)
        if at is None:
            break
        step = (now + later)[at] if at < len(now) + len(later) else None
        if step is None:
            break
        seen.events.append(f"cell {step.cell + 1}: {reason}")
        (into or seen).problems.setdefault(step.key, f"ended: {reason}")
        left.add(step.key)
        if outcome.stopped and outcome.seconds >= settings.limits.seconds:
            break


def _started(steps, hidden, cases, settings: Settings):
    """What `_once` returns. A sandbox that does not start, as when the machine is out of memory for a moment, is tried again."""
    for left in reversed(range(STARTS)):
        try:
            return _once(steps, hidden, cases, settings)
        except NotStartedError:
            if not left:
                raise


def _once(steps, hidden, cases, settings: Settings):
    """One process. Returns (outcome, files, number of the step that ended it or None, the reason)."""
    results = {
        f"observed-{i}": step for i, step in enumerate(steps + hidden) if step.kind == "observe"
    }
    names = {step.key: name for name, step in results.items()}

    def described(step: Step) -> dict:
        if step.kind != "observe":
            return {"kind": "run", "source": step.source}
        case = f"cases-{step.check}"
        return {
            "kind": "observe",
            "check": step.check,
            "expression": step.expression,
            "cases": case,
            "result": names[step.key],
        }

    job = {
        "steps": [described(step) for step in steps],
        "cell_seconds": settings.cell_seconds,
        "hidden": bool(hidden),
    }
    job["memory"] = settings.limits.memory
    files = {f"cases-{step.check}": cases[step.check] for step in results.values()} | {
        "job.json": json.dumps(job).encode()
    }
    state = {"progress": b"", "since": time.monotonic(), "sent": False}

    def watch(inbox, outbox) -> str | None:
        if settings.asked_to_stop():
            return "interrupted"
        progress = outbox.read("progress", 100)
        now = time.monotonic()
        if progress != state["progress"]:
            state.update(progress=progress, since=now)
        if hidden and not state["sent"] and (progress or b"").startswith(b"hidden"):
            inbox.write("hidden.json", json.dumps([described(step) for step in hidden]).encode())
            state["sent"] = True
        if progress and now - state["since"] > settings.cell_seconds + GRACE:
            return (
                f"time limit: it ran for {settings.cell_seconds:.0f} s and could not be interrupted"
            )
        return None

    wanted = {"progress": 100, "records.jsonl": MOST_RECORDS} | dict.fromkeys(
        results, settings.limits.file
    )
    place = init.PLACE if settings.isolated else ".."
    command = [sys.executable, "-m", "vit_classroom.sandbox.worker", place]
    outcome, found = isolation.run(
        command, files, wanted, settings.limits, watch, settings.hidden, settings.isolated
    )
    if outcome.stopped == "interrupted":
        raise GradingInterruptedError
    progress = found.get("progress", b"").strip()
    reason = outcome.stopped or f"the process ended (exit code {outcome.code})"
    if progress == b"done" and not outcome.stopped:
        return outcome, found, None, ""
    if progress.isdigit() and len(progress) < 7:
        return outcome, found, int(progress), reason
    if not progress:
        raise NotStartedError(
            f"the sandbox did not get as far as the first cell: {reason}. {outcome.output.strip()[-300:]}"
        )
    return (
        outcome,
        found,
        len(steps) + len(hidden) - 1,
        reason,
    )  # forged or torn: blame the last step


def _take(files: Mapping[str, bytes], steps, hidden, seen: Seen, into: Seen | None) -> None:
    """Sort what one process left by step. Everything in it may be forged: only the form is believed."""
    target = into or seen
    every = list(steps) + list(hidden)
    for i, step in enumerate(every):
        if f"observed-{i}" in files and (into is None or step.hidden):
            target.observed[step.key] = files[f"observed-{i}"]
    for line in files.get("records.jsonl", b"").split(b"\n"):
        try:
            record = json.loads(line)
            number, passed = record["step"], record["passed"] is True
            step = every[number] if 0 <= number < len(every) else None
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
        if step is None or (into is not None and not step.hidden):
            continue
        target.passed[step.key] = passed
        if step.hidden:
            continue
        problem = record.get("problem")
        if isinstance(problem, str):
            target.problems[step.key] = problem[:600]
            if problem.startswith("time limit") or re.match(
                r"MemoryError|(RuntimeError|OSError): .*(alloc|memory)", problem
            ):
                kind = (
                    problem
                    if problem.startswith("time limit")
                    else f"memory limit ({problem[:80]})"
                )
                target.events.append(f"cell {step.cell + 1}: {kind}")
        target.outputs[step.cell] = clean(record.get("outputs"))


def clean(outputs) -> list[dict]:
    """Outputs in form: streams, errors, plain text and png, and nothing that a browser would run."""
    kept = []
    for each in outputs[:60] if isinstance(outputs, list) else []:
        kind = each.get("output_type") if isinstance(each, dict) else None
        if kind == "stream" and each.get("name") in ("stdout", "stderr"):
            kept.append(
                {"output_type": "stream", "name": each["name"], "text": _text(each.get("text"))}
            )
        elif kind == "error":
            trace = each.get("traceback") if isinstance(each.get("traceback"), list) else []
            kept.append(
                {
                    "output_type": "error",
                    "ename": _text(each.get("ename"), 200),
                    "evalue": _text(each.get("evalue"), 2000),
                    "traceback": [_text(line) for line in trace[:20]],
                }
            )
        elif kind in ("display_data", "execute_result") and isinstance(each.get("data"), dict):
            data = {"text/plain": _text(each["data"].get("text/plain"))}
            picture = each["data"].get("image/png")
            if isinstance(picture, str) and len(picture) < 500_000 and _is_png(picture):
                data["image/png"] = picture
            more = {"execution_count": None} if kind == "execute_result" else {}
            kept.append({"output_type": kind, "data": data, "metadata": {}, **more})
    return kept


def _text(value, most: int = 25_000) -> str:
    text = value[:most] if isinstance(value, str) else ""
    return text.encode("utf-8", "replace").decode("utf-8")


def _is_png(picture: str) -> bool:
    try:
        return base64.b64decode(picture, validate=True).startswith(PNG)
    except (binascii.Error, ValueError):
        return False


def _errors(seen: Seen) -> list[str]:
    return [
        str(out.get("evalue"))
        for outputs in seen.outputs.values()
        for out in outputs
        if out["output_type"] == "error"
    ]
