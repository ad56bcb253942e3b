"""The small Image GPT: palette and tokens, a mask that holds, bits that are right, samples."""

import math

import pytest
import torch

from vit_tutorial import data
from vit_tutorial.relatives import PixelGPT
from vit_tutorial.relatives import attention_patterns as patterns
from vit_tutorial.relatives.pixel_gpt import make_palette, shrink, to_images, to_tokens

COLOURS = torch.tensor([[0.0, 0, 0], [0, 0, 200], [250, 0, 0], [255, 255, 255]])


def made(**changes) -> PixelGPT:
    torch.manual_seed(0)
    size = dict(side=4, dim=8, depth=2, heads=2)
    return PixelGPT(COLOURS, **size | changes).eval()


def texts(count: int = 3) -> torch.Tensor:
    inside = torch.randint(4, (count, 16), generator=torch.Generator().manual_seed(1))
    return torch.cat([torch.full((count, 1), 4), inside], dim=1)


def test_the_palette_finds_separate_colours_whatever_their_order():
    torch.manual_seed(0)
    pixels = COLOURS.repeat_interleave(torch.tensor([900, 50, 30, 20]), dim=0)
    noisy = pixels + torch.randn(pixels.shape)
    found = make_palette(noisy[torch.randperm(1000)], 4)
    assert (found - COLOURS).abs().max() < 1.5
    assert torch.equal(found, make_palette(noisy, 4))  # chance has no part in it
    with pytest.raises(ValueError, match="3 pixels for 4 colours"):
        make_palette(pixels[:3], 4)


def test_images_of_palette_colours_survive_as_tokens():
    images = COLOURS[texts()[:, 1:]].transpose(1, 2).unflatten(2, (4, 4))
    tokens = to_tokens(images + 9, COLOURS)  # the nearest colour is still the same
    assert torch.equal(tokens, texts())
    assert torch.equal(to_images(tokens, COLOURS), images.to(torch.uint8))


def test_shrinking_takes_the_mean_of_squares():
    images = torch.arange(64, dtype=torch.uint8).view(1, 1, 8, 8).expand(2, 3, 8, 8)
    small = shrink(images, 4)
    assert small.shape == (2, 3, 4, 4) and small[0, 0, 0, 0] == (0 + 1 + 8 + 9) / 4
    with pytest.raises(ValueError, match="rank 3"):
        shrink(images[0])


@torch.no_grad()
def test_no_logits_depend_on_later_tokens():
    for mask in (None, patterns.strided((4, 4))):
        model, tokens = made(mask=mask), texts()[:, :-1]
        other = tokens.clone()
        other[:, 9] = (other[:, 9] + 1) % 4
        moved = (model(tokens) != model(other)).any(dim=2).any(dim=0)
        assert moved.nonzero()[0] == 9
        torch.testing.assert_close(model(tokens[:, :7]), model(tokens)[:, :7])


@torch.no_grad()
def test_bits_are_the_mean_of_minus_log2_of_the_true_pixels():
    model, tokens = made(), texts(5)
    total = 0.0
    for text in tokens:
        for t in range(1, 17):  # each pixel from those before it alone
            chances = model(text[None, :t])[0, -1].softmax(dim=0)
            total -= math.log2(chances[text[t]])
    assert math.isclose(model.bits_per_pixel(tokens, batch=2), total / 80, rel_tol=1e-5)
    for parameter in model.head.parameters():
        parameter.zero_()
    assert math.isclose(model.bits_per_pixel(tokens), 2.0, rel_tol=1e-6)  # 4 colours


@torch.no_grad()
def test_samples_follow_the_model_and_keep_what_is_given():
    model, given = made(), texts(200)[:, :14]
    whole = model.complete(given, torch.Generator().manual_seed(0))
    assert whole.shape == (200, 17) and torch.equal(whole[:, :14], given)
    assert whole[:, 1:].max() < 4  # never the start token
    again = model.complete(given, torch.Generator().manual_seed(0))
    assert torch.equal(whole, again)
    model.head.weight.zero_()
    model.head.bias.copy_(torch.tensor([0.0, 0, 0, math.log(9)]))  # 1/12, 1/12, 1/12, 9/12
    share = lambda t: (model.complete(given, temperature=t)[:, 14:] == 3).float().mean().item()
    assert 0.68 < share(1.0) < 0.82 and share(0.1) == 1


def test_save_and_load(tmp_path):
    model, tokens = made(depth=1), texts()[:, :-1]
    model.save(tmp_path / "model.safetensors")
    loaded = PixelGPT.load(tmp_path / "model.safetensors")
    assert loaded.size == model.size and torch.equal(loaded.palette, COLOURS)
    torch.testing.assert_close(loaded(tokens), model(tokens), atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: made(mask=patterns.full((4, 4))), "120 pairs read a later pixel"),
        (lambda: made(mask=patterns.raster((3, 4))), r"\(12, 12\).* 16 pixels"),
        (lambda: made(side=0), "side is 0"),
        (lambda: made(depth=0), "depth is 0"),
        (lambda: made(heads=3), "3 heads do not divide a width of 8"),
        (lambda: made()(texts()), "17 tokens, but the model reads at most 16"),
        (lambda: made().complete(texts()[:, :3], temperature=0), "temperature is 0"),
    ],
)
def test_what_cannot_be_is_refused_with_the_numbers(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_the_shipped_model_beats_its_controls():
    """On other images than those of the table, and better than a table of two neighbours."""
    model = PixelGPT.load(data.weights_path("pixel_gpt_shapes.safetensors"))
    tokens = to_tokens(shrink(data.make_shapes(40, seed=10_001).images), model.palette)
    assert model.bits_per_pixel(tokens) < 1.1
    assert torch.equal(tokens[:, 0], torch.full((40,), 8))


@pytest.mark.slow
def test_it_learns_stripes():
    model = made().train()
    image = torch.tensor([0, 1, 2, 3]).repeat(4)
    tokens = torch.stack([image.roll(n) for n in range(4)])
    tokens = torch.cat([torch.full((4, 1), 4), tokens], dim=1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(150):
        loss = model.loss(tokens)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    # Only the first pixel is a matter of chance: 2 bits, and nothing for the other 15.
    assert model.eval().bits_per_pixel(tokens) < 2 / 16 + 0.1
