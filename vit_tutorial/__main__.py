"""The command line: python -m vit_tutorial COMMAND; its help lists them. It parses and calls."""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from .errors import GpuFailed

EPILOG = """examples:
  python -m vit_tutorial info
  python -m vit_tutorial show-patches photo.jpg --patch-size 16
  python -m vit_tutorial train --data shapes --minutes 1
  python -m vit_tutorial train --data my_pictures --minutes 10 --out runs/mine
  python -m vit_tutorial train --data cifar10 --preset t4
  python -m vit_tutorial train --resume runs/mine
  python -m vit_tutorial evaluate runs/mine --data my_pictures
  python -m vit_tutorial similarity timm:vit_base_patch16_224 --out similarity.png
  python -m vit_tutorial ablate start --data shapes --seeds 5
"""


def parser() -> argparse.ArgumentParser:
    """The whole command line, with its help."""
    top = argparse.ArgumentParser(
        prog="python -m vit_tutorial",
        description="Train and look at small Vision Transformers. The lessons in notebooks/ explain what each command does.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    data = argparse.ArgumentParser(add_help=False)
    data.add_argument(
        "--data",
        default="shapes",
        help="shapes (made here, no download; the default), cifar10 (fetched once, 170 MB), or a folder of images: "
        "FOLDER/train/CLASS/*.jpg and FOLDER/test/CLASS/*.jpg, or FOLDER/CLASS/*.jpg",
    )
    data.add_argument("--image-size", type=int, metavar="PX", help="side that a folder's images are resized to (default 32)")
    data.add_argument(
        "--data-root", type=Path, metavar="DIR", help="where downloads lie (default: VIT_TUTORIAL_DATA, or data/ in a clone)"
    )
    data.add_argument(
        "--stream",
        action=argparse.BooleanOptionalAction,
        help="read a folder's images from disk as they are needed, or keep all in memory (default: what the memory allows)",
    )
    data.add_argument("--device", default="auto", help="auto (a GPU if there is one; the default), cpu, cuda, cuda:1, mps")

    from . import train_cli

    train_cli.add_to(commands, data)

    evaluate = commands.add_parser(
        "evaluate",
        parents=[data],
        help="measure a trained model on test images",
        description=(
            "Load a checkpoint and print accuracy and cross-entropy on the test images of --data, which must have its classes."
        ),
    )
    evaluate.add_argument("checkpoint", type=Path, help="model.safetensors, or the folder that train left behind")
    evaluate.set_defaults(run=run_evaluate)

    show = commands.add_parser(
        "show-patches",
        help="a picture of an image's patches, as a ViT reads them",
        description=(
            "Cut the middle square of an image into numbered patches and draw the grid, the sequence, and what one token holds."
        ),
    )
    show.add_argument("image", type=Path, help="any image file")
    show.add_argument("--patch-size", type=int, default=16, metavar="P", help="side of a patch in pixels (default 16)")
    show.add_argument("--image-size", type=int, default=224, metavar="PX", help="side that the image is resized to (default 224)")
    show.add_argument("--out", type=Path, default=Path("patches.png"), help="file to write (default patches.png)")
    show.set_defaults(run=run_show_patches)

    similarity = commands.add_parser(
        "similarity",
        help="draw how alike a model's position embeddings are",
        description=(
            "Draw, for each patch, the cosine similarity of its position embedding with every patch's, and print what structure "
            "there is: beside the same rows in shuffled order, and random rows."
        ),
    )
    similarity.add_argument("model", help="a checkpoint of train (file or folder), timm:NAME, or torchvision:NAME")
    similarity.add_argument("--out", type=Path, default=Path("similarity.png"), help="the picture (default similarity.png)")
    similarity.add_argument("--untrained", action="store_true", help="timm and torchvision: random weights, nothing is fetched")
    similarity.set_defaults(run=run_similarity)

    ablate = commands.add_parser(
        "ablate",
        parents=[data],
        help="compare position embeddings: many runs, paired by seed",
        description=(
            "Run a study of position embeddings, one row a run: kinds (every kind, at the stem, in every layer, shared), "
            "start (every random start, learned and frozen), figure9 (other hyperparameters). Stopped and started again, it goes "
            "on where it was. On 2 CPU cores with --data shapes a run takes about 10 seconds."
        ),
    )
    ablate.add_argument("study", help="kinds, start or figure9")
    ablate.add_argument("--seeds", type=int, default=5, metavar="N", help="seeds 0 to N - 1 (default 5)")
    ablate.add_argument("--passes", type=float, metavar="X", help="passes over the training images (default: the study's own)")
    ablate.add_argument("--model", metavar="NAME", help="another model, on other data than shapes (default CIFAR-96x4/4)")
    ablate.add_argument("--only", nargs="+", metavar="VARIANT", help="some variants of the study, by name")
    ablate.add_argument("--out", type=Path, metavar="DIR", help="folder for the table and the picture (default runs/ablation)")
    ablate.add_argument("--quiet", action="store_true", help="no progress bar")
    ablate.set_defaults(run=run_ablate)

    info = commands.add_parser(
        "info",
        help="what this machine is, and what that means for training",
        description=(
            "Print a table: Python, libraries, device, precision, memory, data at hand, and what follows for the lessons."
        ),
    )
    info.add_argument("--json", action="store_true", help="versions and hardware as JSON")
    info.set_defaults(run=run_info)

    from .classroom import cli  # parses; what a teacher needs beside this package is imported when a step runs

    cli.add_to(commands)
    return top


def run_evaluate(args) -> int:
    from . import machine, training

    path = args.checkpoint / "model.safetensors" if args.checkpoint.is_dir() else args.checkpoint
    model, meta = training.load_model(path, device=machine.pick_device(args.device))
    if args.image_size is None:
        args.image_size = model.config.image_size[0]
    data = _load(args)
    if "data" in meta:
        expected = tuple(meta["data"]["class_names"])
        if expected != data.class_names:
            raise ValueError(
                f"the model was trained on the classes {', '.join(expected)}; {data.name} has {', '.join(data.class_names)}"
            )
        data = dataclasses.replace(data, mean=tuple(meta["data"]["mean"]), std=tuple(meta["data"]["std"]))
    training.check_fit(model, data)
    loss, accuracy = training.evaluate(model, data.test, data)
    print(f"test {accuracy:.2%}, cross-entropy {loss:.4f} ({len(data.test)} images, {data.provenance})")
    return 0


def run_show_patches(args) -> int:
    from PIL import Image, ImageOps, UnidentifiedImageError

    from .errors import check_divides, check_whole
    from .inspection import plots

    check_whole("image size", args.image_size)
    check_divides((args.image_size, args.image_size), args.patch_size)
    try:
        with Image.open(args.image) as picture:
            side = (args.image_size, args.image_size)
            image = ImageOps.fit(ImageOps.exif_transpose(picture).convert("RGB"), side)
    except UnidentifiedImageError:
        raise ValueError(f"{args.image} is not an image that can be read: give a JPEG, PNG, WebP, ...") from None
    plots.save(plots.patches(image, args.patch_size), args.out)
    count = (args.image_size // args.patch_size) ** 2
    print(f"{args.out}: {count} patches of {args.patch_size}x{args.patch_size} pixels, {args.patch_size**2 * 3} numbers each")
    return 0


def run_similarity(args) -> int:
    import torch

    from .inspection import plots
    from .inspection.analysis import patch_rows
    from .inspection.similarity import similarity_numbers
    from .inspection.tables import position_table
    from .interop import by_name

    table, grid, extra = position_table(by_name(args.model, pretrained=not args.untrained))
    rows, _ = patch_rows(table, grid, extra)
    name = Path(args.model).name if Path(args.model).exists() else args.model
    what = f"{name}{' (random weights)' if args.untrained else ''}"
    size = f"{grid[0]}x{grid[1]} position embeddings, width {rows.shape[1]}"
    plots.save(plots.position_similarity(rows, grid, extra=0, title=f"{what}\n{size}"), args.out)
    generator = torch.Generator().manual_seed(0)
    columns = {
        "this model": rows,
        "shuffled": rows[torch.randperm(len(rows), generator=generator)],
        "random": torch.randn(rows.shape, generator=generator),
    }
    numbers = {column: similarity_numbers(table, grid, extra=0) for column, table in columns.items()}
    print(f"{what}: {size}")
    print(f"{'':18}" + "".join(f"{column:>12}" for column in columns))
    for key in numbers["this model"]:
        print(f"{key:18}" + "".join(f"{numbers[column][key]:12.3f}" for column in columns))
    print(f"picture: {args.out}")
    return 0


def run_ablate(args) -> int:
    from . import ablation
    from .errors import check_choice, check_whole
    from .inspection import plots

    check_choice("study", args.study, ablation.STUDIES)
    check_whole("seeds", args.seeds)
    folder = args.out or Path("runs") / "ablation"
    table = folder / f"ablation_{args.study}_{Path(args.data).name}.csv"
    rows = ablation.run_study(
        args.study,
        lambda seed: _load(args, seed),
        args.seeds,
        table,
        passes=args.passes,
        model=args.model,
        only=args.only,
        progress=not args.quiet,
    )
    summary = ablation.summary(rows)
    width = max(len(entry["variant"]) for entry in summary)
    for entry in summary:
        against = ""
        if "verdict" in entry:
            gap, half = 100 * entry["difference"], 100 * entry["difference_half"]
            against = f"   {gap:+6.2f} ± {half:.2f} points to {summary[0]['variant']}: {entry['verdict']}"
        print(f"{entry['variant']:{width}}  {entry['mean']:6.2%} ± {entry['half']:.2%} ({entry['seeds']} seeds){against}")
    plots.save(plots.intervals(summary, f"{args.study} on {args.data}"), table.with_suffix(".png"))
    print(f"in {folder}: {table.name} ({len(rows)} runs), {table.stem}.png")
    return 0


def run_info(args) -> int:
    from . import machine

    if args.json:
        print(json.dumps({"hardware": machine.hardware(machine.pick_device()), "versions": machine.versions()}, indent=2))
    else:
        print(machine.table(machine.describe()))
    return 0


def _load(args, seed: int = 0):
    from . import data, machine

    return data.load(
        args.data,
        device=machine.pick_device(args.device),
        seed=seed,
        root=args.data_root,
        image_size=args.image_size,
        stream=args.stream,
    )


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit status: 0, 2 for a mistake that the message names, 130 after Ctrl-C."""
    args = parser().parse_args(argv)
    try:
        return args.run(args)
    except (ValueError, OSError, FloatingPointError, GpuFailed) as error:
        print(f"vit_tutorial: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("vit_tutorial: stopped by Ctrl-C before there was anything to keep", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
