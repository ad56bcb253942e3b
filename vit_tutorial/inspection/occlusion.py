"""Cover patches and watch the answer: a map that needs no attention, and the deletion test."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..common.validation import require_divides, require_rank

BATCH = 512  # images at a time


def cover(images: Tensor, chosen: Tensor, patch_size: int, fill: float | Tensor = 0.0) -> Tensor:
    """A copy of `images` (B, C, H, W) with the chosen patches filled.

    chosen: bool, (B, N) or (B, rows, columns), patches row by row. fill: the new value of their
        pixels, a number or a colour for each image (B, C, 1, 1). In normalised images 0 is the mean
        colour of the training images.
    Raises ValueError when the shapes do not fit.
    """
    rows, columns = _grid(images, patch_size)
    if chosen.dtype != torch.bool or chosen.numel() != len(images) * rows * columns:
        raise ValueError(
            f"{len(images)} images of {rows} x {columns} patches need one bool for each patch, "
            f"({len(images)}, {rows * columns}); got {tuple(chosen.shape)}, {chosen.dtype}"
        )
    pixels = chosen.reshape(-1, 1, rows, columns)
    for axis in (2, 3):
        pixels = pixels.repeat_interleave(patch_size, axis)  # in the end (B, 1, H, W)
    return torch.where(pixels, torch.as_tensor(fill, dtype=images.dtype).to(images.device), images)


@torch.no_grad()
def occlusion_map(
    model: nn.Module, images: Tensor, classes: Tensor, patch_size: int, fill: float = 0.0
) -> Tensor:
    """How far the logit of a class falls when each patch in turn is covered: (B, rows, columns).

    Below 0 where covering the patch makes the logit rise.
    images: (B, C, H, W), normalised. classes: (B,), whose logit, for each image. fill: as in
        `cover`.
    Source: Zeiler and Fergus 2014, section 4.2, where a probability is watched.
    Raises ValueError when the shapes do not fit.
    """
    rows, columns = _grid(images, patch_size)
    B, N = len(images), rows * columns
    if classes.shape != (B,):
        raise ValueError(f"{B} images need {B} classes, ({B},); got {tuple(classes.shape)}")
    each = torch.eye(N, dtype=torch.bool, device=images.device)
    falls = []
    for image, asked in zip(images[:, None], classes.tolist()):
        # The image as it is goes first: its logit then comes from the same batch as the others.
        tried = torch.cat([image, cover(image.expand(N, -1, -1, -1), each, patch_size, fill)])
        logits = torch.cat([model(some) for some in tried.split(BATCH)])[:, asked]
        falls.append(logits[0] - logits[1:])
    return torch.stack(falls).view(B, rows, columns)


@torch.no_grad()
def deletion_curve(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    maps: Tensor,
    counts: Sequence[int],
    patch_size: int,
    fill: float | Tensor = 0.0,
) -> list[float]:
    """The accuracy (0 to 1) after covering the patches that a map ranks highest, for each count.

    images: (B, C, H, W), normalised. labels: (B,). maps: (B, rows, columns), the highest first.
    counts: how many patches are covered, 0 to N. fill: as in `cover`.
    Source: Petsiuk et al. 2018 (RISE), section 4.2, there with the probability of the class.
    Raises ValueError when the shapes do not fit.
    """
    rows, columns = _grid(images, patch_size)
    if maps.shape != (len(images), rows, columns) or labels.shape != (len(images),):
        raise ValueError(
            f"{len(images)} images of {rows} x {columns} patches need labels ({len(images)},) and "
            f"maps ({len(images)}, {rows}, {columns}); got {tuple(labels.shape)} and "
            f"{tuple(maps.shape)}"
        )
    rank = maps.flatten(1).argsort(dim=1, descending=True).argsort(dim=1)  # 0 is the highest
    found = []
    for count in counts:
        covered = cover(images, rank < count, patch_size, fill)
        answers = torch.cat([model(some).argmax(dim=1) for some in covered.split(BATCH)])
        found.append((answers == labels).float().mean().item())
    return found


def _grid(images: Tensor, patch_size: int) -> tuple[int, int]:
    """(rows, columns) of patches."""
    require_rank("covering patches", "images", images, "B, C, H, W")
    require_divides(tuple(images.shape[2:]), patch_size)
    return images.shape[2] // patch_size, images.shape[3] // patch_size
