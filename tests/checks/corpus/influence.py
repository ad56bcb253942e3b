"""Who reads whom: the experiment of lesson 05.

Written by the author of the check, so the share that is named says less here than elsewhere.
"""

import torch

from . import known, right, two, unknown

NAME = "check_influence"


def changes(layer, x, c, s):
    """One honest try: (B, T), which tokens differ when token s of image c is changed."""
    y = x.clone()
    y[c, s] = y[c, s] + torch.randn(x.shape[-1]).to(x)
    return ((layer(y) - layer(x)).abs() > 1e-7).any(dim=-1)


def table(layer, x, one_try=changes):
    B, T, _ = x.shape
    rows = [[one_try(layer, x, c, s) for s in range(T)] for c in range(B)]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)  # (B, T, B, T)


@known(NAME, "reader_and_read_exchanged")
def influence_filled_by_the_changed(layer, x):
    B, T, D = x.shape
    out = torch.zeros(B, T, B, T).bool()
    for b in range(B):
        for t in range(T):
            out[b, t] = changes(layer, x, b, t)
    return out


@known(NAME, "reader_and_read_exchanged")
def influence_stacked_in_front(layer, x):
    B, T, D = x.shape
    every = [changes(layer, x, n // T, n % T) for n in range(B * T)]
    return torch.stack(every).reshape(B, T, B, T)


@known(NAME, "change_that_a_norm_forgets")
def influence_plus_one(layer, x):
    def plus_one(layer, x, c, s):
        y = x.clone()
        y[c, s] += 1.0
        return ~torch.isclose(layer(y), layer(x)).all(-1)

    return table(layer, x, plus_one)


@known(NAME, "change_that_a_norm_forgets")
def influence_doubled(layer, x):
    def doubled(layer, x, c, s):
        y = x.clone()
        y[c, s] *= 2
        return (layer(y) - layer(x)).abs().amax(-1) > 1e-4

    return table(layer, x, doubled)


@known(NAME, "change_that_a_norm_forgets")
def influence_plus_five(layer, x):
    before = layer(x)
    found = torch.zeros(*x.shape[:2], *x.shape[:2], dtype=torch.bool)
    for c in range(len(x)):
        for s in range(x.shape[1]):
            y = x.clone()
            y[c, s] = y[c, s] + 5
            found[:, :, c, s] = (layer(y) - before).norm(dim=-1) > 1e-5
    return found


@known(NAME, "changes_pile_up")
def influence_never_put_back(layer, x):
    before, y = layer(x), x.clone()
    found = torch.zeros(*x.shape[:2], *x.shape[:2], dtype=torch.bool)
    for c in range(len(x)):
        for s in range(x.shape[1]):
            y[c, s] += torch.randn_like(y[c, s])
            found[:, :, c, s] = (layer(y) - before).abs().sum(-1) > 1e-6
    return found


@known(NAME, "all_images_changed_at_once")
def influence_a_column_of_tokens(layer, x):
    def every_image(layer, x, c, s):
        y = x.clone()
        y[:, s] += torch.randn(x.shape[-1]).to(x)
        return ((layer(y) - layer(x)).abs() > 1e-7).any(-1)

    return table(layer, x, every_image)


@known(NAME, "whole_image_changed_at_once")
def influence_an_image_of_tokens(layer, x):
    def every_token(layer, x, c, s):
        y = x.clone()
        y[c] = torch.randn_like(y[c])
        return ((layer(y) - layer(x)).abs() > 1e-7).any(-1)

    return table(layer, x, every_token)


@known(NAME, "own_image_only")
def influence_image_by_image(layer, x):
    B, T, D = x.shape
    found = torch.zeros(B, T, B, T, dtype=torch.bool)
    for b in range(B):
        for s in range(T):
            found[b, :, b, s] = changes(layer, x, b, s)[b]
    return found


@known(NAME, "where_it_did_not_change")
def influence_where_close(layer, x):
    def close(layer, x, c, s):
        y = x.clone()
        y[c, s] += torch.randn(x.shape[-1]).to(x)
        return torch.isclose(layer(y), layer(x)).all(dim=-1)

    return table(layer, x, close)


@known(NAME, "not_written")
def influence_not_yet(layer, x):
    raise NotImplementedError


@known(NAME, "nothing_returned")
def influence_printed(layer, x):
    found = table(layer, x)
    found.sum()


@known(NAME, "changed_input")
def influence_into_x(layer, x):
    found = table(layer, x)
    x[0, 0] += 1
    return found


@known(NAME, "wrong_dtype")
def influence_as_numbers(layer, x):
    return table(layer, x).float()


@known(NAME, "own_token_left_out")
def influence_without_itself(layer, x):
    B, T, D = x.shape
    found = table(layer, x)
    return found & ~torch.eye(B * T, dtype=torch.bool).reshape(B, T, B, T)


@unknown(NAME)
def influence_one_image_only(layer, x):
    return table(layer, x)[:1, :, :1]


@unknown(NAME)
def influence_of_the_next_token(layer, x):
    return table(layer, x).roll(1, dims=3)


@known(NAME, "true_everywhere")
def influence_always_true(layer, x):
    B, T, D = x.shape
    return torch.ones(B, T, B, T, dtype=torch.bool)


@two(NAME, "reader_and_read_exchanged", "own_image_only")
def influence_exchanged_in_the_image(layer, x):
    return influence_image_by_image.fn(layer, x).permute(2, 3, 0, 1)


@two(NAME, "where_it_did_not_change", "own_image_only")
def influence_not_in_the_image(layer, x):
    return ~influence_image_by_image.fn(layer, x)


@two(NAME, "change_that_a_norm_forgets", "reader_and_read_exchanged")
def influence_plus_one_exchanged(layer, x):
    return influence_plus_one.fn(layer, x).permute(2, 3, 0, 1)


@right(NAME)
def influence_by_hand(layer, x):
    return table(layer, x)


@right(NAME)
def influence_with_zeros(layer, x):
    def zeroed(layer, x, c, s):
        y = x.clone()
        y[c, s] = 0
        return (layer(y) - layer(x)).abs().amax(-1) > 1e-8

    return table(layer, x, zeroed)


@right(NAME)
def influence_by_one_entry(layer, x):
    def one_entry(layer, x, c, s):
        y = x.clone()
        y[c, s, 0] += 10
        return (layer(y) - layer(x)).abs().amax(-1) > 1e-8

    return table(layer, x, one_entry)


@right(NAME)
def influence_swapped_with_noise(layer, x):
    B, T, D = x.shape
    before, noise = layer(x), torch.randn_like(x)
    found = torch.empty(B, T, B, T, dtype=torch.bool)
    for n in range(B * T):
        mask = torch.zeros(B * T, 1, dtype=x.dtype)
        mask[n] = 1
        mask = mask.reshape(B, T, 1)
        found.view(B, T, -1)[:, :, n] = (layer(x + mask * noise) - before).norm(dim=-1) > 1e-6
    return found


@right(NAME)
def influence_by_autograd(layer, x):
    slopes = torch.autograd.functional.jacobian(lambda z: layer(z).square(), x)
    return (slopes.abs() > 0).any(dim=5).any(dim=2)


@unknown(NAME)
def influence_every_second_one_tried(layer, x):
    found = table(layer, x)
    found[..., 1::2] = found[..., 1::2] & found[..., :1]
    return found
