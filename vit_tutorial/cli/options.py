"""Options that several commands share: the images and the device."""

import argparse
from pathlib import Path


def data_options() -> argparse.ArgumentParser:
    """A parent parser with the options that name the images and the device."""
    data = argparse.ArgumentParser(add_help=False)
    data.add_argument(
        "--data",
        default="shapes",
        help="shapes (made here, no download; the default), cifar10 (fetched once, 170 MB), or a folder of images: "
        "FOLDER/train/CLASS/*.jpg and FOLDER/test/CLASS/*.jpg, or FOLDER/CLASS/*.jpg",
    )
    data.add_argument(
        "--image-size",
        type=int,
        metavar="PX",
        help="side that a folder's images are resized to (default 32)",
    )
    data.add_argument(
        "--data-root",
        type=Path,
        metavar="DIR",
        help="where downloads lie (default: VIT_TUTORIAL_DATA, or data/ in a clone)",
    )
    data.add_argument(
        "--stream",
        action=argparse.BooleanOptionalAction,
        help="read a folder's images from disk as they are needed, or keep all in memory (default: what the memory allows)",
    )
    data.add_argument(
        "--device",
        default="auto",
        help="auto (a GPU if there is one; the default), cpu, cuda, cuda:1, mps",
    )
    return data


def load_data(args, seed: int = 0):
    from .. import data
    from ..common import machine

    return data.load(
        args.data,
        device=machine.pick_device(args.device),
        seed=seed,
        root=args.data_root,
        image_size=args.image_size,
        stream=args.stream,
    )
