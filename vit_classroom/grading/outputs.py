"""The graded notebook: the repaired one, with what its cells printed and what the judge says."""

import nbformat

from ..course.plan import Plan
from ..reading.plain import dead_markdown
from ..repair.matching import Release
from ..sandbox.execute import RunResult


def notebook_with_outputs(plan: Plan, result: RunResult, exercises: list[dict], release: Release):
    """The repaired notebook with outputs, as nbgrader reads it.

    exercises: the rows of the result, in the order of plan.exercises. The output of a check cell
    is the judge's verdict. A learner's text cells are made harmless (plain.dead_markdown): nbgrader
    shows them as they are. The lesson's own cells, of which `release` has the text, stay.
    """
    nb = nbformat.from_dict(plan.notebook)
    known = {cell.get("id"): cell.source for cell in release.cells}
    for cell in nb.cells:
        if cell.cell_type == "code" or known.get(cell.get("id")) == cell.source:
            continue
        if cell.cell_type == "raw":  # nbconvert writes a raw cell into a page as it is
            cell.cell_type, cell.metadata = "markdown", nbformat.from_dict({})
            cell.source = "\n".join(f"    {line}" for line in cell.source.split("\n"))
        cell.source = dead_markdown(cell.source)
        cell.pop("attachments", None)
    verdicts = {
        exercise["cell"]: _verdict_output(row)
        for exercise, row in zip(plan.exercises, exercises)
        if exercise.get("cell") in plan.check_parts
    }
    count = 0
    for number, cell in enumerate(nb.cells):
        if cell.cell_type != "code":
            continue
        outputs = result.outputs.get(number, [])
        if number in verdicts:
            outputs = [verdicts[number]]
        count += bool(outputs)
        cell.outputs = [nbformat.from_dict(output) for output in outputs]
        cell.execution_count = count if outputs else None
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = cell.execution_count
    return nb


def _verdict_output(row: dict) -> dict:
    """nbgrader gives the points of a check cell unless one of its outputs is an error."""
    if row["passed"]:
        return {"output_type": "stream", "name": "stdout", "text": row["message"] + "\n"}
    return {
        "output_type": "error",
        "ename": "CheckFailed",
        "evalue": row["message"],
        "traceback": [f"CheckFailed in {row['message']}"],
    }
