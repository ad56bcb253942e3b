"""The drawing of the whole ViT: its numbers are the model's, its parts are lit one at a time."""

import pytest
import torch
from matplotlib.colors import to_hex

from vit_tutorial import VisionTransformer, ViTConfig
from vit_tutorial.inspection import plots
from vit_tutorial.inspection.plots.architecture import PARTS, count_parameters
from vit_tutorial.inspection.plots.base import COLORS


def words(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def colours(figure) -> set:
    """Of all patches that are drawn, without greys."""
    found = {patch.get_facecolor()[:3] for patch in figure.axes[0].patches}
    return {to_hex(rgb).upper() for rgb in found if max(rgb) - min(rgb) > 0.02}


def test_shapes_and_counts_are_those_of_the_model():
    config = ViTConfig(image_size=32, patch_size=8, dim=24, depth=2, num_heads=4, mlp_dim=60)
    model, drawn = VisionTransformer(config), words(plots.architecture(config=config))
    total = sum(p.numel() for p in model.parameters())
    block = sum(p.numel() for p in model.encoder.blocks[0].parameters())
    embedding = sum(p.numel() for p in model.patch_embedding.parameters())
    expected = ["3 × 32 × 32", "16 × 192", "16 × 24", "17 × 24", "4 × 17 × 17", "linear 192 → 24"]
    expected += [f"{block:,}", f"{embedding:,} parameters", "60", "24 → 10", "block × 2"]
    expected += [f"gradients flow back to all {total:,} parameters", "24 parameters"]
    assert [text for text in expected if text not in drawn] == []


def test_the_default_is_the_model_that_comes_with_the_package():
    config = ViTConfig.named("CIFAR-96x4/4")
    assert count_parameters(config)["all"] == 311_146  # the card in data/weights says so
    assert "gradients flow back to all 311,338 parameters" in words(plots.architecture())


@pytest.mark.parametrize("lit", PARTS)
def test_one_part_is_lit(lit):
    everything, one = colours(plots.architecture()), colours(plots.architecture(lit))
    assert len(one) < len(everything)
    assert PARTS[lit] in plots.architecture(lit).alt


def test_the_lit_part_has_its_colour():
    assert COLORS["position"] in colours(plots.architecture("positions"))
    assert COLORS["position"] not in colours(plots.architecture("patches"))
    assert COLORS["class_token"] in colours(plots.architecture("class_token"))


def test_an_unknown_part_is_named():
    with pytest.raises(ValueError, match="unknown part 'position': did you mean 'positions'"):
        plots.architecture("position")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        (dict(position="rotary"), "positions: rotary"),
        (dict(position="none"), "positions: none"),
        (dict(pool="mean"), "mean of\nthe rows: 192"),
        (dict(stem="convolutional"), "convolutional stem"),
        (dict(image_size=(32, 16)), "3 × 32 × 16"),
    ],
)
def test_other_models_can_be_drawn(changes, word):
    figure = plots.architecture(config=ViTConfig(**changes))
    assert word in words(figure)
    assert ("class token" in words(figure)) == (changes.get("pool") != "mean")
    figure.canvas.draw()


def test_text_stays_on_the_page_and_the_draw_costs_no_random_numbers():
    before = torch.get_rng_state()
    figure = plots.architecture(config=ViTConfig.named("ViT-B/16"))
    assert torch.get_rng_state().equal(before)
    figure.canvas.draw()
    width, height = figure.canvas.get_width_height()
    for text in figure.axes[0].texts:
        box = text.get_window_extent()
        assert 0 <= box.x0 and box.x1 <= width and 0 <= box.y0 and box.y1 <= height, text


def test_it_shows_itself_with_size_and_description():
    figure = plots.architecture("head")
    data, metadata = figure._repr_mimebundle_()
    assert data["image/png"][16:24] == (1400).to_bytes(4, "big") + (640).to_bytes(4, "big")
    assert metadata["image/png"] == {"alt": figure.alt, "width": 700, "height": 320}
    assert len(data["image/png"]) < 150_000


def test_show_wants_a_description():
    with pytest.raises(ValueError, match="alt is ' '"):
        plots.show(plots.architecture(), alt=" ")


def test_colours_are_told_apart():
    assert len(set(COLORS.values())) == len(COLORS) == 9
