"""A shift followed, and what a unit can see: the experiments of lesson 21.

Written by the author of the checks, so the share that is named says less here than elsewhere.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F

from . import known, right, two, unknown

SHIFT, FIELD = "check_equivariance_error", "check_receptive_field"

# The error of a shift, one mistake.


@known(SHIFT, "not_shifted_back")
def shift_compared_in_place(f, images, shift, stride):
    moved = torch.roll(images, shift, dims=3)
    return (torch.linalg.norm(f(moved) - f(images)) / torch.linalg.norm(f(images))).item()


@known(SHIFT, "shifted_on")
def shift_the_same_way_again(f, images, shift, stride):
    one = f(torch.roll(images, shifts=shift, dims=3))
    one = torch.roll(one, shifts=shift // stride, dims=3)
    two = f(images)
    return torch.norm(one - two) / torch.norm(two)


@known(SHIFT, "pixels_for_places")
def shift_back_by_pixels(f, images, shift, stride):
    back = torch.roll(f(torch.roll(images, shift, 3)), -shift, 3)
    return ((back - f(images)).norm() / f(images).norm()).item()


@known(SHIFT, "rounded")
def shift_back_rounded(f, images, shift, stride):
    places = int(shift / stride + 0.5) if (shift / stride) % 1 != 0.5 else round(shift / stride)
    back = f(images.roll(shift, 3)).roll(-places, 3)
    return ((back - f(images)).norm() / f(images).norm()).item()


@known(SHIFT, "rounded")
def shift_back_rounded_up(f, images, shift, stride):
    back = f(images.roll(shift, 3)).roll(-math.ceil(shift / stride), 3)
    return ((back - f(images)).norm() / f(images).norm()).item()


@known(SHIFT, "up_and_down")
def shift_down(f, images, shift, stride):
    back = torch.roll(f(torch.roll(images, shift, 2)), -(shift // stride), 2)
    return ((back - f(images)).norm() / f(images).norm()).item()


@known(SHIFT, "two_directions")
def shift_channels_back(f, images, shift, stride):
    back = f(images.roll(shift, dims=3)).roll(-(shift // stride), dims=1)
    return ((back - f(images)).norm() / f(images).norm()).item()


@known(SHIFT, "all_axes_in_one_line")
def shift_without_dims(f, images, shift, stride):
    back = torch.roll(f(torch.roll(images, shift)), -(shift // stride))
    return ((back - f(images)).norm() / f(images).norm()).item()


@known(SHIFT, "to_the_left")
def shift_left(f, images, shift, stride):
    moved = torch.cat([images[..., shift:], images[..., :shift]], dim=-1)
    back = torch.roll(f(moved), shift // stride, dims=-1)
    return ((back - f(images)).norm() / f(images).norm()).item()


@known(SHIFT, "image_not_shifted")
def shift_the_map_alone(f, images, shift, stride):
    images.roll(shift, dims=-1)
    back = f(images).roll(-(shift // stride), dims=-1)
    return ((back - f(images)).norm() / f(images).norm()).item()


@known(SHIFT, "shifted_out")
def shift_with_padding(f, images, shift, stride):
    moved = F.pad(images, (shift, 0))[..., : images.shape[-1]]
    back = f(moved).roll(-(shift // stride), dims=-1)
    return ((back - f(images)).norm() / f(images).norm()).item()


@known(SHIFT, "not_relative")
def shift_absolute(f, images, shift, stride):
    return torch.dist(f(images.roll(shift, 3)).roll(-(shift // stride), 3), f(images)).item()


@known(SHIFT, "not_relative")
def shift_mean_square(f, images, shift, stride):
    return F.mse_loss(f(images.roll(shift, 3)).roll(-(shift // stride), 3), f(images)).item()


@known(SHIFT, "squared")
def shift_without_a_root(f, images, shift, stride):
    back, before = f(images.roll(shift, 3)).roll(-(shift // stride), 3), f(images)
    return (((back - before) ** 2).mean() / (before**2).mean()).item()


@known(SHIFT, "another_norm")
def shift_mean_absolute(f, images, shift, stride):
    back, before = f(images.roll(shift, 3)).roll(-(shift // stride), 3), f(images)
    return ((back - before).abs().mean() / before.abs().mean()).item()


@known(SHIFT, "divided_by_the_shifted")
def shift_over_the_shifted(f, images, shift, stride):
    back, before = f(images.roll(shift, 3)).roll(-(shift // stride), 3), f(images)
    return torch.norm(back - before).item() / torch.norm(back).item()


@known(SHIFT, "image_by_image")
def shift_mean_of_ratios(f, images, shift, stride):
    back, before = f(images.roll(shift, 3)).roll(-(shift // stride), 3), f(images)
    ratios = [torch.norm(a - b) / torch.norm(b) for a, b in zip(back, before)]
    return sum(ratios).item() / len(ratios)


@known(SHIFT, "not_written")
def shift_not_yet(f, images, shift, stride):
    raise NotImplementedError


@known(SHIFT, "nothing_returned")
def shift_printed(f, images, shift, stride):
    back, before = f(images.roll(shift, 3)).roll(-(shift // stride), 3), f(images)
    ((back - before).norm() / before.norm()).item()


@unknown(SHIFT)
def shift_as_percent(f, images, shift, stride):
    back, before = f(images.roll(shift, 3)).roll(-(shift // stride), 3), f(images)
    return 100 * ((back - before).norm() / before.norm()).item()


@unknown(SHIFT)
def shift_as_cosine(f, images, shift, stride):
    back, before = f(images.roll(shift, 3)).roll(-(shift // stride), 3), f(images)
    return 1 - F.cosine_similarity(back.flatten(), before.flatten(), dim=0).item()


@unknown(SHIFT, "pixels_for_places", "not_shifted_back")
def shift_by_one_place(f, images, shift, stride):
    back, before = f(images.roll(shift, 3)).roll(-1, 3), f(images)
    return ((back - before).norm() / before.norm()).item()


@two(SHIFT, "not_shifted_back", "not_relative")
def shift_in_place_and_absolute(f, images, shift, stride):
    return (f(images.roll(shift, 3)) - f(images)).norm().item()


@two(SHIFT, "pixels_for_places", "up_and_down")
def shift_down_by_pixels(f, images, shift, stride):
    back = f(images.roll(shift, 2)).roll(-shift, 2)
    return ((back - f(images)).norm() / f(images).norm()).item()


@two(SHIFT, "squared", "not_shifted_back")
def shift_in_place_squared(f, images, shift, stride):
    before = f(images)
    return ((f(images.roll(shift, 3)) - before) ** 2).sum().item() / (before**2).sum().item()


@right(SHIFT)
def shift_by_index(f, images, shift, stride):
    W = images.shape[-1]
    moved = images[..., (torch.arange(W) - shift) % W]
    before, after = f(images), f(moved)
    w = before.shape[-1]
    back = after[..., (torch.arange(w) + shift // stride) % w]
    return torch.dist(back, before).item() / torch.linalg.vector_norm(before).item()


@right(SHIFT)
def shift_by_hand(f, images, shift, stride):
    moved = torch.cat([images[..., -shift:], images[..., :-shift]], -1) if shift else images
    after, n = f(moved), shift // stride
    after = torch.cat([after[..., n:], after[..., :n]], -1)
    before = f(images)
    return math.sqrt(((after - before) ** 2).sum().item() / (before**2).sum().item())


@right(SHIFT)
def shift_the_other_forward(f, images, shift, stride):
    before = f(images)
    expected = torch.roll(before, shift // stride, dims=-1)
    return torch.linalg.vector_norm(f(images.roll(shift, -1)) - expected) / before.norm()


@right(SHIFT)
def shift_with_numpy(f, images, shift, stride):
    run = lambda x: f(torch.tensor(x)).detach().numpy()
    x = images.numpy()
    before = run(x)
    back = np.roll(run(np.roll(x, shift, axis=-1)), -(shift // stride), axis=-1)
    return np.linalg.norm((back - before).ravel()) / np.linalg.norm(before.ravel())


@right(SHIFT)
def shift_without_gradient(f, images, shift, stride):
    with torch.no_grad():
        both = f(torch.cat([images, images.roll(shift, dims=3)]))
        before, after = both.chunk(2)
        error = after.roll(-int(shift / stride), dims=3) - before
        return (error.pow(2).sum() / before.pow(2).sum()).sqrt()


# The receptive field, one mistake.


@known(FIELD, "strides_left_out")
def field_kernels_alone(kernels, strides):
    return sum(kernels) - len(kernels) + 1


@known(FIELD, "own_stride_counted")
def field_step_first(kernels, strides):
    r = j = 1
    for k, s in zip(kernels, strides):
        j = j * s
        r = r + (k - 1) * j
    return r


@known(FIELD, "one_stride_only")
def field_own_stride(kernels, strides):
    return 1 + sum((k - 1) * s for k, s in zip(kernels, strides))


@known(FIELD, "one_stride_only")
def field_stride_before(kernels, strides):
    return 1 + sum((k - 1) * s for k, s in zip(kernels, (1, *strides)))


@known(FIELD, "strides_added")
def field_sum_of_strides(kernels, strides):
    r = 1
    for i in range(len(kernels)):
        r += (kernels[i] - 1) * (1 + sum(s - 1 for s in strides[:i]))
    return r


@known(FIELD, "strides_added")
def field_running_sum(kernels, strides):
    view = jump = 1
    for kernel, stride in zip(kernels, strides):
        view = view + (kernel - 1) * jump
        jump = jump + stride
    return view


@known(FIELD, "from_the_end")
def field_backward_rule_forwards(kernels, strides):
    w = 1
    for k, s in zip(kernels, strides):
        w = (w - 1) * s + k
    return w


@known(FIELD, "whole_kernels_added")
def field_kernels_added(kernels, strides):
    r, j = 0, 1
    for k, s in zip(kernels, strides):
        r += k * j
        j *= s
    return r


@known(FIELD, "started_at_0")
def field_from_nothing(kernels, strides):
    return sum((k - 1) * math.prod(strides[:i]) for i, k in enumerate(kernels))


@known(FIELD, "from_the_end")
def field_backwards_forwards(kernels, strides):
    r, j = 1, 1
    for k, s in reversed(list(zip(kernels, strides))):
        r += (k - 1) * j
        j *= s
    return r


@known(FIELD, "the_stride_of_all")
def field_product_of_strides(kernels, strides):
    j = 1
    for s in strides:
        j *= s
    return j


@known(FIELD, "kernels_multiplied")
def field_product_of_kernels(kernels, strides):
    return int(np.prod(kernels))


@known(FIELD, "area")
def field_pixels(kernels, strides):
    return field_from_the_top.fn(kernels, strides) ** 2


@known(FIELD, "first_layer_left_out")
def field_from_1(kernels, strides):
    r, j = 1, 1
    for i in range(1, len(kernels)):
        r += (kernels[i] - 1) * j
        j *= strides[i]
    return r


@known(FIELD, "last_layer_left_out")
def field_up_to_the_last(kernels, strides):
    r, j = 1, 1
    for i in range(len(kernels) - 1):
        r += (kernels[i] - 1) * j
        j *= strides[i]
    return r


@known(FIELD, "not_written")
def field_not_yet(kernels, strides):
    raise NotImplementedError


@known(FIELD, "nothing_returned")
def field_computed(kernels, strides):
    field_from_the_top.fn(kernels, strides)


@unknown(FIELD)
def field_both_sides(kernels, strides):
    r, j = 1, 1
    for k, s in zip(kernels, strides):
        r += 2 * (k - 1) * j
        j *= s
    return r


@unknown(FIELD)
def field_half_of_it(kernels, strides):
    return field_from_the_top.fn(kernels, strides) // 2


@unknown(FIELD)
def field_largest_kernel(kernels, strides):
    return max(kernels)


@two(FIELD, "strides_left_out", "started_at_0")
def field_kernels_from_nothing(kernels, strides):
    return sum(kernels) - len(kernels)


@two(FIELD, "own_stride_counted", "whole_kernels_added")
def field_step_first_whole(kernels, strides):
    r = j = 1
    for k, s in zip(kernels, strides):
        j *= s
        r += k * j
    return r


@two(FIELD, "area", "strides_left_out")
def field_pixels_of_kernels(kernels, strides):
    return (sum(kernels) - len(kernels) + 1) ** 2


@right(FIELD)
def field_from_the_top(kernels, strides):
    r = 1
    for k, s in reversed(list(zip(kernels, strides))):
        r = (r - 1) * s + k
    return r


@right(FIELD)
def field_as_a_sum(kernels, strides):
    return 1 + sum((k - 1) * math.prod(strides[:i]) for i, k in enumerate(kernels))


@right(FIELD)
def field_by_counting_pixels(kernels, strides):
    seen = {0}
    for k, s in reversed(list(zip(kernels, strides))):
        seen = {place * s + offset for place in seen for offset in range(k)}
    return max(seen) - min(seen) + 1


@right(FIELD)
def field_with_numpy(kernels, strides):
    steps = np.cumprod([1, *strides[:-1]])
    return 1 + ((np.array(kernels) - 1) * steps).sum()


@right(FIELD)
def field_by_recursion(kernels, strides):
    if not kernels:
        return 1.0
    return (field_by_recursion.fn(kernels[1:], strides[1:]) - 1) * strides[0] + kernels[0]
