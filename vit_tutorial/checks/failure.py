"""What a check says: the exception that a learner meets, and the verdict that a grader stores."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """The outcome of one check: passed or not, the known mistake's short name (None for an unknown one), and the message."""

    passed: bool
    mistake: str | None
    message: str


class CheckFailed(AssertionError):
    """A learner's function did not pass.

    check: the check's name, such as "check_patchify". mistake: the known mistake's short name, such as "channel_first", or None.
    The text says what was seen, what was expected, and gives a hint.
    """

    def __init__(self, message: str, check: str = "", mistake: str | None = None):
        super().__init__(message)
        self.check = check
        self.mistake = mistake

    def _render_traceback_(self) -> list[str]:
        """IPython asks for this: the message alone, because the frames of the check teach nothing about the learner's code."""
        return [
            f"CheckFailed in {line}" if i == 0 else line
            for i, line in enumerate(str(self).split("\n"))
        ]
