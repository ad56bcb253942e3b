"""Similarity of several position tables side by side, each as one block of small maps."""

from collections.abc import Mapping

from .. import analysis
from ..layout import TokenLayout
from ..position_tables import position_table
from .base import DIVERGING, new_figure

WIDTH, BAR = 7.2, 0.9  # inches of the figure, and of the colour bar in it


def similarity_blocks(
    tables: Mapping,
    layout: TokenLayout | tuple[int, int] | None = None,
    *,
    columns: int | None = None,
    title: str | None = None,
):
    """A block for each table: the maps of `position_similarity`, small, to compare by eye.

    tables: {what stands above the block: a table or a model, as in `position_similarity`}.
    layout: as there, for every table. columns: blocks in a row; None for all in one row.
    All maps share one scale from -1 to 1. Raises ValueError when the counts do not fit, or where
    there is nothing to draw.
    """
    if not tables:
        raise ValueError("similarity_blocks has 0 tables to draw")
    across = columns or len(tables)
    down = -(-len(tables) // across)
    side = (WIDTH - BAR) / across
    figure = new_figure(WIDTH, down * (side + 0.25) + (0.35 if title else 0), title)
    panels = figure.subplots(down, across, squeeze=False)
    for axes in panels.flat:
        axes.set_axis_off()
    for axes, (name, table) in zip(panels.flat, tables.items()):
        found = position_table(table, layout)
        r, c = found.layout.grid
        cosine = analysis.cosine_similarity(found.patches).view(r, c, r, c)
        maps = cosine.permute(0, 2, 1, 3).reshape(r * r, c * c)  # the maps of a row side by side
        drawn = axes.imshow(
            maps.numpy(),
            cmap=DIVERGING,
            vmin=-1,
            vmax=1,
            extent=(0, c, r, 0),
            interpolation="nearest",
        )
        axes.hlines(range(1, r), 0, c, color="white", linewidth=1.5)
        axes.vlines(range(1, c), 0, r, color="white", linewidth=1.5)
        axes.set_title(name, fontsize=10)
    figure.colorbar(drawn, ax=panels, shrink=0.8 / down, label="cosine similarity")
    return figure
