"""How much of a run is done: by steps or by the clock, and the same in every process."""

import math
import time

from .processes import Processes

SYNC_EVERY = 10  # steps between two agreements of several processes


class Clock:
    """steps: how many the run has, or infinity. seconds: how long it may take, or infinity. One of the two is finite.

    With several processes the main one's clock counts. They agree every SYNC_EVERY steps, and in between each goes by the pace so
    far, so that none makes a step that the others do not make. stop: whether one of them was asked to stop.
    """

    def __init__(self, steps: float, seconds: float, processes: Processes):
        self.steps, self.seconds, self.processes = steps, seconds, processes
        self.reserved = 0.0
        self.stop = False
        self._agreed = (0, 0.0, 0.0)  # step, seconds, seconds a step

    def start(self, spent: float = 0.0) -> None:
        """Begin to count, with `spent` seconds already gone."""
        self._begin = time.perf_counter() - spent
        self._agreed = (0, spent, 0.0)

    def elapsed(self) -> float:
        """Seconds of this run in this process, those before a stop included."""
        return time.perf_counter() - self._begin

    def seconds_left(self, step: int, seconds_a_step: float) -> float:
        """Seconds that this run will still take after `step` steps, at this pace."""
        return min(
            (self.steps - step) * seconds_a_step, self.seconds - self.reserved - self.elapsed()
        )

    def reserve(self, seconds: float) -> None:
        """Keep `seconds` of the budget back."""
        self.reserved = self.processes.sync_clock(seconds, False)[0]

    def progress(self, step: int, asked: bool = False) -> float:
        """The share of the run that is done after `step` steps, 0..1. asked: this process was asked to stop."""
        if self.processes.count == 1:
            seconds, self.stop = self.elapsed(), asked
        elif step % SYNC_EVERY == 0:
            seconds, self.stop = self.processes.sync_clock(self.elapsed(), asked)
            self._agreed = (step, seconds, seconds / max(step, 1))
        else:
            then, spent, pace = self._agreed
            seconds = spent + pace * (step - then)
        by_time = (
            0.0 if math.isinf(self.seconds) else seconds / max(self.seconds - self.reserved, 1e-9)
        )
        return min(1.0, max(step / self.steps, by_time))
