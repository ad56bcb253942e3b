"""plots.plateau: the curve, the matrices below it in order, and bad input named."""

import numpy as np
import pytest
import torch

from vit_tutorial.inspection import plots

ROWS = [
    dict(epochs=epoch, validation_accuracy=value) for epoch, value in ((0, 0.1), (1, 0.5), (2, 1))
]
NAMES = ("disc, upper", "disc, lower")


def matrices():
    return {0: torch.tensor([[5, 5], [5, 5]]), 2: torch.tensor([[10, 0], [0, 10]])}


def test_the_curve_and_the_matrices_are_what_was_given():
    figure = plots.plateau(
        ROWS,
        matrices(),
        NAMES,
        ceiling=0.5,
        also={"constant": ROWS[:2]},
        notes={0: "knows nothing"},
    )
    top, first, last = figure.axes
    drawn = [list(line.get_ydata()) for line in top.lines]
    assert [10, 50, 100] in drawn and [10, 50] in drawn
    assert any(set(line) == {50.0} for line in drawn)  # the ceiling
    assert np.array_equal(first.images[0].get_array(), [[50, 50], [50, 50]])
    assert np.array_equal(last.images[0].get_array(), [[100, 0], [0, 100]])
    assert first.get_title() == "epoch 0: 10% right\nknows nothing"
    assert last.get_title() == "epoch 2: 100% right"
    assert [text.get_text() for text in first.get_yticklabels()] == list(NAMES)
    assert list(last.get_yticks()) == []
    assert [text.get_text() for text in last.get_xticklabels()] == list(NAMES)
    assert not first.patches


def test_blocks_are_outlined():
    names = ("disc, upper", "disc, lower", "ring, upper", "ring, lower")
    axes = plots.plateau(ROWS, {0: torch.eye(4)}, names, block=2).axes[1]
    assert [square.get_bbox().bounds for square in axes.patches] == [
        (-0.5, -0.5, 2, 2),
        (1.5, 1.5, 2, 2),
    ]


@pytest.mark.parametrize(
    ("rows", "drawn", "says"),
    [
        (ROWS, {}, "0 matrices"),
        (ROWS, {0: torch.zeros(3, 3)}, r"is \(2, 2\), not \(3, 3\)"),
        (ROWS, {7: torch.zeros(2, 2)}, "no row for epoch 7"),
    ],
)
def test_bad_input_is_named(rows, drawn, says):
    with pytest.raises(ValueError, match=says):
        plots.plateau(rows, drawn, NAMES)
