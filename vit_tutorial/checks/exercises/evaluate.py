"""check_evaluate: the accuracy of a model on images, batch by batch."""

import re

import torch
import torch.nn.functional as F

from ..engine.case import Case, ModuleRecipe, choice, numbers
from ..engine.check import Check
from ..engine.mistake import Evidence, Mistake
from ..engine.modules import build_module
from ..engine.observe import as_number, type_name
from .general import general_mistakes


def evaluate(model, images, labels, batch_size):
    """The share of the images whose label has the largest logit."""
    model.eval()
    return sum(right_in_batches(model, images, labels, batch_size)) / len(labels)


@torch.no_grad()
def right_in_batches(model, images, labels, batch_size):
    batches = zip(images.split(batch_size), labels.split(batch_size))
    return [(model(x).argmax(dim=1) == y).sum().item() for x, y in batches]


def record_accuracy(value, inputs) -> tuple[dict, dict]:
    """The accuracy, and what the model logged: mode, gradients, batches that were too large."""
    calls = inputs["model"].calls
    number = as_number(value)
    logged = {
        "the model's mode at its calls": sorted(
            {"training" if call["training"] else "evaluation" for call in calls}
        ),
        "gradients recorded": any(call["grad"] for call in calls),
        "more than batch_size images at a time": any(
            call["images"] > inputs["batch_size"] for call in calls
        ),
    }
    tensors = {} if number is None else {"accuracy": number}
    return tensors, {"values": logged, "types": {"accuracy": type_name(value)}, "form": "a number"}


def evaluate_cases(generator: torch.Generator) -> list[Case]:
    """The last batch is smaller and worse, so the mean over batches is not the accuracy.

    The model has dropout and batch norm, so its mode counts.
    """

    def case(about, count, batch_size, classes=4, training=True, dtype=torch.float32):
        features = 2 * 3 * 3
        settings = {"features": features, "classes": classes}
        built = build_module("Probe", settings).eval()
        state = {}
        for name, value in built.state_dict().items():
            if not value.is_floating_point():
                state[name] = value
                continue
            drawn = numbers(generator, *value.shape, dtype=torch.float64)
            state[name] = (drawn.abs() + 0.5 if name.endswith("var") else drawn).to(dtype)
        images = numbers(generator, count, 2, 3, 3, dtype=dtype)
        built = built.to(dtype)
        built.load_state_dict(state)
        with torch.no_grad():
            labels = built(images).argmax(dim=1)
        # A quarter of the labels wrong, and all of the last, smaller batch but one.
        wrong = torch.rand(count, generator=generator) < 0.25
        wrong[count - count % batch_size :] = True if count % batch_size else False
        wrong[0], wrong[-1] = (
            False,
            count % batch_size != 1 and count > 1 and not (count % batch_size),
        )
        labels = torch.where(wrong, (labels + 1) % classes, labels)
        return Case(
            about,
            {
                "model": ModuleRecipe("Probe", settings | {"training": training}, state),
                "images": images,
                "labels": labels,
                "batch_size": batch_size,
            },
        )

    size = choice(generator, 5, 6, 7)
    return [
        case("the last batch is smaller", 4 * size + 3, size),
        case("all batches alike", 3 * size, size),
        case("fewer images than a batch", size - 1, 2 * size),
        case("one image at a time", 6, 1),
        case("in evaluation mode already", 2 * size + 2, size, training=False),
        case("as many images as classes", 6, 4, classes=6),
        case("float64", 2 * size + 1, size, dtype=torch.float64),
    ]


def used_training_mode(e: Evidence) -> bool:
    """In some case whose model arrives in training mode, it was also called in training mode."""
    modes = [
        actual.facts.get("values", {}).get("the model's mode at its calls") or []
        for case, actual in zip(e.cases, e.actual)
        if case.inputs["model"].settings["training"]
    ]
    return any("training" in mode for mode in modes)


def recorded_gradients(e: Evidence) -> bool:
    return all(actual.facts.get("values", {}).get("gradients recorded") for actual in e.actual)


def accuracy_right(e: Evidence) -> bool:
    return all(
        actual.error is None
        and "accuracy" in actual.tensors
        and torch.allclose(actual.tensors["accuracy"], expected.tensors["accuracy"], atol=1e-6)
        for actual, expected in zip(e.actual, e.expected)
    )


def count(e: Evidence) -> int:
    return len(e.inputs["labels"])


def size(e: Evidence) -> int:
    return e.inputs["batch_size"]


def with_gradient(model, images, labels, batch_size):
    model.eval()
    batches = zip(images.split(batch_size), labels.split(batch_size))
    return sum((model(x).argmax(dim=1) == y).sum().item() for x, y in batches) / len(labels)


def mean_over_batches(model, images, labels, batch_size):
    right = right_in_batches(model.eval(), images, labels, batch_size)
    shares = [r / len(y) for r, y in zip(right, labels.split(batch_size))]
    return sum(shares) / len(shares)


def last_dropped(model, images, labels, batch_size):
    kept = whole(labels, batch_size)
    return evaluate(model, images[:kept], labels[:kept], batch_size) if kept else 0.0


def share_of(right, count) -> float:
    return right / count if count else 0.0


def whole(labels, batch_size) -> int:
    """The number of images in whole batches."""
    return len(labels) // batch_size * batch_size


@torch.no_grad()
def over_images(model, images, labels, batch_size):
    model.eval()
    batches = zip(images.split(batch_size), labels.split(batch_size))
    return sum((model(x).argmax(dim=0) == y).sum().item() for x, y in batches) / len(labels)


@torch.no_grad()
def over_images_cut(model, images, labels, batch_size):
    """The same, with both cut to the shorter length."""
    model.eval()
    right = 0
    for x, y in zip(images.split(batch_size), labels.split(batch_size)):
        found = model(x).argmax(dim=0)
        right += (found[: len(y)] == y[: len(found)]).sum().item()
    return right / len(labels)


def compared_with_classes(e: Evidence) -> bool:
    """Answers, one for each class, met labels, one for each image: the error names both numbers."""
    found = [
        (match[1], case.inputs["model"].settings["classes"])
        for case, actual in zip(e.cases, e.actual)
        if (match := re.search(r"size of tensor a \((\d+)\) must match", actual.error or ""))
    ]
    return bool(found) and all(int(answers) == classes for answers, classes in found)


@torch.no_grad()
def loss(model, images, labels, batch_size):
    model.eval()
    batches = zip(images.split(batch_size), labels.split(batch_size))
    return sum(F.cross_entropy(model(x), y, reduction="sum").item() for x, y in batches) / len(
        labels
    )


@torch.no_grad()
def loss_by_batch(model, images, labels, batch_size):
    model.eval()
    losses = [
        F.cross_entropy(model(x), y).item()
        for x, y in zip(images.split(batch_size), labels.split(batch_size))
    ]
    return sum(losses) / len(losses)


def in_batches(model, images, labels, size, compared):
    """The share, where compared(logits, start, end, labels) says what is right in one batch."""
    model.eval()
    right = 0
    with torch.no_grad():
        for start in range(0, len(images), size):
            x = images[start : start + size]
            right += compared(model(x), start, start + len(x), labels).sum().item()
    return right / len(labels)


def comparing(compared):
    return lambda model, images, labels, size: in_batches(model, images, labels, size, compared)


@torch.no_grad()
def with_steps_of_one(model, images, labels, size):
    model.eval()
    starts = range(len(images) - size + 1) if len(images) >= size else range(0)
    right = sum(
        (model(images[i : i + size]).argmax(1) == labels[i : i + size]).sum().item() for i in starts
    )
    return right / len(labels)


@torch.no_grad()
def trained_after_the_first(model, images, labels, size):
    right = 0
    model.eval()
    for x, y in zip(images.split(size), labels.split(size)):
        right += (model(x).argmax(1) == y).sum().item()
        model.train()
    return right / len(labels)


MISTAKES = (
    Mistake(
        name="left_in_training_mode",
        explanation=(
            "The model was called in training mode: dropout and batch norm behaved as in training."
        ),
        hint=(
            "Dropout and batch norm behave differently in training. Which call tells them that "
            "this is not training?"
        ),
        # Of all these lines, model.eval() is forgotten most often.
        buggy=lambda model, images, labels, size: (
            sum(right_in_batches(model.train(), images, labels, size)) / len(labels)
        ),
        # model.train() too early, too: the first batch alone is in evaluation mode
        detect=used_training_mode,
        variants=(trained_after_the_first,),
    ),
    Mistake(
        name="gradient_left_on",
        explanation=(
            "The accuracy is right, but gradients were recorded: each batch uses memory for "
            "nothing."
        ),
        hint="Will anybody call backward()? How do you tell PyTorch that nobody will?",
        # evaluation loops without torch.no_grad() or torch.inference_mode()
        buggy=with_gradient,
        detect=lambda e: recorded_gradients(e) and accuracy_right(e),
    ),
    Mistake(
        name="whole_set_at_once",
        explanation=lambda e: (
            f"All {count(e)} images went through the model at once. "
            f"At most {size(e)} at a time are allowed."
        ),
        hint="What does batch_size say? What happens to memory with 10,000 images?",
        buggy=lambda model, images, labels, size: (
            sum(right_in_batches(model.eval(), images, labels, len(labels))) / len(labels)
        ),
        detect=lambda e: (
            accuracy_right(e)
            and all(
                actual.facts["values"]["more than batch_size images at a time"]
                == (len(case.inputs["labels"]) > case.inputs["batch_size"])
                for case, actual in zip(e.cases, e.actual)
            )
        ),
    ),
    Mistake(
        name="mean_over_batches",
        explanation=lambda e: (
            "Your number is the mean of the batches' accuracies. Here the last batch has "
            f"{count(e) % size(e)} images and counts as much as one with {size(e)}."
        ),
        hint="Should an image count more because its batch is small?",
        # the mean of a list of batch accuracies, in most tutorials
        buggy=mean_over_batches,
    ),
    Mistake(
        name="last_batch_dropped",
        explanation=lambda e: (
            f"The last, smaller batch was left out: {count(e) % size(e)} of {count(e)} images were "
            "never classified."
        ),
        hint="What does drop_last do, or a division that drops the remainder?",
        # a loop over len(images) // batch_size, or a DataLoader with drop_last=True
        buggy=last_dropped,
        variants=(
            lambda model, images, labels, size: (
                last_dropped(model, images, labels, size) * whole(labels, size) / len(labels)
            ),
        ),
    ),
    Mistake(
        name="rest_not_counted_as_seen",
        explanation=(
            "The images of the last, smaller batch were counted among the right answers, but you "
            "divided by the number in full batches."
        ),
        hint="By how many images do you divide?",
        buggy=lambda model, images, labels, size: (
            sum(right_in_batches(model.eval(), images, labels, size)) / max(1, whole(labels, size))
        ),
        variants=(
            lambda model, images, labels, size: share_of(
                sum(right_in_batches(model.eval(), images, labels, size)), whole(labels, size)
            ),
        ),
    ),
    Mistake(
        name="divided_by_full_batches",
        explanation=(
            "You divided by the number of batches times batch_size: the last batch was counted "
            "as if it were full."
        ),
        hint="By how many images do you divide?",
        buggy=lambda model, images, labels, size: (
            sum(right_in_batches(model.eval(), images, labels, size))
            / (-(-len(labels) // size) * size)
        ),
    ),
    Mistake(
        name="divided_by_batches",
        explanation="You divided the number of right answers by the number of batches.",
        hint="Can an accuracy be larger than 1? By how many images do you divide?",
        buggy=lambda model, images, labels, size: (
            sum(right_in_batches(model.eval(), images, labels, size)) / -(-len(labels) // size)
        ),
    ),
    Mistake(
        name="percent",
        explanation="Your number is a percentage. The exercise asks for a share from 0 to 1.",
        hint="Which unit does the caller expect?",
        # 100 * right / total
        buggy=lambda *inputs: 100 * evaluate(*inputs),
    ),
    Mistake(
        name="count_returned",
        explanation="Your number is the count of right answers. The exercise asks for their share.",
        hint="Of how many?",
        buggy=lambda model, images, labels, size: sum(
            right_in_batches(model.eval(), images, labels, size)
        ),
    ),
    Mistake(
        name="error_rate",
        explanation="Your number is the share of wrong answers: 1 minus the accuracy.",
        hint="Does your comparison ask what is equal, or what is not?",
        # != in the place of ==
        buggy=lambda *inputs: 1 - evaluate(*inputs),
    ),
    Mistake(
        name="first_batch_only",
        explanation="Only the first batch was used.",
        hint="In which iteration does your function return?",
        # a return inside the loop
        buggy=lambda model, images, labels, size: evaluate(
            model, images[:size], labels[:size], size
        ),
    ),
    Mistake(
        name="returned_in_the_loop",
        explanation=(
            "Your number is the count of right answers in the first batch, divided by the number "
            "of all images: the function returned too early."
        ),
        hint="In which iteration does your function return? How far is that line indented?",
        # a return that slipped into the loop
        buggy=lambda model, images, labels, size: (
            right_in_batches(model.eval(), images[:size], labels[:size], size)[0] / len(labels)
        ),
    ),
    Mistake(
        name="shares_times_batch_size",
        explanation=(
            "Each batch's share was multiplied by batch_size: the last, smaller batch counts "
            "for more images than it has."
        ),
        hint="How many images are in each batch?",
        # the mean over batches, half corrected
        buggy=lambda model, images, labels, size: (
            sum(
                r / len(y) * size
                for r, y in zip(
                    right_in_batches(model.eval(), images, labels, size), labels.split(size)
                )
            )
            / len(labels)
        ),
    ),
    Mistake(
        name="last_batch_only",
        explanation="Your number is the accuracy of the last batch.",
        hint="Which of your variables is overwritten in each batch?",
        # right = ... in the place of right += ...
        buggy=lambda model, images, labels, size: (
            right_in_batches(model.eval(), images, labels, size)[-1] / len(labels.split(size)[-1])
        ),
    ),
    Mistake(
        name="argmax_over_images",
        explanation=(
            "The largest logit was taken over the images of the batch instead of over the classes."
        ),
        hint="Along which axis of the logits (images, classes) do the classes lie?",
        # argmax(0)
        buggy=over_images,
        detect=compared_with_classes,
        variants=(over_images_cut,),
    ),
    Mistake(
        name="loss_returned",
        explanation="Your number is the cross-entropy. The exercise asks for the accuracy.",
        hint="Which of the two do people report, and which does training minimise?",
        # code taken from the training loop
        buggy=loss,
        variants=(loss_by_batch,),
    ),
    Mistake(
        name="count_starts_again",
        explanation=(
            "Your number is the count of right answers in the last batch, divided by the number of "
            "all images: the count starts from 0 in each batch."
        ),
        hint="Which line sets the count to 0, and how often does it run?",
        buggy=lambda model, images, labels, size: (
            right_in_batches(model.eval(), images, labels, size)[-1] / len(labels)
        ),
    ),
    Mistake(
        name="labels_of_the_first_batch",
        explanation="The images of each batch were compared with the labels of the first batch.",
        hint="Which labels belong to batch 2? Are the labels cut in the same way as the images?",
        buggy=comparing(lambda logits, a, b, labels: logits.argmax(1) == labels[: b - a]),
    ),
    Mistake(
        name="labels_of_the_last_images",
        explanation="The images of each batch were compared with the last labels of all.",
        hint="Which labels belong to batch 1?",
        buggy=comparing(lambda logits, a, b, labels: logits.argmax(1) == labels[-(b - a) :]),
    ),
    Mistake(
        name="smallest_logit",
        explanation="Your function takes the class with the smallest logit.",
        hint="What does a large logit say about a class?",
        buggy=comparing(lambda logits, a, b, labels: logits.argmin(1) == labels[a:b]),
    ),
    Mistake(
        name="logits_compared_with_labels",
        explanation=(
            "A logit was compared with a label. The label is the number of a class: compare it "
            "with the place of the largest logit."
        ),
        hint="What is the difference between max and argmax?",
        buggy=comparing(lambda logits, a, b, labels: logits.amax(1) == labels[a:b]),
        variants=(
            comparing(lambda logits, a, b, labels: logits.round().amax(1) == labels[a:b]),
            comparing(lambda logits, a, b, labels: logits.amax(1).long() == labels[a:b]),
        ),
    ),
    Mistake(
        name="every_batch_counted_again",
        explanation=(
            "Your windows overlap: each one starts one image after the last, so most images are "
            "counted many times."
        ),
        hint="By how many images should your loop step?",
        buggy=with_steps_of_one,
    ),
    Mistake(
        name="divided_by_batch_size",
        explanation="You divided the number of right answers by the size of one batch.",
        hint="By how many images do you divide?",
        buggy=lambda model, images, labels, size: (
            sum(right_in_batches(model.eval(), images, labels, size)) / size
        ),
    ),
    Mistake(
        name="shares_added_up",
        explanation="Your number is the sum of the batches' shares: it is not divided by anything.",
        hint="Can an accuracy be larger than 1?",
        buggy=lambda model, images, labels, size: sum(
            r / len(y)
            for r, y in zip(
                right_in_batches(model.eval(), images, labels, size), labels.split(size)
            )
        ),
    ),
    Mistake(
        name="first_image_of_each_batch",
        explanation="Only the first image of each batch was classified or counted.",
        hint="Which index of yours picks one image where all are meant?",
        buggy=comparing(lambda logits, a, b, labels: logits[:1].argmax(1) == labels[a : a + 1]),
    ),
    Mistake(
        name="one_right_answer_a_batch",
        explanation="Each batch counts as right or wrong as a whole.",
        hint="What do .all() and .any() make of many comparisons? How do you count them?",
        buggy=comparing(lambda logits, a, b, labels: (logits.argmax(1) == labels[a:b]).all()),
        variants=(
            comparing(lambda logits, a, b, labels: (logits.argmax(1) == labels[a:b]).any()),
            lambda model, images, labels, size: (
                sum(
                    r == len(y)
                    for r, y in zip(
                        right_in_batches(model.eval(), images, labels, size), labels.split(size)
                    )
                )
                / len(labels.split(size))
            ),
        ),
    ),
)


check_evaluate = Check(
    name="check_evaluate",
    signature=(
        "fn(model, images (n, C, H, W), labels (n), batch_size) -> accuracy from 0 to 1 over all "
        "n images: evaluation mode, no gradients, at most batch_size images at a time; the mode "
        "that the model is left in does not matter"
    ),
    cases=evaluate_cases,
    reference=evaluate,
    mistakes=MISTAKES
    + general_mistakes(
        evaluate, without=("wrong_dtype", "wrong_device", "detached", "changed_input")
    ),
    record=record_accuracy,
)
