"""The class token in front, and the position added."""

import functools

import einops
import torch
import torch.nn as nn
import torch.nn.functional as F

from . import known, right, two, unknown

JOIN, ADD = "check_prepend_class_token", "check_add_rows"


def first_rows(decorator):
    """For functions of tokens and as many rows: they get the first rows of the table."""

    def decorate(fn):
        @functools.wraps(fn)
        def cut(tokens, table):
            return fn(tokens, table[:, : tokens.shape[1]])

        return decorator(cut)

    return decorate


# The class token, one mistake.


@known(JOIN, "appended")
def join_appended(x, cls_token):
    cls_tokens = cls_token.expand(x.shape[0], -1, -1)
    return torch.cat([x, cls_tokens], dim=1)


@known(JOIN, "appended")
def join_appended_empty(tokens, class_token):
    B, N, D = tokens.shape
    out = tokens.new_empty(B, N + 1, D)
    out[:, :N] = tokens
    out[:, -1:] = class_token
    return out


@known(JOIN, "not_expanded")
def join_not_expanded(tokens, class_token):
    return torch.cat((class_token, tokens), dim=1)


@known(JOIN, "not_expanded")
def join_not_expanded_hstack(tokens, class_token):
    return torch.hstack([class_token, tokens])


@known(JOIN, "first_image_only")
def join_first_image(tokens, class_token):
    B, N, D = tokens.shape
    x = torch.zeros(B, N + 1, D, dtype=tokens.dtype, device=tokens.device)
    x[:, 1:] = tokens
    x[0, 0] = class_token[0, 0]
    return x


@known(JOIN, "first_image_only")
def join_first_image_pad(tokens, class_token):
    padded = F.pad(tokens, (0, 0, 1, 0))
    where = torch.zeros_like(padded)
    where[0, 0] = 1
    return padded + where * class_token


@known(JOIN, "batch_flattened")
def join_batch_flattened(tokens, class_token):
    D = tokens.shape[-1]
    return torch.cat([class_token, tokens.reshape(1, -1, D)], dim=1)


@known(JOIN, "joined_along_batch")
def join_along_batch(tokens, class_token):
    return torch.cat([class_token.expand(1, tokens.shape[1], -1), tokens])


@known(JOIN, "joined_along_width")
def join_along_width(tokens, class_token):
    return torch.cat([class_token.expand_as(tokens), tokens], dim=-1)


@known(JOIN, "joined_along_width")
def join_along_width_repeat(tokens, class_token):
    cls = einops.repeat(class_token, "1 1 d -> b n d", b=tokens.shape[0], n=tokens.shape[1])
    return torch.dstack((cls, tokens))


@known(JOIN, "one_for_each_patch")
def join_one_for_each(tokens, class_token):
    cls = class_token.repeat(tokens.shape[0], tokens.shape[1], 1)
    return torch.cat([cls, tokens], 1)


@known(JOIN, "first_patch_overwritten")
def join_overwrites(tokens, class_token):
    x = tokens.clone()
    x[:, 0] = class_token.squeeze()
    return x


@known(JOIN, "first_patch_overwritten")
def join_overwrites_slices(tokens, class_token):
    return torch.cat([class_token.expand(len(tokens), 1, -1), tokens[:, 1:]], dim=1)


@known(JOIN, "last_patch_lost")
def join_last_lost(tokens, class_token):
    out = torch.empty_like(tokens)
    out[:, 0:1] = class_token
    out[:, 1:] = tokens[:, :-1]
    return out


@known(JOIN, "added_not_joined")
def join_added(tokens, class_token):
    return tokens + class_token


@known(JOIN, "class_token_sized_by_batch")
def join_sized_by_batch(tokens, class_token):
    B, N, D = tokens.shape
    cls = nn.Parameter(torch.randn(B, 1, D, dtype=tokens.dtype, device=tokens.device))
    return torch.cat([cls, tokens], dim=1)


@known(JOIN, "class_token_sized_by_batch")
def join_sized_by_batch_rows(tokens, class_token):
    rows = [torch.rand_like(class_token) for _ in tokens]
    return torch.cat([torch.cat(rows, 0), tokens], dim=1)


@known(JOIN, "fresh_token")
def join_fresh_zeros(tokens, class_token):
    cls = torch.zeros_like(class_token)
    return torch.cat([cls.expand(tokens.size(0), -1, -1), tokens], dim=1)


@known(JOIN, "fresh_token")
def join_fresh_parameter(tokens, class_token):
    class_token = nn.Parameter(torch.randn(1, 1, tokens.shape[-1]).to(tokens))
    return torch.cat([class_token.repeat(tokens.size(0), 1, 1), tokens], dim=1)


@known(JOIN, "class_token_detached")
def join_detached_token(tokens, class_token):
    cls = nn.Parameter(class_token.data)
    return torch.cat([cls.expand(len(tokens), -1, -1), tokens], dim=1)


@known(JOIN, "class_token_detached")
def join_detached_token_no_grad(tokens, class_token):
    with torch.no_grad():
        cls = class_token.repeat(tokens.shape[0], 1, 1)
    return torch.cat((cls, tokens), 1)


@known(JOIN, "not_written")
def join_not_written(tokens, class_token):
    raise NotImplementedError("put the class token in front")


@known(JOIN, "nothing_returned")
def join_nothing(tokens, class_token):
    tokens = torch.cat([class_token.expand(len(tokens), -1, -1), tokens], dim=1)


@known(JOIN, "changed_input")
def join_changes_token(tokens, class_token):
    out = torch.cat([class_token.expand(len(tokens), -1, -1), tokens], dim=1)
    tokens.zero_()
    return out


@known(JOIN, "wrong_dtype")
def join_into_zeros(tokens, class_token):
    x = torch.zeros(tokens.shape[0], tokens.shape[1] + 1, tokens.shape[2], device=tokens.device)
    x[:, 0] = class_token[:, 0]
    x[:, 1:] = tokens
    return x


@known(JOIN, "wrong_device")
def join_into_cpu_zeros(tokens, class_token):
    x = torch.zeros(tokens.shape[0], tokens.shape[1] + 1, tokens.shape[2], dtype=tokens.dtype)
    x[:, 0] = class_token[:, 0]
    x[:, 1:] = tokens
    return x


@known(JOIN, "detached")
def join_detached_list(tokens, class_token):
    rows = [class_token[0].tolist() + image.tolist() for image in tokens]
    return torch.tensor(rows, dtype=tokens.dtype, device=tokens.device)


@known(JOIN, "detached")
def join_detached_no_grad(tokens, class_token):
    with torch.no_grad():
        return torch.cat([class_token.expand(len(tokens), -1, -1), tokens], dim=1)


# The class token, mistakes of no name.


@unknown(JOIN)
def join_token_in_the_middle(tokens, class_token):
    half = tokens.shape[1] // 2 or 1
    cls = class_token.expand(len(tokens), -1, -1)
    return torch.cat([tokens[:, :half], cls, tokens[:, half:]], dim=1)


@known(JOIN, "class_token_changed")
def join_normed_token(tokens, class_token):
    cls = F.normalize(class_token, dim=-1).expand(len(tokens), -1, -1)
    return torch.cat([cls, tokens], 1)


@known(JOIN, "at_both_ends")
def join_both_ends(tokens, class_token):
    cls = class_token.expand(len(tokens), -1, -1)
    return torch.cat([cls, tokens, cls], 1)


@unknown(JOIN)
def join_reverses_patches(tokens, class_token):
    return torch.cat([class_token.expand(len(tokens), -1, -1), tokens.flip(1)], 1)


@known(JOIN, "made_of_the_patches")
def join_mean_added_to_token(tokens, class_token):
    return torch.cat([class_token + tokens.mean(1, keepdim=True), tokens], 1)


# The class token, two at once.


@two(JOIN, "appended", "fresh_token")
def join_two_appended_fresh(tokens, class_token):
    return torch.cat([tokens, torch.zeros_like(class_token).expand(len(tokens), -1, -1)], dim=1)


@two(JOIN, "appended", "class_token_detached")
def join_two_appended_detached(tokens, class_token):
    return torch.cat([tokens, class_token.detach().expand(len(tokens), -1, -1)], dim=1)


@two(JOIN, "one_for_each_patch", "appended")
def join_two_each_appended(tokens, class_token):
    return torch.cat([tokens, class_token.expand_as(tokens)], dim=1)


@two(JOIN, "first_patch_overwritten", "first_image_only")
def join_two_overwrites_first_image(tokens, class_token):
    x = tokens.clone()
    x[0, 0] = class_token[0, 0]
    return x


# The class token, right.


@right(JOIN)
def join_module(tokens, class_token):
    class Prepend(nn.Module):
        def __init__(self, token):
            super().__init__()
            self.token = token

        def forward(self, x):
            return torch.cat([self.token.expand(x.size(0), 1, x.size(2)), x], dim=1)

    return Prepend(class_token)(tokens)


@right(JOIN)
def join_pad_then_write(tokens, class_token):
    x = F.pad(tokens, (0, 0, 1, 0))
    x[:, :1] += class_token
    return x


@right(JOIN)
def join_transposed_view(tokens, class_token):
    sequence_first = torch.cat([class_token.expand(1, len(tokens), -1), tokens.transpose(0, 1)])
    return sequence_first.transpose(0, 1)


@right(JOIN)
def join_einops_pack(tokens, class_token, debug=False):
    cls = einops.repeat(class_token, "() n d -> b n d", b=tokens.shape[0])
    return einops.pack([cls, tokens], "b * d")[0]


@right(JOIN)
def join_one_by_one(tokens, class_token):
    return torch.cat(
        [torch.cat([class_token, image.unsqueeze(0)], dim=1) for image in tokens], dim=0
    )


@right(JOIN)
def join_by_matmul(tokens, class_token):
    n = tokens.shape[1]
    shift = torch.eye(n + 1, dtype=tokens.dtype, device=tokens.device)
    return shift[:, 1:] @ tokens + shift[:, :1] @ class_token


# The position, one mistake.


@first_rows(known(ADD, "patches_only"))
def add_patches_only(x, pos):
    cls, patches = x[:, :1], x[:, 1:]
    patches = patches + pos[:, 1:]
    return torch.cat([cls, patches], dim=1)


@first_rows(known(ADD, "patches_only"))
def add_patches_only_in_place(tokens, position):
    out = tokens.clone()
    for t in range(1, tokens.shape[1]):
        out[:, t] += position[0, t]
    return out


@first_rows(known(ADD, "shifted_by_one"))
def add_shifted(tokens, position):
    T = tokens.shape[1]
    rows = [tokens[:, t] + position[:, (t + 1) % T] for t in range(T)]
    return torch.stack(rows, dim=1)


@first_rows(known(ADD, "shifted_by_one"))
def add_rolled(tokens, position):
    return tokens + torch.roll(position, 1, dims=1)


@first_rows(known(ADD, "reversed_order"))
def add_reversed(tokens, position):
    return tokens + position[:, torch.arange(tokens.shape[1] - 1, -1, -1)]


@first_rows(known(ADD, "position_transposed"))
def add_transposed(tokens, position):
    return tokens + position.transpose(1, 2)


@first_rows(known(ADD, "position_transposed"))
def add_transposed_reshape_back(tokens, position):
    out = tokens.clone()
    B, T, D = tokens.shape
    for t in range(T):
        for i in range(D):
            out[:, t, i] = tokens[:, t, i] + position[0, i, t]
    return out


@first_rows(known(ADD, "position_by_image"))
def add_by_image(tokens, position):
    return torch.stack([image + position[0, i] for i, image in enumerate(tokens)])


@first_rows(known(ADD, "position_by_image"))
def add_by_image_permuted(tokens, position):
    return tokens + position.permute(1, 0, 2)[: len(tokens)]


@first_rows(known(ADD, "first_image_only"))
def add_first_image(tokens, position):
    out = tokens.clone()
    out[0] += position[0]
    return out


@first_rows(known(ADD, "multiplied"))
def add_multiplied(tokens, position):
    return torch.einsum("btd,btd->btd", tokens, position.expand_as(tokens))


@first_rows(known(ADD, "joined_not_added"))
def add_joined(tokens, position):
    return torch.cat([tokens, position.expand(tokens.shape[0], -1, -1)], dim=2)


@first_rows(known(ADD, "joined_not_added"))
def add_joined_as_tokens(tokens, position):
    return torch.cat([tokens, position.repeat(tokens.shape[0], 1, 1)], dim=1)


@first_rows(known(ADD, "position_forgotten"))
def add_forgotten(tokens, position):
    x = tokens.clone()
    x.add(position)
    return x


@first_rows(known(ADD, "position_forgotten"))
def add_forgotten_loop(tokens, position):
    for image in tokens:
        image = image + position[0]
    return tokens


@first_rows(known(ADD, "added_twice"))
def add_twice(tokens, position):
    x = tokens + position
    return x + position


@first_rows(known(ADD, "one_position_for_all"))
def add_first_row(tokens, position):
    return tokens + position[:, 0]


@first_rows(known(ADD, "one_position_for_all"))
def add_mean_row(tokens, position):
    return tokens + position.mean(dim=1, keepdim=True)


@first_rows(known(ADD, "one_position_for_all"))
def add_last_row(tokens, position):
    return tokens + position[:, -1:, :]


@first_rows(known(ADD, "position_scaled"))
def add_scaled(tokens, position):
    return tokens + position * 0.02


@first_rows(known(ADD, "position_scaled"))
def add_scaled_by_root(tokens, position):
    return tokens + position / tokens.shape[-1] ** 0.5


@first_rows(known(ADD, "tokens_scaled"))
def add_tokens_scaled(tokens, position):
    d_model = tokens.size(-1)
    return tokens * d_model**0.5 + position


@first_rows(known(ADD, "position_detached"))
def add_detached_position(tokens, position):
    table = nn.Parameter(position.detach().clone())
    return tokens + table


@first_rows(known(ADD, "position_detached"))
def add_detached_no_grad(tokens, position):
    with torch.no_grad():
        expanded = position.repeat(len(tokens), 1, 1)
    return tokens + expanded


@first_rows(known(ADD, "not_written"))
def add_not_written(tokens, position):
    raise NotImplementedError


@first_rows(known(ADD, "nothing_returned"))
def add_nothing(tokens, position):
    tokens = tokens + position


@first_rows(known(ADD, "changed_input"))
def add_in_place(tokens, position):
    tokens.add_(position)
    return tokens


@first_rows(known(ADD, "changed_input"))
def add_in_place_rows(tokens, position):
    for t in range(tokens.shape[1]):
        tokens[:, t] += position[0, t]
    return tokens


@first_rows(known(ADD, "wrong_dtype"))
def add_float(tokens, position):
    return tokens.float() + position.float()


@first_rows(known(ADD, "wrong_dtype"))
def add_half_result(tokens, position):
    out = torch.zeros(tokens.shape, device=tokens.device)
    for i in range(len(tokens)):
        out[i] = tokens[i] + position[0]
    return out


@first_rows(known(ADD, "wrong_device"))
def add_into_cpu_zeros(tokens, position):
    out = torch.zeros(tokens.shape, dtype=tokens.dtype)
    for i in range(len(tokens)):
        out[i] = tokens[i] + position[0]
    return out


@first_rows(known(ADD, "detached"))
def add_detached(tokens, position):
    return torch.tensor((tokens + position).tolist(), dtype=tokens.dtype)


@first_rows(known(ADD, "detached"))
def add_detached_data(tokens, position):
    return tokens.data + position.data


# The position, mistakes of no name.


@first_rows(unknown(ADD, "position_scaled"))  # by -1, as its message says
def add_subtracted(tokens, position):
    return tokens - position


@first_rows(unknown(ADD))
def add_then_norm(tokens, position):
    return F.layer_norm(tokens + position, tokens.shape[-1:])


@first_rows(unknown(ADD))
def add_half_of_the_width(tokens, position):
    half = tokens.shape[-1] // 2
    out = tokens.clone()
    out[..., :half] = out[..., :half] + position[..., :half]
    return out


@first_rows(unknown(ADD))
def add_mean_of_both(tokens, position):
    return (tokens + position) / 2


@first_rows(unknown(ADD))
def add_cumulated(tokens, position):
    return tokens + position.cumsum(dim=1)


# The position, two at once.


@first_rows(two(ADD, "patches_only", "shifted_by_one"))
def add_two_patches_shifted(tokens, position):
    return torch.cat([tokens[:, :1], tokens[:, 1:] + position[:, :-1]], dim=1)


@first_rows(two(ADD, "first_image_only", "reversed_order"))
def add_two_first_reversed(tokens, position):
    out = tokens.clone()
    out[0] += position[0].flip(0)
    return out


@first_rows(two(ADD, "tokens_scaled", "position_scaled"))
def add_two_scaled_both(tokens, position):
    return tokens * tokens.shape[-1] ** 0.5 + 0.02 * position


@first_rows(two(ADD, "changed_input", "added_twice"))
def add_two_in_place_twice(tokens, position):
    tokens += position
    return tokens + position


# The position, right.


@first_rows(right(ADD))
def add_module(tokens, position):
    class Add(nn.Module):
        def __init__(self, table, p=0.0):
            super().__init__()
            self.table, self.dropout = table, nn.Dropout(p)

        def forward(self, x):
            return self.dropout(x + self.table[:, : x.shape[1]])

    return Add(position)(tokens)


@first_rows(right(ADD))
def add_embedding_lookup(tokens, position):
    rows = F.embedding(torch.arange(tokens.shape[1], device=tokens.device), position[0])
    return tokens + rows[None]


@first_rows(right(ADD))
def add_whiles(tokens, position):
    out, t = tokens.clone(), 0
    while t < tokens.shape[1]:
        out[:, t, :] = out[:, t, :] + position[:, t, :]
        t += 1
    return out


@first_rows(right(ADD))
def add_transposed_twice(tokens, position):
    return (tokens.mT + position.mT).mT


@first_rows(right(ADD))
def add_einsum_ones(tokens, position):
    ones = tokens.new_ones(len(tokens))
    return tokens + torch.einsum("b,otd->btd", ones, position)


@first_rows(right(ADD))
def add_linear(tokens, position):
    eye = torch.eye(tokens.shape[-1]).to(tokens)
    return F.linear(position, eye) + tokens


# Met in a class.


@known("check_prepend_class_token", "first_patch_overwritten")
def prepend_over_the_first(tokens, class_token):
    tokens[:, 0] = class_token[0]
    return tokens


@known("check_prepend_class_token", "batch_size_fixed")
def prepend_for_32(tokens, class_token):
    return torch.cat([class_token.repeat(32, 1, 1), tokens], dim=1)


@first_rows(known(ADD, "rows_counted_by_images"))
def add_size_0(tokens, position):
    return tokens + position[:, : tokens.size(0)]


# Without a name: what nobody has listed.


@unknown(JOIN)
def join_token_times_a_patch(tokens, class_token):
    return torch.cat([class_token * tokens[:, :1], tokens], dim=1)
