"""Experiments on functions: which tokens are read, whether order is seen; rows of a long table."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from . import known, right, two, unknown

READ, ORDER, ROWS = "check_tokens_read", "check_equivariant", "check_add_rows"


# Which tokens are read, one mistake.


@known(READ, "nothing_read")
def read_plus_one(read_out, z):
    before, found = read_out(z), []
    for t in range(z.shape[1]):
        x = z.clone()
        x[:, t] += 1
        found.append(not torch.allclose(read_out(x), before, atol=1e-4))
    return torch.tensor(found)


@known(READ, "nothing_read")
def read_doubled(read_out, z):
    before, found = read_out(z), []
    for t in range(z.shape[1]):
        x = z.clone()
        x[:, t] *= 2
        found.append(not torch.allclose(read_out(x), before, atol=1e-3, rtol=1e-3))
    return found


@known(READ, "nothing_read")
def read_same_twice(read_out, z):
    found = []
    for t in range(z.shape[1]):
        x = z.clone()
        x[:, t] = 0
        found.append(bool((read_out(x) != read_out(x)).any()))
    return found


@known(READ, "everything_read")
def read_by_identity(read_out, z):
    before, found = read_out(z), []
    for t in range(z.shape[1]):
        x = z.clone()
        x[:, t] = 0
        found.append(read_out(x) is not before)
    return found


@known(READ, "everything_read")
def read_all_changed(read_out, z):
    before = read_out(z)
    return torch.tensor(
        [not torch.allclose(read_out(torch.randn_like(z)), before) for _ in range(z.shape[1])]
    )


@known(READ, "not_put_back")
def read_one_copy(read_out, z):
    x, before = z.clone(), read_out(z)
    result = torch.zeros(z.shape[1], dtype=torch.bool)
    for t in range(z.shape[1]):
        x[:, t, :] = 0
        result[t] = (read_out(x) - before).abs().max() > 1e-4
    return result


@known(READ, "not_put_back")
def read_up_to_t(read_out, z):
    before, found = read_out(z), []
    for t in range(z.shape[1]):
        x = torch.cat([torch.randn_like(z[:, : t + 1]), z[:, t + 1 :]], dim=1)
        found.append(not torch.allclose(read_out(x), before))
    return found


@known(READ, "compared_with_the_one_before")
def read_chain(read_out, z):
    old, found = read_out(z), []
    for t in range(z.shape[1]):
        x = z.clone()
        x[:, t] = torch.rand_like(x[:, t])
        new = read_out(x)
        found.append(bool((new - old).abs().max() > 1e-4))
        old = new
    return found


@known(READ, "inverted")
def read_unchanged(read_out, z):
    before = read_out(z)
    found = []
    for t in range(z.size(1)):
        x = z.clone()
        x[:, t] = torch.randn(z.size(2), dtype=z.dtype)
        found.append(torch.allclose(read_out(x), before))
    return torch.tensor(found)


@known(READ, "tokens_exchanged")
def read_swapped(read_out, z):
    before, T = read_out(z), z.shape[1]
    found = []
    for t in range(T):
        x = z.clone()
        x[:, t], x[:, (t + 1) % T] = z[:, (t + 1) % T], z[:, t]
        found.append(not torch.allclose(read_out(x), before))
    return found


@known(READ, "all_others_changed")
def read_kept_alone(read_out, z):
    before, found = read_out(z), []
    for t in range(z.shape[1]):
        x = torch.zeros_like(z)
        x[:, t] = z[:, t]
        found.append(not torch.allclose(read_out(x), before))
    return torch.tensor(found)


@known(READ, "indices_returned")
def read_indices(read_out, z):
    x = z.clone().requires_grad_()
    read_out(x).sum().backward()
    return x.grad.abs().sum((0, 2)).nonzero()[:, 0]


@known(READ, "not_put_back")
def read_put_back_a_view(read_out, z):
    before, found = read_out(z), []
    for t in range(z.shape[1]):
        old = z[:, t]  # a view: it is 0 as well after the next line
        z[:, t] = 0
        found.append(not torch.allclose(read_out(z), before))
        z[:, t] = old
    return torch.tensor(found)


@known(READ, "changed_input")
def read_in_place_at_the_end(read_out, z):
    found = []
    for t in range(z.shape[1]):
        x = z.clone()
        x[:, t] = 0
        found.append(not torch.allclose(read_out(x), read_out(z)))
    z.zero_()
    return torch.tensor(found)


@known(READ, "not_written")
def read_not_written(read_out, z):
    raise NotImplementedError


@known(READ, "nothing_returned")
def read_no_return(read_out, z):
    found = list(range(z.shape[1]))  # noqa: F841


@known(READ, "reads_missed")
def read_by_argmax(read_out, z):
    before = read_out(z).argmax(-1)
    found = torch.zeros(z.shape[1], dtype=torch.bool)
    for t in range(z.shape[1]):
        y = z.clone()
        y[:, t] = torch.randn(z.shape[2], dtype=z.dtype)
        found[t] = (read_out(y).argmax(-1) != before).any()
    return found


@known(READ, "one_image_only")
def read_image_t(read_out, z):
    before, found = read_out(z), []
    for t in range(z.shape[1]):
        y = z.clone()
        y[t] = 0
        found.append(not torch.allclose(read_out(y), before))
    return found


@known(READ, "all_others_changed")
def read_all_others_zero(read_out, z):
    before, found = read_out(z), []
    for t in range(z.shape[1]):
        y = torch.zeros_like(z)
        y[:, t] = z[:, t]
        found.append(not torch.allclose(read_out(y), before))
    return torch.tensor(found)


@known(READ, "one_token_given")
def read_one_token(read_out, z):
    before = read_out(z)
    return [not torch.allclose(read_out(z[:, [t]]), before) for t in range(z.shape[1])]


@known(READ, "reads_missed")
def read_argmax(read_out, z):
    x = z.clone().requires_grad_()
    read_out(x).sum().backward()
    result = torch.zeros(z.shape[1], dtype=torch.bool)
    result[x.grad.abs().sum((0, 2)).argmax()] = True
    return result


@unknown(READ, "reads_missed")
def read_differences(read_out, z):
    before = read_out(z)
    result = []
    for t in range(z.shape[1]):
        x = z.clone()
        x[:, t] = 0
        result.append((read_out(x) - before).abs().max())
    return torch.stack(result)


@unknown(READ, "reads_missed")
def read_only_half(read_out, z):
    x = z.clone().requires_grad_()
    read_out(x).sum().backward()
    read = x.grad.abs().sum((0, 2)) > 0
    read[z.shape[1] // 2 :] = False
    return read


@two(READ, "inverted", "not_put_back")
def read_two_inverted_kept(read_out, z):
    x, before, found = z.clone(), read_out(z), []
    for t in range(z.shape[1]):
        x[:, t] = 0
        found.append(torch.allclose(read_out(x), before))
    return torch.tensor(found)


@two(READ, "indices_returned", "tokens_exchanged")
def read_two_swapped_indices(read_out, z):
    return torch.tensor(read_swapped.fn(read_out, z)).nonzero().flatten()


@two(READ, "inverted", "compared_with_the_one_before")
def read_two_chain_inverted(read_out, z):
    return ~torch.tensor(read_chain.fn(read_out, z))


@right(READ)
def read_by_gradient(read_out, z):
    x = z.detach().clone().requires_grad_(True)
    read_out(x).sum().backward()
    return x.grad.abs().amax(dim=(0, 2)) > 0


@right(READ)
def read_zeroed_list(read_out, z):
    return [
        not torch.allclose(
            read_out(torch.cat([z[:, :t], 0 * z[:, t : t + 1], z[:, t + 1 :]], 1)), read_out(z)
        )
        for t in range(z.shape[1])
    ]


@right(READ)
def read_all_at_once(read_out, z):
    B, T, D = z.shape
    with torch.no_grad():
        x = z[:, None].expand(B, T, T, D).clone()
        x[:, torch.arange(T), torch.arange(T)] = torch.randn(D).to(z)
        y = read_out(x.reshape(B * T, T, D)).view(B, T, -1)
        return (y - read_out(z)[:, None]).abs().amax(dim=(0, 2)) > 1e-5


@right(READ)
def read_with_nan(read_out, z):
    found = []
    for t in range(z.shape[1]):
        x = z.clone()
        x[:, t] = float("nan")
        found.append(bool(read_out(x).isnan().any()))
    return tuple(found)


@right(READ)
def read_reversed_entries(read_out, z):
    found = []
    for t in range(z.shape[1]):
        x = z.clone()
        x[:, t] = z[:, t].flip(-1)
        found.append(not torch.equal(read_out(x), read_out(z)))
    return torch.tensor(found)


# Whether order is seen, one mistake.


@known(ORDER, "always_false")
def order_not_back(f, tokens):
    order = torch.randperm(tokens.shape[1])
    return torch.allclose(f(tokens[:, order]), f(tokens), atol=1e-5)


@known(ORDER, "always_false")
def order_wrong_way_back(f, tokens):
    order = torch.randperm(tokens.shape[1])
    return bool((f(tokens[:, order])[:, order] - f(tokens)).abs().max() < 1e-5)


@known(ORDER, "always_false")
def order_one_side(f, tokens):
    order = torch.randperm(tokens.size(1))
    return torch.allclose(f(tokens), f(tokens)[:, order], atol=1e-5)


@known(ORDER, "always_true")
def order_same_side_twice(f, tokens):
    order = torch.randperm(tokens.shape[1])
    y = f(tokens)
    return torch.allclose(y[:, order], y.index_select(1, order))


@known(ORDER, "always_true")
def order_identity(f, tokens):
    order = torch.arange(tokens.shape[1])
    return torch.allclose(f(tokens[:, order]), f(tokens)[:, order])


@known(ORDER, "always_true")
def order_shapes(f, tokens):
    order = torch.randperm(tokens.shape[1])
    return f(tokens[:, order]).shape == f(tokens)[:, order].shape


@known(ORDER, "inverted")
def order_seen(f, tokens):
    order = torch.randperm(tokens.shape[1])
    return not torch.allclose(f(tokens[:, order]), f(tokens)[:, order], atol=1e-5)


@known(ORDER, "images_shuffled")
def order_of_images(f, tokens):
    order = torch.randperm(len(tokens))
    return torch.allclose(f(tokens[order]), f(tokens)[order], atol=1e-5)


@known(ORDER, "images_shuffled")
def order_of_images_reversed(f, tokens):
    return bool((f(tokens.flip(0)) - f(tokens).flip(0)).abs().max() < 1e-5)


@known(ORDER, "entries_shuffled")
def order_of_entries(f, tokens):
    order = torch.randperm(tokens.shape[-1])
    return torch.allclose(f(tokens[..., order]), f(tokens)[..., order], atol=1e-5)


@known(ORDER, "only_rolled")
def order_rolled(f, tokens):
    return torch.allclose(f(tokens.roll(2, 1)), f(tokens).roll(2, 1), atol=1e-5)


@known(ORDER, "only_reversed")
def order_reversed(f, tokens):
    return torch.allclose(f(tokens.flip(1)), f(tokens).flip(1), atol=1e-5)


@known(ORDER, "not_written")
def order_not_written(f, tokens):
    raise NotImplementedError


@known(ORDER, "nothing_returned")
def order_no_return(f, tokens):
    torch.allclose(f(tokens), f(tokens))


@unknown(ORDER, "always_true")
def order_wide_tolerance(f, tokens):
    order = torch.randperm(tokens.shape[1])
    return torch.allclose(f(tokens[:, order]), f(tokens)[:, order], atol=100)


@unknown(ORDER, "always_true")
def order_of_sums(f, tokens):
    order = torch.randperm(tokens.shape[1])
    return bool((f(tokens[:, order]).sum() - f(tokens).sum()).abs() < 1e-2)


@unknown(ORDER)
def order_entrywise(f, tokens):
    order = torch.randperm(tokens.shape[1])
    return torch.isclose(f(tokens[:, order]), f(tokens)[:, order], atol=1e-5)


@two(ORDER, "inverted", "images_shuffled")
def order_two_inverted_images(f, tokens):
    return not order_of_images.fn(f, tokens)


@two(ORDER, "inverted", "entries_shuffled")
def order_two_inverted_entries(f, tokens):
    return not order_of_entries.fn(f, tokens)


@two(ORDER, "inverted", "only_reversed")
def order_two_inverted_reversed(f, tokens):
    return not order_reversed.fn(f, tokens)


@right(ORDER)
def order_shuffled_back(f, tokens):
    order = torch.randperm(tokens.shape[1])
    back = order.argsort()
    return torch.allclose(f(tokens[:, order])[:, back], f(tokens), atol=1e-5)


@right(ORDER)
def order_of_many(f, tokens):
    for _ in range(20):
        order = torch.randperm(tokens.size(1), generator=torch.Generator().manual_seed(_))
        if not torch.allclose(f(tokens[:, order]), f(tokens)[:, order], atol=1e-5):
            return False
    return True


@right(ORDER)
def order_tensor(f, tokens):
    with torch.no_grad():
        order = torch.randperm(tokens.shape[1])
        return (f(tokens[:, order]) - f(tokens)[:, order]).abs().max() < 1e-4


@right(ORDER)
def order_matrix(f, tokens):
    T = tokens.shape[1]
    shuffle = torch.eye(T, dtype=tokens.dtype)[torch.randperm(T)]
    return torch.allclose(f(shuffle @ tokens), shuffle @ f(tokens), atol=1e-5)


@right(ORDER)
def order_numpy(f, tokens):
    order = np.random.default_rng(0).permutation(tokens.shape[1])
    one, two = f(tokens[:, order]), f(tokens)[:, order]
    return np.bool_(np.allclose(one.detach().numpy(), two.detach().numpy(), atol=1e-5))


# Rows of a table, one mistake.


@known(ROWS, "whole_table")
def rows_whole(tokens, table):
    return tokens + table


@known(ROWS, "last_rows")
def rows_last(tokens, table):
    T = tokens.shape[1]
    L = table.shape[1]
    return tokens + table[:, L - T : L, :]


@known(ROWS, "last_rows")
def rows_narrow_from_the_end(tokens, table):
    T = tokens.size(1)
    return tokens + table.narrow(1, table.size(1) - T, T)


@known(ROWS, "rows_from_one")
def rows_without_the_first(tokens, table):
    return tokens + table[:, 1:][:, : tokens.shape[1]]


@known(ROWS, "position_by_image")
def rows_by_image(tokens, table):
    rows = table.transpose(0, 1)
    return tokens + rows[: tokens.size(0)]


@known(ROWS, "position_by_image")
def rows_by_image_loop(tokens, table):
    return torch.stack([image + table[0, b] for b, image in enumerate(tokens)])


@known(ROWS, "patches_only")
def rows_patches(tokens, table):
    T = tokens.shape[1]
    return torch.cat([tokens[:, :1], tokens[:, 1:] + table[:, 1:T]], dim=1)


@known(ROWS, "one_position_for_all")
def rows_first_for_all(tokens, table):
    return tokens + table[:, :1]


@known(ROWS, "reversed_order")
def rows_reversed(tokens, table):
    return tokens + table[:, : tokens.shape[1]].flip(1)


@known(ROWS, "first_image_only")
def rows_first_image(tokens, table):
    out = tokens.clone()
    out[0] = out[0] + table[0, : tokens.shape[1]]
    return out


@known(ROWS, "multiplied")
def rows_multiplied(tokens, table):
    return table[:, : tokens.size(1)] * tokens


@known(ROWS, "position_forgotten")
def rows_forgotten(tokens, table):
    x = tokens.clone()
    x.add(table[:, : tokens.size(1)])
    return x


@known(ROWS, "position_scaled")
def rows_scaled(tokens, table):
    return tokens + 0.02 * table[:, : tokens.size(1)]


@known(ROWS, "position_detached")
def rows_data(tokens, table):
    return tokens + table.data[:, : tokens.size(1)]


@known(ROWS, "changed_input")
def rows_in_place(tokens, table):
    tokens += table[:, : tokens.size(1)]
    return tokens


@known(ROWS, "wrong_dtype")
def rows_float(tokens, table):
    return tokens.float() + table[:, : tokens.size(1)].float()


@known(ROWS, "not_written")
def rows_not_written(tokens, table):
    raise NotImplementedError


@unknown(ROWS)
def rows_stretched(tokens, table):
    rows = F.interpolate(table.mT, tokens.shape[1], mode="linear").mT
    return tokens + rows


@unknown(ROWS)
def rows_every_second(tokens, table):
    L, T = table.shape[1], tokens.shape[1]
    return tokens + table[:, torch.arange(T) * (L // T)]


@unknown(ROWS, "position_scaled")
def rows_subtracted(tokens, table):
    return tokens - table[:, : tokens.shape[1]]


@two(ROWS, "last_rows", "position_scaled")
def rows_two_last_scaled(tokens, table):
    return tokens + 0.02 * table[:, -tokens.shape[1] :]


@two(ROWS, "last_rows", "changed_input")
def rows_two_last_in_place(tokens, table):
    tokens += table[:, -tokens.shape[1] :]
    return tokens


@two(ROWS, "last_rows", "reversed_order")
def rows_two_last_reversed(tokens, table):
    return tokens + table.flip(1)[:, : tokens.shape[1]]


@right(ROWS)
def rows_narrow(tokens, table):
    return tokens + table.narrow(1, 0, tokens.size(1))


@right(ROWS)
def rows_loop(tokens, table):
    return torch.stack([tokens[:, t] + table[:, t] for t in range(tokens.shape[1])], dim=1)


@right(ROWS)
def rows_embedding(tokens, table):
    places = torch.arange(tokens.shape[1], device=tokens.device)
    return tokens + F.embedding(places, table[0])


@right(ROWS)
def rows_module(tokens, table):
    class Add(nn.Module):
        def forward(self, x):
            return x + table[:, : x.size(1)].expand_as(x)

    return Add()(tokens)


@right(ROWS)
def rows_split(tokens, table):
    T = tokens.shape[1]
    first, _ = table.split([T, table.shape[1] - T], dim=1)
    return torch.add(tokens, first)


@unknown(READ)
def read_neighbour_named(read_out, z):
    before, found = read_out(z), []
    for t in range(z.shape[1]):
        y = z.clone()
        y[:, t - 1] = torch.randn_like(y[:, t])
        found.append(not torch.allclose(read_out(y), before))
    return found
