"""What a run shows while it trains: a progress bar, and single lines above it."""

import math
import os
import sys

from tqdm import tqdm

from .clock import Clock


def report(message: str) -> None:
    """Print a line on stderr, above the progress bar if there is one; only in the first process."""
    if os.environ.get("RANK", "0") == "0":  # what accelerate launch and torchrun set
        tqdm.write(message, file=sys.stderr)


class ProgressBar:
    """A context: a tqdm bar over the steps of a run, or over its seconds if the clock ends it."""

    def __init__(self, clock: Clock, shown: bool):
        self.clock = clock
        self.by_steps = math.isinf(clock.seconds)
        self._bar = tqdm(
            total=clock.steps if self.by_steps else round(clock.seconds),
            unit="step" if self.by_steps else "s",
            disable=not shown,
            file=sys.stderr,
            mininterval=0.5,
            ncols=88,
        )

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, *_) -> None:
        self._bar.close()

    def update(self, steps: int) -> None:
        """Move the bar to `steps` steps."""
        at = steps if self.by_steps else int(min(self._bar.total, self.clock.elapsed()))
        self._bar.update(at - self._bar.n)

    def show(self, text: str) -> None:
        """Put `text` after the bar."""
        self._bar.set_postfix_str(text)
