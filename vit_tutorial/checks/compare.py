"""Two tensors: are they equal, and if not, what is the most telling difference?"""

import itertools

import torch

MAX_AXES = 5


def close(seen: torch.Tensor, wanted: torch.Tensor, loose: bool = False) -> bool:
    """Equal in shape, dtype and, up to rounding, every value. loose: another dtype is allowed, at the coarser one's precision."""
    if seen.shape != wanted.shape:
        return False
    if loose and seen.dtype != wanted.dtype:
        seen, wanted = seen.double(), wanted.double()
        tolerance = {"rtol": 1e-3, "atol": 1e-4}
    else:
        tolerance = {"rtol": 1e-4, "atol": 2e-5} if wanted.dtype == torch.float32 else {}
    try:
        torch.testing.assert_close(seen, wanted, equal_nan=True, check_device=False, **tolerance)
    except AssertionError:
        return False
    return True


def number(value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def shape_difference(seen: torch.Tensor, wanted: torch.Tensor) -> str:
    """What is wrong with a shape, and whether the numbers are those that were asked for."""
    text = f"The shape is {tuple(seen.shape)}, expected {tuple(wanted.shape)}."
    if seen.ndim == wanted.ndim and sorted(seen.shape) == sorted(wanted.shape):
        axes = exchanged_axes(seen, wanted)
        if axes:
            return f"{text} With axes {axes[0]} and {axes[1]} exchanged it would be right, values included."
    if seen.numel() == wanted.numel() and seen.dtype == wanted.dtype:
        if close(seen.reshape(wanted.shape), wanted):
            return f"{text} The numbers are right and in the right order: only the shape is not."
        if same_numbers(seen, wanted):
            return f"{text} It holds the right numbers, in another order."
    return text


def value_difference(seen: torch.Tensor, wanted: torch.Tensor) -> str:
    """The most telling difference of two tensors of the same shape: rearranged, scaled, shifted, or where it starts."""
    if not wanted.ndim:
        return f"It is {number(seen.item())}, expected {number(wanted.item())}."
    wrong = ~torch.isclose(seen.double(), wanted.double(), rtol=1e-4, atol=2e-5, equal_nan=True)
    first = tuple(wrong.nonzero()[0].tolist()) if wrong.any() else ()
    share = f"{int(wrong.sum())} of {wrong.numel()} values are wrong"
    if wrong.ndim and first:
        place = ", ".join(map(str, first))
        share += f", the first at [{place}]: {number(seen[first].item())}, expected {number(wanted[first].item())}"
    if not torch.isfinite(seen.double()).all() and torch.isfinite(wanted.double()).all():
        share += ". Some values are not finite (nan or inf)"
    pattern = rearranged(seen, wanted) or arithmetic(seen, wanted)
    return f"{share}. {pattern}".strip() if pattern else f"{share}."


def rearranged(seen: torch.Tensor, wanted: torch.Tensor) -> str:
    axes = exchanged_axes(seen, wanted)
    if axes:
        return f"With axes {axes[0]} and {axes[1]} exchanged, all would be right."
    for axis, size in enumerate(wanted.shape):
        for by in range(1, min(size, 33)):
            if close(seen, wanted.roll(by, axis), loose=True):
                return f"All values are right, but shifted by {by} of {size} along axis {axis}."
        if size > 1 and close(seen, wanted.flip(axis), loose=True):
            return f"All values are right, but in reverse order along axis {axis}."
    if not same_numbers(seen, wanted):
        return ""
    for axis in reversed(range(wanted.ndim)):
        if close(
            seen.double().sort(dim=axis).values, wanted.double().sort(dim=axis).values, loose=True
        ):
            return f"They are the right numbers in another order, moved along axis {axis} only."
    return "They are the right numbers in another order (a permutation)."


def arithmetic(seen: torch.Tensor, wanted: torch.Tensor) -> str:
    seen, wanted = seen.double(), wanted.double()
    if wanted.numel() < 2 or not torch.isfinite(seen).all():
        return ""
    if close(seen, -wanted):
        return "Every value has the wrong sign."
    square = (wanted * wanted).sum()
    factor = (seen * wanted).sum() / square if square > 0 else torch.tensor(0.0)
    if abs(factor) > 1e-6 and torch.allclose(
        seen, factor * wanted, rtol=1e-3, atol=1e-4 * float(wanted.abs().max())
    ):
        return f"Every value is the expected one times {factor.item():.4g}."
    offset = (seen - wanted).mean()
    if torch.allclose(seen, wanted + offset, rtol=1e-3, atol=1e-4):
        return f"Every value is the expected one plus {offset.item():.4g}."
    return ""


def exchanged_axes(seen: torch.Tensor, wanted: torch.Tensor) -> tuple[int, int] | None:
    """Two axes of `seen` whose exchange makes it equal to `wanted`."""
    if seen.ndim > MAX_AXES:
        return None
    for one, two in itertools.combinations(range(seen.ndim), 2):
        if close(seen.transpose(one, two), wanted, loose=True):
            return one, two
    return None


def same_numbers(seen: torch.Tensor, wanted: torch.Tensor) -> bool:
    return close(
        seen.flatten().double().sort().values, wanted.flatten().double().sort().values, loose=True
    )
