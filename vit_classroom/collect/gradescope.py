"""Gradescope's export: submission_metadata.yml says whose each folder submission_123 is.

Its form is that of Gradescope's "Export Submissions": {"submission_123": {":submitters": [{":name",
":sid", ":email"}], ":created_at": time}}. A group's folder belongs to each of its members.
"""

from collections.abc import Sequence
from datetime import datetime

from .archives import ArchiveMember
from .formats import StudentName

METADATA = "submission_metadata.yml"
MOST_BYTES = 5_000_000


def by_submission(found: Sequence[ArchiveMember]) -> dict[str, list[StudentName]]:
    """{start of a path: those who handed in what is there}, by each submission_metadata.yml."""
    named: dict[str, list[StudentName]] = {}
    for each in found:
        folder, _, name = each.where.rpartition("/")
        if (
            name != METADATA
            or each.file is None
            or each.owner != each.where
            or "/submission_" in f"/{folder}"
        ):
            continue
        for submission, people in _read(each.data).items():
            named[f"{folder}/{submission}/" if folder else f"{submission}/"] = people
    return named


def people_at(path: str, groups: dict[str, list[StudentName]]) -> list[StudentName] | None:
    """Those whose submission the path is in, or None."""
    return next((people for start, people in groups.items() if path.startswith(start)), None)


def _read(data: bytes) -> dict[str, list[StudentName]]:
    """What the metadata says, {folder: people}; whatever is not in form is left out."""
    import yaml  # comes with jupyter

    if len(data) > MOST_BYTES or data.count(b"&") > 100:  # aliases can grow without end
        return {}
    try:
        told = yaml.load(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    result = {}
    for folder, row in told.items() if isinstance(told, dict) else ():
        people = row.get(":submitters") if isinstance(row, dict) else None
        names = [_person(each, row) for each in people or [] if isinstance(each, dict)]
        if isinstance(folder, str) and any(names):
            result[folder] = [name for name in names if name]
    return result


def _person(told: dict, row: dict) -> StudentName | None:
    name, number, email = (
        str(told.get(key) or "").strip()[:200] for key in (":name", ":sid", ":email")
    )
    when = row.get(":created_at")
    time = when.timestamp() if isinstance(when, datetime) else None
    if not (name or email):
        return None
    return StudentName(name or email, number or None, email=email or None, time=time)
