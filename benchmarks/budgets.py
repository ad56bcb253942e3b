"""What a preset reaches in a budget of minutes on CIFAR-10: the numbers of the README's budget table.

    python benchmarks/budgets.py FOLDER_OR_cifar10 --provenance "CIFAR-10 (JPEG copy)" --recipe cpu --minutes 5 --seeds 0 1 2

A run is that of `python -m vit_tutorial train --recipe NAME --minutes M --seed S`: one look at the test images, at its end.
--stem convolutional is that of `train --stem`: no plain ViT, so its rows have a name of their own.
A row a run goes into data/results/budgets.csv (--out); a run with the same preset, minutes, seed and hardware takes the place of
the one before.
"""

import argparse
import shlex
import tempfile
from pathlib import Path

import recipe
import torch
from archive import images_in, shown

from vit_tutorial import training
from vit_tutorial.cli import run_folder
from vit_tutorial.cli.run_spec import DataSource, RunSpec
from vit_tutorial.model.config import STEMS


def row(record: dict, args, preset: str, minutes: float, seed: int) -> dict:
    """What the table says about one run."""
    seconds = 60 * record["minutes"]
    return dict(
        recipe=preset,
        budget=minutes,
        seed=seed,
        validation_accuracy=round(record["validation_accuracy"], 4),
        test_accuracy=round(record["test_accuracy"], 4),
        minutes=round(record["minutes"], 2),
        epochs=round(record["epochs"], 2),
        images_per_second=round(record["epochs"] * record["images"]["train"] / seconds),
        parameters=record["parameters"],
        precision=record["precision"],
        memory=record["memory"],
        data=args.provenance or record["data"],
        hardware=record["hardware"],
        torch=torch.__version__,
        date=record["date"][:10],
        command=shlex.join(["python", "benchmarks/budgets.py", *args.shown]),
    )


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument(
        "data",
        help="cifar10, a folder train/<class>/*, test/<class>/*, or a tar archive of such a folder",
    )
    arguments.add_argument("--provenance", default="", help="what the data is, for the table")
    arguments.add_argument("--recipe", required=True, choices=list(training.recipes()))
    arguments.add_argument("--stem", default="patches", choices=STEMS)
    arguments.add_argument(
        "--minutes", type=float, nargs="+", help="budgets (default: the preset's own)"
    )
    arguments.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments.add_argument("--device", default="auto")
    arguments.add_argument("--quiet", action="store_true")
    arguments.add_argument(
        "--out",
        type=Path,
        default=Path(__file__).parent.parent / "data" / "results" / "budgets.csv",
    )
    args = arguments.parse_args()
    args.shown = shown(args.data)
    table = recipe.Table(args.out, args)
    with images_in(args.data) as source, tempfile.TemporaryDirectory() as place:
        for minutes in args.minutes or [training.recipe(args.recipe).minutes]:
            chosen = training.recipe(args.recipe, minutes)
            for seed in args.seeds:
                spec = RunSpec(
                    DataSource(str(source)),
                    chosen.model,
                    chosen.train_settings(minutes=minutes, seed=seed),
                    chosen.config | {"stem": args.stem},
                )
                record = run_folder.start_run(
                    Path(place) / f"{minutes:g}_{seed}",
                    spec,
                    progress=not args.quiet,
                    device=args.device,
                )
                if record["stopped"] != "finished":
                    raise KeyboardInterrupt
                name = args.recipe if args.stem == "patches" else f"{args.recipe}, {args.stem} stem"
                found = row(record, args, name, minutes, seed)
                table.add(found, instead_of=("recipe", "budget", "seed", "hardware"))
                print(
                    f"{args.recipe}, {minutes:g} minutes, seed {seed}: validation {found['validation_accuracy']:.2%}, "
                    f"test {found['test_accuracy']:.2%}, {found['epochs']:.1f} passes",
                    flush=True,
                )


if __name__ == "__main__":
    main()
