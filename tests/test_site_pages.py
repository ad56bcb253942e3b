"""What the site's pages are made of: terms, links, docstrings, the drawing, and its own check."""

import re

import cards
import glossary
import lesson_heads
import nbformat
import numpy as np
import pytest
import site_api
import site_drawing
import site_pages
from script_common import script

from vit_tutorial.inspection import plots

LESSONS = lesson_heads.lessons()


# --- glossary ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_every_lesson_defines_its_terms(path):
    found = glossary.terms(path)
    assert 3 <= len(found) <= 12
    assert all(not re.search(r"\*\*|\|", term.name + term.meaning) for term in found)


def lesson_with(tmp_path, text):
    path = tmp_path / "99_trial.ipynb"
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)])
    nbformat.write(nb, path)
    return path


def test_terms_are_read_from_a_table_a_list_and_a_paragraph(tmp_path):
    table = (
        "**New terms**\n\n| term | meaning |\n|---|---|\n| patch | a square, a token |\n\n**Ref**"
    )
    one = (
        "**New terms**\n\n- **Warm-up** (slow): it\n  rises: first. **Cosine**: it falls.\n\n# Next"
    )
    row = "**New terms.** *Score*: q · k. *Query, key*: both\nof them.\n\n**References.** None: x"
    wanted = {
        table: [("patch", "a square, a token")],
        one: [("warm-up (slow)", "it rises: first."), ("cosine", "it falls.")],
        row: [("score", "q · k."), ("query, key", "both of them.")],
    }
    for text, pairs in wanted.items():
        found = glossary.terms(lesson_with(tmp_path, text))
        assert [(term.name, term.meaning) for term in found] == pairs


@pytest.mark.parametrize("text", ["no terms", "**New terms**\n\n- patch, a square\n"])
def test_terms_that_cannot_be_read_are_an_error(tmp_path, text):
    with pytest.raises(ValueError, match="99_trial.ipynb"):
        glossary.terms(lesson_with(tmp_path, text))


def test_glossary_is_one_list_that_leads_to_the_lessons():
    found = glossary.collect()
    names = [name.casefold() for name in found]
    assert len(names) == len(set(names)) > 80
    page = glossary.page(found)
    for path in LESSONS:
        assert f"(notebooks/{path.name})" in page
    assert page.count("the same measurement where there is nothing to find.") == 1  # 02 and 13


# --- links ---------------------------------------------------------------------------------------


def test_links_to_what_the_site_lacks_lead_to_the_repository():
    page = site_pages.ROOT / "docs" / "results.md"
    text = "[a](records.md) [b](../data/weights/vit_shapes.md#x) [c](https://x.org) ![d](p.png)"
    out = site_pages.with_links(text, page.relative_to(site_pages.ROOT), {"docs/records.md"})
    address = f"{site_pages.REPOSITORY}/blob/main/data/weights/vit_shapes.md#x"
    assert out == f"[a](records.md) [b]({address}) [c](https://x.org) ![d](p.png)"


def test_lesson_folds_set_up_and_solutions_and_keeps_the_file(tmp_path):
    path = LESSONS[1]
    before = path.read_bytes()
    nb = site_pages.lesson(path, set())
    folded = [c for c in nb.cells if "hide-input" in c.metadata.get("tags", [])]
    assert folded[0].source.startswith("# Set-up")
    assert sum("BEGIN SOLUTION" in cell.source for cell in folded) >= 2
    assert "colab-badge" not in nb.cells[0].source and "Open in Colab" in nb.cells[0].source
    assert path.read_bytes() == before


# --- docstrings ----------------------------------------------------------------------------------


def test_docstrings_become_definitions_and_code():
    text = """Cut `images` into *patches*.

    images: (B, C, H, W), float_
        or uint8.
    size, step: pixels
    Raises ValueError for `3`.

        x = 1
    """
    assert site_api.from_plain(text.splitlines()) == [
        r"Cut ``images`` into \*patches\*.",
        "",
        "``images``",
        r"    (B, C, H, W), float\_",
        "    or uint8.",
        "``size, step``",
        "    pixels",
        "",
        "Raises ValueError for ``3``.",
        "",
        "::",
        "",
        "    x = 1",
    ]


def test_reference_names_what_the_package_shows():
    import vit_tutorial

    text = "\n".join(site_api.pages().values())
    shown = set(vit_tutorial.__all__) - {"checks", "interop"}
    assert [name for name in shown if f".{name}\n" not in text] == []
    assert [name for name in vit_tutorial.checks.names() if f"{name}(" not in text] == []


# --- the drawing ---------------------------------------------------------------------------------


@pytest.mark.parametrize("part", site_drawing.PLACES)
def test_part_lies_where_its_link_is(part):
    """Most of what lights up in colour is inside the part's place."""
    figure = plots.architecture(lit=part)
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(int)
    colourful = pixels.max(axis=-1) - pixels.min(axis=-1) > 40
    x, y, w, h = site_drawing.PLACES[part]
    rows = slice(pixels.shape[0] - y - h, pixels.shape[0] - y)
    share = colourful[rows, x : x + w].sum() / colourful.sum()
    # The encoder's stream begins in the upper row; gradients flow along the lower edge.
    assert share > {"encoder": 0.4, "training": 0.4, "class_token": 0.15}.get(part, 0.5), share


def test_each_part_leads_to_the_lesson_that_lights_it():
    parts = site_drawing.lessons_of_parts()
    for part, path in parts.items():
        if part != "head":
            assert cards.lit_part(nbformat.read(path, as_version=4)) == part
    core = [path for path in cards.core() if lesson_heads.number(path) != "00"]
    assert set(core) <= set(parts.values())


# --- the site's own check ------------------------------------------------------------------------


def test_check_names_dead_links_anchors_pictures_and_what_is_fetched(tmp_path):
    check = script("tools/site.py").check
    (tmp_path / "a.css").write_text('@import "https://fonts.example.org/x.css";')
    (tmp_path / "b.html").write_text('<h1 id="here">b</h1>')
    (tmp_path / "a.html").write_text(
        '<a href="b.html#here">fine</a><a href="b.html#gone">x</a><a href="c.html">x</a>'
        '<img src="b.html"><img src="b.html" alt="fine"><script src="https://x.org/x.js"></script>'
        '<a href="https://elsewhere.org">fine</a>'
    )
    assert check(tmp_path) == [
        "a.html: the link to b.html#gone leads to no anchor",
        "a.html: the link to c.html leads nowhere",
        "a.html: fetches https://x.org/x.js: a page must work without a network",
        "a.html: no alternative text for b.html",
        "a.css: fetches https:",
    ]
