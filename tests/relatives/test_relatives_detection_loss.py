"""Who is responsible for which object, and what it costs: by brute force and by hand."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import generalized_box_iou

from vit_tutorial.data.scenes import make_scenes
from vit_tutorial.relatives.detection_loss import (
    by_cell,
    corners,
    in_order,
    left_to_right,
    match,
    set_loss,
)


@pytest.fixture
def answers():
    """Logits (6, 7, 6) and boxes (6, 7, 4) of seven queries for six scenes."""
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 7, 6, generator=draw)
    boxes = 0.1 + 0.8 * torch.rand(6, 7, 4, generator=draw)
    return logits.requires_grad_(), boxes.requires_grad_()


@pytest.fixture
def scenes():
    return make_scenes(6, 3)


def cost_of(logits, boxes, label, target) -> torch.Tensor:
    """Of each query for one object, (Q,): the paper's formula."""
    giou = generalized_box_iou(corners(boxes), corners(target[None]))[:, 0]
    return -logits.softmax(-1)[:, label] + 5 * (boxes - target).abs().sum(1) - 2 * giou


def test_the_match_is_the_best_of_all_assignments(answers, scenes):
    found = match(*answers, scenes.labels, scenes.boxes)
    for b in range(6):
        n = int((scenes.labels[b] < 5).sum())
        parts = zip(scenes.labels[b, :n], scenes.boxes[b, :n])
        costs = torch.stack([cost_of(answers[0][b], answers[1][b], *part) for part in parts])
        every = itertools.permutations(range(7), n)
        best = min(every, key=lambda q: costs[torch.arange(n), list(q)].sum().item())
        assert found[b, :n].tolist() == list(best) and (found[b, n:] == -1).all()


def test_with_too_few_queries_some_objects_have_none(answers, scenes):
    found = match(answers[0][:, :2], answers[1][:, :2], scenes.labels, scenes.boxes)
    number = (scenes.labels < 5).sum(dim=1)
    assert ((found >= 0).sum(dim=1) == number.clamp(max=2)).all() and found.max() == 1


def test_a_scene_without_objects_matches_nothing(answers, scenes):
    empty = torch.full_like(scenes.labels, 5)
    assert (match(*answers, empty, scenes.boxes) == -1).all()
    loss = set_loss([answers], empty, scenes.boxes)
    expected = F.cross_entropy(answers[0].flatten(0, 1), torch.full((42,), 5))
    torch.testing.assert_close(loss, expected)


def test_no_matching_takes_the_list_as_it_comes(answers, scenes):
    n = (scenes.labels < 5).sum(dim=1, keepdim=True)
    number = torch.arange(5).expand(6, 5)
    expected = torch.where(number < n, number, -1)
    assert torch.equal(in_order(*answers, scenes.labels, scenes.boxes), expected)
    few = in_order(answers[0][:, :2], answers[1][:, :2], scenes.labels, scenes.boxes)
    assert torch.equal(few, torch.where(number < n.clamp(max=2), number, -1))


def test_left_to_right_sorts_by_the_middle(answers, scenes):
    found = left_to_right(*answers, scenes.labels, scenes.boxes)
    for labels, boxes, answer in zip(scenes.labels, scenes.boxes, found):
        real = labels < 5
        by_answer = boxes[real][answer[real].argsort(), 0]
        assert (by_answer.diff() > 0).all() and (answer[~real] == -1).all()
        assert sorted(answer[real].tolist()) == list(range(int(real.sum())))


def test_by_cell_takes_the_cell_of_the_middle_and_loses_the_second_one():
    logits, boxes = torch.zeros(1, 36, 6), torch.zeros(1, 36, 4)
    labels = torch.tensor([[0, 1, 2, 5, 5]])
    targets = torch.zeros(1, 5, 4)
    targets[0, :3, :2] = torch.tensor([[0.1, 0.1], [0.99, 0.3], [0.15, 0.12]])
    assert by_cell(logits, boxes, labels, targets).tolist() == [[0, 11, -1, -1, -1]]


@pytest.mark.parametrize(("assign", "same"), [(match, True), (by_cell, True), (in_order, False)])
def test_a_set_loss_ignores_the_order_of_the_objects(answers, scenes, assign, same):
    if assign is by_cell:
        answers = torch.randn(6, 36, 6), torch.rand(6, 36, 4).clamp(min=0.1)
    order = [4, 2, 0, 3, 1]
    one = set_loss([answers], scenes.labels, scenes.boxes, assign)
    other = set_loss([answers], scenes.labels[:, order], scenes.boxes[:, order], assign)
    assert torch.isclose(one, other) == same


def test_the_loss_by_hand(answers):
    logits, boxes = (part[:1] for part in answers)
    labels, target = torch.tensor([[2, 5]]), torch.tensor([[[0.5, 0.5, 0.2, 0.4], [0] * 4]])
    q = int(match(logits, boxes, labels, target)[0, 0])
    log = logits[0].log_softmax(-1)
    wanted = [2 if n == q else 5 for n in range(7)]
    weights = torch.tensor([1.0 if n == q else 0.1 for n in range(7)])
    classes = -(weights * log[torch.arange(7), wanted]).sum() / weights.sum()
    giou = generalized_box_iou(corners(boxes[0, q : q + 1]), corners(target[0, :1]))
    expected = classes + 5 * (boxes[0, q] - target[0, 0]).abs().sum() + 2 * (1 - giou.sum())
    found = set_loss([(logits, boxes)], labels, target, no_object=0.1)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    twice = set_loss([(logits, boxes)] * 2, labels, target, no_object=0.1)
    torch.testing.assert_close(twice, 2 * found)


def test_gradients_reach_the_boxes_of_matched_queries_alone(answers, scenes):
    set_loss([answers], scenes.labels, scenes.boxes).backward()
    moved = answers[1].grad.abs().sum(-1) > 0
    found = match(*answers, scenes.labels, scenes.boxes)
    for b in range(6):
        assert moved[b].nonzero()[:, 0].tolist() == sorted(found[b][found[b] >= 0].tolist())
    assert (answers[0].grad.abs().sum(-1) > 0).all()
