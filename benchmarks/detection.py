"""DETR in miniature, what it is without each of its parts, and a dense detector (lesson 25).

    python benchmarks/detection.py

Every run trains on the same 20,000 scenes with a seed of its own and is scored once, on 1,000 other
scenes, which nothing was chosen by: the settings were tried on scenes of seed 2. Runs of 600
steps compare the variants; those of 1,500 are the lesson's.

Writes data/results/detection.csv (or --out FILE), a row for each run: average precision, with and
without non-maximum suppression, the processor's seconds, and how much attention a token of the
encoder pays to a neighbour of its own object and of another one, block by block (a ratio).
A run that the table holds already is not made again, so `--minutes 8` and another call continue.
"""

import argparse
import dataclasses
import time

import common
import comparison
import torch

from vit_tutorial.common import machine
from vit_tutorial.data.scenes import SIDE, Scenes, make_scenes, normalise
from vit_tutorial.inspection.instances import (
    attention_between_neighbours,
    encoder_weights,
    token_instances,
)
from vit_tutorial.relatives.dense_detector import DenseDetector
from vit_tutorial.relatives.detection import DETR, DetectorConfig
from vit_tutorial.relatives.detection_loss import by_cell, in_order, left_to_right, match
from vit_tutorial.relatives.detection_score import average_precision, detect, suppress
from vit_tutorial.relatives.detection_training import train_detector

BASE = DetectorConfig()
# name: (config, who is responsible for which object)
VARIANTS = {
    "DETR": (BASE, match),
    "dense head": (BASE, by_cell),
    "no matching: order of the list": (BASE, in_order),
    "no matching: left to right": (BASE, left_to_right),
    "3 queries": (dataclasses.replace(BASE, num_queries=3), match),
    "queries without points": (dataclasses.replace(BASE, queries="vectors"), match),
    "no positions": (dataclasses.replace(BASE, positions=False), match),
    "no positions, circular padding": (
        dataclasses.replace(BASE, positions=False, padding="circular"),
        match,
    ),
}
STEPS = 600  # of the comparison
LESSON_STEPS = 1500
KEY = ("variant", "steps", "seed")
SCENES = dict(train=(20_000, 1), test=(1000, 3))  # number, seed


def build(name: str, seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    config, _ = VARIANTS[name]
    return DenseDetector(config) if name == "dense head" else DETR(config)


def plan(seeds: list[int]) -> list[tuple[str, int, int]]:
    """(variant, steps, seed) of every run, seed by seed; 0 steps: as the weights were drawn."""
    runs = []
    for seed in seeds:
        runs += [("DETR", 0, seed), ("DETR", LESSON_STEPS, seed)]
        runs += [(name, STEPS, seed) for name in VARIANTS]
    return runs


def run(name: str, steps: int, seed: int, train: Scenes, test: Scenes, lr: float) -> dict:
    """The row of one run."""
    model, start = build(name, seed), time.process_time()
    if steps:
        train_detector(model, train, steps, VARIANTS[name][1], lr=lr, seed=seed)
    seconds = time.process_time() - start
    images = normalise(test.images)
    found = detect(model, images)
    score = lambda f: average_precision(f, test.labels, test.boxes, BASE.num_classes, SIDE)
    plain, suppressed = score(found), score(suppress(found))
    row = {key: round(value, 4) for key, value in plain.items()}
    row |= {f"{key}_nms": round(value, 4) for key, value in suppressed.items()}
    row |= dict(own_over_other_1="", own_over_other_2="")
    if name != "dense head":
        tokens = token_instances(test.instances, BASE.grid)
        for n, weights in enumerate(encoder_weights(model, images), 1):
            same, other = attention_between_neighbours(weights, tokens)
            row[f"own_over_other_{n}"] = round(same / other, 3)
    print(f"{name}, {steps} steps, seed {seed}: {row}, {seconds:.0f} s", flush=True)
    return (
        dict(zip(KEY, (name, steps, seed)))
        | row
        | dict(
            parameters=comparison.count(model),
            train_scenes=len(train),
            test_scenes=len(test),
            lr=lr,
            cpu_seconds=round(seconds, 1),
            **common.provenance("detection.py", machine.hardware(torch.device("cpu"))),
        )
    )


def arguments() -> argparse.Namespace:
    table = common.run_options(common.RESULTS / "detection.csv")
    parser = common.make_parser(__doc__, table, comparison.time_option())
    parser.add_argument("--lr", type=float, default=2e-3)
    return parser.parse_args()


def main() -> None:
    args, start = arguments(), time.monotonic()
    table = common.SharedTable(args.out)
    missing = [key for key in plan(args.seeds) if not table.find(**dict(zip(KEY, key)))]
    scenes = {name: make_scenes(*made) for name, made in SCENES.items()} if missing else {}
    for key in missing:
        if time.monotonic() - start > 60 * args.minutes:
            break
        table.add(run(*key, **scenes, lr=args.lr), instead_of=KEY)
    names = list(VARIANTS)
    table.sort(lambda r: (names.index(r["variant"]), int(r["steps"]), int(r["seed"])))


if __name__ == "__main__":
    main()
