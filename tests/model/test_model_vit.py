"""The whole model: what it computes, how many parameters it has, how it starts and learns."""

import dataclasses
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import vit_tutorial
from vit_tutorial import VisionTransformer, ViTConfig

SMALL = dict(
    image_size=(8, 12), patch_size=4, num_classes=5, dim=24, depth=2, num_heads=3, mlp_dim=40
)
VARIANTS = [
    {},
    dict(class_token="last"),
    dict(pool="mean"),
    dict(pool="mean", class_token="first"),
    dict(pool="mean", class_token="last", norm_after_pool=True),
    dict(position="none"),
    dict(position="sinusoidal_1d"),
    dict(position="sinusoidal_2d", class_token="last"),
    dict(position_class_token=False),
    dict(patch_norms=True, qkv_bias=False, norm_eps=1e-5, channels=1),
]


def make(**changes):
    torch.manual_seed(0)
    model = VisionTransformer(ViTConfig(**SMALL | changes))
    with torch.no_grad():
        for parameter in model.parameters():
            # No zero bias hides a part that does nothing.
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


def images(model, batch=3):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, model.config.channels, *model.config.image_size, generator=generator)


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_shapes_gradients_and_state(changes):
    model = make(**changes)
    x = images(model)
    assert model.tokens(x).shape == (3, model.config.num_tokens, 24)
    assert model.representation(x).shape == (3, 24)
    logits = model(x)
    assert logits.shape == (3, 5)
    torch.testing.assert_close(
        logits, torch.cat([model(x[i : i + 1]) for i in range(3)]), atol=1e-5, rtol=1e-5
    )
    F.cross_entropy(logits, torch.tensor([0, 1, 2])).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name
    twin = VisionTransformer(model.config).eval()
    assert (twin(x) - logits).abs().max() > 1e-3
    twin.load_state_dict(model.state_dict())
    assert torch.equal(twin(x), logits)


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_float64(changes):
    model = make(**changes)
    x = images(model)
    expected = model(x)
    logits = model.double()(x.double())
    assert logits.dtype == torch.float64
    torch.testing.assert_close(logits.float(), expected, atol=1e-4, rtol=1e-4)


def test_equations_one_to_four():
    model = make()
    x = images(model)
    patches = (
        vit_tutorial.patchify(x, 4) @ model.patch_embedding.projection.weight.T
        + model.patch_embedding.projection.bias
    )
    z = torch.cat([model.class_token.repeat(3, 1, 1), patches], dim=1) + model.position.table
    torch.testing.assert_close(model.tokens(x), z)
    for block in model.encoder.blocks:
        z = block(z)
    y = F.layer_norm(z, (24,), model.norm.weight, model.norm.bias, 1e-6)[:, 0]
    torch.testing.assert_close(model.representation(x), y)
    torch.testing.assert_close(model(x), y @ model.head.weight.T + model.head.bias)


@pytest.mark.parametrize("pool", ["class", "mean"])
def test_class_token_last_equals_first_when_its_position_moves_along(pool):
    first, last = make(class_token="first", pool=pool), make(class_token="last", pool=pool)
    state = first.state_dict()
    state["position.table"] = state["position.table"].roll(-1, dims=1)  # row 0 becomes the last one
    last.load_state_dict(state)
    x = images(first)
    torch.testing.assert_close(last(x), first(x), atol=1e-5, rtol=1e-5)
    last.load_state_dict(first.state_dict())  # left where it was, it is another model
    assert (last(x) - first(x)).abs().max() > 1e-3


def test_mean_pooling_leaves_the_class_token_out():
    z = torch.randn(2, 7, 24)
    assert torch.equal(make(pool="mean", class_token="first").pool(z), z[:, 1:].mean(1))
    assert torch.equal(make(pool="mean", class_token="last").pool(z), z[:, :-1].mean(1))
    assert torch.equal(make(pool="mean").pool(z), z.mean(1))
    assert torch.equal(make(class_token="last").pool(z), z[:, -1])
    for after in (True, False):
        model = make(pool="mean", norm_after_pool=after)
        x = images(model)
        z = model.encoder(model.tokens(x))
        expected = model.norm(z.mean(1)) if after else model.norm(z).mean(1)
        torch.testing.assert_close(model.representation(x), expected)


def test_position_of_the_class_token_can_be_left_out():
    model = make(position_class_token=False)
    tokens = model.tokens(images(model))
    assert torch.equal(tokens[:, 0], model.class_token[0].expand(3, -1))


@pytest.mark.parametrize(
    "position, matters", [("none", False), ("learned_1d", True), ("sinusoidal_2d", True)]
)
def test_order_of_patches_matters_only_with_positions(position, matters):
    model = make(position=position)
    x = images(model)
    patches = vit_tutorial.patchify(x, 4)[:, torch.tensor([5, 3, 0, 1, 4, 2])]
    shuffled = vit_tutorial.unpatchify(patches, 4, (8, 12))
    change = (model(shuffled) - model(x)).abs().max()
    assert change > 1e-3 if matters else change < 1e-5


def closed_formula(c):
    D, M = c.dim, c.mlp_dim
    # Patches, class token, positions.
    embedding = (c.patch_dim * D + D) + D + (c.num_patches + 1) * D
    block = (3 * D * D + 3 * D) + (D * D + D) + (D * M + M) + (M * D + D) + 4 * D
    return embedding + c.depth * block + 2 * D + (D * c.num_classes + c.num_classes)


@pytest.mark.parametrize(
    "name, million, exact",
    [("ViT-B/16", 86, 86_567_656), ("ViT-L/16", 307, 304_326_632), ("ViT-H/14", 632, 632_045_800)],
)
def test_parameter_counts(name, million, exact):
    """`exact` is what torchvision documents for vit_b_16, vit_l_16 and vit_h_14, heads of 1000
    classes included; `million` is the paper's table 1."""
    config = ViTConfig.named(name)
    with torch.device("meta"):
        model = VisionTransformer(config)
    assert sum(p.numel() for p in model.parameters()) == closed_formula(config) == exact
    assert exact / 1e6 == pytest.approx(million, rel=0.01)
    assert model(torch.empty(2, 3, 224, 224, device="meta")).shape == (2, 1000)


def test_dropout_acts_in_training_only():
    model = make(dropout=0.5)
    x = images(model)
    assert torch.equal(model(x), model(x))
    model.train()
    assert not torch.equal(model(x), model(x))
    places = [name for name, part in model.named_modules() if isinstance(part, torch.nn.Dropout)]
    assert places == ["dropout"] + [
        f"encoder.blocks.{i}.{part}" for i in range(2) for part in ("mlp.2", "dropout")
    ]
    assert all(model.get_submodule(name).p == 0.5 for name in places)
    calm = make().train()
    assert torch.equal(calm(x), calm(x))


def test_initial_weights_and_the_first_loss():
    torch.manual_seed(0)
    model = VisionTransformer(ViTConfig(num_classes=100))
    assert model.class_token.std().item() == pytest.approx(0.02, rel=0.2)
    assert model.head.weight.std().item() == pytest.approx(0.02, rel=0.05)
    bound = (6 / (192 + 768)) ** 0.5  # Xavier: uniform in +-sqrt(6 / (inputs + outputs))
    weight = model.encoder.blocks[0].mlp[0].weight
    assert weight.abs().max() <= bound and weight.std().item() == pytest.approx(
        bound / 3**0.5, rel=0.02
    )
    assert all(p.abs().max() == 0 for name, p in model.named_parameters() if name.endswith("bias"))
    loss = F.cross_entropy(model(torch.randn(64, 3, 32, 32)), torch.randint(100, (64,)))
    assert loss.item() == pytest.approx(4.6052, abs=0.15)  # ln 100


def test_one_batch_can_be_learned_by_heart():
    model = make().train()
    x, y = images(model, batch=8), torch.arange(8) % 5
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(60):
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05


def test_named_variants():
    assert ViTConfig.named("ViT-B/32").grid == (7, 7)
    config = ViTConfig.named("CIFAR-96x4/4", dropout=0.1)
    expected = dict(dim=96, depth=4, num_heads=3, mlp_dim=192, patch_size=4, dropout=0.1)
    expected |= dict(pool="mean", class_token="none")
    assert {name: getattr(config, name) for name in expected} == expected
    assert (config.num_patches, config.num_tokens, config.patch_dim) == (64, 64, 48)
    assert ViTConfig.named("ViT-Ti/16").num_tokens == 197
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.dim = 3


MODEL = Path(vit_tutorial.__file__).parent / "model"


def test_the_way_from_pixels_to_logits_is_read_in_one_sitting():
    """What stands beside it: the choices (config), positions inside attention, the convolutional
    stem, resize, and fine-tuning. plain_vit is the whole again, on one page. Nobody who wants to
    know what a ViT is has to read them."""
    lines = {path.name: len(path.read_text("utf-8").splitlines()) for path in MODEL.glob("*.py")}
    beside = [lines.pop(f"{name}.py") for name in ("config", "relative", "stem", "__init__")]
    assert sum(beside) < 400
    assert lines.pop("resize.py") < 150 and lines.pop("transfer.py") < 60
    assert lines.pop("plain_vit.py") <= 90
    assert len(lines) == 6 and sum(lines.values()) < 460, lines
