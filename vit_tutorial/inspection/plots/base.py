"""What every figure shares: how it is made, shown and saved, and how a picture becomes an array."""

import io
import os
import pathlib

import numpy as np
import torch
from matplotlib import patheffects
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ...common.files import atomic_write

DPI = 100  # pixels an inch: what a notebook shows at 100 %
# white numbers stay readable on any picture
OUTLINE = [patheffects.withStroke(linewidth=2, foreground="black")]
# Okabe and Ito 2008: colours that colour-blind readers can tell apart, too
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
# One colour for each part of a ViT, the same in every figure of every lesson. The yellow of values
# is for areas, not for text or thin lines.
COLORS = {
    "patch": "#56B4E9",
    "token": BLUE,
    "class_token": ORANGE,
    "position": GREEN,
    "query": PURPLE,
    "key": "#E69F00",
    "value": "#F0E442",
    "weight": "#7F7F7F",
    "output": "#000000",
}
DIVERGING = "RdBu_r"  # the one map for numbers from -1 to 1: blue, white at 0, red
# one series each; greys for more
SERIES = (BLUE, ORANGE, GREEN, PURPLE, "0.3", "0.6")


class Picture(Figure):
    """A Figure that shows itself as a PNG in a notebook, once, with or without pyplot.

    pyplot does not know this figure: it leaves no state, and is not shown a second time when the
    cell ends. IPython prefers the method below to what pyplot's inline backend sets up for figures.
    alt: what the picture shows, for those who cannot see it. sharpness: pixels of the file for one
    on the page; 2 keeps small text crisp on fine screens.
    """

    alt: str | None = None
    sharpness: int = 1

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        file = io.BytesIO()
        self.savefig(file, format="png", dpi=self.dpi * self.sharpness)
        return png_bundle(file.getvalue(), self.alt or repr(self), self.alt, self.sharpness)


def png_bundle(png: bytes, text: str, alt: str | None, sharpness: int = 1) -> tuple[dict, dict]:
    """(data, metadata) of a PNG in a notebook: nbconvert and web pages read the alt text there.

    text: what stands where no picture can, such as in a terminal.
    """
    metadata = {"alt": alt} if alt else {}
    if sharpness != 1:  # the size on the page; the numbers stand in bytes 16 to 24 of every PNG
        width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
        metadata |= {"width": width // sharpness, "height": height // sharpness}
    return {"image/png": png, "text/plain": text}, {"image/png": metadata} if metadata else {}


def new_figure(width: float, height: float, title: str | None = None) -> Picture:
    """An empty figure of width x height inches, with constrained layout; needs no screen."""
    figure = Picture(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(plain(title), fontsize=12)
    return figure


def sharp_figure(width: float, height: float, title: str | None = None) -> Picture:
    """As `new_figure`; small numbers stay crisp on fine screens."""
    figure = new_figure(width, height, title)
    figure.sharpness = 2
    return figure


def plain(text) -> str:
    """`text` with each dollar sign as it is: matplotlib would read what stands between as TeX."""
    return str(text).replace("$", r"\$")


def save(figure: Figure, path: str | os.PathLike, dpi: int | None = None) -> pathlib.Path:
    """Write a figure as a PNG, whole or not at all, and return the path.

    Makes the folder if it is missing. dpi: pixels an inch, the figure's own if None.
    Raises ValueError for any suffix other than .png.
    """
    path = pathlib.Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(
            f"save writes PNG files: {path.name!r} should end in .png. "
            "Another format: figure.savefig(path)"
        )
    with atomic_write(path) as file:
        figure.savefig(
            file,
            format="png",
            backend="agg",
            dpi=figure.dpi if dpi is None else dpi,
            metadata={"Software": None},  # the same bytes from every version of matplotlib
        )
    return path


def as_tensor(image) -> torch.Tensor:
    """A picture as a tensor (C, H, W), C of 1, 3 or 4, uint8 or float 0..1, on the CPU.

    image: a tensor (C, H, W) or (H, W), uint8, bool or float 0..1; a PIL image; or a file's path.
    Raises ValueError for another shape, type or range.
    """
    if isinstance(image, (str, os.PathLike)):
        from ...data.decode import open_upright  # Pillow is not imported for tensors

        return as_tensor(open_upright(image))
    if hasattr(image, "getbands"):  # a PIL image
        if image.mode not in ("L", "RGB", "RGBA"):
            from ...data.decode import to_rgb

            image = image.convert("RGBA") if image.mode in ("LA", "PA") else to_rgb(image)
        array = np.array(image)
        return torch.from_numpy(array[None] if array.ndim == 2 else array.transpose(2, 0, 1).copy())
    if not isinstance(image, torch.Tensor):
        hint = (
            ". From numpy (H, W, C): torch.from_numpy(array).permute(2, 0, 1)"
            if isinstance(image, np.ndarray)
            else ""
        )
        raise ValueError(
            "a picture is a tensor (C, H, W) or (H, W), a PIL image or a path, "
            f"not a {type(image).__name__}{hint}"
        )
    shape, image = tuple(image.shape), image.detach().cpu()
    image = image[None] if image.ndim == 2 else image
    if image.ndim != 3 or len(image) not in (1, 3, 4) or not image.numel():
        hint = ". One picture of a batch: images[0]" if image.ndim == 4 else ""
        raise ValueError(
            f"a picture is (C, H, W) with 1, 3 or 4 channels, or (H, W): got {shape}{hint}"
        )
    if image.dtype == torch.bool:
        return image.float()
    if image.is_floating_point():
        low, high = float(image.min()), float(image.max())
        if not -1e-3 <= low <= high <= 1 + 1e-3:
            raise ValueError(
                f"the picture's numbers run from {low:.3g} to {high:.3g}: floats go from 0 to 1; "
                "undo the normalisation first"
            )
        return image.float().clamp(0, 1)
    if image.dtype != torch.uint8:
        raise ValueError(f"the picture is {image.dtype}: give uint8 (0 to 255) or floats (0 to 1)")
    return image


def draw_image(axes, image: torch.Tensor, **options):
    """Draw a picture (C, H, W) pixel by pixel, grey for one channel, without ticks.

    Returns what `axes.imshow` returns.
    """
    axes.set_xticks([])
    axes.set_yticks([])
    top = 255 if image.dtype == torch.uint8 else 1
    if len(image) == 1:
        return axes.imshow(
            image[0].numpy(), cmap="gray", vmin=0, vmax=top, interpolation="nearest", **options
        )
    return axes.imshow(image.permute(1, 2, 0).numpy(), interpolation="nearest", **options)


def number_cells(
    axes, rows: int, columns: int, cell: float, inches: float, size: float = 9
) -> None:
    """Write 0, 1, 2, ... row by row into a grid of cells.

    cell, inches: the width of a cell, in data units and on the page. Smaller cells get smaller
    numbers, down to 7 points; where even those don't fit, only some rows and columns have one.
    """
    digits = len(str(rows * columns - 1))
    need = 0.64 * digits + 1  # width of the widest number and a margin, in units of the font size
    size = max(7.0, min(size, 72 * inches / need))
    tight = need * size / (72 * inches)
    every = 1 if tight <= 1 else int(np.ceil(1.3 * tight))
    for row in range(0, rows, every):
        for column in range(0, columns, every):
            x, y = (column + 0.5) * cell - 0.5, (row + 0.5) * cell - 0.5
            axes.text(
                x,
                y,
                str(row * columns + column),
                color="white",
                fontsize=size,
                ha="center",
                va="center",
                path_effects=OUTLINE,
            )
