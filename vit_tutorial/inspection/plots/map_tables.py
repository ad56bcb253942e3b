"""Pictures of what maps over the patches show, and of tests that they pass or fail."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from .base import DIVERGING, SERIES, as_tensor, draw_image, plain, sharp_figure

MARKERS = ("^", "v", "o", "s", "D", "P")


def map_table(
    rows: Mapping[str, Sequence[Tensor]], columns: Sequence[str], *, title: str, inches: float = 1.2
):
    """Pictures and maps in a table. Each map is drawn from its own lowest to its own highest value.

    A map with values below 0 is drawn in blue and red, with white at 0.
    rows: label -> pictures (C, H, W) or maps over the patches (rows, columns), one for each column.
    columns: what stands above them; "" for nothing. inches: the width of a cell.
    Raises ValueError when a row has another number of cells than there are columns.
    """
    for label, cells in rows.items():
        if len(cells) != len(columns):
            raise ValueError(f"{len(cells)} cells in row {label!r} for {len(columns)} columns")
    labels = 0.3 if any(rows) else 0
    size = inches * len(columns) + labels, inches * len(rows) + 0.3 + 0.25 * any(columns)
    figure = sharp_figure(*size, title)
    grid = figure.subplots(len(rows), len(columns), squeeze=False)
    for line, (label, cells) in zip(grid, rows.items()):
        line[0].set_ylabel(plain(label), fontsize=9)
        for axes, cell in zip(line, cells):
            _cell(axes, cell)
    for axes, name in zip(grid[0], columns):
        axes.set_title(plain(name), fontsize=9)
    return figure


def _cell(axes, cell: Tensor) -> None:
    if cell.ndim == 3:
        draw_image(axes, as_tensor(cell))
        return
    values = cell.detach().float().cpu().numpy()
    axes.set(xticks=[], yticks=[])
    if values.min() < 0:
        limit = abs(values).max()
        axes.imshow(values, cmap=DIVERGING, vmin=-limit, vmax=limit)
    else:
        axes.imshow(values, cmap="viridis")


def lines(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float], tuple[Sequence, Sequence]]],
    *,
    title: str,
    x: str,
    y: str,
):
    """Curves with their intervals, each labelled at its end.

    curves: label -> (places on the x axis, means, (low ends, high ends) of the intervals).
    Labels that would cover each other move apart.
    """
    figure = sharp_figure(6.9, 3.8, title)
    axes = figure.add_subplot()
    ends = []
    for (label, (at, mean, (low, high))), color in zip(curves.items(), SERIES):
        axes.fill_between(at, low, high, color=color, alpha=0.2, linewidth=0)
        axes.plot(at, mean, color=color, marker="o", markersize=3)
        ends.append([mean[-1], at[-1], label, color])
    axes.set(xlabel=x, ylabel=y)
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    low, high = axes.get_ylim()
    step, before = 0.06 * (high - low), float("-inf")
    for mean, at, label, color in sorted(ends):
        before = max(mean, before + step)
        style = dict(color=color, fontsize=9, va="center", xytext=(6, 0))
        axes.annotate(plain(label), (at, before), textcoords="offset points", **style)
    return figure


def clouds(
    panels: Mapping[str, Tensor],
    labels: Tensor,
    colors: Sequence[str],
    markers: Sequence[str],
    *,
    title: str,
):
    """Points in the plane, one panel for each set: a colour and a marker for each class.

    panels: title -> points (n, 2). labels: (n,), class numbers: class len(markers) * i + j has
        colour i and marker j. colors, markers: what they stand for, named below the panels.
    Raises ValueError for more colours or markers than there are.
    """
    if len(colors) > len(SERIES) or len(markers) > len(MARKERS):
        raise ValueError(
            f"{len(colors)} colours and {len(markers)} markers: there are {len(SERIES)} and "
            f"{len(MARKERS)}"
        )
    figure = sharp_figure(6.9, 3.9, title)
    for axes, (name, points) in zip(figure.subplots(1, len(panels), squeeze=False)[0],
                                    panels.items()):  # fmt: skip
        axes.set_title(plain(name), fontsize=10)
        axes.set(xticks=[], yticks=[])
        for i, color in enumerate(SERIES[: len(colors)]):
            for j, marker in enumerate(MARKERS[: len(markers)]):
                x, y = points[labels == len(markers) * i + j].T.tolist()
                axes.scatter(x, y, s=14, color=color, marker=marker, alpha=0.8, linewidths=0)
    handles = [
        axes.scatter([], [], color=color, marker="o", label=plain(name))
        for name, color in zip(colors, SERIES)
    ]
    handles += [
        axes.scatter([], [], color="0.4", marker=marker, label=plain(name))
        for name, marker in zip(markers, MARKERS)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=9)
    return figure
