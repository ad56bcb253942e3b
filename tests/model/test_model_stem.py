"""The convolutional stem: as many tokens as patches, each from more pixels than a patch has."""

import dataclasses

import pytest
import torch

from vit_tutorial import VisionTransformer, ViTConfig, interop
from vit_tutorial.model import ConvolutionalStem, PatchEmbedding
from vit_tutorial.training import TrainSettings
from vit_tutorial.training.optimizers import make_optimizers


def config(**changes):
    return ViTConfig(
        **dict(image_size=32, dim=32, depth=2, num_heads=2, stem="convolutional") | changes
    )


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("size, P", [(32, 2), (32, 4), (32, 8), ((16, 48), 4), (32, 16)])
def test_the_stem_gives_as_many_tokens_as_patches(size, P):
    c = config(image_size=size, patch_size=P)
    images = torch.randn(2, 3, *c.image_size)
    assert (
        ConvolutionalStem(c)(images).shape
        == PatchEmbedding(c)(images).shape
        == (2, c.num_patches, 32)
    )


def test_tokens_stand_row_by_row_as_patches_do():
    c = config(image_size=(8, 16))
    stem, images = ConvolutionalStem(c).double(), torch.randn(1, 3, 8, 16, dtype=torch.double)
    features, tokens = stem.convolutions(images)[0], stem(images)[0]  # (D, 2, 4), (8, D)
    for row, column in ((0, 0), (0, 3), (1, 0), (1, 2)):
        torch.testing.assert_close(
            tokens[4 * row + column], stem.projection(features[:, row, column])
        )


@pytest.mark.parametrize("P", [2, 4, 8])
def test_a_token_sees_2P_minus_1_pixels_on_a_side(P):
    c = config(image_size=8 * P, patch_size=P)
    # Norms see everything.
    convolutions = [m for m in ConvolutionalStem(c).convolutions if isinstance(m, torch.nn.Conv2d)]
    images = torch.randn(1, 3, 8 * P, 8 * P, requires_grad=True)
    x = images
    for conv in convolutions:
        x = conv(x)
    x[0, :, 4, 4].abs().sum().backward()
    seen = images.grad.abs().sum(dim=(0, 1)) > 0
    assert seen.any(dim=1).sum() == seen.any(dim=0).sum() == 2 * P - 1


def test_an_image_gives_the_same_tokens_whatever_else_is_in_the_batch():
    stem, images = (
        ConvolutionalStem(config()).double(),
        torch.randn(4, 3, 32, 32, dtype=torch.double),
    )
    images[1:] *= 50
    torch.testing.assert_close(stem(images)[:1], stem(images[:1]))


@pytest.mark.parametrize(
    "changes, words",
    [
        (dict(patch_size=1), "patch_size is 1, take 2, 4, 8"),
        (dict(patch_size=6, image_size=36), "patch_size is 6, take 2"),
        (dict(patch_size=16, dim=20), "20 is not a multiple of 8"),
        (dict(patch_norms=True), "no patches to normalise"),
        (dict(stem="convolution"), "convolutional"),
    ],
)
def test_a_stem_that_cannot_be_built_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        config(**changes)


def test_configurations_from_before_the_stem_still_load():
    old = dataclasses.asdict(ViTConfig())
    del old["stem"]
    assert ViTConfig(**old) == ViTConfig()


def test_other_libraries_cannot_hold_a_convolutional_stem():
    with pytest.raises(ValueError, match="stem is 'convolutional' here and 'patches' there"):
        interop.export_to(VisionTransformer(config(pool="class")), "timm")


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="Muon came with torch 2.9")
def test_convolutions_are_decayed_and_left_to_adamw():
    model = VisionTransformer(config())
    muon, adamw = make_optimizers(model, TrainSettings(epochs=1, optimizer="muon"))
    kernels = {id(p) for p in model.patch_embedding.convolutions.parameters() if p.ndim == 4}
    assert (
        kernels
        and kernels <= {id(p) for p in adamw.param_groups[0]["params"]}
        and adamw.param_groups[0]["weight_decay"]
    )
    assert not kernels & {id(p) for group in muon.param_groups for p in group["params"]}


def test_a_convolutional_stem_learns_a_stripe_at_a_patch_border():
    """Two classes that differ in a stripe at a patch's border, which patches see by halves."""
    model = VisionTransformer(config(num_classes=2, pool="mean", depth=1))
    images, labels = torch.randn(64, 3, 32, 32), torch.arange(64) % 2
    images[labels == 1, :, :, 15:17] += 2
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (model(images).argmax(dim=1) == labels).all()
