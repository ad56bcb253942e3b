"""A lesson whose cell runs into the time limit fails, whatever its code makes of the interrupt."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENT = """import time
try:
    time.sleep(20)
except KeyboardInterrupt:
    print("ended early, as training does")"""


def run(folder: Path, *sources: str, seconds: float) -> subprocess.CompletedProcess:
    """pytest on a lesson of these cells, none of whose outputs is compared, with this limit for a
    cell."""
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    for cell in nb.cells:
        cell.metadata["tags"] = ["nbval-ignore-output"]
    nbformat.write(nb, folder / "lesson.ipynb")
    words = [
        "-p",
        "conftest",
        "--nbval",
        "--nbval-current-env",
        f"--nbval-cell-timeout={seconds}",
        "-rA",
    ]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", os.devnull]
    return subprocess.run(
        [*command, "--rootdir", folder, *words, "lesson.ipynb"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_a_cell_that_takes_too_long_fails_and_the_rest_is_not_run(tmp_path):
    done = run(tmp_path, "1 + 1", PATIENT, "2 + 2", "3 + 3", seconds=2)
    assert done.returncode == 1, done.stdout
    assert "1 failed, 1 passed, 2 skipped" in done.stdout, done.stdout
    assert "longer than 2 s (--nbval-cell-timeout)" in done.stdout
    assert "Cell 1 ran into the time limit" in done.stdout


@pytest.mark.slow
def test_cells_in_time_pass(tmp_path):
    done = run(tmp_path, "1 + 1", "2 + 2", seconds=60)
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout
