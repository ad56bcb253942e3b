"""Position tables: direct neighbours, the shuffle test, and the numbers of offsets."""

import numpy as np
import torch
import torch.nn.functional as F

from . import known, right, two, unknown

NEAR = "check_neighbour_cosine"
SHUFFLE = "check_shuffle_test"
OFFSET = "check_offset_numbers"


def cos(u, v):
    return (u @ v / (u.norm() * v.norm())).item()


def every_pair(grid, wanted):
    """(i, j) with i < j for which wanted(rows apart, columns apart)."""
    rows, cols = grid
    return [
        (i, j)
        for i in range(rows * cols)
        for j in range(i + 1, rows * cols)
        if wanted(abs(i // cols - j // cols), abs(i % cols - j % cols))
    ]


def mean_over(table, pairs):
    return sum(cos(table[i], table[j]) for i, j in pairs) / len(pairs)


# Direct neighbours: one mistake.


@known(NEAR, "not_written")
def near_not_written(table, grid):
    raise NotImplementedError


@known(NEAR, "nothing_returned")
def near_printed(table, grid):
    print(mean_over(table, every_pair(grid, lambda d, r: d + r == 1)))


@known(NEAR, "changed_input")
def near_in_place(table, grid):
    table /= table.norm(dim=1, keepdim=True)
    x = table.reshape(*grid, -1)
    found = [(x[1:] * x[:-1]).sum(-1).flatten(), (x[:, 1:] * x[:, :-1]).sum(-1).flatten()]
    return torch.cat(found).mean()


@known(NEAR, "diagonals_included")
def near_rounded_distance(table, grid):
    rows, cols = grid
    y, x = np.indices(grid).reshape(2, -1)
    far = np.hypot(y[:, None] - y, x[:, None] - x)
    c = F.cosine_similarity(table[:, None], table[None], dim=-1)
    return c[torch.from_numpy(np.rint(far) == 1)].mean().item()


@known(NEAR, "diagonals_included")
def near_window(table, grid):
    return mean_over(table, every_pair(grid, lambda d, r: d <= 1 and r <= 1))


@known(NEAR, "itself_included")
def near_up_to_one(table, grid):
    rows, cols = grid
    total, count = 0.0, 0
    for i in range(rows * cols):
        for j in range(rows * cols):
            if abs(i // cols - j // cols) + abs(i % cols - j % cols) <= 1:
                total += cos(table[i], table[j])
                count += 1
    return total / count


@known(NEAR, "all_pairs")
def near_whole_matrix(table, grid):
    c = F.cosine_similarity(table[:, None], table[None], dim=-1)
    n = len(table)
    return ((c.sum() - n) / (n * (n - 1))).item()


@known(NEAR, "around_the_border")
def near_rolled(table, grid):
    x = table.view(*grid, -1)
    down = F.cosine_similarity(x, torch.roll(x, -1, 0), dim=-1)
    right_of = F.cosine_similarity(x, torch.roll(x, -1, 1), dim=-1)
    return float((down.sum() + right_of.sum()) / (down.numel() + right_of.numel()))


@known(NEAR, "along_the_line")
def near_flat(table, grid):
    return F.cosine_similarity(table[:-1], table[1:], dim=1).mean().item()


@known(NEAR, "over_the_end_of_a_row")
def near_one_and_cols(table, grid):
    rows, cols = grid
    n = rows * cols
    pairs = [(i, i + 1) for i in range(n - 1)] + [(i, i + cols) for i in range(n - cols)]
    return mean_over(table, pairs)


@known(NEAR, "beside_only")
def near_right_only(table, grid):
    x = table.view(*grid, -1)
    return F.cosine_similarity(x[:, :-1], x[:, 1:], dim=-1).mean().item()


@known(NEAR, "below_only")
def near_below_only(table, grid):
    x = table.view(*grid, -1)
    return F.cosine_similarity(x[:-1], x[1:], dim=-1).mean().item()


@known(NEAR, "rows_and_columns_swapped")
def near_swapped(table, grid):
    cols, rows = grid
    x = table.view(rows, cols, -1)
    a = F.cosine_similarity(x[:, :-1], x[:, 1:], dim=-1).flatten()
    b = F.cosine_similarity(x[:-1], x[1:], dim=-1).flatten()
    return torch.cat([a, b]).mean().item()


@known(NEAR, "averaged_by_patch")
def near_patch_means(table, grid):
    rows, cols = grid
    means = []
    for r in range(rows):
        for c in range(cols):
            around = [(r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)]
            around = [(y, x) for y, x in around if 0 <= y < rows and 0 <= x < cols]
            own = table[r * cols + c]
            means.append(sum(cos(own, table[y * cols + x]) for y, x in around) / len(around))
    return sum(means) / len(means)


@known(NEAR, "averaged_by_direction")
def near_two_means(table, grid):
    x = F.normalize(table, dim=1).view(*grid, -1)
    parts = [(x[:, 1:] * x[:, :-1]).sum(-1), (x[1:] * x[:-1]).sum(-1)]
    parts = [part.mean() for part in parts if part.numel()]
    return (sum(parts) / len(parts)).item()


@known(NEAR, "dot_products")
def near_dots(table, grid):
    pairs = every_pair(grid, lambda d, r: d + r == 1)
    return sum((table[i] @ table[j]).item() for i, j in pairs) / len(pairs)


@known(NEAR, "lengths_of_entries")
def near_normalize_0(table, grid):
    x = (table / table.norm(dim=0)).view(*grid, -1)
    a, b = (x[:, 1:] * x[:, :-1]).sum(-1), (x[1:] * x[:-1]).sum(-1)
    return torch.cat([a.flatten(), b.flatten()]).mean()


@known(NEAR, "distances")
def near_distances(table, grid):
    pairs = every_pair(grid, lambda d, r: d + r == 1)
    return sum((table[i] - table[j]).norm().item() for i, j in pairs) / len(pairs)


@known(NEAR, "sum_not_mean")
def near_total(table, grid):
    pairs = every_pair(grid, lambda d, r: d + r == 1)
    return sum(cos(table[i], table[j]) for i, j in pairs)


# Others, two at once, right ones.


@unknown(NEAR)
def near_squared(table, grid):
    pairs = every_pair(grid, lambda d, r: d + r == 1)
    return sum(cos(table[i], table[j]) ** 2 for i, j in pairs) / len(pairs)


@unknown(NEAR)
def near_median(table, grid):
    pairs = every_pair(grid, lambda d, r: d + r == 1)
    return float(np.median([cos(table[i], table[j]) for i, j in pairs]))


@unknown(NEAR)
def near_arc(table, grid):
    pairs = every_pair(grid, lambda d, r: d + r == 1)
    return float(np.mean([np.arccos(cos(table[i], table[j])) for i, j in pairs]))


@unknown(NEAR)
def near_two_apart(table, grid):
    pairs = every_pair(grid, lambda d, r: d + r == 2)
    return mean_over(table, pairs) if pairs else 0.0


@two(NEAR, "dot_products", "diagonals_included")
def near_dots_and_diagonals(table, grid):
    pairs = every_pair(grid, lambda d, r: max(d, r) == 1)
    return sum((table[i] @ table[j]).item() for i, j in pairs) / len(pairs)


@two(NEAR, "sum_not_mean", "diagonals_included")
def near_sum_of_window(table, grid):
    return sum(cos(table[i], table[j]) for i, j in every_pair(grid, lambda d, r: max(d, r) == 1))


@two(NEAR, "dot_products", "along_the_line")
def near_dots_in_line(table, grid):
    return (table[1:] * table[:-1]).sum(1).mean().item()


@right(NEAR)
def near_slices(table, grid):
    x = F.normalize(table, dim=-1).reshape(*grid, -1)
    beside, below = (x[:, 1:] * x[:, :-1]).sum(-1), (x[1:] * x[:-1]).sum(-1)
    return ((beside.sum() + below.sum()) / (beside.numel() + below.numel())).item()


@right(NEAR)
def near_loops(table, grid):
    return mean_over(table, every_pair(grid, lambda d, r: d + r == 1))


@right(NEAR)
def near_both_ways(table, grid):
    rows, cols = grid
    found = []
    for r in range(rows):
        for c in range(cols):
            for y, x in ((r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)):
                if 0 <= y < rows and 0 <= x < cols:
                    found.append(cos(table[r * cols + c], table[y * cols + x]))
    return np.mean(found)


@right(NEAR)
def near_mask(table, grid):
    rows, cols = grid
    place = torch.cartesian_prod(torch.arange(rows), torch.arange(cols)).float()
    apart = (place[:, None] - place).abs().sum(-1)
    c = F.cosine_similarity(table[:, None], table[None], dim=-1)
    return c[apart == 1].mean()


@right(NEAR)
def near_numpy(table, grid):
    x = table.numpy().astype(np.float64)
    x = (x / np.linalg.norm(x, axis=1, keepdims=True)).reshape(*grid, -1)
    a = np.einsum("rcd,rcd->rc", x[1:], x[:-1]).ravel()
    b = np.einsum("rcd,rcd->rc", x[:, 1:], x[:, :-1]).ravel()
    return np.concatenate([a, b]).mean()


# The shuffle test: one mistake.


@known(SHUFFLE, "not_written")
def shuffle_not_written(table, grid, orders):
    raise NotImplementedError("later")


@known(SHUFFLE, "nothing_returned")
def shuffle_nothing(table, grid, orders):
    own = near_slices.fn(table, grid)
    sum(near_slices.fn(table[o], grid) >= own for o in orders) / len(orders)


@known(SHUFFLE, "changed_input")
def shuffle_in_place(table, grid, orders):
    own, old, count = near_slices.fn(table, grid), table.clone(), 0
    for order in orders:
        table[:] = old[order]
        count += near_slices.fn(table, grid) >= own
    return count / len(orders)


@known(SHUFFLE, "share_below")
def shuffle_below(table, grid, orders):
    own = near_slices.fn(table, grid)
    return np.mean([near_slices.fn(table[o], grid) < own for o in orders])


@known(SHUFFLE, "count_not_share")
def shuffle_count(table, grid, orders):
    own = near_slices.fn(table, grid)
    return sum(near_slices.fn(table[o], grid) >= own for o in orders)


@known(SHUFFLE, "percent")
def shuffle_percent(table, grid, orders):
    own = near_slices.fn(table, grid)
    return 100 * sum(near_slices.fn(table[o], grid) >= own for o in orders) / len(orders)


@known(SHUFFLE, "table_counted_too")
def shuffle_plus_one(table, grid, orders):
    own = near_slices.fn(table, grid)
    count = 1 + sum(near_slices.fn(table[o], grid) >= own for o in orders)
    return count / (1 + len(orders))


@known(SHUFFLE, "entries_shuffled")
def shuffle_entries(table, grid, orders):
    own = near_slices.fn(table, grid)
    return np.mean([near_slices.fn(table[:, o], grid) >= own for o in orders])


@known(SHUFFLE, "shuffled_again")
def shuffle_chain(table, grid, orders):
    own, now, found = near_slices.fn(table, grid), table, []
    for order in orders:
        now = now[order]
        found.append(near_slices.fn(now, grid))
    return (torch.tensor(found) >= own).float().mean()


@known(SHUFFLE, "inverse_order")
def shuffle_scattered(table, grid, orders):
    own, count = near_slices.fn(table, grid), 0
    for order in orders:
        moved = torch.empty_like(table)
        moved[order] = table
        count += near_slices.fn(moved, grid) >= own
    return count / len(orders)


@known(SHUFFLE, "two_sided")
def shuffle_absolute(table, grid, orders):
    own = abs(near_slices.fn(table, grid))
    return np.mean([abs(near_slices.fn(table[o], grid)) >= own for o in orders])


@known(SHUFFLE, "standard_deviations")
def shuffle_z(table, grid, orders):
    found = np.array([near_slices.fn(table[o], grid) for o in orders])
    spread = found.std(ddof=1) if len(found) > 1 else 1.0
    return (near_slices.fn(table, grid) - found.mean()) / spread


@known(SHUFFLE, "verdict_not_share")
def shuffle_verdict(table, grid, orders):
    own = near_slices.fn(table, grid)
    return float(own > max(near_slices.fn(table[o], grid) for o in orders))


@known(SHUFFLE, "first_order_only")
def shuffle_returns_early(table, grid, orders):
    own, count = near_slices.fn(table, grid), 0
    for order in orders:
        count += near_slices.fn(table[order], grid) >= own
        return count / 1


@known(SHUFFLE, "last_order_only")
def shuffle_after_loop(table, grid, orders):
    own = near_slices.fn(table, grid)
    for order in orders:
        value = near_slices.fn(table[order], grid)
    return float(value >= own)


@known(SHUFFLE, "mean_of_the_orders")
def shuffle_mean(table, grid, orders):
    return np.mean([near_slices.fn(table[o], grid) for o in orders])


# Others, two at once, right ones.


@unknown(SHUFFLE)
def shuffle_difference(table, grid, orders):
    found = [near_slices.fn(table[o], grid) for o in orders]
    return near_slices.fn(table, grid) - sum(found) / len(found)


@unknown(SHUFFLE)
def shuffle_odds(table, grid, orders):
    own = near_slices.fn(table, grid)
    share = np.mean([near_slices.fn(table[o], grid) >= own for o in orders])
    return share / (1.01 - share)


@unknown(SHUFFLE)
def shuffle_diagonals(table, grid, orders):
    own = near_window.fn(table, grid)
    return np.mean([near_window.fn(table[o], grid) >= own for o in orders]) * 0.9


@two(SHUFFLE, "share_below", "percent")
def shuffle_below_percent(table, grid, orders):
    return 100 * float(shuffle_below.fn(table, grid, orders))


@two(SHUFFLE, "inverse_order", "count_not_share")
def shuffle_scattered_count(table, grid, orders):
    return shuffle_scattered.fn(table, grid, orders) * len(orders)


@two(SHUFFLE, "entries_shuffled", "percent")
def shuffle_entries_percent(table, grid, orders):
    return 100 * float(shuffle_entries.fn(table, grid, orders))


@right(SHUFFLE)
def shuffle_loop(table, grid, orders):
    own, count = near_slices.fn(table, grid), 0
    for order in orders:
        if near_slices.fn(table[order], grid) >= own:
            count += 1
    return count / len(orders)


@right(SHUFFLE)
def shuffle_numpy(table, grid, orders):
    own = near_slices.fn(table, grid)
    return np.mean([near_slices.fn(table[o], grid) >= own for o in orders])


@right(SHUFFLE)
def shuffle_tensor(table, grid, orders):
    found = torch.tensor([near_slices.fn(table[o], grid) for o in orders])
    return (found >= near_slices.fn(table, grid)).float().mean()


@right(SHUFFLE)
def shuffle_sorted(table, grid, orders):
    found = sorted(near_slices.fn(table[o.tolist()], grid) for o in orders)
    return 1 - np.searchsorted(found, near_slices.fn(table, grid)) / len(found)


@right(SHUFFLE)
def shuffle_generator(table, grid, orders):
    own = near_slices.fn(table, grid)
    return sum(1 for o in orders if not near_slices.fn(table[o], grid) < own) / orders.shape[0]


# Numbers of offsets: one mistake.


def steps(grid):
    rows, cols = grid
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(cols), indexing="ij")
    y, x = y.flatten(), x.flatten()
    return y[:, None] - y[None], x[:, None] - x[None]


@known(OFFSET, "not_written")
def offset_not_written(grid):
    raise NotImplementedError


@known(OFFSET, "nothing_returned")
def offset_nothing(grid):
    down, right_ = steps(grid)
    (down + grid[0] - 1) * (2 * grid[1] - 1) + right_ + grid[1] - 1


@known(OFFSET, "wrong_dtype")
def offset_zeros(grid):
    rows, cols = grid
    out = torch.zeros(rows * cols, rows * cols)
    for i in range(rows * cols):
        for j in range(rows * cols):
            down, right_ = i // cols - j // cols, i % cols - j % cols
            out[i, j] = (down + rows - 1) * (2 * cols - 1) + right_ + cols - 1
    return out


@known(OFFSET, "offset_turned_round")
def offset_key_minus_query(grid):
    rows, cols = grid
    n = torch.arange(rows * cols)
    down, right_ = (n // cols) - (n // cols)[:, None], (n % cols) - (n % cols)[:, None]
    return (down + rows - 1) * (2 * cols - 1) + (right_ + cols - 1)


@known(OFFSET, "numbers_below_zero")
def offset_not_shifted(grid):
    down, right_ = steps(grid)
    return down * (2 * grid[1] - 1) + right_


@known(OFFSET, "numbers_below_zero")
def offset_shifted_in_rows_only(grid):
    down, right_ = steps(grid)
    return (down + grid[0] - 1) * (2 * grid[1] - 1) + right_


@known(OFFSET, "along_the_line")
def offset_of_indices(grid):
    n = torch.arange(grid[0] * grid[1])
    return n[:, None] - n[None] + len(n) - 1


@known(OFFSET, "along_the_line")
def offset_times_width(grid):
    down, right_ = steps(grid)
    return (down + grid[0] - 1) * grid[1] + right_ + grid[1] - 1


@known(OFFSET, "one_too_many_in_a_row")
def offset_times_two_widths(grid):
    down, right_ = steps(grid)
    return (down + grid[0] - 1) * 2 * grid[1] + right_ + grid[1] - 1


@known(OFFSET, "rows_for_columns")
def offset_swin_typo(grid):
    down, right_ = steps(grid)
    return (down + grid[0] - 1) * (2 * grid[0] - 1) + right_ + grid[1] - 1


@known(OFFSET, "grid_turned")
def offset_columns_given_first(grid):
    cols, rows = grid
    down, right_ = steps((rows, cols))
    return (down + rows - 1) * (2 * cols - 1) + right_ + cols - 1


@known(OFFSET, "columns_first")
def offset_columns_times_rows(grid):
    down, right_ = steps(grid)
    return (right_ + grid[1] - 1) * (2 * grid[0] - 1) + down + grid[0] - 1


@known(OFFSET, "patches_in_column_order")
def offset_meshgrid_xy(grid):
    rows, cols = grid
    x, y = torch.meshgrid(torch.arange(cols), torch.arange(rows), indexing="ij")
    x, y = x.flatten(), y.flatten()
    down, right_ = y[:, None] - y, x[:, None] - x
    return (down + rows - 1) * (2 * cols - 1) + right_ + cols - 1


@known(OFFSET, "distances_not_offsets")
def offset_absolute(grid):
    down, right_ = (step.abs() for step in steps(grid))
    return (down + grid[0] - 1) * (2 * grid[1] - 1) + right_ + grid[1] - 1


@known(OFFSET, "steps_added")
def offset_sum(grid):
    down, right_ = steps(grid)
    return down + right_ + grid[0] + grid[1] - 2


@known(OFFSET, "not_flattened")
def offset_in_a_grid(grid):
    rows, cols = grid
    down, right_ = steps(grid)
    number = (down + rows - 1) * (2 * cols - 1) + right_ + cols - 1
    return number.reshape(rows, cols, rows, cols)


@known(OFFSET, "counted_from_one")
def offset_from_one(grid):
    down, right_ = steps(grid)
    return (down + grid[0] - 1) * (2 * grid[1] - 1) + right_ + grid[1]


# Others, two at once, right ones.


@unknown(OFFSET)
def offset_largest_first(grid):
    down, right_ = steps(grid)
    return (grid[0] - 1 - down) * (2 * grid[1] - 1) + right_ + grid[1] - 1


@unknown(OFFSET)
def offset_squared(grid):
    down, right_ = steps(grid)
    return down**2 + right_**2


@unknown(OFFSET)
def offset_pairs(grid):
    return torch.stack(steps(grid), dim=-1)


@unknown(OFFSET)
def offset_first_patch(grid):
    down, right_ = steps(grid)
    return ((down + grid[0] - 1) * (2 * grid[1] - 1) + right_ + grid[1] - 1)[0]


@two(OFFSET, "offset_turned_round", "counted_from_one")
def offset_turned_from_one(grid):
    return offset_key_minus_query.fn(grid) + 1


@two(OFFSET, "along_the_line", "offset_turned_round")
def offset_line_turned(grid):
    return offset_of_indices.fn(grid).T


@two(OFFSET, "rows_for_columns", "wrong_dtype")
def offset_typo_float(grid):
    return offset_swin_typo.fn(grid).float()


@right(OFFSET)
def offset_broadcast(grid):
    down, right_ = steps(grid)
    return (down + grid[0] - 1) * (2 * grid[1] - 1) + right_ + grid[1] - 1


@right(OFFSET)
def offset_loops(grid):
    rows, cols = grid
    numbers = [
        [
            (i // cols - j // cols + rows - 1) * (2 * cols - 1) + i % cols - j % cols + cols - 1
            for j in range(rows * cols)
        ]
        for i in range(rows * cols)
    ]
    return torch.tensor(numbers)


@right(OFFSET)
def offset_swin(grid):
    h, w = grid
    coords = torch.stack(torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")).flatten(1)
    relative = (coords[:, :, None] - coords[:, None, :]).permute(1, 2, 0).contiguous()
    relative[:, :, 0] += h - 1
    relative[:, :, 1] += w - 1
    relative[:, :, 0] *= 2 * w - 1
    return relative.sum(-1)


@right(OFFSET)
def offset_numpy(grid):
    y, x = np.indices(grid).reshape(2, -1)
    number = (y[:, None] - y + grid[0] - 1) * (2 * grid[1] - 1) + x[:, None] - x + grid[1] - 1
    return torch.from_numpy(number)


@right(OFFSET)
def offset_window(grid):
    """A window of a numbered board of offsets, moved from patch to patch."""
    rows, cols = grid
    board = torch.arange((2 * rows - 1) * (2 * cols - 1)).view(2 * rows - 1, 2 * cols - 1)
    windows = [
        board[r : r + rows, c : c + cols].flip(0, 1).flatten()
        for r in range(rows)
        for c in range(cols)
    ]
    return torch.stack(windows)
