"""The command line: python -m vit_tutorial COMMAND. Its help lists the commands."""

import argparse
import errno
import sys

from ..common.validation import GpuFailedError
from . import attention, evaluate, info, pictures, predict, start, study
from .options import TRAIN_HELP, data_options

EPILOG = """examples:
  python -m vit_tutorial start
  python -m vit_tutorial info
  python -m vit_tutorial show-patches photo.jpg --patch-size 16
  python -m vit_tutorial train --data shapes --minutes 1
  python -m vit_tutorial train --data my_pictures --minutes 10 --out runs/mine
  python -m vit_tutorial train --data cifar10 --recipe t4
  python -m vit_tutorial train --resume runs/mine
  python -m vit_tutorial evaluate runs/mine --data my_pictures
  python -m vit_tutorial predict runs/mine photo.jpg new_pictures --csv answers.csv
  python -m vit_tutorial similarity weights:start_0.02
  python -m vit_tutorial similarity timm:vit_base_patch16_224 --out similarity.png
  python -m vit_tutorial attention weights:vit_shapes photo.jpg --out attention.png
  python -m vit_tutorial study start --data shapes --seeds 5
"""
UNWRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT)


def parser(command: str | None = None) -> argparse.ArgumentParser:
    """The command line with its help.

    command: the one that will be run. The options of `train` are made from the model's and the
    training's settings, which load torch: for another command they are left out. None: all.
    """
    top = argparse.ArgumentParser(
        prog="python -m vit_tutorial",
        description="Train and look at small Vision Transformers. "
        "The lessons in notebooks/ explain what each command does.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    data = data_options()
    start.add_to(commands)
    if command in (None, "train"):
        from . import train

        train.add_to(commands, data)
    else:
        commands.add_parser("train", help=TRAIN_HELP)
    evaluate.add_to(commands, data)
    predict.add_to(commands)
    pictures.add_to(commands)
    attention.add_to(commands)
    study.add_to(commands, data)
    info.add_to(commands)
    return top


def main(argv: list[str] | None = None) -> int:
    """Run one command. The exit status: 0; 2 for a mistake, which is named; 130 after Ctrl-C."""
    argv = sys.argv[1:] if argv is None else argv
    args = parser(argv[0] if argv else "").parse_args(argv)
    try:
        return args.run(args)
    except BrokenPipeError:  # who read the output has seen enough, as in `... | head`
        return 0
    except (ValueError, OSError, FloatingPointError, GpuFailedError) as error:
        print(f"vit_tutorial: {explained(error, args)}", file=sys.stderr)
        return 2
    except MemoryError as error:
        detail = f" ({error})" if str(error) else ""
        print(
            f"vit_tutorial: memory ran out{detail}: smaller images, a smaller model or a smaller "
            "batch need less",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("vit_tutorial: stopped by Ctrl-C, with nothing to save yet", file=sys.stderr)
        return 130


def explained(error: Exception, args: argparse.Namespace) -> str:
    """The message of an error; for a place that cannot be written to, with the option that helps.

    "[Errno 30] Read-only file system: '.patches.png.7.partial'" says neither.
    """
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    said = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    if error.errno not in UNWRITABLE:
        return said
    for option in ("out", "csv"):
        if place := getattr(args, option, None):
            return (
                f"{place} cannot be written ({error.strerror}): "
                f"give a place in a folder of yours with --{option}"
            )
    return said
