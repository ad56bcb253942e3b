"""Augmentation of a whole batch at once, on the device that holds it.

Each function draws all its random numbers from a `generator`. With shard=(first, batch_size) the
images are rows first, first + 1, ... of a batch of `batch_size` images, of which other processes
hold the rest. Numbers are drawn for the whole batch, and those for the other rows are thrown away,
so several processes with equal generators do together what one would do alone.

No function waits for the device. No random number is read back from it, and no shape depends on
one: what differs from image to image is computed for all and chosen by torch.where or gather.
"""

import hashlib
import math

import torch

from ..common.validation import require_int, require_rank
from .rand_augment import OPERATIONS, apply_operations


def flip_and_shift(
    images: torch.Tensor,
    shift: int = 4,
    flip: bool = True,
    generator: torch.Generator | None = None,
    shard: tuple[int, int] | None = None,
) -> torch.Tensor:
    """Images (B, C, H, W), uint8 or float, mirrored at random and moved by a few pixels.

    Each image is mirrored left to right with probability 1/2 (if `flip`) and moved by -shift..shift
    pixels down and to the right, all drawn separately. Dtype and device are kept.
    Pixels that move in from outside are the image's own, reflected at the border (without repeating
    it), not black: a model could learn a black rim. The usual "random crop with padding 4" is
    shift=4 with zeros instead.

    generator: the same seed gives the same batch. Best on the images' device, so nothing waits.
    Raises ValueError for a rank other than 4, for a shift that is negative or not smaller than the
    sides, or for a shard that does not hold the images.
    """
    rows, batch_size, device = _prepare("flip_and_shift", images, generator, shard)
    B, C, H, W = images.shape
    require_int("shift", shift, minimum=0)
    if shift >= min(H, W):
        raise ValueError(
            f"shift is {shift}, the images are {H}x{W}: it must be smaller than both sides"
        )
    draw = dict(generator=generator, device=device)
    shifts = torch.randint(-shift, shift + 1, (2, batch_size, 1), **draw)
    mirrored = torch.randint(0, 2, (batch_size, 1), **draw)
    down, right = shifts[:, rows].to(images.device)  # (B, 1) each
    mirrored = mirrored[rows].to(images.device, torch.bool) & flip  # (B, 1)
    # A loop over images would start thousands of small kernels. Instead, compute for every pixel of
    # the result which pixel of its image it comes from, and fetch them all with one gather.
    # Flip, shift and reflection act on rows and columns separately, so two short lists suffice.
    y = _reflect(torch.arange(H, device=images.device) - down, H)  # (B, H)
    x = _reflect(torch.arange(W, device=images.device) - right, W)  # (B, W)
    x = torch.where(mirrored, W - 1 - x, x)
    source = y[:, :, None] * W + x[:, None, :]  # (B, H, W), places in an image laid out in one row
    source = source.view(B, 1, H * W).expand(B, C, H * W)  # the same for all channels
    # One gather over H*W is 7 times as fast as indexing with images[n, :, y, x].
    return images.reshape(B, C, H * W).gather(2, source).view(B, C, H, W)


def rand_augment(
    images: torch.Tensor,
    operations: int = 2,
    magnitude: float = 9,
    generator: torch.Generator | None = None,
    shard: tuple[int, int] | None = None,
) -> torch.Tensor:
    """RandAugment (Cubuk et al. 2020): `operations` of 14 operations, one after the other.

    images: (B, C, H, W), uint8, C 1 or 3; the result is of the same kind.
    magnitude: 0..10, how strong. 10 is the end of each range (`rand_augment.matrix` and `colour`
        name them). 0 changes nothing, except through autocontrast and equalize, which have no
        strength. This is the scale of the paper's code and of timm ("m9"). torchvision counts in 31
        bins, so its default of 9 is 3 on this scale. The direction (left or right, darker or
        brighter) is drawn for each image.

    Which operation an image gets depends on its position p in the batch: number (p + offset) % 14,
    with an `offset` drawn for each round. Batches are in random order, so each image gets each
    operation equally often, as if it were drawn for the image alone. And since the offset is known
    on the host, nothing waits to learn how many images an operation gets. Best for batches of many
    times 14 images.

    From a generator on the CPU the offset is drawn like everything else. From one on a GPU it is
    computed from the generator's state (seed and position, which the host keeps), without waiting.
    Either way, restoring a saved state repeats all of it.
    Raises ValueError for images of another kind, for operations below 0, for a magnitude outside
    0..10, or for a shard that does not hold the images.
    """
    rows, batch_size, device = _prepare("rand_augment", images, generator, shard)
    if images.dtype != torch.uint8 or images.shape[1] not in (1, 3):
        raise ValueError(
            "rand_augment takes uint8 images, 0..255, of 1 or 3 channels; "
            f"got {images.dtype}, {images.shape[1]} channels"
        )
    require_int("operations", operations, minimum=0)
    _require_range("magnitude", magnitude, 10)
    for _ in range(operations):
        offset = _draw_on_host(len(OPERATIONS), generator)
        side = torch.randint(0, 2, (batch_size,), generator=generator, device=device)
        sign = 2 * side[rows].to(images.device, torch.float32) - 1  # (B,), -1 or 1
        images = apply_operations(images, sign, magnitude / 10, rows.start + offset)
    return images


def cutmix(
    images: torch.Tensor,
    labels: torch.Tensor,
    num_classes: int,
    probability: float = 1.0,
    alpha: float = 1.0,
    generator: torch.Generator | None = None,
    shard: tuple[int, int] | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """CutMix (Yun et al. 2019): a box of a partner's pixels in each image, labels in proportion.

    images: (B, C, H, W), uint8 or float. labels: (B,), int64.
    probability: 0..1, that an image is cut. alpha: above 0; the box has an area of
        1 - Beta(alpha, alpha) of the image before it is clipped, and its centre can be anywhere.
    Returns images of the same dtype, and targets (B, num_classes), float32: the shares of the
    pixels, counted after the box was clipped at the border, so each row sums to 1.

    Images 0 and 1 are partners, then 2 and 3, and so on; an odd last image stays whole. Batches are
    in random order, so a neighbour is a random partner. Each image draws its own box (the paper and
    torchvision have one box for the whole batch).
    Raises ValueError for images or labels that do not fit, for a probability or alpha outside its
    range, for labels outside 0..num_classes-1 (checked on the CPU only), or for a shard that does
    not hold the images or separates two partners.
    """
    rows, batch_size, device = _prepare("cutmix", images, generator, shard)
    B, _, H, W = images.shape
    _check_labels(labels, B, num_classes)
    _require_range("probability", probability, 1)
    if not 0 < alpha < math.inf:
        raise ValueError(
            f"alpha is {alpha!r}: it must be above 0 (1 makes every area equally likely)"
        )
    if rows.start % 2 or (rows.stop % 2 and rows.stop != batch_size):
        raise ValueError(
            f"rows {rows.start} to {rows.stop - 1} of {batch_size} part two partners: a shard for "
            "cutmix begins and ends at an even row. Take a batch that is an even number of images "
            "for each process"
        )
    draws = torch.rand(5, batch_size, generator=generator, device=device).to(images.device)
    chance, u, v, centre_y, centre_x = draws  # (batch_size,) each
    side = (1 - _symmetric_beta(alpha, u, v)).sqrt()  # of the box, as a share of the image's
    top, bottom = (edge[rows, None] for edge in _box_edges(centre_y, side, H))  # (B, 1) each
    left, right = (edge[rows, None] for edge in _box_edges(centre_x, side, W))
    # Boxes differ in size, so they are not sliced: a mask over all pixels says which are inside.
    y, x = (torch.arange(length, device=images.device) for length in (H, W))
    tall = (y >= top) & (y < bottom) & (chance[rows, None] < probability)  # (B, H)
    wide = (x >= left) & (x < right)  # (B, W)
    partner = (torch.arange(B, device=images.device) ^ 1).clamp_(max=B - 1)  # 1, 0, 3, 2, ...
    inside = tall[:, None, :, None] & wide[:, None, None, :]  # (B, 1, H, W)
    mixed = torch.where(inside, images[partner], images)
    foreign = (tall.sum(1) * wide.sum(1))[:, None]  # (B, 1), pixels of the partner
    own = labels[:, None] == torch.arange(num_classes, device=labels.device)  # (B, num_classes)
    return mixed, ((H * W - foreign) * own + foreign * own[partner]) / (H * W)


def _check_labels(labels: torch.Tensor, B: int, num_classes: int) -> None:
    if labels.shape != (B,) or labels.dtype != torch.int64:
        raise ValueError(
            f"{B} images need labels ({B},), int64; got {tuple(labels.shape)}, {labels.dtype}"
        )
    require_int("num_classes", num_classes)
    # On a GPU this check would wait for the labels.
    if B and labels.device.type == "cpu" and not 0 <= labels.min() <= labels.max() < num_classes:
        raise ValueError(
            f"labels {labels.min()}..{labels.max()}, but num_classes is {num_classes}: they must "
            f"be 0..{num_classes - 1}"
        )


def _box_edges(
    centre: torch.Tensor, side: torch.Tensor, length: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """First pixel of a box and the first one after it, along one axis, clipped at the border.

    centre and side in 0..1, (n,). Rounded to whole pixels as in the paper's code.
    """
    half = (side * length).floor_() // 2
    middle = (centre * length).floor_().clamp_(max=length - 1)
    return (middle - half).clamp_(min=0), (middle + half).clamp_(max=length)


def _symmetric_beta(alpha: float, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Draws from Beta(alpha, alpha), for u and v uniform in 0..1.

    torch.distributions takes no generator. Bailey 1994 (Polar generation of random variates with
    the t-distribution) gives T from u and v, and T / sqrt(2 alpha + T^2) is such a draw, stretched
    to -1..1.
    """
    s, c = u.pow(1 / alpha), (2 * math.pi * v).cos()
    return (0.5 + 0.5 * c * ((1 - s) / (s + (1 - s) * c.square())).sqrt()).clamp_(0, 1)


def _draw_on_host(count: int, generator: torch.Generator | None) -> int:
    """A random whole number below `count`, without waiting for a device; see rand_augment."""
    if generator is None or generator.device.type == "cpu":
        return int(torch.randint(count, (), generator=generator))
    # A generator's state is on the CPU for every device. Its position grows with each draw on the
    # device, so each round gets a different hash.
    state = generator.get_state().numpy().tobytes()
    return int.from_bytes(hashlib.blake2b(state, digest_size=8).digest(), "little") % count


def _prepare(
    name: str,
    images: torch.Tensor,
    generator: torch.Generator | None,
    shard: tuple[int, int] | None,
) -> tuple[slice, int, torch.device]:
    """(the rows of the batch that `images` are, the batch size, the device to draw on), checked."""
    require_rank(name, "images", images, "B, C, H, W")
    first, batch_size = shard or (0, len(images))
    require_int("the first row of the shard", first, minimum=0)
    require_int("the batch size of the shard", batch_size, minimum=0)
    rows = slice(first, first + len(images))
    if rows.stop > batch_size:
        raise ValueError(
            f"shard is ({first}, {batch_size}) for {len(images)} images: a batch of {batch_size} "
            f"has no rows {first} to {rows.stop - 1}"
        )
    return rows, batch_size, images.device if generator is None else generator.device


def _require_range(what: str, value: float, top: int) -> None:
    if not 0 <= value <= top:
        raise ValueError(f"{what} is {value!r}: it must be between 0 and {top}")


def _reflect(index: torch.Tensor, length: int) -> torch.Tensor:
    """Indices outside 0..length-1 folded back inside: -1 is 1, length is length-2."""
    return (length - 1) - ((length - 1) - index.abs()).abs()
