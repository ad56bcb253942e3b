"""The charts of the teacher's page, as PNG in data URLs.

The alternative text of each gives the same numbers.
"""

import base64
import io
import textwrap
from dataclasses import dataclass

# Okabe and Ito's colours, which colour-blind readers tell apart; patterns as well, for print.
OUTCOMES = {
    "right": ("right", "#0072B2", ""),
    "named": ("wrong, mistake named", "#E69F00", "//"),
    "other": ("wrong, mistake unknown", "#D55E00", "xx"),
    "not written": ("not written", "#DDDDDD", ""),
    "waiting": ("waits for you", "#FFFFFF", ".."),
}
MOST = 12  # mistakes in one chart; the table below it has all


@dataclass(frozen=True)
class Chart:
    """data: the URL for an <img>. alt: the alternative text."""

    data: str
    alt: str


def exercises(lesson: str, rows: list[dict]) -> Chart:
    """The outcomes of each exercise of a lesson. rows: {"title", "counts": {outcome: number}}."""
    figure, axes = _figure(0.62 * len(rows) + 1.5)
    places = range(len(rows))
    start = [0] * len(rows)
    for outcome, (label, colour, hatch) in OUTCOMES.items():
        widths = [row["counts"].get(outcome, 0) for row in rows]
        if any(widths):
            bars = axes.barh(
                places,
                widths,
                left=start,
                color=colour,
                hatch=hatch,
                edgecolor="#333333",
                linewidth=0.6,
                label=label,
            )
            texts = [str(width) if width else "" for width in widths]
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1.2}
            axes.bar_label(
                bars,
                texts,
                label_type="center",
                fontsize=9,
                bbox=box if hatch or outcome == "right" else None,
            )
        start = [a + b for a, b in zip(start, widths)]
    axes.set_yticks(list(places), [_short(row["title"]) for row in rows])
    _finish(axes, f"{lesson}: how the exercises came out", "submissions", max(start))
    figure.legend(loc="outside lower center", ncols=5, frameon=False, fontsize=9)
    said = []
    for row in rows:
        counts = ", ".join(
            f"{row['counts'][outcome]} {label}"
            for outcome, (label, *_) in OUTCOMES.items()
            if row["counts"].get(outcome)
        )
        said.append(f"{row['title']}: {counts}")
    return Chart(_png(figure), f"Bars for {lesson}. {'. '.join(said)}.")


def mistakes(lesson: str, rows: list[dict]) -> Chart:
    """The named mistakes of a lesson.

    rows: {"mistake", "title", "students"}, the most frequent first.
    """
    shown = rows[:MOST]
    figure, axes = _figure(0.5 * len(shown) + 1.2)
    counts = [len(row["students"]) for row in shown]
    bars = axes.barh(range(len(shown)), counts, color="#E69F00", edgecolor="#333333", linewidth=0.6)
    axes.bar_label(bars, [str(count) for count in counts], padding=3, fontsize=9)
    names = [f"{row['mistake'].replace('_', ' ')}\n({row['title'].split(':')[0]})" for row in shown]
    axes.set_yticks(range(len(shown)), names)
    _finish(axes, f"{lesson}: the mistakes that were named", "submissions", max(counts))
    said = [
        f"{row['mistake'].replace('_', ' ')} in {row['title']}: {len(row['students'])}"
        for row in shown
    ]
    more = f" {len(rows) - MOST} more are in the table." if len(rows) > MOST else ""
    return Chart(
        _png(figure),
        f"Bars for {lesson}, mistakes by how many submissions made them. {'. '.join(said)}.{more}",
    )


def _figure(height: float):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, height), layout="constrained")
    return figure, figure.subplots()


def _finish(axes, title: str, unit: str, most: int) -> None:
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel(unit)
    axes.invert_yaxis()
    axes.set_xlim(0, most * 1.05 + 0.2)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", labelsize=9)


def _short(title: str) -> str:
    return "\n".join(textwrap.wrap(title, 34)[:2]).replace("$", r"\$")


def _png(figure) -> str:
    made = io.BytesIO()
    figure.savefig(made, format="png", dpi=110)
    return f"data:image/png;base64,{base64.b64encode(made.getvalue()).decode()}"
