"""Kinds of positions side by side: what each one holds, and what one patch gets from it on the grid."""

import dataclasses

import torch
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from .. import analysis
from ..position_tables import position_table
from .base import new_figure


@dataclasses.dataclass
class View:
    """What is drawn of one position embedding. held: (a, b), extent as in imshow; seen: (rows, columns), for the chosen patch."""

    held: torch.Tensor
    held_labels: tuple[str, str, str]  # x axis, y axis, colours
    seen: torch.Tensor
    seen_label: str
    limit: float  # of the colours of `seen`, which go from -limit to limit
    corner: tuple[float, float] = (
        0,
        0,
    )  # what the first column and the first row of `held` stand for


def position_kinds(
    positions,
    grid=None,
    *,
    patch=None,
    head: int = 0,
    extra: int | None = None,
    title: str | None = None,
):
    """One panel for each kind: on the left what it holds, on the right what one patch gets from it, on the grid of patches.

    A table: its numbers (patches x width), and the cosine similarity of each patch's row with the chosen patch's.
    Relative positions: one head's bias by offset, and the bias on the scores of the chosen patch's query.
    Rotary positions: the cosines of the angles (patches x pairs), and the score, as a share of the largest, that the chosen
        patch's query has with copies of itself everywhere, each pair as long as the others: the mean over pairs of the cosine
        of the angle between them.
    All colours have their centre at 0, and each map has its own bar.

    positions: {name: position} or one position. A position is a tensor (T, D) or (1, T, D), a position embedding of this package
        (`make_position`), or a model, of which the first one is drawn.
    grid and extra: as in `position_similarity`; a model has its own. patch: its number or (row, column); None for the middle.
    head: which one, of relative positions. Raises ValueError when the counts do not fit, or where there is nothing to draw.
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
        found, rows, shape = _parts(position, grid, extra)
        chosen = _chosen(patch, shape)
        view = _view(found, rows, shape, chosen[0] * shape[1] + chosen[1], head)
        _draw(panel, name, view, chosen)
    return figure


def _parts(position, grid, extra):
    """The table or the position embedding, which of its rows belong to patches, and the grid."""
    if hasattr(position, "config") and hasattr(position, "encoder"):  # a model of this package
        config = position.config
        kinds = [p for p in (position.position, *position.encoder.positions) if _length(p)]
        if not kinds:
            raise ValueError(
                f"this model has no positions to draw: its position is {config.position!r}"
            )
        position, grid = kinds[0], config.grid
        extra = (_length(position) - config.num_patches) * (
            -1 if config.class_token == "last" else 1
        )
    elif not _length(position):  # timm's, torchvision's, or an error that says what it is
        position, grid, extra = position_table(position)
    places, grid = analysis.patch_rows(torch.arange(_length(position))[:, None], grid, extra)
    return position, places[:, 0].long(), grid


def _length(position) -> int:
    """T, how many tokens it is for; 0 for something that is no position embedding."""
    if isinstance(position, torch.Tensor):
        return position.shape[-2] if position.ndim > 1 else 0
    for name in ("table", "index", "cos"):
        if isinstance(getattr(position, name, None), torch.Tensor):
            return getattr(position, name).shape[-2]
    return 0


def _chosen(patch, grid) -> tuple[int, int]:
    """(row, column) of the patch, from its number, from the two, or in the middle."""
    rows, columns = grid
    if patch is None:
        return rows // 2, columns // 2
    row, column = divmod(patch, columns) if isinstance(patch, int) else patch
    if not (0 <= row < rows and 0 <= column < columns):
        raise ValueError(
            f"patch {patch} is not on a grid of {rows}x{columns} patches: give 0 to {rows * columns - 1}, or (row, column)"
        )
    return row, column


def _view(position, places: torch.Tensor, grid, patch: int, head: int) -> View:
    known = not isinstance(position, torch.Tensor)  # tensors have methods of these names
    if known and hasattr(position, "index"):
        return _relative(position, places, grid, patch, head)
    if known and hasattr(position, "cos"):
        cos, sin = (
            position.cos.detach().float().cpu()[places],
            position.sin.detach().float().cpu()[places],
        )  # (N, pairs)
        score = (cos * cos[patch] + sin * sin[patch]).mean(dim=1)  # cos(a - b), the mean over pairs
        labels = ("pair of numbers", "patch", "cosine of the angle")
        return View(
            cos, labels, score.view(grid), f"score with patch {patch}\n(share of the largest)", 1
        )
    table = (position if isinstance(position, torch.Tensor) else position.table).detach()
    table = table.reshape(table.shape[-2:]).float().cpu()[places]  # (N, D)
    cosine = analysis.cosine_similarity(table)[patch].view(grid)
    return View(
        table,
        ("number of the vector", "patch", "what is added"),
        cosine,
        f"cosine with patch {patch}",
        1,
    )


def _relative(position, places: torch.Tensor, grid, patch: int, head: int) -> View:
    rows, columns = grid
    heads = len(position.bias)
    if not 0 <= head < heads:
        raise ValueError(f"head {head} is not one of the {heads} heads: 0 to {heads - 1}")
    bias = (
        position.bias.detach().float().cpu()[head][position.index.cpu()]
    )  # (T, T): rows ask, columns are asked
    bias = bias[places][:, places]  # (N, N)
    row, column = torch.arange(rows * columns) // columns, torch.arange(rows * columns) % columns
    down, right = (
        row - row[:, None] + rows - 1,
        column - column[:, None] + columns - 1,
    )  # (N, N): from the one that asks
    by_offset = torch.zeros(2 * rows - 1, 2 * columns - 1)
    by_offset[down, right] = bias
    labels = ("columns to the right", "rows down", f"added to the score,\nhead {head}")
    limit = max(float(by_offset.abs().max()), 1e-12)
    return View(
        by_offset,
        labels,
        bias[patch].view(grid),
        f"added to patch {patch}'s\nscore, head {head}",
        limit,
        (1 - columns, 1 - rows),
    )


def _draw(panel, name: str, view: View, chosen) -> None:
    held, seen = panel.subplots(1, 2, width_ratios=(1, 1))
    panel.suptitle(name, fontsize=10, fontweight="bold")
    (x, y), (a, b) = view.corner, view.held.shape
    limit = max(float(view.held.abs().max()), 1e-12)
    extent = (x - 0.5, x + b - 0.5, y + a - 0.5, y - 0.5)
    across, down, colours = view.held_labels
    nearest = dict(interpolation="nearest")
    drawn = held.imshow(
        view.held.numpy(),
        cmap="PuOr_r",
        vmin=-limit,
        vmax=limit,
        extent=extent,
        aspect="auto",
        **nearest,
    )
    _label(held, drawn, across, down, colours, limit)
    drawn = seen.imshow(
        view.seen.numpy(), cmap="RdBu_r", vmin=-view.limit, vmax=view.limit, **nearest
    )
    _label(seen, drawn, "column of the patch", "row of the patch", view.seen_label, view.limit)
    row, column = chosen
    seen.add_patch(
        Rectangle(
            (column - 0.5, row - 0.5),
            1,
            1,
            fill=False,
            edgecolor="black",
            linewidth=2,
            clip_on=False,
        )
    )


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
