"""`predict` names what is on pictures; `evaluate` looks at all of a new folder; rectangles."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image

from vit_tutorial import VisionTransformer, ViTConfig, training
from vit_tutorial.cli.main import main
from vit_tutorial.data import folder
from vit_tutorial.inspection.classify import classify, load_classifier
from vit_tutorial.inspection.models import load_by_name

NAMES = ("black", "white")


def draw(path, value, shape=(20, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*shape, 3), value, dtype=np.uint8)).save(path)


@pytest.fixture
def data_folder(tmp_path):
    for label, name in enumerate(NAMES):
        for number in range(10):
            draw(tmp_path / "data" / name / f"{number}.png", 255 * label)
    return tmp_path / "data"


@pytest.fixture
def model_file(data_folder, tmp_path):
    """A model that tells black from white by the brightness, built by hand; images of 8x16."""
    data = folder.load(data_folder, image_size=(8, 16))
    config = ViTConfig(
        image_size=(8, 16),
        patch_size=8,
        num_classes=2,
        dim=8,
        depth=1,
        num_heads=1,
        mlp_dim=8,
        pool="mean",
        position="none",
    )
    model = VisionTransformer(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.patch_embedding.projection.weight[0] = 1.0  # token 0: the sum of the pixels
        model.norm.weight.fill_(1.0)
        model.head.weight[1, 0] = 1.0
        model.head.weight[0, 0] = -1.0
    training.save_model(tmp_path / "model.safetensors", model, data)
    return tmp_path / "model.safetensors"


def test_each_picture_gets_its_class_and_a_row(model_file, tmp_path, capsys):
    draw(tmp_path / "new" / "deep" / "a.png", 255)
    draw(tmp_path / "new" / "b.jpg", 0, (200, 3))
    table = tmp_path / "answers.csv"
    assert main(["predict", str(model_file), str(tmp_path / "new"), "--csv", str(table)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[1].split()[0] for line in lines[:2]] == ["black", "white"]
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["class_1"] for row in rows] == ["black", "white"]
    assert [row["class_2"] for row in rows] == ["white", "black"] and rows[0]["class_3"] == ""
    total = float(rows[0]["probability_1"]) + float(rows[0]["probability_2"])
    assert total == pytest.approx(1, abs=1e-5) and float(rows[0]["probability_1"]) > 0.9


def test_a_broken_picture_is_named_and_the_others_are_answered(model_file, tmp_path, capsys):
    draw(tmp_path / "new" / "a.png", 255)
    (tmp_path / "new" / "b.png").write_bytes(b"no picture")
    assert main(["predict", str(model_file), str(tmp_path / "new")]) == 2
    said = capsys.readouterr()
    assert "a.png: white" in said.out and "b.png cannot be read" in said.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{model}", "nowhere.png"], "there is no picture or folder at nowhere.png"),
        (["{model}", "{empty}"], "no files found"),
        (["{model}", "{empty}", "--top", "0"], "top"),
        (["no_model.safetensors", "{picture}"], "no model file"),
        (["timm:vit_tinny_patch16_224", "{picture}"], "did you mean"),
    ],
)
def test_what_cannot_be_done_is_said(arguments, words, model_file, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    draw(tmp_path / "picture.png", 9)
    names = dict(model=model_file, empty=tmp_path / "empty", picture=tmp_path / "picture.png")
    assert main(["predict", *(argument.format(**names) for argument in arguments)]) == 2
    assert words in capsys.readouterr().err


def test_a_model_file_without_class_names_is_refused(tmp_path):
    config = ViTConfig(image_size=8, patch_size=8, dim=8, depth=1, num_heads=1, mlp_dim=8)
    training.save_model(tmp_path / "m.safetensors", VisionTransformer(config))
    with pytest.raises(ValueError, match="no class names.*save_model"):
        load_classifier(tmp_path / "m.safetensors")


def test_damaged_weights_are_an_error_and_no_answer(model_file, tmp_path):
    classifier = load_classifier(model_file)
    torch.nn.init.constant_(classifier.model.head.bias, float("nan"))
    draw(tmp_path / "a.png", 9)
    with pytest.raises(FloatingPointError, match="not numbers"):
        list(classify(classifier, [tmp_path / "a.png"]))


def test_models_of_other_libraries_say_imagenet_classes(tmp_path):
    pytest.importorskip("timm")
    draw(tmp_path / "a.png", 120)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        small = load_classifier("timm:vit_tiny_patch16_224", pretrained=False)
    assert len(small.class_names) == 1000 and small.class_names[0].startswith("tench")
    image = small.read(tmp_path / "a.png")
    assert image.shape == (3, 224, 224)
    assert image.mean().item() == pytest.approx((120 / 255 - 0.5) / 0.5, abs=1e-3)
    (found,) = classify(small, [tmp_path / "a.png"], top=5)
    assert len(found.classes) == 5 and found.classes[0][1] >= found.classes[4][1] > 0


def test_torchvision_gives_its_categories_and_its_own_cut(tmp_path):
    draw(tmp_path / "a.png", 120)
    vit = load_classifier("torchvision:vit_b_32", pretrained=False)
    assert vit.class_names[0] == "tench" and vit.read(tmp_path / "a.png").shape == (3, 224, 224)
    with pytest.raises(ValueError, match="does not classify"):
        load_classifier("torchvision:raft_small", pretrained=False)


def test_evaluate_looks_at_all_of_a_new_folder(model_file, data_folder, tmp_path, capsys):
    for number in range(7):
        draw(tmp_path / "new" / "white" / f"{number}.png", 255 if number else 0)
    assert main(["evaluate", str(model_file), "--data", str(tmp_path / "new")]) == 0
    said = capsys.readouterr().out
    assert "test 85.71%" in said and "7 images, all of folder new" in said
    # In the folder of its training, only the images that were set aside are new to it.
    assert main(["evaluate", str(model_file), "--data", str(data_folder)]) == 0
    assert "(4 images" in capsys.readouterr().out


def test_sizes_with_two_sides_from_training_to_prediction(data_folder, tmp_path, capsys):
    run = tmp_path / "run"
    arguments = ["--image-size", "8x16", "--model", "CIFAR-96x1/4", "--epochs", "1", "--quiet"]
    arguments += ["--batch-size", "4", "--device", "cpu", "--out", str(run)]
    assert main(["train", "--data", str(data_folder), *arguments]) == 0
    assert main(["evaluate", str(run), "--data", str(data_folder)]) == 0
    assert main(["predict", str(run), str(data_folder)]) == 0
    draw(tmp_path / "photo.png", 40)
    photo = str(tmp_path / "photo.png")
    picture = ["--out", str(tmp_path / "patches.png"), "--patch-size", "8"]
    assert main(["show-patches", photo, "--image-size", "16x32", *picture]) == 0
    assert "8 patches of 8x8" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["show-patches", photo, "--image-size", "16by32"])
    assert "'16by32' is not a size" in capsys.readouterr().err


def test_show_patches_reads_pictures_as_training_does(tmp_path, capsys):
    """A 16-bit grey picture is grey, not white; a broken one is named."""
    Image.fromarray(np.full((32, 32), 257 * 100, dtype=np.uint16)).save(tmp_path / "grey.png")
    out = ["--out", str(tmp_path / "patches.png")]
    assert main(["show-patches", str(tmp_path / "grey.png"), *out]) == 0
    drawn = np.asarray(Image.open(tmp_path / "patches.png").convert("RGB")).reshape(-1, 3)
    assert (drawn == 100).all(1).mean() > 0.05
    (tmp_path / "broken.png").write_bytes((tmp_path / "grey.png").read_bytes()[:60])
    assert main(["show-patches", str(tmp_path / "broken.png"), *out]) == 2
    assert "broken.png cannot be read as an image" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["predict", "vit_tiny_patch16_224", "{d}"], "did you mean timm:vit_tiny_patch16_224?"),
        (["predict", "timmm:vit_tiny_patch16_224", "{d}"], "did you mean timm:vit_tiny"),
        (["predict", "hf_hub:timm/a", "{d}"], "timm loads it as timm:hf_hub:timm/a"),
        (["evaluate", "timm:vit_tiny_patch16_224"], "takes models that were trained here"),
        (["predict", "{d}/photo.png", "weights:shapes"], "the model comes first"),
        (["predict", "weights:shapes", "{d}", "--csv", "{d}"], "Is a directory"),
        (["train", "--data", "CIFAR10X"], "did you mean 'cifar10'?"),
        (["train", "--resume", "{d}/run/model.safetensors"], "did you mean --resume {d}/run?"),
    ],
)
def test_what_was_meant_is_said(argv, words, tmp_path, capsys):
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.png")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    assert main([word.format(d=tmp_path) for word in argv]) == 2
    assert words.format(d=tmp_path) in capsys.readouterr().err


def test_a_model_of_a_folder_is_not_measured_on_other_images_by_default(model_file, capsys):
    assert main(["evaluate", str(model_file), "--device", "cpu"]) == 2
    said = capsys.readouterr().err
    assert "trained on the classes black, white" in said and "--data" in said
    assert "image_size" not in said


def test_untrained_models_of_torchvision_download_nothing(monkeypatch):
    asked = []
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *a, **k: asked.append(a))
    monkeypatch.setattr(
        "torchvision.models._api.load_state_dict_from_url", lambda *a, **k: asked.append(a)
    )
    load_by_name("torchvision:lraspp_mobilenet_v3_large", pretrained=False)
    assert not asked
