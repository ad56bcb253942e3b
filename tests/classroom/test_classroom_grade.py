"""Grading a small course. A test that runs a submission starts a real sandbox."""

import os
from pathlib import Path

import pytest
from small_course import (
    CHANNEL_FIRST,
    DOUBLE,
    FULL,
    LOOPS,
    NAME,
    SECRET,
    TRIPLE,
    hand_in,
    marks,
    notebook,
    reasons,
    result,
    run,
    scores,
)

from vit_classroom import grade as queue
from vit_classroom.course import plan
from vit_classroom.grade import grade, submissions
from vit_classroom.grading import desk
from vit_classroom.report import gradebook
from vit_classroom.sandbox import execute, isolation, watcher
from vit_classroom.sandbox.outputs import sanitize_outputs
from vit_classroom.sandbox.watcher import Outcome


@pytest.fixture
def course(small_course) -> Path:
    return small_course


@pytest.mark.slow
def test_right_wrong_unsolved_and_broken_files(course, isolated, capsys):
    hand_in(course, "right")
    wrong = {"b": DOUBLE.replace("2", "3"), "c": TRIPLE.replace("3 * x", "6")}
    hand_in(course, "wrong", a=CHANNEL_FIRST, **wrong)
    stub = "    raise NotImplementedError('write it')"
    stubs = [f"{text.splitlines()[0]}\n{stub}" for text in (LOOPS, DOUBLE, TRIPLE)]
    hand_in(course, "unsolved", *stubs)
    hand_in(course, "syntax", b="def double(x)\n    return 2 * x")
    hand_in(course, "empty", data=b"")
    hand_in(course, "prose", data=b"Dear teacher, my dog ate it.")
    told = run(course)
    assert (told["graded"], told["not graded"], told["interrupted"]) == (4, 2, False)
    assert "4 graded, 2 not graded" in capsys.readouterr().out

    assert scores(course, "right") == FULL
    right = result(course, "right")
    assert right["status"] == "graded" and right["reason"] is None and right["events"] == []
    assert [each["judged"] for each in right["exercises"]] == ["outside", "inside", "inside"]
    names = [each["grade_id"] for each in right["exercises"]]
    assert names == ["01-patchify-check", "01-double-check", "01-triple-check"]

    assert scores(course, "wrong") == [0, 0, 0]
    first, second, third = result(course, "wrong")["exercises"]
    assert first["mistake"] == "channel_first" and "channel" in first["message"]
    assert "twice 4 is 8" in second["message"]
    assert third["message"] == "A hidden test of this exercise failed."

    assert scores(course, "unsolved") == [0, 0, 0]
    assert result(course, "unsolved")["exercises"][0]["mistake"] == "not_written"
    assert scores(course, "syntax") == [2, 0, 3]
    for student in ("empty", "prose"):
        row = result(course, student)
        assert row["status"] == "not graded" and row["reason"]

    # The same scores in nbgrader's grade book.
    booked = marks(course)
    assert booked == {"right": 6.0, "wrong": 0.0, "unsolved": 0.0, "syntax": 5.0}

    # Hidden tests are in no output, and the notebook holds the judge's words.
    for path in (course / "results").rglob("*"):
        assert not path.is_file() or SECRET not in path.read_text(), path
    check = next(cell for cell in notebook(course, "wrong").cells if cell.id == "a-check")
    assert [(out.output_type, out.ename) for out in check.outputs] == [("error", "CheckFailed")]

    # A second call has nothing to do, until something changes.
    assert (run(course)["kept"], run(course, students=["right"], again=True)["graded"]) == (6, 1)
    files = {name: course / "submitted" / name / NAME / f"{NAME}.ipynb" for name in booked}
    again = course / "submitted" / "prose" / NAME / f"{NAME}.ipynb"
    again.write_bytes(files["right"].read_bytes())
    assert run(course)["graded"] == 1 and scores(course, "prose") == FULL


@pytest.mark.slow
def test_answer_that_uses_a_lesson_cell_is_run_with_all_cells(course, isolated):
    """Repair finds the names that an answer reads. What it cannot see is found by running."""
    hand_in(course, "plain", b="def double(x):\n    return helper_of_the_lesson * x")
    hand_in(course, "hidden", b="def double(x):\n    return eval('helper_of_the_lesson') * x")
    run(course)
    assert scores(course, "plain") == FULL and result(course, "plain")["events"] == []
    assert scores(course, "hidden") == FULL
    assert "every cell of the lesson" in result(course, "hidden")["events"][0]


@pytest.mark.slow
def test_interrupt_keeps_what_is_done(course, isolated, monkeypatch):
    for i in range(3):
        hand_in(course, f"s{i}", extra="import time\ntime.sleep(1.5)" if i else None)

    def press(*args, **more):
        done, waiting = wait(*args, **more)
        if done:
            raise KeyboardInterrupt
        return done, waiting

    wait = queue.wait
    monkeypatch.setattr(queue, "wait", press)
    told = run(course, jobs=1)
    done = len(list((course / "results").rglob("*.json")))
    assert told["interrupted"] and f"Interrupted: {3 - told['graded']} are left" in told["line"]
    assert 1 <= done < 3
    monkeypatch.setattr(queue, "wait", wait)
    told = run(course, jobs=2)
    assert (told["graded"], told["kept"]) == (3 - done, done)
    assert all(scores(course, f"s{i}") == FULL for i in range(3))


@pytest.mark.slow
def test_fault_of_ours_is_a_reason_and_stops_nothing(course, isolated, monkeypatch):
    hand_in(course, "one")
    hand_in(course, "two")
    real, calls = desk.Desk.plan, []

    def fails_once(*given):
        calls.append(given)
        return 1 / 0 if len(calls) == 1 else real(*given)

    monkeypatch.setattr(desk.Desk, "plan", fails_once)
    monkeypatch.setattr(gradebook, "record", lambda *a: "nbgrader is out of order")
    told = run(course, jobs=1)
    assert (told["graded"], told["not graded"]) == (1, 1)
    assert "ZeroDivisionError" in result(course, "one")["reason"]
    assert scores(course, "two") == FULL
    assert "out of order" in result(course, "two")["events"][0]


@pytest.mark.slow
def test_sandbox_that_does_not_start_is_tried_again(course, isolated, monkeypatch):
    """Before the first cell nothing is a learner's doing: a machine that was short of memory for a
    moment costs no marks."""
    hand_in(course, "ada")
    real, starts = isolation.Sandbox.run, []

    def fails(sandbox, *given, **more):
        if sandbox.kind != "run":
            return real(sandbox, *given, **more)
        starts.append(given)
        if len(starts) <= failing:
            return Outcome(1, None, False, "no memory", 0.1)
        return real(sandbox, *given, **more)

    monkeypatch.setattr(isolation.Sandbox, "run", fails)
    failing = 2
    assert run(course)["not graded"] == 1 and len(starts) == 2
    reason = result(course, "ada")["reason"]
    assert "as far as the first cell" in reason and reason.endswith("no memory")
    failing = 1
    starts.clear()
    assert run(course, again=True)["graded"] == 1 and scores(course, "ada") == FULL
    assert len(starts) == 3  # the visible tests twice, the hidden tests once


@pytest.mark.slow
def test_stopped_for_the_machine_is_run_again_alone_and_not_blamed(course, isolated, monkeypatch):
    """The neighbour's memory is not the learner's doing."""
    for student in ("ada", "bob"):
        hand_in(course, student)
    real, short, running, alone = isolation.Sandbox.run, [], [], []

    def stops(sandbox, *given, **more):
        if sandbox.kind != "run":
            return real(sandbox, *given, **more)
        if len(short) < times:
            short.append(1)
            return Outcome(None, watcher.MACHINE, True, "", 0.1)
        running.append(1)
        alone.append(len(running))
        try:
            return real(sandbox, *given, **more)
        finally:
            running.pop()

    monkeypatch.setattr(isolation.Sandbox, "run", stops)
    times = 2  # both, at once
    assert run(course, jobs=2)["graded"] == 2
    for student in ("ada", "bob"):
        assert scores(course, student) == FULL and result(course, student)["events"] == []
    assert set(alone) == {1}
    times = 99
    assert run(course, jobs=2, again=True)["not graded"] == 2
    assert "not the learner's doing" in result(course, "ada")["reason"]


def test_students_and_assignments_that_are_not_there(plain_course, tmp_path):
    hand_in(plain_course, "one")
    assert submissions(plain_course) == [("one", NAME)]
    with pytest.raises(ValueError, match="no assignment '09'"):
        submissions(plain_course, assignments=["09"])
    with pytest.raises(ValueError, match="no student 'x'"):
        submissions(plain_course, students=["x"])
    with pytest.raises(ValueError, match="no course"):
        grade(tmp_path)


def test_parts_of_a_check_cell():
    text = """from vit_tutorial import checks
checks.check_patchify(f)
### BEGIN HIDDEN TESTS
assert f(1)
check_attention(lambda q: g(q))
### END HIDDEN TESTS
assert f(2)"""
    parts = plan.parse_check_cell(text, 7)
    assert [(p.kind, p.check, p.expression, p.hidden) for p in parts] == [
        ("neutral", "", "", False),
        ("observe", "check_patchify", "f", False),
        ("inside", "", "", False),
        ("inside", "", "", True),
        ("observe", "check_attention", "lambda q: g(q)", True),
    ]
    assert [part.key for part in parts] == [(7, i) for i in range(5)]
    # Anything but the plain form is the teacher's own code: it runs beside the learner's.
    for text in ("print(1)", "%magic", "checks.check_patchify(f) or 1"):
        assert [part.kind for part in plan.parse_check_cell(text)] == ["inside"]


def test_only_outputs_in_form_are_kept():
    png = "iVBORw0KGgo="
    bad_png = {"text/html": "<script>", "text/plain": "p", "image/png": "<script>"}
    given = [
        {"output_type": "stream", "name": "stdout", "text": "x" * 10**6},
        {"output_type": "display_data", "data": bad_png},
        {"output_type": "display_data", "data": {"text/plain": "p", "image/png": png}},
        {"output_type": "error", "ename": 3, "evalue": "e", "traceback": "no list"},
        {"output_type": "widget"},
        "no output",
    ]
    kept = sanitize_outputs(given)
    kinds = ["stream", "display_data", "display_data", "error"]
    assert [each["output_type"] for each in kept] == kinds
    assert len(kept[0]["text"]) < 30_000 and kept[1]["data"] == {"text/plain": "p"}
    assert kept[2]["data"]["image/png"] == png
    assert sanitize_outputs("nonsense") == [] == sanitize_outputs(None)


@pytest.mark.slow
def test_relative_course_while_nbgrader_changes_the_folder(course, isolated, tmp_path, monkeypatch):
    """nbgrader goes into the course's folder for a while. Another thread that wrote to a relative
    path would miss."""
    hand_in(course, "ada")
    hand_in(course, "bob")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(course.parent)
    monkeypatch.setattr(gradebook, "record", lambda *_: os.chdir(tmp_path / "elsewhere"))
    run(Path(course.name), jobs=2)
    assert reasons(course, "ada", "bob") == [None, None]


def test_a_cell_is_not_blamed_for_hidden_tests(monkeypatch):
    """A cell that ends the second run alone, as on a busy machine, is left out there. What is said
    of it comes from the first run."""
    cell = plan.CellPart("run", "x = 1", cell=1)
    check = plan.CellPart("inside", "assert x", cell=2, part=0, hidden=True)
    ended = watcher.Outcome(None, "time limit: it ran for 9 s", False, "", 9.0)
    fine = watcher.Outcome(0, None, False, "", 1.0)
    runs = iter(
        [
            execute._Run(fine, records={0: b"{}"}, started=0, done=True),
            execute._Run(ended, started=0),
            execute._Run(fine, records={0: b"{}"}, started=0, done=True),
        ]
    )
    monkeypatch.setattr(execute, "_run_process", lambda *given: next(runs))
    found = execute.execute(None, [cell, check], {}, execute.Settings())
    assert found.ended == {} and set(found.records) == {cell.key, check.key}
    first = execute._Run(fine, records={0: b"{}"}, started=0, done=True)
    runs = iter([first, *[execute._Run(ended, started=0)] * 2])
    found = execute.execute(None, [cell, check], {}, execute.Settings())
    assert found.ended == {check.key: execute.HIDDEN_ENDED}
