"""The command `predict`: what a model sees on pictures."""

import argparse
import sys
from pathlib import Path

SHOWN = 10  # files that could not be read, by name


def add_to(commands) -> None:
    """Add the command to `commands`."""
    predict = commands.add_parser(
        "predict",
        help="name what is on a picture, or on all pictures of a folder",
        description=(
            "Show pictures to a trained model and print its likeliest classes for each. Any file "
            "that train reads will do; it is cut and resized as in the model's training."
        ),
    )
    predict.add_argument(
        "model",
        help="model.safetensors, or the folder that train left behind, timm:NAME, or "
        "torchvision:NAME",
    )
    predict.add_argument("pictures", type=Path, nargs="+", help="files, or folders of them")
    predict.add_argument(
        "--top", type=int, default=3, metavar="N", help="classes for each picture (default 3)"
    )
    predict.add_argument(
        "--csv", type=Path, metavar="FILE", help="write a table as well, one row for each picture"
    )
    predict.add_argument("--device", default="auto", help="auto (the default), cpu, cuda, mps")
    predict.add_argument(
        "--untrained",
        action="store_true",
        help="timm and torchvision: random weights, no download",
    )
    predict.set_defaults(run=run_predict)


def run_predict(args: argparse.Namespace) -> int:
    """Print a line for each picture. The exit status: 2 when a file could not be read."""
    from ..common import machine
    from ..common.files import write_rows
    from ..common.validation import require_int
    from ..inspection.classify import classify, load_classifier

    require_int("top", args.top)
    files = pictures(args.pictures)
    classifier = load_classifier(
        args.model, pretrained=not args.untrained, device=machine.pick_device(args.device)
    )
    rows, unread = [], []
    for found in classify(classifier, files, args.top):
        if found.error:
            unread.append(found)
        else:
            named = ", ".join(f"{name} {share:.1%}" for name, share in found.classes)
            print(f"{found.file}: {named}", flush=True)
        rows.append(row(found, args.top))
    if args.csv:
        write_rows(args.csv, rows)
        print(f"table: {args.csv}")
    for found in unread[:SHOWN]:
        print(f"vit_tutorial: {found.file} cannot be read: {found.error}", file=sys.stderr)
    if len(unread) > SHOWN:
        print(f"vit_tutorial: and {len(unread) - SHOWN} more files", file=sys.stderr)
    return 2 if unread else 0


def pictures(paths: list[Path]) -> list[Path]:
    """The files of `paths`; of a folder, all in it and below, hidden ones left out.

    Raises FileNotFoundError for a path that is not there, ValueError when no file is found.
    """
    from ..data.layout import files

    found = []
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"no picture and no folder at {path}")
        found += files(path) if path.is_dir() else [path]
    if not found:
        raise ValueError(f"{', '.join(map(str, paths))}: no file in it")
    return found


def row(found, top: int) -> dict:
    """A Prediction as a row of the table: file, class_1, probability_1, ..., error."""
    cells = {"file": str(found.file)}
    for rank in range(top):
        name, share = found.classes[rank] if rank < len(found.classes) else ("", "")
        cells |= {f"class_{rank + 1}": name, f"probability_{rank + 1}": share}
    return cells | {"error": found.error}
