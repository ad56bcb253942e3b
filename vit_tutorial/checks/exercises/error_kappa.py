"""check_error_kappa: how much two models fail on the same images, beyond chance."""

import math

import torch

from ..engine.case import Case, choice
from ..engine.check import Check
from ..engine.mistake import Mistake
from ..engine.observe import record_number
from .general import general_mistakes


def error_kappa(one, other, labels):
    """Cohen's kappa of being right: (observed - chance) / (1 - chance)."""
    return kappa(*shares(one, other, labels))


def shares(one, other, labels):
    """(accuracy of one, of the other, share of images with both right, with both wrong)."""
    a, b = one == labels, other == labels
    return tuple(part.double().mean().item() for part in (a, b, a & b, ~a & ~b))


def kappa(p, q, both_right, both_wrong):
    chance = p * q + (1 - p) * (1 - q)
    return (both_right + both_wrong - chance) / (1 - chance)


def answer_cases(generator: torch.Generator) -> list[Case]:
    """Answers of two models that share many errors, few, or none; often wrong, and seldom.

    Where both are wrong, they give the same wrong class in some images and not in others.
    """

    def case(about, n, classes, both_wrong, only_one, only_other):
        labels = torch.randint(classes, (n,), generator=generator)
        wrong = lambda: (labels + torch.randint(1, classes, (n,), generator=generator)) % classes
        first, second = wrong(), wrong()
        second[: both_wrong // 2] = first[: both_wrong // 2]  # the same wrong class
        one, other = labels.clone(), labels.clone()
        end = both_wrong + only_one
        one[:end] = first[:end]
        other[:both_wrong] = second[:both_wrong]
        other[end : end + only_other] = second[end : end + only_other]
        order = torch.randperm(n, generator=generator)
        return Case(about, dict(one=one[order], other=other[order], labels=labels[order]))

    n = choice(generator, 40, 50, 60)
    return [
        case("many errors shared", n, 5, 14, 3, 4),
        case("few errors shared", n, 5, 3, 9, 7),
        case("no errors shared", n, 10, 0, 8, 6),
        case("more errors than chance, unequal models", n, 10, 6, 2, 17),
        case("both mostly wrong", n, 6, 26, 3, 5),
        case("one much better", n, 7, 3, 20, 1),
        case("the same errors", n, 4, 11, 0, 0),
        case("many images", 400, 10, 60, 50, 40),
    ]


def of_shares(compute):
    """A number made of (p, q, both right, both wrong)."""
    return lambda one, other, labels: compute(*shares(one, other, labels))


def of_answers(one, other, labels):
    """Cohen's kappa of the answers themselves; the labels are not read."""
    classes = torch.unique(torch.cat([one, other]))
    chance = sum(
        ((one == c).double().mean() * (other == c).double().mean()).item() for c in classes
    )
    return ((one == other).double().mean().item() - chance) / (1 - chance)


def answers_compared(one, other, labels):
    """The observed agreement is that of the answers: two different wrong classes disagree."""
    p, q, _, _ = shares(one, other, labels)
    chance = p * q + (1 - p) * (1 - q)
    return ((one == other).double().mean().item() - chance) / (1 - chance)


def observed(p, q, both_right, both_wrong):
    return both_right + both_wrong


def chance(p, q):
    return p * q + (1 - p) * (1 - q)


def with_chance(compute):
    """Kappa with another chance, compute(p, q)."""

    def fn(p, q, both_right, both_wrong):
        expected = compute(p, q)
        return (both_right + both_wrong - expected) / (1 - expected) if expected < 1 else 0.0

    return of_shares(fn)


def phi(p, q, both_right, both_wrong):
    return (both_right - p * q) / math.sqrt(p * (1 - p) * q * (1 - q))


def by_errors_alone(p, q, both_right, both_wrong):
    """(both wrong - chance of it) / (1 - chance of it)."""
    expected = (1 - p) * (1 - q)
    return (both_wrong - expected) / (1 - expected)


def by_hits_alone(p, q, both_right, both_wrong):
    return (both_right - p * q) / (1 - p * q)


MISTAKES = (
    Mistake(
        name="answers_compared",
        explanation=(
            "You count where the two models give the same class. Two different wrong classes are "
            "an agreement, too: both models are wrong."
        ),
        hint="For an image, which of the four is it: both right, both wrong, or one of the two?",
        buggy=answers_compared,
        variants=(of_answers,),
    ),
    Mistake(
        name="chance_not_taken_off",
        explanation=(
            "Your number is the observed agreement. Two good models agree on most images without "
            "having anything in common."
        ),
        hint="How often do two independent models agree that are both right for 90 % of images?",
        buggy=of_shares(observed),
        variants=(lambda one, other, labels: (one == other).double().mean().item(),),
    ),
    Mistake(
        name="not_divided",
        explanation=(
            "You subtract chance, but do not divide by what chance leaves: two copies of one model "
            "should give 1."
        ),
        hint="How large can observed - chance become at most?",
        buggy=of_shares(lambda p, q, r, w: r + w - chance(p, q)),
    ),
    Mistake(
        name="divided_by_chance",
        explanation="You divide by the agreement by chance, and should divide by 1 minus it.",
        hint="Two copies of one model: which denominator gives 1?",
        buggy=of_shares(lambda p, q, r, w: (r + w - chance(p, q)) / chance(p, q)),
        variants=(of_shares(lambda p, q, r, w: (r + w) / chance(p, q)),),
    ),
    Mistake(
        name="chance_of_both_right_only",
        explanation=(
            "Your chance is that both are right. Two models also agree where both are wrong."
        ),
        hint="In how many ways can two models agree on being right or wrong?",
        buggy=with_chance(lambda p, q: p * q),
        variants=(with_chance(lambda p, q: (1 - p) * (1 - q)),),
    ),
    Mistake(
        name="wrong_images_only",
        explanation=(
            "Your agreement counts only the images that both get wrong, or only those that both "
            "get right. Both are agreement."
        ),
        hint="What about the images where both are right?",
        buggy=of_shares(by_errors_alone),
        variants=(
            of_shares(by_hits_alone),
            of_shares(lambda p, q, r, w: w),
            of_shares(lambda p, q, r, w: w - (1 - p) * (1 - q)),
            of_shares(lambda p, q, r, w: (w - chance(p, q)) / (1 - chance(p, q))),
            of_shares(lambda p, q, r, w: (r - chance(p, q)) / (1 - chance(p, q))),
        ),
    ),
    Mistake(
        name="half_by_chance",
        explanation="Your chance is 1/2, or 1 over the classes, whatever the accuracies are.",
        hint="Do two models that are right for 99 % of images agree by chance on half of them?",
        buggy=with_chance(lambda p, q: 0.5),
    ),
    Mistake(
        name="one_accuracy_for_both",
        explanation="Your chance uses one accuracy for both models, but they have one each.",
        hint="Which two numbers do you multiply?",
        buggy=with_chance(lambda p, q: chance((p + q) / 2, (p + q) / 2)),
        variants=(with_chance(lambda p, q: chance(p, p)), with_chance(lambda p, q: chance(q, q))),
    ),
    Mistake(
        name="correlation",
        explanation=(
            "Your number is the correlation of right and wrong. For two models of different "
            "accuracy it is not kappa."
        ),
        hint="The exercise gives a formula with a chance in it. Where is it in your code?",
        buggy=of_shares(lambda p, q, r, w: 0.0 if p * q == 0 else phi(p, q, r, w)),
    ),
    Mistake(
        name="overlap_of_errors",
        explanation="Your number is the share of shared errors among all errors.",
        hint="How large would that be by chance?",
        buggy=of_shares(lambda p, q, r, w: w / (1 - r)),
        variants=(
            of_shares(lambda p, q, r, w: w / (1 - p)),
            of_shares(lambda p, q, r, w: w / (1 - q)),
            of_shares(lambda p, q, r, w: w / min(1 - p, 1 - q)),
            of_shares(lambda p, q, r, w: w / ((1 - p) * (1 - q))),
        ),
    ),
    Mistake(
        name="disagreement",
        explanation="Your number measures disagreement: it is 1 - kappa, or its opposite.",
        hint="Two copies of one model: which number should come out?",
        buggy=lambda *inputs: 1 - error_kappa(*inputs),
        variants=(lambda *inputs: -error_kappa(*inputs),),
    ),
    Mistake(
        name="percent",
        explanation="Your number is in percent. Kappa goes up to 1.",
        hint="Two copies of one model: 1 or 100?",
        buggy=lambda *inputs: 100 * error_kappa(*inputs),
    ),
)


check_error_kappa = Check(
    name="check_error_kappa",
    signature=(
        "fn(one (n,), other (n,), labels (n,)) -> a number: Cohen's kappa of where the two models "
        "are right; one and other are the classes that they answer"
    ),
    cases=answer_cases,
    reference=error_kappa,
    mistakes=MISTAKES
    + general_mistakes(
        error_kappa, without=("detached", "wrong_device", "wrong_dtype", "changed_input")
    ),
    record=record_number("kappa"),
)
