"""A made-up class, as benchmarks/classroom.py grades 400 of: every kind comes out as it must."""

import json
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_a_made_up_class_comes_out_as_it_must(tmp_path, isolated, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    monkeypatch.delitem(sys.modules, "classroom", raising=False)
    import classroom

    words = ["--number", "24", "--lessons", "02", "--seed", "5", "--results", str(tmp_path)]
    classroom.main(words)
    out = capsys.readouterr().out
    summary = json.loads((tmp_path / "classroom_summary.json").read_text())
    assert (summary["submissions"], summary["stops"], summary["escapes"]) == (24, 0, 0), out
    assert summary["as_expected"] == summary["accounted_for"] == 24, out
    kinds = {line.split(":")[0].split(",")[0] for line in
             (tmp_path / "classroom.csv").read_text().splitlines()[1:]}  # fmt: skip
    assert {"right", "wrong", "damaged", "unlucky", "told", "hostile"} <= kinds
