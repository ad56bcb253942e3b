"""check_soft_loss: the loss of a student on its teacher's softened probabilities."""

import torch
import torch.nn.functional as F

from ..engine.case import Case, choice, numbers
from ..engine.check import Check
from ..engine.mistake import Evidence, Mistake
from .general import general_mistakes


def soft_loss(student, teacher, temperature):
    """T² KL(teacher || student) at temperature T, a mean over images."""
    return loss_of(student, teacher, temperature)


def loss_of(student, teacher, T, factor=2, dim=1, reduce=torch.mean, soft=(True, True)):
    """The same with options for what goes wrong in it. factor: the power of T before the loss."""
    student = student / T if soft[0] else student
    teacher = teacher.detach() / T if soft[1] else teacher.detach()
    return T**factor * reduce(divergence(student, teacher, dim).sum(dim=1))


def divergence(student, teacher, dim=1):
    """p (log p - log q), with p of the teacher and q of the student: (B, K)."""
    log_p, log_q = (F.log_softmax(z, dim=dim) for z in (teacher, student))
    return log_p.exp() * (log_p - log_q)


def soft_loss_cases(generator: torch.Generator) -> list[Case]:
    """Temperatures below, at and above 1; one image, two classes, and as many images as classes."""

    def case(about, B, K, T, dtype=torch.float32, size=2, **more):
        student, teacher = (size * numbers(generator, B, K, dtype=dtype) for _ in range(2))
        return Case(about, dict(student=student, teacher=teacher, temperature=T), **more)

    B, K, T = (choice(generator, *options) for options in ((5, 6), (8, 9), (2.5, 4.0)))
    return [
        case("a usual temperature", B, K, 3.0),
        case("another temperature", B, K, T),
        case("temperature 1", B, K, 1.0),
        case("a temperature below 1", B, K, 0.5),
        case("as many images as classes", 4, 4, 2.0),
        case("one image", 1, K, 2.0),
        case("two classes", B, 2, T),
        case("float64", B, K, T, torch.float64),
        case("large logits", B, K, 1.0, size=200),
        case("with gradient", B, K, T, grad=True),
    ]


def with_options(**options):
    return lambda student, teacher, T: loss_of(student, teacher, T, **options)


def made_of(loss, factor=2):
    """T**factor times loss(student, teacher), of logits divided by T."""
    return lambda student, teacher, T: T**factor * loss(student / T, teacher.detach() / T)


def softened_after(student, teacher, T):
    """Softmax first, then the temperature, then another softmax."""
    p, q = (torch.softmax(z, dim=1) / T for z in (teacher, student))
    return T**2 * divergence(q, p).sum(dim=1).mean()


def entropy_too(student, teacher):
    return F.cross_entropy(student, torch.softmax(teacher, dim=1))


def hard(student, teacher):
    return F.cross_entropy(student, teacher.argmax(dim=1))


def kl(student, teacher, **options):
    """kl_div of two tensors as they come."""
    return F.kl_div(student, teacher, reduction="batchmean", **options)


def logs(z):
    return F.log_softmax(z, dim=1)


def probabilities(z):
    return torch.softmax(z, dim=1)


def log_of_softmax(student, teacher):
    p, q = probabilities(teacher), probabilities(student)
    return (p * (p.log() - q.log())).sum(dim=1).mean()


def divided(student, teacher):
    p, q = probabilities(teacher), probabilities(student)
    return (p * (p / q).log()).sum(dim=1).mean()


def rounds_to_zero(e: Evidence) -> bool:
    """Large logits give nan or inf; everything else is right."""
    for case, actual, expected in e.compared():
        if actual.output is None or actual.output.shape != expected.output.shape:
            return False
        mine, right = actual.output.double(), expected.output.double()
        near = torch.allclose(mine, right, rtol=1e-4, atol=1e-6)
        if bool(mine.isfinite().all()) if case.about == "large logits" else not near:
            return False
    return True


MISTAKES = (
    Mistake(
        name="kl_backwards",
        explanation=(
            "You compute KL(student || teacher): the student's probabilities weight the "
            "differences. The exercise asks for KL(teacher || student)."
        ),
        hint="In kl_div(a, b), whose logarithms is a, and whose probabilities weight the sum?",
        # kl_div takes what is weighted second, the other way round than the formula
        buggy=made_of(lambda s, t: divergence(t, s).sum(dim=1).mean()),
        variants=(made_of(lambda s, t: divergence(t, s).mean()),),
    ),
    Mistake(
        name="square_forgotten",
        explanation=lambda e: (
            f"The factor T² is missing: at temperature {e.inputs['temperature']:g} your loss is "
            "smaller than it should be, and its gradients are, too."
        ),
        hint="What happens to the gradient of the loss when all logits are divided by T?",
        buggy=with_options(factor=0),
    ),
    Mistake(
        name="temperature_not_squared",
        explanation="Your loss is multiplied by T. The exercise asks for T².",
        hint="How often does T divide: in the logits, and once more in their gradient?",
        buggy=with_options(factor=1),
    ),
    Mistake(
        name="divided_by_the_square",
        explanation="Your loss is divided by T or T², and should be multiplied by T².",
        hint="A high temperature makes the divergence small. Which factor brings it back?",
        buggy=with_options(factor=-2),
        variants=(with_options(factor=-1),),
    ),
    Mistake(
        name="mean_over_classes",
        explanation=lambda e: (
            "You also divide by the number of classes: here your loss is "
            f"{e.inputs['student'].shape[1]} times too small. With 1,000 classes hardly anything "
            "of it is left."
        ),
        hint='What do reduction="mean" and reduction="batchmean" divide by?',
        # reduction="mean", or / outputs.numel(), as in the code of DeiT
        buggy=made_of(lambda s, t: divergence(s, t).mean()),
    ),
    Mistake(
        name="summed_over_images",
        explanation="Your loss is a sum over the images. It grows with the batch.",
        hint="By how many images do you divide?",
        buggy=with_options(reduce=torch.sum),
    ),
    Mistake(
        name="one_side_softened",
        explanation="Only one of the two models' logits are divided by the temperature.",
        hint="Which two distributions should become equal when the student copies the teacher?",
        buggy=with_options(soft=(False, True)),
        variants=(
            with_options(soft=(True, False)),
            with_options(soft=(False, True), factor=0),
            with_options(soft=(True, False), factor=0),
        ),
    ),
    Mistake(
        name="temperature_multiplies",
        explanation="You multiply logits by the temperature: they become sharper, not softer.",
        hint="Which temperature makes all probabilities equal, 0 or a very large one?",
        buggy=lambda student, teacher, T: T**2 * loss_of(student * T, teacher * T, 1),
        variants=(
            lambda student, teacher, T: loss_of(student * T, teacher * T, 1),
            lambda student, teacher, T: loss_of(student * T, teacher * T, 1) / T**2,
        ),
    ),
    Mistake(
        name="temperature_left_out",
        explanation="The temperature does not reach the softmax.",
        hint="What is divided by T, and when?",
        buggy=with_options(soft=(False, False)),
        variants=(with_options(soft=(False, False), factor=0),),
    ),
    Mistake(
        name="softened_after_softmax",
        explanation="You divide probabilities by the temperature, and take a softmax again.",
        hint="A softmax takes logits. Which of your two lines comes first?",
        buggy=softened_after,
    ),
    Mistake(
        name="softmax_over_images",
        explanation="Your softmax runs over the images of the batch instead of over the classes.",
        hint="Along which of the axes (B, K) should probabilities add up to 1?",
        buggy=with_options(dim=0),
    ),
    Mistake(
        name="entropy_left_in",
        explanation=(
            "Your number is a cross-entropy: the teacher's own entropy is in it, so that it is not "
            "0 for a perfect student. Its gradient is right."
        ),
        hint="Give the teacher's own logits to the student. What should the loss be?",
        # F.cross_entropy(student / T, softmax(teacher / T)): the same gradient
        buggy=made_of(entropy_too),
    ),
    Mistake(
        name="hard_labels",
        explanation="Your loss sees the teacher's answer only, not its probabilities.",
        hint="What does argmax forget?",
        buggy=made_of(hard, factor=0),
        variants=(made_of(hard), lambda student, teacher, T: hard(student, teacher)),
    ),
    Mistake(
        name="probabilities_for_logs",
        explanation=(
            "kl_div wants the logarithms of the student's probabilities. It got the probabilities."
        ),
        hint="Which of softmax and log_softmax belongs to the first argument of kl_div?",
        buggy=made_of(lambda s, t: kl(probabilities(s), probabilities(t))),
        variants=(
            made_of(lambda s, t: kl(s, probabilities(t))),
            made_of(lambda s, t: kl(probabilities(s), logs(t), log_target=True)),
        ),
    ),
    Mistake(
        name="logs_taken_for_probabilities",
        explanation=(
            "kl_div got logarithms as its second argument and took them for probabilities, or "
            "the other way round."
        ),
        hint="What does log_target=True tell kl_div?",
        buggy=made_of(lambda s, t: kl(logs(s), logs(t))),
        variants=(
            made_of(lambda s, t: kl(logs(s), probabilities(t), log_target=True)),
            made_of(lambda s, t: kl(logs(s), t, log_target=True)),
            made_of(lambda s, t: kl(logs(s), t)),
        ),
    ),
    Mistake(
        name="logarithm_of_softmax",
        explanation=(
            "Where logits are large, one of your probabilities is rounded to 0, and its logarithm "
            "is -inf. Elsewhere your loss is right."
        ),
        hint="Which function computes the logarithm of a softmax in one step?",
        buggy=made_of(lambda s, t: log_of_softmax(s, t)),
        variants=(
            made_of(lambda s, t: kl(probabilities(s).log(), probabilities(t))),
            made_of(lambda s, t: divided(s, t)),
        ),
        detect=rounds_to_zero,
    ),
    Mistake(
        name="sign_exchanged",
        explanation="Your loss is negative. A divergence is never below 0.",
        hint="Is it log p - log q, or log q - log p?",
        buggy=lambda *inputs: -soft_loss(*inputs),
    ),
    Mistake(
        name="one_number_an_image",
        explanation="You return a loss for each image. The exercise asks for their mean.",
        hint="From which tensor does backward() start?",
        buggy=with_options(reduce=lambda losses: losses),
        variants=(made_of(divergence),),
    ),
)


check_soft_loss = Check(
    name="check_soft_loss",
    signature=(
        "fn(student (B, K), teacher (B, K), temperature) -> a tensor with one number: temperature² "
        "times KL(teacher || student) of the probabilities of logits divided by the temperature, "
        "a mean over the B images"
    ),
    cases=soft_loss_cases,
    reference=soft_loss,
    mistakes=MISTAKES + general_mistakes(soft_loss, without=("wrong_device",)),
)
