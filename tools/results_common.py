"""What every table of results needs: committed rows, a grid in Markdown, means and differences."""

from vit_tutorial.common.files import read_rows
from vit_tutorial.data import results_path
from vit_tutorial.studies import difference, interval, summary
from vit_tutorial.studies.statistics import verdict


def read(name: str) -> list[dict]:
    """The rows of the committed table data/results/`name`."""
    return read_rows(results_path(name))


def grid(head: list[str], rows: list[list[str]], tight: bool = False) -> str:
    """A table in Markdown. tight: without spaces at the bars, which would count as words."""
    left, bar, right = ("|", "|", "|") if tight else ("| ", " | ", " |")
    return "\n".join(left + bar.join(cells) + right for cells in [head, ["---"] * len(head), *rows])


def percent(entry: dict | None) -> str:
    """A mean in percent, with the 95 % interval of this one mean."""
    return "-" if entry is None else f"{100 * entry['mean']:.2f} ± {100 * entry['half']:.2f}"


def spread(values: list[float], digits: int = 1) -> str:
    """The mean of several values, with the 95 % interval of this one mean."""
    mean, half = interval(values)
    return f"{mean:.{digits}f} ± {half:.{digits}f}"


def in_percent(values: dict[int, float]) -> str:
    """From {seed: share}: the mean in percent with its interval; of one run the value alone."""
    shown = [100 * value for value in values.values()]
    return spread(shown) if len(shown) > 1 else f"{shown[0]:.1f} (one run)"


def gap(entry: dict | None) -> str:
    """A difference in points, with its corrected interval; "(noise)" where that holds 0."""
    if entry is None or "difference" not in entry:
        return "-"
    noise = " (noise)" if entry["verdict_corrected"] == "within the noise" else ""
    return f"{100 * entry['difference']:+.2f} ± {100 * entry['half_corrected']:.2f}{noise}"


def summaries(rows: list[dict], reference: str) -> dict[str, dict]:
    """The summary of a study by variant; its differences are corrected for their number."""
    return {entry["variant"]: entry for entry in summary(rows, reference=reference)}


def runs(rows: list[dict], value: str, *names: str) -> dict[tuple, dict[int, float]]:
    """{seed: value} of the rows that are equal in the columns `names`, by what these hold."""
    found: dict[tuple, dict[int, float]] = {}
    for row in rows:
        key = tuple(row[name] for name in names)
        found.setdefault(key, {})[int(row["seed"])] = float(row[value])
    return found


def compared(one: dict[int, float], other: dict[int, float], comparisons: int) -> dict:
    """One of so many comparisons, with the keys of `summary`, from {seed: value} of either side."""
    mean, half, _ = difference(one, other, comparisons)
    return dict(difference=mean, half_corrected=half, verdict_corrected=verdict(mean, half))
