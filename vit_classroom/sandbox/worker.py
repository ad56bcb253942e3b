"""The work of kind "run": a submission's cells in IPython, and the observing of checks.

The job is a list of steps, each of them a cell to run or a function to observe. Frames that it
sends: "p" before each step, with its number; "o" with what a check observed; "r" with a record of
the step as JSON; "h" when every cell has run and the hidden tests are wanted; "e" at the end.

Nothing here decides a mark. A learner's code may forge whatever this process sends, so the grader
judges the observed values elsewhere, on cases of its own, and shows the text as the learner's.
"""

import base64
import contextlib
import importlib
import json
import signal
import sys
import time
import traceback

from vit_tutorial import checks

from . import wire
from .inner import status_bytes
from .like_a_kernel import like_a_kernel
from .observing import give_back, own_solutions_refused
from .zygote import Channel, split

MOST_TEXT, MOST_PICTURE, MOST_PICTURES = 20_000, 400_000, 6
MOST_PROBLEM = 2_000
KINDS = ("text/plain", "image/png")
WATCHER_SECONDS = 2


class TimeLimitError(BaseException):
    """A cell took too long.

    It is a BaseException, so that a learner's `except Exception` does not catch it.
    """


class Outputs(list):
    """The outputs of one cell in nbformat's form, cut to a size."""

    def __init__(self):
        super().__init__()
        self.left, self.pictures = MOST_TEXT, MOST_PICTURES

    def cut(self, text: str) -> str:
        kept = text[: self.left]
        self.left -= len(kept)
        return kept

    def stream(self, name: str, text: str) -> None:
        if self.left <= 0:
            return
        kept = self.cut(text)
        if self.left <= 0:
            kept += "\n[output cut]\n"
        if self and self[-1].get("name") == name:
            self[-1]["text"] += kept
        else:
            self.append({"output_type": "stream", "name": name, "text": kept})

    def data(self, kind: str, data: dict, **more) -> None:
        kept = {"text/plain": self.cut(str(data.get("text/plain", "")))}
        picture = data.get("image/png")
        if isinstance(picture, bytes):
            picture = base64.b64encode(picture).decode("ascii")
        if isinstance(picture, str) and len(picture) <= MOST_PICTURE and self.pictures > 0:
            self.pictures -= 1
            kept["image/png"] = picture
        self.append({"output_type": kind, "data": kept, "metadata": {}, **more})

    def error(self, kind: str, value: str, trace: list[str]) -> None:
        self.append(
            {
                "output_type": "error",
                "ename": kind[:200],
                "evalue": value[:2000],
                "traceback": [self.cut("\n".join(trace))],
            }
        )


class Stream:
    """Replaces sys.stdout or sys.stderr while a cell runs."""

    encoding, errors, closed = "utf-8", "strict", False

    def __init__(self, name: str, worker: "Worker"):
        self.name, self.worker = name, worker

    def write(self, text) -> int:
        self.worker.outputs.stream(self.name, str(text))
        return len(text)

    def writelines(self, lines) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True


class Worker:
    """The learner's process: an IPython shell, and the connection for what comes out of it."""

    def __init__(self):
        self.outputs, self.line = Outputs(), None
        self.channel, self.seconds, self.memory, self.cases = None, 0.0, 0, {}
        self.shell = self._shell()

    def step(self, number: int, step: dict, quiet: bool = False) -> None:
        """Run one step and send its record. quiet: only whether it passed, for hidden tests."""
        self.channel.send(b"p", number)
        self.outputs = Outputs()
        problem, limit, self.line, more = None, None, None, {}
        try:
            signal.setitimer(signal.ITIMER_REAL, self.seconds)
            if step["kind"] == "observe":
                problem = self._observe(number, step)
            elif step["kind"] == "alone":
                more = {"cut": self._alone(step)}
            else:
                problem = self._run(step["source"])
                more = {"line": self.line}
        except TimeLimitError:
            problem, limit = "", "time"
        except MemoryError:
            problem, limit = "MemoryError", "memory"
        except BaseException as error:  # a learner's code may raise anything, at any time
            problem = _text(error)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        record = {"passed": problem is None, "limit": limit}
        if not quiet:
            record |= {"problem": problem and problem[:MOST_PROBLEM], "outputs": self.outputs}
            record |= more
        self.channel.send(b"r", number, json.dumps(record).encode())
        with contextlib.suppress(OSError, KeyError):
            if status_bytes("RssAnon", "RssShmem") > self.memory:
                # The watcher needs some looks to be sure. It must find this step running.
                time.sleep(WATCHER_SECONDS)

    def _run(self, source: str) -> str | None:
        """Run a cell. Returns what went wrong, or None."""
        streams = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = Stream("stdout", self), Stream("stderr", self)
        try:
            result = self.shell.run_cell(source, store_history=True)
        except TimeLimitError as error:
            self.outputs.error("TimeLimit", str(error), [str(error)])
            raise
        finally:
            sys.stdout, sys.stderr = streams
        error = result.error_before_exec or result.error_in_exec
        if isinstance(error, (TimeLimitError, MemoryError)):
            raise error
        if error is None:  # %%time and its kind show an error and do not raise it
            shown = [each for each in self.outputs if each["output_type"] == "error"]
            return f"{shown[0]['ename']}: {shown[0]['evalue']}" if shown else None
        self.line = self._line_of(error)
        return _text(error, error.msg if isinstance(error, SyntaxError) else error)

    def _line_of(self, error: BaseException) -> int | None:
        """The line of the cell in which the error was raised, or None."""
        if isinstance(error, SyntaxError):
            return error.lineno
        cell = f"<ipython-input-{self.shell.execution_count - 1}-"
        frames = traceback.extract_tb(error.__traceback__)
        return next((f.lineno for f in reversed(frames) if f.filename.startswith(cell)), None)

    def _alone(self, step: dict) -> bool:
        """Bind the names that a cell did not come to bind, by the statements that bind them.

        Returns whether that was tried. What these statements raise is told by what is then missing.
        """
        if all(name in self.shell.user_ns for name in step["names"]):
            return False
        for source in step["sources"]:
            self._run(source)
        return True

    def _observe(self, number: int, step: dict) -> str | None:
        """Evaluate the expression that names the learner's function, and let the check observe
        it."""
        streams = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = Stream("stdout", self), Stream("stderr", self)
        try:
            fn = eval(step["expression"], self.shell.user_ns)
            if not callable(fn):
                kind = type(fn).__name__
                return f"TypeError: {step['expression']} is not a function, but a {kind}"
            with own_solutions_refused(step["check"]):
                observed = wire.observe(step["check"], fn, self.cases[step["check"]])
            self.channel.send(b"o", number, observed)
        finally:
            sys.stdout, sys.stderr = streams

    def alarm(self, number, frame) -> None:
        raise TimeLimitError(f"the cell ran for more than {self.seconds:.0f} s")

    def _shell(self):
        from IPython.core.displayhook import DisplayHook
        from IPython.core.displaypub import DisplayPublisher
        from IPython.core.interactiveshell import InteractiveShell
        from traitlets.config import Config

        worker = self

        class Hook(DisplayHook):
            def write_output_prompt(self):
                pass

            def write_format_data(self, format_dict, md_dict=None):
                worker.outputs.data("execute_result", format_dict, execution_count=None)

            def finish_displayhook(self):
                pass

        class Publisher(DisplayPublisher):
            def publish(self, data, metadata=None, **more):
                worker.outputs.data("display_data", data)

            def clear_output(self, wait=False):
                pass

        class Shell(like_a_kernel(InteractiveShell)):
            def _showtraceback(self, etype, evalue, stb):
                worker.outputs.error(etype.__name__, str(evalue), [str(line) for line in stb])

        config = Config()
        config.HistoryManager.enabled = False
        config.InteractiveShell.colors = "NoColor"
        config.InteractiveShell.displayhook_class = Hook
        config.InteractiveShell.display_pub_class = Publisher
        shell = Shell.instance(config=config)
        InteractiveShell._instance = shell
        shell.display_formatter.active_types = list(KINDS)
        return shell


def _text(error: BaseException, text=None) -> str:
    """ "ValueError: ..."; the name alone where a learner's __str__ raises."""
    try:
        return f"{type(error).__name__}: {error if text is None else text}"
    except Exception:
        return type(error).__name__


def prepare(config: bytes) -> Worker:
    """Load what cells and checks need, so that it is loaded once and not for each submission.

    config: JSON with "modules", which the lessons import, "checks", names that may be checks, and
    "own", the package's own solutions (package.own_solutions).
    """
    import torch

    torch.set_num_threads(1)
    # torch imports this (900 modules, 1 s) at the first operation that a check observes.
    import torch._dynamo

    wanted = json.loads(config)
    give_back(wanted["own"])
    for name in set(wanted["checks"]) & set(checks.names()):
        checks.get(name)
    for name in wanted["modules"]:
        # A name of the lesson's own, or what is not installed here: the lesson's cell will say so.
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    return Worker()


def handle(worker: Worker, job: bytes, channel: Channel) -> None:
    header, *cases = split(job)
    plan = json.loads(header)
    worker.channel, worker.seconds = channel, plan["cell_seconds"]
    worker.memory, worker.cases = plan["memory"], dict(zip(plan["cases"], cases))
    signal.signal(signal.SIGALRM, worker.alarm)
    for number, step in enumerate(plan["steps"]):
        worker.step(number, step)
    if plan["hidden"]:
        # The grader sends hidden tests only now. They run beside what the learner's cells defined,
        # and code that is made for it can read them from here on, or ask for them earlier. It
        # cannot carry them out: of this run the grader takes nothing but whether they passed.
        channel.send(b"h", 0)
        for number, step in enumerate(json.loads(channel.receive()), start=len(plan["steps"])):
            worker.step(number, step, quiet=True)
    channel.send(b"e", 0)
