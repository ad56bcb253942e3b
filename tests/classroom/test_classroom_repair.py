"""Repair: answers in damaged files come through word for word; nothing raises or is executed."""

import json
import random
import time
from pathlib import Path

import damage as damaged
import nbformat
import pytest
from classroom_lesson import lesson, solved

import notebooks as tool
from vit_classroom.course import student
from vit_classroom.repair import repair as repairs
from vit_classroom.repair.matching import Release

ROOT = Path(__file__).parents[2]
# Damage that may leave nothing to tell: nothing that counts was changed.
QUIET = ("none", "own_cells", "moved", "split", "ids_only", "copied_check", "check_changed")


def repair(release, data: bytes):
    return repairs.repair(Release(release), data)


def sources(nb) -> dict:
    return {
        cell.metadata["nbgrader"]["grade_id"]: cell.source.strip()
        for cell in nb.cells
        if cell.metadata.get("nbgrader", {}).get("solution") and cell.cell_type == "code"
    }


def real_lessons() -> list[Path]:
    paths = sorted((ROOT / "notebooks").glob("[0-9][0-9]*_*.ipynb"))
    return [
        path
        for path in paths
        if student.exercises(nbformat.read(path, as_version=4)) and tool.student_path(path).exists()
    ]


def cases() -> list:
    """The tiny lesson and every real one with exercises; real ones are large, so they are slow."""
    return ["tiny", *(pytest.param(path.stem, marks=pytest.mark.slow) for path in real_lessons())]


@pytest.fixture(scope="module", params=cases())
def case(request):
    """(release, the solved copy)"""
    if request.param == "tiny":
        nb = lesson()
    else:
        nb = nbformat.read(ROOT / "notebooks" / f"{request.param}.ipynb", as_version=4)
    release = student.student_copy(nb)
    return release, solved(release, nb)


@pytest.fixture
def tiny():
    release = student.student_copy(lesson())
    return release, solved(release, lesson())


def by_id(nb, name):
    return next(cell for cell in nb.cells if cell.id == name)


# --- every damage ---------------------------------------------------------------------------------


def seeds(case, tiny=12, real=1):
    """Fewer for the real lessons, whose notebooks are large."""
    return range(tiny if len(case[0].cells) < 20 else real)


def run(case, seed, cells, file="utf8"):
    release, right = case
    done = repair(release, damaged.damage(right, seed, cells, file))
    assert done.reason is None, (seed, cells, file, done.reason)
    nbformat.validate(done.notebook)
    return done


def same_as(case, done, about, lost=0):
    release, right = case
    wanted, found = sources(right), sources(done.notebook)
    wrong = [name for name in wanted if found[name] != wanted[name]]
    shown = {name: (wanted[name], found[name]) for name in wrong}
    assert len(wrong) <= lost, (about, shown, done.notes)
    ids = [cell.id for cell in done.notebook.cells if not cell.id.startswith("extra-")]
    assert ids == [cell.id for cell in release.cells], about
    for mine in release.cells:
        if damaged.is_check(mine):
            assert by_id(done.notebook, mine.id).source == mine.source, about


@pytest.mark.parametrize("name", damaged.CELLS)
def test_damage_to_cells(case, name):
    for seed in seeds(case):
        done = run(case, seed, [name])
        same_as(case, done, (name, seed))
        alone = name == "merged_answers" and len(student.exercises(case[0])) == 1
        assert done.notes or name in QUIET or alone, (name, seed)  # one answer cannot be merged


@pytest.mark.parametrize(
    "name", [name for name in damaged.CELLS if name not in ("colab", "old_release", "reordered")]
)
def test_damage_to_cells_whose_marks_are_lost(case, name):
    for seed in seeds(case):
        same_as(case, run(case, seed, [name, "colab"]), (name, "colab", seed))


@pytest.mark.parametrize("name", damaged.FILES)
def test_damage_to_the_file(case, name):
    for seed in seeds(case):
        same_as(case, run(case, seed, ["none"], name), (name, seed))


def test_what_was_done_to_the_file_is_told(tiny):
    says = {
        "bom": "byte order mark",
        "utf16": "UTF-16",
        "windows": "Windows",
        "conflict": "damaged",
        "script_colab": "Python script",
    }
    for name, words in says.items():
        text = nbformat.reads(nbformat.writes(tiny[1]), as_version=4)
        text.cells[3].source += " Größe, naïve, café, Ärger, Öl"
        notes = repair(tiny[0], damaged.damage(text, 1, file=name)).notes
        assert any(words in note for note in notes), (name, notes)


def test_a_cell_is_known_by_its_id_alone(tiny):
    """The learner renamed the function, and the metadata was lost: it is still the answer to this
    exercise."""
    release, right = tiny
    nb = nbformat.reads(nbformat.writes(right), as_version=4)
    by_id(nb, "mean").source = "def average(numbers):\n    return 1\n\nmean = average"
    done = repair(release, damaged.damage(nb, 1, ["ids_only"]))
    assert sources(done.notebook)["01-mean"] == by_id(nb, "mean").source


def test_two_damages_and_a_file(case):
    rng = random.Random(1)
    mild = [
        n
        for n in damaged.CELLS
        if n not in ("merged_all", "reordered", "split", "split_bare", "merged", "deleted_check")
    ]
    files = [name for name in damaged.FILES if "script" not in name and name != "version_3"]
    for seed in seeds(case, 60, 6):
        cells, file = rng.sample(mild, 2), rng.choice(files)
        if cells[0] in (
            "colab",
            "ids_only",
        ):  # afterwards nothing can be found by its marks, also not by the generator
            cells.reverse()
        if cells == [
            "answer_in_check",
            "check_changed",
        ]:  # the second would delete the answer that the first put there
            cells.reverse()
            done = run(
                case, seed, cells, file
            )  # what is left of the changed check may trail the answer; it must be whole
            wanted, found = sources(case[1]), sources(done.notebook)
            assert all(found[name].startswith(wanted[name]) for name in wanted), (
                cells,
                file,
                seed,
                done.notes,
            )
            continue
        if {"colab", "ids_only"} >= set(cells):
            continue
        same_as(case, run(case, seed, cells, file), (cells, file, seed))


def test_a_deleted_answer_costs_itself_alone_and_is_told(case):
    release, right = case
    for seed in seeds(case):
        nb = nbformat.reads(nbformat.writes(right), as_version=4)
        nb = damaged.deleted(nb, random.Random(seed))
        done = repair(release, damaged.utf8(nb, None))
        same_as(case, done, seed, lost=1)
        assert any("missing" in note and "without an answer" in note for note in done.notes)


def test_a_file_cut_off_keeps_its_complete_cells(case):
    release, right = case
    for seed in seeds(case):
        data = damaged.cut_off(right, seed)
        done = repair(release, data)
        assert done.reason is None and any("complete cells" in note for note in done.notes)
        shown = data.decode(errors="replace")
        for name, source in sources(done.notebook).items():
            whole = json.dumps(sources(right)[name], ensure_ascii=False)[1:-1] in shown
            cell_ended = whole and shown.index(
                json.dumps(sources(right)[name], ensure_ascii=False)[1:-1]
            ) + len(source) + 40 < len(shown)
            assert source == sources(right)[name] or not cell_ended, (seed, name)


def test_an_undamaged_file_needs_no_repair(case):
    release, right = case
    done = repair(release, damaged.utf8(right, None))
    assert done.notes == []
    assert [cell.source for cell in done.notebook.cells] == [cell.source for cell in right.cells]


def test_an_unsolved_copy_stays_unsolved(case):
    release, _ = case
    done = repair(release, damaged.utf8(release, None))
    assert done.notes == []
    assert [cell.source for cell in done.notebook.cells] == [cell.source for cell in release.cells]


# --- what counts ----------------------------------------------------------------------------------


def test_the_last_complete_answer_counts(tiny):
    release, right = tiny
    nb = nbformat.reads(nbformat.writes(right), as_version=4)
    at = damaged.answers(nb)[0]
    texts = [
        "def mean(numbers):\n    return 1",
        "def mean(numbers):\n    return 2",
        "def mean(numbers):\n    return (",
        release.cells[at].source,
    ]
    cells = [nbformat.from_dict(nb.cells[at] | {"source": text}) for text in texts]
    nb.cells[at : at + 1] = cells
    done = repair(release, damaged.utf8(nb, None))
    assert sources(done.notebook)["01-mean"] == "def mean(numbers):\n    return 2"
    assert any("Exercise 1.1: there were 3 cells with an answer" in note for note in done.notes), (
        done.notes
    )


def test_halves_that_were_moved_apart_are_joined(tiny):
    release, right = tiny
    nb = nbformat.reads(nbformat.writes(right), as_version=4)
    at = damaged.answers(nb)[1]
    lines = nb.cells[at].source.split("\n")
    below = nbformat.from_dict(nb.cells[at] | {"source": "\n".join(lines[2:])})
    nb.cells[at].source = "\n".join(lines[:2])
    nb.cells.insert(2, below)
    done = repair(release, damaged.utf8(nb, None))
    assert sources(done.notebook) == sources(right)
    assert "Exercise 1.2: your answer was split over several cells. They were joined." in done.notes


def test_playing_below_with_the_same_name_does_not_replace_the_answer(tiny):
    release, right = tiny
    nb = nbformat.reads(nbformat.writes(right), as_version=4)
    nb.cells.append(
        nbformat.v4.new_code_cell("def mean(numbers):\n    return 0  # what does the check say?")
    )
    assert sources(repair(release, damaged.utf8(nb, None)).notebook) == sources(right)


def test_a_helper_below_is_moved_above_the_answer_that_needs_it(tiny):
    release, right = tiny
    nb = nbformat.reads(nbformat.writes(right), as_version=4)
    by_id(
        nb, "mean"
    ).source = "def mean(numbers):\n    return np.asarray(add(numbers)) / len(numbers)"
    nb.cells.append(nbformat.v4.new_code_cell("def add(numbers):\n    return np.sum(numbers)"))
    nb.cells.append(nbformat.v4.new_code_cell("import numpy as np"))
    done = repair(release, damaged.utf8(nb, None))
    order = [cell.source for cell in done.notebook.cells]
    assert max(order.index("import numpy as np"), order.index(nb.cells[-2].source)) < order.index(
        by_id(nb, "mean").source
    )
    assert any("moved above" in note for note in done.notes)


def test_a_lesson_cell_that_an_answer_leans_on_is_run(tiny):
    nb = lesson()
    by_id(nb, "plain").source = "factor = base * 2"
    nb.cells.insert(2, nbformat.v4.new_code_cell("base = 1\nother = 2", id="base"))
    nb.cells.insert(3, nbformat.v4.new_code_cell("numbers = [1]", id="unused"))
    release = student.student_copy(nb)
    right = solved(release, nb)
    by_id(right, "spread").source = "def spread(numbers):\n    return max(numbers) * factor"
    done = repair(release, damaged.utf8(right, None))
    tagged = [
        cell.id for cell in done.notebook.cells if "exercise" in cell.metadata.get("tags", [])
    ]
    assert tagged == ["base", "helper", "plain"]


def test_own_and_changed_cells_stay_in_their_place(tiny):
    release, right = tiny
    nb = nbformat.reads(nbformat.writes(right), as_version=4)
    at = next(at for at, cell in enumerate(nb.cells) if cell.id == "plain")
    nb.cells[at].source = "print(mean_of([4, 5, 6]))"
    nb.cells.insert(at + 1, nbformat.v4.new_code_cell("print('mine')"))
    done = repair(release, damaged.utf8(nb, None)).notebook
    at = next(at for at, cell in enumerate(done.cells) if cell.id == "plain")
    assert [cell.source for cell in done.cells[at : at + 2]] == [
        "print(mean_of([4, 5, 6]))",
        "print('mine')",
    ]
    assert done.cells[at + 1].id == "extra-1"


def test_setup_and_helper_cells_are_the_releases(tiny):
    release, right = tiny
    nb = nbformat.reads(nbformat.writes(right), as_version=4)
    by_id(nb, "helper").source = "def mean_of(numbers):\n    return 0"
    done = repair(release, damaged.utf8(nb, None)).notebook
    assert by_id(done, "helper").source == by_id(release, "helper").source
    assert done.cells[3].source == "def mean_of(numbers):\n    return 0"


def test_a_written_answer_comes_through(tiny):
    release, right = tiny
    for name in ("none", "colab", "own_cells", "reordered"):
        done = repair(release, damaged.damage(right, 3, [name]))
        if name != "reordered":
            assert by_id(done.notebook, "why").source == "Because of outliers."


def test_outputs_of_a_submission_are_not_taken_over(tiny):
    release, right = tiny
    nb = nbformat.reads(nbformat.writes(right), as_version=4)
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs = [
                nbformat.v4.new_output(
                    "display_data", data={"text/html": "<script>alert(1)</script>"}
                )
            ]
    assert "script" not in nbformat.writes(repair(release, damaged.utf8(nb, None)).notebook)


def test_a_hidden_trick_in_the_check_cell_does_not_survive(tiny):
    release, right = tiny
    nb = nbformat.reads(nbformat.writes(release), as_version=4)
    by_id(nb, "mean-check").source = "print('passed')"
    done = repair(release, damaged.utf8(nb, None))
    assert by_id(done.notebook, "mean-check").source == by_id(release, "mean-check").source
    assert any("check was changed" in note for note in done.notes)


def test_nothing_is_executed(tiny, tmp_path):
    release, right = tiny
    mark = tmp_path / "ran"
    nb = nbformat.reads(nbformat.writes(right), as_version=4)
    write = f"open({str(mark)!r}, 'w').write('x')"
    by_id(nb, "mean").source = f"{write}\ndef mean(numbers={write}):\n    return 1"
    repair(release, damaged.utf8(nb, None))
    assert not mark.exists()


# --- files that are something else ----------------------------------------------------------------

OTHER = {
    "empty": (b"", "empty"),
    "blank": (b"\xef\xbb\xbf \n\n", "empty"),
    "zeros": (b"\x00" * 500, "empty"),
    "pdf": (b"%PDF-1.7 xyz", "PDF"),
    "zip": (b"PK\x03\x04abc", "zip"),
    "picture": (b"\x89PNG\r\n\x1a\n...", "picture"),
    "noise": (bytes(random.Random(0).randrange(256) for _ in range(3000)), "neither"),
    "web page": (b"<!DOCTYPE html>\n<html><body>Sign in to Colab</body></html>", "web page"),
    "essay": ("Liebe Frau Müller, ich habe leider nichts.".encode(), "neither"),
    "number": (b"42", "neither"),
    "no cells": (b'{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', "no cells"),
    "other JSON": (b'{"url": "https://colab.research.google.com/drive/x"}', "no cells"),
    "strange JSON": (
        b'{"cells": [1, null, {"cell_type": 3}, {"cell_type": "code", "source": {"a": 1}}]}',
        "not this lesson",
    ),
    "deep": (b"[" * 100_000, "not one complete cell"),
    "deep object": (b'{"a":' * 100_000, "not one complete cell"),
    "half": (b'{"cells": [{"cell_type": "code", "sou', "not one complete cell"),
    "many starts": (b'{"id":"' * 500_000, "not one complete cell"),
    "nested starts": (b'{"source":[' * 500_000, "not one complete cell"),
    "huge": (b"x" * 40_000_000, "MB"),
    "many cells": (
        b'{"cells": [' + b",".join([b'{"cell_type":"code","source":"1"}'] * 3000) + b"]}",
        "cells; at most",
    ),
    "another lesson": (
        b'{"cells": [{"cell_type": "code", "source": "print(1)"}]}',
        "not this lesson",
    ),
}


@pytest.mark.parametrize("name", OTHER)
def test_what_is_no_notebook_gets_a_reason_quickly(tiny, name):
    data, says = OTHER[name]
    start = time.perf_counter()
    done = repair(tiny[0], data)
    assert done.notebook is None and says in done.reason, done.reason
    assert time.perf_counter() - start < 8


def test_any_bytes_are_survived(tiny):
    """A right file with a few bytes changed, anywhere."""
    release, right = tiny
    data = damaged.utf8(right, None)
    for seed in range(150):
        rng, broken = random.Random(seed), bytearray(data)
        for _ in range(rng.randrange(1, 30)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        done = repair(release, bytes(broken))
        assert (done.notebook is None) == (done.reason is not None)
        if done.notebook is not None:
            nbformat.writes(done.notebook).encode()


def test_strange_characters_do_not_stop_it(tiny):
    release, right = tiny
    nb = nbformat.reads(nbformat.writes(right), as_version=4)
    by_id(nb, "mean").source = "def mean(numbers):\n    return '\\ud800 \x00 ü 漢' and 1"
    data = json.dumps(nb).replace("\\\\ud800", "\\ud800").encode()
    assert "return" in nbformat.writes(repair(release, data).notebook).encode().decode()


def test_an_answer_with_a_fault_of_grammar_is_kept_as_it_is(case):
    """Its first lines are Python. Cut out alone, they would look as if nothing had been written."""
    release, right = case
    nb = nbformat.reads(nbformat.writes(right), as_version=4)
    cell = next(
        cell
        for cell in nb.cells
        if cell.metadata.get("nbgrader", {}).get("solution") and "\ndef " in f"\n{cell.source}"
    )
    head, _, rest = cell.source.partition("\n")
    cell.source = f'{head}\n    """What it says."""\n        return 1\n'
    done = repair(release, damaged.utf8(nb, None))
    kept = next(
        c
        for c in done.notebook.cells
        if c.metadata.get("nbgrader", {}).get("grade_id") == cell.metadata.nbgrader.grade_id
    )
    assert kept.source.strip() == cell.source.strip()
