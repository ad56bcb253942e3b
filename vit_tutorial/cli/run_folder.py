"""One training run and the folder that it leaves behind: weights, metrics, curves and run.json."""

import dataclasses
import datetime
import json
from collections.abc import Callable
from pathlib import Path

from .. import training
from ..common import machine
from ..common.files import write_rows, write_text
from ..data import ImageData, sources
from ..inspection import plots
from ..training.runtime.checkpoint import CURRENT, PREVIOUS
from ..training.runtime.processes import SINGLE_PROCESS, Processes
from ..training.runtime.progress import report
from .options import absolute
from .run_spec import RunSpec, read_record


def start_run(
    out: str | Path,
    spec: RunSpec,
    *,
    choose: Callable[[ImageData, Processes], RunSpec] | None = None,
    progress: bool = True,
    device: str = "auto",
    processes: Processes = SINGLE_PROCESS,
) -> dict:
    """Start a run in the folder `out`; return what run.json holds at its end.

    choose: gives the spec that takes the place of `spec`, from the images that `spec` names.
    Raises ValueError if `out` holds a run already or cannot be written to, and as `data.load` and
    `train` do.
    """
    out = Path(out)
    if processes.main:
        make_run_folder(out)
    data = load(spec, device, processes)
    spec = choose(data, processes) if choose else spec
    # Whether to stream was decided by the free memory; a resume must not decide again.
    source = dataclasses.replace(spec.source, stream=data.train.streamed)
    spec = dataclasses.replace(spec, source=source)
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    record = spec.to_json() | {"date": now, "stopped": "running", "processes": processes.count}
    return _train_and_record(out, spec, record, data, progress, processes)


def resume_run(
    out: str | Path,
    *,
    changes: dict | None = None,
    progress: bool = True,
    device: str = "auto",
    processes: Processes = SINGLE_PROCESS,
) -> dict:
    """Resume the run in `out` with its own settings; return what run.json holds at its end.

    It continues from the last checkpoint; if there is none yet, it starts over.
    changes: what takes the place of a remembered option: data, the new place of the images; copy_to
        and save_every. Where the remembered copy_to is no longer there, no copies are made.
    Raises ValueError when there is no run, or when it is finished; FileNotFoundError when its data
    is gone.
    """
    out = Path(out)
    path = out / "run.json"
    if not path.is_file() and out.with_name(path.name).is_file():
        raise ValueError(f"{out} is not the folder of a run: did you mean --resume {out.parent}?")
    if not path.is_file():
        raise ValueError(
            f"there is no run in {out}: looked for {path.name}. Begin one with train --out {out}"
        )
    record = read_record(path)
    if record["stopped"] == "finished":
        raise ValueError(
            f"the run in {out} is finished ({record.get('epochs')} epochs): nothing is left to "
            "resume"
        )
    try:
        spec = RunSpec.from_json(record)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    spec = changed(spec, **changes or {})
    record |= spec.to_json()
    try:
        data = load(spec, device, processes)
    except (ValueError, FileNotFoundError) as error:
        if Path(spec.source.source).is_dir() or spec.source.source in sources():
            raise
        raise ValueError(
            f"{error}. If the images have moved, give their place with --data"
        ) from error
    return _train_and_record(out, spec, record, data, progress, processes)


def changed(
    spec: RunSpec,
    data: str | None = None,
    copy_to: str | Path | None = None,
    save_every: float | None = None,
) -> RunSpec:
    """`spec` with what may differ when a run is resumed; None: as it was."""
    # `train` remembers whole paths: a part of one could mean any folder.
    kept = spec.copy_to
    here = kept and Path(kept).is_absolute() and Path(kept).is_dir()
    if copy_to is None and kept is not None and not here:
        report(f"no copies are made: {kept!r} is not there (--copy-to names another folder)")
        spec = dataclasses.replace(spec, copy_to=None)
    if data is not None:
        source = dataclasses.replace(spec.source, source=absolute(data))
        spec = dataclasses.replace(spec, source=source)
    given = dict(copy_to=copy_to and absolute(copy_to), save_every=save_every)
    return dataclasses.replace(spec, **{name: v for name, v in given.items() if v is not None})


def load(spec: RunSpec, device: str, processes: Processes) -> ImageData:
    """The images of a run, on this process's device."""
    own = processes.device if processes.count > 1 else machine.pick_device(device)
    return spec.source.load(own, spec.settings.seed)


def _train_and_record(
    out: Path, spec: RunSpec, record: dict, data: ImageData, progress: bool, processes: Processes
) -> dict:
    """Train and write results along the way; return `record` with the results."""
    settings = spec.settings
    begun = any((out / name).is_file() for name in (CURRENT, PREVIOUS))
    model, data = spec.make_model(data, record if begun else None)
    config = model.config
    # Before anything is written: a run that cannot begin must not block the next one.
    training.check_fit(model, data, settings.batch_size, settings.resolutions)
    checkpointer = training.Checkpointer(out, seconds=spec.save_every, copy_to=spec.copy_to)
    weights = out / "model.safetensors"
    record |= {"config": dataclasses.asdict(config), "mean": data.mean, "std": data.std}
    if processes.main:
        write_json(out / "run.json", record)

    def save_results(history):
        notes = dict(seed=settings.seed, epochs=history.epochs, minutes=history.minutes)
        try:
            training.save_model(weights, model, data, **notes)
            write_rows(out / "metrics.csv", history.rows)
        except OSError as error:
            checkpointer.warn_not_saved(error)

    history = training.train(
        model,
        data,
        settings,
        progress=progress,
        on_evaluation=save_results,
        checkpointer=checkpointer,
        processes=processes,
    )
    test_loss, test_accuracy = training.evaluate(model, data.test, data, processes=processes)
    record |= _results(history, model, data)
    record |= {"test_loss": test_loss, "test_accuracy": test_accuracy}
    if not processes.main:
        return record
    try:
        in_header = ("command", "date", "minutes", "epochs", "hardware", "test_accuracy")
        training.save_model(weights, model, data, **{name: record.get(name) for name in in_header})
        write_rows(out / "metrics.csv", history.rows)
        if len(history.rows) > 1:
            plots.save(plots.curves(history.rows), out / "curves.png")
        write_json(out / "run.json", record)
    except OSError as error:
        raise OSError(
            f"the run ended, but its results could not be written to {out} ({error}). "
            f"{checkpointer.recovery_hint()}: when {out} can be written to, "
            f"--resume {out} continues from there"
        ) from error
    if history.stopped == "finished":
        checkpointer.finish()
    return record


def _results(history: training.History, model, data: ImageData) -> dict:
    """What a run did, for run.json."""
    splits = ("train", "validation", "test")
    last = history.rows[-1] if history.rows else {}
    return {
        "stopped": history.stopped,
        "data": data.provenance,
        "class_names": list(data.class_names),
        "images": {split: len(getattr(data, split)) for split in splits},
        "parameters": sum(p.numel() for p in model.parameters()),
        "precision": history.precision.name,
        "memory": history.plan.reason,
        "compiled": history.compiled,
        "hardware": machine.hardware(data.device),
        "versions": machine.versions(),
        "minutes": round(history.minutes, 3),
        "epochs": round(history.epochs, 3),
        "steps_by_side": history.steps_by_side,  # of the images, in pixels
        "validation_accuracy": last.get("validation_accuracy"),
    }


def write_json(path: Path, record: dict) -> None:
    write_text(path, json.dumps(record, indent=2) + "\n")


def make_run_folder(out: Path) -> None:
    """Make the folder `out`. ValueError if it holds a run already, or cannot be written to."""
    path = out / "run.json"
    if path.exists() or (out / "model.safetensors").exists():
        stopped = "finished"
        if path.is_file():
            stopped = read_record(path)["stopped"]
        resume = "" if stopped == "finished" else f"resume it (--resume {out}), "
        raise ValueError(
            f"{out} holds a run already: {resume}give another folder with --out, "
            "or move this one away"
        )
    try:
        write_text(out / ".writable", "")
        (out / ".writable").unlink()
    except OSError as error:
        what = "written to" if out.is_dir() else "made"
        raise ValueError(
            f"{out} cannot be {what} ({error.strerror}): give another folder with --out"
        ) from error
