"""One training run and the folder that it leaves behind: weights, metrics, curves, and how to get them again."""

import csv
import dataclasses
import datetime
import json
import os
from pathlib import Path

import torch

from . import machine, training
from .data import ImageData
from .inspection import plots
from .model import VisionTransformer, ViTConfig


def train_run(
    data: ImageData, config: ViTConfig, settings: training.TrainSettings, out: Path, command: str, progress: bool = True
) -> dict:
    """Train `config` on `data`, looking at the test images once, at the end; returns what run.json holds.

    Into `out`, created if need be: model.safetensors and metrics.csv (brought up to date at every look at the validation
    images, and at Ctrl-C), curves.png, run.json (command, settings, versions, hardware, results). Raises ValueError
    if `out` holds a run already or cannot be written to.
    """
    prepare(out)
    torch.manual_seed(settings.seed)
    model = VisionTransformer(config)
    weights = out / "model.safetensors"

    def keep(history):
        training.save(weights, model, data, seed=settings.seed, passes=history.passes, minutes=history.minutes)
        write_rows(out / "metrics.csv", history.rows)

    started = datetime.datetime.now(datetime.timezone.utc)
    history = training.train(model, data, settings, progress=progress, on_evaluation=keep)
    test_loss, test_accuracy = training.evaluate(model, data.test, data)
    last = history.rows[-1] if history.rows else {}
    record = {
        "command": command,
        "date": started.isoformat(timespec="seconds"),
        "stopped": history.stopped,
        "data": data.provenance,
        "images": {"train": len(data.train), "validation": len(data.validation), "test": len(data.test)},
        "config": dataclasses.asdict(config),
        "settings": dataclasses.asdict(settings),
        "parameters": sum(p.numel() for p in model.parameters()),
        "precision": history.precision.name,
        "hardware": machine.hardware(data.device),
        "versions": machine.versions(),
        "minutes": round(history.minutes, 3),
        "passes": round(history.passes, 3),
        "validation_accuracy": last.get("validation_accuracy"),
        "test_loss": test_loss,
        "test_accuracy": test_accuracy,
    }
    training.save(
        weights, model, data, **{k: record[k] for k in ("command", "date", "minutes", "passes", "hardware", "test_accuracy")}
    )
    write_rows(out / "metrics.csv", history.rows)
    if len(history.rows) > 1:
        plots.save(plots.curves(history.rows), out / "curves.png")
    write_text(out / "run.json", json.dumps(record, indent=2) + "\n")
    return record


def prepare(out: Path) -> None:
    """Make the folder `out`; ValueError if a run lies there already, or if nothing can be written there."""
    if (out / "run.json").exists() or (out / "model.safetensors").exists():
        raise ValueError(f"{out} holds a run already: give another folder with --out, or move this one away")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{out} cannot be made ({error.strerror}): give another folder with --out") from error
    if not os.access(out, os.W_OK):
        raise ValueError(f"{out} cannot be written to: give another folder with --out")


def write_rows(path: Path, rows: list[dict]) -> None:
    """Write `rows` as CSV, whole or not at all; None becomes an empty field."""
    temporary = path.with_name(f".{path.name}.partial")
    with temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    os.replace(temporary, path)


def write_text(path: Path, text: str) -> None:
    """Write `text`, whole or not at all."""
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_text(text)
    os.replace(temporary, path)
