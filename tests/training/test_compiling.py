"""compile="auto": tried in long runs, kept only if it is faster, never a reason for a failure."""

import math
import time
import types

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


@pytest.fixture
def clock(monkeypatch):
    """A clock that only moves when a test moves it: no machine is too slow for these tests."""
    clock = types.SimpleNamespace(now=0.0)
    monkeypatch.setattr(time, "perf_counter", lambda: clock.now)
    return clock


def pretend(monkeypatch, clock, compiled, breaks=None):
    """torch.compile gives the model back, taking `compiled` seconds a call; or it fails."""

    def compile(model, dynamic=None):
        assert dynamic is False, "each size of image has a compiled model of its own"

        def forward(images):
            if breaks:
                raise breaks
            clock.now += compiled
            return model(images)

        return forward

    monkeypatch.setattr(torch, "compile", compile)


def steps(step, trial, clock, count, plain=0.0):
    """Make `count` steps, which take `plain` seconds while the model is not compiled."""
    images, labels = torch.randn(8, 3, 32, 32), torch.zeros(8, dtype=torch.long)
    for _ in range(count):
        if not step.compiled:
            clock.now += plain
        step(images, labels, 1e-3)
        trial(images, labels)


@pytest.mark.parametrize(
    "plain, compiled, kept, factor",
    [(0.75, 0.25, True, "3.00"), (0.25, 1.0, False, "0.25"), (0.5, 0.5, False, "1.00")],
)
def test_what_is_faster_is_kept(step, clock, monkeypatch, plain, compiled, kept, factor):
    pretend(monkeypatch, clock, compiled)
    trial = CompileTrial(step, lambda pace: LONG, steps=4, warm=2)
    steps(step, trial, clock, 6, plain)
    assert trial.reason == "" and step.compiled  # now it is timed
    steps(step, trial, clock, 6, plain)
    assert step.compiled is kept
    verb = "compiled" if kept else "not compiled"
    assert trial.reason.startswith(f"{verb}: that took {compiled:.1f} s")
    assert trial.reason.endswith(f"made a step {factor} times as fast")


def test_a_short_run_is_not_compiled(step, clock, monkeypatch):
    pretend(monkeypatch, clock, 0, breaks=AssertionError("compiled"))
    asked = []
    trial = CompileTrial(step, lambda pace: asked.append(pace) or 599.0, steps=3, warm=1)
    steps(step, trial, clock, 4, plain=0.02)
    assert trial.reason == "not compiled: 599 s were left, and compiling can take 60 s"
    assert not step.compiled
    assert asked == [pytest.approx(0.02)]


def test_each_size_of_images_costs_a_compilation(step, clock, monkeypatch):
    pretend(monkeypatch, clock, 0, breaks=AssertionError("compiled"))
    step.settings = TrainSettings(epochs=1, compile="auto", resolutions=((0.3, 12), (0.4, 16)))
    trial = CompileTrial(step, lambda pace: LONG, steps=3, warm=1)
    steps(step, trial, clock, 4, plain=0.02)
    assert trial.reason == "not compiled: 601 s were left, and compiling can take 180 s"


def test_a_machine_that_cannot_compile_goes_on(step, clock, monkeypatch):
    pretend(monkeypatch, clock, 0, breaks=RuntimeError("no C++ compiler\nand more"))
    trial = CompileTrial(step, lambda pace: LONG, steps=3, warm=1)
    steps(step, trial, clock, 12)
    assert trial.reason == "not compiled: RuntimeError: no C++ compiler" and not step.compiled


def test_a_trial_of_compiling_draws_nothing_and_changes_no_weight(step, clock, monkeypatch):
    pretend(monkeypatch, clock, 0)
    trial = CompileTrial(step, lambda pace: LONG, steps=1, warm=1)
    images, labels = torch.randn(8, 3, 32, 32), torch.zeros(8, dtype=torch.long)
    trial(images, labels)
    before = torch.get_rng_state(), [p.clone() for p in step.model.parameters()]
    trial(images, labels)
    assert step.compiled and torch.equal(torch.get_rng_state(), before[0])
    assert all(torch.equal(a, b) for a, b in zip(step.model.parameters(), before[1]))


def test_steps_with_images_of_different_sizes_are_never_compared(step, clock, monkeypatch):
    """Small images, large ones before the compiled steps are timed: the trial begins anew."""
    pretend(monkeypatch, clock, 0.25)
    step.model.dynamic_image_size = True
    trial = CompileTrial(step, lambda pace: LONG, steps=4, warm=2)
    small, labels = torch.randn(8, 3, 16, 16), torch.zeros(8, dtype=torch.long)
    for _ in range(8):  # six as they are, and two of the six compiled ones
        clock.now += 0 if step.compiled else 0.5
        step(small, labels, 1e-3)
        trial(small, labels)
    assert step.compiled and trial.plain == 0.5
    steps(step, trial, clock, 1, plain=2.0)  # the first one at full size
    assert not step.compiled and trial.plain is None and trial.reason == ""
    steps(step, trial, clock, 11, plain=2.0)
    assert step.compiled and trial.reason.endswith("made a step 8.00 times as fast")


def test_several_processes_do_not_decide_each_for_itself(step, monkeypatch):
    step.processes.count = 2
    trial = CompileTrial(step, lambda pace: LONG, steps=1, warm=1)
    assert trial.reason.startswith("not compiled: several processes")


def test_seconds_left_by_steps_and_by_the_clock(clock):
    by_steps = Clock(100, math.inf, Processes())
    by_steps.start()
    assert by_steps.seconds_left(40, 0.5) == 30
    by_time = Clock(math.inf, 100, Processes())
    by_time.start(60)
    by_time.reserve(5)
    assert by_time.seconds_left(40, 0.5) == 35
    clock.now += 10
    assert by_time.seconds_left(40, 0.5) == 25


@pytest.mark.slow
def test_a_run_says_why_it_was_not_compiled(shapes):
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


def test_a_resumed_run_is_compiled_again(step, clock, monkeypatch):
    pretend(monkeypatch, clock, 0)
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
def test_a_wrong_value_of_compile_is_named(wrong):
    with pytest.raises(ValueError, match="True, False or 'auto'"):
        TrainSettings(epochs=1, compile=wrong)
