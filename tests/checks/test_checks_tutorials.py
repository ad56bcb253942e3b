"""check_repair_strips, of the lesson on five public tutorials."""

import pytest
import torch
import torch.nn.functional as F
from checks_common import is_accepted, is_named, mistake_id, mistakes, verdict

from vit_tutorial import patchify
from vit_tutorial.checks.exercises.repair_strips import repair_strips


@pytest.mark.slow
@pytest.mark.parametrize(("name", "mistake"), mistakes("check_repair_strips"), ids=mistake_id)
def test_each_mistake_is_rejected_and_named(name, mistake):
    is_named(name, mistake)


def by_way_of_the_image(tokens, P, columns):
    B, N, L = tokens.shape
    rows, C = N // columns, L // P**2
    image = tokens.reshape(B, rows * P, C, columns * P).permute(0, 2, 1, 3)
    return patchify(image.contiguous(), P)


def by_unfold(tokens, P, columns):
    B, N, L = tokens.shape
    image = tokens.reshape(B, -1, L // P**2, columns * P).transpose(1, 2)
    patches = F.unfold(image, P, stride=P).mT  # channel first
    return patches.unflatten(2, (L // P**2, P * P)).transpose(2, 3).flatten(2)


def with_loops(tokens, P, columns):
    B, N, L = tokens.shape
    image = tokens.reshape(B, N // columns * P, L // P**2, columns * P)
    cuts = [
        image[:, r : r + P, :, s : s + P].transpose(2, 3).reshape(B, L)
        for r in range(0, image.shape[1], P)
        for s in range(0, image.shape[3], P)
    ]
    return torch.stack(cuts, dim=1)


@pytest.mark.slow
@pytest.mark.parametrize("fn", [by_way_of_the_image, by_unfold, with_loops, repair_strips])
def test_each_style_is_accepted(fn):
    is_accepted("check_repair_strips", fn)


def test_it_undoes_the_cut_of_the_slide():
    images = torch.randn(2, 3, 8, 12)
    windows = images.unfold(2, 4, 4).unfold(3, 4, 4)
    strips = windows.permute(0, 2, 4, 1, 3, 5).reshape(2, -1, 48)
    assert not torch.equal(strips, patchify(images, 4))
    assert torch.equal(repair_strips(strips, 4, 3), patchify(images, 4))


def test_an_unknown_mistake_is_named_by_what_is_seen():
    found = verdict("check_repair_strips", lambda *a: repair_strips(*a).flip(1))
    assert not found.passed and found.mistake == "result_reversed", found.message
