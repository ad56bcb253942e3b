"""check_generalised_iou: how well two boxes agree, also when they do not touch."""

import torch
from torch import Tensor

from ..engine.case import Case
from ..engine.check import Check
from ..engine.mistake import Mistake
from .general import general_mistakes


def generalised_iou(one, other):
    """Boxes (N, 4) and (N, 4), middle and size -> (N,), -1 to 1."""
    return score(*areas(one, other))


def corners(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """(x, y, w, h) -> upper left and lower right corners, (N, 2) each."""
    return boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2


def areas(one, other, corners=corners, clamped=True, positive=False) -> tuple[Tensor, ...]:
    """Intersection, areas of the two boxes, area of the hull: (N,) each. The options: mistakes.

    positive: no side of the hull is negative, as in torchvision, whatever the boxes are.
    """
    (low, high), (other_low, other_high) = corners(one), corners(other)
    sides = torch.minimum(high, other_high) - torch.maximum(low, other_low)
    shared = (sides.clamp(min=0) if clamped else sides).prod(dim=1)
    hull = torch.maximum(high, other_high) - torch.minimum(low, other_low)
    hull = (hull.clamp(min=0) if positive else hull).prod(dim=1)
    return shared, (high - low).prod(dim=1), (other_high - other_low).prod(dim=1), hull


def score(shared, one, other, hull) -> Tensor:
    """IoU - the share of the hull that belongs to neither box."""
    union = one + other - shared
    return shared / union - (hull - union) / hull


def box_cases(generator: torch.Generator) -> list[Case]:
    """Boxes that overlap, contain each other, touch in nothing, in one direction or in both."""

    def draw(low, high, *size):
        return low + (high - low) * torch.rand(*size, generator=generator)

    def case(about, N, shift, dtype=torch.float32, **options):
        """shift: how far the second box lies from the first, in half sums of their sizes."""
        size, other_size = draw(0.1, 0.3, 2, N, 2)
        middle = draw(0.35, 0.65, N, 2)
        away = torch.as_tensor(shift) * (size + other_size) / 2
        one, other = torch.cat([middle, size], 1), torch.cat([middle + away, other_size], 1)
        return Case(about, {"one": one.to(dtype), "other": other.to(dtype)}, **options)

    inside = case("one box inside the other", 4, (0.0, 0.0)).inputs["one"]
    smaller = inside * torch.tensor([1, 1, 0.5, 0.5])
    return [
        case("boxes that overlap", 5, (0.4, 0.3)),
        Case("equal boxes", {"one": inside, "other": inside.clone()}),
        Case("one box inside the other", {"one": inside, "other": smaller}),
        case("boxes beside each other", 6, (1.5, 0.2)),
        case("boxes above each other", 6, (-0.3, -1.4)),
        case("boxes apart in both directions", 6, (1.3, -1.6)),
        case("one pair", 1, (0.5, 0.5)),
        case("in double precision", 3, (0.5, -0.2), torch.float64),
        case("in training", 4, (0.3, 0.6), grad=True),
        case("on another device", 3, (0.5, 0.5), device="meta"),
    ]


def from_areas(combine, **options):
    """combine(intersection, area, other area, hull) as the result."""
    return lambda one, other: combine(*areas(one, other, **options))


def as_they_are(boxes):
    return boxes[:, :2], boxes[:, 2:]


def from_the_corner(boxes):
    return boxes[:, :2], boxes[:, :2] + boxes[:, 2:]


def whole_size(boxes):
    return boxes[:, :2] - boxes[:, 2:], boxes[:, :2] + boxes[:, 2:]


def giou_loss(one, other):
    return 1 - generalised_iou(one, other)


def union_over_hull(shared, one, other, hull):
    union = one + other - shared
    return shared / union - union / hull


def distance_iou(one, other):
    """DIoU: the squared distance of the middles over that of the hull's corners."""
    shared, area, other_area, _ = areas(one, other)
    (low, high), (other_low, other_high) = corners(one), corners(other)
    diagonal = torch.maximum(high, other_high) - torch.minimum(low, other_low)
    apart = (one[:, :2] - other[:, :2]).square().sum(1) / diagonal.square().sum(1)
    return shared / (area + other_area - shared) - apart


def every_pair(one, other):
    """(N, N): each box of one with each of other."""
    N = len(one)
    return generalised_iou(one.repeat_interleave(N, 0), other.repeat(N, 1)).view(N, N)


IoU = lambda shared, one, other, hull: shared / (one + other - shared)

MISTAKES = (
    Mistake(
        name="format_not_converted",
        explanation=(
            "You read the four numbers as corners. They are the middle and the size: x, y, w, h."
        ),
        hint="Where is the left edge of a box with x = 0.5 and w = 0.2?",
        # torchvision.ops takes corners, and answers whatever it is given
        buggy=from_areas(score, corners=as_they_are),
        variants=(from_areas(score, corners=as_they_are, positive=True),),
    ),
    Mistake(
        name="middle_taken_as_corner",
        explanation="You take x and y as the upper left corner. They are the middle of the box.",
        hint="Where is the left edge of a box with x = 0.5 and w = 0.2?",
        buggy=from_areas(score, corners=from_the_corner),
    ),
    Mistake(
        name="whole_size_to_both_sides",
        explanation="Your boxes are twice as wide and twice as high: w reaches to both sides.",
        hint="The middle is x. How far from it is the right edge?",
        buggy=from_areas(score, corners=whole_size),
    ),
    Mistake(
        name="plain_iou",
        explanation=(
            "You return the IoU alone. It is 0 for all boxes that do not touch, near or far."
        ),
        hint="What does the smallest box around both tell, when the two do not touch?",
        buggy=from_areas(IoU),
    ),
    Mistake(
        name="not_clamped",
        explanation=(
            "Where boxes do not touch, the sides of your intersection are negative; and the "
            "product of two negative sides looks like an area."
        ),
        hint="How wide is the intersection when the right edge of one lies left of the other box?",
        buggy=from_areas(score, clamped=False),
        variants=(from_areas(IoU, clamped=False),),
    ),
    Mistake(
        name="clamped_too_late",
        explanation=(
            "You clamp the area of the intersection, not its sides. The product of two negative "
            "sides is positive."
        ),
        hint="Two boxes apart in both directions: what do you clamp?",
        buggy=from_areas(lambda s, a, b, hull: score(s.clamp(min=0), a, b, hull), clamped=False),
    ),
    Mistake(
        name="intersection_counted_twice",
        explanation="Your union counts the intersection twice: it is in both areas.",
        hint="Two equal boxes of area 1: how large is their union?",
        buggy=from_areas(lambda s, a, b, hull: s / (a + b) - (hull - a - b) / hull),
        variants=(
            from_areas(lambda s, a, b, hull: s / (a + b) - (hull - (a + b - s)) / hull),
            from_areas(lambda s, a, b, hull: s / (a + b - s) - (hull - a - b) / hull),
        ),
    ),
    Mistake(
        name="penalty_added",
        explanation="You add the empty share of the hull. It is what the boxes lose.",
        hint="Should boxes far apart get a larger number than boxes near each other?",
        buggy=from_areas(lambda s, a, b, hull: 2 * IoU(s, a, b, hull) - score(s, a, b, hull)),
    ),
    Mistake(
        name="penalty_of_the_union",
        explanation="You subtract union / hull, the full share. The penalty is the empty share.",
        hint="Two equal boxes: which share of their hull is empty?",
        buggy=from_areas(union_over_hull),
    ),
    Mistake(
        name="penalty_over_the_union",
        explanation="You divide the empty area by the union. It is a share of the hull.",
        hint="How large can the penalty become, for boxes that are very far apart?",
        buggy=from_areas(lambda s, a, b, h: s / (a + b - s) - (h - (a + b - s)) / (a + b - s)),
    ),
    Mistake(
        name="empty_without_the_union",
        explanation="Your empty area is hull - intersection. Empty is what neither box covers.",
        hint="Which part of the hull belongs to no box?",
        buggy=from_areas(lambda s, a, b, h: s / (a + b - s) - (h - s) / h),
    ),
    Mistake(
        name="intersection_over_hull",
        explanation="You divide the intersection by the hull, not by the union.",
        hint="What does the U in IoU stand for?",
        buggy=from_areas(lambda s, a, b, h: s / h - (h - (a + b - s)) / h),
        variants=(from_areas(lambda s, a, b, h: s / h),),
    ),
    Mistake(
        name="loss_returned",
        explanation="You return 1 - GIoU: the loss. The exercise asks for the GIoU.",
        hint="Two equal boxes agree perfectly: 1 or 0?",
        buggy=giou_loss,
        variants=(lambda one, other: -generalised_iou(one, other),),
    ),
    Mistake(
        name="distance_of_the_middles",
        explanation=(
            "You subtract the distance of the middles: that is the DIoU (Zheng et al. 2020). "
            "The GIoU subtracts the empty share of the hull."
        ),
        hint="Which area lies in the smallest box around both, and in neither of them?",
        buggy=distance_iou,
    ),
    Mistake(
        name="every_pair",
        explanation="You compare each box with every other one. Row n belongs to row n.",
        hint="torchvision.ops.generalized_box_iou gives (N, N). Which entries are asked for?",
        buggy=every_pair,
        detect=lambda e: any(
            seen.output is not None
            and seen.output.ndim == 2
            and seen.output.shape[0] == seen.output.shape[1] > 1
            for seen in e.with_values()
        ),
    ),
    Mistake(
        name="mean_returned",
        explanation="You return one number, the mean. Asked for is one for each pair of boxes.",
        hint="N pairs come in. How many numbers go out?",
        buggy=lambda one, other: generalised_iou(one, other).mean(),
        variants=(lambda one, other: generalised_iou(one, other).sum(),),
    ),
)


check_generalised_iou = Check(
    name="check_generalised_iou",
    signature=(
        "fn(one (N, 4), other (N, 4)) -> (N,): IoU minus the empty share of the hull, for row n of "
        "one and row n of other; a box is its middle and its size (x, y, w, h)"
    ),
    cases=box_cases,
    reference=generalised_iou,
    mistakes=MISTAKES + general_mistakes(generalised_iou, without=()),
)
