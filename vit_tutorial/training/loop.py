"""One training run: steps, evaluations along the way, and checkpoints to resume from."""

import dataclasses
import math
from collections import Counter
from collections.abc import Callable

import torch
from torch import nn

from ..common.validation import GpuFailedError
from ..data import ImageData
from .batches import Batches
from .evaluation import evaluate
from .runtime.checkpointer import Checkpointer
from .runtime.clock import Clock
from .runtime.compile_trial import CompileTrial, why_compiled
from .runtime.fit import check_fit, check_same
from .runtime.interrupt import Interrupt
from .runtime.memory import MemoryPlan, is_out_of_memory
from .runtime.precision import Precision, choose_precision
from .runtime.processes import SINGLE_PROCESS, Processes
from .runtime.progress import ProgressBar
from .runtime.resolutions import accept_stages, shrink, side_at
from .runtime.run_state import get_run_state, restore_run_state
from .schedule import learning_rate
from .settings import TrainSettings
from .step import Step


@dataclasses.dataclass
class History:
    """What a run did, including the parts before a resume.

    Each row is a dict: step, epochs, minutes, lr, train_loss (the mean since the row before; None
    in the first), validation_loss, validation_accuracy.
    """

    settings: TrainSettings
    precision: Precision
    rows: list[dict] = dataclasses.field(default_factory=list)  # the first is from before any step
    steps: int = 0
    steps_by_side: Counter = dataclasses.field(default_factory=Counter)  # height in px: how many
    epochs: float = 0.0
    minutes: float = 0.0
    stopped: str = "finished"  # or "interrupted", by Ctrl-C: the model keeps what it has learned
    plan: MemoryPlan | None = None  # how a batch fits into memory
    compiled: str = ""  # whether torch.compile was used, and why


def train(
    model: nn.Module,
    data: ImageData,
    settings: TrainSettings,
    *,
    progress: bool = True,
    on_evaluation: Callable[[History], None] | None = None,
    checkpointer: Checkpointer | None = None,
    processes: Processes = SINGLE_PROCESS,
) -> History:
    """Train `model` in place on `data.train`, on the device of the data, without the test images.

    With `epochs` set, the same settings, model and machine give the same run (on a CPU bit for
    bit); with `minutes`, the number of steps depends on the machine.
    on_evaluation: called after each evaluation on the validation images, to save things.
    checkpointer: saves a checkpoint every minute and at Ctrl-C. If there is one already, the run
    is resumed, and ends with the weights that it would have had without the stop.
    processes: `init_processes()`, to share each batch with others.
    Raises ValueError when the model does not fit the data or the checkpoint, FloatingPointError
    when the loss is no longer finite, GpuFailedError when the GPU fails: resume then.
    """
    checkpointer = checkpointer or Checkpointer(None)
    check_fit(model, data, settings.batch_size, settings.resolutions)
    model.to(data.device)
    devices = [data.device] if data.device.type == "cuda" else []
    with (
        torch.random.fork_rng(devices),  # dropout draws from the global state: leave it as it was
        Interrupt(saving=checkpointer.folder is not None) as interrupt,
        accept_stages(model, settings.resolutions),
    ):
        torch.manual_seed(settings.seed + processes.rank)
        run = _Run(model, data, settings, checkpointer, processes, interrupt)
        try:
            run.run(progress and processes.main, on_evaluation if processes.main else None)
        except KeyboardInterrupt:
            run.history.stopped = "interrupted"
    run.step.ema.copy_to(model)
    model.eval()
    return run.history


class _Run:
    """Everything that changes during a run, so that a checkpoint can hold it."""

    def __init__(self, model, data, settings, checkpointer, processes, interrupt):
        self.model, self.data, self.settings = model, data, settings
        self.checkpointer, self.processes, self.interrupt = checkpointer, processes, interrupt
        precision = choose_precision(data.device, settings.precision)
        self.history = History(settings, precision)
        self.batches = Batches(data, settings, processes.rank, processes.count)
        self.step = Step(model, data, settings, precision, self.batches.size, processes)
        # Losses since the last evaluation, summed on the device: no step waits for their value.
        self.loss_sum, self.loss_count = torch.zeros((), device=data.device), 0
        self.evals_done, self.lr = 0, 0.0
        self.clock = Clock.of(settings, self.batches.steps_per_epoch, processes)
        self.clock.start()
        if state := checkpointer.load():
            with checkpointer.restoring():
                check_same(state, settings, model, data)
                restore_run_state(self, state)
        self.step.prepare()
        undecided = settings.compile == "auto" and not self.step.compiled  # may be restored
        seconds_left = lambda pace: self.clock.seconds_left(self.history.steps, pace)
        self.compile_trial = CompileTrial(self.step, seconds_left) if undecided else None

    def run(self, progress: bool, on_evaluation) -> None:
        s, history, clock = self.settings, self.history, self.clock
        with ProgressBar(clock, shown=progress) as self.bar:
            if not history.rows:  # before any step; the last evaluation will take as long
                clock.reserve(self.validate(0.0, on_evaluation))
            done = clock.progress(history.steps)
            try:
                while done < 1:
                    self.lr = learning_rate(done, 1, s.warmup, s.lr, s.schedule)
                    images, labels = next(self.batches)
                    images = shrink(images, side_at(s.resolutions, done))
                    self.loss_sum += self.step(images, labels, self.lr)
                    self.loss_count += 1
                    history.steps += 1
                    history.steps_by_side[images.shape[2]] += 1
                    if self.compile_trial:
                        self.compile_trial(images, labels)
                    done = clock.progress(history.steps, self.interrupt.requested)
                    self.bar.update(history.steps)
                    if done >= self.evals_done / s.num_evaluations:
                        self.validate(done, on_evaluation)
                    if clock.stop:  # Ctrl-C in this process or in another
                        raise KeyboardInterrupt
                    if self.checkpointer.should_save() and done < 1:
                        self.save_checkpoint()
            except KeyboardInterrupt:
                self.save_checkpoint()
                raise
            except RuntimeError as error:
                if "CUDA" not in str(error) or is_out_of_memory(error):
                    raise
                what = f"the GPU failed after step {history.steps}: {str(error).splitlines()[0]}"
                raise GpuFailedError(f"{what}. {self.checkpointer.recovery_hint()}") from error

    def validate(self, done: float, on_evaluation) -> float:
        """Evaluate on the validation images and add a row to the history; return the seconds."""
        history, data, ema, before = self.history, self.data, self.step.ema, self.clock.elapsed()
        train_loss = self.mean_loss() if self.loss_count else None
        loss, accuracy = evaluate(
            ema.model(self.model), data.validation, data, None, history.precision, self.processes
        )
        self.update_history()
        row = dict(step=history.steps, epochs=history.epochs, minutes=history.minutes, lr=self.lr)
        row |= dict(train_loss=train_loss, validation_loss=loss, validation_accuracy=accuracy)
        history.rows.append(row)
        self.loss_sum.zero_()
        self.loss_count = 0
        self.evals_done = int(done * self.settings.num_evaluations) + 1
        shown = loss if train_loss is None else train_loss
        self.bar.show(f"epoch {history.epochs:.1f}, loss {shown:.3f}, validation {accuracy:.1%}")
        if on_evaluation:
            with ema.swapped(self.model):
                on_evaluation(history)
        return self.clock.elapsed() - before

    def update_history(self) -> None:
        self.history.minutes = self.clock.elapsed() / 60
        self.history.epochs = self.history.steps / self.batches.steps_per_epoch
        self.history.plan = self.step.plan
        self.history.compiled = why_compiled(self.step, self.compile_trial)

    def mean_loss(self) -> float:
        """Mean loss of all processes since the last evaluation. FloatingPointError: not finite."""
        count = self.loss_count * self.processes.count
        mean = (self.processes.sum(self.loss_sum.clone()) / count).item()
        self.check_finite(mean)
        return mean

    def check_finite(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss is {loss} after step {self.history.steps}: lower the learning rate (now "
                f"{self.settings.lr}), warm up for longer, or use precision='fp32'. "
                f"{self.checkpointer.recovery_hint()}"
            )

    def save_checkpoint(self) -> None:
        """Save a checkpoint if there is a folder; FloatingPointError if the loss is not finite."""
        if self.checkpointer.folder is None or not self.processes.main:
            return
        self.check_finite(self.loss_sum.item())  # a run that has diverged is not worth resuming
        self.update_history()
        self.checkpointer.save(get_run_state(self), f"step {self.history.steps}")
