"""Attention inside of an instance and between two: by hand, and of a model."""

import math

import pytest
import torch

from vit_tutorial.data.scenes import make_scenes, normalise
from vit_tutorial.inspection.instances import (
    attention_between_neighbours,
    encoder_weights,
    token_instances,
)
from vit_tutorial.relatives.detection import DETR, DetectorConfig


def test_a_token_belongs_to_what_covers_half_of_it():
    image = torch.zeros(1, 4, 6, dtype=torch.uint8)
    image[0, :2, :2] = 1  # a whole token
    image[0, :2, 2] = 2  # half a token
    image[0, 2, 4] = 3  # a quarter
    square = torch.zeros(1, 6, 6, dtype=torch.uint8)
    square[:, :4] = image
    assert token_instances(square, 3).view(3, 3).tolist() == [[1, 2, 0], [0, 0, 0], [0, 0, 0]]
    with pytest.raises(ValueError, match="4 x 4 tokens does not divide an image of 6 x 6"):
        token_instances(square, 4)


def test_only_touching_pairs_of_object_tokens_count():
    tokens = torch.tensor([[1, 1, 0, 2, 1, 0, 0, 0, 1]])
    # 1 1 .      the last 1 touches the middle one; 2 touches three
    # 2 1 .
    # . . 1
    weights = torch.zeros(1, 9, 9)
    weights[0, 0, 1], weights[0, 4, 8], weights[0, 3, 0] = 0.6, 0.2, 0.9
    weights[0, 0, 8], weights[0, 0, 2], weights[0, 0, 0] = 5, 5, 5  # far, background, itself
    same, other = attention_between_neighbours(weights, tokens)
    pairs = {(0, 1), (0, 4), (1, 4), (4, 8)}
    assert same == pytest.approx((0.6 + 0.2) / (2 * len(pairs)))
    assert other == pytest.approx(0.9 / 6)
    alone = torch.zeros(1, 9).long()
    assert all(map(math.isnan, attention_between_neighbours(weights, alone)))


@torch.no_grad()
def test_the_weights_are_those_that_the_encoder_uses():
    torch.manual_seed(0)
    model = DETR(DetectorConfig(widths=(4, 4, 8), dim=16, num_heads=2, mlp_dim=16))
    images = normalise(make_scenes(3, 0).images)
    found = encoder_weights(model, images)
    assert len(found) == 2 and found[0].shape == (3, 144, 144)
    assert torch.allclose(found[1].sum(dim=-1), torch.ones(3, 144))
    x = model.backbone.features(images).flatten(2).transpose(1, 2)
    x = model.encoder[0](model.projection(x) + model.positions)
    block = model.encoder[1]
    torch.testing.assert_close(found[1], block.attention.weights(block.norm1(x)).mean(1))
    assert not model.encoder[0]._forward_pre_hooks
