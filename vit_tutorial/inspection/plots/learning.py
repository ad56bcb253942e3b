"""Pictures of learning: curves of a run, confusions of classes, intervals over seeds."""

import math

import numpy as np
import torch

from .base import BLUE, GREEN, ORANGE, SERIES, new_figure, plain

UNITS = {"epochs": "epochs", "minutes": "minutes", "step": "training steps"}


def curves(
    rows, *, also=None, x: str | None = None, label: str = "this run", title: str = "A training run"
):
    """Loss, validation accuracy and learning rate of a training run: three panels over one axis.

    rows: a list of dicts with `x` and any of train_loss, validation_loss, validation_accuracy
        (0 to 1), lr: numbers, or text as csv.DictReader gives it. Empty, None and nan are left out.
    also: {name: rows} of other runs, drawn in the same panels. label: this run's name among them.
    x: "epochs", "minutes" or "step"; None takes the first of them that every run has.
    Raises ValueError for no rows, an unknown axis, or rows with nothing to draw.
    """
    if label in (also or {}):
        raise ValueError(f"two runs are called {label!r}: give this one another label")
    runs = {label: list(rows), **{name: list(others) for name, others in (also or {}).items()}}
    for name, run in runs.items():
        if not run:
            raise ValueError(f"{name!r} has 0 rows: a curve needs at least one evaluation")
    if x is None:
        x = next(
            (key for key in UNITS if all(_points(run, key, key)[0] for run in runs.values())), None
        )
    if x not in UNITS or not all(_points(run, x, x)[0] for run in runs.values()):
        has = ", ".join(map(str, runs[label][0]))
        raise ValueError(
            f"x is {x!r}: choose from {', '.join(UNITS)}, one that every run has; "
            f"{label!r} has {has}"
        )

    figure = new_figure(9.5, 3.4, title)
    loss, accuracy, rate = figure.subplots(1, 3)
    single, drawn = len(runs) == 1, 0
    for (name, run), color in zip(runs.items(), SERIES * len(runs)):
        ours = "" if single else f"{name}, "
        style = dict(marker="o", markersize=3.5)
        lines = [
            (loss, "train_loss", 1, dict(color=color, linestyle="--", label=f"{ours}training")),
            (
                loss,
                "validation_loss",
                1,
                dict(color=ORANGE if single else color, label=f"{ours}validation", **style),
            ),
            (
                accuracy,
                "validation_accuracy",
                100,
                dict(color=ORANGE if single else color, label=name, **style),
            ),
            (rate, "lr", 1, dict(color=GREEN if single else color, label=name)),
        ]
        for axes, key, scale, look in lines:
            places, values = _points(run, x, key)
            if len(values) == 1:
                look |= dict(marker="o")
            axes.plot(places, [scale * value for value in values], **look)
            drawn += len(values)
    if not drawn:
        raise ValueError(
            "the rows have none of train_loss, validation_loss, validation_accuracy, lr: "
            "nothing to draw"
        )
    _label(loss, "loss", "cross-entropy (nats)", x)
    _label(accuracy, "validation accuracy", "correct (%)", x)
    _label(rate, "learning rate", "learning rate", x)
    accuracy.set_ylim(0, 102)
    loss.set_ylim(bottom=0)
    rate.set_ylim(bottom=0)
    rate.ticklabel_format(axis="y", style="sci", scilimits=(-1, 2))
    loss.legend(fontsize=8)
    if not single:
        accuracy.legend(fontsize=8, loc="lower right")
    return figure


def _label(axes, title: str, unit: str, x: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(UNITS[x])
    axes.set_ylabel(unit)
    axes.grid(color="0.9")
    axes.set_axisbelow(True)


def _points(run, x: str, y: str) -> tuple[list[float], list[float]]:
    """The finite pairs (x, y) of a run."""
    pairs = [(_number(row.get(x)), _number(row.get(y))) for row in run]
    pairs = [pair for pair in pairs if all(map(math.isfinite, pair))]
    return [a for a, _ in pairs], [b for _, b in pairs]


def _number(value) -> float:
    """A number, or the text of one; nan for what is empty."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(
            f"{value!r} is not a number: a row of a training run holds numbers, "
            "or the text of numbers"
        ) from None


def confusion(matrix, class_names, *, title: str | None = None):
    """How often each class was predicted as each: counts, rows true, columns predicted.

    The colour is the share of the row.
    matrix: (K, K) whole numbers from 0 up (`analysis.confusion_matrix`). Made for 2 to 20 classes.
    Raises ValueError for another shape, a count that is negative or not whole, or another number of
    names.
    """
    matrix = torch.as_tensor(matrix).detach().cpu().numpy()
    K = len(class_names)
    if matrix.shape != (K, K):
        raise ValueError(
            f"a confusion matrix for {K} class names is ({K}, {K}), not {matrix.shape}"
        )
    if (matrix < 0).any() or (matrix != matrix.round()).any():
        raise ValueError(
            "a confusion matrix holds counts: whole numbers from 0 up, "
            f"not numbers from {matrix.min():.3g} to {matrix.max():.3g}"
        )
    total = matrix.sum(axis=1, keepdims=True)
    share = matrix / np.maximum(total, 1)
    right = np.trace(matrix) / max(matrix.sum(), 1)

    side = min(max(3.2, 0.42 * K + 1), 8.2)
    heading = (
        title
        or f"Confusion matrix: {int(np.trace(matrix))} of {int(matrix.sum())} right ({right:.1%})"
    )
    figure = new_figure(side + 1.6, side + 0.9, heading)
    axes = figure.add_subplot()
    image = axes.imshow(100 * share, cmap="Blues", vmin=0, vmax=100)
    size = 9 if K <= 10 else 8 if K <= 14 else 7
    for r in range(K):
        for c in range(K):
            color = "white" if share[r, c] > 0.5 else "black" if matrix[r, c] else "0.7"
            axes.text(
                c, r, str(int(matrix[r, c])), ha="center", va="center", fontsize=size, color=color
            )
    names = [plain(name) for name in class_names]
    upright = K * max(map(len, names)) > 10 * side  # long names are written upright
    axes.set_xticks(
        range(K),
        names,
        fontsize=9,
        rotation=45 if upright else 0,
        ha="right" if upright else "center",
        rotation_mode="anchor",
    )
    axes.set_yticks(range(K), names, fontsize=9)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    figure.colorbar(image, ax=axes, shrink=0.75, label="share of the true class (%)")
    return figure


def intervals(
    summary: list[dict], title: str | None = None, label: str = "accuracy on the test images (%)"
):
    """One dot per variant, with its 95 % interval: is a difference larger than that between seeds?

    summary: dicts, drawn from top to bottom, with variant, mean and half (shares from 0 to 1; half
        is nan for a single run) and seeds, as `studies.summary` gives them.
    Raises ValueError for no variants.
    """
    if not summary:
        raise ValueError("intervals has 0 variants to draw")
    figure = new_figure(7.5, 1.3 + 0.3 * len(summary), title)
    axes = figure.add_subplot()
    for place, entry in enumerate(summary):
        half = 0 if math.isnan(entry["half"]) else entry["half"]
        axes.errorbar(
            100 * entry["mean"],
            place,
            xerr=100 * half,
            fmt="o",
            color=BLUE,
            capsize=4,
            markersize=5,
        )
    axes.axvline(100 * summary[0]["mean"], color="0.6", linewidth=1, linestyle=":")
    axes.set_yticks(range(len(summary)), [entry["variant"] for entry in summary])
    axes.set(
        ylim=(len(summary) - 0.4, -0.6),
        xlabel=f"{label}; bars: 95 % interval over {_count_seeds(summary)}",
    )
    axes.grid(axis="x", color="0.9")
    axes.set_axisbelow(True)
    return figure


def _count_seeds(summary: list[dict]) -> str:
    """ "5 seeds", or "2 to 5 seeds" where variants have different numbers of runs."""
    numbers = sorted({entry["seeds"] for entry in summary})
    return f"{numbers[0]} seeds" if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]} seeds"
