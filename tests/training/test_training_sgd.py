"""optimizer="sgd": SGD with momentum, as the paper fine-tunes."""

import dataclasses

import pytest
import torch

from vit_tutorial import VisionTransformer, ViTConfig, data
from vit_tutorial.model.transfer import freeze_body, with_new_head
from vit_tutorial.training import Checkpointer, TrainSettings, make_optimizer, train
from vit_tutorial.training.optimizers import MOMENTUM
from vit_tutorial.training.runtime.activations import activation_bytes
from vit_tutorial.training.runtime.memory import step_bytes
from vit_tutorial.training.runtime.precision import choose_precision

SGD = TrainSettings(epochs=2, batch_size=20, lr=0.01, optimizer="sgd", precision="fp32")


def fresh():
    torch.manual_seed(0)
    return VisionTransformer(ViTConfig(dim=16, depth=1, num_heads=2, patch_size=8))


@pytest.fixture(scope="module")
def images():
    shapes = data.load("shapes")
    few = {name: getattr(shapes, name)[:60] for name in ("train", "validation", "test")}
    return dataclasses.replace(shapes, **few)


def test_steps_are_those_of_momentum_written_out():
    layer = torch.nn.Linear(3, 2, bias=False)
    settings = dataclasses.replace(SGD, weight_decay=0.0, lr=0.1)
    optimizer = make_optimizer(layer, settings)
    weight, velocity = layer.weight.detach().clone(), 0
    for _ in range(4):
        layer.weight.grad = gradient = torch.randn(2, 3)
        optimizer.step()
        velocity = MOMENTUM * velocity + gradient
        weight = weight - 0.1 * velocity
        torch.testing.assert_close(layer.weight.detach(), weight)


def test_weight_decay_shrinks_by_the_rate_times_the_decay_in_each_step():
    """As the comment of the setting says, and as with AdamW; biases are left alone."""
    layer = torch.nn.Linear(3, 2)
    optimizer = make_optimizer(layer, dataclasses.replace(SGD, weight_decay=0.01, lr=0.05))
    before, bias = layer.weight.detach().clone(), layer.bias.detach().clone()
    for _ in range(300):
        layer.weight.grad, layer.bias.grad = torch.zeros(2, 3), torch.zeros(2)
        optimizer.step()
    ratio = (layer.weight / before).detach()
    expected = (1 - 0.05 * 0.01) ** (300 - MOMENTUM / (1 - MOMENTUM))  # momentum starts late
    torch.testing.assert_close(ratio, torch.full((2, 3), expected), rtol=1e-3, atol=0)
    assert torch.equal(layer.bias.detach(), bias)


def test_it_keeps_one_number_for_each_weight():
    model = fresh()
    kept = activation_bytes(model, (3, 32, 32), choose_precision("cpu", "fp32"))
    adamw, sgd = (step_bytes(model, kept, 8, optimizer=name) for name in ("adamw", "sgd"))
    assert adamw - sgd == 4 * sum(p.numel() for p in model.parameters())


def test_a_resumed_run_ends_with_the_same_weights(images, tmp_path):
    whole, parts = fresh(), fresh()
    train(whole, images, SGD, progress=False)

    def stop(history):
        if history.steps >= 3:
            raise RuntimeError("stopped")

    checkpointer = Checkpointer(tmp_path, seconds=1e-9)
    with pytest.raises(RuntimeError, match="stopped"):
        train(parts, images, SGD, progress=False, on_evaluation=stop, checkpointer=checkpointer)
    train(parts, images, SGD, progress=False, checkpointer=Checkpointer(tmp_path, seconds=1e-9))
    for one, other in zip(whole.parameters(), parts.parameters()):
        assert torch.equal(one, other)


def test_a_frozen_body_stays_as_it_is(images):
    body = fresh()
    model = freeze_body(with_new_head(body, 10))
    train(model, images, SGD, progress=False)
    mine, theirs = model.state_dict(), body.state_dict()
    assert all(torch.equal(mine[n], theirs[n]) for n in mine if not n.startswith("head."))
    assert model.head.weight.abs().sum() > 0
