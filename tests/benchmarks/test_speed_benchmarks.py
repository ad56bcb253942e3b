"""benchmarks/step.py and loop.py: their options, what they count, and a small run of each."""

import contextlib
import csv
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from vit_tutorial import training

pytest.importorskip("timm")
pytest.importorskip("vit_pytorch")
TINY = ("--device", "cpu", "--dim", "32", "--depth", "1", "--heads", "1", "--rounds", "2")


@pytest.fixture
def scripts(monkeypatch):
    """(speed, step, loop, time_groups), with small products for the peak."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    import loop
    import speed
    import step
    import time_groups

    measured = speed.matmul_peak
    monkeypatch.setattr(
        speed,
        "matmul_peak",
        lambda device, dtype: measured(device, dtype, sides=(64, 128), tries=2),
    )
    return speed, step, loop, time_groups


def table(path: Path) -> list[dict]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def formula(dim, depth, heads) -> int:
    """FLOPs of a forward pass with one image, as lesson 05 counts them.

    N = 64 patches, T = 65 tokens, an MLP of 4 D, 10 classes.
    """
    N, T, D, M = 64, 65, dim, 4 * dim
    return 2 * N * 48 * D + depth * (8 * T * D**2 + 4 * T**2 * D + 4 * T * D * M) + 2 * D * 10


@pytest.mark.parametrize("size", [(192, 6, 3), (64, 2, 1), (768, 12, 12)])
def test_flops_of_a_step_are_three_times_the_formula(scripts, size):
    speed = scripts[0]
    assert speed.step_flops(speed.sizes(*size)) == 3 * formula(*size)


def test_all_libraries_do_the_same_products(scripts):
    """The table gives every model the same FLOPs: torch's counter finds them in each."""
    from torch.utils.flop_counter import FlopCounterMode

    speed = scripts[0]
    size = speed.sizes(64, 2, 2)
    for name, build in speed.MODELS.items():
        with torch.device("meta"):
            model, image = build(size), torch.empty(1, 3, 32, 32)
        with FlopCounterMode(display=False) as counter:
            model(image)
        assert counter.get_total_flops() == pytest.approx(formula(64, 2, 2), rel=0.01), name


def test_options_of_step(scripts, capsys):
    step = scripts[1]
    assert step.arguments(["--device", "cpu"]).precisions == ["fp32", "bf16", "bf16 weights"]
    assert step.arguments(["--device", "cuda"]).precisions == [
        "fp32",
        "bf16",
        "bf16 weights",
        "fp16",
    ]
    assert len(step.arguments([]).models) == 6
    assert step.arguments(["--models", "timm:fused", "timm"]).models == [
        ("timm", "fused"),
        ("timm", "explicit"),
    ]
    for words, complaint in (
        (["--models", "tim"], "no model 'tim': there are"),
        (["--precisions", "fp16"], "fp16 is for GPUs"),
    ):
        with pytest.raises(SystemExit):
            step.arguments(["--device", "cpu", *words])
        assert complaint in capsys.readouterr().err


def test_options_of_loop(scripts, capsys):
    loop = scripts[2]
    assert (
        loop.arguments(["--device", "cpu"]).epochs == 1
        and loop.arguments(["--device", "cuda"]).epochs == 20
    )
    with pytest.raises(SystemExit):
        loop.arguments(["--images", "100", "--batch", "128"])
    assert "a batch of 128 does not fit into 100 images" in capsys.readouterr().err


def test_everyone_has_a_turn_in_every_round_and_not_always_the_same_one_first(scripts):
    from measured import in_turns

    assert "".join(in_turns(list("abc"), 4)) == "abcbcacababc"
    assert "".join(in_turns(list("abcd"), 3, step=3)) == "abcddabccdab"


def test_step_compares_and_says_what_share_of_the_peak(scripts, tmp_path):
    words = (
        "--batch",
        "8",
        "--models",
        "vit_tutorial:explicit",
        "timm",
        "--out",
        str(tmp_path / "step.csv"),
    )
    scripts[1].main([*TINY, *words])
    rows = table(tmp_path / "step.csv")
    assert [(row["precision"], row["model"], row["attention"]) for row in rows] == [
        (precision, *name)
        for precision in ("fp32", "bf16", "bf16 weights")
        for name in (("vit_tutorial", "explicit"), ("timm", "fused"), ("timm", "explicit"))
    ]
    for row in rows:
        speed, share, peak = (
            float(row[name])
            for name in ("images_per_second", "share_of_peak", "matmul_peak_gflops")
        )
        assert share == pytest.approx(
            3 * formula(32, 1, 1) * speed / (1e9 * peak), rel=0.02, abs=1e-4
        )
        others = [
            float(r["images_per_second"])
            for r in rows
            if r["precision"] == row["precision"] and r["model"] != "vit_tutorial"
        ]
        is_best = row["best_other"] == f"{row['model']} {row['attention']}"
        assert is_best == (row["model"] != "vit_tutorial" and speed == max(others))
        assert not is_best or float(row["ratio_to_best_other"]) == 1
        assert (
            row["ended"] == "measured" and row["compile_seconds"] == row["pays_after_minutes"] == ""
        )
    assert {row["best_of_all"].split(", ")[1] for row in rows if row["precision"] != "fp32"} <= {
        "bf16",
        "bf16 weights",
    }


def test_when_compiling_pays_by_hand(scripts):
    gain = scripts[1].gain
    found = gain(
        [3.0, 2.4, 2.0], [2.0, 2.0, 2.0], 60.0
    )  # 1.2 times as fast: in 6 minutes 5 * 1.2 = 6 minutes' worth
    assert (found["compiled_to_eager"], found["pays_after_minutes"]) == (1.2, 6.0)
    assert gain([1.0, 1.0], [1.0, 2.0], 60.0)["pays_after_minutes"] == "never"
    assert gain(None, [1.0], 60.0) == gain([1.0], None, 60.0) == dict.fromkeys(found, "")


def test_weights_in_bf16_are_that_and_autocast_leaves_them_alone(scripts):
    speed, step = scripts[:2]
    images, labels = torch.randn(4, 3, 32, 32), torch.randint(10, (4,))
    kinds = {}
    for precision in ("bf16", "bf16 weights"):
        runner = step.Runner(
            speed.ours(speed.sizes(32, 1, 1)), torch.device("cpu"), precision, False, images, labels
        )
        runner.steps(1)
        kinds[precision] = ({p.dtype for p in runner.model.parameters()}, runner.autocast)
    assert kinds == {"bf16": ({torch.float32}, True), "bf16 weights": ({torch.bfloat16}, False)}


def test_a_model_that_compiles_too_long_or_not_at_all_gets_a_row_that_says_so(
    scripts, tmp_path, monkeypatch
):
    speed, step = scripts[:2]

    def slow_or_broken(model):
        def forward(images):
            if type(model).__module__.startswith("timm"):
                raise RuntimeError("no compiler\nmore")
            with contextlib.suppress(Exception):  # torch.compile, too, catches what it can
                time.sleep(10)

        return forward

    monkeypatch.setattr(torch, "compile", slow_or_broken)
    monkeypatch.setattr(speed, "compiled_anew", contextlib.nullcontext)
    words = (
        "--batch",
        "4",
        "--compile",
        "--limit",
        "0.2",
        "--precisions",
        "fp32",
        "--out",
        str(tmp_path / "step.csv"),
    )
    step.main([*TINY, *words, "--models", "timm:fused", "vit-pytorch"])
    rows = {(row["model"], row["compiled"]): row for row in table(tmp_path / "step.csv")}
    assert rows["vit-pytorch", "yes"]["ended"] == "left out: compiling took more than 0.2 s"
    assert rows["timm", "yes"]["ended"] == "left out: RuntimeError in compiling: no compiler"
    assert rows["timm", "yes"]["images_per_second"] == rows["timm", "yes"]["share_of_peak"] == ""
    assert (
        rows["timm", "no"]["ended"] == "measured"
        and float(rows["timm", "no"]["images_per_second"]) > 0
    )


@pytest.mark.slow
def test_loop_compares_and_leaves_a_profile(scripts, tmp_path):
    loops = scripts[2].LOOPS
    words = (
        "--images",
        "64",
        "--batch",
        "16",
        "--workers",
        "0",
        "--precision",
        "bf16",
        "--out",
        str(tmp_path / "loop.csv"),
    )
    scripts[2].main(
        [*TINY, *words, "--loops", *(name for name in loops if "torchvision" not in name)]
    )
    rows = {(row["loop"], row["model"]): row for row in table(tmp_path / "loop.csv")}
    assert set(rows) == {
        ("train", "vit_tutorial"),
        ("train", "timm"),
        ("train", "vit-pytorch"),
        ("DataLoader", "vit_tutorial"),
        ("input only: train", ""),
        ("input only: DataLoader", ""),
    }
    assert float(rows["DataLoader", "vit_tutorial"]["ratio_to_dataloader"]) == 1
    assert float(rows["train", "vit_tutorial"]["ratio_to_ours"]) == 1
    assert float(rows["input only: train", ""]["ratio_to_dataloader"]) > 0
    shares = {row["group"]: float(row["share"]) for row in table(tmp_path / "profile.csv")}
    assert sum(shares.values()) == pytest.approx(1, abs=0.01)
    assert all(
        shares[group] > 0
        for group in ("data", "matmul", "attention", "norm", "elementwise", "optimizer")
    )


def test_ratios_of_loops_by_hand(scripts):
    """Formed within each round: to the plain loop, to our loop, and of one input to the other."""
    loop = scripts[2]
    speeds = {
        (loop.OURS, False): [20.0, 30.0, 10.0],
        ("train: timm", False): [10.0, 30.0, 20.0],
        (loop.PLAIN, False): [10.0, 10.0, 10.0],
        (loop.BATCHES, False): [90.0, 80.0, 70.0],
        (loop.LOADER, False): [30.0, 40.0, 10.0],
    }
    rows = {key: loop.row(key, speeds, 1.26, "measured", 1000, 1e6) for key in speeds}
    ours, timm, _, batches, loader = rows.values()
    assert (ours["ratio_to_dataloader"], ours["ratio_to_ours"]) == (2, 1)
    assert (timm["ratio_to_dataloader"], timm["ratio_to_ours"]) == (2, 1)  # 0.5, 1 and 2
    assert (timm["ratio_to_ours_q1"], timm["ratio_to_ours_q3"]) == (0.75, 1.5)
    assert batches["ratio_to_dataloader"] == 3 and loader["ratio_to_dataloader"] == 1  # 3, 2, 7
    assert batches["ratio_to_ours"] == batches["share_of_peak"] == ""
    assert ours["share_of_peak"] == 0.02 and ours["images_per_second"] == 20
    assert ours["first_epoch_seconds"] == 1.3
    left_out = loop.row(("train: timm", True), speeds, 9, "left out", 1000, 1e6)
    assert left_out["images_per_second"] == left_out["share_of_peak"] == ""


def test_our_input_never_touches_an_image_by_itself(scripts, monkeypatch):
    """Why it is faster: no PIL image is opened, and no transform is called for one image."""
    loop = scripts[2]
    loops = loop.Loops(
        loop.arguments([*TINY, "--images", "128", "--batch", "64", "--workers", "0"]),
        torch.device("cpu"),
    )
    count, plain = [0], loop.Pictures.__getitem__

    def counted(pictures, i):
        count[0] += 1
        return plain(pictures, i)

    monkeypatch.setattr(loop.Pictures, "__getitem__", counted)
    loops.run(loop.BATCHES)
    assert count == [0]
    loops.run(loop.LOADER)
    assert count == [128]


def test_both_loops_look_at_the_same_images_and_count_alike(scripts):
    speed, _, loop, _ = scripts
    loops = loop.Loops(
        loop.arguments([*TINY, "--images", "1280", "--batch", "64", "--workers", "0"]),
        torch.device("cpu"),
    )
    looked, split = list(loops.validation_loader), loops.data.validation
    assert torch.equal(torch.cat([labels for _, labels in looked]), split.labels)
    torch.testing.assert_close(
        torch.cat([images for images, _ in looked]), loops.data.normalise(split.images)
    )
    model = loops.model(loop.OURS, False)
    with torch.no_grad():
        model.head.weight.normal_()
        model.head.bias[split.labels[0]] += 100  # one answer for all
    share = training.evaluate(model, split, loops.data, precision=loops.precision)[1]
    assert (
        loops.validate(model)
        == pytest.approx(share)
        == (split.labels == split.labels[0]).float().mean().item()
    )


def test_both_loops_see_every_image_once_and_as_bright_as_the_other(scripts):
    """What is compared is the same work: same number of images, same normalisation."""
    speed, _, loop, _ = scripts
    loops = loop.Loops(
        loop.arguments([*TINY, "--images", "128", "--batch", "64", "--workers", "0"]),
        torch.device("cpu"),
    )
    assert loops.seen == 128
    plain = torch.cat([images for images, _ in loops.loaded()])
    batches = loop.Batches(loops.data, loops.settings())
    mine = torch.cat([next(batches)[0] for _ in range(2)])
    assert plain.shape == mine.shape == (128, 3, 32, 32)
    assert mine.std() == pytest.approx(1, abs=0.05)
    inside = (slice(None), slice(None), slice(4, -4), slice(4, -4))  # the plain crop has black rims
    assert plain[inside].std() == pytest.approx(1, abs=0.05)


def test_all_that_happens_inside_a_batch_is_data(scripts, monkeypatch):
    """Twice as many batches make twice as many operations called data, and no others."""
    _, _, loop, groups = scripts
    add_up, times = groups.add_up, []
    monkeypatch.setattr(groups, "add_up", lambda found: times.append(found) or add_up(found))
    for epochs in ("1", "2"):
        words = ["--images", "256", "--batch", "64", "--workers", "0", "--epochs", epochs]
        loops = loop.Loops(loop.arguments([*TINY, *words]), torch.device("cpu"))
        rows = groups.profile(loops.batches_only, torch.device("cpu"))
        assert {row["group"]: row["share"] for row in rows}["data"] > 0
    (data, others), (data_twice, others_twice) = (
        (names.count("data"), sorted(name for name in names if name != "data"))
        for names in ([name for name, _ in found] for found in times)
    )
    assert others == others_twice  # what is done once, before the first batch
    assert data > 20 and data_twice > 1.9 * data


def test_an_operation_belongs_to_data_if_any_caller_does(scripts):
    groups = scripts[3]
    mark = SimpleNamespace(name="data", cpu_parent=SimpleNamespace(name="step", cpu_parent=None))
    inner = SimpleNamespace(name="aten::index", cpu_parent=mark)
    assert groups.name(SimpleNamespace(name="aten::mm", cpu_parent=inner)) == "data"
    assert groups.name(mark) == "data" and groups.name(mark.cpu_parent) == "step"


def test_operations_are_put_into_groups(scripts):
    groups = scripts[3]
    for name, group in {
        "aten::addmm": "matmul",
        "aten::bmm": "attention",
        "aten::_softmax_backward_data": "attention",
        "aten::native_layer_norm_backward": "norm",
        "aten::gelu_backward": "elementwise",
        "aten::copy_": "copies and casts",
        "aten::_fused_adamw_": "optimizer",
        "aten::_log_softmax": "elementwise",
        "aten::empty": "the rest",
    }.items():
        assert groups.group_of(name) == group, name
    rows = {
        row["group"]: row
        for row in groups.add_up([("aten::mm", 3000.0), ("data", 500.0), ("aten::mm", 1000.0)])
    }
    assert rows["matmul"]["milliseconds"] == 4 and rows["matmul"]["share"] == pytest.approx(0.8889)
    assert rows["data"]["longest"] == "data 11.1%"
