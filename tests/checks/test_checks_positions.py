"""check_sincos_2d: every mistake named, every style accepted."""

import itertools
import math

import numpy as np
import pytest
import torch
from checks_common import is_accepted, is_named, mistake_id, mistakes, rejects_both, verdict

from vit_tutorial.checks.exercises.sincos_2d import interleaved, joined, table
from vit_tutorial.checks.unlisted import NAMES
from vit_tutorial.model.positions import sinusoidal_2d

NAME = "check_sincos_2d"


@pytest.mark.parametrize(("name", "mistake"), mistakes(NAME), ids=mistake_id)
def test_each_mistake_is_rejected_and_named(name, mistake):
    is_named(name, mistake)


def with_loops(grid, dim):
    rows, cols = grid
    result = torch.zeros(rows * cols, dim)
    for n in range(rows * cols):
        for half, place in enumerate((n // cols, n % cols)):
            for i in range(dim // 4):
                angle = place / 10_000 ** (i / (dim / 4))
                result[n, half * dim // 2 + i] = math.sin(angle)
                result[n, half * dim // 2 + dim // 4 + i] = math.cos(angle)
    return result


def with_numpy(grid, dim):
    omega = 1 / 10_000 ** (np.arange(dim // 4, dtype=np.float64) / (dim / 4))
    row, column = np.indices(grid).reshape(2, -1)
    angles = [np.einsum("m,d->md", place, omega) for place in (row, column)]
    return torch.from_numpy(
        np.concatenate([f(a) for a in angles for f in (np.sin, np.cos)], axis=1)
    ).float()


def with_meshgrid(size, dim, temperature=10_000):
    y, x = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    omega = 1.0 / temperature ** (torch.arange(dim // 4) / (dim // 4))
    y, x = y.flatten()[:, None] * omega, x.flatten()[:, None] * omega
    return torch.cat((y.sin(), y.cos(), x.sin(), x.cos()), dim=1)


def with_logarithms(grid, dim):
    frequency = torch.exp(
        torch.arange(0, dim // 2, 2, dtype=torch.float64) * (-math.log(10_000.0) / (dim // 2))
    )
    places = torch.cartesian_prod(torch.arange(grid[0]), torch.arange(grid[1])).double()  # (N, 2)
    angle = places[:, :, None] * frequency
    return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1).float()


def with_expand(grid, dim):
    def one(length):
        angle = torch.outer(torch.arange(length), 10_000 ** (-torch.arange(dim // 4) / (dim // 4)))
        return torch.cat([angle.sin(), angle.cos()], dim=1)

    row, column = (
        one(grid[0])[:, None].expand(-1, grid[1], -1),
        one(grid[1])[None].expand(grid[0], -1, -1),
    )
    return torch.cat([row, column], dim=2).flatten(0, 1)


def in_place(grid, dim):
    rows, cols = grid
    result, m = torch.empty(rows, cols, dim), dim // 4
    frequency = torch.logspace(0, -4 * (m - 1) / m, m) if m > 1 else torch.ones(1)
    for part, size, shape in ((0, rows, (rows, 1, m)), (1, cols, (1, cols, m))):
        angle = (torch.arange(size)[:, None] * frequency).reshape(shape)
        result[..., 2 * part * m : (2 * part + 1) * m] = angle.sin()
        result[..., (2 * part + 1) * m : (2 * part + 2) * m] = angle.cos()
    return result.reshape(rows * cols, dim)


def with_complex_numbers(grid, dim):
    frequency = 10_000 ** (-torch.arange(dim // 4) / (dim // 4))
    n = torch.arange(grid[0] * grid[1])
    waves = [
        torch.polar(torch.ones(1), torch.outer(place, frequency))
        for place in (n // grid[1], n % grid[1])
    ]
    return torch.cat([part for wave in waves for part in (wave.imag, wave.real)], dim=1)


STYLES = [
    with_loops,
    with_numpy,
    with_meshgrid,
    with_logarithms,
    with_expand,
    in_place,
    with_complex_numbers,
]


@pytest.mark.parametrize("fn", STYLES)
def test_each_style_is_accepted(fn):
    is_accepted(NAME, fn)


PARTS = {
    "interleaved": {"waves": interleaved},
    "cosines_first": {"waves": lambda angle: joined(angle.cos(), angle.sin())},
    "sines_only": {"waves": lambda angle: joined(angle.sin(), angle.sin())},
    "halves_exchanged": {"halves": lambda row, column: joined(column, row)},
    "row_in_both_halves": {"halves": lambda row, column: joined(row, row)},
    "patches_in_column_order": {"place": lambda n, rows, cols: (n % rows, n // rows)},
    "rows_and_columns_swapped": {"place": lambda n, rows, cols: (n // rows, n % rows)},
    "counted_from_one": {"unit": lambda position, size: position + 1},
    "degrees": {"unit": lambda position, size: position * math.pi / 180},
    "scaled_to_one": {"unit": lambda position, size: position / size},
    "another_base": {"base": 1_000.0},
    "last_frequency_included": {"exponent": lambda m: torch.arange(m) / (m - 1)},
    "frequency_of_whole_width": {"exponent": lambda m: torch.arange(m) / (2 * m)},
}
# Each of these pairs is a third mistake exactly: no check could tell them apart.
SAME = {
    ("halves_exchanged", "patches_in_column_order"),  # rows_and_columns_swapped
    ("halves_exchanged", "rows_and_columns_swapped"),  # patches_in_column_order
}
PAIRS = [
    (one, two)
    for one, two in itertools.combinations(PARTS, 2)
    if PARTS[one].keys() != PARTS[two].keys() and (one, two) not in SAME
]


@pytest.mark.slow
@pytest.mark.parametrize(("one", "two"), PAIRS)
def test_two_mistakes_in_the_table(one, two):
    # A wrong base and a wrong exponent are together one wrong base.
    named = one if (one, two) == ("another_base", "frequency_of_whole_width") else None
    rejects_both(NAME, lambda grid, dim: table(grid, dim, **PARTS[one] | PARTS[two]), named)


@pytest.mark.parametrize(
    ("fn", "difference"),
    [
        (lambda grid, dim: sinusoidal_2d(grid, dim) * 2, "times 2"),
        (lambda grid, dim: sinusoidal_2d(grid, dim).flip(0), "reverse order along axis 0"),
        (lambda grid, dim: sinusoidal_2d(grid, dim)[None], "only the shape is not"),
        (lambda grid, dim: sinusoidal_2d(grid, dim).T, "axes 0 and 1 exchanged"),
    ],
)
def test_an_unknown_mistake_is_reported_by_its_difference(fn, difference):
    found = verdict(NAME, fn)
    assert not found.passed and found.mistake in (None, *NAMES), found.message
    assert difference in " ".join(found.message.split())


@pytest.mark.parametrize("base", [50, 1_000, 100_000])
def test_the_base_is_reported(base):
    assert (
        f"base {base:.4g},"
        in verdict(NAME, lambda grid, dim: table(grid, dim, base=float(base))).message
    )


def test_a_base_that_is_nearly_right_has_no_name():
    found = verdict(NAME, lambda grid, dim: table(grid, dim, base=10_010.0))
    assert not found.passed and found.mistake is None


def test_the_grid_turned_round_is_named():
    found = verdict(NAME, lambda grid, dim: sinusoidal_2d((grid[1], grid[0]), dim))
    assert found.mistake == "rows_and_columns_swapped"


@pytest.mark.parametrize("over", [2, 4])
def test_both_wrong_widths_are_named(over):
    found = verdict(
        NAME, lambda grid, dim: table(grid, dim, exponent=lambda m: torch.arange(m) / (over * m))
    )
    assert found.mistake == "frequency_of_whole_width"
    assert f"divided by {10_000 ** (1 / (over * 2)):.3g} instead of 100" in found.message
