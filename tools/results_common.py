"""What every table of results needs: committed rows, a grid in Markdown, means and differences."""

import csv
import math

from vit_tutorial.data import results_path
from vit_tutorial.studies import difference, interval, summary
from vit_tutorial.studies.statistics import verdict


def read(name: str) -> list[dict]:
    """The rows of the committed table data/results/`name`."""
    with open(results_path(name), newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def grid(head: list[str], rows: list[list[str]], tight: bool = False) -> str:
    """A table in Markdown. tight: without spaces at the bars, which would count as words."""
    left, bar, right = ("|", "|", "|") if tight else ("| ", " | ", " |")
    return "\n".join(left + bar.join(cells) + right for cells in [head, ["---"] * len(head), *rows])


def percent(entry: dict | None) -> str:
    """A mean in percent, with the 95 % interval of this one mean."""
    return "-" if entry is None else f"{100 * entry['mean']:.2f} ± {100 * entry['half']:.2f}"


def gap(entry: dict | None) -> str:
    """A difference in points, with its corrected interval; "(noise)" where that holds 0."""
    if entry is None or "difference" not in entry:
        return "-"
    noise = " (noise)" if entry["verdict_corrected"] == "within the noise" else ""
    return f"{100 * entry['difference']:+.2f} ± {100 * entry['half_corrected']:.2f}{noise}"


def summaries(rows: list[dict], reference: str) -> dict[str, dict]:
    """The summary of a study by variant, every difference corrected for their number."""
    return {entry["variant"]: entry for entry in corrected(summary(rows, reference=reference))}


def compared(one: dict[int, float], other: dict[int, float]) -> dict:
    """An entry as `summary` makes them, from {seed: value} of a variant and of its reference."""
    mean, half = interval(list(one.values()))
    between, between_half, seeds = difference(one, other)
    return dict(mean=mean, half=half, difference=between, difference_half=between_half, seeds=seeds)


def corrected(entries: list[dict]) -> list[dict]:
    """The entries of one table with `half_corrected` and `verdict_corrected` where they compare.

    Bonferroni: with m comparisons in a table, each gets an interval of 1 - 0.05 / m, so that the
    whole table raises a false alarm in at most one of twenty studies of equal variants (lesson 08).
    """
    comparisons = sum("difference" in entry for entry in entries)
    done = []
    for entry in entries:
        if "difference" in entry and "half_corrected" not in entry:
            df = entry["seeds"] - 1
            wider = t_quantile(0.05 / comparisons, df) / t_quantile(0.05, df)
            half = wider * entry["difference_half"]
            entry = entry | dict(
                half_corrected=half, verdict_corrected=verdict(entry["difference"], half)
            )
        done.append(entry)
    return done


def t_quantile(alpha: float, df: int) -> float:
    """The value that |Student's t| with `df` degrees of freedom exceeds with probability alpha."""
    low, high = 0.0, 1e6
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if 1 - _within(middle, df) < alpha else (middle, high)
    return high


def _within(t: float, df: int) -> float:
    """P(|T| < t), in closed form for whole df (Abramowitz and Stegun, 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(df))
    sine, cosine = math.sin(angle), math.cos(angle)
    term, total = (cosine, 0.0) if df % 2 else (1.0, 0.0)
    for k in range(2 + df % 2, df + 1, 2):
        total += term
        term *= cosine**2 * (k - 1) / k
    return 2 / math.pi * (angle + sine * total) if df % 2 else sine * total
