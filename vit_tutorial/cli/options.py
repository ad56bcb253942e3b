"""Options that several commands share: the images and the device."""

import argparse
from pathlib import Path


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
        type=Path,
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
    from .run_spec import DataSource

    return DataSource(
        args.data, args.image_size, args.data_root and str(args.data_root), args.stream
    )


def load_data(args, seed: int = 0):
    """The images that the options name, on their device."""
    from ..common import machine

    return source_from_args(args).load(machine.pick_device(args.device), seed)
