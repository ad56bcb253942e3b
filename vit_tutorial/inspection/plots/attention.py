"""Pictures of attention: who reads whom, one token's reading step by step, heads, maps."""

import math
from collections.abc import Mapping, Sequence

import torch
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.patches import Circle, FancyArrowPatch, Rectangle

from .base import COLORS, DIVERGING, GREEN, ORANGE, as_tensor, draw_image, sharp_figure

WEIGHTS = LinearSegmentedColormap.from_list("weights", ["white", "0.25"])  # grey, as all weights
HEADS = ("#9AD1F2", "#F6C667", "#8FD5BB", "#E8B3D1")  # light, so that numbers stay readable


def weight_tables(tables: Mapping[str, torch.Tensor], icons: torch.Tensor, *, title: str):
    """Attention weights as tables: row = the token that reads, column = the token that is read.

    tables: panel title -> weights (T, T). icons: a small picture for each token, (T, C, h, w),
        drawn beside its row and above its column. On the right of each row stands what its token
        reads, as a picture: the average of the icons by the row's weights.
    """
    figure = sharp_figure(0.4 + 3.25 * len(tables), 4.1, title)
    for axes, (name, weights) in zip(
        figure.subplots(1, len(tables), squeeze=False)[0], tables.items()
    ):
        axes.imshow(weights.detach().cpu().numpy(), cmap=WEIGHTS, vmin=0, vmax=1)
        for i, row in enumerate(weights.tolist()):
            for j, weight in enumerate(row):
                colour = "white" if weight > 0.55 else "black"
                axes.text(j, i, f"{weight:.2f}", ha="center", va="center", fontsize=8, color=colour)
        T = len(icons)
        for token, icon in enumerate(icons):
            _icon(axes, icon, (token, -0.95))
            _icon(axes, icon, (-0.95, token))
            _icon(axes, torch.einsum("t,tchw->chw", weights[token].detach(), icons), (T, token))
        axes.set(xticks=[], yticks=[], xlabel=name)
        small = dict(fontsize=8, ha="center", va="center")
        axes.text(-1.0, -1.0, "reader ↓\nis read →", **small | dict(fontsize=7))
        axes.text(T, -0.95, "output", **small)
        axes.xaxis.labelpad = 6
        axes.spines[:].set_visible(False)
    return figure


def reading(
    icons: torch.Tensor,
    names: Sequence[str],
    reader: int,
    parts: Mapping[str, torch.Tensor],
    *,
    title: str,
):
    """How one token reads, step by step: its query, all keys, scores, weights, values, output.

    icons: (T, C, h, w). reader: the number of the token that reads, for its name.
    parts: "query" (d,), "keys" (T, d), "scores" (T,), "weights" (T,), "values" (T, d) and
        "output" (d,). Vectors are strips of d coloured cells, on one scale.
    """
    figure = sharp_figure(6.9, 4.4, title)
    axes = figure.add_subplot()
    parts = {name: values.detach().cpu() for name, values in parts.items()}
    T = len(icons)
    axes.set(xlim=(-1.6, 15.0), ylim=(T + 1.6, -2.3))
    axes.axis("off")
    strips = [parts[name] for name in ("query", "keys", "values", "output")]
    top = max(float(strip.abs().max()) for strip in strips)

    def strip(vector, left, row, part, frame=2.0):
        extent = (left, left + 4, row + 0.32, row - 0.32)
        vector = vector.numpy()[None]
        axes.imshow(vector, cmap=DIVERGING, vmin=-top, vmax=top, extent=extent, aspect="auto")
        box = Rectangle((left, row - 0.32), 4, 0.64, fill=False, ec=COLORS[part], lw=frame)
        axes.add_patch(box)

    def say(x, y, text, **more):
        axes.text(x, y, text, **dict(ha="center", va="center", fontsize=9) | more)

    strip(parts["query"], 1.0, -1.6, "query", 3)
    say(-0.2, -1.6, f"query of\nthe {names[reader]}")
    for x, word, below in (
        (3.0, "keys", ""),
        (6.4, "score", "query · key / √d"),
        (8.7, "weight", "softmax"),
        (12.6, "values", ""),
    ):
        say(x, -0.85, word)
        say(x, -0.52, below, fontsize=7)
    for row in range(T):
        weight = float(parts["weights"][row])
        _icon(axes, icons[row], (-1.25, row), 4)
        say(-0.2, row, names[row], weight="bold" if row == reader else "normal")
        strip(parts["keys"][row], 1.0, row, "key")
        say(6.4, row, f"{float(parts['scores'][row]):.2f}")
        say(8.2, row, f"{weight:.2f}")
        bar = Rectangle((8.75, row - 0.3), 1.5 * weight, 0.6, fc=COLORS["weight"], alpha=0.6)
        axes.add_patch(bar)
        strip(parts["values"][row], 10.6, row, "value", 3)
    axes.plot([10.6, 14.6], [T - 0.15] * 2, color="black", lw=1)
    strip(parts["output"], 10.6, T + 0.6, "output", 3)
    say(10.3, T + 0.6, "output = weighted sum of the values", ha="right")
    axes.set_aspect("auto")
    return figure


def split_and_merge(tokens: int, heads: int, *, title: str):
    """Heads as coloured blocks: a token's row is split, each head works alone, the row is merged.

    Each block is labelled with its head and its token: 21 is head 2, token 1. The last panel shows
    what a bare reshape makes of the heads: rows that mix tokens. At most 4 heads.
    """
    right = [[(h, t) for h in range(heads)] for t in range(tokens)]
    by_head = [(h, t) for h in range(heads) for t in range(tokens)]
    wrong = [by_head[i : i + heads] for i in range(0, len(by_head), heads)]
    columns = [[[(h, t)] for t in range(tokens)] for h in range(heads)]
    figure = sharp_figure(6.9, 3.2, title)
    axes = figure.add_subplot()
    gap, left = 1.7, 0.0
    axes.axis("off")
    panels = (
        ("(B, T, D)\nevery row is a token", [right]),
        ("split: (B, h, T, d)\neach head by itself", columns),
        ("merged, axes exchanged:\nthe rows are tokens again", [right]),
        ("merged by a bare reshape:\nthe rows mix tokens", [wrong]),
    )
    for number, (name, tables) in enumerate(panels):
        start = left
        for table in tables:
            for row, blocks in enumerate(table):
                for column, (head, token) in enumerate(blocks):
                    place = (left + column, row)
                    axes.add_patch(Rectangle(place, 1, 1, fc=HEADS[head], ec="white", lw=1.5))
                    middle = dict(ha="center", va="center", fontsize=8)
                    axes.text(left + column + 0.5, row + 0.5, f"{head}{token}", **middle)
            left += len(table[0]) + 0.4
        width = left - 0.4 - start
        colour = ORANGE if number == 3 else "black"
        axes.text(
            start + width / 2, -0.35, name, ha="center", va="bottom", fontsize=8.5, color=colour
        )
        if number < 2:
            arrow = dict(arrowstyle="->", mutation_scale=14, color="0.3")
            between = ((left - 0.2, tokens / 2), (left + gap - 0.6, tokens / 2))
            axes.add_patch(FancyArrowPatch(*between, **arrow))
        left += gap - 0.4
    axes.set(xlim=(-0.1, left - gap + 0.9), ylim=(tokens + 0.1, -1.9))
    return figure


def ring(weights: torch.Tensor, lengths: torch.Tensor, *, title: str):
    """Who reads whom on a ring of places, and how long each place's query is.

    weights: (T, T), the mean attention weights; an arrow goes from each place to the one that it
        reads most, orange where that is not its left neighbour. lengths: (T,), in the same order.
    """
    T = len(lengths)
    most = weights.argmax(dim=-1).tolist()
    figure = sharp_figure(6.9, 3.5, title)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
    # Place 0 on top, then clockwise: the left neighbour of a place is the one before it.
    at = [(math.sin(2 * math.pi * t / T), math.cos(2 * math.pi * t / T)) for t in range(T)]
    for t, (x, y) in enumerate(at):
        left.add_patch(Circle((x, y), 0.2, fc=COLORS["patch"], ec="none"))
        left.text(x, y, str(t), ha="center", va="center", fontsize=11)
        good = most[t] == (t - 1) % T
        colour = GREEN if good else ORANGE
        style = dict(arrowstyle="-|>", mutation_scale=16, lw=2.2, color=colour)
        ends = dict(posA=(x, y), posB=at[most[t]], shrinkA=17, shrinkB=17)
        bow = "arc3,rad=0.15"
        if most[t] == t:  # it bites its own tail: a loop on the outer side
            turn = math.atan2(y, x)
            posA, posB = (
                (1.18 * math.cos(turn + s), 1.18 * math.sin(turn + s)) for s in (0.14, -0.14)
            )
            ends, bow = dict(posA=posA, posB=posB), "arc3,rad=-3.2"
        left.add_patch(FancyArrowPatch(**ends, connectionstyle=bow, **style))
        if not good:
            ends = dict(posA=(x, y), posB=at[t - 1], shrinkA=17, shrinkB=17)
            missing = dict(arrowstyle="-", linestyle=":", lw=1.8, color=ORANGE)
            left.add_patch(FancyArrowPatch(**ends, connectionstyle="arc3,rad=0.15", **missing))
    left.set(xlim=(-1.85, 1.85), ylim=(-1.6, 1.6), aspect=1)
    left.set_title("the place that each one reads most", fontsize=10)
    left.axis("off")
    first = int(lengths.argmax())
    order = [t % T for t in range(first, first + T)]
    values = [float(lengths[t]) for t in order]
    colours = [GREEN if most[t] == (t - 1) % T else ORANGE for t in order]
    right.bar(range(T), values, color=colours, width=1, edgecolor="white")
    for n, value in enumerate(values):
        right.text(n, value, f"{value:.0f}", ha="center", va="bottom", fontsize=9)
    right.set_xticks(range(T), [str(t) for t in order])
    right.set(xlabel="place, once round the ring", ylabel="length of its query")
    shorter = sum(float(lengths[t]) < float(lengths[t - 1]) for t in range(T))
    right.set_title(f"{shorter} of {T} are shorter than their left neighbour's", fontsize=10)
    right.spines[["top", "right"]].set_visible(False)
    return figure


def map_rows(
    images: torch.Tensor,
    rows: Mapping[str, tuple[torch.Tensor, float | None]],
    *,
    title: str,
):
    """Images, and below each of them its maps over the patches, one row for each kind.

    images: (n, C, H, W). rows: label -> (maps (n, rows, columns), top): the brightest colour stands
        for `top`, or for each map's own largest value where `top` is None.
    """
    n = len(images)
    figure = sharp_figure(6.9, 1.25 * (len(rows) + 1) + 0.4, title)
    grid = figure.subplots(len(rows) + 1, n, squeeze=False)
    grid[0, 0].set_ylabel("image", fontsize=9)
    for axes, image in zip(grid[0], images):
        draw_image(axes, as_tensor(image))
    for line, (label, (maps, top)) in zip(grid[1:], rows.items()):
        line[0].set_ylabel(label, fontsize=9)
        for axes, values in zip(line, maps):
            high = float(values.max()) if top is None else top
            axes.imshow(values.detach().cpu().numpy(), cmap="viridis", vmin=0, vmax=high)
            axes.set(xticks=[], yticks=[])
            axes.set_xlabel(f"largest {float(values.max()):.2f}", fontsize=8, labelpad=2)
    return figure


def path_lengths(icons: torch.Tensor, *, title: str):
    """How the first token reaches the last output: along a chain of states, or directly.

    icons: a small picture for each token, (T, C, h, w). The way of the first token is orange.
    """
    T = len(icons)
    figure = sharp_figure(6.9, 2.9, title)
    panels = figure.subplots(1, 2)
    for axes, name in zip(
        panels, ("recurrent: one state after the other", "attention: all at once")
    ):
        chain = axes is panels[0]
        axes.set(xlim=(-0.6, T - 0.4), ylim=(-0.6, 1.75))
        axes.axis("off")
        axes.set_title(f"{name}\n{T if chain else 1} step{'s' if chain else ''}", fontsize=10)
        outputs = range(T) if chain else [T - 1]
        for t in outputs:
            axes.plot([t], [1.2], "o", markersize=17, color=COLORS["patch"])
        for t in range(T):
            _icon(axes, icons[t], (t, 0), 5)
            ends = ((t, 0.28), (t, 0.95)) if chain else ((t, 0.28), (T - 1.03, 1.02))
            _step(axes, *ends, lit=t == 0)
            if chain and t:
                _step(axes, (t - 0.76, 1.2), (t - 0.24, 1.2), lit=True)
        axes.text(T - 1, 1.55, "last output", ha="center", va="center", fontsize=9)
        axes.text(0, -0.5, "first token", ha="center", va="center", fontsize=9)
    return figure


def _step(axes, start, end, lit: bool) -> None:
    style = dict(color=ORANGE, lw=2.4, zorder=3) if lit else dict(color="0.7", lw=1.2)
    arrow = dict(arrowstyle="-|>", mutation_scale=12, shrinkA=0, shrinkB=0)
    axes.add_patch(FancyArrowPatch(start, end, **arrow, **style))


def _icon(axes, icon: torch.Tensor, place: tuple[float, float], zoom: float = 4.5) -> None:
    """A token's small picture, in data coordinates, also outside the axes."""
    picture = OffsetImage(icon.permute(1, 2, 0).numpy(), zoom=zoom, interpolation="nearest")
    frame = dict(edgecolor="0.6", linewidth=0.5)
    axes.add_artist(
        AnnotationBbox(picture, place, pad=0.05, bboxprops=frame, annotation_clip=False)
    )
