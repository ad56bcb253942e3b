"""Folders of images: layouts, sizes, modes, and everything that can be wrong with them."""

import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from vit_tutorial.data import folder, load
from vit_tutorial.data.decode import read_image


def draw(path, label, seed=0, size=(32, 32)):
    """A PNG of noise whose red channel tells its label."""
    pixels = np.random.default_rng([label, seed]).integers(
        0, 256, (size[1], size[0], 3), dtype=np.uint8
    )
    pixels[..., 0] = 20 * label
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


def fill(path, classes=("ant", "bee", "cow"), count=20):
    for label, name in enumerate(classes):
        for seed in range(count):
            draw(path / name / f"{seed:03}.png", label, seed + hash_of(path))
    return path


def hash_of(path):  # other pixels in train/ than in test/
    return 1000 if path.name == "test" else 0


def pixels_of(split):
    return {image.tobytes() for image in split.images.numpy()}


def test_train_and_test_folders_come_in_by_value_and_stay_apart(tmp_path):
    fill(tmp_path / "train")
    fill(tmp_path / "test", count=5)
    data = load(tmp_path, seed=3)
    assert data.class_names == ("ant", "bee", "cow") and data.image_size == (32, 32)
    assert [len(s) for s in (data.train, data.validation, data.test)] == [54, 6, 15]
    assert torch.bincount(data.validation.labels).tolist() == [2, 2, 2]
    for split in (data.train, data.validation, data.test):
        assert torch.equal(split.images[:, 0, 0, 0].long(), 20 * split.labels), (
            "labels stay with their images"
        )
    assert torch.equal(
        data.test.images[0], torch.from_numpy(draw(tmp_path / "x.png", 0, 1000)).permute(2, 0, 1)
    ), "pixel by pixel"
    on_disk = {
        draw(tmp_path / "x.png", label, seed).transpose(2, 0, 1).tobytes()
        for label in range(3)
        for seed in range(20)
    }
    assert pixels_of(data.train) | pixels_of(data.validation) == on_disk
    assert (
        not pixels_of(data.validation) & pixels_of(data.train)
        and not pixels_of(data.test) & on_disk
    )


def test_one_folder_is_split_by_class_and_no_seed_trains_on_anothers_test_images(tmp_path):
    fill(tmp_path)
    first, again, other = (load(tmp_path, seed=seed) for seed in (0, 0, 1))
    assert [
        torch.bincount(s.labels).tolist() for s in (first.train, first.validation, first.test)
    ] == [
        [14] * 3,
        [2] * 3,
        [4] * 3,
    ]
    sets = [pixels_of(split) for split in (first.train, first.validation, first.test)]
    assert len(sets[0] | sets[1] | sets[2]) == 60, "all images, none twice"
    for name in ("train", "validation", "test"):
        assert torch.equal(getattr(first, name).images, getattr(again, name).images)
    assert torch.equal(first.test.images, other.test.images)
    assert not torch.equal(first.validation.images, other.validation.images)
    assert first.provenance == again.provenance and str(tmp_path) not in first.provenance


@pytest.mark.parametrize(
    ("size", "shape"), [(None, (32, 32)), (16, (16, 16)), ((24, 40), (24, 40))]
)
def test_any_size_becomes_the_one_that_is_asked_for(size, shape, tmp_path):
    for label, name in enumerate(("ant", "bee")):
        for seed, image_size in enumerate([(1, 1), (300, 20), (20, 300), (32, 32), (7, 5)]):
            draw(tmp_path / name / f"{seed}.png", label, seed, image_size)
    data = load(tmp_path, image_size=size)
    assert (
        data.image_size == shape and len(data.train) + len(data.validation) + len(data.test) == 10
    )


def test_the_middle_is_cut_out_and_proportions_are_kept(tmp_path):
    wide = np.zeros((32, 96, 3), dtype=np.uint8)
    wide[:, 32:64] = np.random.default_rng(0).integers(0, 256, (32, 32, 3))
    Image.fromarray(wide).save(tmp_path / "wide.png")
    assert np.array_equal(read_image(tmp_path / "wide.png", (32, 32)), wide[:, 32:64])


MODES = {
    "grey": (Image.new("L", (8, 8), 100), "png", (100, 100, 100)),
    "black and white": (Image.new("1", (8, 8), 1), "png", (255, 255, 255)),
    "16 bit": (
        Image.fromarray(np.full((8, 8), 200 * 257, dtype=np.uint16)),
        "png",
        (200, 200, 200),
    ),
    "16 bit tiff": (
        Image.fromarray(np.full((8, 8), 200 * 257, dtype=np.uint16)),
        "tiff",
        (200, 200, 200),
    ),
    "32 bit": (
        Image.fromarray(np.full((8, 8), 200 * 257, dtype=np.int32)),
        "tiff",
        (200, 200, 200),
    ),
    "palette": (Image.new("RGB", (8, 8), (10, 200, 30)).quantize(4), "png", (10, 200, 30)),
    "clear": (Image.new("RGBA", (8, 8), (0, 0, 0, 0)), "png", (255, 255, 255)),
    "half clear": (Image.new("RGBA", (8, 8), (255, 0, 0, 128)), "png", (255, 127, 127)),
    "grey, half clear": (Image.new("LA", (8, 8), (0, 128)), "png", (127, 127, 127)),
    "cmyk": (Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "tiff", (255, 0, 0)),
    "gif": (Image.new("RGB", (8, 8), (10, 200, 30)).quantize(4), "gif", (10, 200, 30)),
    "webp": (Image.new("RGB", (8, 8), (10, 200, 30)), "webp", (10, 200, 30)),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_comes_out_as_the_colours_that_one_sees(mode, tmp_path):
    image, kind, colour = MODES[mode]
    options = {"lossless": True} if kind == "webp" else {}
    image.save(tmp_path / f"image.{kind}", **options)
    pixels = read_image(tmp_path / f"image.{kind}", (4, 4))
    assert pixels.shape == (4, 4, 3) and pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - colour).max() <= (1 if "half" in mode else 0)


def test_a_palette_with_a_clear_colour_lies_on_white(tmp_path):
    image = Image.new("P", (8, 8), 0)
    image.putpalette([0, 0, 0, 9, 9, 9])
    image.save(tmp_path / "image.png", transparency=0)
    assert (read_image(tmp_path / "image.png", (4, 4)) == 255).all()


def test_a_photograph_is_turned_upright_as_its_camera_noted(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: the camera was turned, show it turned by 90 degrees clockwise
    Image.fromarray(pixels).save(tmp_path / "photo.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "photo.png", (16, 16)), np.rot90(pixels, -1))


def test_files_that_cannot_be_read_are_named_in_one_warning_and_skipped(tmp_path):
    fill(tmp_path)
    whole = (tmp_path / "ant" / "000.png").read_bytes()
    bad = {
        "cut.png": whole[: len(whole) // 2],
        "empty.jpg": b"",
        "text.png": b"not an image",
        "notes.txt": b"nor this",
    }
    for name, content in bad.items():
        (tmp_path / "bee" / name).write_bytes(content)
    Image.fromarray(np.zeros((8, 8), dtype=np.float32)).save(tmp_path / "bee" / "float.tiff")
    (tmp_path / "bee" / ".hidden").write_bytes(b"")
    (tmp_path / ".cache").mkdir()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = load(tmp_path)
    ours = [str(w.message) for w in caught if "skipped" in str(w.message)]
    assert len(ours) == 1 and ours[0].startswith("5 of 65 files skipped")
    assert all(name in ours[0] for name in (*bad, "float.tiff")) and ".hidden" not in ours[0]
    assert len(data.train) + len(data.validation) + len(data.test) == 60
    for split in (data.train, data.validation, data.test):
        assert torch.equal(split.images[:, 0, 0, 0].long(), 20 * split.labels), (
            "labels stay with their images"
        )


def test_a_hundred_unreadable_files_do_not_fill_the_screen(tmp_path):
    fill(tmp_path)
    for number in range(100):
        (tmp_path / "ant" / f"bad{number}.png").write_bytes(b"")
    with pytest.warns(UserWarning, match=r"100 of 160 files skipped.*and 90 more"):
        load(tmp_path)


def test_folders_inside_a_class_are_read_too(tmp_path):
    fill(tmp_path)
    draw(tmp_path / "ant" / "more" / "deep" / "1.png", 0, 99)
    assert len(load(tmp_path).train) == 43


def make(tmp_path, *paths):
    for path in paths:
        if path.endswith("/"):
            (tmp_path / path).mkdir(parents=True)
        elif path.endswith("bad.png"):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(b"no image")
        else:
            draw(tmp_path / path, 0)


@pytest.mark.filterwarnings("ignore:.*skipped")
@pytest.mark.parametrize(
    ("paths", "words"),
    [
        ([], "two or more folders of images, one for each class, and found none"),
        (["1.png", "2.png"], "one for each class, and found none"),
        (["ant/1.png", "ant/2.png"], "found only 'ant'"),
        (["ant/1.png", "bee/"], "1 of 2 classes empty; .*bee has no files"),
        (["ant/1.png", "bee/bad.png"], "1 of 2 classes empty; .*bee has no image that can be read"),
        (["ant/", "bee/"], "2 of 2 classes empty"),
        (["ant/1.png", "ant/2.png", "bee/1.png"], "class 'bee' has 1 image left"),
        (["train/ant/1.png", "train/bee/1.png"], "has train/ and no test/"),
        (["test/ant/1.png", "test/bee/1.png"], "has test/ and no train/"),
        (
            ["train/ant/1.png", "train/bee/1.png", "test/ant/1.png", "test/cow/1.png"],
            "only in test/: cow; only in train/: bee",
        ),
        (["train/", "test/"], "found none"),
        (
            ["train/ant/1.png", "train/bee/1.png", "test/ant/1.png", "test/bee/"],
            "test: 1 of 2 classes empty",
        ),
    ],
)
def test_a_folder_that_is_no_data_set_is_refused(paths, words, tmp_path):
    make(tmp_path, *paths)
    with pytest.raises(ValueError, match=words):
        load(tmp_path)


@pytest.mark.parametrize("size", [0, -1, 3.5, (32, 0), (32,)])
def test_a_size_that_is_none_is_refused(size, tmp_path):
    with pytest.raises(ValueError, match="image"):
        folder.load(fill(tmp_path), image_size=size)


def test_a_folder_named_like_another_source_is_told_apart(tmp_path):
    assert load(fill(tmp_path / "shapes")).name == "shapes (folder)"
