"""What a folder means: splits under the names that people give them, links, leftovers."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from vit_tutorial import VisionTransformer, ViTConfig, training
from vit_tutorial.data import folder, layout
from vit_tutorial.data.decode import open_upright, read_image


def draw(path, value, count=5):
    path.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        pixels = np.full((8, 8, 3), value + number, dtype=np.uint8)
        Image.fromarray(pixels).save(path / f"{number}.png")


def fill(root, *splits, classes=("cat", "dog"), count=5):
    for first, split in enumerate(splits):
        for second, name in enumerate(classes):
            draw(root / split / name, 100 * first + 50 * second, count)
    return root


def values(split) -> list[int]:
    """The grey value of each image, which tells where `fill` drew it."""
    return sorted(split.images[:, 0, 0, 0].tolist())


@pytest.mark.parametrize(
    ("train", "test"),
    [
        *[
            ("train", "test"),
            ("Training", "Testing"),
            ("TRAIN", "Test"),
            ("training_set", "test_set"),
        ],
        # alone they could be classes; together they differ in the name of the split only
        *[
            ("train_images", "test_images"),
            ("seg_train", "seg_test"),
            ("TrainImages", "TestImages"),
        ],
        *[("pets-training", "pets-test"), ("train2017", "test2017"), ("01 Train", "01 Test")],
    ],
)
def test_splits_are_known_by_their_usual_names(train, test, tmp_path):
    data = folder.load(fill(tmp_path, train, test))
    assert data.class_names == ("cat", "dog")
    assert values(data.test) == [*range(100, 105), *range(150, 155)]
    assert len(data.train) + len(data.validation) == 10


def test_one_name_with_a_split_in_it_is_a_class(tmp_path, recwarn):
    names = ("high_speed_train", "crash test", "tramway", "valid ticket")
    found = folder.load(fill(tmp_path, ".", classes=names))
    assert found.class_names == tuple(sorted(names))
    assert not recwarn.list


@pytest.mark.parametrize("inner", ["{}", "images", "Data"])
def test_a_folder_that_only_wraps_the_classes_of_a_split_is_entered(inner, tmp_path):
    for split, value in (("train", 0), ("test", 100)):
        root = tmp_path / split / inner.format(split)
        draw(root / "cat", value)
        draw(root / "dog", value + 50)
    data = folder.load(tmp_path)
    assert data.class_names == ("cat", "dog")
    assert values(data.test) == [*range(100, 105), *range(150, 155)]


def test_a_class_is_no_wrapper(tmp_path):
    for split in ("train", "test"):
        fill(tmp_path / split, "cat", classes=("front", "back"))
    with pytest.raises(ValueError, match=r"found only 'cat'"):
        folder.load(tmp_path)


@pytest.mark.parametrize("splits", [("train", "test"), ("Training", "val", "test")])
def test_splits_inside_the_classes_are_refused(splits, tmp_path):
    fill(tmp_path, "cat", "dog", classes=splits)
    with pytest.raises(
        ValueError, match=f"each of cat, dog has {splits[0]}/ .*move cat/{splits[0]}"
    ):
        folder.load(tmp_path)


def test_classes_that_read_as_one_are_reported(tmp_path):
    fill(tmp_path, ".", classes=("Cat", "cat", "dog"))
    with pytest.warns(UserWarning, match="Cat and cat .*differ in upper and lower case only"):
        folder.load(tmp_path)


def test_two_forms_of_unicode_are_reported_within_a_split_and_between_two(tmp_path):
    one, two = "Caf\u00e9", "Cafe\u0301"
    fill(tmp_path / "a", ".", classes=(one, two))
    with pytest.warns(UserWarning, match="differ only in spaces or in how Unicode"):
        folder.load(tmp_path / "a")
    fill(tmp_path / "b", "train", classes=(one, "tea"))
    fill(tmp_path / "b", "test", classes=(two, "tea"))
    with pytest.raises(ValueError, match="how Unicode writes the same letters: rename one"):
        folder.load(tmp_path / "b")


@pytest.mark.parametrize("name", ["val", "valid", "Validation", "dev", "eval"])
def test_a_validation_folder_is_the_validation_split(name, tmp_path):
    data = folder.load(fill(tmp_path, "train", name, "test"))
    assert values(data.validation) == [*range(100, 105), *range(150, 155)]
    assert len(data.train) == 10 and values(data.test)[0] == 200 and "(its own)" in data.provenance


def test_train_and_val_alone_take_the_test_images_from_train(tmp_path):
    data = folder.load(fill(tmp_path, "train", "val"))
    assert values(data.validation)[0] == 100 and len(data.validation) == 10
    assert len(data.test) == 2 and max(values(data.test)) < 100 and len(data.train) == 8
    assert "20% of each class for testing" in data.provenance


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("Training", "cat"), "no test/.*taken for splits"),
        (("test", "val"), "no train/"),
        (("train", "training", "test"), "train/ and training/ both look like the images for train"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(names, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        folder.load(fill(tmp_path, *names))


def test_a_folder_beside_the_splits_is_named(tmp_path):
    fill(tmp_path, "train", "test", "raw")
    with pytest.warns(UserWarning, match="not used: raw/"):
        folder.load(tmp_path)


def test_leftovers_of_other_programs_are_no_classes(tmp_path):
    fill(tmp_path, ".")
    for name in ("__MACOSX", "@eaDir", "$RECYCLE.BIN"):
        draw(tmp_path / name, 0)
    draw(tmp_path / "cat" / "@eaDir", 0)
    (tmp_path / "cat" / "Thumbs.db").write_bytes(b"x")
    data = folder.load(tmp_path)
    assert data.class_names == ("cat", "dog")
    assert len(data.train) + len(data.validation) + len(data.test) == 10


def test_a_link_into_its_own_folder_brings_each_file_once(tmp_path):
    fill(tmp_path, ".")
    (tmp_path / "cat" / "loop").symlink_to(tmp_path / "cat")
    (tmp_path / "dog" / "up").symlink_to(tmp_path / "dog" / ".." / "dog")
    assert len(layout.files(tmp_path / "cat")) == len(layout.files(tmp_path / "dog")) == 5


def test_test_images_that_are_the_training_images_are_reported(tmp_path):
    fill(tmp_path, "train")
    (tmp_path / "test").mkdir()
    for name in ("cat", "dog"):
        (tmp_path / "test" / name).symlink_to(tmp_path / "train" / name)
    with pytest.warns(UserWarning, match="the images of the two splits are the same"):
        folder.load(tmp_path)


def test_a_class_with_too_few_images_is_named(tmp_path):
    fill(tmp_path, ".")
    draw(tmp_path / "eel", 0, count=2)
    with pytest.raises(ValueError, match="class 'eel' has 1 image left"):
        folder.load(tmp_path)


def test_all_images_of_a_new_folder_with_the_labels_of_the_model(tmp_path):
    fill(tmp_path, ".", classes=("dog",))
    data = folder.load_all(tmp_path, ("ant", "cat", "dog"), image_size=(8, 16))
    assert len(data.test) == 5 and data.test.labels.tolist() == [2] * 5
    assert data.image_size == (8, 16) and data.class_names == ("ant", "cat", "dog")
    with pytest.raises(ValueError, match="not on dog"):
        folder.load_all(tmp_path, ("ant", "cat"))
    with pytest.raises(ValueError, match="found none"):
        folder.load_all(tmp_path / "dog", ("ant", "cat"))


@pytest.mark.parametrize("change", ["rename a class", "rename a file", "add a file"])
def test_a_run_does_not_go_on_with_other_files(change, tmp_path):
    """A renamed class would shift the labels; a renamed file changes the order of the images."""
    root = fill(tmp_path / "data", ".", classes=("apple", "banana", "cherry"), count=12)
    settings = training.TrainSettings(epochs=2, batch_size=4, num_evaluations=4)

    def run(stop: bool):
        data = folder.load(root, image_size=8)
        config = ViTConfig(
            image_size=8, patch_size=4, num_classes=3, dim=8, depth=1, num_heads=1, mlp_dim=8
        )
        saved = training.Checkpointer(tmp_path / "run", seconds=1e-9)

        def interrupt(history):
            if stop and len(history.rows) == 2:
                raise KeyboardInterrupt

        model = VisionTransformer(config)
        training.train(model, data, settings, checkpointer=saved, on_evaluation=interrupt)
        return data

    run(stop=True)
    if change == "rename a class":
        (root / "apple").rename(root / "zapple")
    elif change == "rename a file":
        (root / "apple" / "0.png").rename(root / "apple" / "9z.png")
    else:
        Image.new("RGB", (8, 8)).save(root / "apple" / "new.png")
    with pytest.raises(ValueError, match="list of files|classes"):
        run(stop=False)


def test_the_files_decide_the_fingerprint_and_their_place_on_disk_does_not(tmp_path):
    first = folder.load(fill(tmp_path / "a", "."))
    second = folder.load(fill(tmp_path / "b", "."))
    assert first.fingerprint == second.fingerprint != ""
    assert dataclasses.replace(first, fingerprint="").fingerprint == ""


def test_whole_numbers_beyond_16_bits_have_no_range(tmp_path):
    path = tmp_path / "deep.tiff"
    Image.fromarray(np.full((4, 4), 70_000, dtype=np.int32)).save(path)
    with pytest.raises(ValueError, match="from 70000 to 70000: 16 bits"):
        read_image(path, (4, 4))
    Image.fromarray(np.full((4, 4), 65_535, dtype=np.int32)).save(path)
    assert np.array(open_upright(path)).min() == 255
    assert torch.from_numpy(read_image(path, (2, 6)).copy()).shape == (2, 6, 3)
