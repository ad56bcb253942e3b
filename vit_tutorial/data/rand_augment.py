"""The operations of RandAugment, on whole batches of uint8 images.

augment.rand_augment decides which image gets which. The operations and their ranges are those of
Cubuk et al. 2020 (RandAugment, section 4 and appendix) as torchvision's transforms.v2.RandAugment
has them. Sums and means are computed in whole numbers, and everything else pixel by pixel, so an
image comes out the same in any batch.
"""

import math

import torch
import torch.nn.functional as F

GEOMETRIC = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
# Blended with black, with their mean grey, with their grey version, with their blurred version.
BLENDED = ("brightness", "contrast", "saturation", "sharpness")
OPERATIONS = (*GEOMETRIC, *BLENDED, "posterize", "solarize", "autocontrast", "equalize", "identity")


def apply_operations(
    images: torch.Tensor, sign: torch.Tensor, strength: float, offset: int
) -> torch.Tensor:
    """Image i of (B, C, H, W), uint8, after operation (i + offset) % 14 of OPERATIONS; new memory.

    sign: (B,), float, -1 or 1: the direction of an operation that has two.
    strength: 0..1, the share of its range.
    """
    count = len(OPERATIONS)
    # Operation k has the images k - offset, k - offset + 14, ...: a slice with a step. A mask of
    # drawn numbers would have to be read from the device to learn how many images there are.
    places = {
        name: slice((number - offset) % count, None, count)
        for number, name in enumerate(OPERATIONS)
    }
    out = torch.empty_like(images)
    # All five geometric operations are one affine map with different matrices: resample once.
    names = [name for name in GEOMETRIC if places[name].start < len(images)]
    if names:
        height, width = images.shape[2:]
        matrices = [matrix(n, strength * sign[places[n]], height, width) for n in names]
        moved = affine(torch.cat([images[places[name]] for name in names]), torch.cat(matrices))
        for name, part in zip(names, moved.split([len(m) for m in matrices])):
            out[places[name]] = part
    for name in OPERATIONS[len(GEOMETRIC) :]:
        place = places[name]
        if place.start < len(images):
            out[place] = colour(name, images[place], strength * sign[place], strength)
    return out


def matrix(name: str, amount: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Where a pixel of the result comes from: amounts (n,), -1..1 -> matrices (n, 2, 3).

    The two rows give x and y of the source, the three columns multiply x, y and 1, in pixels from
    the centre of the image, right and down. The ends of the ranges are 30 degrees, a shear of 0.3,
    and 150/331 of a side (14 pixels of 32). Shears keep the centre where it is; torchvision and
    timm keep the upper left corner, which moves the object too. Translations are by whole pixels.
    """
    one, zero = torch.ones_like(amount), torch.zeros_like(amount)
    x, y = [one, zero, zero], [zero, one, zero]
    if name == "rotate":  # counter-clockwise for a positive amount
        angle = amount * math.radians(30)
        x, y = [angle.cos(), -angle.sin(), zero], [angle.sin(), angle.cos(), zero]
    elif name == "shear_x":
        x[1] = amount * 0.3
    elif name == "shear_y":
        y[0] = amount * 0.3
    else:  # to the right or down for a positive amount
        row, side = (x, width) if name == "translate_x" else (y, height)
        row[2] = -(amount * (side * 150 / 331)).trunc()
    return torch.stack([torch.stack(x, dim=1), torch.stack(y, dim=1)], dim=1)


def affine(images: torch.Tensor, matrices: torch.Tensor) -> torch.Tensor:
    """Images (n, C, H, W), uint8, fetched through matrices (n, 2, 3) of `matrix`; bilinear, uint8.

    Pixels from outside are the image's own, reflected, as in flip_and_shift: no rim in a colour
    that images do not have, and no colour that depends on the data set. torchvision fills with
    black, timm with the mean colour of ImageNet.
    """
    height, width = images.shape[2:]
    x = torch.arange(width, device=images.device) - (width - 1) / 2
    y = torch.arange(height, device=images.device)[:, None] - (height - 1) / 2
    a = matrices[:, :, :, None, None]  # (n, 2, 3, 1, 1)
    source = a[:, :, 0] * x + a[:, :, 1] * y + a[:, :, 2]  # (n, 2, H, W), in pixels
    # grid_sample counts from -1 at one edge to 1 at the other.
    grid = torch.stack([source[:, 0] * (2 / width), source[:, 1] * (2 / height)], dim=3)
    options = dict(mode="bilinear", padding_mode="reflection", align_corners=False)
    return F.grid_sample(images.float(), grid, **options).round_().to(torch.uint8)


def colour(name: str, images: torch.Tensor, amount: torch.Tensor, strength: float) -> torch.Tensor:
    """Operation `name`, not a geometric one, on images (n, C, H, W), uint8, C 1 or 3; uint8.

    amount: (n,), -1..1, for the BLENDED ones: away from black, grey or blur by a factor of
        1 + 0.9 amount.
    strength: 0..1, for posterize (8 bits a value down to 4) and solarize (values from
        256 - 256 strength up are inverted).
    """
    if name in BLENDED:
        other = _blend_partner(name, images)
        factor = (1 + 0.9 * amount).view(-1, 1, 1, 1)
        return (images - other).mul(factor).add(other).round_().clamp_(0, 255).to(torch.uint8)
    if name == "posterize":
        lost = round(4 * strength)  # bits
        return images & (255 >> lost << lost)
    if name == "solarize":
        return torch.where(images >= 256 * (1 - strength), 255 - images, images)
    if name == "autocontrast":
        return _autocontrast(images)
    return _equalize(images) if name == "equalize" else images


def _blend_partner(name: str, images: torch.Tensor) -> torch.Tensor:
    """What the BLENDED operation `name` mixes images (n, C, H, W) with; whole numbers, float32."""
    if name == "brightness":
        return torch.zeros((), device=images.device)
    if name == "sharpness":
        # A 3x3 mean in which the centre counts 5 times; the outermost pixels stay, as in Pillow.
        pixels = images.float()
        blurred = pixels.clone()
        around = F.avg_pool2d(pixels, 3, stride=1, divisor_override=1)  # sums of 9 pixels: exact
        blurred[:, :, 1:-1, 1:-1] = ((around + 4 * pixels[:, :, 1:-1, 1:-1]) / 13).round_()
        return blurred
    grey = images
    if images.shape[1] == 3:  # ITU-R 601 in parts of 65536, as in Pillow
        red, green, blue = images.int().split(1, dim=1)
        grey = (19595 * red + 38470 * green + 7471 * blue) >> 16
    if name == "saturation":
        return grey.float()
    pixels = grey.shape[2] * grey.shape[3]
    total = grey.sum((2, 3), keepdim=True, dtype=torch.int64)
    return ((total + pixels // 2) // pixels).float()  # the mean, rounded


def _autocontrast(images: torch.Tensor) -> torch.Tensor:
    """Each channel of each image stretched to 0..255; a constant one stays as it is."""
    low, high = images.amin((2, 3), keepdim=True).int(), images.amax((2, 3), keepdim=True).int()
    stretched = (images - low) * 255 // (high - low).clamp(min=1)
    return torch.where(high > low, stretched.to(torch.uint8), images)


def _equalize(images: torch.Tensor) -> torch.Tensor:
    """Each channel of each image with its values spread evenly over 0..255.

    As Pillow's ImageOps.equalize does it, with one histogram and one table for each channel.
    """
    values = images.flatten(2).long()  # (n, C, H*W)
    counts = torch.zeros(*values.shape[:2], 256, dtype=torch.int64, device=images.device)
    counts.scatter_add_(2, values, torch.ones_like(values))  # (n, C, 256)
    up_to = counts.cumsum(2)
    # The first maximum of the running sum is at the highest value that occurs.
    brightest = counts.gather(2, up_to.argmax(2, keepdim=True))  # how many pixels have it
    step = (values.shape[2] - brightest) // 255  # pixels for each value of the result, (n, C, 1)
    table = ((up_to - counts + step // 2) // step.clamp(min=1)).clamp_(0, 255).to(torch.uint8)
    return torch.where(step > 0, table.gather(2, values), images.flatten(2)).view_as(images)
