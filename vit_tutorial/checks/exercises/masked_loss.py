"""check_masked_loss: the loss of a masked autoencoder."""

import torch

from ...relatives.masked_autoencoder import masked_loss as of_targets
from ...relatives.masked_autoencoder import normalize_patches
from ..engine.case import Case, choice, numbers
from ..engine.check import Check
from ..engine.mistake import Evidence, Mistake
from .general import general_mistakes


def masked_loss(prediction, patches, mask):
    """Mean squared error on hidden patches, against patches with mean 0 and variance 1."""
    return of_targets(prediction, normalize_patches(patches), mask)


def masked_loss_cases(generator: torch.Generator) -> list[Case]:
    """Patches of very different brightness and contrast; as many hidden in each image, or not."""

    def case(about, B, N, L, hidden, dtype=torch.float32, flat=False, faint=1, **more):
        level, contrast, detail = (
            numbers(generator, B, N, length, dtype=torch.float64) for length in (1, 1, L)
        )
        patches = 2 * level + (0.5 * contrast).exp() * detail
        patches = faint * patches
        ranks = torch.rand(B, N, generator=generator).argsort(dim=1).argsort(dim=1)
        counts = torch.tensor(hidden).expand(B) if isinstance(hidden, int) else torch.tensor(hidden)
        mask = ranks < counts[:, None]
        if flat:
            patches[mask.nonzero()[0][0], mask.nonzero()[0][1]] = 0.5
        prediction = 0.3 + 1.3 * numbers(generator, B, N, L, dtype=torch.float64)
        inputs = dict(prediction=prediction.to(dtype), patches=patches.to(dtype), mask=mask)
        return Case(about, inputs, **more)

    N, L = choice(generator, 8, 12), choice(generator, 12, 27, 48)
    return [
        case("three of four hidden", 2, N, L, 3 * N // 4),
        case("one image", 1, N, L, N // 2),
        case("as many patches as numbers in a patch", 3, 12, 12, 5),
        case("another number hidden in each image", 3, N, L, (1, N // 2, N)),
        case("a single patch hidden", 2, 4, L, (1, 0)),
        case("a patch of one colour", 2, N, L, N // 2, flat=True),
        case("float64", 2, N, L, N // 4, torch.float64),
        case("patches of faint contrast", 2, N, L, N // 2, faint=1e-3),
        case("with gradient", 2, N, L, N // 2, grad=True),
    ]


def errors(prediction, patches):
    """Squared errors of each patch, (B, N)."""
    return ((prediction - normalize_patches(patches)) ** 2).mean(dim=-1)


def against(target):
    """The loss with another target: target(patches, mask) -> (B, N, L)."""
    return lambda prediction, patches, mask: of_targets(prediction, target(patches, mask), mask)


def standardized(patches, dim, correction=1, eps=1e-6):
    mean = patches.mean(dim=dim, keepdim=True)
    var = patches.var(dim=dim, keepdim=True, correction=correction)
    return (patches - mean) / (var + eps).sqrt()


def divides_by_zero(e: Evidence) -> bool:
    """A patch of one colour gives nan or inf; everything else is right but for the 1e-6.

    Where the contrast is so faint that the 1e-6 is much, values may be any but nan and inf.
    """
    for case, actual, expected in e.compared():
        if actual.output is None or actual.output.shape != expected.output.shape:
            return False
        flat = case.about == "a patch of one colour"
        if case.about == "patches of faint contrast":
            if not bool(actual.output.isfinite()):
                return False
            continue
        near = torch.allclose(actual.output.double(), expected.output.double(), rtol=1e-4)
        if (near or bool(actual.output.isfinite())) if flat else not near:
            return False
    return True


def hidden_share(e: Evidence) -> str:
    mask = e.inputs["mask"]
    return f"{int(mask.sum())} of {mask.numel()}"


MISTAKES = (
    Mistake(
        name="all_patches",
        explanation=lambda e: (
            f"Your mean covers every patch. Here {hidden_share(e)} are hidden. Only these count."
        ),
        hint="Which of the three inputs does your code never read?",
        buggy=lambda prediction, patches, mask: errors(prediction, patches).mean(),
    ),
    Mistake(
        name="visible_patches",
        explanation=("Your mean covers the visible patches. In `mask`, True marks a hidden patch."),
        hint="On which patches is there something to predict?",
        buggy=lambda prediction, patches, mask: errors(prediction, patches)[~mask].mean(),
        variants=(
            lambda prediction, patches, mask: (
                (errors(prediction, patches) * ~mask).sum() / (~mask).sum()
            ),
        ),
    ),
    Mistake(
        name="divided_by_all",
        explanation=lambda e: (
            "You add up the errors of the hidden patches, but divide by the number of all patches. "
            f"Here {hidden_share(e)} are hidden."
        ),
        hint="What is the mean of (error * mask), when most of the mask is False?",
        buggy=lambda prediction, patches, mask: (errors(prediction, patches) * mask).mean(),
    ),
    Mistake(
        name="divided_by_the_wrong_count",
        explanation=(
            "You add up the errors of the hidden patches, but divide by another number than that "
            "of the hidden patches."
        ),
        hint="How many patches did you add up? How many are in your denominator?",
        buggy=lambda prediction, patches, mask: (
            (errors(prediction, patches) * mask).sum() / len(mask)
        ),
        variants=(
            lambda prediction, patches, mask: (
                (errors(prediction, patches) * mask).sum() / mask.shape[1]
            ),
            lambda prediction, patches, mask: (
                (errors(prediction, patches) * mask).sum() / (~mask).sum()
            ),
        ),
    ),
    Mistake(
        name="averaged_by_image",
        explanation=(
            "You took a mean for each image and then the mean of those means. Where images hide "
            "different numbers of patches, each hidden patch should still count once."
        ),
        hint="How much does a hidden patch count in an image that hides one, and in one that hides "
        "six?",
        buggy=lambda prediction, patches, mask: (
            (errors(prediction, patches) * mask).sum(1) / mask.sum(1)
        ).mean(),
        variants=(
            lambda prediction, patches, mask: (
                (errors(prediction, patches) * mask).sum(1) / mask.sum(1).clamp(min=1)
            ).mean(),
        ),
    ),
    Mistake(
        name="plain_pixels",
        explanation="Your target is the patches as they are. Give each patch mean 0 and variance 1 "
        "first.",
        hint="What should the model predict for a bright patch and for a dark one with the same "
        "pattern?",
        buggy=against(lambda patches, mask: patches),
    ),
    Mistake(
        name="only_centred",
        explanation="You subtracted each patch's mean, but did not divide by its deviation.",
        hint="What is the variance of your target, patch by patch?",
        buggy=against(lambda patches, mask: patches - patches.mean(-1, keepdim=True)),
    ),
    Mistake(
        name="only_scaled",
        explanation="You divided each patch by its deviation, but did not subtract its mean.",
        hint="What is the mean of your target, patch by patch?",
        buggy=against(
            lambda patches, mask: patches / (patches.var(-1, keepdim=True) + 1e-6).sqrt()
        ),
    ),
    Mistake(
        name="divided_by_the_variance",
        explanation="You divided by the variance. The standard deviation is its square root.",
        hint="By what do you divide numbers to give them variance 1?",
        buggy=against(
            lambda patches, mask: (
                (patches - patches.mean(-1, keepdim=True)) / (patches.var(-1, keepdim=True) + 1e-6)
            )
        ),
    ),
    Mistake(
        name="biased_variance",
        explanation=lambda e: (
            f"Your variance divides by {e.inputs['patches'].shape[2]}, the exercise's by "
            f"{e.inputs['patches'].shape[2] - 1}, one less."
        ),
        hint="What does torch.var divide by, unless it is told otherwise? And F.layer_norm?",
        buggy=against(lambda patches, mask: standardized(patches, -1, correction=0)),
    ),
    Mistake(
        name="one_scale_for_the_image",
        explanation="You normalised each image with one mean and one deviation. Each patch has its "
        "own.",
        hint="Over which axes do mean and variance run? What is the shape of your mean?",
        buggy=against(lambda patches, mask: standardized(patches, (1, 2))),
    ),
    Mistake(
        name="one_scale_for_the_batch",
        explanation="You normalised the whole batch with one mean and one deviation. Each patch "
        "has its own.",
        hint="Over which axes do mean and variance run? What is the shape of your mean?",
        buggy=against(lambda patches, mask: standardized(patches, (0, 1, 2))),
    ),
    Mistake(
        name="across_the_patches",
        explanation="Your mean and variance run over the patches of an image, pixel by pixel. They "
        "should run over the numbers of one patch.",
        hint="Patches are (B, N, P*P*C). Which axis holds the numbers of one patch?",
        buggy=against(lambda patches, mask: standardized(patches, 1)),
    ),
    Mistake(
        name="prediction_normalised",
        explanation="You normalised the prediction as well. It is compared as it is.",
        hint="If the prediction were normalised too, could the loss tell a faint pattern from a "
        "strong one?",
        buggy=lambda prediction, patches, mask: masked_loss(
            normalize_patches(prediction), patches, mask
        ),
    ),
    Mistake(
        name="prediction_in_the_targets_place",
        explanation="You normalised the prediction and left the patches as they are.",
        hint="Which of the two comes from the image?",
        buggy=lambda prediction, patches, mask: masked_loss(patches, prediction, mask),
    ),
    Mistake(
        name="absolute_error",
        explanation="You averaged absolute errors. The exercise asks for squares.",
        hint="What does a mean squared error do with each difference?",
        buggy=lambda prediction, patches, mask: (
            (prediction - normalize_patches(patches)).abs().mean(-1)[mask].mean()
        ),
    ),
    Mistake(
        name="root_of_the_mean",
        explanation="You took the root of the mean squared error.",
        hint="Which function comes last in your code?",
        buggy=lambda prediction, patches, mask: masked_loss(prediction, patches, mask).sqrt(),
    ),
    Mistake(
        name="sum_over_pixels",
        explanation=lambda e: (
            f"You added up the {e.inputs['patches'].shape[2]} squared errors of a patch. The "
            "exercise asks for their mean."
        ),
        hint="Should the loss grow when the patches are larger?",
        buggy=lambda prediction, patches, mask: (
            ((prediction - normalize_patches(patches)) ** 2).sum(-1)[mask].mean()
        ),
    ),
    Mistake(
        name="sum_over_patches",
        explanation="You return a sum over the hidden patches. The exercise asks for their mean.",
        hint="Should the loss grow with the batch?",
        buggy=lambda prediction, patches, mask: errors(prediction, patches)[mask].sum(),
        variants=(
            lambda prediction, patches, mask: ((prediction - normalize_patches(patches)) ** 2)[
                mask
            ].sum(),
        ),
    ),
    Mistake(
        name="added_to_the_deviation",
        explanation="You added 1e-6 to the deviation. The exercise adds it to the variance, before "
        "the root.",
        hint="What does a patch of one colour have as its variance, and what is the root of 1e-6?",
        # in float32 only a very faint patch tells the two apart
        buggy=against(
            lambda patches, mask: (
                (patches - patches.mean(-1, keepdim=True)) / (patches.std(-1, keepdim=True) + 1e-6)
            )
        ),
    ),
    Mistake(
        name="flat_patch",
        explanation="A patch of a single colour has variance 0, and your code divides by it.",
        hint="What is added to the variance before the root is taken?",
        buggy=against(lambda patches, mask: standardized(patches, -1, eps=0)),
        detect=divides_by_zero,
    ),
    Mistake(
        name="hidden_only_statistics",
        explanation="Your mean and deviation come from all hidden patches together. Each patch has "
        "its own.",
        hint="Normalise first, (B, N, P*P*C), and choose the hidden patches afterwards.",
        buggy=lambda prediction, patches, mask: (
            (prediction[mask] - standardized(patches[mask], (0, 1))) ** 2
        ).mean(),
        variants=(
            lambda prediction, patches, mask: (
                (prediction[mask] - standardized(patches[mask], 0)) ** 2
            ).mean(),
        ),
    ),
    Mistake(
        name="one_number_for_each_patch",
        explanation="You return an error for each patch, not one number.",
        hint="A loss is a single number, so that .backward() works. What is still missing?",
        buggy=lambda prediction, patches, mask: errors(prediction, patches)[mask],
        variants=(
            lambda prediction, patches, mask: errors(prediction, patches),
            lambda prediction, patches, mask: errors(prediction, patches) * mask,
        ),
    ),
)


check_masked_loss = Check(
    name="check_masked_loss",
    signature=(
        "fn(prediction (B, N, L), patches (B, N, L), mask (B, N)) -> a tensor (): the mean squared "
        "error over the hidden patches (mask True), against patches with mean 0 and variance 1 "
        "each: torch.var, plus 1e-6"
    ),
    cases=masked_loss_cases,
    reference=masked_loss,
    mistakes=MISTAKES + general_mistakes(masked_loss, without=("wrong_device",)),
)
