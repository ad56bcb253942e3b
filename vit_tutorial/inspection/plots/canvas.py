"""What a drawing is made of: boxes, bars, arrows and text, each in colour or in grey."""

import dataclasses

from matplotlib.colors import to_rgb
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, PathPatch, Rectangle
from matplotlib.path import Path

from ...model.config import ViTConfig

GREY_TEXT = "#9a9a9a"


@dataclasses.dataclass
class Drawing:
    """The axes, and what decides how something is drawn: which part it belongs to."""

    axes: object
    lit: str | None
    config: ViTConfig
    counts: dict[str, int]

    def is_lit(self, parts: str) -> bool:
        return self.lit is None or self.lit in parts.split()

    def paint(self, color: str, parts: str, strength: float = 1.0):
        """`color`, mixed with white; grey where the part is not lit."""
        red, green, blue = to_rgb(color)
        if not self.is_lit(parts):
            red = green = blue = 0.93 - 0.2 * (1 - (0.3 * red + 0.59 * green + 0.11 * blue))
        return tuple(1 - strength * (1 - part) for part in (red, green, blue))

    def ink(self, parts: str, color: str = "black"):
        return color if self.is_lit(parts) else GREY_TEXT

    def box(self, x, y, w, h, color, parts, strength=0.35, round_=4, line=1.1, z=3):
        """A box with its lower left corner at (x, y)."""
        shape = f"round,pad=0,rounding_size={round_}" if round_ else "square,pad=0"
        self.axes.add_patch(
            FancyBboxPatch(
                (x, y), w, h, boxstyle=shape, linewidth=line, zorder=z,
                facecolor=self.paint(color, parts, strength), edgecolor=self.paint(color, parts),
            )
        )  # fmt: skip

    def bar(self, x, y, w, h, color, parts, strength=1.0, z=4):
        """One token: a bar without rounding."""
        self.axes.add_patch(
            Rectangle(
                (x, y), w, h, facecolor=self.paint(color, parts, strength), edgecolor="white",
                linewidth=0.6, zorder=z,
            )
        )  # fmt: skip

    def text(self, x, y, words, parts, size=7.5, color="black", **options):
        options = dict(ha="center", va="center", linespacing=1.25, zorder=6) | options
        self.axes.text(x, y, words, fontsize=size, color=self.ink(parts, color), **options)

    def arrow(self, start, end, parts, color="#404040", line=1.2, style="-|>", **options):
        self.axes.add_patch(
            FancyArrowPatch(
                start, end, arrowstyle=style, mutation_scale=8, linewidth=line, shrinkA=0,
                shrinkB=0, color=self.paint(color, parts), zorder=5, **options,
            )
        )  # fmt: skip

    def count(self, x, y, words, parts):
        """A number of parameters."""
        self.text(x, y, words, parts, size=7, color="#505050", style="italic")

    def frame(self, x, y, side, color, parts):
        """The outline of a square, above what it holds."""
        self.axes.add_patch(
            Rectangle(
                (x, y), side, side, fill=False, linewidth=1.4, zorder=5,
                edgecolor=self.paint(color, parts),
            )
        )  # fmt: skip

    def path(self, points, color, parts, line, z=2, **options):
        """A line through the points, its corners rounded."""
        verts, codes, r = [points[0]], [Path.MOVETO], 9
        for before, corner, after in zip(points, points[1:], points[2:]):
            verts += [_towards(corner, before, r), corner, _towards(corner, after, r)]
            codes += [Path.LINETO, Path.CURVE3, Path.CURVE3]
        self.axes.add_patch(
            PathPatch(
                Path([*verts, points[-1]], [*codes, Path.LINETO]), fill=False, linewidth=line,
                edgecolor=self.paint(color, parts), capstyle="butt", joinstyle="round", zorder=z,
                **options,
            )
        )  # fmt: skip

    def plus(self, x, y, parts, color="#404040"):
        """A circle with a plus: the two that meet there are added."""
        self.axes.plot(
            [x], [y], "o", markersize=11, markerfacecolor="white", zorder=7,
            markeredgecolor=self.paint(color, parts), markeredgewidth=1.3,
        )  # fmt: skip
        self.axes.plot(
            [x], [y], "+", markersize=7, markeredgecolor=self.paint(color, parts),
            markeredgewidth=1.5, zorder=8,
        )  # fmt: skip


def _towards(start, end, length):
    """The point at `length` from `start` on the way to `end`."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    share = min(1, length / max(1e-9, (dx * dx + dy * dy) ** 0.5))
    return start[0] + share * dx, start[1] + share * dy
