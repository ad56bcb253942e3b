"""Grade a made-up class of right, wrong, unsolved, damaged, unlucky and hostile submissions.

    python benchmarks/classroom.py --number 400 --lessons 01-02

Makes a course and, with a fixed seed, submissions to it; runs collect and grade; compares each
result with what must come out; and looks for evidence of escapes: canaries in files, in the grade
book and in other submissions, and a listening socket. Writes to data/results/ (or --results DIR)

    classroom.csv           a row for each kind: number, as expected, marks, median seconds
    classroom_summary.json  all accounted for, stops, escapes, submissions a minute, and where

Submissions that did not come out as expected are printed. --keep FOLDER leaves the course there.
"""

import argparse
import ast
import datetime
import hashlib
import inspect
import json
import os
import random
import shlex
import socket
import sqlite3
import statistics
import sys
import tempfile
import textwrap
import threading
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell

from vit_classroom.collect.collect import collect
from vit_classroom.course import course as courses
from vit_classroom.course import plan
from vit_classroom.grade import grade
from vit_classroom.repair import python_source
from vit_classroom.sandbox.processes import cores
from vit_tutorial.cli.info import describe_device
from vit_tutorial.common import machine
from vit_tutorial.common.files import write_rows

ROOT = Path(__file__).resolve().parents[1]
# The damage, the hostile cells and the wrong functions of the tests.
sys.path += [str(ROOT / "tests" / "classroom"), str(ROOT / "tests" / "checks")]
import corpus  # noqa: E402
import damage  # noqa: E402
from fair_lines import CUT, FREE, TOLD  # noqa: E402
from hostile import FORGERS, HOSTILE  # noqa: E402

CANARY = "canary-5b1f7c"


@dataclass
class Submission:
    """A made-up submission, with what must come out.

    data: the file. right: {grade_id: must it pass}; None for "not graded". lost: so many more may
    fail, because their answers were deleted. mistakes: {grade_id: name that the judge should give}.
    says: {grade_id: what the message must say}.
    """

    kind: str
    data: bytes
    right: dict[str, bool] | None
    lost: int = 0
    mistakes: dict | None = None
    says: dict | None = None


def lesson_exercises(source) -> list[dict]:
    """The exercises in order, each {"answer": the id of its cell, "grade_id", "points", "solution":
    the code, "name": the function, "check": its check or None}."""
    found, answer = [], None
    for cell in source.cells:
        own = cell.metadata.get("nbgrader", {})
        if own.get("solution") and cell.cell_type == "code":
            answer = cell
        elif own.get("grade") and cell.cell_type == "code" and answer is not None:
            code = "\n".join(
                line for line in answer.source.split("\n") if not line.strip().startswith("### ")
            )
            parts = plan.parse_check_cell(cell.source)
            observed = [part for part in parts if part.kind == "observe"]
            names = [
                node.name for node in ast.parse(code).body if isinstance(node, ast.FunctionDef)
            ]
            plain = observed[0].check if observed and observed[0].expression in names else None
            name = observed[0].expression if plain else (names[-1] if names else None)
            row = {
                "answer": answer.id,
                "grade_id": own["grade_id"],
                "solution": code,
                "name": name,
                "check": plain,
            }
            found.append(row | {"points": own["points"]})
            answer = None
    return found


# --- right answers in several styles --------------------------------------------------------------


def as_it_is(each, rng) -> str:
    return each["solution"]


def without_comments(each, rng) -> str:
    return ast.unparse(ast.parse(each["solution"]))


def talkative(each, rng) -> str:
    """Prints, sleeps, and changes the random state."""
    if not each["name"]:
        return each["solution"]
    name, first = each["name"], f"_first_{each['name']}"
    return f"""{each["solution"]}

{first} = {name}


def {name}(*args, **more):
    import time
    print('called with', len(args))
    torch.manual_seed(7)
    time.sleep(0.01)
    return {first}(*args, **more)"""


def with_helper(each, rng) -> str:
    """The work is done in a function of another name."""
    if not each["name"]:
        return each["solution"]
    name, work = each["name"], f"work_of_{each['name']}"
    helper = each["solution"].replace(f"def {name}(", f"def {work}(", 1)
    return f"{helper}\n\n\ndef {name}(*args, **more):\n    return {work}(*args, **more)"


STYLES = {
    "as it is": as_it_is,
    "without comments": without_comments,
    "talkative": talkative,
    "with a helper": with_helper,
}

NOT_NOTEBOOKS = {
    "empty file": b"",
    "prose": b"Dear teacher, the notebook is on my other computer.",
    "a PDF": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n",
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(200),
    "other JSON": b'{"name": "x", "cells": 3}',
    "deep JSON": b"[" * 100_000,
    "HTML of the notebook": b"<!DOCTYPE html><html><body><h1>Patches</h1></body></html>",
    "random bytes": bytes(range(256)) * 20,
}


def fill(release, exercises, answers: dict[str, str], extra: str | None = None):
    """The release with these answers {grade_id: code}, and a cell of the learner's own above the
    first of them."""
    nb = nbformat.from_dict(release)
    by_id = {
        each["answer"]: answers[each["grade_id"]]
        for each in exercises
        if each["grade_id"] in answers
    }
    for cell in nb.cells:
        cell.source = by_id.get(cell.id, cell.source)
    if extra is not None:
        first = next(i for i, cell in enumerate(nb.cells) if cell.id == exercises[0]["answer"])
        nb.cells.insert(first, new_code_cell(extra, id="mine"))
    return nb


# What a wrong function of tests/checks/corpus may read besides its own names.
IMPORTS = """import copy
import math

import einops
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F"""


def wrong_answer(each, rng) -> tuple[str, str | None]:
    """(code, name of the mistake or None): a function of the corpus with a known mistake if the
    check calls the function itself, else an answer that returns nothing.

    The sandbox holds no known mistakes, so the text of the function goes into the notebook.
    """
    nothing = f"def {each['name']}(*args, **more):\n    return None", None
    if not each["check"]:
        return nothing
    known = set(python_source.bound_names(IMPORTS))
    found = []
    for entry in corpus.entries(each["check"], "known"):
        text = textwrap.dedent(inspect.getsource(entry.fn))
        text = text[text.index("def ") :]
        if python_source.free_names(text) <= known:
            found.append((entry.fn.__name__, text, entry.names[0]))
    if not found:
        return nothing
    name, text, mistake = rng.choice(found)
    text = text.replace(f"def {name}(", f"def {each['name']}(", 1)
    return f"{IMPORTS}\n\n\n{text}", mistake


def submissions(
    course: Path, number: int, seed: int, port: int, outside: Path
) -> list[tuple[str, str, Submission]]:
    """(student, assignment, submission), by turns from each assignment."""
    names = list(courses.assignments(course))
    lessons = {}
    for name in names:
        source, release = (
            nbformat.read(course / k / name / f"{name}.ipynb", as_version=4)
            for k in ("source", "release")
        )
        lessons[name] = release, lesson_exercises(source)
    rng = random.Random(seed)
    damages = [("cells", name) for name in damage.CELLS if name != "none"] + [
        ("file", name) for name in damage.FILES
    ]
    damages.append(("cut", "cut off"))
    # Of each hundred, in a fixed mixture.
    shares = (
        ["right"] * 24
        + ["wrong"] * 18
        + ["unsolved"] * 3
        + ["damaged"] * 22
        + ["unlucky"] * 8
        + ["told"] * 4
        + ["not a notebook"] * 5
        + ["hostile"] * 16
    )
    turns = dict.fromkeys(shares, 0)
    made = []
    for i in range(number):
        what = shares[(i * 37) % 100]
        turn, assignment = turns[what], names[i % len(names)]
        turns[what] += 1
        release, exercises = lessons[assignment]
        fine = {each["grade_id"]: each["solution"] for each in exercises}
        passes = dict.fromkeys(fine, True)
        student = f"s{i + 1:03}"
        if what == "right":
            style = list(STYLES)[turn % len(STYLES)]
            answers = {each["grade_id"]: STYLES[style](each, rng) for each in exercises}
            one = Submission(
                f"right: {style}", damage.utf8(fill(release, exercises, answers), rng), passes
            )
        elif what == "wrong":
            answers, mistakes = dict(fine), {}
            for each in rng.sample(exercises, rng.randint(1, len(exercises))):
                answers[each["grade_id"]], mistakes[each["grade_id"]] = wrong_answer(each, rng)
            right = {grade_id: grade_id not in mistakes for grade_id in fine}
            one = Submission(
                "wrong", damage.utf8(fill(release, exercises, answers), rng), right, 0, mistakes
            )
        elif what == "unsolved":
            one = Submission("unsolved", damage.utf8(release, rng), dict.fromkeys(fine, False))
        elif what == "damaged":
            sort, name = damages[turn % len(damages)]
            nb = fill(release, exercises, fine)
            if sort == "cut":
                one = Submission(
                    "damaged: cut off", damage.cut_off(nb, rng.randrange(10**6)), passes, len(fine)
                )
            else:
                data = damage.damage(
                    nb,
                    rng.randrange(10**6),
                    *(((name,), "utf8") if sort == "cells" else (("none",), name)),
                )
                one = Submission(f"damaged: {name}", data, passes, int(name == "deleted"))
        elif what == "unlucky":  # lines above each answer that a kernel forgives, or that stop it
            lines = FREE | {name: above for name, (above, _) in CUT.items()}
            name = list(lines)[turn % len(lines)]
            answers = {grade_id: lines[name] + code for grade_id, code in fine.items()}
            one = Submission(
                f"unlucky: {name}", damage.utf8(fill(release, exercises, answers), rng), passes
            )
        elif what == "told":  # one answer with a fault, of which the learner must be told
            name = list(TOLD)[turn % len(TOLD)]
            change, says = TOLD[name]
            lost = exercises[turn % len(exercises)]["grade_id"]
            answers = fine | {lost: change(fine[lost])}
            one = Submission(
                f"told: {name}",
                damage.utf8(fill(release, exercises, answers), rng),
                passes | {lost: False},
                says={lost: says},
            )
        elif what == "not a notebook":
            name = list(NOT_NOTEBOOKS)[turn % len(NOT_NOTEBOOKS)]
            one = Submission(f"not a notebook: {name}", NOT_NOTEBOOKS[name], None)
        else:
            name = [*HOSTILE, *FORGERS][turn % (len(HOSTILE) + len(FORGERS))]
            text = (HOSTILE | FORGERS)[name].fill_in(course, assignment, outside, port)
            answers = dict(fine)
            if name in FORGERS:
                result = "Yes()" if "friendly" in name else "None"
                answers = {
                    e["grade_id"]: f"def {e['name']}(*args, **more):\n    return {result}"
                    for e in exercises
                }
                passes = dict.fromkeys(fine, False)
            one = Submission(
                f"hostile: {name}",
                damage.utf8(fill(release, exercises, answers, text), rng),
                passes,
            )
        made.append((student, assignment, one))
    return made


def compare(course: Path, student: str, assignment: str, one: Submission, listed: dict) -> dict:
    """What came out of one submission, and whether it is what must."""
    row = {
        "student": student,
        "assignment": assignment,
        "kind": one.kind,
        "there": True,
        "ok": False,
        "why": "",
        "seconds": 0.0,
    }
    row |= {"score": 0, "points": 0, "named": 0, "to name": 0}
    path = course / "results" / student / f"{assignment}.json"
    if not path.is_file():
        found = listed.get(student)
        row |= {"there": bool(found), "ok": bool(found) and one.right is None, "why": str(found)}
        return row
    result = json.loads(path.read_text(encoding="utf-8"))
    row["seconds"] = result["seconds"]
    if one.right is None or result["status"] != "graded":
        row["ok"] = (
            one.right is None and result["status"] == "not graded" and bool(result["reason"])
        )
        row["ok"] |= one.lost > 1 and bool(
            result["reason"]
        )  # cut off so early that nothing is left
        row["why"] = f"{result['status']}: {result['reason']}"
        return row
    passed = {
        each["grade_id"]: each["passed"]
        for each in result["exercises"]
        if each["passed"] is not None
    }
    row["points"] = sum(
        each["points"] for each in result["exercises"] if each["grade_id"] in one.right
    )
    row["score"] = sum(
        each["score"] or 0 for each in result["exercises"] if each["grade_id"] in one.right
    )
    low = [g for g, must in one.right.items() if must and not passed.get(g)]
    high = [g for g, must in one.right.items() if not must and passed.get(g)]
    row["ok"] = len(low) <= one.lost and not high
    whole = {each["grade_id"]: each["message"] for each in result["exercises"]}
    row["ok"] &= all(words in whole[g] for g, words in (one.says or {}).items())
    text = {g: message.split("\n")[0] for g, message in whole.items()}
    row["why"] = (
        f"fails: {[(g, text[g][:200]) for g in low]}, passes: {high}, events: {result['events']}"
    )
    named = {each["grade_id"]: each["mistake"] for each in result["exercises"]}
    wanted = {g: name for g, name in (one.mistakes or {}).items() if name}
    row["to name"], row["named"] = (
        len(wanted),
        sum(named.get(g) == name for g, name in wanted.items()),
    )
    return row


def escapes(course: Path, outside: Path, before: dict, arrived: list) -> list[str]:
    """Evidence that something got out: changed or new files outside, a connection, the canary in
    anything that was written."""
    found = [f"connection from {address}" for address in arrived]
    found += [
        f"changed: {path}"
        for path, value in state(course, outside).items()
        if before.get(path) != value
    ]
    for place in ("/etc", "/usr", "/root", "/home", "/"):
        if os.path.exists(os.path.join(place, "escaped")):
            found.append(f"written: {place}/escaped")
    for path in [*(course / "results").rglob("*"), *(course / "autograded").rglob("*")]:
        if path.is_file() and CANARY.encode() in path.read_bytes():
            found.append(f"the canary is in {path}")
    return found


def state(course: Path, outside: Path) -> dict[str, str]:
    """Digests of what no submission may change."""
    roots = [outside, course / "source", course / "release", course / "submitted"]
    paths = [path for root in roots for path in sorted(root.rglob("*")) if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--number", type=int, default=400)
    parser.add_argument("--lessons", default="01-02")
    parser.add_argument(
        "--source", type=Path, help="the folder with the lessons, if not notebooks/"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--kinds", help="only submissions whose kind contains this word")
    parser.add_argument("--results", type=Path, default=ROOT / "data" / "results")
    parser.add_argument("--keep", type=Path, help="work in this new folder, and leave it there")
    args = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="classroom-benchmark-") as temporary:
        work(args, args.keep.resolve() if args.keep else Path(temporary))


def work(args, base: Path) -> None:
    course, outside, inbox = base / "course", base / "outside", base / "inbox"
    courses.new(course, args.lessons, args.source)
    outside.mkdir()
    (outside / "canary.txt").write_text(CANARY)
    with sqlite3.connect(course / "gradebook.db") as book:
        book.execute("create table canary (word text)")
        book.execute("insert into canary values (?)", (CANARY,))
    os.environ["TEACHERS_SECRET"] = CANARY
    arrived: list = []
    server = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=listen, args=(server, arrived), daemon=True).start()
    made = submissions(course, args.number, args.seed, server.getsockname()[1], outside)
    made = [each for each in made if not args.kinds or args.kinds in each[2].kind]
    for student, assignment, one in made:
        path = inbox / f"{student}_{assignment}" / "my notebook.ipynb"
        path.parent.mkdir(parents=True)
        path.write_bytes(one.data)
    # Another submission with a canary, that is collected but belongs to nobody in the comparison.
    collect(course, inbox, r"(?P<student>s\d{3})_(?P<assignment>\w+)/")
    other = course / "submitted" / "zz_canary"
    other.mkdir()
    (other / "canary.ipynb").write_text(CANARY)
    before = state(course, outside)
    stops, told = 0, {"seconds": 0.0, "per_minute": 0.0}
    try:
        told = grade(course, jobs=args.jobs)
    except Exception as error:
        stops = 1
        print(f"the run stopped: {type(error).__name__}: {error}")
    entries = json.loads((course / "collected.json").read_text(encoding="utf-8"))
    listed = {entry["student"]: entry["reason"] for entry in entries if entry["status"] == "listed"}
    rows = [compare(course, *each, listed) for each in made]
    out = escapes(course, outside, before, arrived)
    server.close()
    for row in rows:
        if not row["ok"]:
            name = f"{row['student']} {row['assignment']} {row['kind']}"
            print(f"NOT AS EXPECTED {name}: {row['why'][:900]}")
    report(args, rows, told, stops, out)


def listen(server, arrived: list) -> None:
    try:
        while True:
            arrived.append(server.accept()[1])
    except OSError:
        pass


def report(args, rows: list[dict], told: dict, stops: int, out: list[str]) -> None:
    """The table and the summary, printed and written."""
    args.results.mkdir(parents=True, exist_ok=True)
    kinds = list(dict.fromkeys(sorted(row["kind"] for row in rows)))
    table = []
    for kind in kinds:
        mine = [row for row in rows if row["kind"] == kind]
        marks = f"{sum(row['score'] for row in mine)}/{sum(row['points'] for row in mine)}"
        seconds = round(statistics.median(row["seconds"] for row in mine), 1)
        good = sum(row["ok"] for row in mine)
        table.append(
            {
                "kind": kind,
                "number": len(mine),
                "as_expected": good,
                "marks": marks,
                "median_seconds": seconds,
            }
        )
        print(f"{kind:36} {len(mine):4} {good:4} {marks:>10} {seconds:7.1f} s")
    write_rows(args.results / "classroom.csv", table)
    named, to_name = (sum(row[key] for row in rows) for key in ("named", "to name"))
    summary = {
        "submissions": len(rows),
        "accounted_for": sum(row["there"] for row in rows),
        "as_expected": sum(row["ok"] for row in rows),
        "stops": stops,
        "escapes": len(out),
        "mistakes_named": f"{named}/{to_name}",
        "seconds": round(told["seconds"], 1),
        "submissions_a_minute": round(told["per_minute"], 1),
        "hardware": f"{cores()} cores, {describe_device(machine.pick_device())}",
        "date": datetime.date.today().isoformat(),
        "command": shlex.join(["python", "benchmarks/classroom.py", *sys.argv[1:]]),
    }
    (args.results / "classroom_summary.json").write_text(
        json.dumps(summary, indent=1) + "\n", encoding="utf-8"
    )
    print("\n".join(f"ESCAPE {line}" for line in out))
    print(json.dumps(summary, indent=1))


if __name__ == "__main__":
    main()
