"""The 2-D sinusoidal table."""

import math

import einops
import numpy as np
import torch
import torch.nn as nn

from . import known, right, two, unknown

SINCOS = "check_sincos_2d"


def one_axis(places, width, base=10000.0):
    """(n,) -> (n, width): sines, then cosines."""
    omega = torch.arange(width // 2, dtype=torch.float64) / (width / 2)
    omega = 1.0 / base**omega
    angles = torch.as_tensor(places).double()[:, None] * omega[None]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def places(grid):
    rows, cols = grid
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(cols), indexing="ij")
    return y.flatten(), x.flatten()


# One mistake.


@known(SINCOS, "not_written")
def table_not_written(grid, dim):
    raise NotImplementedError("2-D positions")


@known(SINCOS, "nothing_returned")
def table_nothing(grid, dim):
    y, x = places(grid)
    torch.cat([one_axis(y, dim // 2), one_axis(x, dim // 2)], 1).float()


@known(SINCOS, "wrong_dtype")
def table_float64_numpy(grid, dim):
    rows, cols = np.indices(grid).reshape(2, -1)
    omega = 10000.0 ** -(np.arange(dim // 4) / (dim / 4))
    parts = [f(np.outer(place, omega)) for place in (rows, cols) for f in (np.sin, np.cos)]
    return torch.from_numpy(np.concatenate(parts, axis=1))


@known(SINCOS, "wrong_dtype")
def table_float64_torch(grid, dim):
    y, x = places(grid)
    return torch.cat([one_axis(y, dim // 2), one_axis(x, dim // 2)], 1)


@known(SINCOS, "interleaved")
def table_interleaved(grid, dim):
    y, x = places(grid)

    def encode(place, width):
        pe = torch.zeros(len(place), width)
        div = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
        pe[:, 0::2] = torch.sin(place[:, None] * div)
        pe[:, 1::2] = torch.cos(place[:, None] * div)
        return pe

    return torch.cat([encode(y, dim // 2), encode(x, dim // 2)], dim=1)


@known(SINCOS, "interleaved")
def table_interleaved_stack(grid, dim):
    y, x = places(grid)
    omega = 10000 ** (-torch.arange(dim // 4) / (dim / 4))
    halves = [
        torch.stack([(p[:, None] * omega).sin(), (p[:, None] * omega).cos()], dim=-1).flatten(1)
        for p in (y, x)
    ]
    return torch.hstack(halves)


@known(SINCOS, "cosines_first")
def table_cosines_first(grid, dim):
    y, x = places(grid)
    omega = torch.exp(-math.log(10000) * torch.arange(dim // 4) / (dim // 4))
    ay, ax = y[:, None] * omega, x[:, None] * omega
    return torch.cat([ay.cos(), ay.sin(), ax.cos(), ax.sin()], dim=-1)


@known(SINCOS, "sines_only")
def table_sines_only(grid, dim):
    y, x = places(grid)
    omega = 1 / 10000 ** (torch.arange(dim // 4) / (dim // 4))
    out = []
    for p in (y, x):
        out += [torch.sin(torch.outer(p, omega)), torch.sin(torch.outer(p, omega))]
    return torch.cat(out, 1)


@known(SINCOS, "halves_exchanged")
def table_simple_vit(grid, dim):
    y, x = torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing="ij")
    omega = torch.arange(dim // 4) / (dim // 4)
    omega = 1.0 / (10000**omega)
    y = y.flatten()[:, None] * omega[None, :]
    x = x.flatten()[:, None] * omega[None, :]
    return torch.cat((x.sin(), x.cos(), y.sin(), y.cos()), dim=1)


@known(SINCOS, "halves_exchanged")
def table_mae_order(grid, dim):
    w, h = np.meshgrid(np.arange(grid[1]), np.arange(grid[0]))
    emb = [one_axis(part.reshape(-1), dim // 2) for part in (w, h)]
    return torch.cat(emb, dim=1).float()


@known(SINCOS, "patches_in_column_order")
def table_column_order(grid, dim):
    y, x = torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing="xy")
    return torch.cat([one_axis(y.flatten(), dim // 2), one_axis(x.flatten(), dim // 2)], 1).float()


@known(SINCOS, "patches_in_column_order")
def table_column_order_repeat(grid, dim):
    rows, cols = grid
    row = one_axis(torch.arange(rows), dim // 2).repeat(cols, 1)
    col = one_axis(torch.arange(cols), dim // 2).repeat_interleave(rows, dim=0)
    return torch.cat([row, col], -1).to(torch.float32)


@known(SINCOS, "rows_and_columns_swapped")
def table_divided_by_rows(grid, dim):
    rows, cols = grid
    n = torch.arange(rows * cols)
    return torch.cat([one_axis(n // rows, dim // 2), one_axis(n % rows, dim // 2)], dim=1).float()


@known(SINCOS, "rows_and_columns_swapped")
def table_width_height(grid, dim):
    width, height = grid
    table = [
        torch.cat([one_axis([y], dim // 2)[0], one_axis([x], dim // 2)[0]])
        for y in range(height)
        for x in range(width)
    ]
    return torch.stack(table).float()


@known(SINCOS, "square_grid_assumed")
def table_square(grid, dim):
    n = grid[0]
    y, x = places((n, n))
    return torch.cat([one_axis(y, dim // 2), one_axis(x, dim // 2)], 1).float()


@known(SINCOS, "square_grid_assumed")
def table_square_by_root(grid, dim):
    side = int(math.sqrt(grid[0] * grid[1]))
    y, x = places((side, side))
    return torch.cat([one_axis(y, dim // 2), one_axis(x, dim // 2)], 1).float()


@known(SINCOS, "one_dimensional")
def table_one_dimensional(grid, dim):
    return one_axis(torch.arange(grid[0] * grid[1]), dim).float()


@known(SINCOS, "row_in_both_halves")
def table_rows_twice(grid, dim):
    rows, cols = grid
    row = one_axis(torch.arange(rows), dim // 2).float()
    row = row[:, None, :].expand(rows, cols, dim // 2)
    return torch.cat([row, row], dim=2).reshape(rows * cols, dim)


@known(SINCOS, "added_not_joined")
def table_added(grid, dim):
    y, x = places(grid)
    return (one_axis(y, dim) + one_axis(x, dim)).float()


@known(SINCOS, "class_row_added")
def table_with_class_row(grid, dim):
    y, x = places(grid)
    table = torch.cat([one_axis(y, dim // 2), one_axis(x, dim // 2)], 1).float()
    return torch.cat([torch.zeros(1, dim), table])


@known(SINCOS, "grid_not_flattened")
def table_as_a_grid(grid, dim):
    rows, cols = grid
    table = torch.empty(rows, cols, dim)
    table[..., : dim // 2] = one_axis(torch.arange(rows), dim // 2)[:, None]
    table[..., dim // 2 :] = one_axis(torch.arange(cols), dim // 2)[None]
    return table


@known(SINCOS, "counted_from_one")
def table_from_one(grid, dim):
    y, x = places(grid)
    return torch.cat([one_axis(y + 1, dim // 2), one_axis(x + 1, dim // 2)], 1).float()


@known(SINCOS, "counted_from_one")
def table_cumsum(grid, dim):
    mask = torch.ones(grid)
    y, x = mask.cumsum(0).flatten(), mask.cumsum(1).flatten()
    return torch.cat([one_axis(y, dim // 2), one_axis(x, dim // 2)], 1).float()


@known(SINCOS, "degrees")
def table_degrees(grid, dim):
    y, x = places(grid)
    return torch.cat(
        [
            one_axis(torch.deg2rad(y.double()), dim // 2),
            one_axis(torch.deg2rad(x.double()), dim // 2),
        ],
        1,
    ).float()


@known(SINCOS, "degrees")
def table_radians_math(grid, dim):
    omega = [10000 ** (-i / (dim / 4)) for i in range(dim // 4)]
    row = lambda p: (
        [math.sin(math.radians(p * w)) for w in omega]
        + [math.cos(math.radians(p * w)) for w in omega]
    )
    return torch.tensor([row(y) + row(x) for y in range(grid[0]) for x in range(grid[1])])


@known(SINCOS, "scaled_to_one")
def table_scaled(grid, dim):
    rows, cols = grid
    y, x = places(grid)
    return torch.cat([one_axis(y / rows, dim // 2), one_axis(x / cols, dim // 2)], 1).float()


@known(SINCOS, "scaled_to_one")
def table_linspace(grid, dim):
    y, x = torch.meshgrid(
        torch.linspace(0, 1, grid[0]), torch.linspace(0, 1, grid[1]), indexing="ij"
    )
    return torch.cat([one_axis(y.flatten(), dim // 2), one_axis(x.flatten(), dim // 2)], 1).float()


@known(SINCOS, "last_frequency_included")
def table_linspace_frequencies(grid, dim):
    y, x = places(grid)
    omega = 10000.0 ** -torch.linspace(0, 1, dim // 4)
    ay, ax = torch.outer(y.float(), omega), torch.outer(x.float(), omega)
    return torch.cat((ay.sin(), ay.cos(), ax.sin(), ax.cos()), dim=1)


@known(SINCOS, "last_frequency_included")
def table_minus_one(grid, dim):
    y, x = places(grid)
    omega = torch.arange(dim // 4) / max(dim // 4 - 1, 1)
    omega = 1.0 / (10000**omega)
    y, x = y[:, None] * omega, x[:, None] * omega
    return torch.cat((y.sin(), y.cos(), x.sin(), x.cos()), dim=1)


@known(SINCOS, "frequency_of_whole_width")
def table_whole_width(grid, dim):
    y, x = places(grid)
    omega = torch.exp(torch.arange(0, dim // 2, 2) * -(math.log(10000.0) / dim))
    parts = [f(p[:, None] * omega) for p in (y, x) for f in (torch.sin, torch.cos)]
    return torch.cat(parts, 1)


@known(SINCOS, "another_base")
def table_base_20(grid, dim):  # 100 would be what a wrong width gives, too
    y, x = places(grid)
    return torch.cat([one_axis(y, dim // 2, 20.0), one_axis(x, dim // 2, 20.0)], 1).float()


@known(SINCOS, "another_base")
def table_base_1000(grid, dim, temperature=1000):
    y, x = places(grid)
    return torch.cat([one_axis(p, dim // 2, float(temperature)) for p in (y, x)], 1).float()


@known(SINCOS, "frequencies_rise")
def table_rising(grid, dim):
    y, x = places(grid)
    omega = 10000.0 ** (torch.arange(dim // 4, dtype=torch.float64) / (dim / 4))
    parts = [f(torch.outer(p.double(), omega)) for p in (y, x) for f in (torch.sin, torch.cos)]
    return torch.cat(parts, 1).float()


# Mistakes of no name.


@unknown(SINCOS)
def table_all_sines_first(grid, dim):
    y, x = places(grid)
    row, col = one_axis(y, dim // 2).chunk(2, 1), one_axis(x, dim // 2).chunk(2, 1)
    return torch.cat([row[0], col[0], row[1], col[1]], dim=1).float()


@unknown(SINCOS)
def table_times_pi(grid, dim):
    y, x = places(grid)
    return torch.cat([one_axis(y * math.pi, dim // 2), one_axis(x * math.pi, dim // 2)], 1).float()


@unknown(SINCOS)
def table_centred(grid, dim):
    y, x = places(grid)
    return torch.cat(
        [one_axis(y - grid[0] / 2, dim // 2), one_axis(x - grid[1] / 2, dim // 2)], 1
    ).float()


@unknown(SINCOS)
def table_cosine_negated(grid, dim):
    y, x = places(grid)
    table = torch.cat([one_axis(y, dim // 2), one_axis(x, dim // 2)], 1).float()
    table[:, dim // 4 : dim // 2] *= -1
    return table


@unknown(SINCOS)
def table_unit_norm(grid, dim):
    y, x = places(grid)
    table = torch.cat([one_axis(y, dim // 2), one_axis(x, dim // 2)], 1).float()
    return table / table.norm(dim=1, keepdim=True)


# Two at once.


@two(SINCOS, "interleaved", "halves_exchanged")
def table_two_interleaved_exchanged(grid, dim):
    y, x = places(grid)
    mix = lambda t: einops.rearrange(t, "n (f i) -> n (i f)", f=2)
    return torch.cat([mix(one_axis(x, dim // 2)), mix(one_axis(y, dim // 2))], 1).float()


@two(SINCOS, "cosines_first", "counted_from_one")
def table_two_cosines_from_one(grid, dim):
    y, x = places(grid)
    turn = lambda t: torch.cat(t.chunk(2, 1)[::-1], 1)
    return torch.cat([turn(one_axis(y + 1, dim // 2)), turn(one_axis(x + 1, dim // 2))], 1).float()


@two(SINCOS, "halves_exchanged", "last_frequency_included")
def table_two_simple_vit(grid, dim):
    y, x = places(grid)
    omega = 1.0 / 10000 ** (torch.arange(dim // 4) / max(dim // 4 - 1, 1))
    y, x = y[:, None] * omega, x[:, None] * omega
    return torch.cat((x.sin(), x.cos(), y.sin(), y.cos()), dim=1)


@two(SINCOS, "wrong_dtype", "halves_exchanged")
def table_two_mae(grid, dim):
    w, h = np.meshgrid(np.arange(grid[1]), np.arange(grid[0]))
    return torch.cat([one_axis(part.reshape(-1), dim // 2) for part in (w, h)], dim=1)


# Right.


@right(SINCOS)
def table_plain_math(grid, dim):
    rows, cols = grid
    out = []
    for y in range(rows):
        for x in range(cols):
            vector = []
            for place in (y, x):
                angles = [place / 10000 ** (4 * i / dim) for i in range(dim // 4)]
                vector += [math.sin(a) for a in angles] + [math.cos(a) for a in angles]
            out.append(vector)
    return torch.tensor(out)


@right(SINCOS)
def table_cosine_as_shifted_sine(grid, dim):
    place = torch.cartesian_prod(torch.arange(grid[0]), torch.arange(grid[1])).double()
    omega = torch.logspace(0, -4 * (1 - 4 / dim), dim // 4, dtype=torch.float64)
    phase = torch.tensor([0.0, math.pi / 2], dtype=torch.float64)
    table = torch.sin(place[:, :, None, None] * omega + phase[:, None])
    return table.flatten(1).float()


@right(SINCOS)
def table_embedding_module(grid, dim):
    class Positions(nn.Module):
        def __init__(self):
            super().__init__()
            y, x = places(grid)
            self.register_buffer(
                "table", torch.cat([one_axis(y, dim // 2), one_axis(x, dim // 2)], 1).float()
            )

    return Positions().table


@right(SINCOS)
def table_parameter(grid, dim):
    y, x = places(grid)
    return nn.Parameter(
        torch.cat([one_axis(y, dim // 2), one_axis(x, dim // 2)], 1).float(), requires_grad=False
    )


@right(SINCOS)
def table_single_precision(grid, dim, temperature=10000.0):
    y, x = places(grid)
    omega = 1.0 / temperature ** (torch.arange(dim // 4) / (dim // 4))
    table = torch.empty(len(y), dim)
    for n, part in enumerate((y, x)):
        table[:, n * dim // 2 : n * dim // 2 + dim // 4] = torch.sin(part[:, None] * omega)
        table[:, n * dim // 2 + dim // 4 : (n + 1) * dim // 2] = torch.cos(part[:, None] * omega)
    return table


@right(SINCOS)
def table_numpy_broadcast(grid, dim):
    omega = np.exp(-np.log(10000) * np.arange(dim // 4) / (dim // 4)).astype(np.float32)
    axis = lambda n: np.hstack(
        [np.sin(np.arange(n)[:, None] * omega), np.cos(np.arange(n)[:, None] * omega)]
    )
    row = np.broadcast_to(axis(grid[0])[:, None], (*grid, dim // 2))
    col = np.broadcast_to(axis(grid[1])[None], (*grid, dim // 2))
    return torch.from_numpy(np.concatenate([row, col], -1).reshape(-1, dim)).float()
