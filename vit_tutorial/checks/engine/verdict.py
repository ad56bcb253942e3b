"""What a check reports: the exception a learner meets, and the verdict a grader stores."""

import textwrap
from dataclasses import dataclass

WIDTH = 88  # columns: what JupyterLab shows on a laptop, with room to spare


@dataclass(frozen=True)
class Verdict:
    """The outcome of one check."""

    passed: bool
    mistake: str | None  # the known mistake's short name; None for an unknown one
    message: str
    failing: int | None = None  # the number of the first case that is wrong


class CheckFailed(AssertionError):  # noqa: N818 - a learner reads "CheckFailed in check_patchify"
    """A learner's function did not pass. The text: what came back, what was expected, a hint.

    check: the check's name, such as "check_patchify".
    mistake: the known mistake's short name, such as "channel_first", or None.
    inputs: of the first case that failed, by name: my_function(*error.inputs.values()) runs it.
    """

    def __init__(
        self,
        message: str,
        check: str = "",
        mistake: str | None = None,
        inputs: dict | None = None,
    ):
        super().__init__(message)
        self.check = check
        self.mistake = mistake
        self.inputs = inputs or {}

    def __str__(self) -> str:
        """The message, its lines wrapped at WIDTH columns."""
        return "\n".join(map(_wrap, super().__str__().split("\n")))

    def _render_traceback_(self) -> list[str]:
        """For IPython: the message alone, since the frames of the check teach nothing."""
        return [
            f"CheckFailed in {line}" if i == 0 else line
            for i, line in enumerate(str(self).split("\n"))
        ]


def _wrap(line: str) -> str:
    """`line` in pieces of at most WIDTH columns, each after the first indented below it."""
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.fill(
        line,
        WIDTH,
        subsequent_indent=indent + "    ",
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
        replace_whitespace=False,
    )
