"""Studies of positions: what is compared, that it is compared fairly, and that stopping loses nothing."""

import csv
import math
from types import SimpleNamespace

import pytest
import torch

from vit_tutorial import VisionTransformer
from vit_tutorial.cli.main import main
from vit_tutorial.data import ImageData, load
from vit_tutorial.inspection.similarity import grid_recovery, similarity_numbers, sinusoidal_share
from vit_tutorial.model import sinusoidal_2d
from vit_tutorial.studies import STUDIES, run_study, statistics, summary, variants
from vit_tutorial.studies.run import choose, init_retention, match_other_weights
from vit_tutorial.studies.studies import resolve_variant
from vit_tutorial.training import learning_rate, make_optimizer


def small(seed: int) -> ImageData:
    """`shapes`, cut down to a second of training."""
    data = load("shapes", seed=seed)
    return ImageData(
        data.name,
        data.class_names,
        data.train[:512],
        data.validation[:100],
        data.test[:100],
        data.mean,
        data.std,
        "small",
    )


def test_every_study_can_be_built():
    data = small(0)
    for study in STUDIES:
        names = [variant.name for variant in variants(study)]
        assert len(set(names)) == len(names) >= 7
        for variant in variants(study):
            config, settings = resolve_variant(variant, data, 3)
            VisionTransformer(config)
            assert settings.seed == 3 and settings.minutes is None
    kinds = {
        (resolve_variant(v, data, 0)[0].position, resolve_variant(v, data, 0)[0].position_site)
        for v in variants("kinds")
    }
    assert (
        len(kinds) == 1 + 4 * 3 + 2 + 1
    )  # none; four that add, in three places; relative in two; rotary


def test_multiples_count_from_the_base():
    data = small(0)
    by_name = {v.name: resolve_variant(v, data, 0) for v in variants("figure9")}
    base = by_name["base"][1]
    assert by_name["epochs x 4"][1].epochs == 4 * base.epochs
    assert by_name["learning rate x 0.25"][1].lr == base.lr / 4
    assert by_name["patch size 4"][0].patch_size == 4


def test_another_model_is_for_other_data_than_shapes(tmp_path):
    by_name = {v.name: v for v in variants("kinds")}
    photos = SimpleNamespace(name="photos", image_size=(32, 32), channels=3, num_classes=10)
    config, settings = resolve_variant(
        by_name["rotary, every layer"], photos, 1, epochs=4, model="CIFAR-64x2/4"
    )
    assert (config.dim, config.depth, config.patch_size, config.pool, config.position) == (
        64,
        2,
        4,
        "mean",
        "rotary",
    )
    assert (settings.epochs, settings.seed) == (4, 1)
    assert resolve_variant(by_name["none"], photos, 0)[0].dim == 96
    with pytest.raises(ValueError, match="shapes have a model of their own; 'CIFAR-64x2/4'"):
        resolve_variant(
            by_name["none"],
            SimpleNamespace(**vars(photos) | dict(name="shapes")),
            0,
            model="CIFAR-64x2/4",
        )


def test_variants_of_a_seed_share_all_weights_but_positions():
    data, states = small(0), []
    for variant in variants("kinds"):
        torch.manual_seed(1)
        model = VisionTransformer(resolve_variant(variant, data, 1)[0])
        match_other_weights(model, 1)
        states.append(model.state_dict())
    shared = states[0].keys()
    assert len(shared) > 20
    for state in states[1:]:
        assert all(torch.equal(state[name], states[0][name]) for name in shared)


def test_a_study_goes_on_where_it_stopped(tmp_path):
    out = tmp_path / "start.csv"
    only = ["none", "randn", "randn, frozen"]
    calls = []

    def counted(seed):
        calls.append(seed)
        if len(calls) == 2:
            raise KeyboardInterrupt  # stopped before the second seed
        return small(seed)

    with pytest.raises(KeyboardInterrupt):
        run_study("start", counted, 2, out, epochs=0.5, only=only, progress=False)
    first = list(csv.DictReader(out.open()))
    assert [(row["variant"], row["seed"]) for row in first] == [(name, "0") for name in only]
    rows = run_study("start", small, 2, out, epochs=0.5, only=only, progress=False)
    assert rows[:3] == first and len(rows) == 6
    assert run_study("start", small, 2, out, epochs=0.5, only=only, progress=False) == rows
    with pytest.raises(ValueError, match="epochs 0.5, this would be 1.0"):
        run_study("start", small, 2, out, epochs=1, only=only, progress=False)
    row = rows[1]
    assert (
        row["variant"] == "randn"
        and float(row["cosine_with_start"]) > 0.9
        and row["hardware"]
        and row["date"]
    )
    assert (
        rows[2]["cosine_with_start"]
        == rows[2]["start_left"]
        == rows[2]["start_left_predicted"]
        == "1.0"
    )  # frozen
    assert rows[0]["cosine_with_start"] == ""  # no table
    again = run_study(
        "start", small, 1, tmp_path / "again.csv", epochs=0.5, only=["randn"], progress=False
    )
    measured = ("test_accuracy", "test_loss", "cosine_1", "sinusoidal_share")
    assert [again[0][name] for name in measured] == [
        row[name] for name in measured
    ]  # bit for bit, alone or in a grid


def test_a_run_that_two_studies_share_is_made_once(tmp_path, monkeypatch):
    how = dict(epochs=0.5, progress=False)
    start = run_study("start", small, 1, tmp_path / "ablation_start_x.csv", only=["0.02"], **how)
    monkeypatch.setattr(
        "vit_tutorial.studies.run.train_once", lambda *_: pytest.fail("trained again")
    )
    kinds = run_study(
        "kinds", small, 1, tmp_path / "ablation_kinds_x.csv", only=["learned_1d, stem"], **how
    )
    assert (kinds[0]["study"], kinds[0]["variant"]) == ("kinds", "learned_1d, stem")
    assert {**kinds[0], "study": "start", "variant": "0.02"} == start[0]
    for seeds, variant in (
        (2, "learned_1d, stem"),
        (1, "none"),
    ):  # another seed, another configuration: those are new
        with pytest.raises(pytest.fail.Exception, match="trained again"):
            run_study(
                "kinds", small, seeds, tmp_path / "ablation_kinds_x.csv", only=[variant], **how
            )


def test_decay_takes_away_what_it_predicts():
    """With a gradient of zero, AdamW's decay alone moves the table: the prediction is exact up to (1 - x) against exp(-x)."""
    data = small(0)
    config, settings = resolve_variant(
        next(v for v in variants("start") if v.name == "randn, decayed x 10"), data, 0, epochs=12
    )
    table = torch.nn.Parameter(torch.randn(16, 8))
    optimizer = torch.optim.AdamW([table], weight_decay=settings.weight_decay)
    start, steps = table.detach().clone(), 400
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = learning_rate(
            step / steps, 1, settings.warmup, settings.lr, settings.schedule
        )
        table.grad = torch.zeros_like(table)
        optimizer.step()
    left = init_retention(start, table.detach(), settings, steps, frozen=False)
    assert (
        left["start_left"] == pytest.approx(left["start_left_predicted"], rel=1e-3)
        and left["start_left"] < 0.8
    )
    assert left["cosine_with_start"] == pytest.approx(1)


def test_what_is_decayed():
    data = small(0)
    for name, number in (("randn", 0), ("randn, decayed", 1)):
        config, settings = resolve_variant(
            next(v for v in variants("start") if v.name == name), data, 0
        )
        model = VisionTransformer(config)
        decayed = [
            p
            for group in make_optimizer(model, settings).param_groups
            if group["weight_decay"]
            for p in group["params"]
        ]
        assert sum(p is model.position.table for p in decayed) == number


def test_unknown_names():
    with pytest.raises(ValueError, match="did you mean 'start'"):
        variants("starts")
    with pytest.raises(ValueError, match="no variant 'zero'"):
        choose(variants("start"), ["zero"])


def test_command_line(tmp_path, capsys, monkeypatch):
    import vit_tutorial.data

    monkeypatch.setattr(vit_tutorial.data, "load", lambda source, *, seed=0, **_: small(seed))
    command = [
        "ablate",
        "start",
        "--seeds",
        "2",
        "--epochs",
        "0.5",
        "--only",
        "none",
        "0.02",
        "--out",
        str(tmp_path),
        "--quiet",
    ]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "2 seeds" in out and "points to none" in out and "4 runs" in out
    assert (tmp_path / "ablation_start_shapes.png").stat().st_size > 5000
    assert main(["ablate", "begin"]) == 2 and "unknown study 'begin'" in capsys.readouterr().err


def test_intervals_by_hand():
    mean, half = statistics.interval([0.5, 0.6, 0.7])
    assert mean == pytest.approx(0.6) and half == pytest.approx(4.303 * 0.1 / math.sqrt(3))
    assert math.isnan(statistics.interval([0.5])[1])
    with pytest.raises(ValueError, match="0 values"):
        statistics.interval([])


def test_intervals_hold_what_they_promise():
    """Of 4,000 intervals from 5 normal numbers each, 95 % hold the mean (within 1 point: three standard errors)."""
    draws = torch.randn(4000, 5, generator=torch.Generator().manual_seed(0)).tolist()
    held = [abs(mean) <= half for mean, half in map(statistics.interval, draws)]
    assert sum(held) / len(held) == pytest.approx(0.95, abs=0.0105)


def test_pairs_see_what_means_do_not():
    rows = []
    for seed, easy in enumerate(
        [0.50, 0.60, 0.70, 0.80]
    ):  # seeds differ by much more than variants do
        rows += [
            dict(variant="a", seed=seed, test_accuracy=easy),
            dict(variant="b", seed=seed, test_accuracy=easy + 0.02),
        ]
        rows += [dict(variant="c", seed=seed, test_accuracy=easy + (0.02 if seed % 2 else -0.02))]
    a, b, c = summary(rows)
    assert b["half"] > 0.1 and b["verdict"] == "higher" and b["difference"] == pytest.approx(0.02)
    assert c["verdict"] == "within the noise" and "verdict" not in a


def test_sinusoidal_tables_are_explained_whole_and_random_ones_as_far_as_luck_goes():
    grid = (8, 8)
    assert sinusoidal_share(sinusoidal_2d(grid, 32), grid) == pytest.approx(1, abs=1e-6)
    generator = torch.Generator().manual_seed(0)
    random = [sinusoidal_share(torch.randn(64, 96, generator=generator), grid) for _ in range(20)]
    assert sum(random) / 20 == pytest.approx(14 / 63, abs=0.02)
    assert sinusoidal_share(torch.zeros(64, 4), grid) == 0


def test_the_grid_is_recovered_where_there_is_one():
    grid = (6, 9)
    n = torch.arange(54)
    places = torch.stack([n // 9, n % 9], dim=1).float()
    smooth = torch.exp(-torch.cdist(places, places).square() / 20)  # near patches alike
    rows, columns = grid_recovery(smooth, grid)
    assert rows > 0.8 and columns > 0.9
    shuffled = smooth[torch.randperm(54, generator=torch.Generator().manual_seed(0))]
    assert max(grid_recovery(shuffled, grid)) < 0.25
    generator = torch.Generator().manual_seed(1)
    luck = [grid_recovery(torch.randn(64, 96, generator=generator), (8, 8))[0] for _ in range(30)]
    assert sum(luck) / 30 == pytest.approx(2 / 63, abs=0.02)


def test_similarity_numbers_have_names():
    numbers = similarity_numbers(sinusoidal_2d((4, 4), 32))
    assert (
        list(numbers)[:4] == ["cosine_1", "cosine_2", "cosine_3", "cosine_4"]
        and numbers["cosine_1"] > numbers["cosine_3"]
    )
    assert numbers["sinusoidal_share"] == pytest.approx(1)
