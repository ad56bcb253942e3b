"""torch.compile where it pays: tried and timed while a run goes on, and kept only if it was faster."""

import time
from collections.abc import Callable

import torch

from ..step import Step

PATIENCE = 60.0  # seconds that compiling may take: 12 to 51 s for the models of benchmarks/step.py --compile on two CPU cores
SHARE = 10  # compile only if PATIENCE is at most one part in SHARE of what is left of the run


class CompileTrial:
    """For the setting compile="auto", a call after each step: times `steps` steps as they are; if the run lasts for long enough
    after that, compiles, times as many compiled steps, and goes back if they were slower. At most a tenth of the run is lost.

    left: seconds a step -> seconds that the run will still take. reason: what was found, in words; "" until it is decided.
    """

    def __init__(
        self,
        step: Step,
        left: Callable[[float], float],
        *,
        steps: int = 20,
        warm: int = 5,
        patience: float = PATIENCE,
    ):
        self.step, self.left, self.steps, self.warm, self.patience = (
            step,
            left,
            steps,
            warm,
            patience,
        )
        self.reason, self.plain, self._count = "", None, 0
        if step.processes.count > 1:
            self.reason = "not compiled: several processes would each decide for themselves"

    def __call__(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        """images, labels: the batch of the step just made, which compiling is tried with."""
        if self.reason:
            return
        self._count += 1
        if self._count == self.warm:
            self._begin = self._now(images)
        elif self._count == self.warm + self.steps:
            self._decide((self._now(images) - self._begin) / self.steps, images, labels)
            self._count = 0

    def _decide(self, seconds: float, images, labels) -> None:
        if self.plain is not None:
            faster = self.plain / seconds
            if faster <= 1:
                self.step.use_compiled(False)
            verb = "compiled" if faster > 1 else "not compiled"
            self.reason = (
                f"{verb}: that took {self.wait:.1f} s and made a step {faster:.2f} times as fast"
            )
            return
        left = self.left(seconds)
        if left < SHARE * self.patience:
            self.reason = f"not compiled: {left:.0f} s were left, and compiling can take {self.patience:.0f} s"
            return
        self.plain = seconds
        begin = self._now(images)
        try:
            with torch.random.fork_rng(
                [images.device] if images.is_cuda else []
            ):  # the run draws on as if nothing had been
                self.step.use_compiled(True)
                self.step.backward_all(
                    images, labels
                )  # compiles; the next step throws these gradients away
        except Exception as error:  # no compiler on this machine, an operation it cannot do: the run goes on without
            self.step.use_compiled(False)
            self.reason = (
                f"not compiled: {type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
            )
        self.wait = self._now(images) - begin

    @staticmethod
    def _now(images: torch.Tensor) -> float:
        if images.is_cuda:
            torch.cuda.synchronize(images.device)  # twice in each window of `steps`
        return time.perf_counter()
