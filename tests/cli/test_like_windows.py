"""Every command that a learner types, where there is no fork, no link, no /tmp and no UTF-8."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PROGRAM = """
import warnings
import filelock, matplotlib.pyplot, pooch, psutil, skimage.data, torch, torchvision
import like_windows
like_windows.play()
from vit_tutorial.cli.main import main
warnings.filterwarnings("error", category=EncodingWarning, module="vit_tutorial")
for command in open("commands.txt", encoding="utf-8").read().splitlines():
    words = command.split(" | ")
    print("+", *words, flush=True)
    try:
        status = main(words)
    except SystemExit as end:
        status = end.code
    assert not status, (status, words)
print("all done")
"""
TRAIN = "train | --data | data | --image-size | 8 | --batch-size | 4 | --model | CIFAR-96x1/4"
COMMANDS = f"""
info
start | --copy-only | --folder | lessons
{TRAIN} | --device | cpu | --epochs | 1 | --out | run
evaluate | run | --data | data
predict | run | data | --csv | named.csv
attention | run | data/käse/0.png | --out | attention.png
similarity | run | --out | similarity.png
show-patches | data/käse/0.png | --image-size | 8 | --patch-size | 4 | --out | patches.png
"""


@pytest.fixture
def place(tmp_path):
    """A user's folder: a name with a space and an umlaut, and a few pictures."""
    place = tmp_path / "Jörg Müller"
    for label, name in enumerate(("käse", "brot")):
        (place / "data" / name).mkdir(parents=True)
        for number in range(8):
            pixels = np.full((8, 8, 3), 200 * label, dtype=np.uint8)
            Image.fromarray(pixels).save(place / "data" / name / f"{number}.png")
    (place / "temp").mkdir()
    return place


@pytest.mark.slow
def test_every_command(place):
    (place / "commands.txt").write_text(COMMANDS.strip(), encoding="utf-8")
    variables = {name: str(place / "temp") for name in ("TMPDIR", "TMP", "TEMP")}
    variables |= {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}
    path = os.pathsep.join((str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")))
    done = subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", "-c", PROGRAM],
        cwd=place,
        env=os.environ | variables | {"PYTHONPATH": path},
        capture_output=True,
        timeout=300,
    )
    said = done.stdout.decode("cp1252")
    assert done.returncode == 0, said[-2000:] + done.stderr.decode("cp1252")[-3000:]
    assert said.rstrip().endswith("all done")
    assert {"named.csv", "attention.png", "similarity.png", "patches.png", "run"} <= {
        each.name for each in place.iterdir()
    }
    left = {each.name for each in (place / "temp").iterdir()}
    assert all(name.startswith("torchinductor_") for name in left), left  # torch's own
