"""Checks of training: the learning rate over a run, and the accuracy of a model."""

import torch

from ..training import learning_rate
from .case import Case, Module, some
from .check import Check
from .mistakes.evaluate import evaluate, evaluate_mistakes
from .mistakes.general import general_mistakes
from .mistakes.schedule import warmup_cosine_mistakes
from .modules import build_module
from .observe import PLAIN, type_name

NUMBERS = (float, int)


def warmup_cosine(step, total_steps, warmup_steps, peak):
    """0 at step 0, `peak` at step `warmup_steps`, 0 again at `total_steps`."""
    return learning_rate(step, total_steps, warmup_steps, peak)


def as_number(value) -> torch.Tensor | None:
    """A Python or NumPy number or a tensor with one value, as float64; None for anything else."""
    if type(value) in PLAIN and value.numel() == 1:
        return value.detach().double().reshape(())
    if type(value) in NUMBERS or (
        type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0
    ):
        return torch.tensor(float(value), dtype=torch.float64)
    return None


def every_step(fn, inputs):
    """Call fn for every step of the run: a schedule is a curve."""
    return [
        fn(step, inputs["total_steps"], inputs["warmup_steps"], inputs["peak"])
        for step in range(inputs["total_steps"] + 1)
    ]


def read_curve(values, inputs) -> tuple[dict, dict]:
    numbers = [as_number(value) for value in values]
    if any(number is None for number in numbers):
        bad = next(value for value, number in zip(values, numbers) if number is None)
        return {}, {"types": {"learning rate": type_name(bad)}, "form": "a number"}
    return {"learning rate": torch.stack(numbers)}, {
        "types": {"learning rate": "float"},
        "form": "a number",
    }


def schedule_cases(generator: torch.Generator) -> list[Case]:
    def case(about, total, warmup):
        peak = 10 ** (-2 - 2 * torch.rand((), generator=generator, dtype=torch.float64).item())
        return Case(about, {"total_steps": total, "warmup_steps": warmup, "peak": peak})

    total = some(generator, 20, 30, 40)
    return [
        case("", total, total // 5),
        case("no warm-up", total, 0),
        case("a warm-up of one step", 13, 1),
        case("warm-up over more than half of the run", 25, 16),
        case("odd numbers", 17, 5),
    ]


def warmup_cosine_check() -> Check:
    return Check(
        "check_warmup_cosine",
        "fn(step, total_steps, warmup_steps, peak) -> learning rate: 0 at step 0, in a line to peak at step warmup_steps, then "
        "along half a cosine to 0 at step total_steps; without a warm-up the peak stands at step 0",
        schedule_cases,
        warmup_cosine,
        warmup_cosine_mistakes()
        + general_mistakes(
            warmup_cosine, without=("changed_input", "wrong_dtype", "wrong_device", "detached")
        ),
        read_curve,
        every_step,
    )


def read_accuracy(value, inputs) -> tuple[dict, dict]:
    """The accuracy, and what the model noted: its mode, gradients, and whether too many images came at a time."""
    calls = inputs["model"].calls
    number = as_number(value)
    noted = {
        "the model's mode at its calls": sorted(
            {"training" if call["training"] else "evaluation" for call in calls}
        ),
        "gradients recorded": any(call["grad"] for call in calls),
        "more than batch_size images at a time": any(
            call["images"] > inputs["batch_size"] for call in calls
        ),
    }
    tensors = {} if number is None else {"accuracy": number}
    return tensors, {"values": noted, "types": {"accuracy": type_name(value)}, "form": "a number"}


def evaluate_cases(generator: torch.Generator) -> list[Case]:
    """A last batch that is smaller and worse: the mean over batches is not the accuracy. Dropout and batch norm in the model."""

    def case(about, count, batch_size, classes=4, training=True, dtype=torch.float32):
        features = 2 * 3 * 3
        settings = {"features": features, "classes": classes}
        built = build_module("Probe", settings).eval()
        state = {}
        for name, value in built.state_dict().items():
            if not value.is_floating_point():
                state[name] = value
                continue
            numbers = torch.randn(value.shape, generator=generator, dtype=torch.float64)
            state[name] = (numbers.abs() + 0.5 if name.endswith("var") else numbers).to(dtype)
        images = torch.randn(count, 2, 3, 3, generator=generator, dtype=torch.float64).to(dtype)
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
                "model": Module("Probe", settings | {"training": training}, state),
                "images": images,
                "labels": labels,
                "batch_size": batch_size,
            },
        )

    size = some(generator, 5, 6, 7)
    return [
        case("the last batch is smaller", 4 * size + 3, size),
        case("all batches alike", 3 * size, size),
        case("fewer images than a batch", size - 1, 2 * size),
        case("one image at a time", 6, 1),
        case("in evaluation mode already", 2 * size + 2, size, training=False),
        case("as many images as classes", 6, 4, classes=6),
        case("float64", 2 * size + 1, size, dtype=torch.float64),
    ]


def evaluate_check() -> Check:
    return Check(
        "check_evaluate",
        "fn(model, images (n, C, H, W), labels (n), batch_size) -> accuracy from 0 to 1 over all n images: evaluation mode, no "
        "gradients, at most batch_size images at a time; the mode that the model is left in does not matter",
        evaluate_cases,
        evaluate,
        evaluate_mistakes()
        + general_mistakes(
            evaluate, without=("wrong_dtype", "wrong_device", "detached", "changed_input")
        ),
        read_accuracy,
    )
