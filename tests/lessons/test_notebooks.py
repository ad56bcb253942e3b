"""The lessons as files, and the tool that makes them. pytest runs their cells through nbval."""

import os
import re
import subprocess
import sys
from pathlib import Path

import lesson_heads
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from old_lessons import NOT_REWRITTEN

import notebooks as tool
from vit_tutorial.checks import recaps

ROOT = Path(__file__).parents[2]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
COPIES = [*LESSONS, *sorted((ROOT / "notebooks" / "student").glob("*.ipynb"))]
NAME = "07_trial"
MAX_COLUMNS = 88

pytestmark = pytest.mark.slow  # every test here reads all lessons or runs all functions


@pytest.fixture
def lesson(tmp_path):
    """A small lesson that `check` finds nothing wrong with, not written yet: (notebook, path)."""
    path = tmp_path / f"{NAME}.ipynb"
    time = "**Time.** About 1 minutes to read and try. On a GPU: 1 s on a T4."
    title = f"# 07 · A trial\n\n{tool.badge(path)}\n\n**Needs.** lesson 05\n\n{time}"
    cells = [
        new_markdown_cell(title),
        new_code_cell(
            tool.setup_cell(path), execution_count=1, metadata={"tags": list(tool.SETUP_TAGS)}
        ),
        new_code_cell(
            "print(6 * 7)",
            execution_count=2,
            outputs=[new_output("stream", name="stdout", text="42\n")],
        ),
    ]
    nb = new_notebook(cells=cells)
    tool.put_in_place(nb, path)  # the metadata of a lesson
    return nb, path


def too_wide(text: str) -> list[str]:
    """The lines of `text` that are wider than a page."""
    return [line for line in text.split("\n") if len(line) > MAX_COLUMNS]


def printed(cell) -> list[str]:
    """The stored outputs that are read as text: stdout, and values without picture or HTML."""
    texts = []
    for out in cell.outputs:
        if out.output_type == "stream" and out.name == "stdout":
            texts.append(out.text)
        elif set(out.get("data", {})) == {"text/plain"}:
            texts.append(out.data["text/plain"])
    return texts


def problems(lesson) -> str:
    nb, path = lesson
    nbformat.write(nb, path)
    return "\n".join(tool.check(path))


# --- the lessons ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_lesson_is_fit_to_be_committed(path):
    found = tool.check(path)
    if path.stem in NOT_REWRITTEN:
        known = [line for line in found if re.search(r": takes \d+ min|\*\*(Time|Needs)", line)]
        assert known, "take this lesson off the list in old_lessons.py"
        found = [line for line in found if line not in known]
    assert found == []


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_lesson_survives_its_text_form(path, tmp_path):
    text = tmp_path / f"{path.stem}.py"
    tool.to_text(path, text)
    old, new = nbformat.read(path, as_version=4), tool.from_text(text, path)
    assert [(cell.id, cell.cell_type, cell.source, cell.metadata) for cell in new.cells] == [
        (cell.id, cell.cell_type, cell.source, cell.metadata) for cell in old.cells
    ]


@pytest.mark.parametrize("path", COPIES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_code_is_as_wide_as_a_page(path):
    """JupyterLab cuts a line at about 108 columns; two pages side by side cut it earlier."""
    cells = tool.code_cells(nbformat.read(path, as_version=4))
    assert [line for cell in cells for line in too_wide(cell.source)] == []


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_stored_output_is_as_wide_as_a_page(path):
    """Of cells that print or show text; not of progress bars (stderr) nor the package's source."""
    wide = []
    for cell in tool.code_cells(nbformat.read(path, as_version=4)):
        if "inspect.getsource" not in cell.source:
            wide += [line for text in printed(cell) for line in too_wide(text)]
    assert wide == []


def test_too_wide_finds_a_wide_line_of_code_and_of_output(lesson):
    cell = lesson[0].cells[2]
    assert too_wide(cell.source) == [] and [too_wide(text) for text in printed(cell)] == [[]]
    cell.source, cell.outputs[0].text = "x" * 88 + "\n" + "y" * 89, "z" * 89 + "\n" + "z" * 88
    assert too_wide(cell.source) == ["y" * 89]
    assert [too_wide(text) for text in printed(cell)] == [["z" * 89]]


def test_lessons_are_numbered_once_and_the_core_has_no_gap():
    """00 to 06, 07 when it is written; extras have the numbers from 11 on."""
    numbered = [path for path in LESSONS if path.stem != tool.EXPLORE]
    names = [tool.number(path) for path in numbered]
    assert len(set(names)) == len(names)
    assert all(
        re.fullmatch(r"\d\d", tool.number(path))
        for path in numbered
        if path.stem not in NOT_REWRITTEN
    )
    core = [name for name in names if int(name[:2]) <= 7 and name.isdigit()]
    assert core == [f"{n:02}" for n in range(len(core))]


@pytest.mark.parametrize("path", COPIES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_links_of_a_lesson_point_to_something(path):
    """To other lessons and files; addresses on the web are not asked."""
    lost = []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            text = re.sub(r"```.*?```|`[^`]*`|\$[^$]*\$", "", cell.source, flags=re.DOTALL)
            for target in re.findall(r"\]\(([^)\s]+)\)", text):
                file = target.partition("#")[0]
                if not re.match(r"https?:|mailto:|attachment:|#", target) and file:
                    # a student copy lies one folder deeper, beside the other copies
                    places = [path.parent / file, path.parent.parent / "notebooks" / file]
                    lost += [target] * (not any(place.exists() for place in places))
    assert lost == []


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_core_lesson_ends_with_its_own_recap(path):
    code = "\n".join(cell.source for cell in tool.code_cells(nbformat.read(path, as_version=4)))
    calls = re.findall(r'check_recap\("(\w+)", answers\)', code)
    if lesson_heads.group(path) == "core" and path.stem not in NOT_REWRITTEN:
        assert calls == [tool.number(path)]
        assert "answers = {1: None, 2: None, 3: None, 4: None, 5: None}" in code
        assert tool.number(path) in recaps.lessons()
    else:
        assert calls in ([], [tool.number(path)])


# --- what `check` finds --------------------------------------------------------------------------


def test_check_passes_a_good_lesson(lesson):
    assert problems(lesson) == ""


def test_explore_is_checked_without_what_only_lessons_have(lesson, tmp_path):
    nb, path = lesson[0], tmp_path / f"{tool.EXPLORE}.ipynb"
    nb.cells[0].source = f"# Explore\n\n{tool.badge(path)}"
    nb.cells[1].source = tool.setup_cell(path)
    assert problems((nb, path)) == "" and 'lesson="explore"' in nb.cells[1].source
    assert tool.chosen(tmp_path, ".ipynb", []) == [] and "student" not in tool.badge(path)
    assert tool.chosen(tmp_path, ".ipynb", [tool.EXPLORE]) == [path]
    nb.cells[0].source, nb.cells[2].execution_count = "# Explore", 7
    assert "badge line" in problems((nb, path)) and "as number 7" in problems((nb, path))


def test_check_finds_a_cell_that_was_not_executed(lesson):
    lesson[0].cells[2].execution_count = None
    assert "executed as number None" in problems(lesson)


def test_check_finds_cells_executed_out_of_order(lesson):
    lesson[0].cells[2].execution_count = 5
    assert "executed as number 5" in problems(lesson)


def test_check_finds_a_stored_error(lesson):
    lesson[0].cells[2].outputs = [
        new_output("error", ename="ZeroDivisionError", evalue="division by zero", traceback=[])
    ]
    assert "stores a ZeroDivisionError" in problems(lesson)


def test_views_of_widgets_are_not_stored(lesson):
    data = {tool.WIDGET_VIEW: {"model_id": "a1"}, "text/plain": "a map"}
    lesson[0].cells[2].outputs = [new_output("execute_result", data=data, execution_count=2)]
    assert "the view of a widget" in problems(lesson)
    tool.write(*lesson)
    assert tool.check(lesson[1]) == []
    assert nbformat.read(lesson[1], as_version=4).cells[2].outputs[0].data == {
        "text/plain": "a map"
    }


@pytest.mark.parametrize("path", ["/root/x.py", "/home/ada/x", "/tmp/ipykernel_9/3.py"])
def test_check_finds_a_path_of_one_machine(lesson, path):
    lesson[0].cells[2].outputs[0].text = f"read {path}:3\n"
    assert "of one machine" in problems(lesson)
    lesson[0].cells[2].outputs[0].text = "input/output, https://example.org/home/x, data/tmp/x\n"
    assert problems(lesson) == ""


def test_check_finds_another_setup_cell(lesson):
    lesson[0].cells[1].source += "\nprint('mine')"
    assert "set-up cell differs" in problems(lesson)
    lesson[0].cells[1].metadata["tags"] = []
    assert "must be there once" in problems(lesson)


def test_check_finds_a_badge_of_another_lesson(lesson):
    lesson[0].cells[0].source = lesson[0].cells[0].source.replace(NAME, "06_training")
    assert "badge" in problems(lesson)


def test_check_finds_another_owner(lesson):
    lesson[0].cells[0].source += "\n\nSee https://github.com/someone-else/vit_tutorial/issues."
    assert "someone-else/vit_tutorial" in problems(lesson)


def test_check_finds_a_tag_that_nbval_does_not_know(lesson):
    lesson[0].cells[2].metadata["tags"] = ["nbval-ignore-outputs"]
    assert "does not know" in problems(lesson)


def test_check_finds_metadata_of_colab(lesson):
    lesson[0].metadata["colab"] = {"provenance": []}
    assert "metadata" in problems(lesson)


def test_check_finds_a_picture_without_a_description(lesson):
    data = {"image/png": "iVBORw0KGgo=", "text/plain": "a picture"}
    lesson[0].cells[2].outputs = [new_output("display_data", data=data)]
    assert "'print(6 * 7)' has no description" in problems(lesson)
    lesson[0].cells.append(new_markdown_cell("*Picture: a grid.*"))
    assert problems(lesson) == ""
    lesson[0].cells.pop()
    lesson[0].cells[2].outputs[0].metadata = {"image/png": {"alt": "a grid"}}
    assert problems(lesson) == ""


def test_alt_text_of_a_shown_figure_is_stored_once(lesson, tmp_path):
    """By plots.show, and by a figure of the package at the end of a cell; pyplot's is closed."""
    source = "import matplotlib.pyplot as plt\nfrom vit_tutorial.inspection import plots\n"
    nb, path = lesson
    nb.cells[2:] = [
        new_code_cell(source + "fig, axes = plt.subplots()\nplots.show(fig, alt='an empty axis')"),
        new_code_cell("plots.architecture(lit='patches')"),
        new_code_cell("print(plt.get_fignums())"),
    ]
    tool.execute(nb, ROOT)
    shown, drawn, last = nb.cells[2:]
    assert [len(shown.outputs), len(drawn.outputs), last.outputs[0].text] == [1, 1, "[]\n"]
    assert shown.outputs[0].metadata["image/png"] == {"alt": "an empty axis"}
    assert shown.outputs[0].data["text/plain"] == "an empty axis"
    assert drawn.outputs[0].metadata["image/png"]["alt"].endswith("and the patch embedding.")
    assert drawn.outputs[0].metadata["image/png"]["width"] == 700
    tool.write(nb, path)
    kept = nbformat.read(path, as_version=4).cells[2].outputs[0]
    assert kept.metadata["image/png"] == {"alt": "an empty axis"}
    assert tool.undescribed(nb) == []


def test_check_finds_a_file_that_is_too_large(lesson):
    lesson[0].cells.append(new_markdown_cell("x" * tool.MAX_BYTES))
    assert "bytes: at most" in problems(lesson)


# --- making a lesson -----------------------------------------------------------------------------


def test_text_form_keeps_ids_and_puts_setup_and_badge_in_place(lesson, tmp_path):
    nb, path = lesson
    ids = [cell.id for cell in nb.cells]
    nbformat.write(nb, path)
    text = tmp_path / f"{NAME}.py"
    tool.to_text(path, text)
    changed = text.read_text(encoding="utf-8").replace(
        tool.REPOSITORY, "https://github.com/old/vit_tutorial"
    )
    changed = changed.replace(tool.badge(path), "[![Open in Colab](old)](old)").replace(
        "print(6 * 7)", "print(6 * 8)"
    )
    text.write_text(changed, encoding="utf-8")
    new = tool.from_text(text, path)
    assert [cell.id for cell in new.cells] == ids
    assert new.cells[1].source == tool.setup_cell(path)
    assert tool.badge(path) in new.cells[0].source
    assert new.cells[2].source == "print(6 * 8)"


def test_text_form_has_no_empty_cells(lesson, tmp_path):
    """Of a text form that begins with code or blank lines before the first mark."""
    nb, path = lesson
    nbformat.write(nb, path)
    text = tmp_path / f"{NAME}.py"
    tool.to_text(path, text)
    header, first, rest = text.read_text(encoding="utf-8").partition("# %% [markdown]")
    text.write_text(f"{header}\n# %%\n\n{first}{rest}\n# %%\n", encoding="utf-8")
    assert [cell.source for cell in tool.from_text(text, path).cells] == [
        cell.source for cell in nb.cells
    ]


def test_head_without_numbers_takes_explore_too(lesson, folder, monkeypatch):
    nb, path = lesson[0], folder / f"{tool.EXPLORE}.ipynb"
    nb.cells[0].source = f"# Explore\n\n{tool.badge(path)}"
    nb.cells[1].source, nb.metadata = "import old", {"language_info": {"name": "python"}}
    assert "set-up cell differs" in problems((nb, path)) and "its metadata" in problems((nb, path))
    monkeypatch.setattr(sys, "argv", ["notebooks.py", "head"])
    assert tool.main() == 0
    assert tool.check(path) == [] and tool.check(lesson[1]) == []


def test_setup_cell_is_short_and_names_its_lesson():
    source = tool.setup_cell(Path("03_position_embeddings.ipynb"))
    assert len(source.split("\n")) < 15
    assert too_wide(source) == []
    assert 'colab").setup(lesson="03")' in source
    compile(source, "setup", "exec")


def test_execute_measures_and_starts_in_the_folder_of_the_lesson(tmp_path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")  # a shell's setting must not take the figures away
    source = "import os, sys, matplotlib.pyplot as plt; held = bytearray(200_000_000)\n"
    source += "plt.plot([1]); print(os.getcwd(), sys.prefix)"
    nb = new_notebook(cells=[new_code_cell(source)])
    seconds, peak = tool.execute(nb, tmp_path)
    assert seconds > 0 and 200 < peak < 2000
    assert len(nb.cells) == 1
    kinds = [out.output_type for out in nb.cells[0].outputs]
    assert "display_data" in kinds
    text = next(out.text for out in nb.cells[0].outputs if out.output_type == "stream")
    assert text.split() == [str(tmp_path), sys.prefix]


ROW = {
    "lesson": NAME,
    "seconds": "14.4",
    "peak_mb": "912",
    "cores": "2",
    "cpu": "A CPU",
    "python": "3.11.1",
    "torch": "2.6.0",
    "date": "2026-01-02",
}


@pytest.fixture
def folder(lesson, tmp_path, monkeypatch):
    """The small lesson alone in a folder, with its text form; the tool works there."""
    nb, path = lesson
    for name, place in (
        ("NOTEBOOKS", tmp_path),
        ("TEXT", tmp_path),
        ("TIMES", tmp_path / "results" / "times.csv"),
    ):
        monkeypatch.setattr(tool, name, place)
    nbformat.write(nb, path)
    tool.to_text(path, tmp_path / f"{NAME}.py")
    return tmp_path


def test_times_rewrite_the_line_minutes_first_and_keep_what_it_says_about_a_gpu(lesson, folder):
    tool.write_times([ROW])
    line = "**Time.** About 1 minutes to read and try. The computer needs 14 s on two cores. "
    line += "On a GPU: 1 s on a T4."
    path = lesson[1]
    assert line in nbformat.read(path, as_version=4).cells[0].source.split("\n")
    assert f"# {line}" in (folder / f"{NAME}.py").read_text(encoding="utf-8").split("\n")
    assert (
        tool.TIMES.read_text().splitlines()[1] == f"{NAME},14.4,912,2,A CPU,3.11.1,2.6.0,2026-01-02"
    )
    assert problems((nbformat.read(path, as_version=4), path)) == ""


def test_check_finds_a_time_line_that_is_not_the_measured_one(lesson, folder):
    tool.write_times([ROW])
    nb = nbformat.read(lesson[1], as_version=4)
    nb.cells[0].source = nb.cells[0].source.replace("14 s", "15 s")
    assert "run python tools/notebooks.py head 07" in problems((nb, lesson[1]))


def test_check_finds_a_lesson_that_is_too_long(lesson):
    lesson[0].cells.append(new_markdown_cell("word " * 170 * 46))
    assert "takes 47 minutes to read and try, 47 with the exercises: at most" in problems(lesson)


def test_check_finds_a_head_without_needs(lesson):
    lesson[0].cells[0].source = lesson[0].cells[0].source.replace("**Needs.**", "Needs")
    assert "starts with **Needs.**" in problems(lesson)


@pytest.mark.parametrize(
    ("minutes", "old", "new"),
    [
        ((40.6, 54.7), "about 5 s on 2 CPU cores; on a GPU: not measured yet.", "41 ... 55"),
        ((12.2, 12.2), "anything", "About 12 minutes to read and try."),
    ],
)
def test_time_line_has_the_readers_minutes_first(minutes, old, new):
    if "..." in new:
        new = "About 41 minutes to read and try, 55 with the exercises."
    row = ROW | {"seconds": "24.3"}
    assert lesson_heads.with_time(f"# 01 · A\n\n**Time.** {old}", minutes, row) == (
        f"# 01 · A\n\n**Time.** {new} The computer needs 24 s on two cores."
    )


@pytest.mark.parametrize(
    ("line", "needs", "shown"),
    [
        ("lessons 01 and 02", ("01", "02"), "01, 02"),
        ("Lessons 01 to 04. Not 05.", ("01", "02", "03", "04"), "01 to 04"),
        ("lessons 01, 04 and 05 (positions)", ("01", "04", "05"), "01, 04, 05"),
        ("Python, and PyTorch as far as `nn.Linear`.", (), "-"),
    ],
)
def test_needs_are_read_from_the_head(line, needs, shown):
    assert lesson_heads.needs(f"# 07 · A\n\n**Needs.** {line}") == needs
    assert lesson_heads.needs_text(needs) == shown


def test_map_of_lessons_is_filled_in():
    table = "text\n\n| | lesson | minutes | needs |\n|---|---|---|---|\n"
    row = "| 01 | [Patches](01_patches.ipynb) | {} | {} |\n| 02 | not there | 3 | - |"
    facts = {"01_patches": {"minutes": "41 (55)", "needs": "00"}}
    assert lesson_heads.filled_map(table + row.format("1", "x"), facts) == table + row.format(
        "41 (55)", "00"
    )
    assert lesson_heads.filled_map("[a](01_patches.ipynb) | 1 | 2", facts) == (
        "[a](01_patches.ipynb) | 1 | 2"
    )


# --- how strictly pytest compares the lessons ----------------------------------------------------


def run_pytest(folder: Path, *words: str) -> subprocess.CompletedProcess:
    """This repository's own pytest configuration, on a notebook somewhere else."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-c",
        str(ROOT / "pyproject.toml"),
        "--rootdir",
        str(ROOT),
        "-p",
        "no:cacheprovider",
    ]
    return subprocess.run([*command, *words, str(folder)], cwd=ROOT, capture_output=True, text=True)


CELLS = {
    "the right output": ("print(6 * 7)", "42\n", [], True),
    "a wrong output": ("print(6 * 7)", "43\n", [], False),
    "a missing output": ("print(6 * 7)", None, [], False),
    "a wrong output under the marker": ("print(6 * 7)", "43\n", ["nbval-ignore-output"], True),
    "another address": ("print('<f at 0x7f6e90917290>')", "<f at 0x7fffffff1234>\n", [], True),
    "another duration": ("print('took 3.4 ms')", "took 12.9 ms\n", [], True),
    "another number beside an address": (
        "print('0x7f6e90917290 is 5')",
        "0x7f6e90917290 is 6\n",
        [],
        False,
    ),
}


def test_strictness(tmp_path):
    cells = []
    for count, (source, stored, tags, _) in enumerate(CELLS.values(), start=1):
        outputs = [new_output("stream", name="stdout", text=stored)] if stored else []
        cells.append(
            new_code_cell(source, execution_count=count, outputs=outputs, metadata={"tags": tags})
        )
    nbformat.write(new_notebook(cells=cells), tmp_path / "trial.ipynb")
    done = run_pytest(tmp_path, "-v")
    assert done.returncode == 1, done.stdout
    for number, (name, (*_, passes)) in enumerate(CELLS.items()):
        assert f"Cell {number} {'PASSED' if passes else 'FAILED'}" in done.stdout, (
            f"{name}:\n{done.stdout}"
        )


def test_student_copies_are_not_run(tmp_path):
    student = tmp_path / "notebooks" / "student"
    student.mkdir(parents=True)
    nbformat.write(
        new_notebook(cells=[new_code_cell("raise NotImplementedError")]),
        student / "01_patches.ipynb",
    )
    nbformat.write(
        new_notebook(cells=[new_code_cell("1", execution_count=1)]),
        student.parent / "01_patches.ipynb",
    )
    done = run_pytest(tmp_path, "--collect-only", "-q")
    assert "notebooks/01_patches.ipynb" in done.stdout
    assert "student" not in done.stdout


def test_kernel_of_a_lesson_is_the_environment_that_started_it(tmp_path):
    """Also when it was started by its full path and is not on PATH, as the README does it."""
    code = """
import sys
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name="python3")
try:
    client.execute_interactive("import sys; print(sys.prefix)", timeout=60)
    print(sys.prefix)
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
"""
    path = os.pathsep.join(
        p for p in os.environ["PATH"].split(os.pathsep) if Path(p) != Path(sys.executable).parent
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.stdout.split() == [sys.prefix, sys.prefix], done.stderr


def test_a_lesson_between_two_others_has_a_letter(tmp_path):
    for name in ("06_training", "06b_recipe", "08_study"):
        (tmp_path / f"{name}.ipynb").touch()
    assert [path.stem for path in tool.chosen(tmp_path, ".ipynb", ["06"])] == ["06_training"]
    assert [path.stem for path in tool.chosen(tmp_path, ".ipynb", ["06b"])] == ["06b_recipe"]
    assert [tool.number(path) for path in tool.chosen(tmp_path, ".ipynb", [])] == [
        "06",
        "06b",
        "08",
    ]
    assert 'colab").setup(lesson="06b")' in tool.setup_cell(tmp_path / "06b_recipe.ipynb")


def test_the_tool_says_which_lessons_there_are():
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "notebooks.py", "check", "88"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "no lesson 88" in done.stderr
