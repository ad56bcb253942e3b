"""What a check reports: the exception a learner meets, and the verdict a grader stores."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """The outcome of one check."""

    passed: bool
    mistake: str | None  # the known mistake's short name; None for an unknown one
    message: str


class CheckFailed(AssertionError):
    """A learner's function did not pass. The text: what came back, what was expected, a hint.

    check: the check's name, such as "check_patchify".
    mistake: the known mistake's short name, such as "channel_first", or None.
    """

    def __init__(self, message: str, check: str = "", mistake: str | None = None):
        super().__init__(message)
        self.check = check
        self.mistake = mistake

    def _render_traceback_(self) -> list[str]:
        """For IPython: the message alone, since the frames of the check teach nothing."""
        return [
            f"CheckFailed in {line}" if i == 0 else line
            for i, line in enumerate(str(self).split("\n"))
        ]
