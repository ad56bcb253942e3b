"""Patches, positions and attention, by value against loops and against PyTorch's own."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from vit_tutorial import (
    EncoderBlock,
    MultiHeadSelfAttention,
    PatchEmbedding,
    ViTConfig,
    patchify,
    unpatchify,
)
from vit_tutorial.model import (
    Encoder,
    PositionEmbedding,
    attention,
    fast_attention,
    make_position,
    sinusoidal_1d,
    sinusoidal_2d,
)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def patchify_by_loops(images, P):
    B, C, H, W = images.shape
    patches = images.new_empty(B, (H // P) * (W // P), P * P * C)
    for b in range(B):
        for n in range((H // P) * (W // P)):
            row, column = divmod(n, W // P)
            for i in range(P):
                for j in range(P):
                    for c in range(C):
                        patches[b, n, (i * P + j) * C + c] = images[
                            b, c, row * P + i, column * P + j
                        ]
    return patches


@pytest.mark.parametrize(
    "shape, P",
    [
        ((2, 3, 8, 8), 4),
        ((1, 3, 6, 10), 2),
        ((2, 1, 9, 3), 3),
        ((1, 5, 4, 4), 1),
        ((1, 2, 6, 6), 6),
    ],
)
def test_patchify_is_the_loop_and_unpatchify_its_inverse(shape, P):
    images = torch.arange(torch.tensor(shape).prod().item()).reshape(shape)
    patches = patchify(images, P)
    assert patches.dtype == images.dtype and torch.equal(patches, patchify_by_loops(images, P))
    assert torch.equal(unpatchify(patches, P, shape[2:]), images)
    # Another layout in memory.
    assert torch.equal(patchify(images.transpose(2, 3).contiguous().transpose(2, 3), P), patches)


def test_unpatchify_takes_one_side_for_a_square():
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(unpatchify(patchify(images, 4), 4, 8), images)


def test_patch_embedding_is_a_strided_convolution():
    embedding = PatchEmbedding(ViTConfig(image_size=(8, 12), patch_size=4, dim=6, num_heads=2))
    images = torch.randn(2, 3, 8, 12)
    kernel = embedding.projection.weight.reshape(6, 4, 4, 3).permute(0, 3, 1, 2)
    expected = (
        F.conv2d(images, kernel, embedding.projection.bias, stride=4).flatten(2).transpose(1, 2)
    )
    torch.testing.assert_close(embedding(images), expected)


def test_patch_norms_stand_before_and_after_the_projection():
    embedding = PatchEmbedding(ViTConfig(dim=8, num_heads=2, patch_norms=True))
    images = torch.randn(2, 3, 32, 32)
    patches = F.layer_norm(patchify(images, 4), (48,), eps=1e-6)
    torch.testing.assert_close(
        embedding(images), F.layer_norm(embedding.projection(patches), (8,), eps=1e-6)
    )


def test_attention_by_loops_and_by_pytorch():
    q, k, v = torch.randn(3, 2, 5, 4).unbind(0)
    output, weights = attention(q, k, v)
    for b in range(2):
        for t in range(5):
            scores = torch.stack([(q[b, t] * k[b, s]).sum() / 2 for s in range(5)])  # sqrt(4) = 2
            expected = scores.exp() / scores.exp().sum()
            torch.testing.assert_close(weights[b, t], expected)
            torch.testing.assert_close(output[b, t], sum(expected[s] * v[b, s] for s in range(5)))
    torch.testing.assert_close(output, F.scaled_dot_product_attention(q, k, v))
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 5))


def test_attention_between_lists_of_different_length():
    q, k, v = torch.randn(2, 3, 4), torch.randn(2, 7, 4), torch.randn(2, 7, 4)
    output, weights = attention(q, k, v)
    assert output.shape == (2, 3, 4) and weights.shape == (2, 3, 7)
    torch.testing.assert_close(output, F.scaled_dot_product_attention(q, k, v))


@pytest.mark.parametrize("fused", [None, True, False])
@pytest.mark.parametrize("dim, heads", [(48, 3), (8, 1), (8, 8)])
def test_multi_head_equals_pytorchs(fused, dim, heads):
    ours, theirs = (
        MultiHeadSelfAttention(dim, heads, fused=fused),
        nn.MultiheadAttention(dim, heads, batch_first=True),
    )
    with torch.no_grad():
        for our, their in [
            (ours.qkv.weight, theirs.in_proj_weight),
            (ours.qkv.bias, theirs.in_proj_bias.normal_()),
            (ours.projection.weight, theirs.out_proj.weight),
            (ours.projection.bias, theirs.out_proj.bias.normal_()),
        ]:
            our.copy_(their)
    x = torch.randn(2, 7, dim)
    expected, weights = theirs(x, x, x, average_attn_weights=False)
    torch.testing.assert_close(ours(x), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours.weights(x), weights, atol=1e-5, rtol=1e-5)


def test_fused_and_explicit_agree_with_their_gradients():
    layer = MultiHeadSelfAttention(48, 3)
    x = torch.randn(2, 9, 48)
    results = []
    for layer.fused in (True, False):
        output = layer(x)
        results.append([output, *torch.autograd.grad(output.square().sum(), layer.parameters())])
    for fused, explicit in zip(*results):
        torch.testing.assert_close(fused, explicit, atol=1e-4, rtol=1e-4)
    q, k, v = layer.split_heads(layer.qkv(x))
    torch.testing.assert_close(
        fast_attention(q, k, v, fused=True), fast_attention(q, k, v, fused=False)
    )


def test_the_form_of_attention_is_chosen_by_device_and_precision(monkeypatch):
    called = []
    monkeypatch.setattr(
        F,
        "scaled_dot_product_attention",
        lambda q, k, v, bias: called.append((q.device.type, q.dtype)) or q,
    )
    q = torch.randn(1, 2, 3, 4)
    half = q.bfloat16()
    fast_attention(half, half, half)
    assert called == []  # in half precision on a CPU the explicit form
    fast_attention(q, q, q)
    fast_attention(half.to("meta"), half.to("meta"), half.to("meta"))
    fast_attention(half, half, half, fused=True)
    assert called == [("cpu", torch.float32), ("meta", torch.bfloat16), ("cpu", torch.bfloat16)]
    fast_attention(q, q, q, fused=False)
    assert len(called) == 3


def test_split_heads_gives_heads_in_order():
    layer = MultiHeadSelfAttention(12, 3)
    x = torch.randn(2, 5, 12)
    everything = layer.qkv(x)  # queries, keys, values, each 3 heads of 4
    for which, part in enumerate(layer.split_heads(layer.qkv(x))):
        assert part.shape == (2, 3, 5, 4)
        for head in range(3):
            start = 12 * which + 4 * head
            torch.testing.assert_close(part[:, head], everything[..., start : start + 4])


def test_encoder_block_is_pre_norm_with_two_residuals():
    block = EncoderBlock(12, 3, 20)
    x = torch.randn(2, 5, 12)
    middle = x + block.attention(F.layer_norm(x, (12,), eps=1e-6))
    hidden = F.gelu(
        F.linear(F.layer_norm(middle, (12,), eps=1e-6), block.mlp[0].weight, block.mlp[0].bias)
    )
    torch.testing.assert_close(
        block(x), middle + F.linear(hidden, block.mlp[3].weight, block.mlp[3].bias)
    )


def test_encoder_does_not_care_about_order_without_positions():
    encoder = Encoder(ViTConfig(dim=24, depth=2, num_heads=2))
    x, order = torch.randn(2, 9, 24), torch.randperm(9)
    torch.testing.assert_close(encoder(x[:, order]), encoder(x)[:, order], atol=1e-5, rtol=1e-5)


def test_sinusoidal_1d():
    table = sinusoidal_1d(50, 8)
    for t in (0, 1, 49):
        for i in range(4):
            angle = torch.tensor(t / 10_000 ** (2 * i / 8))
            torch.testing.assert_close(table[t, i], angle.sin(), atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(table[t, 4 + i], angle.cos(), atol=1e-5, rtol=1e-4)


def test_sinusoidal_2d_is_row_then_column():
    table = sinusoidal_2d((3, 5), 8).reshape(3, 5, 8)
    for row in range(3):
        for column in range(5):
            assert torch.equal(table[row, column, :4], sinusoidal_1d(3, 4)[row])
            assert torch.equal(table[row, column, 4:], sinusoidal_1d(5, 4)[column])


@pytest.mark.parametrize("kind", ["sinusoidal_1d", "sinusoidal_2d"])
@pytest.mark.parametrize(
    "token, rows", [("first", slice(1, None)), ("last", slice(None, -1)), ("none", slice(None))]
)
def test_fixed_positions_stand_beside_their_patches(kind, token, rows):
    config = ViTConfig(
        image_size=(8, 12), dim=8, num_heads=2, position=kind, class_token=token, pool="mean"
    )
    module = PositionEmbedding(config)
    table = sinusoidal_1d(6, 8) if kind == "sinusoidal_1d" else sinusoidal_2d((2, 3), 8)
    assert module.table.shape == (1, config.num_tokens, 8) and not list(module.parameters())
    assert torch.equal(module.table[0, rows], table)
    # The class token's row is zeros.
    assert module.table.sum() == pytest.approx(table.sum().item(), abs=1e-4)
    tokens = torch.randn(2, config.num_tokens, 8)
    assert torch.equal(module(tokens), tokens + module.table)


def test_positions_by_name():
    assert isinstance(make_position(ViTConfig(position="none")), nn.Identity)
    assert make_position(ViTConfig(position_std=0)).table.abs().max() == 0
    assert make_position(ViTConfig(position_std=1.0)).table.std().item() == pytest.approx(
        1, abs=0.05
    )
    assert make_position(ViTConfig()).table.std().item() == pytest.approx(0.02, abs=0.001)
    assert make_position(ViTConfig(position_class_token=False)).table.shape == (1, 64, 192)
