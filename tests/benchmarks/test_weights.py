"""The weights that are shipped: small, with a true card, and one command that makes them."""

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from script_common import script

from vit_tutorial import data, training
from vit_tutorial.inspection.similarity import similarity_numbers

ROOT = Path(__file__).parents[2]
NAMES = ("vit_cifar10_start_0.02", "vit_cifar10_start_randn")


@pytest.fixture(scope="module")
def benchmark():
    return script("benchmarks/weights.py")


@pytest.mark.parametrize("name", NAMES)
def test_shipped_weights_and_their_card(name):
    path = data.weights_path(f"{name}.safetensors")
    assert path.stat().st_size < 8_000_000
    model, meta = training.load_model(path)
    notes, card = meta["notes"], path.with_suffix(".md").read_text()
    assert hashlib.sha256(path.read_bytes()).hexdigest() in card
    for key in (
        "command",
        "trained_on",
        "seed",
        "validation_accuracy",
        "test_accuracy",
        "hardware",
        "minutes",
        "date",
    ):
        assert str(notes[key]) in card, key
    assert (
        notes["command"].startswith("python benchmarks/weights.py FOLDER ")
        and notes["test_accuracy"] > 0.7
    )
    assert "JPEG" in notes["trained_on"] and meta["data"]["class_names"][0] == "airplane"
    assert model.position.table.shape == (1, 64, 96) and len(meta["data"]["class_names"]) == 10


def test_the_model_of_the_shapes_has_a_class_token_and_a_true_card():
    path = data.weights_path("vit_shapes.safetensors")
    assert path.stat().st_size < 400_000
    model, meta = training.load_model(path)
    notes, card = meta["notes"], path.with_suffix(".md").read_text()
    assert hashlib.sha256(path.read_bytes()).hexdigest() in card
    assert notes["command"].startswith("python benchmarks/weights.py shapes ")
    assert all(str(notes[key]) in card for key in ("command", "seed", "test_accuracy", "date"))
    assert model.config.pool == "class" and model.config.depth == 2
    shapes = data.load("shapes")
    accuracy = training.evaluate(model, shapes.test[torch.arange(500)], shapes)[1]
    assert accuracy > 0.95 and abs(accuracy - notes["test_accuracy"]) < 0.03


def test_start_is_the_seeds_own_and_what_became_of_it():
    """0.02 was written over and is a map; randn is still there."""
    numbers = {}
    for name in NAMES:
        model, meta = training.load_model(data.weights_path(f"{name}.safetensors"))
        torch.manual_seed(meta["notes"]["seed"])
        again = type(model)(model.config).position.table[0].detach()
        start = load_file(data.weights_path(f"{name}.start.safetensors"))["table"].float()
        torch.testing.assert_close(start, again, atol=1e-3, rtol=1e-3)
        end = model.position.table[0].detach()
        cosine = torch.nn.functional.cosine_similarity(start.flatten(), end.flatten(), dim=0).item()
        numbers[name] = (cosine, similarity_numbers(end, (8, 8))["cosine_1"])
    quiet, loud = (numbers[name] for name in NAMES)
    assert quiet[0] < 0.5 < 0.9 < loud[0]
    assert quiet[1] > 0.3 > 0.2 > loud[1]


def test_one_call_trains_ships_and_writes_the_card(benchmark, tmp_path, monkeypatch, capsys):
    little = small()
    monkeypatch.setattr(benchmark.sources, "load", lambda *_, **__: little)
    words = [
        "somewhere",
        "--provenance",
        "made up",
        "--epochs",
        "1",
        "--model",
        "CIFAR-32x1/8",
        "--out",
        str(tmp_path),
    ]
    monkeypatch.setattr("sys.argv", ["weights.py", *words])
    benchmark.main()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        f"{name}{end}"
        for name in NAMES
        for end in (".csv", ".md", ".safetensors", ".start.safetensors")
    )
    for name in NAMES:
        model, meta = training.load_model(tmp_path / f"{name}.safetensors")
        card = (tmp_path / f"{name}.md").read_text()
        assert meta["notes"]["test_accuracy"] == round(
            training.evaluate(model, little.test, little)[1], 4
        )
        assert (
            meta["notes"]["trained_on"].startswith("made up: 320 images to train")
            and str(tmp_path) not in card
        )
        assert "`python benchmarks/weights.py FOLDER --provenance 'made up'" in card
    assert "vit_cifar10_start_randn: validation" in capsys.readouterr().out


def test_the_shapes_give_one_model_with_a_class_token(benchmark, tmp_path, monkeypatch):
    little = small()
    monkeypatch.setattr(benchmark.sources, "load", lambda *_, **__: little)
    words = ["shapes", "--epochs", "1", "--model", "CIFAR-32x1/8", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["weights.py", *words])
    benchmark.main()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"vit_shapes{end}" for end in (".csv", ".md", ".safetensors")
    ]
    model, meta = training.load_model(tmp_path / "vit_shapes.safetensors")
    assert model.config.pool == "class" and meta["notes"]["variant"].endswith("class token")


def small():
    """A little of the embedded data, one pass of which is done in a moment."""
    found = data.load("shapes")
    cut = lambda split, count: data.Split(split.images[:count], split.labels[:count])
    return data.ImageData(
        **{k: getattr(found, k) for k in ("name", "class_names", "mean", "std", "provenance")},
        train=cut(found.train, 320),
        validation=cut(found.validation, 50),
        test=cut(found.test, 50),
    )
