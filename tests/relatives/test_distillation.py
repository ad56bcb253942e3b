"""DeiT: the plain ViT inside, timm's model by value, the losses by hand, and errors shared."""

import math

import pytest
import torch
import torch.nn.functional as F

from vit_tutorial import VisionTransformer, ViTConfig, interop
from vit_tutorial.relatives.distillation import (
    DistilledViT,
    distillation_loss,
    error_consistency,
    hard_loss,
    soft_loss,
    token_cosines,
)

SMALL = ViTConfig(image_size=16, dim=24, depth=3, num_heads=2, mlp_dim=40, num_classes=7)


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return DistilledViT(SMALL).eval()


@torch.no_grad()
def test_without_the_distillation_token_it_is_the_plain_vit(model):
    images = drawn(2, 3, 16, 16)
    tokens = model.tokens(images)
    assert tokens.shape == (2, SMALL.num_tokens + 1, 24)
    cut = torch.cat([tokens[:, :1], tokens[:, 2:]], dim=1)
    plain = VisionTransformer(SMALL).eval()
    plain.load_state_dict(model.vit.state_dict())
    torch.testing.assert_close(cut, plain.tokens(images), rtol=0, atol=0)
    logits = model.vit.head(model.vit.norm(model.vit.encoder(cut))[:, 0])
    torch.testing.assert_close(logits, plain(images))
    assert (model.heads(images)[0] - logits).abs().max() > 1e-4  # the token is read by the others


@torch.no_grad()
def test_it_begins_with_the_same_weights_as_the_plain_vit():
    torch.manual_seed(3)
    plain = VisionTransformer(SMALL)
    torch.manual_seed(3)
    for name, value in DistilledViT(SMALL).vit.state_dict().items():
        assert torch.equal(value, plain.state_dict()[name]), name


@pytest.mark.slow  # timm takes seconds to import
@torch.no_grad()
def test_the_logits_are_those_of_timm():
    """A model of timm with random numbers everywhere, its weights copied into ours."""
    deit = pytest.importorskip("timm.models.deit")
    torch.manual_seed(0)
    theirs = deit.VisionTransformerDistilled(
        img_size=16, patch_size=4, num_classes=7, embed_dim=24, depth=3, num_heads=2, mlp_ratio=2
    ).eval()
    for parameter in theirs.parameters():
        parameter.copy_(0.3 * torch.randn(parameter.shape))
    plain = deit.VisionTransformer(
        img_size=16, patch_size=4, num_classes=7, embed_dim=24, depth=3, num_heads=2, mlp_ratio=2
    )
    state = theirs.state_dict()
    of_token, second = state.pop("dist_token"), state["pos_embed"][:, 1:2]
    head = {name: state.pop(f"head_dist.{name}") for name in ("weight", "bias")}
    state["pos_embed"] = torch.cat([state["pos_embed"][:, :1], state["pos_embed"][:, 2:]], dim=1)
    plain.load_state_dict(state)
    vit = interop.load_from(plain)
    ours = DistilledViT(vit.config).eval()
    ours.vit.load_state_dict(vit.state_dict())
    ours.dist_token.copy_(of_token + second)
    ours.head_dist.load_state_dict(head)
    images = drawn(3, 3, 16, 16)
    torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-4)
    theirs.train().set_distilled_training(True)
    for one, other in zip(ours.heads(images), theirs(images)):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (dict(pool="mean"), "pool is 'mean' and class_token 'none'"),
        (dict(class_token="last"), "class_token 'last'"),
        (dict(position="rotary"), "position_site is 'every_layer'"),
    ],
)
def test_a_config_without_a_place_for_the_token_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        DistilledViT(ViTConfig(dim=24, depth=1, num_heads=2, **changes))


def test_the_soft_loss_by_hand():
    student, teacher, T = drawn(5, 4), drawn(5, 4, seed=1), 2.5
    total = 0.0
    for zs, zt in zip(student.double(), teacher.double()):
        p, q = (zt / T).exp(), (zs / T).exp()
        p, q = p / p.sum(), q / q.sum()
        total += sum(a * math.log(a / b) for a, b in zip(p.tolist(), q.tolist()))
    assert soft_loss(student, teacher, T).item() == pytest.approx(T * T * total / 5, rel=1e-4)
    assert soft_loss(teacher, teacher, T).item() == pytest.approx(0, abs=1e-6)
    with pytest.raises(ValueError, match="temperature is 0"):
        soft_loss(student, teacher, 0)


def test_the_square_of_the_temperature_keeps_the_gradient():
    """Of small logits the gradient is the same at every temperature, up to 2 %."""
    sizes = []
    for T in (1.0, 3.0, 10.0):
        student = (0.01 * drawn(5, 4)).requires_grad_()
        soft_loss(student, 0.01 * drawn(5, 4, seed=1), T).backward()
        sizes.append(student.grad.norm().item())
    assert max(sizes) < 1.02 * min(sizes)


def test_hard_and_soft_halves_meet_the_right_head():
    one, other, teacher = (drawn(6, 5, seed=n) for n in range(3))
    labels = torch.arange(6) % 5
    for kind, taught in (("hard", hard_loss(other, teacher)), ("soft", soft_loss(other, teacher))):
        found = distillation_loss((one, other), labels, teacher, kind)
        assert found.item() == pytest.approx((F.cross_entropy(one, labels) + taught).item() / 2)
    assert hard_loss(other, teacher) == F.cross_entropy(other, teacher.argmax(dim=1))
    shares = F.one_hot(labels, 5).float()  # of mixed images
    mixed = distillation_loss((one, other), shares, teacher)
    torch.testing.assert_close(mixed, distillation_loss((one, other), labels, teacher))
    with pytest.raises(ValueError, match="hard"):
        distillation_loss((one, other), labels, teacher, "medium")


def test_the_teacher_gets_no_gradient():
    heads = [drawn(2, 3, seed=n).requires_grad_() for n in range(2)]
    teacher = drawn(2, 3, seed=2).requires_grad_()
    distillation_loss(tuple(heads), torch.tensor([0, 1]), teacher, "soft").backward()
    assert teacher.grad is None and all(head.grad.abs().sum() > 0 for head in heads)


def test_cosines_of_equal_and_opposite_tokens(model):
    images = drawn(2, 3, 16, 16)
    cosines = token_cosines(model, images)
    assert len(cosines) == 1 + 3 and all(-1 <= value <= 1 for value in cosines)
    with torch.no_grad():
        model.dist_token.copy_(model.vit.tokens(images)[:1, :1])
    assert token_cosines(model, images) == pytest.approx([1] * 4)
    with torch.no_grad():
        model.dist_token.neg_()
    assert token_cosines(model, images)[0] == pytest.approx(-1)


def test_errors_shared_by_chance_by_copy_and_never():
    one = torch.tensor([True, True, False, False])
    assert error_consistency(one, one) == dict(both_wrong=0.5, expected=0.25, kappa=1.0)
    assert error_consistency(one, ~one)["kappa"] == -1
    by_chance = error_consistency(one, torch.tensor([True, False, True, False]))
    assert by_chance == dict(both_wrong=0.25, expected=0.25, kappa=0.0)
    assert math.isnan(error_consistency(one | True, one | True)["kappa"])
    with pytest.raises(ValueError, match=r"\(4,\), other torch.bool \(3,\)"):
        error_consistency(one, one[:3])
    with pytest.raises(ValueError, match="int64"):
        error_consistency(one, one.long())
