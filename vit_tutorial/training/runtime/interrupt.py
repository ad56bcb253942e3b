"""Ctrl-C and SIGTERM, handled between two steps: half-updated weights make no good checkpoint."""

import signal
import threading


class Interrupt:
    """A context. The first Ctrl-C sets `requested`; the second one interrupts at once.

    saving: a checkpoint will be saved, so SIGTERM (from a job scheduler, or a runtime that is taken
    away) waits for the step and for the checkpoint too; the process then ends as SIGTERM ends it,
    when the context is left. Otherwise SIGTERM is left alone. Does nothing outside the main thread,
    where Python receives no signals.
    """

    def __init__(self, saving: bool = False):
        self.requested = False
        self._received = 0
        self._numbers = (signal.SIGINT, signal.SIGTERM) if saving else (signal.SIGINT,)

    def __enter__(self) -> "Interrupt":
        main = threading.current_thread() is threading.main_thread()
        self._before = {
            number: signal.signal(number, self._handle) for number in self._numbers if main
        }
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._received == signal.SIGTERM:
            signal.raise_signal(signal.SIGTERM)

    def _handle(self, number, frame) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested, self._received = True, number
