"""Run a lesson as Google Colab would: a lone notebook in an empty folder, Colab's libraries.

    python tests/lessons/colab/emulate.py notebooks/01_patches.ipynb \\
        --python python3.13 --constraints constraints.txt
    python tests/lessons/colab/emulate.py notebooks/01_patches.ipynb --quick
    python tests/lessons/colab/emulate.py --all --table --venv DIR --constraints constraints.txt

The first makes a virtual environment (several GB) that holds what a Colab runtime has of the
package's needs, in the versions of the constraints file: a `pip freeze` of a runtime. Then it
executes every cell, and compares `pip freeze` before and after: the one difference may be this
package. --venv keeps the environment, so that the next run finds it there.

--all takes every lesson, its student copy, and the other notebooks beside the lessons; --table
writes data/results/colab.csv, a row for each, in place of the older row. A student copy is run
through: it may raise what its unsolved exercises raise or lead to, and no other error.

--quick needs neither network nor another Python: in this environment, with the package hidden, it
runs the lesson's set-up cell twice and looks at what was installed. tests/lessons/test_colab.py
calls it.

In place of the repository's address, both install a wheel of this checkout. `google.colab` is a
stub in both.
"""

import argparse
import datetime
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
STUB = HERE / "stub"
TABLE = ROOT / "data" / "results" / "colab.csv"
# The constraints file is a list without the GPU packages; Colab had these beside it (August 2026).
GPU_PACKAGES = ["torch==2.11.*", "torchvision==0.26.*"]
KERNEL_PACKAGES = ["ipykernel", "ipython", "ipywidgets", "jupyter_client"]
INLINE = "module://matplotlib_inline.backend_inline"


def build_wheel(folder: Path) -> Path:
    """A wheel of this checkout in `folder`, built without network."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return next(folder.glob("*.whl"))


def find_setup(nb):
    """The notebook's set-up cell."""
    return next(cell for cell in nb.cells if "setup" in cell.metadata.get("tags", []))


def run_lone(nb, folder: Path, kernel: str, environment: dict, allow_errors: bool = False):
    """The notebook, executed alone in the empty `folder`. Raises at the first error, unless
    allow_errors: then outputs show it."""
    assert not any(folder.iterdir()), f"{folder} is not empty"
    nbformat.write(nb, folder / "lesson.ipynb")
    NotebookClient(
        nb,
        timeout=600,
        kernel_name=kernel,
        allow_errors=allow_errors,
        resources={"metadata": {"path": str(folder)}},
    ).execute(env=environment)
    return nb


# --- the quick part ------------------------------------------------------------------------------

# Runs in the kernel before anything else: no entry of the path may hold this checkout (an editable
# install, PYTHONPATH).
HIDE = """
import sys
from pathlib import Path

package = Path("vit_tutorial", "__init__.py")
sys.path[:] = [entry for entry in sys.path if not (Path(entry or ".") / package).exists()]
"""

# Between the two runs of the set-up cell: from here on, a second installation would fail.
BETWEEN = """
import os
import vit_tutorial

os.environ["VIT_TUTORIAL_SOURCE"] = "nowhere.whl"
print(vit_tutorial.__file__)
"""


def quick(notebook: Path, wheel: Path, work: Path, make_folder: bool = False) -> dict:
    """Run the lesson's set-up cell twice, with the package hidden and an empty place to install to.

    make_folder: put a folder called vit_tutorial beside the notebook, as a clone there would.
    Returns {"printed": what the cells printed, a list of 3, "installed": names in the place to
    install to, "package": its file}.
    """
    lone, site, hide = (work / name for name in ("lone", "site", "hide"))
    for folder in (lone, site, hide):
        folder.mkdir(parents=True)
    (hide / "sitecustomize.py").write_text(HIDE, encoding="utf-8")
    setup = find_setup(nbformat.read(notebook, as_version=4)).source
    cells = [setup, BETWEEN, setup]
    if make_folder:
        cells.insert(0, "import os; os.makedirs('vit_tutorial/notebooks')")
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, [hide, STUB, site])),
        "PIP_TARGET": str(
            site
        ),  # pip installs there, and the environment that runs the tests stays as it is
        "PIP_NO_INDEX": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "VIT_TUTORIAL_SOURCE": str(wheel),
        "MPLBACKEND": INLINE,
    }
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    run_lone(nb, lone, "python3", environment)
    printed = ["".join(out.get("text", "") for out in cell.outputs) for cell in nb.cells][-3:]
    installed = sorted(path.name for path in site.iterdir() if path.name != "__pycache__")
    return {"printed": printed, "installed": installed, "package": printed[1].strip(), "site": site}


# --- the whole -----------------------------------------------------------------------------------


def read_pins(constraints: Path) -> dict[str, str]:
    """{name in lower case with dashes: name==version} of the lines of that form."""
    lines = constraints.read_text(encoding="utf-8").splitlines()
    return {
        re.sub(r"[-_.]+", "-", line.split("==")[0]).lower(): line
        for line in lines
        if re.fullmatch(r"[\w.-]+==\S+", line)
    }


def make_environment(venv: Path, python: str, constraints: Path, work: Path) -> Path:
    """A virtual environment with what a Colab runtime has of our needs; returns its Python."""
    executable = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if executable.exists():
        return executable
    pins = read_pins(constraints)
    held = work / "held.txt"
    held.write_text("\n".join(pins.values()), encoding="utf-8")
    needs = (ROOT / "requirements.txt").read_text(encoding="utf-8").split()
    absent = [
        need
        for need in needs
        if not need.startswith("torch") and re.split(r"[<>=!~]", need)[0].lower() not in pins
    ]
    if absent:
        sys.exit(f"Colab does not have {', '.join(absent)}: --no-deps would leave it missing there")
    subprocess.run([python, "-m", "venv", str(venv)], check=True)
    pip = [str(executable), "-m", "pip", "install", "--quiet", "--constraint", str(held)]
    subprocess.run([*pip, pins.get("pip", "pip")], check=True)
    subprocess.run([*pip, *GPU_PACKAGES, *needs, *KERNEL_PACKAGES], check=True)
    return executable


def freeze(executable: Path) -> set[str]:
    """The lines of `pip freeze`."""
    done = subprocess.run(
        [str(executable), "-m", "pip", "freeze", "--all"],
        check=True,
        capture_output=True,
        text=True,
    )
    return set(done.stdout.splitlines())


def remove_package(executable: Path) -> None:
    """Take out the package that an earlier run in a kept environment has installed."""
    subprocess.run(
        [str(executable), "-m", "pip", "uninstall", "--quiet", "--yes", "vit_tutorial"], check=True
    )


def whole(notebook: Path, executable: Path, wheel: Path, work: Path) -> list[str]:
    """Execute the lone notebook with that Python; how `pip freeze` changed, lines with + or -."""
    lone, kernel = work / "lone", work / "jupyter" / "kernels" / "colab"
    lone.mkdir()
    kernel.mkdir(parents=True)
    spec = {
        "argv": [str(executable), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Colab",
        "language": "python",
    }
    (kernel / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    os.environ["JUPYTER_PATH"] = str(work / "jupyter")
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
    }
    environment |= {
        "PYTHONPATH": str(STUB),
        "VIT_TUTORIAL_SOURCE": str(wheel),
        "VIT_TUTORIAL_DATA": str(work / "data"),
        "MPLBACKEND": INLINE,
    }
    before = freeze(executable)
    nb = nbformat.read(notebook, as_version=4)
    student = notebook.parent.name == "student"
    run_lone(nb, lone, "colab", environment, allow_errors=student)
    if wrong := [error for error in errors(nb) if not follows_from_exercises(error)]:
        raise AssertionError(f"{notebook}: {wrong}")
    after = freeze(executable)
    print("".join(out.get("text", "") for out in find_setup(nb).outputs).rstrip())
    return [f"+ {line}" for line in sorted(after - before)] + [
        f"- {line}" for line in sorted(before - after)
    ]


def errors(nb) -> list[tuple[str, str]]:
    """(kind, message) of every error that the notebook's cells show, the set-up cell's first."""
    return [
        (out.ename, out.evalue)
        for cell in nb.cells
        for out in cell.get("outputs", [])
        if out.output_type == "error"
    ]


def follows_from_exercises(error: tuple[str, str]) -> bool:
    """Whether an error is what an unsolved exercise raises, or what comes of a name or a result
    that it leaves out."""
    return error[0] in ("NotImplementedError", "CheckFailed", "NameError", "TypeError")


def cpu_name() -> str:
    """The processor, as the package names it."""
    sys.path.insert(0, str(ROOT))
    from vit_tutorial.common.machine import cpu_name

    return cpu_name()


def every_notebook() -> list[Path]:
    """The lessons and what lies beside them, each followed by its student copy."""
    found = []
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        copy = path.parent / "student" / path.name
        found += [path, copy] if copy.exists() else [path]
    return found


def place(notebook: Path) -> str:
    """What the table calls a notebook: its path below notebooks/."""
    return notebook.resolve().relative_to(ROOT / "notebooks").as_posix()


def read_table() -> list[dict]:
    sys.path.insert(0, str(ROOT))
    from vit_tutorial.common.files import read_rows

    return read_rows(TABLE)


def write_table(rows: list[dict]) -> None:
    """Put `rows` into data/results/colab.csv, in place of older ones of the same notebooks."""
    new = {row["notebook"] for row in rows}
    kept = [row for row in read_table() if row["notebook"] not in new]
    from vit_tutorial.common.files import write_rows

    write_rows(TABLE, sorted([*kept, *rows], key=lambda row: row["notebook"]))


def facts(executable: Path) -> dict:
    """What the emulated runtime is, for a row of the table."""
    code = (
        "import json, platform, importlib.metadata as m; print(json.dumps({'python': "
        "platform.python_version()} | {n: m.version(n) for n in ('ipython', 'ipywidgets', "
        "'torch', 'numpy')}))"
    )
    done = subprocess.run([str(executable), "-c", code], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def compare(notebook: Path, folder: Path) -> bool:
    """Whether nbval, strictly, finds the stored outputs again, under the kernel of `whole`."""
    folder.mkdir()
    nbformat.write(nbformat.read(notebook, as_version=4), folder / notebook.name)
    sanitize = ROOT / "tests" / "nbval_sanitize.cfg"
    options = [
        "-q",
        "-c",
        os.devnull,
        "-p",
        "no:cacheprovider",
        "--nbval",
        "--nbval-kernel-name=colab",
    ]
    command = [
        sys.executable,
        "-m",
        "pytest",
        *options,
        f"--nbval-sanitize-with={sanitize}",
        str(folder),
    ]
    environment = os.environ | {"PYTHONPATH": str(STUB), "MPLBACKEND": INLINE}
    return subprocess.run(command, cwd=folder, env=environment).returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--all", action="store_true", help="every lesson and student copy")
    parser.add_argument(
        "--missing", action="store_true", help="with --all: only those that the table lacks"
    )
    parser.add_argument(
        "--table", action="store_true", help="write data/results/colab.csv, a row a notebook"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="only the set-up cell, in this environment, without network",
    )
    parser.add_argument(
        "--python", default="python3.13", help="the Python to make the environment with"
    )
    parser.add_argument("--constraints", type=Path, help="a pip freeze of a Colab runtime")
    parser.add_argument(
        "--venv", type=Path, help="where to keep the environment; without it, a temporary one"
    )
    parser.add_argument(
        "--compare",
        action="store_true",
        help="run each lesson again and compare its outputs with the stored ones",
    )
    args = parser.parse_args()
    if not args.quick and not args.constraints:
        parser.error("--constraints is needed, unless --quick")

    if args.all:
        there = {row["notebook"] for row in read_table()} if args.missing else set()
        args.notebooks = [path for path in every_notebook() if place(path) not in there]
    if not args.notebooks:
        parser.error("name notebooks, or give --all")

    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        wheel = build_wheel(work / "dist")
        executable = None
        if not args.quick:
            executable = make_environment(
                (args.venv or work / "venv").resolve(), args.python, args.constraints, work
            )
        failed = 0
        for number, notebook in enumerate(args.notebooks):
            folder = work / f"{number}_{notebook.stem}"
            folder.mkdir()
            begun = time.perf_counter()
            if args.quick:
                changed = [f"+ {name}" for name in quick(notebook, wheel, folder)["installed"]]
            else:
                remove_package(executable)
                changed = whole(notebook, executable, wheel, folder)
            alone = bool(changed) and all(re.match(r"\+ vit[_-]tutorial", line) for line in changed)
            failed += not alone
            verdict = "only the package was added" if alone else "MORE THAN THE PACKAGE CHANGED"
            seconds = time.perf_counter() - begun
            print(f"{notebook.name}: executed, {seconds:.0f} s; {verdict}: {changed}", flush=True)
            if args.table and executable:
                row = {"notebook": place(notebook)}
                row |= {
                    "seconds": f"{seconds:.0f}",
                    "versions": "unchanged" if alone else "changed",
                }
                row |= facts(executable) | {
                    "cpu": cpu_name(),
                    "cores": len(os.sched_getaffinity(0)),
                }
                write_table([row | {"date": datetime.date.today().isoformat()}])
            if args.compare and not args.quick:
                failed += not compare(notebook, folder / "compared")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
