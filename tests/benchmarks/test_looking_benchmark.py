"""The study of lesson 07: images with two shapes, maps without a model, cosines; a small run."""

import csv

import pytest
import torch
from script_common import script

from vit_tutorial import VisionTransformer, ViTConfig, data, training
from vit_tutorial.inspection import map_scores


@pytest.fixture(scope="module")
def looking():
    return script("benchmarks/looking.py")


@pytest.fixture(scope="module")
def shapes():
    return data.load("shapes")


def test_two_shapes_differ_and_each_half_is_a_training_image(looking, shapes):
    split = shapes.test[torch.arange(400)]
    images, classes = looking.two_shapes(split, shapes)
    assert len(images) == 200
    upper, lower = classes.unbind(1)
    assert (upper % 2 == 0).all() and (lower % 2 == 1).all()
    assert (upper // 2 != lower // 2).all()
    found = looking.contrast(shapes.normalise(images)).unflatten(1, (2, 4)).sum(dim=(2, 3))
    ratio = found[:, 0] / found[:, 1]
    assert 0.9 < ratio.quantile(0.1) < ratio.quantile(0.9) < 1.1  # neither of the two stands out
    for image, up, low in zip(images[:20], upper, lower):
        halves = (split.images[:, :, :16] == image[:, :16]).flatten(1).all(1)
        assert split.labels[halves].tolist() == [up]
        halves = (split.images[:, :, 16:] == image[:, 16:]).flatten(1).all(1)
        assert split.labels[halves].tolist() == [low]


def test_a_map_is_asked_for_the_half_of_the_named_shape(looking):
    lower = torch.tensor([False, True, True])
    maps = torch.zeros(3, 8, 8)
    maps[0, 2, 3] = maps[1, 7, 0] = maps[2, 4, 4] = 1  # above, below, below
    assert looking.on_named(maps, lower) == 1
    assert looking.on_named(maps, ~lower) == 0
    assert looking.on_named(torch.ones(3, 8, 8), lower) == 0.5
    assert looking.on_named(-maps, lower) == 0.5  # nothing above 0
    maps[1] = -1  # values below 0 are no evidence for either half
    assert looking.on_named(maps, lower) == pytest.approx(2.5 / 3)


def test_only_images_whose_answer_is_one_of_the_two_are_kept(looking, shapes):
    calls = []

    def vit(images):  # names class 0, "disc, upper", whatever it sees
        calls.append(len(images))
        return torch.eye(10)[torch.zeros(len(images), dtype=torch.long)]

    images, answers, lower = looking.named_shape(vit, shapes, 100)
    assert calls == [50]
    assert len(images) == len(answers) == 10  # every fifth upper shape is a disc
    assert (answers == 0).all() and not lower.any()


def test_contrast_finds_the_shape_without_a_model(looking, shapes):
    split = shapes.test[torch.arange(50)]
    images = shapes.normalise(split.images)
    maps = looking.maps_without_model(images, torch.Generator().manual_seed(0))
    inside = map_scores.patches_inside(split.masks, 4)
    assert looking.scores(maps["contrast"], inside)["auc"] > 0.98
    assert looking.scores(maps["random order"], inside)["auc"] == pytest.approx(0.5, abs=0.05)


def test_cosines_of_classes_by_hand(looking):
    x = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
    found = looking.class_cosines(x, torch.tensor([0, 0, 1, 1]))
    assert found == {"within": pytest.approx(1), "between": pytest.approx(0)}


def test_the_class_of_an_image_enters_with_the_patches_and_not_with_the_class_token(
    looking, shapes
):
    torch.manual_seed(0)
    rows = looking.layers(VisionTransformer(ViTConfig(**looking.SIZE)).eval(), shapes, "before")
    assert len(rows) == 2 * 5
    first = rows[0]
    assert (first["block"], first["read"]) == (0, "class token")
    assert first["within"] == first["between"] == pytest.approx(1)  # one vector for all images
    assert first["neighbour"] == first["lens"] == pytest.approx(0.1)


@pytest.mark.slow
def test_a_small_run_writes_three_tables_and_the_weights(looking, tmp_path, monkeypatch):
    argv = ["looking.py", "--seeds", "0", "--epochs", "0.05", "--images", "10"]
    argv += ["--out", str(tmp_path), "--weights", str(tmp_path)]
    monkeypatch.setattr("sys.argv", argv)
    looking.main()
    count = {}
    for name in ("maps", "deletion", "layers"):
        with open(tmp_path / f"looking_{name}.csv", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert {row["seed"] for row in rows} == {"0"}
        assert {row["pool"] for row in rows} == (
            {"class", "mean"} if name == "layers" else {"class"}
        )
        assert rows[0]["command"].startswith("python benchmarks/looking.py --seeds 0 --epochs 0.05")
        count[name] = len(rows)
    assert count == dict(maps=2 * 6 + 3, deletion=2 * (6 + 3) + 6, layers=2 * (2 * 5 + 5))
    model, header = training.load_model(tmp_path / f"{looking.NAME}.safetensors")
    assert model.config.depth == 4 and header["data"]["class_names"][0] == "disc, upper"
