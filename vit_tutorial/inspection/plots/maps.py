"""Maps over the patches of one picture, side by side with it."""

import math
from collections.abc import Mapping

import torch

from .base import as_tensor, draw_image, sharp_figure

ACROSS = 5  # panels in a row


def map_panels(image, maps: Mapping[str, torch.Tensor], *, title: str):
    """A picture and its maps in rows of five, each on its own scale from 0 to its largest value.

    image: as in `plots.patches`. maps: label -> (rows, columns), not negative.
    """
    image = as_tensor(image)
    height, width = image.shape[1:]
    across = min(ACROSS, len(maps) + 1)
    down = math.ceil((len(maps) + 1) / across)
    side = 1.9 if across == ACROSS else 2.6  # inches
    figure = sharp_figure(across * side, down * (side * height / width + 0.55) + 0.5, title)
    panels = figure.subplots(down, across, squeeze=False).flatten()
    draw_image(panels[0], image)
    panels[0].set_title("the picture", fontsize=9)
    for axes, (label, values) in zip(panels[1:], maps.items()):
        draw_map(axes, values, (height, width))
        axes.set_title(label, fontsize=9)
        axes.set_xlabel(f"largest {float(values.max()):.2g}", fontsize=8, labelpad=2)
    for axes in panels[len(maps) + 1 :]:
        axes.set_visible(False)
    return figure


def draw_map(axes, values: torch.Tensor, size: tuple[int, int], **scale):
    """Draw (rows, columns) over an area of `size` (height, width) in pixels, without ticks."""
    extent = (-0.5, size[1] - 0.5, size[0] - 0.5, -0.5)
    scale = dict(cmap="viridis", vmin=0, vmax=max(float(values.max()), 1e-12)) | scale
    axes.set(xticks=[], yticks=[])
    return axes.imshow(
        values.detach().cpu().numpy(), extent=extent, interpolation="nearest", **scale
    )
