"""check_shuffle_test: how often shuffled rows look as ordered as the table itself."""

import torch
from torch.nn import functional as F

from ..engine.case import Case, numbers
from ..engine.check import Check
from ..engine.mistake import Evidence, Mistake
from ..engine.observe import record_number
from .general import general_mistakes
from .neighbour_cosine import neighbour_cosine


def values(table, grid, orders) -> torch.Tensor:
    """The mean cosine of direct neighbours in each order, (K,)."""
    return torch.tensor([neighbour_cosine(table[order], grid) for order in orders])


def shuffle_test(table, grid, orders):
    """The share of the orders (K, N) whose rows are at least as alike as those of `table`."""
    own = neighbour_cosine(table, grid)
    return (values(table, grid, orders) >= own).float().mean().item()


def shuffle_test_cases(generator: torch.Generator) -> list[Case]:
    """Tables with a clear grid, a faint one and none: shares from 0 to nearly 1."""

    def case(about, rows, cols, D, grid_share, K, first_is_lowest=True):
        place = torch.cartesian_prod(torch.arange(rows), torch.arange(cols)).float()
        smooth = torch.sin(place @ numbers(generator, 2, D) / 2)
        table = grid_share * smooth + numbers(generator, rows * cols, D)
        orders = [torch.randperm(rows * cols, generator=generator) for _ in range(K)]
        orders = torch.stack(orders)
        # The extremes at both ends: who looks at one order only is found out.
        found = values(table, (rows, cols), orders)
        lowest, highest = found.argmin().item(), found.argmax().item()
        between = [k for k in range(K) if k not in (lowest, highest)]
        ends = (lowest, highest) if first_is_lowest else (highest, lowest)
        orders = orders[[ends[0], *between, ends[1]]] if K > 1 else orders
        return Case(about, {"table": table, "grid": (rows, cols), "orders": orders})

    return [
        case("no grid in it", 4, 4, 24, 0.0, 40),
        case("a faint grid", 3, 5, 32, 0.3, 40, first_is_lowest=False),
        case("a clear grid", 4, 4, 24, 2.0, 40),
        case("neighbours less alike than by chance", 2, 4, 16, -0.1, 50),
        case("tall, no grid in it", 6, 2, 16, 0.0, 30),
        case("one order", 3, 3, 16, 0.2, 1),
    ]


def share_of(e: Evidence, change) -> bool:
    """Something is wrong, and every share is change(the right one, K)."""
    for case, actual, expected in e.compared():
        mine, right = actual.tensors.get("share"), expected.tensors["share"]
        if (
            mine is None
            or abs(float(mine) - change(float(right), len(case.inputs["orders"]))) > 1e-4
        ):
            return False
    return not e.all_values_right()


def entries_shuffled(table, grid, orders):
    """The orders applied to the entries of each row, as far as there are entries."""
    own = neighbour_cosine(table, grid)
    mixed = [neighbour_cosine(table[:, order], grid) for order in orders]
    return (torch.tensor(mixed) >= own).float().mean().item()


def shuffled_again(table, grid, orders):
    own, count = neighbour_cosine(table, grid), 0
    for order in orders:
        table = table[order]
        count += neighbour_cosine(table, grid) >= own
    return count / len(orders)


def inverse(table, grid, orders):
    return shuffle_test(table, grid, orders.argsort(dim=1))


def two_sided(table, grid, orders):
    own = abs(neighbour_cosine(table, grid))
    return (values(table, grid, orders).abs() >= own).float().mean().item()


def z_score(table, grid, orders):
    found = values(table, grid, orders)
    spread = found.std(unbiased=False).clamp(min=1e-9)
    return ((neighbour_cosine(table, grid) - found.mean()) / spread).item()


def beats_all(table, grid, orders):
    return float(neighbour_cosine(table, grid) > values(table, grid, orders).max().item())


def all_pairs(table, grid, orders):
    """A mean over all pairs does not notice the order, so only rounding decides."""
    unit = F.normalize(table, dim=-1)
    n = len(unit)
    own = (unit @ unit.T).sum() / n**2
    return float(own >= own - 1)


MISTAKES = (
    Mistake(
        name="share_below",
        explanation="You return the share of orders that score below the table.",
        hint="For a table with a clear grid in it, should the share be near 0 or near 1?",
        # < instead of >=, or 1 - share
        buggy=lambda table, grid, orders: 1 - shuffle_test(table, grid, orders),
        detect=lambda e: share_of(e, lambda share, K: 1 - share),
    ),
    Mistake(
        name="count_not_share",
        explanation="You return the number of such orders. The exercise asks for their share.",
        hint="Your count depends on how many orders were tried. What should you divide it by?",
        # sum() instead of mean()
        buggy=lambda table, grid, orders: shuffle_test(table, grid, orders) * len(orders),
        detect=lambda e: share_of(e, lambda share, K: share * K),
    ),
    Mistake(
        name="percent",
        explanation="Your share is in percent. The exercise asks for a number from 0 to 1.",
        hint="Which factor is in your last line?",
        # * 100
        buggy=lambda table, grid, orders: 100 * shuffle_test(table, grid, orders),
        detect=lambda e: share_of(e, lambda share, K: 100 * share),
    ),
    Mistake(
        name="table_counted_too",
        explanation=(
            "You counted the table itself as one of the orders: (count + 1) / (K + 1). That is a "
            "good habit for a p-value; the exercise asks for count / K."
        ),
        hint="How many orders do you divide by, and how many were given?",
        # the correction that keeps a p-value from being 0
        buggy=lambda table, grid, orders: (
            (shuffle_test(table, grid, orders) * len(orders) + 1) / (len(orders) + 1)
        ),
        detect=lambda e: share_of(e, lambda share, K: (share * K + 1) / (K + 1)),
    ),
    Mistake(
        name="entries_shuffled",
        explanation=(
            "You moved the entries within each row. The control keeps every row as it is and "
            "moves it to another patch."
        ),
        hint="Which axis of the table counts patches?",
        # table[:, order]
        buggy=entries_shuffled,
    ),
    Mistake(
        name="shuffled_again",
        explanation=(
            "You applied each order to the table that the previous order left. Every order should "
            "start from the original table."
        ),
        hint="Which name does your loop overwrite?",
        # table = table[order] in the loop
        buggy=shuffled_again,
    ),
    Mistake(
        name="inverse_order",
        explanation=(
            "You applied the inverse of each order: row n went to patch order[n]. The exercise "
            "asks for table[order]."
        ),
        hint="Which row should end up at patch 0?",
        # shuffled[order] = table, or argsort
        buggy=inverse,
    ),
    Mistake(
        name="two_sided",
        explanation=(
            "You compared absolute values. Neighbours that point away from each other are not "
            "similar."
        ),
        hint="What does a mean cosine of -0.3 between neighbours tell you?",
        # abs() from the two-sided test of a mean
        buggy=two_sided,
    ),
    Mistake(
        name="standard_deviations",
        explanation=(
            "You return how many standard deviations the table lies above the mean of the orders. "
            "The exercise asks for a share, which needs no normal distribution."
        ),
        hint="How many of the orders are at least as high as the table itself?",
        # (value - mean) / std
        buggy=z_score,
        variants=(
            lambda table, grid, orders: (
                (neighbour_cosine(table, grid) - values(table, grid, orders).mean())
                / (values(table, grid, orders).std() if len(orders) > 1 else 1)
            ).item(),
        ),
    ),
    Mistake(
        name="verdict_not_share",
        explanation="You return whether the table beats every order: yes or no, and not a share.",
        hint="What should the result be when 3 of 40 orders reach the table's value?",
        # own > values.max()
        buggy=beats_all,
        variants=(lambda table, grid, orders: 1 - beats_all(table, grid, orders),),
    ),
    Mistake(
        name="first_order_only",
        explanation="Your share is based only on the first order.",
        hint="Does your function return from inside its loop?",
        # a return one level too deep
        buggy=lambda table, grid, orders: shuffle_test(table, grid, orders[:1]),
    ),
    Mistake(
        name="last_order_only",
        explanation="Your share is based only on the last order.",
        hint="Which variable does your loop overwrite each time?",
        # a comparison behind the loop
        buggy=lambda table, grid, orders: shuffle_test(table, grid, orders[-1:]),
    ),
    Mistake(
        name="mean_of_the_orders",
        explanation="You return the mean cosine of the shuffled tables, not a share of them.",
        hint="What do you compare each shuffled table's number with?",
        # the mean of the values
        buggy=lambda table, grid, orders: values(table, grid, orders).mean().item(),
    ),
    Mistake(
        name="order_makes_no_difference",
        explanation=(
            "Your number does not depend on the order of the rows, so every shuffle reaches it, "
            "and the share is always 1."
        ),
        hint="Does your number average over all pairs, or over those that are neighbours on the "
        "grid?",
        # all pairs, or the order applied to both sides of the comparison
        buggy=all_pairs,
    ),
    Mistake(
        name="divided_by_one_more",
        explanation="You divide by K + 1 and count the K orders alone.",
        hint="How many orders do you divide by, and how many were counted?",
        buggy=lambda table, grid, orders: (
            shuffle_test(table, grid, orders) * len(orders) / (len(orders) + 1)
        ),
        detect=lambda e: share_of(e, lambda share, K: share * K / (K + 1)),
    ),
    Mistake(
        name="divided_by_the_patches",
        explanation="You divide by the number of patches. The share is one of the orders.",
        hint="Of how many orders is it the share?",
        buggy=lambda table, grid, orders: (
            shuffle_test(table, grid, orders) * len(orders) / len(table)
        ),
    ),
)


check_shuffle_test = Check(
    name="check_shuffle_test",
    signature=(
        "fn(table (N, D), (rows, cols), orders (K, N)) -> the share, 0 to 1, of the K orders for "
        "which table[order] has a mean cosine of direct neighbours at least as high as table"
    ),
    cases=shuffle_test_cases,
    reference=shuffle_test,
    mistakes=MISTAKES
    + general_mistakes(shuffle_test, without=("wrong_dtype", "wrong_device", "detached")),
    record=record_number("share"),
)
