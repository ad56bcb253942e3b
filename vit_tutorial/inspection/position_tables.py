"""Where a model keeps its positions. The one place that knows: everything else gets tensors.

It knows the models and position embeddings of this package (and a learner's own with the same
attributes), the ViTs of timm, torchvision and vit-pytorch, and plain tensors.
"""

import dataclasses

import torch

from .analysis import as_table
from .layout import TokenLayout, find_layout


@dataclasses.dataclass(frozen=True)
class PositionTable:
    """Vectors that are added to the tokens."""

    table: torch.Tensor  # (T, D), float32 on the CPU
    layout: TokenLayout

    @property
    def patches(self) -> torch.Tensor:
        """The patches' rows, (N, D)."""
        return self.table[self.layout.patches]


@dataclasses.dataclass(frozen=True)
class RelativePositions:
    """Numbers that are added to the scores of attention."""

    bias: torch.Tensor  # (h, T, T), float32 on the CPU: head, query's token, key's token
    layout: TokenLayout


@dataclasses.dataclass(frozen=True)
class RotaryPositions:
    """Angles by which pairs of entries of queries and keys are rotated."""

    cos: torch.Tensor  # (T, d/2), float32 on the CPU: one angle for each pair
    sin: torch.Tensor
    layout: TokenLayout


Positions = PositionTable | RelativePositions | RotaryPositions


def all_positions(source, layout: TokenLayout | tuple[int, int] | None = None) -> list[Positions]:
    """Every position embedding of `source`, in the order in which tokens meet them; [] for none.

    source: a model, a position embedding of this package (`make_position`), or a tensor (T, D) or
        (1, T, D). The tensors returned may share memory with it: clone what must not change.
    layout: for a tensor, a position embedding or a vit-pytorch model, which do not know theirs:
        as in `analysis.patch_rows`. A model that knows its layout refuses another one.
    Raises ValueError when the counts do not fit, or for something that is none of these.
    """
    if isinstance(source, torch.Tensor):
        return [_table(source, layout)]
    if hasattr(source, "config") and hasattr(source, "position"):
        return _ours(source, layout)
    if hasattr(source, "patch_embed") and hasattr(source, "pos_embed"):
        return _timm(source, layout)
    if _has_tensors(getattr(source, "encoder", None), "pos_embedding"):
        return _torchvision(source, layout)
    if _has_tensors(source, "pos_embedding") and hasattr(source, "to_patch_embedding"):
        return [_table(source.pos_embedding, layout)]  # vit-pytorch: it keeps no grid
    if found := _read(source, layout):
        return [found]
    raise ValueError(
        f"no table of positions found in a {type(source).__module__}.{type(source).__qualname__}: "
        "known are the ViTs of this package, timm, torchvision and vit-pytorch. Of another, pass "
        "the table itself, a tensor (T, D)"
    )


def find_positions(source, layout: TokenLayout | tuple[int, int] | None = None) -> Positions:
    """The first of `all_positions`. Raises ValueError when there is none."""
    found = all_positions(source, layout)
    if not found:
        raise ValueError(f"this model has no positions: its position is {_kind(source)}")
    return found[0]


def position_table(source, layout: TokenLayout | tuple[int, int] | None = None) -> PositionTable:
    """The first table of `all_positions`: of positions in every layer, the first layer's.

    Raises ValueError for a model that adds no table to its tokens, with what it has instead.
    """
    for found in all_positions(source, layout):
        if isinstance(found, PositionTable):
            return found
    raise ValueError(f"this model has no table of positions: its position is {_kind(source)}")


def _ours(model, layout) -> list[Positions]:
    config = model.config
    modules = (model.position, *getattr(getattr(model, "encoder", None), "positions", ()))
    modules = [module for module in modules if _num_tokens(module)]
    if not modules:
        return []
    # A table may leave the class token out (position_class_token=False): its own length decides.
    others = _num_tokens(modules[0]) - config.num_patches
    last = config.class_token == "last"
    own = TokenLayout(config.grid, 0 if last else others, others if last else 0)
    return [_read(module, _agreed(own, layout)) for module in modules]


def _timm(model, layout) -> list[Positions]:
    if not isinstance(model.pos_embed, torch.Tensor):
        is_now = "None" if model.pos_embed is None else f"a {type(model.pos_embed).__name__}"
        raise ValueError(
            f"this {type(model).__name__} has no table of positions (pos_embed is {is_now}): "
            "rotary, relative or computed ones?"
        )
    if not hasattr(model.patch_embed, "grid_size") or model.pos_embed.ndim > 3:
        raise ValueError(
            f"this {type(model).__name__} has positions of shape {tuple(model.pos_embed.shape)}, "
            "not one row for each token. Pass the table itself, a tensor (T, D)"
        )
    # num_prefix_tokens counts register tokens, which may have no row in the table
    grid = tuple(model.patch_embed.grid_size)
    own = TokenLayout(grid, prefix=model.pos_embed.shape[-2] - grid[0] * grid[1])
    return [_table(model.pos_embed, _agreed(own, layout))]


def _torchvision(model, layout) -> list[Positions]:
    side = model.image_size // model.patch_size  # its images are square
    own = TokenLayout((side, side), prefix=1)
    return [_table(model.encoder.pos_embedding, _agreed(own, layout))]


def _agreed(own: TokenLayout, given) -> TokenLayout:
    """The model's layout, or a ValueError when the caller gave another one."""
    expected = own if isinstance(given, TokenLayout) else own.grid
    if given is not None and given != expected:
        raise ValueError(f"the model has {own}, and not {given}: leave the layout out")
    return own


def _read(position, layout) -> Positions | None:
    """A position embedding of this package, recognised by its tensors; None for anything else."""
    if not (tokens := _num_tokens(position)):
        return None
    if hasattr(position, "table"):
        return _table(position.table, layout)
    layout = find_layout(tokens, layout)
    if hasattr(position, "index"):
        bias = position.bias.detach().float().cpu()[:, position.index.cpu()]  # (h, T, T)
        return RelativePositions(bias, layout)
    cos, sin = (values.detach().float().cpu() for values in (position.cos, position.sin))
    return RotaryPositions(cos, sin, layout)


def _table(table: torch.Tensor, layout) -> PositionTable:
    rows = as_table(table)
    return PositionTable(rows, find_layout(len(rows), layout))


def _num_tokens(position) -> int:
    """T, the number of tokens of a position embedding of this package; 0 for anything else."""
    for names in (("table",), ("index", "bias"), ("cos", "sin")):
        if _has_tensors(position, *names):
            return getattr(position, names[0]).shape[-2]
    return 0


def _has_tensors(thing, *names: str) -> bool:
    return all(isinstance(getattr(thing, name, None), torch.Tensor) for name in names)


def _kind(model) -> str:
    """What the configuration calls the positions, in quotes."""
    return repr(getattr(getattr(model, "config", None), "position", None))
