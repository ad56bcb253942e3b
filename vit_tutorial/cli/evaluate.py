"""The command `evaluate`: a trained model measured on test images."""

import argparse
import dataclasses
from pathlib import Path

from .options import given_path, load_data


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
        "model", type=given_path, help="model.safetensors, or the folder that train wrote"
    )
    evaluate.set_defaults(run=run_evaluate)


def run_evaluate(args) -> int:
    """Print the results; the exit status."""
    from .. import training
    from ..common import machine
    from ..data import sources
    from ..inspection.models import model_file
    from ..training.runtime.progress import CountedBatches

    path = model_file(args.model)
    model, meta = training.load_model(path, device=machine.pick_device(args.device))
    if args.image_size is None and args.data not in sources():
        args.image_size = model.config.image_size  # resize a folder's images to what it takes
    data = images_for(args, meta.get("data"))
    training.check_fit(model, data)
    loss, accuracy = training.evaluate(model, CountedBatches(data.test, "evaluating"), data)
    images = f"{len(data.test)} images, {data.provenance}"
    print(f"test {accuracy:.2%}, cross-entropy {loss:.4f} ({images})")
    return 0


def images_for(args, header: dict | None):
    """The ImageData to measure on: test images, or all images of a folder new to the model.

    header: what the model's file says about its training data; its mean and deviation are used.
    """
    if header is None:
        return load_data(args)
    class_names = tuple(header["class_names"])
    if is_new(args.data, header):
        from ..common.machine import pick_device
        from ..data import folder

        size, device = args.image_size, pick_device(args.device)
        data = folder.load_all(args.data, class_names, image_size=size, device=device)
    else:
        data = load_data(args)
    if class_names != data.class_names:
        raise ValueError(
            f"the model was trained on the classes {', '.join(class_names)}; {data.name} has "
            f"{', '.join(data.class_names)}: give its own data with --data"
        )
    # Normalise as in training, not by the statistics of these images.
    return dataclasses.replace(data, mean=tuple(header["mean"]), std=tuple(header["std"]))


def is_new(source: str, header: dict) -> bool:
    """Whether `source` is a folder without splits that the model was not trained on."""
    from ..data import layout, sources

    path = Path(source)
    if source in sources() or not path.is_dir() or layout.has_splits(path):
        return False
    names = layout.folders(path)
    return header.get("fingerprint") != layout.fingerprint(
        path, names, [layout.labelled(path, names)]
    )
