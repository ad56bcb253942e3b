"""Pictures on the grid of patches: similarity of positions, similarity by distance, attention."""

import torch
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator
from torch.nn.functional import interpolate

from .. import analysis
from ..position_tables import position_table
from .base import BLUE, GREEN, ORANGE, PURPLE, as_tensor, new_figure, show


def position_similarity(
    table,
    grid: tuple[int, int] | None = None,
    *,
    extra: int | None = None,
    title: str | None = None,
):
    """For each patch a map: the cosine similarity of its position embedding with every patch's, all on one scale from -1 to 1.

    As in figure 7 (centre) of Dosovitskiy et al. 2021, which leaves the class token out too.
    table: (T, D) or (1, T, D), or a ViT of this package, timm or torchvision.
    grid: (rows, columns) of patches; None for a square one, or the model's.
    extra: rows of the table that belong to no patch: 1 for a class token that comes first, -1 for one that comes last, 0 for
        none. None: what the model has; for a tensor 0 or 1, whichever fits, the row then comes first.
    Raises ValueError when the counts do not fit, or for a model without such a table.
    """
    table, (rows, columns) = _patch_rows(table, grid, extra)
    maps = analysis.cosine_similarity(table).view(rows, columns, rows, columns)
    side = 5.6 / max(rows, columns)
    figure = new_figure(max(columns * side, 2.5) + 1.4, max(rows * side, 1.8) + 1)
    axes = figure.add_subplot()
    gap = 0.05
    for r in range(rows):
        for c in range(columns):
            extent = (c + gap, c + 1 - gap, r + 1 - gap, r + gap)
            image = axes.imshow(
                maps[r, c].numpy(),
                cmap="RdBu_r",
                vmin=-1,
                vmax=1,
                extent=extent,
                interpolation="nearest",
            )
    axes.set(xlim=(0, columns), ylim=(rows, 0), facecolor="0.7", aspect=1)
    every = max(1, -(-max(rows, columns) // 16))
    axes.set_xticks(
        [c + 0.5 for c in range(0, columns, every)], [str(c) for c in range(0, columns, every)]
    )
    axes.set_yticks(
        [r + 0.5 for r in range(0, rows, every)], [str(r) for r in range(0, rows, every)]
    )
    axes.tick_params(length=0)
    axes.set_xlabel("column of the patch")
    axes.set_ylabel("row of the patch")
    axes.set_title(
        title
        or f"Similarity of {len(table)} position embeddings, width {table.shape[1]}:\none small map for each patch",
        fontsize=11,
    )
    figure.colorbar(
        image, ax=axes, shrink=0.8, label="cosine similarity with the patch at each place"
    )
    return figure


def similarity_by_distance(
    tables,
    grid: tuple[int, int] | None = None,
    *,
    extra: int | None = None,
    title: str | None = None,
):
    """Cosine similarity of two patches' position embeddings by their distance: the mean, and a bar of one standard deviation.

    The grey band is one standard deviation of what independent random rows of that width give, 1 / sqrt(D).
    tables: one table or model as in `position_similarity`, or {name: table or model} to compare. Distances are rounded to
    whole patches (`analysis.similarity_by_distance`).
    """
    named = tables if isinstance(tables, dict) else {"": tables}
    if not named:
        raise ValueError("similarity_by_distance has 0 tables to draw")
    figure = new_figure(6.5, 4, title or "Are the positions of near patches alike?")
    axes = figure.add_subplot()
    axes.axhline(0, color="0.3", linewidth=0.8)
    widths = []
    for i, ((name, table), color) in enumerate(
        zip(named.items(), (BLUE, ORANGE, GREEN, PURPLE, "0.3", "0.6") * len(named))
    ):
        rows, shape = _patch_rows(table, grid, extra)
        if len(rows) < 2:
            raise ValueError(f"a grid of {shape[0]}x{shape[1]} has 1 patch: a distance needs two")
        widths.append(rows.shape[1])
        found = analysis.similarity_by_distance(rows, shape, extra=0)
        means, spreads = [m for m, _, _ in found.values()], [s for _, s, _ in found.values()]
        shift = 0.08 * (i - (len(named) - 1) / 2)  # bars of two tables don't hide each other
        places = [d + shift for d in found]
        axes.errorbar(
            places,
            means,
            yerr=spreads,
            color=color,
            marker="o",
            markersize=4,
            capsize=3,
            linewidth=1.5,
            label=name or None,
        )
    noise = analysis.expected_random_cosine(min(widths))
    axes.axhspan(
        -noise,
        noise,
        color="0.88",
        zorder=0,
        label=f"random rows of width {min(widths)}: ± {noise:.2f}",
    )
    axes.set(
        ylim=(-1.05, 1.05), xlabel="distance on the grid (patches)", ylabel="cosine similarity"
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize=9)
    return figure


def attention_map(
    weights,
    grid: tuple[int, int] | None = None,
    *,
    image=None,
    extra: int | None = None,
    title: str | None = None,
):
    """What one token reads: a row of attention weights on the grid of patches, over the image where one is given.

    weights: (T,), not negative, with the row's own entries in token order (a row of `MultiHeadSelfAttention.weights`).
    image: as in `plots.patches`; shown beside the map, as it is and with each patch as bright as its weight (the largest: as
        it is). grid and extra: as in `position_similarity`; the part that goes to a class token stands in the title.
    Raises ValueError when the counts do not fit, or for weights below 0.
    """
    weights = torch.as_tensor(weights).detach().float().cpu()
    if weights.ndim != 1:
        raise ValueError(
            f"weights are one row, (T,): got {tuple(weights.shape)}. One head's row of the class token: weights[0, head, 0]"
        )
    if not bool((weights >= 0).all()):
        raise ValueError(
            f"attention weights are not negative, these go from {weights.min():.3g} to {weights.max():.3g}: apply softmax"
        )
    patch_weights, (rows, columns) = analysis.patch_rows(weights[:, None], grid, extra)
    values = patch_weights.view(rows, columns)
    picture = None if image is None else as_tensor(image)
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
            show(panel_axes, shown)
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


def _attention_title(weights: torch.Tensor, values: torch.Tensor) -> str:
    rest = float(weights.sum() - values.sum())
    return "What one token reads" + (
        f" ({rest:.1%} goes to tokens that are no patch)" if len(weights) > values.numel() else ""
    )


def _patch_rows(table, grid, extra) -> tuple[torch.Tensor, tuple[int, int]]:
    """The patches' rows and the grid, from a table or from a model that `position_table` knows."""
    if not isinstance(table, torch.Tensor) and (
        hasattr(table, "state_dict") or hasattr(table, "position")
    ):
        table, own_grid, own_extra = position_table(table)
        grid = own_grid if grid is None else grid
        extra = own_extra if extra is None else extra
    return analysis.patch_rows(table, grid, extra)
