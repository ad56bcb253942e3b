"""An interval in pairs, and Holm's rule: by the author of the checks, unlike the other modules."""

import math
import statistics

import numpy as np
import torch

from . import known, right, two, unknown

PAIRS, HOLM = "check_paired_interval", "check_holm"
T = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16]


def common(one, other):
    return [one[seed] - other[seed] for seed in one if seed in other]


# The interval, right.


@right(PAIRS)
def pairs_plain(one, other):
    d = common(one, other)
    return statistics.mean(d), T[len(d) - 2] * statistics.stdev(d) / math.sqrt(len(d))


@right(PAIRS)
def pairs_numpy(one, other):
    seeds = sorted(set(one) & set(other))
    d = np.array([one[s] for s in seeds]) - np.array([other[s] for s in seeds])
    return d.mean(), T[len(d) - 2] * d.std(ddof=1) / np.sqrt(len(d))


@right(PAIRS)
def pairs_torch(one, other):
    d = torch.tensor(common(one, other), dtype=torch.float64)
    return d.mean(), T[len(d) - 2] * d.std() / len(d) ** 0.5


@right(PAIRS)
def pairs_by_hand(one, other):
    d = common(one, other)
    n = len(d)
    mean = sum(d) / n
    variance = sum((x - mean) ** 2 for x in d) / (n - 1)
    return mean, T[n - 2] * (variance / n) ** 0.5


@right(PAIRS)
def pairs_as_list(one, other):
    d = [one[s] - other[s] for s in one.keys() & other.keys()]
    return [statistics.fmean(d), T[len(d) - 2] * statistics.stdev(d) / len(d) ** 0.5]


# The interval, one mistake.


@known(PAIRS, "other_minus_one")
def pairs_sign(one, other):
    d = [other[s] - one[s] for s in one if s in other]
    return statistics.mean(d), T[len(d) - 2] * statistics.stdev(d) / math.sqrt(len(d))


@known(PAIRS, "paired_by_place")
def pairs_zip(one, other):
    d = [a - b for a, b in zip(one.values(), other.values())]
    return statistics.mean(d), T[len(d) - 2] * statistics.stdev(d) / math.sqrt(len(d))


@known(PAIRS, "not_in_pairs")
def pairs_groups(one, other):
    seeds = one.keys() & other.keys()
    a, b = [one[s] for s in seeds], [other[s] for s in seeds]
    n = len(a)
    error = math.sqrt(statistics.variance(a) / n + statistics.variance(b) / n)
    return statistics.mean(a) - statistics.mean(b), T[n - 2] * error


@known(PAIRS, "partners_missing")
def pairs_no_partner(one, other):
    d = [value - other[seed] for seed, value in one.items()]
    return statistics.mean(d), T[len(d) - 2] * statistics.stdev(d) / math.sqrt(len(d))


@known(PAIRS, "factor_for_many_runs")
def pairs_196(one, other):
    d = common(one, other)
    return statistics.mean(d), 1.96 * statistics.stdev(d) / math.sqrt(len(d))


@known(PAIRS, "one_place_off")
def pairs_table_off(one, other):
    d = common(one, other)
    return statistics.mean(d), T[len(d) - 1] * statistics.stdev(d) / math.sqrt(len(d))


@known(PAIRS, "root_forgotten")
def pairs_no_root(one, other):
    d = common(one, other)
    return statistics.mean(d), T[len(d) - 2] * statistics.stdev(d)


@known(PAIRS, "divided_by_n")
def pairs_by_n(one, other):
    d = common(one, other)
    return statistics.mean(d), T[len(d) - 2] * statistics.stdev(d) / len(d)


@known(PAIRS, "population_spread")
def pairs_np_std(one, other):
    d = np.array(common(one, other))
    return d.mean(), T[len(d) - 2] * d.std() / math.sqrt(len(d))


@known(PAIRS, "variance_for_deviation")
def pairs_variance(one, other):
    d = common(one, other)
    return statistics.mean(d), T[len(d) - 2] * statistics.variance(d) / math.sqrt(len(d))


@known(PAIRS, "whole_width")
def pairs_whole(one, other):
    d = common(one, other)
    return statistics.mean(d), 2 * T[len(d) - 2] * statistics.stdev(d) / math.sqrt(len(d))


@known(PAIRS, "no_factor")
def pairs_error(one, other):
    d = common(one, other)
    return statistics.mean(d), statistics.stdev(d) / math.sqrt(len(d))


@known(PAIRS, "ends_of_the_interval")
def pairs_ends(one, other):
    mean, half = pairs_plain.fn(one, other)
    return mean - half, mean + half


@known(PAIRS, "nothing_returned")
def pairs_prints(one, other):
    mean, half = pairs_plain.fn(one, other)
    print(f"{mean} ± {half}")


@unknown(PAIRS)
def pairs_ratio(one, other):
    d = [one[s] / other[s] for s in one if s in other]
    return statistics.mean(d), T[len(d) - 2] * statistics.stdev(d) / math.sqrt(len(d))


@known(PAIRS, "median_for_mean")
def pairs_median(one, other):
    d = common(one, other)
    return statistics.median(d), T[len(d) - 2] * statistics.stdev(d) / math.sqrt(len(d))


@unknown(PAIRS)
def pairs_mean_only(one, other):
    return statistics.mean(common(one, other))


@two(PAIRS, "factor_for_many_runs", "population_spread")
def pairs_196_np(one, other):
    d = np.array(common(one, other))
    return d.mean(), 1.96 * d.std() / math.sqrt(len(d))


@two(PAIRS, "other_minus_one", "root_forgotten")
def pairs_sign_no_root(one, other):
    mean, half = pairs_no_root.fn(one, other)
    return -mean, half


@two(PAIRS, "whole_width", "divided_by_n")
def pairs_whole_by_n(one, other):
    mean, half = pairs_by_n.fn(one, other)
    return mean, 2 * half


# Holm, right.


@right(HOLM)
def holm_loop(p_values):
    m, found = len(p_values), [False] * len(p_values)
    for k, (p, place) in enumerate(sorted((p, i) for i, p in enumerate(p_values))):
        if p >= 0.05 / (m - k):
            return found
        found[place] = True
    return found


@right(HOLM)
def holm_numpy(p_values):
    p = np.array(p_values)
    order = p.argsort()
    passed = p[order] < 0.05 / np.arange(len(p), 0, -1)
    found = np.zeros(len(p), dtype=bool)
    found[order] = np.cumprod(passed).astype(bool)
    return found


@right(HOLM)
def holm_torch(p_values):
    p, order = torch.tensor(p_values, dtype=torch.float64).sort()
    passed = (p < 0.05 / torch.arange(len(p), 0, -1)).long().cumprod(0).bool()
    return torch.zeros(len(p), dtype=torch.bool).index_put((order,), passed)


@right(HOLM)
def holm_adjusted(p_values):
    """Through adjusted p-values, as R's p.adjust gives them."""
    m, largest, adjusted = len(p_values), 0.0, {}
    for k, i in enumerate(sorted(range(m), key=p_values.__getitem__)):
        largest = max(largest, (m - k) * p_values[i])
        adjusted[i] = largest
    return [adjusted[i] < 0.05 for i in range(m)]


@right(HOLM)
def holm_rest(p_values):
    rest, found = dict(enumerate(p_values)), set()
    while rest:
        i = min(rest, key=rest.get)
        if rest[i] >= 0.05 / len(rest):
            break
        found.add(i)
        del rest[i]
    return tuple(i in found for i in range(len(p_values)))


# Holm, one mistake.


@known(HOLM, "no_correction")
def holm_005(p_values):
    return [p < 0.05 for p in p_values]


@known(HOLM, "no_correction")
def holm_005_torch(p_values):
    return torch.tensor(p_values) < 0.05


@known(HOLM, "bonferroni")
def holm_bonferroni(p_values):
    return [p * len(p_values) < 0.05 for p in p_values]


@known(HOLM, "no_stop")
def holm_goes_on(p_values):
    m, found = len(p_values), [False] * len(p_values)
    for k, i in enumerate(sorted(range(m), key=lambda i: p_values[i])):
        found[i] = p_values[i] < 0.05 / (m - k)
    return found


@known(HOLM, "from_the_largest")
def holm_from_above(p_values):
    m, found = len(p_values), [True] * len(p_values)
    for k, i in enumerate(sorted(range(m), key=lambda i: -p_values[i])):
        if p_values[i] < 0.05 / (k + 1):
            break
        found[i] = False
    return found


@known(HOLM, "false_discovery_rate")
def holm_bh(p_values):
    p = np.array(p_values)
    order, m = p.argsort(), len(p)
    below = np.nonzero(p[order] < 0.05 * np.arange(1, m + 1) / m)[0]
    found = np.zeros(m, dtype=bool)
    found[order[: below.max() + 1 if len(below) else 0]] = True
    return found


@known(HOLM, "sorted_result")
def holm_sorted(p_values):
    m, found = len(p_values), []
    for k, p in enumerate(sorted(p_values)):
        found.append(p < 0.05 / (m - k) and all(found))
    return found


@known(HOLM, "not_sorted")
def holm_unsorted(p_values):
    m, found = len(p_values), [False] * len(p_values)
    for k, p in enumerate(p_values):
        if p >= 0.05 / (m - k):
            break
        found[k] = True
    return found


@known(HOLM, "one_step_ahead")
def holm_plus_one(p_values):
    m, found = len(p_values), [False] * len(p_values)
    for k, i in enumerate(sorted(range(m), key=lambda i: p_values[i])):
        if p_values[i] >= 0.05 / (m + 1 - k):
            break
        found[i] = True
    return found


@known(HOLM, "division_by_zero")
def holm_zero(p_values):
    m, found = len(p_values), [False] * len(p_values)
    for k, i in enumerate(sorted(range(m), key=lambda i: p_values[i]), start=1):
        if p_values[i] >= 0.05 / (m - k):
            break
        found[i] = True
    return found


@known(HOLM, "upside_down")
def holm_noise(p_values):
    return [not found for found in holm_loop.fn(p_values)]


@known(HOLM, "largest_first")
def holm_reverse(p_values):
    m, found = len(p_values), [False] * len(p_values)
    for k, i in enumerate(sorted(range(m), key=lambda i: p_values[i], reverse=True)):
        if p_values[i] >= 0.05 / (m - k):
            break
        found[i] = True
    return found


@known(HOLM, "nothing_returned")
def holm_prints(p_values):
    print(holm_loop.fn(p_values))


@known(HOLM, "another_level")
def holm_one_percent(p_values):
    m, found = len(p_values), [False] * len(p_values)
    for k, i in enumerate(sorted(range(m), key=lambda i: p_values[i])):
        if p_values[i] >= 0.01 / (m - k):
            break
        found[i] = True
    return found


@unknown(HOLM)
def holm_first_only(p_values):
    return [p == min(p_values) and p < 0.05 / len(p_values) for p in p_values]


@unknown(HOLM)
def holm_names(p_values):
    return ["yes" if found else "no" for found in holm_loop.fn(p_values)]


@two(HOLM, "sorted_result", "no_stop")
def holm_sorted_no_stop(p_values):
    return [p < 0.05 / (len(p_values) - k) for k, p in enumerate(sorted(p_values))]


@two(HOLM, "upside_down", "bonferroni")
def holm_upside_bonferroni(p_values):
    return [p >= 0.05 / len(p_values) for p in p_values]


# The same as thresholds that grow stricter from the smallest p-value on.
@two(HOLM, "largest_first", "thresholds_grow_stricter")
def holm_reverse_no_stop(p_values):
    m, found = len(p_values), [False] * len(p_values)
    for k, i in enumerate(sorted(range(m), key=lambda i: -p_values[i])):
        found[i] = p_values[i] < 0.05 / (m - k)
    return found


@unknown(HOLM)
def holm_slower_steps(p_values):
    m, found = len(p_values), [False] * len(p_values)
    for k, i in enumerate(sorted(range(m), key=lambda i: p_values[i])):
        if p_values[i] >= 0.05 / (m - k / 2):
            break
        found[i] = True
    return found


@unknown(PAIRS)
def pairs_without_the_extremes(one, other):
    d = sorted(common(one, other))
    kept = d[1:-1] if len(d) > 3 else d
    return statistics.mean(kept), T[len(d) - 2] * statistics.stdev(d) / math.sqrt(len(d))
