"""The command `evaluate`: a trained model measured on test images."""

import argparse
import dataclasses
from pathlib import Path

from .options import load_data


def add_to(commands, data: argparse.ArgumentParser) -> None:
    """Add the command to `commands`"""
    evaluate = commands.add_parser(
        "evaluate",
        parents=[data],
        help="measure a trained model on test images",
        description=(
            "Load a checkpoint and print accuracy and cross-entropy on the test images of --data, which must have its classes."
        ),
    )
    evaluate.add_argument(
        "checkpoint", type=Path, help="model.safetensors, or the folder that train left behind"
    )
    evaluate.set_defaults(run=run_evaluate)


def run_evaluate(args) -> int:
    from .. import training
    from ..common import machine

    path = args.checkpoint / "model.safetensors" if args.checkpoint.is_dir() else args.checkpoint
    model, meta = training.load_model(path, device=machine.pick_device(args.device))
    if args.image_size is None:
        args.image_size = model.config.image_size[0]
    data = load_data(args)
    if "data" in meta:
        expected = tuple(meta["data"]["class_names"])
        if expected != data.class_names:
            raise ValueError(
                f"the model was trained on the classes {', '.join(expected)}; {data.name} has {', '.join(data.class_names)}"
            )
        data = dataclasses.replace(
            data, mean=tuple(meta["data"]["mean"]), std=tuple(meta["data"]["std"])
        )
    training.check_fit(model, data)
    loss, accuracy = training.evaluate(model, data.test, data)
    print(
        f"test {accuracy:.2%}, cross-entropy {loss:.4f} ({len(data.test)} images, {data.provenance})"
    )
    return 0
