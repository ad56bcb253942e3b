"""benchmarks/long_range.py: runs made once, stopped when solved, and a chance that is chance."""

import pytest
import torch
from script_common import script

from vit_tutorial import data
from vit_tutorial.common.files import read_rows
from vit_tutorial.relatives.sequence import sequence_model


@pytest.fixture(scope="module")
def benchmark():
    return script("benchmarks/long_range.py")


def test_an_untrained_model_is_at_chance_and_an_oracle_is_right(benchmark):
    assert abs(benchmark.accuracy(sequence_model("RNN", 0), 4) - 1 / 8) < 0.05

    def oracle(tokens, place=0):  # of the cosines of places 0 and 1, 1 and 0.54 to 0.90
        bits = (tokens[:, place, 24:27] > 1).long()
        return torch.nn.functional.one_hot(bits @ torch.tensor([4, 2, 1]), 8).float()

    assert benchmark.accuracy(oracle, 4) == 1
    assert abs(benchmark.accuracy(lambda tokens: oracle(tokens, 1), 4) - 1 / 8) < 0.05


def test_a_run_stops_when_it_is_solved_or_has_seen_its_examples(benchmark):
    solved = benchmark.train("attention", 4, 0, 64_000, 3e-3)
    assert solved["accuracy"] > 0.98 and solved["examples"] < 20_000
    short = benchmark.train("RNN", 16, 0, 128, 3e-3)
    assert short["examples"] == 128 and short["accuracy"] < 0.3


@pytest.mark.slow
def test_a_run_is_made_once(benchmark, tmp_path, monkeypatch):
    words = ["long_range.py", "train", "--lengths", "4", "6", "--seeds", "0", "1"]
    words += ["--models", "attention", "RNN", "--examples", "128", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", words)
    benchmark.main()
    rows = read_rows(tmp_path / "long_range.csv")
    found = [(row["model"], row["length"], row["seed"]) for row in rows]
    want = [(m, n, s) for m in ("RNN", "attention") for n in "46" for s in "01"]
    assert found == want
    assert list(rows[0]) == list(read_rows(data.results_path("long_range.csv"))[0])
    monkeypatch.setattr(benchmark, "train", None)  # a second call trains nothing
    benchmark.main()
    assert read_rows(tmp_path / "long_range.csv") == rows


@pytest.mark.slow
def test_the_cost_has_a_row_for_each_model_and_length(benchmark):
    rows = benchmark.cost(2, (4, 128))
    assert len(rows) == 2 * (6 + 1) and all(row["step_ms"] > 0 for row in rows)
    assert {row["ratio_to_4"] for row in rows if row["length"] == 4} == {1}
    assert all(row["ratio_to_4"] > 1 for row in rows if row["length"] == 128)


def test_the_committed_runs_are_comparable(benchmark):
    rows = read_rows(data.results_path("long_range.csv"))
    for name in ("batch_size", "chance"):
        assert len({row[name] for row in rows}) == 1, name
    assert {row["most_examples"] for row in rows} == {"64000", "192000"}
    sizes = [int(row["parameters"]) for row in rows]
    assert max(sizes) < 1.01 * min(sizes)
    assert all(int(row["examples"]) <= int(row["most_examples"]) for row in rows)
    easy = [row for row in rows if row["length"] == "4"]
    assert all(float(row["accuracy"]) > 0.9 for row in easy)  # each model can do the task
