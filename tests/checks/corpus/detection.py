"""Boxes compared and objects matched: the exercises of lesson 25.

Written by the author of the checks, so the share that is named says less here than elsewhere.
"""

import itertools

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torchvision.ops import (
    box_area,
    box_convert,
    box_iou,
    complete_box_iou,
    distance_box_iou,
    generalized_box_iou,
    generalized_box_iou_loss,
)

from . import known, right, two, unknown

GIOU, MATCH = "check_generalised_iou", "check_match_objects"


def xyxy(boxes):
    return box_convert(boxes, "cxcywh", "xyxy")


# The generalised IoU, one mistake.


@known(GIOU, "format_not_converted")
def giou_of_torchvision_without_conversion(one, other):
    return generalized_box_iou(one, other).diag()


@known(GIOU, "format_not_converted")
def giou_by_hand_without_conversion(one, other):
    left, right_ = torch.max(one[:, 0], other[:, 0]), torch.min(one[:, 2], other[:, 2])
    top, bottom = torch.max(one[:, 1], other[:, 1]), torch.min(one[:, 3], other[:, 3])
    shared = (right_ - left).clamp(min=0) * (bottom - top).clamp(min=0)
    union = box_area(one) + box_area(other) - shared
    hull = (torch.max(one[:, 2], other[:, 2]) - torch.min(one[:, 0], other[:, 0])) * (
        torch.max(one[:, 3], other[:, 3]) - torch.min(one[:, 1], other[:, 1])
    )
    return shared / union - (hull - union) / hull


@known(GIOU, "middle_taken_as_corner")
def giou_from_xywh(one, other):
    a, b = (box_convert(boxes, "xywh", "xyxy") for boxes in (one, other))
    return generalized_box_iou(a, b).diagonal()


@known(GIOU, "whole_size_to_both_sides")
def giou_of_boxes_twice_as_large(one, other):
    double = torch.tensor([1, 1, 2, 2], dtype=one.dtype, device=one.device)
    return generalized_box_iou(xyxy(one * double), xyxy(other * double)).diagonal()


@known(GIOU, "plain_iou")
def giou_without_hull(one, other):
    return box_iou(xyxy(one), xyxy(other)).diagonal()


@known(GIOU, "not_clamped")
def giou_negative_sides(one, other):
    a, b = xyxy(one), xyxy(other)
    sides = torch.min(a[:, 2:], b[:, 2:]) - torch.max(a[:, :2], b[:, :2])
    shared = sides[:, 0] * sides[:, 1]
    union = box_area(a) + box_area(b) - shared
    hull = (torch.max(a[:, 2:], b[:, 2:]) - torch.min(a[:, :2], b[:, :2])).prod(1)
    return shared / union - (hull - union) / hull


@known(GIOU, "clamped_too_late")
def giou_relu_of_the_product(one, other):
    a, b = xyxy(one), xyxy(other)
    shared = (torch.min(a[:, 2:], b[:, 2:]) - torch.max(a[:, :2], b[:, :2])).prod(1).relu()
    union = box_area(a) + box_area(b) - shared
    hull = (torch.max(a[:, 2:], b[:, 2:]) - torch.min(a[:, :2], b[:, :2])).prod(1)
    return shared / union - (hull - union) / hull


def parts(one, other):
    a, b = xyxy(one), xyxy(other)
    shared = (torch.min(a[:, 2:], b[:, 2:]) - torch.max(a[:, :2], b[:, :2])).clamp(min=0).prod(1)
    hull = (torch.max(a[:, 2:], b[:, 2:]) - torch.min(a[:, :2], b[:, :2])).prod(1)
    return shared, box_area(a) + box_area(b), hull


@known(GIOU, "intersection_counted_twice")
def giou_sum_of_areas(one, other):
    shared, both, hull = parts(one, other)
    return shared / both - (hull - both) / hull


@known(GIOU, "penalty_added")
def giou_plus(one, other):
    shared, both, hull = parts(one, other)
    return shared / (both - shared) + (hull - both + shared) / hull


@known(GIOU, "penalty_of_the_union")
def giou_minus_full_share(one, other):
    shared, both, hull = parts(one, other)
    union = both - shared
    return shared / union - union / hull


@known(GIOU, "penalty_over_the_union")
def giou_empty_over_union(one, other):
    shared, both, hull = parts(one, other)
    union = both - shared
    return (shared - hull + union) / union


@known(GIOU, "empty_without_the_union")
def giou_hull_minus_shared(one, other):
    shared, both, hull = parts(one, other)
    return shared / (both - shared) - 1 + shared / hull


@known(GIOU, "intersection_over_hull")
def giou_shared_over_hull(one, other):
    shared, both, hull = parts(one, other)
    return shared / hull - (hull - both + shared) / hull


@known(GIOU, "loss_returned")
def giou_as_a_loss(one, other):
    return generalized_box_iou_loss(xyxy(one), xyxy(other), eps=0)


@known(GIOU, "distance_of_the_middles")
def giou_with_distance(one, other):
    return distance_box_iou(xyxy(one), xyxy(other), eps=0).diagonal()


@known(GIOU, "every_pair")
def giou_matrix(one, other):
    return generalized_box_iou(xyxy(one), xyxy(other))


@known(GIOU, "mean_returned")
def giou_mean(one, other):
    return generalized_box_iou(xyxy(one), xyxy(other)).diagonal().mean()


@known(GIOU, "detached")
def giou_with_numpy(one, other):
    a, b = xyxy(one).detach(), xyxy(other).detach()
    return generalized_box_iou(a, b).diagonal()


@known(GIOU, "not_written")
def giou_not_yet(one, other):
    raise NotImplementedError


@known(GIOU, "nothing_returned")
def giou_printed(one, other):
    generalized_box_iou(xyxy(one), xyxy(other)).diagonal()


@known(GIOU, "changed_input")
def giou_converted_in_place(one, other):
    result = generalized_box_iou(xyxy(one), xyxy(other)).diagonal()
    with torch.no_grad():
        one[:, :2] -= one[:, 2:] / 2
    return result


@unknown(GIOU, "distance_of_the_middles")
def giou_complete(one, other):
    return 2 * complete_box_iou(xyxy(one), xyxy(other)).diagonal()


@unknown(GIOU)
def giou_of_circles(one, other):
    apart = (one[:, :2] - other[:, :2]).norm(dim=1)
    return 1 - apart / (one[:, 2:].mean(1) + other[:, 2:].mean(1))


@unknown(GIOU)
def giou_from_one_to_zero(one, other):
    return (1 + giou_of_torchvision.fn(one, other)) / 2


@two(GIOU, "whole_size_to_both_sides", "not_clamped")
def giou_large_and_negative(one, other):
    double = torch.tensor([1, 1, 2, 2], dtype=one.dtype, device=one.device)
    return giou_negative_sides.fn(one * double, other * double)


@two(GIOU, "format_not_converted", "plain_iou")
def giou_iou_without_conversion(one, other):
    return box_iou(one, other).diagonal()


@two(GIOU, "middle_taken_as_corner", "loss_returned")
def giou_loss_from_corner(one, other):
    a, b = (box_convert(boxes, "xywh", "xyxy") for boxes in (one, other))
    return 1 - generalized_box_iou(a, b).diagonal()


@right(GIOU)
def giou_of_torchvision(one, other):
    return generalized_box_iou(xyxy(one), xyxy(other)).diagonal()


@right(GIOU)
def giou_from_parts(one, other):
    shared, both, hull = parts(one, other)
    return shared / (both - shared) + (both - shared) / hull - 1


@right(GIOU)
def giou_row_by_row(one, other):
    rows = [generalized_box_iou(xyxy(a[None]), xyxy(b[None]))[0, 0] for a, b in zip(one, other)]
    return torch.stack(rows)


@right(GIOU)
def giou_with_unbind(one, other):
    x, y, w, h = one.unbind(1)
    X, Y, W, H = other.unbind(1)
    wide = torch.relu(torch.minimum(x + w / 2, X + W / 2) - torch.maximum(x - w / 2, X - W / 2))
    high = torch.relu(torch.minimum(y + h / 2, Y + H / 2) - torch.maximum(y - h / 2, Y - H / 2))
    union = w * h + W * H - wide * high
    hull = torch.maximum(x + w / 2, X + W / 2) - torch.minimum(x - w / 2, X - W / 2)
    hull = hull * (torch.maximum(y + h / 2, Y + H / 2) - torch.minimum(y - h / 2, Y - H / 2))
    return wide * high / union - (hull - union) / hull


@right(GIOU)
def giou_of_stacked_boxes(one, other):
    both = torch.stack([one, other])  # (2, N, 4)
    low, high = both[..., :2] - both[..., 2:] / 2, both[..., :2] + both[..., 2:] / 2
    shared = (high.amin(0) - low.amax(0)).clamp(min=0).prod(-1)
    hull, union = (high.amax(0) - low.amin(0)).prod(-1), both[..., 2:].prod(-1).sum(0) - shared
    return shared / union - 1 + union / hull


# The assignment, one mistake.


@known(MATCH, "a_query_used_twice")
def match_by_argmin(cost):
    return cost.argmin(dim=0)


@known(MATCH, "a_query_used_twice")
def match_by_numpy_argmin(cost):
    return list(np.argmin(cost.numpy(), axis=0))


@known(MATCH, "order_of_the_queries")
def match_first_array(cost):
    queries, _ = linear_sum_assignment(cost.numpy())
    return torch.tensor(queries)


@known(MATCH, "objects_returned")
def match_second_array(cost):
    return torch.tensor(linear_sum_assignment(cost)[1])


@known(MATCH, "objects_of_the_queries")
def match_entry_for_each_query(cost):
    queries, objects = linear_sum_assignment(cost)
    found = torch.full((cost.shape[0],), -1)
    for q, m in zip(queries, objects):
        found[q] = int(m)
    return found


@known(MATCH, "one_after_the_other")
def match_greedy(cost):
    left, found = list(range(len(cost))), []
    for m in range(cost.shape[1]):
        q = min(left, key=lambda q, m=m: cost[q, m].item())
        left.remove(q)
        found.append(q)
    return found


@known(MATCH, "cheapest_pair_first")
def match_cheapest_pairs(cost):
    found = {}
    for n in cost.flatten().argsort().tolist():
        q, m = divmod(n, cost.shape[1])
        if q not in found.values() and m not in found:
            found[m] = q
    return torch.tensor([found[m] for m in range(cost.shape[1])])


@known(MATCH, "highest_total")
def match_negated(cost):
    queries, objects = linear_sum_assignment(-cost)
    return torch.tensor(queries[np.argsort(objects)])


@known(MATCH, "no_matching")
def match_in_order(cost):
    return torch.arange(cost.size(1))


@known(MATCH, "pairs_returned")
def match_as_scipy_does(cost):
    return linear_sum_assignment(cost)


@known(MATCH, "pairs_returned")
def match_stacked(cost):
    return torch.tensor(np.stack(linear_sum_assignment(cost), axis=1))


@known(MATCH, "pairs_returned")
def match_list_of_pairs(cost):
    return [(int(q), int(m)) for q, m in zip(*linear_sum_assignment(cost))]


@known(MATCH, "not_written")
def match_not_yet(cost):
    raise NotImplementedError


@known(MATCH, "nothing_returned")
def match_printed(cost):
    linear_sum_assignment(cost)


@unknown(MATCH)
def match_reversed(cost):
    queries, objects = linear_sum_assignment(cost)
    return queries[np.argsort(-objects)]


@unknown(MATCH, "no_matching")
def match_from_1(cost):
    return match_transposed.fn(cost) + 1


@unknown(MATCH)
def match_one_query_for_all(cost):
    return torch.full((cost.shape[1] + 1,), int(cost.sum(dim=1).argmin()))


@two(MATCH, "one_after_the_other", "highest_total")
def match_greedy_and_negated(cost):
    return match_greedy.fn(-cost)


@two(MATCH, "highest_total", "order_of_the_queries")
def match_negated_unsorted(cost):
    return linear_sum_assignment(-cost)[0]


@two(MATCH, "highest_total", "a_query_used_twice")
def match_argmax(cost):
    return cost.argmax(dim=0)


@right(MATCH)
def match_transposed(cost):
    return torch.tensor(linear_sum_assignment(cost.T.numpy())[1])


@right(MATCH)
def match_sorted_by_object(cost):
    queries, objects = linear_sum_assignment(cost.numpy())
    return queries[np.argsort(objects)]


@right(MATCH)
def match_with_a_dict(cost):
    pairs = dict(zip(*reversed(linear_sum_assignment(cost))))
    return [int(pairs[m]) for m in range(cost.shape[1])]


@right(MATCH)
def match_with_argsort(cost):
    queries, objects = map(torch.as_tensor, linear_sum_assignment(cost.detach().numpy()))
    return queries[objects.argsort()].to(torch.int32)


@right(MATCH)
def match_by_trying_all(cost):
    Q, M = cost.shape
    every = torch.tensor(list(itertools.permutations(range(Q), M)))  # 30,240 for 10 and 5
    return every[cost[every, torch.arange(M)].sum(dim=1).argmin()]
