"""The two pictures in docs/: patches.png and position_similarity.png."""

import itertools
from pathlib import Path

import matplotlib.cbook
import torch
from PIL import Image, ImageOps
from safetensors.torch import load_file

from vit_tutorial.data import weights_path
from vit_tutorial.inspection import analysis, plots
from vit_tutorial.training import load_model


def photograph(side: int = 224) -> Image.Image:
    """The upper square of Grace Hopper's photograph (public domain, in matplotlib), RGB."""
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file, Image.open(file) as picture:
        return ImageOps.fit(picture.convert("RGB"), (side, side), centering=(0.5, 0.15))


def three_tables(name: str) -> dict[str, torch.Tensor]:
    """The positions (N, D) of shipped weights: before training, after it, and the same rows in
    another, fixed order. Only what the last one lacks comes from the places of the rows."""
    end = load_model(weights_path(f"{name}.safetensors"))[0].position.table[0].detach()
    start = load_file(weights_path(f"{name}.start.safetensors"))["table"].float()
    order = torch.randperm(len(end), generator=torch.Generator().manual_seed(0))
    return {"before training": start, "after training": end, "same rows, shuffled": end[order]}


def maps(tables: dict[str, torch.Tensor]):
    """Similarity maps of 16 of the 64 patches for each table of positions, on one colour scale."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.3 * len(tables) + 0.9, 4.7), dpi=110)
    widths = ([1] * 4 + [0.4]) * len(tables) + [0.2]
    edges = dict(left=0.01, right=0.93, top=0.87, bottom=0.02, wspace=0.12, hspace=0.08)
    places = figure.add_gridspec(4, len(widths), width_ratios=widths, **edges)
    for block, (title, table) in enumerate(tables.items()):
        rows, (height, width) = analysis.patch_rows(table)
        similarity = analysis.cosine_similarity(rows).view(height, width, height, width)
        for i, j in itertools.product(range(4), range(4)):
            ax = figure.add_subplot(places[i, 5 * block + j])
            drawn = ax.imshow(similarity[2 * i, 2 * j], vmin=-1, vmax=1, cmap="RdBu_r")
            ax.set(xticks=[], yticks=[])
        left, right = (places[0, 5 * block + j].get_position(figure) for j in (0, 3))
        figure.text((left.x0 + right.x1) / 2, 0.915, title, ha="center", fontsize=21)
    bar = figure.colorbar(drawn, cax=figure.add_subplot(places[:, -1]), ticks=[-1, 0, 1])
    bar.ax.tick_params(labelsize=16)
    bar.set_label("cosine similarity", fontsize=18)
    return figure


def draw(folder: Path, weights: str) -> None:
    """Write both pictures into `folder`."""
    plots.save(plots.patches(photograph(), 32, zoom=17), folder / "patches.png")
    plots.save(maps(three_tables(weights)), folder / "position_similarity.png")
