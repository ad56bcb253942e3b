"""`start`: a learner's own copies of the lessons, and help that comes at once."""

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vit_tutorial.cli import main as cli
from vit_tutorial.cli import start
from vit_tutorial.cli.main import main
from vit_tutorial.data import paths

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A small clone: two lessons, one of them with a student copy."""
    root = tmp_path / "a clone"
    (root / "notebooks" / "student").mkdir(parents=True)
    for name in ("00_start_here", "01_patches", "student/01_patches", "explore"):
        (root / "notebooks" / f"{name}.ipynb").write_text(f'{{"lesson": "{name}"}}')
    monkeypatch.setattr(paths, "clone", lambda: root)
    return root


@pytest.fixture
def opened(monkeypatch):
    """What JupyterLab would be called with; it is not started."""
    calls = []

    class Lab:
        def __init__(self, command, cwd):
            calls.append((command, Path(cwd)))

        __enter__ = lambda self: self
        __exit__ = lambda self, *error: None
        wait = lambda self: 0

    monkeypatch.setattr(start.subprocess, "Popen", Lab)
    monkeypatch.setattr(start, "find_spec", lambda name: object())
    return calls


def test_it_copies_the_lessons_and_opens_one_with_the_clone_as_root(clone, opened, capsys):
    assert main(["start"]) == 0
    copies = {
        path.relative_to(clone / "work").as_posix() for path in clone.rglob("work/**/*.ipynb")
    }
    assert copies == {"00_start_here.ipynb", "01_patches.ipynb", "explore.ipynb"} | {
        "student/01_patches.ipynb"
    }
    ((command, cwd),) = opened
    assert cwd == clone and f"--ServerApp.root_dir={clone}" in command
    assert str(clone / "work" / "00_start_here.ipynb") in command
    assert ("--allow-root" in command) == (hasattr(os, "geteuid") and os.geteuid() == 0)
    assert capsys.readouterr().out == f"{clone / 'work'}: 4 notebooks copied\n"


@pytest.mark.parametrize(
    "words, name",
    [(["1"], "01_patches"), (["01", "--student"], "student/01_patches"), (["explore"], "explore")],
)
def test_a_lesson_is_named_by_its_number(clone, opened, words, name):
    assert main(["start", *words]) == 0
    assert str(clone / "work" / f"{name}.ipynb") in opened[0][0]


def test_a_changed_copy_is_kept_and_an_unchanged_one_brought_up_to_date(clone, capsys):
    copies, lessons = clone / "work", clone / "notebooks"
    assert main(["start", "--copy-only"]) == 0
    (copies / "01_patches.ipynb").write_text("my notes")
    (lessons / "00_start_here.ipynb").write_text("new 00")
    assert main(["start", "--copy-only"]) == 0
    assert (copies / "01_patches.ipynb").read_text() == "my notes"
    assert (copies / "00_start_here.ipynb").read_text() == "new 00"
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.endswith("0 notebooks copied, 1 brought up to date")  # 01 itself has not moved
    (lessons / "01_patches.ipynb").write_text("new 01")
    assert main(["start", "--copy-only"]) == 0
    assert (copies / "01_patches.ipynb").read_text() == "my notes"
    assert "Newer lessons exist for 01_patches.ipynb" in capsys.readouterr().out


def refused(capsys, *words) -> str:
    assert main(list(words)) == 2
    return capsys.readouterr().err


def test_what_cannot_be_started_is_refused_with_what_helps(clone, opened, capsys, monkeypatch):
    assert "unknown lesson '07': did you mean" in refused(capsys, "start", "7")
    assert "lesson 00 has no student copy" in refused(capsys, "start", "--student")
    folder = str(clone / "notebooks")
    assert "give another --folder" in refused(capsys, "start", "--folder", folder)
    monkeypatch.setattr(start, "find_spec", lambda name: None)
    assert 'pip install -e ".[lab]"' in refused(capsys, "start")
    monkeypatch.setattr(paths, "clone", lambda: None)
    assert "git clone" in refused(capsys, "start")
    assert opened == []


def test_ctrl_c_is_left_to_jupyterlab(monkeypatch, tmp_path):
    answers = [KeyboardInterrupt, KeyboardInterrupt, 0]

    class Lab:
        __enter__ = lambda self: self
        __exit__ = lambda self, *error: None

        def wait(self):
            answer = answers.pop(0)
            if answer is KeyboardInterrupt:
                raise answer
            return answer

    monkeypatch.setattr(start.subprocess, "Popen", lambda command, cwd: Lab())
    assert start.open_lab(tmp_path, tmp_path / "x.ipynb") == 0 and answers == []


def test_git_ignores_the_copies_and_the_pictures_that_commands_leave():
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("no git checkout")
    names = ["work/00_start_here.ipynb", "patches.png", "similarity.png"]
    done = subprocess.run(["git", "check-ignore", *names], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == names


# --- help ----------------------------------------------------------------------------------------

LIGHT = ["start", "info", "show-patches", "similarity", "predict", "evaluate", "study"]


@pytest.mark.parametrize("words", [[], *([name] for name in LIGHT)], ids=lambda w: " ".join(w))
def test_help_needs_no_torch_and_comes_within_a_second(words):
    code = (
        "import sys, runpy\nsys.argv = ['vit_tutorial', *sys.argv[1:]]\n"
        "try: runpy.run_module('vit_tutorial', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print('torch' in sys.modules, file=sys.stderr)"
    )
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *words, "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stderr == "False\n", done.stderr
    assert done.stdout.startswith("usage: python -m vit_tutorial")
    # 0.1 s on a quiet machine; the first assertion is the one that can tell on a busy one.
    assert time.perf_counter() - begun < 5


def test_help_lists_every_command_whether_loaded_or_not():
    every = {
        name: next(a.choices for a in cli.parser(name)._actions if a.dest == "command").keys()
        for name in (None, "info", "")
    }
    assert every[None] == every["info"] == every[""]


# --- places that cannot be written to ------------------------------------------------------------


@pytest.mark.parametrize(
    "words, option",
    [
        (["show-patches", str(ROOT / "docs" / "patches.png")], "--out"),
        (["similarity", "weights:shapes"], "--out"),
        (
            ["predict", "weights:shapes", str(ROOT / "docs" / "patches.png"), "--csv", "t.csv"],
            "--csv",
        ),
    ],
    ids=["show-patches", "similarity", "predict"],
)
def test_a_read_only_folder_is_named_with_the_option_that_helps(
    words, option, monkeypatch, capsys, tmp_path
):
    from vit_tutorial.common import files

    def read_only(partial, path):
        raise OSError(errno.EROFS, "Read-only file system", str(partial))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(files.os, "replace", read_only)
    message = refused(capsys, *words)
    assert "(Read-only file system)" in message and option in message
    assert "Errno" not in message and "partial" not in message


def test_similarity_prints_its_numbers_before_it_writes(monkeypatch, capsys):
    from vit_tutorial.inspection import plots

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "x")

    monkeypatch.setattr(plots, "save", full)
    assert main(["similarity", "weights:start_0.02"]) == 2
    said = capsys.readouterr()
    assert "direct neighbours" in said.out and "No space left" in said.err


def test_an_error_names_the_file_that_was_asked_for_and_not_its_hidden_twin(tmp_path):
    from vit_tutorial.common.files import atomic_write

    file = tmp_path / ("x" * 250 + ".csv")  # with the hidden name's ending it is too long
    with pytest.raises(OSError) as caught, atomic_write(file):
        pass
    assert caught.value.filename == str(file)


# --- weights by name -----------------------------------------------------------------------------


def test_weights_of_the_package_are_found_by_name_in_a_wheel(monkeypatch, tmp_path, capsys):
    packed = tmp_path / "vit_tutorial"
    shutil.copytree(ROOT / "data" / "weights", packed / "_weights")
    monkeypatch.setattr(paths, "clone", lambda: None)
    monkeypatch.setattr(paths, "PACKAGE", packed)
    out = str(tmp_path / "p.png")
    for name in ("start_0.02", "vit_cifar10_start_0.02"):
        assert main(["similarity", f"weights:{name}", "--out", out]) == 0
    assert "8x8 position embeddings" in capsys.readouterr().out
    message = refused(capsys, "similarity", "weights:strt_0.02")
    assert "did you mean weights:start_0.02?" in message and "vit_shapes.safetensors" in message


def test_the_record_of_copies_is_readable(tmp_path):
    source = tmp_path / "notebooks"
    source.mkdir()
    (source / "00_a.ipynb").write_text("{}")
    start.copy_lessons(source, tmp_path / "work")
    assert json.loads((tmp_path / "work" / start.COPIED).read_text()) == {
        "00_a.ipynb": start.digest(b"{}")
    }
