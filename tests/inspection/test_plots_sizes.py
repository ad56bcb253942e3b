"""Large grids, rectangles and names with TeX in them: nothing vanishes, nothing is guessed."""

import math

import numpy as np
import pytest
import torch

from vit_tutorial.inspection import plots


@pytest.mark.parametrize("side", [3, 14, 16, 20, 24, 37, 64])
def test_every_map_shows_its_own_patch(side):
    """Each map's own cell, the one with cosine 1, must be seen in the picture as it is stored."""
    rows = torch.randn(side * side, 64, generator=torch.Generator().manual_seed(0))
    figure = plots.position_similarity(rows, (side, side))
    axes = figure.axes[0]
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(int)
    red = (pixels[..., 0] - pixels[..., 2] > 60) & (pixels[..., 0] < 130)  # of RdBu_r at +1
    maps = axes.get_images()
    step = side if len(maps) == 1 else math.ceil(side / math.isqrt(len(maps)))
    assert len(maps) == math.ceil(side / step) ** 2
    height = pixels.shape[0]
    for image in maps:
        left, right, low, high = image.get_extent()
        (x0, y0), (x1, y1) = axes.transData.transform([(left, low), (right, high)])
        box = red[int(height - y1) : math.ceil(height - y0), int(x0) : math.ceil(x1)]
        assert box.any(), f"map at {left:.0f}, {high:.0f} lacks its own patch"
    assert figure.get_size_inches().max() < 12
    assert ("1 patch in" in axes.get_title()) == (step > 1)


@pytest.mark.parametrize(
    ("tokens", "size", "grid"),
    [(8, (8, 16), "2 x 4"), (9, (8, 16), "2 x 4"), (9, (9, 9), "3 x 3"), (10, (9, 9), "3 x 3")],
)
def test_the_image_decides_the_grid(tokens, size, grid):
    figure = plots.attention_map(torch.full((tokens,), 1 / tokens), image=torch.rand(3, *size))
    assert figure.axes[2].get_xlabel() == f"{grid} patches"
    with pytest.raises(ValueError, match="13 weights do not fit"):
        plots.attention_map(torch.full((13,), 1 / 13), image=torch.rand(3, *size))


def test_names_that_look_like_tex_are_drawn_as_they_are():
    names = [r"50% $\foo$", "$x", "a_b"]
    figure = plots.confusion(torch.eye(3, dtype=torch.int64), names, title=r"$\bar$")
    figure.canvas.draw()
    figure = plots.image_grid(torch.rand(3, 3, 8, 8), names, title=r"$\bar$")
    figure.canvas.draw()
    figure = plots.position_similarity(torch.rand(9, 4), title=r"runs/$\foo$")
    figure.canvas.draw()
