"""check_ridge_weights: the linear probe that few-shot accuracies are made with."""

import torch

from ..engine.case import Case, choice, numbers
from ..engine.check import Check
from ..engine.compare import close
from ..engine.mistake import Evidence, Mistake
from .general import general_mistakes


def ridge_weights(features, labels, num_classes, strength):
    """(X'X + strength I)^-1 X'Y, with targets Y of 1 and -1: (D, K)."""
    return solved(features, targets_of(labels, num_classes, features), strength)


def targets_of(labels, num_classes, features, own=1.0, other=-1.0):
    """(n, K), in the dtype and on the device of the features."""
    targets = torch.full((len(labels), num_classes), other, dtype=features.dtype)
    targets[torch.arange(len(labels)), labels.cpu()] = own
    return targets.to(features.device)


def solved(features, targets, strength):
    penalty = strength * torch.eye(features.shape[1], dtype=features.dtype, device=features.device)
    return torch.linalg.solve(features.mT @ features + penalty, features.mT @ targets)


def probe_cases(generator: torch.Generator) -> list[Case]:
    """More images than features and fewer, classes of unequal size, one without an image.

    All but the last are float32, as the features of a model are: a function that works for those
    alone stops in one case, and its other mistakes show in the rest.
    """

    def case(about, n, D, K, strength, dtype=torch.float32, labels=None, **more):
        labels = torch.arange(n) % K if labels is None else torch.tensor(labels)
        labels = labels[torch.randperm(n, generator=generator)]
        features = numbers(generator, n, D, dtype=dtype) + 0.5
        inputs = dict(features=features, labels=labels, num_classes=K, strength=strength)
        return Case(about, inputs, **more)

    n, D = choice(generator, 10, 11, 12), choice(generator, 4, 5)
    return [
        case("more images than features", n, D, 3, 2.0),
        case("fewer images than features", 5, 8, 3, 0.5),
        case("as many images as features", 6, 6, 4, 1.5),
        case("as many classes as features", 9, 4, 4, 3.0),
        case("two classes", 8, 3, 2, 0.25),
        case("classes of unequal size", 7, 3, 3, 1.0, labels=[0, 0, 0, 0, 1, 2, 2]),
        case("a class without an image", 6, 3, 4, 0.7, labels=[0, 0, 1, 1, 3, 3]),
        case("one image", 1, 4, 3, 2.0, labels=[1]),
        case("a strong penalty", n, D, 3, 100.0),
        case("float64", 12, 4, 3, 4.0, dtype=torch.float64),
    ]


def with_targets(own, other):
    def fn(features, labels, num_classes, strength):
        return solved(features, targets_of(labels, num_classes, features, own, other), strength)

    return fn


def with_strength(change):
    """The right weights for change(strength, images)."""

    def fn(features, labels, num_classes, strength):
        return ridge_weights(features, labels, num_classes, change(strength, len(labels)))

    return fn


def on_features(change):
    def fn(features, labels, num_classes, strength):
        return ridge_weights(change(features), labels, num_classes, strength)

    return fn


def standardised(correction):
    def change(features):
        """Mean 0 and standard deviation 1, without torch's warning about a single image."""
        centred = features - features.mean(dim=0)
        variance = centred.square().sum(dim=0) / max(len(features) - correction, 1)
        return centred / variance.sqrt().clamp(min=1e-6)

    return change


def fits_standardised(e: Evidence) -> bool:
    """With either deviation, and with a small number added to it: hence only roughly equal.

    One image has no deviation, and then any numbers are fine.
    """
    several = [each for each in e.compared() if len(each[0].inputs["features"]) > 1]
    return any(
        all(
            actual.output is not None
            and close(actual.output.double(), fn(*case.inputs.values()).float(), loose=True)
            for case, actual, _ in several
            if not (actual.error and is_float64(case))
        )
        for fn in map(on_features, (standardised(0), standardised(1)))
    )


def with_matrix(combine, invert=torch.linalg.solve):
    """invert(combine(X'X, strength), X'Y)."""

    def fn(features, labels, num_classes, strength):
        squares = combine(features.mT @ features, strength)
        return invert(squares, features.mT @ targets_of(labels, num_classes, features))

    return fn


def least_squares(features, labels, num_classes, strength):
    """Without the penalty; the shortest solution where there are many."""
    return torch.linalg.pinv(features) @ targets_of(labels, num_classes, features)


def without_penalty(e: Evidence) -> bool:
    """Least squares wherever they have one solution; elsewhere an error, or any numbers.

    Some stop for float64, which is another mistake.
    """
    found = [
        actual.output is not None
        and close(actual.output, least_squares(*case.inputs.values()), loose=True)
        for case, actual, _ in e.compared()
        if len(case.inputs["features"]) > case.inputs["features"].shape[1]
        and not (actual.error and is_float64(case))
    ]
    return all(found)


def is_float64(case: Case) -> bool:
    return case.inputs["features"].dtype == torch.float64


def only_float32(features, labels, num_classes, strength):
    targets = targets_of(labels, num_classes, features).float()
    penalty = strength * torch.eye(features.shape[1])
    return torch.linalg.solve(features.mT @ features + penalty, features.mT @ targets)


def with_bias(features, labels, num_classes, strength):
    ones = torch.ones_like(features[:, :1])
    return ridge_weights(torch.cat([features, ones], 1), labels, num_classes, strength)


def without_inverse(features, labels, num_classes, strength):
    return features.mT @ targets_of(labels, num_classes, features)


def class_numbers(features, labels, num_classes, strength):
    """The label itself is the target: (D,)."""
    return solved(features, labels.to(features)[:, None], strength)[:, 0]


MISTAKES = (
    Mistake(
        name="targets_0_and_1",
        explanation="Your targets are 1 and 0. The paper's are 1 and -1.",
        hint="What is the target of a class that an image does not belong to?",
        # F.one_hot(labels)
        buggy=with_targets(1.0, 0.0),
    ),
    Mistake(
        name="targets_swapped",
        explanation=(
            "Every weight has the wrong sign: your targets are -1 for the own class and 1 for the "
            "others."
        ),
        hint="Which class should get the highest score?",
        buggy=with_targets(-1.0, 1.0),
    ),
    Mistake(
        name="class_numbers_as_targets",
        explanation=(
            "You fit the class number itself, so that class 2 would be twice as much as class 1. "
            "Each class needs a column of its own."
        ),
        hint="How many numbers is the target of one image?",
        buggy=class_numbers,
        variants=(
            lambda features, labels, num_classes, strength: solved(
                features, labels.to(features)[:, None], strength
            ),
        ),
    ),
    Mistake(
        name="no_penalty",
        explanation="You solve the problem without its penalty: the strength has no effect.",
        hint="Which term does the strength belong to?",
        # torch.linalg.lstsq(features, targets)
        buggy=least_squares,
        detect=without_penalty,
    ),
    Mistake(
        name="strength_added_everywhere",
        explanation=(
            "You add the strength to every entry of XᵀX. The penalty adds it on the diagonal alone."
        ),
        hint="Which matrix I gives λ||W||² when you take the gradient?",
        # features.mT @ features + strength
        buggy=with_matrix(lambda squares, strength: squares + strength),
    ),
    Mistake(
        name="strength_subtracted",
        explanation="Your penalty has the wrong sign: it makes large weights cheaper.",
        hint="Set the gradient of the whole expression to 0. On which side does λW end up?",
        buggy=with_strength(lambda strength, n: -strength),
    ),
    Mistake(
        name="mean_for_sum",
        explanation=(
            "Your penalty is n times too strong: you took the mean over the images where the "
            "exercise has a sum."
        ),
        hint="Does ||XW - Y||² divide by the number of images?",
        # features.mT @ features / n
        buggy=with_strength(lambda strength, n: strength * n),
    ),
    Mistake(
        name="strength_divided",
        explanation="Your penalty is divided by the number of images.",
        hint="Does the exercise divide λ by anything?",
        buggy=with_strength(lambda strength, n: strength / n),
    ),
    Mistake(
        name="factor_two",
        explanation="Your penalty is off by a factor of two.",
        hint="Take the gradient of both terms. Does the 2 stay in one of them?",
        buggy=with_strength(lambda strength, n: 2 * strength),
        variants=(with_strength(lambda strength, n: strength / 2),),
    ),
    Mistake(
        name="strength_squared",
        explanation="Your penalty uses the square of the strength.",
        hint="In λ||W||², what is squared?",
        buggy=with_strength(lambda strength, n: strength**2),
        variants=(with_strength(lambda strength, n: strength**0.5),),
    ),
    Mistake(
        name="inverse_entry_by_entry",
        explanation=(
            "You take 1 over each entry of XᵀX + λI. The inverse of a matrix is another thing."
        ),
        hint="Which function of torch.linalg solves A W = B?",
        # (features.mT @ features + penalty) ** -1
        buggy=with_matrix(
            lambda squares, strength: squares + strength * torch.eye(len(squares)).to(squares),
            lambda matrix, right: (1 / matrix) @ right,
        ),
    ),
    Mistake(
        name="not_inverted",
        explanation="You return XᵀY. The matrix in front of W has not been divided out.",
        hint="In (XᵀX + λI) W = XᵀY, what is left to do?",
        buggy=without_inverse,
    ),
    Mistake(
        name="features_centred",
        explanation=(
            "You subtract the mean of the features first. The exercise has the features as they "
            "are, and no bias."
        ),
        hint="Which X stands in the formula?",
        buggy=on_features(lambda x: x - x.mean(dim=0)),
    ),
    Mistake(
        name="features_standardised",
        explanation=(
            "You bring each feature to mean 0 and standard deviation 1 first, as fit_probe does. "
            "This function takes the features as they are."
        ),
        hint="Which of the two functions is this one: fit_probe, or the one that it calls?",
        # fit_probe's own first two lines
        buggy=on_features(standardised(0)),
        detect=fits_standardised,
    ),
    Mistake(
        name="bias_added",
        explanation="You return one row too many: a column of ones was added for a bias.",
        hint="How many rows has W if an image has D features?",
        buggy=with_bias,
    ),
    Mistake(
        name="transposed",
        explanation="Your result is transposed: (K, D) instead of (D, K).",
        hint="scores = features @ W. Which shape must W have?",
        buggy=lambda *inputs: ridge_weights(*inputs).mT,
    ),
    Mistake(
        name="scores_returned",
        explanation="You return the scores of the images. The exercise asks for the weights.",
        hint="Which of the two can be used on new images?",
        buggy=lambda features, *others: features @ ridge_weights(features, *others),
    ),
    Mistake(
        name="only_float32",
        explanation=(
            "With features in float32, everything is right. With features in float64 your function "
            "stops: it made a tensor of another dtype."
        ),
        hint="Which tensor does your function create, and where could it get its dtype from?",
        buggy=only_float32,
        detect=lambda e: e.wrong_exactly_where(is_float64) and bool(e.observation.error),
    ),
)


check_ridge_weights = Check(
    name="check_ridge_weights",
    signature=(
        "fn(features (n, D), labels (n,), num_classes K, strength) -> (D, K): the W that minimises "
        "||features W - Y||² + strength ||W||², with Y (n, K) of 1 for the own class, else -1"
    ),
    cases=probe_cases,
    reference=ridge_weights,
    mistakes=MISTAKES + general_mistakes(ridge_weights, without=("wrong_device", "detached")),
)
