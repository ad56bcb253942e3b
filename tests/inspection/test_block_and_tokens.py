"""The drawing of a block, and tokens as rows of colour."""

import numpy as np
import pytest
import torch

from vit_tutorial import EncoderBlock
from vit_tutorial.inspection import plots


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_a_block_is_drawn_with_the_parameters_that_it_has():
    (axes,) = plots.encoder_block(dim=48, mlp_dim=96).axes
    block = EncoderBlock(48, 3, 96)
    for part in (block.attention, block.mlp):
        count = sum(parameter.numel() for parameter in part.parameters())
        assert f"{count / 1e6:.2f} M parameters" in texts(axes)
    assert texts(axes).count("norm") == texts(axes).count("+") == 2


def test_each_form_has_its_drawing_and_its_description():
    figure = plots.encoder_block("pre-norm", "post-norm")
    assert ["Pre-norm" in figure.axes[0].get_title(), "Post-norm" in figure.axes[1].get_title()]
    assert "before attention" in figure.alt and "after each addition" in figure.alt
    heights = [
        [text.get_position()[1] for text in axes.texts if text.get_text() == "norm"]
        for axes in figure.axes
    ]
    assert min(heights[0]) > 1 and max(heights[1]) == 0  # in the branch, and on the stream


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match="unknown form 'sandwich'"):
        plots.encoder_block("sandwich")


def test_tokens_are_rows_each_panel_on_its_own_range():
    z = torch.randn(5, 8)
    runs = {"a": [z, 100 * z], "b": [z, z]}
    patches = torch.rand(5, 3, 4, 4)
    figure = plots.token_rows(runs, ["before", "after"], {"a": ["x", "y"]}, patches, "Title")
    assert len(figure.axes) == 6
    strip, before, after = figure.axes[:3]
    assert strip.get_ylabel() == "a" and strip.get_images()[0].get_array().shape == (20, 4, 3)
    assert np.allclose(before.get_images()[0].get_array(), z)
    assert before.get_images()[0].get_clim()[1] * 100 == pytest.approx(
        after.get_images()[0].get_clim()[1]
    )
    assert [before.get_title(), after.get_title()] == ["before", "after"]
    assert [before.get_xlabel(), after.get_xlabel()] == ["x", "y"]


def test_tokens_without_patches_and_notes():
    assert len(plots.token_rows({"a": [torch.zeros(3, 4)]}, ["now"]).axes) == 1
