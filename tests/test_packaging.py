"""One list of dependencies, one address, a package that works alone, code that passes the
linter."""

import os
import re
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import notebooks as tool
from vit_tutorial.colab import NEEDED

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REPOSITORY = PROJECT["urls"]["Repository"]

MOST_BYTES = 6_000_000  # of the wheel

# What a Colab runtime had in August 2026, from its published list.
COLAB = {
    "torch": "2.11.0",
    "torchvision": "0.26.0",
    "numpy": "2.1.3",
    "matplotlib": "3.10.0",
    "einops": "0.8.2",
    "pooch": "1.9.0",
    "requests": "2.32.4",
    "safetensors": "0.8.0",
    "tqdm": "4.67.3",
    "ipywidgets": "7.7.1",
    "pillow": "11.3.0",
    "scikit-image": "0.25.2",
    "filelock": "3.32.3",
    "psutil": "5.9.5",
    "scipy": "1.16.3",
    "pycocotools": "2.0.11",
}


def kept_files() -> list[Path]:
    """The files that git tracks or would add; skips the test where there is no git."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        names = subprocess.run(
            command, cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no git checkout: {error}")
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def read(path: Path) -> str:
    """The text of a file, empty for one that is not text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


# --- dependencies ---------------------------------------------------------------------------------


def test_requirements_and_pyproject_and_colab_name_the_same():
    requirements = (ROOT / "requirements.txt").read_text(encoding="utf-8").split("\n")
    assert [line for line in requirements if line and not line.startswith("#")] == PROJECT[
        "dependencies"
    ]
    assert sorted(NEEDED.values()) == sorted(
        Requirement(line).name for line in PROJECT["dependencies"]
    )
    assert all(find_spec(name) for name in NEEDED)  # each is the name that Python imports


@pytest.mark.parametrize("line", PROJECT["dependencies"])
def test_colab_has_it_already(line):
    """It is installed there with --no-deps: nobody would notice a range that excludes Colab's."""
    requirement = Requirement(line)
    assert requirement.specifier.contains(COLAB[requirement.name])
    assert all(part.operator == ">=" for part in requirement.specifier), (
        "a pin or an upper bound goes stale"
    )


@pytest.mark.parametrize("version", ["3.10.0", "3.11.7", "3.12.1", "3.13.0", "3.15.0"])
def test_no_python_is_refused_without_a_reason(version):
    assert SpecifierSet(PROJECT["requires-python"]).contains(version)


# --- the package ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    """The wheel made from the source archive, so that both are tried."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run([*build, "-t", "sdist"], cwd=ROOT, check=True, capture_output=True)
    source = next(folder.glob("*.tar.gz"))
    subprocess.run(
        [sys.executable, "-m", "tarfile", "-e", str(source), str(folder)],
        check=True,
        capture_output=True,
    )
    subprocess.run(
        [*build, "-t", "wheel"],
        cwd=folder / source.name.removesuffix(".tar.gz"),
        check=True,
        capture_output=True,
    )
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_wheel_holds_the_package_and_the_results_and_nothing_else(wheel):
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    kept = [path.relative_to(ROOT).as_posix() for path in kept_files()]
    modules = {name for name in kept if name.startswith("vit_tutorial/")}
    results, weights = (
        {
            name.replace(f"data/{kind}/", f"vit_tutorial/_{kind}/", 1)
            for name in kept
            if name.startswith(f"data/{kind}/")
        }
        for kind in ("results", "weights")
    )
    assert results and weights
    assert names == modules | results | weights


def test_wheel_is_small_and_holds_no_notebook(wheel):
    """Each lesson on Colab begins with this download."""
    assert Path(wheel.filename).stat().st_size < MOST_BYTES
    assert not [name for name in wheel.namelist() if name.endswith((".ipynb", ".png"))]


def test_wheel_names_the_license_and_the_address(wheel):
    metadata = wheel.read(
        next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    ).decode()
    assert "License-Expression: Apache-2.0" in metadata
    assert f"Project-URL: Repository, {REPOSITORY}" in metadata
    assert any(name.endswith("LICENSE") for name in wheel.namelist())


@pytest.mark.slow
def test_results_are_read_from_the_package_when_it_is_alone(wheel, tmp_path):
    wheel.extractall(tmp_path)
    code = "from vit_tutorial.data import results_path; print(results_path('lesson_times.csv'))"
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (
        Path(done.stdout.strip()) == tmp_path / "vit_tutorial" / "_results" / "lesson_times.csv"
    ), done.stderr


@pytest.mark.slow
def test_import_is_light():
    """No work, no plots and no teacher's tools come in with the package's name."""
    heavy = {"matplotlib", "nbgrader", "IPython", "torchvision", "timm"}
    code = f"import sys, vit_tutorial; print(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


# --- the repository -------------------------------------------------------------------------------


def test_address_is_written_by_hand_in_one_place():
    """Lessons and texts may name it; code and settings may not.

    What the others say is compared below and in test_notebooks.py."""
    bare = REPOSITORY.removeprefix("https://")
    code = [path for path in kept_files() if path.suffix not in (".ipynb", ".md", ".cff")]
    assert [path.relative_to(ROOT).as_posix() for path in code if bare in read(path)] == [
        "pyproject.toml"
    ]


def test_texts_name_no_other_address():
    texts = [path for path in kept_files() if path.suffix in (".md", ".cff", ".txt", ".toml")]
    assert {
        path.name: tool.addresses(read(path)) for path in texts if tool.addresses(read(path))
    } == {}


def test_readme_has_the_two_commands_on_a_line_each():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for marker, extra in (("lessons", "lab"), ("test", "dev")):
        block = re.search(rf"<!-- {marker} command -->\s*```\w*\n(.*?)\n```", readme, re.DOTALL)[1]
        assert "\n" not in block
        install = f'.venv/bin/python -m pip install -e ".[{extra}]"'
        assert block.startswith(f"python3 -m venv .venv && {install} && .venv/bin/")
        assert extra in PROJECT["optional-dependencies"]


def test_no_path_of_one_machine_is_kept():
    texts = {".py", ".toml", ".txt", ".cfg", ".csv", ".md"}
    files = [
        path for path in kept_files() if path.suffix in texts and ROOT / "tests" not in path.parents
    ]
    found = {path.relative_to(ROOT).as_posix(): tool.ABSOLUTE.findall(read(path)) for path in files}
    assert {name: paths for name, paths in found.items() if paths} == {}


@pytest.mark.parametrize("words", [["check"], ["format", "--check"]], ids=" ".join)
def test_ruff(words):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *words, "--quiet", "."],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
