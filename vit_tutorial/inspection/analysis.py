"""Numbers about what a model has learned: tensors in, tensors out."""

import torch

from ..common.validation import require_int
from .layout import TokenLayout, check_grid, find_layout


def cosine_similarity(table: torch.Tensor) -> torch.Tensor:
    """Cosine of the angle between every two rows: (T, D) or (1, T, D) -> (T, T).

    float32 in [-1, 1], on the CPU. A row of zeros has no direction: its similarity is 0 with every
    row, itself included. Raises ValueError for another rank.
    """
    table = as_table(table)
    length = table.norm(dim=-1, keepdim=True)  # (T, 1)
    unit = table / length.where(length > 0, torch.ones_like(length))
    return (unit @ unit.T).clamp(-1, 1)  # rounding leaves 1.0000001 here and there


def grid_distance(grid: tuple[int, int], patch_size: tuple[float, float] = (1, 1)) -> torch.Tensor:
    """Straight-line distance between the centres of every two patches of a grid (rows, columns).

    (N, N), float32; patches are numbered row by row.
    patch_size: (height, width) in pixels; (1, 1) gives patches.

    >>> grid_distance((2, 3))[0].tolist()[:4]
    [0.0, 1.0, 2.0, 1.0]
    """
    rows, columns = check_grid(grid)
    n = torch.arange(rows * columns)
    place = torch.stack([n // columns, n % columns], dim=1).float()  # (N, 2): row and column
    place *= torch.tensor(patch_size)
    # not cdist: on large grids it rounds, and the diagonal is not 0
    return (place[:, None] - place).square().sum(-1).sqrt()


def confusion_matrix(true: torch.Tensor, predicted: torch.Tensor, classes: int) -> torch.Tensor:
    """How often each class was predicted as each: (classes, classes), int64, a row per true class.

    true, predicted: class numbers (n,), 0 to classes - 1.
    Raises ValueError for other lengths or numbers.

    >>> confusion_matrix(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]), classes=2).tolist()
    [[1, 1], [0, 1]]
    """
    require_int("classes", classes)
    true, predicted = (torch.as_tensor(labels).detach().cpu() for labels in (true, predicted))
    if true.ndim != 1 or true.shape != predicted.shape:
        raise ValueError(
            "one true and one predicted class for an image: "
            f"got {tuple(true.shape)} and {tuple(predicted.shape)}, not (n,) twice"
        )
    for name, labels in (("true", true), ("predicted", predicted)):
        if labels.is_floating_point():
            raise ValueError(
                f"{name} classes are {labels.dtype}: give class numbers; "
                "for logits (n, classes) that is logits.argmax(-1)"
            )
        if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
            raise ValueError(
                f"{name} classes run from {labels.min()} to {labels.max()}: "
                f"with {classes} classes they are 0 to {classes - 1}"
            )
    pairs = true.long() * classes + predicted.long()  # one number for each (true, predicted)
    return torch.bincount(pairs, minlength=classes * classes).view(classes, classes)


def patch_rows(
    table: torch.Tensor, layout: TokenLayout | tuple[int, int] | None = None
) -> tuple[torch.Tensor, tuple[int, int]]:
    """The rows of a table that belong to patches, (N, D) float32 on the CPU, and the grid.

    table: (T, D) or (1, T, D). layout: a TokenLayout, or the grid (rows, columns), or None for a
        square grid; with the last two, one extra row is that of a class token that comes first.
    Raises ValueError when the counts do not fit.
    """
    table = as_table(table)
    layout = find_layout(len(table), layout)
    return table[layout.patches], layout.grid


def as_table(table: torch.Tensor) -> torch.Tensor:
    """(T, D) or (1, T, D) -> (T, D), float32 on the CPU, without a gradient; else ValueError."""
    if not isinstance(table, torch.Tensor):
        raise ValueError(
            f"a table of positions is a tensor (T, D) or (1, T, D), not a {type(table).__name__}"
        )
    rows = table.detach()[0] if table.ndim == 3 and len(table) == 1 else table.detach()
    if rows.ndim != 2 or not rows.numel():
        raise ValueError(f"a table of positions is (T, D) or (1, T, D): got {tuple(table.shape)}")
    return rows.float().cpu()
