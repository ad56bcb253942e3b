"""Consoles as they are: without UTF-8, or closed before everything was read."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def pictures(tmp_path):
    """A folder whose name and classes no Western code page has."""
    root = tmp_path / "データ"
    for label, name in enumerate(("猫", "犬")):
        (root / name).mkdir(parents=True)
        for number in range(8):
            pixels = np.full((8, 8, 3), 200 * label, dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "vit_tutorial", *map(str, arguments)],
        capture_output=True,
        env=os.environ | environment,
    )


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_letters_that_the_console_lacks_are_replaced(encoding, pictures, tmp_path):
    out = tmp_path / "run"
    options = ["--epochs", "1", "--batch-size", "4", "--model", "CIFAR-96x1/4", "--device", "cpu"]
    trained = run(
        "train", "--data", pictures, "--image-size", 8, "--out", out, *options,
        PYTHONIOENCODING=encoding,
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    assert b"classes: ?, ?" in trained.stdout
    named = run("predict", out, pictures, PYTHONIOENCODING=encoding)
    assert named.returncode == 0 and b"0.png: ?" in named.stdout


def test_a_closed_pipe_is_no_error():
    command = [sys.executable, "-m", "vit_tutorial", "info"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait() == 0 and b"Traceback" not in said and b"BrokenPipe" not in said
