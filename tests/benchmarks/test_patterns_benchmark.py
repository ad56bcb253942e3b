"""benchmarks/attention_patterns.py: equal costs, tables of neighbours, runs made once."""

import dataclasses
import math

import pytest
import torch
from script_common import script
from torch.utils.flop_counter import FlopCounterMode

from vit_tutorial import data
from vit_tutorial.common.files import read_rows
from vit_tutorial.relatives import PixelGPT, attention_patterns


@pytest.fixture(scope="module")
def benchmark():
    return script("benchmarks/attention_patterns.py")


@pytest.fixture(scope="module")
def shapes():
    found = data.load("shapes")
    parts = dict(train=found.train[:400], validation=found.validation[:50], test=found.test[:50])
    return dataclasses.replace(found, **parts)


def test_the_compared_patterns_have_equal_costs(benchmark):
    controls = ("own patch", "full, 4 blocks")
    costs = {name: benchmark.cost(name)[1] for name in benchmark.variants()}
    compared = [cost for name, cost in costs.items() if name not in controls]
    assert max(compared) < 1.07 * min(compared)
    assert costs["own patch"] < min(compared) and costs["full, 4 blocks"] > 1.3 * max(compared)


def test_the_counted_flops_of_full_attention_are_those_of_torch(benchmark):
    model = benchmark.build("full, 3 blocks", 0).eval()
    for block in model.encoder.blocks:
        block.attention.fused = False
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.encoder(torch.zeros(1, 64, 32))
    assert counter.get_total_flops() == benchmark.cost("full, 3 blocks")[1]


def test_the_random_control_has_as_many_pairs_as_the_blocks(benchmark):
    mask = benchmark.random_pairs(8)
    assert torch.equal(mask.sum(dim=1), torch.full((64,), 8)) and mask.diagonal().all()
    assert torch.equal(mask, benchmark.random_pairs(8))
    assert not torch.equal(mask, mask.T)


def test_the_pixel_patterns_are_causal_and_as_the_table_counts_them(benchmark):
    pairs = {name: 4 * mask.sum().item() for name, mask in benchmark.causal().items()}
    assert not any(mask.triu(1).any() for mask in benchmark.causal().values())
    rows = read_rows(data.results_path("attention_patterns.csv"))
    stored = {r["pattern"]: int(r["pairs"]) for r in rows if r["task"] == "pixels" and r["pairs"]}
    assert stored and stored == {name: pairs[name] for name in stored}


def test_tables_of_neighbours_count_what_follows(benchmark, monkeypatch):
    """Columns of stripes: nothing is certain without neighbours, nearly all with the upper one."""
    stripes = torch.randint(2, (200, 1, 16), generator=torch.Generator().manual_seed(0))
    image = stripes.expand(-1, 16, -1)
    tokens = torch.cat([torch.full((200, 1), 2), image.flatten(1)], dim=1)
    none, left, upper = (benchmark.table_bits(tokens, tokens, n) for n in (0, 1, 2))
    assert abs(none - 1) < 0.01 and abs(left - 1) < 0.01
    assert math.isclose(upper, 1 / 16, abs_tol=0.01)  # the first row is a matter of chance


def test_the_stored_tables_are_counted_again(benchmark):
    images = data.load("shapes")
    rows = read_rows(data.results_path("attention_patterns.csv"))
    stored = {r["pattern"]: r["bits_per_pixel"] for r in rows if r["task"] == "pixels"}
    for name in benchmark.TABLES:
        _, found = benchmark.model_pixels(name, 0, "pixels", 0, images)
        assert math.isclose(found["bits_per_pixel"], float(stored[name]), abs_tol=2e-3)


def test_the_palette_has_colours_of_shapes_and_of_backgrounds(benchmark, shapes):
    brightness = benchmark.palette(shapes.train).mean(dim=1)
    assert 3 <= (brightness > 120).sum() <= 5 and (brightness < 80).sum() >= 3


@pytest.mark.slow
def test_runs_are_made_once_and_the_model_is_shipped(benchmark, shapes, tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark.data, "load", lambda source: shapes)
    for task in benchmark.STEPS:
        monkeypatch.setitem(benchmark.STEPS, task, 1)
    few = ("full, 3 blocks", "axial")
    some = {name: benchmark.variants()[name] for name in few}
    monkeypatch.setattr(benchmark, "variants", lambda: some)
    monkeypatch.setattr(
        benchmark, "causal", lambda: {"raster": attention_patterns.raster((16, 16))}
    )
    monkeypatch.setattr(benchmark, "TEST", 5)

    def call(task, *more):
        words = ["attention_patterns.py", task, "--seeds", "0", "--out", str(tmp_path), *more]
        monkeypatch.setattr("sys.argv", words)
        benchmark.main()
        return read_rows(tmp_path / "attention_patterns.csv")

    assert call("shapes", "--minutes", "0") == []
    assert {row["pattern"] for row in call("shapes")} == set(few)
    call("pixels")
    rows = call("ship", "--weights", str(tmp_path))
    assert len(rows) == 2 + 5 + 1
    assert list(rows[0]) == list(read_rows(data.results_path("attention_patterns.csv"))[0])
    assert PixelGPT.load(tmp_path / f"{benchmark.NAME}.safetensors").size["depth"] == 4
    card = (tmp_path / f"{benchmark.NAME}.md").read_text(encoding="utf-8")
    assert rows[-1]["bits_per_pixel"] in card and "sha256" in card
    monkeypatch.setattr(benchmark, "classify", None)  # a second call trains nothing
    monkeypatch.setattr(benchmark, "model_pixels", None)
    assert call("shapes") == call("ship") == call("pixels")
