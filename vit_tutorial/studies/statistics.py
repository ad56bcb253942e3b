"""Means over seeds with 95 % intervals, and differences paired by seed."""

import math
import statistics

# 97.5 % points of Student's t for 1 to 30 degrees of freedom (any table of the distribution has them); beyond, the normal's.
T_975 = (
    12.706,
    4.303,
    3.182,
    2.776,
    2.571,
    2.447,
    2.365,
    2.306,
    2.262,
    2.228,
    2.201,
    2.179,
    2.160,
    2.145,
    2.131,
)
T_975 += (
    2.120,
    2.110,
    2.101,
    2.093,
    2.086,
    2.080,
    2.074,
    2.069,
    2.064,
    2.060,
    2.056,
    2.052,
    2.048,
    2.045,
    2.042,
)


def interval(values: list[float]) -> tuple[float, float]:
    """(mean, half width of the 95 % interval of the mean) of independent runs; the half width is nan for a single run.

    Student's t: with 5 seeds the half width is 2.78 standard errors. Raises ValueError for no values.
    """
    if not values:
        raise ValueError("an interval of 0 values: give at least one run, and two for a width")
    mean = statistics.fmean(values)
    if len(values) == 1:
        return mean, math.nan
    quantile = T_975[len(values) - 2] if len(values) - 2 < len(T_975) else 1.96
    return mean, quantile * statistics.stdev(values) / math.sqrt(len(values))


def difference(one: dict[int, float], other: dict[int, float]) -> tuple[float, float, int]:
    """(mean of one - other, half width of its 95 % interval, number of seeds) over the seeds that both have.

    Paired: two runs of one seed share images, batches and all weights but the positions, so what is easy or hard about a seed
    cancels. Raises ValueError when they share no seed.
    """
    seeds = sorted(one.keys() & other.keys())
    if not seeds:
        raise ValueError(f"no seed in common: {sorted(one)} and {sorted(other)}")
    return *interval([one[seed] - other[seed] for seed in seeds]), len(seeds)


def verdict(mean: float, half: float) -> str:
    """In words: a difference whose interval holds 0 is noise."""
    if math.isnan(half):
        return "one seed: no interval"
    return "within the noise" if abs(mean) <= half else ("higher" if mean > 0 else "lower")


def summary(
    rows: list[dict], value: str = "test_accuracy", reference: str | None = None
) -> list[dict]:
    """One dict a variant, in order of appearance: mean, half, seeds; difference, difference_half, verdict (to `reference`).

    rows: as `run_study` writes them. reference: a variant's name; the first one if None.
    """
    by_variant: dict[str, dict[int, float]] = {}
    for row in rows:
        by_variant.setdefault(row["variant"], {})[int(row["seed"])] = float(row[value])
    reference = reference or next(iter(by_variant))
    if reference not in by_variant:
        raise ValueError(f"no runs of {reference!r}: there are {', '.join(by_variant)}")
    table = []
    for name, runs in by_variant.items():
        mean, half = interval(list(runs.values()))
        entry = dict(variant=name, mean=mean, half=half, seeds=len(runs))
        if name != reference and runs.keys() & by_variant[reference].keys():
            gap, gap_half, _ = difference(runs, by_variant[reference])
            entry |= dict(difference=gap, difference_half=gap_half, verdict=verdict(gap, gap_half))
        table.append(entry)
    return table
