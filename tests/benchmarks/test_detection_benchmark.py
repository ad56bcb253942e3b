"""benchmarks/detection.py: each variant differs in one thing, and a run is made once."""

import dataclasses

import pytest
from script_common import script

from vit_tutorial import data
from vit_tutorial.common.files import read_rows


@pytest.fixture(scope="module")
def benchmark():
    return script("benchmarks/detection.py")


def test_the_plan_compares_all_variants_at_equal_steps(benchmark):
    runs = benchmark.plan([0, 1, 2])
    assert len(runs) == len(set(runs)) == 3 * (len(benchmark.VARIANTS) + 2)
    assert {steps for name, steps, _ in runs if name != "DETR"} == {benchmark.STEPS}


def test_a_variant_changes_one_thing(benchmark):
    base, assign = benchmark.VARIANTS["DETR"]
    for name, (config, other) in benchmark.VARIANTS.items():
        fields = [f.name for f in dataclasses.fields(config)]
        changed = [f for f in fields if getattr(config, f) != getattr(base, f)]
        if name == "no positions, circular padding":
            assert changed == ["padding", "positions"]
        else:
            assert len(changed) + (other is not assign) == (name != "DETR"), name


@pytest.mark.slow
def test_a_run_is_made_once(benchmark, tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "SCENES", dict(train=(40, 1), test=(40, 2)))
    monkeypatch.setattr(benchmark, "STEPS", 1)
    monkeypatch.setattr(benchmark, "LESSON_STEPS", 2)
    words = ["detection.py", "--seeds", "0", "--out", str(tmp_path / "detection.csv")]
    monkeypatch.setattr("sys.argv", [*words, "--minutes", "0"])
    benchmark.main()
    assert read_rows(tmp_path / "detection.csv") == []
    monkeypatch.setattr("sys.argv", words)
    benchmark.main()
    rows = read_rows(tmp_path / "detection.csv")
    assert [row["steps"] for row in rows[:3]] == ["0", "1", "2"]
    assert list(dict.fromkeys(row["variant"] for row in rows)) == list(benchmark.VARIANTS)
    assert list(rows[0]) == list(read_rows(data.results_path("detection.csv"))[0])
    assert "--out" not in rows[0]["command"]
    monkeypatch.setattr(benchmark, "run", None)  # a second call trains nothing
    benchmark.main()
    assert read_rows(tmp_path / "detection.csv") == rows
