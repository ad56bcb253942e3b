"""The command `evaluate`: a trained model measured on test images."""

import argparse
import dataclasses
from pathlib import Path

from .options import load_data


def add_to(commands, data: argparse.ArgumentParser) -> None:
    """Add the command to `commands`; `data` holds the options that name the images."""
    evaluate = commands.add_parser(
        "evaluate",
        parents=[data],
        help="measure a trained model on test images",
        description=(
            "Load a trained model and print its accuracy and cross-entropy on the test images of "
            "--data, which must have the model's classes."
        ),
    )
    evaluate.add_argument(
        "model", type=Path, help="model.safetensors, or the folder that train left behind"
    )
    evaluate.set_defaults(run=run_evaluate)


def run_evaluate(args) -> int:
    """Print the results; the exit status."""
    from .. import training
    from ..common import machine

    path = args.model / "model.safetensors" if args.model.is_dir() else args.model
    model, meta = training.load_model(path, device=machine.pick_device(args.device))
    if args.image_size is None:
        args.image_size = model.config.image_size[0]  # resize a folder's images to what it takes
    data = load_data(args)
    if "data" in meta:
        expected = tuple(meta["data"]["class_names"])
        if expected != data.class_names:
            raise ValueError(
                f"the model was trained on the classes {', '.join(expected)}; {data.name} has "
                f"{', '.join(data.class_names)}: give its own data with --data"
            )
        # Normalise as in training, not by the statistics of these images.
        data = dataclasses.replace(
            data, mean=tuple(meta["data"]["mean"]), std=tuple(meta["data"]["std"])
        )
    training.check_fit(model, data)
    loss, accuracy = training.evaluate(model, data.test, data)
    images = f"{len(data.test)} images, {data.provenance}"
    print(f"test {accuracy:.2%}, cross-entropy {loss:.4f} ({images})")
    return 0
