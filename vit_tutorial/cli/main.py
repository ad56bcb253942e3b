"""The command line: python -m vit_tutorial COMMAND. Its help lists the commands."""

import argparse
import sys

from ..common.validation import GpuFailedError
from . import evaluate, info, pictures, predict, study, train
from .options import data_options

EPILOG = """examples:
  python -m vit_tutorial info
  python -m vit_tutorial show-patches photo.jpg --patch-size 16
  python -m vit_tutorial train --data shapes --minutes 1
  python -m vit_tutorial train --data my_pictures --minutes 10 --out runs/mine
  python -m vit_tutorial train --data cifar10 --recipe t4
  python -m vit_tutorial train --resume runs/mine
  python -m vit_tutorial evaluate runs/mine --data my_pictures
  python -m vit_tutorial predict runs/mine photo.jpg new_pictures --csv answers.csv
  python -m vit_tutorial similarity timm:vit_base_patch16_224 --out similarity.png
  python -m vit_tutorial study start --data shapes --seeds 5
"""


def parser() -> argparse.ArgumentParser:
    """The whole command line, with its help."""
    top = argparse.ArgumentParser(
        prog="python -m vit_tutorial",
        description="Train and look at small Vision Transformers. "
        "The lessons in notebooks/ explain what each command does.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    data = data_options()
    train.add_to(commands, data)
    evaluate.add_to(commands, data)
    predict.add_to(commands)
    pictures.add_to(commands)
    study.add_to(commands, data)
    info.add_to(commands)
    return top


def main(argv: list[str] | None = None) -> int:
    """Run one command. The exit status: 0; 2 for a mistake, which is named; 130 after Ctrl-C."""
    args = parser().parse_args(argv)
    try:
        return args.run(args)
    except BrokenPipeError:  # who read the output has seen enough, as in `... | head`
        return 0
    except (ValueError, OSError, FloatingPointError, GpuFailedError) as error:
        print(f"vit_tutorial: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("vit_tutorial: stopped by Ctrl-C, with nothing to save yet", file=sys.stderr)
        return 130
