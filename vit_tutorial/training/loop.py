"""One training run: batches on the device, a schedule by steps or by the clock, looks at the validation images, nothing lost."""

import dataclasses
import math
import sys
from collections.abc import Callable

import torch
from torch import nn
from tqdm import tqdm

from ..common.validation import GpuFailedError
from ..data import ImageData
from .batches import Batches
from .evaluation import check_fit, evaluate
from .runtime.checkpointer import Checkpointer, check_same
from .runtime.clock import Clock
from .runtime.compile_trial import CompileTrial
from .runtime.interrupt import Interrupt
from .runtime.memory import MemoryPlan, is_out_of_memory
from .runtime.precision import Precision, choose_precision
from .runtime.processes import Processes
from .schedule import learning_rate
from .settings import TrainSettings
from .step import Step


@dataclasses.dataclass
class History:
    """What a run did. rows: one dict for each look at the validation images (the first before any step), with step, passes,
    minutes, lr, train_loss (mean since the look before; None in the first row), validation_loss,
    validation_accuracy. stopped: "finished" or "interrupted" (Ctrl-C: the model keeps what it has learned). plan: how a batch
    was brought into memory. compiled: whether torch.compile was used, and why, in words. steps,
    passes and minutes of a run that was resumed count all its parts."""

    settings: TrainSettings
    precision: Precision
    rows: list[dict] = dataclasses.field(default_factory=list)
    steps: int = 0
    epochs: float = 0.0
    minutes: float = 0.0
    stopped: str = "finished"
    plan: MemoryPlan | None = None
    compiled: str = ""


def train(
    model: nn.Module,
    data: ImageData,
    settings: TrainSettings,
    *,
    progress: bool = True,
    on_evaluation: Callable[[History], None] | None = None,
    checkpointer: Checkpointer | None = None,
    processes: Processes | None = None,
) -> History:
    """Train `model` in place on `data.train`, on the device where the data lies. The test images are not touched.

    The same settings, model and machine give the same run when `epochs` is set (on a CPU bit for bit); by the clock, the
    number of steps depends on the machine. on_evaluation is called after each look at the validation images, to save things.
    checkpointer: where the state of the run is written, every minute and at Ctrl-C; where one lies already, the run goes on from it, to
    the same weights as if it had not been stopped. processes: `init_processes()`, to share each batch with others.
    Raises ValueError when the model's configuration does not fit the data or the state, FloatingPointError when the loss is no
    longer finite, GpuFailedError when the GPU does; the last state that was written stays whole.
    """
    processes, checkpointer = processes or Processes(), checkpointer or Checkpointer(None)
    check_fit(model, data, settings.batch_size)
    model.to(data.device)
    devices = [data.device] if data.device.type == "cuda" else []
    with (
        torch.random.fork_rng(devices),
        Interrupt(saving=checkpointer.folder is not None) as interrupt,
    ):  # dropout draws from the global state: leave it as it was
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
    """All that changes during a run, so that it can be written down and taken up again."""

    def __init__(self, model, data, settings, checkpointer, processes, interrupt):
        self.model, self.data, self.settings = model, data, settings
        self.checkpointer, self.processes, self.interrupt = checkpointer, processes, interrupt
        self.history = History(settings, choose_precision(data.device, settings.precision))
        self.batches = Batches(data, settings, processes.rank, processes.count)
        self.step = Step(
            model, data, settings, self.history.precision, self.batches.size, processes
        )
        self.loss_sum, self.loss_count, self.evals_done, self.lr = (
            torch.zeros((), device=data.device),
            0,
            0,
            0.0,
        )
        steps = (
            math.inf
            if settings.epochs is None
            else max(1, round(settings.epochs * self.batches.steps_per_epoch))
        )
        budget = math.inf if settings.minutes is None else 60 * settings.minutes
        self.clock = Clock(steps, budget, processes)
        self.clock.start()
        if state := checkpointer.load():
            check_same(state, settings, model, data)
            self.restore(state)
        self.step.prepare()
        told = (
            settings.compile == "auto" and not self.step.compiled
        )  # a state that was resumed may know the answer
        self.compiling = (
            CompileTrial(self.step, lambda pace: self.clock.seconds_left(self.history.steps, pace))
            if told
            else None
        )

    def run(self, progress: bool, on_evaluation) -> None:
        s, history, clock = self.settings, self.history, self.clock
        by_steps = s.minutes is None
        unit, whole = ("step", clock.steps) if by_steps else ("s", round(clock.seconds))
        with tqdm(
            total=whole,
            unit=unit,
            disable=not progress,
            file=sys.stderr,
            mininterval=0.5,
            ncols=100,
        ) as self.bar:
            if not history.rows:
                clock.reserve(
                    self.validate(None, on_evaluation)
                )  # keep back the time that the last look will take
                self.evals_done = 1
            done = clock.progress(history.steps)
            try:
                while done < 1:
                    self.lr = learning_rate(done, 1, s.warmup, s.lr, s.schedule)
                    batch = next(self.batches)
                    self.loss_sum += self.step(*batch, self.lr)
                    self.loss_count += 1
                    history.steps += 1
                    if self.compiling:
                        self.compiling(*batch)
                    done = clock.progress(history.steps, self.interrupt.requested)
                    self.bar.update(
                        (history.steps if by_steps else int(min(whole, clock.elapsed())))
                        - self.bar.n
                    )
                    if done >= self.evals_done / s.num_evaluations:
                        self.validate(self.mean_loss(), on_evaluation)
                        self.loss_sum.zero_()
                        self.loss_count = 0
                        self.evals_done = int(done * s.num_evaluations) + 1
                    if clock.stop:
                        raise KeyboardInterrupt
                    if self.checkpointer.should_save() and done < 1:
                        self.save_checkpoint()
            except KeyboardInterrupt:
                self.save_checkpoint()
                raise
            except RuntimeError as error:
                if "CUDA" not in str(error) or is_out_of_memory(error):
                    raise
                what = str(error).splitlines()[0]
                raise GpuFailedError(
                    f"the GPU failed after step {history.steps}: {what}. {self.checkpointer.recovery_hint()}"
                ) from error

    def validate(self, loss: float | None, on_evaluation) -> float:
        """Measure on the validation images; the seconds that took."""
        history, ema, before = self.history, self.step.ema, self.clock.elapsed()
        scores = evaluate(
            ema.model(self.model),
            self.data.validation,
            self.data,
            precision=history.precision,
            processes=self.processes,
        )
        self.update_history()
        row = dict(
            step=history.steps,
            epochs=history.epochs,
            minutes=history.minutes,
            lr=self.lr,
            train_loss=loss,
        )
        history.rows.append(row | dict(validation_loss=scores[0], validation_accuracy=scores[1]))
        shown = scores[0] if loss is None else loss
        self.bar.set_postfix_str(
            f"pass {history.epochs:.1f}, loss {shown:.3f}, validation {scores[1]:.1%}"
        )
        if on_evaluation:
            with ema.swapped(self.model):
                on_evaluation(history)
        return self.clock.elapsed() - before

    def update_history(self) -> None:
        self.history.minutes = self.clock.elapsed() / 60
        self.history.epochs = self.history.steps / self.batches.steps_per_epoch
        self.history.plan = self.step.plan
        self.history.compiled = self.compiled()

    def compiled(self) -> str:
        """Whether torch.compile is used, and why."""
        if self.compiling:
            return self.compiling.reason or "not compiled: the run was too short to time its steps"
        why = "timed before the run was stopped" if self.settings.compile == "auto" else "asked for"
        return f"{'' if self.step.compiled else 'not '}compiled, as {why}"

    def mean_loss(self) -> float:
        """The mean loss since the last look; FloatingPointError when it is not a number any more."""
        mean = (
            self.processes.sum(self.loss_sum.clone()) / (self.loss_count * self.processes.count)
        ).item()
        self.check_finite(mean)
        return mean

    def check_finite(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss is {loss} after step {self.history.steps}: lower the learning rate (now "
                f"{self.settings.lr}), warm up for longer, or use precision='fp32'. {self.checkpointer.recovery_hint()}"
            )

    def save_checkpoint(self) -> None:
        """Write the state down, unless there is nowhere to, or it is not worth going on from (then FloatingPointError)."""
        if self.checkpointer.folder is None or not self.processes.main:
            return
        self.check_finite(self.loss_sum.item())
        self.update_history()
        self.checkpointer.save(self.state(), f"step {self.history.steps}")

    def state(self) -> dict:
        cuda = self.data.device.type == "cuda"
        config = self.model.config
        return {
            "settings": dataclasses.asdict(self.settings),
            "config": dataclasses.asdict(config) if dataclasses.is_dataclass(config) else None,
            "data": {"provenance": self.data.provenance, "images": len(self.data.train)},
            "step": self.step.state(),
            "batches": self.batches.state(),
            "random": {
                "cpu": torch.get_rng_state(),
                "cuda": torch.cuda.get_rng_state(self.data.device) if cuda else None,
            },
            "history": {
                name: getattr(self.history, name) for name in ("rows", "steps", "epochs", "minutes")
            },
            "since_look": {
                "loss_sum": self.loss_sum,
                "loss_count": self.loss_count,
                "looks": self.evals_done,
                "rate": self.lr,
            },
            "reserved": self.clock.reserved,
        }

    def restore(self, state: dict) -> None:
        self.step.restore(state["step"])
        self.batches.restore(state["batches"])
        for name, value in state["history"].items():
            setattr(self.history, name, value)
        since = state["since_look"]
        self.loss_sum = since["loss_sum"].to(self.data.device)
        self.loss_count, self.evals_done, self.lr = (
            since["loss_count"],
            since["looks"],
            since["rate"],
        )
        self.clock.start(60 * self.history.minutes)
        self.clock.reserved = state["reserved"]
        if self.processes.main:
            torch.set_rng_state(state["random"]["cpu"])
            if state["random"]["cuda"] is not None and self.data.device.type == "cuda":
                torch.cuda.set_rng_state(state["random"]["cuda"], self.data.device)
        else:  # the state is the main process's: the others draw on, and not again what they drew before
            torch.manual_seed(self.settings.seed + self.processes.rank + 1000 * self.history.steps)
