"""CutMix targets and averaged weights: by the author of the checks, unlike the other modules."""

import copy

import torch
import torch.nn.functional as F

from . import known, right, two, unknown

CUT, EMA = "check_cutmix_targets", "check_ema_update"


def area(boxes, side):
    b = boxes.clamp(0, side)
    return (b[:, 1] - b[:, 0]) * (b[:, 3] - b[:, 2]) / side**2


def blend(labels, partners, share, K):
    share = share.float()[:, None]
    return (1 - share) * F.one_hot(labels, K) + share * F.one_hot(partners, K)


# CutMix, right.


@right(CUT)
def cut_plain(labels, partners, boxes, num_classes, side):
    return blend(labels, partners, area(boxes, side), num_classes)


@right(CUT)
def cut_painted(labels, partners, boxes, num_classes, side):
    out = torch.zeros(len(labels), num_classes)
    for i, (top, bottom, left, right_edge) in enumerate(boxes.tolist()):
        picture = torch.zeros(side, side)
        picture[max(top, 0) : max(bottom, 0), max(left, 0) : max(right_edge, 0)] = 1
        out[i, labels[i]] += 1 - picture.mean()
        out[i, partners[i]] += picture.mean()
    return out


@right(CUT)
def cut_scatter(labels, partners, boxes, num_classes, side):
    share = area(boxes, side).float()
    out = torch.zeros(len(labels), num_classes)
    out.scatter_add_(1, labels[:, None], 1 - share[:, None])
    return out.scatter_add_(1, partners[:, None], share[:, None])


@right(CUT)
def cut_lerp(labels, partners, boxes, K, side):
    own, other = F.one_hot(labels, K).float(), F.one_hot(partners, K).float()
    return torch.lerp(own, other, area(boxes, side).float()[:, None])


@right(CUT)
def cut_min_max(labels, partners, boxes, K, side):
    height = boxes[:, 1].clamp(max=side) - boxes[:, 0].clamp(min=0)
    width = boxes[:, 3].clamp(max=side) - boxes[:, 2].clamp(min=0)
    return blend(labels, partners, height * width / (side * side), K)


# CutMix, one mistake.


@known(CUT, "not_clipped")
def cut_over(labels, partners, boxes, K, side):
    share = (boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2]) / side**2
    return blend(labels, partners, share, K)


@known(CUT, "clipped_one_side_only")
def cut_min_only(labels, partners, boxes, K, side):
    return cut_over.fn(labels, partners, boxes.clamp(min=0), K, side)


@known(CUT, "clipped_one_side_only")
def cut_max_only(labels, partners, boxes, K, side):
    return cut_over.fn(labels, partners, boxes.clamp(max=side), K, side)


@known(CUT, "last_pixel_counted")
def cut_inclusive(labels, partners, boxes, K, side):
    b = boxes.clamp(0, side)
    share = (b[:, 1] - b[:, 0] + 1) * (b[:, 3] - b[:, 2] + 1) / side**2
    return blend(labels, partners, share, K)


@known(CUT, "owner_exchanged")
def cut_swapped(labels, partners, boxes, K, side):
    return blend(labels, partners, 1 - area(boxes, side), K)


@known(CUT, "edges_in_another_order")
def cut_left_top(labels, partners, boxes, K, side):
    top, left, bottom, right_edge = boxes.clamp(0, side).unbind(1)
    return blend(labels, partners, (bottom - top) * (right_edge - left) / side**2, K)


@known(CUT, "same_class_overwritten")
def cut_assigned(labels, partners, boxes, K, side):
    out, rows = torch.zeros(len(labels), K), torch.arange(len(labels))
    out[rows, labels] = 1 - area(boxes, side)
    out[rows, partners] = area(boxes, side)
    return out


@known(CUT, "same_class_overwritten")
def cut_scattered(labels, partners, boxes, K, side):
    share = area(boxes, side)[:, None]
    out = torch.zeros(len(labels), K)
    return out.scatter_(1, labels[:, None], 1 - share).scatter_(1, partners[:, None], share)


@known(CUT, "side_not_squared")
def cut_side(labels, partners, boxes, K, side):
    return blend(labels, partners, area(boxes, side) * side, K)


@known(CUT, "not_divided")
def cut_pixels(labels, partners, boxes, K, side):
    inside = (area(boxes, side) * side**2)[:, None]
    return (side**2 - inside) * F.one_hot(labels, K) + inside * F.one_hot(partners, K)


@known(CUT, "length_for_area")
def cut_height(labels, partners, boxes, K, side):
    b = boxes.clamp(0, side)
    return blend(labels, partners, (b[:, 1] - b[:, 0]) / side, K)


@known(CUT, "half_each")
def cut_half(labels, partners, boxes, K, side):
    return 0.5 * F.one_hot(labels, K) + 0.5 * F.one_hot(partners, K)


@known(CUT, "label_of_the_larger_part")
def cut_argmax(labels, partners, boxes, K, side):
    larger = torch.where(area(boxes, side) > 0.5, partners, labels)
    return F.one_hot(larger, K).float()


@known(CUT, "wrong_dtype")
def cut_double(labels, partners, boxes, K, side):
    share = area(boxes, side).double()[:, None]
    return (1 - share) * F.one_hot(labels, K) + share * F.one_hot(partners, K)


@unknown(CUT)
def cut_root(labels, partners, boxes, K, side):
    return blend(labels, partners, area(boxes, side).sqrt(), K)


@known(CUT, "one_share_for_all")
def cut_batch_mean(labels, partners, boxes, K, side):
    return blend(labels, partners, area(boxes, side).mean().expand(len(labels)), K)


@known(CUT, "partner_forgotten")
def cut_own_only(labels, partners, boxes, K, side):
    return (1 - area(boxes, side))[:, None] * F.one_hot(labels, K)


@two(CUT, "not_clipped", "owner_exchanged")
def cut_over_swapped(labels, partners, boxes, K, side):
    return cut_over.fn(partners, labels, boxes, K, side)


@two(CUT, "side_not_squared", "owner_exchanged")
def cut_side_swapped(labels, partners, boxes, K, side):
    return cut_side.fn(partners, labels, boxes, K, side)


@two(CUT, "not_clipped", "length_for_area")
def cut_over_height(labels, partners, boxes, K, side):
    return blend(labels, partners, (boxes[:, 1] - boxes[:, 0]) / side, K)


# Averages, right.


@right(EMA)
def ema_plain(average, weights, decay):
    if average is None:
        return {name: w.detach().clone() for name, w in weights.items()}
    return {n: decay * average[n] + (1 - decay) * weights[n].detach() for n in weights}


@right(EMA)
@torch.no_grad()
def ema_no_grad(average, weights, decay):
    if average is None:
        return copy.deepcopy({name: w.data for name, w in weights.items()})
    return {name: average[name].lerp(w, 1 - decay) for name, w in weights.items()}


@right(EMA)
def ema_in_place(average, weights, decay):
    with torch.no_grad():
        if average is None:
            return {name: w.clone() for name, w in weights.items()}
        for name, w in weights.items():
            average[name].mul_(decay).add_(w, alpha=1 - decay)
    return average


@right(EMA)
def ema_step_towards(average, weights, decay):
    now = {name: w.detach().clone() for name, w in weights.items()}
    if average is None:
        return now
    return {name: average[name] + (1 - decay) * (now[name] - average[name]) for name in now}


@right(EMA)
def ema_new_tensor(average, weights, decay):
    result = {}
    for name, w in weights.items():
        old = w if average is None else average[name]
        result[name] = (old * decay + w * (1 - decay)).detach()
    return result


# Averages, one mistake.


@known(EMA, "writes_into_the_weights")
def ema_into_weights(average, weights, decay):
    if average is not None:
        for name, w in weights.items():
            w.data = decay * average[name] + (1 - decay) * w.data
    return {name: w.detach().clone() for name, w in weights.items()}


@known(EMA, "writes_into_the_weights")
def ema_scales_weights(average, weights, decay):
    if average is None:
        return {name: w.detach().clone() for name, w in weights.items()}
    return {n: decay * average[n] + w.data.mul_(1 - decay) for n, w in weights.items()}


@known(EMA, "shares_memory")
def ema_detach(average, weights, decay):
    if average is None:
        return {name: w.detach() for name, w in weights.items()}
    return ema_plain.fn(average, weights, decay)


@known(EMA, "shares_memory")
def ema_data(average, weights, decay):
    if average is None:
        return {name: w.data for name, w in weights.items()}
    return {n: decay * average[n] + (1 - decay) * weights[n].data for n in weights}


@known(EMA, "keeps_the_gradient")
def ema_graph(average, weights, decay):
    if average is None:
        return {name: 1 * w for name, w in weights.items()}
    return {n: decay * average[n] + (1 - decay) * w for n, w in weights.items()}


@known(EMA, "decay_and_rest_exchanged")
def ema_swapped(average, weights, decay):
    return ema_plain.fn(average, weights, 1 - decay)


@known(EMA, "starts_at_zero")
def ema_zero(average, weights, decay):
    if average is None:
        average = dict.fromkeys(weights, 0)
    return {n: decay * average[n] + (1 - decay) * weights[n].detach() for n in weights}


@known(EMA, "rest_forgotten")
def ema_sum(average, weights, decay):
    if average is None:
        return {name: w.detach().clone() for name, w in weights.items()}
    return {n: decay * average[n] + weights[n].detach() for n in weights}


@known(EMA, "decay_forgotten")
def ema_grows(average, weights, decay):
    if average is None:
        return {name: w.detach().clone() for name, w in weights.items()}
    return {n: average[n] + (1 - decay) * weights[n].detach() for n in weights}


@known(EMA, "plain_mean")
def ema_mean(average, weights, decay):
    return ema_plain.fn(average, weights, 0.5)


@known(EMA, "never_moves")
def ema_still(average, weights, decay):
    return average or {name: w.detach().clone() for name, w in weights.items()}


@known(EMA, "no_memory")
def ema_weights(average, weights, decay):
    return {name: w.detach().clone() for name, w in weights.items()}


@known(EMA, "nothing_returned")
def ema_none(average, weights, decay):
    average = ema_plain.fn(average, weights, decay)


@unknown(EMA)
def ema_one_name(average, weights, decay):
    return dict(list(ema_plain.fn(average, weights, decay).items())[:1])


@unknown(EMA)
def ema_square(average, weights, decay):
    return ema_plain.fn(average, weights, decay**2)


@unknown(EMA)
def ema_list(average, weights, decay):
    return list(ema_plain.fn(None, weights, decay).values())


@two(EMA, "decay_and_rest_exchanged", "shares_memory")
def ema_swapped_shared(average, weights, decay):
    if average is None:
        return {name: w.detach() for name, w in weights.items()}
    return ema_plain.fn(average, weights, 1 - decay)


@two(EMA, "starts_at_zero", "decay_and_rest_exchanged")
def ema_zero_swapped(average, weights, decay):
    return ema_zero.fn(average, weights, 1 - decay)


@two(EMA, "rest_forgotten", "starts_at_zero")
def ema_zero_sum(average, weights, decay):
    if average is None:
        average = {name: torch.zeros_like(w) for name, w in weights.items()}
    return {n: decay * average[n] + weights[n].detach() for n in weights}


@unknown(CUT)
def cut_rounded_to_tenths(labels, partners, boxes, K, side):
    share = (area(boxes, side) * 10).round() / 10
    return (1 - share)[:, None] * F.one_hot(labels, K) + share[:, None] * F.one_hot(partners, K)


@unknown(CUT)
def cut_root_of_the_area(labels, partners, boxes, K, side):
    share = area(boxes, side) ** 0.5
    return (1 - share)[:, None] * F.one_hot(labels, K) + share[:, None] * F.one_hot(partners, K)
