"""`train --recipe auto`: what is chosen for a machine and a budget, told and written down."""

import json

import pytest
import torch

from vit_tutorial import data
from vit_tutorial.cli import auto_recipe, train
from vit_tutorial.cli.auto_recipe import choose, seconds_a_step
from vit_tutorial.cli.main import main, parser
from vit_tutorial.data import ImageData, Split
from vit_tutorial.training.recipes import LADDER
from vit_tutorial.training.runtime.processes import Processes

MODELS = [recipe.model for _, recipe, _, _ in LADDER]
STAGES = ((0.3, 12), (0.4, 16))
muon = pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch before 2.9 has no Muon")


def images(count=45_000, side=32):
    """As many images as asked for, in the memory of one."""
    split = Split(
        torch.zeros(1, 3, side, side, dtype=torch.uint8).expand(count, -1, -1, -1),
        torch.zeros(1, dtype=torch.int64).expand(count),
    )
    names = tuple(f"class {i}" for i in range(10))
    return ImageData("photos", names, *3 * [split], (0.5,) * 3, (0.25,) * 3, "for a test")


def chosen(*words, seconds=None, of=None, processes=None):
    """The RunSpec that these options lead to, and the models that were timed.

    seconds: of a step, by the name of the model.
    """
    args, timed = parser().parse_args(["train", *map(str, words)]), []

    def time_step(spec, data, processes):
        timed.append(spec.model)
        return seconds[spec.model]

    make = lambda recipe: train.spec_from_args(args, recipe)
    return choose(make, of or images(), processes or Processes(), time_step), timed


# Seconds of a step of each model in turn, batches of 128, 128, 256, 256.
SLOW = dict(zip(MODELS, (0.22, 0.5, 2.0, 4.0)))  # two cores without matrix units
FAST = dict(zip(MODELS, (0.096, 0.167, 0.8, 2.0)))  # two cores with them
GPU = dict(zip(MODELS, (0.008, 0.011, 0.012, 0.02)))


@muon
@pytest.mark.parametrize(
    "seconds, minutes, model, timed, why",
    [
        (
            SLOW,
            5,
            0,
            1,
            "5 min of this machine buy about 3.9 epochs at full size; the next recipe is for 12",
        ),
        (
            FAST,
            5,
            0,
            1,
            "5 min of this machine buy about 8.9 epochs at full size; the next recipe is for 12",
        ),
        (SLOW, 20, 0, 2, "about 15.5 epochs at full size; of the next recipe, which is for 12 or"),
        (FAST, 30, 1, 3, "about 30.7 epochs at full size; of the next recipe, which is for 30 or"),
        (
            GPU,
            1,
            1,
            2,
            "1 min of this machine buy about 15.5 epochs at full size; the next recipe is for 30",
        ),
        (GPU, 10, 3, 4, "10 min of this machine buy about 171.4 epochs at full size"),
    ],
)
def test_a_larger_model_is_taken_when_the_budget_buys_it_enough_epochs(
    seconds, minutes, model, timed, why
):
    spec, asked = chosen("--minutes", minutes, seconds=seconds)
    _, recipe, _, _ = LADDER[model]
    assert spec.model == MODELS[model] and asked == MODELS[:timed]
    assert why in spec.why and spec.why.startswith(f"{spec.model}, muon, lr ")
    assert spec.settings == recipe.train_settings(minutes=minutes)
    assert spec.changes == recipe.config and spec.recipe == "auto"
    assert (spec.settings.resolutions == STAGES) is (model == 0)
    assert ("images 0.3@12 0.4@16 px first" in spec.why) is (model == 0)


@muon
def test_what_a_person_asks_for_stands_above_the_choice():
    spec, _ = chosen("--minutes", 5, "--lr", 0.01, "--cutmix", 0.2, "--seed", 7, seconds=SLOW)
    s = spec.settings
    assert (s.lr, s.cutmix, s.seed, s.resolutions) == (0.01, 0.2, 7, STAGES)
    assert chosen(seconds=SLOW)[0].settings.minutes == 5, "unless it is said, five minutes"
    spec, _ = chosen("--resolutions", "0.5@16", seconds=SLOW)
    assert spec.settings.resolutions == ((0.5, 16),)
    spec, _ = chosen("--resolutions", seconds=SLOW)
    assert spec.settings.resolutions == ()
    own = {"CIFAR-64x3/4": 0.05}
    spec, timed = chosen("--model", "CIFAR-64x3/4", "--minutes", 10, seconds=own)
    assert set(timed) == {"CIFAR-64x3/4"} and spec.model == "CIFAR-64x3/4"
    assert spec.settings.cutmix == 0.5, "34 epochs of this model ask for the recipe of that length"


@muon
@pytest.mark.parametrize(
    "words", [("--position", "rotary"), ("--model", "CIFAR-96x4/8"), ("--stem", "convolutional")]
)
def test_stages_that_a_model_cannot_take_are_left_out_with_their_rate(words):
    seconds = SLOW | {"CIFAR-96x4/8": 0.2}
    spec, _ = chosen("--minutes", 5, *words, seconds=seconds)
    able = words[0] == "--stem"
    assert spec.settings.resolutions == (STAGES if able else ())
    assert spec.settings.lr == (5e-3 if able else 3e-3)


@muon
@pytest.mark.parametrize(
    "epochs, model, why",
    [
        (3, 0, "3 epochs were asked for; the next recipe is for 12 or more"),
        (20, 1, "20 epochs were asked for"),
        (300, 1, "300 epochs were asked for"),
    ],
)
def test_epochs_need_no_timing_and_no_small_images(epochs, model, why):
    spec, timed = chosen("--epochs", epochs)
    assert spec.model == MODELS[model] and timed == []
    assert spec.settings.epochs == epochs and spec.settings.minutes is None
    assert spec.settings.resolutions == () and spec.settings.lr == 3e-3
    assert spec.why.endswith(why)


@muon
def test_on_a_gpu_epochs_may_ask_for_the_largest_model(monkeypatch):
    of = images()
    monkeypatch.setattr(ImageData, "device", torch.device("cuda"))
    assert chosen("--epochs", 300, of=of)[0].model == MODELS[3]


@pytest.mark.parametrize(
    "of, why",
    [
        (data.load("shapes"), "shapes has 10,000 training images of 32x32"),
        (images(side=64), "photos has 45,000 training images of 64x64"),
    ],
)
def test_other_data_keeps_the_small_model_and_adamw(of, why):
    spec, timed = chosen("--minutes", 3, of=of)
    plain = train.spec_from_args(parser().parse_args(["train", "--minutes", "3"]))
    assert timed == [] and spec.settings == plain.settings and spec.changes == plain.changes == {}
    assert spec.settings.optimizer == "adamw" and spec.settings.resolutions == ()
    assert spec.model == plain.model == MODELS[0] and why in spec.why


def test_without_muon_it_trains_with_adamw_and_says_so_once(monkeypatch, capsys):
    monkeypatch.delattr(torch.optim, "Muon", raising=False)
    spec, timed = chosen("--minutes", 30, seconds=FAST)
    assert len(timed) == 3 and spec.model == MODELS[1]
    assert (spec.settings.optimizer, spec.settings.lr) == ("adamw", 3e-3)
    assert capsys.readouterr().err == f"{spec.note}\n" and "AdamW instead" in spec.note
    spec, _ = chosen("--minutes", 5, seconds=FAST)
    assert spec.settings.resolutions == STAGES and "adamw, lr 0.003" in spec.why


def test_all_processes_choose_by_the_time_of_the_main_one():
    class Two(Processes):
        count, rank, main = 2, 1, False

        def sync_clock(self, seconds, stop):
            return FAST[MODELS[0]], stop

    spec, _ = chosen("--minutes", 5, seconds=SLOW, processes=Two())
    assert "about 8.9 epochs" in spec.why


@pytest.mark.slow
def test_the_timing_is_of_a_real_step_and_leaves_random_numbers_alone():
    args = parser().parse_args(["train", "--model", "CIFAR-32x1/8", "--batch-size", "8"])
    before = torch.get_rng_state()
    assert 0 < seconds_a_step(train.spec_from_args(args), images(100)) < 5
    assert torch.equal(torch.get_rng_state(), before)


def test_a_name_that_is_none_is_refused_with_all_names(capsys):
    assert main(["train", "--recipe", "autp"]) == 2
    said = capsys.readouterr().err
    assert "did you mean 'auto'" in said and "'auto', 'cpu', 't4', 'a100'" in said


@muon
@pytest.mark.slow
def test_a_run_says_and_stores_what_was_chosen_and_is_resumed_without_timing(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(auto_recipe, "LEAST_IMAGES", 1000)  # so that `shapes` is like CIFAR-10
    monkeypatch.setattr(auto_recipe, "seconds_a_step", lambda *_: 0.5)
    words = ["--model", "CIFAR-32x1/4", "--minutes", "0.1", "--device", "cpu", "--quiet"]
    assert main(["train", *words, "--out", str(tmp_path / "run")]) == 0
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["recipe"] == "auto" and record["settings"]["resolutions"] == [
        [0.3, 12],
        [0.4, 16],
    ]
    assert f"recipe auto: {record['why']}\n" in capsys.readouterr().out
    assert record["why"].startswith("CIFAR-32x1/4, muon, lr 0.005, images 0.3@12 0.4@16 px first: ")
    assert set(record["steps_by_side"]) == {"12", "16", "32"}
    record["stopped"] = "interrupted"
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    monkeypatch.setattr(auto_recipe, "seconds_a_step", lambda *_: pytest.fail("timed again"))
    assert main(["train", "--resume", str(tmp_path / "run"), "--device", "cpu", "--quiet"]) == 0
    assert f"recipe auto: {record['why']}\n" in capsys.readouterr().out
