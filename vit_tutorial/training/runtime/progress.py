"""What a run shows while it trains: a progress bar or single lines."""

import os
import sys

from tqdm import tqdm

from .clock import Clock


def report(message: str) -> None:
    """Print a line on stderr, above the progress bar if there is one; only in the first process."""
    if os.environ.get("RANK", "0") == "0":  # what accelerate launch and torchrun set
        tqdm.write(message, file=sys.stderr)


class CountedBatches:
    """A split whose `iter_batches` shows, after two seconds, how many images are done and the time
    left. For `evaluate`: nothing else of a split is there."""

    def __init__(self, split, what: str):
        self.split, self.what = split, what

    def __len__(self) -> int:
        return len(self.split)

    def iter_batches(self, batch_size: int):
        seen = sys.stderr.isatty() or "ipykernel" in sys.modules
        how = dict(total=len(self), desc=self.what, unit=" images", delay=2, leave=False, ncols=88)
        with tqdm(**how, file=sys.stderr, disable=not seen) as bar:
            for images, labels in self.split.iter_batches(batch_size):
                yield images, labels
                bar.update(len(labels))


class ProgressBar:
    """A context that shows how much of a run is done, the time left, and what `show` was given.

    A bar on stderr; where that is neither a terminal nor a notebook, as in a log file, a line every
    `every` seconds.
    """

    def __init__(self, clock: Clock, shown: bool, every: float = 30.0):
        self.clock, self.shown, self.every = clock, shown, every
        self.drawn = shown and (sys.stderr.isatty() or "ipykernel" in sys.modules)
        self._bar = tqdm(
            total=1.0,
            disable=not self.drawn,
            file=sys.stderr,
            mininterval=0.5,
            ncols=88,
            bar_format="{percentage:3.0f}%|{bar}| {desc}",
        )
        self._text, self._next = "", clock.elapsed() + every

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, *_) -> None:
        self._bar.close()

    def update(self, steps: int) -> None:
        """Show where a run is after `steps` steps, if it is time to show something."""
        seconds = self.clock.elapsed()
        if not self.shown or not self.drawn and seconds < self._next:
            return
        done = min(1.0, max(steps / self.clock.steps, seconds / self.clock.seconds))
        # At the pace so far: steps with small images, at the start of a run, are faster than later.
        left = max(0.0, self.clock.seconds_left(steps, seconds / max(1, steps)))
        line = f"{tqdm.format_interval(left)} left{self._text}"
        if self.drawn:
            self._bar.set_description_str(line, refresh=False)
            self._bar.update(done - self._bar.n)
        else:
            report(f"{done:4.0%}, {line}")
            self._next = seconds + self.every

    def show(self, text: str) -> None:
        """Put `text` after the time left, from now on."""
        self._text = f", {text}"
