"""benchmarks/transfer.py: classes that are held out, runs made once, as many steps as promised."""

import dataclasses

import pytest
import torch
from script_common import script

from vit_tutorial import data
from vit_tutorial.common.files import read_rows


@pytest.fixture(scope="module")
def benchmark():
    return script("benchmarks/transfer.py")


@pytest.fixture(scope="module")
def shapes():
    found = data.load("shapes")
    parts = dict(train=found.train[:400], validation=found.validation[:50], test=found.test[:50])
    return dataclasses.replace(found, **parts)


def test_no_image_of_a_held_out_class_is_pre_trained_on(benchmark, shapes):
    before, after = benchmark.halves(shapes, "shapes")
    assert before.class_names + after.class_names == shapes.class_names
    assert len(before.train) == 240 and len(after.train) == 160
    assert set(after.train.labels.tolist()) == set(range(4))
    held_out = shapes.train.images[shapes.train.labels >= 6]
    assert torch.equal(after.train.images, held_out)
    assert before.mean == after.mean != shapes.mean  # pixels of held-out classes have no say


def test_a_subset_has_as_many_of_each_class_and_depends_on_the_seed(benchmark, shapes):
    _, after = benchmark.halves(shapes, "shapes")
    few = [benchmark.subset(after, 20, seed).train for seed in (0, 0, 1)]
    assert all(torch.bincount(part.labels).tolist() == [5] * 4 for part in few)
    assert torch.equal(few[0].images, few[1].images)
    assert not torch.equal(few[0].images, few[2].images)
    assert benchmark.subset(after, 1000, 0) is after


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
