"""Every regular expression of vit_classroom, tried with 100,000 hostile characters.

What reads a learner's text must take a time that grows with its length and no faster. A nested
repeat takes minutes on one of these texts.
"""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "vit_classroom"
CALLS = {"compile", "search", "match", "fullmatch", "findall", "finditer", "sub", "split"}
LENGTH = 100_000
NAMES = 300  # characters: collect cuts a name to formats.LONGEST before it reads it
SECONDS = 1.5  # for one text, on a busy machine; a linear expression needs under 0.15
# What an expression may be made to repeat.
UNITS = (
    [*" \t\naA0_-.()?<&[;=$/'\"\\é\u200b", "1 ", " 1", "a ", "a_", "_1", "1_", "(1)", "copy "]
    + ["copy of ", " copy 1", "v1 ", "untitled", " ?", "% ", "%%", "! ", "def ", "def a", "async "]
    + ["class ", "@a", "```", "~~~", " ```", "# %% ", "# In[1]:", "<a ", "](", "\x1b[", "\x1b[0;"]
    + [", ", "; =", "**", "** Exercise ", "### ", "### BEGIN HIDDEN TESTS\n", "import a\n"]
    + ["from a import ", '{"cell_type"', '"grade_id": "', "name '", "Hint: ", "a.b/", "\r\n"]
    + ["2024-01-01", "12-", "_assignsubmission_", "CUDA ", "<summary>", "(2 points)", "Exercise 1"]
)
TRY = """
import json, re, sys, time
pattern, flags, units, length = json.load(sys.stdin)
expression, start, worst = re.compile(pattern, flags), time.perf_counter(), (0.0, "")
for text in [unit * (length // len(unit)) + end for unit in units for end in ("", "!")]:
    begin = time.perf_counter()
    for _ in zip(range(3), expression.finditer(text)):
        pass
    expression.match(text)
    worst = max(worst, (time.perf_counter() - begin, text[:20]))
print(json.dumps([time.perf_counter() - start, worst]))
"""


def expressions() -> dict[str, tuple[str, int]]:
    """{place: (pattern, flags)} of every expression that is written down, with what is put into it
    (f-strings) as one letter."""
    found = {}
    # course/ reads the teacher's own notebooks, and nothing of a learner's.
    for path in sorted(set(ROOT.rglob("*.py")) - set(ROOT.glob("course/*.py"))):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if node.func.attr not in CALLS or getattr(node.func.value, "id", "") != "re":
                continue
            text = _text(node.args[0])
            if text is None:
                continue
            if node.func.attr in ("match", "fullmatch"):  # these begin at the beginning alone
                text = rf"\A(?:{text})"
            names = {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}
            flags = sum(getattr(re, n) for n in names & {"MULTILINE", "DOTALL", "IGNORECASE"})
            found[f"{path.relative_to(ROOT).as_posix()}:{node.lineno}"] = (text, int(flags))
    return found


def _text(node) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            p.value if isinstance(p, ast.Constant) else r"[a-z]{1,20}" for p in node.values
        )
    if isinstance(node, ast.BinOp):
        parts = _text(node.left), _text(node.right)
        return None if None in parts else "".join(parts)
    return None


def seconds(pattern: str, flags: int, length: int) -> tuple[float, object]:
    """How long all texts take together, and (seconds, beginning) of the worst."""
    job = json.dumps([pattern, flags, UNITS, length])
    command = [sys.executable, "-I", "-S", "-c", TRY]
    try:
        run = subprocess.run(command, input=job, capture_output=True, text=True, timeout=30)
    except subprocess.TimeoutExpired:
        return 30.0, (30.0, "it did not end")
    return tuple(json.loads(run.stdout))


@pytest.mark.slow
def test_no_expression_takes_long():
    found = expressions()
    assert len(found) > 30
    slow = {}
    for place, (pattern, flags) in found.items():
        names = place.startswith("collect/")
        if re.search(r"[*+]|\{\d*,\}", pattern):  # without a repeat nothing takes long
            _, worst = seconds(pattern, flags, NAMES if names else LENGTH)
            if worst[0] > SECONDS:
                slow[place] = pattern, worst
    assert not slow, slow


def test_a_nested_repeat_would_be_found():
    took, _ = seconds(r"^(\s*)(?:[%!?]|.*\?\s*$)", int(re.MULTILINE), 3_000)
    linear, _ = seconds(r"^\s", int(re.MULTILINE), 3_000)
    assert took > 10 * linear
