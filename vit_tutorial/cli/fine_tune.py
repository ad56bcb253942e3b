"""`train --from WEIGHTS`: what a run that starts from trained weights does otherwise."""

import dataclasses
import math
from pathlib import Path

from ..data import ImageData, sources
from ..inspection.models import load_pretrained
from ..training import Recipe
from .run_spec import RunSpec

# Small steps, so that the first ones do not destroy what the weights know. A head alone starts at 0
# and has far to go.
FINE_TUNE = dict(lr=3e-4, schedule="cosine")
PROBE = dict(lr=1e-2, schedule="cosine", weight_decay=0.0)
OF_THE_WEIGHTS = ("model", "pool", "position", "stem")  # options that would build another model
LEAST_STEPS = 4  # in an epoch: fewer make the order of the images and the schedule coarse


def check_options(args) -> None:
    """Raise ValueError for options that do not go with `--from`, or need it.

    Where no image size is given, a folder's images get that of the weights.
    """
    if not args.weights:
        if args.freeze != "none":
            raise ValueError(
                f"--freeze {args.freeze} without --from: a random body would stay random. "
                "Name the weights to start from"
            )
        return
    for name in OF_THE_WEIGHTS:
        if getattr(args, name) is not None:
            raise ValueError(f"--{name} belongs to the weights: leave it out, or leave out --from")
    if args.recipe != "auto":
        raise ValueError(
            f"--recipe {args.recipe} brings a model of its own: leave it out, or leave out --from"
        )
    if args.image_size is None and args.data not in sources() and Path(args.data).is_dir():
        args.image_size = load_pretrained(args.weights).model.config.image_size


def recipe(args) -> Recipe:
    """The settings of a run from weights; the model is theirs."""
    return Recipe(args.weights, 5, {}, PROBE if args.freeze == "body" else FINE_TUNE)


def fit_batch(spec: RunSpec, images: ImageData, asked: bool) -> RunSpec:
    """`spec` with smaller batches where its own would leave an epoch fewer than LEAST_STEPS steps.

    asked: a person gave the batch size, so it stays.
    """
    count = len(images.train)
    if asked or spec.settings.batch_size * LEAST_STEPS <= count:
        return spec
    size = 2 ** int(math.log2(max(1, count // LEAST_STEPS)))
    why = f"batches of {size}, since there are {count} training images"
    return dataclasses.replace(
        spec,
        settings=dataclasses.replace(spec.settings, batch_size=size),
        why=f"{spec.why}; {why}" if spec.why else why,
    )
