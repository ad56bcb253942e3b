"""When and where the checkpoints of a run are saved, and what happens when they cannot be."""

import contextlib
import shutil
import time
from pathlib import Path

from ...common.files import atomic_write
from . import checkpoint
from .activations import is_out_of_memory
from .progress import report

# What a run leaves behind, if it exists.
RESULTS = ("run.json", "metrics.csv", "model.safetensors", "curves.png")


class Checkpointer:
    """Saves a checkpoint in `folder` every `seconds`, and a copy in `copy_to` (on Drive, say).

    folder: None for no checkpoints. resume: False ignores a checkpoint that is already there, until
    the first one of this run replaces it. When a checkpoint cannot be saved (the disk is full, the
    folder is gone), this is reported and training continues: stopping would lose more.
    """

    def __init__(
        self,
        folder: str | Path | None,
        seconds: float = 60.0,
        copy_to: str | Path | None = None,
        resume: bool = True,
    ):
        if not seconds > 0:
            raise ValueError(f"a checkpoint every {seconds} seconds: give a number above 0")
        self.folder = None if folder is None else Path(folder)
        self.copy_to = None if copy_to is None or self._is_folder(copy_to) else Path(copy_to)
        self.seconds, self.resume = seconds, resume
        self.last = ""  # the label of the last checkpoint that was saved or loaded
        self._next = time.perf_counter() + seconds

    def should_save(self) -> bool:
        """Whether it is time for the next checkpoint."""
        return self.folder is not None and time.perf_counter() >= self._next

    def load(self) -> dict | None:
        """The state to resume from, or None."""
        if self.folder is None or not self.resume:
            return None
        try:
            state, note = checkpoint.load_checkpoint(self.folder)
        except FileNotFoundError:
            return None
        if note:
            report(note)
        with self.restoring():
            self.last = f"step {state['history']['steps']}"
        return state

    @contextlib.contextmanager
    def restoring(self):
        """A context in which a state that does not hold what it should is a ValueError."""
        try:
            yield
        except (KeyError, TypeError, AttributeError, IndexError, RuntimeError) as error:
            if is_out_of_memory(error):
                raise
            trouble = " ".join(str(error).split())[:200]
            raise ValueError(
                f"the checkpoint in {self.folder} cannot be restored ({type(error).__name__}: "
                f"{trouble}): it is damaged, or another version of vit_tutorial made it. Resume it "
                "with that version, use a copy, or begin again"
            ) from error

    def save(self, state: dict, label: str) -> None:
        """Save `state`, or report why that failed."""
        if self.folder is None:
            return
        try:
            checkpoint.save_checkpoint(self.folder, state, label=label)
            self.last = label
            if self.copy_to:
                checkpoint.copy_checkpoint(self.folder, self.copy_to, also=RESULTS)
        except checkpoint.CheckpointNotSavedError as error:
            self.warn_not_saved(error)
        self._next = time.perf_counter() + self.seconds

    def finish(self) -> None:
        """The run is over: delete its checkpoints, and copy the results to `copy_to`."""
        if self.folder is None:
            return
        for folder in filter(None, (self.folder, self.copy_to)):
            for name in (checkpoint.CURRENT, checkpoint.PREVIOUS):
                unfinished = folder.glob(f".{name}.*.partial")  # left by a process that was killed
                for path in (folder / name, *unfinished):
                    with contextlib.suppress(OSError):
                        path.unlink(missing_ok=True)
        if self.copy_to:
            try:
                for name in filter(lambda name: (self.folder / name).is_file(), RESULTS):
                    source = (self.folder / name).open("rb")
                    with source, atomic_write(self.copy_to / name) as copy:
                        shutil.copyfileobj(source, copy)
            except OSError as error:
                report(f"the results are in {self.folder}, but not in {self.copy_to}: {error}")

    def warn_not_saved(self, error: OSError) -> None:
        """Report that something could not be written, and that training continues."""
        report(f"{error}. Training continues, with another try in {self.seconds:.0f} s")

    def recovery_hint(self) -> str:
        """What the run can be resumed from, as a sentence."""
        if self.last:
            return f"The last checkpoint ({self.last}) is whole, in {self.folder}"
        if self.folder:
            return "No checkpoint had been saved yet"
        return "No folder was given for checkpoints"

    def _is_folder(self, other: str | Path) -> bool:
        """Whether `other` is the folder itself, as when a run is resumed from its copy."""
        return self.folder is not None and Path(other).absolute() == self.folder.absolute()
