"""A run that is stopped and resumed, shared between processes, or cut into micro-batches.

The weights at its end are the same each time.
"""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from vit_tutorial import MultiHeadSelfAttention, VisionTransformer, ViTConfig, training
from vit_tutorial.common.files import read_rows
from vit_tutorial.data import ImageData, make_shapes, results_path
from vit_tutorial.training import Checkpointer, TrainSettings
from vit_tutorial.training.batches import Batches
from vit_tutorial.training.optimizers import make_optimizers
from vit_tutorial.training.recipes import LADDER, cpu, default
from vit_tutorial.training.runtime import checkpoint as states
from vit_tutorial.training.runtime.clock import SYNC_EVERY, Clock
from vit_tutorial.training.runtime.ema import ModelEMA
from vit_tutorial.training.runtime.processes import Processes

TINY = ViTConfig(
    image_size=32, patch_size=8, dim=32, depth=2, num_heads=2, mlp_dim=64, pool="mean", dropout=0.1
)
FULL = TrainSettings(
    epochs=2,
    batch_size=64,
    lr=3e-3,
    optimizer="muon",
    augment="flip_shift",
    rand_augment_ops=1,
    cutmix=0.5,
    label_smoothing=0.1,
    ema_decay=0.9,
    micro_batch=48,
    precision="fp32",
    num_evaluations=3,
)
muon = pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch before 2.9 has no Muon")


@pytest.fixture(scope="module")
def data():
    train, validation, test = (
        make_shapes(512, seed=0),
        make_shapes(130, seed=1),
        make_shapes(130, seed=2),
    )
    names = tuple(f"class {i}" for i in range(10))
    return ImageData(
        "shapes", names, train, validation, test, (0.3,) * 3, (0.25,) * 3, "512 shapes for a test"
    )


def fresh(config=TINY):
    torch.manual_seed(0)
    return VisionTransformer(config)


class Stopping(Checkpointer):
    """A Checkpointer that presses Ctrl-C after some steps."""

    def __init__(self, folder, after):
        super().__init__(folder)
        self.after = after

    def should_save(self):
        self.after -= 1
        if self.after == 0:
            os.kill(os.getpid(), signal.SIGINT)
        return False


def equal(one, other):
    return all(
        torch.equal(a, b)
        for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    )


@muon
def test_a_run_stopped_twice_ends_with_the_weights_of_one_that_was_not(data, tmp_path):
    """Dropout, Muon, CutMix, RandAugment, EMA and accumulation all have a state to restore."""
    whole = fresh()
    expected = training.train(whole, data, FULL, progress=False)
    for after in (3, 7):
        parts = fresh()
        stopped = training.train(
            parts, data, FULL, progress=False, checkpointer=Stopping(tmp_path, after)
        )
        assert stopped.stopped == "interrupted" and not equal(parts, whole)
    torch.manual_seed(99)  # what happened in between does not matter
    parts = fresh()
    history = training.train(parts, data, FULL, progress=False, checkpointer=Checkpointer(tmp_path))
    assert history.stopped == "finished" and history.steps == expected.steps == 16
    assert equal(parts, whole), "resumed weights differ"
    for one, other in zip(history.rows, expected.rows, strict=True):
        assert {**one, "minutes": 0} == {**other, "minutes": 0}, "and so do the evaluations"


def test_a_checkpoint_of_another_run_is_refused_by_its_differences(data, tmp_path):
    settings = TrainSettings(epochs=1, batch_size=64, precision="fp32")
    training.train(fresh(), data, settings, progress=False, checkpointer=Stopping(tmp_path, 3))
    with pytest.raises(ValueError, match="lr is 0.001 in the checkpoint, 0.002 here"):
        training.train(
            fresh(),
            data,
            dataclasses.replace(settings, lr=2e-3),
            progress=False,
            checkpointer=Checkpointer(tmp_path),
        )
    with pytest.raises(ValueError, match="dim is 32 in the checkpoint, 48 here"):
        training.train(
            fresh(dataclasses.replace(TINY, dim=48)),
            data,
            settings,
            progress=False,
            checkpointer=Checkpointer(tmp_path),
        )


@pytest.mark.parametrize("size", [16, 24])
def test_a_batch_in_parts_gives_the_gradient_of_the_whole(data, size):
    config = dataclasses.replace(TINY, dropout=0.0)
    settings = TrainSettings(epochs=0.5, batch_size=64, precision="fp32", num_evaluations=1)
    whole, parts = fresh(config), fresh(config)
    one = training.train(whole, data, settings, progress=False)
    other = training.train(
        parts, data, dataclasses.replace(settings, micro_batch=size), progress=False
    )
    assert other.plan.micro_batch == size and one.plan.micro_batch == 64
    assert other.rows[-1]["train_loss"] == pytest.approx(one.rows[-1]["train_loss"], abs=1e-5)
    for a, b in zip(whole.parameters(), parts.parameters()):
        torch.testing.assert_close(a, b, atol=2e-4, rtol=1e-3)


def test_out_of_memory_halves_the_parts_and_the_run_goes_on(data, capsys):
    model = fresh()
    most = []

    def forward(images, true_forward=model.forward):
        most.append(len(images))
        if model.training and len(images) > 20:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return true_forward(images)

    model.forward = forward
    settings = TrainSettings(
        epochs=0.5, batch_size=64, precision="fp32", num_evaluations=1, micro_batch=64
    )
    history = training.train(model, data, settings, progress=False)
    assert history.steps == 4 and history.plan.micro_batch == 16
    assert "continuing with 16 images at once" in capsys.readouterr().err


def test_a_gpu_that_fails_is_named_with_the_checkpoint_that_is_left(data, tmp_path):
    model, calls = fresh(), []

    def forward(images, true_forward=model.forward):
        calls.append(1)
        if len(calls) > 7:  # four before the first step: for the plan, and an evaluation
            raise RuntimeError("CUDA error: an illegal memory access was encountered\nmore lines")
        return true_forward(images)

    model.forward = forward
    settings = TrainSettings(epochs=2, batch_size=64, precision="fp32", num_evaluations=1)
    with pytest.raises(
        RuntimeError,
        match=r"the GPU failed after step \d: CUDA error: an illegal.*"
        r"The last checkpoint \(step \d\) is whole",
    ):
        training.train(
            model, data, settings, progress=False, checkpointer=Checkpointer(tmp_path, seconds=1e-6)
        )
    assert states.load_checkpoint(tmp_path)[0]["history"]["steps"] >= 3


def test_a_loss_that_is_no_number_never_takes_the_place_of_a_good_state(data, tmp_path):
    model, calls = fresh(), []

    def forward(images, true_forward=model.forward):
        calls.append(1)
        return true_forward(images) * (float("nan") if len(calls) > 6 else 1)

    model.forward = forward
    settings = TrainSettings(epochs=4, batch_size=64, precision="fp32", num_evaluations=2)
    with pytest.raises(FloatingPointError, match="nan after step"):
        training.train(
            model, data, settings, progress=False, checkpointer=Checkpointer(tmp_path, seconds=1e-6)
        )
    found, _ = states.load_checkpoint(tmp_path)
    assert all(value.isfinite().all() for value in found["step"]["model"].values())


def test_a_full_disk_is_reported_and_training_continues(data, tmp_path, monkeypatch, capsys):
    def full(*args, **kwargs):
        raise states.CheckpointNotSavedError(28, "no room: 3 MB wanted, 0 MB free")

    monkeypatch.setattr(states, "save_checkpoint", full)
    settings = TrainSettings(epochs=0.5, batch_size=64, precision="fp32", num_evaluations=1)
    history = training.train(
        fresh(), data, settings, progress=False, checkpointer=Checkpointer(tmp_path, seconds=1e-6)
    )
    assert history.stopped == "finished" and history.steps == 4
    assert "3 MB wanted" in capsys.readouterr().err


def test_a_second_folder_holds_a_copy_and_at_the_end_the_results(data, tmp_path):
    checkpointer = Checkpointer(tmp_path / "run", seconds=1e-6, copy_to=tmp_path / "drive")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    training.train(
        fresh(),
        data,
        TrainSettings(epochs=0.5, batch_size=64, num_evaluations=1),
        progress=False,
        checkpointer=checkpointer,
    )
    assert states.load_checkpoint(tmp_path / "drive")[0]["history"]["steps"] == 3
    checkpointer.finish()
    assert [p.name for p in (tmp_path / "drive").iterdir()] == ["run.json"]
    assert Checkpointer(tmp_path, copy_to=tmp_path).copy_to is None, (
        "a run that is resumed where its copy is must not be copied onto itself"
    )


@pytest.mark.parametrize("count", [2, 4])
def test_shares_of_all_processes_are_together_the_batch_of_one(data, count):
    settings = dataclasses.replace(FULL, optimizer="adamw")
    whole = Batches(data, settings)
    shares = [Batches(data, settings, rank, count) for rank in range(count)]
    for _ in range(10):  # over the end of a pass
        images, targets = next(whole)
        mine = [next(share) for share in shares]
        assert torch.equal(torch.cat([part[0] for part in mine]), images)
        assert torch.equal(torch.cat([part[1] for part in mine]), targets)


def test_batches_go_on_in_the_middle_of_a_pass(data):
    settings = dataclasses.replace(FULL, optimizer="adamw")
    one, other = Batches(data, settings), Batches(data, settings)
    for _ in range(11):
        next(one)
    other.restore(one.state())
    for _ in range(7):
        for a, b in zip(next(one), next(other)):
            assert torch.equal(a, b)
    with pytest.raises(ValueError, match="64 images cannot be shared evenly by 3 processes"):
        Batches(data, settings, 0, 3)


@muon
def test_muon_takes_the_matrices_of_the_blocks_and_turns_their_gradient_into_a_near_rotation():
    model = fresh()
    settings = TrainSettings(epochs=1, optimizer="muon", weight_decay=0.0, lr=0.1)
    optimizers = make_optimizers(model, settings)
    taken = [id(p) for o in optimizers for g in o.param_groups for p in g["params"]]
    assert sorted(taken) == sorted(id(p) for p in model.parameters()), (
        "each parameter has one optimiser"
    )
    names = {id(p): n for n, p in model.named_parameters()}
    first = {names[id(p)] for p in optimizers[0].param_groups[0]["params"]}
    assert first == {
        n for n, p in model.named_parameters() if n.startswith("encoder") and p.ndim == 2
    }
    weight = model.encoder.blocks[0].attention.projection.weight
    before = weight.detach().clone()
    model(torch.randn(8, 3, 32, 32)).square().sum().backward()
    values = torch.linalg.svdvals(weight.grad)
    optimizers[0].step()
    step = torch.linalg.svdvals(before - weight.detach())
    assert values[0] / values[20] > 5, "the gradient has large and small directions"
    assert step[0] / step[20] < 2, "the step treats them alike"


def test_the_average_is_the_average_and_leaves_the_model_its_own_weights():
    model = torch.nn.Linear(3, 2)
    average, by_hand = ModelEMA(model, 0.8), None
    for _ in range(5):
        with torch.no_grad():
            model.weight.add_(torch.randn(2, 3))
        average.update(model)
        own = model.weight.detach().clone()
        by_hand = own.clone() if by_hand is None else 0.8 * by_hand + 0.2 * own
    with average.swapped(model):
        torch.testing.assert_close(model.weight.detach(), by_hand)
    assert torch.equal(model.weight.detach(), own)
    assert ModelEMA(model, 0.0).model(model) is model


class Slow(Processes):
    """Two processes whose clocks disagree, made to agree as `Many` does."""

    count = 2

    def __init__(self, main_seconds):
        self.main_seconds = main_seconds

    def sync_clock(self, seconds, stop):
        return self.main_seconds(), stop


def test_processes_with_different_clocks_make_the_same_number_of_steps(monkeypatch):
    def steps(own_pace):
        now, step = [0.0], [0]
        monkeypatch.setattr("time.perf_counter", lambda: now[0])
        clock = Clock(float("inf"), 10.0, Slow(lambda: 0.3 * step[0]))
        clock.start()
        while clock.progress(step[0]) < 1:
            step[0] += 1
            now[0] += own_pace
        return step[0]

    assert steps(0.1) == steps(5.0)
    assert abs(steps(0.1) - 10 / 0.3) <= SYNC_EVERY


@pytest.mark.slow
def test_sigterm_ends_the_process_with_the_state_written(tmp_path):
    words = [
        "train",
        "--data",
        "shapes",
        "--epochs",
        "50",
        "--model",
        "CIFAR-32x1/8",
        "--precision",
        "fp32",
        "--quiet",
    ]
    command = [
        sys.executable,
        "-m",
        "vit_tutorial",
        *words,
        "--out",
        str(tmp_path / "run"),
        "--save-every",
        "1000",
    ]
    run = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    try:
        deadline = time.monotonic() + 90
        while (
            not (tmp_path / "run" / "metrics.csv").exists()
            and time.monotonic() < deadline
            and run.poll() is None
        ):
            time.sleep(0.1)
        run.terminate()
        _, err = run.communicate(timeout=60)
    finally:
        run.kill()
    assert run.returncode == -signal.SIGTERM, err
    assert states.load_checkpoint(tmp_path / "run")[0]["history"]["steps"] >= 1


def test_outside_the_main_thread_a_run_needs_no_signals(data):
    done = []
    settings = TrainSettings(epochs=0.2, batch_size=64, num_evaluations=1)
    thread = threading.Thread(
        target=lambda: done.append(training.train(fresh(), data, settings, progress=False))
    )
    thread.start()
    thread.join()
    assert done[0].stopped == "finished"


@pytest.mark.slow
def test_two_processes_that_read_files_have_the_loss_curve_of_one_with_all_in_memory(tmp_path):
    """By the command line, over gloo: the same global batches, losses within 1e-4 in float32."""
    split = make_shapes(1200, seed=0)
    for i, (image, label) in enumerate(zip(split.images, split.labels.tolist())):
        folder = tmp_path / "pictures" / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / f"{i}.png")
    words = [
        "-m",
        "vit_tutorial",
        "train",
        "--data",
        str(tmp_path / "pictures"),
        "--epochs",
        "4",
        "--batch-size",
        "128",
    ]
    words += ["--model", "CIFAR-32x2/8", "--image-size", "32"]
    words += [
        "--precision",
        "fp32",
        "--device",
        "cpu",
        "--quiet",
        "--cutmix",
        "0.5",
        "--rand-augment-ops",
        "1",
        "--num-evaluations",
        "4",
    ]
    many = [
        "-m",
        "accelerate.commands.launch",
        "--multi_gpu",
        "--num_processes",
        "2",
        "--num_machines",
        "1",
        "--main_process_port",
        "0",
    ]
    many += ["--mixed_precision", "no", "--dynamo_backend", "no"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    curves = []
    for name, launch in (("one", []), ("two", many)):
        command = [
            sys.executable,
            *launch,
            *words,
            *(["--stream"] if launch else []),
            "--out",
            str(tmp_path / name),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=200, env=environment)
        assert done.returncode == 0, done.stderr
        text = (tmp_path / name / "metrics.csv").read_text()
        rows = [line.split(",") for line in text.splitlines()[1:]]
        curves.append([[float(row[i]) for i in (4, 5, 6) if row[i]] for row in rows])
        assert re.search(
            rf'"processes": {1 + bool(launch)}\b', (tmp_path / name / "run.json").read_text()
        )
        assert json.loads((tmp_path / name / "run.json").read_text())["source"]["stream"] is bool(
            launch
        )
    for one, two in zip(*curves, strict=True):
        assert two == pytest.approx(one, abs=1e-4)


@pytest.fixture
def without_muon(monkeypatch):
    """torch as it was before 2.9."""
    monkeypatch.delattr(torch.optim, "Muon", raising=False)


def test_without_muon_a_recipe_trains_with_adamw_and_says_so(without_muon, capsys):
    chosen = training.recipe("cpu")
    assert chosen.settings["optimizer"] == "muon"
    assert chosen.train_settings(epochs=1).optimizer == "adamw"
    said = capsys.readouterr().err
    assert (
        said.count("\n") == 1 and "has no Muon (it came with 2.9): the recipe trains with" in said
    )
    assert chosen.train_settings(optimizer="adamw").optimizer == "adamw"
    assert default().train_settings().optimizer == "adamw"
    assert capsys.readouterr().err == "", "nothing was replaced"


@muon
def test_with_muon_a_recipe_trains_with_it_and_says_nothing(capsys):
    assert training.recipe("cpu").train_settings().optimizer == "muon"
    assert capsys.readouterr().err == ""


def test_without_muon_an_explicit_wish_is_an_error_with_a_way_out(without_muon, data):
    assert training.recipe("cpu").train_settings(optimizer="muon").optimizer == "muon"
    settings = TrainSettings(epochs=1, optimizer="muon")
    with pytest.raises(ValueError, match="no Muon.*--optimizer adamw, or optimizer='adamw'"):
        training.train(fresh(), data, settings, progress=False)


def test_a_run_stopped_by_its_own_callback_resumes_without_a_second_row(data, tmp_path):
    """on_evaluation may stop a run: the evaluation before it is in the checkpoint, once."""
    settings = TrainSettings(epochs=1, batch_size=64, precision="fp32", num_evaluations=4)

    def stop(history):
        if len(history.rows) == 3:
            raise KeyboardInterrupt

    undisturbed, resumed = fresh(), fresh()
    expected = training.train(undisturbed, data, settings, progress=False)
    training.train(
        fresh(),
        data,
        settings,
        progress=False,
        on_evaluation=stop,
        checkpointer=Checkpointer(tmp_path),
    )
    history = training.train(
        resumed, data, settings, progress=False, checkpointer=Checkpointer(tmp_path)
    )
    rows = lambda history: [row | {"minutes": 0} for row in history.rows]
    assert rows(history) == rows(expected) and equal(resumed, undisturbed)


def test_recipes_are_settings_that_work_and_say_what_they_cost():
    for name, make in training.recipes().items():
        chosen = training.recipe(name)
        assert chosen.train_settings().minutes == chosen.minutes
        assert chosen.train_settings(epochs=3).minutes is None
        for minutes in (1, 5, 30):
            mine = training.recipe(name, minutes)
            assert mine.train_settings().minutes == minutes
            VisionTransformer(ViTConfig.named(mine.model, **mine.config))
        assert "not measured" not in make.__doc__.lower(), "a number nobody has is left out"
    with pytest.raises(ValueError, match="did you mean 'a100'"):
        training.recipe("a10")


def mean_of_table(place, recipe, minutes, column):
    """The mean over the runs of `recipe` in the committed table that a text points to."""
    rows = read_rows(results_path(Path(place).name))
    mine = [r for r in rows if (r["recipe"], float(r["budget"])) == (recipe, minutes)]
    return sum(float(row[column]) for row in mine) / len(mine)


def test_what_a_recipe_reached_is_in_the_table_that_it_names():
    """Every percentage that the recipes state, and what a row of LADDER costs."""
    assert "(data/results/budgets.csv)" in cpu.__doc__
    found = [100 * mean_of_table("budgets.csv", "cpu", m, "test_accuracy") for m in (5, 30)]
    assert re.findall(r"([\d.]+) %", cpu.__doc__) == [f"{value:.1f}" for value in found]
    previous = -1
    for epochs, chosen, gflops, reached in LADDER:
        assert epochs > previous
        previous = epochs
        with torch.device("meta"):
            model = VisionTransformer(ViTConfig.named(chosen.model, **chosen.config))
            for part in model.modules():
                if isinstance(part, MultiHeadSelfAttention):
                    part.fused = False  # the counter does not see the fused call
            with FlopCounterMode(display=False) as counter:
                model(torch.empty(1, 3, 32, 32))
        assert gflops == pytest.approx(3e-9 * counter.get_total_flops(), rel=0.05), chosen.model
        if reached:
            accuracy, passes, table = re.fullmatch(
                r"([\d.]+) % in (\d+) epochs \((.*)\)", reached
            ).groups()
            assert accuracy == f"{found[1]:.1f}" and Path(table).name == "budgets.csv"
            assert int(passes) == round(mean_of_table(table, "cpu", 30, "epochs"))
