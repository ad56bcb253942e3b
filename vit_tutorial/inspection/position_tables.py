"""Where a model keeps its position embeddings: ours, timm's and torchvision's, told apart by what they have."""

import torch
from torch import nn


def position_table(model: nn.Module) -> tuple[torch.Tensor, tuple[int, int], int]:
    """(table (T, D), grid (rows, columns), extra) of a ViT of this package, of timm or of torchvision.

    extra: rows that belong to no patch, as in `analysis.patch_rows`: class, distillation and register tokens that come first
    count positive, a class token that comes last is -1. Our positions in every layer: the first layer's table.
    Raises ValueError for a model that adds no table to its tokens, with what it has instead.
    """
    if hasattr(model, "config") and hasattr(model, "position"):
        return _ours(model)
    if hasattr(model, "patch_embed") and hasattr(model, "pos_embed"):  # timm
        if model.pos_embed is None:
            raise ValueError(
                f"this {type(model).__name__} has no table of positions (pos_embed is None): rotary or relative ones?"
            )
        grid = tuple(model.patch_embed.grid_size)
        return _rows(model.pos_embed), grid, model.pos_embed.shape[-2] - grid[0] * grid[1]
    encoder = getattr(model, "encoder", None)
    if isinstance(
        getattr(encoder, "pos_embedding", None), torch.Tensor
    ):  # torchvision: square images, class token first
        side = model.image_size // model.patch_size
        return _rows(encoder.pos_embedding), (side, side), 1
    raise ValueError(
        f"no table of positions found in a {type(model).__module__}.{type(model).__qualname__}: known are the ViTs of this "
        "package, timm and torchvision. Of another, pass the table itself, a tensor (T, D)"
    )


def _ours(model) -> tuple[torch.Tensor, tuple[int, int], int]:
    config = model.config
    layers = getattr(getattr(model, "encoder", None), "positions", ())
    tables = [p.table for p in (model.position, *layers) if hasattr(p, "table")]
    if not tables:
        raise ValueError(
            f"this model has no table of positions: its position is {getattr(config, 'position', None)!r}"
        )
    extra = tables[0].shape[-2] - config.num_patches
    return _rows(tables[0]), config.grid, -extra if config.class_token == "last" else extra


def _rows(table: torch.Tensor) -> torch.Tensor:
    return table.detach().reshape(table.shape[-2:])
