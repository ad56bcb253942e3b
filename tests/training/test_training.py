"""Training: schedule, precision, settings, the loop, model files; with small data and models."""

import dataclasses
import json
import math
import os
import time
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from vit_tutorial import VisionTransformer, ViTConfig, training
from vit_tutorial.data import ImageData, Split, make_shapes
from vit_tutorial.training import TrainSettings, loop
from vit_tutorial.training.step import Step

TINY = ViTConfig(image_size=32, patch_size=8, dim=32, depth=2, num_heads=2, mlp_dim=64, pool="mean")


@pytest.fixture(scope="module")
def data():
    train, validation, test = (
        make_shapes(512, seed=0),
        make_shapes(128, seed=1),
        make_shapes(130, seed=2),
    )
    names = tuple(f"class {i}" for i in range(10))
    return ImageData(
        "shapes",
        names,
        train,
        validation,
        test,
        mean=(0.3,) * 3,
        std=(0.25,) * 3,
        provenance="512 shapes for a test",
    )


def fresh(seed=0, config=TINY):
    torch.manual_seed(seed)
    return VisionTransformer(config)


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_schedule_meets_its_three_points_and_never_rises_after_the_peak(schedule):
    rates = [training.learning_rate(step, 100, 10, 0.5, schedule) for step in range(101)]
    assert rates[0] == 0 and rates[10] == 0.5 and rates[100] == pytest.approx(0, abs=1e-12)
    assert rates[5] == pytest.approx(0.25)
    assert all(a >= b for a, b in zip(rates[10:], rates[11:]))
    assert rates[55] == pytest.approx(0.25), (
        "halfway from the peak to the end both schedules stand at half the peak"
    )
    quarter = training.learning_rate(32.5, 100, 10, 1.0, schedule)
    assert quarter == pytest.approx(
        0.5 * (1 + math.cos(math.pi / 4)) if schedule == "cosine" else 0.75
    )


@pytest.mark.parametrize(
    "step, total, warmup, message",
    [
        (-1, 10, 1, "step -1 lies outside the run: steps go from 0 to 10"),
        (11, 10, 1, "step 11 lies outside the run: steps go from 0 to 10"),
        (5, 10, 10, "a warm-up of 10 does not fit into a run of 10"),
        (5, 10, -1, "a warm-up of -1 does not fit into a run of 10: it must be at least 0"),
    ],
)
def test_schedule_refuses_steps_outside_the_run(step, total, warmup, message):
    with pytest.raises(ValueError, match=message):
        training.learning_rate(step, total, warmup, 1.0)


def test_precision_is_chosen_by_compute_capability(monkeypatch):
    for capability, expected in {
        (7, 5): "fp16",
        (8, 0): "bf16",
        (9, 0): "bf16",
        (6, 1): "fp16",
    }.items():
        monkeypatch.setattr(
            torch.cuda, "get_device_capability", lambda device=None, c=capability: c
        )
        assert training.choose_precision("cuda").name == expected
    assert training.choose_precision("cpu", "bf16").name == "bf16"
    with pytest.raises(ValueError, match="fp16"):
        training.choose_precision("cpu", "fp16")
    with pytest.raises(ValueError, match="did you mean 'bf16'"):
        training.choose_precision("cpu", "bf61")


@pytest.mark.parametrize(
    "flags, name, reason",
    [
        ("avx512f avx512_bf16 amx_bf16", "bf16", "this CPU has bf16 matrix units"),
        ("avx512f avx512_bf16", "bf16", "this CPU has bf16 dot products"),
        ("asimd bf16", "bf16", "this CPU has bf16 dot products"),
        ("avx512f", "fp32", "no fast lower precision known on this cpu"),
        (None, "fp32", "no fast lower precision known on this cpu"),  # not Linux
    ],
)
def test_precision_is_chosen_by_what_the_cpu_has(monkeypatch, flags, name, reason):
    def read_text(path, encoding):
        if flags is None:
            raise FileNotFoundError(path)
        return f"processor: 0\nflags: fpu {flags} xsave\n"

    monkeypatch.setattr(Path, "read_text", read_text)
    chosen = training.choose_precision("cpu")
    assert (chosen.name, chosen.reason) == (name, reason)
    assert training.cpu_has_bf16() is (name == "bf16")


def test_only_fp16_scales_the_loss():
    assert not training.choose_precision("cpu", "fp32").scaler().is_enabled()
    assert not training.choose_precision("cpu", "bf16").scaler().is_enabled()
    with training.choose_precision("cpu", "bf16").autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


@pytest.mark.parametrize(
    "wrong, words",
    [
        (dict(), "give one of the two"),
        (dict(minutes=1, epochs=1), "give one of the two"),
        (dict(minutes=0), "minutes is 0"),
        (dict(minutes=-3), "minutes is -3"),
        (dict(minutes=math.nan), "minutes is nan"),
        (dict(epochs=-1), "epochs is -1"),
        (dict(epochs=1, lr=0), "lr is 0"),
        (dict(epochs=1, warmup=1), "warmup is 1"),
        (dict(epochs=1, batch_size=0), "batch_size is 0"),
        (dict(epochs=1, label_smoothing=1.5), "label_smoothing is 1.5"),
        (dict(epochs=1, schedule="cosin"), "did you mean 'cosine'"),
        (dict(epochs=1, augment="flip_shfit"), "did you mean 'flip_shift'"),
        (dict(epochs=1, precision="fp8"), "unknown precision 'fp8'"),
        (dict(epochs=1, num_evaluations=0), "num_evaluations is 0"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_the_number(wrong, words):
    with pytest.raises(ValueError, match=words):
        TrainSettings(**wrong)


@pytest.mark.slow
def test_a_run_learns_and_two_runs_of_the_same_seed_agree_bit_for_bit(data):
    settings = TrainSettings(epochs=6, batch_size=64, lr=3e-3, precision="fp32", num_evaluations=3)
    models = [fresh(), fresh()]
    histories = [training.train(m, data, settings, progress=False) for m in models]
    first, last = histories[0].rows[0], histories[0].rows[-1]
    assert first["step"] == 0 and first["validation_loss"] == pytest.approx(math.log(10), abs=0.1)
    assert last["validation_loss"] < first["validation_loss"] - 0.2
    assert last["step"] == 6 * (512 // 64) and last["epochs"] == pytest.approx(6)
    assert len(histories[0].rows) == 4, (
        "one evaluation before the first step, and three evenly spread"
    )
    for a, b in zip(models[0].parameters(), models[1].parameters()):
        assert torch.equal(a, b)
    other = fresh()
    training.train(other, data, dataclasses.replace(settings, seed=1), progress=False)
    assert not torch.equal(other.head.weight, models[0].head.weight), (
        "another seed draws other batches"
    )


def test_training_leaves_the_global_random_state_alone(data):
    torch.manual_seed(7)
    expected = torch.rand(3)
    model = fresh(config=dataclasses.replace(TINY, dropout=0.1))
    torch.manual_seed(7)
    training.train(
        model, data, TrainSettings(epochs=0.2, batch_size=64, num_evaluations=1), progress=False
    )
    assert torch.equal(torch.rand(3), expected)


def test_a_budget_in_minutes_is_kept(data, monkeypatch):
    """On a clock on which a step takes 1/8 s and an evaluation 1 s, 6 s hold 24 steps."""
    now = [0.0]

    def taking(seconds, work):
        def timed(*args, **kwargs):
            now[0] += seconds
            return work(*args, **kwargs)

        return timed

    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(Step, "__call__", taking(0.125, Step.__call__))
    monkeypatch.setattr(loop, "evaluate", taking(1.0, loop.evaluate))
    settings = TrainSettings(minutes=0.1, batch_size=64, num_evaluations=2)
    history = training.train(fresh(), data, settings, progress=False)
    assert history.steps == 24  # 6 s less three evaluations: before, half-way and at the end
    assert 60 * history.minutes == pytest.approx(6)
    assert [60 * row["minutes"] for row in history.rows] == pytest.approx([1, 3.5, 6])
    assert history.rows[-1]["lr"] < 0.01 * settings.lr, "the schedule came down"


def test_weight_decay_touches_the_matrices_only():
    model = fresh(config=dataclasses.replace(TINY, pool="class", class_token="first"))
    decayed, others = training.make_optimizer(
        model, TrainSettings(epochs=1, weight_decay=0.3)
    ).param_groups
    names = {id(p): n for n, p in model.named_parameters()}
    assert decayed["weight_decay"] == 0.3 and others["weight_decay"] == 0
    assert all(names[id(p)].endswith("weight") and p.ndim == 2 for p in decayed["params"])
    left = {names[id(p)] for p in others["params"]}
    assert {"class_token", "position.table", "norm.weight", "head.bias"} <= left
    assert len(decayed["params"]) + len(others["params"]) == len(list(model.parameters()))


def test_evaluate_counts_images_and_not_batches(data):
    model = fresh().eval()
    logits = model(data.normalise(data.test.images))
    loss, accuracy = training.evaluate(
        model, data.test, data, batch_size=100
    )  # batches of 100 and of 30
    assert loss == pytest.approx(F.cross_entropy(logits, data.test.labels).item(), rel=1e-5)
    assert accuracy == pytest.approx(
        (logits.argmax(1) == data.test.labels).float().mean().item(), abs=1e-6
    )
    torch.testing.assert_close(
        training.predict(model, data.test.images, data, batch_size=7),
        logits.detach(),
        atol=1e-5,
        rtol=1e-4,
    )


def test_evaluate_switches_dropout_off_and_the_mode_back(data):
    model = fresh(config=dataclasses.replace(TINY, dropout=0.5)).train()
    assert training.evaluate(model, data.test, data) == training.evaluate(model, data.test, data)
    assert model.training


def test_ctrl_c_ends_the_run_and_keeps_what_was_learned(data):
    calls = []

    def interrupt(history):
        calls.append(history.steps)
        if history.steps:
            raise KeyboardInterrupt

    model = fresh()
    before = model.head.weight.detach().clone()
    history = training.train(
        model,
        data,
        TrainSettings(epochs=50, num_evaluations=50),
        progress=False,
        on_evaluation=interrupt,
    )
    assert history.stopped == "interrupted" and history.steps < 10
    assert not torch.equal(model.head.weight, before)


def test_a_loss_that_is_not_finite_stops_the_run_and_says_what_to_do(data):
    model = fresh()
    with torch.no_grad():
        model.head.weight.fill_(math.nan)
    with pytest.raises(FloatingPointError, match="lower the learning rate"):
        training.train(model, data, TrainSettings(epochs=1, num_evaluations=4), progress=False)


@pytest.mark.parametrize(
    "change, words",
    [
        (dict(num_classes=7), "7 classes apart, shapes has 10"),
        (dict(image_size=48), "48x48 pixels, shapes has"),
        (dict(channels=1), "takes 1 channels"),
    ],
)
def test_a_model_that_does_not_fit_the_data_is_refused(data, change, words):
    with pytest.raises(ValueError, match=words):
        training.train(
            fresh(config=dataclasses.replace(TINY, **change)),
            data,
            TrainSettings(epochs=1),
            progress=False,
        )
    with pytest.raises(ValueError, match="a batch of 1000 is more than the 512"):
        training.train(fresh(), data, TrainSettings(epochs=1, batch_size=1000), progress=False)


def test_a_model_file_gives_the_same_logits_and_its_origin(data, tmp_path):
    model = fresh().eval()
    path = training.save_model(tmp_path / "deep" / "model.safetensors", model, data, seed=3)
    loaded, meta = training.load_model(path, config=TINY)
    images = data.normalise(data.test.images[:8])
    assert torch.equal(loaded(images), model(images)) and not loaded.training
    assert meta["notes"] == {"seed": 3} and tuple(meta["data"]["class_names"]) == data.class_names
    assert [p.name for p in path.parent.iterdir()] == ["model.safetensors"], (
        "no temporary file is left"
    )


def test_a_model_file_of_another_configuration_is_refused_field_by_field(data, tmp_path):
    path = training.save_model(tmp_path / "model.safetensors", fresh(), data)
    with pytest.raises(ValueError, match="depth is 2 in the file, 3 here"):
        training.load_model(path, config=dataclasses.replace(TINY, depth=3))


def test_files_that_are_no_model_file_are_refused(data, tmp_path):
    whole = training.save_model(tmp_path / "model.safetensors", fresh(), data)
    short = tmp_path / "short.safetensors"
    short.write_bytes(whole.read_bytes()[:-100])
    with pytest.raises(ValueError, match="cut short"):
        training.load_model(short)
    foreign = tmp_path / "foreign.safetensors"
    save_file({"weight": torch.ones(2)}, foreign)
    with pytest.raises(ValueError, match="no configuration"):
        training.load_model(foreign)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        training.load_model(tmp_path / "nowhere.safetensors")


def test_a_failed_save_leaves_the_old_model_file_whole(data, tmp_path, monkeypatch):
    path = training.save_model(tmp_path / "model.safetensors", fresh(0), data)
    before = path.read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(OSError, match="No space"):
            training.save_model(path, fresh(1), data)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_model_file_of_another_version_is_named_by_its_unknown_fields(data, tmp_path):
    config = dataclasses.asdict(TINY) | {"stochastic_depth": 0.1, "position_at": "stem"}
    header = json.dumps({"config": config, "notes": {}})
    path = tmp_path / "old.safetensors"
    save_file(fresh().state_dict(), path, metadata={"vit_tutorial": header})
    with pytest.raises(
        ValueError,
        match="another version.*: its configuration has "
        "stochastic_depth, position_at, which ViTConfig does not know",
    ):
        training.load_model(path)


def test_splits_are_where_the_data_is(data):
    assert isinstance(data.train, Split) and data.device == torch.device("cpu")
