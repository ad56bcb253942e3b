"""What every test and every lesson's kernel inherits, and when a lesson's cell counts as failed."""

import os
import tempfile
from pathlib import Path

import pytest
from nbval.plugin import IPyNbCell

# Figures come out as in a browser, whatever the shell says; under Agg a cell with a figure would
# have no output.
os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
# Kernels start in notebooks/ and import this checkout's package, not another that may be installed.
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")])
)
# The stored outputs are those of a machine without CIFAR-10: what lies in data/ here must not
# change what a lesson shows.
os.environ["VIT_TUTORIAL_DATA"] = str(Path(tempfile.gettempdir()) / "vit_tutorial_no_data")
# Where a lesson chooses its data by what the machine can do (06, on a GPU), the tests want what was
# stored.
os.environ["VIT_TUTORIAL_LESSON_SOURCE"] = "shapes"
# Tests side by side (pytest -n) share the cores: threads of PyTorch that wait for each other's core
# cost more than they give.
side_by_side = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
if side_by_side > 1:
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // side_by_side)))


def pytest_collection_modifyitems(items):
    """The cells of the lessons are slow: `pytest -m "not slow"` leaves them out."""
    for item in items:
        if isinstance(item, IPyNbCell):
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Cells after one that ran into the time limit are not run: they would compute with what it
    left half done."""
    if isinstance(item, IPyNbCell) and (late := getattr(item.parent, "late_cell", None)):
        pytest.skip(f"{late} ran into the time limit")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A cell that ran into the time limit is a failure, whatever its code made of the interrupt.

    nbval interrupts the kernel at its limit. Training takes that for Ctrl-C and ends early, so the
    cell can even pass; nbval then marks all later cells as expected failures, and the run would be
    green.
    """
    report = yield
    if call.when == "call" and isinstance(item, IPyNbCell) and item.parent.timed_out:
        item.parent.late_cell = item.name
        limit = item.config.option.nbval_cell_timeout
        report.outcome = "failed"
        report.longrepr = (
            f"{item.parent.name}, {item.name}: longer than {limit:g} s (--nbval-cell-timeout)"
        )
    return report
