"""Answers of a detector as lists of boxes, and how good these lists are: average precision."""

import contextlib
import io
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchvision.ops import batched_nms, box_convert

from .detection_loss import corners


class Detections(NamedTuple):
    """The answers of a detector for B images: the likeliest class of each, and how likely it is."""

    boxes: Tensor  # (B, Q, 4): middle and size, as shares of the image's sides
    labels: Tensor  # (B, Q), int64, never "no object"
    scores: Tensor  # (B, Q), 0 to 1; 0 for an answer that `suppress` has taken out


@torch.inference_mode()
def detect(model: nn.Module, images: Tensor, block: int = -1) -> Detections:
    """What `model`, in evaluation mode, finds in images (B, 3, H, W), already normalised.

    block: whose answers, of the decoder blocks; the last one's unless given.
    """
    model.eval()
    answers = [model(part)[block] for part in images.split(250)]
    logits, boxes = (torch.cat(part) for part in zip(*answers))
    scores, labels = logits.softmax(dim=-1)[..., :-1].max(dim=-1)
    return Detections(boxes, labels, scores)


def suppress(found: Detections, overlap: float = 0.5) -> Detections:
    """Non-maximum suppression: of boxes of one class, in one image, only the best is kept.

    A box goes (its score becomes 0) when its IoU with a better one is above `overlap`.
    """
    B, Q = found.scores.shape
    image = torch.arange(B, device=found.scores.device)[:, None] * (int(found.labels.max()) + 1)
    group = (image + found.labels).flatten()  # a number for each image and class
    kept = batched_nms(
        corners(found.boxes).flatten(0, 1), found.scores.flatten(), group, iou_threshold=overlap
    )
    scores = torch.zeros_like(found.scores).flatten()
    scores[kept] = found.scores.flatten()[kept]
    return found._replace(scores=scores.view(B, Q))


def average_precision(
    found: Detections, labels: Tensor, boxes: Tensor, num_classes: int, side: int
) -> dict[str, float]:
    """COCO's average precision, the mean over the classes: {"AP", "AP50", "AP75"}, 0 to 1.

    labels (B, M) and boxes (B, M, 4) are the objects, with label num_classes where there is none;
    side: of the images, in pixels. AP50 counts a box as right when its IoU with an object of its
    class, that no better box has taken, is at least 0.5; AP is the mean over 0.5, 0.55, ... 0.95.
    By pycocotools, the reference implementation. Raises ValueError when there is no object.
    """
    from pycocotools.coco import COCO  # imported late: nothing else needs it
    from pycocotools.cocoeval import COCOeval

    if not (labels < num_classes).any():
        raise ValueError(
            f"none of the {len(labels)} scenes has an object: there is nothing to find"
        )
    truth, guess = COCO(), COCO()
    categories = [dict(id=k) for k in range(num_classes)]
    images = [dict(id=b) for b in range(len(labels))]
    for made, parts in ((truth, (labels, boxes)), (guess, (found.labels, found.boxes))):
        made.dataset = dict(images=images, categories=categories, annotations=[])
        scores = found.scores if made is guess else (labels < num_classes).float()
        pixels = box_convert(parts[1] * side, "cxcywh", "xywh")
        rows = zip(*(part.flatten(0, 1).tolist() for part in (parts[0], pixels, scores)))
        for n, (label, box, score) in enumerate(rows):
            if score > 0:
                made.dataset["annotations"].append(
                    dict(image_id=n // parts[0].shape[1], category_id=label, bbox=box, score=score)
                    | dict(id=n + 1, area=box[2] * box[3], iscrowd=0)  # number 0 counts as none
                )
    with contextlib.redirect_stdout(io.StringIO()):  # it reports each step
        truth.createIndex()
        guess.createIndex()
        judge = COCOeval(truth, guess, "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return dict(zip(("AP", "AP50", "AP75"), judge.stats.tolist()))
