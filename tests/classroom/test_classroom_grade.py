"""Grading a small course: right, wrong, damaged and hostile submissions. A test that runs a submission starts a real sandbox."""

import json
import os
import socket
import sqlite3
import threading
import time
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from vit_classroom.course import course as courses
from vit_classroom.course import plan
from vit_classroom.grade import grade, submissions
from vit_classroom.report import gradebook
from vit_classroom.sandbox import execute as attempts
from vit_classroom.sandbox import isolation
from vit_classroom.sandbox.execute import Settings, clean

NAME = "01_small"
LOOPS = """def my_patchify(images, patch_size):
    B, C, H, W = images.shape
    P = patch_size
    rows = [images[:, :, i:i + P, j:j + P] for i in range(0, H, P) for j in range(0, W, P)]
    return torch.stack([row.permute(0, 2, 3, 1).reshape(B, -1) for row in rows], 1)"""
CHANNEL_FIRST = LOOPS.replace("row.permute(0, 2, 3, 1).reshape", "row.reshape")
DOUBLE = "def double(x):\n    return 2 * x"
TRIPLE = "def triple(x):\n    return 3 * x"
SECRET = "canary_of_the_hidden_test"


@pytest.fixture(scope="module", autouse=True)
def needs_isolation():
    try:
        isolation.probe()
    except isolation.NotIsolatedError as error:
        pytest.skip(str(error))


def graded(grade_id: str, points: int | None = None) -> dict:
    own = {
        "grade": points is not None,
        "grade_id": grade_id,
        "locked": points is not None,
        "schema_version": 3,
        "task": False,
    }
    return {
        "nbgrader": own
        | {"solution": points is None}
        | ({"points": points} if points is not None else {})
    }


def solution(text: str) -> str:
    head, body = text.split("\n", 1)
    return f"{head}\n    ### BEGIN SOLUTION\n{body}\n    ### END SOLUTION"


def small_lesson():
    """Three exercises: one judged outside, one by the teacher's asserts, one with a hidden test."""
    hidden = f"### BEGIN HIDDEN TESTS\nassert triple(5) == 15, '{SECRET}'\n### END HIDDEN TESTS"
    code = [
        (
            "setup",
            "import os\nfrom vit_tutorial import colab\n\ndevice = colab.setup(lesson='01')",
            {"tags": ["setup"]},
        ),
        ("imports", "import torch\n\nfrom vit_tutorial import checks", {"tags": ["exercise"]}),
        ("lesson", "helper_of_the_lesson = 2\nraise RuntimeError('a lesson cell ran')", {}),
        ("a", solution(LOOPS), graded("01-patchify")),
        ("a-check", "checks.check_patchify(my_patchify)", graded("01-patchify-check", 2)),
        ("b", solution(DOUBLE), graded("01-double")),
        ("b-check", "assert double(4) == 8, 'twice 4 is 8'", graded("01-double-check", 1)),
        ("c", solution(TRIPLE), graded("01-triple")),
        ("c-check", f"assert triple(2) == 6\n{hidden}", graded("01-triple-check", 3)),
    ]
    cells = [new_markdown_cell("# 01 · Small", id="title")]
    for name, text, metadata in code:
        if name in "abc":
            cells.append(
                new_markdown_cell(
                    f"**Exercise 1.{'abc'.index(name) + 1}: {name}.** Write it.", id=f"text-{name}"
                )
            )
        cells.append(new_code_cell(text, id=name, metadata=metadata))
    return new_notebook(
        cells=cells,
        metadata={
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}
        },
    )


@pytest.fixture
def course(tmp_path) -> Path:
    lessons = tmp_path / "lessons"
    lessons.mkdir()
    nbformat.write(small_lesson(), lessons / f"{NAME}.ipynb")
    courses.new(tmp_path / "course", "01", source=lessons)
    return tmp_path / "course"


def hand_in(
    course: Path,
    student: str,
    a=LOOPS,
    b=DOUBLE,
    c=TRIPLE,
    extra: str | None = None,
    data: bytes | None = None,
) -> None:
    """A submission: the release with these answers, and one cell of the learner's own above the first exercise."""
    nb = nbformat.read(course / "release" / NAME / f"{NAME}.ipynb", as_version=4)
    for cell in nb.cells:
        cell.source = {"a": a, "b": b, "c": c}.get(cell.id, cell.source)
    if extra is not None:
        place = next(i for i, cell in enumerate(nb.cells) if cell.id == "text-a")
        nb.cells.insert(place, new_code_cell(extra, id="mine"))
    folder = course / "submitted" / student / NAME
    folder.mkdir(parents=True)
    (folder / f"{NAME}.ipynb").write_bytes(nbformat.writes(nb).encode() if data is None else data)


def result(course: Path, student: str) -> dict:
    return json.loads((course / "results" / student / f"{NAME}.json").read_text())


def reasons(course: Path, *students: str) -> list:
    """Why each was not graded; None for those that were."""
    return [result(course, student)["reason"] for student in students]


def scores(course: Path, student: str) -> list:
    return [each["score"] for each in result(course, student)["exercises"]]


def run(course: Path, **more) -> dict:
    limits = isolation.Limits(seconds=60, memory=600 << 20)
    return grade(course, settings=Settings(limits, cell_seconds=6), progress=False, **more)


def test_right_wrong_unsolved_and_broken_files(course, capsys):
    hand_in(course, "right")
    hand_in(
        course, "wrong", a=CHANNEL_FIRST, b=DOUBLE.replace("2", "3"), c=TRIPLE.replace("3 * x", "6")
    )
    stub = "    raise NotImplementedError('write it')"
    hand_in(
        course, "unsolved", *(text.split("\n")[0] + "\n" + stub for text in (LOOPS, DOUBLE, TRIPLE))
    )
    hand_in(course, "syntax", b="def double(x)\n    return 2 * x")
    hand_in(course, "empty", data=b"")
    hand_in(course, "prose", data=b"Dear teacher, my dog ate it.")
    told = run(course)
    assert (told["graded"], told["not graded"], told["interrupted"]) == (4, 2, False)
    assert "4 graded, 2 not graded" in capsys.readouterr().out

    assert scores(course, "right") == [2, 1, 3]
    right = result(course, "right")
    assert right["status"] == "graded" and right["reason"] is None and right["events"] == []
    assert [each["judged"] for each in right["exercises"]] == ["outside", "inside", "inside"]
    assert [each["grade_id"] for each in right["exercises"]] == [
        "01-patchify-check",
        "01-double-check",
        "01-triple-check",
    ]

    assert scores(course, "wrong") == [0, 0, 0]
    first, second, third = result(course, "wrong")["exercises"]
    assert first["mistake"] == "channel_first" and "channel" in first["message"]
    assert "twice 4 is 8" in second["message"]
    assert third["message"] == "A hidden test of this exercise failed."

    assert (
        scores(course, "unsolved") == [0, 0, 0]
        and result(course, "unsolved")["exercises"][0]["mistake"] == "not_written"
    )
    assert scores(course, "syntax") == [2, 0, 3]
    for student in ("empty", "prose"):
        assert (
            result(course, student)["status"] == "not graded" and result(course, student)["reason"]
        )

    # The same scores in nbgrader's grade book.
    query = "select student.id, sum(grade.auto_score) from grade join submitted_notebook on grade.notebook_id=submitted_notebook.id "
    query += (
        "join submitted_assignment on submitted_notebook.assignment_id=submitted_assignment.id "
    )
    query += "join student on submitted_assignment.student_id=student.id group by student.id"
    with sqlite3.connect(course / "gradebook.db") as book:
        assert dict(book.execute(query)) == {
            "right": 6.0,
            "wrong": 0.0,
            "unsolved": 0.0,
            "syntax": 5.0,
        }

    # Hidden tests are in no output, and the notebook holds the judge's words.
    for path in (course / "results").rglob("*"):
        assert not path.is_file() or SECRET not in path.read_text(), path
    nb = nbformat.read(course / "results" / "wrong" / f"{NAME}.ipynb", as_version=4)
    check = next(cell for cell in nb.cells if cell.id == "a-check")
    assert [(out.output_type, out.ename) for out in check.outputs] == [("error", "CheckFailed")]

    # A second call has nothing to do, until something changes.
    assert (run(course)["kept"], run(course, students=["right"], again=True)["graded"]) == (6, 1)
    hand_in_again = course / "submitted" / "prose" / NAME / f"{NAME}.ipynb"
    hand_in_again.write_bytes(
        (course / "submitted" / "right" / NAME / f"{NAME}.ipynb").read_bytes()
    )
    assert run(course)["graded"] == 1 and scores(course, "prose") == [2, 1, 3]


HOSTILE = {
    # name: (a cell of the learner's, what an event must say or None)
    "endless loop": ("while True:\n    pass", "time limit"),
    "loop that catches": (
        "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass",
        "could not be interrupted",
    ),
    "too much memory": ("import torch\nkept = torch.ones(10 * 2**30 // 4)", "memory limit"),
    "memory in shared pages": (
        "import mmap\nkept = [mmap.mmap(-1, 2**24) for _ in range(90)]\nfor m in kept:\n    m.write(b'x' * 2**24)",
        "memory limit",
    ),
    "many processes": (
        "import os, time\nfor _ in range(60):\n    if os.fork() == 0:\n        time.sleep(9)\n        os._exit(0)\ntime.sleep(9)",
        "process limit",
    ),
    "endless output": ("while True:\n    print('y' * 1000)", "time limit"),
    "endless raw output": ("import os\nwhile True:\n    os.write(1, b'y' * 60000)", "limit"),
    "exit": ("import sys\nsys.exit(0)", None),
    "hard exit": ("import os\nos._exit(0)", "process ended"),
    "kill all": ("import os, signal\nos.kill(-1, signal.SIGKILL)", None),
    "segmentation fault": ("import ctypes\nctypes.string_at(0)", "process ended"),
    "no disk": (
        "import itertools\nfor i in itertools.count():\n    open(f'/tmp/{i}', 'wb').write(b'x' * 2**24)",
        None,
    ),
    "patched torch": (
        "import torch\ntorch.equal = torch.allclose = lambda *a, **k: True\ntorch.testing.assert_close = lambda *a, **k: None\n"
        "torch.Tensor.__eq__ = lambda *a: True",
        None,
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_cell_beside_right_answers(course, kind):
    """It stops nothing, and right answers elsewhere in the file keep their marks."""
    extra, says = HOSTILE[kind]
    hand_in(course, "hostile", extra=extra)
    hand_in(course, "innocent")
    run(course)
    assert reasons(course, "hostile", "innocent") == [None, None]
    row = result(course, "hostile")
    assert scores(course, "hostile") == [2, 1, 3], row
    assert scores(course, "innocent") == [2, 1, 3] and result(course, "innocent")["events"] == []
    assert says is None or any(says in event for event in row["events"]), row["events"]
    size = (course / "results" / "hostile" / f"{NAME}.ipynb").stat().st_size
    assert size < 200_000


def test_wrong_answers_get_nothing_by_patching(course):
    """Forged files, a patched torch, patched checks and a hostile result object earn no marks where the judge is outside."""
    patch = """
import torch, vit_tutorial.checks as c, vit_classroom.sandbox.wire as w
torch.testing.assert_close = lambda *a, **k: None
torch.equal = torch.allclose = lambda *a, **k: True
w.judge = lambda *a: c.Verdict(True, None, "fine")
w.observe = lambda name, fn, cases: b"passed"
type(c.check_patchify).judge = lambda *a: c.Verdict(True, None, "fine")
c.check_patchify = lambda fn: print("passed")
"""
    hand_in(course, "patched", a=CHANNEL_FIRST, extra=patch)
    hand_in(
        course,
        "forged",
        a=CHANNEL_FIRST,
        extra="""
import vit_classroom.sandbox.wire as w, json
w.observe = lambda name, fn, cases: cases
open("/sandbox/out/records.jsonl", "a").write(json.dumps({"step": 2, "passed": True, "outputs": [], "problem": None}) + "\\n")
open("/sandbox/out/01_small.json", "w").write(json.dumps({"status": "graded", "score": 100}))
""",
    )
    hand_in(
        course,
        "link",
        a="def my_patchify(images, P):\n    import os\n    os.symlink('/etc/passwd', '/sandbox/out/observed-3')",
    )
    friendly = "class Yes:\n    shape = dtype = property(lambda s: s)\n    def __eq__(self, other):\n        return True\n"
    hand_in(course, "friendly", a=f"{friendly}def my_patchify(images, P):\n    return Yes()")
    hand_in(course, "ender", a="def my_patchify(images, P):\n    import os\n    os._exit(0)")
    run(course)
    for student in ("patched", "forged", "link", "friendly", "ender"):
        row = result(course, student)
        assert scores(course, student) == [0, 1, 3], row
        assert row["exercises"][0]["message"]


SPY = """
import glob, os, pathlib, socket, sys
seen = [p for root in ("/", "/home", "/root", "/tmp", "/work", "/var", {course!r}, {home!r}) for p in glob.glob(root + "/*")]
words = []
for base, _, names in os.walk("/"):
    if base.startswith(("/proc", "/sys", "/usr", "/nix")) or "site-packages" in base or base.startswith(sys.base_prefix):
        continue
    words += [os.path.join(base, n) for n in names if n.endswith((".ipynb", ".db"))]
print("NOTEBOOKS", words)
for target in {targets!r}:
    try:
        print("LEAK", open(target, "rb").read()[:2000])
    except OSError as error:
        print("refused", error.errno)
    try:
        open(target + ".escaped", "w").write("x")
        print("WRITTEN")
    except OSError as error:
        print("refused", error.errno)
for address in [("127.0.0.1", {port}), ("192.0.2.1", 80)]:
    try:
        s = socket.create_connection(address, 2)
        s.send(b"escaped")
        print("CONNECTED")
    except OSError as error:
        print("refused", error.errno)
print("ENVIRONMENT", dict(os.environ))
print("PARENT", os.getppid(), os.listdir("/proc"))
"""


def test_nothing_outside_is_seen_or_reached(course, tmp_path, monkeypatch):
    """By evidence: canaries in files, the grade book, a hidden test, another submission, a variable; a listening socket."""
    canary = "canary_7fd1"
    monkeypatch.setenv("TEACHERS_SECRET", canary)
    (tmp_path / "teacher.txt").write_text(canary)
    with sqlite3.connect(course / "gradebook.db") as book:
        book.execute("create table canary (word text)")
        book.execute("insert into canary values (?)", (canary,))
    hand_in(course, "another", a=f"# {canary}\n{LOOPS}")
    (course / "submitted" / "empty").mkdir()
    arrived = []
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(60)

    def listen():
        try:
            arrived.append(server.accept())
        except OSError:
            pass

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    targets = [
        course / "gradebook.db",
        course / "source" / NAME / f"{NAME}.ipynb",
        tmp_path / "teacher.txt",
    ]
    targets += [
        course / "submitted" / "another" / NAME / f"{NAME}.ipynb",
        Path(plan.__file__).parents[2] / "README.md",
    ]
    port = server.getsockname()[1]
    spy = SPY.format(
        course=str(course),
        home=str(Path.home()),
        targets=[str(path) for path in targets],
        port=port,
    )
    hand_in(course, "spy", extra=spy)
    run(course, students=["spy"])
    server.close()
    nb = nbformat.read(course / "results" / "spy" / f"{NAME}.ipynb", as_version=4)
    text = next(
        cell for cell in nb.cells if cell.source == spy.strip("\n") or "NOTEBOOKS" in cell.source
    ).outputs[0]["text"]
    assert "NOTEBOOKS []" in text and text.count("refused") == 2 * len(targets) + 2, text
    assert not any(word in text for word in ("LEAK", "WRITTEN", "CONNECTED", canary, SECRET)), text
    assert arrived == [] and not list(tmp_path.rglob("*.escaped"))
    assert scores(course, "spy") == [2, 1, 3]


def test_hidden_test_cannot_be_carried_out(course):
    """Code that meets the hidden test (it is in the frames above it) can say no more than passed or failed."""
    thief = """def triple(x):
    import sys
    frame, text = sys._getframe(), ""
    while frame:
        text += repr(frame.f_locals)[:5000] + repr(frame.f_code.co_consts)
        frame = frame.f_back
    print(text)
    open("/sandbox/run/stolen", "w").write(text)
    raise ValueError(text)"""
    hand_in(course, "thief", c=thief)
    run(course)
    assert scores(course, "thief") == [2, 1, 0]
    for path in (course / "results").rglob("*"):
        assert not path.is_file() or SECRET not in path.read_text(), path


def test_answer_that_uses_a_lesson_cell_is_run_with_all_cells(course):
    hand_in(course, "leaner", b="def double(x):\n    return helper_of_the_lesson * x")
    run(course)
    assert scores(course, "leaner") == [2, 1, 3]


def test_interrupt_keeps_what_is_done(course, monkeypatch):
    for i in range(4):
        hand_in(course, f"s{i}", extra="import time\ntime.sleep(2.5)" if i else None)
    import vit_classroom.grade as module

    def press(*args, **more):
        done, waiting = wait(*args, **more)
        if done:
            raise KeyboardInterrupt
        return done, waiting

    wait = module.wait
    monkeypatch.setattr(module, "wait", press)
    start = time.monotonic()
    told = run(course, jobs=1)
    assert told["interrupted"] and "Interrupted" in told["line"] and time.monotonic() - start < 60
    done = len(list((course / "results").rglob("*.json")))
    assert 1 <= done < 4
    monkeypatch.setattr(module, "wait", wait)
    told = run(course, jobs=2)
    assert (told["graded"], told["kept"]) == (4 - done, done)
    assert all(scores(course, f"s{i}") == [2, 1, 3] for i in range(4))


def test_fault_of_ours_is_a_reason_and_stops_nothing(course, monkeypatch):
    hand_in(course, "one")
    hand_in(course, "two")
    import vit_classroom.grade as module

    real = module.repair
    monkeypatch.setattr(
        module,
        "repair",
        lambda release, data: (
            1 / 0 if not done.append(1) and len(done) == 1 else real(release, data)
        ),
    )
    done = []
    monkeypatch.setattr(gradebook, "record", lambda *a: "nbgrader is out of order")
    told = run(course, jobs=1)
    assert (told["graded"], told["not graded"]) == (1, 1)
    assert "ZeroDivisionError" in result(course, "one")["reason"]
    assert (
        scores(course, "two") == [2, 1, 3] and "out of order" in result(course, "two")["events"][0]
    )


def test_sandbox_that_does_not_start_is_tried_again(course, monkeypatch):
    """Before the first cell nothing is a learner's doing: a machine that was short of memory for a moment costs no marks."""
    hand_in(course, "ada")
    real, starts = attempts._once, []

    def fails(*given):
        starts.append(given)
        if len(starts) <= failing:
            raise attempts.NotStartedError(
                "the sandbox did not get as far as the first cell: no memory"
            )
        return real(*given)

    monkeypatch.setattr(attempts, "_once", fails)
    failing = 2
    assert (
        run(course)["not graded"] == 1
        and "as far as the first cell: no memory" in result(course, "ada")["reason"]
    )
    failing = 1
    starts.clear()
    assert run(course, again=True)["graded"] == 1 and scores(course, "ada") == [2, 1, 3]


def test_one_submission_is_read_at_a_time(course, monkeypatch):
    """`ast.parse` in two threads at once is a SystemError now and then, and a submission that nobody graded."""
    import vit_classroom.grade as module

    inside, most = [], []

    def alone(function):
        def called(*given):
            inside.append(1)
            time.sleep(0.3)
            most.append(len(inside))
            try:
                return function(*given)
            finally:
                inside.pop()

        return called

    monkeypatch.setattr(module, "repair", alone(module.repair))
    monkeypatch.setattr(plan, "make", alone(plan.make))
    monkeypatch.setattr(module, "attempt", lambda *given: attempts.Seen())
    for student in ("ada", "bob", "eve"):
        hand_in(course, student)
    assert run(course, jobs=3)["graded"] == 3 and most == [1] * 6


def test_names_that_are_not_there(course, tmp_path):
    hand_in(course, "one")
    assert submissions(course) == [("one", NAME)]
    with pytest.raises(ValueError, match="no assignment '09'"):
        submissions(course, assignments=["09"])
    with pytest.raises(ValueError, match="no student 'x'"):
        submissions(course, students=["x"])
    with pytest.raises(ValueError, match="no course"):
        grade(tmp_path)


def test_pieces_of_a_check_cell():
    text = "from vit_tutorial import checks\nchecks.check_patchify(f)\n### BEGIN HIDDEN TESTS\nassert f(1)\n"
    pieces = plan.parse(text + "check_attention(lambda q: g(q))\n### END HIDDEN TESTS\nassert f(2)")
    assert [(p.kind, p.check, p.expression, p.hidden) for p in pieces] == [
        ("neutral", "", "", False),
        ("observe", "check_patchify", "f", False),
        ("inside", "", "", False),
        ("inside", "", "", True),
        ("observe", "check_attention", "lambda q: g(q)", True),
    ]
    assert [p.kind for p in plan.parse("print(1)")] == ["inside"]
    assert [p.kind for p in plan.parse("%magic")] == ["inside"]
    # Anything but the plain form is the teacher's own code: it runs beside the learner's.
    assert [p.kind for p in plan.parse("checks.check_patchify(f) or 1")] == ["inside"]


def test_outputs_in_form_only():
    png = "iVBORw0KGgo="
    given = [
        {"output_type": "stream", "name": "stdout", "text": "x" * 10**6},
        {
            "output_type": "display_data",
            "data": {"text/html": "<script>", "text/plain": "p", "image/png": "<script>"},
        },
        {"output_type": "display_data", "data": {"text/plain": "p", "image/png": png}},
        {"output_type": "error", "ename": 3, "evalue": "e", "traceback": "no list"},
        {"output_type": "widget"},
        "no output",
    ]
    kept = clean(given)
    assert [each["output_type"] for each in kept] == [
        "stream",
        "display_data",
        "display_data",
        "error",
    ]
    assert (
        len(kept[0]["text"]) < 30_000
        and kept[1]["data"] == {"text/plain": "p"}
        and kept[2]["data"]["image/png"] == png
    )
    assert clean("nonsense") == [] == clean(None)


def test_a_course_named_from_here_while_nbgrader_changes_the_folder(course, tmp_path, monkeypatch):
    """nbgrader goes into the course's folder for a while; another thread that writes by a relative path would miss."""
    from vit_classroom.report import gradebook

    hand_in(course, "ada")
    hand_in(course, "bob")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(course.parent)

    def goes_away(*_):
        os.chdir(tmp_path / "elsewhere")

    monkeypatch.setattr(gradebook, "record", goes_away)
    run(Path(course.name), jobs=2)
    assert reasons(course, "ada", "bob") == [None, None]
