"""The few-shot probe: least squares solved exactly, on frozen features."""

import pytest
import torch

from vit_tutorial import VisionTransformer, ViTConfig
from vit_tutorial.relatives import fit_probe, representations, ridge


def features(n=12, D=5, seed=0):
    return torch.randn(n, D, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


LABELS = torch.tensor([0, 1, 2] * 4)


def test_the_weights_satisfy_the_normal_equations():
    x, strength = features(), 2.5
    W = ridge(x, LABELS, 3, strength)
    y = 2 * torch.nn.functional.one_hot(LABELS, 3).double() - 1
    torch.testing.assert_close(x.mT @ (x @ W - y) + strength * W, torch.zeros(5, 3).double())


def test_there_is_a_solution_with_fewer_images_than_features():
    x = features(3, 40)
    W = ridge(x, LABELS[:3], 3, 1e-6)
    assert W.shape == (40, 3) and W.isfinite().all()
    torch.testing.assert_close((x @ W).argmax(dim=1), LABELS[:3])


def test_a_probe_does_not_care_about_the_scale_of_a_feature():
    x, new = features(), features(seed=1)
    scale, shift = torch.tensor([1, 10, 0.1, 3, 1000]), torch.tensor([0, 5, -3, 100, 2])
    plain, scaled = fit_probe(x, LABELS, 3), fit_probe(x * scale + shift, LABELS, 3)
    torch.testing.assert_close(plain(new), scaled(new * scale + shift))


def test_a_feature_that_never_changes_is_no_division_by_zero():
    x = features()
    x[:, 2] = 7
    assert fit_probe(x.float(), LABELS, 3)(x.float()).isfinite().all()


def test_separable_classes_are_told_apart_and_the_accuracy_is_a_share():
    draw = torch.Generator().manual_seed(0)
    x = torch.eye(3)[LABELS] * 5 + torch.randn(12, 3, generator=draw)
    probe = fit_probe(x, LABELS, 3)
    assert probe(x).shape == (12, 3) and probe.accuracy(x, LABELS) == 1
    assert probe.accuracy(x, LABELS.roll(1)) == 0
    half = torch.cat([LABELS[:6], (LABELS[6:] + 1) % 3])
    assert probe.accuracy(x, half) == 0.5


def test_representations_are_what_the_head_reads_and_keep_the_mode():
    config = ViTConfig(image_size=8, patch_size=4, dim=8, depth=1, num_heads=2, dropout=0.5)
    model = VisionTransformer(config).train()
    images = torch.randn(5, 3, 8, 8)
    found = representations(model, images, batch_size=2)
    assert model.training and found.shape == (5, 8) and not found.requires_grad
    torch.testing.assert_close(model.eval().head(found), model(images))


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ((features(), LABELS[:5], 3, 1.0), r"\(12, 5\) and \(5,\)"),
        ((features()[0], LABELS, 3, 1.0), r"\(5,\) and \(12,\)"),
        ((features(), LABELS, 2, 1.0), "from 0 to 2: for 2 classes give 0 to 1"),
        ((features(), LABELS - 1, 3, 1.0), "from -1 to 1"),
        ((features()[:0], LABELS[:0], 3, 1.0), "for no image"),
        ((features(), LABELS, 3, -1.0), "strength is -1.0"),
        ((features(), LABELS, 3, float("nan")), "strength is nan"),
    ],
)
def test_what_does_not_fit_is_refused(inputs, said):
    with pytest.raises(ValueError, match=said):
        ridge(*inputs)
