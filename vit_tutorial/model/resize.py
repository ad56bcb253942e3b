"""The same weights for another image size: what happens to each kind of position."""

import dataclasses
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..common.validation import require_divides
from .config import ViTConfig
from .position_utils import insert_class_token, split_class_token
from .positions import Learned2D, PositionEmbedding
from .relative import RelativeBias


def require_dynamic(config: ViTConfig, image_size: tuple[int, int]) -> None:
    """Raise ValueError unless a model of `config` can take images of `image_size` (H, W) as it is.

    Positions that were added once, at the stem, can be resampled. Those inside the encoder belong
    to one number of patches.
    """
    require_divides(image_size, config.patch_size)
    if image_size != config.image_size and config.position_site != "stem":
        (rows, columns), (height, width) = config.grid, image_size
        raise ValueError(
            f"this model has {config.position} positions in its layers, made for {rows} x "
            f"{columns} patches; images of {height}x{width} need a position that is added at the "
            "stem (learned or sinusoidal), or a copy for that size (resize_model)"
        )


def position_for(
    position: nn.Module, config: ViTConfig, image_size: tuple[int, int]
) -> Callable[[Tensor], Tensor]:
    """What adds positions to tokens of images (H, W): `position`, or its table on their own grid.

    Gradients flow back to the table on the full grid; the row of the class token stays. timm has
    the same as dynamic_img_size. Raises as `require_dynamic` does.
    """
    image_size = tuple(map(int, image_size))  # a trace has tensors for sizes
    require_dynamic(config, image_size)
    grid = tuple(side // config.patch_size for side in image_size)
    if grid == config.grid or config.position == "none":
        return position
    # Why one model can read both: in a smaller copy of an image the same patch embedding sees
    # coarser patches, and each gets the position of the same place in the image on the full grid.
    table = _resize_table(position.table, config, grid, "bilinear")
    return lambda tokens: tokens + table


def resize_model(model: nn.Module, image_size: int | tuple[int, int]) -> nn.Module:
    """A copy of the VisionTransformer `model` for images of another size, in pixels: a side or (H,
    W).

    The patch size stays, so the grid changes, and with it the positions:
    - Learned tables are interpolated on the grid (bicubic, as in the paper's section 3.2 and in
      timm): learned_1d as a whole, learned_2d along its two lines, relative on the grid of offsets.
      The rows of the class token stay as they are.
    - Sinusoidal and rotary positions are recomputed: a ninth row is one step further along the wave
      than the eighth.
    The copy has the dtype, device and mode of `model`, and the same parameters frozen. Raises
    ValueError when the patch size does not divide the new size, or for another library's model.
    """
    if not isinstance(getattr(model, "config", None), ViTConfig):
        raise ValueError(
            f"resize_model takes a VisionTransformer of this package, got {type(model).__name__}: "
            "interop.load_from makes one of another library's"
        )
    old = model.config
    new = dataclasses.replace(old, image_size=image_size)
    with torch.random.fork_rng(devices=[]):  # the random start is overwritten: draw nothing
        resized = type(model)(new)
    first = next(model.parameters())
    resized.to(first.device, first.dtype)
    slots = resized.state_dict()  # these share their memory with the parameters
    for name, value in model.state_dict().items():
        if not name.startswith(("position.", "encoder.positions.")):
            slots[name].copy_(value)
    sources = [model.position, *model.encoder.positions]
    targets = [resized.position, *resized.encoder.positions]
    with torch.no_grad():
        for source, target in zip(sources, targets):
            _resize_positions(source, target, old, new)
    for old_parameter, parameter in zip(model.parameters(), resized.parameters()):
        parameter.requires_grad_(old_parameter.requires_grad)  # what was frozen stays frozen
    return resized.train(model.training)


def _resize_positions(source: nn.Module, target: nn.Module, old: ViTConfig, new: ViTConfig) -> None:
    """Fill one position embedding for the new grid from one for the old; sines need nothing."""
    if isinstance(source, RelativeBias):
        target.bias.copy_(_resize_bias(source.bias, old, new))
    elif isinstance(source, Learned2D):
        target.rows.copy_(_resize_line(source.rows, new.grid[0]))
        target.columns.copy_(_resize_line(source.columns, new.grid[1]))
        target.token.copy_(source.token)
    elif isinstance(source, PositionEmbedding) and old.position == "learned_1d":
        target.table.copy_(_resize_table(source.table, old, new.grid))


def _resize_table(
    table: Tensor, config: ViTConfig, grid: tuple[int, int], mode: str = "bicubic"
) -> Tensor:
    """(1, T, D) -> (1, T', D): the rows of the patches seen as an image with D channels."""
    if config.grid == grid:
        return table
    patches, token = split_class_token(config, table, config.num_class_positions)
    image = patches.transpose(1, 2).unflatten(2, config.grid)  # (1, N, D) -> (1, D, R, C)
    patches = _interpolate(image, grid, mode).flatten(2).transpose(1, 2)  # (1, N', D)
    return insert_class_token(config, patches, token)


def _resize_line(vectors: Tensor, length: int) -> Tensor:
    """(R, D/2) -> (R', D/2), interpolated along the line that these vectors form."""
    if len(vectors) == length:
        return vectors
    image = vectors.T[None, :, :, None]  # (1, D/2, R, 1)
    return _interpolate(image, (length, 1))[0, :, :, 0].T


def _resize_bias(bias: Tensor, old: ViTConfig, new: ViTConfig) -> Tensor:
    """(h, offsets) -> (h, offsets'): the offsets (2R-1, 2C-1) seen as an image with h channels.

    The three numbers of the class token, which follow the offsets, stay as they are.
    """
    if old.grid == new.grid:
        return bias
    before, after = (tuple(2 * side - 1 for side in config.grid) for config in (old, new))
    offsets, token = bias[:, : before[0] * before[1]], bias[:, before[0] * before[1] :]
    image = offsets.unflatten(1, before)[None]  # (1, h, 2R-1, 2C-1)
    return torch.cat([_interpolate(image, after)[0].flatten(1), token], dim=1)


def _interpolate(image: Tensor, size: tuple[int, int], mode: str = "bicubic") -> Tensor:
    """(1, D, R, C) -> (1, D, *size), with antialiasing, computed in float32."""
    if image.shape[2:] == size == (1, 1):
        return image
    if image.shape[3] == size[1] == 1:
        # torch 2.15 does not resize the height of an image one pixel wide: lay it on its side.
        return _interpolate(image.mT, (1, size[0]), mode).mT
    options = dict(mode=mode, align_corners=False, antialias=True)
    return F.interpolate(image.float(), size=size, **options).to(image.dtype)
