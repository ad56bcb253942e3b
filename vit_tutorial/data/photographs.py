"""Five photographs that come with scikit-image, as square tensors: no download."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from ..common.validation import require_choice, require_int

# What scikit-image calls each, and the column where its square begins, which is as high as the
# picture. Squares are cut from the middle, except for the cat: its 300 columns begin 30 to the
# right of the middle of 451, so that the nose is in the middle and both eyes are well inside.
_CROPS = {
    "cat": ("chelsea", 105),
    "horse": ("horse", 0),  # not cut: white is added above and below
    "rocket": ("rocket", 106),
    "coffee": ("coffee", 100),
    "astronaut": ("astronaut", 0),
}
PHOTOGRAPHS = tuple(_CROPS)


def photograph(name: str = "cat", size: int = 224) -> Tensor:
    """A photograph (3, size, size), float32 in [0, 1]: cut to a square, resized with antialiasing.

    From scikit-image's `data` module, whose pages say of them:
    "cat": Chelsea, by Stefan van der Walt, CC0 (no rights reserved).
    "horse": a black silhouette on white, by Andreas Preuss on openclipart.org, CC0.
    "rocket": the launch of DSCOVR on a Falcon 9, by SpaceX, released into the public domain.
    "coffee": a cup, by Rachel Michetti, courtesy of Pikolo Espresso Bar, CC0.
    "astronaut": Eileen Collins, by NASA, released into the public domain.
    Raises ValueError for another name, or a size below 1.
    """
    require_choice("photograph", name, PHOTOGRAPHS)
    require_int("size", size)
    from skimage import data  # imported late: nothing else needs it

    called, left = _CROPS[name]
    pixels = torch.from_numpy(getattr(data, called)())  # (H, W, 3) or (H, W)
    if pixels.dtype == torch.bool:  # the horse is a mask, True where it is white
        above = (pixels.shape[1] - pixels.shape[0]) // 2
        pixels = pad(pixels, (0, 0, above, above), value=True)
        pixels = pixels[..., None].expand(-1, -1, 3) * 255
    side = len(pixels)
    image = pixels[:, left : left + side].permute(2, 0, 1)[None].float() / 255
    image = interpolate(image, (size, size), mode="bilinear", antialias=True)
    return image[0].clamp(0, 1).contiguous()
