"""What runs in the sandbox for one submission: its cells in IPython, and the observing of checks.

`python -m vit_classroom.sandbox.worker PLACE` reads PLACE/in/job.json, a list of steps, each of
them a cell to run or a function to observe. It writes into PLACE/out:

- `progress`: the number of the step that is running, and at the end "done";
- `records.jsonl`: a line for each step as soon as it has ended;
- the values that the checks observed, a file each.

Nothing here decides a mark. A learner's code may forge whatever this process writes, so the grader
judges the observed values outside, on cases of its own.
"""

import base64
import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path

from vit_tutorial import checks

from . import wire

MOST_TEXT, MOST_PICTURE, MOST_PICTURES = 20_000, 400_000, 6
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
    """The learner's process: an IPython shell, and the files for what comes out of it."""

    def __init__(self, place: Path, seconds: float, memory: int):
        self.inbox, self.outbox = place / "in", place / "out"
        self.seconds, self.memory = seconds, memory
        self.outputs = Outputs()
        self.progress = os.open(self.outbox / "progress", os.O_WRONLY | os.O_CREAT, 0o600)
        self.records = os.open(
            self.outbox / "records.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
        )
        self.shell = self._shell()
        signal.signal(signal.SIGALRM, self._alarm)

    def say(self, word) -> None:
        """Write the progress, always with the same length, so that no reader sees half of it."""
        os.pwrite(self.progress, f"{word:<12}\n".encode(), 0)

    def step(self, number: int, step: dict, quiet: bool = False) -> None:
        """Run one step and write its record. quiet: only whether it passed, for hidden tests."""
        self.say(number)
        self.outputs = Outputs()
        problem = None
        try:
            signal.setitimer(signal.ITIMER_REAL, self.seconds)
            if step["kind"] == "observe":
                problem = self._observe(step)
            else:
                problem = self._run(step["source"])
        except TimeLimitError:
            problem = f"time limit: it ran for {self.seconds:.0f} s"
        except BaseException as error:  # a learner's code may raise anything, at any time
            problem = f"{type(error).__name__}: {error}"
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        record = {"step": number, "passed": problem is None}
        if not quiet:
            record |= {"problem": problem and str(problem)[:2000], "outputs": list(self.outputs)}
        os.write(self.records, json.dumps(record).encode() + b"\n")
        if status_bytes("RssAnon", "RssShmem") > self.memory:
            # The watcher needs some looks to be sure. It must find this step running, not the next.
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
        if isinstance(error, TimeLimitError):
            raise error
        return None if error is None else f"{type(error).__name__}: {error}"

    def _observe(self, step: dict) -> str | None:
        """Evaluate the expression that names the learner's function, and let the check observe
        it."""
        streams = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = Stream("stdout", self), Stream("stderr", self)
        try:
            fn = eval(step["expression"], self.shell.user_ns)
            if not callable(fn):
                kind = type(fn).__name__
                return f"TypeError: {step['expression']} is not a function, but a {kind}"
            observed = wire.observe(step["check"], fn, (self.inbox / step["cases"]).read_bytes())
            part = self.outbox / f"{step['result']}.part"
            part.write_bytes(observed)
            os.replace(part, self.outbox / step["result"])  # whole or not at all
        finally:
            sys.stdout, sys.stderr = streams

    def _alarm(self, number, frame) -> None:
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

        class Shell(InteractiveShell):
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


def bound_memory(most: int) -> None:
    """Let this process map at most this many bytes more than now.

    An absurd allocation then fails in its cell and ends nothing else.
    """
    import resource

    now = status_bytes("VmSize")
    if now:  # elsewhere than on Linux the watcher outside limits the memory alone
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_AS, (now + most, now + most))


def status_bytes(*fields: str) -> int:
    """The sum of these fields of /proc/self/status, in bytes; 0 where there is no such file."""
    try:
        with open("/proc/self/status", encoding="utf-8") as file:
            rows = dict(line.split(":", 1) for line in file)
        return sum(int(rows[field].split()[0]) * 1024 for field in fields)
    except (OSError, KeyError, ValueError):
        return 0


def main(place: Path) -> None:
    job = json.loads((place / "in" / "job.json").read_bytes())
    import torch

    torch.set_num_threads(1)
    # The time of imports is not the learner's.
    names = {step["check"] for step in job["steps"] if step["kind"] == "observe"}
    for name in names:
        checks.get(name)
    if names:
        # torch imports this (900 modules, 1 s) at the first operation that a check observes.
        import torch._dynamo
    worker = Worker(place, job["cell_seconds"], job["memory"])
    bound_memory(job["memory"])
    for number, step in enumerate(job["steps"]):
        worker.step(number, step)
    if job["hidden"]:
        # The grader sends hidden tests only now, when every cell has run, and is told nothing but
        # whether they passed.
        worker.say("hidden")
        while not (place / "in" / "hidden.json").exists():
            time.sleep(0.02)
        steps = json.loads((place / "in" / "hidden.json").read_bytes())
        for number, step in enumerate(steps, start=len(job["steps"])):
            worker.step(number, step, quiet=True)
    worker.say("done")
    os._exit(0)  # threads and exit handlers that a learner's code left are not waited for


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
