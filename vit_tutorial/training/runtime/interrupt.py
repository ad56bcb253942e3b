"""Ctrl-C and SIGTERM, heard between two steps: weights that are half updated would be no state to go on from."""

import signal
import threading


class Interrupt:
    """A context. The first Ctrl-C sets `requested`; the second interrupts at once.

    saving: there is a state to write, so SIGTERM (a job scheduler's, or a runtime that is taken away) waits for the step and for
    that too; on leaving the context the process then ends as SIGTERM ends it. Without it SIGTERM is left alone.
    Outside the main thread, where Python takes no signals, it does nothing.
    """

    def __init__(self, saving: bool = False):
        self.requested = False
        self._heard = 0
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
        if self._heard == signal.SIGTERM:
            signal.raise_signal(signal.SIGTERM)

    def _handle(self, number, frame) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested, self._heard = True, number
