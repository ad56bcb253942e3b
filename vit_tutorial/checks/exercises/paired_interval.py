"""check_paired_interval: the interval of a difference that is taken in pairs."""

import math
import statistics

import torch

from ..engine.case import Case, numbers
from ..engine.check import Check
from ..engine.mistake import Mistake
from ..engine.observe import as_number, type_name
from .general import general_mistakes

# Student's t, 97.5 %, by degrees of freedom (studies.statistics.T_975, which lies above the checks)
T = (math.nan, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179)
T += (2.16,)


def paired_interval(one, other):
    """Dicts {seed: value} -> (mean of one - other over common seeds, half width)."""
    return interval_of(in_pairs(one, other))


def in_pairs(one, other):
    return [one[seed] - other[seed] for seed in one.keys() & other.keys()]


def interval_of(differences, spread=statistics.stdev, freedom=-1, root=True):
    """(mean, half width) of a list. The options are what goes wrong in it."""
    n = len(differences)
    half = T[n + freedom] * spread(differences) / (math.sqrt(n) if root else 1)
    return statistics.fmean(differences), half


def as_dicts(fn, inputs):
    """Call fn with two dicts {seed: value}, made of the rows (seed, value) of two tensors."""
    one, other = (
        {int(seed): value for seed, value in inputs[name].tolist()} for name in ("one", "other")
    )
    return fn(one, other)


def record_two_numbers(value, inputs, first="the mean") -> tuple[dict, dict]:
    """The mean, called `first`, and the half width, if a pair of numbers came back."""
    facts = {"types": {first: type_name(value)}, "form": "the first of two numbers"}
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        return {}, facts
    found = dict(zip((first, "the half width"), map(as_number, value)))
    facts["types"] = {name: type_name(part) for name, part in zip(found, value)}
    facts["form"] = "a number"
    return {name: number for name, number in found.items() if number is not None}, facts


def paired_interval_cases(generator: torch.Generator) -> list[Case]:
    """Seeds in another order in the two dicts, seeds without a partner, 2 to 12 pairs."""

    def case(about, common, only_one=0, only_other=0):
        def column(count):
            return numbers(generator, count, dtype=torch.float64)

        seeds = torch.randperm(20, generator=generator)[: common + only_one + only_other].double()
        hard = column(common)  # what a seed does to both
        found = []
        for extra, first in ((only_one, common), (only_other, common + only_one)):
            own = torch.cat([seeds[:common], seeds[first : first + extra]])
            values = torch.cat([hard + 0.2 * column(common), 5 + column(extra)])
            rows = torch.stack([own, values], dim=1)
            found.append(rows[torch.randperm(len(rows), generator=generator)])
        return Case(about, {"one": found[0], "other": found[1]})

    return [
        case("five seeds", 5),
        case("three seeds", 3),
        case("two seeds", 2),
        case("seeds without a partner in the other dict", 4, only_one=2),
        case("seeds without a partner in either dict", 6, only_one=1, only_other=3),
        case("twelve seeds", 12),
    ]


def in_order(one, other):
    """Paired by place in the dict, not by seed."""
    return [a - b for a, b in zip(one.values(), other.values())]


def by_hand(**options):
    return lambda one, other: interval_of(in_pairs(one, other), **options)


def scaled(factor):
    def fn(one, other):
        mean, half = paired_interval(one, other)
        return mean, half * factor(len(one.keys() & other.keys()))

    return fn


def as_groups_with(freedom):
    """as_groups with Student's t for freedom(n) degrees of freedom."""

    def fn(one, other):
        mean, half = as_groups(one, other)
        n = len(one.keys() & other.keys())
        return mean, half / T[n - 1] * T[min(freedom(n), len(T) - 1)]

    return fn


def as_groups(one, other):
    """Two independent groups: the variances add."""
    common = one.keys() & other.keys()
    n = len(common)
    a, b = ([values[seed] for seed in common] for values in (one, other))
    error = math.sqrt((statistics.variance(a) + statistics.variance(b)) / n)
    return statistics.fmean(a) - statistics.fmean(b), T[n - 1] * error


def of_differences(mean=statistics.fmean, change=lambda d: d, half=None):
    """The right interval of change(differences), with another mean or half(differences)."""

    def fn(one, other):
        d = list(map(change, in_pairs(one, other)))
        right, width = interval_of(d)
        return (right if mean is None else mean(d)), (half(d) if half else width)

    return fn


def swapped(one, other):
    mean, half = paired_interval(one, other)
    return half, mean


MISTAKES = (
    Mistake(
        name="other_minus_one",
        explanation="The mean has the wrong sign: you subtract one from other.",
        hint="If one is better than other, should the mean be above 0 or below?",
        buggy=lambda one, other: paired_interval(other, one),
    ),
    Mistake(
        name="paired_by_place",
        explanation=(
            "You pair values by their position in the dicts. The dicts are in different orders, "
            "so your pairs mix different seeds."
        ),
        hint="What in a dict says which runs share a seed?",
        # zip(one.values(), other.values())
        buggy=lambda one, other: interval_of(in_order(one, other)),
    ),
    Mistake(
        name="not_in_pairs",
        explanation=(
            "You treat the two variants as independent groups, so the effect that a seed has on "
            "both is still in your half width."
        ),
        hint="In 15.3, from which n numbers is the standard deviation computed?",
        buggy=as_groups,
        variants=(
            as_groups_with(lambda n: 2 * n - 2),
            as_groups_with(lambda n: n),
            as_groups_with(lambda n: 2 * n - 1),
            as_groups_with(lambda n: 2 * n),
        ),
    ),
    Mistake(
        name="partners_missing",
        explanation=(
            "You are right where every seed has a partner. If only one dict has a seed, your "
            "function raises an error or includes that seed in the mean."
        ),
        hint="Which seeds are keys of both dicts?",
        # for seed in one: other[seed]
        buggy=lambda one, other: interval_of([one[seed] - other[seed] for seed in one]),
        detect=lambda e: e.wrong_exactly_where(lambda case: "partner" in case.about),
    ),
    Mistake(
        name="factor_for_many_runs",
        explanation="Your half width uses 1.96, the factor for very many runs.",
        hint="In 15.2, which factor belongs to n runs if the spread comes from the same runs?",
        buggy=scaled(lambda n: 1.96 / T[n - 1]),
    ),
    Mistake(
        name="one_place_off",
        explanation=(
            "Your factor is Student's t for another number of runs: n differences have n - 1 "
            "degrees of freedom."
        ),
        hint="T_975[0] is for one degree of freedom. How many differences is that?",
        # T_975[n - 1]
        buggy=scaled(lambda n: T[n] / T[n - 1]),
        variants=(
            scaled(lambda n: T[n + 1] / T[n - 1]),
            scaled(lambda n: T[max(n - 2, 1)] / T[n - 1]),
        ),
    ),
    Mistake(
        name="root_forgotten",
        explanation="Your half width is that of a single run: the spread is not divided by √n.",
        hint="What is the standard error of a mean of n numbers?",
        buggy=by_hand(root=False),
    ),
    Mistake(
        name="divided_by_n",
        explanation="You divide by n, but a standard error is divided by √n.",
        hint="How much narrower does an interval become with four times as many runs?",
        buggy=scaled(lambda n: 1 / math.sqrt(n)),
    ),
    Mistake(
        name="population_spread",
        explanation=(
            "Your standard deviation divides by n. With few values it must divide by n - 1, or it "
            "comes out too small."
        ),
        hint="Which of statistics.stdev and statistics.pstdev divides by n - 1?",
        # pstdev, or numpy's std without ddof=1
        buggy=by_hand(spread=statistics.pstdev),
    ),
    Mistake(
        name="variance_for_deviation",
        explanation="Your half width uses the variance, the square of the standard deviation.",
        hint="Which unit should the half width have: points, or points squared?",
        buggy=by_hand(spread=statistics.variance),
    ),
    Mistake(
        name="whole_width",
        explanation="You return the whole width of the interval, twice what the exercise asks for.",
        hint="mean ± what?",
        buggy=scaled(lambda n: 2),
    ),
    Mistake(
        name="no_factor",
        explanation="Your half width is one standard error: Student's t is missing.",
        hint="How many standard errors does a 95 % interval extend to each side?",
        buggy=scaled(lambda n: 1 / T[n - 1]),
    ),
    Mistake(
        name="ends_of_the_interval",
        explanation="You return the two ends of the interval, not its middle and half width.",
        hint="Which two numbers appear in 'mean ± half'?",
        buggy=lambda one, other: (
            paired_interval(one, other)[0] - paired_interval(one, other)[1],
            sum(paired_interval(one, other)),
        ),
    ),
    Mistake(
        name="sum_for_mean",
        explanation="Your mean is the sum of the differences.",
        hint="How many differences are there?",
        buggy=of_differences(mean=sum),
    ),
    Mistake(
        name="median_for_mean",
        explanation="Your first number is the median of the differences, not their mean.",
        hint="What does the exercise ask for?",
        buggy=of_differences(mean=statistics.median),
    ),
    Mistake(
        name="signs_lost",
        explanation="Your differences have lost their signs.",
        hint="If one is better for some seeds and worse for others, should that not cancel out?",
        buggy=of_differences(change=abs),
    ),
    Mistake(
        name="numbers_exchanged",
        explanation="The half width comes first in yours, and the mean second.",
        hint="In which order does the exercise name them?",
        buggy=swapped,
    ),
    Mistake(
        name="root_of_one_less",
        explanation="You divide by the root of another number than n, the number of differences.",
        hint="n - 1 stands in the standard deviation. What stands below it in the standard error?",
        buggy=scaled(lambda n: math.sqrt(n / (n - 1))),
        variants=(scaled(lambda n: math.sqrt(n / (n + 1))),),
    ),
    Mistake(
        name="standard_error_squared",
        explanation="Your half width misses a root: the variance over n stands there, times t.",
        hint="What is the unit of a variance?",
        buggy=of_differences(
            mean=None, half=lambda d: T[len(d) - 1] * statistics.variance(d) / len(d)
        ),
    ),
)

check_paired_interval = Check(
    name="check_paired_interval",
    signature=(
        "fn(one, other) -> (mean, half): one and other are dicts {seed: value}; the mean of "
        "one - other over the seeds that both have, and the half width of its 95 % interval"
    ),
    cases=paired_interval_cases,
    reference=paired_interval,
    mistakes=MISTAKES
    + general_mistakes(
        paired_interval, without=("changed_input", "wrong_dtype", "wrong_device", "detached")
    ),
    record=record_two_numbers,
    call=as_dicts,
)
