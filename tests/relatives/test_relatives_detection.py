"""DETR in miniature and the dense detector: shapes, values, invariances, training."""

import dataclasses

import pytest
import torch

from vit_tutorial.data.scenes import NO_OBJECT, SIDE, make_scenes, normalise
from vit_tutorial.model.positions import sinusoidal_2d
from vit_tutorial.relatives.dense_detector import DenseDetector
from vit_tutorial.relatives.detection import (
    DETR,
    CrossAttention,
    DetectorConfig,
    sine_of,
)
from vit_tutorial.relatives.detection_loss import by_cell
from vit_tutorial.relatives.detection_score import average_precision, detect
from vit_tutorial.relatives.detection_training import mirror, train_detector

SMALL = dict(widths=(4, 4, 8), dim=16, num_heads=2, mlp_dim=16, encoder_depth=1, decoder_depth=2)


@pytest.fixture(scope="module")
def images():
    return normalise(make_scenes(4, 0).images)


def made(kind=DETR, **changes):
    torch.manual_seed(0)
    return kind(DetectorConfig(**SMALL | changes)).eval()


@pytest.mark.parametrize("queries", ["points", "vectors"])
def test_each_block_gives_logits_and_boxes(images, queries):
    answers = made(num_queries=7, queries=queries)(images)
    assert len(answers) == 2
    for logits, boxes in answers:
        assert logits.shape == (4, 7, 6) and boxes.shape == (4, 7, 4)
        assert 0 < boxes.min() and boxes.max() < 1


def test_the_dense_detector_answers_once_for_each_place(images):
    model = made(DenseDetector)
    ((logits, boxes),) = model(images)
    assert logits.shape == (4, 144, 6) and boxes.shape == (4, 144, 4)
    middles = (torch.arange(12) + 0.5) / 12
    assert torch.allclose(boxes[0].view(12, 12, 4)[3, :, 0], middles)  # before it has learned
    assert torch.allclose(boxes[0].view(12, 12, 4)[:, 5, 1], middles)


def test_cross_attention_is_that_of_torch():
    torch.manual_seed(0)
    mine, theirs = CrossAttention(16, 4), torch.nn.MultiheadAttention(16, 4, batch_first=True)
    weight = torch.cat([layer.weight for layer in (mine.q, mine.k, mine.v)])
    bias = torch.cat([layer.bias for layer in (mine.q, mine.k, mine.v)])
    theirs.in_proj_weight.data, theirs.in_proj_bias.data = weight.data, bias.data
    theirs.out_proj.load_state_dict(mine.projection.state_dict())
    inputs = torch.randn(3, 5, 16), torch.randn(3, 9, 16), torch.randn(3, 9, 16)
    expected, weights = theirs(*inputs, average_attn_weights=False)
    torch.testing.assert_close(mine(*inputs), expected)
    torch.testing.assert_close(mine.weights(*inputs), weights)


def test_the_position_of_a_point_is_that_of_the_token_below_it():
    config = DetectorConfig(**SMALL)
    middles = (torch.arange(config.grid) + 0.5) / config.grid
    points = torch.cartesian_prod(middles, middles).flip(1)  # x, y; row by row
    table = sinusoidal_2d((config.grid, config.grid), config.dim)
    torch.testing.assert_close(sine_of(points, config), table)


@torch.no_grad()
def test_queries_in_another_order_give_the_same_answers_in_that_order(images):
    model, order = made(num_queries=5), torch.tensor([3, 0, 4, 1, 2])
    before = model(images)
    for parameter in (model.queries, model.points):
        parameter.data = parameter[order]
    for (logits, boxes), (logits2, boxes2) in zip(before, model(images)):
        torch.testing.assert_close(logits[:, order], logits2)
        torch.testing.assert_close(boxes[:, order], boxes2)


@torch.no_grad()
def test_without_positions_and_with_circular_padding_a_shifted_scene_gives_the_same_boxes(images):
    """It cannot know where anything is. With zeros at the border, or with positions, it can."""
    moved = images.roll((16, 24), dims=(2, 3))
    for changes, same in (
        (dict(positions=False, padding="circular"), True),
        (dict(positions=False), False),
        (dict(padding="circular"), False),
    ):
        model = made(**changes)
        torch.nn.init.normal_(model.heads.boxes[-1].weight)
        (_, one), (_, other) = model(images)[-1], model(moved)[-1]
        assert torch.allclose(one, other, atol=1e-4) == same, changes


@torch.no_grad()
def test_an_image_is_answered_alone_as_in_a_batch(images):
    model = made()
    for one, batch in zip(model(images[2:3])[-1], model(images)[-1]):
        torch.testing.assert_close(one, batch[2:3])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (dict(num_queries=0), "num_queries is 0"),
        (dict(num_heads=3), "3 heads do not divide"),
        (dict(dim=6), "dim is 6"),
        (dict(queries="point"), "did you mean 'points'"),
        (dict(image_size=50), "4 must divide its sides, 50"),
        (dict(encoder_depth=1.5), "encoder_depth is 1.5"),
    ],
)
def test_a_detector_that_cannot_be_built_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        DetectorConfig(**SMALL | changes)


def test_mirrored_scenes_have_mirrored_boxes():
    scenes = make_scenes(50, 1)
    images, boxes = mirror(scenes)
    for image, box, labels in zip(images, boxes * SIDE, scenes.labels):
        for x, y, w, h in box[labels < NO_OBJECT][:1].tolist():
            inside = image[:, int(y - h / 2) + 1 : int(y + h / 2), int(x - w / 2) + 1 :]
            assert inside[..., : int(w) - 1].float().mean() > image.float().mean()
    both = mirror(dataclasses.replace(scenes, images=images, boxes=boxes))
    assert torch.equal(both[0], scenes.images)
    torch.testing.assert_close(both[1], scenes.boxes)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "steps"), [(DETR, 300), (DenseDetector, 150)])
def test_a_detector_learns_a_few_scenes_by_heart(kind, steps):
    scenes = make_scenes(4, 0)
    torch.manual_seed(0)
    model = kind(DetectorConfig(widths=(8, 8, 16, 32)))
    options = dict(assign=by_cell) if kind is DenseDetector else {}
    losses = train_detector(model, scenes, steps, batch_size=4, lr=2e-3, **options)
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])
    found = detect(model, normalise(scenes.images))
    score = average_precision(found, scenes.labels, scenes.boxes, NO_OBJECT, SIDE)
    assert score["AP50"] > 0.5, score
