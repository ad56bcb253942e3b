"""The explore notebook: your picture, a model, a layer, a head, a patch; trained beside random.

Works with ipywidgets 7 (Colab) and 8 (JupyterLab, Voila).
"""

import html
import io

import ipywidgets
import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.colors import to_hex, to_rgb
from PIL import Image, ImageDraw

from .explore import EXAMPLES, KINDS, MOST_BYTES, MOST_PATCHES, Explorer, example, known_models
from .plots.base import COLORS, DIVERGING
from .widgets import patch_buttons

SIDE = 160  # pixels of a map: four and the answers are as wide as JupyterLab's page
CELL = 22  # pixels of a patch's button, where there are few
TITLES = {
    "positions": "similar positions",
    "attention": "attention",
    "rollout": "rollout",
}


class Explore(ipywidgets.VBox):
    """What `explore` returns. explorer: the numbers; pictures: its maps, by side and label."""

    def __init__(self, runs: str = "runs"):
        self.explorer = Explorer()
        self._models = known_models(runs)
        self._setting = False  # True while controls are set by the program and not by a hand
        self._make_controls()
        self.pictures = {
            kind: {label: ipywidgets.Image(format="png", width=SIDE) for label in TITLES}
            for kind in KINDS
        }
        self.seen = ipywidgets.Image(format="png", width=SIDE)
        narrow = lambda: ipywidgets.HTML(layout=ipywidgets.Layout(width=f"{SIDE + 10}px"))
        self.captions = {kind: {label: narrow() for label in TITLES} for kind in KINDS}
        self.classes = {kind: ipywidgets.HTML() for kind in KINDS}
        self.cells = ipywidgets.GridBox([])
        super().__init__(self._rows())
        self._watch()
        self._refit()

    def __repr__(self) -> str:
        return "the explore widget: run this cell to choose a picture, a model and a patch"

    def _make_controls(self) -> None:
        wide = dict(layout=ipywidgets.Layout(width="330px"))
        self.photo = ipywidgets.Dropdown(
            options=[*EXAMPLES], value=EXAMPLES[0], description="picture", **wide
        )
        self.upload = ipywidgets.FileUpload(
            accept="image/*", multiple=False, description=f"your own, to {MOST_BYTES / 1e6:.0f} MB"
        )
        self.upload.layout.width = "200px"
        self.model = ipywidgets.Dropdown(
            options=list(self._models.items()), description="model", **wide
        )
        self.own = ipywidgets.Text(
            placeholder="or a run's folder, a file, timm:NAME", continuous_update=False, **wide
        )
        self.scale = ipywidgets.Dropdown(options=[("fixed", None)], description="patches", **wide)
        self.layer = ipywidgets.IntSlider(min=0, max=0, description="layer", **wide)
        self.head = ipywidgets.SelectionSlider(options=["mean"], description="head", **wide)
        self.row = ipywidgets.IntSlider(min=0, max=0, description="row", **wide)
        self.column = ipywidgets.IntSlider(min=0, max=0, description="column", **wide)
        self.reader = ipywidgets.ToggleButtons(options=["class token", "the patch"])
        self.reader.style.button_width = "150px"
        self.message = ipywidgets.HTML()
        self.summary = ipywidgets.HTML()

    def _rows(self) -> list:
        box = ipywidgets.HBox
        column = lambda *parts: ipywidgets.VBox(parts)
        reads = box([ipywidgets.Label("Who reads?"), self.reader])
        controls = column(
            box([self.photo, self.upload]),
            box([self.model, self.own]),
            box([self.scale, self.layer]),
            box([self.head, reads]),
            box([self.row, self.column]),
        )
        sides = [
            box(
                [
                    *(column(self.captions[kind][t], self.pictures[kind][t]) for t in TITLES),
                    self.classes[kind],
                ]
            )
            for kind in KINDS
        ]
        left = column(ipywidgets.HTML("<b>what the model sees</b>"), self.seen, self.cells)
        left.layout.flex = "0 0 auto"  # else a narrow page hides the last patches
        return [controls, self.message, self.summary, box([left, column(*sides)])]

    def _watch(self) -> None:
        """What each control does."""
        on = lambda control, act: control.observe(
            lambda change: None if self._setting else act(change["new"]), names="value"
        )
        on(self.photo, lambda name: name and self._try(self.explorer.show, example(name)))
        on(self.upload, self._uploaded)
        on(self.model, lambda name: name and self._choose(name, self.own, ""))
        on(self.own, lambda name: name and self._choose(name.strip(), self.model, None))
        on(self.scale, lambda size: size and self._try(self.explorer.scale, size))
        for control in (self.layer, self.head, self.row, self.column, self.reader):
            on(control, lambda new: self._draw())

    def click(self, row: int, column: int) -> None:
        """Choose a patch, as a mouse click on it does."""
        self.row.value, self.column.value = row, column

    def _uploaded(self, value) -> None:
        if (found := uploaded(value)) and self._try(self.explorer.show, found):
            self._set(self.photo, None)

    def _choose(self, name: str, other, empty) -> None:
        """Take a model; the other control that can name one is emptied."""
        if self._try(self.explorer.choose, name):
            self._set(other, empty)

    def _set(self, control, value) -> None:
        """Set a control without doing what it does when a hand sets it."""
        self._setting = True
        control.value = value
        self._setting = False

    def _try(self, act, argument) -> bool:
        """Do what was asked for, or say why not: what was there then stays. Whether it was done."""
        self.message.value = "<i>one moment ...</i>"
        try:
            act(argument)
        except (ValueError, OSError, ModuleNotFoundError, RuntimeError) as error:
            text = html.escape(" ".join(str(error).split())[:400])
            self.message.value = f"<b style='color:#b00020'>{text}</b>"
            return False
        self.message.value = ""
        self._refit()
        return True

    def _refit(self) -> None:
        """Bring the controls' ranges and the patches to the model and the picture, and draw."""
        self._setting = True
        try:
            side = self.explorer.sides["trained"]
            (rows, columns), (layers, heads) = side.layout.grid, side.weights.shape[:2]
            _set_range(self.layer, layers, layers - 1)
            if len(self.head.options) != heads + 1:
                self.head.options = ["mean", *range(heads)]
            _set_range(self.row, rows, rows // 2)
            _set_range(self.column, columns, columns // 2)
            token = "class token" if side.layout.class_token is not None else "all patches"
            if self.reader.options[0] != token:
                self.reader.options = [token, "the patch"]
            self._set_scales()
            self._make_cells(rows, columns)
        finally:
            self._setting = False
        self._draw()

    def _set_scales(self) -> None:
        sizes = self.explorer.scales()
        now = tuple(self.explorer.pixels.shape[1:])
        P = self.explorer.models["trained"].model.config.patch_size if sizes else 1
        trained = self.explorer.trained["trained"].model.config.image_size if sizes else None
        options = [
            (f"{h // P} x {w // P}{' (as trained)' if (h, w) == trained else ''}", (h, w))
            for h, w in sizes
        ] or [("one size only", None)]
        if list(self.scale.options) != options:
            self.scale.options = options
        self.scale.value = now if sizes else None
        self.scale.disabled = not sizes

    def _make_cells(self, rows: int, columns: int) -> None:
        """A button for each patch, in its mean colour: a picture to click in."""
        if rows * columns > MOST_PATCHES:
            self.cells.children = []
            return
        if len(self.cells.children) != rows * columns or self._columns != columns:
            cell = max(10, min(CELL, SIDE // columns - 2))
            size = ipywidgets.Layout(
                width=f"{cell}px", height=f"{cell}px", margin="0px", padding="0px"
            )
            buttons = patch_buttons(rows * columns, size)
            for number, button in enumerate(buttons):
                button.on_click(lambda _, at=number: self.click(*divmod(at, columns)))
                button.tooltip = "row {}, column {}".format(*divmod(number, columns))
            self.cells.layout.grid_template_columns = f"repeat({columns}, {cell + 2}px)"
            self.cells.layout.width = f"{columns * (cell + 2) + 4}px"
            self.cells.children, self._columns = buttons, columns
        means = torch.nn.functional.adaptive_avg_pool2d(self.explorer.pixels, (rows, columns))
        for button, colour in zip(self.cells.children, means.flatten(1).T.tolist()):
            button.style.button_color = to_hex(colour)

    @property
    def patch(self) -> int:
        """The number of the chosen patch."""
        return self.row.value * self.explorer.layout.grid[1] + self.column.value

    def _draw(self) -> None:
        head = None if self.head.value == "mean" else self.head.value
        by_patch = self.reader.value == "the patch"
        grid, (_, height, width) = self.explorer.layout.grid, self.explorer.pixels.shape
        frame = self.row.value, self.column.value
        size = (SIDE, max(1, round(SIDE * height / width)))
        pixels = (self.explorer.pixels.permute(1, 2, 0) * 255).byte().numpy()
        self.seen.value = _png(pixels, size, grid, frame, lines=True)
        for kind in KINDS:
            maps = self.explorer.sides[kind].maps(self.layer.value, head, self.patch, by_patch)
            for label, title in TITLES.items():
                caption = f"<b>{title}</b><br>{kind}"
                if label not in maps:
                    self.captions[kind][label].value = f"{caption}, no table"
                    self.pictures[kind][label].value = _png(
                        np.full((*grid, 3), 235, dtype=np.uint8), size, grid, frame
                    )
                    continue
                values = maps[label]
                top = float(values.max())
                scale = "-1 to 1" if label == "positions" else f"largest {top:.3f}"
                self.captions[kind][label].value = f"{caption}, {scale}"
                self.pictures[kind][label].value = _png(_colours(label, values), size, grid, frame)
            self.classes[kind].value = _bars(kind, self.explorer.sides[kind].classes)
        for number, button in enumerate(self.cells.children):
            # a space: an empty description would leave the old dot in the browser
            button.description = "●" if number == self.patch else " "
        self.summary.value = self._summary(by_patch)

    def _summary(self, by_patch: bool) -> str:
        layout, name = self.explorer.layout, html.escape(self.explorer.name)
        if by_patch:
            reads = f"patch {self.patch} reads"
        elif layout.class_token is None:
            reads = "all patches read on average: this model has no class token"
        else:
            reads = "the class token reads"
        return f"{name}: {layout.num_patches} patches. Attention and rollout show what {reads}."


def explore(runs: str = "runs") -> Explore:
    """The explore widget, with the cat in front of the shipped model.

    runs: a folder of your own runs; they are offered among the models.
    """
    return Explore(runs)


def uploaded(value) -> bytes | None:
    """The file in a FileUpload's value: a dict by name in ipywidgets 7, a tuple in 8; or None."""
    files = list(value.values()) if isinstance(value, dict) else list(value)
    return bytes(files[-1]["content"]) if files else None


def _set_range(slider: ipywidgets.IntSlider, count: int, start: int) -> None:
    """Let a slider run from 0 to count - 1; it begins at `start` when its range changes."""
    if slider.max != count - 1 or count == 1:
        slider.value, slider.max = 0, count - 1
        slider.value = start


def _colours(label: str, values: torch.Tensor) -> np.ndarray:
    """(rows, columns) -> (rows, columns, 3), uint8: similarity from -1 to 1, others from 0."""
    if label == "positions":
        shares, name = (values + 1) / 2, DIVERGING
    else:
        shares, name = values / values.max().clamp(min=1e-12), "viridis"
    return (colormaps[name](shares.numpy())[..., :3] * 255).astype(np.uint8)


def _png(pixels: np.ndarray, size, grid, frame, lines: bool = False) -> bytes:
    """Pixels (rows, columns, 3) enlarged to `size` (width, height), with one patch in a frame."""
    image = Image.fromarray(np.ascontiguousarray(pixels)).resize(size, Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(image)
    down, across = size[1] / grid[0], size[0] / grid[1]
    if lines:
        for r in range(1, grid[0]):
            draw.line((0, r * down, size[0], r * down), fill="white")
        for c in range(1, grid[1]):
            draw.line((c * across, 0, c * across, size[1]), fill="white")
    corner = frame[1] * across, frame[0] * down
    colour = tuple(int(255 * part) for part in to_rgb(COLORS["patch"]))
    draw.rectangle((*corner, corner[0] + across - 1, corner[1] + down - 1), outline=colour, width=3)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _bars(kind: str, classes) -> str:
    """The likeliest classes, with bars."""
    lines = [
        f"<div style='background:linear-gradient(90deg,#cde {share:.1%},#fff {share:.1%});"
        f"padding:1px 4px;line-height:20px'>{html.escape(name[:24])} {share:.1%}</div>"
        for name, share in classes
    ]
    return f"<b>answer</b><br>{kind} weights<div style='width:170px'>{''.join(lines)}</div>"
