"""No two lengths that a learner could take for each other are equal in all cases of a check.

Where they always are, a function that takes the one for the other passes: `check_cover_top` had
square patches only, and H // R was as good as W // S.
"""

import itertools

import pytest
from checks_common import SEEDS

from vit_tutorial import checks


def covered(images, maps, k):
    (B, C, H, W), (_, R, S) = images.shape, maps.shape
    return dict(B=B, C=C, H=H, W=W, R=R, S=S, high=H // R, wide=W // S, k=k)


def read(weights, grid):
    return dict(B=len(weights), h=weights.shape[1], rows=grid[0], columns=grid[1])


def shifted(f, images, shift, stride):
    B, C, H, W = images.shape
    steps = dict(shift=shift, stride=stride, places=shift // stride)
    return dict(B=B, C=C, H=H, W=W, channels_out=f(images).shape[1]) | steps


def neighbours(patches, mask, grid):
    B, N, L = patches.shape
    return dict(B=B, N=N, L=L, rows=grid[0], columns=grid[1], hidden=int(mask[0].sum()))


def hidden(prediction, patches, mask):
    B, N, L = patches.shape
    return dict(B=B, N=N, L=L, hidden=int(mask[0].sum()), visible=int((~mask[0]).sum()))


LENGTHS = {
    "check_cover_top": covered,
    "check_attention_distance": read,
    "check_equivariance_error": shifted,
    "check_receptive_field": lambda kernels, strides: dict(
        layers=len(kernels), first=kernels[0], last=kernels[-1], stride=strides[0], end=strides[-1]
    ),
    "check_ridge_weights": lambda features, labels, num_classes, strength: dict(
        n=len(features), D=features.shape[1], K=num_classes, strength=strength
    ),
    "check_soft_loss": lambda student, teacher, temperature: dict(
        B=len(student), K=student.shape[1], T=temperature
    ),
    "check_neighbour_mean": neighbours,
    "check_masked_loss": hidden,
    "check_bits_per_pixel": lambda logits, tokens: dict(zip("BTK", logits.shape)),
    "check_match_objects": lambda cost: dict(queries=len(cost), objects=cost.shape[1]),
    "check_strided_mask": lambda length, stride: dict(length=length, stride=stride),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", LENGTHS)
def test_no_two_lengths_are_equal_in_all_cases(name, seed):
    cases = checks.get(name).draw(seed)
    lengths = [LENGTHS[name](**case.build()) for case in cases]
    tied = [
        pair
        for pair in itertools.combinations(lengths[0], 2)
        if all(found[pair[0]] == found[pair[1]] for found in lengths)
    ]
    assert tied == []
