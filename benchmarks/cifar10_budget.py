"""What a plain ViT and a small CNN reach on CIFAR-10 in a budget of minutes: one call trains, measures and writes tables.

    python benchmarks/cifar10_budget.py FOLDER_OR_cifar10 --provenance "CIFAR-10 (JPEG copy)" --minutes 5 --seeds 0 1 2

Writes into data/results/ (or --results DIR), each row with its provenance:
    cifar10_budget.csv      a row for each model and seed: accuracy, passes, minutes, data, hardware, date, command
    cifar10_curves.csv      the looks at the validation images during each run
    cifar10_confusion.csv   of the ViT with seed 0 on the test images: rows true, columns predicted
    cifar10_mistakes.csv    its most confident mistakes on the test images
    cifar10_positions.safetensors  its learned position embedding, at the start and at the end (half precision)
The test images are looked at once for each run, at its end.
"""

import argparse
import csv
import dataclasses
import datetime
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

import torch
from archive import images_in
from safetensors.torch import save_file
from torch import nn

from vit_tutorial import VisionTransformer, ViTConfig, training
from vit_tutorial import data as sources
from vit_tutorial.common import machine
from vit_tutorial.inspection import analysis


class SmallCNN(nn.Module):
    """Images (B, 3, 32, 32) -> logits (B, classes): four stages of 3x3 convolutions, batch norm and GELU, one residual each."""

    def __init__(self, data, width=32):
        super().__init__()
        self.config = SimpleNamespace(
            num_classes=data.num_classes, image_size=data.image_size, channels=data.channels
        )
        widths = [width, width, 2 * width, 4 * width, 8 * width]
        self.stem = _conv(data.channels, width)
        self.down = nn.ModuleList(
            nn.Sequential(_conv(a, b), nn.MaxPool2d(2)) for a, b in zip(widths[:-1], widths[1:])
        )
        self.same = nn.ModuleList(_conv(b, b) for b in widths[1:])
        self.head = nn.Linear(widths[-1], data.num_classes)

    def forward(self, images):
        x = self.stem(images.contiguous(memory_format=torch.channels_last))
        for down, same in zip(self.down, self.same):
            x = down(x)
            x = x + same(x)
        return self.head(x.mean(dim=(2, 3)))


def _conv(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.GELU()
    )


def build(name: str, data, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    if name == "cnn":
        return SmallCNN(data).to(memory_format=torch.channels_last)
    return VisionTransformer(ViTConfig.named(name, num_classes=data.num_classes))


def measure(
    name: str, seed: int, data, settings, args
) -> tuple[dict, list[dict], nn.Module, torch.Tensor]:
    """Train one model; its row of cifar10_budget.csv, its rows of cifar10_curves.csv, the model and its test logits."""
    model = build(name, data, seed)
    start = model.position.table.detach().clone() if name != "cnn" else None
    date = datetime.date.today().isoformat()
    history = training.train(model, data, settings)
    _, accuracy = training.evaluate(model, data.test, data)
    row = dict(
        model=name,
        seed=seed,
        minutes=round(history.minutes, 2),
        epochs=round(history.epochs, 2),
        validation_accuracy=round(history.rows[-1]["validation_accuracy"], 4),
        test_accuracy=round(accuracy, 4),
        parameters=sum(p.numel() for p in model.parameters()),
        lr=settings.lr,
        batch_size=settings.batch_size,
        precision=history.precision.name,
        data=args.provenance or data.provenance,
        hardware=machine.hardware(data.device),
        torch=torch.__version__,
        date=date,
        command=shlex.join(["python", "benchmarks/cifar10_budget.py", *args.shown]),
    )
    curves = [dict(model=name, seed=seed, **point) for point in history.rows]
    print(
        f"{name} seed {seed}: validation {row['validation_accuracy']:.2%}, test {accuracy:.2%}, {row['epochs']} passes",
        flush=True,
    )
    return row, curves, model, start


def look_closer(model, start, data, results: Path) -> None:
    """The confusion matrix, the most confident mistakes and the learned positions of one ViT."""
    logits = training.predict(model, data.test.images, data)
    confidence, predicted = logits.softmax(dim=1).max(dim=1)
    true = data.test.labels.cpu()
    matrix = analysis.confusion_matrix(true, predicted, data.num_classes)
    names = data.class_names
    write(
        results / "cifar10_confusion.csv",
        [{"true": n, **dict(zip(names, r.tolist()))} for n, r in zip(names, matrix)],
    )
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
    write(results / "cifar10_mistakes.csv", rows)
    tables = {"start": start.half().cpu(), "end": model.position.table.detach().half().cpu()}
    save_file(tables, results / "cifar10_positions.safetensors")


def earlier(args) -> tuple[list[dict], list[dict]]:
    """Rows and curves of earlier calls with the same budget, so that a run may be made seed by seed; others are dropped."""
    path = args.results / "cifar10_budget.csv"
    if not path.exists():
        return [], []
    rows, curves = (
        list(csv.DictReader((args.results / name).open(newline="")))
        for name in (path.name, "cifar10_curves.csv")
    )
    kept = [row for row in rows if abs(float(row["minutes"]) / args.minutes - 1) < 0.05]
    runs = {(row["model"], row["seed"]) for row in kept}
    return kept, [point for point in curves if (point["model"], point["seed"]) in runs]


def write(path: Path, rows: list[dict]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument(
        "data",
        help="cifar10, a folder train/<class>/*, test/<class>/*, or a tar archive of such a folder",
    )
    arguments.add_argument("--provenance", default="", help="what the data is, for the tables")
    arguments.add_argument("--minutes", type=float, default=5)
    arguments.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments.add_argument(
        "--models",
        nargs="+",
        default=["CIFAR-96x4/4", "cnn"],
        help="ViTs by name, and cnn (default CIFAR-96x4/4 cnn)",
    )
    arguments.add_argument("--lr", type=float, default=3e-3)
    arguments.add_argument("--device", default="auto")
    arguments.add_argument(
        "--results", type=Path, default=Path(__file__).parent.parent / "data" / "results"
    )
    args = arguments.parse_args()
    # The path of a folder is this machine's business: the recorded command says FOLDER.
    args.shown = [a if a != args.data or a == "cifar10" else "FOLDER" for a in sys.argv[1:]]
    args.results.mkdir(parents=True, exist_ok=True)
    with images_in(args.data) as source:
        data = sources.load(source, device=machine.pick_device(args.device))
    base = training.TrainSettings(minutes=args.minutes, lr=args.lr, schedule="linear")
    rows, curves = earlier(args)
    for name in args.models:
        for seed in args.seeds:
            row, points, model, start = measure(
                name, seed, data, dataclasses.replace(base, seed=seed), args
            )
            same = lambda old, name=name, seed=seed: (
                (old["model"], int(old["seed"])) == (name, seed)
            )
            rows = [old for old in rows if not same(old)] + [row]
            rows.sort(key=lambda r: (r["model"] == "cnn", r["model"], int(r["seed"])))
            curves = [old for old in curves if not same(old)] + points
            write(args.results / "cifar10_budget.csv", rows)
            write(args.results / "cifar10_curves.csv", curves)
            if name != "cnn" and seed == 0:
                look_closer(model, start, data, args.results)


if __name__ == "__main__":
    main()
