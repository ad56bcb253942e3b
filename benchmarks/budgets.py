"""What a recipe reaches in a budget of minutes on CIFAR-10: the README's table of budgets.

    python benchmarks/budgets.py FOLDER_OR_cifar10 --provenance "CIFAR-10 (JPEG copy)" \\
        --recipe cpu --minutes 5 --seeds 0 1 2

A run is that of `python -m vit_tutorial train --recipe NAME --minutes M --seed S`: the test images
are used once, at its end. --stem convolutional is that of `train --stem`: no plain ViT, so its rows
have a name of their own.
Each run is a row of data/results/budgets.csv (--out). It replaces a row with the same recipe,
minutes, seed and hardware.
"""

import argparse
import tempfile
from pathlib import Path

import common

from vit_tutorial.cli import auto_recipe, run_folder
from vit_tutorial.cli.run_spec import DataSource, RunSpec
from vit_tutorial.model.config import STEMS


def row(record: dict, args, recipe: str, minutes: float, seed: int) -> dict:
    """The row of one run."""
    seconds = 60 * record["minutes"]
    return dict(
        recipe=recipe,
        budget=minutes,
        seed=seed,
        validation_accuracy=round(record["validation_accuracy"], 4),
        test_accuracy=round(record["test_accuracy"], 4),
        minutes=round(record["minutes"], 2),
        epochs=round(record["epochs"], 2),
        images_per_second=round(record["epochs"] * record["images"]["train"] / seconds),
        parameters=record["parameters"],
        **common.provenance(
            "budgets.py",
            record["hardware"],
            source=args.data,
            precision=record["precision"],
            memory=record["memory"],
            data=args.provenance or record["data"],
        ),
    )


def run(source: str, out: Path, args, minutes: float, seed: int) -> dict:
    """Train as `python -m vit_tutorial train` does; what run.json holds."""

    def make(chosen) -> RunSpec:
        settings = chosen.train_settings(minutes=minutes, seed=seed)
        changes = chosen.config | {"stem": args.stem}
        return RunSpec(DataSource(source), chosen.model, settings, changes, recipe=args.recipe)

    choose = lambda images, processes: auto_recipe.choose(make, images, processes)
    return run_folder.start_run(
        out,
        make(auto_recipe.named_or_default(args.recipe, minutes)),
        choose=choose if args.recipe == "auto" else None,
        progress=not args.quiet,
        device=args.device,
    )


def arguments() -> argparse.Namespace:
    options = common.run_options(common.RESULTS / "budgets.csv")
    parser = common.make_parser(__doc__, common.image_options(), options)
    parser.add_argument("--recipe", required=True, choices=auto_recipe.NAMES)
    parser.add_argument("--stem", default="patches", choices=STEMS)
    parser.add_argument(
        "--minutes", type=float, nargs="+", help="budgets (default: the recipe's own)"
    )
    return parser.parse_args()


def main() -> None:
    args = arguments()
    table = common.SharedTable(args.out)
    name = args.recipe if args.stem == "patches" else f"{args.recipe}, {args.stem} stem"
    with common.images_in(args.data) as source, tempfile.TemporaryDirectory() as place:
        for minutes in args.minutes or [auto_recipe.named_or_default(args.recipe).minutes]:
            for seed in args.seeds:
                record = run(source, Path(place) / f"{minutes:g}_{seed}", args, minutes, seed)
                if record["stopped"] != "finished":
                    raise KeyboardInterrupt
                result = row(record, args, name, minutes, seed)
                table.add(result, instead_of=("recipe", "budget", "seed", "hardware"))
                print(
                    f"{name}, {minutes:g} minutes, seed {seed}: "
                    f"validation {result['validation_accuracy']:.2%}, "
                    f"test {result['test_accuracy']:.2%}, {result['epochs']:.1f} epochs",
                    flush=True,
                )


if __name__ == "__main__":
    main()
