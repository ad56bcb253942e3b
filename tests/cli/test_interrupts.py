"""Commands that take long show where they are, and Ctrl-C leaves what is done."""

import csv
import io
import itertools
from pathlib import Path

import pytest
import torch

from vit_tutorial.cli.main import main
from vit_tutorial.inspection import classify
from vit_tutorial.training.runtime import progress

PICTURE = str(Path(__file__).resolve().parents[2] / "docs" / "patches.png")


def test_ctrl_c_in_predict_keeps_the_pictures_that_are_named(monkeypatch, tmp_path, capsys):
    real = classify.classify

    def stopped(classifier, files, top):
        yield from itertools.islice(real(classifier, files, top), 2)
        raise KeyboardInterrupt

    monkeypatch.setattr(classify, "classify", stopped)
    table = tmp_path / "t.csv"
    assert main(["predict", "weights:shapes", *[PICTURE] * 5, "--csv", str(table)]) == 130
    assert "after 2 of 5 pictures" in capsys.readouterr().err
    assert len(list(csv.DictReader(table.open()))) == 2


@pytest.mark.parametrize(
    "words", [["evaluate", "weights:shapes"], ["similarity", "weights:shapes"]]
)
def test_ctrl_c_elsewhere_is_said_in_one_line(words, monkeypatch, capsys, tmp_path):
    def stop(*_, **__):
        raise KeyboardInterrupt

    from vit_tutorial import training
    from vit_tutorial.inspection import similarity

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training, "evaluate", stop)
    monkeypatch.setattr(similarity, "similarity_numbers", stop)
    assert main(words) == 130
    assert capsys.readouterr().err == "vit_tutorial: stopped by Ctrl-C, with nothing to save yet\n"


class Terminal(io.StringIO):
    isatty = lambda self: True


class Images:
    """Ten images, five at a time; time passes in between."""

    __len__ = lambda self: 10

    def iter_batches(self, size):
        for _ in range(2):
            yield torch.zeros(5, 1), torch.zeros(5, dtype=torch.int64)


@pytest.mark.parametrize("terminal, shown", [(True, True), (False, False)])
def test_evaluation_shows_images_done_and_the_time_left(terminal, shown, monkeypatch):
    stream = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(progress.sys, "stderr", stream)
    monkeypatch.setitem(progress.sys.modules, "ipykernel", None)
    monkeypatch.delitem(progress.sys.modules, "ipykernel")
    bar = progress.tqdm
    monkeypatch.setattr(progress, "tqdm", lambda **how: bar(**how | dict(delay=0, mininterval=0)))
    batches = list(progress.CountedBatches(Images(), "evaluating").iter_batches(5))
    assert [len(labels) for _, labels in batches] == [5, 5]
    said = stream.getvalue()
    assert ("evaluating" in said and "5/10" in said) == shown
