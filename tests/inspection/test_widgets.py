"""The map to slide and click in: what it shows is what the static picture shows."""

import ipywidgets
import pytest
import torch

from vit_tutorial import VisionTransformer, ViTConfig
from vit_tutorial.inspection import widgets
from vit_tutorial.inspection.analysis import cosine_similarity


def test_a_slider_and_a_click_choose_the_patch():
    table = torch.randn(1, 12, 8, generator=torch.Generator().manual_seed(0))
    widget = widgets.similarity_map(table, (3, 4))
    maps = cosine_similarity(table[0]).view(3, 4, 3, 4)
    widget.row.value, widget.column.value = 2, 1
    torch.testing.assert_close(widget.shown, maps[2, 1])
    widget.cells.children[7].click()  # row 1, column 3
    assert (widget.row.value, widget.column.value) == (1, 3)
    torch.testing.assert_close(widget.shown, maps[1, 3])
    dots = [button.description for button in widget.cells.children]
    # None may be empty: in ipywidgets 8 a browser keeps a button's old text, here the old dot.
    assert dots == [" "] * 7 + ["●"] + [" "] * 4
    if hasattr(ipywidgets.Button, "tabbable"):
        assert not any(button.tabbable for button in widget.cells.children)
    assert widget.cells.children[0].tooltip == f"row 0, column 0: {maps[1, 3, 0, 0]:.2f}"
    assert "Patch 7 (row 1, column 3)" in widget.caption.value
    neighbours = (maps[1, 3, 0, 3] + maps[1, 3, 2, 3] + maps[1, 3, 1, 2]) / 3
    assert f"its neighbours {neighbours:+.2f}" in widget.caption.value


def test_colours_run_from_blue_to_red_on_one_scale():
    table = torch.tensor([[1.0, 0], [-1, 0], [0, 1], [1, 0]])
    widget = widgets.similarity_map(table, (2, 2))
    widget.click(0, 0)
    red, blue, white, same = (button.style.button_color for button in widget.cells.children)
    assert (
        red == same == "#67001f"
        and blue == "#053061"
        and all(int(white[i : i + 2], 16) > 240 for i in (1, 3, 5))
    )


def test_models_class_tokens_and_large_grids():
    model = VisionTransformer(
        ViTConfig(
            image_size=32, patch_size=8, dim=32, depth=1, num_heads=2, mlp_dim=32, num_classes=3
        )
    )
    assert widgets.similarity_map(model).shown.shape == (4, 4)
    large = widgets.similarity_map(torch.randn(25 * 25 + 1, 4))
    large.click(24, 0)
    assert (
        not large.clickable
        and large.cells.value.count("<td") == 625
        and "row 24, column 0" in large.caption.value
    )
    with pytest.raises(ValueError, match="do not fit a grid"):
        widgets.similarity_map(torch.randn(10, 4), (3, 4))


def test_what_a_page_without_widgets_shows():
    assert (
        repr(widgets.similarity_map(torch.randn(4, 4)))
        == "a map of 2 x 2 patches: run this cell to slide and click in it"
    )
