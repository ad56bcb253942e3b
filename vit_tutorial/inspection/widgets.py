"""An interactive map: how similar one patch's position embedding is to every patch's.

Works with ipywidgets 7 and 8.
"""

import ipywidgets
from matplotlib import colormaps
from matplotlib.colors import to_hex

from .analysis import cosine_similarity
from .layout import TokenLayout
from .position_tables import position_table

MAX_BUTTONS = 400
SIDE = 26  # pixels of a patch


class SimilarityMap(ipywidgets.VBox):
    """What `similarity_map` returns.

    row, column: sliders that choose a patch. shown: its map, (rows, columns), from -1 to 1.
    """

    def __init__(self, table, grid: tuple[int, int], title: str):
        self.cosines = cosine_similarity(table).view(*grid, *grid)
        rows, columns = grid
        slide = dict(min=0, continuous_update=True, layout=ipywidgets.Layout(width="260px"))
        self.row = ipywidgets.IntSlider(value=rows // 2, max=rows - 1, description="row", **slide)
        self.column = ipywidgets.IntSlider(
            value=columns // 2, max=columns - 1, description="column", **slide
        )
        self.clickable = rows * columns <= MAX_BUTTONS
        self.cells = self._buttons(rows, columns) if self.clickable else ipywidgets.HTML()
        self.caption = ipywidgets.HTML()
        super().__init__(
            [
                ipywidgets.HTML(f"<b>{title}</b>"),
                ipywidgets.HBox([self.row, self.column]),
                self.cells,
                self.caption,
            ]
        )
        for slider in (self.row, self.column):
            slider.observe(lambda change: self._draw(), names="value")
        self._draw()

    def __repr__(self) -> str:
        rows, columns = self.cosines.shape[:2]
        return f"a map of {rows} x {columns} patches: run this cell to slide and click in it"

    @property
    def shown(self):
        return self.cosines[self.row.value, self.column.value]

    def click(self, row: int, column: int) -> None:
        """Choose a patch, as a mouse click on it does."""
        self.row.value, self.column.value = row, column

    def _buttons(self, rows: int, columns: int):
        size = ipywidgets.Layout(width=f"{SIDE}px", height=f"{SIDE}px", margin="0px", padding="0px")
        buttons = patch_buttons(rows * columns, size)
        for number, button in enumerate(buttons):
            button.on_click(lambda _, number=number: self.click(*divmod(number, columns)))
        layout = ipywidgets.Layout(
            grid_template_columns=f"repeat({columns}, {SIDE + 2}px)",
            width=f"{columns * (SIDE + 2) + 4}px",
        )
        return ipywidgets.GridBox(buttons, layout=layout)

    def _draw(self) -> None:
        r, c = self.row.value, self.column.value
        rows, columns = self.cosines.shape[:2]
        values = self.shown.flatten().tolist()
        colours = [to_hex(colormaps["RdBu_r"]((value + 1) / 2)) for value in values]
        chosen = r * columns + c
        if self.clickable:
            for number, (button, value, colour) in enumerate(
                zip(self.cells.children, values, colours)
            ):
                button.style.button_color = colour
                button.tooltip = f"row {number // columns}, column {number % columns}: {value:.2f}"
                # a space: an empty description would leave the old dot in the browser
                button.description = "●" if number == chosen else " "
        else:
            cell = "<td style='background:{};width:8px;height:8px;padding:0'></td>"
            lines = [
                "".join(map(cell.format, colours[i : i + columns]))
                for i in range(0, len(colours), columns)
            ]
            body = "".join(f"<tr>{line}</tr>" for line in lines)
            self.cells.value = f"<table style='border-spacing:0'>{body}</table>"
        around = [
            self.shown[y, x]
            for y, x in ((r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1))
            if 0 <= y < rows and 0 <= x < columns
        ]
        near = f"its neighbours {sum(around) / len(around):+.2f} on average, " if around else ""
        self.caption.value = (
            f"Patch {chosen} (row {r}, column {c}): cosine with itself 1, {near}"
            f"all patches {sum(values) / len(values):+.2f}. Blue is -1, white 0, red 1."
        )


def patch_buttons(number: int, layout: ipywidgets.Layout) -> list[ipywidgets.Button]:
    """One button for each patch, to click. The Tab key passes over them (in ipywidgets 8), because
    the sliders reach the same patches, and a stop at each would keep a keyboard in the map."""
    passed_over = {"tabbable": False} if hasattr(ipywidgets.Button, "tabbable") else {}
    return [ipywidgets.Button(layout=layout, **passed_over) for _ in range(number)]


def similarity_map(
    positions, layout: TokenLayout | tuple[int, int] | None = None, *, title: str | None = None
) -> SimilarityMap:
    """A map of cosine similarities with one patch's position embedding.

    A slider or a click chooses the patch. Grids of more than 400 patches have sliders only.
    positions, layout: as in `plots.position_similarity`, the static picture of the same numbers.
    Raises ValueError when the counts do not fit, or for a model without such a table.
    """
    found = position_table(positions, layout)
    rows = found.patches
    title = title or f"Similarity of {len(rows)} position embeddings, width {rows.shape[1]}"
    return SimilarityMap(rows, found.layout.grid, title)
