"""The work of kind "read": open one handed-in file, and tell which lessons its notebooks hold.

Prepared with the released notebooks, which every learner has.
"""

import json

import nbformat

from ..repair.matching import Release, match_cells, overlap
from ..repair.parse import parse_submission
from ..sandbox.zygote import Channel
from .unpack import Bounds, Member, names, unpack

CHUNK = 8 << 20
MOST_NAMES = 20_000


def prepare(config: bytes) -> dict[str, Release]:
    """config: {lesson: the released notebook as text}, as JSON."""
    return {
        name: Release(nbformat.reads(text, as_version=4))
        for name, text in json.loads(config).items()
    }


def handle(released: dict[str, Release], job: bytes, channel: Channel) -> None:
    """Sends for each file a frame "m" (JSON), and its bytes in frames "d" unless it is the file
    itself. Asked for names alone, it sends the names in an archive in one frame "n" (JSON)."""
    asked = json.loads(job)
    if asked.get("names"):
        with open(channel.file, "rb") as file:
            channel.send(b"n", 0, json.dumps(names(file, MOST_NAMES)).encode())
        return
    bounds = Bounds(**asked["bounds"])
    with open(channel.file, "rb") as file:
        for member in unpack(file, asked["name"], bounds, asked["depth"]):
            told = {"where": member.inside, "reason": member.reason, "unread": None, "shares": {}}
            told |= {"also": [], "changed": member.changed}
            if member.data is not None and asked["look"]:
                told["shares"], told["also"], told["unread"] = look(released, member)
            sent = member.data if member.inside else None
            told["size"] = None if member.data is None else len(member.data)
            channel.send(b"m", 0, json.dumps(told).encode())
            for at in range(0, len(sent or b""), CHUNK):
                channel.send(b"d", 0, sent[at : at + CHUNK])


def look(
    released: dict[str, Release], member: Member
) -> tuple[dict[str, float], list[str], str | None]:
    """({lesson: the share of it that is in the file}, the lessons whose answers' cells are in it,
    why it cannot be read)"""
    parsed = parse_submission(member.data)
    shares = {
        name: overlap(release, parsed.cells, match_cells(release, parsed.cells))
        for name, release in released.items()
        if parsed.cells
    }
    marks = {mark for cell in parsed.cells for mark in (cell.grade_id, cell.id) if mark}
    there = [name for name, release in released.items() if marks & _marks(release)]
    return shares, there, parsed.reason


def _marks(release: Release) -> set[str]:
    """The grade_ids and cell ids of a lesson's answers."""
    cells = [release.cells[i] for i in release.solutions]
    return {
        mark for cell in cells for mark in (cell.metadata["nbgrader"]["grade_id"], cell.get("id"))
    }
