"""Checks of numbers and names that many rooms share: each raises a ValueError that says what is wrong and what to do."""

import difflib


class GpuFailed(RuntimeError):
    """The GPU broke down in the middle of a run; the message says what is left to go on from."""


def check_choice(what: str, value, choices) -> None:
    """Raise ValueError, with the nearest of `choices`, when `value` is none of them."""
    if value not in choices:
        near = difflib.get_close_matches(str(value), choices, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"unknown {what} {value!r}: {hint}choose one of {', '.join(map(repr, choices))}")


def check_whole(what: str, value, least: int = 1) -> None:
    """Raise ValueError unless `value` is a whole number (int, not bool) of at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{what} is {value!r}: it must be a whole number of at least {least}")


def check_heads(dim: int, num_heads: int) -> None:
    """Raise ValueError, with the nearest head count that fits, unless `num_heads` divides the width `dim`."""
    check_whole("dim", dim)
    check_whole("num_heads", num_heads)
    if dim % num_heads:
        near = min((h for h in range(1, dim + 1) if dim % h == 0), key=lambda h: abs(h - num_heads))
        raise ValueError(
            f"{num_heads} heads do not divide a width of {dim}: each head would get {dim / num_heads:.2f} entries. "
            f"Nearest head count that fits: {near}"
        )


def check_divides(image_size: tuple[int, int], patch_size: int) -> None:
    """Raise ValueError, with the pixels left over and the sizes that fit, unless `patch_size` divides both sides."""
    check_whole("patch_size", patch_size)
    height, width = image_size
    check_whole("image height", height)
    check_whole("image width", width)
    if height % patch_size or width % patch_size:
        up = [-(-side // patch_size) * patch_size for side in (height, width)]
        fits = [p for p in range(1, min(height, width) + 1) if height % p == 0 and width % p == 0]
        raise ValueError(
            f"patches of {patch_size}x{patch_size} do not tile an image of {height}x{width}: {height % patch_size} rows and "
            f"{width % patch_size} columns of pixels are left over. Resize the image to {up[0]}x{up[1]}, "
            f"or take a patch size from {fits}"
        )
