"""Attention distance, and the patches that a map ranks highest, as learners write them."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from . import known, right, two, unknown

FAR, COVER = "check_attention_distance", "check_cover_top"


def table_of(grid):
    """Distances by hand, (N, N)."""
    rows, cols = grid
    n = rows * cols
    return torch.tensor(
        [
            [math.hypot(i // cols - j // cols, i % cols - j % cols) for j in range(n)]
            for i in range(n)
        ]
    )


def patches_only(weights):
    return F.normalize(weights[:, :, 1:, 1:], p=1, dim=-1)


# Attention distance: right.


@right(FAR)
def far_by_einsum(weights, grid):
    far = torch.cdist(*2 * [torch.stack(torch.meshgrid(
        *(torch.arange(s, dtype=weights.dtype, device=weights.device) for s in grid),
        indexing="ij"), -1).view(-1, 2)])  # fmt: skip
    w = weights[..., 1:, 1:]
    return torch.einsum("bhqk,qk->bhq", w / w.sum(-1, keepdim=True), far).mean((0, 2))


@right(FAR)
def far_ratio_of_sums(weights, grid):
    rows, cols = grid
    n = torch.arange(rows * cols, device=weights.device)
    dy, dx = n[:, None] // cols - n // cols, n[:, None] % cols - n % cols
    far = (dy**2 + dx**2).to(weights.dtype).sqrt()
    w = weights[:, :, 1:, 1:]
    per_query = (w * far).sum(-1) / w.sum(-1)
    return per_query.mean(-1).mean(0)


@right(FAR)
def far_in_loops(weights, grid):
    B, h, T, _ = weights.shape
    far, total = table_of(grid).to(weights), []
    for head in range(h):
        of_head = []
        for image in range(B):
            for query in range(1, T):
                row = weights[image, head, query, 1:]
                of_head.append((row * far[query - 1]).sum() / row.sum())
        total.append(torch.stack(of_head).mean())
    return torch.stack(total)


@right(FAR)
def far_head_by_head(weights, grid):
    far, found = table_of(grid).to(weights), []
    for head in weights.unbind(1):
        w = head[:, 1:, 1:]
        found.append(((w * far).sum(2) / w.sum(2)).mean())
    return torch.stack(found)


@right(FAR)
def far_renormalised_softmax(weights, grid):
    """Logarithms are scores: softmax over the patches alone renormalises them."""
    w = weights[..., 1:, 1:].log().softmax(-1)
    return w.mul(table_of(grid).to(w)).sum(-1).flatten(2).mean(2).mean(0)


# One mistake that has a name.


@known(FAR, "not_written")
def far_not_written(weights, grid):
    raise NotImplementedError


@known(FAR, "nothing_returned")
def far_printed(weights, grid):
    print((patches_only(weights) * table_of(grid)).sum(-1).mean((0, 2)))


@known(FAR, "not_normalised")
def far_just_cut(weights, grid):
    return torch.einsum("bhqk,qk->h", weights[..., 1:, 1:], table_of(grid).to(weights)) / (
        len(weights) * grid[0] * grid[1]
    )


@known(FAR, "divided_at_the_end")
def far_one_division(weights, grid):
    w = weights[..., 1:, 1:]
    total = torch.einsum("bhqk,qk->h", w, table_of(grid).to(w))
    return total / torch.einsum("bhqk->h", w)


@known(FAR, "class_token_counted")
def far_padded(weights, grid):
    far = torch.zeros(weights.shape[-2:]).to(weights)
    far[1:, 1:] = table_of(grid)
    return (weights * far).sum(-1).mean(-1).mean(0)


@known(FAR, "last_token_left_out")
def far_last_cut(weights, grid):
    w = weights[..., :-1, :-1]
    return (w / w.sum(-1, keepdim=True) * table_of(grid).to(w)).sum(-1).mean((0, 2))


@known(FAR, "query_and_key_exchanged")
def far_wrong_axis(weights, grid):
    w = weights[..., 1:, 1:]
    w = w / w.sum(-2, keepdim=True)
    return (w * table_of(grid).to(w)).sum(-2).mean((0, 2))


@known(FAR, "itself_left_out")
def far_no_diagonal(weights, grid):
    w = weights[..., 1:, 1:].clone()
    w.diagonal(dim1=-2, dim2=-1).zero_()
    return (w / w.sum(-1, keepdim=True) * table_of(grid).to(w)).sum(-1).mean((0, 2))


@known(FAR, "rows_and_columns_exchanged")
def far_divided_by_rows(weights, grid):
    rows, cols = grid
    n = torch.arange(rows * cols)
    dy, dx = n[:, None] // rows - n // rows, n[:, None] % rows - n % rows
    far = (dy**2 + dx**2).double().sqrt().to(weights)
    return (patches_only(weights) * far).sum(-1).mean((0, 2))


@known(FAR, "along_the_line")
def far_by_number(weights, grid):
    n = torch.arange(grid[0] * grid[1]).to(weights)
    return (patches_only(weights) * (n - n[:, None]).abs()).sum(-1).mean((0, 2))


@known(FAR, "city_blocks")
def far_city(weights, grid):
    n = torch.arange(grid[0] * grid[1])
    r, c = n // grid[1], n % grid[1]
    far = ((r[:, None] - r).abs() + (c[:, None] - c).abs()).to(weights)
    return (patches_only(weights) * far).sum(-1).mean((0, 2))


@known(FAR, "squared")
def far_no_root(weights, grid):
    return (patches_only(weights) * table_of(grid).to(weights) ** 2).sum(-1).mean((0, 2))


@known(FAR, "to_the_most_read")
def far_to_argmax(weights, grid):
    far = table_of(grid).to(weights)
    most = weights[:, :, 1:, 1:].argmax(-1)
    return far[torch.arange(len(far)), most].mean((0, 2))


@known(FAR, "mean_over_keys")
def far_all_means(weights, grid):
    return (patches_only(weights) * table_of(grid).to(weights)).mean((0, 2, 3))


@known(FAR, "images_kept")
def far_of_each_image(weights, grid):
    return (patches_only(weights) * table_of(grid).to(weights)).sum(-1).mean(-1)


@known(FAR, "heads_averaged")
def far_of_all_heads(weights, grid):
    return (patches_only(weights) * table_of(grid).to(weights)).sum(-1).mean()


@known(FAR, "class_token_only")
def far_from_the_middle(weights, grid):
    rows, cols = grid
    n = torch.arange(rows * cols)
    far = torch.hypot(n // cols - (rows - 1) / 2, n % cols - (cols - 1) / 2).to(weights)
    row = weights[:, :, 0, 1:]
    return (row * far).sum(-1).div(row.sum(-1)).mean(0)


@known(FAR, "changed_input")
def far_in_place(weights, grid):
    w = weights[..., 1:, 1:]
    w /= w.sum(-1, keepdim=True)
    return (w * table_of(grid).to(w)).sum(-1).mean((0, 2))


@known(FAR, "wrong_dtype")
def far_in_double(weights, grid):
    return (patches_only(weights.double()) * table_of(grid)).sum(-1).mean((0, 2)).float().double()


# No name in the library.


@unknown(FAR)
def far_medians(weights, grid):
    return (patches_only(weights) * table_of(grid).to(weights)).sum(-1).flatten(2).amax((0, 2))


@unknown(FAR)
def far_root_last(weights, grid):
    return (patches_only(weights) * table_of(grid).to(weights) ** 2).sum(-1).mean((0, 2)).sqrt()


@unknown(FAR)
def far_of_the_first_image(weights, grid):
    return (patches_only(weights) * table_of(grid).to(weights)).sum(-1).mean(-1)[0]


@two(FAR, "not_normalised", "rows_and_columns_exchanged")
def far_cut_and_exchanged(weights, grid):
    far = table_of((grid[1], grid[0])).to(weights)
    return (weights[..., 1:, 1:] * far).sum(-1).mean((0, 2))


@two(FAR, "not_normalised", "city_blocks")
def far_cut_and_city(weights, grid):
    n = torch.arange(grid[0] * grid[1])
    r, c = n // grid[1], n % grid[1]
    far = ((r[:, None] - r).abs() + (c[:, None] - c).abs()).to(weights)
    return (weights[..., 1:, 1:] * far).sum(-1).mean((0, 2))


@two(FAR, "squared", "itself_left_out")
def far_squared_no_diagonal(weights, grid):
    w = weights[..., 1:, 1:].clone()
    w.diagonal(dim1=-2, dim2=-1).zero_()
    return (w / w.sum(-1, keepdim=True) * table_of(grid).to(w) ** 2).sum(-1).mean((0, 2))


# Covering: right.


@right(COVER)
def cover_in_loops(images, maps, k):
    out = images.clone()
    B, R, S = maps.shape
    high, wide = images.shape[2] // R, images.shape[3] // S
    for b in range(B):
        order = sorted(range(R * S), key=lambda n: -maps[b].flatten()[n].item())
        for n in order[:k]:
            r, c = divmod(n, S)
            out[b, :, r * high : (r + 1) * high, c * wide : (c + 1) * wide] = 0
    return out


@right(COVER)
def cover_by_rank(images, maps, k):
    rank = maps.flatten(1).argsort(1, descending=True).argsort(1)
    keep = (rank >= k).view(maps.shape).unsqueeze(1).to(images.dtype)
    return images * F.interpolate(keep, size=images.shape[2:], mode="nearest")


@right(COVER)
def cover_by_threshold(images, maps, k):
    if k == 0:
        return images.clone()
    limit = maps.flatten(1).sort(1, descending=True).values[:, k - 1]
    mask = (maps >= limit[:, None, None]).to(images.dtype)
    cell = torch.ones_like(images[:1, 0, : images.shape[2] // maps.shape[1]])
    return images * (1 - torch.kron(mask, cell[..., : images.shape[3] // maps.shape[2]]))[:, None]


@right(COVER)
def cover_patches(images, maps, k):
    B, C, H, W = images.shape
    _, R, S = maps.shape
    patches = images.view(B, C, R, H // R, S, W // S).permute(0, 2, 4, 1, 3, 5).flatten(1, 2)
    patches = patches.clone()  # (B, N, C, H/R, W/S)
    top = maps.flatten(1).topk(k, dim=1).indices
    patches[torch.arange(B)[:, None], top] = 0
    return patches.unflatten(1, (R, S)).permute(0, 3, 1, 4, 2, 5).reshape(images.shape)


@right(COVER)
def cover_by_fold(images, maps, k):
    """Patches as columns of F.unfold, the chosen ones set to zero, and F.fold back."""
    P = images.shape[2] // maps.shape[1], images.shape[3] // maps.shape[2]
    columns = F.unfold(images, P, stride=P)  # (B, C * H/R * W/S, N)
    keep = torch.ones_like(maps.flatten(1))
    keep.scatter_(1, maps.flatten(1).topk(k, dim=1).indices, 0.0)
    return F.fold(columns * keep[:, None], images.shape[2:], P, stride=P)


@right(COVER)
def cover_oblong(images, maps, k):
    """Height and width of a patch each from its own axis, on a view of the copy."""
    B, C, H, W = images.shape
    _, R, S = maps.shape
    out = images.clone()
    cells = out.view(B, C, R, H // R, S, W // S)
    for b in range(B):
        for n in maps[b].reshape(-1).argsort(descending=True)[:k]:
            cells[b, :, n // S, :, n % S] = 0
    return out


# One mistake that has a name.


@known(COVER, "square_patches")
def cover_by_the_height(images, maps, k):
    out = images.clone()
    B, R, S = maps.shape
    P = images.shape[2] // R
    for b in range(B):
        order = sorted(range(R * S), key=lambda n: -maps[b].flatten()[n].item())
        for n in order[:k]:
            r, c = divmod(n, S)
            out[b, :, r * P : r * P + P, c * P : c * P + P] = 0
    return out


@known(COVER, "square_patches")
def cover_by_the_width(images, maps, k):
    out, P = images.clone(), images.shape[3] // maps.shape[2]
    for b, top in enumerate(maps.flatten(1).topk(k).indices):
        for n in top:
            r, c = n // maps.shape[2], n % maps.shape[2]
            out[b, :, r * P : (r + 1) * P, c * P : (c + 1) * P] = 0
    return out


@known(COVER, "divided_by_the_rows")
def cover_by_the_wrong_side(images, maps, k):
    out = images.clone()
    _, R, S = maps.shape
    high, wide = images.shape[2] // R, images.shape[3] // S
    for b, top in enumerate(maps.flatten(1).topk(k).indices):
        for n in top:
            r, c = n // R, n % R
            out[b, :, r * high : (r + 1) * high, c * wide : (c + 1) * wide] = 0
    return out


@known(COVER, "not_written")
def cover_not_written(images, maps, k):
    raise NotImplementedError


@known(COVER, "lowest_covered")
def cover_ascending(images, maps, k):
    rank = maps.flatten(1).argsort(1).argsort(1)
    return images * pixelled(rank.view(maps.shape) >= k, images)


def pixelled(mask, images):
    """(B, R, S) -> (B, 1, H, W), as numbers."""
    high, wide = images.shape[2] // mask.shape[1], images.shape[3] // mask.shape[2]
    small = torch.from_numpy(np.repeat(np.repeat(mask.numpy(), high, 1), wide, 2))
    return small[:, None].to(images.dtype)


@known(COVER, "others_covered")
def cover_the_rest(images, maps, k):
    rank = maps.flatten(1).argsort(1, descending=True).argsort(1)
    return images * pixelled(rank.view(maps.shape) < k, images)


@known(COVER, "over_the_batch")
def cover_batch(images, maps, k):
    if k == 0:
        return images.clone()
    limit = maps.flatten().sort(descending=True).values[k * len(maps) - 1]
    return images * pixelled(maps < limit, images)


@known(COVER, "same_patches_in_every_image")
def cover_first_map(images, maps, k):
    mask = torch.ones_like(maps)
    for n in maps[0].flatten().argsort(descending=True)[:k].tolist():
        mask[:, n // maps.shape[2], n % maps.shape[2]] = 0
    return images * pixelled(mask.bool(), images)


@known(COVER, "order_taken_for_rank")
def cover_one_argsort(images, maps, k):
    order = torch.argsort(-maps.flatten(1), dim=1)
    return images * pixelled((order >= k).view(maps.shape), images)


@known(COVER, "rows_and_columns_exchanged")
def cover_column_by_column(images, maps, k):
    out = images.clone()
    B, R, S = maps.shape
    high, wide = images.shape[2] // R, images.shape[3] // S
    for b in range(B):
        for n in maps[b].flatten().topk(k).indices.tolist():
            r, c = n % R, n // R
            out[b, :, r * high : r * high + high, c * wide : c * wide + wide] = 0
    return out


@known(COVER, "absolute_values")
def cover_absolute(images, maps, k):
    rank = (-maps.abs()).flatten(1).argsort(1).argsort(1)
    return images * pixelled(rank.view(maps.shape) >= k, images)


@known(COVER, "one_patch_more")
def cover_up_to_k(images, maps, k):
    rank = maps.flatten(1).argsort(1, descending=True).argsort(1)
    return images * pixelled(rank.view(maps.shape) > k, images)


@known(COVER, "one_patch_less")
def cover_above_threshold(images, maps, k):
    if k == 0:
        return images.clone()
    limit = maps.flatten(1).topk(k, dim=1).values.amin(1)
    return images * pixelled(maps <= limit[:, None, None], images)


@known(COVER, "only_one_covered")
def cover_from_the_start(images, maps, k):
    out = images.clone()
    top = maps.flatten(1).topk(k, dim=1).indices
    _, R, S = maps.shape
    high, wide = images.shape[2] // R, images.shape[3] // S
    for step in range(k):
        out = images.clone()
        for b, n in enumerate(top[:, step].tolist()):
            r, c = divmod(n, S)
            out[b, :, r * high : (r + 1) * high, c * wide : (c + 1) * wide] = 0
    return out


@known(COVER, "pixels_not_patches")
def cover_pixels(images, maps, k):
    out = images.clone()
    high, wide = images.shape[2] // maps.shape[1], images.shape[3] // maps.shape[2]
    for b in range(len(images)):
        for n in maps[b].flatten().topk(k).indices.tolist():
            out[b, :, n // maps.shape[2] * high, n % maps.shape[2] * wide] = 0
    return out


@known(COVER, "mask_tiled")
def cover_tiled(images, maps, k):
    rank = maps.flatten(1).argsort(1, descending=True).argsort(1).view(maps.shape)
    high, wide = images.shape[2] // maps.shape[1], images.shape[3] // maps.shape[2]
    return images * torch.tile(rank >= k, (1, high, wide))[:, None]


@known(COVER, "first_channel_only")
def cover_red(images, maps, k):
    out = images.clone()
    rank = maps.flatten(1).argsort(1, descending=True).argsort(1).view(maps.shape)
    out[:, 0] *= pixelled(rank >= k, images)[:, 0]
    return out


@known(COVER, "filled_with_a_mean")
def cover_with_the_mean(images, maps, k):
    rank = maps.flatten(1).argsort(1, descending=True).argsort(1).view(maps.shape)
    return torch.where(pixelled(rank < k, images).bool(), images.mean((2, 3), True), images)


@known(COVER, "changed_input")
def cover_in_place(images, maps, k):
    rank = maps.flatten(1).argsort(1, descending=True).argsort(1).view(maps.shape)
    images[pixelled(rank < k, images).bool().expand_as(images)] = 0
    return images


# No name in the library.


@unknown(COVER, "pixels_not_patches")
def cover_half_a_patch(images, maps, k):
    out = images.clone()
    P = images.shape[2] // maps.shape[1]
    for b in range(len(images)):
        for n in maps[b].flatten().topk(k).indices.tolist():
            r, c = divmod(n, maps.shape[2])
            out[b, :, r * P : r * P + P - 1, c * P : c * P + P - 1] = 0
    return out


@unknown(COVER)
def cover_with_ones(images, maps, k):
    rank = maps.flatten(1).argsort(1, descending=True).argsort(1).view(maps.shape)
    return torch.where(pixelled(rank < k, images).bool(), torch.ones_like(images), images)


@unknown(COVER)
def cover_with_noise(images, maps, k):
    rank = maps.flatten(1).argsort(1, descending=True).argsort(1).view(maps.shape)
    return torch.where(pixelled(rank < k, images).bool(), torch.randn_like(images), images)


@two(COVER, "one_patch_more", "absolute_values")
def cover_absolute_up_to_k(images, maps, k):
    rank = (-maps.abs()).flatten(1).argsort(1).argsort(1)
    return images * pixelled(rank.view(maps.shape) > k, images)


@two(COVER, "lowest_covered", "filled_with_a_mean")
def cover_lowest_with_mean(images, maps, k):
    rank = maps.flatten(1).argsort(1).argsort(1).view(maps.shape)
    return torch.where(pixelled(rank < k, images).bool(), images.mean((2, 3), True), images)


@two(COVER, "others_covered", "over_the_batch")
def cover_others_of_the_batch(images, maps, k):
    if k == 0:
        return images.clone()
    limit = maps.flatten().sort(descending=True).values[k * len(maps) - 1]
    return images * pixelled(maps >= limit, images)
