"""A recurrent network's states, and a memory read by its content."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from . import known, right, two, unknown

RNN, READ = "check_rnn", "check_read_by_content"


# The recurrent network, one mistake.


@known(RNN, "last_state_only")
def rnn_last(x, w, u, b):
    h = torch.zeros(x.shape[0], u.shape[0], dtype=x.dtype, device=x.device)
    for t in range(x.shape[1]):
        h = torch.tanh(x[:, t] @ w.T + h @ u.T + b)
    return h


@known(RNN, "last_state_only")
def rnn_last_kept_axis(x, w, u, b):
    h = x.new_zeros(x.size(0), 1, b.numel())
    for step in x.split(1, dim=1):
        h = torch.tanh(F.linear(step, w, b) + F.linear(h, u))
    return h


@known(RNN, "state_not_carried")
def rnn_fresh_state(x, w, u, b):
    states = []
    for t in range(x.shape[1]):
        h = torch.zeros(len(x), len(b), dtype=x.dtype, device=x.device)
        h = torch.tanh(x[:, t] @ w.T + h @ u.T + b)
        states.append(h)
    return torch.stack(states, 1)


@known(RNN, "tanh_forgotten")
def rnn_linear(x, w, u, b):
    h, states = torch.zeros_like(b).expand(len(x), -1), []
    for t in range(x.shape[1]):
        h = F.linear(x[:, t], w) + F.linear(h, u, b)
        states.append(h)
    return torch.stack(states, dim=1)


@known(RNN, "tanh_on_the_old_state")
def rnn_tanh_inside(x, w, u, b):
    h, states = torch.zeros_like(b).expand(len(x), -1), []
    for token in x.unbind(1):
        h = token @ w.T + torch.tanh(h) @ u.T + b
        states.append(h)
    return torch.stack(states, dim=1)


@known(RNN, "other_activation")
def rnn_relu(x, w, u, b):
    h, states = torch.zeros_like(b).expand(len(x), -1), []
    for token in x.unbind(1):
        h = F.relu(token @ w.T + h @ u.T + b)
        states.append(h)
    return torch.stack(states, dim=1)


@known(RNN, "other_activation")
def rnn_sigmoid(x, w, u, b):
    h, states = torch.zeros_like(b).expand(len(x), -1), []
    for token in x.unbind(1):
        h = 1 / (1 + torch.exp(-(token @ w.T + h @ u.T + b)))
        states.append(h)
    return torch.stack(states, dim=1)


@known(RNN, "reads_backwards")
def rnn_backwards(x, w, u, b):
    T = x.shape[1]
    h, states = torch.zeros_like(b).expand(len(x), -1), [None] * T
    for t in range(T - 1, -1, -1):
        h = torch.tanh(x[:, t] @ w.T + h @ u.T + b)
        states[t] = h
    return torch.stack(states, dim=1)


@known(RNN, "u_not_transposed")
def rnn_h_at_u(x, w, u, b):
    h, states = torch.zeros_like(b).expand(len(x), -1), []
    for token in x.unbind(1):
        h = (token @ w.T + h @ u + b).tanh()
        states.append(h)
    return torch.stack(states, dim=1)


@known(RNN, "bias_forgotten")
def rnn_no_bias(x, w, u, b):
    h, states = torch.zeros_like(b).expand(len(x), -1), []
    for token in x.unbind(1):
        h = (F.linear(token, w) + F.linear(h, u)).tanh()
        states.append(h)
    return torch.stack(states, dim=1)


@known(RNN, "bias_twice")
def rnn_two_biases(x, w, u, b):
    h, states = torch.zeros_like(b).expand(len(x), -1), []
    for token in x.unbind(1):
        h = (F.linear(token, w, b) + F.linear(h, u, b)).tanh()
        states.append(h)
    return torch.stack(states, dim=1)


@known(RNN, "states_one_step_late")
def rnn_kept_too_early(x, w, u, b):
    h, states = torch.zeros_like(b).expand(len(x), -1), []
    for token in x.unbind(1):
        states.append(h)
        h = torch.tanh(token @ w.T + h @ u.T + b)
    return torch.stack(states, dim=1)


@known(RNN, "starts_elsewhere")
def rnn_from_ones(x, w, u, b):
    h, states = torch.ones_like(b).expand(len(x), -1), []
    for token in x.unbind(1):
        h = torch.tanh(token @ w.T + h @ u.T + b)
        states.append(h)
    return torch.stack(states, dim=1)


@known(RNN, "state_added")
def rnn_residual(x, w, u, b):
    h, states = torch.zeros_like(b).expand(len(x), -1), []
    for token in x.unbind(1):
        h = h + torch.tanh(token @ w.T + h @ u.T + b)
        states.append(h)
    return torch.stack(states, dim=1)


@known(RNN, "runs_over_the_batch")
def rnn_over_batch(x, w, u, b):
    h, states = torch.zeros_like(b).expand(x.shape[1], -1), []
    for token in x:
        h = torch.tanh(token @ w.T + h @ u.T + b)
        states.append(h)
    return torch.stack(states)


@known(RNN, "detached")
def rnn_no_grad(x, w, u, b):
    with torch.no_grad():
        return rnn_plain.fn(x, w, u, b)


@known(RNN, "not_written")
def rnn_not_written(x, w, u, b):
    raise NotImplementedError


@known(RNN, "nothing_returned")
def rnn_nothing(x, w, u, b):
    h = torch.zeros_like(b).expand(len(x), -1)
    for token in x.unbind(1):
        h = torch.tanh(token @ w.T + h @ u.T + b)


# The recurrent network, mistakes of no name.


@known(RNN, "tanh_twice")
def rnn_tanh_twice(x, w, u, b):
    h, states = torch.zeros_like(b).expand(len(x), -1), []
    for token in x.unbind(1):
        h = torch.tanh(torch.tanh(token @ w.T + h @ u.T + b))
        states.append(h)
    return torch.stack(states, dim=1)


@unknown(RNN)
def rnn_half_kept(x, w, u, b):
    h, states = torch.zeros_like(b).expand(len(x), -1), []
    for token in x.unbind(1):
        h = 0.5 * h + 0.5 * torch.tanh(token @ w.T + h @ u.T + b)
        states.append(h)
    return torch.stack(states, dim=1)


@known(RNN, "first_token_at_every_step")
def rnn_of_the_first_token(x, w, u, b):
    h, states = torch.zeros_like(b).expand(len(x), -1), []
    for _ in range(x.shape[1]):
        h = torch.tanh(x[:, 0] @ w.T + h @ u.T + b)
        states.append(h)
    return torch.stack(states, dim=1)


# The recurrent network, two at once.


@two(RNN, "tanh_forgotten", "bias_forgotten")
def rnn_two_linear_no_bias(x, w, u, b):
    h, states = torch.zeros_like(b).expand(len(x), -1), []
    for token in x.unbind(1):
        h = token @ w.T + h @ u.T
        states.append(h)
    return torch.stack(states, dim=1)


@two(RNN, "u_not_transposed", "reads_backwards")
def rnn_two_u_backwards(x, w, u, b):
    return rnn_h_at_u.fn(x.flip(1), w, u, b).flip(1)


@two(RNN, "state_added", "starts_elsewhere")
def rnn_two_added_ones(x, w, u, b):
    h, states = torch.ones_like(b).expand(len(x), -1), []
    for token in x.unbind(1):
        h = h + torch.tanh(token @ w.T + h @ u.T + b)
        states.append(h)
    return torch.stack(states, dim=1)


# The recurrent network, right.


@right(RNN)
def rnn_plain(x, w, u, b):
    h, states = torch.zeros_like(b).expand(len(x), -1), []
    for t in range(x.shape[1]):
        h = torch.tanh(x[:, t] @ w.T + h @ u.T + b)
        states.append(h)
    return torch.stack(states, dim=1)


@right(RNN)
def rnn_first_product_at_once(x, w, u, b):
    inputs, h, states = F.linear(x, w, b), None, []
    for t in range(x.size(1)):
        h = (inputs[:, t] if h is None else inputs[:, t] + F.linear(h, u)).tanh()
        states.append(h.unsqueeze(1))
    return torch.cat(states, dim=1)


@right(RNN)
def rnn_pytorchs_own(x, w, u, b):
    layer = nn.RNN(x.shape[-1], len(b), batch_first=True, device=x.device, dtype=x.dtype)
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    tensors = dict(zip(names, (w, u, b, torch.zeros_like(b))))
    return torch.func.functional_call(layer, tensors, (x,))[0]


@right(RNN)
def rnn_pytorchs_cell(x, w, u, b):
    h, states = x.new_zeros(len(x), len(b)), []
    for token in x.unbind(1):
        h = torch.rnn_tanh_cell(token, h, w, u, b, torch.zeros_like(b))
        states.append(h)
    return torch.stack(states, dim=1)


@right(RNN)
def rnn_by_recursion(x, w, u, b):
    if x.shape[1] == 1:
        return torch.tanh(F.linear(x, w, b))
    before = rnn_by_recursion.fn(x[:, :-1], w, u, b)
    last = torch.tanh(F.linear(x[:, -1], w, b) + before[:, -1] @ u.T)
    return torch.cat([before, last[:, None]], dim=1)


# Reading by content, one mistake.


def unit(x):
    return x / x.norm(dim=-1, keepdim=True)


@known(READ, "dot_product")
def read_dot(keys, memory, strength):
    return F.softmax(strength[:, None] * (keys @ memory.T), dim=-1) @ memory


@known(READ, "dot_product")
def read_scaled_dot(keys, memory, strength):
    scores = keys @ memory.T / math.sqrt(memory.shape[-1])
    return (strength.unsqueeze(1) * scores).softmax(-1) @ memory


@known(READ, "keys_not_normalised")
def read_long_keys(keys, memory, strength):
    return (strength[:, None] * (keys @ unit(memory).T)).softmax(-1) @ memory


@known(READ, "memory_not_normalised")
def read_long_memory(keys, memory, strength):
    return (strength[:, None] * (unit(keys) @ memory.T)).softmax(-1) @ memory


@known(READ, "normalised_over_rows")
def read_columns(keys, memory, strength):
    keys, rows = keys / keys.norm(dim=0), memory / memory.norm(dim=0)
    return (strength[:, None] * (keys @ rows.T)).softmax(-1) @ memory


@known(READ, "strength_forgotten")
def read_without_strength(keys, memory, strength):
    return F.cosine_similarity(keys[:, None], memory[None], dim=-1).softmax(-1) @ memory


@known(READ, "divided_by_strength")
def read_as_temperature(keys, memory, strength):
    return ((unit(keys) @ unit(memory).T) / strength[:, None]).softmax(-1) @ memory


@known(READ, "strength_after_softmax")
def read_scaled_weights(keys, memory, strength):
    return (strength[:, None] * (unit(keys) @ unit(memory).T).softmax(dim=1)) @ memory


@known(READ, "softmax_over_readers")
def read_softmax_0(keys, memory, strength):
    return (strength[:, None] * (unit(keys) @ unit(memory).T)).softmax(0) @ memory


@known(READ, "softmax_forgotten")
def read_no_softmax(keys, memory, strength):
    return (strength[:, None] * (unit(keys) @ unit(memory).T)) @ memory


@known(READ, "nearest_only")
def read_argmax(keys, memory, strength):
    return memory[(strength[:, None] * (unit(keys) @ unit(memory).T)).argmax(dim=-1)]


@known(READ, "normalised_memory_read")
def read_unit_rows(keys, memory, strength):
    keys, memory = unit(keys), unit(memory)
    return (strength[:, None] * (keys @ memory.T)).softmax(-1) @ memory


@known(READ, "weights_returned")
def read_weights(keys, memory, strength):
    return (strength[:, None] * (unit(keys) @ unit(memory).T)).softmax(-1)


@known(READ, "changed_input")
def read_in_place(keys, memory, strength):
    keys /= keys.norm(dim=-1, keepdim=True)
    return (strength[:, None] * (keys @ unit(memory).T)).softmax(-1) @ memory


@known(READ, "not_written")
def read_not_written(keys, memory, strength):
    raise NotImplementedError("read_by_content")


# Reading by content, mistakes of no name.


@known(READ, "distance_for_cosine")
def read_by_distance(keys, memory, strength):
    return (-strength[:, None] * torch.cdist(keys, memory)).softmax(-1) @ memory


@unknown(READ)
def read_squared_strength(keys, memory, strength):
    return (strength[:, None] ** 2 * (unit(keys) @ unit(memory).T)).softmax(-1) @ memory


@unknown(READ)
def read_absolute(keys, memory, strength):
    return (strength[:, None] * (unit(keys) @ unit(memory).T).abs()).softmax(-1) @ memory


# Reading by content, two at once.


@two(READ, "dot_product", "softmax_over_readers")
def read_two_dot_axis(keys, memory, strength):
    return (strength[:, None] * (keys @ memory.T)).softmax(0) @ memory


@two(READ, "strength_forgotten", "normalised_memory_read")
def read_two_no_strength_unit(keys, memory, strength):
    return (unit(keys) @ unit(memory).T).softmax(-1) @ unit(memory)


@two(READ, "divided_by_strength", "keys_not_normalised")
def read_two_divided_long(keys, memory, strength):
    return ((keys @ unit(memory).T) / strength[:, None]).softmax(-1) @ memory


# Reading by content, right.


@right(READ)
def read_cosine_similarity(keys, memory, strength):
    similarity = F.cosine_similarity(keys[:, None], memory[None], dim=-1)
    return (strength[:, None] * similarity).softmax(dim=-1) @ memory


@right(READ)
def read_units(keys, memory, strength):
    return F.softmax(strength.unsqueeze(-1) * (unit(keys) @ unit(memory).T), dim=1) @ memory


@right(READ)
def read_one_by_one(keys, memory, strength):
    reads = []
    for key, beta in zip(keys, strength):
        weights = (beta * F.cosine_similarity(key[None], memory, dim=-1)).softmax(0)
        reads.append(weights @ memory)
    return torch.stack(reads)


@right(READ)
def read_einsum(keys, memory, strength):
    lengths = keys.norm(dim=-1)[:, None] * memory.norm(dim=-1)
    scores = torch.einsum("rd,nd->rn", keys, memory) / lengths
    raised = torch.exp(strength[:, None] * (scores - scores.amax(-1, keepdim=True)))
    return torch.einsum("rn,nd->rd", raised / raised.sum(-1, keepdim=True), memory)


@right(READ)
def read_as_attention(keys, memory, strength):
    q, k = strength[:, None] * unit(keys), unit(memory)
    return F.scaled_dot_product_attention(q[None], k[None], memory[None], scale=1.0)[0]


@unknown(RNN)
def rnn_half_of_the_old_state(x, w, u, b):
    h, states = torch.zeros(len(x), len(b), dtype=x.dtype, device=x.device), []
    for token in x.unbind(1):
        h = 0.5 * h + 0.5 * torch.tanh(token @ w.T + h @ u.T + b)
        states.append(h)
    return torch.stack(states, dim=1)


@unknown(RNN)
def rnn_of_squares(x, w, u, b):
    h, states = torch.zeros(len(x), len(b), dtype=x.dtype, device=x.device), []
    for token in x.unbind(1):
        h = torch.tanh(token**2 @ w.T + h @ u.T + b)
        states.append(h)
    return torch.stack(states, dim=1)


@unknown(READ)
def read_two_steps(keys, memory, strength):
    read = keys
    for _ in range(2):
        similar = F.cosine_similarity(read[:, None], memory[None], dim=-1)
        read = (strength[:, None] * similar).softmax(dim=-1) @ memory
    return read
