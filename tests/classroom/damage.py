"""Damage that happens to notebooks on their way to a teacher.

`damage(nb, seed, cells, file)` gives the bytes of a damaged file. nb: a solved student copy. cells:
names in CELLS, what happens to its cells, in order. file: a name in FILES, what happens to the
whole file.
Every answer must come through, word for word, except after "deleted" and `cut_off`.
"""

import copy
import json
import random
import re

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell

from vit_classroom.course.student import STUB


def is_answer(cell) -> bool:
    return bool(cell.metadata.get("nbgrader", {}).get("solution")) and cell.cell_type == "code"


def is_check(cell) -> bool:
    own = cell.metadata.get("nbgrader", {})
    return bool(own.get("grade")) and not own.get("solution")


def answers(nb) -> list[int]:
    return [at for at, cell in enumerate(nb.cells) if is_answer(cell)]


def text(nb) -> str:
    """The notebook as JSON, also when it is not quite valid any more (two cells with one id)."""
    return json.dumps(nb, indent=1, ensure_ascii=False)


def stub_of(source: str) -> str:
    head = re.match(r"(def .*:\n(?: +\"\"\".*\"\"\"\n)?)", source)
    return f"{head[1] if head else ''}    {STUB}" if head else STUB


# --- cells ----------------------------------------------------------------------------------------


def none(nb, rng):
    return nb


def copied(nb, rng):
    at = rng.choice(answers(nb))
    nb.cells.insert(at + rng.choice([0, 1, 2]), copy.deepcopy(nb.cells[at]))
    return nb


def copied_stub(nb, rng):
    """The empty cell was copied as a backup, before or behind the answer."""
    at = rng.choice(answers(nb))
    twin = copy.deepcopy(nb.cells[at])
    twin.source = stub_of(twin.source)
    nb.cells.insert(rng.choice([at, at + 1, len(nb.cells)]), twin)
    return nb


def copied_check(nb, rng):
    at = rng.choice([at for at, cell in enumerate(nb.cells) if is_check(cell)])
    nb.cells.insert(rng.choice([at, at + 1, len(nb.cells)]), copy.deepcopy(nb.cells[at]))
    return nb


def deleted_check(nb, rng):
    del nb.cells[rng.choice([at for at, cell in enumerate(nb.cells) if is_check(cell)])]
    return nb


def deleted_text(nb, rng):
    plain = [at for at, cell in enumerate(nb.cells) if "nbgrader" not in cell.metadata]
    for at in sorted(rng.sample(plain, max(1, len(plain) // 4)), reverse=True):
        del nb.cells[at]
    return nb


def deleted(nb, rng):
    """An answer's cell is gone: the one damage that costs its points."""
    del nb.cells[rng.choice(answers(nb))]
    return nb


def merged(nb, rng):
    """With the cell below or above, whatever it is."""
    at = rng.choice(answers(nb)) - rng.choice([0, 1])
    above, below = nb.cells[at], nb.cells[at + 1]
    keep = above if is_answer(above) else below
    keep.source = above.source + "\n\n" + below.source
    nb.cells[at : at + 2] = [keep]
    return nb


def merged_answers(nb, rng):
    first, *rest = answers(nb)
    if rest:
        nb.cells[first].source += "\n\n" + nb.cells[rest[0]].source
        del nb.cells[rest[0]]
    return nb


def merged_all(nb, rng):
    code = [cell.source for cell in nb.cells if cell.cell_type == "code"]
    nb.cells = [new_code_cell("\n\n".join(code), id="one")]
    return nb


def split(nb, rng, keep=True):
    """At any line. In JupyterLab both halves keep the metadata, in other editors only the first."""
    at = rng.choice(answers(nb))
    cell = nb.cells[at]
    lines = cell.source.split("\n")
    cut = rng.randrange(1, len(lines))
    halves = [copy.deepcopy(cell), copy.deepcopy(cell)]
    halves[0].source, halves[1].source = "\n".join(lines[:cut]), "\n".join(lines[cut:])
    if not keep:
        halves[1].id = f"new-{rng.randrange(10**6)}"
        halves[1].metadata = nbformat.from_dict({})
    nb.cells[at : at + 1] = halves
    return nb


def split_bare(nb, rng):
    return split(nb, rng, keep=False)


def as_kind(kind):
    def change(nb, rng):
        cell = nb.cells[rng.choice(answers(nb))]
        cell.cell_type = kind
        cell.pop("outputs", None)
        cell.pop("execution_count", None)
        if kind == "fenced":
            cell.cell_type, cell.source = "markdown", f"```python\n{cell.source}\n```"
        return nb

    return change


def reordered(nb, rng):
    rng.shuffle(nb.cells)
    return nb


def moved(nb, rng):
    cell = nb.cells.pop(rng.choice(answers(nb)))
    nb.cells.insert(rng.randrange(len(nb.cells)), cell)
    return nb


def own_cells(nb, rng):
    """Imports, notes, experiments, a pip line: anywhere."""
    for source in (
        "import os\nimport numpy as np",
        "!pip install numpy",
        "1 / 0",
        "%timeit sum(range(9))",
        "x = 3\nx",
    ):
        nb.cells.insert(rng.randrange(1, len(nb.cells)), new_code_cell(source))
    nb.cells.insert(rng.randrange(1, len(nb.cells)), new_markdown_cell("my notes"))
    return nb


def answer_elsewhere(nb, rng):
    """The answer stands in a new cell; the stub was left as it was."""
    at = rng.choice(answers(nb))
    answer = new_code_cell(nb.cells[at].source)
    nb.cells[at].source = stub_of(nb.cells[at].source)
    nb.cells.insert(rng.choice([at + 1, at + 2, len(nb.cells)]), answer)
    return nb


def answer_in_check(nb, rng):
    at = rng.choice(answers(nb))
    below = nb.cells[at + 1]
    below.source = nb.cells[at].source + "\n\n" + below.source
    nb.cells[at].source = stub_of(nb.cells[at].source)
    return nb


def check_changed(nb, rng):
    for cell in nb.cells:
        if is_check(cell):
            cell.source = rng.choice(
                ["pass", "", cell.source + "\nprint('ok')", "# " + cell.source]
            )
    return nb


# --- metadata and releases ------------------------------------------------------------------------


def colab(nb, rng):
    """Saved by Colab, or another tool without nbgrader: its ids and metadata replace the others."""
    for cell in nb.cells:
        cell.pop("id", None)
        cell.metadata = nbformat.from_dict(
            {"id": f"{rng.randrange(16**12):012x}", "outputId": "abc"}
        )
    nb.metadata["colab"] = {"provenance": []}
    nb.nbformat_minor = 0
    return nb


def ids_only(nb, rng):
    for cell in nb.cells:
        cell.metadata.pop("nbgrader", None)
    return nb


def old_release(nb, rng):
    """Other words, other cells, other ids, an exercise that was called otherwise."""
    for number, cell in enumerate(nb.cells):
        cell.id = f"old-{number}"
        if cell.cell_type == "markdown" and "nbgrader" not in cell.metadata:
            cell.source = cell.source.replace("the", "that", 2) + "\n\nAn older sentence."
        elif cell.cell_type == "code" and "nbgrader" not in cell.metadata and number > 2:
            cell.source += "\nprint('older')"
    own = nb.cells[answers(nb)[0]].metadata["nbgrader"]
    own["grade_id"] = "01-older-name"
    nb.cells.insert(3, new_markdown_cell("A section that is no longer there."))
    del nb.cells[-1]
    return nb


CELLS = {
    "none": none,
    "copied": copied,
    "copied_stub": copied_stub,
    "copied_check": copied_check,
    "deleted_check": deleted_check,
    "deleted_text": deleted_text,
    "merged": merged,
    "merged_answers": merged_answers,
    "merged_all": merged_all,
    "split": split,
    "split_bare": split_bare,
    "markdown": as_kind("markdown"),
    "raw": as_kind("raw"),
    "fenced": as_kind("fenced"),
    "reordered": reordered,
    "moved": moved,
    "own_cells": own_cells,
    "answer_elsewhere": answer_elsewhere,
    "answer_in_check": answer_in_check,
    "check_changed": check_changed,
    "colab": colab,
    "ids_only": ids_only,
    "old_release": old_release,
}


# --- files ----------------------------------------------------------------------------------------


def utf8(nb, rng):
    return text(nb).encode()


def bom(nb, rng):
    return b"\xef\xbb\xbf" + text(nb).encode()


def utf16(nb, rng):
    return text(nb).encode(rng.choice(["utf-16", "utf-16-le", "utf-16-be"]))


def windows(nb, rng):
    return text(nb).replace("\n", "\r\n").encode("cp1252", "replace")


def version_3(nb, rng):
    sheet = []
    for cell in nb.cells:
        if cell.cell_type == "code":
            sheet.append(
                {
                    "cell_type": "code",
                    "input": cell.source,
                    "language": "python",
                    "metadata": cell.metadata,
                    "outputs": [],
                }
            )
        elif cell.source.startswith("# "):
            sheet.append(
                {"cell_type": "heading", "level": 1, "metadata": {}, "source": cell.source[2:]}
            )
        else:
            sheet.append(
                {"cell_type": cell.cell_type, "metadata": cell.metadata, "source": cell.source}
            )
    return json.dumps(
        {
            "nbformat": 3,
            "nbformat_minor": 0,
            "metadata": {"name": ""},
            "worksheets": [{"cells": sheet}],
        }
    ).encode()


def version_4(nb, rng):
    for cell in nb.cells:
        cell.pop("id", None)
        cell.source = cell.source.splitlines(keepends=True)
    nb.nbformat_minor = rng.randrange(5)
    return text(nb).encode()


def script_percent(nb, rng):
    cells = []
    for cell in nb.cells:
        if cell.cell_type == "code":
            cells.append("# %%\n" + cell.source)
        else:
            cells.append("# %% [markdown]\n" + re.sub("^", "# ", cell.source, flags=re.MULTILINE))
    return "\n\n".join(cells).encode()


def script_nbconvert(nb, rng):
    head = "#!/usr/bin/env python\n# coding: utf-8\n\n"
    cells = []
    for cell in nb.cells:
        comment = re.sub("^", "# ", cell.source, flags=re.MULTILINE)
        cells.append(
            f"# In[{rng.randrange(99)}]:\n\n\n{cell.source}"
            if cell.cell_type == "code"
            else comment
        )
    return (head + "\n\n\n".join(cells) + "\n").encode()


def script_colab(nb, rng):
    head = '# -*- coding: utf-8 -*-\n"""01.ipynb\n\nAutomatically generated by Colab.\n"""'
    cells = [
        cell.source if cell.cell_type == "code" else f'"""{cell.source}"""' for cell in nb.cells
    ]
    return "\n\n".join([head, *cells]).encode()


def script_pycharm(nb, rng):
    cells = [
        f"#%%\n{cell.source}"
        if cell.cell_type == "code"
        else "#%% md\n" + re.sub("^", "# ", cell.source, flags=re.MULTILINE)
        for cell in nb.cells
    ]
    return "\n".join(cells).encode()


def script_databricks(nb, rng):
    cells = [
        cell.source
        if cell.cell_type == "code"
        else "# MAGIC %md\n" + re.sub("^", "# MAGIC ", cell.source, flags=re.MULTILINE)
        for cell in nb.cells
    ]
    return "\n\n# COMMAND ----------\n\n".join(["# Databricks notebook source", *cells]).encode()


def conflict(nb, rng):
    """git's marks of a conflict, between two cells."""
    whole = text(nb)
    at = rng.choice([match.start() for match in re.finditer(r"^  \{", whole, re.MULTILINE)])
    return (whole[:at] + "<<<<<<< HEAD\n=======\n>>>>>>> other\n" + whole[at:]).encode()


FILES = {
    "utf8": utf8,
    "bom": bom,
    "utf16": utf16,
    "windows": windows,
    "version_3": version_3,
    "version_4": version_4,
    "script_percent": script_percent,
    "script_nbconvert": script_nbconvert,
    "script_colab": script_colab,
    "script_pycharm": script_pycharm,
    "script_databricks": script_databricks,
    "conflict": conflict,
}


def cut_off(nb, seed: int) -> bytes:
    """JSON that ends in the middle: what comes later is lost."""
    whole = utf8(nb, None)
    return whole[: random.Random(seed).randrange(len(whole) // 3, len(whole))]


def damage(nb, seed: int, cells=("none",), file: str = "utf8") -> bytes:
    """The bytes of the damaged file. `nb` itself is not changed."""
    nb, rng = copy.deepcopy(nb), random.Random(seed)
    for name in cells:
        nb = CELLS[name](nb, rng)
    return FILES[file](nb, rng)
