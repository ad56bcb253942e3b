"""Read what a submission's run sent.

It may be forged: only its form is trusted, and each text in it is the learner's.
"""

import json
import re
from collections.abc import Sequence

from ..course.plan import CellPart, Plan
from ..sandbox.execute import RawResult, RunResult
from ..sandbox.outputs import sanitize_outputs
from .plain import one_line

MOST_PROBLEM = 600  # characters
# In our words: a learner's code may claim to have met a limit, and says no more with that.
LIMITS = {
    "time": "time limit: it ran for {:.0f} s",
    "memory": "memory limit: it asked for more memory than there is",
}
OUT_OF_MEMORY = re.compile(r"(?:RuntimeError|OSError): [^\n]*(?:alloc|memory)")


def read_result(parts: Sequence[CellPart], raw: RawResult, cell_seconds: float) -> RunResult:
    """parts: all that were to run, in order."""
    result = RunResult(observed=dict(raw.observed))
    for part in parts:
        if part.key in raw.ended:
            why = raw.ended[part.key]
            result.events.append(f"cell {part.cell + 1}: {why}")
            result.problems[part.key] = f"ended: {why}"
        record = _record(raw.records.get(part.key))
        if record is None:
            continue
        result.passed[part.key] = record.get("passed") is True
        if part.hidden:
            continue
        if part.kind == "alone":
            if record.get("cut") is True:
                result.cut.add(part.cell)
            continue
        limit = LIMITS.get(record["limit"] if isinstance(record.get("limit"), str) else "")
        limit = limit and limit.format(cell_seconds)
        problem = record.get("problem")
        if limit:
            result.events.append(f"cell {part.cell + 1}: {limit}")
            result.problems.setdefault(part.key, limit)
        elif isinstance(problem, str):
            result.problems.setdefault(part.key, one_line(problem, MOST_PROBLEM))
            if OUT_OF_MEMORY.match(problem[:400]):
                result.events.append(f"cell {part.cell + 1}: {LIMITS['memory']}")
        line = record.get("line")
        if type(line) is int and 0 < line < 100_000:
            result.lines[part.key] = line
        result.outputs[part.cell] = sanitize_outputs(record.get("outputs"))
    result.events[:] = list(dict.fromkeys(result.events))
    return result


def missing_names(plan: Plan, result: RunResult) -> set[str]:
    """Names that something missed, and that only cells define which were left out."""
    errors = [
        str(output.get("evalue"))
        for outputs in result.outputs.values()
        for output in outputs
        if output["output_type"] == "error"
    ]
    texts = [*result.problems.values(), *errors]
    found = {name for text in texts for name in re.findall(r"name '(\w{1,80})' is not def", text)}
    return found & plan.skipped


def _record(line: bytes | None) -> dict | None:
    try:
        record = json.loads(line or b"null")
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None
