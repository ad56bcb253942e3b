"""torch.compile where it pays: tried and timed during a run, and kept only if it was faster."""

import time
from collections.abc import Callable

import torch

# Seconds that compiling may take: 12 to 51 in benchmarks/step.py --compile, on two CPU cores.
PATIENCE = 60.0
SHARE = 10  # compile only if PATIENCE is at most one part in SHARE of what is left of the run


class CompileTrial:
    """For the setting compile="auto": called after each step, decides once whether to compile.

    Times `steps` steps as they are. If the run will last long enough after that, compiles, times as
    many compiled steps, and goes back if those were slower. At most a tenth of the run is lost.
    Where the size of the images changes in between, it begins anew: such steps do not compare.

    step: has `backward(images, labels)`, `use_compiled(bool)` and `processes`, as training/step.py
    has.
    seconds_left: from the seconds per step, the seconds that the run will still take.
    reason: the decision as a sentence; "" until there is one.
    """

    def __init__(
        self,
        step,
        seconds_left: Callable[[float], float],
        *,
        steps: int = 20,
        warm: int = 5,
        patience: float = PATIENCE,
    ):
        self.step, self.seconds_left = step, seconds_left
        # Each size of images is compiled by itself.
        self.patience = patience * (1 + len(step.settings.resolutions))
        self.steps, self.warm = steps, warm
        self.reason, self.plain, self._count, self._shape = "", None, 0, None
        if step.processes.count > 1:
            self.reason = "not compiled: several processes would each decide for themselves"

    def __call__(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        """images, labels: the batch of the step just made, with which compiling is tried."""
        if self.reason:
            return
        if images.shape != self._shape:
            self._begin_anew(images.shape)
        self._count += 1
        if self._count == self.warm:
            self._begin = self._now(images)
        elif self._count == self.warm + self.steps:
            seconds_a_step = (self._now(images) - self._begin) / self.steps
            self._count = 0
            if self.plain is None:
                self._try(seconds_a_step, images, labels)
            else:
                self._decide(seconds_a_step)

    def _begin_anew(self, shape: torch.Size) -> None:
        """Forget what was timed with images of another size."""
        if self.plain is not None:
            self.step.use_compiled(False)
        self.plain, self._count, self._shape = None, 0, shape

    def _try(self, seconds_a_step: float, images, labels) -> None:
        """Compile, if the run at this pace lasts long enough."""
        left = self.seconds_left(seconds_a_step)
        if left < SHARE * self.patience:
            cost = f"compiling can take {self.patience:.0f} s"
            self.reason = f"not compiled: {left:.0f} s were left, and {cost}"
            return
        self.plain = seconds_a_step
        begin = self._now(images)
        try:
            # Leave the random numbers of the run as they are.
            with torch.random.fork_rng([images.device] if images.is_cuda else []):
                self.step.use_compiled(True)
                self.step.backward(images, labels)  # compiles; the next step drops these gradients
        except Exception as error:  # no compiler, or one that fails on this model
            self.step.use_compiled(False)
            first = (str(error).splitlines() or [""])[0]
            self.reason = f"not compiled: {type(error).__name__}: {first}"
        self.wait = self._now(images) - begin

    def _decide(self, seconds_a_step: float) -> None:
        """Keep the compiled model if its steps are faster."""
        faster = self.plain / seconds_a_step
        if faster <= 1:
            self.step.use_compiled(False)
        verb = "compiled" if faster > 1 else "not compiled"
        self.reason = (
            f"{verb}: that took {self.wait:.1f} s and made a step {faster:.2f} times as fast"
        )

    @staticmethod
    def _now(images: torch.Tensor) -> float:
        if images.is_cuda:
            torch.cuda.synchronize(images.device)  # twice for each window of `steps` steps
        return time.perf_counter()


def why_compiled(step, trial: CompileTrial | None) -> str:
    """Whether a run uses torch.compile, and why. trial: None if its settings ask for none."""
    if trial:
        return trial.reason or "not compiled: the run was too short to time its steps"
    timed = step.settings.compile == "auto"
    why = "timed before the run was stopped" if timed else "asked for"
    return f"{'' if step.compiled else 'not '}compiled, as {why}"
