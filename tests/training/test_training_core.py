"""What keeps training/ readable: its length, its comments, and where its imports point."""

import ast
import dataclasses
from pathlib import Path

import vit_tutorial.training
from vit_tutorial.cli.field_options import field_comments
from vit_tutorial.training import TrainSettings

FOLDER = Path(vit_tutorial.training.__file__).parent
CORE = "settings recipes schedule optimizers batches step loop evaluation model_file __init__"
ON_ONE_SCREEN = 60  # lines


def test_the_core_is_read_in_one_sitting():
    """From settings to a model file, comments included; runtime/ can wait."""
    lines = {
        path.stem: len(path.read_text(encoding="utf-8").splitlines())
        for path in FOLDER.glob("*.py")
    }
    assert set(lines) == set(CORE.split())
    assert sum(lines.values()) < 800, lines


def test_a_step_is_on_one_screen():
    """zero_grad, forward, loss, backward, optimizers and the moving average, from one `def` on."""
    tree = ast.parse((FOLDER / "step.py").read_text(encoding="utf-8"))
    (step,) = (node for node in tree.body if isinstance(node, ast.ClassDef))
    methods = {node.name: node for node in step.body if isinstance(node, ast.FunctionDef)}
    order = list(methods)
    first = order.index("__call__")
    assert order[first : first + 3] == ["__call__", "backward", "_try_backward"]
    assert methods["_try_backward"].end_lineno - methods["__call__"].lineno < ON_ONE_SCREEN
    tree = ast.parse((FOLDER / "loop.py").read_text(encoding="utf-8"))
    (run,) = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == "run")
    assert run.end_lineno - run.lineno < ON_ONE_SCREEN


def test_each_field_of_the_settings_has_a_comment():
    comments = field_comments(TrainSettings)
    assert list(comments) and set(comments) == {f.name for f in dataclasses.fields(TrainSettings)}
    assert all(comments.values()), comments


def test_runtime_imports_of_the_core_the_settings_only():
    for path in (FOLDER / "runtime").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level == 2:  # from ..
                assert node.module == "settings", f"{path.name}: from ..{node.module or ''}"
