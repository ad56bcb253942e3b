"""Average precision against torchmetrics and by hand; detection and suppression."""

import numpy as np
import pytest
import torch

from vit_tutorial.data.scenes import NO_OBJECT, SIDE, make_scenes
from vit_tutorial.relatives.detection_score import (
    Detections,
    average_precision,
    detect,
    suppress,
)


def guesses(scenes, seed: int, noise: float = 0.02, per_scene: int = 9) -> Detections:
    """Answers near the objects, some with another class, among others that are nowhere near."""
    draw = torch.Generator().manual_seed(seed)
    count = len(scenes)
    boxes = 0.2 + 0.6 * torch.rand(count, per_scene, 4, generator=draw)
    labels = torch.randint(5, (count, per_scene), generator=draw)
    real = scenes.labels < NO_OBJECT
    moved = scenes.boxes + noise * torch.randn(count, 5, 4, generator=draw)
    boxes[:, :5] = torch.where(real[..., None], moved.clamp(min=0.02), boxes[:, :5])
    keep = real & (torch.rand(count, 5, generator=draw) < 0.8)
    labels[:, :5] = torch.where(keep, scenes.labels, labels[:, :5])
    return Detections(boxes, labels, torch.rand(count, per_scene, generator=draw))


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.005, 0.03])
def test_average_precision_is_that_of_torchmetrics(noise):
    torchmetrics = pytest.importorskip("torchmetrics.detection")
    scenes = make_scenes(60, 8)
    found = guesses(scenes, 1, noise)
    # COCO's thresholds in double precision: torchmetrics' own are rounded to float32, and a recall
    # of exactly 0.3 then falls on the other side of one.
    metric = torchmetrics.MeanAveragePrecision(
        box_format="cxcywh",
        iou_thresholds=np.linspace(0.5, 0.95, 10).tolist(),
        rec_thresholds=np.linspace(0, 1, 101).tolist(),
    )
    targets = [
        dict(boxes=boxes[labels < NO_OBJECT] * SIDE, labels=labels[labels < NO_OBJECT])
        for boxes, labels in zip(scenes.boxes, scenes.labels)
    ]
    answers = [
        dict(boxes=boxes * SIDE, labels=labels, scores=scores)
        for boxes, labels, scores in zip(*found)
    ]
    metric.update(answers, targets)
    expected = metric.compute()
    mine = average_precision(found, scenes.labels, scenes.boxes, NO_OBJECT, SIDE)
    for name, theirs in (("AP", "map"), ("AP50", "map_50"), ("AP75", "map_75")):
        assert mine[name] == pytest.approx(expected[theirs].item(), abs=1e-5)
    assert 0.05 < mine["AP"] < mine["AP50"] < 0.9


def test_perfect_answers_score_1_and_no_answers_0():
    scenes = make_scenes(30, 2)
    real = scenes.labels < NO_OBJECT
    labels = scenes.labels.clamp(max=NO_OBJECT - 1)
    perfect = Detections(scenes.boxes, labels, real.float())
    score = average_precision(perfect, scenes.labels, scenes.boxes, NO_OBJECT, SIDE)
    assert score == pytest.approx(dict(AP=1.0, AP50=1.0, AP75=1.0))
    none = perfect._replace(scores=torch.zeros_like(perfect.scores))
    score = average_precision(none, scenes.labels, scenes.boxes, NO_OBJECT, SIDE)
    assert score == pytest.approx(dict(AP=0.0, AP50=0.0, AP75=0.0))


def test_a_box_a_little_too_large_counts_for_50_and_not_for_75():
    scenes = make_scenes(30, 2)
    wider = scenes.boxes * torch.tensor([1, 1, 1.25, 1.25])  # IoU 0.64
    labels = scenes.labels.clamp(max=NO_OBJECT - 1)
    found = Detections(wider, labels, (scenes.labels < NO_OBJECT).float())
    score = average_precision(found, scenes.labels, scenes.boxes, NO_OBJECT, SIDE)
    assert score["AP50"] == pytest.approx(1) and score["AP75"] == pytest.approx(0)
    assert score["AP"] == pytest.approx(0.3)  # of the ten thresholds 0.5, 0.55 and 0.6 are met


def test_the_second_box_on_one_object_is_wrong():
    objects, label = (
        torch.tensor([[[0.3, 0.3, 0.2, 0.2], [0.7, 0.7, 0.2, 0.2]]]),
        torch.tensor([[0, 0]]),
    )
    boxes = objects[:, [0, 0, 1]]
    found = Detections(boxes, torch.tensor([[0, 0, 0]]), torch.tensor([[0.9, 0.8, 0.7]]))
    score = lambda found: average_precision(found, label, objects, 1, 48)["AP50"]
    assert score(found) == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert suppress(found).scores.tolist()[0] == pytest.approx([0.9, 0, 0.7])
    assert score(suppress(found)) == pytest.approx(1)


def test_suppression_spares_other_classes_and_other_images():
    box = [0.5, 0.5, 0.2, 0.2]
    boxes = torch.tensor([[box, box], [box, [0.58, 0.5, 0.2, 0.2]]])  # IoU of the last: 0.43
    labels = torch.tensor([[0, 1], [1, 1]])
    found = Detections(boxes, labels, torch.tensor([[0.5, 0.6], [0.7, 0.8]]))
    assert torch.equal(suppress(found).scores, found.scores)
    assert suppress(found, overlap=0.4).scores[1].tolist() == pytest.approx([0, 0.8])


def test_scenes_without_any_object_are_refused():
    found = Detections(torch.rand(2, 3, 4), torch.zeros(2, 3).long(), torch.rand(2, 3))
    with pytest.raises(ValueError, match="none of the 2 scenes"):
        average_precision(found, torch.full((2, 5), 5), torch.zeros(2, 5, 4), 5, 48)


def test_detect_gives_the_likeliest_class_and_never_no_object():
    class Model(torch.nn.Module):
        def forward(self, images):
            logits = torch.tensor([[0.0, 1.0, 3.0], [2.0, 1.0, -9.0]])
            boxes = torch.full((len(images), 2, 4), 0.25)
            return [
                (-logits.expand(len(images), 2, 3), boxes),
                (logits.expand(len(images), 2, 3), boxes),
            ]

    images = torch.zeros(300, 3, 8, 8)  # more than one batch
    found = detect(Model(), images)
    assert found.boxes.shape == (300, 2, 4) and found.labels[0].tolist() == [1, 0]
    likely = torch.tensor([[0.0, 1.0, 3.0], [2.0, 1.0, -9.0]]).softmax(-1)
    torch.testing.assert_close(found.scores[-1], torch.stack([likely[0, 1], likely[1, 0]]))
    assert detect(Model(), images, block=0).labels[0].tolist() == [0, 1]
