"""Train the small ViTs whose weights this project ships, and write a card for each.

    python benchmarks/weights.py FOLDER_OR_cifar10 --provenance "CIFAR-10 (JPEG copy)" --epochs 50
    python benchmarks/weights.py shapes --model CIFAR-96x2/4 --epochs 8 --lr 1e-3

CIFAR-10 gives two models. They differ in one thing, the standard deviation from which their learned
position embeddings start: 0.02 and 1 (randn). They have the same seed, so the same first weights
elsewhere, the same validation images, batches and augmentation. The embedded shapes give one model,
with a class token: lesson 04 looks at what that token reads. One call writes into data/weights/
(--out):
    NAME.safetensors        half precision, load with training.load_model
    NAME.start.safetensors  the position embedding before the first step (CIFAR-10 only)
    NAME.csv                the evaluations on the validation images
    NAME.md                 the card: command, data, seed, accuracy, hardware, minutes
NAME is vit_cifar10_start_0.02, vit_cifar10_start_randn, or vit_shapes. Accuracies are those of the
file as it is shipped, in half precision. The test images are used once, at the end.
"""

import argparse
import dataclasses
import hashlib
from pathlib import Path

import common
import torch
from safetensors.torch import save_file

from vit_tutorial import VisionTransformer, ViTConfig, training
from vit_tutorial import data as sources
from vit_tutorial.common import files, machine

STARTS = {"0.02": 0.02, "randn": 1.0}


@dataclasses.dataclass(frozen=True)
class Shipped:
    """One model to ship."""

    name: str  # of its files
    changes: dict  # fields of ViTConfig that differ from those of --model
    pooling: str  # in words, for the card
    start: bool = False  # also ship the position embedding before the first step


def wanted(args) -> list[Shipped]:
    """The models that the images in `args.data` are for."""
    if args.data == "shapes":
        return [Shipped("vit_shapes", dict(pool="class"), "class token")]
    return [
        Shipped(
            f"vit_cifar10_start_{start}",
            dict(position_std=STARTS[start]),
            "mean pooling",
            start=True,
        )
        for start in args.starts
    ]


def build(model: Shipped, args, data, settings) -> dict:
    """Train one model, ship it, and return what its card says."""
    name, out = model.name, args.out
    config = ViTConfig.named(args.model, num_classes=data.num_classes, **model.changes)
    torch.manual_seed(settings.seed)
    vit = VisionTransformer(config)
    before = vit.position.table.detach().clone()
    path = out / f"{name}.safetensors"
    source = common.provenance("weights.py", machine.hardware(data.device), source=args.data)

    def save(history):  # a fault in the last minute must not lose an hour
        files.write_rows(out / f"{name}.csv", history.rows)
        ship(path, vit, data, dict(epochs=round(history.epochs, 2), seed=settings.seed))

    history = training.train(vit, data, settings, on_evaluation=save)
    if history.stopped != "finished":
        raise KeyboardInterrupt
    shipped = ship(path, vit, data, {})
    validation, test = (
        training.evaluate(shipped, split, data)[1] for split in (data.validation, data.test)
    )
    facts = dict(
        command=source["command"],
        trained_on=f"{data.provenance}: {len(data.train)} images to train, "
        f"{len(data.validation)} validation, {len(data.test)} test",
        variant=f"{args.model}, learned_1d positions started at standard deviation "
        f"{config.position_std:g}, {model.pooling}",
        parameters=sum(p.numel() for p in vit.parameters()),
        seed=settings.seed,
        epochs=round(history.epochs, 2),
        minutes=round(history.minutes, 1),
        validation_accuracy=round(validation, 4),
        test_accuracy=round(test, 4),
        precision=f"trained in {history.precision.name}, shipped in float16",
        **{key: source[key] for key in ("hardware", "torch", "date")},
    )
    ship(path, vit, data, facts)
    if model.start:
        table = before[0].half().cpu().contiguous()
        save_file({"table": table}, out / f"{name}.start.safetensors")
    files.write_text(out / f"{name}.md", card(name, facts, settings, path))
    return facts


def ship(path: Path, vit, data, notes: dict):
    """Save `vit` in half precision and return the model as it comes back from the file."""
    half = VisionTransformer(vit.config)
    half.load_state_dict(vit.state_dict())
    training.save_model(path, half.half(), data, **notes)
    return training.load_model(path, device=data.device)[0]


def card(name: str, facts: dict, settings, path: Path) -> str:
    """The card: what a person needs to know to use the weights, and to make them again."""
    lines = [
        f"# {name}",
        "",
        f"A plain Vision Transformer trained on {facts['trained_on'].split(':')[0]}.",
        "",
    ]
    others = [
        f"{key} {value}"
        for key, value in dataclasses.asdict(settings).items()
        if key not in ("minutes", "epochs", "seed")
    ]
    lines += card_table(facts | dict(settings=", ".join(others)), path)
    lines += [
        "For looking at, and for the lessons. Its images are 32 pixels wide; it knows ten classes "
        "and nothing else.",
        "",
    ]
    return "\n".join(lines)


def card_table(facts: dict, path: Path) -> list[str]:
    """The lines of a card's table: `facts`, and the file at `path`."""
    content = path.read_bytes()
    rows = [
        f"| {key.replace('_', ' ')} | {f'`{value}`' if key == 'command' else value} |"
        for key, value in facts.items()
    ]
    file = f"| file | {len(content):,} bytes, sha256 {hashlib.sha256(content).hexdigest()} |"
    return ["| | |", "| --- | --- |", *rows, file, ""]


def arguments() -> argparse.Namespace:
    parser = common.make_parser(__doc__, common.image_options())
    parser.add_argument("--starts", nargs="+", default=list(STARTS), choices=list(STARTS))
    parser.add_argument("--model", default="CIFAR-96x4/4")
    parser.add_argument("--epochs", type=float, default=50)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=common.ROOT / "data" / "weights")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    with common.images_in(args.data) as source:
        data = sources.load(source, device=machine.pick_device(args.device), seed=args.seed)
    if args.provenance:
        data = dataclasses.replace(data, provenance=args.provenance)
    settings = training.TrainSettings(
        epochs=args.epochs, lr=args.lr, schedule="linear", seed=args.seed, num_evaluations=25
    )
    for model in wanted(args):
        facts = build(model, args, data, settings)
        print(
            f"{model.name}: validation {facts['validation_accuracy']:.2%}, "
            f"test {facts['test_accuracy']:.2%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
