"""When does pre-training pay? Held-out classes, learned with and without it (lesson 22).

    python benchmarks/transfer.py shapes
    python benchmarks/transfer.py cifar10 --images FOLDER --provenance "CIFAR-10 (JPEG copy)"
    python benchmarks/transfer.py shapes --tune

A body is pre-trained on the first classes of a data set and then meets the others, of which it gets
few labelled images:
    shapes    pre-training on disc, square, triangle; held out are cross and ring (4 classes)
    cifar10   pre-training on the first five classes; held out are dog to truck (5 classes)
Methods:
    scratch           a new model, with as many steps as pre-training and fine-tuning together
    fine-tuned, SGD   the pre-trained body with a new head of zeros; SGD with momentum
    fine-tuned, AdamW the same with AdamW
    probe             least squares on the frozen features of the body
    probe, untrained  least squares on the features of a body with random weights
All fine-tuning has FINE_STEPS steps. --tune tries RATES with one seed that is used for nothing else
and prints the accuracy on the validation images of the held-out classes: the rates below, and the
strength of the probe's penalty, are from there. The test images are used once, at the end of a run.

Writes data/results/transfer.csv (or --out DIR), a row for each run; "pre-training" is the accuracy
of a body on its own classes. A run that the table holds is not made again, so `--minutes 8` and
another call continue.
"""

import argparse
import dataclasses
import time

import common
import comparison
import torch
from comparison import count

from vit_tutorial import VisionTransformer, ViTConfig, data, training
from vit_tutorial.common import machine
from vit_tutorial.data import ImageData, Split
from vit_tutorial.model.transfer import with_new_head
from vit_tutorial.relatives import fit_probe, representations

CONFIG = dict(image_size=32, patch_size=4, dim=64, depth=2, num_heads=2, mlp_dim=128, pool="mean")
PRE_CLASSES = dict(shapes=6, cifar10=5)  # the first ones; the others are held out
PRE_STEPS = dict(shapes=600, cifar10=1200)
FINE_STEPS = 100
SIZES = dict(shapes=(20, 100, 400, 2_000), cifar10=(25, 100, 500, 2_500))  # labelled images
SMALLER = 10  # a second body sees a tenth of the images, for as many steps; only the probe asks it
BATCH = 100  # or all images, where there are fewer
STRENGTHS = (1, 10, 100)  # of the probe's penalty
RATES = {
    "scratch": (1e-3, 3e-3),
    "fine-tuned, SGD": (0.01, 0.03, 0.1),
    "fine-tuned, AdamW": (3e-4, 1e-3, 3e-3),
}
CHOSEN = {
    "shapes": {"scratch": 3e-3, "fine-tuned, SGD": 0.01, "fine-tuned, AdamW": 1e-3, "probe": 1},
    "cifar10": {"scratch": 1e-3, "fine-tuned, SGD": 0.03, "fine-tuned, AdamW": 3e-3, "probe": 10},
}
PRE_RATE = 3e-3
TUNING = dict(seed=100, images=100)
RUN = ("task", "method", "images", "pre_images", "seed")  # what tells two runs apart


def learn(model, images: ImageData, steps: int, lr: float, seed: int, **changes) -> None:
    """Train `model` in place for `steps` steps."""
    batch = min(BATCH, len(images.train))
    changes = dict(schedule="cosine", num_evaluations=1) | changes
    epochs = steps / (len(images.train) // batch)
    settings = training.TrainSettings(epochs=epochs, batch_size=batch, lr=lr, seed=seed, **changes)
    few = dataclasses.replace(images, validation=images.validation[:100])  # not looked at
    history = training.train(model, few, settings, progress=False)
    assert history.steps == steps, (history.steps, steps)


def new_body(num_classes: int, seed: int) -> VisionTransformer:
    torch.manual_seed(seed)
    return VisionTransformer(ViTConfig(**CONFIG, num_classes=num_classes)).eval()


def pre_trained(task: str, before: ImageData, count: int, seed: int) -> VisionTransformer:
    model = new_body(before.num_classes, seed)
    learn(model, data.subset(before, count, seed), PRE_STEPS[task], PRE_RATE, seed)
    return model


def answers(method: str, body, task: str, few: ImageData, seed: int, chosen: float):
    """A function: normalised images of held-out classes -> scores, after learning from `few`.

    chosen: the learning rate, or the strength of the probe's penalty.
    """
    K = few.num_classes
    if method.startswith("probe"):
        inputs = representations(body, few.normalise(few.train.images))
        probe = fit_probe(inputs, few.train.labels, K, chosen)
        return lambda images: probe(representations(body, images))
    if method == "scratch":
        model, steps, changes = new_body(K, seed), PRE_STEPS[task] + FINE_STEPS, {}
    else:
        model, steps = with_new_head(body, K), FINE_STEPS
        changes = dict(optimizer="sgd", weight_decay=0.0) if "SGD" in method else {}
    learn(model, few, steps, chosen, seed, **changes)
    return lambda images: torch.cat([model(each) for each in images.split(250)])


@torch.no_grad()
def accuracy(answer, images: ImageData, split: Split) -> float:
    said = answer(images.normalise(split.images)).argmax(dim=1)
    return round((said == split.labels).double().mean().item(), 4)


def plan(task: str, most: int) -> list[tuple[str, int, int]]:
    """(method, labelled images, images of pre-training) of one seed's runs."""
    sizes = SIZES[task]
    found = [("pre-training", most, most)]
    found += [("probe", size, most) for size in sizes]
    found += [("probe, untrained", size, 0) for size in sizes]
    found += [(name, size, most) for size in sizes for name in RATES if name != "scratch"]
    return found + [("scratch", size, 0) for size in sizes]


def plan_smaller(task: str, most: int) -> list[tuple[str, int, int]]:
    """The runs of a body that saw fewer images."""
    less = most // SMALLER
    return [("pre-training", less, less), *(("probe", size, less) for size in SIZES[task])]


def one_seed(task: str, seed: int, before: ImageData, after: ImageData, missing, more):
    """The rows of the missing runs (method, images, pre_images) of one seed, one by one."""
    bodies = {}
    for method, size, pre_images in missing:
        start = time.process_time()
        if pre_images not in bodies:
            bodies[pre_images] = (
                pre_trained(task, before, pre_images, seed)
                if pre_images
                else new_body(before.num_classes, seed)
            )
        body = bodies[pre_images]
        if method == "pre-training":
            scores = dict(test_accuracy=accuracy(body, before, before.test))
        else:
            few = data.subset(after, size, seed)
            answer = answers(method, body, task, few, seed, rate_of(method, task))
            scores = dict(test_accuracy=accuracy(answer, after, after.test))
        print(f"{task}, {method}, {size} of {pre_images}, seed {seed}: {scores}", flush=True)
        yield (
            dict(zip(RUN, (task, method, size, pre_images, seed)))
            | scores
            | dict(
                pre_steps=PRE_STEPS[task] if pre_images else 0,
                steps=steps_of(method, task),
                rate=rate_of(method, task),
                batch_size=min(BATCH, size),
                parameters=count(body),
                cpu_seconds=round(time.process_time() - start, 1),
                **more,
            )
        )


def steps_of(method: str, task: str) -> int:
    """Steps after pre-training, or of pre-training itself."""
    if method.startswith("probe"):
        return 0
    whole = {"scratch": PRE_STEPS[task] + FINE_STEPS, "pre-training": PRE_STEPS[task]}
    return whole.get(method, FINE_STEPS)


def rate_of(method: str, task: str) -> float:
    """The learning rate, or the strength of the probe's penalty."""
    return PRE_RATE if method == "pre-training" else CHOSEN[task][method.split(", untrained")[0]]


def tune(task: str, images: ImageData) -> None:
    """Print the accuracy on validation images for every rate, with a seed of its own."""
    before, after = data.held_out(images, PRE_CLASSES[task])
    seed, few = TUNING["seed"], data.subset(after, TUNING["images"], TUNING["seed"])
    body = pre_trained(task, before, len(before.train), seed)
    print(f"pre-training: {accuracy(body, before, before.validation):.1%}")
    for method, rates in (RATES | {"probe": STRENGTHS}).items():
        for lr in rates:
            answer = answers(method, body, task, few, seed, lr)
            found = accuracy(answer, after, after.validation)
            print(f"{task}, {method}, {lr:g}: {found:.1%}", flush=True)


def arguments() -> argparse.Namespace:
    folder = common.run_options(common.RESULTS, "folder for the table (default: data/results)")
    parents = comparison.photograph_options(), comparison.time_option()
    parser = common.make_parser(__doc__, folder, *parents)
    parser.add_argument("task", choices=tuple(SIZES))
    parser.add_argument("--tune", action="store_true", help="try rates on validation images")
    parser.set_defaults(seeds=[0, 1, 2, 3, 4])
    return parser.parse_args()


def main() -> None:
    args, start = arguments(), time.monotonic()
    images = data.load(args.images if args.task == "cifar10" else "shapes")
    if args.tune:
        tune(args.task, images)
        return
    before, after = data.held_out(images, PRE_CLASSES[args.task])
    table = common.SharedTable(args.out / "transfer.csv")
    hardware = machine.hardware(images.device)
    about = common.provenance("transfer.py", hardware, source=args.images)
    more = dict(data=args.provenance or images.provenance) | about
    for make in (plan, plan_smaller):
        for seed in args.seeds:
            runs = make(args.task, len(before.train))
            key = lambda run, seed=seed: dict(zip(RUN, (args.task, *run, seed)))
            missing = [run for run in runs if not table.find(**key(run))]
            for row in one_seed(args.task, seed, before, after, missing, more):
                table.add(row, instead_of=RUN)
                if time.monotonic() - start > 60 * args.minutes:
                    break
    table.sort_by(RUN)


if __name__ == "__main__":
    main()
