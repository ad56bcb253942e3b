"""Checks of numbers and names. Each raises a ValueError that gives the value and what to do."""

import difflib


class GpuFailedError(RuntimeError):
    """The GPU failed in the middle of a run. The message says what to resume from."""


def nearest(name: str, names, count: int = 1, cutoff: float = 0.4) -> list[str]:
    """Up to `count` of `names` that are spelled most like `name`, the best first.

    cutoff: from 0 (any name) to 1 (an identical name), as in difflib.
    """
    return difflib.get_close_matches(str(name), list(names), n=count, cutoff=cutoff)


def require_choice(what: str, value, choices) -> None:
    """Raise ValueError, with the nearest of `choices`, when `value` is not one of them."""
    if value not in choices:
        near = nearest(value, choices)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(
            f"unknown {what} {value!r}: {hint}choose one of {', '.join(map(repr, choices))}"
        )


def require_int(what: str, value, minimum: int = 1) -> None:
    """Raise ValueError unless `value` is a whole number (int, not bool) of at least `minimum`."""
    if hasattr(value, "item"):  # numpy's whole numbers, and sizes while torch.jit traces a model
        value = value.item() if getattr(value, "ndim", 0) == 0 else value
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise ValueError(f"{what} is {value!r}: it must be a whole number of at least {minimum}")


def require_rank(call: str, what: str, tensor, axes: str) -> None:
    """Raise ValueError unless `tensor` has as many axes as `axes` names, such as "B, C, H, W"."""
    rank = len(axes.split(","))
    if tensor.ndim != rank:
        hint = ". One image: image[None]" if what == "images" else ""
        raise ValueError(
            f"{call} takes {what} ({axes}), rank {rank}; got rank {tensor.ndim}, "
            f"{tuple(tensor.shape)}{hint}"
        )


def require_heads(dim: int, num_heads: int) -> None:
    """Raise ValueError, with the nearest number that fits, unless `num_heads` divides `dim`."""
    require_int("dim", dim)
    require_int("num_heads", num_heads)
    if dim % num_heads:
        fits = [h for h in range(1, dim + 1) if dim % h == 0]
        near = min(fits, key=lambda h: abs(h - num_heads))
        raise ValueError(
            f"{num_heads} heads do not divide a width of {dim}: each head would get "
            f"{dim / num_heads:.2f} entries. Nearest head count that fits: {near}"
        )


def require_divides(image_size: tuple[int, int], patch_size: int) -> None:
    """Raise ValueError, with the sizes that fit, unless `patch_size` divides both sides."""
    require_int("patch_size", patch_size)
    height, width = image_size
    require_int("image height", height)
    require_int("image width", width)
    if height % patch_size or width % patch_size:
        up = [-(-side // patch_size) * patch_size for side in (height, width)]
        fits = [p for p in range(1, min(height, width) + 1) if height % p == 0 and width % p == 0]
        raise ValueError(
            f"patches of {patch_size}x{patch_size} do not tile an image of {height}x{width}: "
            f"{height % patch_size} rows and {width % patch_size} columns of pixels are left over. "
            f"Resize the image to {up[0]}x{up[1]}, or take a patch size from {fits}"
        )
