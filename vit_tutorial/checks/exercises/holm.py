"""check_holm: which of many differences are more than noise, by Holm's rule."""

import torch

from ..engine.case import Case
from ..engine.check import Check
from ..engine.mistake import Evidence, Mistake
from ..engine.observe import type_name
from .general import general_mistakes


def holm(p_values):
    """m p-values -> m truth values, in the same order."""
    return stepwise(p_values, lambda k, m: 0.05 / (m - k))


def stepwise(p_values, threshold, stop=True):
    """From the smallest p on: True as long as it is below threshold(k, m). Options: what goes
    wrong."""
    m = len(p_values)
    found = [False] * m
    for k, place in enumerate(sorted(range(m), key=lambda i: p_values[i])):
        if p_values[place] < threshold(k, m):
            found[place] = True
        elif stop:
            break
    return found


def as_list(fn, inputs):
    """Call fn with a list of numbers."""
    return fn(inputs["p_values"].tolist())


def record_truths(value, inputs) -> tuple[dict, dict]:
    """The truth values as numbers 0 and 1, if one came back for each p-value."""
    truths = value.tolist() if hasattr(value, "tolist") else value
    facts = {"types": {"the list": type_name(value)}, "form": "a list of True and False"}
    if not isinstance(truths, (list, tuple)):
        return {}, facts
    if not all(type(t).__name__ in ("bool", "bool_") for t in truths):
        facts["types"] = {"the list": f"{type_name(value)} that holds more than True and False"}
        return {}, facts
    return {"the list": torch.tensor([int(t) for t in truths])}, facts


def holm_cases(generator: torch.Generator) -> list[Case]:
    """Sets in which the rules of thumb give other answers than Holm's; the order is random."""

    def case(about, *p_values, shuffled=True):
        # A common factor a little below 1 moves no value over a threshold.
        factor = 1 - 0.01 * torch.rand((), generator=generator, dtype=torch.float64)
        values = factor * torch.tensor(p_values, dtype=torch.float64)
        order = torch.randperm(len(values), generator=generator)
        return Case(about, {"p_values": values[order] if shuffled else values})

    return [
        case("one difference", 0.03),
        case("all are noise", 0.2, 0.5, 0.06, 0.9),
        case("all differ", 0.001, 0.0001, 0.002),
        case("the second step decides", 0.004, 0.3, 0.012, 0.4, 0.5, shuffled=False),
        case("a failure in the middle", 0.001, 0.02, 0.024, 0.045, 0.012, 0.7),
        case("a failure, and a large one that is below its own threshold", 0.03, 0.04, 0.045),
        case("equal values", 0.01, 0.01, 0.01, 0.01),
        case("one that may be noise", 0.07),
        case("in ascending order", 0.03, 0.04, shuffled=False),
        case("in ascending order, both differ", 0.001, 0.03, shuffled=False),
        case("in descending order", 0.6, 0.03, 0.02, 0.001, shuffled=False),
        case("ten", 0.0012, 0.0056, 0.0061, 0.0065, 0.0071, 0.3, 0.4, 0.5, 0.6, 0.7),
    ]


def returned_sorted(p_values):
    return sorted(holm(p_values), reverse=True)


def hochberg(p_values):
    """From the largest on: all below the first that passes."""
    m = len(p_values)
    order = sorted(range(m), key=lambda i: p_values[i])
    last = max((k for k in range(m) if p_values[order[k]] < 0.05 / (m - k)), default=-1)
    found = [False] * m
    for place in order[: last + 1]:
        found[place] = True
    return found


def benjamini_hochberg(p_values):
    m = len(p_values)
    order = sorted(range(m), key=lambda i: p_values[i])
    last = max((k for k in range(m) if p_values[order[k]] < 0.05 * (k + 1) / m), default=-1)
    found = [False] * m
    for place in order[: last + 1]:
        found[place] = True
    return found


def in_given_order(p_values, stop=True):
    found = []
    for k, p in enumerate(p_values):
        found.append(p < 0.05 / (len(p_values) - k) and (not stop or all(found)))
    return found


def reversed_steps(p_values):
    m = len(p_values)
    found = [False] * m
    for k, place in enumerate(sorted(range(m), key=lambda i: -p_values[i])):
        if not p_values[place] < 0.05 / (m - k):
            break
        found[place] = True
    return found


def place_of_the_first(p_values):
    """list.index: equal values share the first one's place."""
    m = len(p_values)
    found = [False] * m
    for k, p in enumerate(sorted(p_values)):
        if not p < 0.05 / (m - k):
            break
        found[p_values.index(p)] = True
    return found


def sorted_by_step(p_values):
    """The comparisons in the order of the sorted p-values, and no stop."""
    m = len(p_values)
    return [p < 0.05 / (m - k) for k, p in enumerate(sorted(p_values))]


def gives_places(e: Evidence) -> bool:
    """Whole numbers came back where truth values were asked for."""
    kinds = [actual.facts.get("types", {}).get("the list", "") for actual in e.actual]
    return any(" int that holds more" in kind for kind in kinds)


MISTAKES = (
    Mistake(
        name="no_correction",
        explanation="You compare every p with 0.05, as if there were only one comparison.",
        hint="How many false alarms do you expect from 20 comparisons of equal variants at 0.05?",
        buggy=lambda p_values: [p < 0.05 for p in p_values],
    ),
    Mistake(
        name="bonferroni",
        explanation=(
            "You compare every p with 0.05/m. That is Bonferroni's rule; Holm's rule relaxes the "
            "threshold after each difference that it finds."
        ),
        hint="After the smallest p has passed, how many comparisons remain?",
        buggy=lambda p_values: [p < 0.05 / len(p_values) for p in p_values],
    ),
    Mistake(
        name="no_stop",
        explanation=(
            "You go on after a failure, and accept larger p-values that pass their own step."
        ),
        hint="What should happen to all larger p-values once one has failed?",
        buggy=lambda p_values: stepwise(p_values, lambda k, m: 0.05 / (m - k), stop=False),
    ),
    Mistake(
        name="from_the_largest",
        explanation=(
            "You look for the largest p that passes and accept all smaller ones. That rule "
            "(Hochberg's) makes its promise under further conditions; Holm starts at the smallest."
        ),
        hint="At which end of the sorted list does Holm begin, and where does it stop?",
        buggy=hochberg,
    ),
    Mistake(
        name="false_discovery_rate",
        explanation=(
            "Your thresholds are 0.05·k/m, from Benjamini and Hochberg's rule. They limit the "
            "share of false findings, not the chance of a single one."
        ),
        hint="Which number divides 0.05 at the second step: m - 1, or m/2?",
        buggy=benjamini_hochberg,
        variants=(lambda p_values: stepwise(p_values, lambda k, m: 0.05 * (k + 1) / m),),
    ),
    Mistake(
        name="sorted_result",
        explanation="Your answers stand in the order of the sorted p-values.",
        hint="Where did each p-value stand in the original list?",
        buggy=returned_sorted,
        variants=(lambda p_values: sorted(holm(p_values)), sorted_by_step),
    ),
    Mistake(
        name="not_sorted",
        explanation="You test the p-values in the order in which they are given.",
        hint="Which p-value faces the strictest threshold?",
        buggy=in_given_order,
        variants=(lambda p_values: in_given_order(p_values, stop=False),),
    ),
    Mistake(
        name="one_step_ahead",
        explanation=(
            "Your thresholds are one step off: the smallest p must be below 0.05/m, the next below "
            "0.05/(m - 1)."
        ),
        hint="What is m - k for the first p-value, when k counts from 0?",
        buggy=lambda p_values: stepwise(p_values, lambda k, m: 0.05 / max(m - k - 1, 1)),
        variants=(lambda p_values: stepwise(p_values, lambda k, m: 0.05 / (m - k + 1)),),
    ),
    Mistake(
        name="division_by_zero",
        explanation="At the last step your threshold divides by 0.",
        hint="With one p-value left, what is 0.05 divided by?",
        buggy=lambda p_values: stepwise(p_values, lambda k, m: 0.05 / (m - k - 1)),
        detect=lambda e: any("ZeroDivisionError" in (a.error or "") for a in e.actual),
    ),
    Mistake(
        name="upside_down",
        explanation="True and False are swapped: you mark what is noise.",
        hint="What should the smallest of many p-values get: True or False?",
        buggy=lambda p_values: [not t for t in holm(p_values)],
    ),
    Mistake(
        name="largest_first",
        explanation="You sort from the largest p-value to the smallest.",
        hint="Which p-value faces the strictest threshold?",
        # sorted(..., reverse=True)
        buggy=reversed_steps,
    ),
    Mistake(
        name="equal_values_share_a_place",
        explanation=(
            "Where two p-values are equal, yours marks the first of them twice and the other one "
            "never: index() finds the first place only."
        ),
        hint="Sort the places 0 ... m - 1 by their p-value: what do you need not look up then?",
        buggy=place_of_the_first,
    ),
    Mistake(
        name="thresholds_grow_stricter",
        explanation=(
            "Your thresholds run the wrong way: 0.05, 0.05/2, 0.05/3, ... The smallest p-value "
            "faces the strictest one, 0.05/m."
        ),
        hint="What is the first p-value compared with when there are m of them?",
        buggy=lambda p_values: stepwise(p_values, lambda k, m: 0.05 / (k + 1)),
        variants=(lambda p_values: stepwise(p_values, lambda k, m: 0.05 / (k + 1), stop=False),),
    ),
    Mistake(
        name="another_level",
        explanation="Your thresholds are not made of 0.05.",
        hint="Which share of false alarms does the exercise allow?",
        buggy=lambda p_values: stepwise(p_values, lambda k, m: 0.01 / (m - k)),
        variants=tuple(
            lambda p_values, a=a: stepwise(p_values, lambda k, m: a / (m - k))
            for a in (0.1, 0.025, 0.001)
        ),
    ),
    Mistake(
        name="one_failure_fails_all",
        explanation="As soon as one p-value fails, yours takes all others back as well.",
        hint="What happens to the smaller p-values when a larger one fails?",
        buggy=lambda p_values: [all(holm(p_values))] * len(p_values),
    ),
    Mistake(
        name="first_alone",
        explanation="Only the smallest p-value can become True in yours: the steps end there.",
        hint="After the smallest p has passed, which one is tried next?",
        buggy=lambda p_values: [
            t and place == p_values.index(min(p_values)) for place, t in enumerate(holm(p_values))
        ],
    ),
    Mistake(
        name="places_returned",
        explanation="You return numbers. The exercise asks for True or False for each p-value.",
        hint="How long should the list be for ten p-values of which two differ?",
        buggy=lambda p_values: [place for place, truth in enumerate(holm(p_values)) if truth],
        detect=gives_places,
    ),
)


check_holm = Check(
    name="check_holm",
    signature=(
        "fn(p_values) -> a list of True and False in the same order: from the smallest p on, True "
        "while p is below 0.05/m, 0.05/(m - 1), ...; after the first failure all are False"
    ),
    cases=holm_cases,
    reference=holm,
    mistakes=MISTAKES
    + general_mistakes(holm, without=("changed_input", "wrong_dtype", "wrong_device", "detached")),
    record=record_truths,
    call=as_list,
)
