"""Studies of positions: what is compared, that it is compared fairly, and what stopping loses."""

import csv
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from vit_tutorial import VisionTransformer
from vit_tutorial.cli.main import main
from vit_tutorial.common.files import read_rows
from vit_tutorial.data import ImageData, load, results_path
from vit_tutorial.inspection import plots
from vit_tutorial.inspection.similarity import grid_recovery, similarity_numbers, sinusoidal_share
from vit_tutorial.model import sinusoidal_2d
from vit_tutorial.studies import STUDIES, run_study, statistics, summary, variants
from vit_tutorial.studies.definitions import resolve_variant
from vit_tutorial.studies.runner import choose, init_retention, match_other_weights
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


@pytest.mark.slow
def test_a_stopped_study_resumes(tmp_path):
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


@pytest.mark.slow
def test_a_run_that_two_studies_share_is_made_once(tmp_path, monkeypatch):
    how = dict(epochs=0.5, progress=False)
    start = run_study("start", small, 1, tmp_path / "study_start_x.csv", only=["0.02"], **how)
    monkeypatch.setattr(
        "vit_tutorial.studies.runner.train_once", lambda *_: pytest.fail("trained again")
    )
    kinds = run_study(
        "kinds", small, 1, tmp_path / "study_kinds_x.csv", only=["learned_1d, stem"], **how
    )
    assert (kinds[0]["study"], kinds[0]["variant"]) == ("kinds", "learned_1d, stem")
    assert {**kinds[0], "study": "start", "variant": "0.02"} == start[0]
    for seeds, variant in (
        (2, "learned_1d, stem"),
        (1, "none"),
    ):  # another seed, another configuration: those are new
        with pytest.raises(pytest.fail.Exception, match="trained again"):
            run_study("kinds", small, seeds, tmp_path / "study_kinds_x.csv", only=[variant], **how)


def test_decay_takes_away_what_it_predicts():
    """With a gradient of zero, AdamW's decay alone moves the table.

    The prediction is then exact, up to the difference between (1 - x) and exp(-x).
    """
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


def test_tables_are_decayed_only_where_the_variant_says_so():
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


def test_unknown_studies_and_variants_are_refused():
    with pytest.raises(ValueError, match="did you mean 'start'"):
        variants("starts")
    with pytest.raises(ValueError, match="no variant 'zero'"):
        choose(variants("start"), ["zero"])


def test_study_command(tmp_path, capsys, monkeypatch):
    import vit_tutorial.data

    monkeypatch.setattr(vit_tutorial.data, "load", lambda source, *, seed=0, **_: small(seed))
    command = [
        "study",
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
    rows = read_rows(tmp_path / "study_start_shapes.csv")
    assert {(row["variant"], row["seed"]) for row in rows} == {
        (variant, seed) for variant in ("none", "0.02") for seed in "01"
    }
    with Image.open(tmp_path / "study_start_shapes.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    expected = (100 * plots.intervals(summary(rows)).get_size_inches()).astype(int)
    assert picture.format == "PNG" and pixels.shape[:2] == tuple(expected[::-1])
    blue = np.array([0x00, 0x72, 0xB2])  # of the dots: two, and their bars
    assert (abs(pixels - blue).sum(axis=2) < 30).sum() > 30
    assert main(["study", "begin"]) == 2 and "unknown study 'begin'" in capsys.readouterr().err


def test_intervals_by_hand():
    mean, half = statistics.interval([0.5, 0.6, 0.7])
    assert mean == pytest.approx(0.6) and half == pytest.approx(4.303 * 0.1 / math.sqrt(3))
    assert math.isnan(statistics.interval([0.5])[1])
    with pytest.raises(ValueError, match="0 values"):
        statistics.interval([])


def test_quantiles_are_those_of_printed_tables():
    """95 %: the table in every textbook. 99.67 % and 98.75 %: with 15 and 4 comparisons (scipy)."""
    assert statistics.T_975[:5] == (12.706, 4.303, 3.182, 2.776, 2.571)
    assert statistics.T_975[29] == 2.042 and len(statistics.T_975) == 30
    assert statistics.t_quantile(1 - 0.025 / 15, 4) == pytest.approx(6.2541, abs=1e-4)
    assert statistics.t_quantile(1 - 0.025 / 4, 2) == pytest.approx(8.8602, abs=1e-4)
    assert statistics.t_quantile(0.95, 1) == pytest.approx(math.tan(0.45 * math.pi))  # Cauchy
    assert statistics.t_quantile(0.5, 7) == pytest.approx(0, abs=1e-6)
    assert statistics.t_quantile(0.975, 10**4) == pytest.approx(1.96, abs=1e-3)  # the normal
    with pytest.raises(ValueError, match="p is 1 and freedom 4"):
        statistics.t_quantile(1, 4)


@pytest.mark.parametrize(("comparisons", "slack"), [(1, 0.0105), (10, 0.0034)])
def test_intervals_contain_the_mean_as_often_as_they_promise(comparisons, slack):
    """Of 4,000 intervals from 5 normal numbers each, within three standard errors."""
    draws = torch.randn(4000, 5, generator=torch.Generator().manual_seed(0)).tolist()
    pairs = [statistics.interval(draw, comparisons) for draw in draws]
    contain = sum(abs(mean) <= half for mean, half in pairs) / len(pairs)
    assert contain == pytest.approx(1 - 0.05 / comparisons, abs=slack)


def test_corrected_verdicts_keep_the_family_wise_error_rate():
    """1,000 studies of ten variants that are equal: how often does any verdict say otherwise?

    Nine comparisons with one reference, by themselves, are wrong in a fourth of the studies or
    more. Corrected, in at most 5 % (three standard errors of 1,000 studies: 2 points); somewhat
    fewer, since all compare with the same reference.
    """
    generator = torch.Generator().manual_seed(0)
    wrong = dict(verdict=0, verdict_corrected=0)
    for values in torch.randn(1000, 10, 5, generator=generator).tolist():
        rows = [
            dict(variant=str(variant), seed=seed, test_accuracy=value)
            for variant, runs in enumerate(values)
            for seed, value in enumerate(runs)
        ]
        table = summary(rows)[1:]
        for key in wrong:
            wrong[key] += any(entry[key] != "within the noise" for entry in table)
    assert wrong["verdict"] > 250
    assert 10 < wrong["verdict_corrected"] <= 70


def test_the_correction_counts_the_comparisons_of_the_table():
    """As lesson 15 computes it for 15 comparisons and 5 seeds: 6.25 in the place of 2.78."""
    kinds = read_rows(results_path("study_kinds_shapes.csv"))
    table = summary(kinds, reference="learned_1d, stem")
    compared = [entry for entry in table if "verdict" in entry]
    assert len(compared) == 15 == len(table) - 1
    for entry in compared:
        assert entry["half_corrected"] == pytest.approx(
            6.2541 / 2.776 * entry["difference_half"], rel=1e-4
        )
    differ = [entry["variant"] for entry in compared if entry["verdict_corrected"] == "lower"]
    assert differ == ["none"]
    assert sum(entry["verdict"] in ("lower", "higher") for entry in compared) > 1
    two = summary([row for row in kinds if row["variant"] in ("none", "learned_1d, stem")])
    assert two[1]["half_corrected"] == two[1]["difference_half"]  # nothing to correct


def test_variants_that_share_no_seed_with_the_reference_are_not_compared():
    rows = [dict(variant="a", seed=s, test_accuracy=0.1 * s) for s in range(3)]
    rows += [dict(variant="b", seed=s, test_accuracy=0.2 * s) for s in range(3)]
    rows += [dict(variant="c", seed=7, test_accuracy=0.5)]
    _, b, c = summary(rows)
    assert "verdict" not in c and math.isnan(c["half"])
    assert b["half_corrected"] == b["difference_half"]  # one comparison


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
    assert c["verdict"] == c["verdict_corrected"] == "within the noise" and "verdict" not in a


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
