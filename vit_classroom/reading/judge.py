"""The work of kind "judge": plan one submission, and judge what its run sent.

Both read what a learner sent, so each is done in a limited child without network or files, and the
grader takes bytes out of it with bounds. Prepared with the course's own notebooks and a secret
seed, neither of which is ever in the sandbox where learners' code runs.
"""

import json

import nbformat

from vit_tutorial import checks

from ..course import plan
from ..grading.inside import looks_inside
from ..grading.outputs import notebook_with_outputs
from ..grading.reasons import cut_note
from ..grading.verdict import OWN_SOLUTION, Judge, grade_exercise
from ..repair.matching import Release
from ..repair.repair import repair
from ..sandbox.execute import Key, RawResult
from ..sandbox.zygote import Channel, split
from .results import missing_names, read_result


class Course:
    """The course's own notebooks, by assignment, and the judge."""

    def __init__(self, config: dict):
        self.judge = Judge(config["secret"])
        self.own, self.problems = {}, {}
        for name, texts in config["assignments"].items():
            try:
                source, release = (nbformat.reads(text, as_version=4) for text in texts)
                self.own[name] = plan.Assignment(source, release), Release(release)
            except Exception as error:  # one broken notebook of the course stops no other lesson
                self.problems[name] = f"{type(error).__name__}: {error}"

    def checks(self) -> set[str]:
        """The checks that the lessons call: they are loaded once, before any work."""
        cells = (text for assignment, _ in self.own.values() for text in assignment.checks.values())
        called = "\n".join(cells)
        return {name for name in checks.names() if name in called}

    def get(self, name: str):
        if name in self.problems:
            raise ValueError(f"the course's own notebook {name} is broken: {self.problems[name]}")
        return self.own[name]


def prepare(config: bytes) -> Course:
    import torch

    torch.set_num_threads(1)
    # torch imports this (900 modules, 1 s) at the first operation that a check observes.
    import torch._dynamo

    course = Course(json.loads(config))
    for name in course.checks():
        checks.get(name)
    return course


def handle(course: Course, job: bytes, channel: Channel) -> None:
    """Sends frames "v" (JSON, or the bytes of cases), and "n" (a notebook), or "x" (what was wrong
    with the course itself)."""
    header, *parts = split(job)
    asked = json.loads(header)
    try:
        {"cases": _cases, "plan": _plan, "assess": _assess}[asked["do"]](
            course, asked, parts, channel
        )
    except Exception as error:
        channel.send(b"x", 0, f"{type(error).__name__}: {error}"[:400].encode())


def _cases(course: Course, asked: dict, parts: list[bytes], channel: Channel) -> None:
    channel.send(b"v", 0, course.judge.cases_of(asked["check"]))


def _plan(course: Course, asked: dict, parts: list[bytes], channel: Channel) -> None:
    """The file's cells in the shape of the release, and what to run of them."""
    own, release = course.get(asked["assignment"])
    with open(channel.file, "rb") as file:
        repaired = repair(release, file.read())
    made = {"repairs": repaired.notes, "reason": repaired.reason}
    if repaired.notebook is not None:
        todo = plan.make_plan(own, repaired.notebook)
        made["reason"] = None
        made["plan"] = plan.plan_as_json(todo)
        made["notebook"] = nbformat.writes(repaired.notebook)
    channel.send(b"v", 0, json.dumps(made).encode())


def _assess(course: Course, asked: dict, parts: list[bytes], channel: Channel) -> None:
    """The rows of the exercises and the graded notebook; or the names for which every cell of the
    lesson has to run."""
    made, *blobs = parts
    made = json.loads(made)
    todo = plan.plan_from_json(made["plan"], nbformat.reads(made["notebook"], as_version=4))
    raw = RawResult(ended={_key(key): why for key, why in asked["ended"]})
    for key, kind, blob in zip(asked["keys"], asked["kinds"], blobs):
        (raw.observed if kind == "observed" else raw.records)[_key(key)] = blob
    which = todo.everything if asked["everything"] else todo.selected
    result = read_result(which, raw, asked["cell_seconds"])
    if not asked["everything"] and (names := missing_names(todo, result)):
        channel.send(b"v", 0, json.dumps({"missing": sorted(names)}).encode())
        return
    rows = [grade_exercise(each, todo, result, course.judge) for each in todo.exercises]
    result.events += [
        f"{row['title'].split(':')[0]}: the answer calls the package's own solution. "
        "It was not counted."
        for row in rows
        if row["mistake"] == OWN_SOLUTION
    ]
    own, release = course.get(asked["assignment"])
    result.events += looks_inside(todo.notebook, set(own.released.values()))
    notebook = notebook_with_outputs(todo, result, rows, release)
    notes = [note for each in todo.exercises if (note := cut_note(each, todo, result))]
    answer = {"exercises": rows, "events": result.events, "repairs": notes}
    channel.send(b"v", 0, json.dumps(answer).encode())
    channel.send(b"n", 0, nbformat.writes(notebook).encode("utf-8", "replace"))


def _key(values: list) -> Key:
    return values[0], values[1]
