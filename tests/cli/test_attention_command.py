"""`attention` draws the weights that the model used, and says what it shows."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from vit_tutorial import VisionTransformer, ViTConfig, data
from vit_tutorial.cli.main import main
from vit_tutorial.inspection import attention_maps, plots
from vit_tutorial.inspection.classify import load_classifier
from vit_tutorial.inspection.looking import look
from vit_tutorial.inspection.models import load_by_name, load_pretrained, random_start
from vit_tutorial.inspection.recording import record

SHAPES = "weights:vit_shapes"  # a class token, 2 layers of 3 heads
CIFAR = "weights:vit_cifar10_start_0.02"  # the mean of patches, 4 layers


@pytest.fixture
def cat(tmp_path):
    pixels = (data.photograph("cat", 64) * 255).byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(tmp_path / "cat.png")
    return tmp_path / "cat.png"


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved, without drawing them."""
    figures = []
    monkeypatch.setattr(plots, "save", lambda figure, path: figures.append(figure))
    return figures


def maps_of(figure):
    """What the panels after the picture show: title -> array."""
    return {axes.get_title(): axes.get_images()[0].get_array() for axes in figure.axes[1:]}


def test_the_picture_is_written_and_the_answer_is_printed(cat, tmp_path, capsys):
    out = tmp_path / "a.png"
    assert main(["attention", SHAPES, str(cat), "--out", str(out), "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert f"{cat}: square, lower" in said and "layer 1, mean of heads: most at row" in said
    assert "of 8x8" in said and f"picture: {out}" in said and "no class token" not in said
    with Image.open(out) as picture:
        assert picture.format == "PNG" and len(picture.convert("RGB").getcolors(1 << 20)) > 50


def test_each_map_is_the_row_of_the_class_token(cat, drawn):
    main(["attention", SHAPES, str(cat), "--device", "cpu"])
    main(["attention", SHAPES, str(cat), "--device", "cpu", "--layer", "-1"])
    main(["attention", SHAPES, str(cat), "--device", "cpu", "--layer", "0", "--head", "2"])
    classifier = load_classifier(SHAPES)
    weights = list(record(classifier.model, classifier.read(cat)[None]).weights.values())
    layers, heads, one = map(maps_of, drawn)
    assert list(layers) == ["layer 0, mean of heads", "layer 1, mean of heads"]
    assert list(heads) == ["layer 1, mean of heads", *(f"layer 1, head {h}" for h in range(3))]
    assert list(one) == ["layer 0, head 2"]
    for shown, expected in (
        (layers["layer 0, mean of heads"], weights[0][0].mean(0)),
        (heads["layer 1, head 1"], weights[1][0, 1]),
        (one["layer 0, head 2"], weights[0][0, 2]),
    ):
        np.testing.assert_allclose(shown, expected[0, 1:].view(8, 8), rtol=1e-5)
    shown = drawn[0].axes[0].get_images()[0].get_array()  # normalised for the model, not for us
    with Image.open(cat) as picture:
        small = np.asarray(picture.resize((32, 32), Image.Resampling.LANCZOS)) / 255
    np.testing.assert_allclose(shown, small, atol=1e-3)


def test_without_a_class_token_all_patches_read_and_it_is_said(cat, drawn, capsys):
    assert main(["attention", CIFAR, str(cat), "--layer", "3", "--device", "cpu"]) == 0
    assert "no class token" in capsys.readouterr().out
    classifier = load_classifier(CIFAR)
    *_, last = record(classifier.model, classifier.read(cat)[None]).weights.values()
    shown = maps_of(drawn[0])["layer 3, mean of heads"]
    np.testing.assert_allclose(shown, last[0].mean(dim=(0, 1)).view(8, 8), rtol=1e-5)
    assert "all patches" in drawn[0].get_suptitle()


def test_rollout_and_gradient(cat, drawn):
    for more in (["rollout"], ["rollout", "--layer", "0"], ["gradient"]):
        assert main(["attention", SHAPES, str(cat), "--device", "cpu", "--method", *more]) == 0
    classifier = load_classifier(SHAPES)
    image = classifier.read(cat)[None]
    weights = list(record(classifier.model, image).weights.values())
    for figure, label, expected in (
        (drawn[0], "rollout, layers 0 to 1", attention_maps.rollout(weights)),
        (drawn[1], "rollout, layers 0 to 0", attention_maps.rollout(weights[:1])),
        (drawn[2], "gradient", attention_maps.gradient_attention(classifier.model, image)[0]),
    ):
        np.testing.assert_allclose(maps_of(figure)[label], expected[0, 0, 1:].view(8, 8), rtol=1e-4)


def test_several_pictures_are_columns_and_a_broken_one_is_named(cat, tmp_path, drawn, capsys):
    other = tmp_path / "other.png"
    other.write_bytes(cat.read_bytes())
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    assert main(["attention", SHAPES, str(tmp_path), "--device", "cpu"]) == 2
    said = capsys.readouterr()
    assert "broken.jpg cannot be read" in said.err and said.out.count("square, lower") == 2
    assert len(drawn[0].axes) == 3 * 2  # the pictures and two layers
    assert main(["attention", SHAPES, str(tmp_path / "broken.jpg")]) == 2
    assert "none of the pictures" in capsys.readouterr().err


def test_a_name_with_a_line_break_stays_on_one_line(cat, tmp_path, drawn, capsys):
    shutil.copy(cat, tmp_path / "a\nb.png")
    (tmp_path / "c\nd.png").write_bytes(b"no picture")
    files = [str(tmp_path / name) for name in ("a\nb.png", "c\nd.png")]
    assert main(["attention", SHAPES, *files, "--device", "cpu"]) == 2
    said = capsys.readouterr()
    assert r"a\nb.png: " in said.out and r"c\nd.png cannot be read" in said.err


@pytest.mark.parametrize(
    "more, message",
    [
        (["--layer", "2"], "no layer 2: this model has 2, 0 to 1"),
        (["--head", "3"], "no head 3: this model has 3 heads, 0 to 2"),
        (["--head", "0", "--method", "rollout"], "rollout joins all heads"),
        (["--layer", "0", "--method", "gradient"], "gradient goes through all layers"),
    ],
)
def test_a_layer_or_head_that_is_not_there(cat, more, message, capsys):
    assert main(["attention", SHAPES, str(cat), "--device", "cpu", *more]) == 2
    assert message in capsys.readouterr().err


def test_too_many_pictures(cat, tmp_path, capsys):
    for number in range(8):
        (tmp_path / f"{number}.png").write_bytes(cat.read_bytes())
    assert main(["attention", SHAPES, str(tmp_path)]) == 2
    assert "9 pictures: at most 8" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["torchvision:resnet18", "timm:swin_tiny_patch4_window7_224"])
def test_a_model_without_attention_of_all_tokens_says_so(cat, name, capsys):
    pytest.importorskip("timm")
    assert main(["attention", name, str(cat), "--untrained", "--layer", "1"]) == 2
    said = capsys.readouterr().err
    assert "no attention" in said and ("ResNet" in said or "WindowAttention" in said)


@pytest.mark.slow
def test_models_of_timm_and_torchvision(cat, tmp_path, capsys):
    pytest.importorskip("timm")
    for name in ("timm:deit_tiny_distilled_patch16_224", "torchvision:vit_b_32"):
        args = ["attention", name, str(cat), "--untrained", "--out", str(tmp_path / "a.png")]
        assert main(args) == 0
        assert "layer 11, mean of heads" in capsys.readouterr().out


def test_shipped_weights_by_name():
    model = load_by_name("weights:vit_shapes")
    same = load_by_name("weights:vit_shapes.safetensors")
    assert torch.equal(model.head.weight, same.head.weight)
    assert load_pretrained("weights:vit_shapes").model.config == model.config
    with pytest.raises(FileNotFoundError, match="vit_shapes.safetensors"):
        load_by_name("weights:vit_shape")


def test_untrained_is_the_random_start_of_our_own_models_too():
    random, trained = load_by_name(SHAPES, pretrained=False), load_by_name(SHAPES)
    assert random.config == trained.config and not random.training
    assert not torch.equal(random.head.weight, trained.head.weight)
    again = load_classifier(SHAPES, pretrained=False).model
    assert torch.equal(random.head.weight, again.head.weight)
    before = torch.random.get_rng_state()
    other = random_start(trained, seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not torch.equal(random.head.weight, other.head.weight)


def test_a_classifier_shows_pixels_again(cat):
    classifier = load_classifier(SHAPES)
    seen = classifier.pixels(classifier.read(cat))
    assert seen.shape == (3, 32, 32) and 0 <= seen.min() and seen.max() <= 1
    assert (classifier.read(cat) - seen).abs().max() > 0.5  # it was normalised


def test_look_works_on_any_model_and_size():
    model = VisionTransformer(ViTConfig(image_size=(16, 32), dim=32, depth=2, num_heads=2)).eval()
    seen = look(model, torch.randn(3, 3, 16, 32), "gradient")
    assert seen.maps["gradient"].shape == (3, 4, 8) and seen.reader == "the class token"
