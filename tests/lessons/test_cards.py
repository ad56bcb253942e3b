"""The cards in docs/cards: one for each core lesson, current, small; made from the lesson alone."""

import cards
import lesson_heads
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from old_lessons import NO_CARD

CORE = cards.core()


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.stem)
def test_card_of_a_core_lesson_is_current(path):
    card = cards.CARDS / f"{lesson_heads.number(path)}.png"
    if path.stem in NO_CARD:
        with pytest.raises(ValueError):
            cards.inputs(path)  # take this lesson off the list in old_lessons.py
        return
    shown = cards.inputs(path)
    assert card.exists(), "run: python tools/cards.py"
    assert cards.stored_fingerprint(card) == cards.fingerprint(shown), "run: python tools/cards.py"
    assert card.stat().st_size <= cards.MOST_BYTES


def test_no_card_is_left_over():
    known = {f"{lesson_heads.number(path)}.png" for path in CORE if path.stem not in NO_CARD}
    assert {path.name for path in cards.CARDS.glob("*.png")} == known


def lesson(path, drawing="plots.architecture(lit='head')", lines=("One.", "**Two** `x`.", "3.")):
    summary = "\n".join(f"{n}. {line}" for n, line in enumerate(lines, start=1))
    cells = [
        new_markdown_cell("# 04 · Attention: who reads?\n\ntext"),
        new_code_cell(drawing),
        new_markdown_cell(f"## Summary\n\n{summary}\n\n**New terms**"),
    ]
    nbformat.write(new_notebook(cells=cells), path)
    return path


def test_a_card_shows_title_part_and_three_lines(tmp_path):
    path = lesson(
        tmp_path / "04_attention.ipynb", lines=("[One](a.ipynb).", "**Two** `x`.", "3.", "4.")
    )
    assert cards.inputs(path) == dict(
        title="04 · Attention: who reads?", lit="head", lines=["One.", "Two x.", "3."]
    )


@pytest.mark.parametrize(
    ("drawing", "lit"),
    [
        ('plots.architecture("patches")', "patches"),
        ("plots.architecture()", None),
        ("x = plots.architecture(lit=None)", None),
        ("architecture(config=c, lit='training')", "training"),
    ],
)
def test_the_lit_part_is_read_from_the_cell(tmp_path, drawing, lit):
    assert cards.inputs(lesson(tmp_path / "04_a.ipynb", drawing))["lit"] == lit


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(ValueError, match="no cell draws"):
        cards.inputs(lesson(tmp_path / "04_a.ipynb", "print(1)"))
    with pytest.raises(ValueError, match="has 2 numbered lines"):
        cards.inputs(lesson(tmp_path / "04_a.ipynb", lines=("One.", "Two.")))
    with pytest.raises(ValueError, match="has 116 characters: a card has room for 115"):
        cards.inputs(lesson(tmp_path / "04_a.ipynb", lines=("One.", "Two.", "x" * 116)))


def test_a_card_is_small_and_knows_what_it_was_made_from(tmp_path):
    shown = dict(title="04 · Attention", lit="attention", lines=["One."] * 3)
    (tmp_path / "04.png").write_bytes(cards.draw(shown))
    assert cards.stored_fingerprint(tmp_path / "04.png") == cards.fingerprint(shown)
    assert cards.fingerprint(shown) != cards.fingerprint(shown | {"lit": "head"})
    assert (tmp_path / "04.png").stat().st_size <= cards.MOST_BYTES
