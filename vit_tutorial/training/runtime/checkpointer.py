"""When and where the state of a run is written, and what happens when it cannot be."""

import contextlib
import dataclasses
import os
import shutil
import sys
import time
from pathlib import Path

from torch import nn
from tqdm import tqdm

from ...data import ImageData
from ..settings import TrainSettings
from . import checkpoint

RESULTS = (
    "run.json",
    "metrics.csv",
    "model.safetensors",
    "curves.png",
)  # what a run leaves behind, if it is there


class Checkpointer:
    """Writes a run's state into `folder` every `seconds`, and a copy into `copy_to` (a Drive folder on Colab, say).

    folder: None for nowhere. resume: False leaves a state that lies there alone until the first of this run replaces it.
    When a state cannot be written (a full disk, a folder gone) it says so, and training goes on: stopping would lose more.
    """

    def __init__(
        self,
        folder: str | Path | None,
        seconds: float = 60.0,
        copy_to: str | Path | None = None,
        resume: bool = True,
    ):
        if not seconds > 0:
            raise ValueError(f"a state every {seconds} seconds: give a number above 0")
        self.folder = None if folder is None else Path(folder)
        self.copy_to = None if copy_to is None or self._is_folder(copy_to) else Path(copy_to)
        self.seconds, self.resume = seconds, resume
        self.last = ""
        self._next = time.perf_counter() + seconds

    def should_save(self) -> bool:
        """Whether it is time to write again."""
        return self.folder is not None and time.perf_counter() >= self._next

    def load(self) -> dict | None:
        """The state to go on from, or None."""
        if self.folder is None or not self.resume:
            return None
        try:
            found, note = checkpoint.load_checkpoint(self.folder)
        except FileNotFoundError:
            return None
        if note:
            tqdm.write(note, file=sys.stderr)
        self.last = f"step {found['history']['steps']}"
        return found

    def save(self, what: dict, label: str) -> None:
        """Write `what`, or say why not."""
        if self.folder is None:
            return
        try:
            checkpoint.save_checkpoint(self.folder, what, label=label)
            self.last = label
            if self.copy_to:
                checkpoint.copy_checkpoint(self.folder, self.copy_to, also=RESULTS)
        except checkpoint.CheckpointNotSavedError as error:
            self.warn_not_saved(error)
        self._next = time.perf_counter() + self.seconds

    def finish(self) -> None:
        """The run is over: what was needed to go on is needed no more; the results go where the copies were."""
        if self.folder is None:
            return
        for folder in filter(None, (self.folder, self.copy_to)):
            for name in (checkpoint.CURRENT, checkpoint.PREVIOUS):
                for path in (
                    folder / name,
                    *folder.glob(f".{name}.*.partial"),
                ):  # the last may be a killed process's
                    with contextlib.suppress(OSError):
                        path.unlink(missing_ok=True)
        if self.copy_to:
            try:
                self.copy_to.mkdir(parents=True, exist_ok=True)
                for name in filter(lambda name: (self.folder / name).is_file(), RESULTS):
                    partial = self.copy_to / f".{name}.partial"
                    shutil.copyfile(self.folder / name, partial)
                    os.replace(partial, self.copy_to / name)
            except OSError as error:
                tqdm.write(
                    f"the results are in {self.folder}, but not in {self.copy_to}: {error}",
                    file=sys.stderr,
                )

    def _is_folder(self, other: str | Path) -> bool:
        """Whether `other` is the folder itself: a run that is taken up again where its copy lies."""
        return self.folder is not None and Path(other).absolute() == self.folder.absolute()

    def warn_not_saved(self, error: OSError) -> None:
        """Say that something could not be written, and that training goes on."""
        tqdm.write(
            f"{error}. Training goes on and tries again in {self.seconds:.0f} s", file=sys.stderr
        )

    def recovery_hint(self) -> str:
        """What there is to go on from, as a sentence."""
        if not self.last:
            return (
                "No state had been written yet"
                if self.folder
                else "No folder was given to keep a state in"
            )
        return f"The last state ({self.last}) is whole, in {self.folder}"


def check_same(state: dict, settings: TrainSettings, model: nn.Module, data: ImageData) -> None:
    """Raise ValueError, naming each difference, unless `state` is of a run with these settings, configuration and data."""
    here = {
        "settings": dataclasses.asdict(settings),
        "data": {"provenance": data.provenance, "images": len(data.train)},
    }
    if dataclasses.is_dataclass(model.config):
        here["config"] = dataclasses.asdict(model.config)
    plain = lambda value: list(value) if isinstance(value, tuple) else value
    differences = [
        f"{name} is {state[part].get(name)!r} in the state, {plain(value)!r} here"
        for part, values in here.items()
        for name, value in values.items()
        if state[part] is not None and plain(state[part].get(name)) != plain(value)
    ]
    if differences:
        raise ValueError(
            f"the saved state is of another run: {'; '.join(differences)}. Take the same, or another folder"
        )
