"""The order of the packages (docs/architecture.md): an import points downward only, and `import
vit_tutorial` stays light."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Not by its name: an environment that is not activated, as in the README's command, has none.
LINT = [
    sys.executable,
    "-c",
    "from importlinter.cli import lint_imports_command as run; run()",
    "--no-cache",
]
MOST_MODULES = 25  # of this package, after `import vit_tutorial`


def test_imports_point_downward():
    """import-linter's contracts in pyproject.toml: imports inside functions count as well."""
    run = subprocess.run(LINT, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_contract_that_is_broken_is_seen(tmp_path):
    """The same contracts, with one upward import added to a copy of the package: red, and the line
    is named."""
    for name in ("vit_tutorial", "vit_classroom"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    attention = tmp_path / "vit_tutorial" / "model" / "attention.py"
    attention.write_text(
        attention.read_text(encoding="utf-8") + "\n\ndef f():\n    from ..training import train\n"
    )
    run = subprocess.run(LINT, cwd=tmp_path, capture_output=True, text=True)
    assert (
        run.returncode != 0
        and "vit_tutorial.model.attention -> vit_tutorial.training" in run.stdout
    )


@pytest.mark.slow
def test_importing_the_package_loads_few_modules():
    code = (
        "import sys, vit_tutorial; print(*[name for name in sys.modules if "
        "name.startswith('vit_tutorial')])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert len(loaded) <= MOST_MODULES, loaded
    above = ("training", "inspection", "studies", "cli", "data")
    assert not [name for name in loaded if name.split(".")[1:2] and name.split(".")[1] in above]
