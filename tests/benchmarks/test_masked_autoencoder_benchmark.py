"""benchmarks/masked_autoencoder.py: fair comparisons, rows made once, a true card."""

import dataclasses
import hashlib

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from script_common import script

from vit_tutorial import VisionTransformer, data, patchify, unpatchify
from vit_tutorial.common.files import read_rows
from vit_tutorial.relatives.masked_autoencoder import MaskedAutoencoder, neighbour_mean


@pytest.fixture(scope="module")
def benchmark():
    return script("benchmarks/masked_autoencoder.py")


@pytest.fixture(scope="module")
def shapes():
    found = data.load("shapes")
    parts = dict(train=found.train[:400], validation=found.validation[:50], test=found.test[:50])
    return dataclasses.replace(found, **parts)


def test_the_variants_differ_from_75_percent_in_one_thing(benchmark):
    for kind in benchmark.MODELS:
        options = benchmark.variants_of(kind)
        usual = options.pop("mask 75 %")
        for name, other in options.items():
            named = name in (benchmark.ALL, benchmark.BLIND, benchmark.UNTRAINED)
            assert sum(other[key] != usual[key] for key in usual) == (0 if named else 1), name


def test_few_labels_are_balanced_and_depend_on_the_seed(benchmark, shapes):
    few = [benchmark.subset(shapes, 50, seed).train for seed in (0, 0, 1)]
    assert all(torch.bincount(part.labels).tolist() == [5] * 10 for part in few)
    assert torch.equal(few[0].images, few[1].images)
    assert not torch.equal(few[0].images, few[2].images)
    assert benchmark.subset(shapes, 400, 0).train is shapes.train


def test_a_probe_reads_features_that_hold_the_class_and_no_others(benchmark, shapes, monkeypatch):
    def known(encoder, split, images):
        noise = torch.randn(len(split), 16, generator=torch.Generator().manual_seed(len(split)))
        return noise if encoder is None else noise + 9 * torch.eye(16)[split.labels]

    monkeypatch.setattr(benchmark, "features", known)
    assert benchmark.probe(True, shapes, 200, 0) == (1, 1)
    assert max(benchmark.probe(None, shapes, 200, 0)) < 0.4


def test_pretraining_leaves_the_labels_alone_and_learns(benchmark, shapes):
    hidden = dataclasses.replace(shapes.train, labels=torch.zeros(400, dtype=torch.int64))
    found = []
    for train in (shapes.train, hidden):
        torch.manual_seed(0)
        model = MaskedAutoencoder(benchmark.config_of(shapes), norm_patches=False)
        before = benchmark.reconstruction(model, shapes)["error"]
        benchmark.pretrain(model, dataclasses.replace(shapes, train=train), epochs=3, seed=0)
        found.append(benchmark.reconstruction(model, shapes)["error"])
    assert found[0] == found[1] < before


def test_a_step_of_the_autoencoder_costs_less_than_one_with_labels(benchmark):
    """Under half on photographs; on shapes, the decoder is half as deep as the encoder."""
    for kind, least, most in (("photographs", 0.3, 0.5), ("shapes", 0.8, 1)):
        config = benchmark.MODELS[kind]
        builds = (MaskedAutoencoder, VisionTransformer)
        both = [benchmark.step_flops(build(config)) for build in builds]
        assert least < both[0] / both[1] < most


@pytest.mark.slow
@pytest.mark.parametrize(("study", "rows"), [("variants", 8), ("labels", 10)])
def test_a_row_is_made_once(benchmark, shapes, tmp_path, monkeypatch, study, rows):
    monkeypatch.setattr(benchmark.sources, "load", lambda *args, **options: shapes)
    monkeypatch.setitem(benchmark.LABELS, "shapes", (50, 400))
    monkeypatch.setattr(benchmark, "PROBE_LABELS", 100)
    words = ["masked_autoencoder.py", "shapes", "--study", study, "--epochs", "1", "--tune", "0.5"]
    words += ["--seeds", "0", "--out", str(tmp_path / "STUDY.csv")]
    monkeypatch.setattr("sys.argv", words)
    benchmark.main()
    found = read_rows(tmp_path / f"{study}.csv")
    assert len(found) == rows and {row["data"] for row in found} == {"shapes"}
    committed = read_rows(data.results_path(f"masked_autoencoder_{study}.csv"))
    assert list(found[0]) == list(committed[0])
    if study == "labels":
        images = {row["variant"]: int(row["images_with_labels"]) for row in found}
        ratio = float(found[0]["flop_ratio"])
        assert images["from scratch"] - images["fine-tuned"] == round(ratio * 400)
        assert images[benchmark.EQUAL_STEPS] == images["fine-tuned"] == 200
        assert images["probe"] == images["probe, random encoder"] == 0
    monkeypatch.setattr(benchmark, "pretrain", None)  # a second call trains nothing
    benchmark.main()
    assert read_rows(tmp_path / f"{study}.csv") == found


def test_shipped_weights_have_a_card_that_says_what_they_are(
    benchmark, shapes, tmp_path, monkeypatch
):
    monkeypatch.setattr(benchmark, "WEIGHTS", tmp_path)
    monkeypatch.setattr(benchmark.sources, "load", lambda *args, **options: shapes)
    words = ["masked_autoencoder.py", "shapes", "--study", "pictures", "--epochs", "0.3"]
    monkeypatch.setattr("sys.argv", [*words, "--seeds", "3"])
    benchmark.main()
    path = tmp_path / "masked_autoencoder_shapes.safetensors"
    model = MaskedAutoencoder(benchmark.config_of(shapes), norm_patches=False)
    model.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    card = path.with_suffix(".md").read_text()
    error = benchmark.reconstruction(model.eval(), shapes)["error"]
    for fact in (f"| validation error | {error} |", "| seed | 3 |", "--study pictures"):
        assert fact in card


def test_the_committed_weights_paint_a_cat_better_than_its_neighbours(benchmark):
    path = data.weights_path("masked_autoencoder_photographs.safetensors")
    card = path.with_suffix(".md").read_text()
    assert hashlib.sha256(path.read_bytes()).hexdigest() in card
    assert path.stat().st_size < 1_500_000 and "--study pictures" in card
    with safe_open(path, "pt") as file:
        header = file.metadata()
        weights = {name: file.get_tensor(name).float() for name in file.keys()}
    assert all(value in card for value in header.values())
    model = MaskedAutoencoder(benchmark.MODELS["photographs"], norm_patches=False).eval()
    model.load_state_dict(weights)
    mean, std = (
        torch.tensor([float(number) for number in header[key].split()]).view(3, 1, 1)
        for key in ("mean", "std")
    )
    cat = patchify(data.photograph("cat", size=224)[None], 32).transpose(0, 1)
    tiles = (unpatchify(cat, 32, 32) - mean) / std  # (49, 3, 32, 32)
    noise = torch.rand(49, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        prediction, target, mask = model.predict(tiles, noise)
    guess = neighbour_mean(target, mask, (8, 8))
    error, lazy = (((x - target)[mask] ** 2).mean() for x in (prediction, guess))
    assert error < 0.75 * lazy
