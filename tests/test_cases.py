"""docs/cases.md: every case has a test, which exists and is collected."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROW = re.compile(r"\| (\w+) \| (.+) \| (.+) \| `(tests/\S+\.py)::(test_\w+)` \|")


def cases() -> list[tuple[str, ...]]:
    """(case, before, now, file, test) of each row of the page."""
    lines = (ROOT / "docs" / "cases.md").read_text(encoding="utf-8").splitlines()
    rows = [
        line for line in lines if line.startswith("| ") and not line.startswith(("| case", "| -"))
    ]
    found = [ROW.fullmatch(row) for row in rows]
    assert None not in found, rows[found.index(None)]
    return [match.groups() for match in found]


def test_each_case_has_its_own_name():
    names = [case for case, *_ in cases()]
    assert len(names) == len(set(names)) > 30


@pytest.mark.slow
def test_every_named_test_is_collected():
    named = {(file, test) for *_, file, test in cases()}
    files = sorted({file for file, _ in named})
    words = ["-m", "pytest", "--collect-only", "-q", "-n", "0", "-p", "no:cacheprovider", *files]
    run = subprocess.run(
        [sys.executable, *words, "-o", "addopts="], cwd=ROOT, capture_output=True, text=True
    )
    collected = set(re.findall(r"^(tests/\S+\.py)::(test_\w+)", run.stdout, re.MULTILINE))
    assert sorted(named - collected) == [], run.stderr
