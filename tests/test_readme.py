"""The README says what is so: its results are those of the committed tables, its pictures and links are there."""

import re
from pathlib import Path

from script_common import script

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def tool():
    return script("tools/readme.py")


def test_results_are_those_of_the_committed_tables():
    readme = tool()
    assert readme.results() in README, "run: python tools/readme.py"
    assert readme.checks() in README, "run: python tools/readme.py"
    assert readme.classroom() in README, "run: python tools/readme.py"
    assert readme.positions() in README, "run: python tools/readme.py"
    assert readme.readme_training.section() in README, "run: python tools/readme.py"


def test_every_relative_link_and_picture_is_there():
    targets = [t for t in re.findall(r"\]\(([^)#\s]+)", README) if not t.startswith("http")]
    assert len(targets) >= 9
    assert [t for t in targets if not (ROOT / t).exists()] == []


def test_the_map_names_every_lesson_once():
    lessons = sorted(p.name for p in (ROOT / "notebooks").glob("[0-9][0-9]*_*.ipynb"))
    rows = [line for line in README.splitlines() if re.match(r"\| \d\d[a-z]? \| \[", line)]
    assert [re.search(r"notebooks/(\S+?\.ipynb)", row)[1] for row in rows] == lessons


def test_the_claim_about_the_length_of_the_model_holds():
    claimed = int(re.search(r"from pixels to logits takes (\d+) lines", README)[1])
    path = [
        "patches.py",
        "position_utils.py",
        "positions.py",
        "attention.py",
        "encoder.py",
        "vit.py",
    ]
    counted = sum(
        len((ROOT / "vit_tutorial" / "model" / name).read_text(encoding="utf-8").splitlines())
        for name in path
    )
    assert claimed == counted and counted < 460
