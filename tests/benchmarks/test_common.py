"""benchmarks/common.py: provenance, shared tables, images out of an archive; a run of its users."""

import datetime
import tarfile

import pytest
import torch
from script_common import script

from vit_tutorial import data
from vit_tutorial.common.files import read_rows


@pytest.fixture(scope="module")
def common():
    return script("benchmarks/common.py")


def small():
    """A little of the embedded data."""
    found = data.load("shapes")
    fields = ("name", "class_names", "mean", "std", "provenance")
    return data.ImageData(
        **{name: getattr(found, name) for name in fields},
        train=found.train[:128],
        validation=found.validation[:32],
        test=found.test[:32],
    )


def test_provenance_has_no_paths_of_this_machine(common, monkeypatch):
    words = ["/home/x/recipe.py", "/secret/images", "--out", "/secret/b.csv", "--seeds", "0", "1"]
    monkeypatch.setattr("sys.argv", words)
    row = common.provenance("a.py", "a CPU", source="/secret/images", precision="fp32")
    assert list(row) == ["precision", "hardware", "torch", "date", "command"]
    assert row["command"] == "python benchmarks/a.py FOLDER --seeds 0 1"
    assert row["torch"] == torch.__version__ and row["hardware"] == "a CPU"
    assert row["date"] == datetime.date.today().isoformat()
    row = common.provenance("a.py", "a CPU", packages=("torch", "pillow"))
    assert list(row) == ["hardware", "versions", "python", "date", "command"]
    assert row["versions"].startswith("torch 2.") and ", pillow " in row["versions"]


@pytest.mark.parametrize("source", ["cifar10", "shapes"])
def test_the_command_names_data_that_everyone_has(common, monkeypatch, source):
    monkeypatch.setattr("sys.argv", ["a.py", source])
    assert common.shown_command("a.py", source) == f"python benchmarks/a.py {source}"


def test_a_shared_table_finds_replaces_and_sorts(common, tmp_path):
    table = common.SharedTable(tmp_path / "new" / "t.csv")
    assert table.rows() == [] and table.find(seed=0) is None
    for seed, value in ((1, "a"), (0, "b"), (1, "c")):
        table.add(dict(seed=seed, value=value))
    assert table.find(seed=1) == dict(seed="1", value="a")
    table.add(dict(seed=1, value="d"), instead_of=("seed",))
    assert [(row["seed"], row["value"]) for row in table.rows()] == [("0", "b"), ("1", "d")]
    table.sort(lambda row: row["value"] == "b")
    assert [row["value"] for row in table.rows()] == ["d", "b"]


def test_a_table_has_every_column_and_is_named(common, tmp_path, capsys):
    common.write_table(tmp_path / "t.csv", [dict(a=1), dict(a=2, b=3)])
    assert (tmp_path / "t.csv").read_text() == "a,b\n1,\n2,3\n"
    assert capsys.readouterr().out == "\nwritten to t.csv\n"


def test_images_come_from_a_name_a_folder_or_an_archive(common, tmp_path):
    with common.images_in("cifar10") as source:
        assert source == "cifar10"
    (tmp_path / "deep" / "train" / "cat").mkdir(parents=True)
    with tarfile.open(tmp_path / "images.tar", "w") as archive:
        archive.add(tmp_path / "deep", arcname="deep")
    with common.images_in(tmp_path / "images.tar", "some") as source:
        path = common.Path(source)
        assert (path / "train" / "cat").is_dir() and path.parent.name == "some"
    assert not path.exists()


@pytest.mark.slow
def test_the_budget_of_lesson_06_leaves_its_four_tables(tmp_path, monkeypatch):
    benchmark = script("benchmarks/cifar10_budget.py")
    images = small()
    monkeypatch.setattr(benchmark.sources, "load", lambda *_, **__: images)
    words = ["somewhere", "--minutes", "0.02", "--models", "cnn", "CIFAR-32x1/8", "--quiet"]
    monkeypatch.setattr("sys.argv", ["x.py", *words, "--out", str(tmp_path), "--seeds", "0"])
    benchmark.main()
    rows = read_rows(tmp_path / "cifar10_budget.csv")
    assert [row["model"] for row in rows] == ["CIFAR-32x1/8", "cnn"]
    assert list(rows[0]) == list(read_rows(data.results_path("cifar10_budget.csv"))[0])
    again, _ = benchmark.earlier(tmp_path, minutes=float(rows[0]["minutes"]))
    assert rows[0] in again and benchmark.earlier(tmp_path, minutes=5) == ([], [])
    assert "FOLDER --minutes 0.02" in rows[0]["command"]
    points = read_rows(tmp_path / "cifar10_curves.csv")
    assert {point["model"] for point in points} == {"CIFAR-32x1/8", "cnn"}
    counts = read_rows(tmp_path / "cifar10_confusion.csv")
    right = sum(int(row[row["true"]]) for row in counts)
    assert right == round(32 * float(rows[0]["test_accuracy"]))
    mistakes = read_rows(tmp_path / "cifar10_mistakes.csv")
    assert len(mistakes) == min(20, 32 - right)
    assert all(row["true"] != row["predicted"] for row in mistakes)


def test_a_recipe_run_is_made_once(tmp_path, monkeypatch):
    benchmark = script("benchmarks/recipe.py")
    images = small()
    monkeypatch.setattr(benchmark.sources, "load", lambda *_, **__: images)
    words = ["shapes", "--study", "ladder", "--model", "CIFAR-32x1/8", "--epochs", "0.5"]
    words += ["--seeds", "0", "--quiet", "--out", str(tmp_path / "r.csv")]
    monkeypatch.setattr("sys.argv", ["recipe.py", *words])
    benchmark.main()
    rows = read_rows(tmp_path / "r.csv")
    assert [row["ingredient"] for row in rows] == ["a first attempt", *benchmark.LADDER]
    assert list(rows[0]) == list(read_rows(data.results_path("recipe.csv"))[0])
    monkeypatch.setattr(benchmark.training, "train", lambda *_, **__: pytest.fail("trained again"))
    benchmark.main()
    assert read_rows(tmp_path / "r.csv") == rows
