"""A small CNN, a ViT and a hybrid with as many parameters and FLOPs, side by side (lesson 21).

    python benchmarks/vit_and_cnn.py cost
    python benchmarks/vit_and_cnn.py shapes
    python benchmarks/vit_and_cnn.py cues
    python benchmarks/vit_and_cnn.py cifar10 --images FOLDER --provenance "CIFAR-10 (JPEG copy)"

cost: parameters, FLOPs, and the processor's seconds for a training step, measured in turns.
shapes: accuracy for 100, 1,000 and 10,000 images of the embedded shapes; the models of the last
    are then shown damaged images.
cues: models that learned shapes whose texture gives away the answer, asked where the two disagree.
cifar10: accuracy for 500, 5,000 and 45,000 photographs, and damaged images as in shapes.
All runs of a task have the same number of steps, and so the same FLOPs. The test images are used
once, at the end of a run; nothing was chosen by them.

Writes into data/results/ (or --out DIR):
    vit_and_cnn.csv         a row for each run: images, steps, accuracy; of shapes also that of the
                            shape and of the half
    vit_and_cnn_damage.csv  a row for each run and damage: the share of right answers
    vit_and_cnn_cost.csv    a row for each model and precision
A run that a table holds already is not made again, so `--minutes 8` and another call continue.
"""

import argparse
import dataclasses
import time

import common
import comparison
import measured
import torch
import torch.nn.functional as F
from comparison import count, forward_flops, share

from vit_tutorial import VisionTransformer, ViTConfig, data, training
from vit_tutorial.common import machine
from vit_tutorial.data import subset
from vit_tutorial.data.damage import drop_patches, fill_shapes, patches_on, shuffle_patches
from vit_tutorial.relatives import CNN, CNNConfig

# Each has about 75,000 parameters and 11 million FLOPs an image: one comparison for both.
SMALL = dict(image_size=32, patch_size=4, depth=2, num_heads=2, pool="mean")
CONFIGS = {
    "CNN": CNNConfig(widths=(8, 16, 32, 64)),
    "hybrid": ViTConfig(**SMALL, dim=56, mlp_dim=112, stem="convolutional"),
    "ViT": ViTConfig(**SMALL, dim=64, mlp_dim=128),
    "ViT without positions": ViTConfig(**SMALL, dim=64, mlp_dim=128, position="none"),
}
COMPARED = ("CNN", "hybrid", "ViT")
SIZES = dict(shapes=(100, 1_000, 10_000), cues=(10_000,), cifar10=(500, 5_000, 45_000))
STEPS = dict(shapes=300, cues=300, cifar10=600)
BATCH = 100  # so that 100 images make an epoch
RUN = ("task", "model", "images", "steps", "seed")  # what tells two runs apart


def build(name: str, seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    config = CONFIGS[name]
    return CNN(config) if isinstance(config, CNNConfig) else VisionTransformer(config)


def plan(task: str, seeds: list[int]) -> list[tuple[str, int, int, int]]:
    """(model, images, steps, seed) of every run."""
    steps, most, found = STEPS[task], max(SIZES[task]), []
    for seed in seeds:
        found += [(name, size, steps, seed) for size in SIZES[task] for name in COMPARED]
        found.append(("ViT without positions", most, steps, seed))
    return found


def load(task: str, source: str) -> data.ImageData:
    images = data.load(source if task == "cifar10" else "shapes")
    if task == "cues":
        filled = {name: fill_shapes(getattr(images, name)) for name in ("train", "validation")}
        images = dataclasses.replace(images, **filled)
    return dataclasses.replace(images, validation=images.validation[:500])  # not looked at


def train(task: str, name: str, size: int, steps: int, seed: int, images, args):
    """(trained model, its row of vit_and_cnn.csv)."""
    few = subset(images, size, seed)
    settings = training.TrainSettings(
        epochs=steps / (len(few.train) // BATCH),
        batch_size=BATCH,
        lr=args.lr,
        schedule="linear",
        seed=seed,
        num_evaluations=1,
    )
    model = build(name, seed)
    history = training.train(model, few, settings, progress=False)
    assert history.steps == steps, (history.steps, steps)
    said, labels = training.predict(model, images.test.images, images).argmax(1), images.test.labels
    made = task != "cifar10"  # labels are 2 * shape + half
    right = dict(test_accuracy=share(said == labels))
    right["shape_right"] = share(said // 2 == labels // 2) if made else ""
    right["half_right"] = share(said % 2 == labels % 2) if made else ""
    print(f"{task}, {name}, {size} images, {steps} steps, seed {seed}: {right}", flush=True)
    about = common.provenance("vit_and_cnn.py", machine.hardware(images.device), source=args.images)
    return model, dict(zip(RUN, (task, name, size, steps, seed))) | dict(
        epochs=round(history.epochs, 2),
        **right,
        parameters=count(model),
        lr=args.lr,
        batch_size=BATCH,
        precision=history.precision.name,
        data=args.provenance or images.provenance,
        **about,
    )


# --- damaged images ------------------------------------------------------------------------------


def damage(task: str, model: torch.nn.Module, images: data.ImageData) -> list[dict]:
    """kind, amount and the share of right answers, of all test images.

    Of shapes the half does not count: a shuffled image has none.
    """
    test = images.test  # whole: the images of a folder come class by class
    if task == "cues":
        return cues(model, images)
    names_a_class = 1 if task == "cifar10" else 2  # labels
    rows = []
    for kind, amount, damaged in damaged_images(images.normalise(test.images), test.masks):
        right = answers(model, damaged) // names_a_class == test.labels // names_a_class
        rows.append(dict(kind=kind, amount=amount, right=share(right)))
    return rows


def damaged_images(images: torch.Tensor, masks: torch.Tensor | None):
    """(kind, amount, images) for every damage of normalised images: 0 is the mean colour."""
    for grid in (1, 2, 4, 8):
        draw = torch.Generator().manual_seed(grid)
        yield "shuffled", grid, shuffle_patches(images, images.shape[-1] // grid, draw)
    where = {"random": (None, (0.25, 0.5, 0.75, 0.9))}
    if masks is not None:
        on_object = patches_on(masks, 4)
        where["object"] = (on_object, (0.25, 0.5, 0.75, 1.0))
        where["background"] = (~on_object, (0.25, 0.5, 0.75, 1.0))
    for kind, (among, amounts) in where.items():
        for amount in amounts:
            draw = torch.Generator().manual_seed(int(100 * amount))
            yield kind, amount, drop_patches(images, amount, 4, draw, among)


def cues(model: torch.nn.Module, images: data.ImageData) -> list[dict]:
    """What the model names where shape and texture agree, disagree, or there is no texture."""
    shape = images.test.labels // 2
    said = [
        answers(model, images.normalise(fill_shapes(images.test, shift).images)) // 2
        for shift in range(5)
    ]
    plain = answers(model, images.normalise(images.test.images)) // 2
    found = {
        "both agree": said[0] == shape,
        "no texture": plain == shape,
        "conflict, by shape": torch.cat([said[k] == shape for k in range(1, 5)]),
        "conflict, by texture": torch.cat([said[k] == (shape + k) % 5 for k in range(1, 5)]),
    }
    return [dict(kind=kind, amount="", right=share(right)) for kind, right in found.items()]


@torch.inference_mode()
def answers(model: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    return torch.cat([model.eval()(part).argmax(dim=1) for part in images.split(250)])


# --- what a model costs --------------------------------------------------------------------------


def cost(rounds: int) -> list[dict]:
    """A row for each model and precision: parameters, FLOPs, processor seconds of a step."""
    torch.manual_seed(0)
    images, labels = torch.randn(BATCH, 3, 32, 32), torch.randint(10, (BATCH,))
    rows = []
    for precision in ("fp32", "bf16"):
        models = {name: build(name, 0).train() for name in COMPARED}
        optimizers = {name: torch.optim.AdamW(m.parameters()) for name, m in models.items()}
        seconds = {name: [] for name in models}
        for name in measured.in_turns(list(models), rounds + 2):
            start = time.process_time()  # not the clock's: others may use this machine
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                loss = F.cross_entropy(models[name](images), labels)
            loss.backward()
            optimizers[name].step()
            optimizers[name].zero_grad()
            seconds[name].append(time.process_time() - start)
        kept = {name: values[2:] for name, values in seconds.items()}  # the first ones warm up
        for name, model in models.items():
            rows.append(
                dict(model=name, precision=precision, parameters=count(model))
                | dict(forward_flops=forward_flops(build(name, 0)))
                | dict(batch_size=BATCH, rounds=rounds)
                | measured.spread("step_seconds", kept[name], 4)
                | measured.spread("ratio_to_vit", measured.ratios(kept[name], kept["ViT"]))
                | common.provenance("vit_and_cnn.py", machine.hardware(torch.device("cpu")))
            )
            print(*list(rows[-1].values())[:4], rows[-1]["step_seconds"], rows[-1]["ratio_to_vit"])
    return rows


def arguments() -> argparse.Namespace:
    folder = common.run_options(common.RESULTS, "folder for the tables (default: data/results)")
    parents = comparison.photograph_options(), comparison.time_option()
    parser = common.make_parser(__doc__, folder, *parents)
    parser.add_argument("task", choices=("cost", *STEPS))
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--rounds", type=int, default=30, help="of cost (default: %(default)s)")
    return parser.parse_args()


def main() -> None:
    args, start = arguments(), time.monotonic()
    if args.task == "cost":
        common.write_table(args.out / "vit_and_cnn_cost.csv", cost(args.rounds))
        return
    table = common.SharedTable(args.out / "vit_and_cnn.csv")
    damaged = common.SharedTable(args.out / "vit_and_cnn_damage.csv")
    key = lambda run: dict(zip(RUN, (args.task, *run)))
    missing = [run for run in plan(args.task, args.seeds) if not table.find(**key(run))]
    images = load(args.task, args.images) if missing else None
    for run in missing:
        if time.monotonic() - start > 60 * args.minutes:
            break
        model, row = train(args.task, *run, images, args)
        if run[1] == max(SIZES[args.task]):
            # Before the run's own row: a run that is in its table is complete.
            for each in damage(args.task, model, images):
                damaged.add(key(run) | each, instead_of=(*RUN, "kind", "amount"))
        table.add(row, instead_of=RUN)
    for each in (table, damaged):
        each.sort_by(RUN)


if __name__ == "__main__":
    main()
