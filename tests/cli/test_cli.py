"""The command line as a person uses it: what it writes, what it says, how it fails."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vit_tutorial.cli.main import main
from vit_tutorial.data import paths


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of two classes that differ in colour, with a split into train and test."""
    root = tmp_path_factory.mktemp("pictures")
    draw = np.random.default_rng(0)
    for part, count in (("train", 80), ("test", 20)):
        for name, shade in (("dark", 40), ("light", 200)):
            folder = root / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = draw.integers(0, 50, (40, 40, 3), dtype=np.uint8) + np.uint8(shade)
                Image.fromarray(pixels).save(folder / f"{i:03}.png")
    return root


@pytest.fixture(scope="module")
def trained(pictures, tmp_path_factory):
    """The folder that a short training run leaves behind."""
    out = tmp_path_factory.mktemp("runs") / "first"
    words = [
        "train",
        "--data",
        str(pictures),
        "--minutes",
        "0.05",
        "--model",
        "CIFAR-32x1/8",
        "--batch-size",
        "32",
        "--quiet",
    ]
    assert main([*words, "--out", str(out)]) == 0
    return out


def refused(capsys, *words):
    """The one-line message of a call that must end with status 2."""
    status = main([str(w) for w in words])
    message = capsys.readouterr().err
    assert status == 2, f"exit status {status}: {message}"
    assert message.count("\n") == 1 and "Traceback" not in message
    return message


@pytest.mark.slow
def test_train_leaves_everything_needed_to_do_it_again(trained):
    assert sorted(p.name for p in trained.iterdir()) == [
        "curves.png",
        "metrics.csv",
        "model.safetensors",
        "run.json",
    ]
    record = json.loads((trained / "run.json").read_text())
    assert record["command"].startswith("python -m vit_tutorial")
    assert record["versions"]["torch"] and record["hardware"] and record["date"]
    assert record["config"]["num_classes"] == 2 and record["settings"]["minutes"] == 0.05
    assert record["test_accuracy"] > 0.9, "dark against light is easy: the run did not learn"
    assert (
        record["images"]["train"] + record["images"]["validation"] == 160
        and record["images"]["test"] == 40
    )
    lines = (trained / "metrics.csv").read_text().splitlines()
    assert lines[0].startswith("step,epochs,minutes,lr,train_loss") and len(lines) >= 3
    assert Image.open(trained / "curves.png").size[0] > 300


def test_evaluate_finds_the_accuracy_that_train_reported(trained, pictures, capsys):
    record = json.loads((trained / "run.json").read_text())
    assert main(["evaluate", str(trained), "--data", str(pictures)]) == 0
    assert f"test {record['test_accuracy']:.2%}" in capsys.readouterr().out


def test_show_patches_draws_a_picture(pictures, tmp_path, capsys):
    image = next((pictures / "train" / "dark").iterdir())
    out = tmp_path / "patches.png"
    assert main(["show-patches", str(image), "--patch-size", "56", "--out", str(out)]) == 0
    assert "16 patches of 56x56 pixels" in capsys.readouterr().out
    assert Image.open(out).size[0] > 300


def test_info_prints_a_table_and_json(capsys):
    assert main(["info"]) == 0
    text = capsys.readouterr().out
    for word in ("Python", "torch", "device", "memory", "CIFAR-10"):
        assert word in text
    assert main(["info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["versions"]["torch"]


@pytest.mark.parametrize(
    "words, expected",
    [
        (["train", "--minutes", "0"], "minutes is 0"),
        (["train", "--minutes", "-2"], "minutes is -2"),
        (["train", "--minutes", "nan"], "minutes is nan"),
        (["train", "--data", "shpaes"], "shapes"),
        (["train", "--model", "ViT-Q/16"], "ViT-"),
        (["train", "--pool", "men"], "did you mean 'mean'"),
        (["train", "--position", "learnt_1d"], "did you mean 'learned_1d'"),
        (["train", "--model", "CIFAR-96x4/5"], "do not tile an image of 32x32"),
        (["train", "--device", "cuda:77"], "cuda:77"),
        (["train", "--device", "cud"], "did you mean 'cuda'"),
        (["train", "--device", "cuda:first"], "cuda:first"),
        (["train", "--precision", "fp8"], "unknown precision"),
        (["train", "--batch-size", "0"], "batch_size is 0"),
        (["train", "--seed", "-1"], "seed is -1"),
        (["evaluate", "nowhere.safetensors"], "nowhere.safetensors"),
        (["show-patches", "nowhere.jpg"], "nowhere.jpg"),
        (["show-patches", __file__], "cannot be read as an image"),
        (["show-patches", "nowhere.jpg", "--patch-size", "15"], "do not tile an image of 224x224"),
    ],
)
def test_a_mistake_is_named_in_one_line_and_ends_with_status_2(
    words, expected, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert expected in refused(capsys, *words)


def test_a_folder_without_images_and_a_run_that_is_there_are_refused(trained, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert str(tmp_path / "empty") in refused(
        capsys, "train", "--data", tmp_path / "empty", "--out", tmp_path / "out"
    )
    assert "holds a run already" in refused(capsys, "train", "--out", trained)
    assert "cannot be made" in refused(capsys, "train", "--out", trained / "run.json" / "deeper")


def test_evaluate_on_other_classes_is_refused(trained, capsys):
    assert "dark, light" in refused(capsys, "evaluate", trained, "--data", "shapes")


HELP = {  # for each command, words that a newcomer looks for
    (): ["train", "evaluate", "show-patches", "similarity", "info", "examples:", "--recipe t4"],
    ("train",): ["--data", "cifar10", "--minutes", "--resume DIR", "Ctrl-C", "model.safetensors"],
    ("evaluate",): ["model.safetensors", "accuracy", "cross-entropy", "--data"],
    ("show-patches",): ["image", "--patch-size", "(default 16)", "--out", "patches.png"],
    ("info",): ["--json", "device", "precision", "memory"],
}


@pytest.mark.parametrize("command", HELP)
def test_help_says_what_a_newcomer_needs(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert not [words for words in HELP[command] if words not in text]


@pytest.mark.slow
def test_ctrl_c_leaves_a_usable_checkpoint(pictures, tmp_path, capsys):
    out = tmp_path / "run"
    words = [
        "train",
        "--data",
        pictures,
        "--minutes",
        "3",
        "--model",
        "CIFAR-32x1/8",
        "--batch-size",
        "32",
        "--out",
        out,
    ]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    # A test run that was started in the background ignores Ctrl-C, and its children would inherit
    # that; a person's terminal does not.
    listen = (
        {}
        if os.name == "nt"
        else {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    )
    command = [sys.executable, "-m", "vit_tutorial", *map(str, words)]
    run = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, **listen)
    try:
        deadline = time.monotonic() + 90
        while (
            not (out / "model.safetensors").exists()
            and time.monotonic() < deadline
            and run.poll() is None
        ):
            time.sleep(0.1)
        time.sleep(1.0)  # into the steps that follow the first evaluation
        run.send_signal(signal.SIGINT)
        _, err = run.communicate(timeout=60)
    finally:
        run.kill()
    assert run.returncode == 130, err
    assert "Traceback" not in err
    record = json.loads((out / "run.json").read_text())
    assert record["stopped"] == "interrupted" and record["minutes"] < 3
    assert main(["evaluate", str(out), "--data", str(pictures)]) == 0
    assert f"test {record['test_accuracy']:.2%}" in capsys.readouterr().out


def no_home(monkeypatch):
    """A user without a home: HOME is unset, and the system knows no such user."""
    monkeypatch.delenv("VIT_TUTORIAL_DATA", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("USERPROFILE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    pwd = pytest.importorskip("pwd", reason="only Unix has users without an entry")

    def unknown(user):
        raise KeyError(user)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(RuntimeError):
        Path.home()


def test_a_user_without_a_home_gets_a_table_and_a_temporary_folder(monkeypatch, capsys):
    no_home(monkeypatch)
    assert main(["info"]) == 0
    assert "data folder" in capsys.readouterr().out
    monkeypatch.setattr(paths, "clone", lambda: None)  # as in an installed package
    assert paths.data_root() == Path(tempfile.gettempdir()) / "vit_tutorial"
    assert main(["info"]) == 0
    assert str(paths.data_root()) in capsys.readouterr().out


def test_a_user_without_a_home_is_told_which_path_cannot_be(monkeypatch, capsys, tmp_path):
    no_home(monkeypatch)
    monkeypatch.setenv("VIT_TUTORIAL_DATA", "~/data")
    message = "VIT_TUTORIAL_DATA is '~/data', but this user has no such home folder"
    with pytest.raises(ValueError, match=message):
        paths.data_root()
    assert message in refused(capsys, "info")
    monkeypatch.setenv("VIT_TUTORIAL_DATA", "/somewhere")
    assert paths.data_root() == Path("/somewhere").absolute()
    message = "data is '~/photos', but this user has no such home folder"
    assert message in refused(
        capsys, "study", "kinds", "--data", "~/photos", "--quiet", "--out", tmp_path
    )


def test_a_run_that_cannot_begin_leaves_its_folder_free_for_the_next(tmp_path, capsys):
    words = ["train", "--data", "shapes", "--epochs", "0.01", "--quiet", "--out", str(tmp_path)]
    assert main([*words, "--batch-size", "20000"]) == 2
    assert "20000" in capsys.readouterr().err and not (tmp_path / "run.json").exists()
    assert main([*words, "--batch-size", "64", "--model", "CIFAR-8x1/16"]) == 0
