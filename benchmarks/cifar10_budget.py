"""What a plain ViT and a small CNN reach on CIFAR-10 in a budget of minutes (lesson 06).

    python benchmarks/cifar10_budget.py FOLDER_OR_cifar10 --provenance "CIFAR-10 (JPEG copy)" \\
        --minutes 5 --seeds 0 1 2

Writes into data/results/ (or --out DIR):
    cifar10_budget.csv      a row for each model and seed: accuracy, epochs, minutes, provenance
    cifar10_curves.csv      the evaluations on the validation images during each run
    cifar10_confusion.csv   of the ViT with seed 0 on the test images: rows true, columns predicted
    cifar10_mistakes.csv    its most confident mistakes on the test images
The test images are used once for each run, at its end. budgets.py measures the recipes; this script
has what they have not: a CNN, and tables about one model's answers.
"""

import argparse
from pathlib import Path

import common
import torch
from torch import nn

from vit_tutorial import VisionTransformer, ViTConfig, training
from vit_tutorial import data as sources
from vit_tutorial.common import machine
from vit_tutorial.common.files import read_rows, write_rows
from vit_tutorial.inspection import analysis
from vit_tutorial.relatives import CNN, CNNConfig


def build(name: str, data, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    if name == "cnn":
        return CNN(CNNConfig(num_classes=data.num_classes))
    return VisionTransformer(ViTConfig.named(name, num_classes=data.num_classes))


def measure(name: str, data, settings, args) -> tuple[dict, list[dict], nn.Module]:
    """Train one model: its row of cifar10_budget.csv, its rows of cifar10_curves.csv, the model."""
    model = build(name, data, settings.seed)
    history = training.train(model, data, settings, progress=not args.quiet)
    _, accuracy = training.evaluate(model, data.test, data)
    row = dict(
        model=name,
        seed=settings.seed,
        minutes=round(history.minutes, 2),
        epochs=round(history.epochs, 2),
        validation_accuracy=round(history.rows[-1]["validation_accuracy"], 4),
        test_accuracy=round(accuracy, 4),
        parameters=sum(p.numel() for p in model.parameters()),
        lr=settings.lr,
        batch_size=settings.batch_size,
        **common.provenance(
            "cifar10_budget.py",
            machine.hardware(data.device),
            source=args.data,
            precision=history.precision.name,
            data=args.provenance or data.provenance,
        ),
    )
    curves = [dict(model=name, seed=settings.seed, **point) for point in history.rows]
    print(
        f"{name} seed {settings.seed}: validation {row['validation_accuracy']:.2%}, "
        f"test {accuracy:.2%}, {row['epochs']} epochs",
        flush=True,
    )
    return row, curves, model


def look_closer(model: nn.Module, data, out: Path) -> None:
    """The confusion matrix and the most confident mistakes of one ViT on the test images."""
    logits = training.predict(model, data.test.images, data)
    confidence, predicted = logits.softmax(dim=1).max(dim=1)
    true, names = data.test.labels.cpu(), data.class_names
    matrix = analysis.confusion_matrix(true, predicted, data.num_classes).tolist()
    counts = [{"true": name, **dict(zip(names, row))} for name, row in zip(names, matrix)]
    write_rows(out / "cifar10_confusion.csv", counts)
    wrong = (predicted != true).nonzero()[:, 0]
    worst = wrong[confidence[wrong].argsort(descending=True)][:20].tolist()
    rows = [
        dict(
            test_image=i,
            true=names[true[i]],
            predicted=names[predicted[i]],
            confidence=round(confidence[i].item(), 4),
        )
        for i in worst
    ]
    write_rows(out / "cifar10_mistakes.csv", rows)


def earlier(out: Path, minutes: float) -> tuple[list[dict], list[dict]]:
    """Rows and curves of earlier calls with the same budget, so that runs may be made one by one.

    Runs with another budget are dropped.
    """
    rows = read_rows(out / "cifar10_budget.csv")
    same = [row for row in rows if abs(float(row["minutes"]) / minutes - 1) < 0.05]
    runs = {(row["model"], row["seed"]) for row in same}
    points = read_rows(out / "cifar10_curves.csv")
    return same, [point for point in points if (point["model"], point["seed"]) in runs]


def arguments() -> argparse.Namespace:
    options = common.run_options(common.RESULTS, "folder for the tables (default: data/results)")
    parser = common.make_parser(__doc__, common.image_options(), options)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument(
        "--models",
        nargs="+",
        default=["CIFAR-96x4/4", "cnn"],
        help="ViTs by name, and cnn (default CIFAR-96x4/4 cnn)",
    )
    parser.add_argument("--lr", type=float, default=3e-3)
    return parser.parse_args()


def main() -> None:
    args = arguments()
    with common.images_in(args.data) as source:
        data = sources.load(source, device=machine.pick_device(args.device))
    rows, curves = earlier(args.out, args.minutes)
    for name in args.models:
        for seed in args.seeds:
            settings = training.TrainSettings(
                minutes=args.minutes, lr=args.lr, schedule="linear", seed=seed
            )
            row, points, model = measure(name, data, settings, args)
            others = lambda old, run=(name, str(seed)): (old["model"], str(old["seed"])) != run
            rows = [*filter(others, rows), row]
            rows.sort(key=lambda r: (r["model"] == "cnn", r["model"], int(r["seed"])))
            curves = [*filter(others, curves), *points]
            write_rows(args.out / "cifar10_budget.csv", rows)
            write_rows(args.out / "cifar10_curves.csv", curves)
            if name != "cnn" and seed == 0:
                look_closer(model, data, args.out)


if __name__ == "__main__":
    main()
