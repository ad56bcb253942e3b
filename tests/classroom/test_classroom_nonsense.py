"""A short version of benchmarks/classroom_fuzz.py: generated submissions stop nothing."""

import nbformat
import pytest
from classroom_nonsense import files, forged
from small_course import DOUBLE, FULL, LOOPS, TRIPLE, hand_in, result, run, scores, small_lesson

from vit_classroom.collect import collect
from vit_classroom.reading.unpack import clean_path


@pytest.mark.slow
def test_generated_files_are_all_listed(plain_course, tmp_path):
    base, answers = small_lesson(), {"a": LOOPS, "b": DOUBLE, "c": TRIPLE}
    for cell in base.cells:
        cell.source = answers.get(cell.id, cell.source)
    paths = []
    for seed in range(90_000, 90_120):
        _, path, data = files(seed, nbformat.from_dict(base))
        (tmp_path / "in" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / path).write_bytes(data)
        paths.append(clean_path(path))
    entries = collect.collect(plain_course, tmp_path / "in").entries
    told = {entry["original"] for entry in entries}
    lost = [p for p in paths if p not in told and not any(t.startswith(p + "/") for t in told)]
    assert lost == []
    assert all(entry["reason"] for entry in entries)


@pytest.mark.slow
def test_forged_results_are_judged_or_get_nothing(small_course, isolated):
    for seed in range(8):
        hand_in(small_course, f"s{seed}", extra=forged(seed))
    hand_in(small_course, "innocent")
    run(small_course)
    assert scores(small_course, "innocent") == FULL
    for seed in range(8):
        row = result(small_course, f"s{seed}")
        assert row["status"] == "graded" and row["reason"] is None, row
        # Where its process could go on, the answer is judged as it is; it is right.
        assert scores(small_course, f"s{seed}")[0] in (0, 2)
