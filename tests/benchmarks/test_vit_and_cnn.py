"""benchmarks/vit_and_cnn.py: models of one size, runs made once, and damage that is counted."""

import dataclasses

import pytest
import torch
from script_common import script

from vit_tutorial import data
from vit_tutorial.common.files import read_rows
from vit_tutorial.data.damage import fill_shapes


@pytest.fixture(scope="module")
def benchmark():
    return script("benchmarks/vit_and_cnn.py")


@pytest.fixture(scope="module")
def shapes():
    found = data.load("shapes")
    parts = dict(train=found.train[:400], validation=found.validation[:50], test=found.test[:50])
    return dataclasses.replace(found, **parts)


def test_the_compared_models_have_equal_parameters_and_flops(benchmark):
    models = [benchmark.build(name, 0) for name in benchmark.COMPARED]
    for of in (benchmark.count, benchmark.forward_flops):
        values = [of(model) for model in models]
        assert max(values) < 1.03 * min(values), values


def test_the_plan_has_one_number_of_steps_and_every_size(benchmark):
    runs = benchmark.plan("cifar10", [0, 1, 2])
    assert len(runs) == len(set(runs)) == 3 * (3 * 3 + 1)
    assert {size for _, size, _, _ in runs} == {500, 5_000, 45_000}
    assert {steps for _, _, steps, _ in runs} == {600}


def test_a_subset_has_as_many_of_each_class_and_depends_on_the_seed(benchmark, shapes):
    few = [benchmark.subset(shapes, 100, seed).train for seed in (0, 0, 1)]
    assert all(torch.bincount(part.labels).tolist() == [10] * 10 for part in few)
    assert torch.equal(few[0].images, few[1].images)
    assert not torch.equal(few[0].images, few[2].images)
    assert benchmark.subset(shapes, 400, 0) is shapes


class Knows(torch.nn.Module):
    """Says what `answer` finds in a batch of images, and the upper half."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, images):
        return torch.nn.functional.one_hot(2 * self.answer(images), 10).float()


def test_the_answers_to_a_conflict_are_counted_by_shape_and_by_texture(benchmark, shapes):
    """A model that looks an image up among all fillings and says its texture, or its shape."""
    every = [shapes.normalise(fill_shapes(shapes.test, shift).images) for shift in range(5)]
    known = torch.cat(every).flatten(1)
    shape = (shapes.test.labels // 2).repeat(5)
    texture = torch.cat([(shapes.test.labels // 2 + shift) % 5 for shift in range(5)])
    for truth, by_shape, by_texture in ((texture, 0.0, 1.0), (shape, 1.0, 0.0)):

        def look_up(images, truth=truth):
            return truth[torch.cdist(images.flatten(1), known).argmin(dim=1)]

        rows = {row["kind"]: row["right"] for row in benchmark.cues(Knows(look_up), shapes)}
        assert rows["both agree"] == 1
        assert (rows["conflict, by shape"], rows["conflict, by texture"]) == (by_shape, by_texture)


def test_the_half_of_a_damaged_shape_does_not_count(benchmark, shapes):
    model = Knows(lambda images: torch.arange(len(images)) % 10 // 2)
    rows = benchmark.damage("shapes", model, shapes)
    assert {row["right"] for row in rows} == {1.0}
    kinds = {
        kind: [r["amount"] for r in rows if r["kind"] == kind] for kind in ("shuffled", "object")
    }
    assert kinds == {"shuffled": [1, 2, 4, 8], "object": [0.25, 0.5, 0.75, 1.0]}


@pytest.mark.slow
def test_a_run_is_made_once_and_leaves_its_damage(benchmark, shapes, tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "load", lambda task, source: shapes)
    monkeypatch.setitem(benchmark.SIZES, "shapes", (100, 400))
    monkeypatch.setitem(benchmark.STEPS, "shapes", 2)
    words = ["vit_and_cnn.py", "shapes", "--seeds", "0", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", [*words, "--minutes", "0"])
    benchmark.main()
    assert read_rows(tmp_path / "vit_and_cnn.csv") == []
    monkeypatch.setattr("sys.argv", words)
    benchmark.main()
    rows, damage = (read_rows(tmp_path / f"vit_and_cnn{end}.csv") for end in ("", "_damage"))
    assert len(rows) == 2 * 3 + 1 and {row["steps"] for row in rows} == {"2"}
    assert list(rows[0]) == list(read_rows(data.results_path("vit_and_cnn.csv"))[0])
    assert {row["model"] for row in damage} == set(benchmark.CONFIGS)
    assert len(damage) == 4 * (4 + 3 * 4) and {row["images"] for row in damage} == {"400"}
    monkeypatch.setattr(benchmark, "train", None)  # a second call trains nothing
    benchmark.main()
    assert read_rows(tmp_path / "vit_and_cnn.csv") == rows


@pytest.mark.slow
def test_the_costs_are_relative_to_the_vit(benchmark):
    rows = benchmark.cost(rounds=2)
    assert len(rows) == 6 and all(float(row["step_seconds"]) > 0 for row in rows)
    assert [row["ratio_to_vit"] for row in rows if row["model"] == "ViT"] == [1, 1]
    assert set(rows[0]) == set(read_rows(data.results_path("vit_and_cnn_cost.csv"))[0])
