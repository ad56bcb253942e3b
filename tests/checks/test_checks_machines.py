"""check_accumulate and check_checkpoint: every mistake named, every style accepted."""

import copy
import dataclasses
import io

import pytest
import torch
import torch.nn.functional as F
from checks_common import is_accepted, is_named, mistake_id, mistakes, rejects_both, verdict

from vit_tutorial import checks
from vit_tutorial.checks.exercises.accumulate import accumulate, one_backward, parts
from vit_tutorial.checks.exercises.checkpoint import checkpoint, entries_of

ALL = [*mistakes("check_accumulate"), *mistakes("check_checkpoint")]


@pytest.mark.parametrize(("name", "mistake"), ALL, ids=mistake_id)
def test_each_mistake_is_rejected_and_named(name, mistake):
    is_named(name, mistake)


def sums_of_losses(model, images, labels, size):
    model.zero_grad(set_to_none=False)
    total = 0
    for start in range(0, len(images), size):
        x, y = images[start : start + size], labels[start : start + size]
        loss = F.cross_entropy(model(x), y, reduction="sum") / len(images)
        loss.backward()
        total += loss.detach()
    return total


def divided_at_the_end(model, images, labels, size):
    for parameter in model.parameters():
        parameter.grad = None
    seen = 0.0
    for x, y in zip(torch.split(images, size), torch.split(labels, size)):
        loss = F.cross_entropy(model(x), y, reduction="sum")
        loss.backward()
        seen += loss.item()
    for parameter in model.parameters():
        parameter.grad /= len(labels)
    return seen / len(labels)


def smaller_parts(model, images, labels, size):
    return accumulate(model, images, labels, max(1, size // 2))  # at most `size` at a time


def through_a_file(model, optimizer, generator):
    file = io.BytesIO()
    states = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(states | {"generator": generator.get_state(), "step": 7}, file)
    file.seek(0)
    return torch.load(file)


def cloned(model, optimizer, generator):
    return {
        "model": {name: value.clone() for name, value in model.state_dict().items()},
        "optimizer": copy.deepcopy(optimizer.state_dict()),
        "generator": generator.get_state(),
    }


@pytest.mark.parametrize(
    ("name", "fn"),
    [
        ("check_accumulate", sums_of_losses),
        ("check_accumulate", divided_at_the_end),
        ("check_accumulate", smaller_parts),
        ("check_checkpoint", through_a_file),
        ("check_checkpoint", cloned),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_each_style_is_accepted(name, fn):
    is_accepted(name, fn)


def test_two_mistakes():
    both = lambda *inputs: parts(
        *inputs, lambda mean, n, N, count: mean * n, zero=False, returned=lambda losses: losses[-1]
    )
    rejects_both("check_accumulate", both)
    rejects_both(
        "check_checkpoint",
        entries_of(
            optimizer=None,
            model=lambda model, optimizer, generator: {
                name: value.half() for name, value in model.state_dict().items()
            },
        ),
    )


def test_messages_show_their_numbers():
    found = verdict("check_accumulate", one_backward)
    assert "parts that waited for backward at the same time" in found.message
    live = lambda model, optimizer, generator: (
        checkpoint(model, optimizer, generator) | {"model": model}
    )
    found = verdict("check_checkpoint", live)
    assert found.mistake == "not_a_state"
    assert "the entry 'model' holds a torch.nn.modules.linear.Linear" in found.message
    found = verdict("check_checkpoint", lambda *states: tuple(checkpoint(*states).values()))
    assert found.mistake == "tuple_returned" and "must be a dict" in found.message


def test_an_unknown_mistake_in_a_checkpoint_takes_no_longer_than_a_known_one():
    """The run's own numbers, such as the step at which it stops, are no input of the function."""
    rounds = []

    def larger(model, optimizer, generator):
        rounds.append(1)
        saved = checkpoint(model, optimizer, generator)
        return saved | {"model": {name: 1.01 * value for name, value in saved["model"].items()}}

    check = checks.check_checkpoint
    tried = []
    watched = dataclasses.replace(check, call=lambda *args: tried.append(1) or check.call(*args))
    with pytest.raises(checks.CheckFailed) as caught:
        watched(larger)
    assert "`before`" not in str(caught.value) and "`seed`" not in str(caught.value)
    assert len(rounds) == 5 and len(tried) < 80
