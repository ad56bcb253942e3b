"""PlainViT, the model on one page: its logits are those of the package and of torchvision."""

from pathlib import Path

import pytest
import torch
import torchvision

from vit_tutorial import VisionTransformer, ViTConfig, interop, patchify
from vit_tutorial.model import plain_vit
from vit_tutorial.model.plain_vit import PlainViT, cut, weights_from_torchvision

SIZES = {
    "small": dict(image_size=32, P=8, C=3, D=48, L=3, h=3, M=192, K=10),
    "one head, odd patches": dict(image_size=15, P=5, C=3, D=10, L=1, h=1, M=7, K=4),
    "one patch": dict(image_size=4, P=4, C=3, D=8, L=2, h=4, M=16, K=2),
}


def shaken(module):
    """The module with noise on every parameter: a fresh one hides a missing bias or norm."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return module.eval()


def torchvisions(image_size, P, C, D, L, h, M, K):
    """torchvision's model of these sizes; it knows three channels only."""
    return torchvision.models.VisionTransformer(
        image_size=image_size,
        patch_size=P,
        num_layers=L,
        num_heads=h,
        hidden_dim=D,
        mlp_dim=M,
        num_classes=K,
    )


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_logits_are_those_of_torchvision_and_of_the_package(sizes):
    torch.manual_seed(0)
    theirs = shaken(torchvisions(**sizes))
    plain = PlainViT(**sizes)
    plain.load_state_dict(weights_from_torchvision(theirs))
    images = torch.randn(5, 3, sizes["image_size"], sizes["image_size"])
    with torch.no_grad():
        expected = theirs(images)
        assert expected.std(dim=0).min() > 1e-3  # a constant answer would prove nothing
        torch.testing.assert_close(plain(images), expected, rtol=1e-4, atol=1e-4)
        ours = interop.load_from(theirs)
        torch.testing.assert_close(plain(images), ours(images), rtol=1e-4, atol=1e-4)


def test_gradients_are_those_of_torchvision():
    torch.manual_seed(0)
    sizes = SIZES["small"]
    theirs, plain = shaken(torchvisions(**sizes)), PlainViT(**sizes)
    plain.load_state_dict(weights_from_torchvision(theirs))
    images = torch.randn(3, 3, 32, 32)
    theirs(images).square().sum().backward()
    plain(images).square().sum().backward()
    for parameter in theirs.parameters():
        parameter.data = parameter.grad
    for name, gradient in weights_from_torchvision(theirs).items():
        torch.testing.assert_close(
            plain.get_parameter(name).grad, gradient, rtol=1e-3, atol=1e-3, msg=name
        )


@pytest.mark.slow
def test_the_defaults_are_vit_b_16_of_torchvision():
    torch.manual_seed(0)
    theirs = shaken(torchvision.models.vit_b_16(weights=None))
    plain = PlainViT()
    plain.load_state_dict(weights_from_torchvision(theirs))
    image = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(plain(image), theirs(image), rtol=1e-3, atol=1e-2)


def test_the_defaults_have_the_sizes_of_the_package():
    with torch.device("meta"):
        plain, ours = PlainViT(), VisionTransformer(ViTConfig.named("ViT-B/16"))
    count = sum(parameter.numel() for parameter in plain.parameters())
    assert count == sum(parameter.numel() for parameter in ours.parameters()) == 86_567_656


def test_another_size_is_refused():
    weights = weights_from_torchvision(torchvisions(**SIZES["small"]))
    with pytest.raises(RuntimeError, match="size mismatch"):
        PlainViT(**SIZES["small"] | dict(M=96)).load_state_dict(weights)


def test_cut_is_patchify():
    images = torch.arange(2 * 5 * 8 * 12.0).reshape(2, 5, 8, 12)
    assert torch.equal(cut(images, 4), patchify(images, 4))


def test_one_channel_goes_through_and_every_parameter_gets_a_gradient():
    plain = PlainViT(image_size=8, P=4, C=1, D=8, L=2, h=2, M=16, K=3)
    plain(torch.randn(2, 1, 8, 8)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in plain.parameters())


def test_it_is_one_page_and_needs_torch_alone():
    """90 lines of at most 100 columns, and no import of ours: people copy this file."""
    lines = Path(plain_vit.__file__).read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 90 and max(map(len, lines)) <= 100
    imports = [line for line in lines if line.startswith(("import ", "from "))]
    assert imports == ["import math", "import torch", "from torch import Tensor, nn"]
