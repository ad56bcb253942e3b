"""Patchify, unpatchify, and the convolution that is a linear layer on patches."""

import copy
import math

import einops
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from . import known, right, two, unknown

CUT, PASTE, CONV = "check_patchify", "check_unpatchify", "check_linear_to_conv"


# Patchify, one mistake.


@known(CUT, "channel_first")
def cut_channel_first_unfold(images, patch_size):
    b, c, h, w = images.shape
    patches = images.unfold(2, patch_size, patch_size).unfold(3, patch_size, patch_size)
    patches = patches.permute(0, 2, 3, 1, 4, 5).contiguous()
    return patches.view(b, -1, c * patch_size * patch_size)


@known(CUT, "channel_first")
def cut_channel_first_einops(x, p):
    return einops.rearrange(x, "b c (gh ph) (gw pw) -> b (gh gw) (c ph pw)", ph=p, pw=p)


@known(CUT, "channel_first")
def cut_channel_first_f_unfold(images, patch_size):
    return F.unfold(images, kernel_size=patch_size, stride=patch_size).transpose(1, 2)


@known(CUT, "channel_first")
def cut_channel_first_loops(images, patch_size):
    out = []
    for i in range(images.shape[2] // patch_size):
        for j in range(images.shape[3] // patch_size):
            tile = images[
                :, :, i * patch_size : (i + 1) * patch_size, j * patch_size : (j + 1) * patch_size
            ]
            out.append(tile.flatten(1))
    return torch.stack(out, dim=1)


@known(CUT, "pixels_transposed")
def cut_pixels_transposed_loops(img, P):
    B, C, H, W = img.shape
    result = torch.empty(B, (H // P) * (W // P), P * P * C, dtype=img.dtype, device=img.device)
    n = 0
    for y in range(0, H, P):
        for x in range(0, W, P):
            k = 0
            for dx in range(P):
                for dy in range(P):
                    result[:, n, k * C : (k + 1) * C] = img[:, :, y + dy, x + dx]
                    k += 1
            n += 1
    return result


@known(CUT, "pixels_transposed")
def cut_pixels_transposed_einsum(img, P):
    B, C, H, W = img.shape
    grid = img.reshape(B, C, H // P, P, W // P, P)
    return torch.einsum("bchpwq->bhwqpc", grid).reshape(B, -1, P * P * C)


@known(CUT, "patches_in_column_order")
def cut_column_order(images, P):
    return einops.rearrange(images, "b c (h p1) (w p2) -> b (w h) (p1 p2 c)", p1=P, p2=P)


@known(CUT, "patches_in_column_order")
def cut_column_order_lists(images, P):
    H, W = images.shape[-2:]
    tiles = [images[..., y : y + P, x : x + P] for x in range(0, W, P) for y in range(0, H, P)]
    return torch.cat([t.permute(0, 2, 3, 1).reshape(len(images), 1, -1) for t in tiles], dim=1)


@known(CUT, "reshape_without_permute")
def cut_reshape_only(images, patch_size):
    B, C, H, W = images.size()
    num_patches = (H // patch_size) * (W // patch_size)
    return images.reshape(B, num_patches, patch_size**2 * C)


@known(CUT, "unfold_as_it_is")
def cut_nn_unfold(images, patch_size):
    unfold = nn.Unfold(kernel_size=patch_size, stride=patch_size)
    return unfold(images)


@known(CUT, "patches_last")
def cut_patches_last(images, P):
    B, C, H, W = images.shape
    x = images.view(B, C, H // P, P, W // P, P)
    return x.permute(0, 3, 5, 1, 2, 4).reshape(B, P * P * C, -1)


@known(CUT, "overlapping_patches")
def cut_overlapping(images, P):
    x = images.unfold(2, P, 1).unfold(3, P, 1)
    return einops.rearrange(x, "b c h w p q -> b (h w) (p q c)")


@known(CUT, "overlapping_patches")
def cut_overlapping_f_unfold(images, P):
    cols = F.unfold(images, P)
    return einops.rearrange(cols, "b (c p q) n -> b n (p q c)", p=P, q=P)


@known(CUT, "pixels_not_flattened")
def cut_keeps_pixels(images, P):
    return einops.rearrange(images, "b c (h p) (w q) -> b (h w) p q c", p=P, q=P)


@known(CUT, "pixels_not_flattened")
def cut_keeps_pixels_as_images(images, P):
    rows = [row for band in images.split(P, dim=2) for row in band.split(P, dim=3)]
    return torch.stack(rows, dim=1)


@known(CUT, "grid_not_flattened")
def cut_keeps_grid(images, P):
    B, C, H, W = images.shape
    return (
        images.reshape(B, C, H // P, P, W // P, P)
        .permute(0, 2, 4, 3, 5, 1)
        .reshape(B, H // P, W // P, P * P * C)
    )


@known(CUT, "batch_merged")
def cut_batch_merged(images, P):
    B, C, H, W = images.shape
    x = images.reshape(B, C, H // P, P, W // P, P).permute(0, 2, 4, 3, 5, 1)
    return x.reshape(-1, P * P * C)


@known(CUT, "first_image_only")
def cut_first_image(images, P):
    image = images[0].permute(1, 2, 0)
    H, W, _ = image.shape
    patches = [
        image[i : i + P, j : j + P].flatten() for i in range(0, H, P) for j in range(0, W, P)
    ]
    return torch.stack(patches).unsqueeze(0)


@known(CUT, "three_channels_assumed")
def cut_three_channels(images, P):
    B, _, H, W = images.shape
    x = images.view(B, 3, H // P, P, W // P, P)
    return x.permute(0, 2, 4, 3, 5, 1).reshape(B, -1, P * P * 3)


@known(CUT, "three_channels_assumed")
def cut_three_channels_stack(images, P):
    x = images.unfold(2, P, P).unfold(3, P, P)
    red, green, blue = x[:, 0], x[:, 1], x[:, 2]
    return torch.stack([red, green, blue], dim=-1).flatten(3).flatten(1, 2)


@known(CUT, "square_images_assumed")
def cut_square(images, P):
    B, C, H, W = images.shape
    n = H // P
    return images.reshape(B, C, n, P, n, P).permute(0, 2, 4, 3, 5, 1).reshape(B, n * n, P * P * C)


@known(CUT, "square_images_assumed")
def cut_square_loops(images, P):
    side = images.shape[-1]
    out = []
    for i in range(side // P):
        for j in range(side // P):
            out.append(
                images[:, :, i * P : i * P + P, j * P : j * P + P]
                .movedim(1, 3)
                .reshape(len(images), -1)
            )
    return torch.stack(out, 1)


@known(CUT, "not_written")
def cut_not_written(images, patch_size):
    raise NotImplementedError("cut the images into patches")


@known(CUT, "nothing_returned")
def cut_nothing(images, P):
    patches = einops.rearrange(images, "b c (h p) (w q) -> b (h w) (p q c)", p=P, q=P)
    print(patches.shape)


@known(CUT, "changed_input")
def cut_normalises_in_place(images, P):
    mean = images.mean()
    images -= mean
    return einops.rearrange(images, "b c (h p) (w q) -> b (h w) (p q c)", p=P, q=P) + mean


@known(CUT, "changed_input")
def cut_spends_the_image(images, P):
    out = einops.rearrange(images, "b c (h p) (w q) -> b (h w) (p q c)", p=P, q=P).clone()
    images.zero_()
    return out


@known(CUT, "wrong_dtype")
def cut_into_float32_zeros(images, P):
    B, C, H, W = images.shape
    patches = torch.zeros(B, H // P * W // P, P * P * C, device=images.device)
    for n in range(patches.shape[1]):
        i, j = divmod(n, W // P)
        patches[:, n] = (
            images[:, :, i * P : (i + 1) * P, j * P : (j + 1) * P].permute(0, 2, 3, 1).flatten(1)
        )
    return patches


@known(CUT, "wrong_device")
def cut_into_cpu_zeros(images, P):
    B, C, H, W = images.shape
    patches = torch.zeros(B, (H // P) * (W // P), P * P * C, dtype=images.dtype)
    for n in range(patches.shape[1]):
        i, j = divmod(n, W // P)
        patches[:, n] = (
            images[:, :, i * P : (i + 1) * P, j * P : (j + 1) * P].permute(0, 2, 3, 1).flatten(1)
        )
    return patches


# Patchify, mistakes of no name.


@unknown(CUT)
def cut_rows_upside_down(images, P):
    return einops.rearrange(images.flip(2), "b c (h p) (w q) -> b (h w) (p q c)", p=P, q=P)


@known(CUT, "colours_reversed")
def cut_bgr(images, P):
    return einops.rearrange(images.flip(1), "b c (h p) (w q) -> b (h w) (p q c)", p=P, q=P)


@unknown(CUT)
def cut_snake(images, P):
    x = einops.rearrange(images, "b c (h p) (w q) -> b h w (p q c)", p=P, q=P).clone()
    x[:, 1::2] = x[:, 1::2].flip(2)
    return x.flatten(1, 2)


@known(CUT, "split_with_pixels_first")
def cut_dilated(images, P):
    return einops.rearrange(images, "b c (p h) (q w) -> b (h w) (p q c)", p=P, q=P)


@known(CUT, "last_patch_lost")
def cut_drops_last_patch(images, P):
    return einops.rearrange(images, "b c (h p) (w q) -> b (h w) (p q c)", p=P, q=P)[:, :-1]


# Patchify, two at once.


@two(CUT, "channel_first", "patches_in_column_order")
def cut_two_channel_and_columns(images, P):
    return einops.rearrange(images, "b c (h p) (w q) -> b (w h) (c p q)", p=P, q=P)


@two(CUT, "channel_first", "pixels_transposed")
def cut_two_channel_and_pixels(images, P):
    x = images.unfold(2, P, P).unfold(3, P, P)
    return x.permute(0, 2, 3, 1, 5, 4).reshape(len(images), -1, images.shape[1] * P * P)


@known(CUT, "square_and_three_channels")
def cut_two_three_and_square(images, P):
    n = images.shape[2] // P
    return (
        images.reshape(len(images), 3, n, P, n, P)
        .permute(0, 2, 4, 3, 5, 1)
        .reshape(len(images), n * n, P * P * 3)
    )


@two(CUT, "patches_last", "patches_in_column_order")
def cut_two_last_and_columns(images, P):
    return einops.rearrange(images, "b c (h p) (w q) -> b (p q c) (w h)", p=P, q=P)


# Patchify, right.


@right(CUT)
def cut_module(images, P):
    class Cut(nn.Module):
        def __init__(self, p):
            super().__init__()
            self.unfold = nn.Unfold(p, stride=p)
            self.p = p

        def forward(self, x):
            return einops.rearrange(
                self.unfold(x), "b (c p q) n -> b n (p q c)", p=self.p, q=self.p
            )

    return Cut(P)(images)


@right(CUT)
def cut_recursive(images, P, rest=None):
    if images.shape[2] > P:
        return torch.cat(
            [cut_recursive.fn(images[:, :, :P], P), cut_recursive.fn(images[:, :, P:], P)], dim=1
        )
    if images.shape[3] > P:
        return torch.cat(
            [cut_recursive.fn(images[..., :P], P), cut_recursive.fn(images[..., P:], P)], dim=1
        )
    return images.permute(0, 2, 3, 1).flatten(1)[:, None]


@right(CUT)
def cut_fancy_index(images, P):
    B, C, H, W = images.shape
    index = torch.arange(C * H * W, device=images.device).view(C, H, W)
    index = torch.stack(
        [
            index[:, y : y + P, x : x + P].permute(1, 2, 0).flatten()
            for y in range(0, H, P)
            for x in range(0, W, P)
        ]
    )
    return images.flatten(1)[:, index]


@right(CUT)
def cut_channel_stacked_last(images, P, verbose=True):
    if verbose:
        print("cutting", tuple(images.shape))
    planes = [
        plane.unfold(1, P, P).unfold(2, P, P).flatten(3).flatten(1, 2) for plane in images.unbind(1)
    ]
    return torch.stack(planes, -1).flatten(2)


@right(CUT)
def cut_pixel_unshuffle(images, P):
    x = F.pixel_unshuffle(images, P)  # (B, C*P*P, h, w)
    return (
        x.unflatten(1, (images.shape[1], P * P))
        .transpose(1, 2)
        .flatten(1, 2)
        .flatten(2)
        .transpose(1, 2)
    )


@right(CUT)
def cut_gather_loops_numpy_style(images, P):
    out = torch.empty_like(images).view(len(images), -1, P * P * images.shape[1])
    per_row = images.shape[3] // P
    for n in range(out.shape[1]):
        top, left = (n // per_row) * P, (n % per_row) * P
        for k in range(P * P):
            dy, dx = k // P, k % P
            for c in range(images.shape[1]):
                out[:, n, k * images.shape[1] + c] = images[:, c, top + dy, left + dx]
    return out


@unknown(CUT)
def cut_halved(images, P):
    return einops.rearrange(images / 2, "b c (h p) (w q) -> b (h w) (p q c)", p=P, q=P)


# Unpatchify, one mistake.


@known(PASTE, "channel_first")
def paste_channel_first(patches, P, size):
    H, W = size
    return einops.rearrange(
        patches, "b (h w) (c p q) -> b c (h p) (w q)", h=H // P, w=W // P, p=P, q=P
    )


@known(PASTE, "channel_first")
def paste_channel_first_fold(patches, P, size):
    return F.fold(patches.transpose(1, 2), output_size=size, kernel_size=P, stride=P)


@known(PASTE, "pixels_transposed")
def paste_pixels_transposed(patches, P, size):
    H, W = size
    x = patches.view(patches.shape[0], H // P, W // P, P, P, -1)
    return x.permute(0, 5, 1, 4, 2, 3).reshape(patches.shape[0], -1, H, W)


@known(PASTE, "patches_in_column_order")
def paste_column_order(patches, P, size):
    H, W = size
    image = torch.zeros(patches.shape[0], patches.shape[2] // P // P, H, W).to(patches)
    n = 0
    for x in range(0, W, P):
        for y in range(0, H, P):
            image[:, :, y : y + P, x : x + P] = (
                patches[:, n].reshape(-1, P, P, image.shape[1]).permute(0, 3, 1, 2)
            )
            n += 1
    return image


@known(PASTE, "patches_in_column_order")
def paste_column_order_einops(patches, P, size):
    return einops.rearrange(patches, "b (w h) (p q c) -> b c (h p) (w q)", h=size[0] // P, p=P, q=P)


@known(PASTE, "reshape_without_permute")
def paste_reshape(patches, patch_size, image_size):
    channels = patches.shape[-1] // patch_size**2
    return patches.reshape(-1, channels, *image_size)


@known(PASTE, "grid_beside_grid")
def paste_grid_beside_grid(patches, P, size):
    H, W = size
    x = patches.reshape(len(patches), H // P, W // P, P, P, -1)
    x = x.permute(0, 5, 1, 2, 3, 4)
    return x.reshape(len(patches), x.shape[1], H, W)


@known(PASTE, "channel_last")
def paste_channel_last(patches, P, size):
    return einops.rearrange(patches, "b (h w) (p q c) -> b (h p) (w q) c", h=size[0] // P, p=P, q=P)


@known(PASTE, "height_and_width_swapped")
def paste_swapped(patches, P, image_size):
    W, H = image_size
    x = patches.view(len(patches), H // P, W // P, P, P, -1)
    return torch.einsum("bhwpqc->bchpwq", x).reshape(len(patches), -1, H, W)


@known(PASTE, "height_and_width_swapped")
def paste_swapped_grid_only(patches, P, image_size):
    H, W = image_size
    gw, gh = H // P, W // P
    x = patches.unflatten(2, (P, P, -1)).unflatten(1, (gh, gw))
    return x.permute(0, 5, 1, 3, 2, 4).flatten(4).flatten(2, 3)


@known(PASTE, "three_channels_assumed")
def paste_three_channels(patches, P, size):
    h, w = size[0] // P, size[1] // P
    x = patches.reshape(patches.shape[0], h, w, P, P, 3)
    return x.permute(0, 5, 1, 3, 2, 4).reshape(patches.shape[0], 3, h * P, w * P)


@known(PASTE, "square_images_assumed")
def paste_square_mae(x, p, size):
    h = w = int(x.shape[1] ** 0.5)
    assert h * w == x.shape[1]
    x = x.reshape(x.shape[0], h, w, p, p, -1)
    x = torch.einsum("nhwpqc->nchpwq", x)
    return x.reshape(x.shape[0], -1, h * p, w * p)


@known(PASTE, "square_images_assumed")
def paste_square_from_height(x, p, size):
    side = size[0] // p
    x = x.reshape(len(x), side, side, p, p, -1)
    return x.permute(0, 5, 1, 3, 2, 4).reshape(len(x), -1, side * p, side * p)


@known(PASTE, "not_written")
def paste_not_written(patches, patch_size, image_size):
    raise NotImplementedError


@known(PASTE, "nothing_returned")
def paste_nothing(patches, P, size):
    image = torch.zeros(len(patches), patches.shape[2] // P**2, *size)
    for n in range(patches.shape[1]):
        y, x = divmod(n, size[1] // P)
        image[:, :, y * P : y * P + P, x * P : x * P + P] = (
            patches[:, n].view(-1, P, P, image.shape[1]).permute(0, 3, 1, 2)
        )


@known(PASTE, "changed_input")
def paste_clears_patches(patches, P, size):
    image = einops.rearrange(
        patches, "b (h w) (p q c) -> b c (h p) (w q)", h=size[0] // P, p=P, q=P
    ).clone()
    patches.mul_(0)
    return image


@known(PASTE, "wrong_dtype")
def paste_float(patches, P, size):
    return einops.rearrange(
        patches.float(), "b (h w) (p q c) -> b c (h p) (w q)", h=size[0] // P, p=P, q=P
    )


@known(PASTE, "wrong_device")
def paste_into_cpu_zeros(patches, P, size):
    image = torch.zeros(len(patches), patches.shape[2] // P**2, *size, dtype=patches.dtype)
    for n in range(patches.shape[1]):
        y, x = divmod(n, size[1] // P)
        image[:, :, y * P : y * P + P, x * P : x * P + P] = (
            patches[:, n].view(-1, P, P, image.shape[1]).permute(0, 3, 1, 2)
        )
    return image


# Unpatchify, mistakes of no name.


@unknown(PASTE)
def paste_mirrored(patches, P, size):
    return einops.rearrange(
        patches, "b (h w) (p q c) -> b c (h p) (w q)", h=size[0] // P, p=P, q=P
    ).flip(-1)


@unknown(PASTE)
def paste_bottom_up(patches, P, size):
    x = patches.unflatten(1, (size[0] // P, size[1] // P)).flip(1).flatten(1, 2)
    return einops.rearrange(x, "b (h w) (p q c) -> b c (h p) (w q)", h=size[0] // P, p=P, q=P)


@unknown(PASTE)
def paste_fold_default_stride_normalised(patches, P, size):
    x = einops.rearrange(patches, "b (h w) (p q c) -> b c (h p) (w q)", h=size[0] // P, p=P, q=P)
    return (x - x.min()) / (x.max() - x.min())


@unknown(PASTE)
def paste_first_channel_everywhere(patches, P, size):
    x = einops.rearrange(patches, "b (h w) (p q c) -> b c (h p) (w q)", h=size[0] // P, p=P, q=P)
    return x[:, :1].expand_as(x)


# Unpatchify, two at once.


@two(PASTE, "channel_last", "pixels_transposed")
def paste_two_last_and_pixels(patches, P, size):
    return einops.rearrange(patches, "b (h w) (q p c) -> b (h p) (w q) c", h=size[0] // P, p=P, q=P)


@two(PASTE, "channel_first", "patches_in_column_order")
def paste_two_channel_and_columns(patches, P, size):
    return einops.rearrange(patches, "b (w h) (c p q) -> b c (h p) (w q)", h=size[0] // P, p=P, q=P)


@two(PASTE, "square_images_assumed", "three_channels_assumed")
def paste_two_mae_as_it_is(x, p, size):
    h = w = int(x.shape[1] ** 0.5)
    x = x.reshape(x.shape[0], h, w, p, p, 3)
    return torch.einsum("nhwpqc->nchpwq", x).reshape(x.shape[0], 3, h * p, w * p)


# Unpatchify, right.


@right(PASTE)
def paste_scatter(patches, P, size):
    H, W = size
    C = patches.shape[2] // P**2
    n, k, c = torch.meshgrid(
        torch.arange(patches.shape[1]), torch.arange(P * P), torch.arange(C), indexing="ij"
    )
    y, x = n // (W // P) * P + k // P, n % (W // P) * P + k % P
    out = torch.empty(len(patches), C * H * W, dtype=patches.dtype, device=patches.device)
    out[:, (c * H * W + y * W + x).flatten()] = patches.flatten(1)
    return out.view(-1, C, H, W)


@right(PASTE)
def paste_view_not_contiguous(patches, P, size):
    h, w = (side // P for side in size)
    strips = (
        patches.reshape(len(patches), h, w, P, P, -1).transpose(2, 3).flatten(1, 2).flatten(2, 3)
    )
    return strips.movedim(-1, 1)


@right(PASTE)
def paste_fold_by_channel(patches, P, image_size, **more):
    C = patches.shape[-1] // (P * P)
    planes = [
        F.fold(patches[..., c::C].transpose(1, 2), image_size, kernel_size=P, stride=P)
        for c in range(C)
    ]
    return torch.cat(planes, dim=1)


@right(PASTE)
def paste_numpy(patches, P, size):
    x = np.asarray(patches).reshape(len(patches), size[0] // P, size[1] // P, P, P, -1)
    return torch.tensor(
        np.ascontiguousarray(x.transpose(0, 5, 1, 3, 2, 4)).reshape(len(patches), -1, *size)
    )


@right(PASTE)
def paste_math_grid(patches, P, size):
    C = patches.shape[2] // P**2
    tiles = patches.reshape(len(patches), -1, P, P, C).permute(0, 1, 4, 2, 3)
    across = math.ceil(size[1] / P)
    rows = [
        torch.cat(list(tiles[:, i : i + across].unbind(1)), -1)
        for i in range(0, tiles.shape[1], across)
    ]
    return torch.cat(rows, -2)


# Linear to convolution, one mistake.


def make_conv(linear, P, C, **settings):
    settings = {
        "stride": P,
        "bias": linear.bias is not None,
        "device": linear.weight.device,
        "dtype": linear.weight.dtype,
    } | settings
    return nn.Conv2d(C, linear.out_features, P, **settings)


def kernel_of(linear, P, C):
    return linear.weight.detach().reshape(-1, P, P, C).permute(0, 3, 1, 2)


def fill(conv, kernel, bias):
    with torch.no_grad():
        conv.weight.copy_(kernel)
        if bias is not None and conv.bias is not None:
            conv.bias.copy_(bias)
    return conv


@known(CONV, "not_written")
def conv_not_written(linear, patch_size, channels):
    raise NotImplementedError("make the convolution")


@known(CONV, "nothing_returned")
def conv_nothing(linear, P, C):
    fill(make_conv(linear, P, C), kernel_of(linear, P, C), linear.bias)


@known(CONV, "changed_input")
def conv_zeroes_the_linear(linear, P, C):
    conv = fill(make_conv(linear, P, C), kernel_of(linear, P, C).clone(), linear.bias)
    nn.init.zeros_(linear.weight)
    return conv


@known(CONV, "wrong_dtype")
def conv_float32(linear, P, C):
    conv = nn.Conv2d(
        C,
        linear.out_features,
        P,
        stride=P,
        bias=linear.bias is not None,
        device=linear.weight.device,
    )
    return fill(conv, kernel_of(linear, P, C), linear.bias)


@known(CONV, "wrong_device")
def conv_on_cpu(linear, P, C):
    conv = nn.Conv2d(
        C, linear.out_features, P, stride=P, bias=linear.bias is not None, dtype=linear.weight.dtype
    )
    return fill(conv, kernel_of(linear, P, C), linear.bias)


@known(CONV, "not_a_convolution")
def conv_sequential(linear, P, C):
    conv = fill(make_conv(linear, P, C), kernel_of(linear, P, C), linear.bias)
    return nn.Sequential(conv, nn.Flatten(2))


@known(CONV, "not_a_convolution")
def conv_kernel_alone(linear, P, C):
    return kernel_of(linear, P, C)


@known(CONV, "not_a_convolution")
def conv_lambda(linear, P, C):
    return lambda images: F.conv2d(images, kernel_of(linear, P, C), linear.bias, stride=P)


@known(CONV, "stride_forgotten")
def conv_stride_forgotten(linear, P, C):
    conv = nn.Conv2d(C, linear.out_features, kernel_size=P, bias=linear.bias is not None).to(
        linear.weight
    )
    return fill(conv, kernel_of(linear, P, C), linear.bias)


@known(CONV, "padded")
def conv_padded(linear, P, C):
    return fill(make_conv(linear, P, C, padding=1), kernel_of(linear, P, C), linear.bias)


@known(CONV, "channel_first")
def conv_channel_first(linear, P, C):
    conv = make_conv(linear, P, C)
    conv.weight.data = linear.weight.data.view(linear.out_features, C, P, P).clone()
    if linear.bias is not None:
        conv.bias.data = linear.bias.data.clone()
    return conv


@known(CONV, "channel_first")
def conv_channel_first_view_as(linear, P, C):
    conv = make_conv(linear, P, C)
    state = {"weight": linear.weight.view_as(conv.weight)}
    if linear.bias is not None:
        state["bias"] = linear.bias
    conv.load_state_dict(state)
    return conv


@known(CONV, "kernel_transposed")
def conv_transposed(linear, P, C):
    kernel = einops.rearrange(linear.weight, "d (q p c) -> d c p q", p=P, q=P)
    return fill(make_conv(linear, P, C), kernel, linear.bias)


@known(CONV, "kernel_transposed")
def conv_transposed_by_T(linear, P, C):
    kernel = torch.stack([row.reshape(P, P, C).permute(2, 1, 0) for row in linear.weight])
    return fill(make_conv(linear, P, C), kernel, linear.bias)


@known(CONV, "kernel_flipped")
def conv_flipped(linear, P, C):
    return fill(
        make_conv(linear, P, C), torch.flip(kernel_of(linear, P, C), dims=(-2, -1)), linear.bias
    )


@known(CONV, "weight_read_as_in_out")
def conv_in_out(linear, P, C):
    kernel = linear.weight.reshape(P, P, C, -1).permute(3, 2, 0, 1)
    return fill(make_conv(linear, P, C), kernel, linear.bias)


@known(CONV, "fresh_weights")
def conv_fresh(linear, P, C):
    conv = make_conv(linear, P, C)
    conv.weight.detach().reshape(-1, C * P * P).clone().copy_(linear.weight)
    return conv


@known(CONV, "fresh_weights")
def conv_fresh_with_bias(linear, P, C):
    conv = make_conv(linear, P, C)
    if linear.bias is not None:
        conv.bias.data.copy_(linear.bias.data)
    return conv


@known(CONV, "bias_dropped")
def conv_bias_dropped(linear, P, C):
    return fill(make_conv(linear, P, C, bias=False), kernel_of(linear, P, C), None)


@known(CONV, "fresh_bias")
def conv_fresh_bias(linear, P, C):
    return fill(make_conv(linear, P, C), kernel_of(linear, P, C), None)


@known(CONV, "bias_always_expected")
def conv_bias_expected(linear, P, C):
    conv = make_conv(linear, P, C, bias=True)
    conv.weight.data.copy_(kernel_of(linear, P, C))
    conv.bias.data.copy_(linear.bias.data)
    return conv


@known(CONV, "bias_always_expected")
def conv_bias_left_random(linear, P, C):
    conv = make_conv(linear, P, C, bias=True)
    return fill(conv, kernel_of(linear, P, C), linear.bias)


@known(CONV, "three_channels_assumed")
def conv_three_channels(linear, P, C):
    conv = nn.Conv2d(3, linear.out_features, P, P, bias=linear.bias is not None).to(linear.weight)
    return fill(conv, linear.weight.reshape(-1, P, P, 3).permute(0, 3, 1, 2), linear.bias)


# Linear to convolution, mistakes of no name.


@unknown(CONV)
def conv_half_kernel(linear, P, C):
    return fill(make_conv(linear, P, C), kernel_of(linear, P, C) / P, linear.bias)


@unknown(CONV)
def conv_channels_reversed(linear, P, C):
    return fill(make_conv(linear, P, C), kernel_of(linear, P, C).flip(1), linear.bias)


@known(CONV, "other_setting")
def conv_depthwise(linear, P, C):
    conv = nn.Conv2d(C, C, P, stride=P, groups=C, bias=False).to(linear.weight)
    return fill(conv, kernel_of(linear, P, C)[:1].reshape(C, 1, P, P), None)


@unknown(CONV)
def conv_bias_negated(linear, P, C):
    bias = None if linear.bias is None else -linear.bias
    return fill(make_conv(linear, P, C), kernel_of(linear, P, C), bias)


# Linear to convolution, two at once.


@two(CONV, "stride_forgotten", "channel_first")
def conv_two_stride_and_order(linear, P, C):
    conv = nn.Conv2d(C, linear.out_features, P, bias=linear.bias is not None).to(linear.weight)
    return fill(conv, linear.weight.view(-1, C, P, P), linear.bias)


@two(CONV, "bias_dropped", "kernel_transposed")
def conv_two_bias_and_turn(linear, P, C):
    return fill(make_conv(linear, P, C, bias=False), kernel_of(linear, P, C).mT, None)


@two(CONV, "channel_first", "fresh_bias")
def conv_two_order_and_fresh_bias(linear, P, C):
    conv = make_conv(linear, P, C)
    conv.weight = nn.Parameter(linear.weight.detach().reshape(-1, C, P, P))
    return conv


# Linear to convolution, right.


@right(CONV)
def conv_parameter(linear, P, C):
    conv = make_conv(linear, P, C)
    conv.weight = nn.Parameter(kernel_of(linear, P, C).contiguous().clone())
    conv.bias = None if linear.bias is None else nn.Parameter(linear.bias.detach().clone())
    return conv


@right(CONV)
def conv_from_identity(linear, P, C):
    """The kernel is what the layer says to each single pixel."""
    with torch.no_grad():
        eye = torch.eye(P * P * C, dtype=linear.weight.dtype, device=linear.weight.device)
        answers = F.linear(eye, linear.weight).T.reshape(-1, P, P, C)
    conv = make_conv(linear, P, C).requires_grad_(False)
    conv.weight.copy_(answers.movedim(-1, 1))
    if linear.bias is not None:
        conv.bias.copy_(linear.bias)
    return conv


@right(CONV)
def conv_loops(linear, P, C):
    conv = make_conv(linear, P, C)
    for y in range(P):
        for x in range(P):
            for c in range(C):
                conv.weight.data[:, c, y, x] = linear.weight.data[:, (y * P + x) * C + c]
    if linear.bias is not None:
        conv.bias.data = copy.deepcopy(linear.bias.data)
    return conv


@right(CONV)
def conv_empty_module(linear, P, C, **settings):
    conv = nn.utils.skip_init(
        nn.Conv2d, C, linear.out_features, P, stride=P, bias=linear.bias is not None
    )
    conv = conv.to(linear.weight)
    weights = {
        "weight": einops.rearrange(linear.weight, "o (p q c) -> o c p q", p=P, q=P),
        "bias": linear.bias,
    }
    conv.load_state_dict({name: value for name, value in weights.items() if value is not None})
    return conv.eval()


@known(CONV, "memory_shared")
def conv_shares_the_bias(linear, P, C):
    conv = nn.Conv2d(C, linear.out_features, (P, P), (P, P), bias=False)
    conv.weight = nn.Parameter(
        linear.weight.unflatten(1, (P, P, C)).movedim(3, 1).detach().contiguous()
    )
    conv.register_parameter("bias", linear.bias)
    return conv


@known(CONV, "memory_shared")
def conv_shares_both(linear, P, C):
    conv = make_conv(linear, P, C)
    conv.weight = nn.Parameter(kernel_of(linear, P, C))
    conv.bias = linear.bias
    return conv


@known(CONV, "in_and_out_exchanged")
def conv_in_and_out(linear, P, C):
    conv = nn.Conv2d(linear.out_features, C, P, P, bias=linear.bias is not None).to(linear.weight)
    conv.weight.data = kernel_of(linear, P, C).transpose(0, 1).clone()
    return conv


@known(CONV, "kernel_axes_in_another_order")
def conv_way_back(linear, P, C):
    conv = make_conv(linear, P, C)
    conv.weight.data = linear.weight.data.reshape(-1, P, P, C).permute(0, 2, 3, 1).clone()
    return conv


# Met in a class: how newcomers split and pour.


@known(CUT, "pixels_in_runs")
def cut_split_in_one_go(images, P):
    B, C, H, W = images.shape
    x = images.reshape(B, C, H // P, W // P, P, P).permute(0, 2, 3, 4, 5, 1)
    return x.reshape(B, -1, P * P * C)


@known(CUT, "pixels_in_runs")
def cut_channel_last_only(images, P):
    return images.permute(0, 2, 3, 1).reshape(len(images), -1, P * P * images.shape[1])


@known(CUT, "pixels_in_runs")
def cut_unfold_and_the_permute_of_split(images, P):
    x = images.unfold(2, P, P).unfold(3, P, P).permute(0, 2, 4, 3, 5, 1)
    return x.reshape(len(images), -1, P * P * images.shape[1])


@known(CUT, "split_with_pixels_first")
def cut_split_as_P_first(images, P):
    B, C, H, W = images.shape
    x = images.reshape(B, C, P, H // P, P, W // P).permute(0, 2, 4, 3, 5, 1)
    return x.reshape(B, (H // P) * (W // P), P * P * C)


@known(CUT, "lines_by_channel")
def cut_unfold_and_another_permute(images, P):
    x = images.unfold(2, P, P).unfold(3, P, P).permute(0, 2, 4, 1, 3, 5)
    return x.reshape(len(images), -1, P * P * images.shape[1])


@known(CUT, "channel_before_the_grid")
def cut_unfold_and_reshape(images, P):
    x = images.unfold(2, P, P).unfold(3, P, P)
    return x.reshape(len(images), -1, P * P * images.shape[1])


@known(CUT, "patch_side_fixed")
def cut_with_a_side_of_its_own(images, patch_size):
    P = 2
    B, C, H, W = images.shape
    x = images.reshape(B, C, H // P, P, W // P, P).permute(0, 2, 4, 3, 5, 1)
    return x.reshape(B, -1, P * P * C)


@known(CUT, "square_and_three_channels")
def cut_square_and_three(images, P):
    n = images.shape[2] // P
    x = images.reshape(len(images), 3, n, P, n, P).permute(0, 2, 4, 3, 5, 1)
    return x.reshape(len(images), n * n, P * P * 3)


@known(PASTE, "permute_of_patchify_again")
def paste_the_forward_permute(patches, P, size):
    H, W = size
    x = patches.reshape(len(patches), H // P, W // P, P, P, -1).permute(0, 2, 4, 3, 5, 1)
    return x.reshape(len(patches), -1, H, W)


@known(PASTE, "size_is_a_float")
def paste_with_a_float(patches, P, size):
    H, W = size
    C = patches.shape[2] / P**2
    x = patches.reshape(len(patches), H // P, W // P, P, P, C)
    return x.permute(0, 5, 1, 3, 2, 4).reshape(len(patches), C, H, W)


@known(PASTE, "grid_sides_swapped")
def paste_grid_swapped(patches, P, size):
    H, W = size
    x = patches.reshape(len(patches), W // P, H // P, P, P, -1)
    return x.permute(0, 5, 1, 3, 2, 4).reshape(len(patches), -1, H, W)


@right(CONV)
def conv_einsum(linear, P, C):
    conv = make_conv(linear, P, C)
    kernel = torch.einsum("dpqc->dcpq", linear.weight.detach().reshape(-1, P, P, C)).clone()
    state = {"weight": kernel} | ({} if linear.bias is None else {"bias": linear.bias})
    conv.load_state_dict(state)
    return conv
