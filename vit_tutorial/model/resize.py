"""The same weights for another image size: what becomes of each kind of position."""

import dataclasses

import torch
import torch.nn.functional as F
from torch import nn

from . import Learned2D, PositionEmbedding, RelativeBias, VisionTransformer, ViTConfig


def resize_model(model: VisionTransformer, image_size: int | tuple[int, int]) -> VisionTransformer:
    """A copy of `model` for images of another size, in pixels: a side or (H, W). The patch size stays, so the grid changes.

    Learned tables are interpolated on the grid (bicubic, as in the paper's section 3.2 and in timm; learned_2d along its two
    lines, relative on the grid of offsets); the class token's rows stay. Sinusoidal and rotary positions are computed for the
    new grid: row 9 is simply further along the wave than row 8. Without positions there is nothing to do.
    Same dtype, device and mode. Raises ValueError when the patch size does not divide the new size.
    """
    old = model.config
    config = dataclasses.replace(old, image_size=image_size)
    with torch.random.fork_rng(
        devices=[]
    ):  # the random start is overwritten: leave the generator as it was
        resized = VisionTransformer(config)
    first = next(model.parameters())
    resized.to(first.device, first.dtype)
    slots, places = resized.state_dict(), ("position.", "encoder.positions.")
    for name, value in model.state_dict().items():
        if not name.startswith(places):
            slots[name].copy_(value)
    with torch.no_grad():
        for theirs, ours in zip(
            [model.position, *model.encoder.positions],
            [resized.position, *resized.encoder.positions],
        ):
            _resize_positions(theirs, ours, old, config)
    return resized.train(model.training)


def _resize_positions(source: nn.Module, target: nn.Module, old: ViTConfig, new: ViTConfig) -> None:
    """Fill one position embedding for the new grid from one for the old; waves are in place already."""
    if isinstance(source, RelativeBias):
        target.bias.copy_(source.bias if old.grid == new.grid else _bias(source.bias, old, new))
    elif isinstance(source, Learned2D):
        target.rows.copy_(_line(source.rows, new.grid[0]))
        target.columns.copy_(_line(source.columns, new.grid[1]))
        target.token.copy_(source.token)
    elif isinstance(source, PositionEmbedding) and old.position == "learned_1d":
        target.table.copy_(source.table if old.grid == new.grid else _table(source.table, old, new))


def _table(table: torch.Tensor, old, new) -> torch.Tensor:
    """(1, T, D) -> (1, T', D): the patches' rows as an image with D channels, made larger or smaller."""
    extra = table.shape[1] - old.num_patches
    first = extra if old.class_token == "first" else 0
    token, patches = (
        (table[:, :first], table[:, first:])
        if first
        else (table[:, old.num_patches :], table[:, : old.num_patches])
    )
    image = patches.transpose(1, 2).unflatten(2, old.grid)  # (1, D, R, C)
    patches = _resized(image, new.grid).flatten(2).transpose(1, 2)  # (1, N', D)
    return torch.cat([token, patches] if old.class_token == "first" else [patches, token], dim=1)


def _line(vectors: torch.Tensor, length: int) -> torch.Tensor:
    """(R, D/2) -> (R', D/2), along the one line that these positions form."""
    if len(vectors) == length:
        return vectors
    image = vectors.T[None, :, :, None]  # (1, D/2, R, 1)
    return _resized(image, (length, 1))[0, :, :, 0].T


def _bias(bias: torch.Tensor, old, new) -> torch.Tensor:
    """(h, offsets) -> (h, offsets'): the grid of offsets (2R-1, 2C-1) resized; the class token's three numbers stay."""
    sides = [tuple(2 * side - 1 for side in config.grid) for config in (old, new)]
    number = sides[0][0] * sides[0][1]
    image = bias[:, :number].unflatten(1, sides[0])[None]  # (1, h, 2R-1, 2C-1)
    return torch.cat([_resized(image, sides[1])[0].flatten(1), bias[:, number:]], dim=1)


def _resized(image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """(1, D, R, C) -> (1, D, *size)."""
    if (
        image.shape[3] == size[1] == 1
    ):  # torch leaves the height of an image one pixel wide as it is: lay the line on its side
        return _resized(image.mT, (1, size[0])).mT if image.shape[2] != 1 or size[0] != 1 else image
    return F.interpolate(
        image.float(), size=size, mode="bicubic", align_corners=False, antialias=True
    ).to(image.dtype)
