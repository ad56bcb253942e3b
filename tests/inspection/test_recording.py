"""Recording a ViT: the weights are the ones it used, and it stays as it was, bit for bit."""

import copy

import pytest
import torch
from recording_models import KINDS, TorchEncoder, ours, timm, torchvision, vit_pytorch
from torch import nn

from vit_tutorial import interop
from vit_tutorial.inspection.layout import TokenLayout
from vit_tutorial.inspection.recording import record

pytest.importorskip("timm")


def made(name):
    torch.manual_seed(0)
    model = KINDS[name].make().eval()
    return model, torch.randn(2, 3, *KINDS[name].size)


@pytest.mark.parametrize("name", KINDS)
def test_the_output_is_bit_for_bit_the_models_own(name):
    model, images = made(name)
    before = copy.deepcopy(model.state_dict())
    attributes = {path: set(vars(part)) for path, part in model.named_modules()}
    with torch.no_grad():
        expected = model(images)
    recorded = record(model, images)
    assert torch.equal(recorded.output, expected) and not recorded.output.requires_grad
    with torch.no_grad():
        assert torch.equal(model(images), expected)
    assert attributes == {path: set(vars(part)) for path, part in model.named_modules()}
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())


@pytest.mark.parametrize("name", KINDS)
def test_weights_times_values_give_the_output_of_each_attention(name):
    model, images = made(name)
    recorded = record(model, images, gradients=True)
    outputs, modules = {}, dict(model.named_modules())
    for layer in recorded.weights:
        keep = lambda part, inputs, output, layer=layer: outputs.update({layer: output})
        modules[layer].register_forward_hook(keep)
    model(images.clone().requires_grad_())
    grid, prefix, suffix, class_token = KINDS[name].layout
    assert recorded.layout == TokenLayout(grid, prefix, suffix)
    assert recorded.layout.class_token == class_token
    T = recorded.layout.num_tokens
    assert len(recorded.weights) == 3
    for layer, weights in recorded.weights.items():
        assert weights.shape[0] == 2 and weights.shape[2:] == (T, T)
        torch.testing.assert_close(weights.sum(dim=-1), torch.ones(weights.shape[:-1]))
        assert not weights.requires_grad and weights.dtype == torch.float32
        joined = (weights @ recorded._calls[layer].values).transpose(1, 2).flatten(2)
        out = outputs[layer][0] if isinstance(outputs[layer], tuple) else outputs[layer]
        expected = KINDS[name].project(modules[layer], joined)
        torch.testing.assert_close(expected, out, rtol=1e-4, atol=1e-5)


# Not where a table stands between two blocks, nor where LayerNorms are left out of the one kernel.
PRE_NORM = [name for name in KINDS if "torch's" not in name and "every layer" not in name]


@pytest.mark.parametrize("name", PRE_NORM)
def test_tokens_are_what_the_next_layer_reads(name):
    model, images = made(name)
    recorded = record(model, images)
    read = []  # by the LayerNorms of a pre-norm model, in their order
    for part in model.modules():
        if isinstance(part, nn.LayerNorm):
            part.register_forward_pre_hook(lambda part, inputs: read.append(inputs[0]))
    with torch.no_grad():
        model(images)
    places = []
    for tokens in (recorded.entering, *recorded.tokens.values()):
        (place, *_) = [n for n, seen in enumerate(read) if _same(tokens, seen, recorded.layout)]
        places.append(place)
    assert len(places) == 4 and places == sorted(set(places))


def _same(tokens, seen, layout) -> bool:
    """A model may pool before its last norm: it then reads one token, or the mean of patches."""
    if seen.ndim == 2:
        pooled = [tokens[:, layout.patches].mean(dim=1), tokens.mean(dim=1)]
        pooled += [tokens[:, n] for n in (0, -1)]
        return any(torch.allclose(seen, one, atol=1e-5) for one in pooled)
    return torch.equal(tokens, seen) or seen.shape[1] == 1 and torch.equal(tokens[:, :1], seen)


@pytest.mark.parametrize("norm_first", [True, False])
def test_a_layer_that_torch_runs_in_one_kernel_is_recorded(norm_first):
    torch.manual_seed(0)
    model, images = TorchEncoder(norm_first).eval(), torch.randn(2, 3, 32, 32)
    recorded = record(model, images)
    slow = record(model, images, gradients=True)  # here torch calls its attention
    torch.testing.assert_close(list(recorded.weights.values()), list(slow.weights.values()))
    *_, last = recorded.tokens.values()
    torch.testing.assert_close(model.head(last.mean(dim=1)), slow.output)


@pytest.mark.parametrize("make", [ours(), timm("vit_tiny_patch16_224"), torchvision()])
def test_mode_gradients_and_random_numbers_stay(make):
    model = make().train()
    images = torch.randn(2, 3, 32, 32)
    torch.manual_seed(1)
    expected = model(images)
    after = torch.rand(1)
    expected.sum().backward()
    grads = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    torch.manual_seed(1)
    recorded = record(model, images, gradients=True)
    assert torch.equal(torch.rand(1), after)
    assert torch.equal(recorded.output, expected) and model.training
    recorded.gradients(recorded.output.sum())
    now = [p.grad for p in model.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(now, grads) if a is not None)


@pytest.mark.parametrize("name", ["ours", "timm", "torchvision", "vit-pytorch"])
def test_in_half_precision_the_weights_are_recorded_in_float32(name):
    model, images = made(name)
    expected = record(model, images).weights
    with torch.autocast("cpu", torch.bfloat16):
        found = record(model, images).weights
    for layer, weights in found.items():
        assert weights.dtype == torch.float32
        torch.testing.assert_close(weights, expected[layer], rtol=0.05, atol=0.01)


def test_dropout_does_not_reach_the_weights():
    model = vit_pytorch("vit", "ViT", dropout=0.5)().train()
    for weights in record(model, torch.randn(2, 3, 32, 32)).weights.values():
        torch.testing.assert_close(weights.sum(dim=-1), torch.ones(weights.shape[:-1]))


def test_only_the_chosen_layers_and_heads_are_kept():
    torch.manual_seed(0)
    model, images = ours()().eval(), torch.randn(2, 3, 32, 32)
    everything = record(model, images)
    some = record(model, images, layers=[-1, 0], heads=[2, 0])
    first, last = "encoder.blocks.0.attention", "encoder.blocks.2.attention"
    assert list(some.weights) == list(some.tokens) == [first, last]
    for name in (first, last):
        torch.testing.assert_close(some.weights[name], everything.weights[name][:, [2, 0]])
        assert some.weights[name].untyped_storage().nbytes() == 2 * 2 * 65 * 65 * 4
    by_name = record(model, images, layers=[last], device="cpu")
    assert list(by_name.weights) == [last]


@pytest.mark.parametrize(
    "wrong, message",
    [
        (dict(layers=[3]), r"no layer 3: this model has 3, 0 to 2"),
        (dict(layers=["block"]), r"no layer 'block'.*'encoder.blocks.0.attention'"),
        (dict(layers=[]), r"choose at least one of 0 to 2"),
        (dict(heads=[3]), r"no head 3: this model has 3 heads, 0 to 2"),
        (dict(layout=(4, 16)), r"the model has 8x8 patches.*and not \(4, 16\)"),
    ],
)
def test_a_wrong_choice_names_what_there_is_and_leaves_the_model_alone(wrong, message):
    model = ours()()
    with pytest.raises(ValueError, match=message):
        record(model, torch.randn(1, 3, 32, 32), **wrong)
    assert not any("forward" in vars(part) for part in model.modules())


EXPLICIT = {"ours": ours(), "relative": ours(position="relative"), "torchvision": torchvision()}
EXPLICIT |= {"vit-pytorch": vit_pytorch("vit", "ViT")}


@pytest.mark.parametrize("make", EXPLICIT.values(), ids=EXPLICIT)
def test_gradients_of_weights_are_those_of_the_explicit_computation(make):
    torch.manual_seed(0)
    model, images = make().eval(), torch.randn(2, 3, 32, 32)
    recorded = record(model, images, gradients=True)
    found = recorded.gradients(recorded.output[:, 1].sum())
    # Independently: our model with the same weights, explicit, its softmax kept in the graph.
    mine = model if hasattr(model, "config") else interop.load_from(model)
    kept = []
    for block in mine.encoder.blocks:
        block.attention.forward = _explicit(block.attention, kept)
    mine(images)[:, 1].sum().backward()
    assert len(found) == len(kept) == 3
    for gradient, weights in zip(found.values(), kept):
        assert float(gradient.abs().max()) > 1e-6
        torch.testing.assert_close(gradient, weights.grad, rtol=1e-3, atol=1e-7)


def _explicit(part, kept):
    def forward(x, position=None):
        q, k, v, bias = part.project_qkv(x, position)
        scores = q @ k.mT / q.shape[-1] ** 0.5
        weights = (scores if bias is None else scores + bias).softmax(dim=-1)
        weights.retain_grad()
        kept.append(weights)
        return part.projection((weights @ v).transpose(1, 2).reshape(x.shape))

    return forward


def test_gradients_need_a_recording_with_them_and_one_number():
    model, images = ours()().eval().requires_grad_(False), torch.randn(2, 3, 32, 32)
    with pytest.raises(ValueError, match="no gradients: record"):
        plain = record(model, images)
        plain.gradients(plain.output.sum())
    with torch.inference_mode():  # frozen weights, in the mode that forbids graphs
        recorded = record(model, images, gradients=True)
    with pytest.raises(ValueError, match=r"score is \(2, 5\)"):
        recorded.gradients(recorded.output)
    with pytest.raises(ValueError, match="no graph"):
        recorded.gradients(recorded.output.detach().sum())
    found = recorded.gradients(recorded.output.sum())
    assert all(x.shape == (2, 3, 65, 65) and x.abs().max() > 0 for x in found.values())


def test_masks_and_scales_of_the_fused_function_are_followed():
    class Masked(nn.Module):
        def __init__(self, **options):
            super().__init__()
            self.num_heads, self.options = 2, options

        def forward(self, x):
            heads = x.unflatten(-1, (2, -1)).transpose(1, 2)
            out = nn.functional.scaled_dot_product_attention(heads, heads, heads, **self.options)
            return out.transpose(1, 2).flatten(2)

    class Model(nn.Module):
        def __init__(self, **options):
            super().__init__()
            self.cut, self.attention = nn.Conv2d(3, 8, 8, 8), Masked(**options)

        def forward(self, images):
            return self.attention(self.cut(images).flatten(2).mT)

    band = torch.ones(16, 16).tril(2).triu(-2).bool()
    for options in (
        dict(is_causal=True),
        dict(attn_mask=band),
        dict(attn_mask=torch.randn(16, 16)),
        dict(scale=2.0),
    ):
        recorded = record(Model(**options), torch.randn(2, 3, 32, 32), gradients=True)
        (call,) = recorded._calls.values()
        joined = (call.weights @ call.values).transpose(1, 2).flatten(2)
        torch.testing.assert_close(joined, recorded.output)


def swin():
    from torchvision.models.swin_transformer import SwinTransformer

    sizes = dict(patch_size=[2, 2], embed_dim=16, depths=[1, 1], num_heads=[2, 2])
    return SwinTransformer(**sizes, window_size=[4, 4])


def plain_timm(name, **changes):
    import timm as library

    return lambda: library.create_model(name, **changes)


NOTHING = {
    "convolutions": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten()),
        "no attention found in this Sequential.*torch's Conv2d",
    ),
    "torchvision, windows": (swin, "ShiftedWindowAttention.*not \\(B, T, D\\)"),
    "timm, windows": (
        timm(
            "swin_tiny_patch4_window7_224", depths=(1, 1), window_size=4, embed_dim=24, depth=None
        ),
        "WindowAttention.*it works within windows",
    ),
    "timm, talking heads": (
        timm("cait_xxs24_224", patch_size=8),
        "TalkingHead.*mixes heads",
    ),
    "timm, channels": (timm("xcit_nano_12_p16_224"), "timm's"),
    "timm, two attentions": (
        timm("vit_dlittle_patch16_reg1_gap_256", patch_size=8),
        "DiffAttention.*computes attention 2 times",
    ),
    "timm, fewer keys": (plain_timm("pvt_v2_b0"), "timm's Attention: Attention .* computes no"),
    "vit-pytorch, mixed heads": (
        vit_pytorch("deepvit", "DeepViT"),
        "Attention.*mixes heads",
    ),
}


@pytest.mark.parametrize("name", NOTHING)
def test_where_there_is_nothing_to_record_the_classes_are_named(name):
    make, message = NOTHING[name]
    model = make().eval()
    with pytest.raises(ValueError, match=message):
        record(model, torch.randn(1, 3, 32, 32))
    assert not any("forward" in vars(part) for part in model.modules())


@pytest.mark.slow
def test_a_compiled_model_is_recorded_as_it_is_without_compiling():
    torch.manual_seed(0)
    model, images = ours()().eval(), torch.randn(2, 3, 32, 32)
    expected = list(record(model, images).weights.values())
    whole = torch.compile(model, backend="eager")
    with torch.no_grad():
        whole(images)
    torch.testing.assert_close(list(record(whole, images).weights.values()), expected)
    for block in model.encoder.blocks:
        block.compile(backend="eager")
    torch.testing.assert_close(list(record(model, images).weights.values()), expected)
