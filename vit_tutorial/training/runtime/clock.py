"""How much of a run is done: by steps or by the clock, with the same answer in every process."""

import math
import time

from ..settings import TrainSettings
from .processes import Processes

SYNC_EVERY = 10  # steps between two synchronisations of the clocks of several processes


class Clock:
    """steps: how many the run has, or infinity. seconds: how long it may take, or infinity.

    One of the two is finite. With several processes, the main one's clock decides. They synchronise
    every SYNC_EVERY steps; in between each process extrapolates from the pace so far, so that all
    of them make the same number of steps. stop: whether any process was asked to stop.
    """

    def __init__(self, steps: float, seconds: float, processes: Processes):
        self.steps, self.seconds, self.processes = steps, seconds, processes
        self.reserved = 0.0
        self.stop = False
        self._synced = (0, 0.0, 0.0)  # step, seconds, seconds a step

    @classmethod
    def of(cls, settings: TrainSettings, steps_per_epoch: int, processes: Processes) -> "Clock":
        """The clock of a run with these settings."""
        if settings.minutes is not None:
            return cls(math.inf, 60 * settings.minutes, processes)
        return cls(max(1, round(settings.epochs * steps_per_epoch)), math.inf, processes)

    def start(self, spent: float = 0.0) -> None:
        """Begin to count, with `spent` seconds already used."""
        self._begin = time.perf_counter() - spent
        self._synced = (0, spent, 0.0)

    def elapsed(self) -> float:
        """Seconds that this run has taken in this process, including those before a resume."""
        return time.perf_counter() - self._begin

    def seconds_left(self, step: int, seconds_a_step: float) -> float:
        """Seconds that the run will still take after `step` steps, at this pace."""
        by_steps = (self.steps - step) * seconds_a_step
        return min(by_steps, self.seconds - self.reserved - self.elapsed())

    def reserve(self, seconds: float) -> None:
        """Keep `seconds` of the budget for what comes after the last step."""
        self.reserved = self.processes.sync_clock(seconds, False)[0]

    def progress(self, step: int, stop_requested: bool = False) -> float:
        """Return the share of the run done after `step` steps, 0..1, and set `stop`."""
        if self.processes.count == 1:
            seconds, self.stop = self.elapsed(), stop_requested
        elif step % SYNC_EVERY == 0:
            seconds, self.stop = self.processes.sync_clock(self.elapsed(), stop_requested)
            self._synced = (step, seconds, seconds / max(step, 1))
        else:
            then, spent, pace = self._synced
            seconds = spent + pace * (step - then)
        budget = max(self.seconds - self.reserved, 1e-9)
        by_time = 0.0 if math.isinf(budget) else seconds / budget
        return min(1.0, max(step / self.steps, by_time))
