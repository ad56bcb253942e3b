"""Strips into patches: lesson 31.

Written by the author of the check, so the share that is named says less here than elsewhere.
"""

import einops
import torch

from vit_tutorial import patchify

from . import known, right, two, unknown

NAME = "check_repair_strips"


def image_of(tokens, P, columns):
    """The image (B, C, H, W) that the strips hold."""
    B, N, L = tokens.shape
    rows = N // columns
    return tokens.reshape(B, rows * P, L // P**2, columns * P).transpose(1, 2).contiguous()


@known(NAME, "unchanged")
def strips_as_they_are(tokens, P, columns):
    return tokens


@known(NAME, "unchanged")
def strips_there_and_back(tokens, P, columns):
    B, N, L = tokens.shape
    x = tokens.reshape(B, N // columns, P, L // P**2, columns, P)
    return x.reshape(B, N, L)


@known(NAME, "channel_first")
def strips_to_channel_first(tokens, P, columns):
    image = image_of(tokens, P, columns)
    return torch.nn.functional.unfold(image, P, stride=P).transpose(1, 2)


@known(NAME, "channel_first")
def strips_as_torch_would(tokens, P, columns):
    return einops.rearrange(
        image_of(tokens, P, columns), "b c (h p) (w q) -> b (h w) (c p q)", p=P, q=P
    )


@known(NAME, "channel_taken_for_last")
def strips_channel_fastest(tokens, P, columns):
    B, N, L = tokens.shape
    image = tokens.reshape(B, -1, columns * P, L // P**2).permute(0, 3, 1, 2)
    return patchify(image.contiguous(), P)


@known(NAME, "pixels_transposed")
def strips_with_lying_pixels(tokens, P, columns):
    return einops.rearrange(
        image_of(tokens, P, columns), "b c (h p) (w q) -> b (h w) (q p c)", p=P, q=P
    )


@known(NAME, "patches_column_by_column")
def strips_down_the_columns(tokens, P, columns):
    return einops.rearrange(
        image_of(tokens, P, columns), "b c (h p) (w q) -> b (w h) (p q c)", p=P, q=P
    )


@known(NAME, "grid_exchanged")
def strips_rows_for_columns(tokens, P, columns):
    rows = tokens.shape[1] // columns
    return patchify(image_of(tokens, P, rows), P)


@known(NAME, "square_grid_assumed")
def strips_square(tokens, P, columns):
    side = int(tokens.shape[1] ** 0.5)
    B, N, L = tokens.shape
    x = tokens.reshape(B, side, P, L // P**2, side, P)
    return x.permute(0, 1, 4, 2, 5, 3).reshape(B, N, L)


@known(NAME, "not_written")
def strips_not_yet(tokens, P, columns):
    raise NotImplementedError("later")


@known(NAME, "nothing_returned")
def strips_forgotten(tokens, P, columns):
    patchify(image_of(tokens, P, columns), P)


@known(NAME, "changed_input")
def strips_in_place(tokens, P, columns):
    tokens.copy_(patchify(image_of(tokens, P, columns), P))
    return tokens.clone()


@known(NAME, "wrong_dtype")
def strips_half(tokens, P, columns):
    return (
        patchify(image_of(tokens, P, columns), P)
        .double()
        .to(torch.float64 if tokens.dtype == torch.float32 else torch.float32)
    )


@unknown(NAME)
def strips_upside_down(tokens, P, columns):
    return patchify(image_of(tokens, P, columns).flip(2), P)


@unknown(NAME)
def strips_mirrored(tokens, P, columns):
    return patchify(image_of(tokens, P, columns).flip(3), P)


@unknown(NAME)
def strips_blue_first(tokens, P, columns):
    return patchify(image_of(tokens, P, columns).flip(1), P).neg()


@known(NAME, "image_returned")
def strips_to_images(tokens, P, columns):
    return image_of(tokens, P, columns)


@two(NAME, "channel_first", "patches_column_by_column")
def strips_channel_first_columns(tokens, P, columns):
    return einops.rearrange(
        image_of(tokens, P, columns), "b c (h p) (w q) -> b (w h) (c p q)", p=P, q=P
    )


@two(NAME, "pixels_transposed", "patches_column_by_column")
def strips_transposed_all(tokens, P, columns):
    return einops.rearrange(
        image_of(tokens, P, columns), "b c (h p) (w q) -> b (w h) (q p c)", p=P, q=P
    )


@two(NAME, "channel_first", "pixels_transposed")
def strips_channel_first_lying(tokens, P, columns):
    return einops.rearrange(
        image_of(tokens, P, columns), "b c (h p) (w q) -> b (h w) (c q p)", p=P, q=P
    )


@right(NAME)
def strips_by_image(tokens, P, columns):
    return patchify(image_of(tokens, P, columns), P)


@right(NAME)
def strips_by_sentence(tokens, P, columns):
    flat = tokens.flatten(1)
    C = tokens.shape[2] // P**2
    return einops.rearrange(flat, "b (h p c w q) -> b (h w) (p q c)", p=P, c=C, w=columns, q=P)


@right(NAME)
def strips_by_view(tokens, P, columns):
    B, N, L = tokens.shape
    rows, C = N // columns, L // (P * P)
    x = tokens.contiguous().view(B, rows, P, C, columns, P)
    return x.movedim(4, 2).movedim(4, 5).reshape(B, rows * columns, P * P * C)


@right(NAME)
def strips_by_index(tokens, P, columns):
    B, N, L = tokens.shape
    place = torch.arange(N * L, device=tokens.device).reshape(1, N, L)
    order = patchify(image_of(place, P, columns), P).flatten()
    return tokens.reshape(B, -1)[:, order].reshape(B, N, L)


@right(NAME)
def strips_patch_by_patch(tokens, P, columns):
    image = image_of(tokens, P, columns)
    B, C, H, W = image.shape
    patches = []
    for top in range(0, H, P):
        for left in range(0, W, P):
            patch = image[:, :, top : top + P, left : left + P]
            patches.append(patch.permute(0, 2, 3, 1).flatten(1))
    return torch.stack(patches, dim=1)
