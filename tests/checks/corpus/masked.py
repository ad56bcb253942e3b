"""A masked autoencoder's loss, and hidden patches guessed from their neighbours."""

import torch
import torch.nn.functional as F

from . import known, right, two, unknown

LOSS = "check_masked_loss"
NEAR = "check_neighbour_mean"


def scaled(patches):
    m = patches.mean(-1, keepdim=True)
    return (patches - m) / (patches.var(-1, keepdim=True) + 1e-6) ** 0.5


# The loss: right.


@right(LOSS)
def loss_by_indexing(prediction, patches, mask):
    return F.mse_loss(prediction[mask], scaled(patches)[mask])


@right(LOSS)
def loss_by_weights(prediction, patches, mask):
    weights = mask.to(prediction.dtype)
    error = (prediction - scaled(patches)).pow(2).mean(dim=2)
    return (error * weights).sum() / weights.sum()


@right(LOSS)
def loss_by_where(prediction, patches, mask):
    error = torch.where(mask[..., None], prediction - scaled(patches), 0.0)
    return error.square().sum() / (mask.sum() * patches.shape[-1])


@right(LOSS)
def loss_in_a_loop(prediction, patches, mask):
    found = []
    for b, n in mask.nonzero().tolist():
        x = patches[b, n]
        target = (x - x.mean()) / torch.sqrt(torch.var(x) + 1e-6)
        found.append(((prediction[b, n] - target) ** 2).mean())
    return torch.stack(found).mean()


# The loss: wrong.


@known(LOSS, "all_patches")
def loss_mse(prediction, patches, mask):
    return F.mse_loss(prediction, scaled(patches))


@known(LOSS, "visible_patches")
def loss_on_what_is_seen(prediction, patches, mask):
    return F.mse_loss(prediction[mask == 0], scaled(patches)[mask == 0])


@known(LOSS, "divided_by_all")
def loss_zeroed(prediction, patches, mask):
    error = (prediction - scaled(patches)) ** 2
    error[~mask] = 0
    return error.mean()


@known(LOSS, "plain_pixels")
def loss_pixels(prediction, patches, mask):
    return ((prediction[mask] - patches[mask]) ** 2).mean()


@known(LOSS, "biased_variance")
def loss_layer_norm(prediction, patches, mask):
    target = F.layer_norm(patches, patches.shape[-1:], eps=1e-6)
    return F.mse_loss(prediction[mask], target[mask])


@known(LOSS, "averaged_by_image")
def loss_image_by_image(prediction, patches, mask):
    target = scaled(patches)
    parts = [F.mse_loss(p[m], t[m]) for p, t, m in zip(prediction, target, mask) if bool(m.any())]
    return sum(parts) / len(mask)


@known(LOSS, "sum_over_pixels")
def loss_distance(prediction, patches, mask):
    return (prediction - scaled(patches))[mask].pow(2).sum(-1).mean()


@known(LOSS, "absolute_error")
def loss_l1(prediction, patches, mask):
    return F.l1_loss(prediction[mask], scaled(patches)[mask])


@known(LOSS, "across_the_patches")
def loss_dim_1(prediction, patches, mask):
    t = (patches - patches.mean(1, keepdim=True)) / torch.sqrt(patches.var(1, keepdim=True) + 1e-6)
    return F.mse_loss(prediction[mask], t[mask])


@known(LOSS, "flat_patch")
def loss_without_eps(prediction, patches, mask):
    t = (patches - patches.mean(-1, keepdim=True)) / patches.std(-1, keepdim=True)
    return F.mse_loss(prediction[mask], t[mask])


@known(LOSS, "added_to_the_deviation")
def loss_eps_outside(prediction, patches, mask):
    t = (patches - patches.mean(-1, keepdim=True)) / (patches.std(-1, keepdim=True) + 1e-6)
    return F.mse_loss(prediction[mask], t[mask])


@known(LOSS, "one_number_for_each_patch")
def loss_reduction_none(prediction, patches, mask):
    return F.mse_loss(prediction, scaled(patches), reduction="none").mean(-1) * mask


@known(LOSS, "detached")
def loss_item(prediction, patches, mask):
    return torch.tensor(F.mse_loss(prediction[mask], scaled(patches)[mask]).item()).to(patches)


@unknown(LOSS)
def loss_smooth(prediction, patches, mask):
    return F.smooth_l1_loss(prediction[mask], scaled(patches)[mask])


@unknown(LOSS)
def loss_min_max(prediction, patches, mask):
    low, high = patches.amin(-1, keepdim=True), patches.amax(-1, keepdim=True)
    return F.mse_loss(prediction[mask], ((patches - low) / (high - low + 1e-6))[mask])


@two(LOSS, "all_patches", "plain_pixels")
def loss_plain_everywhere(prediction, patches, mask):
    return F.mse_loss(prediction, patches)


# Neighbours: right.


@right(NEAR)
def near_by_convolution(patches, mask, grid):
    B, N, L = patches.shape
    kernel = torch.tensor([[0.0, 1, 0], [1, 0, 1], [0, 1, 0]]).to(patches)
    seen = (~mask).to(patches).view(B, 1, *grid)
    image = patches.transpose(1, 2).reshape(B, L, *grid) * seen
    total = F.conv2d(image.reshape(B * L, 1, *grid), kernel.view(1, 1, 3, 3), padding=1)
    count = F.conv2d(seen, kernel.view(1, 1, 3, 3), padding=1)
    mean = image.sum((2, 3), keepdim=True) / seen.sum((2, 3), keepdim=True)
    guess = torch.where(count > 0, total.view(B, L, *grid) / count.clamp(min=1), mean)
    return torch.where(mask[..., None], guess.flatten(2).transpose(1, 2), patches)


@right(NEAR)
def near_by_pairs(patches, mask, grid):
    n = torch.arange(grid[0] * grid[1])
    r, c = n // grid[1], n % grid[1]
    near = ((r[:, None] - r).abs() + (c[:, None] - c).abs() == 1).to(patches)  # (N, N)
    seen = (~mask).to(patches)[..., None]
    count = near @ seen
    mean = (patches * seen).sum(1, keepdim=True) / seen.sum(1, keepdim=True)
    guess = (near @ (patches * seen)) / count.clamp(min=1)
    return torch.where(mask[..., None], torch.where(count > 0, guess, mean), patches)


@right(NEAR)
def near_padded(patches, mask, grid):
    B, N, L = patches.shape
    x = torch.full((B, grid[0] + 2, grid[1] + 2, L), float("nan")).to(patches)
    inner = patches.clone()
    inner[mask] = float("nan")
    x[:, 1:-1, 1:-1] = inner.view(B, *grid, L)
    around = torch.stack([x[:, :-2, 1:-1], x[:, 2:, 1:-1], x[:, 1:-1, :-2], x[:, 1:-1, 2:]])
    guess = around.nanmean(0).view(B, N, L)
    guess = torch.where(guess.isnan(), inner.nanmean(1, keepdim=True), guess)
    return torch.where(mask[..., None], guess, patches)


# Neighbours: wrong.


def rolled(patches, mask, grid, axes=(1, 2)):
    B, N, L = patches.shape
    seen = (~mask).to(patches)[..., None]
    x, s = (patches * seen).view(B, *grid, L), seen.view(B, *grid, 1)
    total = sum(x.roll(k, a) for a in axes for k in (1, -1)).view(B, N, L)
    count = sum(s.roll(k, a) for a in axes for k in (1, -1)).view(B, N, 1)
    mean = (patches * seen).sum(1, keepdim=True) / seen.sum(1, keepdim=True)
    return torch.where(
        mask[..., None], torch.where(count > 0, total / count.clamp(min=1), mean), patches
    )


@known(NEAR, "around_the_border")
def near_rolled(patches, mask, grid):
    return rolled(patches, mask, grid)


@known(NEAR, "hidden_neighbours_read")
def near_plain_convolution(patches, mask, grid):
    n = torch.arange(grid[0] * grid[1])
    r, c = n // grid[1], n % grid[1]
    near = ((r[:, None] - r).abs() + (c[:, None] - c).abs() == 1).to(patches)
    guess = near @ patches / near.sum(1, keepdim=True)
    return torch.where(mask[..., None], guess, patches)


@known(NEAR, "hidden_neighbours_count_as_zero")
def near_zeroed(patches, mask, grid):
    n = torch.arange(grid[0] * grid[1])
    r, c = n // grid[1], n % grid[1]
    near = ((r[:, None] - r).abs() + (c[:, None] - c).abs() == 1).to(patches)
    x = patches.masked_fill(mask[..., None], 0)
    return torch.where(mask[..., None], near @ x / near.sum(1, keepdim=True), patches)


@known(NEAR, "guesses_reused")
def near_in_place(patches, mask, grid):
    out, seen = patches.clone(), ~mask.clone()
    rows, columns = grid
    for b in range(len(out)):
        for r in range(rows):
            for c in range(columns):
                if seen[b, r * columns + c]:
                    continue
                near = [
                    out[b, y * columns + x]
                    for y, x in ((r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1))
                    if 0 <= y < rows and 0 <= x < columns and seen[b, y * columns + x]
                ]
                overall = patches[b, ~mask[b]].mean(0)
                out[b, r * columns + c] = torch.stack(near).mean(0) if near else overall
                seen[b, r * columns + c] = True
    return out


@known(NEAR, "alone_not_a_number")
def near_nan(patches, mask, grid):
    n = torch.arange(grid[0] * grid[1])
    r, c = n // grid[1], n % grid[1]
    near = ((r[:, None] - r).abs() + (c[:, None] - c).abs() == 1).to(patches)
    seen = (~mask).to(patches)[..., None]
    return torch.where(mask[..., None], (near @ (patches * seen)) / (near @ seen), patches)


@known(NEAR, "diagonals_included")
def near_window(patches, mask, grid):
    n = torch.arange(grid[0] * grid[1])
    r, c = n // grid[1], n % grid[1]
    far = torch.maximum((r[:, None] - r).abs(), (c[:, None] - c).abs())
    near = (far == 1).to(patches)
    seen = (~mask).to(patches)[..., None]
    count = near @ seen
    mean = (patches * seen).sum(1, keepdim=True) / seen.sum(1, keepdim=True)
    guess = torch.where(count > 0, (near @ (patches * seen)) / count.clamp(min=1), mean)
    return torch.where(mask[..., None], guess, patches)


@known(NEAR, "changed_input")
def near_into_patches(patches, mask, grid):
    patches[mask] = near_by_pairs.fn(patches, mask, grid)[mask]
    return patches


@unknown(NEAR)
def near_first_found(patches, mask, grid):
    rows, columns = grid
    out = patches.clone()
    for b, n in mask.nonzero().tolist():
        r, c = divmod(n, columns)
        near = [
            y * columns + x
            for y, x in ((r - 1, c), (r, c - 1), (r, c + 1), (r + 1, c))
            if 0 <= y < rows and 0 <= x < columns and not mask[b, y * columns + x]
        ]
        out[b, n] = patches[b, near[0]] if near else patches[b, ~mask[b]].mean(0)
    return out


@two(NEAR, "around_the_border", "beside_only")
def near_rolled_columns(patches, mask, grid):
    return rolled(patches, mask, grid, axes=(2,))


@known(NEAR, "not_written")
def near_not_yet(patches, mask, grid):
    raise NotImplementedError


@known(NEAR, "nothing_returned")
def near_computed(patches, mask, grid):
    near_by_pairs.fn(patches, mask, grid)


@known(NEAR, "around_the_border")
def near_rolled_image_by_image(patches, mask, grid):
    found = [rolled(x[None], m[None], grid) for x, m in zip(patches, mask)]
    return torch.cat(found)


@known(NEAR, "alone_not_a_number")
def near_nanmean(patches, mask, grid):
    B, N, L = patches.shape
    x = torch.full((B, grid[0] + 2, grid[1] + 2, L), float("nan")).to(patches)
    x[:, 1:-1, 1:-1] = patches.masked_fill(mask[..., None], float("nan")).view(B, *grid, L)
    around = torch.stack([x[:, :-2, 1:-1], x[:, 2:, 1:-1], x[:, 1:-1, :-2], x[:, 1:-1, 2:]])
    return torch.where(mask[..., None], around.nanmean(0).view(B, N, L), patches)


@known(NEAR, "changed_input")
def near_written_back(patches, mask, grid):
    guess = near_padded.fn(patches, mask, grid)
    patches.copy_(guess)
    return guess


@unknown(NEAR)
def near_median(patches, mask, grid):
    B, N, L = patches.shape
    x = torch.full((B, grid[0] + 2, grid[1] + 2, L), float("nan")).to(patches)
    inner = patches.masked_fill(mask[..., None], float("nan"))
    x[:, 1:-1, 1:-1] = inner.view(B, *grid, L)
    around = torch.stack([x[:, :-2, 1:-1], x[:, 2:, 1:-1], x[:, 1:-1, :-2], x[:, 1:-1, 2:]])
    guess = around.nanmedian(0).values.view(B, N, L)
    guess = torch.where(guess.isnan(), inner.nanmean(1, keepdim=True), guess)
    return torch.where(mask[..., None], guess, patches)


@unknown(NEAR)
def near_half_of_the_mean(patches, mask, grid):
    guess = near_by_pairs.fn(patches, mask, grid)
    mean = guess.mean(1, keepdim=True)
    return torch.where(mask[..., None], (guess + mean) / 2, patches)


@two(NEAR, "around_the_border", "beside_only")
def near_rolled_columns_again(patches, mask, grid):
    return torch.cat([rolled(x[None], m[None], grid, (2,)) for x, m in zip(patches, mask)])


@two(NEAR, "hidden_neighbours_count_as_zero", "diagonals_included")
def near_window_of_zeros(patches, mask, grid):
    n = torch.arange(grid[0] * grid[1])
    r, c = n // grid[1], n % grid[1]
    far = torch.maximum((r[:, None] - r).abs(), (c[:, None] - c).abs())
    near = (far == 1).to(patches)
    x = patches.masked_fill(mask[..., None], 0)
    return torch.where(mask[..., None], near @ x / near.sum(1, keepdim=True), patches)


@right(NEAR)
def near_on_a_copy(patches, mask, grid):
    return near_by_pairs.fn(patches.clone(), mask, grid) * 1.0


@right(NEAR)
def near_in_double(patches, mask, grid):
    return near_by_pairs.fn(patches.double(), mask, grid).to(patches.dtype)


@right(LOSS)
def loss_flat(prediction, patches, mask):
    keep = mask.flatten()
    error = (prediction - scaled(patches)).flatten(0, 1)[keep]
    return (error * error).mean()


@unknown(LOSS)
def loss_median(prediction, patches, mask):
    return (prediction - scaled(patches)).square().mean(-1)[mask].median()


@known(LOSS, "root_of_the_mean")
def loss_root(prediction, patches, mask):
    return F.mse_loss(prediction[mask], scaled(patches)[mask]).sqrt()


@two(LOSS, "visible_patches", "plain_pixels")
def loss_plain_on_what_is_seen(prediction, patches, mask):
    return F.mse_loss(prediction[~mask], patches[~mask])


@two(LOSS, "all_patches", "biased_variance")
def loss_layer_norm_everywhere(prediction, patches, mask):
    return F.mse_loss(prediction, F.layer_norm(patches, patches.shape[-1:], eps=1e-6))
