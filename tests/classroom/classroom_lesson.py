"""A tiny lesson with exercises: no torch, and cells that run in milliseconds."""

import copy

from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

PICTURE = "https://colab.research.google.com/assets/colab-badge.svg"
ADDRESS = "https://colab.research.google.com/github/a/b/blob/main/notebooks/01_numbers.ipynb"
BADGE = f"[![Open in Colab]({PICTURE})]({ADDRESS})"
MEAN = "return sum(numbers) / len(numbers)"
SPREAD = "middle = mean_of(numbers)\n    return max(abs(x - middle) for x in numbers)"


def graded(grade_id: str, solution: bool, points: int | None = None, locked: bool = False) -> dict:
    """nbgrader's metadata of one cell."""
    own = {
        "grade": points is not None,
        "grade_id": grade_id,
        "locked": locked,
        "schema_version": 3,
        "solution": solution,
    }
    return {"nbgrader": own | {"task": False} | ({"points": points} if points is not None else {})}


def function(name: str, argument: str, says: str, body: str) -> str:
    head = f'def {name}({argument}):\n    """{says}"""'
    return f"{head}\n    ### BEGIN SOLUTION\n    {body}\n    ### END SOLUTION"


def lesson():
    """Title, set-up, a helper for the exercises, two exercises with checks, an ordinary cell, and a
    written answer."""
    cells = [
        new_markdown_cell(f"# 01 · Numbers\n\n{BADGE}\n\nA lesson about the mean.", id="title"),
        new_code_cell(
            "import math",
            id="setup",
            execution_count=1,
            metadata={"tags": ["setup", "nbval-ignore-output"]},
        ),
        new_code_cell(
            "def mean_of(numbers):\n    return math.fsum(numbers) / len(numbers)",
            id="helper",
            execution_count=2,
        ),
        new_markdown_cell(
            "**Exercise 1.1 (2 points): the mean.** Write the mean of a list.", id="text-mean"
        ),
        new_code_cell(
            function("mean", "numbers", "numbers: a list -> float", MEAN),
            id="mean",
            metadata=graded("01-mean", True),
        ),
        new_code_cell(
            "assert mean([1, 2, 6]) == 3",
            id="mean-check",
            metadata=graded("01-mean-check", False, 2, True),
        ),
        new_code_cell(
            "print(mean_of([1, 2, 3]))",
            id="plain",
            execution_count=5,
            outputs=[new_output("stream", text="2.0\n")],
        ),
        new_markdown_cell(
            "**Exercise 1.2 (1 point): the spread.** Write the largest distance from the mean.",
            id="text-spread",
        ),
        new_code_cell(
            function("spread", "numbers", "numbers: a list -> the largest distance", SPREAD),
            id="spread",
            metadata=graded("01-spread", True),
        ),
        new_code_cell(
            "assert spread([1, 2, 6]) == 3",
            id="spread-check",
            metadata=graded("01-spread-check", False, 1, True),
        ),
        new_markdown_cell(
            "**Exercise 1.3 (3 points): why?** Say why the mean is not always enough.",
            id="text-why",
        ),
        new_markdown_cell("Because of outliers.", id="why", metadata=graded("01-why", True, 3)),
        new_code_cell("print('the end')", id="end", execution_count=8),
    ]
    cells[2].metadata["tags"] = ["exercise"]
    return new_notebook(
        cells=cells,
        metadata={
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}
        },
    )


def solved(copy_of, source):
    """The student copy with the lesson's solutions filled in."""
    answers = {
        cell.metadata["nbgrader"]["grade_id"]: cell.source
        for cell in source.cells
        if cell.metadata.get("nbgrader", {}).get("solution")
    }
    nb = copy.deepcopy(copy_of)
    for cell in nb.cells:
        own = cell.metadata.get("nbgrader", {})
        if own.get("solution"):
            cell.source = (
                answers[own["grade_id"]]
                .replace("    ### BEGIN SOLUTION\n", "")
                .replace("\n    ### END SOLUTION", "")
            )
    return nb
