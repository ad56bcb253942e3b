"""check_accumulate: the gradient of a batch that is too large for the memory, part by part."""

import math

import torch
import torch.nn.functional as F

from ..engine.case import Case, ModuleRecipe, choice, numbers
from ..engine.check import Check
from ..engine.mistake import Evidence, Mistake
from ..engine.modules import build_module
from ..engine.observe import as_number, type_name
from .general import general_mistakes


def accumulate(model, images, labels, size):
    """Leave the gradient of the mean loss over all images in .grad; return that loss."""
    return parts(model, images, labels, size, lambda mean, n, N, count: mean * n / N)


def parts(model, images, labels, size, share, zero=True, zero_each=False, returned=sum):
    """The loop of every version here. share(mean, n, N, count): what a part's backward starts from.

    mean is the part's mean loss, n its images, N all images, count the number of parts. returned:
    what is made of the parts' shares.
    """
    if zero:
        model.zero_grad()
    losses, count = [], math.ceil(len(images) / size)
    for x, y in zip(images.split(size), labels.split(size)):
        if zero_each:
            model.zero_grad()
        loss = share(F.cross_entropy(model(x), y), len(x), len(images), count)
        loss.backward()
        losses.append(loss.item())
    return returned(losses)


def with_old_gradients(fn, inputs):
    """Call fn on a model whose .grad holds numbers already, as after the step before."""
    for parameter in inputs["model"].parameters():
        parameter.grad = torch.ones_like(parameter)
    return fn(*inputs.values())


def record_gradient(value, inputs) -> tuple[dict, dict]:
    """The gradient as one vector, the loss, and what the model logged of its calls."""
    model, loss = inputs["model"], as_number(value)
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in model.parameters()]
    tensors = {"gradient": torch.cat([gradient.flatten() for gradient in gradients])}
    tensors |= {} if loss is None else {"loss": loss.float()}
    logged = {
        "more than `size` images at a time": any(
            call["images"] > inputs["size"] for call in model.calls
        ),
        "images that went through the model": sum(call["images"] for call in model.calls),
        "parts that waited for backward at the same time": max(
            (call["waiting"] for call in model.calls), default=0
        ),
    }
    return tensors, {"values": logged, "types": {"loss": type_name(value)}, "form": "a number"}


def accumulate_cases(generator: torch.Generator) -> list[Case]:
    """Parts of equal and of unequal size; the last one may hold a single image."""

    def case(about, count, size, classes=4):
        settings = {"features": 2 * 3 * 3, "classes": classes}
        state = {
            name: numbers(generator, *value.shape)
            for name, value in build_module("Watched", settings).state_dict().items()
        }
        inputs = {
            "model": ModuleRecipe("Watched", settings, state),
            "images": numbers(generator, count, 2, 3, 3),
            "labels": torch.randint(classes, (count,), generator=generator),
            "size": size,
        }
        return Case(about, inputs)

    size = choice(generator, 5, 6, 7)
    return [
        case("the last part is smaller", 3 * size + 2, size),
        case("all parts alike", 4 * size, size),
        case("the last part is one image", 2 * size + 1, size),
        case("one image at a time", 5, 1),
        case("fewer images than `size`", size - 1, 2 * size, classes=3),
    ]


def gradient_right(e: Evidence) -> bool:
    """Every gradient is right, and at least one loss is not."""
    pairs = [(a.tensors, b.tensors) for a, b in zip(e.actual, e.expected)]
    near = lambda name: [
        name in a and torch.allclose(a[name], b[name], rtol=1e-4, atol=2e-5) for a, b in pairs
    ]
    return all(near("gradient")) and not all(near("loss")) and all("loss" in a for a, _ in pairs)


def nothing_computed(e: Evidence) -> bool:
    """The gradients are 0, or what they were before the call, in every case."""
    return all(
        actual.error is None
        and actual.tensors
        and bool(actual.tensors["gradient"].unique().numel() == 1)
        for actual in e.actual
    )


def waited(e: Evidence) -> bool:
    """Values right; where there are several parts, all of them waited for one backward."""
    key = "parts that waited for backward at the same time"
    right = all(
        actual.tensors.keys() == expected.tensors.keys()
        and all(
            torch.allclose(actual.tensors[name], expected.tensors[name], rtol=1e-4, atol=2e-5)
            for name in expected.tensors
        )
        for actual, expected in zip(e.actual, e.expected)
    )
    return right and any(actual.facts.get("values", {}).get(key, 0) > 1 for actual in e.actual)


def one_backward(model, images, labels, size):
    model.zero_grad()
    total = sum(
        F.cross_entropy(model(x), y) * len(x) / len(images)
        for x, y in zip(images.split(size), labels.split(size))
    )
    total.backward()
    return total.item()


def whole_batch(model, images, labels, size):
    return accumulate(model, images, labels, len(images))


def last_part_dropped(model, images, labels, size):
    kept = len(labels) // size * size
    if not kept:
        return 0.0
    share = lambda mean, n, N, count: mean * n / kept
    return parts(model, images[:kept], labels[:kept], size, share)


def without_backward(model, images, labels, size):
    model.zero_grad()
    with torch.no_grad():
        return F.cross_entropy(model(images), labels).item()


def plainly(share, **options):
    return lambda model, images, labels, size: parts(model, images, labels, size, share, **options)


RIGHT = lambda mean, n, N, count: mean * n / N
OVER_PARTS = lambda mean, n, N, count: mean / count

MISTAKES = (
    Mistake(
        name="mean_over_parts",
        explanation=lambda e: (
            "Every part counts the same, whatever its size. Here the last part has "
            f"{len(e.inputs['labels']) % e.inputs['size']} images, the others have "
            f"{e.inputs['size']}."
        ),
        hint="What share of the batch is each part? Its mean loss should count for that share.",
        # loss / number_of_parts, in most descriptions of gradient accumulation
        buggy=plainly(OVER_PARTS),
    ),
    Mistake(
        name="old_gradient_kept",
        explanation="What was in .grad before your function was called is still in it.",
        hint="backward() adds to .grad. Who empties it, and when?",
        buggy=plainly(RIGHT, zero=False),
        variants=(plainly(OVER_PARTS, zero=False),),
    ),
    Mistake(
        name="zeroed_in_the_loop",
        explanation="Only the last part's gradient is left: the others were erased.",
        hint="How often should .grad be emptied: once per batch, or once per part?",
        # optimizer.zero_grad() copied along from the usual loop
        buggy=plainly(RIGHT, zero_each=True),
        variants=(
            plainly(OVER_PARTS, zero_each=True),
            plainly(lambda mean, n, N, count: mean, zero_each=True),
            plainly(
                lambda mean, n, N, count: mean,
                zero_each=True,
                returned=lambda losses: sum(losses) / len(losses),
            ),
        ),
    ),
    Mistake(
        name="nothing_divided",
        explanation=(
            "The parts' mean losses were added up as they are: with four parts the gradient is "
            "four times too large."
        ),
        hint="Is the sum of four means a mean?",
        buggy=plainly(lambda mean, n, N, count: mean),
        variants=(
            plainly(
                lambda mean, n, N, count: mean, returned=lambda losses: sum(losses) / len(losses)
            ),
        ),
    ),
    Mistake(
        name="sum_over_images",
        explanation="Your gradient is that of the sum over all images. You need that of the mean.",
        hint="By how many images do you divide?",
        # reduction="sum" without the division
        buggy=plainly(lambda mean, n, N, count: mean * n),
    ),
    Mistake(
        name="divided_by_size",
        explanation="Each part's sum was divided by `size`, not by the number of all images.",
        hint="Over which images should the mean be taken?",
        buggy=lambda model, images, labels, size: parts(
            model, images, labels, size, lambda mean, n, N, count: mean * n / size
        ),
    ),
    Mistake(
        name="size_over_all",
        explanation=(
            "Each part's mean counts for size / N of the batch, even that of the last, smaller "
            "part: it counts for images that it does not have."
        ),
        hint="How many images does the last part have?",
        buggy=lambda model, images, labels, size: parts(
            model, images, labels, size, lambda mean, n, N, count: mean * size / N
        ),
    ),
    Mistake(
        name="one_backward",
        explanation=(
            "The numbers are right, but the losses of all parts were added up before backward() "
            "was called: the activations of all parts were held at the same time, and no memory "
            "was saved."
        ),
        hint="When is the memory of a part's activations freed?",
        buggy=one_backward,
        detect=waited,
    ),
    Mistake(
        name="whole_batch_at_once",
        explanation=lambda e: (
            f"All {len(e.inputs['labels'])} images went through the model at once. At most "
            f"{e.inputs['size']} fit."
        ),
        hint="What does images.split(size) return?",
        buggy=whole_batch,
    ),
    Mistake(
        name="last_part_dropped",
        explanation=lambda e: (
            "The last, smaller part was left out: "
            f"{len(e.inputs['labels']) % e.inputs['size']} of {len(e.inputs['labels'])} images "
            "never went through the model."
        ),
        hint="What does a division that drops the remainder do to the last images?",
        buggy=last_part_dropped,
    ),
    Mistake(
        name="no_gradient",
        explanation="No gradient was computed: .grad is empty, or as it was before.",
        hint="Which call computes gradients? Is it reached, and are gradients switched on?",
        buggy=without_backward,
        detect=nothing_computed,
    ),
    Mistake(
        name="wrong_loss",
        explanation="The gradient is right, but the loss you return is not the mean over all.",
        hint="Does the variable you return hold the last part's loss, or a sum of means?",
        buggy=plainly(RIGHT, returned=lambda losses: losses[-1]),
        detect=gradient_right,
    ),
)


check_accumulate = Check(
    name="check_accumulate",
    signature=(
        "fn(model, images (B, C, H, W), labels (B), size) -> mean loss over all B images, a float; "
        "its gradient is left in .grad, whatever was there before; at most `size` images at a "
        "time, each image once, and backward after each part"
    ),
    cases=accumulate_cases,
    reference=accumulate,
    mistakes=MISTAKES
    + general_mistakes(accumulate, without=("wrong_dtype", "wrong_device", "detached")),
    record=record_gradient,
    call=with_old_gradients,
)
