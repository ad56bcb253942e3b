"""Damaged model files, run folders and tables, and runs that are resumed otherwise."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from vit_tutorial import VisionTransformer, ViTConfig, interop, training
from vit_tutorial.cli.main import main
from vit_tutorial.common.files import write_text
from vit_tutorial.data import load
from vit_tutorial.studies.runner import read_study
from vit_tutorial.training.runtime import checkpoint
from vit_tutorial.training.runtime.model_size import require_memory, weight_bytes

SMALL = dict(image_size=8, patch_size=4, dim=8, depth=1, num_heads=1, mlp_dim=8, num_classes=2)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures") / "data"
    for name, shade in (("dark", 40), ("light", 200)):
        for number in range(8):
            path = root / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((10, 10, 3), shade, np.uint8)).save(path)
    return root


@pytest.fixture
def model_file(pictures, tmp_path):
    data = load(pictures, image_size=8)
    return training.save_model(
        tmp_path / "model.safetensors", VisionTransformer(ViTConfig(**SMALL)), data
    )


@pytest.fixture
def stopped(pictures, tmp_path, monkeypatch):
    """The folder of a run that can be resumed, begun in another folder than the current one."""
    out = tmp_path / "run"
    words = ["train", "--data", "data", "--image-size", "8", "--epochs", "2", "--batch-size", "4"]
    words += ["--model", "CIFAR-32x1/4", "--quiet", "--device", "cpu", "--out", str(out)]
    with monkeypatch.context() as patch:
        patch.chdir(pictures.parent)
        patch.setattr(training.Checkpointer, "should_save", lambda self: True)
        patch.setattr(training.Checkpointer, "finish", lambda self: None)
        assert main(words) == 0
    change(out, stopped="interrupted")
    return out


def change(run, **fields):
    """Other values in the run.json of `run`."""
    record = json.loads((run / "run.json").read_text()) | fields
    (run / "run.json").write_text(json.dumps(record))


def header_of(path, edit):
    """Write the model file at `path` again, with our part of its header edited."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()["vit_tutorial"])
    header = edit(header)
    text = header if isinstance(header, str) else json.dumps(header)
    save_file(load_file(path), path, {"vit_tutorial": text})


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda h: "[" * 5000, "cannot be read .*damaged"),
        (lambda h: [], "cannot be read .*damaged"),
        (lambda h: h | {"config": "ViT-B/16"}, "cannot be read .*config is 'ViT-B/16'"),
        (lambda h: h | {"config": h["config"] | {"dim": "8"}}, "cannot be built: dim is '8'"),
        (lambda h: h | {"config": h["config"] | {"dim": 16}}, "weights are not those of its conf"),
        (lambda h: h | {"config": h["config"] | {"depth": 900}}, "norm1.weight is missing, and"),
        (lambda h: h | {"config": h["config"] | {"image_size": 2**30}}, "GB of memory are free"),
        (lambda h: h | {"data": h["data"] | {"class_names": ["dark"]}}, "not 2 names"),
        (lambda h: h | {"data": h["data"] | {"mean": [0.5, None, 0.5]}}, "not 3 finite numbers"),
        (lambda h: h | {"data": h["data"] | {"std": [0.5, 0.0, 0.5]}}, "deviations are above 0"),
    ],
)
def test_a_damaged_header_names_the_file_and_the_fault(edit, words, model_file):
    header_of(model_file, edit)
    with pytest.raises(ValueError, match=words) as caught:
        training.load_model(model_file)
    assert str(model_file) in str(caught.value)


def test_weights_that_are_not_numbers_are_refused(model_file, pictures, capsys):
    tensors = load_file(model_file)
    tensors["head.weight"][1, 3] = float("nan")
    from safetensors import safe_open

    with safe_open(model_file, "pt") as file:
        metadata = file.metadata()
    save_file(tensors, model_file, metadata)
    for words in (["predict", model_file, pictures], ["train", "--from", model_file, "--data"]):
        words = [*words, pictures] if words[0] == "train" else words
        assert main([str(word) for word in words]) == 2
        assert "1 of its 20 weights hold numbers that are not finite" in capsys.readouterr().err


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_of_torch_save_is_not_run_but_explained(zipped, tmp_path):
    state = {"model": VisionTransformer(ViTConfig(**SMALL)).state_dict()}
    torch.save(state, tmp_path / "m.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=r"looks like a file of torch\.save.*run code"):
        training.load_model(tmp_path / "m.pt")


def test_weights_without_a_model_are_explained():
    state = VisionTransformer(ViTConfig(**SMALL)).state_dict()
    with pytest.raises(ValueError, match=r"not a model.*load_state_dict\(weights\)"):
        interop.load_from(state)
    parallel = {"model": {f"module.{name}": value for name, value in state.items()}}
    with pytest.raises(ValueError, match=r"DataParallel.*weights\['model'\]"):
        interop.load_from(parallel)


def test_a_model_that_no_memory_holds_is_refused_before_it_is_built(capsys):
    config = ViTConfig.named("ViT-B/16")
    with torch.device("meta"):
        model = VisionTransformer(config)
    assert weight_bytes(config) == pytest.approx(
        4 * sum(p.numel() for p in model.parameters()), 0.05
    )
    require_memory(config, None)
    with pytest.raises(ValueError, match="0.3 GB, and 0.1 GB of memory are free"):
        require_memory(config, 10**8)
    assert main(["train", "--model", "CIFAR-9600000x9/4", "--device", "cpu"]) == 2
    assert "GB of memory are free" in capsys.readouterr().err


# --- run folders


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "run.json cannot be read (Expecting value"),
        (b"\xff\xfe{", "run.json cannot be read ('utf-8'"),
        (b"[" * 5000, "run.json cannot be read ("),
        (b"[1, 2]", "it holds no run"),
        (b"{}", "it has no 'stopped'"),
        (b'{"stopped": "interrupted"}', "run.json: it is damaged, or the run was made by another"),
    ],
)
def test_a_damaged_run_json_is_named(content, words, stopped, capsys):
    (stopped / "run.json").write_bytes(content)
    assert main(["train", "--resume", str(stopped), "--device", "cpu"]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (dict(save_every="often"), "save_every is 'often': it must be a finite number"),
        (dict(changes=[1]), "changes is [1]"),
        (dict(freeze="all"), "unknown freeze 'all'"),
        (dict(source=dict(source=3)), "source is 3: it must be a text"),
        (dict(settings=dict(epochs=[2])), "epochs is [2]: it must be a finite number"),
        (dict(mean=[0.5]), "run.json cannot be read (mean is [0.5])"),
    ],
)
def test_a_value_of_another_kind_in_run_json_is_named(fields, words, stopped, capsys):
    change(stopped, **fields)
    assert main(["train", "--resume", str(stopped), "--device", "cpu"]) == 2
    assert words in capsys.readouterr().err


def test_a_checkpoint_whose_sum_fits_but_not_its_contents_is_refused(stopped, capsys):
    state, _ = checkpoint.load_checkpoint(stopped)
    rows = dict(history=state["history"] | dict(rows=[7]))
    lr = dict(run=state["run"] | dict(lr="x"))
    for damage in (dict(history={}), dict(step=None), lr, rows):
        checkpoint.save_checkpoint(stopped, state | damage)
        assert main(["train", "--resume", str(stopped), "--device", "cpu"]) == 2
        assert "cannot be restored" in capsys.readouterr().err


@pytest.mark.parametrize(
    "option", [["--minutes", "3"], ["--seed", "1"], ["--from", "x"], ["--out", "x"], ["--lr", "1"]]
)
def test_an_option_that_would_make_it_another_run_is_refused(option, stopped, capsys):
    assert main(["train", "--resume", str(stopped), *option]) == 2
    assert f"{option[0]} with --resume: a resumed run keeps" in capsys.readouterr().err


def test_a_run_goes_on_from_another_folder_and_with_images_that_have_moved(
    stopped, pictures, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)  # the run was begun beside data/
    again = tmp_path / "again"
    shutil.copytree(stopped, again)
    assert main(["train", "--resume", str(stopped), "--device", "cpu", "--quiet"]) == 0
    moved = tmp_path / "elsewhere" / "data"
    shutil.copytree(pictures, moved)
    source = json.loads((again / "run.json").read_text())["source"]
    change(again, source=source | {"source": "/gone/data"})
    assert main(["train", "--resume", str(again), "--device", "cpu", "--quiet"]) == 2
    assert "give their place with --data" in capsys.readouterr().err
    words = ["train", "--resume", str(again), "--data", str(moved), "--device", "cpu", "--quiet"]
    assert main(words) == 0
    same = [training.load_model(run / "model.safetensors")[0] for run in (stopped, again)]
    assert all(torch.equal(a, b) for a, b in zip(same[0].parameters(), same[1].parameters()))


@pytest.mark.parametrize("place", ["not_mine", ".", ""])
def test_a_remembered_folder_for_copies_that_is_gone_is_not_made(
    place, stopped, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(
        tmp_path
    )  # "." and "" are there, but `train` would have remembered its whole path
    (tmp_path / "checkpoint.safetensors").write_text("somebody's")
    change(stopped, copy_to=str(tmp_path / place) if place == "not_mine" else place)
    assert main(["train", "--resume", str(stopped), "--device", "cpu", "--quiet"]) == 0
    assert "no copies are made" in capsys.readouterr().err
    assert not (tmp_path / "not_mine").exists()
    assert (tmp_path / "checkpoint.safetensors").read_text() == "somebody's"


def test_a_folder_for_copies_given_at_a_resume_is_remembered_whole(stopped, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["train", "--resume", str(stopped), "--copy-to", "drive", "--device", "cpu", "--quiet"]
    assert main(words) == 0
    assert json.loads((stopped / "run.json").read_text())["copy_to"] == str(tmp_path / "drive")


def test_a_run_whose_record_lost_an_entry_goes_on(stopped):
    path = stopped / "run.json"
    record = json.loads(path.read_text())
    del record["date"]
    path.write_text(json.dumps(record))
    assert main(["train", "--resume", str(stopped), "--device", "cpu", "--quiet"]) == 0


# --- tables


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a,b\n1,2,3\n", "near line 2: 3 values for 2 columns"),
        ("a,b\n1\n", "near line 2: 1 values for 2 columns"),
        ("a,b\n1,2\n", "not the table of a study: it has no column 'study'"),
        ("a\n" + "x" * 200_000, "cannot be read as a table"),
        ("study;variant\n", ""),
    ],
)
def test_a_table_that_is_none_of_a_study_is_named(content, words, tmp_path):
    path = tmp_path / "study_start_shapes.csv"
    path.write_text(content)
    if not words:
        assert read_study(path) == []
        return
    with pytest.raises(ValueError, match=words) as caught:
        read_study(path)
    assert str(path) in str(caught.value)


def test_a_number_that_is_none_in_a_study_is_named_with_its_row(tmp_path):
    from vit_tutorial.studies.runner import CONFIG, SETTINGS

    names = ["study", "variant", "seed", "data", "train_images", *CONFIG, *SETTINGS]
    row = dict.fromkeys([*names, "test_accuracy"], "1")
    for name, value in (("seed", "one"), ("test_accuracy", "nan"), ("test_accuracy", "97,1")):
        text = io.StringIO()
        import csv

        writer = csv.DictWriter(text, list(row))
        writer.writeheader()
        writer.writerows([row, row | {name: value}])
        (tmp_path / "t.csv").write_text(text.getvalue(), encoding="utf-8-sig")  # as Excel saves it
        with pytest.raises(ValueError, match=f"run 2: .*{value}"):
            read_study(tmp_path / "t.csv")


# --- what is written, and where


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")
def test_a_device_is_written_to_and_not_replaced(tmp_path):
    with pytest.raises(OSError, match="No space left"):
        write_text("/dev/full", "x" * 100_000)
    write_text("/dev/null", "x")
    assert Path("/dev/full").is_char_device() and Path("/dev/null").is_char_device()


def test_an_error_of_the_system_names_the_file_that_a_person_gave(
    model_file, pictures, tmp_path, capsys
):
    (tmp_path / "folder").mkdir()
    picture = str(pictures / "dark" / "0.png")
    predict = ["predict", str(model_file), picture, "--device", "cpu", "--csv"]
    assert main([*predict, str(tmp_path / "folder")]) == 2
    assert f"vit_tutorial: {tmp_path / 'folder'}: Is a directory\n" in capsys.readouterr().err
    assert main([*predict, str(tmp_path / ("x" * 300))]) == 2
    assert f"{'x' * 300}: File name too long" in capsys.readouterr().err


def test_a_name_with_a_line_break_stays_on_one_line(model_file, pictures, tmp_path, capsys):
    shutil.copy(pictures / "dark" / "0.png", tmp_path / "a\nb\x1b[31m.png")
    assert main(["predict", str(model_file), str(tmp_path / "a\nb\x1b[31m.png")]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.split(": ")[0].endswith(r"a\nb\x1b[31m.png")


def test_a_tag_that_timm_does_not_have_is_named_with_those_that_it_has(tmp_path, capsys):
    pytest.importorskip("timm")
    words = ["similarity", "timm:vit_tiny_patch16_224.nope", "--untrained", "--out"]
    assert main([*words, str(tmp_path / "s.png")]) == 2
    assert "vit_tiny_patch16_224.augreg_in21k" in capsys.readouterr().err


@pytest.mark.parametrize("device", ["cpu:1", "cpu:" + "9" * 30, "mps:7"])
def test_a_processor_has_no_number(device, capsys):
    assert main(["train", "--data", "shapes", "--device", device]) == 2
    assert "without a number" in capsys.readouterr().err
