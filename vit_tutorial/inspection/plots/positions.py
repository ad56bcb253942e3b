"""Pictures on the grid of patches: similarity of positions, attention."""

import math

import torch
from matplotlib.colors import Normalize
from torch.nn.functional import interpolate

from .. import analysis
from ..layout import TokenLayout
from ..position_tables import position_table
from .base import DIVERGING, DPI, as_tensor, draw_image, new_figure, plain


def position_similarity(
    positions, layout: TokenLayout | tuple[int, int] | None = None, *, title: str | None = None
):
    """For each patch a map: the cosine similarity of its position embedding with every patch's.

    All maps share one scale from -1 to 1, as in figure 7 (centre) of Dosovitskiy et al. 2021, which
    leaves the class token out too. On a large grid not every patch gets a map; the title says so.
    positions: a table (T, D) or (1, T, D); or a ViT of this package, timm, torchvision or
        vit-pytorch (`position_tables`).
    layout: a TokenLayout, or the grid (rows, columns) of patches; None for the model's own, or for
        a square grid. With the last two, one extra row is that of a class token that comes first.
    Raises ValueError when the counts do not fit, or for a model without such a table.
    """
    found = position_table(positions, layout)
    table, (rows, columns) = found.patches, found.layout.grid
    maps = analysis.cosine_similarity(table).view(rows, columns, rows, columns)
    step, side = _every_map_that_fits(max(rows, columns))
    down, across = range(0, rows, step), range(0, columns, step)
    figure = new_figure(max(len(across) * side, 2.5) + 1.4, max(len(down) * side, 1.8) + 1)
    axes = figure.add_subplot()
    gap = 0.05 * step
    for r in down:
        for c in across:
            extent = (c + gap, c + step - gap, r + step - gap, r + gap)
            image = axes.imshow(
                maps[r, c].numpy(),
                cmap=DIVERGING,
                vmin=-1,
                vmax=1,
                extent=extent,
                interpolation="nearest",
            )
    axes.set(xlim=(0, across[-1] + step), ylim=(down[-1] + step, 0), facecolor="0.7", aspect=1)
    axes.set_xticks([c + step / 2 for c in across], [str(c) for c in across])
    axes.set_yticks([r + step / 2 for r in down], [str(r) for r in down])
    axes.tick_params(length=0)
    axes.set_xlabel("column of the patch")
    axes.set_ylabel("row of the patch")
    axes.set_title(
        plain(title or _similarity_title(table)) + _left_out(step),
        fontsize=11,
    )
    figure.colorbar(
        image, ax=axes, shrink=0.8, label="cosine similarity with the patch at each place"
    )
    return figure


PIXELS_A_CELL, INCHES = 2.4, 10  # the least for a cell of a small map; the most for all maps


def _every_map_that_fits(side: int) -> tuple[int, float]:
    """(every how many patches a map is drawn, inches of a map) for a grid of `side` patches.

    A map has one cell for each patch. With fewer than two pixels for a cell, some would vanish.
    """
    inches = max(5.6 / side, PIXELS_A_CELL * side / DPI)
    step = next(step for step in range(1, side + 1) if -(-side // step) * inches <= INCHES)
    return step, max(inches, 5.6 / -(-side // step))


def _similarity_title(table: torch.Tensor) -> str:
    N, D = table.shape
    return f"Similarity of {N} position embeddings, width {D}:\none small map for each patch"


def _left_out(step: int) -> str:
    if step == 1:
        return ""
    return f"\n(drawn for 1 patch in {step}, down and across: all would be too small)"


def attention_map(
    weights,
    layout: TokenLayout | tuple[int, int] | None = None,
    *,
    image=None,
    title: str | None = None,
):
    """What one token reads: a row of attention weights on the grid of patches.

    weights: (T,), not negative, in token order (a row of `MultiHeadSelfAttention.weights`).
    image: as in `plots.patches`; shown beside the map, as it is and with each patch as bright as
        its weight (the largest: as it is).
    layout: as in `position_similarity`, but where an image is given, its sides decide the grid. The
        title gives the share that goes to a class token.
    Raises ValueError when the counts do not fit, or for weights below 0.
    """
    weights = torch.as_tensor(weights).detach().float().cpu()
    if weights.ndim != 1:
        raise ValueError(
            f"weights are one row, (T,): got {tuple(weights.shape)}. "
            "One head's row of the class token: weights[0, head, 0]"
        )
    if not bool((weights >= 0).all()):
        raise ValueError(
            f"attention weights are not negative, these go from {weights.min():.3g} "
            f"to {weights.max():.3g}: apply softmax"
        )
    picture = None if image is None else as_tensor(image)
    if layout is None and picture is not None:
        layout = _grid_of(len(weights), picture.shape[1:])
    patch_weights, (rows, columns) = analysis.patch_rows(weights[:, None], layout)
    values = patch_weights.view(rows, columns)
    height, width = (rows, columns) if picture is None else picture.shape[1:]
    count = 1 if picture is None else 3
    panel = (3.6 if picture is None else 2.7) / max(1, height / width)  # inches across one panel
    figure = new_figure(
        max(count * panel + 1.2, 4),
        panel * height / width + 1.1,
        title or _attention_title(weights, values),
    )
    *others, axes = figure.subplots(1, count, squeeze=False)[0]
    where = (-0.5, width - 0.5, height - 0.5, -0.5)
    if picture is not None:
        light = interpolate(
            (values / values.max().clamp(min=1e-12))[None, None], (height, width), mode="nearest"
        )[0]
        lit = picture[:3].float() / (255 if picture.dtype == torch.uint8 else 1) * light
        for panel_axes, shown, name in zip(
            others, (picture, lit), ("the image", "lit by the weights")
        ):
            draw_image(panel_axes, shown)
            panel_axes.set_title(name, fontsize=10)
            panel_axes.set_xlabel(f"{height} x {width} pixels")
    norm = Normalize(0, max(float(values.max()), 1e-12))
    drawn = axes.imshow(
        values.numpy(), cmap="viridis", norm=norm, extent=where, interpolation="nearest"
    )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(f"the weights, mean {float(values.mean()):.3g}", fontsize=10)
    axes.set_xlabel(f"{rows} x {columns} patches")
    figure.colorbar(drawn, ax=axes, shrink=0.85, label="attention weight (share of 1)")
    return figure


def _grid_of(tokens: int, size: tuple[int, int]) -> tuple[int, int]:
    """The grid of square patches of an image of `size` (H, W) with so many tokens, or one fewer."""
    height, width = size
    for patches in (tokens, tokens - 1):
        side = math.isqrt(height * width // patches) if patches else 0
        if side and not height % side and not width % side:
            if (height // side) * (width // side) == patches:
                return height // side, width // side
    raise ValueError(
        f"{tokens} weights do not fit square patches of an image of {height}x{width}, with a class "
        "token or without: give the grid (rows, columns), or a TokenLayout"
    )


def _attention_title(weights: torch.Tensor, values: torch.Tensor) -> str:
    others = float(weights.sum() - values.sum())
    note = f" ({others:.1%} goes to other tokens than patches)"
    return "What one token reads" + (note if len(weights) > values.numel() else "")
