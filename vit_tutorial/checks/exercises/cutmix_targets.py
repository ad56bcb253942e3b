"""check_cutmix_targets: the share of each class in a mixed picture."""

import torch
import torch.nn.functional as F

from ..engine.case import Case
from ..engine.check import Check
from ..engine.mistake import Mistake
from .general import general_mistakes


def cutmix_targets(labels, partners, boxes, num_classes, side):
    """Labels (B,), partners (B,), boxes (B, 4) -> shares (B, num_classes), float32."""
    return shares(labels, partners, foreign(boxes, side), num_classes)


def foreign(boxes, side, low=0, high=0):
    """(B,): the share of the pixels in the box. low and high move its ends, for mistakes."""
    top, bottom, left, right = boxes.double().clamp(0, side).unbind(dim=1)
    return (bottom - top + high - low) * (right - left + high - low) / side**2


def shares(labels, partners, share, num_classes):
    own, other = (F.one_hot(y, num_classes) for y in (labels, partners))
    return ((1 - share)[:, None] * own + share[:, None] * other).float()


def cutmix_targets_cases(generator: torch.Generator) -> list[Case]:
    """Boxes inside and across each border; partners of the same class; odd sides."""

    def case(about, B, K, side, over=True, same=False):
        labels, partners = torch.randint(K, (2, B), generator=generator)
        if not same:
            partners = (labels + 1 + torch.randint(K - 1, (B,), generator=generator)) % K
        else:
            partners = labels.clone()
        middle = torch.randint(2, side - 2, (B, 2), generator=generator)
        half = torch.randint(1, side if over else 3, (B, 2), generator=generator)
        low, high = middle - half, middle + half
        if not over:
            low, high = low.clamp(min=0), high.clamp(max=side)
        boxes = torch.stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]], dim=1)
        return Case(
            about,
            {
                "labels": labels,
                "partners": partners,
                "boxes": boxes,
                "num_classes": K,
                "side": side,
            },
        )

    return [
        case("boxes inside the picture", 6, 5, 16, over=False),
        case("boxes across the border", 16, 10, 32),
        case("two classes", 4, 2, 8),
        case("a partner of the same class", 5, 4, 12, same=True),
        case("an odd side", 9, 7, 9),
        case("one picture", 1, 3, 20),
    ]


def with_share(compute):
    return lambda labels, partners, boxes, K, side: shares(
        labels, partners, compute(boxes.double(), side), K
    )


def unclipped(boxes, side):
    return (boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2]) / side**2


def assigned(labels, partners, boxes, num_classes, side):
    """Written with two assignments: the second overwrites the first where the classes are equal."""
    share = foreign(boxes, side)
    out, rows = torch.zeros(len(labels), num_classes), torch.arange(len(labels))
    out[rows, labels] = (1 - share).float()
    out[rows, partners] = share.float()
    return out


def assigned_other_way(labels, partners, boxes, num_classes, side):
    share = foreign(boxes, side)
    out, rows = torch.zeros(len(labels), num_classes), torch.arange(len(labels))
    out[rows, partners] = share.float()
    out[rows, labels] = (1 - share).float()
    return out


def mean_share(labels, partners, boxes, K, side):
    share = foreign(boxes, side).mean().expand(len(labels))
    return shares(labels, partners, share, K)


def for_every_image(labels, partners, boxes, K, side):
    """target[:, labels] writes into the columns of all images."""
    share = foreign(boxes, side)
    target = torch.zeros(len(labels), K)
    target[:, labels] = (1 - share).float()[:, None]
    target[:, partners] += share.float()[:, None]
    return target


MISTAKES = (
    Mistake(
        name="not_clipped",
        explanation=(
            "You count pixels outside the picture, so a box that crosses the border gets too large "
            "a share."
        ),
        hint="How many rows of a box from row -4 to row 4 are in the picture?",
        buggy=with_share(unclipped),
    ),
    Mistake(
        name="clipped_one_side_only",
        explanation="You do not clip the box at every border, but it may cross any of the four.",
        hint="Which two limits does clamp take?",
        buggy=with_share(lambda boxes, side: unclipped(boxes.clamp(min=0), side)),
        variants=(with_share(lambda boxes, side: unclipped(boxes.clamp(max=side), side)),),
    ),
    Mistake(
        name="last_pixel_counted",
        explanation="You count row bottom and column right as inside the box.",
        hint="How many rows are there from row 2 up to, but not including, row 5?",
        buggy=with_share(lambda boxes, side: foreign(boxes, side, high=1)),
        variants=(with_share(lambda boxes, side: unclipped(shifted(boxes, side), side)),),
    ),
    Mistake(
        name="owner_exchanged",
        explanation="You swapped the two classes: the box belongs to the partner.",
        hint="Which picture's pixels are outside the box?",
        buggy=lambda y, z, boxes, K, side: cutmix_targets(z, y, boxes, K, side),
    ),
    Mistake(
        name="edges_in_another_order",
        explanation="You misread the order of the four numbers: top, bottom, left, right.",
        hint="Which two of the four numbers are rows?",
        buggy=with_share(lambda boxes, side: foreign(boxes[:, [0, 2, 1, 3]], side)),
        variants=(
            with_share(lambda boxes, side: foreign(boxes[:, [0, 2, 1, 3]], side).abs()),
            with_share(lambda boxes, side: foreign(boxes[:, [0, 3, 1, 2]], side)),
        ),
    ),
    Mistake(
        name="same_class_overwritten",
        explanation=(
            "Where a picture and its partner have the same class, your second assignment "
            "overwrites the first, so the row does not add up to 1."
        ),
        hint="What should the target be when both pictures are cats? Should you assign or add?",
        buggy=assigned,
        variants=(assigned_other_way,),
    ),
    Mistake(
        name="side_not_squared",
        explanation="You divide the box's pixels by the side, not by the picture's pixels.",
        hint="How many pixels does a 32 x 32 picture have?",
        buggy=with_share(lambda boxes, side: foreign(boxes, side) * side),
    ),
    Mistake(
        name="not_divided",
        explanation="Your targets are numbers of pixels, not shares.",
        hint="What should each row add up to?",
        buggy=with_share(lambda boxes, side: foreign(boxes, side) * side**2),
        variants=(lambda y, z, boxes, K, side: cutmix_targets(y, z, boxes, K, side) * side**2,),
    ),
    Mistake(
        name="length_for_area",
        explanation="Your share depends on one side of the box, not on its area.",
        hint="What share of the picture does a box of half the rows and half the columns cover?",
        buggy=with_share(lambda b, side: (b.clamp(0, side)[:, 1] - b.clamp(0, side)[:, 0]) / side),
        variants=(
            with_share(lambda b, side: (b.clamp(0, side)[:, 3] - b.clamp(0, side)[:, 2]) / side),
        ),
    ),
    Mistake(
        name="half_each",
        explanation="You give each class half of the target, whatever the box covers.",
        hint="Which input does your code never read?",
        buggy=with_share(lambda boxes, side: torch.full((len(boxes),), 0.5, dtype=torch.float64)),
    ),
    Mistake(
        name="label_of_the_larger_part",
        explanation="You give the whole target to the larger part, not a share to each.",
        hint="What should the target be when the box covers 40 %?",
        buggy=with_share(lambda boxes, side: (foreign(boxes, side) > 0.5).double()),
        variants=(with_share(lambda boxes, side: foreign(boxes, side).round()),),
    ),
    Mistake(
        name="clipped_one_pixel_too_early",
        explanation="Edges are clipped at side - 1: a box at the border loses its last pixels.",
        hint="bottom and right are the first row and column behind the box. How large can they be?",
        buggy=with_share(lambda boxes, side: unclipped(boxes.clamp(0, side - 1), side)),
    ),
    Mistake(
        name="one_share_for_all",
        explanation="All pictures got the mean share of the batch.",
        hint="Which axis does your mean or your lambda forget? Each picture has a box of its own.",
        buggy=mean_share,
        variants=(
            lambda labels, partners, boxes, K, side: shares(
                labels, partners, foreign(boxes, side)[:1].expand(len(labels)), K
            ),
        ),
    ),
    Mistake(
        name="written_for_every_picture",
        explanation=(
            "target[:, labels] writes into these columns of every picture: each one got the labels "
            "of all."
        ),
        hint="Which first index goes with labels[i]?",
        buggy=for_every_image,
    ),
    Mistake(
        name="partner_forgotten",
        explanation="The partner's class got no share.",
        hint="To what should the shares of a picture add up?",
        buggy=lambda labels, partners, boxes, K, side: (
            F.one_hot(labels, K) * (1 - foreign(boxes, side))[:, None]
        ).float(),
        variants=(lambda labels, partners, boxes, K, side: F.one_hot(labels, K).float(),),
    ),
)


def shifted(boxes, side):
    """bottom and right moved by one, then clipped."""
    return (boxes + torch.tensor([0, 1, 0, 1])).clamp(0, side)


check_cutmix_targets = Check(
    name="check_cutmix_targets",
    signature=(
        "fn(labels (B,), partners (B,), boxes (B, 4), num_classes, side) -> (B, num_classes), "
        "float32: each class's share of the pixels; boxes are top, bottom, left, right, and only "
        "pixels inside the picture count"
    ),
    cases=cutmix_targets_cases,
    reference=cutmix_targets,
    mistakes=MISTAKES + general_mistakes(cutmix_targets, without=("wrong_device", "detached")),
)
