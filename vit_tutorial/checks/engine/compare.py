"""Two tensors: are they equal, and if not, what is the most telling difference?"""

import itertools

import torch

MAX_AXES = 5  # of tensors whose axes are exchanged to see whether that explains the difference

# float32 with room for another order of the sums, the rest as torch.testing.assert_close. That
# would do here, too, but it writes a report on each difference, and thousands are looked at.
_TOLERANCES = {
    torch.float16: (1e-3, 1e-5),
    torch.bfloat16: (1.6e-2, 1e-5),
    torch.float32: (1e-4, 2e-5),
    torch.float64: (1e-7, 1e-7),
    torch.complex64: (1.3e-6, 1e-5),
    torch.complex128: (1e-7, 1e-7),
}

PERMUTED = "They are the right numbers in another order (a permutation)."


def close(actual: torch.Tensor, expected: torch.Tensor, loose: bool = False) -> bool:
    """Equal in shape, dtype and, up to rounding, every value.

    loose: another dtype is allowed, at the precision of the coarser one.
    """
    if actual.shape != expected.shape:
        return False
    if loose and actual.dtype != expected.dtype:
        actual, expected = actual.double(), expected.double()
        tolerance = {"rtol": 1e-3, "atol": 1e-4}
    else:
        if actual.dtype != expected.dtype or actual.layout != expected.layout:
            return False
        rtol, atol = _TOLERANCES.get(expected.dtype, (0.0, 0.0))
        tolerance = {"rtol": rtol, "atol": atol}
    return torch.allclose(actual.cpu(), expected.cpu(), equal_nan=True, **tolerance)


def wrong_values(actual: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    """True where two tensors of one shape differ by more than rounding, whatever their dtypes."""
    tolerance = {"rtol": 1e-4, "atol": 2e-5}
    return ~torch.isclose(actual.double(), expected.double(), equal_nan=True, **tolerance)


def shape_difference(actual: torch.Tensor, expected: torch.Tensor) -> str:
    """What is wrong with a shape, and whether the numbers are the expected ones."""
    text = f"The shape is {tuple(actual.shape)}, expected {tuple(expected.shape)}."
    if actual.ndim == expected.ndim and sorted(actual.shape) == sorted(expected.shape):
        axes = _exchanged_axes(actual, expected)
        if axes:
            return (
                f"{text} With axes {axes[0]} and {axes[1]} exchanged it would be right, "
                "values included."
            )
    if actual.numel() == expected.numel() and actual.dtype == expected.dtype:
        if close(actual.reshape(expected.shape), expected):
            return f"{text} The numbers are right and in the right order: only the shape is not."
        if _same_numbers(actual, expected):
            return f"{text} It holds the right numbers, in another order."
    return text


def value_difference(
    actual: torch.Tensor, expected: torch.Tensor, place: str = "", explained: bool = False
) -> str:
    """The most telling difference of two tensors of one shape: moved, scaled, or its first place.

    place: a sentence about the first place, where its numbers alone would tell nothing. explained:
    the place alone, since how all values differ is said elsewhere.
    """
    if not expected.ndim:
        return f"It is {_number(actual.item())}, expected {_number(expected.item())}."
    wrong = wrong_values(actual, expected)
    text = f"{int(wrong.sum())} of {wrong.numel()} values are wrong"
    if wrong.any() and place:
        text += f". {place.removesuffix('.')}"
    elif wrong.any():
        first = tuple(wrong.nonzero()[0].tolist())
        at = ", ".join(map(str, first))
        mine, right = _number(actual[first].item()), _number(expected[first].item())
        text += f", the first at [{at}]: {mine}, expected {right}"
    if not torch.isfinite(actual.double()).all() and torch.isfinite(expected.double()).all():
        text += ". Some values are not finite (nan or inf)"
    if explained:
        return f"{text}."
    pattern = _rearranged(actual, expected) or _arithmetic(actual, expected)
    if place and pattern == PERMUTED:
        pattern = ""  # the place shows it
    return f"{text}. {pattern}".strip() if pattern else f"{text}."


def _number(value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _rearranged(actual: torch.Tensor, expected: torch.Tensor) -> str:
    """The right numbers in other places: which move explains it? Empty where they are others."""
    axes = _exchanged_axes(actual, expected)
    if axes:
        return f"With axes {axes[0]} and {axes[1]} exchanged, all would be right."
    for axis, size in enumerate(expected.shape):
        for by in range(1, min(size, 33)):
            if close(actual, expected.roll(by, axis), loose=True):
                return f"All values are right, but shifted by {by} of {size} along axis {axis}."
        if size > 1 and close(actual, expected.flip(axis), loose=True):
            return f"All values are right, but in reverse order along axis {axis}."
    if not _same_numbers(actual, expected):
        return ""
    for axis in reversed(range(expected.ndim)):
        along = actual.double().sort(dim=axis).values, expected.double().sort(dim=axis).values
        if close(*along, loose=True):
            return f"They are the right numbers in another order, moved along axis {axis} only."
    return PERMUTED


def _arithmetic(actual: torch.Tensor, expected: torch.Tensor) -> str:
    """One factor or one offset for all values; empty where neither explains the difference."""
    actual, expected = actual.double(), expected.double()
    if expected.numel() < 2 or not torch.isfinite(actual).all():
        return ""
    if close(actual, -expected):
        return "Every value has the wrong sign."
    square = (expected * expected).sum()
    factor = (actual * expected).sum() / square if square > 0 else torch.tensor(0.0)
    if abs(factor) > 1e-6 and torch.allclose(
        actual, factor * expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max())
    ):
        return f"Every value is the expected one times {factor.item():.4g}."
    offset = (actual - expected).mean()
    if torch.allclose(actual, expected + offset, rtol=1e-3, atol=1e-4):
        return f"Every value is the expected one plus {offset.item():.4g}."
    return ""


def _exchanged_axes(actual: torch.Tensor, expected: torch.Tensor) -> tuple[int, int] | None:
    """Two axes of `actual` whose exchange makes it equal to `expected`."""
    if actual.ndim > MAX_AXES:
        return None
    for one, two in itertools.combinations(range(actual.ndim), 2):
        if close(actual.transpose(one, two), expected, loose=True):
            return one, two
    return None


def _same_numbers(actual: torch.Tensor, expected: torch.Tensor) -> bool:
    mine, right = actual.flatten().double(), expected.flatten().double()
    return close(mine.sort().values, right.sort().values, loose=True)
