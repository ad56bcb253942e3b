"""benchmarks/record.py: rows of the record, what they count, and the page that shows them."""

import re
from pathlib import Path

import pytest
import torch
from script_common import script
from torch.utils.flop_counter import FlopCounterMode

from vit_tutorial import MultiHeadSelfAttention, VisionTransformer, ViTConfig, data
from vit_tutorial.common.files import read_rows

ROOT = Path(__file__).resolve().parents[2]
TINY = ["--model", "CIFAR-32x1/8", "--num-evaluations", "1", "--resolutions", "0.5@16"]


@pytest.fixture
def record(monkeypatch):
    benchmark = script("benchmarks/record.py")
    monkeypatch.setattr(benchmark, "keep_to", lambda cores: None)  # these are the tests' own cores
    return benchmark


@pytest.mark.parametrize(
    "name, changes, side",
    [
        ("CIFAR-96x4/4", {}, 32),
        ("CIFAR-96x4/4", dict(position="sinusoidal_2d"), 12),
        ("CIFAR-64x3/4", dict(pool="class"), 16),
    ],
)
def test_flops_are_those_that_torch_counts(record, name, changes, side):
    config = ViTConfig.named(name, **changes)
    with torch.device("meta"):
        model, image = VisionTransformer(config), torch.empty(1, 3, side, side)
    model.dynamic_image_size = True
    for part in model.modules():
        if isinstance(part, MultiHeadSelfAttention):
            part.fused = False  # the counter does not see the fused call
    with FlopCounterMode(display=False) as counter:
        model(image)
    assert record.step_flops(config, side) == 3 * counter.get_total_flops()


@pytest.mark.slow
def test_a_run_of_each_seed_is_a_row_and_replaces_its_own(record, tmp_path, monkeypatch, capsys):
    out = tmp_path / "r.csv"
    words = ["shapes", "--change", "a try", "--minutes", "0.03", "--quiet", "--out", str(out)]
    run = lambda *more: monkeypatch.setattr("sys.argv", ["record.py", *words, *more])
    for seeds in (("0", "1"), ("1",)):
        run("--seeds", *seeds, "--train", *TINY)
        record.main()
    rows = read_rows(out)
    assert [row["seed"] for row in rows] == ["0", "1"]
    assert list(rows[0]) == list(read_rows(data.results_path("record.csv"))[0])
    first, config = rows[1], ViTConfig.named("CIFAR-32x1/8")
    assert (first["model"], first["resolutions"]) == ("CIFAR-32x1/8", "0.5@16")
    assert first["command"].startswith("python benchmarks/record.py shapes --change 'a try'")
    images = float(first["epochs"]) * 78 * 128  # whole batches of 10,000
    low, high = (images * record.step_flops(config, side) / 1e15 for side in (16, 32))
    assert low - 1e-5 < float(first["pflops"]) < high + 1e-5
    assert f"test {float(first['test_accuracy']):.2%}" in capsys.readouterr().out
    run("--train", "--stem", "convolutional")
    with pytest.raises(SystemExit, match="convolutional stem is no plain ViT"):
        record.main()


def test_flops_add_up_over_the_sizes_of_a_run(record):
    config = ViTConfig.named("CIFAR-96x4/4")
    done = dict(
        config=vars(config),
        settings=dict(batch_size=128, resolutions=[[0.3, 12], [0.4, 16]]),
        steps_by_side={"12": 1000, 16: 500, 32: 100},  # a key as in JSON, or as in memory
        validation_accuracy=0.5,
        test_accuracy=0.5,
        minutes=5.0,
        epochs=4.558,
        model="CIFAR-96x4/4",
        parameters=1,
        precision="bf16",
        data="photos",
    )
    args = script("benchmarks/common.py").argparse.Namespace(
        change="c", minutes=5, data="cifar10", provenance=""
    )
    row = record.row(done, args, 0)
    parts = {12: 1000, 16: 500, 32: 100}
    flops = sum(128 * count * record.step_flops(config, side) for side, count in parts.items())
    assert row["pflops"] == pytest.approx(flops / 1e15, abs=1e-5) and row["pflops"] > 0
    assert row["images_per_second"] == round(1600 * 128 / 300)
    assert row["resolutions"] == "0.3@12 0.4@16"


def test_a_process_is_kept_to_two_cores_and_two_threads(monkeypatch):
    benchmark, said = script("benchmarks/record.py"), []

    class Process:
        def cpu_affinity(self, cores=None):
            said.append(cores)
            return [3, 5, 7, 8]

    monkeypatch.setattr(benchmark.psutil, "Process", Process)
    monkeypatch.setattr(torch, "set_num_threads", said.append)
    benchmark.keep_to(2)
    assert said == [None, [3, 5], 2]


def test_the_first_rows_are_those_of_the_tables_that_they_come_from():
    before = read_rows(data.results_path("cifar10_budget.csv"))
    before += read_rows(data.results_path("budgets.csv"))
    known = {(row["command"], row["seed"], row["test_accuracy"], row["epochs"]) for row in before}
    rows = read_rows(data.results_path("record.csv"))[:6]
    assert all(
        (row["command"], row["seed"], row["test_accuracy"], row["epochs"]) in known for row in rows
    )


def test_the_page_shows_the_committed_table():
    results = script("tools/results.py")
    text = (ROOT / "docs" / "records.md").read_text(encoding="utf-8")
    log = results.results_record.log()
    assert text == results.filled(text, {"record": log}), "run: python tools/results.py"
    assert len(re.findall(r"^\| 20", log, re.MULTILINE)) == len(results.results_record.groups())
    rules = text.split("## The rules")[1].split("## The log")[0]
    assert len(re.findall(r"^\d+\. ", rules, re.MULTILINE)) == 10


@pytest.mark.slow
def test_budgets_take_the_recipe_that_chooses_for_itself(tmp_path, monkeypatch):
    benchmark = script("benchmarks/budgets.py")
    words = ["shapes", "--recipe", "auto", "--minutes", "0.03", "--seeds", "0", "--quiet"]
    monkeypatch.setattr("sys.argv", ["x.py", *words, "--out", str(tmp_path / "b.csv")])
    benchmark.main()
    (row,) = read_rows(tmp_path / "b.csv")
    assert row["recipe"] == "auto" and list(row) == list(
        read_rows(data.results_path("budgets.csv"))[0]
    )
