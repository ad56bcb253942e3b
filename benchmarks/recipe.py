"""What each ingredient of a training recipe buys.

    python benchmarks/recipe.py FOLDER_OR_cifar10 --provenance "CIFAR-10 (JPEG copy)"

Studies:
    ladder     from a first attempt to a recipe, one ingredient added at a time, each compared with
               the rung below
    alone      further ingredients, each by itself on top of the ladder
    reuse      the same with a ninth of the images and nine times the epochs: as many steps, but
               each image is seen often
    optimizer  AdamW and Muon, each at the same learning rates: the same effort for both
Each run is a row of data/results/recipe.csv (--out); `against` names the ingredient whose runs it
is compared with, seed by seed. Runs that are in the table are not made again. Accuracies are those
on the validation images; the test images are not touched.
"""

import argparse
import dataclasses
import functools

import common
import torch

from vit_tutorial import VisionTransformer, ViTConfig, training
from vit_tutorial import data as sources
from vit_tutorial.common import machine

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
FEWER = 9  # the study reuse: images divided by this, epochs multiplied
RATES = (1e-3, 3e-3, 1e-2, 3e-2)  # the best of either optimiser lies inside


def make(
    table: common.SharedTable,
    args,
    data,
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
    epochs = args.epochs
    if study == "reuse":  # every ninth image, since a folder is in order of classes
        data = dataclasses.replace(data, train=data.train[::FEWER])
        epochs *= FEWER
    recipe = ", ".join(f"{n} {v}" for n, v in (config | settings).items())
    images = len(data.train)
    same = table.find(seed=seed, recipe=recipe, images=images, epochs=epochs, model=args.model)
    if same:  # a run that two studies share is made once
        table.add(same | key | dict(against=against))
        return
    torch.manual_seed(seed)
    model = VisionTransformer(ViTConfig.named(args.model, num_classes=data.num_classes, **config))
    plan = training.TrainSettings(epochs=epochs, seed=seed, num_evaluations=4, **settings)
    history = training.train(model, data, plan, progress=not args.quiet)
    if history.stopped != "finished":
        raise KeyboardInterrupt
    last = history.rows[-1]
    result = dict(
        against=against,
        validation_accuracy=round(last["validation_accuracy"], 4),
        validation_loss=round(last["validation_loss"], 4),
        train_loss=round(last["train_loss"], 4),
        images=images,
        epochs=epochs,
        steps=history.steps,
        minutes=round(history.minutes, 2),
        model=args.model,
        recipe=recipe,
        **common.provenance(
            "recipe.py",
            machine.hardware(data.device),
            source=args.data,
            precision=history.precision.name,
            data=args.provenance or data.provenance,
        ),
    )
    table.add(key | result)
    print(f"{study}: {name}, seed {seed}: {result['validation_accuracy']:.2%}", flush=True)


def rungs(study: str, only: list[str]) -> list[tuple[str, str, dict, dict]]:
    """(ingredient, what it is compared with, configuration, settings) of each kind of run.

    only: which of ALONE.
    """
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


def arguments() -> argparse.Namespace:
    options = common.run_options(common.RESULTS / "recipe.csv")
    parser = common.make_parser(__doc__, common.image_options(), options)
    parser.add_argument("--study", nargs="+", default=STUDIES, choices=STUDIES)
    parser.add_argument(
        "--only",
        nargs="+",
        default=list(ALONE),
        choices=list(ALONE),
        help="of the studies alone and reuse",
    )
    parser.add_argument("--model", default="CIFAR-64x3/4")
    parser.add_argument(
        "--epochs",
        type=float,
        default=3,
        help="of each run; in the study reuse nine times as many (default 3)",
    )
    return parser.parse_args()


def main() -> None:
    args = arguments()
    device = machine.pick_device(args.device)
    table = common.SharedTable(args.out)
    with common.images_in(args.data) as source:

        @functools.cache
        def data_of(seed: int):
            return sources.load(source, device=device, seed=seed)

        for study in args.study:
            for rung in rungs(study, args.only):
                for seed in args.seeds:
                    make(table, args, data_of(seed), study, *rung, seed)
    order = [(study, name) for study in STUDIES for name, *_ in rungs(study, list(ALONE))]
    table.sort(lambda row: (order.index((row["study"], row["ingredient"])), int(row["seed"])))


if __name__ == "__main__":
    main()
