"""A strided mask, and what a pixel costs: the exercises of lesson 26.

Written by the author of the checks, so the share that is named says less here than elsewhere.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F

from . import known, right, two, unknown

MASK, BITS = "check_strided_mask", "check_bits_per_pixel"

# The mask, one mistake.


@known(MASK, "future_read")
def mask_of_both_sides(length, stride):
    mask = torch.zeros(length, length, dtype=torch.bool)
    for i in range(length):
        for j in range(length):
            mask[i, j] = abs(i - j) < stride or (i - j) % stride == 0
    return mask


@known(MASK, "future_read")
def mask_without_an_end(length, stride):
    i, j = torch.meshgrid(torch.arange(length), torch.arange(length), indexing="ij")
    return torch.logical_or(i - j < stride, (i - j) % stride == 0)


@known(MASK, "readers_in_columns")
def mask_upside_down(length, stride):
    mask = torch.zeros(length, length, dtype=torch.bool)
    for i in range(length):
        mask[max(0, i - stride + 1) : i + 1, i] = True
        mask[i % stride : i + 1 : stride, i] = True
    return mask


@known(MASK, "true_for_hidden")
def mask_of_the_hidden(length, stride):
    mask = torch.ones(length, length, dtype=torch.bool)
    for i in range(length):
        for j in range(i + 1):
            if i - j < stride or (i - j) % stride == 0:
                mask[i, j] = False
    return mask


@known(MASK, "itself_left_out")
def mask_of_others(length, stride):
    i, j = torch.arange(length).unsqueeze(1), torch.arange(length).unsqueeze(0)
    return ((i - j < stride) | ((i - j) % stride == 0)) & (j < i)


@known(MASK, "window_too_short")
def mask_one_less(length, stride):
    mask = torch.eye(length, dtype=torch.bool)
    for i in range(length):
        mask[i, max(0, i - stride + 2) : i] = True
        mask[i, i % stride : i + 1 : stride] = True
    return mask


@known(MASK, "window_alone")
def mask_of_a_band(length, stride):
    lower = torch.ones(length, length).tril()
    return (lower - lower.tril(-stride)).bool()


@known(MASK, "strides_alone")
def mask_of_a_comb(length, stride):
    mask = torch.zeros(length, length, dtype=torch.bool)
    for i in range(length):
        mask[i, list(range(i, -1, -stride))] = True
    return mask


@known(MASK, "both_at_once")
def mask_and(length, stride):
    i, j = torch.arange(length)[:, None], torch.arange(length)[None]
    return (j <= i) & (i - j < stride) & ((i - j) % stride == 0)


@known(MASK, "counted_from_the_start")
def mask_comb_from_0(length, stride):
    mask = torch.zeros(length, length, dtype=torch.bool)
    for i in range(length):
        mask[i, max(0, i - stride + 1) : i + 1] = True
        mask[i, 0 : i + 1 : stride] = True
    return mask


@known(MASK, "line_for_window")
def mask_of_lines(length, stride):
    i, j = torch.arange(length)[:, None], torch.arange(length)[None]
    same_line = torch.div(i, stride, rounding_mode="floor") == j // stride
    return (same_line | ((i - j) % stride == 0)) & (j <= i)


@known(MASK, "fixed_pattern")
def mask_fixed(length, stride):
    i, j = torch.arange(length)[:, None], torch.arange(length)[None]
    return torch.tril((i // stride == j // stride) | ((j + 1) % stride == 0))


@known(MASK, "all_that_is_earlier")
def mask_tril(length, stride):
    return torch.tril(torch.ones(length, length, dtype=torch.bool))


@known(MASK, "scores_for_a_mask")
def mask_of_scores(length, stride):
    scores = torch.full((length, length), float("-inf"))
    scores[mask_by_slices.fn(length, stride)] = 0
    return scores


@known(MASK, "wrong_dtype")
def mask_of_numbers(length, stride):
    return mask_by_slices.fn(length, stride).long()


@known(MASK, "not_written")
def mask_not_yet(length, stride):
    raise NotImplementedError


@known(MASK, "nothing_returned")
def mask_computed(length, stride):
    mask_by_slices.fn(length, stride)


@unknown(MASK)
def mask_every_second(length, stride):
    i, j = torch.arange(length)[:, None], torch.arange(length)[None]
    return ((i - j < stride) | ((i - j) % 2 == 0)) & (j <= i)


@unknown(MASK)
def mask_first_always(length, stride):
    mask = mask_by_slices.fn(length, stride)
    mask[:, 0] = True
    return mask


@unknown(MASK)
def mask_of_double_strides(length, stride):
    i, j = torch.arange(length)[:, None], torch.arange(length)[None]
    return ((i - j < stride) | ((i - j) % (2 * stride) == 0)) & (j <= i)


@two(MASK, "strides_alone", "readers_in_columns")
def mask_of_a_comb_below(length, stride):
    return mask_of_a_comb.fn(length, stride).T


@two(MASK, "window_too_short", "true_for_hidden")
def mask_short_and_hidden(length, stride):
    return ~mask_one_less.fn(length, stride)


@two(MASK, "counted_from_the_start", "itself_left_out")
def mask_from_0_of_others(length, stride):
    return mask_comb_from_0.fn(length, stride) & ~torch.eye(length, dtype=torch.bool)


@right(MASK)
def mask_by_slices(length, stride):
    mask = torch.zeros(length, length, dtype=torch.bool)
    for i in range(length):
        mask[i, max(0, i - stride + 1) : i + 1] = True
        mask[i, i % stride : i + 1 : stride] = True
    return mask


@right(MASK)
def mask_by_diagonals(length, stride):
    mask = torch.zeros(length, length, dtype=torch.bool)
    for back in range(length):
        if back <= stride or back % stride == 0:
            mask.diagonal(-back).fill_(True)
    return mask


@right(MASK)
def mask_from_lists(length, stride):
    return torch.tensor(
        [
            [0 <= i - j < stride or (j <= i and (i - j) % stride == 0) for j in range(length)]
            for i in range(length)
        ]
    )


@right(MASK)
def mask_with_numpy(length, stride):
    back = np.subtract.outer(np.arange(length), np.arange(length))
    return torch.from_numpy(np.tril((back < stride) | (back % stride == 0)))


@right(MASK)
def mask_by_repeated_steps(length, stride):
    step = torch.eye(length, dtype=torch.bool)
    far = sum(step.roll(n * stride, dims=0).tril(-n * stride).long() for n in range(length))
    near = torch.ones(length, length).tril().triu(1 - stride)
    return (far + near) > 0


# The bits, one mistake.


@known(BITS, "not_shifted")
def bits_in_place(logits, tokens):
    return F.cross_entropy(logits.flatten(0, 1), tokens.flatten()).item() / math.log(2)


@known(BITS, "shifted_the_other_way")
def bits_backwards(logits, tokens):
    p = logits.softmax(-1)[:, 1:].gather(2, tokens[:, :-1].unsqueeze(2))
    return -p.log2().mean().item()


@known(BITS, "rolled_round")
def bits_rolled(logits, tokens):
    following = torch.cat([tokens[:, 1:], tokens[:, :1]], dim=1)
    return F.cross_entropy(logits.transpose(1, 2), following) / math.log(2)


@known(BITS, "nats")
def bits_of_the_loss(logits, tokens):
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()).item()


@known(BITS, "multiplied_by_ln_2")
def bits_multiplied(logits, tokens):
    return bits_of_the_loss.fn(logits, tokens) * math.log(2)


@known(BITS, "common_logarithm")
def bits_to_the_base_10(logits, tokens):
    p = logits[:, :-1].softmax(-1).gather(2, tokens[:, 1:, None])
    return -torch.log10(p).mean()


@known(BITS, "all_pixels_added")
def bits_of_an_image(logits, tokens):
    p = logits[:, :-1].softmax(-1).gather(2, tokens[:, 1:, None])[..., 0]
    return -p.log2().sum(dim=1).mean()


@known(BITS, "divided_by_all")
def bits_over_everything(logits, tokens):
    p = logits[:, :-1].softmax(-1).gather(2, tokens[:, 1:, None])
    return -p.log2().sum().item() / tokens.numel()


@known(BITS, "perplexity")
def bits_as_perplexity(logits, tokens):
    return math.exp(bits_of_the_loss.fn(logits, tokens))


@known(BITS, "mean_before_logarithm")
def bits_of_the_mean(logits, tokens):
    p = logits[:, :-1].softmax(-1).gather(2, tokens[:, 1:, None])
    return -math.log2(p.mean().item())


@known(BITS, "sign")
def bits_below_zero(logits, tokens):
    p = logits[:, :-1].softmax(-1).gather(2, tokens[:, 1:, None])
    return p.log2().mean().item()


@known(BITS, "no_softmax")
def bits_nll(logits, tokens):
    return F.nll_loss(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()) / math.log(2)


@known(BITS, "softmax_twice")
def bits_of_probabilities(logits, tokens):
    p = logits[:, :-1].softmax(-1)
    return F.cross_entropy(p.flatten(0, 1), tokens[:, 1:].flatten()) / math.log(2)


@known(BITS, "softmax_over_pixels")
def bits_softmax_1(logits, tokens):
    p = torch.softmax(logits, 1)[:, :-1].gather(2, tokens[:, 1:, None])
    return -p.log2().mean()


@known(BITS, "axes_reshaped")
def bits_viewed(logits, tokens):
    logits = logits[:, :-1]
    B, T, K = logits.shape
    return F.cross_entropy(logits.reshape(B, K, T), tokens[:, 1:]) / math.log(2)


@known(BITS, "entropy_of_the_prediction")
def bits_of_doubt(logits, tokens):
    entropy = torch.distributions.Categorical(logits=logits[:, :-1]).entropy()
    return entropy.mean().item() / math.log(2)


@known(BITS, "most_likely_colour")
def bits_of_the_best(logits, tokens):
    return -logits[:, :-1].softmax(-1).amax(-1).log2().mean()


@known(BITS, "share_of_errors")
def bits_as_errors(logits, tokens):
    return 1 - (logits[:, :-1].argmax(-1) == tokens[:, 1:]).double().mean()


@known(BITS, "last_pixel_alone")
def bits_at_the_end(logits, tokens):
    return F.cross_entropy(logits[:, -2], tokens[:, -1]).item() / math.log(2)


@known(BITS, "not_written")
def bits_not_yet(logits, tokens):
    raise NotImplementedError


@known(BITS, "nothing_returned")
def bits_printed(logits, tokens):
    bits_of_the_loss.fn(logits, tokens)


@unknown(BITS)
def bits_of_the_median(logits, tokens):
    p = logits[:, :-1].softmax(-1).gather(2, tokens[:, 1:, None])
    return -p.log2().median()


@unknown(BITS)
def bits_label_smoothed(logits, tokens):
    loss = F.cross_entropy(
        logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten(), label_smoothing=0.1
    )
    return loss / math.log(2)


@unknown(BITS)
def bits_of_the_first_image(logits, tokens):
    p = logits[0, :-1].softmax(-1).gather(1, tokens[0, 1:, None])
    return -p.log2().mean()


@two(BITS, "not_shifted", "nats")
def bits_in_place_in_nats(logits, tokens):
    return F.cross_entropy(logits.transpose(1, 2), tokens)


@two(BITS, "shifted_the_other_way", "all_pixels_added")
def bits_backwards_added(logits, tokens):
    loss = F.cross_entropy(logits[:, 1:].transpose(1, 2), tokens[:, :-1], reduction="sum")
    return loss / math.log(2)


@two(BITS, "nats", "sign")
def bits_below_zero_in_nats(logits, tokens):
    return -F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())


@right(BITS)
def bits_flat(logits, tokens):
    K = logits.shape[-1]
    loss = F.cross_entropy(logits[:, :-1].reshape(-1, K), tokens[:, 1:].reshape(-1))
    return loss.item() / math.log(2)


@right(BITS)
def bits_of_probabilities_by_hand(logits, tokens):
    p = logits.softmax(dim=-1)
    total, count = 0.0, 0
    for b in range(len(tokens)):
        for t in range(1, tokens.shape[1]):
            total -= math.log2(p[b, t - 1, tokens[b, t]].item())
            count += 1
    return total / count


@right(BITS)
def bits_with_numpy(logits, tokens):
    x, y = logits.double().numpy()[:, :-1], tokens.numpy()[:, 1:]
    logs = x - np.log(np.exp(x - x.max(-1, keepdims=True)).sum(-1, keepdims=True))
    logs = logs - x.max(-1, keepdims=True)
    return -np.take_along_axis(logs, y[..., None], 2).mean() / np.log(2)


@right(BITS)
def bits_as_a_tensor(logits, tokens):
    found = torch.distributions.Categorical(logits=logits[:, :-1]).log_prob(tokens[:, 1:])
    return -found.mean() / math.log(2)


@right(BITS)
def bits_image_by_image(logits, tokens):
    each = [F.cross_entropy(x[:-1], y[1:]).item() for x, y in zip(logits, tokens)]
    return sum(each) / len(each) / math.log(2)
