"""Checks before a run: the model must fit the data, and a checkpoint must be from the same run."""

import dataclasses

from torch import nn

from ...data import ImageData
from ..settings import TrainSettings
from .resolutions import Stages, check_stages_fit


def check_fit(
    model: nn.Module, data: ImageData, batch_size: int = 1, resolutions: Stages = ()
) -> None:
    """Raise ValueError unless the model's classes, image size and channels are those of `data`.

    Also for a batch of more images than there are, or for resolutions that the model cannot take.
    """
    config = model.config
    if config.num_classes != data.num_classes:
        raise ValueError(
            f"the model tells {config.num_classes} classes apart, {data.name} has "
            f"{data.num_classes}: build it with ViTConfig(num_classes={data.num_classes}, ...)"
        )
    if config.image_size != data.image_size or config.channels != data.channels:
        takes, has = ("x".join(map(str, size)) for size in (config.image_size, data.image_size))
        raise ValueError(
            f"the model takes {config.channels} channels of {takes} pixels, {data.name} has "
            f"{data.channels} of {has}: change the configuration, or the image_size of the data"
        )
    if batch_size > len(data.train):
        raise ValueError(
            f"a batch of {batch_size} is more than the {len(data.train)} training images of "
            f"{data.name}: give a smaller batch size"
        )
    if resolutions and not hasattr(model, "dynamic_image_size"):
        raise ValueError(
            f"resolutions: a {type(model).__name__} takes images of one size only: leave them out"
        )
    check_stages_fit(resolutions, config)


def data_identity(data: ImageData) -> dict:
    """What must be the same for labels and batches to mean the same when a run is resumed."""
    return {
        "provenance": data.provenance,
        "images": len(data.train),
        "classes": list(data.class_names),
        "list of files": data.fingerprint,  # as a hash
    }


def check_same(state: dict, settings: TrainSettings, model: nn.Module, data: ImageData) -> None:
    """Raise ValueError, naming each difference, unless `state` comes from a run with these
    settings, this configuration and this data."""
    expected = {
        "settings": dataclasses.asdict(settings),
        "data": data_identity(data),
    }
    if dataclasses.is_dataclass(model.config):
        expected["config"] = dataclasses.asdict(model.config)
    plain = lambda value: list(value) if isinstance(value, tuple) else value
    differences = [
        f"{name} is {state[part].get(name)!r} in the checkpoint, {plain(value)!r} here"
        for part, values in expected.items()
        for name, value in values.items()
        if state[part] is not None and plain(state[part].get(name)) != plain(value)
    ]
    if differences:
        raise ValueError(
            f"the checkpoint is of another run: {'; '.join(differences)}. "
            "Make them equal, or use another folder"
        )
