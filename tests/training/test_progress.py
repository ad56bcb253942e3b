"""What a person sees during a run: a bar in a terminal, a line every half minute in a log file."""

import io
import math
import sys
import time

import pytest

from vit_tutorial.training.runtime.clock import Clock
from vit_tutorial.training.runtime.processes import SINGLE_PROCESS
from vit_tutorial.training.runtime.progress import ProgressBar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def now(monkeypatch):
    """A clock that only moves when a test moves it."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    return now


def run(now, clock, steps, stream, monkeypatch, shown=True):
    """Steps of 2 s each, with an evaluation after each tenth; what is on `stream`."""
    monkeypatch.setattr(sys, "stderr", stream)
    clock.start()
    with ProgressBar(clock, shown) as bar:
        bar.show("epoch 0.0, loss 2.303, validation 10.0%")
        for step in range(1, steps + 1):
            now[0] += 2
            bar.update(step)
            if step % 10 == 0:
                bar.show(f"epoch {step / 10:.1f}, loss 1.500, validation {40 + step / 10:.1f}%")
    return stream.getvalue()


@pytest.mark.parametrize("steps, seconds", [(50, math.inf), (math.inf, 100)])
def test_a_log_file_gets_a_line_every_30_seconds(now, monkeypatch, steps, seconds):
    clock = Clock(steps, seconds, SINGLE_PROCESS)
    said = run(now, clock, 50, io.StringIO(), monkeypatch)
    assert said.splitlines() == [
        " 30%, 01:10 left, epoch 1.0, loss 1.500, validation 41.0%",
        " 60%, 00:40 left, epoch 2.0, loss 1.500, validation 42.0%",
        " 90%, 00:10 left, epoch 4.0, loss 1.500, validation 44.0%",
    ]


@pytest.mark.parametrize("steps, seconds", [(50, math.inf), (math.inf, 100)])
def test_a_terminal_gets_a_bar_with_time_left_and_accuracy(now, monkeypatch, steps, seconds):
    clock = Clock(steps, seconds, SINGLE_PROCESS)
    said = run(now, clock, 45, Terminal(), monkeypatch)
    last = said.rstrip().split("\r")[-1]
    assert last.startswith((" 90%|#", " 90%|█")), last
    assert last.rstrip().endswith("| 00:10 left, epoch 4.0, loss 1.500, validation 44.0%"), last
    assert all(len(line) <= 100 for line in said.rstrip().split("\r"))


def test_a_resumed_run_counts_what_was_done_before(now, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    clock = Clock(100, math.inf, SINGLE_PROCESS)
    clock.start(spent=80.0)
    with ProgressBar(clock, True) as bar:
        bar.update(40)
        now[0] += 30
        bar.update(55)  # 110 s for 55 steps
    assert sys.stderr.getvalue() == " 55%, 01:30 left\n"


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_quiet_is_quiet(now, monkeypatch, stream):
    clock = Clock(50, math.inf, SINGLE_PROCESS)
    assert run(now, clock, 50, stream(), monkeypatch, shown=False) == ""


def test_a_notebook_gets_a_bar(now, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipykernel", object())
    said = run(now, Clock(50, math.inf, SINGLE_PROCESS), 50, io.StringIO(), monkeypatch)
    assert "\r" in said and "100%|" in said
