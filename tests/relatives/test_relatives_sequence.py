"""Models for sequences: equal sizes, what they read, and that each can learn the task."""

import pytest
import torch
import torch.nn.functional as F

from vit_tutorial.model import MultiHeadSelfAttention
from vit_tutorial.model.positions import sinusoidal_1d
from vit_tutorial.relatives.sequence import (
    SEQUENCE_MODELS,
    Attention,
    Recurrent,
    RecurrentWithMemory,
    first_colour,
    sequence_model,
)

RECURRENT = [name for name in SEQUENCE_MODELS if name != "attention"]


def drawn(count=4, length=9, seed=0):
    return first_colour(count, length, torch.Generator().manual_seed(seed))


def test_a_token_is_a_plain_patch_with_its_position():
    tokens, colours = drawn(200, 5)
    assert tokens.shape == (200, 5, 48) and colours.shape == (200,)
    patches = (tokens - sinusoidal_1d(5, 48)).reshape(200, 5, 16, 3)
    torch.testing.assert_close(patches, patches[:, :, :1].expand_as(patches))  # one colour each
    bits = (patches[:, :, 0] + 0.5).round().long()  # (200, 5, 3), 0 or 1
    named = bits @ torch.tensor([4, 2, 1])
    assert torch.equal(named[:, 0], colours)  # the first patch's colour is the answer,
    assert (named[:, 1:] == colours[:, None]).float().mean() < 0.25  # and no other patch's
    assert set(named.flatten().tolist()) == set(range(8))


def test_the_generator_decides_what_is_drawn():
    assert torch.equal(drawn(seed=1)[0], drawn(seed=1)[0])
    assert not torch.equal(drawn(seed=1)[0], drawn(seed=2)[0])


def test_all_models_have_as_many_parameters_within_one_percent():
    sizes = {
        name: sum(p.numel() for p in sequence_model(name, 0).parameters())
        for name in SEQUENCE_MODELS
    }
    assert max(sizes.values()) < 1.01 * min(sizes.values()), sizes


@pytest.mark.parametrize("name", SEQUENCE_MODELS)
def test_the_logits_depend_on_every_token_and_on_no_other_sequence(name):
    model, (tokens, _) = sequence_model(name, 0).double(), drawn()
    tokens = tokens.double().requires_grad_()
    logits = model(tokens)
    assert logits.shape == (4, 8)
    (grad,) = torch.autograd.grad(logits[1].sum(), tokens)
    reached = grad.abs().sum(dim=-1) > 0
    assert reached[1].all() and not reached[[0, 2, 3]].any()


@pytest.mark.parametrize("name", SEQUENCE_MODELS)
def test_the_seed_decides_the_start(name):
    first, again, other = (sequence_model(name, seed)(drawn()[0]) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.allclose(first, other)


@pytest.mark.parametrize("bias", [0.0, 1.0, 5.0])
def test_the_forget_gate_starts_at_its_bias(bias):
    model = Recurrent(6, forget_bias=bias)
    with torch.no_grad():
        both = model.layer.bias_ih_l0 + model.layer.bias_hh_l0
        assert torch.equal(both[6:12], torch.full((6,), bias))
        assert not (both[:6] == bias).any() and not (both[12:] == bias).any()
        # With the other gates shut and the weights at 0 the cell is multiplied by the gate alone.
        for weight in (model.layer.weight_ih_l0, model.layer.weight_hh_l0):
            weight.zero_()
        model.layer.bias_ih_l0[:6] = -100
        start = (torch.zeros(1, 1, 6), torch.ones(1, 1, 6))
        cell = model.layer(torch.zeros(1, 3, 48), start)[1][1]
    torch.testing.assert_close(cell, torch.tensor(bias).sigmoid() ** 3 * torch.ones(1, 1, 6))


def test_without_a_forget_bias_it_is_the_plain_recurrence():
    model, (tokens, _) = Recurrent(5), drawn()
    w, u, b, c = model.layer.parameters()
    h = torch.zeros(4, 5)
    for t in range(9):
        h = torch.tanh(tokens[:, t] @ w.T + b + h @ u.T + c)
    torch.testing.assert_close(model(tokens), model.head(h))


def test_the_memory_holds_all_states_and_is_read_by_cosine():
    model, (tokens, _) = RecurrentWithMemory(5), drawn()
    states = model.layer(tokens)[0]
    for sequence, logits in zip(states, model(tokens)):
        last = sequence[-1]
        cosine = F.normalize(sequence, dim=1) @ F.normalize(model.key(last), dim=0)
        strength = torch.log(1 + model.strength(last).exp())
        read = (strength * cosine).softmax(dim=0) @ sequence
        torch.testing.assert_close(logits, model.head(torch.cat([last, read])))


@pytest.mark.parametrize("all_ask", [False, True])
def test_attention_is_the_vits_read_at_the_last_token(all_ask):
    """The same values as MultiHeadSelfAttention with one head, whoever asks."""
    model, vits, (tokens, _) = Attention(all_ask), MultiHeadSelfAttention(48, 1), drawn()
    parts = (model.query, model.key, model.value)
    with torch.no_grad():
        vits.qkv.weight.copy_(torch.cat([part.weight for part in parts]))
        vits.qkv.bias.copy_(torch.cat([part.bias for part in parts]))
        vits.projection.load_state_dict(model.projection.state_dict())
        torch.testing.assert_close(model(tokens), model.head(vits(tokens)[:, -1]))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: first_colour(0, 4, torch.Generator()), "count is 0"),
        (lambda: first_colour(2, 2.5, torch.Generator()), "length is 2.5"),
        (lambda: sequence_model("RNN + memory", 0), "did you mean 'RNN with memory'"),
    ],
)
def test_bad_input_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()
