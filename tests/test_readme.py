"""The README is one page, names every lesson once, and says only what the repository shows."""

import re
import shlex
from pathlib import Path

import lesson_heads
import nbformat
import pytest
import reading_time
from old_lessons import NOT_REWRITTEN
from script_common import script

from vit_tutorial.cli.main import parser

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LESSONS = lesson_heads.lessons()
MOST_WORDS = 600  # without the table of lessons


@pytest.fixture(scope="module")
def results():
    return script("tools/results.py")


def stored_outputs(path: Path) -> str:
    """All text that the lesson at `path` printed when it was executed."""
    cells = nbformat.read(path, as_version=4).cells
    outputs = [out for cell in cells for out in cell.get("outputs", [])]
    return "\n".join(out.get("text", "") for out in outputs)


def test_it_is_one_page():
    before, _, rest = README.partition("<!-- lessons -->")
    assert len((before + rest.partition("<!-- /lessons -->")[2]).split()) <= MOST_WORDS
    assert len(re.findall(r"!\[[^\]]*\]\(docs/", README)) == 1  # one picture
    assert README.index("colab-badge.svg") < README.index("git clone") < README.index("## Lessons")
    assert not re.search(r"not measured|\baim\b|142/142", README)


def test_the_map_names_every_lesson_once_with_needs_and_minutes():
    row = r"^\|(\d\d[a-z]?)\|\[.*?\]\(notebooks/(.+?)\)\|([^|]*)\|([^|]*)\|[^|]+\|$"
    rows = re.findall(row, README, re.MULTILINE)
    assert [name for _, name, *_ in rows] == [path.name for path in LESSONS]
    for (number, name, needs, minutes), path in zip(rows, LESSONS):
        assert name.startswith(f"{number}_")
        assert minutes == lesson_heads.minutes_text(path)
        if path.stem not in NOT_REWRITTEN:
            assert needs == lesson_heads.needs_text(lesson_heads.needs(lesson_heads.head(path)))


def test_lesson_00_says_the_same_minutes_and_needs():
    """Its map is made from the headers: python tools/notebooks.py head 00."""
    if LESSONS[0].stem in NOT_REWRITTEN:
        pytest.skip("the map of the older lesson has other columns")
    facts = lesson_heads.facts()
    for cell in nbformat.read(LESSONS[0], as_version=4).cells:
        if cell.cell_type == "markdown":
            assert lesson_heads.filled_map(cell.source, facts) == cell.source


def test_groups_begin_with_the_core(results):
    heads = re.findall(r"^\|\|\*\*(\w+)\*\*", results.lessons(), re.MULTILINE)
    groups = list(dict.fromkeys(map(lesson_heads.group, LESSONS)))
    assert heads == [*(group.capitalize() for group in groups), "Explore"] and groups[0] == "core"
    names = {"06_training": "core", "11_a": "deeper", "18_b": "deeper", "31_five": "beyond"}
    assert {name: lesson_heads.group(Path(name)) for name in names} == names


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_finding_of_a_lesson_is_in_its_stored_outputs(results, path):
    findings = results.results_findings.FINDINGS
    number = lesson_heads.number(path)
    assert number in findings, f"lesson {number} has no finding: tools/results_findings.py"
    finding, text = findings[number], stored_outputs(path)
    assert finding.shown or callable(finding.sentence), "nothing shows it"
    assert [line for line in finding.shown if line not in text] == []
    assert finding.text().endswith(".") and len(finding.text().split()) <= 14


def test_commands_are_ones_that_the_command_line_takes():
    block = re.search(r"## Your own pictures.*?```\n(.*?)```", README, re.DOTALL)[1]
    lines = block.strip().split("\n")
    assert len(lines) == 5
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
    assert reading_time.too_long(nb.cells) == []
    nb.cells[0].source += "word " * 170 * 43
    assert reading_time.too_long(nb.cells) == [
        "takes 46 minutes to read and try, 52 with the exercises: at most 45 and 60. It has 7,480 "
        "words, 3 lines, 1 figures, 1 guesses, 1 exercises"
    ]


def test_differences_are_corrected_for_the_comparisons_of_their_table(results):
    """Lesson 15: with 5 seeds and 15 comparisons an interval is 2.25 times as wide."""
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
