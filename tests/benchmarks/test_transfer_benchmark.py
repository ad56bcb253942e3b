"""benchmarks/transfer.py: runs made once, with the steps promised, and the lesson among them."""

import dataclasses
import math
import re
import statistics
from pathlib import Path

import nbformat
import pytest
from script_common import script

from vit_tutorial import data
from vit_tutorial.common.files import read_rows

LESSON = Path(__file__).parents[2] / "notebooks" / "22_scale_and_transfer.ipynb"
# What the lesson prints of its run with 100 labelled images, by the table's name of the method.
PRINTED = {
    "fine-tuned, SGD": r"^SGD, momentum +[\d,]+ weights learn +test ([\d.]+)%",
    "fine-tuned, AdamW": r"^AdamW +[\d,]+ weights learn +test ([\d.]+)%",
    "scratch": r"answer: ([\d.]+)\non its own 100 images",
    "probe": r"^pre-trained .* 100 labels +(\d+) %",
    "probe, untrained": r"^random weights .* 100 labels +(\d+) %",
}
T_98 = 3.747  # Student's t, 98 %, for the spread of five seeds


@pytest.fixture(scope="module")
def benchmark():
    return script("benchmarks/transfer.py")


@pytest.fixture(scope="module")
def shapes():
    found = data.load("shapes")
    parts = dict(train=found.train[:400], validation=found.validation[:50], test=found.test[:50])
    return dataclasses.replace(found, **parts)


@pytest.mark.parametrize("task", ["shapes", "cifar10"])
def test_scratch_gets_the_steps_of_pre_training_and_fine_tuning(benchmark, task):
    runs = benchmark.plan(task, 6_000)
    assert len(runs) == len(set(runs)) == 1 + 5 * len(benchmark.SIZES[task])
    steps = {method: benchmark.steps_of(method, task) for method, _, _ in runs}
    for tuned in ("fine-tuned, SGD", "fine-tuned, AdamW"):
        assert steps["scratch"] == steps["pre-training"] + steps[tuned]
    assert steps["probe"] == 0
    chosen = benchmark.CHOSEN[task]  # each rate is one of those that were tried
    tried = benchmark.RATES | {"probe": benchmark.STRENGTHS}
    assert all(chosen[name] in rates for name, rates in tried.items())


@pytest.mark.slow
def test_a_run_is_made_once(benchmark, shapes, tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark.data, "load", lambda source: shapes)
    monkeypatch.setitem(benchmark.SIZES, "shapes", (20, 40))
    monkeypatch.setitem(benchmark.PRE_STEPS, "shapes", 4)
    monkeypatch.setattr(benchmark, "FINE_STEPS", 2)
    words = ["transfer.py", "shapes", "--seeds", "0", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", [*words, "--minutes", "0"])
    benchmark.main()
    assert len(read_rows(tmp_path / "transfer.csv")) == 2  # one of each plan, then time is up
    monkeypatch.setattr("sys.argv", words)
    benchmark.main()
    rows = read_rows(tmp_path / "transfer.csv")
    assert len(rows) == (1 + 5 * 2) + (1 + 2)
    assert {row["steps"] for row in rows if row["method"] == "scratch"} == {"6"}
    small = {row["method"] for row in rows if row["pre_images"] == "24"}
    assert small == {"pre-training", "probe"}
    monkeypatch.setattr(benchmark, "one_seed", lambda *found: iter(()))
    benchmark.main()  # nothing is missing
    assert read_rows(tmp_path / "transfer.csv") == rows


@pytest.mark.parametrize("method", PRINTED)
def test_the_run_of_the_lesson_is_one_more_of_the_tables(method):
    """The first 100 images, 50 drawings in both halves, gave a scratch of 47 % instead of 37 %.

    The lesson is executed on other processors than the table, so its run is as a sixth seed: with
    98 %, that lies within t s √(1 + 1/5) of the mean of five.
    """
    cells = nbformat.read(LESSON, as_version=4).cells
    outputs = "\n".join(o.get("text", "") for c in cells for o in c.get("outputs", ()))
    live = float(re.search(PRINTED[method], outputs, re.MULTILINE).group(1))
    rows = read_rows(data.results_path("transfer.csv"))
    of = dict(task="shapes", method=method, images="100")
    found = [row for row in rows if of.items() <= row.items() and row["pre_images"] != "600"]
    seeds = [100 * float(row["test_accuracy"]) for row in found]
    assert len(seeds) == 5
    room = T_98 * statistics.stdev(seeds) * math.sqrt(1 + 1 / 5)
    assert abs(live - statistics.fmean(seeds)) < room, (live, seeds)
