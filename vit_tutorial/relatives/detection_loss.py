"""The loss of a detector: which answer is responsible for which object, and what it then costs."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torchvision.ops import box_convert, generalized_box_iou, generalized_box_iou_loss

# Weights of the two box terms beside the classes' one, in the matching and in the loss: as in DETR.
L1, GIOU = 5.0, 2.0
# (logits, boxes, labels, target boxes) -> the answer that is responsible for each object, (B, M)
Assign = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def match(logits: Tensor, boxes: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """The assignment with the lowest total cost, each answer used once at most: (B, M), int64.

    logits (B, Q, K + 1) and boxes (B, Q, 4) are a detector's answers; labels (B, M) and targets
    (B, M, 4) the objects, with label K where there is none. Entry [b, m] is the number of the
    answer for object m, -1 where there is no object, or none of Q answers is left for it.
    The cost of a pair: -p(the object's class) + 5 L1 - 2 GIoU (Carion et al. 2020, section 3.1 and
    appendix A.2). scipy finds the best assignment, which the Hungarian algorithm did first.
    """
    B, Q, real = *logits.shape[:2], labels < logits.shape[-1] - 1
    all_labels, all_targets = labels[real], targets[real]  # scene after scene: (N,), (N, 4)
    with torch.no_grad():
        cost = -logits.softmax(-1).flatten(0, 1)[:, all_labels]  # (B * Q, N)
        cost += L1 * torch.cdist(boxes.flatten(0, 1), all_targets, p=1)
        cost -= GIOU * generalized_box_iou(corners(boxes.flatten(0, 1)), corners(all_targets))
    found = torch.full(labels.shape, -1)
    scenes = cost.view(B, Q, -1).cpu().split(real.sum(1).tolist(), dim=2)
    for b, per_scene in enumerate(scenes):
        answers, objects = linear_sum_assignment(per_scene[b].numpy())
        places = real[b].nonzero()[:, 0].cpu()
        found[b, places[objects]] = torch.from_numpy(answers)
    return found.to(labels.device)


def in_order(logits: Tensor, boxes: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """No matching: answer m is responsible for object m of the list. As `match` otherwise."""
    number = torch.arange(labels.shape[1], device=labels.device).expand_as(labels)
    return torch.where((labels < logits.shape[-1] - 1) & (number < logits.shape[1]), number, -1)


def left_to_right(logits: Tensor, boxes: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """No matching: answer 0 is responsible for the leftmost object, answer 1 for the next."""
    x = torch.where(labels < logits.shape[-1] - 1, targets[..., 0], torch.inf)
    rank = x.argsort(dim=1).argsort(dim=1)
    return torch.where((x < torch.inf) & (rank < logits.shape[1]), rank, -1)


def by_cell(logits: Tensor, boxes: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Answer q is responsible for the object whose middle lies in cell q of a square grid.

    The grid has as many cells as there are answers. Of two middles in one cell, the second is lost.
    """
    grid = round(logits.shape[1] ** 0.5)
    column, row = (targets[..., :2] * grid).long().clamp(0, grid - 1).unbind(-1)
    cell = torch.where(labels < logits.shape[-1] - 1, row * grid + column, -1)
    same = cell[:, :, None] == cell[:, None, :]  # (B, M, M)
    return torch.where(same.tril(-1).any(dim=2), -1, cell)


def set_loss(
    answers: list[tuple[Tensor, Tensor]],
    labels: Tensor,
    targets: Tensor,
    assign: Assign = match,
    no_object: float = 0.2,
) -> Tensor:
    """The sum over the blocks' answers of cross-entropy + 5 L1 + 2 (1 - GIoU), one number.

    answers, labels (B, M) and targets (B, M, 4) as in `match`. The box terms are sums over the
    objects that have an answer, divided by their number. An answer without an object should say "no
    object", with weight `no_object`, because most answers have none (0.1 in DETR, which has 100).
    With `match` the loss does not change when the objects come in another order: a set loss.
    """
    total = 0.0
    for logits, boxes in answers:
        answer = assign(logits, boxes, labels, targets)  # (B, M)
        b, m = (answer >= 0).nonzero(as_tuple=True)  # (n,) each
        q, nothing = answer[b, m], logits.shape[-1] - 1
        wanted = torch.full(logits.shape[:2], nothing, device=logits.device)  # (B, Q)
        wanted[b, q] = labels[b, m]
        weight = torch.ones(nothing + 1, device=logits.device)
        weight[nothing] = no_object
        classes = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), weight)
        mine, theirs = boxes[b, q], targets[b, m]  # (n, 4)
        l1 = F.l1_loss(mine, theirs, reduction="sum")
        giou = generalized_box_iou_loss(corners(mine), corners(theirs), reduction="sum")
        total = total + classes + (L1 * l1 + GIOU * giou) / max(1, len(q))
    return total


def corners(boxes: Tensor) -> Tensor:
    """Boxes (..., 4): middle and size (x, y, w, h) -> corners (left, top, right, bottom)."""
    return box_convert(boxes, "cxcywh", "xyxy")
