"""The log of docs/records.md: what each change brought, from data/results/record.csv."""

import statistics

from results_common import grid, read

SAME = ("change", "budget", "hardware", "threads")  # of the runs in one row of the log


def groups() -> list[list[dict]]:
    """The runs of each change on each machine, one a seed, in the order of the table."""
    found: dict[tuple, list[dict]] = {}
    for row in read("record.csv"):
        found.setdefault(tuple(row[name] for name in SAME), []).append(row)
    return list(found.values())


def log() -> str:
    """A row for each change and machine, and the commands below."""
    table, commands = [], []
    for runs in groups():
        first = runs[0]
        mean = lambda column, runs=runs: statistics.mean(float(row[column]) for row in runs)
        test = sorted(100 * float(row["test_accuracy"]) for row in runs)
        units = {"bf16 dot products": "no bf16 matrix units", "none": "no bf16"}
        bf16 = units.get(first["bf16"], first["bf16"])
        table.append(
            [first["date"], first["change"]]
            + [f"{first['hardware']} ({bf16}), {first['threads']} threads"]
            + [f"{mean('epochs'):.1f}", f"{mean('pflops'):.3f}"]
            + [f"{100 * mean('validation_accuracy'):.1f} %", f"**{statistics.mean(test):.1f} %**"]
            + [f"{len(runs)} ({test[0]:.1f} to {test[-1]:.1f})"]
        )
        # One command may have made the runs of several seeds, or one run alone.
        ends = (row["command"].split(" --models")[0] for row in runs)
        commands += [f"{first['change']}: `{command}`" for command in dict.fromkeys(ends)]
    head = ["date", "what is new", "processor", "epochs", "PFLOPs", "validation", "test"]
    head += ["seeds (from, to)"]
    listed = "\n".join(f"- {command}" for command in dict.fromkeys(commands))
    return f"{grid(head, table)}\n\n{listed}"
