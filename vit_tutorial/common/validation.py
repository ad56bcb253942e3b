"""Checks of numbers and names. Each raises a ValueError that gives the value and what to do."""

import difflib
import functools
import math
import numbers
import typing

LARGEST = 2**31 - 1  # of a whole number that counts or measures something
MOST_LISTED = 20  # choices in a message


class GpuFailedError(RuntimeError):
    """The GPU failed in the middle of a run. The message says what to resume from."""


def nearest(name: str, names, count: int = 1, cutoff: float = 0.4) -> list[str]:
    """Up to `count` of `names` that are spelled most like `name`, the best first.

    Upper and lower case count as the same.
    cutoff: from 0 (any name) to 1 (an identical name), as in difflib.
    """
    spelled = {}
    for known in names:
        spelled.setdefault(str(known).casefold(), known)
    near = difflib.get_close_matches(str(name).casefold(), list(spelled), n=count, cutoff=cutoff)
    return [spelled[known] for known in near]


def require_choice(what: str, value, choices) -> None:
    """Raise ValueError, with the nearest of `choices`, when `value` is not one of them."""
    if value not in choices:
        near = nearest(value, choices)
        hint = f"did you mean {near[0]!r}? " if near else ""
        # A long list would hide the hint.
        brief = near and len(choices) > MOST_LISTED
        listed = f"choose one of {', '.join(map(repr, choices))}"
        raise ValueError(
            f"unknown {what} {shortened(value)}: {hint}"
            f"{f'There are {len(choices)}.' if brief else listed}"
        )


def require_int(what: str, value, minimum: int = 1, maximum: int = LARGEST) -> None:
    """Raise ValueError unless `value` is a whole number (int, not bool) from minimum to maximum."""
    if hasattr(value, "item"):  # numpy's whole numbers, and sizes while torch.jit traces a model
        value = value.item() if getattr(value, "ndim", 0) == 0 else value
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise ValueError(
            f"{what} is {shortened(value)}: it must be a whole number of at least {minimum}"
        )
    if value > maximum:
        # Python refuses to write out a number of more than 4300 digits.
        shown = value if value < 10**30 else f"a number of about {value.bit_length()} bits"
        raise ValueError(f"{what} is {shown}: it must be at most {maximum:,}")


def require_types(config) -> None:
    """Raise ValueError where a field of the dataclass `config` is no number, text, True or False.

    Fields that are annotated float must hold a finite number, those with bool True or False, those
    with str a text; None where the annotation allows it. Other fields are not looked at.
    """
    for name, kinds in _kinds(type(config)).items():
        value = getattr(config, name)
        fits = {
            float: isinstance(value, numbers.Real)
            and not isinstance(value, bool)
            and math.isfinite(value),
            bool: isinstance(value, bool),
            str: isinstance(value, str),
            type(None): value is None,
        }
        if not any(fits[kind] for kind in kinds):
            words = {float: "a finite number", bool: "True or False", str: "a text"}
            wanted = " or ".join([words[kind] for kind in kinds if kind in words])
            raise ValueError(f"{name} is {shortened(value)}: it must be {wanted}")


@functools.cache
def _kinds(config: type) -> dict[str, tuple[type, ...]]:
    """The fields of the dataclass that `require_types` looks at, with the types they may have."""
    hints = typing.get_type_hints(config)
    kinds = {name: typing.get_args(hint) or (hint,) for name, hint in hints.items()}
    return {n: kind for n, kind in kinds.items() if set(kind) <= {float, bool, str, type(None)}}


def shortened(value, most: int = 80) -> str:
    """`value` as Python writes it, cut off after so many characters."""
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]}..."


def divisors(number: int) -> list[int]:
    """All divisors of `number`, in rising order."""
    low = [n for n in range(1, math.isqrt(number) + 1) if number % n == 0]
    return sorted({*low, *(number // n for n in low)})


def require_tensor(call: str, what: str, value, axes: str) -> None:
    """Raise TypeError, with the way from numpy, unless `value` is a torch tensor."""
    if hasattr(value, "requires_grad"):  # torch need not be imported to ask
        return
    kind = type(value).__name__
    hint = ": torch.from_numpy(array) makes one of it" if kind == "ndarray" else ""
    raise TypeError(f"{call} takes {what} ({axes}) as a torch tensor, got {kind}{hint}")


def both_sides(size) -> tuple[int, int]:
    """(height, width) of an image's size, which may be one side; ValueError for anything else."""
    sides = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if len(sides) != 2:
        raise ValueError(f"image_size is {size}: give one side, or (height, width)")
    for what, side in zip(("image height", "image width"), sides):
        require_int(what, side)
    return sides


def require_rank(call: str, what: str, tensor, axes: str) -> None:
    """Raise ValueError unless `tensor` has as many axes as `axes` names, such as "B, C, H, W";
    TypeError unless it is a tensor."""
    require_tensor(call, what, tensor, axes)
    rank = len(axes.split(","))
    if tensor.ndim != rank:
        hint = ". One image: image[None]" if what == "images" else ""
        raise ValueError(
            f"{call} takes {what} ({axes}), rank {rank}; got rank {tensor.ndim}, "
            f"{tuple(tensor.shape)}{hint}"
        )


def require_tokens(x, width: int) -> None:
    """Raise ValueError unless `x` is a batch of tokens (B, T, D) of this width."""
    if x.ndim != 3 or x.shape[-1] != width:
        raise ValueError(f"attention takes tokens (B, T, D) of width {width}, got {tuple(x.shape)}")


def require_qkv(q, k, v) -> None:
    """Raise ValueError unless queries (..., T, d), keys (..., S, d) and values (..., S, e) fit."""
    if q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        what = "widths of q and k" if q.shape[-1] != k.shape[-1] else "numbers of keys and values"
        raise ValueError(
            f"the {what} differ: q {tuple(q.shape)}, k {tuple(k.shape)}, v {tuple(v.shape)} "
            "should be (..., T, d), (..., S, d), (..., S, e)"
        )


def require_heads(dim: int, num_heads: int) -> None:
    """Raise ValueError, with the nearest number that fits, unless `num_heads` divides `dim`."""
    require_int("dim", dim)
    require_int("num_heads", num_heads)
    if dim % num_heads:
        near = min(divisors(dim), key=lambda h: abs(h - num_heads))
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
        fits = divisors(math.gcd(height, width))
        raise ValueError(
            f"patches of {patch_size}x{patch_size} do not tile an image of {height}x{width}: "
            f"{height % patch_size} rows and {width % patch_size} columns of pixels are left over. "
            f"Resize the image to {up[0]}x{up[1]}, or take a patch size from {fits}"
        )
