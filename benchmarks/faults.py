"""What a training run survives: faults on the real command line, each followed by --resume.

    python benchmarks/faults.py --out data/results/faults.csv --kills 20

The run is `train` on the shapes on the CPU in fp32, with CutMix, stochastic depth and EMA (see RUN
below), so that everything that can get lost is there. It saves a checkpoint every 0.2 s; the
default is 60 s. A row for each fault:
    tried, resumed          times the fault was made, and times the run was then finished
    while_writing           of those, times that the fault left a half-written checkpoint behind
    most_steps_lost         most steps that had to be made again (counted, not estimated)
    most_seconds_lost       most seconds between the checkpoint that the run resumed from and the
                            fault
    same_weights            whether the final weights equal, bit for bit, those of a run without
                            faults
    message                 the first and the last line that the command printed; - for nothing
Needs Linux. A full disk and a read-only folder are made with a small tmpfs in a mount namespace of
its own (`unshare`); where that is not allowed, those rows are left out. The GPU that disappears is
a stand-in: the model raises what CUDA would.
"""

import contextlib
import ctypes
import json
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import common
import torch
from safetensors.torch import load_file

from vit_tutorial.common import files, machine
from vit_tutorial.training.runtime.checkpoint import CURRENT, PREVIOUS, load_checkpoint

RUN = (
    "--data shapes --epochs 2 --batch-size 128 --precision fp32 --model CIFAR-32x1/8 --cutmix 0.5 "
    "--drop-path-rate 0.2 --ema-decay 0.99 --device cpu --quiet"
)
EVERY = 0.2  # seconds between two checkpoints
RDONLY, REMOUNT = 1, 32  # of mount(2)
NAMESPACE = ("unshare", "--mount", "--map-root-user", "--propagation", "private")


def mount(source: str | None, target: str, flags: int = 0, data: str | None = None) -> None:
    """mount(2) of a small file system in memory, or a change of its flags; OSError as it says."""
    text = [None if value is None else os.fsencode(value) for value in (source, target, data)]
    kind = None if source is None else b"tmpfs"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(text[0], text[1], kind, ctypes.c_ulong(flags), text[2]):
        raise OSError(ctypes.get_errno(), f"mount on {target}")


def small_disk(target: str, size: int) -> None:
    """A file system of `size` bytes at `target`."""
    os.makedirs(target, exist_ok=True)
    mount("tmpfs", target, data=f"size={size}")


class Run:
    """One run of the command line, in a folder of its own.

    counter: a file outside the folder in which the process counts its steps.
    """

    def __init__(self, folder: Path, counter: Path, more: str = "", every: float = EVERY):
        self.folder, self.counter, self.more, self.every = folder, counter, more, every
        self.process = None

    def start(self, fail_after: int = 0) -> None:
        self._call(
            [
                *shlex.split(f"{RUN} {self.more}"),
                "--out",
                str(self.folder),
                "--save-every",
                str(self.every),
            ],
            fail_after,
        )

    def resume(self) -> None:
        self._call(["--resume", str(self.folder), "--quiet"])

    def _call(self, words: list[str], fail_after: int = 0) -> None:
        self.counter.write_text("0")
        inside = [
            sys.executable,
            __file__,
            "--command",
            str(self.counter),
            str(fail_after),
            "train",
            *words,
        ]
        self.process = subprocess.Popen(
            inside, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def wait(self, reached: Callable[[], bool], seconds: float = 120) -> bool:
        """Wait until `reached()`; False if the process ends before."""
        end = time.monotonic() + seconds
        while not reached():
            if self.process.poll() is not None or time.monotonic() > end:
                return False
            time.sleep(0.0003)
        return True

    def end(self, seconds: float = 300) -> tuple[int, str]:
        """Wait for the process to end: (exit status, message without the names of folders)."""
        try:
            output, _ = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        lines = [
            line
            for line in output.splitlines()
            if line.strip() and not line.startswith(("Traceback", " "))
        ]
        message = " / ".join(dict.fromkeys([*lines[:1], *lines[-1:]]))
        parent = re.escape(str(self.folder.parent))
        return self.process.returncode, re.sub(parent + "/?", "", message)

    def begun(self) -> bool:
        return (self.folder / "run.json").exists()

    def has_checkpoints(self, number: int = 1) -> bool:
        """Whether `number` checkpoints (1 or 2) are there."""
        return all((self.folder / name).exists() for name in (CURRENT, PREVIOUS)[:number])

    def writing(self) -> bool:
        """Whether a checkpoint is half written."""
        with contextlib.suppress(FileNotFoundError):
            return any(name.startswith(f".{CURRENT}") for name in os.listdir(self.folder))
        return False

    def finished(self) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return json.loads((self.folder / "run.json").read_text())["stopped"] == "finished"
        return False

    def steps(self) -> int:
        """Steps of the process that runs now, or ran last."""
        return int(self.counter.read_text() or 0)

    def newest_checkpoint(self) -> tuple[int, float]:
        """(step, time of writing) of what the run would resume from.

        Without a checkpoint: 0 and the time at which the run began.
        """
        try:
            state, note = load_checkpoint(self.folder)
        except FileNotFoundError:
            return 0, (self.folder / "run.json").stat().st_mtime
        file = self.folder / (PREVIOUS if note else CURRENT)
        return state["history"]["steps"], file.stat().st_mtime

    def weights(self) -> dict:
        return load_file(self.folder / "model.safetensors")


class Tally:
    """What came of one fault, over all tries."""

    def __init__(self, fault: str, expected: dict):
        self.fault, self.expected = fault, expected
        self.tried = self.resumed = self.while_writing = self.steps_lost = 0
        self.seconds_lost, self.same, self.message = 0.0, True, ""

    def strike(
        self, run: Run, number: int | None = signal.SIGKILL, before: int = 0, message: bool = True
    ) -> int:
        """End the run's process by a signal and note what is lost.

        Returns the step that the run would resume from. number: None if it ends by itself.
        before: the step that the process began with.
        """
        if number is not None:
            run.process.send_signal(number)
        hit = time.time()
        _, output = run.end()
        if number is None:  # it ended later, by itself: what counts is the last step it made
            hit = run.counter.stat().st_mtime
        self.tried += 1
        self.while_writing += run.writing()
        step, written = run.newest_checkpoint()
        self.steps_lost = max(self.steps_lost, before + run.steps() - step)
        self.seconds_lost = max(self.seconds_lost, hit - written)
        if message:
            self.message = output or self.message
        return step

    def resume(self, run: Run) -> None:
        """Resume, to the end, and compare the weights."""
        run.resume()
        status, output = run.end()
        self.resumed += status == 0 and run.finished()
        self.message = self.message or ("" if status == 0 else output)
        self.same &= status == 0 and same(run.weights(), self.expected)

    def row(self, **changes) -> dict:
        row = dict(
            fault=self.fault,
            tried=self.tried,
            resumed=self.resumed,
            while_writing=self.while_writing,
            most_steps_lost=self.steps_lost,
            most_seconds_lost=round(max(0.0, self.seconds_lost), 2),
            same_weights="yes" if self.same else "no",
            message=self.message or "-",
        )
        return row | changes


def same(a: dict, b: dict) -> bool:
    """Whether two sets of tensors are equal, name by name, bit for bit."""
    return a.keys() == b.keys() and all(
        a[name].dtype == b[name].dtype and torch.equal(a[name], b[name]) for name in a
    )


def undisturbed(folder: Path) -> tuple[dict, int]:
    """(weights, steps) of a run without faults, which saves no checkpoint."""
    run = Run(folder / "undisturbed", folder / "undisturbed.steps", every=3600)
    run.start()
    status, output = run.end()
    if status:
        raise RuntimeError(f"the undisturbed run failed: {output}")
    return run.weights(), run.steps()


def killed(folder: Path, expected: dict, steps: int, times: int, seed: int = 0) -> Iterator[dict]:
    """SIGKILL at random moments; while a checkpoint is written; again and again in one run."""
    draw, tally = random.Random(seed), Tally("SIGKILL at a random moment", expected)
    while tally.tried < times:
        # uniform over the run, in steps: by the clock, a busy machine would shift the moments
        run, moment = fresh(folder), draw.uniform(0, steps)
        run.start()
        run.wait(lambda run=run, least=moment: run.begun() and run.steps() >= int(least))
        time.sleep(0.015 * (moment % 1))
        if run.process.poll() is None and not run.finished():
            tally.strike(run)
            tally.resume(run)
        run.end()
    yield tally.row()
    tally = Tally("SIGKILL aimed at a state being written", expected)
    while tally.tried < times:
        run = fresh(folder)
        run.start()
        for _ in range(draw.randint(1, 5)):
            run.wait(lambda run=run: not run.writing())
            hit = run.wait(run.writing)
        if hit:
            tally.strike(run)
            tally.resume(run)
        run.end()
    yield tally.row()
    yield again_and_again(fresh(folder), expected, times, draw)


def again_and_again(run: Run, expected: dict, times: int, draw: random.Random) -> dict:
    """One run that is killed up to `times` times.

    Each time while it writes its first new checkpoint, or somewhat later.
    """
    tally, step = Tally("SIGKILL again and again in one run", expected), 0
    run.start()
    for _ in range(times):
        if not run.wait(lambda: run.steps() > 0) or not run.wait(run.writing):
            break
        time.sleep(draw.choice((0, 0, 0.02, 0.1)))
        if run.process.poll() is not None or run.finished():
            break
        step = tally.strike(run, before=step)
        run.resume()
    run.end()
    tally.resumed = tally.tried if run.finished() else 0
    tally.same = run.finished() and same(run.weights(), expected)
    return tally.row()


def stopped(folder: Path, expected: dict, times: int) -> Iterator[dict]:
    """SIGTERM, as from a job scheduler, and Ctrl-C."""
    for name, number in (("SIGTERM", signal.SIGTERM), ("Ctrl-C (SIGINT)", signal.SIGINT)):
        tally = Tally(name, expected)
        for i in range(times):
            run = fresh(folder, every=60)
            run.start()
            run.wait(lambda run=run, least=10 + 120 * i // times: run.steps() > least)
            tally.strike(run, number)
            tally.resume(run)
        yield tally.row()


def damaged(folder: Path, expected: dict, times: int) -> Iterator[dict]:
    """Kill a run; cut its newest checkpoint short, or flip a bit of it, or damage both."""
    draw = random.Random(1)
    for name, names in (
        ("newest state cut short", [CURRENT]),
        ("newest state with a flipped byte", [CURRENT]),
        ("both states damaged", [CURRENT, PREVIOUS]),
    ):
        tally = Tally(name, expected)
        for _ in range(times):
            run = fresh(folder)
            run.start()
            run.wait(lambda run=run: run.has_checkpoints(2) and run.steps() > 50)
            run.process.kill()
            run.process.wait()
            hit = time.time()
            for each in names:
                content = bytearray((run.folder / each).read_bytes())
                place = draw.randrange(len(content))
                if "cut" in name:
                    del content[place:]
                else:
                    content[place] ^= 1 << draw.randrange(8)
                (run.folder / each).write_bytes(content)
            tally.tried += 1
            if len(names) == 1:
                tally.message = load_checkpoint(run.folder)[1]
                step, written = run.newest_checkpoint()
                tally.steps_lost = max(tally.steps_lost, run.steps() - step)
                tally.seconds_lost = max(tally.seconds_lost, hit - written)
                run.end()
                tally.resume(run)
            else:
                run.end()
                run.resume()
                status, tally.message = run.end()
                tally.resumed += status == 0
        lost = (
            {}
            if len(names) == 1
            else dict(most_steps_lost="all", most_seconds_lost="all", same_weights="-")
        )
        yield tally.row(**lost)


def not_a_number(folder: Path) -> dict:
    """A learning rate that makes the loss infinite: are the last checkpoint's weights finite?"""
    tally = Tally("loss not a number (learning rate 1e30)", {})
    run = fresh(folder, "--lr 1e30", every=0.01)
    run.start()
    step = tally.strike(run, None)
    weights = load_checkpoint(run.folder)[0]["step"]["model"].values() if step else []
    intact = all(weight.isfinite().all() for weight in weights)
    return tally.row(
        resumed="-",
        same_weights="-",
        most_seconds_lost="-",
        fault=f"{tally.fault}; last state finite: {intact}",
    )


def gpu_gone(folder: Path, expected: dict) -> dict:
    """The model raises what CUDA raises when a GPU is lost; another process resumes."""
    tally, run = Tally("GPU disappears (stand-in)", expected), fresh(folder)
    run.start(fail_after=100)
    tally.strike(run, None)
    tally.resume(run)
    return tally.row()


def full_disk(folder: Path, expected: dict) -> dict:
    """Fill the tmpfs of 4 MB in which the run writes; make room again for --resume."""
    small = folder / "small"
    small_disk(str(small), 4 << 20)
    tally, filler = Tally("disk full", expected), small / "filler"
    run = Run(small / "run", folder / "full.steps")
    run.start()
    run.wait(lambda: run.has_checkpoints(2) and not run.writing())
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    tally.strike(run, None)
    filler.unlink()
    tally.resume(run)
    return tally.row()


def read_only(folder: Path, expected: dict) -> dict:
    """Make the tmpfs in which the run writes read-only; make it writable again for --resume."""
    small = folder / "small"
    small_disk(str(small), 16 << 20)
    tally = Tally("folder becomes read-only", expected)
    run = Run(small / "run", folder / "read_only.steps")
    run.start()
    run.wait(lambda: run.has_checkpoints(2) and not run.writing())
    set_read_only = lambda: mount(None, str(small), REMOUNT | RDONLY)
    run.wait(lambda: not fails(set_read_only))  # it is refused while a file is open for writing
    tally.strike(run, None)
    mount(None, str(small), REMOUNT)
    tally.resume(run)
    return tally.row()


IN_A_NAMESPACE = {"full_disk": full_disk, "read_only": read_only}


def fails(action: Callable[[], None]) -> bool:
    try:
        action()
    except OSError:
        return True
    return False


def namespaced(name: str, folder: Path) -> dict | None:
    """The row of a fault that mounts something, tried inside a mount namespace.

    None where that is not allowed.
    """
    if fails(lambda: subprocess.run([*NAMESPACE, "true"], check=True, capture_output=True)):
        return None
    words = [*NAMESPACE, sys.executable, __file__, "--in-namespace", name, str(folder)]
    return json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout)


def command(counter: Path, fail_after: int, words: list[str]) -> int:
    """The command line itself, counting its steps in a file.

    fail_after: the step after which the GPU is gone, 0 for never.
    """
    from vit_tutorial import VisionTransformer
    from vit_tutorial.cli.main import main
    from vit_tutorial.training import loop

    file, done, forward = os.open(counter, os.O_WRONLY), 0, VisionTransformer.forward

    class Counted(loop.Step):
        def __call__(self, *given):
            nonlocal done
            result = super().__call__(*given)
            done += 1
            # the number of digits never falls, so that no old digit is left over
            os.pwrite(file, b"%d" % done, 0)
            return result

    def gone(self, images):
        if fail_after and done >= fail_after:
            raise getattr(torch, "AcceleratorError", RuntimeError)(
                "CUDA error: unspecified launch failure"
            )
        return forward(self, images)

    loop.Step, VisionTransformer.forward = Counted, gone
    return main(words)


_numbers = iter(range(10**6))


def fresh(folder: Path, more: str = "", every: float = EVERY) -> Run:
    """A run in a new folder."""
    name = f"run{next(_numbers)}"
    return Run(folder / name, folder / f"{name}.steps", more, every)


def rows(folder: Path, kills: int) -> Iterator[dict]:
    """The rows of all faults, one after the other."""
    expected, steps = undisturbed(folder)
    few = max(1, kills // 4)
    yield from killed(folder, expected, steps, kills)
    yield from stopped(folder, expected, few)
    yield from damaged(folder, expected, few)
    yield not_a_number(folder)
    yield gpu_gone(folder, expected)
    for name in IN_A_NAMESPACE:
        if row := namespaced(name, folder):
            yield row


def main() -> int:
    if sys.argv[1:2] == ["--command"]:
        return command(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
    if sys.argv[1:2] == ["--in-namespace"]:
        folder = Path(sys.argv[3])
        expected = load_file(folder / "undisturbed" / "model.safetensors")
        print(json.dumps(IN_A_NAMESPACE[sys.argv[2]](folder, expected)))
        return 0
    parser = common.make_parser(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the table, as CSV")
    parser.add_argument(
        "--kills", type=int, default=20, help="times to kill; a quarter of it for the other faults"
    )
    args = parser.parse_args()
    about = common.provenance("faults.py", machine.hardware(), seconds_between_states=EVERY)
    table = []
    with tempfile.TemporaryDirectory() as folder:
        for row in rows(Path(folder), args.kills):
            print(*(f"{name}: {value}" for name, value in row.items()), sep=", ", flush=True)
            table.append(row | about)
            files.write_rows(args.out, table)  # after each: all of them take a quarter of an hour
    return 0


if __name__ == "__main__":
    sys.exit(main())
