"""The masked autoencoder: what is hidden stays hidden, and everything comes back to its place."""

import pytest
import torch

from vit_tutorial import VisionTransformer, ViTConfig, patchify
from vit_tutorial.relatives.masked_autoencoder import (
    MaskedAutoencoder,
    fill_in,
    gather,
    masked_loss,
    neighbour_mean,
    normalize_patches,
    random_masking,
)

CONFIG = ViTConfig(image_size=(16, 24), patch_size=4, dim=16, depth=1, num_heads=2, pool="mean",
                   position="sinusoidal_2d")  # fmt: skip


def autoencoder(**options) -> MaskedAutoencoder:
    torch.manual_seed(0)
    return MaskedAutoencoder(CONFIG, decoder_dim=8, decoder_heads=2, **options).eval()


@pytest.mark.parametrize(("ratio", "visible"), [(0, 24), (0.5, 12), (0.75, 6), (0.9, 2)])
def test_each_image_keeps_as_many_patches(ratio, visible):
    keep, mask = random_masking(torch.rand(5, 24), ratio)
    assert keep.shape == (5, visible) and keep.dtype == torch.int64
    assert mask.sum(1).tolist() == [24 - visible] * 5
    assert not mask.gather(1, keep).any() and (keep.diff(dim=1) > 0).all()


def test_each_patch_is_hidden_equally_often():
    noise = torch.rand(20_000, 8, generator=torch.Generator().manual_seed(0))
    share = random_masking(noise, 0.75)[1].float().mean(0)
    assert (share - 0.75).abs().max() < 0.015


@pytest.mark.parametrize("ratio", [1, 0.99, -0.1])
def test_a_ratio_that_cannot_work_is_refused(ratio):
    with pytest.raises(ValueError, match=f"mask ratio of {ratio} leaves"):
        random_masking(torch.rand(2, 24), ratio)


def test_visible_tokens_come_back_to_their_places():
    tokens = torch.randn(3, 24, 5)
    keep, mask = random_masking(torch.rand(3, 24), 0.75)
    token = torch.full((1, 1, 5), 7.0)
    full = fill_in(gather(tokens, keep), keep, token, 24)
    assert torch.equal(full[~mask], tokens[~mask])
    assert (full[mask] == 7).all()


def test_the_prediction_does_not_depend_on_hidden_patches():
    model, images, noise = autoencoder(), torch.randn(2, 3, 16, 24), torch.rand(2, 24)
    first, _, mask = model.predict(images, noise)
    pixels = mask.view(2, 1, 4, 6).repeat_interleave(4, 2).repeat_interleave(4, 3)
    other = torch.where(pixels, torch.randn(images.shape), images)
    assert not torch.equal(other, images)
    assert torch.equal(model.predict(other, noise)[0], first)


def test_with_nothing_hidden_the_encoder_is_the_ordinary_vit():
    model, images = autoencoder(), torch.randn(2, 3, 16, 24)
    vit = VisionTransformer(CONFIG).eval()
    vit.load_state_dict(model.encoder.state_dict())
    latent = model.encode(images, torch.arange(24).expand(2, 24))
    torch.testing.assert_close(latent.mean(1), vit.representation(images))


def test_a_step_reaches_every_weight_but_the_head():
    model = autoencoder()
    model(torch.randn(2, 3, 16, 24)).backward()
    without = {name for name, p in model.named_parameters() if p.grad is None}
    assert without == {"encoder.head.weight", "encoder.head.bias"}


@pytest.mark.parametrize("norm", [True, False])
def test_the_loss_is_that_of_its_parts(norm):
    model, images, noise = (
        autoencoder(norm_patches=norm),
        torch.randn(2, 3, 16, 24),
        torch.rand(2, 24),
    )
    prediction, target, mask = model.predict(images, noise)
    patches = patchify(images, 4)
    assert torch.equal(target, normalize_patches(patches) if norm else patches)
    by_hand = torch.stack([((p - t) ** 2).mean() for p, t in zip(prediction[mask], target[mask])])
    torch.testing.assert_close(model(images, noise), by_hand.mean())


def test_normalised_patches_have_mean_0_and_variance_1():
    patches = normalize_patches(5 + 3 * torch.randn(2, 6, 48))
    torch.testing.assert_close(patches.mean(-1), torch.zeros(2, 6), atol=1e-5, rtol=0)
    torch.testing.assert_close(patches.var(-1), torch.ones(2, 6))
    assert normalize_patches(torch.full((1, 1, 48), 0.3)).abs().max() < 1e-3


def test_neighbours_on_a_grid_of_two_by_three():
    patches = torch.tensor([[1.0, 2, 3, 4, 5, 6]])[..., None]
    mask = torch.tensor([[True, False, True, False, True, True]])
    # 0 sees 1 and 3; 2 sees 1; 4 sees 1 and 3; 5 sees nobody: the mean of 2 and 4
    expected = torch.tensor([[3.0, 2, 2, 4, 3, 3]])[..., None]
    assert torch.equal(neighbour_mean(patches, mask, (2, 3)), expected)


@pytest.mark.parametrize(
    "changes", [dict(pool="class"), dict(pool="mean", class_token="first"),
                dict(pool="mean", position="rotary")]
)  # fmt: skip
def test_an_encoder_that_it_cannot_use_is_refused(changes):
    config = ViTConfig(image_size=16, dim=16, depth=1, num_heads=2, **changes)
    with pytest.raises(ValueError, match="no class token and adds positions at the stem"):
        MaskedAutoencoder(config)


def test_masked_loss_ignores_visible_patches():
    prediction, target = torch.randn(2, 6, 4), torch.randn(2, 6, 4)
    mask = torch.rand(2, 6) < 0.5
    changed = torch.where(mask[..., None], prediction, torch.randn(2, 6, 4))
    assert torch.equal(masked_loss(changed, target, mask), masked_loss(prediction, target, mask))
