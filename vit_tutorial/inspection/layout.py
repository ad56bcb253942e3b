"""Where the patches are in a sequence of tokens: before, between or after class tokens."""

import dataclasses
import math

from ..common.validation import require_int


@dataclasses.dataclass(frozen=True)
class TokenLayout:
    """T tokens: `prefix` that are not patches, the grid of patches row by row, `suffix` others.

    Raises ValueError for a grid that is not two positive whole numbers, or negative counts.
    """

    grid: tuple[int, int]  # (rows, columns) of patches
    prefix: int = 0  # class, distillation and register tokens in front (timm: num_prefix_tokens)
    suffix: int = 0  # the same after the patches: 1 for ViTConfig(class_token="last")

    def __post_init__(self):
        check_grid(self.grid)
        object.__setattr__(self, "grid", tuple(self.grid))
        require_int("prefix", self.prefix, 0)
        require_int("suffix", self.suffix, 0)

    @property
    def num_patches(self) -> int:
        return self.grid[0] * self.grid[1]

    @property
    def num_tokens(self) -> int:
        return self.prefix + self.num_patches + self.suffix

    @property
    def patches(self) -> slice:
        """The patches among the tokens: x[layout.patches] takes their rows of x (T, ...)."""
        return slice(self.prefix, self.prefix + self.num_patches)

    def __str__(self) -> str:
        others = [f"{n} {where}" for n, where in ((self.prefix, "before"), (self.suffix, "behind"))]
        return f"{self.grid[0]}x{self.grid[1]} patches, {' and '.join(others)}"


def find_layout(num_tokens: int, layout: TokenLayout | tuple[int, int] | None) -> TokenLayout:
    """The layout of `num_tokens` tokens.

    layout: a TokenLayout, which must fit; the grid (rows, columns); or None for a square grid. With
        the last two, one extra token is a class token that comes first, as in the paper,
        torchvision and timm.
    Raises ValueError when the counts do not fit.
    """
    if layout is None:
        counts = (num_tokens, num_tokens - 1)
        sides = [math.isqrt(n) for n in counts if n > 0 and math.isqrt(n) ** 2 == n]
        if not sides:
            tried = " and ".join(str(n) for n in counts)
            raise ValueError(
                f"{num_tokens} positions, {tried} of them for patches, make no square: "
                "give the grid (rows, columns), or a TokenLayout"
            )
        layout = (sides[0], sides[0])
    if not isinstance(layout, TokenLayout):
        rows, columns = check_grid(layout)
        layout = TokenLayout((rows, columns), prefix=int(num_tokens == rows * columns + 1))
    if num_tokens != layout.num_tokens:
        raise ValueError(
            f"{num_tokens} positions do not fit a grid of {layout.grid[0]}x{layout.grid[1]} = "
            f"{layout.num_patches} patches with {layout.prefix} tokens before and {layout.suffix} "
            f"behind them: that makes {layout.num_tokens}. Another number of tokens: "
            "TokenLayout(grid, prefix=..., suffix=...)"
        )
    return layout


def check_grid(grid: tuple[int, int]) -> tuple[int, int]:
    """`grid` as a tuple (rows, columns), or ValueError."""
    if not isinstance(grid, (tuple, list)) or len(grid) != 2:
        raise ValueError(
            f"grid is {grid!r}: give (rows, columns), the number of patches down and across"
        )
    require_int("rows of the grid", grid[0])
    require_int("columns of the grid", grid[1])
    return tuple(grid)
