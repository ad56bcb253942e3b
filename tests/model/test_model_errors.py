"""Bad input: each error is a ValueError that holds the offending numbers and the way out."""

import pytest
import torch

from vit_tutorial import MultiHeadSelfAttention, VisionTransformer, ViTConfig, patchify, unpatchify
from vit_tutorial.common.validation import (
    require_choice,
    require_divides,
    require_heads,
    require_int,
)
from vit_tutorial.model import sinusoidal_1d, sinusoidal_2d

TINY = dict(image_size=8, patch_size=4, dim=8, depth=1, num_heads=2)


def image(*shape, dtype=torch.float32):
    return torch.zeros(*shape, dtype=dtype)


def run(*shape, dtype=torch.float32):
    VisionTransformer(ViTConfig(**TINY))(image(*shape, dtype=dtype))


CASES = {  # what is wrong: the call, and words of the message
    "patch does not tile": (
        lambda: patchify(image(1, 3, 32, 30), 4),
        ["4x4", "32x30", "2 columns", "32x32", "[1, 2]"],
    ),
    "patch larger than the image": (
        lambda: patchify(image(1, 3, 8, 8), 16),
        ["16x16", "8x8", "[1, 2, 4, 8]"],
    ),
    "patch of 0": (lambda: patchify(image(1, 3, 8, 8), 0), ["patch_size is 0", "at least 1"]),
    "patch of 2.0": (
        lambda: patchify(image(1, 3, 8, 8), 2.0),
        ["patch_size is 2.0", "whole number"],
    ),
    "one image without batch": (
        lambda: patchify(image(3, 8, 8), 4),
        ["rank 4", "rank 3", "(3, 8, 8)", "image[None]"],
    ),
    "unpatchify rank": (lambda: unpatchify(image(4, 48), 4, 8), ["rank 3", "rank 2", "(4, 48)"]),
    "unpatchify count": (
        lambda: unpatchify(image(1, 5, 48), 4, 8),
        ["5 patches of 4x4", "8x8", "2 x 2 = 4"],
    ),
    "unpatchify width": (lambda: unpatchify(image(1, 4, 50), 4, 8), ["50 numbers", "4 x 4", "16"]),
    "unpatchify side": (
        lambda: unpatchify(image(1, 4, 48), 4, (8, 9)),
        ["4x4", "8x9", "1 columns"],
    ),
    "heads": (lambda: MultiHeadSelfAttention(192, 5), ["5 heads", "192", "38.40", "fits: 4"]),
    "no heads": (lambda: MultiHeadSelfAttention(192, 0), ["num_heads is 0", "at least 1"]),
    "config heads": (lambda: ViTConfig(dim=100, num_heads=3), ["3 heads", "100", "33.33"]),
    "config tiles": (
        lambda: ViTConfig(image_size=224, patch_size=15),
        ["15x15", "224x224", "14 rows", "225x225"],
    ),
    "config sides": (lambda: ViTConfig(image_size=(32, 32, 3)), ["(32, 32, 3)", "(height, width)"]),
    "config side of a half": (lambda: ViTConfig(image_size=(32, 32.5)), ["image width is 32.5"]),
    "config depth": (lambda: ViTConfig(depth=0), ["depth is 0", "at least 1"]),
    "config classes": (lambda: ViTConfig(num_classes=-1), ["num_classes is -1"]),
    "config bool": (lambda: ViTConfig(channels=True), ["channels is True"]),
    "config mlp": (lambda: ViTConfig(mlp_dim=0), ["mlp_dim is 0"]),
    "config pool": (
        lambda: ViTConfig(pool="meen"),
        ["pool 'meen'", "did you mean 'mean'", "'class', 'mean'"],
    ),
    "config position": (
        lambda: ViTConfig(position="learned_1"),
        ["position 'learned_1'", "did you mean 'learned_1d'"],
    ),
    "config token": (
        lambda: ViTConfig(class_token="frist"),
        ["class_token 'frist'", "did you mean 'first'"],
    ),
    "config no token to read": (
        lambda: ViTConfig(class_token="none"),
        ["pool='class'", "'none'", "pool='mean'"],
    ),
    "config dropout": (lambda: ViTConfig(dropout=1.0), ["dropout is 1.0", "from 0"]),
    "config negative dropout": (lambda: ViTConfig(dropout=-0.1), ["dropout is -0.1"]),
    "config std": (
        lambda: ViTConfig(position_std=-1),
        ["position_std is -1", "0 starts from zeros"],
    ),
    "config sinusoids": (
        lambda: ViTConfig(position="sinusoidal_2d", dim=6, num_heads=2),
        ["sinusoidal_2d", "4", "not 6"],
    ),
    "odd sinusoids": (lambda: sinusoidal_1d(4, 5), ["even, not 5"]),
    "2-D sinusoids": (lambda: sinusoidal_2d((2, 2), 6), ["6", "multiple of 4"]),
    "variant": (
        lambda: ViTConfig.named("ViT-G/16"),
        ["'ViT-G/16'", "did you mean 'ViT-", "SIZE/PATCH"],
    ),
    "model rank": (lambda: run(3, 8, 8), ["(B, 3, 8, 8)", "(3, 8, 8)", "image[None]"]),
    "model channels": (lambda: run(1, 1, 8, 8), ["(B, 3, 8, 8)", "(1, 1, 8, 8)"]),
    "model size": (lambda: run(1, 3, 8, 12), ["(B, 3, 8, 8)", "(1, 3, 8, 12)", "resize"]),
    "model bytes": (lambda: run(1, 3, 8, 8, dtype=torch.uint8), ["torch.uint8", "float", "255"]),
    "choice without a near one": (
        lambda: require_choice("thing", "zzz", ["a1", "b2"]),
        ["thing 'zzz'", "'a1', 'b2'"],
    ),
    "choice of another kind": (lambda: require_choice("thing", 3, ["a1"]), ["thing 3", "'a1'"]),
    "whole": (lambda: require_int("count", 2, minimum=3), ["count is 2", "at least 3"]),
    "whole from text": (lambda: require_int("count", "2"), ["count is '2'"]),
    "divides": (
        lambda: require_divides((9, 9), 2),
        ["2x2", "9x9", "1 rows and 1 columns", "10x10", "[1, 3, 9]"],
    ),
    "heads helper": (lambda: require_heads(0, 1), ["dim is 0"]),
}


@pytest.mark.parametrize("case", CASES)
def test_a_bad_value_is_refused_with_its_numbers_and_a_way_out(case):
    call, words = CASES[case]
    with pytest.raises(ValueError) as error:
        call()
    for word in words:
        assert word in str(error.value)


def test_the_way_out_that_a_message_names_works():
    assert ViTConfig(image_size=(32, 32), patch_size=2).num_patches == 256
    assert MultiHeadSelfAttention(192, 4).num_heads == 4
    assert patchify(image(3, 8, 8)[None], 4).shape == (1, 4, 48)
    assert VisionTransformer(ViTConfig(**TINY))(
        image(1, 3, 8, 8, dtype=torch.uint8).float() / 255
    ).shape == (1, 10)


def test_good_values_pass():
    """Nothing is raised: that is the assertion."""
    require_choice("pool", "mean", ("class", "mean"))
    require_int("count", 1)
    require_heads(192, 3)
    require_divides((32, 64), 16)
