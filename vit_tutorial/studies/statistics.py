"""Means over seeds with intervals, differences paired by seed, and Bonferroni's correction."""

import math
import statistics


def t_quantile(p: float, freedom: int) -> float:
    """The `p` quantile (0.5 <= p < 1) of Student's t with `freedom` degrees of freedom.

    Bisection of the distribution function, which has a closed form for whole numbers of degrees of
    freedom (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4).
    """
    if not 0.5 <= p < 1 or freedom < 1:
        raise ValueError(f"p is {p} and freedom {freedom}: p is in [0.5, 1), freedom at least 1")
    low, high = 0.0, 1.0
    while _t_cdf(high, freedom) < p:
        high *= 2
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _t_cdf(middle, freedom) < p else (low, middle)
    return high


def _t_cdf(t: float, freedom: int) -> float:
    """P(T <= t) for t >= 0."""
    angle = math.atan(t / math.sqrt(freedom))
    odd = freedom % 2
    # 1 + (1/2) cos^2 + (1 3)/(2 4) cos^4 + ... (even), cos + (2/3) cos^3 + ... (odd)
    term = math.cos(angle) if odd else 1.0
    total = term if freedom > 1 else 0.0
    for k in range(1 + odd, freedom - 2, 2):
        term *= k / (k + 1) * math.cos(angle) ** 2
        total += term
    within = math.sin(angle) * total  # P(-t <= T <= t)
    within = 2 / math.pi * (angle + within) if odd else within
    return (1 + within) / 2


# For 95 % intervals: 97.5 % points for 1 to 30 degrees of freedom, rounded as in printed tables.
T_975 = tuple(round(t_quantile(0.975, freedom), 3) for freedom in range(1, 31))


def share_interval(shares: list[float], comparisons: int = 1) -> tuple[float, float, float]:
    """(mean, low end, high end) in percent of shares from 0 to 1 of independent runs.

    The ends are those of `interval`. Student's t does not know that no share is below 0 or above
    1, so they are cut there. Raises ValueError for no values.

    >>> mean, low, high = share_interval([1.0, 0.99, 1.0, 0.97, 1.0])
    >>> f"{mean:.1f} % ({low:.1f} to {high:.1f})"
    '99.2 % (97.6 to 100.0)'
    """
    mean, half = interval([100 * share for share in shares], comparisons)
    return mean, max(0.0, mean - half), min(100.0, mean + half)


def interval(values: list[float], comparisons: int = 1) -> tuple[float, float]:
    """(mean, half width of the 95 % interval of the mean) of independent runs.

    The half width is nan for a single run. Student's t: with 5 seeds it is 2.78 standard errors.
    comparisons: how many intervals there are. Each has the confidence 1 - 0.05 / comparisons, so
        that all of them contain their means in at least 95 % of studies (Bonferroni).
    Raises ValueError for no values.

    >>> mean, half = interval([77.7, 76.9, 77.8])
    >>> f"{mean:.1f} ± {half:.1f}"
    '77.5 ± 1.2'
    """
    if not values:
        raise ValueError("an interval of 0 values: give at least one run, and two for a width")
    mean = statistics.fmean(values)
    if len(values) == 1:
        return mean, math.nan
    freedom = len(values) - 1
    if comparisons == 1 and freedom <= len(T_975):
        quantile = T_975[freedom - 1]
    else:
        quantile = t_quantile(1 - 0.025 / comparisons, freedom)
    return mean, quantile * statistics.stdev(values) / math.sqrt(len(values))


def difference(
    one: dict[int, float], other: dict[int, float], comparisons: int = 1
) -> tuple[float, float, int]:
    """(mean of one - other, half width of its 95 % interval, number of seeds).

    one, other: {seed: value}; only seeds that both have are used. Paired: two runs of one seed
    share images, batches and all weights but the positions, so what is easy or hard about a seed
    cancels. comparisons: as in `interval`.
    Raises ValueError when they share no seed.

    >>> mean, half, seeds = difference({0: 80.0, 1: 82.0, 2: 79.0}, {0: 79.0, 1: 80.5, 2: 78.0})
    >>> f"{mean:.2f} ± {half:.2f} from {seeds} seeds"
    '1.17 ± 0.72 from 3 seeds'
    """
    seeds = sorted(one.keys() & other.keys())
    if not seeds:
        raise ValueError(f"no seed in common: {sorted(one)} and {sorted(other)}")
    return *interval([one[seed] - other[seed] for seed in seeds], comparisons), len(seeds)


def p_value(one: dict[int, float], other: dict[int, float]) -> float:
    """How surprising the paired difference of two variants would be if there were none, 0 to 1.

    The interval of confidence 1 - p just touches 0: p < 0.05 says the same as a 95 % interval
    without 0 in it. one, other: as in `difference`, with at least two seeds in common.
    Raises ValueError for fewer.
    """
    seeds = sorted(one.keys() & other.keys())
    if len(seeds) < 2:
        raise ValueError(f"{len(seeds)} seeds in common: a p-value needs two at least")
    differences = [one[seed] - other[seed] for seed in seeds]
    error = statistics.stdev(differences) / math.sqrt(len(seeds))
    mean = abs(statistics.fmean(differences))
    if error == 0:
        return 0.0 if mean else 1.0
    return max(0.0, 2 * (1 - _t_cdf(mean / error, len(seeds) - 1)))


def verdict(mean: float, half: float) -> str:
    """A difference in words: "higher", "lower", or noise when its interval contains 0."""
    if math.isnan(half):
        return "one seed: no interval"
    return "within the noise" if abs(mean) <= half else ("higher" if mean > 0 else "lower")


def summary(
    rows: list[dict], value: str = "test_accuracy", reference: str | None = None
) -> list[dict]:
    """One dict per variant, in order of appearance: variant, mean, half, seeds.

    Every variant but the reference is compared with it and also has:
        difference, difference_half, verdict: by itself, as if it were the only comparison
        half_corrected, verdict_corrected: with Bonferroni's correction for all comparisons of this
            table. In a table of many variants, believe these.
    rows: as `run_study` writes them. reference: a variant's name; the first one if None.
    Raises ValueError for a reference without runs.
    """
    by_variant: dict[str, dict[int, float]] = {}
    for row in rows:
        by_variant.setdefault(row["variant"], {})[int(row["seed"])] = float(row[value])
    reference = reference or next(iter(by_variant))
    if reference not in by_variant:
        raise ValueError(f"no runs of {reference!r}: there are {', '.join(by_variant)}")
    base = by_variant[reference]
    compared = [name for name, runs in by_variant.items() if runs.keys() & base.keys()]
    compared.remove(reference)
    table = []
    for name, runs in by_variant.items():
        mean, half = interval(list(runs.values()))
        entry = dict(variant=name, mean=mean, half=half, seeds=len(runs))
        if name in compared:
            gap, gap_half, _ = difference(runs, base)
            entry |= dict(difference=gap, difference_half=gap_half, verdict=verdict(gap, gap_half))
            _, corrected, _ = difference(runs, base, comparisons=len(compared))
            entry |= dict(half_corrected=corrected, verdict_corrected=verdict(gap, corrected))
        table.append(entry)
    return table
