"""benchmarks/distillation.py: equal FLOPs, teachers made once, a run made once, errors compared."""

import dataclasses
import json

import pytest
import torch
from script_common import script

from vit_tutorial import data
from vit_tutorial.common.files import read_rows


@pytest.fixture(scope="module")
def benchmark():
    return script("benchmarks/distillation.py")


@pytest.fixture(scope="module")
def shapes():
    found = data.load("shapes")
    parts = dict(train=found.train[:400], validation=found.validation[:50], test=found.test[:50])
    return dataclasses.replace(found, **parts)


def test_the_student_alone_gets_the_flops_of_the_teacher_too(benchmark):
    """A taught step is three forward passes of the student and one of its teacher."""
    one, taught = benchmark.step_flops("alone"), benchmark.step_flops("hard, CNN")
    own, cnn = benchmark.forward_flops("hard, CNN"), benchmark.forward_flops("CNN")
    assert one == 3 * benchmark.forward_flops("alone") and taught == 3 * own + cnn
    steps = benchmark.steps_of("alone, equal FLOPs", 300)
    assert abs(steps * one - 300 * taught) <= one
    assert benchmark.steps_of("hard, CNN", 300) == benchmark.steps_of("alone", 300) == 300


def test_students_of_a_seed_begin_alike_and_no_teacher_is_a_student(benchmark):
    alone, taught = benchmark.build("alone", 3), benchmark.build("hard, CNN", 3)
    teacher = benchmark.build("ViT", 3)
    for name, value in alone.state_dict().items():
        assert torch.equal(value, taught.vit.state_dict()[name])
    assert not torch.equal(teacher.class_token, alone.class_token)


@pytest.mark.slow
def test_the_early_teacher_is_stopped_where_it_is_as_good(benchmark, shapes, tmp_path):
    task = dict(benchmark.TASKS["shapes"], steps=200)
    model = benchmark.build("early CNN", 0)
    steps = benchmark.fit(model, shapes, task, 0, 200, stop_at=0.3)
    assert steps % 3 == 0 and steps < 200
    assert benchmark.training.evaluate(model, shapes.validation, shapes)[1] >= 0.3


@pytest.mark.slow
def test_a_run_is_made_once_and_compared_with_the_others(benchmark, shapes, tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "load", lambda task, source: shapes)
    monkeypatch.setitem(benchmark.TASKS, "shapes", dict(images=100, steps=2, cutmix=0.5))
    words = ["distillation.py", "shapes", "--seeds", "0", "--out", str(tmp_path)]
    words += ["--work", str(tmp_path / "work")]
    monkeypatch.setattr("sys.argv", [*words, "--minutes", "0"])
    benchmark.main()
    assert read_rows(tmp_path / "distillation.csv") == []
    monkeypatch.setattr("sys.argv", words)
    benchmark.main()
    rows, errors = (read_rows(tmp_path / f"distillation{end}.csv") for end in ("", "_errors"))
    assert [row["student"] for row in rows] == list(benchmark.STUDENTS)
    for row in rows:
        has_token, kind, teacher = benchmark.STUDENTS[row["student"]]
        assert (row["kind"], row["teacher"]) == (kind, teacher)
        assert bool(row["distillation_head"]) == has_token and bool(teacher) == bool(
            row["teacher_accuracy"]
        )
        if has_token:  # the stem, and two blocks
            assert len(json.loads(row["cosines"])) == len(json.loads(row["cosines_before"])) == 3
    stored = read_rows(data.results_path("distillation.csv"))
    assert list(rows[0]) == list(stored[0])
    # Each with three teachers, and all but the first with the student alone.
    assert len(errors) == 3 + 4 * (len(rows) - 1)
    monkeypatch.setattr(benchmark, "fit", None)  # a second call trains nothing
    benchmark.main()
    assert read_rows(tmp_path / "distillation.csv") == rows
