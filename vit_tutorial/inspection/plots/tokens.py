"""Tokens as rows of colour, at several depths of an encoder."""

from torch import Tensor

from .base import DIVERGING, draw_image, sharp_figure


def token_rows(
    runs: dict[str, list[Tensor]],
    labels: list[str],
    notes: dict[str, list[str]] | None = None,
    patches: Tensor | None = None,
    title: str | None = None,
):
    """One line of panels for each run, one panel for each depth; in a panel, one row a token.

    runs: what a line is called -> tokens (T, D) at each depth. Each panel has its own range, 2.5
        standard deviations of its tokens: which rows are alike is the point, not how large.
    labels: above each panel of the first line; notes: below each panel, by the name of the run.
    patches: pictures (T, C, P, P), 0 to 1, drawn beside the rows and numbered from 1.
    Returns a Figure.
    """
    first = 0 if patches is None else 1
    figure = sharp_figure(7, 2.6 * len(runs) + 0.5, title)
    widths = [0.16] * first + [1] * len(labels)
    grid = figure.subplots(len(runs), len(widths), squeeze=False, width_ratios=widths)
    for number, (line, (name, depths)) in enumerate(zip(grid, runs.items())):
        line[0].set_ylabel(name, fontsize=11)
        for axes, label, z in zip(line[first:], labels, depths):
            spread = 2.5 * z.std().item()
            numbers = z.detach().cpu().numpy()
            axes.imshow(
                numbers,
                cmap=DIVERGING,
                vmin=-spread,
                vmax=spread,
                aspect="auto",
                interpolation="nearest",
            )
            axes.set(xticks=[], yticks=[])
            if number == 0:
                axes.set_title(label, fontsize=10)
        for axes, note in zip(line[first:], (notes or {}).get(name, ())):
            axes.set_xlabel(note, fontsize=9)
        if first:
            strip = patches.permute(1, 0, 2, 3).reshape(patches.shape[1], -1, patches.shape[3])
            draw_image(line[0], strip, aspect="auto")  # one patch below the other
            side, every = patches.shape[2], max(1, len(patches) // 16)
            middles = [side * (i + 0.5) - 0.5 for i in range(0, len(patches), every)]
            line[0].set_yticks(middles, range(1, len(patches) + 1, every), fontsize=7)
            line[0].tick_params(length=0, pad=2)
            for i in range(1, len(patches)):
                line[0].axhline(side * i - 0.5, color="white", linewidth=1.5)
            line[0].set_frame_on(False)
    return figure
