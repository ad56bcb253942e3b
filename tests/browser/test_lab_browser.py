"""A lesson in JupyterLab, in a real browser: as `start` opens it, run, saved, by keyboard alone."""

import json
import subprocess
from pathlib import Path

import lab_server
import nbformat
import pytest

pytest.importorskip("jupyterlab", reason='JupyterLab is not installed: pip install -e ".[lab]"')
pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(400)]

LESSON = "01_patches.ipynb"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def server(browser, tmp_path_factory):
    """Lab on copies of the lessons that git tracks, so that git can say what changed in them."""
    place = tmp_path_factory.mktemp("lab")
    work = place / "work"
    with lab_server.lab(place, "01", "--folder", str(work)) as facts:
        git(work, "init", "-q")
        git(work, "add", "-A")
        git(work, "-c", "user.name=x", "-c", "user.email=x@x.org", "commit", "-qm", "copies")
        yield facts


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


@pytest.fixture
def tab(browser, server):
    page = browser.new_page(viewport=dict(width=1280, height=900))
    yield page
    page.close()


NOTEBOOK = "jupyterapp.shell.currentWidget.content"
CLEAN = "() => !jupyterapp.shell.currentWidget.context.model.dirty"


def save(page) -> None:
    page.evaluate("() => jupyterapp.shell.currentWidget.context.save()")
    page.wait_for_function(CLEAN)


def test_the_server_shows_the_copies_and_their_student_copies(server):
    work = Path(server["root_dir"])
    assert (work / LESSON).exists() and (work / "student" / LESSON).exists()


def test_opening_and_saving_a_lesson_changes_nothing_but_pythons_version(server, tab):
    work, name = Path(server["root_dir"]), "03_position_embeddings.ipynb"
    lab_server.open_notebook(tab, server, name)
    save(tab)
    new, old = json.loads((work / name).read_text()), json.loads(git(work, "show", f"HEAD:{name}"))
    new["metadata"]["language_info"].pop("version")
    assert new == old
    changed = git(work, "diff", "--numstat", name).split()[:2]
    assert changed in ([], ["2", "1"])  # the version, and a comma on the line before it


def test_restart_and_run_all_shows_the_figures_and_saves_outputs_alone(server, tab):
    work = Path(server["root_dir"])
    before = nbformat.read(work / LESSON, as_version=4)
    lab_server.open_notebook(tab, server, LESSON)
    lab_server.clear(tab)
    assert not any(cell["count"] or cell["pictures"] for cell in lab_server.cells(tab))
    tab.click("text=Run >> visible=true")
    tab.click("li.lm-Menu-item:has-text('Restart Kernel and Run All Cells')")
    tab.click(".jp-Dialog button:has-text('Restart')")
    lab_server.wait_until_run(tab, 240)
    found = lab_server.cells(tab)
    assert [cell["errors"] for cell in found if cell["errors"]] == []
    outputs = [out for cell in before.cells for out in cell.get("outputs", [])]
    stored = sum("image/png" in out.get("data", {}) for out in outputs)
    assert sum(cell["pictures"] for cell in found) == stored > 3
    # Lab draws what is in view.
    first = next(at for at, cell in enumerate(found) if cell["pictures"])
    tab.evaluate(f"() => {NOTEBOOK}.scrollToItem({first})")
    tab.wait_for_function(
        "() => [...document.querySelectorAll('.jp-OutputArea-output img')]"
        ".some(e => e.complete && e.naturalWidth > 100 && e.getBoundingClientRect().width > 100)"
    )
    save(tab)
    after = nbformat.read(work / LESSON, as_version=4)
    assert len(after.cells) == len(before.cells)
    for old, new in zip(before.cells, after.cells):
        assert (new.source, new.id, new.metadata) == (old.source, old.id, old.metadata)
        varies = "nbval-ignore-output" in old.metadata.get("tags", [])
        texts = [
            [
                out.get("text") or out.get("data", {}).get("text/plain")
                for out in cell.get("outputs", [])
            ]
            for cell in (old, new)
        ]
        assert varies or texts[0] == texts[1], old.source
    after.metadata.get("language_info", {}).pop("version", None)
    assert after.metadata == before.metadata, "Lab's metadata must be what is stored"


def test_the_keyboard_alone_runs_a_lesson(server, tab):
    """From the top of the page: Tab to the notebook, Shift-Enter down its first cells, an answer
    typed into a cell, and back out of it."""
    lab_server.open_notebook(tab, server, "02_class_token.ipynb")
    lab_server.clear(tab)
    inside = "document.activeElement.closest('.jp-Notebook, .jp-Cell') !== null"
    for _ in range(80):  # menus, file browser and tools come first
        if tab.evaluate(inside):
            break
        tab.keyboard.press("Tab")
    assert tab.evaluate(inside), "Tab does not reach the notebook"
    tab.keyboard.press("Escape")
    for _ in range(3):  # the title, the set-up cell, the imports
        tab.keyboard.press("Shift+Enter")
    tab.wait_for_function(
        "() => Array.from(jupyterapp.shell.currentWidget.content.model.cells)"
        ".filter(c => c.type === 'code').slice(0, 2).every((c, at) => c.executionCount === at + 1)",
        timeout=120_000,
    )
    cells = len(lab_server.cells(tab))
    tab.keyboard.press("b")  # a cell of one's own, below
    tab.wait_for_function(f"() => {NOTEBOOK}.widgets.length === {cells + 1}")
    tab.keyboard.press("Enter")
    tab.wait_for_function(f"() => {NOTEBOOK}.mode === 'edit'")
    tab.keyboard.type("6 * 7")
    tab.keyboard.press("Control+Enter")
    tab.wait_for_function(
        "() => Array.from(jupyterapp.shell.currentWidget.content.model.cells)"
        ".some(c => c.sharedModel.source === '6 * 7' && c.executionCount)",
        timeout=60_000,
    )
    tab.wait_for_function(f"() => {NOTEBOOK}.mode === 'command'")
    tab.keyboard.press("Control+s")
    tab.wait_for_function(CLEAN)
    saved = nbformat.read(Path(server["root_dir"]) / "02_class_token.ipynb", as_version=4)
    assert [c.outputs[0].data["text/plain"] for c in saved.cells if c.source == "6 * 7"] == ["42"]


@pytest.mark.parametrize("width", [1280, 800])
def test_code_and_pictures_are_not_cut_on_the_right(server, browser, width):
    """88 columns of code fit beside the file browser of a laptop; a narrow window has it closed.
    Longer lines scroll; a picture shrinks."""
    page = browser.new_page(viewport=dict(width=width, height=900))
    lab_server.open_notebook(page, server, "03_position_embeddings.ipynb")
    if width < 1000:
        page.keyboard.press("Control+b")
    page.wait_for_timeout(500)
    cut = page.evaluate(
        "() => [...document.querySelectorAll('.jp-OutputArea-output img')]"
        ".filter(e => e.getBoundingClientRect().right > innerWidth).length"
    )
    assert cut == 0
    wide = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0
    if width >= 1000:
        lines = page.evaluate(
            "() => [...document.querySelectorAll('.jp-CodeCell .cm-scroller')]"
            ".filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.innerText)"
        )
        assert lines == []
    page.close()
