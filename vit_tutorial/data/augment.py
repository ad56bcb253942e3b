"""Augmentation of a whole batch at once, on the device where it lies.

Each function takes a generator, from which all its random numbers come, and share=(first, of): the images are then rows first,
first + 1, ... of a batch of `of` images. The numbers are drawn for all `of` and the own rows of them used, so that several
processes with equal generators do together what one would. Nothing here waits for the device: no number is read back from it.
"""

import hashlib
import math

import torch

from ..common.validation import require_int
from .rand_augment import OPERATIONS, apply_operations


def flip_and_shift(
    images: torch.Tensor,
    shift: int = 4,
    flip: bool = True,
    generator: torch.Generator | None = None,
    share: tuple[int, int] | None = None,
) -> torch.Tensor:
    """Each image (B, C, H, W), uint8 or float, mirrored left to right with probability 1/2 and moved by -shift..shift pixels,
    each way drawn for itself. The same dtype and device.

    Pixels that move in from outside are the image's own, reflected at the border (without repeating it), not black: a black
    rim would be something to learn. The usual "random crop with padding 4" is shift=4 with zeros instead.
    generator: where the draws come from; the same seed gives the same batch. Best on the images' device, so that nothing waits.
    Raises ValueError for a rank other than 4, for a shift that is negative or not smaller than the sides, or a share that does
    not hold the images.
    """
    mine, of, home = _prepare("flip_and_shift", images, generator, share)
    B, C, H, W = images.shape
    require_int("shift", shift, minimum=0)
    if shift >= min(H, W):
        raise ValueError(
            f"shift is {shift}, the images are {H}x{W}: it must be smaller than both sides"
        )
    down, right = torch.randint(-shift, shift + 1, (2, of, 1), generator=generator, device=home)[
        :, mine
    ].to(images.device)
    mirrored = (
        torch.randint(0, 2, (of, 1), generator=generator, device=home)[mine].to(
            images.device, torch.bool
        )
        & flip
    )
    # For every pixel of the result: the row and the column that it is fetched from, the same in all channels.
    rows = _reflect(torch.arange(H, device=images.device) - down, H)  # (B, H)
    columns = _reflect(torch.arange(W, device=images.device) - right, W)  # (B, W)
    columns = torch.where(mirrored, W - 1 - columns, columns)
    source = (rows[:, :, None] * W + columns[:, None, :]).view(B, 1, H * W).expand(B, C, H * W)
    return (
        images.reshape(B, C, H * W).gather(2, source).view(B, C, H, W)
    )  # one gather: 7 times as fast as indexing by row and column


def rand_augment(
    images: torch.Tensor,
    operations: int = 2,
    magnitude: float = 9,
    generator: torch.Generator | None = None,
    share: tuple[int, int] | None = None,
) -> torch.Tensor:
    """RandAugment (Cubuk et al. 2020): images (B, C, H, W), uint8, C 1 or 3, each after `operations` of 14 operations; uint8.

    magnitude: 0..10, how strong; 10 is the end of each range (`rand_augment.matrix` and `colour` name them), 0 changes nothing,
    but for autocontrast and equalize, which have no strength. As in the paper's code and in timm ("m9"); torchvision counts in
    31 bins, so its default of 9 is our 3. The side (left or right, darker or brighter) is drawn for each image.

    Which of the 14 an image gets goes by its place p in the batch: number (p + turn) % 14, `turn` drawn anew for each of the
    rounds. Batches are in random order, so each image gets each operation equally often, as if drawn for itself; and as `turn`
    is known on the host, nobody waits to learn how many images an operation gets. Best for batches that are many times 14.

    From a generator on the CPU `turn` is drawn like all else. From one on a GPU it follows from the generator's state (seed and
    position, which the host keeps), without waiting: so one state, saved and restored, repeats all of it, on either.
    Raises ValueError for images of another kind, operations below 0, a magnitude outside 0..10, or a share that does not fit.
    """
    mine, of, home = _prepare("rand_augment", images, generator, share)
    if images.dtype != torch.uint8 or images.shape[1] not in (1, 3):
        raise ValueError(
            f"rand_augment takes uint8 images, 0..255, of 1 or 3 channels; got {images.dtype}, {images.shape[1]} channels"
        )
    require_int("operations", operations, minimum=0)
    _check_range("magnitude", magnitude, 10)
    for _ in range(operations):
        turn = _draw_on_host(len(OPERATIONS), generator)
        sign = (
            2
            * torch.randint(0, 2, (of,), generator=generator, device=home)[mine].to(
                images.device, torch.float32
            )
            - 1
        )
        images = apply_operations(images, sign, magnitude / 10, mine.start + turn)
    return images


def cutmix(
    images: torch.Tensor,
    labels: torch.Tensor,
    num_classes: int,
    probability: float = 1.0,
    alpha: float = 1.0,
    generator: torch.Generator | None = None,
    share: tuple[int, int] | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """CutMix (Yun et al. 2019): a box of its neighbour's pixels in each image, and the labels in the same proportion.

    images: (B, C, H, W), uint8 or float. labels: (B,), int64. Gives images of the same dtype and targets (B, num_classes),
    float32: the shares of the pixels, counted after the box was clipped at the border; each row sums to 1.
    Images 0 and 1 are partners, 2 and 3, and so on: batches are in random order, so a neighbour is a random partner. An odd last
    one stays whole. Each image draws for itself whether it is cut (probability, 0..1) and its box: an area of 1 - Beta(alpha,
    alpha) of the image before clipping, its centre anywhere (the paper and torchvision: one box for the whole batch).
    Raises ValueError for images or labels that do not fit, a probability outside 0..1, an alpha that is not above 0, labels
    outside 0..num_classes-1 (looked at on the CPU only), or a share that does not fit or parts two partners.
    """
    mine, of, home = _prepare("cutmix", images, generator, share)
    B, _, H, W = images.shape
    if labels.shape != (B,) or labels.dtype != torch.int64:
        raise ValueError(
            f"{B} images need labels ({B},), int64; got {tuple(labels.shape)}, {labels.dtype}"
        )
    require_int("num_classes", num_classes)
    if B and labels.device.type == "cpu" and not 0 <= labels.min() <= labels.max() < num_classes:
        raise ValueError(
            f"labels {labels.min()}..{labels.max()}, but num_classes is {num_classes}: they go from 0 up"
        )
    _check_range("probability", probability, 1)
    if not 0 < alpha < math.inf:
        raise ValueError(
            f"alpha is {alpha!r}: it must be above 0 (1 makes every area equally likely)"
        )
    if mine.start % 2 or (mine.stop % 2 and mine.stop != of):
        raise ValueError(
            f"rows {mine.start} to {mine.stop - 1} of {of} part two partners: a share for cutmix begins and ends at an even row. "
            "Take a batch that is an even number of images for each process"
        )
    chance, u, v, centre_y, centre_x = torch.rand(5, of, generator=generator, device=home).to(
        images.device
    )
    side = (1 - _symmetric_beta(alpha, u, v)).sqrt()
    edges = []
    for centre, length in (
        (centre_y, H),
        (centre_x, W),
    ):  # to the nearest whole pixels, and clipped at the border
        half = (side * length).floor_() // 2
        middle = (centre * length).floor_().clamp_(max=length - 1)
        edges += [
            (middle - half).clamp_(min=0)[mine, None],
            (middle + half).clamp_(max=length)[mine, None],
        ]
    top, bottom, left, right = edges  # (B, 1)
    y, x = (torch.arange(length, device=images.device) for length in (H, W))
    tall = (y >= top) & (y < bottom) & (chance[mine, None] < probability)  # (B, H)
    wide = (x >= left) & (x < right)  # (B, W)
    partner = (torch.arange(B, device=images.device) ^ 1).clamp_(max=B - 1)
    mixed = torch.where(tall[:, None, :, None] & wide[:, None, None, :], images[partner], images)
    foreign = (tall.sum(1) * wide.sum(1))[:, None]  # pixels
    own = labels[:, None] == torch.arange(num_classes, device=labels.device)  # (B, num_classes)
    return mixed, ((H * W - foreign) * own + foreign * own[partner]) / (H * W)


def _symmetric_beta(alpha: float, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Draws from Beta(alpha, alpha) for u and v uniform in 0..1: Bailey 1994, Polar generation of random variates with the
    t-distribution, and that T / sqrt(2 alpha + T^2) is such a draw, stretched to -1..1. (torch.distributions takes no generator.)
    """
    s, c = u.pow(1 / alpha), (2 * math.pi * v).cos()
    return (0.5 + 0.5 * c * ((1 - s) / (s + (1 - s) * c.square())).sqrt()).clamp_(0, 1)


def _draw_on_host(count: int, generator: torch.Generator | None) -> int:
    """A random whole number below `count`, without waiting for a device; see rand_augment."""
    if generator is None or generator.device.type == "cpu":
        return int(torch.randint(count, (), generator=generator))
    state = (
        generator.get_state().numpy().tobytes()
    )  # on the CPU for every device; the next draw on the device changes it
    return int.from_bytes(hashlib.blake2b(state, digest_size=8).digest(), "little") % count


def _prepare(name: str, images: torch.Tensor, generator, share) -> tuple[slice, int, torch.device]:
    """(the rows that `images` are, of how many, the device to draw on), after the checks that all functions share."""
    if images.ndim != 4:
        raise ValueError(
            f"{name} takes images (B, C, H, W), rank 4; got rank {images.ndim}, {tuple(images.shape)}. One image: image[None]"
        )
    first, of = share or (0, len(images))
    require_int("the first row of the share", first, minimum=0)
    require_int("the batch that is shared", of, minimum=0)
    if first + len(images) > of:
        raise ValueError(
            f"share is ({first}, {of}) for {len(images)} images: a batch of {of} has no rows {first} to {first + len(images) - 1}"
        )
    return (
        slice(first, first + len(images)),
        of,
        images.device if generator is None else generator.device,
    )


def _check_range(what: str, value: float, top: int) -> None:
    if not 0 <= value <= top:
        raise ValueError(f"{what} is {value!r}: it must be between 0 and {top}")


def _reflect(index: torch.Tensor, length: int) -> torch.Tensor:
    """Indices outside 0..length-1 folded back inside: -1 is 1, length is length-2."""
    return (length - 1) - ((length - 1) - index.abs()).abs()
