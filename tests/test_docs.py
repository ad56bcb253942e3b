"""The pages in docs/ and beside the README: their paths, links and generated tables."""

import re
from pathlib import Path

import pytest
from script_common import script

from vit_tutorial import __version__

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
PAGES += sorted((ROOT / "docs").glob("*.md"))
TOP = ("vit_tutorial/", "vit_classroom/", "notebooks/", "data/", "benchmarks/", "tools/", "tests/")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def results():
    return script("tools/results.py")


def test_every_path_in_architecture_exists():
    named = set(re.findall(r"`([^`\s]+)`", read("docs/architecture.md")))
    paths = {word for word in named if word.startswith((*TOP, "docs/", ".ci/"))}
    assert len(paths) > 40
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []


def test_architecture_names_every_package():
    text = read("docs/architecture.md")
    packages = {
        f"{path.parent.relative_to(ROOT).as_posix()}/"
        for top in ("vit_tutorial", "vit_classroom")
        for path in (ROOT / top).rglob("__init__.py")
    }
    parts = {"vit_tutorial/inspection/plots/", "vit_tutorial/checks/engine/"}  # of a row above
    assert sorted(name for name in packages - parts if f"`{name}`" not in text) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_and_picture_is_there(page):
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    for target in (link for link in links if not link.startswith("http")):
        file, _, anchor = target.partition("#")
        path = page.parent / file if file else page
        assert path.exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = [
                re.sub(r"[^\w -]", "", head).strip().lower().replace(" ", "-") for head in heads
            ]
            assert anchor in anchors, target


def test_generated_pages_are_those_of_the_committed_tables(results):
    assert read("docs/results.md") == results.page(), "run: python tools/results.py"
    for path, parts in results.sections().items():
        text = path.read_text(encoding="utf-8")
        assert text == results.filled(text, parts), f"{path.name}: run python tools/results.py"


def test_a_number_changed_by_hand_is_seen(results):
    (readme, parts), *_ = results.sections().items()
    text = readme.read_text(encoding="utf-8")
    spoiled = re.sub(r"\*\*77\.5 %\*\*", "**78.5 %**", text)
    assert spoiled != text and results.filled(spoiled, parts) == text


def test_citation_names_version_license_and_address():
    yaml = pytest.importorskip("yaml")
    cited = yaml.safe_load(read("CITATION.cff"))
    assert {"cff-version", "message", "title", "authors"} <= cited.keys()
    assert cited["version"] == __version__ and cited["license"] == "Apache-2.0"
    assert f'Repository = "{cited["repository-code"]}"' in read("pyproject.toml")


def test_commands_of_the_teachers_guide_are_there():
    """Each `python -m vit_classroom STEP` that a page names is one that the command line takes."""
    from vit_classroom.cli import parser

    steps = set(re.findall(r"python -m vit_classroom (\w+)", read("docs/teaching.md")))
    known = next(action.choices for action in parser()._actions if action.dest == "command")
    assert steps == set(known)
