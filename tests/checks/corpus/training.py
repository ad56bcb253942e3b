"""The learning rate over a run, and the accuracy."""

import math
from fractions import Fraction

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

from . import known, right, two, unknown

RATE, ACC = "check_warmup_cosine", "check_evaluate"


# The schedule, one mistake.


def cosine(done):
    return 0.5 * (1 + math.cos(math.pi * done))


@known(RATE, "warmup_one_step_early")
def rate_early(step, total_steps, warmup_steps, peak):
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    progress = (step - warmup_steps) / (total_steps - warmup_steps)
    return peak * 0.5 * (1.0 + math.cos(math.pi * progress))


@known(RATE, "warmup_one_step_early")
def rate_early_numpy(step, total, warmup, peak):
    ramp = np.linspace(peak / max(warmup, 1), peak, warmup)
    fall = peak * 0.5 * (1 + np.cos(np.pi * np.arange(total - warmup + 1) / (total - warmup)))
    return np.concatenate([ramp, fall])[step]


@known(RATE, "warmup_one_step_late")
def rate_late(step, total, warmup, peak):
    if step < warmup:
        return step / (warmup + 1) * peak
    return peak * cosine((step - warmup) / (total - warmup))


@known(RATE, "no_warmup")
def rate_no_warmup(step, total, warmup, peak):
    return peak if step < warmup else peak * cosine((step - warmup) / (total - warmup))


@known(RATE, "no_warmup")
def rate_no_warmup_at_all(step, total, warmup, peak):
    return peak * cosine(step / total)


@known(RATE, "cosine_from_step_0")
def rate_from_0(step, total, warmup, peak):
    if step < warmup:
        return peak * step / warmup
    return 0.5 * peak * (1 + math.cos(step / total * math.pi))


@known(RATE, "cosine_over_the_whole_run")
def rate_whole_run(step, total, warmup, peak):
    if step < warmup:
        return peak * step / warmup
    return 0.5 * peak * (1 + math.cos((step - warmup) / total * math.pi))


@known(RATE, "warmup_times_cosine")
def rate_product(step, total, warmup, peak):
    warm = min(1.0, step / warmup) if warmup > 0 else 1.0
    return peak * warm * cosine(step / total)


@known(RATE, "whole_period")
def rate_whole_period(step, total, warmup, peak):
    if step < warmup:
        return peak * step / warmup
    return peak * (1 + np.cos(2 * np.pi * (step - warmup) / (total - warmup))) / 2


@known(RATE, "quarter_period")
def rate_quarter(step, total, warmup, peak):
    if step < warmup:
        return peak * step / warmup
    return peak * math.cos(math.pi / 2 * (step - warmup) / (total - warmup))


@known(RATE, "half_forgotten")
def rate_half_forgotten(step, total, warmup, peak):
    if step < warmup:
        return peak * step / warmup
    return peak * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


@known(RATE, "one_forgotten")
def rate_one_forgotten(step, total, warmup, peak):
    if step < warmup:
        return peak * step / warmup
    return peak * math.cos(math.pi * (step - warmup) / (total - warmup))


@known(RATE, "rises_at_the_end")
def rate_rises(step, total, warmup, peak):
    if step < warmup:
        return peak * step / warmup
    t = (step - warmup) / (total - warmup)
    return peak * math.sin(math.pi * t / 2) ** 2


@unknown(RATE, "degrees")  # radians turned into radians once more
def rate_degrees(step, total, warmup, peak):
    if step < warmup:
        return peak * step / warmup
    return peak * 0.5 * (1 + math.cos(math.radians(math.pi * (step - warmup) / (total - warmup))))


@known(RATE, "degrees")
def rate_degrees_180(step, total, warmup, peak):
    if step < warmup:
        return peak * step / warmup
    return peak * (math.cos(180 * (step - warmup) / (total - warmup)) + 1) / 2


@known(RATE, "linear_decay")
def rate_linear(step, total, warmup, peak):
    return (
        float(np.interp(step, [0, warmup, total], [0, peak, 0]))
        if warmup
        else peak * (1 - step / total)
    )


@known(RATE, "constant_after_warmup")
def rate_constant(step, total, warmup, peak):
    return peak * min(1, step / warmup) if warmup else peak


@known(RATE, "whole_numbers")
def rate_whole_numbers(step, total, warmup, peak):
    if step < warmup:
        return peak * (step // warmup)
    return peak * cosine((step - warmup) / (total - warmup))


@known(RATE, "whole_numbers")
def rate_int(step, total, warmup, peak):
    if step < warmup:
        share = int(step / warmup)
    else:
        share = 0.5 * (1 + np.cos(np.pi * (step - warmup) / (total - warmup)))
    return peak * share


@known(RATE, "peak_forgotten")
def rate_share(step, total, warmup, peak):
    return step / warmup if step < warmup else cosine((step - warmup) / (total - warmup))


@known(RATE, "division_by_zero")
def rate_divides(step, total, warmup, peak):
    if step <= warmup:
        return peak * step / warmup
    return peak * cosine((step - warmup) / (total - warmup))


@known(RATE, "division_by_zero")
def rate_divides_min(step, total, warmup, peak):
    up = min(step / warmup, 1.0)
    return peak * up * cosine(max(0, step - warmup) / (total - warmup))


@known(RATE, "division_by_zero")
def rate_divides_numpy(step, total, warmup, peak):
    with np.errstate(all="ignore"):
        up = np.minimum(np.float64(step) / warmup, 1.0)
    return peak * up * cosine(max(0, step - warmup) / (total - warmup))


@known(RATE, "not_written")
def rate_not_written(step, total_steps, warmup_steps, peak):
    raise NotImplementedError


@known(RATE, "nothing_returned")
def rate_nothing(step, total, warmup, peak):
    if step < warmup:
        rate = peak * step / warmup
    else:
        rate = peak * cosine((step - warmup) / (total - warmup))
    print(rate)


@known(RATE, "nothing_returned")
def rate_nothing_in_warmup(step, total, warmup, peak):
    if step < warmup:
        rate = peak * step / warmup
    else:
        rate = peak * cosine((step - warmup) / (total - warmup))
        return rate


# The schedule, mistakes of no name.


@unknown(RATE)
def rate_exponential(step, total, warmup, peak):
    return peak * step / warmup if step < warmup else peak * 0.9 ** (step - warmup)


@known(RATE, "lowest_rate_kept")
def rate_floor(step, total, warmup, peak):
    if step < warmup:
        return peak * step / warmup
    return 0.1 * peak + 0.9 * peak * cosine((step - warmup) / (total - warmup))


@known(RATE, "curved_warmup")
def rate_quadratic_warmup(step, total, warmup, peak):
    return (
        peak * (step / warmup) ** 2
        if step < warmup
        else peak * cosine((step - warmup) / (total - warmup))
    )


@known(RATE, "end_one_step_off")
def rate_ends_one_early(step, total, warmup, peak):
    if step < warmup:
        return peak * step / warmup
    return peak * cosine(min(1, (step - warmup) / (total - warmup - 1)))


@known(RATE, "curved_warmup")
def rate_cosine_warmup(step, total, warmup, peak):
    if step < warmup:
        return peak * (1 - cosine(step / warmup))
    return peak * cosine((step - warmup) / (total - warmup))


# The schedule, two at once.


@two(RATE, "warmup_one_step_early", "half_forgotten")
def rate_two_early_half(step, total, warmup, peak):
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


@two(RATE, "peak_forgotten", "cosine_from_step_0")
def rate_two_share_from_0(step, total, warmup, peak):
    return step / warmup if step < warmup else cosine(step / total)


@two(RATE, "division_by_zero", "linear_decay")
def rate_two_divides_linear(step, total, warmup, peak):
    return peak * min(step / warmup, (total - step) / (total - warmup))


@two(RATE, "degrees", "no_warmup")
def rate_two_degrees_no_warmup(step, total, warmup, peak):
    return peak * cosine(max(0, step - warmup) / (total - warmup) * 180 / math.pi)


# The schedule, right.


@right(RATE)
def rate_numpy_table(step, total, warmup, peak):
    ramp = np.linspace(0, peak, warmup, endpoint=False)
    fall = peak * 0.5 * (1 + np.cos(np.linspace(0, np.pi, total - warmup + 1)))
    return np.concatenate([ramp, fall])[step]


@right(RATE)
def rate_schedulers(step, total, warmup, peak):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=peak)
    factor = lambda s: s / warmup if s < warmup else cosine((s - warmup) / (total - warmup))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    for _ in range(step):
        optimizer.step()
        schedule.step()
    return schedule.get_last_lr()[0]


@right(RATE)
def rate_sine_squared(step, total, warmup, peak, minimum=0):
    if step >= warmup:
        left = (total - step) / (total - warmup)
        return minimum + (peak - minimum) * math.sin(math.pi / 2 * left) ** 2
    return peak / warmup * step


@right(RATE)
def rate_recursive(step, total, warmup, peak):
    if 0 < step <= warmup:
        return rate_recursive.fn(step - 1, total, warmup, peak) + peak / warmup
    return 0.0 if step < warmup else peak * cosine((step - warmup) / (total - warmup))


@right(RATE)
def rate_fractions(step, total, warmup, peak):
    if step < warmup:
        return float(Fraction(step, warmup)) * peak
    return (math.cos(float(Fraction(step - warmup, total - warmup)) * math.pi) + 1) * peak / 2


@right(RATE)
def rate_torch_where(step, total, warmup, peak):
    s = torch.tensor(float(step), dtype=torch.float64)
    rise = s / max(warmup, 1)
    fall = (1 + torch.cos(torch.pi * (s - warmup) / (total - warmup))) / 2
    return (peak * torch.where(s < warmup, rise, fall)).item()


@right(RATE)
def rate_int_at_the_ends(step, total, warmup, peak):
    if step == total or (step == 0 and warmup > 0):
        return 0
    return peak * (step / warmup if step < warmup else cosine((step - warmup) / (total - warmup)))


# The accuracy, one mistake.


def batches(images, labels, size):
    return zip(images.split(size), labels.split(size))


@known(ACC, "left_in_training_mode")
def acc_training_mode(model, images, labels, batch_size):
    correct = 0
    with torch.no_grad():
        for i in range(0, len(images), batch_size):
            pred = model(images[i : i + batch_size]).argmax(dim=1)
            correct += (pred == labels[i : i + batch_size]).sum().item()
    return correct / len(images)


@known(ACC, "left_in_training_mode")
def acc_train_called(model, images, labels, batch_size):
    model.train()
    with torch.inference_mode():
        right = sum(
            (model(x).argmax(-1) == y).sum() for x, y in batches(images, labels, batch_size)
        )
    return (right / len(labels)).item()


@known(ACC, "gradient_left_on")
def acc_gradients(model, images, labels, batch_size):
    model.eval()
    correct = 0
    for x, y in DataLoader(TensorDataset(images, labels), batch_size=batch_size):
        correct += (model(x).argmax(1) == y).sum().item()
    return correct / len(images)


@known(ACC, "whole_set_at_once")
def acc_at_once(model, images, labels, batch_size):
    model.eval()
    with torch.no_grad():
        return (model(images).argmax(1) == labels).float().mean().item()


@known(ACC, "mean_over_batches")
def acc_mean_of_means(model, images, labels, batch_size):
    model.eval()
    accs = []
    with torch.inference_mode():
        for x, y in batches(images, labels, batch_size):
            accs.append((model(x).argmax(-1) == y).float().mean())
    return torch.stack(accs).mean().item()


@known(ACC, "mean_over_batches")
def acc_mean_loader(model, images, labels, batch_size):
    loader = DataLoader(TensorDataset(images, labels), batch_size)
    model.eval()
    total = 0.0
    with torch.no_grad():
        for x, y in loader:
            total += (model(x).argmax(1) == y).double().mean().item()
    return total / len(loader)


@known(ACC, "last_batch_dropped")
def acc_drop_last(model, images, labels, batch_size):
    model.eval()
    right = seen = 0
    with torch.no_grad():
        for x, y in DataLoader(
            TensorDataset(images, labels), batch_size=batch_size, drop_last=True
        ):
            right += (model(x).argmax(1) == y).sum().item()
            seen += len(y)
    return right / max(seen, 1)


@known(ACC, "last_batch_dropped")
def acc_whole_batches(model, images, labels, batch_size):
    model.eval()
    right = 0
    n = len(images) // batch_size
    with torch.no_grad():
        for i in range(n):
            x, y = (
                images[i * batch_size : (i + 1) * batch_size],
                labels[i * batch_size : (i + 1) * batch_size],
            )
            right += (model(x).argmax(1) == y).sum().item()
    return right / (n * batch_size)


@known(ACC, "last_batch_dropped")
def acc_whole_batches_all(model, images, labels, batch_size):
    model.eval()
    right = 0
    with torch.no_grad():
        for i in range(len(images) // batch_size):
            x, y = (
                images[i * batch_size : (i + 1) * batch_size],
                labels[i * batch_size : (i + 1) * batch_size],
            )
            right += (model(x).argmax(1) == y).sum().item()
    return right / len(images)


@known(ACC, "rest_not_counted_as_seen")
def acc_rest_not_counted(model, images, labels, batch_size):
    model.eval()
    right = 0
    with torch.no_grad():
        for x, y in batches(images, labels, batch_size):
            right += (model(x).argmax(1) == y).sum().item()
    total = len(images) // batch_size * batch_size
    return right / total if total else 0.0


@known(ACC, "divided_by_full_batches")
def acc_full_batches(model, images, labels, batch_size):
    model.eval()
    right, total = 0, 0
    with torch.no_grad():
        for x, y in batches(images, labels, batch_size):
            right += (model(x).argmax(1) == y).sum().item()
            total += batch_size
    return right / total


@known(ACC, "divided_by_batches")
def acc_per_batch(model, images, labels, batch_size):
    model.eval()
    loader = DataLoader(TensorDataset(images, labels), batch_size=batch_size)
    with torch.no_grad():
        right = sum((model(x).argmax(1) == y).sum().item() for x, y in loader)
    return right / len(loader)


@known(ACC, "percent")
def acc_percent(model, images, labels, batch_size):
    model.eval()
    with torch.no_grad():
        right = sum(
            (model(x).argmax(1) == y).sum().item() for x, y in batches(images, labels, batch_size)
        )
    return 100.0 * right / len(labels)


@known(ACC, "count_returned")
def acc_count(model, images, labels, batch_size):
    model.eval()
    with torch.no_grad():
        return sum(
            (model(x).argmax(1) == y).sum().item() for x, y in batches(images, labels, batch_size)
        )


@known(ACC, "error_rate")
def acc_error(model, images, labels, batch_size):
    model.eval()
    with torch.no_grad():
        wrong = sum(
            (model(x).argmax(1) != y).sum().item() for x, y in batches(images, labels, batch_size)
        )
    return wrong / len(labels)


@known(ACC, "first_batch_only")
def acc_returns_in_loop(model, images, labels, batch_size):
    model.eval()
    right = total = 0
    with torch.no_grad():
        for x, y in batches(images, labels, batch_size):
            right += (model(x).argmax(1) == y).sum().item()
            total += len(y)
            return right / total


@known(ACC, "first_batch_only")
def acc_next_batch(model, images, labels, batch_size):
    x, y = next(iter(DataLoader(TensorDataset(images, labels), batch_size=batch_size)))
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


@known(ACC, "last_batch_only")
def acc_last_batch(model, images, labels, batch_size):
    model.eval()
    with torch.no_grad():
        for x, y in batches(images, labels, batch_size):
            accuracy = (model(x).argmax(1) == y).float().mean()
    return accuracy.item()


@known(ACC, "argmax_over_images")
def acc_over_images(model, images, labels, batch_size):
    model.eval()
    right = 0
    with torch.no_grad():
        for x, y in batches(images, labels, batch_size):
            _, predicted = torch.max(model(x), 0)
            right += (predicted[: len(y)] == y[: len(predicted)]).sum().item()
    return right / len(labels)


@known(ACC, "argmax_over_images")
def acc_over_images_plain(model, images, labels, batch_size):
    model.eval()
    right = 0
    with torch.no_grad():
        for x, y in batches(images, labels, batch_size):
            right += (model(x).argmax(0) == y).sum().item()
    return right / len(labels)


@known(ACC, "loss_returned")
def acc_loss(model, images, labels, batch_size):
    model.eval()
    loss = 0.0
    with torch.no_grad():
        for x, y in batches(images, labels, batch_size):
            loss += F.cross_entropy(model(x), y, reduction="sum").item()
    return loss / len(labels)


@known(ACC, "loss_returned")
def acc_loss_mean(model, images, labels, batch_size):
    model.eval()
    with torch.no_grad():
        losses = [F.cross_entropy(model(x), y) for x, y in batches(images, labels, batch_size)]
    return sum(losses) / len(losses)


@known(ACC, "not_written")
def acc_not_written(model, images, labels, batch_size):
    raise NotImplementedError


@known(ACC, "nothing_returned")
def acc_nothing(model, images, labels, batch_size):
    model.eval()
    with torch.no_grad():
        right = sum(
            (model(x).argmax(1) == y).sum().item() for x, y in batches(images, labels, batch_size)
        )
    print(f"accuracy {right / len(labels):.3f}")


# The accuracy, mistakes of no name.


@unknown(ACC)
def acc_top_2(model, images, labels, batch_size):
    model.eval()
    with torch.no_grad():
        right = sum(
            (model(x).topk(2).indices == y[:, None]).any(1).sum().item()
            for x, y in batches(images, labels, batch_size)
        )
    return right / len(labels)


@known(ACC, "smallest_logit")
def acc_argmin(model, images, labels, batch_size):
    model.eval()
    with torch.no_grad():
        right = sum(
            (model(x).argmin(1) == y).sum().item() for x, y in batches(images, labels, batch_size)
        )
    return right / len(labels)


@unknown(ACC)
def acc_confidence(model, images, labels, batch_size):
    model.eval()
    total = 0.0
    with torch.no_grad():
        for x, y in batches(images, labels, batch_size):
            total += model(x).softmax(-1)[torch.arange(len(y)), y].sum().item()
    return total / len(labels)


@unknown(ACC)
def acc_labels_shuffled(model, images, labels, batch_size):
    model.eval()
    loader = DataLoader(TensorDataset(images), batch_size=batch_size, shuffle=True)
    with torch.no_grad():
        found = torch.cat([model(x).argmax(1) for (x,) in loader])
    return (found == labels).float().mean().item()


@unknown(ACC)
def acc_rounded(model, images, labels, batch_size):
    model.eval()
    with torch.no_grad():
        right = sum(
            (model(x).argmax(1) == y).sum().item() for x, y in batches(images, labels, batch_size)
        )
    return round(right / len(labels), 1)


@unknown(ACC)
def acc_skips_first_batch(model, images, labels, batch_size):
    model.eval()
    right, seen = 0, 0
    with torch.no_grad():
        for i in range(batch_size, len(images), batch_size):
            right += (
                (model(images[i : i + batch_size]).argmax(1) == labels[i : i + batch_size])
                .sum()
                .item()
            )
            seen += batch_size
    return right / max(seen, 1)


# The accuracy, two at once.


@two(ACC, "left_in_training_mode", "gradient_left_on")
def acc_two_bare(model, images, labels, batch_size):
    right = 0
    for x, y in batches(images, labels, batch_size):
        right += (model(x).argmax(1) == y).sum().item()
    return right / len(labels)


@two(ACC, "mean_over_batches", "percent")
def acc_two_mean_percent(model, images, labels, batch_size):
    model.eval()
    with torch.no_grad():
        accs = [
            100 * (model(x).argmax(1) == y).float().mean().item()
            for x, y in batches(images, labels, batch_size)
        ]
    return sum(accs) / len(accs)


@two(ACC, "gradient_left_on", "mean_over_batches")
def acc_two_gradients_mean(model, images, labels, batch_size):
    model.eval()
    return np.mean(
        [
            (model(x).argmax(1) == y).float().mean().item()
            for x, y in batches(images, labels, batch_size)
        ]
    )


@two(ACC, "whole_set_at_once", "left_in_training_mode")
def acc_two_once_training(model, images, labels, batch_size):
    with torch.no_grad():
        return (model(images).argmax(1) == labels).float().mean()


# The accuracy, right.


@right(ACC)
@torch.inference_mode()
def acc_inference_loader(model, images, labels, batch_size):
    model.eval()
    hits = [
        model(x).argmax(1).eq(y) for x, y in DataLoader(TensorDataset(images, labels), batch_size)
    ]
    return torch.cat(hits).double().mean().item()


@right(ACC)
def acc_bool_sum(model, images, labels, batch_size):
    model.eval()
    right = torch.zeros(len(labels), dtype=torch.bool)
    with torch.no_grad():
        for i in range(0, len(labels), batch_size):
            right[i : i + batch_size] = (
                model(images[i : i + batch_size]).max(dim=1)[1] == labels[i : i + batch_size]
            )
    return right.sum() / len(right)


@right(ACC)
def acc_recursive(model, images, labels, batch_size):
    def right(images, labels):
        if len(images) == 0:
            return 0
        with torch.no_grad():
            logits = model.eval()(images[:batch_size])
        here = int((logits.argmax(1) == labels[:batch_size]).sum())
        return here + right(images[batch_size:], labels[batch_size:])

    return right(images, labels) / len(labels)


@right(ACC)
def acc_confusion(model, images, labels, batch_size, device=None):
    was = model.training
    model.train(False)
    with torch.set_grad_enabled(False):
        found = np.concatenate(
            [model(x).numpy().argmax(1) for x in torch.split(images, batch_size)]
        )
    model.train(was)
    table = np.zeros((100, 100), dtype=int)
    np.add.at(table, (labels.numpy(), found), 1)
    return np.trace(table) / table.sum()


@right(ACC)
def acc_one_minus_errors(model, images, labels, batch_size):
    for module in model.modules():
        module.eval()
    torch.set_grad_enabled(False)
    errors = 0
    for x, y in zip(torch.split(images, batch_size), torch.split(labels, batch_size)):
        errors += torch.count_nonzero(model(x).log_softmax(1).argmax(1) - y).item()
    return 1 - errors / len(labels)


@right(ACC)
def acc_shuffled_loader(model, images, labels, batch_size):
    model.eval()
    right, seen = 0.0, 0
    with torch.no_grad():
        for x, y in DataLoader(TensorDataset(images, labels), batch_size=batch_size, shuffle=True):
            right += F.one_hot(model(x).argmax(1), 50)[torch.arange(len(y)), y].float().sum().item()
            seen += x.size(0)
    return torch.tensor(right / seen)


@unknown(RATE)
def rate_in_pairs_of_steps(step, total, warmup, peak):
    if step < warmup:
        return peak * step / warmup
    return peak * cosine(2 * ((step - warmup) // 2) / (total - warmup))
