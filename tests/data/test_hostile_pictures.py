"""Pictures and folders that are odd, damaged or dangerous, and values of the wrong kind."""

import hashlib
import io
import os
import tarfile
import time

import numpy as np
import pytest
from PIL import Image

from vit_tutorial import ViTConfig, data
from vit_tutorial.data import cifar10, decode, folder, layout
from vit_tutorial.training import TrainSettings

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"


def draw(path, value=90, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((12, 12, 3), value, np.uint8)).save(path, **options)


def fill(root, *names, count=6):
    for number, name in enumerate(names):
        for i in range(count):
            draw(root / name / f"{i}.png", 40 * (number + 1))


def test_a_drawing_is_not_handed_to_another_program(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr("subprocess.check_call", lambda *a, **k: started.append(a))
    monkeypatch.setattr("subprocess.Popen", lambda *a, **k: started.append(a))
    (tmp_path / "a.eps").write_bytes(EPS)
    (tmp_path / "a.png").write_bytes(EPS)
    for name in ("a.eps", "a.png"):
        with pytest.raises(OSError):
            decode.read_image(tmp_path / name, (4, 4))
    assert not started


def test_a_file_that_asks_for_gigabytes_is_refused(tmp_path, monkeypatch):
    draw(tmp_path / "a.png", 40)

    def exhausted(image):
        raise MemoryError

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", exhausted)
    with pytest.raises(OSError, match="more memory than is free"):
        decode.read_image(tmp_path / "a.png", (4, 4))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_and_a_device_are_refused_at_once(tmp_path):
    fill(tmp_path / "d", "cat", "dog")
    os.mkfifo(tmp_path / "d" / "cat" / "pipe.png")
    (tmp_path / "d" / "dog" / "zero.png").symlink_to("/dev/zero")
    began = time.perf_counter()
    with pytest.warns(UserWarning, match="2 of 14 files skipped.*a pipe or a device"):
        found = data.load(tmp_path / "d", image_size=4)
    assert len(found.train) + len(found.validation) + len(found.test) == 12
    assert set(decode.unreadable([str(tmp_path / "d/cat/pipe.png")], "x")) == {0}
    assert time.perf_counter() - began < 5


def test_an_error_that_no_decoder_foresaw_is_one_of_a_file(tmp_path, monkeypatch):
    draw(tmp_path / "a.png")

    def broken(self):
        raise KeyError("chunk")

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", broken)
    with pytest.raises(OSError, match="cannot be decoded .KeyError"):
        decode.read_image(tmp_path / "a.png", (4, 4))


@pytest.mark.parametrize("ending", ["bmp", "gif", "tif", "webp", "ppm", "jpg", "png"])
def test_a_file_without_its_end_is_noticed_before_training(ending, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / f"a.{ending}")
    content = (tmp_path / f"a.{ending}").read_bytes()
    assert not decode.unreadable([str(tmp_path / f"a.{ending}")], "x")
    (tmp_path / f"a.{ending}").write_bytes(content[: len(content) // 2])
    assert set(decode.unreadable([str(tmp_path / f"a.{ending}")], "x")) == {0}


def test_sizes_that_no_memory_holds_are_refused(tmp_path, monkeypatch):
    fill(tmp_path, "cat", "dog")
    with pytest.raises(ValueError, match="image_size is 100000x100000: 10,000 million pixels"):
        data.load(tmp_path, image_size=100_000)
    with pytest.raises(ValueError, match="GB of pixels, and the machine has 0.0 GB"):
        monkeypatch.setattr(folder, "memory_gib", lambda: 1e-6)
        data.load(tmp_path, image_size=512, stream=False)


# --- layouts: what a folder may have been meant to be


def test_a_folder_one_too_deep_is_named(tmp_path):
    fill(tmp_path / "unpacked" / "pets", "cat", "dog")
    with pytest.raises(ValueError, match=r"only 'pets'.*pets has cat, dog: is that the folder"):
        data.load(tmp_path / "unpacked")


def test_loose_files_are_counted(tmp_path):
    for i in range(4):
        draw(tmp_path / f"cat.{i}.png")
    with pytest.raises(ValueError, match="found none; 4 files are in no folder"):
        data.load(tmp_path)


def test_an_archive_is_to_be_unpacked_first(tmp_path):
    (tmp_path / "pets.ZIP").write_bytes(b"PK")
    with pytest.raises(ValueError, match="pets.ZIP is an archive: unpack it, and give the folder"):
        data.load(tmp_path / "pets.ZIP")


def test_parts_of_unknown_names_are_not_silently_taken_for_classes(tmp_path):
    for part in ("part_1", "part_2"):
        fill(tmp_path / part, "cat", "dog", count=3)
    with pytest.warns(
        UserWarning, match=r"part_1 and part_2 are read as the classes.*\(cat, dog\)"
    ):
        found = data.load(tmp_path, image_size=4)
    assert found.class_names == ("part_1", "part_2")


def test_parts_with_one_class_more_are_not_silently_taken_for_classes(tmp_path):
    fill(tmp_path / "fold_1", "cat", "dog", count=3)
    fill(tmp_path / "fold_2", "cat", "dog", "emu", count=3)
    with pytest.warns(UserWarning, match=r"fold_1 and fold_2 are read as .*\(cat, dog\)"):
        data.load(tmp_path, image_size=4)


def test_nested_folders_that_differ_are_no_parts(tmp_path, recwarn):
    for name, inside in (("cat", ("day 1", "day 2")), ("dog", ("day 1", "day 3"))):
        fill(tmp_path / name, *inside)
    assert data.load(tmp_path, image_size=4).class_names == ("cat", "dog")
    assert not [w for w in recwarn if "read as the classes" in str(w.message)]


def test_a_difference_in_case_and_a_missing_class_are_said(tmp_path):
    fill(tmp_path / "train", "cat", "dog")
    fill(tmp_path / "test", "Cat", "dog")
    with pytest.raises(ValueError, match="differ in upper and lower case only"):
        data.load(tmp_path)
    (tmp_path / "test" / "Cat").rename(tmp_path / "gone")
    with pytest.raises(ValueError, match="only in train/: cat"):
        data.load(tmp_path)


def test_a_folder_that_cannot_be_entered_is_an_error(tmp_path, monkeypatch):
    fill(tmp_path, "cat", "dog")
    real = os.scandir

    def closed(path="."):
        if str(path).endswith("dog"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(PermissionError):
        layout.files(tmp_path / "dog")


def test_names_that_are_no_letters_have_a_fingerprint(tmp_path):
    fill(tmp_path, "cat", os.fsdecode(b"d\xff"))
    found = data.load(tmp_path, image_size=4)
    assert len(found.fingerprint) == 16 and len(found.class_names) == 2


# --- values of the wrong kind


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (dict(dropout="0.1"), "dropout is '0.1': it must be a finite number"),
        (dict(dropout=True), "dropout is True: it must be a finite number"),
        (dict(position_std=float("nan")), "position_std is nan: it must be a finite number"),
        (dict(position_std=1e9), "1000 is the most"),
        (dict(norm_eps=0), "norm_eps is 0"),
        (dict(qkv_bias="no"), "qkv_bias is 'no': it must be True or False"),
        (dict(dim=None), "dim is None"),
        (dict(dim=10**40), "dim is a number of about 133 bits"),
        (dict(depth=10**6), "depth is 1000000: it must be at most 1,000"),
        (dict(position=["learned_1d"]), "unknown position"),
    ],
)
def test_a_field_of_the_model_is_of_its_kind(fields, words):
    with pytest.raises(ValueError, match=words):
        ViTConfig(**fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (dict(lr="1e-3"), "lr is '1e-3': it must be a finite number"),
        (dict(warmup=None), "warmup is None"),
        (dict(checkpoint_activations="no"), "checkpoint_activations is 'no': it must be True"),
        (dict(resolutions=3), "resolutions is 3: it must be pairs"),
        (dict(resolutions=((0.3, 12, 1),)), "it must be pairs"),
        (dict(resolutions=(("0.3", 12),)), "a share of 0.3 at 12"),
        (dict(seed=2**40), "seed is 1099511627776: it must be at most"),
        (dict(rand_augment_ops=10**6), "it must be at most 100"),
    ],
)
def test_a_setting_is_of_its_kind(fields, words):
    with pytest.raises(ValueError, match=words):
        TrainSettings(epochs=1, **fields)


def test_an_advice_about_a_large_number_takes_no_time():
    began = time.perf_counter()
    for fields in (
        dict(dim=2**31 - 1, num_heads=7, mlp_dim=8),
        dict(image_size=2**31 - 2, patch_size=13),
    ):
        with pytest.raises(ValueError, match="Nearest|take a patch size from"):
            ViTConfig(**fields)
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize("kind", ["outside", "link", "cut"])
def test_an_archive_writes_nothing_outside_its_folder(kind, tmp_path):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        info = tarfile.TarInfo("../../evil" if kind == "outside" else "some/file")
        info.size = 4
        if kind == "link":
            info.type, info.linkname, info.size = tarfile.LNKTYPE, "nowhere", 0
        tar.addfile(info, io.BytesIO(b"evil"))
    content = made.getvalue()[: 40 if kind == "cut" else None]
    root = tmp_path / "deep" / "root"
    root.mkdir(parents=True)
    (root / "x.tar.gz").write_bytes(content)

    class Evil:
        base_folder, filename, tgz_md5 = "some", "x.tar.gz", hashlib.md5(content).hexdigest()
        train_list, test_list, meta = [["file", "0"]], [], dict(filename="file", md5="0")

    with pytest.raises(FileNotFoundError, match="cannot be unpacked"):
        cifar10.fetch(root, download=False, dataset=Evil)
    assert [path.name for path in root.iterdir() if not path.name.startswith(".")] == ["x.tar.gz"]
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]


@pytest.mark.parametrize(
    ("begin", "words"),
    [
        (b"", "it is empty"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100), "HEIC photograph.*as JPEG"),
        (b"\0\0\0\x18ftypmp42" + bytes(100), "a video"),
        (b"\n <!DOCTYPE html><html>404", "a web page: the download went wrong"),
        (b"<?xml version='1.0'?>\n<svg width='3'/>", "an SVG drawing: export it as PNG"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        (b"%PDF-1.4", "a PDF document"),
        (b"PK\x03\x04", "a zip archive"),
    ],
)
def test_a_file_of_another_kind_is_called_by_it(begin, words, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(begin)
    with pytest.raises(OSError, match=words):
        decode.read_image(tmp_path / "photo.jpg", (4, 4))
