"""No exercise of a lesson is solved by the solution of another exercise of that lesson.

Each lesson is run in a process of its own: what it sets in torch must not reach the next.
"""

import ast
import contextlib
import io
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import torch
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from old_lessons import SOLUTIONS_PASS_ELSEWHERE

from vit_classroom.course.plan import Assignment, make_plan
from vit_classroom.course.student import prepared, student_copy

ROOT = Path(__file__).parents[2]
LESSONS = sorted((ROOT / "notebooks").glob("[0-9][0-9]*_*.ipynb"))
MOST_TRIED = 60  # ways to give one exercise's names to another's, of which few have more than one

pytestmark = pytest.mark.slow


def bound(source: str) -> list[str]:
    """The names that the top level of a cell defines or assigns; imports left out."""
    names = []
    for node in ast.parse(source).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.append(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names += [
                leaf.id
                for target in targets
                for leaf in ast.walk(target)
                if isinstance(leaf, ast.Name) and isinstance(leaf.ctx, ast.Store)
            ]
    return list(dict.fromkeys(names))


def used(source: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}


class Exercises:
    """The exercises of one lesson, run as a course runs them: set-up, helpers, and answers."""

    def __init__(self, path: Path):
        nb = nbformat.read(path, as_version=4)
        assignment = Assignment(prepared(nb), student_copy(nb))
        plan = make_plan(assignment, nb)
        self.names = {"__name__": "__main__"}
        self.solutions, self.checks = {}, {}  # {grade_id: names}, {grade_id: source}
        of_check = {each["cell"]: each for each in plan.exercises if "cell" in each}
        solution_of = {nb.cells[part.cell].metadata.get("nbgrader", {}).get("grade_id"): part.cell
                       for part in plan.selected}  # fmt: skip
        for part in plan.selected:
            cell = nb.cells[part.cell]
            if part.cell in plan.check_parts:
                exercise = of_check[part.cell]
                answer = solution_of.get(exercise["solution"])
                if answer is not None and answer not in plan.check_parts:
                    names = [n for n in bound(nb.cells[answer].source) if n in used(cell.source)]
                    self.solutions[exercise["grade_id"]] = names
                    self.checks[exercise["grade_id"]] = cell.source
            else:
                self.run(part.source, self.names)
        self.values = {each: {name: self.names[name] for name in names}
                       for each, names in self.solutions.items()}  # fmt: skip

    def run(self, source: str, names: dict) -> None:
        torch.manual_seed(0)
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(source, "lesson", "exec"), names)

    def passes(self, check: str, **replaced) -> bool:
        """Whether the check passes; what it defines is forgotten afterwards."""
        try:
            self.run(self.checks[check], self.names | replaced)
        except Exception:
            return False
        return True

    def solved_by_another(self) -> list[str]:
        found = []
        for check, names in self.solutions.items():
            for other, values in self.values.items():
                if other == check or not names:
                    continue
                ways = itertools.product(values.items(), repeat=len(names))
                for way in itertools.islice(ways, MOST_TRIED):
                    replaced = {name: value for name, (_, value) in zip(names, way)}
                    if self.passes(check, **replaced):
                        given = ", ".join(name for name, _ in way)
                        found.append(f"{check} is passed by {given} of {other}")
                        break
        return found


def report(path: Path) -> dict:
    """The checks that fail with their own solution, and those that another solution passes."""
    exercises = Exercises(path)
    own = [name for name in exercises.checks if not exercises.passes(name)]
    return {"fail with their own": own, "pass with another": exercises.solved_by_another()}


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_no_solution_passes_the_check_of_another_exercise(path):
    done = subprocess.run(
        [sys.executable, __file__, path],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["fail with their own"] == []
    if path.stem in SOLUTIONS_PASS_ELSEWHERE:
        assert found["pass with another"], "take this lesson off the list in old_lessons.py"
    else:
        assert found["pass with another"] == []


def answer(grade_id: str, solution: bool, source: str):
    own = dict(grade_id=grade_id, solution=solution, grade=not solution, locked=not solution)
    own |= dict(schema_version=3, task=False) | ({} if solution else {"points": 1})
    return new_code_cell(source, metadata={"nbgrader": own})


def test_an_exercise_that_another_one_solves_is_found(tmp_path):
    cells = [new_markdown_cell("# 07 · A")]
    for name, body, check in (
        ("square", "x * x", "square(3) == 9"),
        ("power", "x**2", "power(4) == 16"),
        ("double", "2 * x", "double(3) == 6"),
    ):
        solution = f"### BEGIN SOLUTION\ndef {name}(x):\n    return {body}\n### END SOLUTION"
        cells += [answer(name, True, solution)]
        cells += [answer(f"{name}-check", False, f"assert {check}")]
    nbformat.write(new_notebook(cells=cells), tmp_path / "07_a.ipynb")
    assert report(tmp_path / "07_a.ipynb") == {
        "fail with their own": [],
        "pass with another": [
            "square-check is passed by power of power-check",
            "power-check is passed by square of square-check",
        ],
    }


if __name__ == "__main__":
    print(json.dumps(report(Path(sys.argv[1]))))
