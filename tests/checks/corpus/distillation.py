"""A soft loss, and errors shared beyond chance: the experiments of lesson 23.

Written by the author of the checks, so the share that is named says less here than elsewhere.
"""

import numpy as np
import torch
import torch.nn.functional as F

from . import known, right, two, unknown

SOFT, KAPPA = "check_soft_loss", "check_error_kappa"

# The soft loss, right.


@right(SOFT)
def soft_with_kl_div(student, teacher, temperature):
    s = F.log_softmax(student / temperature, dim=-1)
    t = F.softmax(teacher / temperature, dim=-1)
    return F.kl_div(s, t, reduction="batchmean") * temperature**2


@right(SOFT)
def soft_with_logs(student, teacher, temperature):
    s, t = (torch.log_softmax(z / temperature, -1) for z in (student, teacher))
    loss = F.kl_div(s, t, reduction="sum", log_target=True) / student.shape[0]
    return loss * temperature * temperature


@right(SOFT)
def soft_with_kl_module(student, teacher, temperature):
    kl = torch.nn.KLDivLoss(reduction="batchmean")
    with torch.no_grad():
        target = torch.softmax(teacher / temperature, dim=1)
    return temperature**2 * kl((student / temperature).log_softmax(dim=1), target)


@right(SOFT)
def soft_cross_entropy_minus_entropy(student, teacher, temperature):
    s, t = student / temperature, teacher / temperature
    p = t.softmax(dim=1).detach()
    return temperature**2 * (F.cross_entropy(s, p) - F.cross_entropy(t.detach(), p))


@right(SOFT)
def soft_image_by_image(student, teacher, temperature):
    losses = []
    for s, t in zip(student / temperature, teacher / temperature):
        difference = t.log_softmax(dim=0) - s.log_softmax(dim=0)
        losses.append((t.softmax(dim=0) * difference).sum())
    return temperature**2 * torch.stack(losses).mean()


# The soft loss, one mistake.


@known(SOFT, "logarithm_of_softmax")
def soft_by_hand(student, teacher, temperature):
    p = torch.exp(teacher / temperature)
    p = p / p.sum(dim=1, keepdim=True)
    q = torch.exp(student / temperature)
    q = q / q.sum(dim=1, keepdim=True)
    return temperature**2 * (p * torch.log(p / q)).sum() / len(p)


@known(SOFT, "logarithm_of_softmax")  # kl_divergence gives inf where q is rounded to 0
def soft_with_distributions(student, teacher, temperature):
    p, q = (torch.distributions.Categorical(logits=z / temperature) for z in (teacher, student))
    return temperature**2 * torch.distributions.kl_divergence(p, q).mean()


@known(SOFT, "logarithm_of_softmax")
def soft_softmax_then_log(student, teacher, temperature):
    p = torch.softmax(teacher / temperature, dim=1)
    log_q = torch.softmax(student / temperature, dim=1).log()
    return temperature**2 * F.kl_div(log_q, p, reduction="batchmean")


@known(SOFT, "kl_backwards")
def soft_arguments_swapped(student, teacher, temperature):
    s = F.softmax(student / temperature, dim=1)
    t = F.log_softmax(teacher / temperature, dim=1)
    return F.kl_div(t, s, reduction="batchmean") * temperature**2


@known(SOFT, "square_forgotten")
def soft_without_factor(student, teacher, temperature):
    s, t = (F.log_softmax(z / temperature, dim=1) for z in (student, teacher))
    return F.kl_div(s, t, reduction="batchmean", log_target=True)


@known(SOFT, "temperature_not_squared")
def soft_factor_once(student, teacher, temperature):
    s, t = (F.log_softmax(z / temperature, dim=1) for z in (student, teacher))
    return temperature * F.kl_div(s, t, reduction="batchmean", log_target=True)


@known(SOFT, "divided_by_the_square")
def soft_factor_below(student, teacher, temperature):
    s, t = (F.log_softmax(z / temperature, dim=1) for z in (student, teacher))
    return F.kl_div(s, t, reduction="batchmean", log_target=True) / temperature**2


@known(SOFT, "mean_over_classes")
def soft_default_reduction(student, teacher, temperature):
    s = F.log_softmax(student / temperature, dim=1)
    t = F.softmax(teacher / temperature, dim=1)
    # What reduction="mean", the default, did on every torch up to the next major release.
    return F.kl_div(s, t, reduction="none").mean() * temperature**2


@known(SOFT, "mean_over_classes")
def soft_over_numel(student, teacher, temperature):
    s, t = (F.log_softmax(z / temperature, dim=1) for z in (student, teacher))
    loss = F.kl_div(s, t, reduction="sum", log_target=True)
    return loss * temperature * temperature / student.numel()


@known(SOFT, "summed_over_images")
def soft_sum(student, teacher, temperature):
    s, t = (F.log_softmax(z / temperature, dim=1) for z in (student, teacher))
    return temperature**2 * F.kl_div(s, t, reduction="sum", log_target=True)


@known(SOFT, "one_side_softened")
def soft_teacher_only(student, teacher, temperature):
    s = F.log_softmax(student, dim=1)
    return F.kl_div(s, F.softmax(teacher / temperature, 1), reduction="batchmean") * temperature**2


@known(SOFT, "temperature_multiplies")
def soft_sharpened(student, teacher, temperature):
    s, t = (F.log_softmax(z * temperature, dim=1) for z in (student, teacher))
    return F.kl_div(s, t, reduction="batchmean", log_target=True) * temperature**2


@known(SOFT, "temperature_left_out")
def soft_without_temperature(student, teacher, temperature):
    s, t = (F.log_softmax(z, dim=1) for z in (student, teacher))
    return F.kl_div(s, t, reduction="batchmean", log_target=True)


@known(SOFT, "softmax_over_images")
def soft_dim_0(student, teacher, temperature):
    s, t = (F.log_softmax(z / temperature, dim=0) for z in (student, teacher))
    return temperature**2 * F.kl_div(s, t, reduction="batchmean", log_target=True)


@known(SOFT, "entropy_left_in")
def soft_cross_entropy(student, teacher, temperature):
    target = F.softmax(teacher / temperature, dim=1).detach()
    return temperature**2 * F.cross_entropy(student / temperature, target)


@known(SOFT, "hard_labels")
def soft_by_answers(student, teacher, temperature):
    return F.cross_entropy(student, teacher.argmax(dim=-1))


@known(SOFT, "probabilities_for_logs")
def soft_two_softmaxes(student, teacher, temperature):
    s, t = (F.softmax(z / temperature, dim=1) for z in (student, teacher))
    return temperature**2 * F.kl_div(s, t, reduction="batchmean")


@known(SOFT, "logs_taken_for_probabilities")
def soft_log_target_not_said(student, teacher, temperature):
    s, t = (F.log_softmax(z / temperature, dim=1) for z in (student, teacher))
    return temperature**2 * F.kl_div(s, t, reduction="batchmean")


@known(SOFT, "sign_exchanged")
def soft_minus(student, teacher, temperature):
    s, t = (F.log_softmax(z / temperature, dim=1) for z in (student, teacher))
    return temperature**2 * (t.exp() * (s - t)).sum(dim=1).mean()


@known(SOFT, "one_number_an_image")
def soft_no_mean(student, teacher, temperature):
    s, t = (F.log_softmax(z / temperature, dim=1) for z in (student, teacher))
    return temperature**2 * (t.exp() * (t - s)).sum(dim=1)


@known(SOFT, "detached")
def soft_as_float(student, teacher, temperature):
    s, t = (F.log_softmax(z / temperature, dim=1) for z in (student.detach(), teacher))
    return temperature**2 * F.kl_div(s, t.detach(), reduction="batchmean", log_target=True)


@known(SOFT, "not_written")
def soft_not_yet(student, teacher, temperature):
    raise NotImplementedError


@known(SOFT, "nothing_returned")
def soft_computed(student, teacher, temperature):
    soft_with_kl_div.fn(student, teacher, temperature)


@unknown(SOFT)
def soft_both_directions(student, teacher, temperature):
    s, t = (F.log_softmax(z / temperature, dim=1) for z in (student, teacher))
    both = F.kl_div(s, t, reduction="batchmean", log_target=True)
    return temperature**2 * (both + F.kl_div(t, s, reduction="batchmean", log_target=True))


@unknown(SOFT)
def soft_squared_logits(student, teacher, temperature):
    return F.mse_loss(student / temperature, teacher / temperature)


@two(SOFT, "kl_backwards", "square_forgotten")
def soft_swapped_without_factor(student, teacher, temperature):
    s = F.softmax(student / temperature, dim=1)
    t = F.log_softmax(teacher / temperature, dim=1)
    return F.kl_div(t, s, reduction="batchmean")


@two(SOFT, "mean_over_classes", "square_forgotten")
def soft_default_without_factor(student, teacher, temperature):
    s = F.log_softmax(student / temperature, dim=1)
    return F.kl_div(s, F.softmax(teacher / temperature, dim=1), reduction="none").mean()


# Errors shared, right.


@right(KAPPA)
def kappa_plain(one, other, labels):
    a, b = one == labels, other == labels
    p, q = a.float().mean(), b.float().mean()
    expected = p * q + (1 - p) * (1 - q)
    return (((a == b).float().mean() - expected) / (1 - expected)).item()


@right(KAPPA)
def kappa_numpy(one, other, labels):
    a, b = one.numpy() == labels.numpy(), other.numpy() == labels.numpy()
    p_e = a.mean() * b.mean() + (~a).mean() * (~b).mean()
    return (np.mean(a == b) - p_e) / (1 - p_e)


@right(KAPPA)
def kappa_by_counting(one, other, labels):
    n = len(labels)
    table = [[0, 0], [0, 0]]
    for x, y, label in zip(one.tolist(), other.tolist(), labels.tolist()):
        table[x == label][y == label] += 1
    observed = (table[0][0] + table[1][1]) / n
    rows = [sum(row) / n for row in table]
    columns = [sum(column) / n for column in zip(*table)]
    chance = sum(r * c for r, c in zip(rows, columns))
    return (observed - chance) / (1 - chance)


@right(KAPPA)
def kappa_from_disagreement(one, other, labels):
    a, b = (one == labels).double(), (other == labels).double()
    p, q = a.mean(), b.mean()
    return 1 - (a - b).abs().mean() / (p * (1 - q) + q * (1 - p))


# Errors shared, one mistake.


@known(KAPPA, "answers_compared")
def kappa_same_class(one, other, labels):
    p, q = (one == labels).float().mean(), (other == labels).float().mean()
    chance = p * q + (1 - p) * (1 - q)
    return (((one == other).float().mean() - chance) / (1 - chance)).item()


@known(KAPPA, "chance_not_taken_off")
def kappa_agreement(one, other, labels):
    return ((one == labels) == (other == labels)).float().mean().item()


@known(KAPPA, "not_divided")
def kappa_difference(one, other, labels):
    a, b = (one == labels).double(), (other == labels).double()
    p, q = a.mean(), b.mean()
    return ((a == b).double().mean() - p * q - (1 - p) * (1 - q)).item()


@known(KAPPA, "divided_by_chance")
def kappa_over_chance(one, other, labels):
    a, b = (one == labels).double(), (other == labels).double()
    chance = a.mean() * b.mean() + (1 - a.mean()) * (1 - b.mean())
    return ((a == b).double().mean() / chance).item()


@known(KAPPA, "chance_of_both_right_only")
def kappa_product(one, other, labels):
    a, b = (one == labels).double(), (other == labels).double()
    chance = a.mean() * b.mean()
    return (((a == b).double().mean() - chance) / (1 - chance)).item()


@known(KAPPA, "wrong_images_only")
def kappa_both_wrong(one, other, labels):
    return ((one != labels) & (other != labels)).double().mean().item()


@known(KAPPA, "half_by_chance")
def kappa_coin(one, other, labels):
    agreement = ((one == labels) == (other == labels)).double().mean().item()
    return 2 * agreement - 1


@known(KAPPA, "one_accuracy_for_both")
def kappa_mean_accuracy(one, other, labels):
    a, b = (one == labels).double(), (other == labels).double()
    p = (a.mean() + b.mean()) / 2
    chance = p**2 + (1 - p) ** 2
    return (((a == b).double().mean() - chance) / (1 - chance)).item()


@known(KAPPA, "correlation")
def kappa_as_correlation(one, other, labels):
    both = torch.stack([one == labels, other == labels]).double()
    return torch.corrcoef(both)[0, 1].item()


@known(KAPPA, "overlap_of_errors")
def kappa_jaccard(one, other, labels):
    a, b = one != labels, other != labels
    return ((a & b).sum() / (a | b).sum()).item()


@known(KAPPA, "disagreement")
def kappa_one_minus(one, other, labels):
    return 1 - kappa_plain.fn(one, other, labels)


@known(KAPPA, "percent")
def kappa_times_100(one, other, labels):
    return 100 * kappa_plain.fn(one, other, labels)


@known(KAPPA, "not_written")
def kappa_not_yet(one, other, labels):
    raise NotImplementedError


@known(KAPPA, "nothing_returned")
def kappa_printed(one, other, labels):
    kappa_plain.fn(one, other, labels)


@unknown(KAPPA)
def kappa_of_counts(one, other, labels):
    return ((one != labels) & (other != labels)).sum().item()


@unknown(KAPPA)
def kappa_difference_of_accuracies(one, other, labels):
    return ((one == labels).double().mean() - (other == labels).double().mean()).item()


@two(KAPPA, "answers_compared", "not_divided")
def kappa_same_class_not_divided(one, other, labels):
    p, q = (one == labels).double().mean(), (other == labels).double().mean()
    return ((one == other).double().mean() - p * q - (1 - p) * (1 - q)).item()


@two(KAPPA, "answers_compared", "chance_not_taken_off")
def kappa_same_class_share(one, other, labels):
    return (one == other).double().mean().item()


@unknown(SOFT)
def soft_absolute(student, teacher, temperature):
    s, t = (F.softmax(z / temperature, dim=1) for z in (student, teacher))
    return temperature**2 * (s - t).abs().sum(dim=1).mean()


@two(SOFT, "mean_over_classes", "kl_backwards")
def soft_default_backwards(student, teacher, temperature):
    s = F.softmax(student / temperature, dim=1)
    t = F.log_softmax(teacher / temperature, dim=1)
    return temperature**2 * F.kl_div(t, s, reduction="none").mean()


@unknown(KAPPA)
def kappa_halved(one, other, labels):
    return kappa_plain.fn(one, other, labels) / 2


@two(KAPPA, "not_divided", "percent")
def kappa_difference_in_percent(one, other, labels):
    return 100 * kappa_difference.fn(one, other, labels)


@right(KAPPA)
def kappa_in_numpy_again(one, other, labels):
    return float(kappa_numpy.fn(one, other, labels))
