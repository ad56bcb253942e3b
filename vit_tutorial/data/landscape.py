"""A painted landscape of six patches: the smallest picture on which attention can be read."""

import torch

LANDSCAPE = ("sky", "sun", "cloud", "tree", "house", "grass")  # its 4 x 4 patches, row by row

_STROKES = (  # red, green, blue; rows; columns. Later ones cover earlier ones.
    ((0.55, 0.70, 0.95), (0, 4), (0, 12)),  # sky
    ((0.98, 0.85, 0.20), (1, 3), (5, 7)),  # sun
    ((0.95, 0.95, 0.95), (1, 3), (8, 12)),  # cloud
    ((0.35, 0.65, 0.25), (4, 8), (0, 12)),  # grass
    ((0.21, 0.39, 0.15), (4, 7), (0, 4)),  # tree
    ((0.45, 0.30, 0.15), (6, 8), (1, 3)),  # its trunk
    ((0.75, 0.20, 0.15), (4, 8), (4, 8)),  # house
    ((0.45, 0.30, 0.15), (6, 8), (5, 6)),  # its door
)


def landscape() -> torch.Tensor:
    """The picture, (3, 8, 12), floats from 0 to 1, always the same.

    Cut into patches of 4 it gives those of `LANDSCAPE`. A little noise keeps any two pixels apart,
    as in a photograph.
    """
    picture = torch.empty(3, 8, 12)
    for colour, rows, columns in _STROKES:
        picture[:, slice(*rows), slice(*columns)] = torch.tensor(colour)[:, None, None]
    noise = torch.rand(3, 8, 12, generator=torch.Generator().manual_seed(0)) - 0.5
    return (picture + 0.1 * noise).clamp(0, 1)
