"""What each ingredient of a training recipe buys.

    python benchmarks/recipe.py FOLDER_OR_cifar10 --provenance "CIFAR-10 (JPEG copy)"

Studies:
    ladder     from a first attempt to a recipe, one ingredient added at a time, each compared with the rung below
    alone      further ingredients, each by itself on top of the ladder
    reuse      the same with a ninth of the images and nine times the passes: as many steps, but each image is seen often
    optimizer  AdamW and Muon, each at the same learning rates: the same effort for both
A row a run goes into data/results/recipe.csv (--out); `against` names the ingredient whose runs, seed by seed, are the
comparison. Runs that are there already are not made again. Accuracies are those on the validation images; the test images are
not touched.
"""

import argparse
import csv
import dataclasses
import datetime
import shlex
from pathlib import Path

import torch
from archive import images_in, shown
from filelock import FileLock

from vit_tutorial import VisionTransformer, ViTConfig, training
from vit_tutorial import data as sources
from vit_tutorial.common import files, machine

FIRST = {
    "config": dict(pool="class", position="learned_1d"),
    "settings": dict(
        optimizer="adamw",
        lr=1e-3,
        warmup=0.0,
        schedule="constant",
        decay="all",
        augment="none",
        batch_size=128,
    ),
}
# Name: changes to the configuration, changes to the settings.
LADDER = {
    "mean pooling": (dict(pool="mean"), {}),
    "learning rate x 3": ({}, dict(lr=3e-3)),
    "warm-up, cosine to zero": ({}, dict(warmup=0.1, schedule="cosine")),
    "decay on matrices only": ({}, dict(decay="matrices")),
    "flip and shift": ({}, dict(augment="flip_shift")),
    "sinusoidal 2-D positions": (dict(position="sinusoidal_2d"), {}),
    "Muon for AdamW": ({}, dict(optimizer="muon")),
}
ALONE = {
    "CutMix, every other image": ({}, dict(cutmix=0.5)),
    "RandAugment, 1 operation": ({}, dict(rand_augment_ops=1)),
    "label smoothing 0.1": ({}, dict(label_smoothing=0.1)),
    "averaged weights": ({}, dict(ema_decay=0.995)),
    "stochastic depth 0.1": (dict(drop_path_rate=0.1), {}),
    "batch 256": ({}, dict(batch_size=256)),
    "overlapping convolutional stem": (dict(stem="convolutional"), {}),
}
STUDIES = ["ladder", "alone", "reuse", "optimizer"]
FEWER = 9  # the study reuse: images divided by this, passes multiplied
RATES = (1e-3, 3e-3, 1e-2, 3e-2)  # the best of either optimiser lies inside


class Table:
    """The rows so far, in a file that several studies may write at the same time."""

    def __init__(self, path: Path, args):
        self.path, self.lock, self.args = path, FileLock(f"{path}.lock"), args

    def rows(self) -> list[dict]:
        return list(csv.DictReader(self.path.open(newline=""))) if self.path.exists() else []

    def find(self, **key) -> dict | None:
        return next(
            (
                row
                for row in self.rows()
                if all(row[name] == str(value) for name, value in key.items())
            ),
            None,
        )

    def add(self, row: dict, instead_of: tuple = ()) -> None:
        """Write `row`; one that is equal to it in the columns `instead_of` goes."""
        with self.lock:
            same = lambda old: (
                bool(instead_of) and all(old[name] == str(row[name]) for name in instead_of)
            )
            files.write_rows(self.path, [*(old for old in self.rows() if not same(old)), row])

    def sort(self, key) -> None:
        with self.lock:
            files.write_rows(self.path, sorted(self.rows(), key=key))


def make(
    table: Table,
    data_of,
    study: str,
    name: str,
    against: str,
    config: dict,
    settings: dict,
    seed: int,
) -> None:
    """One run, unless the table has it."""
    key = dict(study=study, ingredient=name, seed=seed)
    if table.find(**key):
        return
    args, data, passes = table.args, data_of(seed), table.args.epochs
    if study == "reuse":
        data, passes = (
            dataclasses.replace(data, train=data.train[::FEWER]),
            passes * FEWER,
        )  # a folder is in order of classes
    recipe = ", ".join(f"{n} {v}" for n, v in (config | settings).items())
    same = table.find(
        seed=seed, recipe=recipe, images=len(data.train), epochs=passes, model=args.model
    )
    if same:  # a run that two studies share is made once
        table.add(same | key | dict(against=against))
        return
    torch.manual_seed(seed)
    model = VisionTransformer(ViTConfig.named(args.model, num_classes=data.num_classes, **config))
    told = training.TrainSettings(epochs=passes, seed=seed, num_evaluations=4, **settings)
    history = training.train(model, data, told, progress=not args.quiet)
    if history.stopped != "finished":
        raise KeyboardInterrupt
    last = history.rows[-1]
    result = dict(
        against=against,
        validation_accuracy=round(last["validation_accuracy"], 4),
        validation_loss=round(last["validation_loss"], 4),
        train_loss=round(last["train_loss"], 4),
        images=len(data.train),
        epochs=passes,
        steps=history.steps,
        minutes=round(history.minutes, 2),
        model=args.model,
        recipe=recipe,
        precision=history.precision.name,
        data=args.provenance or data.provenance,
        hardware=machine.hardware(data.device),
        torch=torch.__version__,
        date=datetime.date.today().isoformat(),
        command=shlex.join(["python", "benchmarks/recipe.py", *args.shown]),
    )
    table.add(key | result)
    print(f"{study}: {name}, seed {seed}: {result['validation_accuracy']:.2%}", flush=True)


def rungs(study: str, only: list[str]) -> list[tuple[str, str, dict, dict]]:
    """(ingredient, what it is compared with, configuration, settings) of each kind of run; of ALONE `only` these."""
    config, settings, below = FIRST["config"], FIRST["settings"], "a first attempt"
    found = [(below, "", config, settings)]
    for name, (more_config, more_settings) in LADDER.items():
        config, settings = config | more_config, settings | more_settings
        found.append((name, below, config, settings))
        below = name
    if study == "ladder":
        return found
    if study == "optimizer":
        kinds = [(optimizer, rate) for optimizer in ("adamw", "muon") for rate in RATES]
        return [(f"{o} {r:g}", "", config, settings | dict(optimizer=o, lr=r)) for o, r in kinds]
    base = [("the ladder", "", config, settings)]
    return base + [
        (name, "the ladder", config | more[0], settings | more[1])
        for name, more in ALONE.items()
        if name in only
    ]


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument(
        "data",
        help="cifar10, a folder train/<class>/*, test/<class>/*, or a tar archive of such a folder",
    )
    arguments.add_argument("--provenance", default="", help="what the data is, for the table")
    arguments.add_argument("--study", nargs="+", default=STUDIES, choices=STUDIES)
    arguments.add_argument(
        "--only",
        nargs="+",
        default=list(ALONE),
        choices=list(ALONE),
        help="of the studies alone and reuse",
    )
    arguments.add_argument("--model", default="CIFAR-64x3/4")
    arguments.add_argument(
        "--epochs",
        type=float,
        default=3,
        help="of each run; in the study reuse nine times as many (default 3)",
    )
    arguments.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments.add_argument("--device", default="auto")
    arguments.add_argument("--quiet", action="store_true")
    arguments.add_argument(
        "--out", type=Path, default=Path(__file__).parent.parent / "data" / "results" / "recipe.csv"
    )
    args = arguments.parse_args()
    args.shown = shown(args.data)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    device, loaded = machine.pick_device(args.device), {}
    with images_in(args.data) as source:

        def data_of(seed: int):
            if seed not in loaded:
                loaded[seed] = sources.load(source, device=device, seed=seed)
            return loaded[seed]

        table = Table(args.out, args)
        for study in args.study:
            for rung in rungs(study, args.only):
                for seed in args.seeds:
                    make(table, data_of, study, *rung, seed)
        places = [(study, name) for study in STUDIES for name, *_ in rungs(study, list(ALONE))]
        table.sort(lambda row: (places.index((row["study"], row["ingredient"])), int(row["seed"])))


if __name__ == "__main__":
    main()
