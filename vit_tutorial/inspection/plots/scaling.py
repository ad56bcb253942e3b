"""A picture of cost: time and memory of a training step as one factor grows, against theory."""

from .base import BLUE, GREEN, ORANGE, PURPLE, new_figure

FACTORS = {
    "image": "image side (pixels)",
    "patch": "patch side (pixels)",
    "width": "width D",
    "depth": "depth (blocks)",
    "batch": "batch (images)",
}
STYLES = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "^"), (PURPLE, "D"))


def scaling(rows, *, title: str = "What a training step costs"):
    """Time (above) and memory (below) of a training step against each factor that was varied.

    One panel for a factor, with logarithmic axes. Points are what was measured. The dashed line is
    theory, moved up or down to meet the most expensive point: only its slope means something.
    rows: dicts with factor, value, way, seconds, activation_bytes, and theory for both, flops and
        theory_bytes: numbers, or text as csv.DictReader gives it (benchmarks/cost.py writes such a
        table). slope_... columns, if there are any, are written beside a series.
    Raises ValueError for no rows, or a row without one of these.
    """
    rows = [_numbers(row) for row in rows]
    if not rows:
        raise ValueError("0 rows: the picture needs at least one measured point")
    factors = list(dict.fromkeys(row["factor"] for row in rows))
    ways = list(dict.fromkeys(row["way"] for row in rows))
    if len(ways) > len(STYLES):
        raise ValueError(f"{len(ways)} ways in the rows: a reader can tell {len(STYLES)} apart")
    figure = new_figure(2.7 * max(2, len(factors)), 5.6, title)
    panels = figure.subplots(2, len(factors), squeeze=False, sharex="col", sharey="row")
    drawn = {}
    for column, factor in enumerate(factors):
        for line, measured, theory, scale, slope in (
            (0, "seconds", "flops", 1, ("slope_seconds", "slope_flops")),
            (1, "activation_bytes", "theory_bytes", 2**20, ("slope_bytes", "slope_theory_bytes")),
        ):
            axes, notes = panels[line, column], []
            for way, (color, marker) in zip(ways, STYLES):
                series = sorted(
                    (r for r in rows if (r["factor"], r["way"]) == (factor, way)),
                    key=lambda row: row["value"],
                )
                if not series:
                    continue
                x, top = [row["value"] for row in series], max(series, key=lambda row: row[theory])
                moved = top[measured] / top[theory] / scale
                axes.plot(
                    x, [row[theory] * moved for row in series], "--", color=color, linewidth=1
                )
                (drawn[way],) = axes.plot(
                    x,
                    [row[measured] / scale for row in series],
                    marker,
                    color=color,
                    markersize=5,
                    label=way,
                )
                if top.get(slope[0]) and top.get(slope[1]):
                    notes.append(
                        (
                            f"slope {float(top[slope[0]]):.1f} (theory {float(top[slope[1]]):.1f})",
                            color,
                        )
                    )
            _label(
                axes,
                factor,
                sorted({row["value"] for row in rows if row["factor"] == factor}),
                line,
                notes,
            )
    for axes in panels[:, 0]:  # a row of panels shares its axis
        axes.set_ylim(top=axes.get_ylim()[1] * (3 if len(ways) > 1 else 1.5))  # room for the slopes
    panels[0, 0].set_ylabel("time (seconds a step)")
    panels[1, 0].set_ylabel("kept for backward (MiB)")
    (dashed,) = panels[0, 0].plot([], [], "--", color="0.3", linewidth=1)
    names = [*drawn, "theory's slope"]
    figure.legend(
        [*drawn.values(), dashed],
        names,
        loc="outside lower center",
        ncols=len(names),
        fontsize=9,
        frameon=False,
    )
    return figure


def _label(axes, factor: str, values: list[float], line: int, notes: list) -> None:
    """Logarithmic axes with plain numbers at the points; the slopes are in a free corner."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(values, [f"{value:g}" for value in values], fontsize=8)
    axes.set_xticks([], minor=True)
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    if line:
        axes.set_xlabel(FACTORS.get(factor, factor))
    falling = factor == "patch"  # larger patches cost less
    for i, (text, color) in enumerate(notes):
        place = dict(x=0.97, ha="right") if falling else dict(x=0.03, ha="left")
        axes.text(
            y=0.97 - 0.075 * i,
            s=text,
            va="top",
            color=color,
            fontsize=8,
            transform=axes.transAxes,
            **place,
        )


def _numbers(row: dict) -> dict:
    needed = ("value", "seconds", "activation_bytes", "flops", "theory_bytes")
    missing = [name for name in ("factor", "way", *needed) if row.get(name) in (None, "")]
    if missing:
        raise ValueError(f"a row has no {', '.join(missing)}: it has {', '.join(map(str, row))}")
    numbers = {name: float(row[name]) for name in needed}
    if not min(numbers.values()) > 0:
        raise ValueError(f"a row has {numbers}: logarithms need numbers above 0")
    return row | numbers
