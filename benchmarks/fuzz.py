"""Damaged inputs for everything that reads what people send: what becomes of ten thousand each.

    python benchmarks/fuzz.py
    python benchmarks/fuzz.py --parsers images --inputs 500 --list
    python benchmarks/fuzz.py --parsers images --number 4711

An input is a valid file, folder, table, command line or configuration with a few faults
(benchmarks/fuzz_mutations.py); its number makes it again. Child processes read them, each with a
limit of memory, so that a crash or an endless loop costs one input. The table
data/results/fuzz.csv (--out) has a row for each parser:
    accepted    read, and what came out was checked (its shape, finite weights, equal pixels)
    refused     with an error of this package: status 2 and a message on the command line
    tracebacks  any other exception; crashes of the process count here, too
    wrong       accepted, and what came out was wrong
    over_5_s    took longer than five seconds, twice
    memory      asked for more than 2 GiB
    outside     wrote a file outside its folder, started a program or opened a connection
"""

import argparse
import collections
import multiprocessing
import queue
import random
import resource
import shutil
import signal
import tempfile
import time
import warnings
from pathlib import Path

import common
from fuzz_parsers import PARSERS
from fuzz_watch import Trial, Watcher, watch

from vit_tutorial.common import machine

GIB = 2**30
EACH = 500  # inputs of one child process
PATIENCE = 30.0  # seconds without a word from a child
COLUMNS = {"traceback": "tracebacks", "hang": "over_5_s"}
FAULTS = ("traceback", "crash", "wrong", "hang", "memory", "outside")


def tries(name: str, numbers, place: Path, watcher: Watcher, report=lambda trial: None):
    """Yield a Trial for each number; `report` is called with the number before it is tried."""
    valid = place / "valid"
    valid.mkdir(parents=True)
    parser = PARSERS[name](valid)
    for number in numbers:
        here = place / f"input_{number}"
        here.mkdir()
        run = parser.make(random.Random(f"{name} {number}"), here)
        report(number)
        yield watch(name, number, here, watcher, run)
        for closed in here.rglob("*"):
            if closed.is_dir() and not closed.is_symlink():
                closed.chmod(0o700)
        shutil.rmtree(here)


def child(name: str, numbers: list[int], place: Path, answers) -> None:
    """The work of a child process: an answer before and after each input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")
    watcher = Watcher()
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    used = int(pages) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2 * GIB, used + 2 * GIB))
    for trial in tries(name, numbers, place, watcher, lambda number: answers.put(number)):
        answers.put(trial)
    answers.put(None)


def run_all(name: str, numbers: list[int]) -> list[Trial]:
    """The trials of `numbers`, in child processes of EACH inputs."""
    context, done = multiprocessing.get_context("fork"), []
    while numbers:
        part, answers, current = numbers[:EACH], context.Queue(), None
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
            process = context.Process(target=child, args=(name, part, Path(place), answers))
            process.start()
            began = time.perf_counter()
            while True:
                try:
                    answer = answers.get(timeout=1)
                except queue.Empty:
                    silent = time.perf_counter() - began > PATIENCE
                    if process.is_alive() and not silent:
                        continue
                    outcome = "hang" if process.is_alive() else "crash"
                    process.kill()
                    if current is None:
                        raise SystemExit(
                            f"{name}: the child ended before its first input"
                        ) from None
                    done.append(Trial(name, current, outcome, PATIENCE, f"code {process.exitcode}"))
                    break
                began = time.perf_counter()
                if answer is None:
                    break
                if isinstance(answer, Trial):
                    done.append(answer)
                current = answer if isinstance(answer, int) else current
            process.join()
        tried = {trial.number for trial in done}
        numbers = [number for number in numbers if number not in tried]
    return done


def row(name: str, trials: list[Trial], seconds: float) -> dict:
    """The row of the table."""
    count = collections.Counter(trial.outcome for trial in trials)
    return dict(
        parser=name,
        inputs=len(trials),
        accepted=count["accepted"],
        refused=count["refused"],
        tracebacks=count["traceback"] + count["crash"],
        wrong=count["wrong"],
        over_5_s=count["hang"],
        memory=count["memory"],
        outside=count["outside"],
        slowest_s=round(max(trial.seconds for trial in trials), 2),
        seconds=round(seconds),
    ) | common.provenance(
        "fuzz.py", machine.hardware(), packages=("torch", "pillow", "safetensors", "numpy")
    )


def show(trials: list[Trial], outcomes=FAULTS) -> None:
    """The faults, one line for each kind, with the number of an example."""
    kinds = collections.defaultdict(list)
    for trial in trials:
        if trial.outcome in outcomes:
            place = trial.detail[trial.detail.rfind("[") :]
            kinds[trial.outcome, trial.detail.split(":")[0], place].append(trial)
    for (outcome, _, _), some in sorted(kinds.items(), key=lambda item: -len(item[1])):
        print(f"  {len(some):5} {outcome}, {some[0].number}: {some[0].detail[:260]}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    table = common.RESULTS / "fuzz.csv"
    parser.add_argument("--parsers", nargs="+", default=list(PARSERS), choices=list(PARSERS))
    parser.add_argument("--inputs", type=int, default=10_000, help="default: %(default)s")
    parser.add_argument("--number", type=int, help="try this input alone, in this process")
    parser.add_argument("--list", action="store_true", help="show the faults, write no table")
    parser.add_argument("--refused", action="store_true", help="with --list: the refusals as well")
    parser.add_argument("--out", type=Path, default=table, help="default: %(default)s")
    args = parser.parse_args()
    for name in args.parsers:
        began = time.perf_counter()
        if args.number is not None:
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
                print(*tries(name, [args.number], Path(place), Watcher()))
            continue
        trials = run_all(name, list(range(args.inputs)))
        # On a shared machine a quick input can be made to wait. One that hangs does so again.
        slow = [trial.number for trial in trials if trial.outcome == "hang"]
        second = {trial.number: trial for trial in run_all(name, slow)} if slow else {}
        trials = [second.get(trial.number, trial) for trial in trials]
        found = row(name, trials, time.perf_counter() - began)
        print(*(f"{key} {value}" for key, value in list(found.items())[:11]), sep=", ", flush=True)
        show(trials, (*FAULTS, "refused") if args.refused else FAULTS)
        if not args.list:
            common.SharedTable(args.out).add(found, instead_of=("parser",))
    if args.out.is_file() and not args.list:
        common.SharedTable(args.out).sort(lambda row: list(PARSERS).index(row["parser"]))


if __name__ == "__main__":
    main()
