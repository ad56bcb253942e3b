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
    # The number of the class token among the T tokens; None where there is none, or nobody said.
    class_token: int | None = dataclasses.field(default=None, compare=False)

    def __post_init__(self):
        check_grid(self.grid)
        object.__setattr__(self, "grid", tuple(self.grid))
        require_int("prefix", self.prefix, 0)
        require_int("suffix", self.suffix, 0)
        if self.class_token is not None:
            require_int("class_token", self.class_token, 0)
            start, stop = self.prefix, self.prefix + self.num_patches
            if start <= self.class_token < stop or self.class_token >= self.num_tokens:
                raise ValueError(
                    f"class_token is {self.class_token}: with {self} tokens {start} to {stop - 1} "
                    f"are patches, and the last token is {self.num_tokens - 1}"
                )

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

    >>> str(find_layout(197, None))
    '14x14 patches, 1 before and 0 behind'
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
        extra = int(num_tokens == rows * columns + 1)
        layout = TokenLayout((rows, columns), extra, class_token=0 if extra else None)
    if num_tokens != layout.num_tokens:
        raise ValueError(
            f"{num_tokens} positions do not fit a grid of {layout.grid[0]}x{layout.grid[1]} = "
            f"{layout.num_patches} patches with {layout.prefix} tokens before and {layout.suffix} "
            f"behind them: that makes {layout.num_tokens}. Another number of tokens: "
            "TokenLayout(grid, prefix=..., suffix=...)"
        )
    return layout


def token_layout(
    model,
    image_size: tuple[int, int],
    num_tokens: int,
    layout: TokenLayout | tuple[int, int] | None = None,
) -> TokenLayout:
    """The layout of the `num_tokens` tokens that `model` makes of an image of (height, width).

    model: a ViT of this package, timm, torchvision or vit-pytorch, which say how they cut images;
        of another model `find_layout` takes `layout` or a square grid.
    Raises ValueError when the counts do not fit, or when the model has another layout than given.
    """
    own = _own_layout(model, image_size, num_tokens)
    if own is None:
        return find_layout(num_tokens, layout)
    if layout is not None and layout != (own if isinstance(layout, TokenLayout) else own.grid):
        raise ValueError(f"the model has {own}, and not {layout}: leave the layout out")
    return find_layout(num_tokens, own)


def _own_layout(model, image_size, num_tokens: int) -> TokenLayout | None:
    """What the model's own attributes say; None for a model of an unknown kind."""
    height, width = image_size
    if hasattr(config := getattr(model, "config", None), "class_token"):  # ours
        grid = height // config.patch_size, width // config.patch_size
        last, any_ = config.class_token == "last", config.num_class_tokens
        index = (grid[0] * grid[1] if last else 0) if any_ else None
        return TokenLayout(grid, any_ * (not last), any_ * last, index)
    if hasattr(model, "patch_embed") and hasattr(model, "num_prefix_tokens"):  # timm
        cut = model.patch_embed
        find = getattr(cut, "dynamic_feat_size", None)  # a stride, or padding, changes the count
        grid = tuple(find(image_size) if find else cut.grid_size)
        has_class = getattr(model, "cls_token", None) is not None
        return TokenLayout(grid, model.num_prefix_tokens, class_token=0 if has_class else None)
    if hasattr(model, "conv_proj") and hasattr(model, "class_token"):  # torchvision
        P = model.patch_size
        return TokenLayout((height // P, width // P), 1, class_token=0)
    if hasattr(model, "to_patch_embedding") and hasattr(model, "transformer"):  # vit-pytorch
        sides = getattr(model.to_patch_embedding[0], "axes_lengths", {})
        if not {"p1", "p2"} <= set(sides):
            return None
        grid = height // sides["p1"], width // sides["p2"]
        others = max(0, num_tokens - grid[0] * grid[1])
        if getattr(model, "register_tokens", None) is not None:  # packed behind the patches
            return TokenLayout(grid, 0, others)
        return TokenLayout(grid, others, class_token=0 if others else None)
    return None


def check_grid(grid: tuple[int, int]) -> tuple[int, int]:
    """`grid` as a tuple (rows, columns), or ValueError."""
    if not isinstance(grid, (tuple, list)) or len(grid) != 2:
        raise ValueError(
            f"grid is {grid!r}: give (rows, columns), the number of patches down and across"
        )
    require_int("rows of the grid", grid[0])
    require_int("columns of the grid", grid[1])
    return tuple(grid)
