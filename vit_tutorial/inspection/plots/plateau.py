"""A run that pauses: its accuracy, and below it what the model mixes up at three moments."""

import numpy as np
import torch
from matplotlib.patches import ConnectionPatch, Rectangle

from .base import BLUE, ORANGE, new_figure
from .learning import _points

OFFSET = dict(textcoords="offset points")


def plateau(
    rows,
    matrices: dict,
    class_names,
    *,
    ceiling: float | None = None,
    also: dict | None = None,
    notes: dict | None = None,
    title: str | None = None,
    block: int | None = None,
):
    """Validation accuracy over the epochs, and confusion matrices at some of them.

    rows: dicts with epochs and validation_accuracy (0 to 1), as `training.train` gives them.
    matrices: {epoch: (K, K) counts, a row for each true class}, drawn from left to right; a line
        leads from each to its place on the curve. Made for 2 to 4 matrices of up to 10 classes.
    ceiling: an accuracy (0 to 1) to mark with a dashed line. also: {name: rows} of other runs, in
        grey. notes: {epoch: a few words above that matrix}. block: outline the squares of `block`
        classes along the diagonal.
    Raises ValueError for no matrices, a matrix of another shape, or an epoch without a row.
    """
    if not matrices:
        raise ValueError("plateau has 0 matrices to draw: give {epoch: counts}")
    places, accuracies = _points(rows, "epochs", "validation_accuracy")
    figure = new_figure(7.0, 6.8, title)
    spec = figure.add_gridspec(2, len(matrices), height_ratios=[1, 1.5])
    top = figure.add_subplot(spec[0, :])
    for name, others in (also or {}).items():
        x, y = _points(others, "epochs", "validation_accuracy")
        top.plot(x, [100 * value for value in y], color="0.65", linewidth=1.2)
        half = min(range(len(x)), key=lambda i: abs(y[i] - 0.75))
        ahead = y[half] > np.interp(x[half], places, accuracies)  # then there is room on its left
        aside = dict(xytext=(-8, -4), ha="right") if ahead else dict(xytext=(8, -4))
        top.annotate(name, (x[half], 100 * y[half]), color="0.4", **aside, **OFFSET)
    top.plot(places, [100 * value for value in accuracies], color=BLUE, marker="o", markersize=4)
    if ceiling is not None:
        top.axhline(100 * ceiling, color="0.3", linestyle="--", linewidth=1)
        text = f"{ceiling:.0%}: the ceiling without positions"
        corner = dict(va="top", ha="right", **OFFSET)
        top.annotate(text, (0.92 * max(places), 100 * ceiling), (0, -4), **corner)
    top.set(ylim=(0, 104), ylabel="validation images right (%)")
    top.set_xlabel("epochs", loc="right")
    top.grid(color="0.92")
    top.set_axisbelow(True)
    for column, (epoch, matrix) in enumerate(matrices.items()):
        axes = figure.add_subplot(spec[1, column])
        nearest = min(range(len(places)), key=lambda i: abs(places[i] - epoch))
        if abs(places[nearest] - epoch) > 0.5:
            raise ValueError(f"there is no row for epoch {epoch}: rows are at {places}")
        _draw_matrix(axes, matrix, class_names, block, first=column == 0)
        lines = [f"epoch {epoch:g}: {accuracies[nearest]:.0%} right", (notes or {}).get(epoch)]
        axes.set_title("\n".join(filter(None, lines)), fontsize=10)
        point, above = (places[nearest], 100 * accuracies[nearest]), (0.5, 1.2)
        style = dict(color="0.5", linewidth=0.9, linestyle=":", shrinkA=4)
        line = ConnectionPatch(
            point, above, "data", "axes fraction", axesA=top, axesB=axes, zorder=5, **style
        )
        figure.add_artist(line)
    return figure


def _draw_matrix(axes, matrix, names, block: int | None, first: bool) -> None:
    """Shares of each true class as shades of blue; the true classes are named on the first one."""
    matrix, K = torch.as_tensor(matrix).detach().cpu().numpy(), len(names)
    if matrix.shape != (K, K):
        raise ValueError(
            f"a confusion matrix for {K} class names is ({K}, {K}), not {matrix.shape}"
        )
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(100 * share, cmap="Blues", vmin=0, vmax=100)
    for corner in range(0, K, block) if block else ():
        square = Rectangle((corner - 0.5, corner - 0.5), block, block, fill=False)
        square.set(edgecolor=ORANGE, linewidth=1.4, clip_on=False)
        axes.add_patch(square)
    axes.set_xticks(range(K), names, fontsize=8, rotation=90)
    axes.set_yticks(range(K) if first else [], names if first else [], fontsize=8)
    axes.tick_params(length=0)
    axes.set_xlabel("the model's answer", fontsize=9)
    if first:
        axes.set_ylabel("the true class", fontsize=9)
