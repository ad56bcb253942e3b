"""Kinds of positions side by side: what each holds, and what one patch gets from it on the grid."""

import dataclasses

import torch
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from .. import analysis
from ..layout import TokenLayout
from ..position_tables import Positions, PositionTable, RelativePositions, find_positions
from .base import DIVERGING, new_figure


@dataclasses.dataclass
class View:
    """What is drawn of one position embedding: two maps."""

    content: torch.Tensor  # (a, b), all that it holds
    content_labels: tuple[str, str, str]  # x axis, y axis, colours
    effect: torch.Tensor  # (rows, columns): what the chosen patch gets from it
    effect_label: str
    limit: float  # of the colours of `effect`, which go from -limit to limit
    corner: tuple[float, float] = (0, 0)  # what the first column and row of `content` stand for


def position_kinds(
    positions,
    layout: TokenLayout | tuple[int, int] | None = None,
    *,
    patch: int | tuple[int, int] | None = None,
    head: int = 0,
    title: str | None = None,
):
    """One panel for each kind: on the left what it holds, on the right what one patch gets from it.

    A table: its numbers (patches x width), and the cosine similarity of each patch's row with the
        chosen patch's.
    Relative positions: one head's bias by offset, and the bias on the scores of the chosen patch's
        query.
    Rotary positions: the cosines of the angles (patches x pairs), and the score, as a share of the
        largest, that the chosen patch's query has with copies of itself everywhere, when all pairs
        are equally long: the mean over pairs of the cosine of the angle between them.
    All colour scales are centred at 0, and each map has its own bar.

    positions: {name: position} or one position. A position is a tensor (T, D) or (1, T, D), a
        position embedding of this package (`make_position`), or a model; of a model's positions
        the first is drawn.
    layout: as in `position_similarity`.
    patch: its number or (row, column); None for the one in the middle. head: of relative positions.
    Raises ValueError when the counts do not fit, or where there is nothing to draw.
    """
    named = positions if isinstance(positions, dict) else {"": positions}
    if not named:
        raise ValueError("position_kinds has 0 positions to draw")
    across = min(len(named), 2)
    down = -(-len(named) // 2)
    figure = new_figure(4.5 * across + (1.5 if across == 1 else 0), 2.3 * down + 0.5, title)
    figure.get_layout_engine().set(wspace=0.05)  # a bar's label belongs to the map on its left
    panels = figure.subfigures(down, across, squeeze=False).flat
    for panel, (name, position) in zip(panels, named.items()):
        found = find_positions(position, layout)
        row, column = _chosen(patch, found.layout.grid)
        view = _view(found, row * found.layout.grid[1] + column, head)
        _draw(panel, name, view, (row, column))
    return figure


def _chosen(patch, grid) -> tuple[int, int]:
    """(row, column) of the patch, from its number, from the pair itself, or the middle one."""
    rows, columns = grid
    if patch is None:
        return rows // 2, columns // 2
    row, column = divmod(patch, columns) if isinstance(patch, int) else patch
    if not (0 <= row < rows and 0 <= column < columns):
        raise ValueError(
            f"patch {patch} is not on a grid of {rows}x{columns} patches: "
            f"give 0 to {rows * columns - 1}, or (row, column)"
        )
    return row, column


def _view(found: Positions, patch: int, head: int) -> View:
    if isinstance(found, PositionTable):
        table = found.patches  # (N, D)
        return View(
            table,
            ("number of the vector", "patch", "what is added"),
            analysis.cosine_similarity(table)[patch].view(found.layout.grid),
            f"cosine with patch {patch}",
            1,
        )
    if isinstance(found, RelativePositions):
        return _relative(found, patch, head)
    cos, sin = found.cos[found.layout.patches], found.sin[found.layout.patches]  # (N, pairs)
    score = (cos * cos[patch] + sin * sin[patch]).mean(dim=1)  # cos(a - b), the mean over pairs
    return View(
        cos,
        ("pair of numbers", "patch", "cosine of the angle"),
        score.view(found.layout.grid),
        f"score with patch {patch}\n(share of the largest)",
        1,
    )


def _relative(found: RelativePositions, patch: int, head: int) -> View:
    (rows, columns), patches, heads = found.layout.grid, found.layout.patches, len(found.bias)
    if not 0 <= head < heads:
        raise ValueError(f"head {head} is not one of the {heads} heads: 0 to {heads - 1}")
    bias = found.bias[head][patches, patches]  # (N, N): query's patch, key's patch
    n = torch.arange(rows * columns)
    row, column = n // columns, n % columns
    down = row - row[:, None] + rows - 1  # (N, N): from the query's patch to the key's
    right = column - column[:, None] + columns - 1
    by_offset = torch.zeros(2 * rows - 1, 2 * columns - 1)
    by_offset[down, right] = bias
    return View(
        by_offset,
        ("columns to the right", "rows down", f"added to the score,\nhead {head}"),
        bias[patch].view(rows, columns),
        f"added to patch {patch}'s\nscore, head {head}",
        max(float(by_offset.abs().max()), 1e-12),
        (1 - columns, 1 - rows),
    )


def _draw(panel, name: str, view: View, chosen: tuple[int, int]) -> None:
    left, right = panel.subplots(1, 2, width_ratios=(1, 1))
    panel.suptitle(name, fontsize=10, fontweight="bold")
    (x, y), (a, b) = view.corner, view.content.shape
    limit = max(float(view.content.abs().max()), 1e-12)
    extent = (x - 0.5, x + b - 0.5, y + a - 0.5, y - 0.5)
    across, down, colours = view.content_labels
    drawn = left.imshow(
        view.content.numpy(),
        cmap="PuOr_r",
        vmin=-limit,
        vmax=limit,
        extent=extent,
        aspect="auto",
        interpolation="nearest",
    )
    _label(left, drawn, across, down, colours, limit)
    drawn = right.imshow(
        view.effect.numpy(),
        cmap=DIVERGING,
        vmin=-view.limit,
        vmax=view.limit,
        interpolation="nearest",
    )
    _label(right, drawn, "column of the patch", "row of the patch", view.effect_label, view.limit)
    row, column = chosen
    frame = dict(fill=False, edgecolor="black", linewidth=2, clip_on=False)
    right.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, **frame))


def _label(axes, drawn, across: str, down: str, colours: str, limit: float) -> None:
    """Small labels, few ticks, and a bar of the axes' own height from -limit to limit."""
    axes.set_xlabel(across, fontsize=8)
    axes.set_ylabel(down, fontsize=8)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5, integer=True))
    bar = axes.figure.colorbar(
        drawn, cax=axes.inset_axes([1.04, 0, 0.06, 1]), ticks=[-limit, 0, limit], format="%.2g"
    )
    bar.set_label(colours, fontsize=8)
    for ticked in (axes, bar.ax):
        ticked.tick_params(labelsize=7, length=2)
