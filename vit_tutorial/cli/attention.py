"""The command `attention`: what a model reads of pictures, as maps over their patches."""

import argparse
import sys
from pathlib import Path

from .options import add_model_options, given_path, shown_name
from .predict import on_one_line, pictures

MOST = 8  # pictures side by side that can still be seen


def add_to(commands) -> None:
    """Add the command to `commands`."""
    attention = commands.add_parser(
        "attention",
        help="draw what a model reads in pictures",
        description=(
            "Draw the attention of a Vision Transformer as maps over the patches of pictures: what "
            "its class token reads or, without one, what all patches read on average. Each map has "
            "its own scale. Pictures are cropped and resized as in the model's training."
        ),
    )
    add_model_options(attention)
    attention.add_argument(
        "pictures", type=given_path, nargs="+", help=f"files, or folders of them, {MOST} at most"
    )
    attention.add_argument(
        "--out",
        type=given_path,
        default=Path("attention.png"),
        help="file for the drawing (default attention.png)",
    )
    attention.add_argument(
        "--method",
        choices=("attention", "rollout", "gradient"),
        default="attention",
        help="attention: the weights of each layer (the default); rollout: attention followed "
        "through the layers (Abnar and Zuidema 2020); gradient: attention weighted by the gradient "
        "of the class that the model names (Chefer et al. 2021)",
    )
    attention.add_argument(
        "--layer",
        type=int,
        metavar="N",
        help="one layer, with all its heads: 0 is the first, -1 the last; for rollout, the layer "
        "where it ends (default: every layer)",
    )
    attention.add_argument(
        "--head", type=int, metavar="N", help="one head, counted from 0 (default: the mean of all)"
    )
    attention.add_argument("--device", default="auto", help="auto (the default), cpu, cuda, mps")
    attention.set_defaults(run=run_attention)


def run_attention(args: argparse.Namespace) -> int:
    """Draw the maps. The exit status: 2 when a file could not be read."""
    import torch

    from ..common import machine
    from ..data.decode import UNREADABLE
    from ..inspection import plots
    from ..inspection.classify import load_classifier
    from ..inspection.looking import look

    files = pictures(args.pictures)
    if len(files) > MOST:
        raise ValueError(f"{len(files)} pictures: at most {MOST} can be drawn side by side")
    classifier = load_classifier(
        args.model, pretrained=not args.untrained, device=machine.pick_device(args.device)
    )
    images, unread = {}, 0
    for file in files:
        try:
            images[file] = classifier.read(file)
        except UNREADABLE as error:
            print(f"vit_tutorial: {on_one_line(file)} cannot be read: {error}", file=sys.stderr)
            unread += 1
    if not images:
        raise ValueError("none of the pictures could be read")
    batch = torch.stack(list(images.values()))
    seen = look(classifier.model, batch.to(classifier.device), args.method, args.layer, args.head)
    title = f"{shown_name(args)}: {args.method}, read by {seen.reader}"
    pixels = classifier.pixels(batch)
    if len(images) == 1:
        maps = {label: values[0] for label, values in seen.maps.items()}
        figure = plots.map_panels(pixels[0], maps, title=title)
    else:
        rows = {label.replace(", ", ",\n"): (values, None) for label, values in seen.maps.items()}
        figure = plots.map_rows(pixels, rows, title=title)
    plots.save(figure, args.out)
    _report(seen, list(images), classifier.class_names)
    print(f"picture: {args.out}")
    return 2 if unread else 0


def _report(seen, files: list[Path], class_names: tuple[str, ...]) -> None:
    """A line for each picture: its class, and where the last of its maps is brightest."""
    if seen.recorded.layout.class_token is None:
        print(
            "This model has no class token, so no single token reads for the answer. The maps "
            "show what all patches read, on average."
        )
    label, maps = list(seen.maps.items())[-1]
    rows, columns = maps.shape[1:]
    shares = seen.recorded.output.detach().float().softmax(dim=1)
    for file, values, share in zip(files, maps, shares):
        row, column = divmod(int(values.argmax()), columns)
        most = f"{class_names[int(share.argmax())]} {float(share.max()):.1%}"
        print(
            f"{on_one_line(file)}: {most}; {label}: most at row {row}, column {column} of "
            f"{rows}x{columns} ({float(values.max()):.3g}, mean {float(values.mean()):.3g})"
        )
