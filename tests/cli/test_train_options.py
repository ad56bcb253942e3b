"""The options of `train`, made from the fields of TrainSettings and ViTConfig."""

import dataclasses
import json
import os
import re
import signal

import pytest
import torch

from vit_tutorial import ViTConfig
from vit_tutorial.cli import run_folder
from vit_tutorial.cli.field_options import field_comments
from vit_tutorial.cli.main import main, parser
from vit_tutorial.cli.run_spec import DataSource, RunSpec
from vit_tutorial.cli.train import MODEL_OPTIONS, spec_from_args
from vit_tutorial.training import Checkpointer, TrainSettings, load_model, recipe

FIELDS = [field.name for field in dataclasses.fields(TrainSettings)]


def spec(*words) -> RunSpec:
    return spec_from_args(parser().parse_args(["train", *map(str, words)]))


@pytest.fixture
def options(capsys, monkeypatch):
    """The help of `train` as {option: its text}."""
    monkeypatch.setenv("COLUMNS", "10000")  # one line each
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    found = {}
    text = re.sub(r"\n {20,}", "  ", capsys.readouterr().out)  # the help of a long option
    for line in text.split("options:")[1].splitlines():
        if option := re.match(
            r"  --([a-z-]+)[^ ]*( [A-Z_]+| \[[A-Z]+\]| \[[A-Z@]+ \.\.\.\]|, --no-[a-z-]+)*  +(.*)",
            line,
        ):
            found[option[1].replace("-", "_")] = option[3]
    return found


def test_help_shows_the_defaults_that_a_run_without_options_has(options):
    plain = spec()
    config = vars(ViTConfig.named(plain.model, **plain.changes))
    true = vars(plain.settings) | {name: config[name] for name in MODEL_OPTIONS}
    true |= {"model": plain.model, "save_every": plain.save_every}
    for name, value in true.items():
        shown = re.search(r"\(default ([^()]*)\)$", options[name])
        if value in (None, ()):
            assert not shown, f"--{name}: {options[name]}"
        elif isinstance(value, bool):
            assert shown[1] == ("yes" if value else "no")
        else:
            assert type(value)(shown[1]) == value, f"--{name}: {options[name]}"
    assert plain.settings == TrainSettings(minutes=5, lr=3e-3, schedule="linear")


def test_help_is_the_comment_beside_the_field(options):
    for config, names in ((TrainSettings, FIELDS), (ViTConfig, MODEL_OPTIONS)):
        comments = field_comments(config)
        for name in names:
            assert options[name].startswith(comments[name]), name


@pytest.mark.parametrize(
    "words, name, value",
    [
        (["--lr", "0.01"], "lr", 0.01),
        (["--warmup", "0.2"], "warmup", 0.2),
        (["--batch-size", "64"], "batch_size", 64),
        (["--optimizer", "muon"], "optimizer", "muon"),
        (["--optimizer", "sgd"], "optimizer", "sgd"),
        (["--checkpoint-activations"], "checkpoint_activations", True),
        (["--no-checkpoint-activations"], "checkpoint_activations", False),
        (["--compile"], "compile", True),
        (["--compile", "yes"], "compile", True),
        (["--compile", "no"], "compile", False),
        (["--compile", "auto"], "compile", "auto"),
        (["--epochs", "0.5"], "minutes", None),
        (["--resolutions", "0.3@12", "0.4@16"], "resolutions", ((0.3, 12), (0.4, 16))),
        (["--resolutions"], "resolutions", ()),
        (["--recipe", "cpu", "--lr", "0.01"], "lr", 0.01),
        (["--recipe", "cpu", "--minutes", "20"], "cutmix", 0.3),
        (["--recipe", "cpu", "--minutes", "20", "--cutmix", "0"], "cutmix", 0),
    ],
)
def test_an_option_becomes_a_setting(words, name, value):
    if "muon" in words and not hasattr(torch.optim, "Muon"):
        pytest.skip("torch before 2.9 has no Muon")
    assert getattr(spec(*words).settings, name) == value


def test_options_of_the_model_change_the_recipe(capsys):
    assert spec("--recipe", "t4").changes == recipe("t4").config
    changed = spec("--recipe", "t4", "--position", "rotary", "--drop-path-rate", "0.2")
    assert changed.changes == {"position": "rotary", "drop_path_rate": 0.2}
    assert main(["train", "--compile", "maybe"]) == 2
    assert "compile is 'maybe': it is True, False or 'auto'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "word, message",
    [
        ("0.7", "'0.7' is no stage: write its share of the run, @, and the side"),
        ("0.7@x", "'0.7@x' is no stage"),
    ],
)
def test_a_stage_that_cannot_be_read_is_named(word, message, capsys):
    with pytest.raises(SystemExit) as stop:
        spec("--resolutions", "0.2@12", word)
    assert stop.value.code == 2 and message in capsys.readouterr().err
    assert main(["train", "--resolutions", "0.7@16", "0.3@24"]) == 2
    assert "the shares add up to 1: they must stay below 1" in capsys.readouterr().err


def test_a_comment_is_beside_its_field_or_above_and_may_name_a_tuple():
    assert "learned_1d, learned_2d" in field_comments(Example)["kind"]
    assert field_comments(Example)["kind"].endswith("and no more")
    assert field_comments(Example)["plain"] == ""
    assert field_comments(Example)["above"] == "Two lines above a field."
    assert field_comments(Example)["last"] == "a number (3)"


POSITIONS = ("learned_1d", "learned_2d")


@dataclasses.dataclass
class Example:
    """kind: this is the docstring  # and no comment of a field"""

    # Not this one.
    kind: str = "learned_1d"  # one of POSITIONS,
    #                           and no more
    plain: int = 1
    # --- A heading.
    # Two lines
    # above a field.
    above: int = 2

    # Nor this one: the field has its own.
    last: int = 3  # a number (3)

    def method(self):
        self.kind = "x"  # nor this


def test_an_image_size_that_is_given_counts_before_the_data_is_read():
    assert spec("--image-size", 40, "--model", "CIFAR-96x4/5").model == "CIFAR-96x4/5"
    with pytest.raises(ValueError, match="do not tile an image of 40x40"):
        spec("--image-size", 40, "--model", "CIFAR-96x4/16")


def test_a_spec_comes_back_from_json_and_another_version_is_named():
    settings = TrainSettings(epochs=2, compile="auto", resolutions=((0.7, 16),))
    source = DataSource("pictures", 48, "downloads", True)
    options = {"position": "rotary"}, 5.0, "drive", "c", "n", "auto", "because"
    sent = RunSpec(source, "CIFAR-32x2/8", settings, *options)
    stored = json.loads(json.dumps(sent.to_json() | {"stopped": "running"}))
    assert RunSpec.from_json(stored) == sent
    stored["settings"]["passes"] = 3
    with pytest.raises(ValueError, match="made by another version.*'passes'.*train again"):
        RunSpec.from_json(stored)
    with pytest.raises(ValueError, match="made by another version.*'source'"):
        RunSpec.from_json({"command": "an old layout"})


def test_without_muon_a_recipe_falls_back_before_data_is_read_and_notes_it(monkeypatch, capsys):
    monkeypatch.delattr(torch.optim, "Muon", raising=False)
    asked = spec("--recipe", "cpu")
    assert asked.settings.optimizer == "adamw" and "trains with AdamW instead" in asked.note
    assert capsys.readouterr().err == f"{asked.note}\n"
    assert asked.to_json()["note"] == asked.note  # what run.json holds
    assert asked.settings.lr == 3e-3 and spec("--recipe", "cpu", "--lr", 1e-3).settings.lr == 1e-3
    assert spec("--recipe", "cpu", "--optimizer", "adamw").note == spec().note == ""
    assert main(["train", "--data", "nowhere", "--optimizer", "muon"]) == 2
    assert "--optimizer adamw" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_is_resumed_from_its_folder_to_the_same_weights(tmp_path, monkeypatch):
    words = ["--epochs", 0.3, "--model", "CIFAR-32x1/8", "--precision", "fp32", "--device", "cpu"]
    words += ["--resolutions", "0.5@16"]
    asked = spec(*words, "--position", "sinusoidal_2d", "--num-evaluations", 2)
    whole = run_folder.start_run(tmp_path / "whole", asked, progress=False, device="cpu")
    with monkeypatch.context() as patch:
        patch.setattr(Checkpointer, "should_save", ctrl_c_after(5))
        stopped = run_folder.start_run(tmp_path / "run", asked, progress=False, device="cpu")
    assert stopped["stopped"] == "interrupted" and stopped["epochs"] < whole["epochs"]
    resumed = run_folder.resume_run(tmp_path / "run", progress=False, device="cpu")
    assert resumed["stopped"] == "finished" and resumed["source"]["stream"] is False
    assert resumed["config"]["position"] == "sinusoidal_2d"
    assert resumed["settings"]["resolutions"] == [[0.5, 16]]
    changing = ("date", "minutes", "memory")
    assert {k: v for k, v in resumed.items() if k not in changing} == {
        k: v for k, v in whole.items() if k not in changing
    }
    one, other = (load_model(tmp_path / name / "model.safetensors")[0] for name in ("whole", "run"))
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    with pytest.raises(
        ValueError, match=r"is finished \(0.295 epochs\): nothing is left to resume"
    ):
        run_folder.resume_run(tmp_path / "run")


def ctrl_c_after(steps: int):
    made = []

    def should_save(self):
        made.append(1)
        if len(made) == steps:
            os.kill(os.getpid(), signal.SIGINT)
        return False

    return should_save
