"""Train the small ViTs whose weights this project ships, and write a card for each: one call builds data/weights/ anew.

    python benchmarks/weights.py FOLDER_OR_cifar10 --provenance "CIFAR-10 (JPEG copy)" --epochs 50

The two differ in one thing, the standard deviation from which their learned position embeddings start: 0.02 and 1 (randn).
Same seed, so the same first weights elsewhere, the same validation images, batches and augmentation. Into data/weights/ (--out):
    vit_cifar10_start_0.02.safetensors, vit_cifar10_start_randn.safetensors   half precision, load with training.load_model
    NAME.start.safetensors  the position embedding before the first step
    NAME.csv                the looks at the validation images
    NAME.md                 the card: command, data, seed, accuracy, hardware, minutes
Accuracies are those of the file as it is shipped, in half precision. The test images are looked at once, at the end.
"""

import argparse
import dataclasses
import datetime
import hashlib
import shlex
from pathlib import Path

import torch
from archive import images_in, shown
from safetensors.torch import save_file

from vit_tutorial import VisionTransformer, ViTConfig, training
from vit_tutorial import data as sources
from vit_tutorial.common import files, machine

STARTS = {"0.02": 0.02, "randn": 1.0}


def build(start: str, model: str, data, settings, out: Path, command: str) -> dict:
    """Train one model, ship it, and return what its card says."""
    name = f"vit_cifar10_start_{start}"
    config = ViTConfig.named(model, num_classes=data.num_classes, position_std=STARTS[start])
    torch.manual_seed(settings.seed)
    vit = VisionTransformer(config)
    before = vit.position.table.detach().clone()
    path = out / f"{name}.safetensors"
    date = datetime.date.today().isoformat()

    def keep(history):  # a fault in the last minute loses a minute
        files.write_rows(out / f"{name}.csv", history.rows)
        ship(path, vit, data, dict(epochs=round(history.epochs, 2), seed=settings.seed))

    history = training.train(vit, data, settings, on_evaluation=keep)
    if history.stopped != "finished":
        raise KeyboardInterrupt
    shipped = ship(path, vit, data, {})
    validation, test = (
        training.evaluate(shipped, split, data)[1] for split in (data.validation, data.test)
    )
    facts = dict(
        command=command,
        trained_on=f"{data.provenance}: {len(data.train)} images to train, {len(data.validation)} validation,"
        f" {len(data.test)} test",
        variant=f"{model}, learned_1d positions started at standard deviation {STARTS[start]:g}, mean pooling",
        parameters=sum(p.numel() for p in vit.parameters()),
        seed=settings.seed,
        epochs=round(history.epochs, 2),
        minutes=round(history.minutes, 1),
        validation_accuracy=round(validation, 4),
        test_accuracy=round(test, 4),
        precision=f"trained in {history.precision.name}, shipped in float16",
        hardware=machine.hardware(data.device),
        torch=torch.__version__,
        date=date,
    )
    ship(path, vit, data, facts)
    save_file({"table": before[0].half().cpu().contiguous()}, out / f"{name}.start.safetensors")
    files.write_text(out / f"{name}.md", card(name, facts, settings, path))
    return facts


def ship(path: Path, vit, data, notes: dict):
    """Save `vit` in half precision and return the model as it comes back from the file."""
    half = VisionTransformer(vit.config)
    half.load_state_dict(vit.state_dict())
    training.save_model(path, half.half(), data, **notes)
    return training.load_model(path, device=data.device)[0]


def card(name: str, facts: dict, settings, path: Path) -> str:
    """The card: what a person needs to know before using the weights, and to get them again."""
    content = path.read_bytes()
    lines = [
        f"# {name}",
        "",
        f"A plain Vision Transformer trained on {facts['trained_on'].split(':')[0]}.",
        "",
    ]
    lines += ["| | |", "| --- | --- |"]
    lines += [
        f"| {key.replace('_', ' ')} | {f'`{value}`' if key == 'command' else value} |"
        for key, value in facts.items()
    ]
    told = {
        key: value
        for key, value in dataclasses.asdict(settings).items()
        if key not in ("minutes", "epochs", "seed")
    }
    lines += [f"| settings | {', '.join(f'{key} {value}' for key, value in told.items())} |"]
    lines += [
        f"| file | {len(content):,} bytes, sha256 {hashlib.sha256(content).hexdigest()} |",
        "",
    ]
    lines += [
        "For looking at, and for the lessons. Its images are 32 pixels wide; it knows ten classes and nothing else.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument(
        "data",
        help="cifar10, a folder train/<class>/*, test/<class>/*, or a tar archive of such a folder",
    )
    arguments.add_argument("--provenance", default="", help="what the data is, for the card")
    arguments.add_argument("--starts", nargs="+", default=list(STARTS), choices=list(STARTS))
    arguments.add_argument("--model", default="CIFAR-96x4/4")
    arguments.add_argument("--epochs", type=float, default=50)
    arguments.add_argument("--lr", type=float, default=3e-3)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--device", default="auto")
    arguments.add_argument(
        "--out", type=Path, default=Path(__file__).parent.parent / "data" / "weights"
    )
    args = arguments.parse_args()
    command = shlex.join(["python", "benchmarks/weights.py", *shown(args.data)])
    args.out.mkdir(parents=True, exist_ok=True)
    with images_in(args.data) as source:
        data = sources.load(source, device=machine.pick_device(args.device), seed=args.seed)
    if args.provenance:
        data = dataclasses.replace(data, provenance=args.provenance)
    settings = training.TrainSettings(
        epochs=args.epochs, lr=args.lr, schedule="linear", seed=args.seed, num_evaluations=25
    )
    for start in args.starts:
        facts = build(start, args.model, data, settings, args.out, command)
        print(
            f"start {start}: validation {facts['validation_accuracy']:.2%}, test {facts['test_accuracy']:.2%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
