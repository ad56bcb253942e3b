"""compile="auto": tried in long runs only, kept only if faster, and never a reason for a run to fail."""

import math
import time

import pytest
import torch

from vit_tutorial import VisionTransformer, ViTConfig, data, training
from vit_tutorial.training import TrainSettings
from vit_tutorial.training.runtime.clock import Clock
from vit_tutorial.training.runtime.compile_trial import PATIENCE, SHARE, CompileTrial
from vit_tutorial.training.runtime.precision import choose_precision
from vit_tutorial.training.runtime.processes import Processes
from vit_tutorial.training.step import Step

LONG = SHARE * PATIENCE + 1


@pytest.fixture(scope="module")
def shapes():
    return data.load("shapes", device="cpu")


@pytest.fixture
def step(shapes):
    torch.manual_seed(0)
    model = VisionTransformer(
        ViTConfig(
            dim=8, depth=1, num_heads=1, patch_size=16, dropout=0.1, num_classes=shapes.num_classes
        )
    )
    made = Step(
        model,
        shapes,
        TrainSettings(epochs=1, compile="auto"),
        choose_precision("cpu", "fp32"),
        8,
        Processes(),
    )
    made.prepare()
    return made


def pretend(monkeypatch, plain, compiled, breaks=None):
    """torch.compile gives the model back, slower by `compiled` seconds a call and not by `plain`; or it cannot."""

    def compile(model):
        def slow(images):
            if breaks:
                raise breaks
            time.sleep(compiled)
            return model(images)

        return slow

    monkeypatch.setattr(torch, "compile", compile)


def steps(step, compiling, count, plain=0.0):
    images, labels = torch.randn(8, 3, 32, 32), torch.zeros(8, dtype=torch.long)
    for _ in range(count):
        if not step.compiled:
            time.sleep(plain)
        step(images, labels, 1e-3)
        compiling(images, labels)


@pytest.mark.parametrize("plain, compiled, kept", [(0.03, 0.0, True), (0.0, 0.03, False)])
def test_what_is_faster_is_kept(step, monkeypatch, plain, compiled, kept):
    pretend(monkeypatch, plain, compiled)
    compiling = CompileTrial(step, lambda pace: LONG, steps=4, warm=2)
    steps(step, compiling, 6, plain)
    assert compiling.reason == "" and step.compiled  # now it is timed
    steps(step, compiling, 6, plain)
    assert step.compiled is kept
    factor = float(compiling.reason.split("made a step ")[1].split()[0])
    assert factor > 1.5 if kept else factor < 0.7
    assert compiling.reason.startswith("compiled: " if kept else "not compiled: ")


def test_a_short_run_is_not_compiled(step, monkeypatch):
    pretend(monkeypatch, 0, 0, breaks=AssertionError("compiled"))
    asked = []
    compiling = CompileTrial(step, lambda pace: asked.append(pace) or 599.0, steps=3, warm=1)
    steps(step, compiling, 4, plain=0.02)
    assert (
        compiling.reason == "not compiled: 599 s were left, and compiling can take 60 s"
        and not step.compiled
    )
    assert len(asked) == 1 and 0.02 <= asked[0] < 0.2


def test_a_machine_that_cannot_compile_goes_on(step, monkeypatch):
    pretend(monkeypatch, 0, 0, breaks=RuntimeError("no C++ compiler\nand more"))
    compiling = CompileTrial(step, lambda pace: LONG, steps=3, warm=1)
    steps(step, compiling, 12)
    assert compiling.reason == "not compiled: RuntimeError: no C++ compiler" and not step.compiled


def test_trying_draws_nothing_and_changes_no_weight(step, monkeypatch):
    pretend(monkeypatch, 0, 0)
    compiling = CompileTrial(step, lambda pace: LONG, steps=1, warm=1)
    images, labels = torch.randn(8, 3, 32, 32), torch.zeros(8, dtype=torch.long)
    compiling(images, labels)
    before = torch.get_rng_state(), [p.clone() for p in step.model.parameters()]
    compiling(images, labels)
    assert step.compiled and torch.equal(torch.get_rng_state(), before[0])
    assert all(torch.equal(a, b) for a, b in zip(step.model.parameters(), before[1]))


def test_several_processes_do_not_decide_each_for_itself(step, monkeypatch):
    step.processes.count = 2
    compiling = CompileTrial(step, lambda pace: LONG, steps=1, warm=1)
    assert compiling.reason.startswith("not compiled: several processes")


def test_what_is_left_by_steps_and_by_the_clock():
    clock = Clock(100, math.inf, Processes())
    clock.start()
    assert clock.seconds_left(40, 0.5) == 30
    clock = Clock(math.inf, 100, Processes())
    clock.start(60)
    clock.reserve(5)
    assert 34 < clock.seconds_left(40, 0.5) <= 35


def test_a_run_says_what_became_of_it(shapes):
    def run(settings):
        torch.manual_seed(0)
        model = VisionTransformer(
            ViTConfig(dim=8, depth=1, num_heads=1, patch_size=16, num_classes=shapes.num_classes)
        )
        return training.train(model, shapes, settings, progress=False)

    assert run(TrainSettings(epochs=0.2)).compiled == "not compiled, as asked for"
    history = run(TrainSettings(epochs=2, batch_size=64, compile="auto", num_evaluations=1))
    assert (
        history.steps >= 25
        and history.compiled.startswith("not compiled: ")
        and "s were left" in history.compiled
    )


def test_a_resumed_state_is_compiled_again(step, monkeypatch):
    pretend(monkeypatch, 0, 0)
    step.use_compiled(True)
    saved = step.state()
    step.compiled = False
    step.restore(saved)
    step.prepare()
    assert step.compiled and step.forward is not step.model
    del saved["compiled"]  # written by an older version
    step.restore(saved)
    assert step.compiled is False


@pytest.mark.parametrize("wrong", ["yes", None, 1.5])
def test_a_wrong_wish_is_told(wrong):
    with pytest.raises(ValueError, match="True, False or 'auto'"):
        TrainSettings(epochs=1, compile=wrong)
