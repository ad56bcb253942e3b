"""One training run and the folder that it leaves behind: weights, metrics, curves, and how to get them again or go on."""

import dataclasses
import datetime
import json
from pathlib import Path

import torch

from .. import data as sources
from .. import training
from ..common import machine
from ..common.files import write_rows, write_text
from ..data import ImageData
from ..inspection import plots
from ..model import VisionTransformer, ViTConfig


def start_run(
    out: Path,
    images: dict,
    model: str,
    changes: dict,
    settings: training.TrainSettings,
    keeping: dict | None = None,
    *,
    command: str,
    progress: bool = True,
    device: str = "auto",
    processes=None,
) -> dict:
    """Begin a run in the folder `out`; returns what run.json holds at its end.

    images: for `data.load` (source, image_size, root, stream). model, changes: for `ViTConfig.named`. keeping: for `Keep`.
    Raises ValueError if `out` holds a run already or cannot be written to, and as `data.load` and `train` do.
    """
    processes = processes or training.init_processes(device)
    if processes.main:
        make_run_folder(out)
    data = load(images, settings.seed, device, processes)
    config = ViTConfig.named(
        model,
        image_size=data.image_size,
        channels=data.channels,
        num_classes=data.num_classes,
        **changes,
    )
    record = {
        "command": command,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "stopped": "running",
        "source": images | {"stream": data.train.streamed},  # going on must not decide anew
        "keeping": keeping or {},
        "config": dataclasses.asdict(config),
        "settings": dataclasses.asdict(settings),
        "processes": processes.count,
    }
    return _train_and_record(out, record, data, progress, processes)


def resume_run(out: Path, *, progress: bool = True, device: str = "auto", processes=None) -> dict:
    """Go on with the run in the folder `out`, with everything it was told then; returns what run.json holds at its end.

    The state that was written last counts; where there is none yet, the run begins again.
    Raises ValueError when there is no run, or when it has finished; FileNotFoundError for data that is gone.
    """
    path = Path(out) / "run.json"
    if not path.is_file():
        raise ValueError(
            f"there is no run in {out}: looked for {path.name}. Begin one with train --out {out}"
        )
    record = json.loads(path.read_text(encoding="utf-8"))
    if record["stopped"] == "finished":
        raise ValueError(
            f"the run in {out} is finished ({record['epochs']} passes): there is nothing to go on with"
        )
    if "keeping" not in record:
        raise ValueError(
            f"the run in {out} was made by an older version, which wrote no state to go on from: train anew"
        )
    processes = processes or training.init_processes(device)
    data = load(record["source"], record["settings"]["seed"], device, processes)
    return _train_and_record(Path(out), record, data, progress, processes)


def load(images: dict, seed: int, device: str, processes) -> ImageData:
    """The images, on this process's device."""
    where = processes.device if processes.count > 1 else machine.pick_device(device)
    told = {name: images[name] for name in ("root", "image_size", "stream")}
    return sources.load(images["source"], device=where, seed=seed, **told)


def _train_and_record(out: Path, record: dict, data: ImageData, progress: bool, processes) -> dict:
    """Train, writing as it goes; the record with its results."""
    settings, config = training.TrainSettings(**record["settings"]), ViTConfig(**record["config"])
    torch.manual_seed(settings.seed)
    model = VisionTransformer(config)
    checkpointer = training.Checkpointer(out, **record["keeping"])
    weights, main = out / "model.safetensors", processes.main
    if main:
        write_text(out / "run.json", json.dumps(record, indent=2) + "\n")

    def look(history):
        try:
            training.save_model(
                weights,
                model,
                data,
                seed=settings.seed,
                epochs=history.epochs,
                minutes=history.minutes,
            )
            write_rows(out / "metrics.csv", history.rows)
        except OSError as error:
            checkpointer.warn_not_saved(error)

    history = training.train(
        model,
        data,
        settings,
        progress=progress,
        on_evaluation=look,
        checkpointer=checkpointer,
        processes=processes,
    )
    test_loss, test_accuracy = training.evaluate(model, data.test, data, processes=processes)
    last = history.rows[-1] if history.rows else {}
    record = record | {
        "stopped": history.stopped,
        "data": data.provenance,
        "images": {
            "train": len(data.train),
            "validation": len(data.validation),
            "test": len(data.test),
        },
        "parameters": sum(p.numel() for p in model.parameters()),
        "precision": history.precision.name,
        "memory": history.plan.reason,
        "compiled": history.compiled,
        "hardware": machine.hardware(data.device),
        "versions": machine.versions(),
        "minutes": round(history.minutes, 3),
        "epochs": round(history.epochs, 3),
        "validation_accuracy": last.get("validation_accuracy"),
        "test_loss": test_loss,
        "test_accuracy": test_accuracy,
    }
    if not main:
        return record
    try:
        notes = {
            k: record[k]
            for k in ("command", "date", "minutes", "epochs", "hardware", "test_accuracy")
        }
        training.save_model(weights, model, data, **notes)
        write_rows(out / "metrics.csv", history.rows)
        if len(history.rows) > 1:
            plots.save(plots.curves(history.rows), out / "curves.png")
        write_text(out / "run.json", json.dumps(record, indent=2) + "\n")
    except OSError as error:
        more = f"{checkpointer.recovery_hint()}: once it can be written to, --resume {out} goes on from there"
        raise OSError(
            f"the run ended, but its results could not be written to {out} ({error}). {more}"
        ) from error
    if history.stopped == "finished":
        checkpointer.finish()
    return record


def make_run_folder(out: Path) -> None:
    """Make the folder `out`; ValueError if a run lies there already, or if nothing can be written there."""
    path = out / "run.json"
    if path.exists() or (out / "model.safetensors").exists():
        unfinished = (
            path.is_file()
            and json.loads(path.read_text(encoding="utf-8")).get("stopped") != "finished"
        )
        more = f"go on with it (--resume {out}), " if unfinished else ""
        raise ValueError(
            f"{out} holds a run already: {more}give another folder with --out, or move this one away"
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_text(out / ".writable", "")
        (out / ".writable").unlink()
    except OSError as error:
        what = "written to" if out.is_dir() else "made"
        raise ValueError(
            f"{out} cannot be {what} ({error.strerror}): give another folder with --out"
        ) from error
