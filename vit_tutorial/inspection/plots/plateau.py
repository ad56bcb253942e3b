"""A run that pauses: its accuracy, and below it what the model mixes up at three moments."""

import numpy as np
import torch
from matplotlib.patches import ConnectionPatch

from .base import BLUE, new_figure
from .learning import _points


def plateau(
    rows,
    matrices: dict,
    class_names,
    *,
    ceiling: float | None = None,
    also: dict | None = None,
    notes: dict | None = None,
    title: str | None = None,
):
    """Validation accuracy over the epochs, and confusion matrices at some of them.

    rows: dicts with epochs and validation_accuracy (0 to 1), as `training.train` gives them.
    matrices: {epoch: (K, K) counts, a row for each true class}, drawn from left to right; a line
        leads from each to its place on the curve. Made for 2 to 4 matrices of up to 10 classes.
    ceiling: an accuracy (0 to 1) to mark with a dashed line. also: {name: rows} of other runs, in
        grey. notes: {epoch: a few words above that matrix}.
    Raises ValueError for no matrices, a matrix of another shape, or an epoch without a row.
    """
    if not matrices:
        raise ValueError("plateau has 0 matrices to draw: give {epoch: counts}")
    places, accuracies = _points(rows, "epochs", "validation_accuracy")
    figure = new_figure(7.0, 5.9, title)
    spec = figure.add_gridspec(2, len(matrices), height_ratios=[1, 1.05])
    top = figure.add_subplot(spec[0, :])
    for name, others in (also or {}).items():
        x, y = _points(others, "epochs", "validation_accuracy")
        top.plot(x, [100 * value for value in y], color="0.6", linewidth=1.2)
        top.annotate(
            name,
            (x[-1], 100 * y[-1]),
            (-4, -14),
            textcoords="offset points",
            ha="right",
            color="0.4",
        )
    top.plot(places, [100 * value for value in accuracies], color=BLUE, marker="o", markersize=4)
    if ceiling is not None:
        top.axhline(100 * ceiling, color="0.3", linestyle="--", linewidth=1)
        text = f"{ceiling:.0%}: the ceiling without positions"
        top.annotate(
            text,
            (max(places), 100 * ceiling),
            (0, -4),
            textcoords="offset points",
            va="top",
            ha="right",
        )
    top.set(ylim=(0, 104), ylabel="validation images right (%)", xlabel="epochs")
    top.grid(color="0.92")
    top.set_axisbelow(True)
    for column, (epoch, matrix) in enumerate(matrices.items()):
        axes = figure.add_subplot(spec[1, column])
        nearest = min(range(len(places)), key=lambda i: abs(places[i] - epoch))
        if abs(places[nearest] - epoch) > 0.5:
            raise ValueError(f"there is no row for epoch {epoch}: rows are at {places}")
        heading = f"epoch {epoch:g}: {accuracies[nearest]:.0%} right"
        _draw_matrix(axes, matrix, class_names if column == 0 else None, len(class_names))
        axes.set_title("\n".join([heading, *filter(None, [(notes or {}).get(epoch)])]), fontsize=10)
        K = len(class_names)
        figure.add_artist(
            ConnectionPatch(
                (places[nearest], 100 * accuracies[nearest]),
                ((K - 1) / 2, -0.5),
                "data",
                "data",
                axesA=top,
                axesB=axes,
                color="0.6",
                linewidth=0.8,
                linestyle=":",
                zorder=0,
            )
        )
    return figure


def _draw_matrix(axes, matrix, names, K: int) -> None:
    """Shares of each true class as shades of blue; names on the left where they are given."""
    matrix = torch.as_tensor(matrix).detach().cpu().numpy()
    if matrix.shape != (K, K):
        raise ValueError(
            f"a confusion matrix for {K} class names is ({K}, {K}), not {matrix.shape}"
        )
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(100 * share, cmap="Blues", vmin=0, vmax=100)
    axes.set_xticks([])
    axes.set_yticks(range(K) if names else [], names or [], fontsize=8)
    axes.tick_params(length=0)
    axes.set_xlabel("the model's answer", fontsize=9)
    if names:
        axes.set_ylabel("the true class", fontsize=9)
