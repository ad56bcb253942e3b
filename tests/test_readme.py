"""The README is one page, names every lesson once, and says only what the repository shows."""

import re
import shlex
from pathlib import Path

import nbformat
import pytest
import reading_time
from script_common import script

from vit_tutorial.cli.main import parser

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LESSONS = sorted((ROOT / "notebooks").glob("[0-9][0-9]*_*.ipynb"))
MOST_WORDS = 600


@pytest.fixture(scope="module")
def results():
    return script("tools/results.py")


def stored_outputs(path: Path) -> str:
    """All text that the lesson at `path` printed when it was executed."""
    cells = nbformat.read(path, as_version=4).cells
    outputs = [out for cell in cells for out in cell.get("outputs", [])]
    return "\n".join(out.get("text", "") for out in outputs)


def test_it_is_one_page():
    assert len(README.split()) <= MOST_WORDS
    assert len(re.findall(r"!\[[^\]]*\]\(docs/", README)) == 1  # one picture
    assert README.index("colab-badge.svg") < README.index("git clone") < README.index("## Lessons")
    assert not re.search(r"not measured|\baim\b|142/142", README)


def test_the_map_names_every_lesson_once_with_its_minutes():
    rows = re.findall(r"^\|(\d\d[a-z]?)\|\[.*?\]\(notebooks/(.+?)\)\|(\d+)", README, re.MULTILINE)
    assert [name for _, name, _ in rows] == [path.name for path in LESSONS]
    for (number, name, minutes), path in zip(rows, LESSONS):
        assert name.startswith(f"{number}_")
        assert int(minutes) == round(reading_time.minutes(path)[0])


def test_findings_of_the_lessons_are_in_their_stored_outputs(results):
    findings = results.findings_of_lessons()
    assert list(findings) == [results.number(path) for path in LESSONS]
    for path in LESSONS:
        text = stored_outputs(path)
        _, evidence = findings[results.number(path)]
        assert [line for line in evidence if line not in text] == []


def test_commands_are_ones_that_the_command_line_takes():
    block = re.search(r"## Your own pictures.*?```\n(.*?)```", README, re.DOTALL)[1]
    lines = block.strip().split("\n")
    assert len(lines) == 4
    for line in lines:
        words = shlex.split(line)
        assert words[:3] == ["python", "-m", "vit_tutorial"]
        parser().parse_args(words[3:])


def test_one_table_of_cifar10_with_data_budget_hardware_and_seeds():
    heads = re.findall(r"^\|.*test accuracy.*\|$", README, re.MULTILINE)
    assert heads == ["|model|data|budget|hardware|test accuracy|seeds|"]


def test_reading_time_counts_words_lines_figures_guesses_and_exercises(tmp_path):
    text = "word " * 170 + "\n```\nnot counted\n```\n[![badge](a b)](c) <br>"
    code = nbformat.v4.new_code_cell("guess = None\n\nx = 1\n### BEGIN SOLUTION")
    code.outputs = [nbformat.v4.new_output("display_data", {"image/png": "x", "text/plain": ""})]
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text), code])
    nbformat.write(nb, tmp_path / "00_x.ipynb")
    reading, with_exercises = reading_time.minutes(tmp_path / "00_x.ipynb")
    assert reading == pytest.approx(1 + 3 / 15 + 0.7 + 0.6)
    assert with_exercises == pytest.approx(reading + 7)


def test_differences_are_corrected_for_the_comparisons_of_their_table(results):
    """Lesson 08: with 5 seeds and 15 comparisons an interval is 2.25 times as wide."""
    import results_common

    one, other = {0: 0.9, 1: 0.8, 2: 0.7, 3: 0.9, 4: 0.8}, dict.fromkeys(range(5), 0.7)
    alone, of_15 = (results_common.compared(one, other, comparisons=n) for n in (1, 15))
    assert of_15["half_corrected"] == pytest.approx(2.2526 * alone["half_corrected"], rel=1e-3)
    assert (alone["verdict_corrected"], of_15["verdict_corrected"]) == (
        "higher",
        "within the noise",
    )
    assert results_common.gap(of_15) == "+12.00 ± 23.40 (noise)"
    assert len(results.results_training.ingredients()) == 21
