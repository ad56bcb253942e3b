"""Resolution stages: a run that begins with small images, which cost less, and ends at full size.

A stage is (share, side): so much of the run with images of side x side pixels. What the stages
leave over, and every evaluation, has images of the model's own size. The share counts as the
learning rate's does: in steps, or in seconds where the clock ends the run.
"""

import contextlib
import itertools

import torch
import torch.nn.functional as F
from torch import nn

from ...common.validation import require_int, shortened
from ...model import ViTConfig
from ...model.resize import require_dynamic

Stages = tuple[tuple[float, int], ...]


def parse_stage(text: str) -> tuple[float, int]:
    """The stage (0.7, 16) from "0.7@16". ValueError for anything else."""
    share, at, side = text.partition("@")
    try:
        return float(share), int(side)
    except ValueError:
        raise ValueError(
            f"{text!r} is no stage: write its share of the run, @, and the side of its images in "
            "pixels, such as 0.7@16"
        ) from None


def format_stages(stages: Stages) -> str:
    """((0.3, 12), (0.4, 16)) -> "0.3@12 0.4@16", as `parse_stage` reads it."""
    return " ".join(f"{share:g}@{side}" for share, side in stages)


def check_stages(stages) -> Stages:
    """`stages`, from lists or tuples, as tuples. ValueError for numbers that cannot be stages."""
    listed = isinstance(stages, list | tuple)
    if not listed or not all(isinstance(s, list | tuple) and len(s) == 2 for s in stages):
        raise ValueError(
            f"resolutions is {shortened(stages)}: it must be pairs of a share of the run and a "
            "side in pixels, such as ((0.3, 12), (0.4, 16))"
        )
    stages = tuple((share, side) for share, side in stages)
    for share, side in stages:
        require_int("a side in resolutions", side)
        if not isinstance(share, int | float) or not 0 < share < 1:
            raise ValueError(
                f"resolutions: a share of {share} at {side} pixels: it must lie between 0 and 1"
            )
    if (total := sum(share for share, _ in stages)) > 1 - 1e-9:
        raise ValueError(
            f"resolutions: the shares add up to {total:g}: they must stay below 1, so that the run "
            "ends with images of the full size"
        )
    return stages


def check_stages_fit(stages: Stages, config: ViTConfig) -> None:
    """Raise ValueError unless a model of `config` takes images of all sides in `stages`."""
    height, width = config.image_size
    for _, side in stages:
        if height != width or side >= height:
            raise ValueError(
                f"resolutions: images of {height}x{width} cannot be shrunk to {side}x{side}: a "
                "side must be smaller than that of the model's images, which are square"
            )
        try:
            require_dynamic(config, (side, side))
        except ValueError as error:
            raise ValueError(f"resolutions: {error}") from None


def side_at(stages: Stages, done: float) -> int | None:
    """The side of images when the share `done` of a run is over; None: the model's own size."""
    ends = itertools.accumulate(share for share, _ in stages)
    return next((side for end, (_, side) in zip(ends, stages) if done < end), None)


def shrink(images: torch.Tensor, side: int | None) -> torch.Tensor:
    """Images (b, C, H, W), float -> (b, C, side, side), each pixel the mean of those it covers."""
    return images if side is None else F.adaptive_avg_pool2d(images, side)


@contextlib.contextmanager
def accept_stages(model: nn.Module, stages: Stages):
    """A context in which `model` takes images of all these sizes; afterwards it is as before."""
    if not stages:
        yield
        return
    before, model.dynamic_image_size = model.dynamic_image_size, True
    try:
        yield
    finally:
        model.dynamic_image_size = before
