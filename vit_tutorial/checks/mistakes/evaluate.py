"""Known mistakes in measuring the accuracy of a model."""

import re

import torch
import torch.nn.functional as F

from ..check import Evidence, Mistake


def evaluate(model, images, labels, batch_size):
    """The share of the images whose label has the largest logit."""
    model.eval()
    return sum(right_in_batches(model, images, labels, batch_size)) / len(labels)


@torch.no_grad()
def right_in_batches(model, images, labels, batch_size):
    batches = zip(images.split(batch_size), labels.split(batch_size))
    return [(model(x).argmax(dim=1) == y).sum().item() for x, y in batches]


def evaluate_mistakes() -> tuple[Mistake, ...]:
    """For fn(model, images, labels, batch_size) -> accuracy."""
    return (
        Mistake(
            "left_in_training_mode",
            "The model was called in training mode: dropout and batch norm were at work as in training.",
            "Dropout and batch norm behave otherwise in training. Which call tells them that this is none?",
            "the line that is forgotten most often; the number is too low and changes from call to call",
            lambda model, images, labels, size: (
                sum(right_in_batches(model.train(), images, labels, size)) / len(labels)
            ),
            lambda e: noted(e, "the model's mode at its calls", "training"),
        ),
        Mistake(
            "gradient_left_on",
            "The accuracy is right, but gradients were recorded: memory grows with each batch for nothing.",
            "Will anybody call backward()? How does one tell PyTorch that nobody will?",
            "evaluation loops without torch.no_grad() or torch.inference_mode()",
            with_gradient,
            lambda e: noted(e, "gradients recorded", True) and accuracy_right(e),
        ),
        Mistake(
            "whole_set_at_once",
            lambda e: (
                f"All {count(e)} images went through the model at once. At most {size(e)} at a time are asked for."
            ),
            "What does batch_size say? What happens to memory with 10,000 images?",
            "first drafts",
            lambda model, images, labels, size: (
                sum(right_in_batches(model.eval(), images, labels, len(labels))) / len(labels)
            ),
            lambda e: (
                accuracy_right(e)
                and all(
                    seen.facts["values"]["more than batch_size images at a time"]
                    == (len(case.inputs["labels"]) > case.inputs["batch_size"])
                    for case, seen in zip(e.cases, e.seen)
                )
            ),
        ),
        Mistake(
            "mean_over_batches",
            lambda e: (
                f"Your number is the mean of the batches' accuracies. Here the last batch has {count(e) % size(e)} images and "
                f"counts as much as one with {size(e)}."
            ),
            "Should an image count more because its batch is small?",
            "the mean of a list of batch accuracies, in most tutorials",
            mean_over_batches,
        ),
        Mistake(
            "last_batch_dropped",
            lambda e: (
                f"The last, smaller batch was left out: {count(e) % size(e)} of {count(e)} images were not looked at."
            ),
            "What does drop_last do, or a division that throws the rest away?",
            "a loop over len(images) // batch_size, or a DataLoader with drop_last=True",
            last_dropped,
            also=(
                lambda model, images, labels, size: (
                    last_dropped(model, images, labels, size) * whole(labels, size) / len(labels)
                ),
            ),
        ),
        Mistake(
            "rest_not_counted_as_seen",
            "The images of the last, smaller batch were looked at, but you divided by the number in whole batches.",
            "By how many images do you divide?",
            "first drafts",
            lambda model, images, labels, size: (
                sum(right_in_batches(model.eval(), images, labels, size))
                / max(1, whole(labels, size))
            ),
            also=(
                lambda model, images, labels, size: (
                    sum(right_in_batches(model.eval(), images, labels, size)) / whole(labels, size)
                    if whole(labels, size)
                    else 0
                ),
            ),
        ),
        Mistake(
            "divided_by_full_batches",
            "You divided by the number of batches times batch_size: the last batch was counted as if it were full.",
            "By how many images do you divide?",
            "first drafts",
            lambda model, images, labels, size: (
                sum(right_in_batches(model.eval(), images, labels, size))
                / (-(-len(labels) // size) * size)
            ),
        ),
        Mistake(
            "divided_by_batches",
            "You divided the number of right answers by the number of batches.",
            "Can an accuracy be larger than 1? By how many images do you divide?",
            "first drafts",
            lambda model, images, labels, size: (
                sum(right_in_batches(model.eval(), images, labels, size)) / -(-len(labels) // size)
            ),
        ),
        Mistake(
            "percent",
            "Your number is a percentage. Asked for is a share from 0 to 1.",
            "Which unit does the caller expect?",
            "100 * right / total",
            lambda *inputs: 100 * evaluate(*inputs),
        ),
        Mistake(
            "count_returned",
            "Your number is how many are right. Asked for is their share.",
            "Of how many?",
            "first drafts",
            lambda model, images, labels, size: sum(
                right_in_batches(model.eval(), images, labels, size)
            ),
        ),
        Mistake(
            "error_rate",
            "Your number is the share of wrong answers: 1 minus the accuracy.",
            "Does your comparison ask what is equal, or what is not?",
            "!= in the place of ==",
            lambda *inputs: 1 - evaluate(*inputs),
        ),
        Mistake(
            "first_batch_only",
            "Only the first batch was looked at.",
            "In which iteration does your function return?",
            "a return inside the loop",
            lambda model, images, labels, size: evaluate(model, images[:size], labels[:size], size),
        ),
        Mistake(
            "returned_in_the_loop",
            "Your number is the right answers of the first batch, divided by all images: the function returned too early.",
            "In which iteration does your function return? How far is that line indented?",
            "a return that slipped into the loop",
            lambda model, images, labels, size: (
                right_in_batches(model.eval(), images[:size], labels[:size], size)[0] / len(labels)
            ),
        ),
        Mistake(
            "shares_times_batch_size",
            "Each batch's share was multiplied by batch_size: the last, smaller batch counts for more images than it has.",
            "How many images has each batch?",
            "the mean over batches, half mended",
            lambda model, images, labels, size: (
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
            "last_batch_only",
            "Your number is the accuracy of the last batch.",
            "Which of your variables is set anew in each batch?",
            "right = ... in the place of right += ...",
            lambda model, images, labels, size: (
                right_in_batches(model.eval(), images, labels, size)[-1]
                / len(labels.split(size)[-1])
            ),
        ),
        Mistake(
            "argmax_over_images",
            "The largest logit was looked for among the images of the batch, and not among the classes.",
            "Along which axis of the logits (images, classes) do the classes lie?",
            "argmax(0)",
            over_images,
            compared_with_classes,
            (over_images_cut,),
        ),
        Mistake(
            "loss_returned",
            "Your number is the cross-entropy. Asked for is the accuracy.",
            "Which of the two does a person understand, and which does training follow?",
            "training loops",
            loss,
            also=(loss_by_batch,),
        ),
    )


def noted(e: Evidence, what: str, value) -> bool:
    """The model noted it in every case where somebody could have done otherwise."""
    found = [
        seen.facts.get("values", {}).get(what)
        for case, seen in zip(e.cases, e.seen)
        if about_mode(case, what)
    ]
    return bool(found) and all(
        value in note if isinstance(note, list) else note == value for note in found
    )


def about_mode(case, what: str) -> bool:
    return what != "the model's mode at its calls" or case.inputs["model"].settings["training"]


def accuracy_right(e: Evidence) -> bool:
    return all(
        seen.error is None
        and "accuracy" in seen.tensors
        and torch.allclose(seen.tensors["accuracy"], wanted.tensors["accuracy"], atol=1e-6)
        for seen, wanted in zip(e.seen, e.wanted)
    )


def count(e: Evidence) -> int:
    return len(e.cases[e.first_wrong()].inputs["labels"])


def size(e: Evidence) -> int:
    return e.cases[e.first_wrong()].inputs["batch_size"]


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


def whole(labels, batch_size) -> int:
    """How many images whole batches hold."""
    return len(labels) // batch_size * batch_size


@torch.no_grad()
def over_images(model, images, labels, batch_size):
    model.eval()
    batches = zip(images.split(batch_size), labels.split(batch_size))
    return sum((model(x).argmax(dim=0) == y).sum().item() for x, y in batches) / len(labels)


@torch.no_grad()
def over_images_cut(model, images, labels, batch_size):
    """Made to fit: as many as there are of both."""
    model.eval()
    right = 0
    for x, y in zip(images.split(batch_size), labels.split(batch_size)):
        found = model(x).argmax(dim=0)
        right += (found[: len(y)] == y[: len(found)]).sum().item()
    return right / len(labels)


def compared_with_classes(e: Evidence) -> bool:
    """As many answers as there are classes met as many labels as there are images: the error names the number of classes."""
    found = [
        (match[1], case.inputs["model"].settings["classes"])
        for case, seen in zip(e.cases, e.seen)
        if (match := re.search(r"size of tensor a \((\d+)\) must match", seen.error or ""))
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
