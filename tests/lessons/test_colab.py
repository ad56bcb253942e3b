"""The set-up cell and what it calls: on this machine, and as a lone notebook in an empty folder."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import emulate
import nbformat
import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook

import notebooks as tool
import vit_tutorial
from vit_tutorial import colab

ROOT = Path(__file__).parents[2]
STUB = ROOT / "tests" / "lessons" / "colab" / "stub"


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


# --- setup ---------------------------------------------------------------------------------------


def unwrapped(printed: str) -> str:
    """What was printed, on one line."""
    return " ".join(printed.split())


def test_setup_says_where_it_runs_and_twice_the_same(capsys, no_gpu):
    assert colab.setup(lesson="03") == torch.device("cpu")
    first = capsys.readouterr().out
    assert colab.setup(lesson="03") == torch.device("cpu")
    assert capsys.readouterr().out == first
    assert max(map(len, first.splitlines())) <= 88, "JupyterLab cuts longer lines on a laptop"
    where, text = f"Lesson 03 on this machine: Python {sys.version.split()[0]}", unwrapped(first)
    assert text.startswith(f"{where}, torch {torch.__version__}. Device: CPU with ")
    assert f"CPU with {torch.get_num_threads()} threads" in text
    assert text.endswith(f"No GPU is needed. This machine has {os.cpu_count()} CPU cores.")


def test_setup_says_no_time_that_could_differ_from_the_header(capsys, no_gpu):
    colab.setup(lesson="02")
    assert not re.search(r"\d s\b|minute|took", capsys.readouterr().out)


class Properties:
    total_memory = 15.8e9


@pytest.mark.parametrize(
    "capability, precision", [((7, 5), "fp16"), ((8, 0), "bf16"), ((9, 0), "bf16")]
)
def test_setup_takes_a_gpu_that_works(capsys, monkeypatch, capability, precision):
    pretend_gpu(monkeypatch, capability, works=True)
    assert colab.setup(lesson="06").type == "cuda"
    printed = capsys.readouterr().out
    assert "A GPU with 16 GB" in printed
    assert (
        f"mixed precision {precision}" in printed and f"{capability[0]}.{capability[1]}" in printed
    )
    assert "CIFAR-10" in printed


def test_setup_leaves_a_gpu_that_this_torch_cannot_use(capsys, monkeypatch):
    pretend_gpu(monkeypatch, (3, 7), works=False)
    assert colab.setup(lesson="01").type == "cpu"
    text = unwrapped(capsys.readouterr().out)
    assert "A GPU is there, but this torch cannot use it: no kernel image" in text


def pretend_gpu(monkeypatch, capability, works):
    """A GPU as far as torch's questions go; what is computed on it runs on the CPU, or fails."""
    ones = torch.ones

    def compute(*shape, device=None):
        if not works:
            raise RuntimeError("no kernel image is available\nmore lines")
        return ones(*shape)

    monkeypatch.setattr(torch, "ones", compute)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "A GPU")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: Properties)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)


def test_apples_gpu_is_left_alone_and_that_is_said(capsys, no_gpu, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert colab.setup(lesson="01").type == "cpu"
    assert "mps" in capsys.readouterr().out


def test_missing_packages_are_named_with_the_command_that_helps(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in ("einops", "PIL") else real(name)
    )
    with pytest.raises(ModuleNotFoundError, match="not installed here: einops, pillow") as caught:
        colab.setup(lesson="01")
    assert str(caught.value).endswith("%pip install einops pillow")
    assert caught.value.__cause__ is None


def without(*modules: str) -> str:
    """What the set-up cell writes to stderr where these modules cannot be imported."""
    code = f"import sys; sys.modules.update(dict.fromkeys({modules!r}))\n"
    code += "from vit_tutorial import colab\ncolab.setup(lesson='01')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout
    return done.stderr


def test_all_that_is_missing_is_named_at_once():
    """`import vit_tutorial` needs torch already: the message cannot wait for setup."""
    stderr = without("torch", "tqdm", "PIL")
    assert stderr.endswith("set-up cell again:\n%pip install torch tqdm pillow\n")
    assert stderr.count("Traceback") == 1, stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", colab.NEEDED)
def test_each_missing_package_is_named_with_the_command_that_helps(name):
    """Whether the import of the package fails, or only that of a part that setup needs."""
    stderr = without(name)
    assert stderr.endswith(f"set-up cell again:\n%pip install {colab.NEEDED[name]}\n"), stderr
    assert stderr.count("Traceback") == 1, stderr


@pytest.mark.slow
def test_a_missing_module_that_is_no_package_of_ours_is_not_explained_away():
    stderr = without("vit_tutorial.model.vit")
    assert "%pip" not in stderr and "vit_tutorial.model.vit" in stderr


def test_colab_is_recognised_by_its_package(monkeypatch):
    assert not colab.on_colab()
    monkeypatch.syspath_prepend(STUB)
    try:
        assert colab.on_colab()
    finally:
        for name in ("google.colab", "google"):
            sys.modules.pop(name, None)


def test_set_up_cell_is_short_and_of_this_version():
    source = tool.setup_cell(Path("01_trial.ipynb"))
    lines = [line for line in source.split("\n") if line]
    assert len(lines) < 15 and max(map(len, lines)) <= 88
    wheel = f"/releases/download/v{vit_tutorial.__version__}/"
    assert wheel in source and f"vit_tutorial-{vit_tutorial.__version__}-py3" in source
    compile(source, "set-up cell", "exec")


# --- a lone notebook -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return emulate.build_wheel(tmp_path_factory.mktemp("dist"))


@pytest.fixture
def notebook(tmp_path):
    path = tmp_path / "01_trial.ipynb"
    nbformat.write(
        new_notebook(
            cells=[new_code_cell(tool.setup_cell(path), metadata={"tags": tool.SETUP_TAGS})]
        ),
        path,
    )
    return path


@pytest.mark.slow
@pytest.mark.parametrize("clone_beside", [False, True], ids=["empty folder", "folder of that name"])
def test_lone_notebook_installs_the_package_alone_and_once(notebook, wheel, tmp_path, clone_beside):
    result = emulate.quick(notebook, wheel, tmp_path / "work", make_folder=clone_beside)
    version = wheel.name.split("-")[1]
    assert result["installed"] == ["vit_tutorial", f"vit_tutorial-{version}.dist-info"]
    assert Path(result["package"]).is_relative_to(result["site"])
    first, _, second = result["printed"]
    assert first.startswith("Lesson 01 on Colab")
    assert second == first


@pytest.mark.slow
def test_installation_that_fails_is_not_silent(notebook, tmp_path):
    from nbclient.exceptions import CellExecutionError

    with pytest.raises(CellExecutionError, match="pip could not install it"):
        emulate.quick(notebook, tmp_path / "absent.whl", tmp_path / "work")


def test_constraints_are_read_and_other_lines_left_out(tmp_path):
    file = tmp_path / "constraints.txt"
    lines = [
        "# pip freeze",
        "numpy==2.1.3",
        "ipython-genutils==0.2.0",
        "Jinja2==3.1.6",
        "x @ https://example.org/x.whl",
    ]
    file.write_text("\n".join(lines), encoding="utf-8")
    assert emulate.read_pins(file) == {
        "numpy": lines[1],
        "ipython-genutils": lines[2],
        "jinja2": lines[3],
    }


# --- the table -----------------------------------------------------------------------------------


def test_every_lesson_and_student_copy_is_emulated():
    names = [emulate.place(path) for path in emulate.every_notebook()]
    assert len(names) == len(set(names))
    for path in (ROOT / "notebooks").glob("**/*.ipynb"):
        assert emulate.place(path) in names, "a lesson without its run on Colab"


def test_no_run_changed_a_version_that_colab_has():
    """A lesson that is newer than the table has no row yet: emulate.py --all --missing --table."""
    rows = emulate.read_table()
    names = {emulate.place(path) for path in emulate.every_notebook()}
    assert rows and {row["versions"] for row in rows} == {"unchanged"}
    assert {row["notebook"] for row in rows} <= names
    assert {(row["ipython"], row["ipywidgets"]) for row in rows} == {("7.34.0", "7.7.1")}


@pytest.mark.parametrize(
    "error, fine", [("NotImplementedError", True), ("CheckFailed", True), ("ImportError", False)]
)
def test_a_student_copy_may_raise_what_its_exercises_raise_and_nothing_else(error, fine):
    assert emulate.follows_from_exercises((error, "x")) is fine
