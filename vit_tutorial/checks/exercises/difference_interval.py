"""check_difference_interval: does a difference between two rows of a paper's table hold?"""

import math

import torch

from ..engine.case import Case, choice
from ..engine.check import Check
from ..engine.mistake import Mistake
from .general import general_mistakes
from .paired_interval import record_two_numbers

# Student's t, 97.5 %, by degrees of freedom (studies.statistics.T_975, which lies above the checks)
T = (math.nan, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179)
T += (2.16, 2.145, 2.131, 2.12, 2.11, 2.101, 2.093, 2.086, 2.08, 2.074)


def difference_interval(one, other, runs):
    """Two (mean, standard deviation), of `runs` runs each -> (one - other, half width)."""
    return interval_of(one, other, runs)


def interval_of(one, other, runs, error=None, freedom=lambda n: 2 * n - 2, sign=1):
    """The options are what goes wrong in it: error(a, b, n) of the difference, degrees of
    freedom."""
    (m1, a), (m2, b) = one, other
    error = error or (lambda a, b, n: math.sqrt((a**2 + b**2) / n))
    factor = T[freedom(runs)] if freedom else 1
    return sign * (m1 - m2), factor * error(a, b, runs)


def table_cases(generator: torch.Generator) -> list[Case]:
    """Spreads that are equal, unequal and 0; 2 to 11 runs; differences of both signs."""

    def case(about, m1, a, m2, b, runs):
        shift = choice(generator, 0.0, 0.25, 0.5)
        return Case(about, dict(one=(m1 + shift, a), other=(m2 + shift, b), runs=runs))

    return [
        case("three runs", 88.5, 0.04, 87.25, 0.03, 3),
        case("three runs, one of them with a large spread", 77.5, 0.25, 76.0, 1.5, 3),
        case("equal spreads", 99.5, 0.06, 99.25, 0.06, 3),
        case("the other one is better", 71.0, 0.5, 73.5, 0.3, 5),
        case("no spread in one", 99.25, 0.0, 99.0, 0.02, 3),
        case("two runs", 60.0, 1.2, 59.0, 0.7, 2),
        case("eleven runs", 60.0, 1.1, 59.5, 0.9, 11),
        case("equal means", 40.0, 2.0, 40.0, 3.0, 4),
    ]


def with_error(error):
    return lambda one, other, runs: interval_of(one, other, runs, error)


def with_freedom(freedom):
    return lambda one, other, runs: interval_of(one, other, runs, freedom=freedom)


def changed(change):
    """change(difference, half) of the right answer."""
    return lambda *inputs: change(*difference_interval(*inputs))


def for_many_runs(one, other, runs):
    difference, half = difference_interval(one, other, runs)
    return difference, half / T[2 * runs - 2] * 1.96


MISTAKES = (
    Mistake(
        name="spread_for_error",
        explanation=(
            "You use the standard deviation of single runs. The error of a mean of n runs is "
            "smaller."
        ),
        hint="In lesson 15, by what is a standard deviation divided to get a standard error?",
        buggy=with_error(lambda a, b, n: math.sqrt(a**2 + b**2)),
    ),
    Mistake(
        name="errors_added",
        explanation=(
            "You add the two standard errors. Independent errors partly cancel: their squares add "
            "up."
        ),
        hint="Which of the two adds up: the variances or the standard deviations?",
        buggy=with_error(lambda a, b, n: (a + b) / math.sqrt(n)),
        variants=(with_error(lambda a, b, n: a + b),),
    ),
    Mistake(
        name="intervals_added",
        explanation=(
            "You add the half widths of two separate intervals, each with n - 1 degrees of "
            "freedom. That asks whether two intervals overlap, which is stricter."
        ),
        hint="The difference is one number. What is its own standard error?",
        buggy=lambda one, other, runs: interval_of(
            one, other, runs, lambda a, b, n: (a + b) / math.sqrt(n), lambda n: n - 1
        ),
    ),
    Mistake(
        name="spreads_averaged",
        explanation=(
            "Your standard error is that of one mean, with an average spread. A difference has the "
            "errors of both means."
        ),
        hint="With equal spreads, is the error of a difference as large as that of one mean?",
        buggy=with_error(lambda a, b, n: math.sqrt((a**2 + b**2) / 2 / n)),
        variants=(
            with_error(lambda a, b, n: (a + b) / 2 / math.sqrt(n)),
            with_error(lambda a, b, n: math.sqrt((a**2 + b**2) / 2)),
        ),
    ),
    Mistake(
        name="one_spread_only",
        explanation="Only one of the two spreads has an effect on your half width.",
        hint="If the other model's runs scatter twice as much, should the interval stay the same?",
        buggy=with_error(lambda a, b, n: a / math.sqrt(n)),
        variants=(
            with_error(lambda a, b, n: b / math.sqrt(n)),
            with_error(lambda a, b, n: max(a, b) / math.sqrt(n)),
        ),
    ),
    Mistake(
        name="variances_subtracted",
        explanation="Your variances are subtracted. Means are subtracted, variances still add up.",
        hint="Can a difference be more certain than each of its two parts?",
        buggy=with_error(lambda a, b, n: math.sqrt(abs(a**2 - b**2) / n)),
        variants=(with_error(lambda a, b, n: abs(a - b) / math.sqrt(n)),),
    ),
    Mistake(
        name="squares_forgotten",
        explanation="You add standard deviations below the root, where variances belong.",
        hint="What is the square of a standard deviation?",
        buggy=with_error(lambda a, b, n: math.sqrt((a + b) / n)),
    ),
    Mistake(
        name="root_forgotten",
        explanation="Your half width uses a variance: the square root is missing.",
        hint="Which unit should the half width have: points, or points squared?",
        buggy=with_error(lambda a, b, n: (a**2 + b**2) / n),
    ),
    Mistake(
        name="divided_by_n",
        explanation="You divide by n, but a standard error is divided by √n.",
        hint="How much narrower does an interval become with four times as many runs?",
        buggy=with_error(lambda a, b, n: math.sqrt(a**2 + b**2) / n),
    ),
    Mistake(
        name="root_of_one_less",
        explanation="You divide by the root of n - 1. The printed spreads have that already.",
        hint="n - 1 stands in the standard deviation. What stands below it in a standard error?",
        buggy=with_error(lambda a, b, n: math.sqrt((a**2 + b**2) / (n - 1))),
    ),
    Mistake(
        name="factor_for_many_runs",
        explanation="Your half width uses 1.96, the factor for very many runs.",
        hint="Which factor belongs to a spread that was measured with so few runs?",
        buggy=for_many_runs,
    ),
    Mistake(
        name="other_freedom",
        explanation=(
            "Your factor is Student's t for another number of degrees of freedom. Each of the two "
            "spreads brings n - 1."
        ),
        hint="How many degrees of freedom do two groups of three runs have together?",
        buggy=with_freedom(lambda n: n - 1),
        variants=tuple(
            with_freedom(freedom) for freedom in (lambda n: 2 * n - 1, lambda n: 2 * n, lambda n: n)
        ),
    ),
    Mistake(
        name="no_factor",
        explanation="Your half width is one standard error: Student's t is missing.",
        hint="How many standard errors does a 95 % interval extend to each side?",
        buggy=with_freedom(None),
    ),
    Mistake(
        name="whole_width",
        explanation="You return the whole width of the interval, twice what the exercise asks for.",
        hint="difference ± what?",
        buggy=changed(lambda d, half: (d, 2 * half)),
    ),
    Mistake(
        name="other_minus_one",
        explanation="The difference has the wrong sign: you subtract one from other.",
        hint="If one is better than other, should the difference be above 0 or below?",
        buggy=changed(lambda d, half: (-d, half)),
    ),
    Mistake(
        name="sign_lost",
        explanation="Your difference is never below 0.",
        hint="What does the sign of the difference tell?",
        buggy=changed(lambda d, half: (abs(d), half)),
    ),
    Mistake(
        name="ends_of_the_interval",
        explanation="You return the two ends of the interval, not its middle and half width.",
        hint="Which two numbers appear in 'difference ± half'?",
        buggy=changed(lambda d, half: (d - half, d + half)),
    ),
    Mistake(
        name="numbers_exchanged",
        explanation="The half width comes first in yours, and the difference second.",
        hint="In which order does the exercise name them?",
        buggy=changed(lambda d, half: (half, d)),
    ),
)

check_difference_interval = Check(
    name="check_difference_interval",
    signature=(
        "fn(one, other, runs) -> (difference, half): one and other are (mean, standard deviation) "
        "of `runs` runs each; the difference one - other and the half width of its 95 % interval"
    ),
    cases=table_cases,
    reference=difference_interval,
    mistakes=MISTAKES
    + general_mistakes(
        difference_interval, without=("changed_input", "wrong_dtype", "wrong_device", "detached")
    ),
    record=lambda value, inputs: record_two_numbers(value, inputs, "the difference"),
)
