"""check_match_objects: which query is responsible for which object?"""

import torch

from ..engine.case import Case
from ..engine.check import Check
from ..engine.mistake import Evidence, Mistake
from ..engine.observe import type_name
from .general import general_mistakes


def match_objects(cost):
    """Costs (Q, M), Q >= M -> (M,), int64: the query of each object."""
    queries, objects = assignment(cost)
    found = torch.empty(cost.shape[1], dtype=torch.int64)
    found[objects] = queries
    return found


def assignment(cost, maximize=False) -> tuple[torch.Tensor, torch.Tensor]:
    """Queries in rising order and the object of each, as scipy gives them."""
    from scipy.optimize import linear_sum_assignment  # imported late: no other check needs it

    pairs = linear_sum_assignment(cost.detach().cpu().numpy(), maximize=maximize)
    return tuple(torch.as_tensor(part, dtype=torch.int64) for part in pairs)


def record_queries(value, inputs) -> tuple[dict, dict]:
    """The numbers of the queries, from a tensor, an array or a list."""
    facts = {
        "types": {"the list": type_name(value)},
        "form": "M whole numbers, one for each object",
    }
    listed = value.tolist() if hasattr(value, "tolist") else value
    if not isinstance(listed, (list, tuple)):
        return {}, facts
    if not all(is_whole(q) for q in listed):
        within = [hasattr(q, "__len__") and len(q) > 0 for q in listed]
        what = "that holds lists" if all(within) else "not all of it whole numbers"
        facts["types"] = {"the list": f"{type_name(value)}, {what}"}
        return {}, facts
    return {"the list": torch.tensor([int(q) for q in listed], dtype=torch.int64)}, facts


def is_whole(q) -> bool:
    """A whole number: of Python, of numpy, or a tensor with one."""
    if hasattr(q, "item") and getattr(q, "ndim", 1) == 0:
        q = q.item()
    return type(q) is int


def cost_cases(generator: torch.Generator) -> list[Case]:
    """Costs whose best assignment is unique, and where each shortcut gives another one."""

    def case(about, queries, objects, contested=False, negative=True):
        """contested: all objects are cheapest for the same query."""
        while True:
            cost = torch.rand(queries, objects, generator=generator, dtype=torch.float64)
            if contested:
                cost[int(torch.randint(queries, (), generator=generator))] *= 0.3
            if negative:
                cost -= 0.7
            if is_telling(cost, contested):
                return Case(about, {"cost": cost.float()})

    return [
        case("five queries, three objects", 5, 3, contested=True),
        case("as many queries as objects", 4, 4, contested=True),
        case("one object", 6, 1),
        case("ten queries, five objects", 10, 5, contested=True),
        case("costs above 0", 7, 3, contested=True, negative=False),
        case("no two objects want the same query", 8, 3),
        case("as many queries as objects, again", 5, 5, contested=True),
    ]


def is_telling(cost, contested: bool) -> bool:
    """The best assignment is clear; contested: and no shortcut finds it."""
    best = match_objects(cost)
    total = cost.gather(0, best[None]).sum()
    for m, q in enumerate(best.tolist()):  # the next best has another query for some object
        other = cost.clone()
        other[q, m] += 10
        if other.gather(0, match_objects(other)[None]).sum() - total < 0.01:
            return False
    if not contested:
        return cost.shape[1] == 1 or torch.equal(best, cheapest(cost))
    shortcuts = (cheapest, one_after_the_other, cheapest_pair_first, sorted_queries)
    if any(torch.equal(best, shortcut(cost)) for shortcut in shortcuts):
        return False
    return True


def cheapest(cost):
    """argmin for each object: a query may be used twice."""
    return cost.argmin(dim=0)


def one_after_the_other(cost):
    """Each object takes the cheapest query that is left."""
    cost = cost.clone()
    found = []
    for m in range(cost.shape[1]):
        found.append(int(cost[:, m].argmin()))
        cost[found[-1]] = torch.inf
    return torch.tensor(found)


def cheapest_pair_first(cost):
    """The cheapest pair of all, then the cheapest of what is left."""
    cost, found = cost.clone(), [0] * cost.shape[1]
    for _ in found:
        q, m = divmod(int(cost.argmin()), cost.shape[1])
        found[m] = q
        cost[q], cost[:, m] = torch.inf, torch.inf
    return torch.tensor(found)


def sorted_queries(cost):
    """The first of scipy's two arrays: it is in the order of the queries."""
    return assignment(cost)[0]


def padded(cost):
    """(Q,): the object of each query, -1 for none."""
    queries, objects = assignment(cost)
    found = torch.full((len(cost),), -1)
    found[queries] = objects
    return found


def highest_total(cost):
    queries, objects = assignment(cost, maximize=True)
    return queries[objects.argsort()]


def uses_one_twice(e: Evidence) -> bool:
    """Numbers of queries for all objects, of the right length, and one comes twice somewhere."""
    found = [
        (seen.tensors.get("the list"), right.tensors["the list"]) for _, seen, right in e.compared()
    ]
    if any(mine is None or mine.shape != right.shape for mine, right in found):
        return False
    return any(len(mine.unique()) < len(mine) for mine, _ in found)


MISTAKES = (
    Mistake(
        name="a_query_used_twice",
        explanation=lambda e: (
            f"Your answer is {e.observation.tensors['the list'].tolist()}: "
            "one query is responsible for two objects, and has only one box to give."
        ),
        hint="Two objects find the same query cheapest. Which of them must look elsewhere?",
        # cost.argmin(dim=0)
        buggy=cheapest,
        detect=uses_one_twice,
    ),
    Mistake(
        name="order_of_the_queries",
        explanation=(
            "The right queries, in rising order. Entry m must be the query of object m: the "
            "second array that scipy returns says which object each query got."
        ),
        hint="queries, objects = linear_sum_assignment(cost): which object has queries[0]?",
        buggy=sorted_queries,
    ),
    Mistake(
        name="objects_returned",
        explanation=(
            "You return the objects in the order of their queries. Asked for is the query of "
            "each object."
        ),
        hint="queries, objects = linear_sum_assignment(cost): what do the two arrays hold?",
        buggy=lambda cost: assignment(cost)[1],
        variants=(lambda cost: assignment(cost)[1].argsort(),),
    ),
    Mistake(
        name="objects_of_the_queries",
        explanation="Your list has an entry for each query. Asked for is one for each object.",
        hint="How many objects does the cost matrix have: rows or columns?",
        buggy=padded,
        variants=(
            lambda cost: padded(cost).clamp(min=0),
            lambda cost: torch.where(padded(cost) < 0, cost.shape[1], padded(cost)),
            lambda cost: cost.argmin(dim=1),
        ),
    ),
    Mistake(
        name="one_after_the_other",
        explanation=(
            "Each object takes the cheapest query that is left. An early object can take the query "
            "that a later one needs more: the total is not the lowest, and it depends on the order."
        ),
        hint="Exchange the columns of the cost matrix. Does each object keep its query?",
        buggy=one_after_the_other,
    ),
    Mistake(
        name="cheapest_pair_first",
        explanation=(
            "You take the cheapest pair, then the cheapest of what is left. That is a good guess, "
            "but the total is not always the lowest."
        ),
        hint="Try costs [[1, 2], [2, 9]]. Which total does your rule give? Which one is lowest?",
        buggy=cheapest_pair_first,
    ),
    Mistake(
        name="highest_total",
        explanation="Your assignment has the highest total cost.",
        hint="Is a high number in the cost matrix good or bad?",
        buggy=highest_total,
    ),
    Mistake(
        name="no_matching",
        explanation="Object m gets query m, whatever the costs are.",
        hint="Where in your function are the costs used?",
        buggy=lambda cost: torch.arange(cost.shape[1]),
    ),
    Mistake(
        name="pairs_returned",
        explanation="You return pairs. Asked for is one number for each object: its query.",
        hint="Entry m of the result belongs to object m. What is left to say?",
        buggy=lambda cost: assignment(cost),
        detect=lambda e: all(
            seen.facts.get("types", {}).get("the list", "").endswith("that holds lists")
            for seen in e.with_values()
        ),
    ),
)


check_match_objects = Check(
    name="check_match_objects",
    signature=(
        "fn(cost (Q, M)), Q at least M -> (M,), whole numbers: the query of each object, each "
        "query once at most, with the lowest total cost"
    ),
    cases=cost_cases,
    reference=match_objects,
    mistakes=MISTAKES
    + general_mistakes(match_objects, without=("wrong_dtype", "wrong_device", "detached")),
    record=record_queries,
)
