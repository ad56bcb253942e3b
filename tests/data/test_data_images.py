"""Split, ImageData, splitting, `load` and where data lies."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vit_tutorial.data import (
    ImageData,
    Split,
    data_root,
    find_cifar10,
    load,
    paths,
    results_path,
    sources,
    split_validation,
    weights_path,
)
from vit_tutorial.data.dataset import channel_statistics, stratified


def split(n=20, classes=2, channels=3, side=4, seed=0):
    draw = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (n, channels, side, side), generator=draw, dtype=torch.uint8)
    return Split(images, torch.arange(n) % classes, images[:, 0] > 127)


def data(**changes):
    train = split()
    parts = dict(
        name="some",
        class_names=("a", "b"),
        train=train,
        validation=split(seed=1),
        test=split(seed=2),
    )
    mean, std = channel_statistics(train.images)
    return ImageData(**(parts | dict(mean=mean, std=std, provenance="drawn for a test") | changes))


def test_indexing_a_split_takes_images_labels_and_masks_together():
    whole = split()
    picked = torch.tensor([3, 1])
    assert torch.equal(whole[picked].images, whole.images[picked]) and torch.equal(
        whole[picked].labels, whole.labels[picked]
    )
    assert torch.equal(whole[picked].masks, whole.masks[picked]) and len(whole[picked]) == 2
    assert Split(whole.images, whole.labels)[:5].masks is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(images=torch.zeros(2, 3, 4, 4)), "uint8.*float32"),
        (dict(images=torch.zeros(3, 4, 4, dtype=torch.uint8)), r"\(3, 4, 4\)"),
        (dict(labels=torch.zeros(3, dtype=torch.int64)), r"2 images need labels \(2,\).*\(3,\)"),
        (dict(labels=torch.zeros(2)), "int64.*float32"),
        (dict(masks=torch.zeros(2, 4, 5, dtype=torch.bool)), r"\(2, 4, 5\)"),
    ],
)
def test_a_split_whose_parts_do_not_fit_is_refused(change, words):
    good = dict(
        images=torch.zeros(2, 3, 4, 4, dtype=torch.uint8), labels=torch.zeros(2, dtype=torch.int64)
    )
    with pytest.raises(ValueError, match=words):
        Split(**(good | change))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(test=split(side=8)), "test holds.*8, 8"),
        (dict(class_names=("a",)), r"labels 0\.\.1.*1 class names"),
        (dict(validation=split()[:0]), "0 images in validation"),
        (dict(mean=(0.5,)), "3 channels"),
        (dict(std=(0.0, 1.0, 1.0)), "above 0"),
    ],
)
def test_image_data_whose_parts_do_not_fit_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        data(**change)


def test_training_images_have_mean_0_and_deviation_1_in_each_channel_after_normalise():
    some = data()
    x = some.normalise(some.train.images)
    assert x.dtype == torch.float32
    torch.testing.assert_close(x.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(x.std(dim=(0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0)
    pixel = some.train.images[0, 1, 2, 3].item()
    assert x[0, 1, 2, 3].item() == pytest.approx(
        (pixel / 255 - some.mean[1]) / some.std[1], abs=1e-5
    )


def test_denormalise_is_the_exact_way_back_and_holds_to_the_range():
    some = data()
    every = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    assert torch.equal(some.denormalise(some.normalise(every)), every)
    assert some.denormalise(torch.full((1, 3, 1, 1), 1e4)).unique().tolist() == [255]
    with pytest.raises(ValueError, match="float32.*already"):
        some.normalise(some.normalise(every))


def test_statistics_of_many_images_equal_those_of_all_at_once():
    images = split(n=4500, side=3).images
    mean, std = channel_statistics(images)
    torch.testing.assert_close(
        torch.tensor(mean), (images.double() / 255).mean(dim=(0, 2, 3)).float()
    )
    torch.testing.assert_close(
        torch.tensor(std), (images.double() / 255).std(dim=(0, 2, 3), correction=0).float()
    )
    assert channel_statistics(torch.full((5, 1, 2, 2), 51, dtype=torch.uint8)) == (
        (pytest.approx(0.2),),
        (1.0,),
    )


def test_stratified_takes_its_share_of_every_class_once_and_by_seed_alone():
    labels = torch.tensor([0] * 100 + [1] * 50 + [3] * 10)[
        torch.randperm(160, generator=torch.Generator().manual_seed(5))
    ]
    kept, aside = stratified(labels, 0.1, seed=3)
    assert torch.equal(torch.cat([kept, aside]).sort().values, torch.arange(160)), (
        "every image on one side, none on both"
    )
    assert torch.bincount(labels[aside], minlength=4).tolist() == [10, 5, 0, 1]
    assert torch.equal(aside, stratified(labels, 0.1, seed=3)[1]) and not torch.equal(
        aside, stratified(labels, 0.1, seed=4)[1]
    )
    times = torch.zeros(160)
    for seed in range(200):
        times[stratified(labels, 0.1, seed)[1]] += 1
    assert times.min() >= 4 and times.max() <= 50, (
        "every image has its turn: 20 of 200 seeds on average"
    )


@pytest.mark.parametrize(
    ("fraction", "words"),
    [(0, "is 0"), (1, "is 1"), (-0.1, "is -0.1"), (0.9, "class 1 has 2 images")],
)
def test_a_share_that_cannot_be_set_aside_is_refused(fraction, words):
    with pytest.raises(ValueError, match=words):
        stratified(torch.tensor([0] * 100 + [1] * 2), fraction, 0)


def test_split_validation_keeps_images_and_labels_together():
    whole = split(n=40)
    train, validation = split_validation(whole.images, whole.labels, 0.25, seed=1)
    label_of = {
        image.numpy().tobytes(): int(label) for image, label in zip(whole.images, whole.labels)
    }
    got = [
        (image.numpy().tobytes(), int(label))
        for part in (train, validation)
        for image, label in zip(part.images, part.labels)
    ]
    assert len(train) == 30 and len(validation) == 10 and dict(got) == label_of and len(got) == 40


def test_load_names_the_nearest_source_and_what_else_it_takes(tmp_path):
    with pytest.raises(ValueError, match="'shape': did you mean 'shapes'.*folder"):
        load("shape")
    with pytest.raises(ValueError, match="unknown data '.*nowhere'"):
        load(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is a file"):
        load(tmp_path / "file")


@pytest.mark.parametrize(
    "change", [dict(image_size=64), dict(validation=0), dict(validation=1.0), dict(seed=-1)]
)
def test_load_refuses_what_does_not_fit(change):
    with pytest.raises(ValueError, match=str(*change.values())):
        load("shapes", **change)
    assert set(sources()) == {"shapes", "pairs", "cifar10"}


def test_data_root_argument_then_variable_then_clone_then_cache(tmp_path, monkeypatch):
    monkeypatch.delenv("VIT_TUTORIAL_DATA", raising=False)
    assert data_root() == Path(__file__).parents[2] / "data"
    monkeypatch.setattr(paths, "clone", lambda: None)
    cache = data_root()
    assert (
        cache.is_absolute()
        and cache.name == "vit_tutorial"
        and not cache.is_relative_to(Path(__file__).parents[2])
    )
    monkeypatch.setenv("VIT_TUTORIAL_DATA", str(tmp_path))
    assert data_root() == tmp_path and data_root(tmp_path / "mine") == tmp_path / "mine"
    monkeypatch.setenv("VIT_TUTORIAL_DATA", "~/pictures")
    assert data_root() == Path.home() / "pictures"
    monkeypatch.setenv("VIT_TUTORIAL_DATA", "")
    assert data_root() == cache


def test_results_path_in_a_clone_and_in_a_package(tmp_path, monkeypatch):
    for folder in (tmp_path / "clone" / "data" / "results", tmp_path / "package" / "_results"):
        folder.mkdir(parents=True)
        (folder / "a.csv").write_text("x")
    monkeypatch.setattr(paths, "clone", lambda: tmp_path / "clone")
    assert results_path("a.csv") == tmp_path / "clone" / "data" / "results" / "a.csv"
    monkeypatch.setattr(paths, "clone", lambda: None)
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "package")
    assert results_path("a.csv") == tmp_path / "package" / "_results" / "a.csv"
    with pytest.raises(FileNotFoundError, match=r"'b.csv'.*There are: a\.csv.*benchmarks"):
        results_path("b.csv")
    with pytest.raises(
        FileNotFoundError, match=r"no committed weights 'b.safetensors'.*There is none"
    ):
        weights_path("b.safetensors")


def test_finding_cifar10_where_there_is_none_touches_neither_network_nor_disk(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("no network"))
    assert find_cifar10(tmp_path / "nowhere") is None and not (tmp_path / "nowhere").exists()


@pytest.mark.slow
def test_importing_the_package_is_cheap_and_silent():
    heavy = {"torchvision", "matplotlib", "requests", "pooch"}
    code = f"import sys, vit_tutorial.data; print(sorted({heavy} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]" and not run.stderr
