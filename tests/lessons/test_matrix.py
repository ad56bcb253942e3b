"""tools/matrix.py: the lowest versions are those of pyproject.toml, and the table covers all."""

from packaging.requirements import Requirement
from packaging.version import Version
from script_common import ROOT, script

from vit_tutorial.common.files import read_rows

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

TABLE = ROOT / "data" / "results" / "matrix.csv"


def test_each_lower_bound_is_pinned():
    pins = {Requirement(line).name: line for line in script("tools/matrix.py").lowest()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for line in project["dependencies"]:
        name, _, bound = line.partition(">=")
        assert pins[name] == f"{name}=={bound}"
    assert {"timm", "vit-pytorch"} <= pins.keys()


def test_the_table_covers_every_lesson_in_both_corners_and_nothing_failed():
    rows = read_rows(TABLE)
    for corner in ("lowest", "newest"):
        mine = {row["target"]: row for row in rows if row["corner"] == corner}
        assert set(script("tools/matrix.py").targets()) <= mine.keys(), corner
    assert [f"{row['corner']}: {row['target']}" for row in rows if row["failed"] != "0"] == []


def test_the_lowest_corner_had_the_lowest_versions():
    pins = {Requirement(line).name: line for line in script("tools/matrix.py").lowest()}
    for row in read_rows(TABLE):
        if row["corner"] == "lowest":
            for name in ("torch", "torchvision", "numpy", "pillow", "safetensors", "timm"):
                bound = pins[name].partition("==")[2]
                assert Version(row[name].split("+")[0]).release[: bound.count(".") + 1] == tuple(
                    map(int, bound.split("."))
                ), (name, row[name])
