"""The command `predict`: what a model sees on pictures."""

import argparse
import errno
import os
import sys
from pathlib import Path

from .options import add_model_options, given_path

SHOWN = 10  # files that could not be read, by name


def add_to(commands) -> None:
    """Add the command to `commands`."""
    predict = commands.add_parser(
        "predict",
        help="name what is in a picture, or in all pictures of a folder",
        description=(
            "Show pictures to a trained model and print its most likely classes for each. Any file "
            "that train can read will do; it is cropped and resized as in the model's training."
        ),
    )
    add_model_options(predict)
    predict.add_argument("pictures", type=given_path, nargs="+", help="files, or folders of them")
    predict.add_argument(
        "--top", type=int, default=3, metavar="N", help="classes for each picture (default 3)"
    )
    predict.add_argument(
        "--csv",
        type=given_path,
        metavar="FILE",
        help="also write a table, with one row for each picture",
    )
    predict.add_argument("--device", default="auto", help="auto (the default), cpu, cuda, mps")
    predict.set_defaults(run=run_predict)


def run_predict(args: argparse.Namespace) -> int:
    """Print a line for each picture. The exit status: 2 when a file could not be read, 130 after
    Ctrl-C, which keeps what is named already."""
    from ..common import machine
    from ..common.files import write_rows
    from ..common.validation import require_int
    from ..inspection.classify import classify, load_classifier

    require_int("top", args.top)
    files = pictures(args.pictures)
    if args.csv and args.csv.is_dir():  # now, not after an hour of pictures
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(args.csv))
    classifier = load_classifier(
        args.model, pretrained=not args.untrained, device=machine.pick_device(args.device)
    )
    rows, unread, stopped = [], [], False
    try:
        for found in classify(classifier, files, args.top):
            if found.error:
                unread.append(found)
            else:
                named = ", ".join(f"{name} {share:.1%}" for name, share in found.classes)
                print(f"{on_one_line(found.file)}: {named}", flush=True)
            rows.append(row(found, args.top))
    except KeyboardInterrupt:
        stopped = True
        print(f"vit_tutorial: stopped by Ctrl-C after {len(rows)} of {len(files)} pictures",
              file=sys.stderr)  # fmt: skip
    if args.csv and rows:
        write_rows(args.csv, rows)
        print(f"table: {args.csv}")
    for found in unread[:SHOWN]:
        name = on_one_line(found.file)
        print(f"vit_tutorial: {name} cannot be read: {found.error}", file=sys.stderr)
    if len(unread) > SHOWN:
        print(f"vit_tutorial: and {len(unread) - SHOWN} more files", file=sys.stderr)
    return 130 if stopped else 2 if unread else 0


def on_one_line(path: Path) -> str:
    """The name of a file as it can be printed: a line break in it becomes \\n, and so on."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(path))


def pictures(paths: list[Path]) -> list[Path]:
    """The files of `paths`; of a folder, all in it and below, hidden ones left out.

    Raises FileNotFoundError for a path that is not there, ValueError when no file is found.
    """
    from ..data.layout import files
    from ..inspection.models import PREFIXES

    found = []
    for path in paths:
        if not path.exists():
            model = str(path).startswith(PREFIXES)
            order = ": the model comes first, then the pictures" if model else ""
            raise FileNotFoundError(f"there is no picture or folder at {path}{order}")
        found += files(path) if path.is_dir() else [path]
    if not found:
        raise ValueError(f"{', '.join(map(str, paths))}: no files found")
    return found


def row(found, top: int) -> dict:
    """A Prediction as a row of the table: file, class_1, probability_1, ..., error."""
    cells = {"file": str(found.file)}
    for rank in range(top):
        name, share = found.classes[rank] if rank < len(found.classes) else ("", "")
        cells |= {f"class_{rank + 1}": name, f"probability_{rank + 1}": share}
    return cells | {"error": found.error}
