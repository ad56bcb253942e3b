"""Images made from a seed: five bright shapes on dark noise, in the upper or the lower half.

Ten classes, no download.
"""

import math

import torch

from ..common.validation import require_int
from .dataset import Split

SHAPES = ("disc", "square", "triangle", "cross", "ring")
# The label is 2 * shape + half.
CLASS_NAMES = tuple(f"{shape}, {half}" for shape in SHAPES for half in ("upper", "lower"))
SIDE = 32  # pixels


def make_shapes(count: int, seed: int, *, half: int | None = None) -> Split:
    """`count` images (count, 3, 32, 32), uint8, with labels, and the shapes' pixels as masks.

    Images come in pairs. 2i and 2i + 1 are the same draw: the second is the first rolled by 16
    rows, noise and all, so its shape lies in the lower half. For every patch size that divides 16,
    the two are made of exactly the same patches in a different order. A model that ignores the
    order gives both the same answer, so it is right on at most one of them: its ceiling is 50 %.
    Shapes take turns, so image n has label n % 10. half=0 gives `count` upper images only, half=1
    the same draws in the lower half.

    A shape has a radius of 5 to 6.5 pixels, lies entirely in its half, and has a random bright
    colour on a random dark background, with noise on both. The same count and seed give the same
    images. Raises ValueError for an odd count without a half.

    >>> made = make_shapes(4, seed=0)
    >>> [CLASS_NAMES[label] for label in made.labels]
    ['disc, upper', 'disc, lower', 'square, upper', 'square, lower']
    """
    require_int("count", count)
    require_int("seed", seed, minimum=0, maximum=2**62)
    if half is None and count % 2:
        raise ValueError(
            f"count is {count}: the images come in pairs, upper and lower, so ask for {count + 1}, "
            "or give half=0 or half=1"
        )
    if half not in (None, 0, 1):
        raise ValueError(f"half is {half!r}: 0 is the upper one, 1 the lower one, None gives both")
    if half is not None:
        images, masks, shape = _draw(count, seed)
        rows = SIDE // 2 * half
        return Split(images.roll(rows, dims=2), 2 * shape + half, masks.roll(rows, dims=1))
    images, masks, shape = _draw(count // 2, seed)
    labels = torch.stack([2 * shape, 2 * shape + 1], dim=1).flatten()
    return Split(_with_lower(images), labels, _with_lower(masks))


def _with_lower(upper: torch.Tensor) -> torch.Tensor:
    """(n, ..., 32, 32) -> (2n, ..., 32, 32): each one followed by its copy in the lower half."""
    lower = upper.roll(SIDE // 2, dims=-2)
    return torch.stack([upper, lower], dim=1).flatten(0, 1)


def _draw(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Upper images (count, 3, 32, 32), uint8; their masks (count, 32, 32); shapes (count,)."""
    draw = torch.Generator().manual_seed(seed)

    # Only uniform numbers: normal ones come from vectorised code, which differs between CPUs.
    def between(low: float, high: float, *size: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(count, *size, generator=draw)

    shape = torch.arange(count) % len(SHAPES)
    radius = between(5, 6.5)
    edge = radius + 0.5  # the soft rim reaches half a pixel further
    x = edge + (SIDE - 2 * edge) * between(0, 1)
    y = edge + (SIDE // 2 - 2 * edge) * between(0, 1)
    bright, dark = between(150, 255, 3, 1, 1), between(20, 70, 3, 1, 1)
    distance = rim_distance(shape, radius, x, y, SIDE)  # (count, 32, 32)
    cover = (0.5 - distance).clamp(0, 1)[:, None]  # 1 inside, 0 outside, in between on the rim
    images = dark + (bright - dark) * cover + between(-20, 20, 3, SIDE, SIDE)
    return images.round().clamp(0, 255).to(torch.uint8), distance < 0, shape


def rim_distance(
    shape: torch.Tensor, radius: torch.Tensor, x: torch.Tensor, y: torch.Tensor, side: int
) -> torch.Tensor:
    """Distance in pixels of each pixel's centre from the rim of its shape: (count, side, side).

    Negative inside. shape, radius and the middle (x, y): (count,) each. Outside a corner the
    distance is too small, which changes nothing at the rim.
    """
    centres = torch.arange(side) + 0.5
    out = torch.empty(len(shape), side, side)
    for number, name in enumerate(SHAPES):  # five shapes, each for all its images at once
        chosen = shape == number
        r = radius[chosen, None, None]
        dx = centres - x[chosen, None, None]  # (n, 1, side)
        dy = centres[:, None] - y[chosen, None, None]  # (n, side, 1)
        if name == "disc":
            d = (dx**2 + dy**2).sqrt() - r
        elif name == "square":
            d = torch.maximum(dx.abs(), dy.abs()) - 0.85 * r
        elif name == "triangle":  # equal sides, its corners at distance r, one of them on top
            d = torch.maximum(dy, math.sqrt(3) / 2 * dx.abs() - dy / 2) - r / 2
        elif name == "cross":
            bar = torch.maximum(dx.abs() - r, dy.abs() - 0.3 * r)
            d = torch.minimum(bar, torch.maximum(dy.abs() - r, dx.abs() - 0.3 * r))
        else:
            d = ((dx**2 + dy**2).sqrt() - 0.75 * r).abs() - 0.25 * r
        out[chosen] = d
    return out
