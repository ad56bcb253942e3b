"""Row plus column, and a larger grid: by the author of the checks, unlike the other modules."""

import numpy as np
import torch
import torch.nn.functional as F

from . import known, right, two, unknown

SHARE, LARGER = "check_row_plus_column", "check_enlarge_positions"


# The share, right.


@right(SHARE)
def share_means(table, grid):
    x = table.view(*grid, -1)
    x = x - x.mean(dim=(0, 1))
    fit = x.mean(1, keepdim=True) + x.mean(0, keepdim=True)
    return fit.expand_as(x).pow(2).sum() / x.pow(2).sum()


@right(SHARE)
def share_residual(table, grid):
    x = table.reshape(*grid, -1).double()
    mean = x.mean((0, 1), keepdim=True)
    rest = x - x.mean(1, keepdim=True) - x.mean(0, keepdim=True) + mean
    return 1 - (rest**2).sum() / ((x - mean) ** 2).sum()


@right(SHARE)
def share_sums(table, grid):
    """Row part and column part are orthogonal, so their squares add up."""
    R, C = grid
    x = (table - table.mean(0)).view(R, C, -1)
    explained = C * x.mean(1).square().sum() + R * x.mean(0).square().sum()
    return (explained / x.square().sum()).item()


@right(SHARE)
def share_least_squares(table, grid):
    """Regression on dummy variables."""
    R, C = grid
    n = torch.arange(R * C)
    dummies = torch.cat([F.one_hot(n // C, R), F.one_hot(n % C, C)], dim=1).double()
    x = table.double() - table.double().mean(0)
    fit = dummies @ torch.linalg.pinv(dummies) @ x
    return fit.square().sum() / x.square().sum()


@right(SHARE)
def share_numpy(table, grid):
    x = table.numpy().reshape(*grid, -1)
    x = x - x.mean((0, 1))
    fit = x.mean(1, keepdims=True) + x.mean(0, keepdims=True)
    return float((np.broadcast_to(fit, x.shape) ** 2).sum() / (x**2).sum())


# The share, one mistake.


@known(SHARE, "mean_left_in")
def share_uncentred(table, grid):
    x = table.view(*grid, -1)
    fit = x.mean(1, keepdim=True) + x.mean(0, keepdim=True) - x.mean((0, 1))
    return fit.expand_as(x).pow(2).sum() / x.pow(2).sum()


@known(SHARE, "mean_left_in")
def share_double_mean(table, grid):
    x = table.view(*grid, -1)
    fit = x.mean(1, keepdim=True) + x.mean(0, keepdim=True)
    return fit.pow(2).sum() / x.pow(2).sum()


@known(SHARE, "one_mean_for_all_entries")
def share_one_mean(table, grid):
    x = (table - table.mean()).view(*grid, -1)
    fit = x.mean(1, keepdim=True) + x.mean(0, keepdim=True)
    return fit.pow(2).sum() / x.pow(2).sum()


@known(SHARE, "rows_alone")
def share_rows(table, grid):
    x = (table - table.mean(0)).view(*grid, -1)
    return grid[1] * x.mean(1).pow(2).sum() / x.pow(2).sum()


@known(SHARE, "columns_alone")
def share_columns(table, grid):
    x = (table - table.mean(0)).view(*grid, -1)
    return grid[0] * x.mean(0).pow(2).sum() / x.pow(2).sum()


@known(SHARE, "grid_exchanged")
def share_wrong_grid(table, grid):
    rows, columns = grid
    return share_means.fn(table, (columns, rows))


@known(SHARE, "what_is_left_over")
def share_rest(table, grid):
    x = table.view(*grid, -1)
    rest = x - x.mean(1, keepdim=True) - x.mean(0, keepdim=True) + x.mean((0, 1))
    return rest.pow(2).sum() / (x - x.mean((0, 1))).pow(2).sum()


@known(SHARE, "counted_once")
def share_unweighted(table, grid):
    x = (table - table.mean(0)).view(*grid, -1)
    return (x.mean(0).pow(2).sum() + x.mean(1).pow(2).sum()) / x.pow(2).sum()


@known(SHARE, "root_of_the_share")
def share_norms(table, grid):
    x = (table - table.mean(0)).view(*grid, -1)
    fit = (x.mean(1, keepdim=True) + x.mean(0, keepdim=True)).expand_as(x)
    return fit.norm() / x.norm()


@known(SHARE, "not_a_share")
def share_mean_square(table, grid):
    x = (table - table.mean(0)).view(*grid, -1)
    return (x.mean(1, keepdim=True) + x.mean(0, keepdim=True)).square().mean()


@known(SHARE, "mean_of_shares")
def share_by_entry(table, grid):
    x = (table - table.mean(0)).view(*grid, -1)
    fit = (x.mean(1, keepdim=True) + x.mean(0, keepdim=True)).expand_as(x)
    return (fit.var((0, 1)) / x.var((0, 1))).mean()


@known(SHARE, "changed_input")
def share_in_place(table, grid):
    table -= table.mean(0)
    return share_means.fn(table, grid)


@known(SHARE, "nothing_returned")
def share_prints(table, grid):
    print(share_means.fn(table, grid))


@unknown(SHARE)
def share_product(table, grid):
    x = (table - table.mean(0)).view(*grid, -1)
    fit = x.mean(1, keepdim=True) * x.mean(0, keepdim=True)
    return fit.pow(2).sum() / x.pow(2).sum()


@unknown(SHARE, "root_of_the_share")  # it is that root
def share_correlation(table, grid):
    x = (table - table.mean(0)).view(*grid, -1)
    fit = (x.mean(1, keepdim=True) + x.mean(0, keepdim=True)).expand_as(x)
    return torch.corrcoef(torch.stack([fit.flatten(), x.flatten()]))[0, 1].abs()


@unknown(SHARE)
def share_first_entry(table, grid):
    return share_means.fn(table[:, :1], grid)


@two(SHARE, "rows_alone", "root_of_the_share")
def share_rows_root(table, grid):
    return share_rows.fn(table, grid).sqrt()


@two(SHARE, "grid_exchanged", "what_is_left_over")
def share_rest_wrong_grid(table, grid):
    return share_rest.fn(table, grid[::-1])


@two(SHARE, "columns_alone", "mean_left_in")
def share_columns_uncentred(table, grid):
    x = table.view(*grid, -1)
    return grid[0] * x.mean(0).pow(2).sum() / x.pow(2).sum()


# A larger grid, right.


def as_image(table, grid):
    return table.permute(0, 2, 1).reshape(1, -1, *grid)


@right(LARGER)
def larger_plain(table, old, new):
    image = F.interpolate(as_image(table, old), size=new, mode="bilinear")
    return image.flatten(2).permute(0, 2, 1)


@right(LARGER)
def larger_antialias(table, old, new):
    image = F.interpolate(as_image(table, old), new, mode="bilinear", antialias=True)
    return image.permute(0, 2, 3, 1).reshape(1, new[0] * new[1], -1)


@right(LARGER)
def larger_two_steps(table, old, new):
    """One axis after the other."""
    image = as_image(table, old)
    image = F.interpolate(image, (new[0], old[1]), mode="bilinear", align_corners=False)
    image = F.interpolate(image, (new[0], new[1]), mode="bilinear", align_corners=False)
    return image.flatten(2).mT


@right(LARGER)
def larger_scale(table, old, new):
    scale = new[0] / old[0], new[1] / old[1]
    image = F.interpolate(as_image(table, old), scale_factor=scale, mode="bilinear")
    return image.flatten(2).mT


@right(LARGER)
def larger_view(table, old, new):
    image = table[0].T.view(1, table.shape[2], old[0], old[1])
    return F.interpolate(image, size=new, mode="bilinear").flatten(2).transpose(1, 2)


# A larger grid, one mistake.


@known(LARGER, "axes_not_moved")
def larger_reshape(table, old, new):
    image = table.reshape(1, table.shape[-1], *old)
    return F.interpolate(image, new, mode="bilinear").flatten(2).transpose(1, 2)


@known(LARGER, "not_moved_back")
def larger_reshape_back(table, old, new):
    image = F.interpolate(as_image(table, old), new, mode="bilinear")
    return image.reshape(1, new[0] * new[1], table.shape[-1])


@known(LARGER, "along_the_line")
def larger_line(table, old, new):
    return F.interpolate(table.mT, size=new[0] * new[1], mode="linear").mT


@known(LARGER, "nearest")
def larger_default(table, old, new):
    return F.interpolate(as_image(table, old), new).flatten(2).transpose(1, 2)


@known(LARGER, "bicubic")
def larger_bicubic(table, old, new):
    return F.interpolate(as_image(table, old), new, mode="bicubic").flatten(2).mT


@known(LARGER, "bicubic")
def larger_bicubic_antialias(table, old, new):
    image = F.interpolate(as_image(table, old), new, mode="bicubic", antialias=True)
    return image.flatten(2).mT


@known(LARGER, "corners_aligned")
def larger_corners(table, old, new):
    image = F.interpolate(as_image(table, old), new, mode="bilinear", align_corners=True)
    return image.flatten(2).mT


@known(LARGER, "grid_exchanged")
def larger_width_first(table, old, new):
    return larger_plain.fn(table, old[::-1], new[::-1])


@known(LARGER, "grid_exchanged")
def larger_new_swapped(table, old, new):
    return larger_plain.fn(table, old, (new[1], new[0]))


@known(LARGER, "repeated")
def larger_repeat(table, old, new):
    length = new[0] * new[1]
    return table.repeat(1, -(-length // table.shape[1]), 1)[:, :length]


@known(LARGER, "filled_with_zeros")
def larger_zeros(table, old, new):
    image = table.new_zeros(1, table.shape[2], *new)
    image[:, :, : old[0], : old[1]] = as_image(table, old)
    return image.flatten(2).mT


@known(LARGER, "batch_lost")
def larger_squeezed(table, old, new):
    return larger_plain.fn(table, old, new).squeeze(0)


@known(LARGER, "detached")
def larger_data(table, old, new):
    return larger_plain.fn(table.data, old, new)


@known(LARGER, "nothing_returned")
def larger_prints(table, old, new):
    print(larger_plain.fn(table, old, new).shape)


@unknown(LARGER)
def larger_reversed(table, old, new):
    return F.interpolate(as_image(table, old), new, mode="bilinear").flatten(2).mT.flip(1)


@unknown(LARGER)
def larger_mean(table, old, new):
    return table.mean(1, keepdim=True).expand(1, new[0] * new[1], -1)


@unknown(LARGER)
def larger_scaled(table, old, new):
    return larger_plain.fn(table, old, new) * (new[0] / old[0])


@two(LARGER, "axes_not_moved", "not_moved_back")
def larger_both_reshapes(table, old, new):
    image = F.interpolate(table.reshape(1, -1, *old), new, mode="bilinear")
    return image.reshape(1, new[0] * new[1], -1)


@two(LARGER, "nearest", "not_moved_back")
def larger_nearest_reshape(table, old, new):
    return F.interpolate(as_image(table, old), new).reshape(1, new[0] * new[1], -1)


@two(LARGER, "corners_aligned", "grid_exchanged")
def larger_corners_swapped(table, old, new):
    return larger_corners.fn(table, old[::-1], new[::-1])
