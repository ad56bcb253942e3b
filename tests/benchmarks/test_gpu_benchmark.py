"""benchmarks/gpu.py: what it runs, what it leaves when time runs out; every command is valid."""

import csv
import runpy
import subprocess
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from script_common import script

from vit_tutorial.cli.main import main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def gpu():
    return script("benchmarks/gpu.py")


def call(gpu, monkeypatch, *words) -> int:
    monkeypatch.setattr("sys.argv", ["gpu.py", *map(str, words)])
    return gpu.main()


def archive(folder: Path) -> Path:
    picture = folder / "images" / "train" / "cat" / "1.jpg"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"x")
    with tarfile.open(folder / "images.tar.xz", "w:xz") as file:
        file.add(folder / "images", arcname="images")
    return folder / "images.tar.xz"


MACHINE = (
    "tests",
    "step",
    "loop",
    "augment",
    "cost",
)  # parts that measure the machine, without the images


def test_parts_run_in_order_on_the_unpacked_images_and_all_comes_back_in_one_file(
    gpu, tmp_path, monkeypatch
):
    seen = []

    def fake(command, timeout):
        part = gpu.PARTS[len(seen)]
        words = [str(word) for word in command]
        if part not in MACHINE:
            data = Path(
                next(
                    word
                    for word in words
                    if Path(word).is_dir() and (Path(word) / "train").is_dir()
                )
            )
            assert (data / "train" / "cat" / "1.jpg").read_bytes() == b"x"
        if part == "tests":
            assert all(Path(name).is_file() for name in words if name.endswith(".py"))
        else:
            place = Path(words[words.index("--out") + 1])
            (place.parent if place.suffix else place).joinpath(f"{part}.csv").write_text(part)
        seen.append(part)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(gpu.subprocess, "run", fake)
    assert call(gpu, monkeypatch, archive(tmp_path), "--out", tmp_path / "out") == 0
    assert tuple(seen) == gpu.PARTS
    with tarfile.open(tmp_path / "out" / "gpu.tar.gz") as file:
        names = [name for name in file.getnames() if name.endswith(".csv")]
    made = [part for part in gpu.PARTS if part != "tests"]
    assert sorted(names) == sorted(
        f"{'weights' if part == 'weights' else 'results'}/{part}.csv" for part in made
    )
    rows = list(csv.DictReader((tmp_path / "out" / "parts.csv").open()))
    assert [(row["part"], row["ended"]) for row in rows] == [
        (part, "exit status 0") for part in gpu.PARTS
    ]


def test_what_was_measured_before_time_ran_out_is_kept(gpu, tmp_path, monkeypatch):
    clock = iter([0, 0, 1, 500, 510, 511, 541, 541, 541, 541, 541, 541, 541])
    monkeypatch.setattr(gpu.time, "monotonic", lambda: next(clock))

    def fake(command, timeout):
        if "weights.py" in str(command):
            (Path(command[command.index("--out") + 1]) / "half.csv").write_text("x")
            raise subprocess.TimeoutExpired(command, timeout)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(gpu.subprocess, "run", fake)
    words = (
        archive(tmp_path).parent / "images",
        "--out",
        tmp_path / "out",
        "--parts",
        "minute",
        "weights",
        "start",
    )
    assert call(gpu, monkeypatch, *words) == 1
    rows = [row["ended"] for row in csv.DictReader((tmp_path / "out" / "parts.csv").open())]
    assert rows == [
        "exit status 0",
        "stopped: out of time; its finished rows are kept",
        "not started: no time left",
    ]
    with tarfile.open(tmp_path / "out" / "gpu.tar.gz") as file:
        assert "weights/half.csv" in file.getnames()


def test_an_archive_without_images_is_refused(gpu, tmp_path, monkeypatch):
    (tmp_path / "readme").write_text("x")
    with tarfile.open(tmp_path / "other.tar", "w") as file:
        file.add(tmp_path / "readme", arcname="readme")
    with pytest.raises(SystemExit, match="holds no folder train/"):
        call(gpu, monkeypatch, tmp_path / "other.tar", "--out", tmp_path / "out")


@pytest.mark.parametrize(
    "part",
    ["step", "loop", "augment", "cost", "minute", "minutes", "weights", "recipe", "kinds", "start"],
)
def test_every_command_is_one_that_its_script_knows(gpu, part, tmp_path, monkeypatch, capsys):
    """A word at the end that no script knows: the words before it are parsed, and nothing runs."""
    args = SimpleNamespace(
        provenance="p", device="cpu", recipe="a100", longer=8, epochs=1, seeds=1, study_epochs=1
    )
    _, *words = [str(word) for word in gpu.command(part, tmp_path, tmp_path, args)]
    with pytest.raises(
        SystemExit
    ) as stop:  # in this process: ten times importing torch would take a minute
        if words[0] == "-m":
            main([*words[2:], "--no-such-word"])
        else:
            monkeypatch.setattr("sys.argv", [*words, "--no-such-word"])
            monkeypatch.syspath_prepend(str(Path(words[0]).parent))
            runpy.run_path(words[0], run_name="__main__")
    assert (
        stop.value.code == 2 and "unrecognized arguments: --no-such-word" in capsys.readouterr().err
    )
