"""A model leaves PyTorch's Python: torch.export and tracing with a batch of any size, and ONNX."""

import pytest
import torch

from vit_tutorial import VisionTransformer, ViTConfig

SIZES = (1, 2, 7)


def small(**changes):
    torch.manual_seed(0)
    config = dict(image_size=16, patch_size=4, num_classes=5, dim=16, depth=2, num_heads=2)
    return VisionTransformer(ViTConfig(**config | dict(mlp_dim=32) | changes)).eval()


def images_for(model, count):
    return torch.randn(count, 3, *model.config.image_size)


VARIANTS = [
    dict(pool="class"),
    dict(pool="mean"),
    dict(pool="class", class_token="last"),
    dict(pool="class", position_class_token=False),
    dict(pool="mean", position="sinusoidal_2d"),
    dict(pool="class", position="relative"),
    dict(pool="class", position="rotary", dim=32),
    dict(pool="class", image_size=(16, 24)),
]


@pytest.mark.parametrize("changes", VARIANTS, ids=lambda c: "-".join(map(str, c.values())))
def test_torch_export_with_a_free_batch_size(changes):
    model = small(**changes)
    batch = torch.export.Dim("batch", min=1, max=64)
    example = (images_for(model, 3),)
    exported = torch.export.export(model, example, dynamic_shapes=({0: batch},)).module()
    for size in SIZES:
        images = images_for(model, size)
        torch.testing.assert_close(exported(images), model(images))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore:.*jit.*:DeprecationWarning")
@pytest.mark.parametrize("changes", VARIANTS, ids=lambda c: "-".join(map(str, c.values())))
def test_tracing_does_not_fix_the_batch_size(changes):
    model = small(**changes)
    traced = torch.jit.trace(model, images_for(model, 3), check_trace=False)
    for size in SIZES:
        images = images_for(model, size)
        torch.testing.assert_close(traced(images), model(images))


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes", [VARIANTS[0], *VARIANTS[-3:]], ids=lambda c: "-".join(map(str, c.values()))
)
def test_onnx_with_a_free_batch_size(changes, tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    model, path = small(**changes), tmp_path / "model.onnx"
    batch = torch.export.Dim("batch", min=1, max=64)
    torch.onnx.export(
        model, (images_for(model, 3),), path, dynamo=True, dynamic_shapes=({0: batch},)
    )
    session = onnxruntime.InferenceSession(path)
    (name,) = (found.name for found in session.get_inputs())
    for size in SIZES:
        images = images_for(model, size)
        (logits,) = session.run(None, {name: images.numpy()})
        torch.testing.assert_close(torch.from_numpy(logits), model(images), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (dict(image_size=224.0), "image height is 224.0"),
        (dict(image_size=(224, "224")), "image width is '224'"),
        (dict(image_size=(224, 224, 3)), "give one side, or"),
        (dict(patch_size=(4, 8)), "patch_size is \\(4, 8\\): it must be a whole number"),
        (dict(patch_size=16.0), "patch_size is 16.0"),
    ],
)
def test_sizes_that_are_none_are_named(changes, words):
    with pytest.raises(ValueError, match=words):
        ViTConfig(**changes)
