"""check_warmup_cosine and check_evaluate: every mistake named, every style accepted."""

import copy
import itertools
import math

import numpy as np
import pytest
import torch
from checks_common import is_accepted, is_named, mistake_id, mistakes, rejects_both, verdict
from torch.utils.data import DataLoader, TensorDataset

from vit_tutorial.checks.exercises.evaluate import evaluate, right_in_batches
from vit_tutorial.checks.exercises.warmup_cosine import curve
from vit_tutorial.checks.unlisted import NAMES

ALL = [*mistakes("check_warmup_cosine"), *mistakes("check_evaluate")]


@pytest.mark.parametrize(("name", "mistake"), ALL, ids=mistake_id)
def test_each_mistake_is_rejected_and_named(name, mistake):
    is_named(name, mistake)


def with_if(step, total_steps, warmup_steps, peak):
    if step < warmup_steps:
        return peak * step / warmup_steps
    return (
        peak * 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / (total_steps - warmup_steps)))
    )


def with_numpy(step, total, warmup, peak, floor=0.0):
    if step < warmup:
        return np.float64(peak * step / warmup)
    return floor + peak * np.cos(np.pi / 2 * (step - warmup) / (total - warmup)) ** 2


def with_torch(step, total, warmup, peak):
    return torch.tensor(with_if(step, total, warmup, peak), dtype=torch.float64)


def in_single_precision(step, total, warmup, peak):
    return np.float32(with_if(step, total, warmup, peak))


def as_a_product(step, total, warmup, peak):
    rise = min(step / warmup, 1) if warmup else 1
    return peak * rise * (0.5 + 0.5 * math.cos(math.pi * max(step - warmup, 0) / (total - warmup)))


def with_interpolation(step, total, warmup, peak):
    done = np.interp(step, [warmup, total], [0, 1])
    return peak * step / warmup if step < warmup else float(peak * (1 + np.cos(np.pi * done)) / 2)


def with_slices(model, images, labels, batch_size):
    model.eval()
    right = 0
    with torch.no_grad():
        for start in range(0, len(images), batch_size):
            end = start + batch_size
            right += (model(images[start:end]).argmax(1) == labels[start:end]).sum().item()
    return right / len(images)


@torch.inference_mode()
def answers_first(model, images, labels, batch_size):
    model.eval()
    return (
        torch.cat([model(part) for part in images.split(batch_size)])
        .argmax(-1)
        .eq(labels)
        .float()
        .mean()
    )


def with_a_data_loader(model, images, labels, batch_size):
    was_training, right = model.training, 0
    model.eval()
    with torch.no_grad():
        for part, answers in DataLoader(TensorDataset(images, labels), batch_size=batch_size):
            right += int((model(part).max(1).indices == answers).sum())
    model.train(was_training)
    return right / len(labels)


def through_numpy(model, images, labels, batch_size):
    model.train(False)
    with torch.no_grad():
        found = [
            answer
            for part in images.split(batch_size)
            for answer in model(part).softmax(-1).argmax(-1).tolist()
        ]
    return np.mean(np.array(found) == labels.numpy())


def weighted_means(model, images, labels, batch_size, device="cpu"):
    model.eval()
    total = 0.0
    with torch.no_grad():
        for part, answers in zip(images.split(batch_size), labels.split(batch_size)):
            total += (model(part).argmax(1) == answers).double().mean() * len(answers)
    return total / len(images)


def one_by_one(model, images, labels, batch_size):
    return evaluate(model, images, labels, 1)  # never more than batch_size at a time


def on_a_copy(model, images, labels, batch_size):
    return evaluate(copy.deepcopy(model), images, labels, batch_size)


STYLES = {
    "check_warmup_cosine": [
        with_if,
        with_numpy,
        with_torch,
        in_single_precision,
        as_a_product,
        with_interpolation,
    ],
    "check_evaluate": [
        with_slices,
        answers_first,
        with_a_data_loader,
        through_numpy,
        weighted_means,
        one_by_one,
        on_a_copy,
    ],
}


@pytest.mark.parametrize(
    ("name", "fn"),
    [(n, f) for n, fs in STYLES.items() for f in fs],
    ids=lambda v: getattr(v, "__name__", v),
)
def test_each_style_is_accepted(name, fn):
    is_accepted(name, fn)


RISES = {
    "warmup_one_step_early": lambda s, w, p: p * (s + 1) / w,
    "no_warmup": lambda s, w, p: p,
    "whole_numbers": lambda s, w, p: p * (s // w),
}
FALLS = {
    "whole_period": lambda done, p: p * 0.5 * (1 + math.cos(2 * math.pi * done)),
    "linear_decay": lambda done, p: p * (1 - done),
    "constant_after_warmup": lambda done, p: p,
    "rises_at_the_end": lambda done, p: p * 0.5 * (1 - math.cos(math.pi * done)),
}


@pytest.mark.parametrize(("one", "two"), list(itertools.product(RISES, FALLS)))
def test_two_mistakes_in_the_schedule(one, two):
    rejects_both(
        "check_warmup_cosine", lambda s, t, w, p: curve(s, t, w, p, RISES[one], FALLS[two])
    )


COUNTS = {
    "divided_by_batches": lambda right, labels, size: sum(right) / len(right),
    "percent": lambda right, labels, size: 100 * sum(right) / len(labels),
    "last_batch_dropped": lambda right, labels, size: (
        sum(right[: len(labels) // size]) / max(1, len(labels) // size * size)
    ),
}


@pytest.mark.parametrize("two", COUNTS)
def test_two_mistakes_in_evaluation(two):
    def both(model, images, labels, size):
        return COUNTS[two](right_in_batches(model.train(), images, labels, size), labels, size)

    rejects_both("check_evaluate", both, "left_in_training_mode")


@pytest.mark.parametrize(
    ("name", "fn", "difference"),
    [
        ("check_warmup_cosine", lambda *a: 0.7 * curve(*a), "times 0.7"),
        ("check_warmup_cosine", lambda *a: curve(*a) + 1.0, "plus 1"),
        ("check_evaluate", lambda *a: evaluate(*a) ** 2, "It is "),
    ],
)
def test_an_unknown_mistake_is_reported_by_its_difference(name, fn, difference):
    found = verdict(name, fn)
    assert not found.passed and found.mistake in (None, *NAMES), found.message
    assert difference in " ".join(found.message.split())


def test_a_number_is_asked_for_as_a_number():
    assert (
        "accuracy must be a number"
        in verdict("check_evaluate", lambda *a: print(evaluate(*a))).message
    )
    assert (
        "learning rate must be a number" in verdict("check_warmup_cosine", lambda *a: "0.1").message
    )


@pytest.mark.parametrize("cut", [lambda y, i, n: y, lambda y, i, n: y[i : i + n - 1]])
def test_labels_that_are_cut_wrongly_are_not_called_a_wrong_argmax(cut):
    @torch.no_grad()
    def wrong(model, images, labels, size):
        model.eval()
        starts = range(0, len(images), size)
        return sum(
            (model(images[i : i + size]).argmax(1) == cut(labels, i, size)).sum() for i in starts
        ) / len(labels)

    found = verdict("check_evaluate", wrong)
    assert found.mistake == "sizes_do_not_fit" and "must match the size" in found.message


def test_mistakes_show_their_numbers():
    message = verdict("check_evaluate", lambda *a: 100 * evaluate(*a)).message
    assert "percentage" in message and "It is " in message and "expected 0." in message
