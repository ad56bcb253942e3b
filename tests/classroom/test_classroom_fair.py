"""Nobody loses points to a line that a kernel would forgive, and whoever does is told why."""

import copy
import random
import time
from pathlib import Path

import damage as damaged
import nbformat
import pytest
from classroom_lesson import lesson, solved
from fair_lines import CUT, FREE, TOLD
from small_course import CHANNEL_FIRST, FULL, LOOPS, NAME, hand_in, marks, result, run, scores

from vit_classroom.course import plan, student
from vit_classroom.grading import reasons
from vit_classroom.repair import python_source
from vit_classroom.repair.matching import Release
from vit_classroom.repair.repair import repair
from vit_classroom.sandbox.execute import RunResult

ROOT = Path(__file__).parents[2]
WHOLE = {  # costs nothing, like fair_lines.FREE
    "inside": LOOPS.replace("    rows", "    %time P = P\n    rows"),
    "below": f"{LOOPS}\nassert False",
}
GPU = LOOPS.replace("    rows", "    images = images.to('cuda')\n    rows")


@pytest.mark.slow
def test_answers_are_run_as_a_kernel_runs_them(small_course, isolated):
    free = {name: above + LOOPS for name, above in FREE.items()} | WHOLE
    for name, text in free.items():
        hand_in(small_course, name, a=text)
    for name, (above, _) in CUT.items():
        hand_in(small_course, name, a=above + LOOPS)
    told = {name: (change(LOOPS), says) for name, (change, says) in TOLD.items()}
    told["gpu"] = (GPU, "The machine that grades has no GPU")
    for name, (text, _) in told.items():
        hand_in(small_course, name, a=text)
    hand_in(small_course, "wrong", a=f"1 / 0\n{CHANNEL_FIRST}", b="y = nix")
    helper = "from google.colab import drive\n\ndef same(x):\n    return x"
    uses = LOOPS.replace("    B,", "    images = same(images)\n    B,")
    hand_in(small_course, "helper", a=uses, extra=helper)
    run(small_course, cell_seconds=30)
    for name in [*free, "helper"]:
        row = result(small_course, name)
        assert scores(small_course, name) == FULL, row["exercises"][0]["message"]
        assert row["repairs"] == [] == row["events"], name
    for name, (_, says) in CUT.items():
        row = result(small_course, name)
        assert scores(small_course, name) == FULL, row["exercises"][0]["message"]
        (note,) = row["repairs"]
        assert says in note and "Exercise 1.1" in note and "cut out of the cell" in note, note
    for name, (_, says) in told.items():
        assert scores(small_course, name) == [0, *FULL[1:]]
        message = result(small_course, name)["exercises"][0]["message"]
        assert says in message, message
    # Cut out of a cell that stopped, a wrong answer stays wrong, with its name.
    assert scores(small_course, "wrong") == [0, 0, 3]
    first, second, _ = result(small_course, "wrong")["exercises"]
    assert first["mistake"] == "channel_first"
    assert "`double` is not defined" in second["message"] and "y = nix" in second["message"]


@pytest.mark.slow
def test_the_grade_book_never_disagrees(small_course, isolated):
    """What cannot be read any more has no mark left over from before."""
    hand_in(small_course, "ada")
    hand_in(small_course, "bob")
    run(small_course)
    assert marks(small_course) == {"ada": 6.0, "bob": 6.0}
    file = small_course / "submitted" / "ada" / NAME / f"{NAME}.ipynb"
    file.write_bytes(b"{")
    run(small_course)
    assert result(small_course, "ada")["status"] == "not graded"
    assert marks(small_course) == {"bob": 6.0}
    assert not (small_course / "autograded" / "ada" / NAME).exists()


# --- what is cut out ------------------------------------------------------------------------------


def test_an_answer_is_cut_out_with_what_it_reads():
    text = (
        "%matplotlib inline\nfrom google.colab import drive\nimport math\ndrive.mount('/x')\n"
        "S = math.sqrt\nfor i in range(3):\n    last = i\nprint(last)\n"
        "def g(x):\n    return S(x) + last\n!ls\ndef f(x):\n    return g(x)\nf(3)"
    )
    assert python_source.needed_statements(text, frozenset({"f"})) == [
        "import math",
        "S = math.sqrt",
        "for i in range(3):\n    last = i",
        "def g(x):\n    return S(x) + last",
        "def f(x):\n    return g(x)",
    ]
    assert python_source.needed_statements("def f(:", frozenset({"f"})) == []
    timed = python_source.needed_statements("%%timeit\ndef f(x):\n    return x", frozenset({"f"}))
    assert "\n%%" not in "\n" + timed[0]


@pytest.mark.parametrize(
    "text",
    [
        "%matplotlib inline\ndef f(x):\n    return (x\n  % 3)",
        "!pip install \\\n   einops\ndef f(x):\n    return x",
        "files = !ls\ndef f(x):\n    return x",
        "%%time\ndef f(x):\n    %time y = x\n    return y",
        "f?\ndef f(x):\n    return x\n?f",
        "%%writefile a.py\ndef f(x):\n    return x",
    ],
)
def test_lines_for_ipython_are_read_as_a_kernel_reads_them(text):
    assert "f" in python_source.defined_names(text)
    lines = "\n".join(each.text for each in python_source.statements(text))
    assert [line for line in lines.split("\n") if line.strip()] == text.split("\n")


@pytest.mark.parametrize(
    "text", [" " * 50_000 + "?" * 50_000, "%a\n" * 500, "x=" * 40_000 + "?", "!a \\\n" * 10_000,
             "\n".join(["%time f(x)"] * 19) + "\na = 1" * 3_000, "= !" * 30_000]
)  # fmt: skip
def test_monstrous_magics_cost_no_time(text):
    start = time.process_time()
    for part in (text, text[:59_000], text[:9_900]):
        python_source.parse(part)
    assert time.process_time() - start < 4


def test_no_indented_line_is_ever_dropped():
    """A function without its broken last line would be another function, and be blamed for it."""
    for broken in ("    return x +", "\u00a0   return x", "\treturn x\n    y = (", "    return 'x"):
        text = f"def f(x):\n    y = x\n{broken}\n\nz = 3 +"
        assert python_source.definition(text, "f") is None
        assert python_source.definition_block(text, "f") == f"def f(x):\n    y = x\n{broken}"
    assert python_source.definition("def f(x):\n    return x\n)\nz =", "f").startswith("def f")


def test_a_broken_answer_among_others_costs_itself_alone():
    nb = lesson()
    release = student.student_copy(nb)
    right = solved(release, nb)
    answer = next(cell for cell in right.cells if cell.id == "mean")
    answer.source = answer.source.replace("return sum", "return (sum")
    data = damaged.damage(right, 1, file="script_colab")
    made = repair(Release(release), data).notebook
    found = {cell.id: cell.source for cell in made.cells}
    assert found["mean"].strip() == answer.source.strip()
    assert "max(abs" in found["spread"]


def alone(source: str) -> list:
    made = plan._alone(source, python_source.defined_names(source), 3)
    return [(part.kind, part.names, len(part.alone)) for part in made]


def test_a_cell_of_definitions_needs_no_second_try():
    assert alone("def f(x):\n    return x\n\ndef g(x):\n    return x") == []
    assert alone("print(1)\ndef f(x):\n    return x") == [("alone", ("f",), 1)]
    assert alone("%%timeit\ndef f(x):\n    return x") == [("alone", ("f",), 1)]
    assert alone("print(1)") == []


# --- words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "problem",
    [
        "RuntimeError: Found no NVIDIA driver on your system.",
        "AssertionError: Torch not compiled with CUDA enabled",
        "RuntimeError: No CUDA GPUs are available",
        "RuntimeError: PyTorch is not linked with support for mps devices",
    ],
)
def test_what_torch_says_without_a_gpu_is_recognised(problem):
    assert reasons.NO_GPU.search(problem)
    assert not reasons.NO_GPU.search("RuntimeError: shape '[2, 3]' is invalid for input of size 5")


def test_a_time_limit_is_no_error_of_python():
    cell = nbformat.v4.new_code_cell("while True:\n    pass\ndef f(x):\n    return x")
    made = plan.Plan(nbformat.v4.new_notebook(cells=[cell]), [], {}, [], [], frozenset())
    found = RunResult(problems={(0, None): "time limit: it ran for 5 s"}, cut={0})
    note = reasons.cut_note({"answer": 0, "names": ["f"], "title": "Exercise 1: x"}, made, found)
    assert note == (
        "Exercise 1: Your cell met the time limit: it ran for 5 s. That was before `f`, so your "
        "answer was cut out of the cell and tried alone."
    )


# --- other editors' files -------------------------------------------------------------------------


@pytest.mark.parametrize("write", ["script_pycharm", "script_databricks"])
def test_scripts_of_other_editors_come_through_word_for_word(write):
    nb = lesson()
    release = student.student_copy(nb)
    right = solved(release, nb)
    done = repair(Release(release), damaged.damage(right, 1, file=write))
    own = {cell.id: cell.source for cell in done.notebook.cells}
    for cell in right.cells:
        assert own[cell.id].strip() == cell.source.strip()
    assert not any("cut out" in note for note in done.notes)


def test_the_answer_of_another_lesson_does_not_replace_this_ones():
    """Two lessons in one notebook ask for a function of the same name."""
    nb = lesson()
    release = student.student_copy(nb)
    right = solved(release, nb)
    other = copy.deepcopy(next(cell for cell in right.cells if cell.id == "mean"))
    other.id, other.metadata["nbgrader"]["grade_id"] = "two-mean", "02-mean"
    other.source = "def mean(numbers):\n    return 'of letters'"
    right.cells.append(other)
    done = repair(Release(release), damaged.utf8(right, random.Random(0)))
    text = "\n".join(cell.source for cell in done.notebook.cells)
    assert "of letters" not in text and "sum(numbers) / len(numbers)" in text
    assert any("another lesson" in note for note in done.notes)


@pytest.mark.slow
@pytest.mark.parametrize("write", [name for name in damaged.FILES if name != "conflict"])
def test_a_right_answer_in_any_format_needs_no_other_cell_of_the_lesson(write):
    """Otherwise every cell runs, which takes long, and the page calls the answer unusual."""
    nb = nbformat.read(ROOT / "notebooks" / "01_patches.ipynb", as_version=4)
    source, release = student.prepared(nb), student.student_copy(nb)
    done = repair(Release(release), damaged.damage(solved(release, nb), 1, file=write))
    made = plan.make_plan(plan.Assignment(source, release), done.notebook)
    bound, missing = set(), set()
    for part in made.selected:
        if part.kind == "run":
            missing |= python_source.free_names(part.source) - bound
            bound |= python_source.bound_names(part.source)
    assert missing & made.skipped == set()
