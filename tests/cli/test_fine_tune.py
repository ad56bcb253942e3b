"""`train --from`: weights in, new head, what is frozen stays, and resumed it is the same run."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from vit_tutorial import VisionTransformer, ViTConfig, data, training
from vit_tutorial.cli.main import main
from vit_tutorial.inspection.models import load_pretrained
from vit_tutorial.model.transfer import freeze_body, with_new_head

FAST = ["--epochs", "2", "--device", "cpu", "--quiet", "--num-evaluations", "2"]


def config(**changes):
    small = dict(image_size=16, patch_size=4, num_classes=3, dim=16, depth=2, num_heads=2)
    return ViTConfig(**small | dict(mlp_dim=32) | changes)


@pytest.fixture
def pictures(tmp_path):
    """Dark and bright pictures, 12 of each."""
    rng = np.random.default_rng(0)
    for label, name in enumerate(("dark", "light")):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(12):
            pixels = rng.integers(100 * label, 100 * label + 90, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / name / f"{number}.png")
    return tmp_path / "data"


@pytest.fixture
def weights(pictures, tmp_path):
    """A model file for three other classes, with a normalisation of its own."""
    torch.manual_seed(0)
    images = data.load(pictures, image_size=16)
    told = dict(class_names=("a", "b", "c"), mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    for name, value in told.items():
        object.__setattr__(images, name, value)
    path = tmp_path / "weights.safetensors"
    training.save_model(path, VisionTransformer(config()), images)
    return path


@pytest.mark.parametrize("pool", ["class", "mean"])
def test_a_new_head_keeps_the_rest_and_starts_at_equal_probabilities(pool):
    torch.manual_seed(0)
    model = VisionTransformer(config(pool=pool)).eval()
    copy = with_new_head(model, 5)
    images = torch.randn(2, 3, 16, 16)
    assert torch.equal(copy(images), torch.zeros(2, 5)) and copy.config.num_classes == 5
    assert torch.equal(copy.representation(images), model.representation(images))
    assert model.config.num_classes == 3 and model(images).shape == (2, 3), "the old one stays"
    larger = with_new_head(model, 5, (16, 24))
    assert larger.config.image_size == (16, 24) and larger(torch.randn(1, 3, 16, 24)).shape == (
        1,
        5,
    )
    with pytest.raises(ValueError, match="15"):
        with_new_head(model, 5, 15)


def test_a_frozen_body_does_not_move_and_the_head_does(pictures):
    images = data.load(pictures, image_size=16)
    torch.manual_seed(0)
    model = freeze_body(with_new_head(VisionTransformer(config()), 2))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    settings = training.TrainSettings(epochs=2, batch_size=4, lr=0.1, weight_decay=0.5, decay="all")
    training.train(model, images, settings, progress=False)
    moved = {n for n, value in model.state_dict().items() if not torch.equal(value, before[n])}
    assert moved == {"head.weight", "head.bias"}


@pytest.mark.parametrize("freeze", ["none", "body"])
def test_the_command_starts_from_a_file(freeze, pictures, weights, tmp_path, capsys):
    out = tmp_path / "run"
    arguments = ["--from", str(weights), "--data", str(pictures), "--out", str(out), *FAST]
    assert main(["train", *arguments, "--freeze", freeze]) == 0
    said = capsys.readouterr().out
    assert "batches of 4, since there are" in said and "classes: dark, light" in said
    model, header = training.load_model(out / "model.safetensors")
    assert header["data"]["class_names"] == ["dark", "light"]
    assert header["data"]["mean"] == pytest.approx([0.1, 0.2, 0.3]), (
        "normalised as the weights were"
    )
    assert model.config.image_size == (16, 16) and model.config.dim == 16
    old = training.load_model(weights)[0].state_dict()
    same = [
        torch.equal(value, old[n]) for n, value in model.state_dict().items() if "head" not in n
    ]
    assert all(same) if freeze == "body" else not any(same[:1])
    record = json.loads((out / "run.json").read_text())
    assert record["settings"]["lr"] == (1e-2 if freeze == "body" else 3e-4)


def test_a_stopped_run_goes_on_to_the_same_weights(pictures, weights, tmp_path, monkeypatch):
    def run(name, *more):
        out = tmp_path / name
        start = ["--from", str(weights), "--data", str(pictures), "--out", str(out), *FAST]
        code = main(["train", *(more or start)])
        return code, training.load_model(out / "model.safetensors")[0].state_dict()

    _, whole = run("whole")
    original = training.loop._Run.validate
    calls = []

    def stop_at_the_second(self, *arguments):
        calls.append(1)
        result = original(self, *arguments)
        if len(calls) == 2:
            self.interrupt.requested = True
        return result

    monkeypatch.setattr(training.loop._Run, "validate", stop_at_the_second)
    code, half = run("halves")
    assert code == 130
    assert not torch.equal(half["head.weight"], whole["head.weight"])
    monkeypatch.undo()
    weights.unlink()  # the checkpoint has all that is needed
    code, resumed = run(
        "halves", "--resume", str(tmp_path / "halves"), "--quiet", "--device", "cpu"
    )
    assert code == 0 and all(torch.equal(resumed[name], value) for name, value in whole.items())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--freeze", "body"], "without --from"),
        (["--from", "{weights}", "--pool", "class"], "--pool belongs to the weights"),
        (["--from", "{weights}", "--model", "ViT-B/16"], "--model belongs to the weights"),
        (["--from", "{weights}", "--recipe", "cpu"], "brings a model of its own"),
        (["--from", "nowhere.safetensors"], "no model file"),
        (["--from", "{weights}", "--image-size", "18"], "18"),
    ],
)
def test_what_does_not_go_together_is_said(arguments, words, pictures, weights, tmp_path, capsys):
    given = [argument.format(weights=weights) for argument in arguments]
    out = str(tmp_path / "run")
    assert main(["train", "--data", str(pictures), *given, "--out", out, *FAST]) == 2
    assert words in capsys.readouterr().err


def test_other_libraries_bring_their_normalisation():
    pytest.importorskip("timm")
    found = load_pretrained("timm:vit_tiny_patch16_224", pretrained=False)
    assert found.mean == (0.5, 0.5, 0.5) and found.model.config.dim == 192
    theirs = load_pretrained("torchvision:vit_b_32", pretrained=False)
    assert theirs.mean == pytest.approx((0.485, 0.456, 0.406))
    assert theirs.model.config.patch_size == 32
