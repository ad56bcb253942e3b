"""The explore notebook as one static picture."""

from matplotlib.patches import Rectangle

from ..explore import KINDS, Explorer
from .base import COLORS, DIVERGING, draw_image, plain, sharp_figure
from .maps import draw_map

TITLES = {
    "positions": "how similar the\npatch's position is",
    "attention": "attention",
    "rollout": "rollout",
}


def explore_strip(
    explorer: Explorer,
    layer: int = -1,
    head: int | None = None,
    patch: int | None = None,
    by_patch: bool = False,
):
    """What the explore widget shows, for one layer, head and patch, without widgets.

    patch: its number, row by row from 0; None for the middle. Others as in `explore.Side.maps`.
    Maps of attention and rollout have a scale of their own each, from 0; similarity runs from -1 to
    1.
    """
    rows, columns = explorer.layout.grid
    patch = rows // 2 * columns + columns // 2 if patch is None else patch
    row, column = divmod(patch, columns)
    _, height, width = explorer.pixels.shape
    down, across = height / rows, width / columns  # a patch in pixels
    readers = "class token" if explorer.layout.class_token is not None else "mean of all patches"
    reader = f"patch {patch}" if by_patch else readers
    number = layer % len(explorer.sides["trained"].weights)
    heads = "mean of heads" if head is None else f"head {head}"
    title = f"{explorer.name}: layer {number}, {heads}, read by the {reader}"
    figure = sharp_figure(9.5, 2 * 1.75 * height / width + 1.4, title)
    panels = figure.subplots(2, 5, width_ratios=(1, 1, 1, 1, 1.1))
    draw_image(panels[0, 0], explorer.pixels)
    panels[0, 0].set_title(f"{rows} x {columns} patches", fontsize=9)
    line = dict(color="white", linewidth=0.4)
    panels[0, 0].hlines([r * down - 0.5 for r in range(1, rows)], -0.5, width - 0.5, **line)
    panels[0, 0].vlines([c * across - 0.5 for c in range(1, columns)], -0.5, height - 0.5, **line)
    top, left = round(row * down), round(column * across)
    cut = explorer.pixels[:, top : round(top + down), left : round(left + across)]
    draw_image(panels[1, 0], cut)
    panels[1, 0].set_title(f"patch {patch}, enlarged", fontsize=9)
    for kind, line_of_panels in zip(KINDS, panels):
        side = explorer.sides[kind]
        maps = side.maps(layer, head, patch, by_patch)
        for axes, label in zip(line_of_panels[1:4], TITLES):
            if label not in maps:
                axes.axis("off")
                axes.text(0.5, 0.5, "no table\nof positions", ha="center", va="center", fontsize=9)
                continue
            scale = dict(cmap=DIVERGING, vmin=-1, vmax=1) if label == "positions" else {}
            draw_map(axes, maps[label], (height, width), **scale)
            axes.set_title(TITLES[label] if kind == "trained" else "", fontsize=9)
            largest = f"largest {float(maps[label].max()):.2g}"
            axes.set_xlabel("" if label == "positions" else largest, fontsize=8, labelpad=2)
        line_of_panels[1].set_ylabel(f"{kind} weights", fontsize=10)
        _classes(line_of_panels[4], side.classes)
    for axes in (panels[0, 0], *panels[:, 1:4].flat):
        box = dict(fill=False, edgecolor=COLORS["patch"], linewidth=2)
        axes.add_patch(Rectangle((left - 0.5, top - 0.5), across, down, **box))
    return figure


def _classes(axes, classes) -> None:
    """The likeliest classes as bars, the first on top."""
    names, shares = [name[:18] for name, _ in classes], [share for _, share in classes]
    axes.barh(range(len(names)), shares, color=COLORS["output"], alpha=0.25)
    for place, (name, share) in enumerate(zip(names, shares)):
        axes.text(0.02, place, plain(f"{name} {share:.0%}"), va="center", fontsize=8)
    axes.set(xlim=(0, 1), ylim=(4.5, -0.5), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
