"""Patchify, unpatchify and linear_to_conv: every mistake named, every style accepted."""

import copy
import itertools

import einops
import pytest
import torch
import torch.nn.functional as F
from checks_common import is_accepted, is_named, mistake_id, mistakes, rejects_both, verdict
from corpus import FAIR
from torch import nn

from vit_tutorial import patchify, unpatchify
from vit_tutorial.checks import get
from vit_tutorial.checks.exercises.linear_to_conv import convolve
from vit_tutorial.checks.unlisted import NAMES

ALL = [
    *mistakes("check_patchify"),
    *mistakes("check_unpatchify"),
    *mistakes("check_linear_to_conv"),
]


@pytest.mark.parametrize(("name", "mistake"), ALL, ids=mistake_id)
def test_each_mistake_is_rejected_and_named(name, mistake):
    is_named(name, mistake)


# Patchify in other styles.


def cut_with_loops(images, patch_size):
    B, C, H, W = images.shape
    P = patch_size
    result = images.new_empty(B, (H // P) * (W // P), P * P * C)
    n = 0
    for top in range(0, H, P):
        for left in range(0, W, P):
            result[:, n] = (
                images[:, :, top : top + P, left : left + P].permute(0, 2, 3, 1).flatten(1)
            )
            n += 1
    return result


def cut_with_einops(images, P, verbose=False):
    return einops.rearrange(images, "b c (h p1) (w p2) -> b (h w) (p1 p2 c)", p1=P, p2=P)


def cut_with_f_unfold(images, P):
    columns = F.unfold(images, P, stride=P)  # (B, C*P*P, N)
    return columns.mT.unflatten(2, (images.shape[1], P * P)).mT.flatten(2)


def cut_with_tensor_unfold(images, P):
    return images.unfold(2, P, P).unfold(3, P, P).permute(0, 2, 3, 4, 5, 1).flatten(3).flatten(1, 2)


def cut_with_a_convolution(images, P):
    C = images.shape[1]
    kernel = (
        torch.eye(P * P * C, dtype=images.dtype, device=images.device)
        .reshape(-1, P, P, C)
        .permute(0, 3, 1, 2)
    )
    return F.conv2d(images, kernel, stride=P).flatten(2).mT


def cut_with_chunks(images, P):
    rows = [part for strip in images.split(P, dim=2) for part in strip.split(P, dim=3)]
    return torch.stack([part.movedim(1, -1).flatten(1) for part in rows], dim=1)


def cut_with_vmap(images, P):
    return torch.vmap(lambda image: patchify(image[None], P)[0])(images)


def cut_in_place_on_a_copy(images, P):
    result = patchify(images, P).clone()
    result.mul_(2).div_(2)
    return result


def cut_with_numpy(images, P):
    B, C, H, W = images.shape
    x = images.numpy().reshape(B, C, H // P, P, W // P, P).transpose(0, 2, 4, 3, 5, 1)
    return torch.from_numpy(x.reshape(B, -1, P * P * C).copy())


# Unpatchify in other styles.


def paste_with_loops(patches, P, image_size):
    H, W = image_size
    image = patches.new_zeros(len(patches), patches.shape[2] // P**2, H, W)
    for n in range(patches.shape[1]):
        top, left = n // (W // P) * P, n % (W // P) * P
        image[:, :, top : top + P, left : left + P] = (
            patches[:, n].unflatten(1, (P, P, -1)).movedim(-1, 1)
        )
    return image


def paste_with_einops(patches, P, image_size):
    return einops.rearrange(
        patches, "b (h w) (p1 p2 c) -> b c (h p1) (w p2)", h=image_size[0] // P, p1=P, p2=P
    )


def paste_with_fold(patches, P, image_size):
    columns = patches.unflatten(2, (P * P, -1)).mT.flatten(2).mT
    return F.fold(columns, image_size, P, stride=P)


def paste_with_pixel_shuffle(patches, P, image_size):
    grid = patches.unflatten(2, (P * P, -1)).mT.flatten(2).mT
    return F.pixel_shuffle(grid.unflatten(2, (image_size[0] // P, image_size[1] // P)), P)


def paste_with_transposed_convolution(patches, P, image_size):
    L = patches.shape[2]
    kernel = (
        torch.eye(L, dtype=patches.dtype, device=patches.device)
        .reshape(L, P, P, -1)
        .permute(0, 3, 1, 2)
    )
    return F.conv_transpose2d(patches.mT.unflatten(2, (image_size[0] // P, -1)), kernel, stride=P)


def paste_with_cat(patches, P, size, check=True):
    tiles = [patch.unflatten(1, (P, P, -1)).movedim(-1, 1) for patch in patches.unbind(1)]
    across = size[1] // P
    strips = [torch.cat(tiles[i : i + across], dim=3) for i in range(0, len(tiles), across)]
    return torch.cat(strips, dim=2)


def paste_with_einsum(patches, P, size):
    x = patches.reshape(len(patches), size[0] // P, size[1] // P, P, P, -1)
    return torch.einsum("bhwpqc->bchpwq", x).reshape(len(patches), -1, *size)


# The convolution in other styles.


def conv_from_data(linear, P, C):
    conv = nn.Conv2d(C, linear.out_features, P, P, bias=linear.bias is not None).to(linear.weight)
    conv.weight.data = linear.weight.data.view(-1, P, P, C).permute(0, 3, 1, 2).clone()
    if linear.bias is not None:
        conv.bias.data[:] = linear.bias.data
    return conv


def conv_from_parameters(linear, P, C):
    conv = nn.Conv2d(C, linear.out_features, (P, P), stride=(P, P), padding="valid", bias=False)
    conv.weight = nn.Parameter(
        einops.rearrange(linear.weight.detach(), "d (p q c) -> d c p q", p=P, q=P).clone()
    )
    conv.bias = copy.deepcopy(linear.bias)
    return conv


def conv_from_a_state(linear, P, C):
    there = {"device": linear.weight.device, "dtype": linear.weight.dtype}
    conv = nn.Conv2d(C, linear.out_features, P, P, bias=linear.bias is not None, **there)
    state = copy.deepcopy(linear.state_dict())
    state["weight"] = state["weight"].unflatten(1, (P, P, C)).movedim(3, 1)
    conv.load_state_dict(state)
    return conv


def conv_from_loops(linear, P, C):
    conv = nn.utils.skip_init(
        nn.Conv2d, C, linear.out_features, P, stride=P, bias=linear.bias is not None
    )
    conv = conv.to(dtype=linear.weight.dtype, device=linear.weight.device)
    with torch.no_grad():
        for i, j, c in itertools.product(range(P), range(P), range(C)):
            conv.weight[:, c, i, j] = linear.weight[:, (i * P + j) * C + c]
        if linear.bias is not None:
            conv.bias.copy_(linear.bias)
    return conv


def conv_from_responses(linear, P, C, tidy=True):
    """Each weight is what the linear layer answers to an image with a single 1."""
    conv = nn.Conv2d(C, linear.out_features, P, P, bias=linear.bias is not None).to(linear.weight)
    ones = torch.eye(C * P * P, dtype=linear.weight.dtype, device=linear.weight.device).reshape(
        -1, C, P, P
    )
    with torch.no_grad():
        answers = F.linear(patchify(ones, P)[:, 0], linear.weight)  # (C*P*P, D)
        conv.weight.copy_(answers.T.reshape(-1, C, P, P))
        if linear.bias is not None:
            conv.bias.copy_(linear.bias)
    return conv


STYLES = {
    "check_patchify": [
        cut_with_loops,
        cut_with_einops,
        cut_with_f_unfold,
        cut_with_tensor_unfold,
        cut_with_a_convolution,
        cut_with_chunks,
        cut_with_vmap,
        cut_in_place_on_a_copy,
        cut_with_numpy,
    ],
    "check_unpatchify": [
        paste_with_loops,
        paste_with_einops,
        paste_with_fold,
        paste_with_pixel_shuffle,
        paste_with_transposed_convolution,
        paste_with_cat,
        paste_with_einsum,
    ],
    "check_linear_to_conv": [
        conv_from_data,
        conv_from_parameters,
        conv_from_a_state,
        conv_from_loops,
        conv_from_responses,
    ],
}
VARIANTS = [(name, fn) for name, styles in STYLES.items() for fn in styles]


@pytest.mark.parametrize(
    ("name", "fn"), VARIANTS, ids=lambda value: getattr(value, "__name__", value)
)
def test_each_style_is_accepted(name, fn):
    is_accepted(name, fn)


REARRANGED = (
    "channel_first",
    "pixels_transposed",
    "patches_in_column_order",
    "reshape_without_permute",
)
RESHAPED = (
    "patches_last",
    "pixels_not_flattened",
    "grid_not_flattened",
    "batch_merged",
    "first_image_only",
)


PAIRS = [pair for pair in itertools.permutations(REARRANGED + RESHAPED, 2) if pair[0] in REARRANGED]
# These two together are a third known mistake, which says both: what F.unfold gives.
PAIRS.remove(("channel_first", "patches_last"))


@pytest.mark.parametrize(("one", "two"), PAIRS)
def test_two_mistakes_in_patchify(one, two):
    wrong = {mistake.name: mistake.buggy for mistake in get("check_patchify").mistakes}

    def both(images, P):
        spoiled = wrong[one](images, P)
        return wrong[two](unpatchify(spoiled, P, tuple(images.shape[2:])), P)

    # These four are seen in the shape, whatever stands inside a patch.
    by_shape = ("pixels_not_flattened", "grid_not_flattened", "batch_merged", "first_image_only")
    rejects_both("check_patchify", both, two if two in by_shape else None)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        pair
        for pair in itertools.permutations(
            (*REARRANGED, "grid_beside_grid", "channel_last", "height_and_width_swapped"), 2
        )
        if pair[0]
        not in (
            "channel_last",
            "height_and_width_swapped",
        )  # not an image that the second function could take
    ],
)
def test_two_mistakes_in_unpatchify(one, two):
    wrong = {mistake.name: mistake.buggy for mistake in get("check_unpatchify").mistakes}

    def both(patches, P, size):
        return wrong[two](patchify(wrong[one](patches, P, size), P), P, size)

    rejects_both("check_unpatchify", both)


KERNELS = {
    "channel_first": lambda w: w.flatten(1).reshape(len(w), w.shape[3], w.shape[1], w.shape[2]),
    "kernel_transposed": lambda w: w.permute(0, 3, 2, 1),
    "kernel_flipped": lambda w: w.permute(0, 3, 1, 2).flip(2, 3),
}
SETTINGS = {"stride_forgotten": {"stride": 1}, "padded": {"padding": 1}, "dilated": {"dilation": 2}}
BIASES = {"bias_dropped": "none", "fresh_bias": "fresh", "bias_always_expected": "always"}


@pytest.mark.parametrize(
    ("one", "two"),
    [
        *itertools.product(KERNELS, SETTINGS),
        *itertools.product(KERNELS, BIASES),
        *itertools.product(SETTINGS, BIASES),
    ],
)
def test_two_mistakes_in_the_convolution(one, two):
    def both(linear, P, C):
        kernel = KERNELS.get(one)
        return convolve(
            linear,
            P,
            C,
            kernel,
            {**SETTINGS.get(one, {}), **SETTINGS.get(two, {})},
            BIASES.get(two),
        )

    # With a bias in the linear layer, one of these pairs is the first mistake alone.
    alone = one in KERNELS and two == "bias_always_expected"
    alone |= one in ("stride_forgotten", "padded") and two == "fresh_bias"
    # A setting and the bias: the sentence that says which setting is wrong is true.
    seen = "other_setting" if one in SETTINGS else None
    rejects_both("check_linear_to_conv", both, one if alone else seen)


SEEN = (*FAIR, "image_transposed", "colours_reversed", "other_setting")


@pytest.mark.parametrize(
    ("name", "fn", "difference"),
    [
        ("check_patchify", lambda x, P: patchify(x, P).flip(2), "reverse order along axis 2"),
        (
            "check_patchify",
            lambda x, P: patchify(x, P).roll(1, 0),
            "shifted by 1 of 2 along axis 0",
        ),
        ("check_patchify", lambda x, P: patchify(x / 255, P), "times 0.003922"),
        (
            "check_unpatchify",
            lambda x, P, size: unpatchify(x, P, size).mT,
            "axes 2 and 3 exchanged",
        ),
        ("check_unpatchify", lambda x, P, size: unpatchify(x, P, size) + 1, "plus 1"),
        (
            "check_unpatchify",
            lambda x, P, size: unpatchify(x, P, size).flip(1),
            "reverse order along axis 1",
        ),
        (
            "check_linear_to_conv",
            lambda x, P, C: convolve(x, P, C, settings={"dilation": 2}),
            "It is: (2, 2). Expected: (1, 1).",
        ),
        (
            "check_linear_to_conv",
            lambda x, P, C: convolve(x, P, C, lambda w: 2 * w.permute(0, 3, 1, 2)),
            "times 2",
        ),
        (
            "check_linear_to_conv",
            lambda x, P, C: convolve(x, P, C, settings={"kernel_size": 1}),
            "stopped with an error",
        ),
    ],
)
def test_an_unknown_mistake_is_reported_by_its_difference(name, fn, difference):
    found = verdict(name, fn)
    assert not found.passed and found.mistake in (None, *SEEN, *NAMES)
    assert difference in found.message


def test_only_the_layer_itself_counts_as_a_convolution():
    class Friendly(nn.Conv2d):
        pass

    def subclass(linear, P, C):
        conv = convolve(linear, P, C)
        conv.__class__ = Friendly
        return conv

    assert verdict("check_linear_to_conv", subclass).mistake == "not_a_convolution"
    assert (
        verdict("check_linear_to_conv", lambda linear, P, C: lambda x: x).mistake
        == "not_a_convolution"
    )
    assert (
        verdict("check_linear_to_conv", lambda linear, P, C: linear.weight).mistake
        == "not_a_convolution"
    )


def test_a_friendly_name_is_no_convolution():
    class Conv2d(nn.Conv2d):
        pass

    def subclass(linear, P, C):
        conv = convolve(linear, P, C)
        conv.__class__ = Conv2d
        return conv

    assert not verdict("check_linear_to_conv", subclass).passed


def test_writing_into_the_linear_layer_is_seen():
    def spoils(linear, P, C):
        conv = convolve(linear, P, C)
        linear.weight.data.mul_(2)
        return conv

    assert verdict("check_linear_to_conv", spoils).mistake == "changed_input"
