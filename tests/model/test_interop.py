"""Parity with torchvision, timm and vit-pytorch, by value, both ways, and what has to be refused.

Every parameter of theirs gets random numbers first: zero biases and class tokens of almost zero
would hide a weight that is lost. The tests pass with every release that pyproject.toml allows; what
an old release cannot build is skipped.
"""

import copy
import inspect
import re
import subprocess
import sys

import pytest
import torch
from torch import nn
from torchvision.models import VisionTransformer as TorchvisionViT
from torchvision.models.vision_transformer import ConvStemConfig

from vit_tutorial import VisionTransformer, ViTConfig, interop

timm = pytest.importorskip("timm", reason="parity with timm needs it: pip install timm")
vit_pytorch = pytest.importorskip(
    "vit_pytorch", reason="parity with vit-pytorch needs it: pip install vit-pytorch"
)
from timm.layers import RmsNorm, SwiGLU  # noqa: E402
from timm.models.vision_transformer import ResPostBlock  # noqa: E402
from timm.models.vision_transformer import VisionTransformer as TimmViT  # noqa: E402

SIZES = {
    "torchvision": dict(
        image_size=32,
        patch_size=8,
        num_layers=2,
        num_heads=4,
        hidden_dim=64,
        mlp_dim=100,
        num_classes=7,
    ),
    "timm": dict(
        img_size=(16, 24),
        patch_size=4,
        depth=2,
        num_heads=3,
        embed_dim=48,
        mlp_ratio=2.0,
        num_classes=7,
    ),
    "vit_pytorch": dict(
        image_size=16,
        patch_size=4,
        depth=2,
        heads=3,
        dim_head=16,
        dim=48,
        mlp_dim=100,
        num_classes=7,
    ),
}
BUILD = {"torchvision": TorchvisionViT, "timm": TimmViT, "vit_pytorch": vit_pytorch.ViT}
TIMM_VERSION = tuple(map(int, re.findall(r"\d+", timm.__version__)[:3]))
TOKEN_KEPT = TIMM_VERSION >= (1, 0, 26)  # with pos_embed="none"; older releases leave it out
PARITY = [
    ("torchvision", {}),
    ("torchvision", dict(image_size=48, patch_size=16, num_layers=3, num_heads=2, num_classes=1)),
    ("torchvision", dict(patch_size=4, norm_layer=lambda width: nn.LayerNorm(width, eps=1e-3))),
    ("timm", {}),
    ("timm", dict(global_pool="avg")),  # a class token that is not read, the norm after pooling
    ("timm", dict(global_pool="avg", fc_norm=False)),
    ("timm", dict(global_pool="avg", class_token=False)),
    ("timm", dict(no_embed_class=True, qkv_bias=False)),
    ("timm", dict(no_embed_class=True, class_token=False, global_pool="avg", in_chans=1)),
    ("timm", dict(pos_embed="none", class_token=False, global_pool="avg")),
    *[("timm", dict(pos_embed="none", fc_norm=True)) for _ in range(TOKEN_KEPT)],
    ("timm", dict(img_size=28, patch_size=7, in_chans=5, num_heads=1, mlp_ratio=1.7)),
    ("vit_pytorch", {}),
    ("vit_pytorch", dict(pool="mean")),
    ("vit_pytorch", dict(image_size=(16, 24), channels=1)),
    ("vit_pytorch", dict(image_size=24, patch_size=8, heads=6, dim_head=8)),
]


def make(library, **changes):
    """Their model in eval mode with no weight left at its start; and the image size in pixels."""
    settings = SIZES[library] | changes
    model = BUILD[library](**settings).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    size = settings.get("image_size", settings.get("img_size"))
    return model, (size, size) if isinstance(size, int) else size


def build(library, **changes):
    """Their model; skipped when the installed release does not know one of the arguments."""
    unknown = set(changes) - set(inspect.signature(BUILD[library].__init__).parameters)
    if unknown:
        pytest.skip(f"this release of {library} has no {', '.join(unknown)}")
    return BUILD[library](**SIZES[library] | changes)


def load(library, model, size):
    return interop.load_from(model, image_size=size if library == "vit_pytorch" else None)


def images(model, batch=3):
    return torch.randn(
        batch,
        model.config.channels,
        *model.config.image_size,
        generator=torch.Generator().manual_seed(1),
    )


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def short(value) -> str:
    """For a test's name: without addresses, which are others in each process."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))[:60]


@pytest.mark.parametrize("library, changes", PARITY, ids=short)
def test_logits_agree_in_both_directions(library, changes):
    theirs, size = make(library, **changes)
    ours = load(library, theirs, size)
    assert ours.config.image_size == size
    x = images(ours)
    with torch.no_grad():
        logits = theirs(x)
        # A model that says the same for every image would agree with anything.
        assert logits.std() > 0.05
        close(ours(x), logits)
        # An instance built from our configuration.
        close(interop.export_to(ours, library)(x), logits)
        empty = BUILD[library](**SIZES[library] | changes).eval()
        assert (empty(x) - logits).abs().max() > 1e-3
        assert interop.export_to(ours, empty) is empty
        close(empty(x), logits)
    for name, value in theirs.state_dict().items():
        assert torch.equal(empty.state_dict()[name], value), name


@pytest.mark.parametrize("library, changes", PARITY, ids=short)
def test_gradients_agree(library, changes):
    """The same function of the images, not only the same numbers at one point."""
    theirs, size = make(library, **changes)
    ours = load(library, theirs, size).double()
    theirs = theirs.double()
    x = images(ours).double().requires_grad_()
    ours_gradient, theirs_gradient = (
        torch.autograd.grad(model(x).square().sum(), x)[0] for model in (ours, theirs)
    )
    torch.testing.assert_close(ours_gradient, theirs_gradient, atol=1e-8, rtol=1e-8)


def test_patch_weights_and_position_rows():
    theirs, _ = make("timm")
    ours = interop.load_from(theirs)
    P, C = 4, 3
    kernel, rows = theirs.patch_embed.proj.weight, ours.patch_embedding.projection.weight
    for i, j, c in [(0, 0, 0), (1, 2, 1), (3, 0, 2), (2, 3, 0)]:
        assert torch.equal(rows[:, (i * P + j) * C + c], kernel[:, c, i, j])
    # The class token's row stands first in both.
    assert torch.equal(ours.position.table, theirs.pos_embed)
    assert ours.position.table.shape == (1, 4 * 6 + 1, 48)
    assert torch.equal(ours.class_token, theirs.cls_token)


@pytest.mark.parametrize("library", interop.LIBRARIES)
def test_dtype_mode_and_independence(library):
    theirs, size = make(library)
    ours = load(library, theirs.double().train(), size)
    assert {p.dtype for p in ours.parameters()} == {torch.float64} and ours.training
    assert all(p.requires_grad and p.is_leaf for p in ours.parameters())
    before = copy.deepcopy(theirs.state_dict())
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.add_(1)
    # A copy, not a view.
    assert all(torch.equal(value, theirs.state_dict()[name]) for name, value in before.items())
    back = interop.export_to(ours.eval(), library)
    assert {p.dtype for p in back.parameters()} == {torch.float64} and not back.training
    target = BUILD[library](**SIZES[library]).train()
    interop.export_to(ours, target)  # a given instance keeps its own dtype and mode
    assert {p.dtype for p in target.parameters()} == {torch.float32} and target.training
    assert not load(library, theirs.eval(), size).training


@pytest.mark.parametrize("library", interop.LIBRARIES)
def test_random_generator_is_left_alone(library):
    theirs, size = make(library)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    interop.export_to(load(library, theirs, size), library)
    assert torch.equal(torch.rand(3), expected)


def test_device_is_kept():
    theirs, _ = make("timm")
    assert {p.device.type for p in interop.load_from(theirs.to("meta")).parameters()} == {"meta"}


def test_dropout_is_read_and_written():
    theirs, _ = make("torchvision", dropout=0.1)
    ours = interop.load_from(theirs)
    assert ours.config.dropout == 0.1
    for library in ("torchvision", "timm"):
        assert interop.load_from(interop.export_to(ours, library)).config.dropout == 0.1
    config = ViTConfig(
        dim=48, depth=1, dropout=0.2, patch_norms=True, qkv_bias=False, norm_eps=1e-5
    )
    back = interop.load_from(interop.export_to(VisionTransformer(config), "vit_pytorch"))
    assert back.config == ViTConfig(**{**vars(config), "position_std": 1.0})


REFUSED = [  # library, what it is built with, words of the message: the feature, and its value
    ("timm", dict(init_values=1e-5), ["LayerScale", "1e-05"]),
    ("timm", dict(reg_tokens=4), ["register tokens", "(1, 4, 48)"]),
    ("timm", dict(qk_norm=True), ["qk_norm", "q_norm.weight"]),
    ("timm", dict(mlp_layer=SwiGLU), ["MLP", "SwiGLU"]),
    ("timm", dict(act_layer="gelu_tanh"), ["MLP", "GELUTanh"]),
    ("timm", dict(act_layer=lambda: nn.GELU("tanh")), ["approximate GELU", "tanh"]),
    ("timm", dict(norm_layer=RmsNorm), ["norm1", "RmsNorm"]),
    ("timm", dict(block_fn=ResPostBlock), ["blocks.0", "ResPostBlock"]),
    ("timm", dict(pre_norm=True), ["pre_norm", "True"]),
    ("timm", dict(final_norm=False), ["final_norm", "False"]),
    ("timm", dict(embed_norm_layer="layernorm"), ["embed_norm_layer", "(48,)"]),
    ("timm", dict(proj_bias=False), ["proj.bias", "missing"]),
    ("timm", dict(global_pool="map"), ["attention pooling", "AttentionPoolLatent"]),
    ("timm", dict(global_pool="max"), ["global_pool", "'max'"]),
    ("timm", dict(global_pool=""), ["global_pool", "''"]),
    ("timm", dict(global_pool="avg", pool_include_prefix=True), ["pool_include_prefix", "True"]),
    ("timm", dict(dynamic_img_size=True), ["dynamic_img_size", "True"]),
    ("timm", dict(num_classes=0), ["num_classes", "0"]),
    ("timm", dict(drop_path_rate=0.1), ["stochastic depth", "DropPath"]),
    ("timm", dict(patch_drop_rate=0.1), ["patch dropout", "PatchDropout"]),
    ("timm", dict(attn_drop_rate=0.3), ["dropout", "attn_drop 0.3"]),
    ("timm", dict(drop_rate=0.3), ["dropout", "head_drop 0.3"]),
    ("timm", dict(pos_drop_rate=0.3), ["dropout", "pos_drop 0.3"]),
    ("timm", dict(patch_size=(4, 8)), ["square tiles", "(4, 8)"]),
    ("torchvision", dict(representation_size=9), ["representation_size", "Tanh"]),
    ("torchvision", dict(attention_dropout=0.3), ["dropout", "self_attention 0.3"]),
    (
        "torchvision",
        dict(conv_stem_configs=[ConvStemConfig(8, 3, 2)]),
        ["convolutional stem", "Conv2dNormActivation"],
    ),
    ("vit_pytorch", dict(dim_head=64), ["dim_head", "3 heads x 64", "192", "48"]),
    ("vit_pytorch", dict(heads=1, dim_head=48), ["heads = 1", "Identity"]),
    ("vit_pytorch", dict(num_classes=0), ["num_classes", "0"]),
    ("vit_pytorch", dict(dropout=0.3), ["dropout", "0.0.dropout 0.3"]),
    ("vit_pytorch", dict(emb_dropout=0.3), ["dropout 0.3"]),
    ("vit_pytorch", dict(image_size=(16, 24)), ["24 patches of 4x4", "image_size=(H, W)"]),
    ("vit_pytorch", dict(patch_size=(4, 8), image_size=(16, 32)), ["square tiles", "(4, 8)"]),
]


@pytest.mark.parametrize("library, changes, words", REFUSED, ids=short)
def test_a_feature_that_ours_lacks_is_refused_by_name(library, changes, words):
    theirs = build(library, **changes)
    with pytest.raises(ValueError) as error:
        interop.load_from(theirs)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize("pool", ["token", "avg"])
def test_a_class_token_that_an_old_timm_leaves_out_is_refused(pool, monkeypatch):
    """timm 1.0.9 to 1.0.25, pos_embed="none": the first patch was taken for the class token."""
    theirs, _ = make("timm", pos_embed="none", global_pool=pool)
    if TOKEN_KEPT:
        interop.load_from(theirs)
        monkeypatch.setattr(timm, "__version__", "1.0.25")
    with pytest.raises(ValueError, match="class token.*pos_embed='none'.*Update timm to 1.0.26"):
        interop.load_from(theirs)
    ours = VisionTransformer(ViTConfig(dim=48, depth=1, position="none"))
    with pytest.raises(ValueError, match="Update timm to 1.0.26"):
        interop.export_to(ours, "timm")


def test_heads_that_someone_replaced_are_read_or_named():
    theirs, _ = make("torchvision")
    theirs.heads = nn.Linear(64, 3)
    with pytest.raises(ValueError, match="'Linear' object has no attribute 'head'"):
        interop.load_from(theirs)
    theirs, _ = make("torchvision")
    theirs.heads.head = nn.Linear(64, 3)  # as torchvision's users do for another number of classes
    assert interop.load_from(theirs).config.num_classes == 3
    theirs.extra = nn.Parameter(torch.ones(2, 3))
    with pytest.raises(ValueError, match=r"extra \(2, 3\)"):  # no weight is left behind
        interop.load_from(theirs)


def test_vit_pytorch_needs_the_size_of_images_that_are_not_square():
    theirs, _ = make("vit_pytorch", image_size=(16, 24))
    assert interop.load_from(theirs, image_size=(24, 16)).config.grid == (6, 4)
    with pytest.raises(
        ValueError, match="32x32 has 8 x 8 patches of 4x4, but this vit-pytorch ViT has 24"
    ):
        interop.load_from(theirs, image_size=32)
    with pytest.raises(ValueError, match=r"\(16, 24\), not of \(32, 32\)"):
        interop.load_from(make("timm")[0], image_size=32)


def test_an_older_vit_pytorch_is_told_apart():
    """Until release 1.16 the class token was (1, 1, D), the table (1, T, D), and the mean over
    tokens included the class token."""
    theirs, _ = make("vit_pytorch")
    theirs.cls_token, theirs.pos_embedding = (
        nn.Parameter(theirs.cls_token[None]),
        nn.Parameter(theirs.pos_embedding[None]),
    )
    with pytest.raises(ValueError, match=r"cls_token is \(1, 1, 48\)"):
        interop.load_from(theirs)


def test_unknown_classes_are_refused_by_name():
    class Mine(TimmViT):
        pass

    unknown = {
        "timm.models.deit.VisionTransformerDistilled": timm.create_model(
            "deit_tiny_distilled_patch16_224"
        ),
        "vit_pytorch.simple_vit.SimpleViT": vit_pytorch.SimpleViT(
            image_size=16, patch_size=4, num_classes=2, dim=48, depth=1, heads=3, mlp_dim=9
        ),
        "Linear": nn.Linear(2, 2),
        "Mine": Mine(**SIZES["timm"]),
        "DataParallel": nn.DataParallel(make("timm")[0]),
        "NoneType": None,
    }
    hints = {
        "timm.models.deit.VisionTransformerDistilled": "distillation token",
        "DataParallel": "model.module",
    }
    ours = VisionTransformer(ViTConfig(dim=48, depth=1))
    for name, model in unknown.items():
        for call in (lambda: interop.load_from(model), lambda: interop.export_to(ours, model)):  # noqa: B023
            with pytest.raises(ValueError, match=name) as error:
                call()
            assert hints.get(name, "") in str(error.value)
    with pytest.raises(ValueError, match="already"):
        interop.load_from(ours)
    with pytest.raises(ValueError, match="timm"):
        interop.export_to(make("timm")[0], "timm")


CANNOT = [  # library, our configuration, words
    ("timm", dict(class_token="last"), ["class_token", "'last'", "'first'"]),
    ("torchvision", dict(class_token="last"), ["class_token", "'last'", "'first'"]),
    (
        "vit_pytorch",
        dict(class_token="last", patch_norms=True, qkv_bias=False),
        ["class_token", "'last'", "'first'"],
    ),
    ("timm", dict(position="sinusoidal_2d"), ["position", "'sinusoidal_2d'"]),
    ("timm", dict(patch_norms=True), ["patch_norms", "True", "False"]),
    ("torchvision", dict(pool="mean"), ["pool", "'mean'", "'class'"]),
    ("torchvision", dict(image_size=(32, 64)), ["image_size", "(32, 64)", "(32, 32)"]),
    ("torchvision", dict(channels=1), ["channels", "1", "3"]),
    ("torchvision", dict(qkv_bias=False), ["qkv_bias", "False", "True"]),
    ("torchvision", dict(position_class_token=False), ["position_class_token", "False", "True"]),
    ("vit_pytorch", {}, ["patch_norms", "qkv_bias"]),
    ("vit_pytorch", dict(num_heads=1, patch_norms=True, qkv_bias=False), ["heads = 1"]),
    ("tim", {}, ["'tim'", "did you mean 'timm'"]),
]


@pytest.mark.parametrize("library, changes, words", CANNOT, ids=short)
def test_what_a_library_cannot_hold(library, changes, words):
    with pytest.raises(ValueError) as error:
        interop.export_to(VisionTransformer(ViTConfig(**dict(dim=48, depth=1) | changes)), library)
    for word in words:
        assert word in str(error.value)


def test_a_target_that_does_not_fit_is_left_as_it_was():
    target, _ = make("torchvision")
    before = copy.deepcopy(target.state_dict())
    with pytest.raises(ValueError, match="depth is 3 here and 2 there"):
        interop.export_to(
            VisionTransformer(ViTConfig(image_size=32, patch_size=8, dim=64, depth=3, num_heads=4)),
            target,
        )
    assert all(torch.equal(value, target.state_dict()[name]) for name, value in before.items())


def test_uneven_mlp_width_survives_timms_rounding():
    assert int(7 * (61 / 7)) == 60  # what timm would make of the plain ratio
    ours = VisionTransformer(ViTConfig(dim=7, num_heads=1, depth=1, mlp_dim=61))
    assert interop.export_to(ours, "timm").blocks[0].mlp.fc1.out_features == 61


@pytest.mark.slow
def test_importing_the_package_imports_no_other_library():
    """Nor does an export to one of them import more than that library does itself."""
    code = """
import sys
from vit_tutorial import VisionTransformer, ViTConfig, interop
libraries = {"timm", "vit_pytorch", "torchvision"}
print(sorted(libraries & set(sys.modules)))
config = ViTConfig(dim=48, depth=1, patch_norms=True, qkv_bias=False)
print(type(interop.export_to(VisionTransformer(config), "vit_pytorch")).__module__)
print("timm" in sys.modules)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == ["[]", "vit_pytorch.vit", "False"]
