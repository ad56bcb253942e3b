"""The lesson on scale and transfer: weights of a linear probe, intervals of a difference."""

import math
import statistics

import numpy as np
import torch
import torch.nn.functional as F

from . import known, right, two, unknown

RIDGE, DIFFERENCE = "check_ridge_weights", "check_difference_interval"

# Student's t, 97.5 %; T[k - 1] is the factor for k degrees of freedom
T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16)
T += (2.145, 2.131, 2.12, 2.11, 2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06)


def signs(labels, K, dtype):
    return 2 * F.one_hot(labels, K).to(dtype) - 1


# The weights of a linear probe, one mistake.


@known(RIDGE, "targets_0_and_1")
def ridge_one_hot(features, labels, num_classes, strength):
    y = F.one_hot(labels, num_classes).to(features.dtype)
    a = features.T @ features + strength * torch.eye(features.shape[1], dtype=features.dtype)
    return torch.linalg.inv(a) @ features.T @ y


@known(RIDGE, "targets_swapped")
def ridge_other_sign(features, labels, num_classes, strength):
    y = 1 - 2 * F.one_hot(labels, num_classes).to(features)
    a = features.T @ features + strength * torch.eye(features.shape[1]).to(features)
    return torch.linalg.solve(a, features.T @ y)


@known(RIDGE, "class_numbers_as_targets")
def ridge_of_labels(features, labels, num_classes, strength):
    a = features.T @ features + strength * torch.eye(features.shape[1]).to(features)
    return torch.linalg.solve(a, features.T @ labels.to(features))


@known(RIDGE, "no_penalty")
def ridge_least_squares(features, labels, num_classes, strength):
    y = signs(labels, num_classes, features.dtype)
    return torch.linalg.inv(features.T @ features) @ features.T @ y


@known(RIDGE, "strength_added_everywhere")
def ridge_added_to_all(features, labels, num_classes, strength):
    y = signs(labels, num_classes, features.dtype)
    return torch.linalg.solve(features.T @ features + strength, features.T @ y)


@known(RIDGE, "mean_for_sum")
def ridge_of_means(features, labels, num_classes, strength):
    y, n = signs(labels, num_classes, features.dtype), len(features)
    a = features.T @ features / n + strength * torch.eye(features.shape[1]).to(features)
    return torch.linalg.solve(a, features.T @ y / n)


@known(RIDGE, "factor_two")
def ridge_with_a_two_left(features, labels, num_classes, strength):
    y = signs(labels, num_classes, features.dtype)
    a = features.T @ features + 2 * strength * torch.eye(features.shape[1]).to(features)
    return torch.linalg.solve(a, features.T @ y)


@known(RIDGE, "inverse_entry_by_entry")
def ridge_reciprocal(features, labels, num_classes, strength):
    y = signs(labels, num_classes, features.dtype)
    a = features.T @ features + strength * torch.eye(features.shape[1]).to(features)
    return a**-1 @ features.T @ y


@known(RIDGE, "not_inverted")
def ridge_sums(features, labels, num_classes, strength):
    return torch.einsum("nd,nk->dk", features, signs(labels, num_classes, features.dtype))


@known(RIDGE, "features_centred")
def ridge_centred(features, labels, num_classes, strength):
    x = features - features.mean(0, keepdim=True)
    a = x.T @ x + strength * torch.eye(x.shape[1]).to(x)
    return torch.linalg.solve(a, x.T @ signs(labels, num_classes, x.dtype))


@known(RIDGE, "features_standardised")
def ridge_standardised(features, labels, num_classes, strength):
    std, mean = torch.std_mean(features, dim=0, correction=min(1, len(features) - 1))
    x = (features - mean) / (std + 1e-6)
    return ridge_dual.fn(x, labels, num_classes, strength)


@known(RIDGE, "features_standardised")
def ridge_standardised_as_fit_probe(features, labels, num_classes, strength):
    x = (features - features.mean(0)) / features.std(0, unbiased=False).clamp(min=1e-6)
    return ridge_dual.fn(x, labels, num_classes, strength)


@known(RIDGE, "bias_added")
def ridge_with_ones(features, labels, num_classes, strength):
    x = F.pad(features, (0, 1), value=1.0)
    a = x.T @ x + strength * torch.eye(x.shape[1]).to(x)
    return torch.linalg.solve(a, x.T @ signs(labels, num_classes, x.dtype))


@known(RIDGE, "transposed")
def ridge_rows_of_classes(features, labels, num_classes, strength):
    y = signs(labels, num_classes, features.dtype)
    a = features.T @ features + strength * torch.eye(features.shape[1]).to(features)
    return y.T @ features @ torch.linalg.inv(a)


@known(RIDGE, "scores_returned")
def ridge_scores(features, labels, num_classes, strength):
    return features @ ridge_dual.fn(features, labels, num_classes, strength)


@known(RIDGE, "wrong_dtype")
def ridge_to_single_precision(features, labels, num_classes, strength):
    return ridge_dual.fn(features.double(), labels, num_classes, strength).float()


# With float32 for whatever the function creates, as most people write it first. The features of a
# model are float32: only the last case is not, and the other mistakes are still named.


def float32_targets(labels, num_classes):
    return 2 * F.one_hot(labels, num_classes).float() - 1


@known(RIDGE, "only_float32")
def ridge_for_float32(features, labels, num_classes, strength):
    a = features.T @ features + strength * torch.eye(features.shape[1])
    return torch.linalg.solve(a, features.T @ float32_targets(labels, num_classes))


@known(RIDGE, "targets_0_and_1")
def ridge_one_hot_float32(features, labels, num_classes, strength):
    a = features.T @ features + strength * torch.eye(features.shape[1])
    return torch.linalg.inv(a) @ features.T @ F.one_hot(labels, num_classes).float()


@known(RIDGE, "strength_added_everywhere")
def ridge_added_to_all_float32(features, labels, num_classes, strength):
    y = float32_targets(labels, num_classes)
    return torch.linalg.solve(features.T @ features + strength, features.T @ y)


@known(RIDGE, "mean_for_sum")
def ridge_of_means_float32(features, labels, num_classes, strength):
    y, n = float32_targets(labels, num_classes), len(features)
    a = features.T @ features / n + strength * torch.eye(features.shape[1])
    return torch.linalg.solve(a, features.T @ y / n)


@known(RIDGE, "no_penalty")
def ridge_lstsq_float32(features, labels, num_classes, strength):
    return torch.linalg.lstsq(features, float32_targets(labels, num_classes)).solution


@known(RIDGE, "transposed")
def ridge_rows_of_classes_float32(features, labels, num_classes, strength):
    return ridge_for_float32.fn(features, labels, num_classes, strength).T


@known(RIDGE, "features_standardised")
def ridge_standardised_float32(features, labels, num_classes, strength):
    x = (features - features.mean(0)) / features.std(0, correction=0)
    return ridge_for_float32.fn(x, labels, num_classes, strength)


@known(RIDGE, "features_centred")
def ridge_centred_in_place_float32(features, labels, num_classes, strength):
    x = features - features.mean(0)
    return ridge_for_float32.fn(x, labels, num_classes, strength)


@known(RIDGE, "bias_added")
def ridge_with_ones_float32(features, labels, num_classes, strength):
    x = torch.cat([features, torch.ones(len(features), 1)], dim=1)
    return ridge_for_float32.fn(x, labels, num_classes, strength)


@known(RIDGE, "not_written")
def ridge_not_yet(features, labels, num_classes, strength):
    raise NotImplementedError


@known(RIDGE, "nothing_returned")
def ridge_computed(features, labels, num_classes, strength):
    ridge_dual.fn(features, labels, num_classes, strength)


@unknown(RIDGE)
def ridge_with_the_norm(features, labels, num_classes, strength):
    x = F.normalize(features, dim=1)
    return ridge_dual.fn(x, labels, num_classes, strength)


@unknown(RIDGE)
def ridge_of_class_means(features, labels, num_classes, strength):
    y = F.one_hot(labels, num_classes).to(features)
    return features.T @ y / y.sum(0).clamp(min=1)


@unknown(RIDGE, "targets_0_and_1")
def ridge_balanced_targets(features, labels, num_classes, strength):
    y = F.one_hot(labels, num_classes).to(features) - 1 / num_classes
    a = features.T @ features + strength * torch.eye(features.shape[1]).to(features)
    return torch.linalg.solve(a, features.T @ y)


@two(RIDGE, "targets_0_and_1", "transposed")
def ridge_one_hot_rows(features, labels, num_classes, strength):
    return ridge_one_hot.fn(features, labels, num_classes, strength).T


@two(RIDGE, "no_penalty", "targets_0_and_1")
def ridge_plain_one_hot(features, labels, num_classes, strength):
    return torch.linalg.pinv(features) @ F.one_hot(labels, num_classes).to(features)


@two(RIDGE, "strength_added_everywhere", "features_centred")
def ridge_centred_everywhere(features, labels, num_classes, strength):
    x = features - features.mean(0)
    return torch.linalg.solve(x.T @ x + strength, x.T @ signs(labels, num_classes, x.dtype))


@right(RIDGE)
def ridge_dual(features, labels, num_classes, strength):
    y = signs(labels, num_classes, features.dtype)
    kernel = features @ features.T + strength * torch.eye(len(features)).to(features)
    return features.T @ torch.linalg.solve(kernel, y)


@right(RIDGE)
def ridge_by_svd(features, labels, num_classes, strength):
    u, s, vh = torch.linalg.svd(features, full_matrices=False)
    y = signs(labels, num_classes, features.dtype)
    return vh.T @ ((s / (s**2 + strength))[:, None] * (u.T @ y))


@right(RIDGE)
def ridge_longer_rows(features, labels, num_classes, strength):
    D = features.shape[1]
    x = torch.cat([features, strength**0.5 * torch.eye(D).to(features)])
    y = signs(labels, num_classes, features.dtype)
    y = torch.cat([y, torch.zeros(D, num_classes).to(y)])
    return torch.linalg.lstsq(x, y).solution


@right(RIDGE)
def ridge_with_numpy(features, labels, num_classes, strength):
    x = features.double().numpy()
    y = -np.ones((len(x), num_classes))
    y[np.arange(len(x)), labels.numpy()] = 1
    w = np.linalg.inv(x.T @ x + strength * np.eye(x.shape[1])) @ x.T @ y
    return torch.from_numpy(w).to(features.dtype)


@right(RIDGE)
def ridge_class_by_class(features, labels, num_classes, strength):
    a = features.T @ features
    a.diagonal().add_(strength)
    columns = []
    for k in range(num_classes):
        y = torch.where(labels == k, 1.0, -1.0).to(features.dtype)
        columns.append(torch.linalg.solve(a, features.T @ y))
    return torch.stack(columns, dim=1)


# The interval of a difference, one mistake.


@known(DIFFERENCE, "spread_for_error")
def gap_of_single_runs(one, other, runs):
    return one[0] - other[0], T[2 * runs - 3] * math.hypot(one[1], other[1])


@known(DIFFERENCE, "errors_added")
def gap_sum_of_errors(one, other, runs):
    errors = [sd / runs**0.5 for _, sd in (one, other)]
    return one[0] - other[0], T[2 * runs - 3] * sum(errors)


@known(DIFFERENCE, "intervals_added")
def gap_of_two_intervals(one, other, runs):
    halves = [T[runs - 2] * sd / math.sqrt(runs) for _, sd in (one, other)]
    return one[0] - other[0], sum(halves)


@known(DIFFERENCE, "spreads_averaged")
def gap_pooled(one, other, runs):
    pooled = math.sqrt((one[1] ** 2 + other[1] ** 2) / 2)
    return one[0] - other[0], T[2 * runs - 3] * pooled / math.sqrt(runs)


@known(DIFFERENCE, "one_spread_only")
def gap_of_the_first(one, other, runs):
    return one[0] - other[0], T[2 * runs - 3] * one[1] / math.sqrt(runs)


@known(DIFFERENCE, "squares_forgotten")
def gap_without_squares(one, other, runs):
    return one[0] - other[0], T[2 * runs - 3] * math.sqrt((one[1] + other[1]) / runs)


@known(DIFFERENCE, "root_forgotten")
def gap_of_variances(one, other, runs):
    variance = one[1] ** 2 / runs + other[1] ** 2 / runs
    return one[0] - other[0], T[2 * runs - 3] * variance


@known(DIFFERENCE, "divided_by_n")
def gap_over_n(one, other, runs):
    return one[0] - other[0], T[2 * runs - 3] * math.hypot(one[1], other[1]) / runs


@known(DIFFERENCE, "factor_for_many_runs")
def gap_normal(one, other, runs):
    return one[0] - other[0], 1.96 * math.hypot(one[1], other[1]) / math.sqrt(runs)


@known(DIFFERENCE, "other_freedom")
def gap_freedom_of_one(one, other, runs):
    return one[0] - other[0], T[runs - 2] * math.hypot(one[1], other[1]) / math.sqrt(runs)


@known(DIFFERENCE, "other_freedom")
def gap_one_place_off(one, other, runs):
    return one[0] - other[0], T[2 * runs - 2] * math.hypot(one[1], other[1]) / math.sqrt(runs)


@known(DIFFERENCE, "no_factor")
def gap_standard_error(one, other, runs):
    return one[0] - other[0], math.hypot(one[1], other[1]) / math.sqrt(runs)


@known(DIFFERENCE, "other_minus_one")
def gap_backwards(one, other, runs):
    return other[0] - one[0], gap_by_hand.fn(one, other, runs)[1]


@known(DIFFERENCE, "sign_lost")
def gap_absolute(one, other, runs):
    return abs(one[0] - other[0]), gap_by_hand.fn(one, other, runs)[1]


@known(DIFFERENCE, "ends_of_the_interval")
def gap_ends(one, other, runs):
    d, half = gap_by_hand.fn(one, other, runs)
    return [d - half, d + half]


@known(DIFFERENCE, "numbers_exchanged")
def gap_half_first(one, other, runs):
    return gap_by_hand.fn(one, other, runs)[::-1]


@known(DIFFERENCE, "not_written")
def gap_not_yet(one, other, runs):
    raise NotImplementedError


@known(DIFFERENCE, "nothing_returned")
def gap_printed(one, other, runs):
    gap_by_hand.fn(one, other, runs)


@unknown(DIFFERENCE)
def gap_relative(one, other, runs):
    d, half = gap_by_hand.fn(one, other, runs)
    return d / other[0], half / other[0]


@unknown(DIFFERENCE)
def gap_rounded(one, other, runs):
    d, half = gap_by_hand.fn(one, other, runs)
    return round(d), round(half)


@unknown(DIFFERENCE)
def gap_is_real(one, other, runs):
    d, half = gap_by_hand.fn(one, other, runs)
    return d, abs(d) > half


@two(DIFFERENCE, "spread_for_error", "factor_for_many_runs")
def gap_rule_of_thumb(one, other, runs):
    return one[0] - other[0], 1.96 * math.hypot(one[1], other[1])


@two(DIFFERENCE, "spread_for_error", "other_minus_one")
def gap_backwards_of_runs(one, other, runs):
    return other[0] - one[0], T[2 * runs - 3] * math.hypot(one[1], other[1])


@two(DIFFERENCE, "errors_added", "no_factor")
def gap_sum_of_standard_errors(one, other, runs):
    return one[0] - other[0], (one[1] + other[1]) / math.sqrt(runs)


@right(DIFFERENCE)
def gap_by_hand(one, other, runs):
    (m1, s1), (m2, s2) = one, other
    se = math.sqrt(s1**2 / runs + s2**2 / runs)
    return m1 - m2, T[2 * (runs - 1) - 1] * se


@right(DIFFERENCE)
def gap_pooled_twice(one, other, runs):
    pooled = math.sqrt(statistics.mean([one[1] ** 2, other[1] ** 2]))
    return one[0] - other[0], T[2 * runs - 3] * pooled * math.sqrt(2 / runs)


@right(DIFFERENCE)
def gap_with_numpy(one, other, runs):
    means, spreads = np.array([one, other]).T
    half = T[2 * runs - 3] * np.sqrt((spreads**2).sum() / runs)
    return means[0] - means[1], half


@right(DIFFERENCE)
def gap_as_tensors(one, other, runs):
    (m1, s1), (m2, s2) = (torch.tensor(pair, dtype=torch.float64) for pair in (one, other))
    return m1 - m2, T[2 * runs - 3] * torch.hypot(s1, s2) / math.sqrt(runs)


@right(DIFFERENCE)
def gap_of_distributions(one, other, runs):
    gap = statistics.NormalDist(*one) - statistics.NormalDist(*other)
    return gap.mean, T[2 * runs - 3] * gap.stdev / runs**0.5
