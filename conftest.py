"""Fixes what every test and every lesson's kernel inherits, before the first kernel starts."""

import os
import tempfile
from pathlib import Path

# Figures come out as in a browser, whatever the shell says; under Agg a cell with a figure would have no output.
os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
# Kernels start in notebooks/ and import this checkout's package, not another that may be installed.
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")])
)
# The stored outputs are those of a machine without CIFAR-10: what lies in data/ here must not change what a lesson shows.
os.environ["VIT_TUTORIAL_DATA"] = str(Path(tempfile.gettempdir()) / "vit_tutorial_no_data")
# Where a lesson chooses its data by what the machine can do (06, on a GPU), the tests want what was stored.
os.environ["VIT_TUTORIAL_LESSON_SOURCE"] = "shapes"
# Tests side by side (pytest -n) share the cores: threads of PyTorch that wait for each other's core cost more than they give.
side_by_side = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
if side_by_side > 1:
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // side_by_side)))
