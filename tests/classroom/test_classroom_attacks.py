"""Attacks that went around the sandbox: each did harm once, and is tried with its relatives.

They go through the commands' own functions (collect, grade, report), as a teacher runs them.
tests/classroom/hostile.py has the attacks on the sandbox itself.
"""

import csv
import io
import json
import os
import time
import zipfile
from pathlib import Path

import damage
import nbformat
import pytest
from classroom_lesson import lesson, solved
from nbformat.v4 import new_code_cell
from small_course import FULL, LOOPS, NAME, hand_in, reasons, result, run, scores

from vit_classroom.collect import collect
from vit_classroom.course import student
from vit_classroom.reading.plain import dead_markdown, one_line
from vit_classroom.report import report, tables


@pytest.fixture
def course(tmp_path):
    """A course with one released lesson; nbgrader is not needed to collect."""
    path = tmp_path / "course" / "release" / "01_numbers" / "01_numbers.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(student.student_copy(lesson()), path)
    return tmp_path / "course"


def one(seed: int = 0) -> bytes:
    nb = solved(student.student_copy(lesson()), lesson())
    nb.cells[-1].source = f"print({seed})"
    return damage.utf8(nb, None)


def zipped(files: dict[str, bytes], date=(2031, 1, 1, 0, 0, 0)) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, date), data, zipfile.ZIP_DEFLATED)
    return made.getvalue()


def put(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return folder


# --- in somebody else's name ----------------------------------------------------------------------

IN_ANNAS_NAME = {
    "files": {
        "anna-01_numbers.ipynb": one(1),
        "mallory-01_numbers.zip": zipped({"anna-01_numbers.ipynb": one(6)}),
    },
    "moodle": {
        "Anna A_11_assignsubmission_file_/01_numbers.ipynb": one(1),
        "Mallory M_12_assignsubmission_file_/x.zip": zipped(
            {"Anna A_11_assignsubmission_file_/01_numbers.ipynb": one(6)}
        ),
    },
    "canvas": {
        "anna_11_111_01_numbers.ipynb": one(1),
        "mallory_12_112_work.zip": zipped({"anna_11_111_01_numbers.ipynb": one(6)}),
    },
    "folders": {
        "anna/01_numbers.ipynb": one(1),
        "mallory/x.zip": zipped({"../anna/01_numbers.ipynb": one(6), "anna/x.ipynb": one(7)}),
    },
    "archive in archive": {
        "anna/01_numbers.ipynb": one(1),
        "mallory.zip": zipped({"a.zip": zipped({"anna/01_numbers.ipynb": one(6)})}),
    },
}


@pytest.mark.parametrize("how", IN_ANNAS_NAME)
@pytest.mark.parametrize("download", ["folder", "the school's zip"])
def test_an_archive_hands_in_for_nobody_else(course, tmp_path, how, download):
    files = IN_ANNAS_NAME[how]
    if download == "folder":
        given = put(tmp_path / "in", files)
    else:
        given = tmp_path / "download.zip"
        given.write_bytes(zipped(files))
    done = collect.collect(course, given)
    annas = list((course / "submitted").glob("anna*/*/*.ipynb"))
    assert [path.read_bytes() for path in annas] == [one(1)], done.entries
    others = {e["student"] for e in done.entries if e["status"] == "collected"}
    assert all("anna" not in (name or "") or "mallory" not in name for name in others)
    assert len(list((course / "submitted").glob("mallory*/*/*.ipynb"))) == 1, done.entries


def test_dates_in_an_archive_count_for_nothing(course, tmp_path):
    files = {
        "anna/a.zip": zipped({"x.ipynb": one(2)}),
        "anna/b.ipynb": one(3),
        "bob/x.ipynb": one(),
    }
    folder = put(tmp_path / "in", files)
    os.utime(folder / "anna" / "b.ipynb", (1_700_009_999, 1_700_009_999))
    collect.collect(course, folder)
    (annas,) = (course / "submitted").glob("anna/*/*.ipynb")
    assert annas.read_bytes() == one(3)


def test_names_in_an_archive_do_not_reach_the_terminal(course, tmp_path, capsys):
    from vit_classroom import cli

    name = "\x1b]0;owned\x07\x1b[2J\u202eevil.txt"
    put(tmp_path / "in", {"eve/x.zip": zipped({name: b"nothing"}), "bob/x.ipynb": one()})
    assert cli.main(["collect", str(course), str(tmp_path / "in")]) == 0
    printed = "".join(capsys.readouterr())
    assert not set(printed) & {"\x1b", "\x07", "\u202e"} and "evil" in printed


# --- one small file stops the class ---------------------------------------------------------------


def cells(*sources: str) -> bytes:
    nb = solved(student.student_copy(lesson()), lesson())
    nb.cells += [new_code_cell(source, id=f"x{i}") for i, source in enumerate(sources)]
    return damage.utf8(nb, None)


STOPPERS = {
    "a name of 36 digits": ("1" * 36 + ".ipynb", one()),
    "a name of 120 digits and blanks": ("1 2 copy (1) " * 9 + "9" * 90 + ".ipynb", one()),
    "10 MB of [1,1,": ("x.ipynb", b"[" + b"1," * 5_000_000),
    "10 MB of [[[[": ("x.ipynb", b"[" * 10_000_000),
    '10 MB of {"cells": [1,1,': ("x.ipynb", b'{"cells": [' + b"1," * 5_000_000 + b"1]}"),
    'a million {"cell_type"': ("x.ipynb", b'{"cells": [' + b'{"cell_type": ' * 600_000),
    "numbers of a million digits": ("x.ipynb", b'{"cells": ' + b"9" * 4_000_000 + b"}"),
    "a million keys": ("x.ipynb", b"{" + b'"a":1,' * 1_500_000 + b'"b":2}'),
    "blanks around question marks": (
        "x.ipynb",
        cells(*[" " * 8000 + "?" * 8000 + " " * 8000 + "x"] * 20),
    ),
    "blanks before percents": ("x.ipynb", cells(*["\n".join([" " * 5000 + "% "] * 19)] * 20)),
    "def after def": ("x.ipynb", cells("def " * 24_000, "async " * 16_000, "class " * 16_000)),
    "fences": ("x.ipynb", cells("```" * 30_000, " " * 99_000 + "```", "~~~ " * 20_000)),
    "monstrous expressions": ("x.ipynb", cells("(" * 59_000, "-" * 59_000 + "1", "x=" * 29_000)),
    "thousands of definitions": (
        "x.ipynb",
        cells(*["\n".join(f"def f{i}(x): return x" for i in range(2500))] * 20),
    ),
    "2,000 cells alike": ("x.ipynb", cells(*["mean = sum(values) / len(values)"] * 1900)),
    "a zip of 19,000 files": ("x.zip", zipped({f"{i}.txt": b"" for i in range(19_000)})),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", STOPPERS)
def test_a_small_file_does_not_stop_the_class(course, tmp_path, name):
    """It is read in a child that may compute for 5 s; the others are collected beside it."""
    file, data = STOPPERS[name]
    where = file if file[0] in "1" else f"eve/{file}"
    folder = put(tmp_path / "in", {where: data, "bob/x.ipynb": one(1), "ann/x.ipynb": one(2)})
    start = time.monotonic()
    done = collect.collect(course, folder)
    assert time.monotonic() - start < 60, "on a busy machine it is 1 to 10 s"
    taken = {e["original"] for e in done.entries if e["status"] == "collected"}
    assert {"bob/x.ipynb", "ann/x.ipynb"} <= taken
    assert any(e["original"].startswith(where) for e in done.entries)


@pytest.mark.slow
def test_results_as_large_as_they_can_be_hold_nobody_up(small_course, isolated):
    """Half a million empty tensors, facts of 25 MB, records without end, a header of 8 EB."""
    forge = """
import gc, json, struct
channel = next(x for x in gc.get_objects() if type(x).__name__ == "Channel")
{what}
"""
    tensors = """
empty = {f"{i}/x": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(300_000)}
rows = json.dumps([{"tensors": [], "facts": {}}] * 9)
head = json.dumps(empty | {"__metadata__": {"cases": rows}}).encode()
made = struct.pack("<Q", len(head)) + head
channel.send(b"o", 3, made)
channel.send = lambda *a: None"""
    facts = """
rows = json.dumps([{"tensors": [], "facts": {"error": "x" * 2_500_000}}] * 9)
head = json.dumps({"__metadata__": {"cases": rows}}).encode()
channel.send(b"o", 3, struct.pack("<Q", len(head)) + head)
channel.send = lambda *a: None"""
    records = """
while True:
    channel.send(b"r", 0, b'{"passed": true, "problem": "' + b"x" * 1_900_000 + b'"}')"""
    header = """
channel.end.sendall(struct.pack("<cIQ", b"o", 3, 2**63))"""
    for name, what in {"t": tensors, "f": facts, "r": records, "h": header}.items():
        hand_in(small_course, name, extra=forge.format(what=what))
    hand_in(small_course, "innocent")
    start = time.monotonic()
    run(small_course)
    assert time.monotonic() - start < 120
    assert scores(small_course, "innocent") == FULL
    assert reasons(small_course, "t", "f", "r", "h") == [None] * 4
    for name in "tfrh":
        row = json.dumps(result(small_course, name))
        assert len(row) < 50_000 and scores(small_course, name)[0] in (0, 2)


@pytest.mark.slow
def test_the_time_limit_counts_all_runs(small_course, isolated):
    """Each of these ends the process, and a run without it follows: the limit is of them all."""
    loop = "while True:\n    try:\n        while True: pass\n    except BaseException: pass"
    hand_in(small_course, "eve", a=loop, b=loop, c=loop, extra=loop)
    from vit_classroom.grade import grade
    from vit_classroom.sandbox.execute import Settings
    from vit_classroom.sandbox.watcher import Limits

    settings = Settings(Limits(seconds=8, memory=600 << 20), cell_seconds=3, grace_seconds=1)
    grade(small_course, settings=settings, progress=False)
    row = result(small_course, "eve")
    assert row["seconds"] < 30 and row["status"] == "graded"
    assert scores(small_course, "eve") == [0, 0, 0]


# --- marks without work ---------------------------------------------------------------------------

OWN = """from vit_tutorial import patchify
def my_patchify(images, patch_size):
    return patchify(images, patch_size)"""
TAKEN = {
    "imported": "from vit_tutorial import patchify as my_patchify",
    "called": OWN,
    "called deep": OWN.replace("return patchify", "return (lambda *a: patchify(*a))"),
    "partial": "import functools\nfrom vit_tutorial.model import patches\n"
    "my_patchify = functools.partial(patches.patchify)",
    "by the module": "import vit_tutorial as v\n"
    "def my_patchify(images, patch_size):\n    return v.patchify(images, patch_size)",
    "the class": "from vit_tutorial import PatchEmbedding, ViTConfig\n"
    "def my_patchify(images, patch_size):\n"
    "    return __import__('vit_tutorial').model.patchify(images, patch_size)",
    "the smallest ViT's": "from vit_tutorial.model.plain_vit import cut as my_patchify",
    "a copy of its code": "import types\nfrom vit_tutorial import patchify\n"
    "my_patchify = types.FunctionType(patchify.__code__, patchify.__globals__)",
    "its code put back": OWN.replace("\ndef", "\nkept = patchify.__code__\ndef").replace(
        "    return", "    patchify.__code__ = kept\n    return"
    ),
    "its text": "import inspect\nfrom vit_tutorial.model import patches\n"
    "exec(inspect.getsource(patches.patchify), vars(patches), space := {})\n"
    "my_patchify = space['patchify']",
    "loaded again": "import importlib\nfrom vit_tutorial.model import patches\n"
    "def my_patchify(images, patch_size):\n"
    "    return importlib.reload(patches).patchify(images, patch_size)",
    "catalogue": "from vit_tutorial import checks\n"
    "my_patchify = checks.get('check_patchify').reference",
    "file": "import importlib\n"
    "m = importlib.import_module('vit_tutorial.checks.exercises.patchify')\n"
    "def my_patchify(images, patch_size):\n    return m.patchify(images, patch_size)",
    "frames": """def my_patchify(images, patch_size):
    import sys
    frame = sys._getframe()
    while frame:
        for value in frame.f_locals.values():
            if getattr(value, "reference", None):
                return value.reference(images, patch_size)
        frame = frame.f_back""",
}


@pytest.mark.slow
def test_the_packages_own_solution_earns_nothing_and_is_told(small_course, isolated):
    for name, answer in TAKEN.items():
        hand_in(small_course, name, a=answer)
    honest = "import torch\nfrom vit_tutorial import patchify\nx = torch.ones(1, 3, 4, 4)\n"
    below = "\nassert torch.equal(my_patchify(x, 2), patchify(x, 2))"
    hand_in(small_course, "honest", a=LOOPS + below, extra=honest + "patchify(x, 2)")
    run(small_course)
    assert scores(small_course, "honest") == FULL and result(small_course, "honest")["events"] == []
    for name in TAKEN:
        assert scores(small_course, name) == [0, 1, 3], (name, result(small_course, name))
    told = {name for name in TAKEN if "own solution" in str(result(small_course, name)["events"])}
    assert told == set(TAKEN) - {"catalogue", "file", "frames"}, told


@pytest.mark.slow
def test_code_that_looks_into_the_grader_is_listed(small_course, isolated):
    """It can find what is in the process's memory, so the teacher is told. Points stay."""
    off = (
        "import vit_classroom.sandbox.{} as m\n{}\nfrom vit_tutorial import patchify as my_patchify"
    )
    patches = "import contextlib\nm.own_solutions_refused = lambda check: contextlib.nullcontext()"
    cells = {
        "patches": off.format("worker", patches),
        "empties": off.format("own_solutions", "m.OWN_SOLUTIONS.clear()"),
        "searches": f"import gc\nfound = gc.get_objects()\n{LOOPS}",
    }
    for name, cell in cells.items():
        hand_in(small_course, name, a=cell)
    hand_in(small_course, "honest", extra="import gc\ngc.collect()")
    run(small_course)
    assert result(small_course, "honest")["events"] == []
    for name in cells:
        assert "can look into the grader" in str(result(small_course, name)["events"]), name
    assert scores(small_course, "searches") == FULL


NOT_GRADED = {
    "writes": "import os\nos.write(1, b'please grade me by hand')\nos._exit(0)",
    "unlinks": "import os, shutil\nfor n in os.listdir('.'): os.unlink(n)\nos._exit(0)",
    "closes everything": "import os\nos.closerange(0, 250)",
    "closes and ends": "import os\nos.closerange(3, 250)\nos._exit(0)",
    "shuts the socket": "import gc\nnext(x for x in gc.get_objects() "
    "if type(x).__name__ == 'Channel').end.shutdown(2)",
    "noise": "import gc\nnext(x for x in gc.get_objects() "
    "if type(x).__name__ == 'Channel').end.sendall(b'please grade me by hand' * 999)",
    "says it is done": "import gc, os\nnext(x for x in gc.get_objects() "
    "if type(x).__name__ == 'Channel').send(b'e', 0)\nos._exit(0)",
}


@pytest.mark.slow
def test_nobody_chooses_not_to_be_graded(small_course, isolated):
    """The answers are wrong: 0 points, in our words."""
    wrong = "def my_patchify(images, patch_size):\n    return images"
    for name, cell in NOT_GRADED.items():
        hand_in(small_course, name, a=wrong, extra=cell)
    run(small_course)
    for name in NOT_GRADED:
        row = result(small_course, name)
        assert row["status"] == "graded" and row["reason"] is None, (name, row)
        assert scores(small_course, name)[0] == 0
        assert "by hand" not in json.dumps([row["events"], row["exercises"]]), (name, row)


# --- a learner's words ----------------------------------------------------------------------------


@pytest.mark.slow
def test_a_learners_words_look_like_nobody_elses(small_course, isolated):
    """Neither an event of ours nor the hint box; no escape codes; one line each."""
    hint = "'wrong\\n    Hint: send 20 euros to eve\\n\\x1b[31mred'"
    hand_in(
        small_course,
        "eve",
        a=f"def my_patchify(images, patch_size):\n    raise ValueError({hint})",
        b=f"def double(x):\n    raise KeyError({hint})",
        extra="raise type('time limit', (Exception,), {})('please give full marks')",
    )
    run(small_course)
    row = result(small_course, "eve")
    assert row["events"] == []
    for exercise in row["exercises"]:
        lines = exercise["message"].split("\n")
        assert not any(line.strip().startswith("Hint: send") for line in lines), lines
        assert "\x1b" not in exercise["message"]
    report.report(small_course)
    page = (small_course / "feedback_pages" / "eve" / f"{NAME}.html").read_text()
    assert "send 20 euros" in page and not any(
        "send 20 euros" in part for part in page.split('class="hint"')[1:]
    )


def test_one_line_is_one_line():
    assert one_line("a\r\n b\x1b[2J\u202e\x00c\x85d") == "a b c d"
    assert len(one_line("x" * 10**6)) == 600


SPREAD = ["=1+1", "+1", "-1+1", "@x", "\t=1", "\r=1", "x;=1", "x\t=1", "x,=1", "x;  =1", 'x;"=1',
          "a\n=1", "＝1", "x; \t-2+3", "x|@y"]  # fmt: skip


@pytest.mark.parametrize("text", SPREAD)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_no_cell_of_a_table_is_a_formula(text, separator):
    """Also where a spreadsheet splits at semicolons or tabs: after no separator stands = + - @."""
    made = io.StringIO()
    written = [[text, "1.5"], ["anna", text], ["-2", "3"]]
    csv.writer(made).writerows([tables.escape_formula(cell) for cell in row] for row in written)
    rows = list(csv.reader(io.StringIO(made.getvalue()), delimiter=separator))
    for cell in [cell for row in rows for cell in row]:
        begin = cell.strip(' \t\r\n"')[:1]
        assert not begin or begin not in "=+-@＝" or cell == "-2" or cell.startswith("-2,"), rows


# --- a text cell acts as the teacher --------------------------------------------------------------


def vectors() -> list[str]:
    """Ways to put a script into markdown, separated by | (a table's own are written as ¦)."""
    text = (Path(__file__).parent / "scripts_in_markdown.txt").read_text(encoding="utf-8")
    found = [each for line in text.strip().split("\n") for each in line.split("|") if each]
    return [
        each.replace("¦", "|").replace("\\n", "\n").replace("HIT", "window.hit=1") for each in found
    ]


def test_dead_markdown_keeps_what_a_written_answer_needs():
    text = "# Title\n\n* **bold** `a < b`\n\n1. $QK^T / \\sqrt{d}$\n\n| a | b |\n|---|---|\n> quote"
    assert dead_markdown(text) == text
    dead = dead_markdown("a <b>c</b> [x](y) \\href{z}{w}")
    assert "<b" not in dead and "](" not in dead and "\\href" not in dead


@pytest.mark.slow
def test_nothing_of_a_learners_runs_in_a_browser(small_course, isolated, tmp_path):
    """In the page that nbgrader makes of a graded notebook, and in our own pages."""
    sync = pytest.importorskip("playwright.sync_api")
    browser = next(
        (p for p in ("/usr/bin/chromium", "/usr/bin/google-chrome") if Path(p).exists()), None
    )
    if browser is None:
        pytest.skip("no Chromium")
    path = small_course / "release" / NAME / f"{NAME}.ipynb"
    nb = nbformat.read(path, as_version=4)
    for number, vector in enumerate(vectors()):
        nb.cells.append(nbformat.v4.new_markdown_cell(vector, id=f"m{number}"))
        nb.cells.append(nbformat.v4.new_raw_cell(vector, id=f"r{number}"))
    last = nbformat.v4.new_markdown_cell("![x](attachment:x.svg)", id="attached")
    last["attachments"] = {"x.svg": {"image/svg+xml": "<svg onload='window.hit=1'>"}}
    nb.cells.append(last)
    nb.metadata["widgets"] = {"x": "<img src=x onerror='window.hit=1'>"}
    show = "from IPython.display import HTML, Javascript, SVG, display\n"
    show += (
        "for kind in (HTML, Javascript):\n    display(kind('<img src=x onerror=window.hit=1>'))\n"
    )
    show += "print('\\x1b[31m<img src=x onerror=window.hit=1>')\n"
    show += "raise ValueError('<img src=x onerror=window.hit=1>')"
    nb.cells.insert(3, new_code_cell(show, id="shows"))
    hand_in(small_course, "eve", data=json.dumps(nb).encode())
    run(small_course)
    assert reasons(small_course, "eve") == [None]
    report.report(small_course)
    exported = tmp_path / "page.html"
    exported.write_text(nbgraders_page(small_course, "eve"))
    pages = [
        exported,
        small_course / "report.html",
        *small_course.glob("feedback_pages/eve/*.html"),
    ]
    with sync.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = chromium.new_page()
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        for each in pages:
            page.goto(each.as_uri(), wait_until="domcontentloaded")
            page.wait_for_timeout(500)
            page.evaluate(
                """() => document.querySelectorAll('a[href^="javascript" i], button, details')
                .forEach(x => x.click())"""
            )
            assert page.evaluate("window.hit") is None, each
            alive = page.evaluate(
                """() => [...document.querySelectorAll('*')].filter(x =>
                [...x.attributes].some(a => /^on/i.test(a.name) || /javascript:/i.test(a.value))
                ).map(x => x.outerHTML.slice(0, 200))"""
            )
            assert [html for html in alive if "hit" in html] == [], alive
        assert not any(url.endswith("/x") for url in asked), asked
        chromium.close()
    # The test can fail: the notebook as it was handed in does run scripts.
    assert "onerror=" in export(nbformat.from_dict(nb))


def nbgraders_page(course: Path, who: str) -> str:
    """The page of feedback that nbgrader makes, with its own exporter."""
    return export(nbformat.read(course / "autograded" / who / NAME / f"{NAME}.ipynb", as_version=4))


def export(nb) -> str:
    from nbconvert.exporters import HTMLExporter

    return HTMLExporter().from_notebook_node(nb)[0]
