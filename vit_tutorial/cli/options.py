"""Options that several commands share: the images and the device, or the model."""

import argparse
from pathlib import Path

TRAIN_HELP = "train a ViT for some minutes"  # here, since the module of `train` loads torch


def data_options() -> argparse.ArgumentParser:
    """A parent parser with the options that name the images and the device."""
    data = argparse.ArgumentParser(add_help=False)
    data.add_argument(
        "--data",
        default="shapes",
        help="shapes (made here, no download; the default), pairs (made here, too), cifar10 "
        "(downloaded once, 170 MB), or a folder of images: FOLDER/train/CLASS/*.jpg and "
        "FOLDER/test/CLASS/*.jpg, or FOLDER/CLASS/*.jpg",
    )
    data.add_argument(
        "--image-size",
        type=image_size,
        metavar="PX",
        help="side that a folder's images are resized to, or HEIGHTxWIDTH (default 32)",
    )
    data.add_argument(
        "--data-root",
        type=given_path,
        metavar="DIR",
        help="folder for downloads (default: VIT_TUTORIAL_DATA, or data/ in a clone)",
    )
    data.add_argument(
        "--stream",
        action=argparse.BooleanOptionalAction,
        help="read a folder's images from disk as they are needed, or keep all in memory "
        "(default: what the memory allows)",
    )
    data.add_argument(
        "--device",
        default="auto",
        help="auto (a GPU if there is one; the default), cpu, cuda, cuda:1, mps",
    )
    return data


def add_model_options(command: argparse.ArgumentParser) -> None:
    """Add what the commands take that look at any library's model: its name, and --untrained."""
    command.add_argument(
        "model",
        help="model.safetensors, the folder that train wrote, weights:NAME (those of the package, "
        "such as weights:shapes), timm:NAME, or torchvision:NAME",
    )
    command.add_argument(
        "--untrained",
        action="store_true",
        help="random weights; nothing is downloaded for timm and torchvision",
    )


def shown_name(args: argparse.Namespace) -> str:
    """What a drawing calls the model of `add_model_options`: a path without its folders."""
    name = Path(args.model).name if Path(args.model).exists() else args.model
    return f"{name} (random weights)" if args.untrained else name


def given_path(text: str) -> Path:
    """The argument of an option that names a file or a folder.

    Raises argparse.ArgumentTypeError for an empty one, which would be the current folder.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError(
            f"{text!r} is an empty path; was it a variable that is not set? Write . for this folder"
        )
    return Path(text)


def absolute(path: str | Path) -> str:
    """A path as a run remembers it: it may be resumed in another folder than it was begun in."""
    return str(Path(path).absolute())


def image_size(text: str) -> int | tuple[int, int]:
    """ "96" -> 96, "96x160" -> (96, 160), height first."""
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.strip().isdecimal() for side in sides):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a size: give a side such as 96, or HEIGHTxWIDTH such as 96x160"
        )
    return int(sides[0]) if len(sides) == 1 else (int(sides[0]), int(sides[1]))


def source_from_args(args):
    """The DataSource that the options name."""
    from ..data import sources
    from .run_spec import DataSource

    folder = Path(args.data)
    named = args.data in sources() or not args.data or not folder.is_dir()
    source = args.data if named else absolute(folder)
    return DataSource(source, args.image_size, args.data_root and str(args.data_root), args.stream)


def load_data(args, seed: int = 0):
    """The images that the options name, on their device."""
    from ..common import machine

    return source_from_args(args).load(machine.pick_device(args.device), seed)
