"""Stochastic depth, activation checkpointing, memory measured and planned, the picture of cost."""

import csv
import dataclasses
import json
import math
import types
from pathlib import Path

import psutil
import pytest
import torch
import torch.nn.functional as F
from script_common import script
from torch import nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from vit_tutorial import VisionTransformer, ViTConfig
from vit_tutorial.common.machine import free_bytes
from vit_tutorial.inspection import plots
from vit_tutorial.model.encoder import EncoderBlock
from vit_tutorial.training import TrainSettings, choose_precision
from vit_tutorial.training.optimizers import make_optimizers
from vit_tutorial.training.runtime import memory
from vit_tutorial.training.runtime.activations import activation_bytes, is_out_of_memory
from vit_tutorial.training.runtime.memory import WORKSPACE, parameter_bytes, plan_memory, step_bytes
from vit_tutorial.training.runtime.muon import has_muon, muon_matrices

ROOT = Path(__file__).parents[2]
FP32, BF16 = choose_precision("cpu", "fp32"), choose_precision("cpu", "bf16")
SMALL = dict(image_size=16, dim=32, depth=4, num_heads=2)
MIB = 2**20


def make(seed=0, **changes):
    torch.manual_seed(seed)
    return VisionTransformer(ViTConfig(**SMALL | changes)).train()


def gradients(model, precision=FP32, images=8):
    batch = torch.randn(
        images, 3, *model.config.image_size, generator=torch.Generator().manual_seed(1)
    )
    model.zero_grad()
    torch.manual_seed(2)  # dropout, stochastic depth
    with precision.autocast():
        loss = F.cross_entropy(model(batch), torch.arange(images) % 10)
    loss.backward()
    return [loss.detach(), *(p.grad.clone() for p in model.parameters())]


# stochastic depth


@pytest.mark.parametrize("depth, expected", [(5, [0, 0.1, 0.2, 0.3, 0.4]), (1, [0])])
def test_drop_path_rate_rises_from_zero_in_even_steps_as_timm_does(depth, expected):
    model = make(depth=depth, drop_path_rate=0.4)
    rates = [block.drop_path_rate for block in model.encoder.blocks]
    assert rates == pytest.approx(expected)
    timm = pytest.importorskip("timm.layers", reason="timm is compared with")
    if not hasattr(timm, "calculate_drop_path_rates"):
        pytest.skip("this timm is too old to have calculate_drop_path_rates")
    assert rates == pytest.approx(timm.calculate_drop_path_rates(0.4, depth))


def test_a_branch_is_left_out_for_whole_images_and_scaled_up_for_the_others():
    block = EncoderBlock(8, 2, 16, drop_path_rate=0.25)
    torch.manual_seed(0)
    factor = block.drop_path(torch.ones(4000, 3, 8))
    assert factor.eq(factor[:, :1, :1]).all()  # one decision an image
    assert sorted(set(factor[:, 0, 0].tolist())) == pytest.approx([0, 4 / 3])
    assert float(factor[:, 0, 0].mean()) == pytest.approx(1, abs=0.04)  # four standard errors


def test_both_branches_can_be_left_out():
    block = EncoderBlock(8, 2, 16, drop_path_rate=1 - 1e-9)
    x = torch.randn(4, 3, 8)
    assert torch.equal(block(x), x)  # nothing is added
    assert not torch.equal(block.eval()(x), x)


@pytest.mark.parametrize("rate, training", [(0.0, True), (0.5, False)])
def test_without_drop_path_rate_nothing_changes_and_nothing_is_drawn(rate, training):
    plain, model = make(), make(drop_path_rate=rate).train(training)
    images, before = torch.randn(4, 3, 16, 16), torch.get_rng_state()
    assert torch.equal(model(images), plain(images))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5])
def test_a_rate_that_is_no_probability_below_one_is_named(rate):
    with pytest.raises(ValueError, match=f"drop_path_rate is {rate}: it is a probability"):
        ViTConfig(drop_path_rate=rate)


def test_configurations_written_before_the_field_still_load():
    old = json.loads(json.dumps(dataclasses.asdict(ViTConfig(**SMALL))))
    del old["drop_path_rate"]
    assert ViTConfig(**old) == ViTConfig(**SMALL)


# activation checkpointing


@pytest.mark.parametrize("precision", [FP32, BF16], ids=["fp32", "bf16"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        dict(dropout=0.2, drop_path_rate=0.3),
        dict(position="rotary"),
        dict(position="learned_1d", position_site="every_layer", pool="mean"),
    ],
    ids=["plain", "random", "rotary", "every layer"],
)
def test_activation_checkpointing_gives_the_same_gradients_bit_for_bit(changes, precision):
    model = make(**changes)
    once = gradients(model, precision)
    calls = []
    model.encoder.blocks[0].norm1.register_forward_hook(lambda *_: calls.append(1))
    model.encoder.checkpoint_activations = True
    twice = gradients(model, precision)
    assert len(calls) == 2  # it did compute twice
    assert all(map(torch.equal, once, twice))
    model.eval()
    gradients(model, precision)
    assert len(calls) == 3  # in evaluation once


# measured


class Two(nn.Module):
    """Linear, ReLU, linear, ReLU: what autograd keeps can be counted by hand."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(12, 40), nn.BatchNorm1d(40), nn.Linear(40, 10)

    def forward(self, x):
        return self.last(torch.relu(self.norm(self.first(x.flatten(1)))))


def test_what_is_kept_is_counted_once_each_and_without_parameters():
    kept = activation_bytes(Two(), (3, 2, 2), FP32)
    # For each image: the input of the norm (40); the ReLU's result, which the last layer keeps too
    # (40, once); the softmax (10); the label (8 bytes) and whether it counts (1 byte). The image
    # itself is the batch's. Fixed: the norm's mean and deviation.
    assert kept.each == 4 * (40 + 40 + 10) + 8 + 1
    assert kept.fixed == pytest.approx(4 * (2 * 40), abs=16)
    assert kept.largest == 4 * 40


def test_measuring_leaves_model_mode_buffers_and_random_state_alone():
    model = Two().eval()
    model.last.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    activation_bytes(model, (3, 2, 2), FP32)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert [m.training for m in model.modules()] == [False, False, False, True]
    assert all(p.grad is None for p in model.parameters())
    vit = make(dropout=0.1)
    vit.encoder.checkpoint_activations = True
    activation_bytes(vit, (3, 16, 16), FP32)
    assert vit.encoder.checkpoint_activations is True


def test_explicit_attention_keeps_the_weights_too_and_checkpointing_keeps_little():
    model = make(image_size=32, patch_size=2)  # 257 tokens
    fused = activation_bytes(model, (3, 32, 32), FP32).each
    twice = activation_bytes(model, (3, 32, 32), FP32, checkpointing=True).each
    for block in model.encoder.blocks:
        block.attention.fused = False
    explicit = activation_bytes(model, (3, 32, 32), FP32).each
    T, D, h, L = 257, 32, 2, 4
    assert fused / (4 * L * (16 * T * D + T * h)) == pytest.approx(1, abs=0.1)
    assert (explicit - fused) / (4 * L * T * T * h) == pytest.approx(1, abs=0.1)
    assert twice / (4 * (L * T * D + 16 * T * D)) == pytest.approx(1, abs=0.15)


def allocated(work) -> int:
    """The most bytes that torch has allocated on the CPU at once during `work()`."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        work()
    now, most = 0, 0
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    return most


MEASURED = {
    "fused, fp32": (dict(), 64, FP32, "adamw", False),
    "explicit, bf16": (dict(image_size=32, depth=2), 16, BF16, "adamw", False),
    "many parameters": (dict(dim=192, num_heads=3, depth=4), 2, FP32, "muon", False),
    "checkpointing": (dict(depth=8), 64, FP32, "adamw", True),
}


@pytest.mark.parametrize("case", MEASURED)
def test_the_estimate_is_within_a_quarter_of_what_torch_allocates(case):
    changes, images, precision, optimizer, twice = MEASURED[case]
    if optimizer == "muon" and not has_muon():
        pytest.skip("torch before 2.9 has no Muon")
    model = make(**changes)
    kept = activation_bytes(model, (3, *model.config.image_size), precision, twice)
    estimate = step_bytes(model, kept, images, optimizer=optimizer) - WORKSPACE
    del model

    def two_steps():
        model = make(**changes)
        model.encoder.checkpoint_activations = twice
        optimizers = make_optimizers(model, TrainSettings(epochs=1, optimizer=optimizer))
        for _ in range(2):  # in the second, the optimiser's states are there
            gradients(model, precision, images)
            for optimizer_ in optimizers:
                optimizer_.step()

    assert 0.75 < estimate / allocated(two_steps) < 1.25


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_estimate_holds_on_a_gpu():
    model = make(image_size=32, dim=192, num_heads=3).cuda()
    precision = choose_precision("cuda")
    step = step_bytes(model, activation_bytes(model, (3, 32, 32), precision), 256) - WORKSPACE
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    images, labels = (
        torch.randn(256, 3, 32, 32, device="cuda"),
        torch.zeros(256, dtype=torch.long, device="cuda"),
    )
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    for _ in range(3):
        optimizer.zero_grad()
        with precision.autocast():
            loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
    assert (
        0.75 < step / (torch.cuda.max_memory_allocated() - before + parameter_bytes(model)) < 1.25
    )


def test_the_optimizer_and_a_moving_average_are_counted():
    model = make()
    kept = activation_bytes(model, (3, 16, 16), FP32)
    adamw = step_bytes(model, kept, 64)
    own = sum(p.numel() for p in model.encoder.parameters() if p.ndim == 2) * 4
    assert step_bytes(model, kept, 64, ema=True) - adamw == parameter_bytes(model)
    assert adamw - step_bytes(model, kept, 64, optimizer="muon") == own
    assert step_bytes(model, kept, 64, accumulated=True) - adamw == parameter_bytes(
        model
    )  # the gradients


class NoEncoder(nn.Module):
    """A model of another library: no encoder, but a head."""

    def __init__(self):
        super().__init__()
        self.patches, self.body, self.head = nn.Conv2d(3, 8, 4), nn.Linear(8, 8), nn.Linear(8, 10)


def test_what_muon_takes_is_decided_in_one_place():
    """The optimizer takes what the plan of the memory counts, with and without an encoder."""
    if not has_muon():
        pytest.skip("torch before 2.9 has no Muon")
    vit, other = make(), NoEncoder()
    kept = activation_bytes(vit, (3, 16, 16), FP32)
    for model, names in ((vit, "encoder."), (other, "body.")):
        muon, adamw = make_optimizers(model, TrainSettings(epochs=1, optimizer="muon"))
        taken = {id(p) for p in muon.param_groups[0]["params"]}
        assert taken == {id(p) for p in muon_matrices(model)}
        assert taken == {
            id(p) for n, p in model.named_parameters() if n.startswith(names) and p.ndim == 2
        }
        saved = step_bytes(model, kept, 8) - step_bytes(model, kept, 8, optimizer="muon")
        assert saved == 4 * sum(p.numel() for p in muon.param_groups[0]["params"])


def test_free_memory_is_what_the_machine_says(monkeypatch):
    assert 2**20 < free_bytes("cpu") < 2**50
    files = {}
    available = types.SimpleNamespace(available=3000 * 1024)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: available)

    def read(path, *_, **__):
        if str(path) not in files:
            raise FileNotFoundError(path)
        return files[str(path)]

    monkeypatch.setattr(Path, "read_text", read)
    assert free_bytes("cpu") == 3000 * 1024
    files |= {"/sys/fs/cgroup/memory.max": "2000000\n", "/sys/fs/cgroup/memory.current": "500000\n"}
    assert free_bytes("cpu") == 1_500_000  # a container's limit
    files["/sys/fs/cgroup/memory.max"] = "max\n"
    assert free_bytes("cpu") == 3000 * 1024
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert free_bytes("cpu") == 3000 * 1024 // 4  # processes that train together share it
    assert free_bytes("mps") is None


# planned


def planned(model, batch, free, **wishes):
    return plan_memory(model, batch, (3, 32, 32), device="cpu", precision=FP32, free=free, **wishes)


@pytest.fixture(scope="module")
def model():
    return make(
        image_size=32, patch_size=2, depth=6
    )  # 3.3 MiB an image, a fifth of it if computed twice


def test_a_batch_that_fits_goes_whole(model):
    found = planned(model, 128, 4 * 2**30)
    assert (found.micro_batch, found.accumulation, found.checkpoint_activations) == (128, 1, False)
    assert found.bytes_free == 4 * 2**30 and 100 * MIB < found.bytes_needed < 0.8 * 4 * 2**30
    whole = planned(model, 128, math.ceil(found.bytes_needed / 0.8) + 1)
    assert whole.micro_batch == 128  # 80 % of the free memory is what it may fill
    assert planned(model, 128, math.floor(found.bytes_needed / 0.8) - 1).micro_batch == 64


def test_a_batch_that_does_not_fit_goes_in_the_largest_equal_parts(model):
    need = {
        size: planned(model, 128, 2**40, micro_batch=size).bytes_needed for size in (16, 32, 64)
    }
    for size in (32, 16):
        found = planned(model, 128, need[size] / 0.8 + 1)
        assert (found.micro_batch, found.accumulation, found.checkpoint_activations) == (
            size,
            128 // size,
            False,
        )
        assert found.bytes_needed <= 0.8 * found.bytes_free
    found = planned(model, 127, need[64] / 0.8)  # a prime: its only divisor is 1
    assert (found.micro_batch, found.accumulation) == (64, 2)


def test_activations_are_checkpointed_only_where_16_images_would_not_fit(model):
    need = planned(model, 128, 2**40, micro_batch=16).bytes_needed
    found = planned(model, 128, need / 0.8 - 1)
    assert found.checkpoint_activations and found.micro_batch >= 16
    assert (
        "activation checkpointing" in found.reason
        and "128 images at once would need" in found.reason
    )
    assert not planned(
        model, 128, need / 0.8 - 1, checkpoint_activations=False
    ).checkpoint_activations
    small = planned(
        model, 4, planned(model, 4, 2**40).bytes_needed / 0.8 + 1
    )  # a batch of 4 has no 16 images
    assert (small.micro_batch, small.checkpoint_activations) == (4, False)


def test_wishes_are_granted_and_checked(model):
    assert planned(model, 128, 2**34, checkpoint_activations=True).checkpoint_activations
    assert planned(model, 128, 2**34, micro_batch=24).accumulation == 6
    assert planned(model, 128, 2**34, micro_batch=500).micro_batch == 128
    need = planned(model, 128, 2**40, micro_batch=64).bytes_needed
    assert (
        planned(model, 128, need, micro_batch=64).checkpoint_activations is False
    )  # all of the free memory, not 80 %
    assert planned(model, 128, need - 1, micro_batch=64).checkpoint_activations is True
    with pytest.raises(
        ValueError, match=r"64 images at once need 2\d\d MiB, 150 MiB are free: ask for fewer"
    ):
        planned(model, 128, 150 * MIB, micro_batch=64, checkpoint_activations=False)
    with pytest.raises(ValueError, match="a Two has no encoder that can"):
        plan_memory(Two(), 8, (3, 2, 2), device="cpu", precision=FP32, checkpoint_activations=True)
    assert (
        plan_memory(Two(), 8, (3, 2, 2), device="cpu", precision=FP32).micro_batch == 8
    )  # any model can be planned for


def test_where_not_one_image_fits_the_numbers_are_named(model):
    with pytest.raises(
        ValueError,
        match=r"one image of 3 x 32 x 32 needs \d+ MiB with activation checkpointing; 48 MiB",
    ) as said:
        planned(model, 128, 60 * MIB)
    assert "80% of the 60 MiB that are free: use a smaller model" in str(said.value)


def test_a_measurement_that_runs_out_of_memory_is_a_plain_error_too(model, monkeypatch):
    def too_much(*_, **__):
        torch.empty(2**60, dtype=torch.uint8)

    monkeypatch.setattr(memory, "activation_bytes", too_much)
    with pytest.raises(
        ValueError, match="not even one image of 3 x 32 x 32 can be measured in the 60 MiB"
    ):
        planned(model, 128, 60 * MIB)


def test_without_a_number_for_free_memory_the_batch_stays_whole(model, monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda device: None)
    found = planned(model, 128, None)
    assert (found.micro_batch, found.accumulation, found.bytes_free) == (128, 1, None)
    assert planned(model, 128, None, micro_batch=32, checkpoint_activations=True).accumulation == 4


def test_out_of_memory_is_distinguished_from_other_errors():
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(error.value) and memory.is_out_of_memory is is_out_of_memory
    assert is_out_of_memory(
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
    ) and is_out_of_memory(MemoryError())
    with pytest.raises(RuntimeError) as error:
        torch.zeros(2, 3) @ torch.zeros(2, 3)
    assert not is_out_of_memory(error.value) and not is_out_of_memory(ValueError("out of memory"))


# what it costs as it grows


@pytest.fixture(scope="module")
def cost():
    return script("benchmarks/cost.py")


@pytest.mark.parametrize("way", ["explicit", "computed twice"])
def test_operations_by_formula_are_those_that_torch_counts(cost, way):
    point = dict(image=16, patch=4, width=128, depth=3, batch=2, way=way)
    model = VisionTransformer(ViTConfig(16, 4, dim=128, depth=3, num_heads=2)).train()
    model.encoder.checkpoint_activations = way == "computed twice"
    for block in model.encoder.blocks:
        block.attention.fused = False
    images = torch.randn(2, 3, 16, 16)
    with FlopCounterMode(display=False) as counter:
        model(images).sum().backward()
    unneeded = 2 * 2 * 16 * 48 * 128  # no gradient for pixels
    assert counter.get_total_flops() == pytest.approx(cost.flops(point) - unneeded, rel=0.02)


def test_slopes_are_fitted_to_the_costly_half(cost):
    rows = [
        dict(value=v, flops=v**2, seconds=1 + 1e-3 * v**3, activation_bytes=v, theory_bytes=7)
        for v in (1, 4, 100, 200, 400)
    ]
    found = cost.slopes(rows)
    assert list(found.values()) == [pytest.approx(3, abs=0.02), 2, 1, 0]


def test_a_small_run_measures_writes_and_names_its_slopes(cost, monkeypatch, tmp_path):
    monkeypatch.setitem(cost.GROWING, "cpu", dict(image=(48,), depth=(1, 2)))
    monkeypatch.setitem(cost.BATCHES, "cpu", (1, 2))
    points = [
        point | dict(batch=min(2, point["batch"]), depth=min(2, point["depth"]))
        for point in cost.points("cpu")
    ]
    monkeypatch.setattr(cost, "points", lambda kind: points)
    monkeypatch.setattr(
        "sys.argv",
        ["cost.py", "--device", "cpu", "--seconds", "0", "--out", str(tmp_path / "c.csv")],
    )
    cost.main()
    rows = list(csv.DictReader((tmp_path / "c.csv").open()))
    assert [row["way"] for row in rows[:3]] == ["fused", "explicit", "computed twice"]
    for row in rows[:3]:  # what was counted by hand is what autograd keeps
        assert float(row["activation_bytes"]) == pytest.approx(float(row["theory_bytes"]), rel=0.05)
    found = {(row["factor"], row["way"]): row for row in rows[3:]}
    assert list(found) == [("depth", "fused"), ("depth", "computed twice"), ("batch", "fused")]
    assert all(float(row["seconds"]) > 0 and float(row["slope_bytes"]) for row in found.values())
    assert float(found["depth", "fused"]["slope_theory_bytes"]) == 1


def test_the_picture_shows_each_factor_with_points_and_theory():
    rows = list(csv.DictReader((ROOT / "data" / "results" / "cost_cpu.csv").open()))
    figure = plots.scaling(rows)
    panels = figure.get_axes()
    assert len(panels) == 10 and {axes.get_xscale() for axes in panels} == {"log"}
    image = [row for row in rows if row["factor"] == "image" and row["way"] == "fused"]
    dashed, points = panels[0].lines[:2]
    assert list(points.get_ydata()) == [float(row["seconds"]) for row in image]
    assert (dashed.get_linestyle(), points.get_linestyle()) == ("--", "None")
    assert dashed.get_ydata()[-1] == pytest.approx(
        points.get_ydata()[-1]
    )  # moved to meet the costliest
    ratio = dashed.get_ydata()[-1] / dashed.get_ydata()[0]
    assert ratio == pytest.approx(float(image[-1]["flops"]) / float(image[0]["flops"]))
    assert (
        panels[5].get_xlabel() == "image side (pixels)"
        and "MiB" in panels[5].get_ylabel()
        and "seconds" in panels[0].get_ylabel()
    )


def test_the_picture_names_what_it_cannot_draw():
    with pytest.raises(ValueError, match="0 rows"):
        plots.scaling([])
    row = dict(
        factor="image",
        way="fused",
        value=32,
        seconds=1,
        activation_bytes=1,
        flops=1,
        theory_bytes="",
    )
    with pytest.raises(ValueError, match="a row has no theory_bytes"):
        plots.scaling([row])
    with pytest.raises(ValueError, match="logarithms need numbers above 0"):
        plots.scaling([row | dict(theory_bytes=0)])
