"""A share of benchmarks/faults.py: a run that is killed, damaged and stopped comes through."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from script_common import script

from vit_tutorial.training.runtime.checkpoint import (
    CURRENT,
    PREVIOUS,
    load_checkpoint,
    save_checkpoint,
)

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="made with Linux signals and mounts"
)


@pytest.fixture(scope="module")
def faults():
    return script("benchmarks/faults.py")


@pytest.mark.slow
def test_one_run_killed_damaged_and_stopped_ends_with_the_weights_of_a_run_left_alone(
    faults, tmp_path, monkeypatch
):
    """SIGKILL, SIGKILL while a checkpoint is written, a checkpoint cut short, SIGTERM."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    expected, _ = faults.undisturbed(tmp_path)
    run, tally = faults.fresh(tmp_path, every=0.05), faults.Tally("all at once", expected)
    run.start()
    assert run.wait(lambda: run.has_checkpoints(2) and run.steps() > 20)
    first = tally.strike(run)
    assert 0 < first <= 156

    run.resume()
    assert run.wait(lambda: run.steps() > 20) and run.wait(run.writing)
    second = tally.strike(run, before=first)
    assert second > first

    whole = (run.folder / CURRENT if run.has_checkpoints() else run.folder / PREVIOUS).read_bytes()
    (run.folder / CURRENT).write_bytes(whole[: len(whole) // 2])
    before, note = load_checkpoint(run.folder)
    assert "damaged" in note and before["history"]["steps"] <= second

    run.resume()
    assert run.wait(lambda: run.steps() > 10)
    run.process.send_signal(signal.SIGTERM)
    status, output = run.end()
    assert status == -signal.SIGTERM and "damaged" in output, output
    assert run.newest_checkpoint()[0] == before["history"]["steps"] + run.steps(), (
        "a run that is stopped by SIGTERM loses no step"
    )

    tally.resume(run)
    assert tally.row()["same_weights"] == "yes" and tally.resumed == 1, tally.row()
    assert not run.writing() and not run.has_checkpoints(), "what was needed to resume is gone"


def test_the_table_tells_weights_that_differ(faults):
    a = {"w": torch.tensor([1.0, 2.0])}
    assert faults.same(a, {"w": torch.tensor([1.0, 2.0])})
    for other in ({"w": torch.tensor([1.0, 2.0000002])}, {"v": a["w"]}, {"w": a["w"].double()}, {}):
        assert not faults.same(a, other)


def test_lost_steps_and_seconds_are_counted(faults, tmp_path):
    """With a process that does nothing and a state at step 5 written long ago."""
    run, tally = faults.fresh(tmp_path), faults.Tally("", {})
    os.utime(save_checkpoint(run.folder, {"history": {"steps": 5}}), (time.time() - 30,) * 2)
    (run.folder / f".{CURRENT}.1.partial").touch()
    run.process = subprocess.Popen(["sleep", "60"], stdout=subprocess.PIPE, text=True)
    run.counter.write_text("9")
    assert tally.strike(run, before=3) == 5
    row = tally.row()
    assert (row["most_steps_lost"], row["while_writing"], row["tried"]) == (7, 1, 1) and 30 <= row[
        "most_seconds_lost"
    ] < 40
