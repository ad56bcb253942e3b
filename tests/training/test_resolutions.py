"""A run that begins with small images: which size when, what is refused, and that it resumes."""

import dataclasses
import os
import signal
import time
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from vit_tutorial import VisionTransformer, ViTConfig, training
from vit_tutorial.data import ImageData, make_shapes
from vit_tutorial.training import Checkpointer, TrainSettings, loop
from vit_tutorial.training.batches import Batches
from vit_tutorial.training.runtime.clock import Clock
from vit_tutorial.training.runtime.resolutions import (
    check_stages,
    format_stages,
    parse_stage,
    shrink,
    side_at,
)
from vit_tutorial.training.step import Step

TINY = ViTConfig(patch_size=8, dim=32, depth=2, num_heads=2, mlp_dim=64, pool="mean", dropout=0.1)
SETTINGS = TrainSettings(
    epochs=2,
    batch_size=64,
    lr=3e-3,
    augment="flip_shift",
    cutmix=0.5,
    ema_decay=0.9,
    micro_batch=48,
    precision="fp32",
    num_evaluations=3,
    resolutions=((0.5, 16), (0.25, 24)),
)  # 16 steps: 8 with 16 pixels, 4 with 24 and 4 with 32


@pytest.fixture(scope="module")
def data():
    splits = (make_shapes(count, seed) for seed, count in enumerate((512, 130, 130)))
    names = tuple(f"class {i}" for i in range(10))
    return ImageData("shapes", names, *splits, (0.3,) * 3, (0.25,) * 3, "512 shapes for a test")


def fresh(**changes):
    torch.manual_seed(0)
    return VisionTransformer(dataclasses.replace(TINY, **changes))


def watched(model):
    """The sides of the images that `model` is given: in training, in evaluation."""
    seen = {True: [], False: []}
    hook = lambda module, inputs: seen[module.training].append(tuple(inputs[0].shape[2:]))
    model.register_forward_pre_hook(hook)
    return seen


def test_a_share_of_the_run_has_a_side_and_the_rest_the_full_size():
    stages = ((0.3, 12), (0.4, 16))
    at = [0, 0.29, 0.3, 0.69, 0.7, 0.99, 1]
    assert [side_at(stages, done) for done in at] == [12, 12, 16, 16, None, None, None]
    assert side_at((), 0) is None
    assert [parse_stage(word) for word in format_stages(stages).split()] == list(stages)


def test_a_small_image_has_the_means_of_the_pixels_that_it_covers():
    images = torch.randn(2, 3, 32, 32)
    small = shrink(images, 16)
    assert torch.allclose(small[1, 2, 3, 5], images[1, 2, 6:8, 10:12].mean(), atol=1e-6)
    assert shrink(images, None) is images


@pytest.mark.parametrize(
    "stages, words",
    [
        ([(0, 16)], "a share of 0 at 16 pixels: it must lie between 0 and 1"),
        ([(1, 16)], "a share of 1 at 16 pixels"),
        ([(float("nan"), 16)], "a share of nan"),
        ([(0.7, 16), (0.3, 24)], "add up to 1: they must stay below 1"),
        ([(0.7, 12), (0.2, 16), (0.1, 24)], "add up to 1"),
        ([(0.7, 0)], "side in resolutions is 0"),
        ([(0.7, 16.0)], "side in resolutions is 16.0"),
    ],
)
def test_numbers_that_cannot_be_stages_are_refused(stages, words):
    with pytest.raises(ValueError, match=words):
        check_stages(stages)
    with pytest.raises(ValueError, match=words):
        TrainSettings(epochs=1, resolutions=stages)


def test_stages_may_come_as_lists_as_in_json():
    settings = TrainSettings(epochs=1, resolutions=[[0.7, 16]])
    assert settings == TrainSettings(epochs=1, resolutions=((0.7, 16),))
    assert hash(settings.resolutions)
    for word in ("0.7", "0.7x16", "@", "a@16", "0.7@16px"):
        with pytest.raises(ValueError, match=f"'{word}' is no stage.*such as 0.7@16"):
            parse_stage(word)


@pytest.mark.parametrize(
    "changes, side, words",
    [
        (dict(), 12, "patches of 8x8 do not tile an image of 12x12"),
        (dict(), 32, "32x32 cannot be shrunk to 32x32: a side must be smaller"),
        (dict(), 40, "cannot be shrunk to 40x40"),
        (
            dict(position="rotary", position_site=None),
            16,
            "this model has rotary positions in its layers",
        ),
        (dict(position_site="every_layer"), 16, "learned_1d positions in its layers"),
    ],
)
def test_a_model_that_cannot_take_a_side_is_refused_before_the_run(data, changes, side, words):
    settings = dataclasses.replace(SETTINGS, resolutions=((0.5, side),))
    with pytest.raises(ValueError, match=f"resolutions: .*{words}"):
        training.train(fresh(**changes), data, settings, progress=False)


def test_another_model_is_refused_by_its_name(data):
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3072, 10))
    model.config = SimpleNamespace(num_classes=10, image_size=(32, 32), channels=3)
    with pytest.raises(ValueError, match="a Sequential takes images of one size only"):
        training.train(model, data, SETTINGS, progress=False)


TOKEN = dict(position="sinusoidal_2d", pool="class", class_token="first")


@pytest.mark.parametrize("changes", [{}, dict(position="learned_2d"), TOKEN])
def test_a_run_shrinks_first_and_evaluates_at_full_size(data, changes):
    model = fresh(**changes)
    seen, shapes = watched(model), [p.shape for p in model.parameters()]
    settings = dataclasses.replace(SETTINGS, ema_decay=0.0, micro_batch=64)
    history = training.train(model, data, settings, progress=False)
    seen[True] = seen[True][-16:]  # the plan for memory has looked at the full size before
    assert seen[True] == 8 * [(16, 16)] + 4 * [(24, 24)] + 4 * [(32, 32)]
    assert set(seen[False]) == {(32, 32)} and len(history.rows) == 4
    assert history.steps_by_side == {16: 8, 24: 4, 32: 4}
    assert [p.shape for p in model.parameters()] == shapes
    assert model.dynamic_image_size is False, "afterwards other sizes are mistakes again"
    full = training.train(
        fresh(**changes), data, dataclasses.replace(settings, resolutions=()), progress=False
    )
    assert history.plan.bytes_needed == full.plan.bytes_needed, "planned for the full size"
    assert full.steps_by_side == {32: 16}


def test_images_are_cropped_before_they_are_shrunk(data, monkeypatch):
    given, call = [], Step.__call__
    monkeypatch.setattr(Step, "__call__", lambda *a: given.append(a[1]) or call(*a))
    training.train(fresh(), data, dataclasses.replace(SETTINGS, epochs=0.25), progress=False)
    images, _ = next(Batches(data, SETTINGS))
    assert torch.equal(given[0], F.adaptive_avg_pool2d(images, 16))


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


def test_a_run_stopped_in_each_stage_ends_with_the_same_weights(data, tmp_path):
    """It goes on with images of the size at which it was stopped, to the same bits."""
    whole, seen = fresh(), []
    expected = training.train(whole, data, SETTINGS, progress=False)
    for after in (3, 7, 4):  # after steps 4, 11 and 15, at 16, 24 and 32 pixels
        stopped = training.train(
            fresh(), data, SETTINGS, progress=False, checkpointer=Stopping(tmp_path, after)
        )
        seen.append(dict(stopped.steps_by_side))
    assert list(map(list, seen)) == [[16], [16, 24], [16, 24, 32]], seen
    parts = fresh()
    history = training.train(
        parts, data, SETTINGS, progress=False, checkpointer=Checkpointer(tmp_path)
    )
    pairs = zip(parts.state_dict().values(), whole.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    rows = lambda history: [row | {"minutes": 0} for row in history.rows]
    assert rows(history) == rows(expected)
    assert history.steps_by_side == expected.steps_by_side == {16: 8, 24: 4, 32: 4}
    other = dataclasses.replace(SETTINGS, resolutions=((0.5, 16),))
    training.train(fresh(), data, SETTINGS, progress=False, checkpointer=Stopping(tmp_path, 2))
    with pytest.raises(ValueError, match="resolutions is .* in the checkpoint"):
        training.train(fresh(), data, other, progress=False, checkpointer=Checkpointer(tmp_path))


def test_the_clock_decides_the_stage_where_it_ends_the_run(data, monkeypatch):
    """On a clock on which a step takes 1/4 s and the rest no time, 6 s hold 12, 6 and 6 steps."""
    now, call = [0.0], Step.__call__
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def step(*args):
        now[0] += 0.25
        return call(*args)

    monkeypatch.setattr(Step, "__call__", step)
    monkeypatch.setattr(loop, "evaluate", lambda *_: (1.0, 0.5))
    monkeypatch.setattr(Clock, "reserve", lambda *_: None)
    settings = dataclasses.replace(SETTINGS, epochs=None, minutes=0.1)
    history = training.train(fresh(), data, settings, progress=False)
    assert history.steps_by_side == {16: 12, 24: 6, 32: 6}
