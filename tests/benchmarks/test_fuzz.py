"""benchmarks/fuzz.py: a few damaged inputs for every parser, and what the watcher notices."""

import random
import time
from pathlib import Path

import pytest
from script_common import script

from vit_tutorial.common.files import read_rows
from vit_tutorial.data import results_path

INPUTS = {
    "images": 200,
    "model files": 100,
    "checkpoints": 40,
    "run folders": 40,
    "tables": 30,
    "command lines": 50,
    "model configurations": 300,
    "training settings": 300,
    "folders of images": 50,
    "archives": 60,
}


@pytest.fixture(scope="module")
def fuzz():
    return script("benchmarks/fuzz.py")


@pytest.mark.slow
@pytest.mark.parametrize("name", INPUTS)
def test_damaged_inputs_are_read_or_refused_with_our_own_errors(fuzz, name):
    # Numbers that the committed table does not have.
    trials = fuzz.run_all(name, list(range(20_000, 20_000 + INPUTS[name])))
    assert len(trials) == INPUTS[name]
    faults = [trial for trial in trials if trial.outcome not in ("accepted", "refused")]
    # The limit is by the clock, and other tests use this machine: a hang hangs a second time.
    slow = [trial.number for trial in faults if trial.outcome == "hang"]
    faults = [trial for trial in faults if trial.outcome != "hang"]
    faults += [trial for trial in fuzz.run_all(name, slow) if trial.outcome == "hang"]
    assert not faults, faults[:3]
    assert {"accepted", "refused"} == {trial.outcome for trial in trials}


def test_every_parser_is_tried_here_and_in_the_committed_table(fuzz):
    assert list(INPUTS) == list(fuzz.PARSERS)
    rows = read_rows(results_path("fuzz.csv"))
    assert [row["parser"] for row in rows] == list(INPUTS)
    for row in rows:
        assert int(row["inputs"]) >= 10_000
        assert int(row["accepted"]) + int(row["refused"]) == int(row["inputs"]), row
        assert float(row["slowest_s"]) < 5


def test_an_input_is_made_again_from_its_number(fuzz, tmp_path):
    contents = []
    for place in (tmp_path / "a", tmp_path / "b"):
        for part in ("valid", "input"):
            (place / part).mkdir(parents=True)
        images = fuzz.PARSERS["images"](place / "valid")
        images.make(random.Random("images 7"), place / "input")
        contents.append({p.name: p.read_bytes() for p in (place / "input").iterdir()})
    assert contents[0] == contents[1] and len(contents[0]) >= 1


def outcome(fuzz, run, tmp_path, monkeypatch, seconds=0.5) -> str:
    monkeypatch.setitem(fuzz.watch.__globals__, "SECONDS", seconds)
    return fuzz.watch("x", 0, tmp_path, fuzz.Watcher(), run).outcome


def raising(error):
    def run():
        raise error

    return run


class ForeignError(ValueError):
    """As libraries have them: a kind of ValueError, but none of ours."""


def test_the_watcher_tells_faults_from_refusals(fuzz, tmp_path, monkeypatch):
    tell = lambda run: outcome(fuzz, run, tmp_path, monkeypatch)
    assert tell(lambda: True) == "accepted" and tell(lambda: "no such file") == "refused"
    assert tell(raising(ValueError("x is 3"))) == "refused"
    for error in (KeyError("x"), TypeError("x"), ForeignError("x"), ValueError()):
        assert tell(raising(error)) == "traceback", error
    assert tell(raising(MemoryError())) == "memory"
    assert tell(raising(RuntimeError("not enough memory: you tried"))) == "memory"
    assert tell(lambda: time.sleep(2)) == "hang"
    assert tell(lambda: (tmp_path / "inside").write_text("x") > 0) == "accepted"
    outside = tmp_path.parent / "outside"
    assert tell(lambda: outside.write_text("x") > 0) == "outside"
    assert tell(lambda: outside.unlink()) == "outside"


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_picture_that_is_cut_off_and_read_all_the_same_is_a_fault(fuzz, tmp_path, monkeypatch):
    from PIL import ImageFile

    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)  # what some scripts switch on
    found = fuzz.tries("images", range(300), Path(tmp_path / "all"), fuzz.Watcher())
    assert "wrong" in {trial.outcome for trial in found}
