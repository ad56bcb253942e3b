"""Scenes made from a seed: one to five bright shapes that may overlap, with their boxes."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..common.validation import require_int
from .shapes import SHAPES, rim_distance

SIDE = 48  # pixels
MOST = 5  # shapes in a scene
NO_OBJECT = len(SHAPES)  # the label of a place in the lists that holds no shape
# How far each shape reaches from its middle, in radii: left, up, right, down.
_REACH = torch.ones(len(SHAPES), 4)
_REACH[SHAPES.index("square")] = 0.85
_REACH[SHAPES.index("triangle")] = torch.tensor([0.75**0.5, 1, 0.75**0.5, 0.5])


@dataclass(frozen=True)
class Scenes:
    """n scenes and what is in them. `scenes[:100]` and other slices give fewer."""

    images: Tensor  # (n, 3, 48, 48), uint8
    # (n, 5, 4): middle x, middle y, width, height, as shares of the side; zeros for no shape
    boxes: Tensor
    labels: Tensor  # (n, 5): the number of the shape in SHAPES, or NO_OBJECT, which comes last
    # (n, 48, 48), uint8: k where the shape of list entry k - 1 is seen, 0 for the background
    instances: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, chosen) -> "Scenes":
        return Scenes(*(part[chosen] for part in vars(self).values()))


def make_scenes(count: int, seed: int) -> Scenes:
    """`count` scenes of 48 x 48 pixels with one to five shapes each; the same for the same seed.

    Shapes, colours and noise are those of `make_shapes`; the radius is 4 to 8 pixels. Each shape
    lies wholly inside the image. One may cover another, but at least half of each stays visible: of
    a shape that would be covered further, nothing is drawn. A box surrounds the whole shape, also
    where it is covered. The order of the list says nothing: neither place, nor class, nor depth.

    >>> scenes = make_scenes(2, seed=0)
    >>> scenes.images.shape, scenes.boxes.shape, scenes.labels.shape
    (torch.Size([2, 3, 48, 48]), torch.Size([2, 5, 4]), torch.Size([2, 5]))
    """
    require_int("count", count)
    require_int("seed", seed, minimum=0, maximum=2**62)
    draw = torch.Generator().manual_seed(seed)
    # Few at once: what is drawn for each pixel then stays in the processor's cache.
    parts = [_draw(min(100, count - done), draw) for done in range(0, count, 100)]
    return Scenes(*map(torch.cat, zip(*parts)))


def normalise(images: Tensor) -> Tensor:
    """Images (n, 3, 48, 48), uint8 -> float32 around 0, about -1 to 3, what a model takes."""
    return images.float() / 64 - 1


def _draw(count: int, draw: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The four tensors of `count` scenes."""

    # Only uniform numbers: normal ones come from vectorised code, which differs between CPUs.
    def between(low: float, high: float, *size: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *size, generator=draw)

    shape = torch.randint(len(SHAPES), (count, MOST), generator=draw)
    wanted = torch.randint(1, MOST + 1, (count, 1), generator=draw)
    radius = between(4, 8, MOST)
    edge = radius + 0.5  # the soft rim reaches half a pixel further
    x, y = (edge + (SIDE - 2 * edge) * between(0, 1, MOST) for _ in range(2))
    bright, dark = between(150, 255, MOST, 3, 1, 1), between(20, 70, 3, 1, 1)
    each = (part.flatten() for part in (shape, radius, x, y))
    distance = rim_distance(*each, SIDE).view(count, MOST, SIDE, SIDE)

    # From the nearest shape to the farthest: which ones are seen well enough to be drawn?
    drawn = torch.arange(MOST) < wanted  # (count, 5)
    nearest = torch.zeros(count, SIDE, SIDE, dtype=torch.uint8)
    for k in range(MOST):
        inside = distance[:, k] < 0
        seen = inside & (nearest == 0)
        drawn[:, k] &= 2 * seen.sum((1, 2)) >= inside.sum((1, 2))
        nearest[seen & drawn[:, k, None, None]] = k + 1
    # From the farthest to the nearest: paint.
    images = dark.expand(-1, 3, SIDE, SIDE).clone()
    for k in reversed(range(MOST)):
        cover = (0.5 - distance[:, k]).clamp(0, 1) * drawn[:, k, None, None]
        images += cover[:, None] * (bright[:, k] - images)
    images += between(-20, 20, 3, SIDE, SIDE)

    reach = _REACH[shape] * radius[..., None]
    left, up, right, down = (reach * torch.tensor([-1, -1, 1, 1])).unbind(-1)
    boxes = torch.stack([x + (left + right) / 2, y + (up + down) / 2, right - left, down - up], -1)
    # A random order, the shapes that are drawn first.
    order = (torch.rand(count, MOST, generator=draw) + ~drawn).argsort(dim=1)
    drawn = drawn.gather(1, order)
    boxes = (boxes / SIDE).gather(1, order[..., None].expand(-1, -1, 4)) * drawn[..., None]
    labels = torch.where(drawn, shape.gather(1, order), NO_OBJECT)
    place = torch.nn.functional.pad(order.argsort(dim=1) + 1, (1, 0)).to(torch.uint8)
    instances = place.gather(1, nearest.flatten(1).long()).view_as(nearest)
    return images.round().clamp(0, 255).to(torch.uint8), boxes, labels, instances
