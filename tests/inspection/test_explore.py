"""What the explore notebook shows is what the models did; bad pictures and models are refused."""

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from vit_tutorial import VisionTransformer, ViTConfig
from vit_tutorial.inspection import attention_maps, explore, plots, widgets_explore
from vit_tutorial.inspection.analysis import cosine_similarity
from vit_tutorial.inspection.classify import load_classifier
from vit_tutorial.inspection.recording import record
from vit_tutorial.training import save_model

SHAPES, CIFAR = "weights:vit_shapes", "weights:vit_cifar10_start_0.02"


def png(pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def empty_png(width: int, height: int) -> bytes:
    """The head of a PNG that promises so many pixels, as a picture bomb does."""
    chunk = lambda kind, data: (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    )
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def shapes():
    return explore.Explorer(SHAPES, explore.example("cross, lower"))


def test_sides_hold_what_the_models_did(shapes):
    classifier = load_classifier(SHAPES)
    image = classifier.read(io.BytesIO(shapes.picture))[None]
    side, weights = shapes.sides["trained"], record(classifier.model, image).weights
    torch.testing.assert_close(side.weights, torch.stack(list(weights.values()))[:, 0])
    with torch.no_grad():
        shares = classifier.model(image).softmax(1)[0]
    assert side.classes[0][0] == "cross, lower" and len(side.classes) == 5
    assert side.classes[0][1] == pytest.approx(float(shares.max()), rel=1e-5)
    maps = side.maps(layer=1, head=2, patch=10, by_patch=False)
    expected = side.weights[1, 2, 0, 1:].view(8, 8)
    torch.testing.assert_close(maps["attention"], expected)
    by_patch = side.maps(layer=0, head=None, patch=10, by_patch=True)
    torch.testing.assert_close(by_patch["attention"], side.weights[0].mean(0)[11, 1:].view(8, 8))
    flow = attention_maps.rollout(weights)[0]
    torch.testing.assert_close(maps["rollout"], flow[0, 1:].view(8, 8))
    table = classifier.model.position.table[0, 1:]
    expected = cosine_similarity(table)[10].view(8, 8)
    torch.testing.assert_close(by_patch["positions"], expected)
    assert shapes.pixels.shape == (3, 32, 32) and 0 <= shapes.pixels.min()


def test_the_other_side_is_the_random_start_of_the_same_model(shapes):
    trained, random = (shapes.models[kind].model for kind in explore.KINDS)
    assert trained.config == random.config
    assert not torch.equal(trained.head.weight, random.head.weight)
    assert max(share for _, share in shapes.sides["random"].classes) < 0.5


def test_without_a_class_token_all_patches_read():
    side = explore.Explorer(CIFAR).sides["trained"]
    maps = side.maps(layer=3, head=None, patch=0, by_patch=False)
    torch.testing.assert_close(
        maps["attention"], side.weights[3].mean(0).mean(dim=0).view(8, 8), rtol=1e-4, atol=1e-6
    )


def test_the_patches_can_be_coarser_and_finer():
    explorer = explore.Explorer(SHAPES)
    assert explorer.scales() == [(16, 16), (32, 32), (64, 64)]
    explorer.scale((64, 64))
    assert explorer.layout.grid == (16, 16) and explorer.pixels.shape == (3, 64, 64)
    assert explorer.sides["random"].cosines.shape == (256, 256)
    explorer.show(explore.example("horse"))  # another picture, the same patches
    assert explorer.layout.grid == (16, 16)
    explorer.scale((32, 32))
    assert explorer.layout.grid == (8, 8)


def test_a_model_of_ones_own_by_its_folder(tmp_path):
    model = VisionTransformer(
        ViTConfig(image_size=16, dim=16, depth=2, num_heads=2, position="rotary", num_classes=2)
    )
    described = type("Data", (), dict(name="mine", class_names=("a", "b"), provenance="here"))
    described.mean, described.std, described.fingerprint = (0.5,) * 3, (0.5,) * 3, "0"
    save_model(tmp_path / "runs" / "first" / "model.safetensors", model, described)
    known = explore.known_models(tmp_path / "runs")
    assert known["your run first"] == str(tmp_path / "runs" / "first")
    explorer = explore.Explorer(known["your run first"])
    assert explorer.sides["trained"].cosines is None  # rotary: no table
    assert explorer.scales() == []
    assert "positions" not in explorer.sides["trained"].maps(0, None, 3, True)
    plots.explore_strip(explorer)  # says so in place of the map


@pytest.mark.parametrize(
    "content, message",
    [
        (b"no picture", "cannot be read"),
        (b"", "cannot be read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "cannot be read"),  # a program
        (b"x" * 8_000_001, r"8.0 MB, 8 MB is the most"),
        (empty_png(10_000, 5_001), "10000 x 5001 pixels, 50 million"),
        (empty_png(60_000, 60_000), "too many pixels"),
        (empty_png(20, 20), "cannot be read"),  # its pixels are missing
        (png(np.zeros((300, 300, 3), dtype=np.uint8))[:90], "cannot be read"),
    ],
    ids=["text", "empty", "eps", "large file", "many pixels", "bomb", "no pixels", "cut short"],
)
def test_what_is_no_picture_or_too_large_is_refused_and_the_old_one_stays(shapes, content, message):
    before, sides = shapes.picture, shapes.sides
    with pytest.raises(ValueError, match=message):
        shapes.show(content)
    assert shapes.picture is before and shapes.sides is sides


def test_every_example_is_a_picture():
    for name in explore.EXAMPLES:
        explore.check_picture(explore.example(name))


def test_the_strip_shows_the_same_numbers(shapes):
    figure = plots.explore_strip(shapes, layer=0, head=1, patch=9)
    assert "layer 0, head 1, read by the class token" in figure.get_suptitle()
    maps = shapes.sides["random"].maps(0, 1, 9, False)
    panels = figure.axes[6:9]
    for axes, values in zip(panels, maps.values()):
        np.testing.assert_allclose(axes.get_images()[0].get_array(), values.numpy(), rtol=1e-5)


@pytest.fixture(scope="module")
def widget():
    return widgets_explore.explore(runs="no such folder")


def decoded(picture) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture.value)).convert("RGB"))


def test_the_widgets_show_the_explorers_maps(widget):
    widget.model.value = CIFAR
    widget.layer.value, widget.head.value = 2, 1
    widget.click(3, 4)
    assert widget.patch == 28
    shown = decoded(widget.pictures["trained"]["attention"])
    values = widget.explorer.sides["trained"].maps(2, 1, 28, False)["attention"]
    step = widgets_explore.SIDE / 8
    centres = [int((n + 0.5) * step) for n in range(8)]
    drawn = shown[np.ix_(centres, centres)]
    brightest = np.unravel_index(int(values.argmax()), (8, 8))
    assert tuple(drawn[brightest]) == (253, 231, 36)  # the top of viridis
    assert f"largest {float(values.max()):.3f}" in widget.captions["trained"]["attention"].value
    framed = decoded(widget.seen)[int(3 * step) + 1, int(4.5 * step)]
    assert tuple(framed) == (86, 180, 233)  # the frame of the patch in row 3, column 4
    assert [b.description for b in widget.cells.children].index("●") == 28


def test_click_and_sliders_choose_the_same_patch(widget):
    widget.cells.children[17].click()
    assert (widget.row.value, widget.column.value, widget.patch) == (2, 1, 17)


def test_another_model_brings_its_own_ranges(widget):
    widget.model.value = CIFAR
    assert (widget.layer.max, widget.reader.options[0]) == (3, "all patches")
    widget.model.value = SHAPES
    assert (widget.layer.max, widget.reader.options[0]) == (1, "class token")
    widget.scale.value = (16, 16)
    assert (widget.row.max, len(widget.cells.children)) == (3, 16)
    widget.reader.value = "the patch"
    assert f"patch {widget.patch} reads" in widget.summary.value
    widget.scale.value = (32, 32)
    assert len(widget.cells.children) == 64


def test_errors_are_said_and_nothing_is_lost(widget, tmp_path):
    before = widget.explorer.sides
    widget.own.value = str(tmp_path / "<b>nowhere</b>")
    assert "no model file" in widget.message.value and "<b>nowhere" not in widget.message.value
    assert widget.explorer.sides is before
    widget._uploaded(({"name": "x.png", "content": memoryview(b"no picture")},))
    assert "cannot be read" in widget.message.value
    widget.model.value = CIFAR if widget.explorer.name == SHAPES else SHAPES
    assert widget.message.value == "" and widget.explorer.sides is not before


def test_a_control_that_no_longer_names_what_is_shown_is_emptied(widget):
    widget.model.value = CIFAR
    content = explore.example("rocket")
    widget._uploaded(({"name": "x.png", "content": memoryview(content)},))
    assert widget.photo.value is None and widget.explorer.picture == content
    widget.photo.value = "cat"  # which was there before the upload
    assert widget.explorer.picture != content
    widget.own.value = SHAPES
    assert widget.model.value is None and widget.explorer.name == SHAPES
    widget.model.value = CIFAR
    assert widget.own.value == "" and widget.explorer.name == CIFAR


def test_an_upload_of_ipywidgets_7_and_of_8():
    content = explore.example("coffee")
    of_8 = ({"name": "a.png", "size": 5, "content": memoryview(content)},)
    of_7 = {"a.png": {"metadata": {"name": "a.png"}, "content": content}}
    assert widgets_explore.uploaded(of_8) == widgets_explore.uploaded(of_7) == content
    assert widgets_explore.uploaded(()) is None and widgets_explore.uploaded({}) is None


def test_what_a_page_without_widgets_shows(widget):
    assert repr(widget).startswith("the explore widget: run this cell")
