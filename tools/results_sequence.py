"""docs/results.md, the part about lesson 12: who carries the first patch's colour to the end."""

import statistics

from results_common import grid, read

from vit_tutorial.studies import interval


def long_range() -> str:
    """Accuracy by length with intervals, how many sequences a run saw, and what a step costs."""
    rows, costs = read("long_range.csv"), read("long_range_cost.csv")
    kinds = list(dict.fromkeys((row["model"], row["most_examples"], row["lr"]) for row in rows))
    kinds.sort(key=lambda kind: (float(kind[2]) != 0.003, float(kind[2]), int(kind[1])))
    lengths = sorted({int(row["length"]) for row in rows})
    table = [
        [name, f"{int(most):,}", lr, *(cell(rows, length, name, most, lr) for length in lengths)]
        for name, most, lr in kinds
    ]
    head = ["model", "sequences at most", "learning rate", *(f"{n:,} tokens" for n in lengths)]
    steps = {(row["model"], row["length"]): row["step_ms"] for row in costs}
    names, asked = (dict.fromkeys(row[name] for row in costs) for name in ("model", "length"))
    cost = [[name, *(steps[name, length] for length in asked)] for name in names]
    sizes = sorted({int(row["parameters"]) for row in rows})
    first = rows[0]
    return (
        "## Carrying a colour to the end: RNN, LSTM, memory, attention\n\n"
        f"Models of {sizes[0]:,} to {sizes[-1]:,} parameters name the first patch's colour at the "
        "last token: right answers in percent with 95 % intervals (none for a single run), and in "
        "brackets the sequences that the median run saw, in thousands. A run stops once it made no "
        f"mistake in ten batches of {first['batch_size']}. Chance is 12.5 %. "
        "The learning rate and the contrast of the patches were chosen in a few runs, mostly of "
        "attention.\n\n"
        f"{grid(head, table)}\n\n"
        f"A training step with {costs[0]['batch_size']} sequences, in ms of processor time (in "
        "a layer of a ViT all tokens ask):\n\n"
        f"{grid(['model', *(f'{int(n):,} tokens' for n in asked)], cost)}\n\n"
        f"`python benchmarks/long_range.py` ({first['hardware']}, torch {first['torch']}, "
        f"{max(row['date'] for row in rows)})."
    )


def cell(rows: list[dict], length: int, *kind: str) -> str:
    """One model at one length, such as `99.8 ± 0.3 (12)`."""
    wanted = (*kind, str(length))
    names = ("model", "most_examples", "lr", "length")
    found = [row for row in rows if tuple(row[name] for name in names) == wanted]
    if not found:
        return "-"
    mean, half = interval([100 * float(row["accuracy"]) for row in found])
    seen = statistics.median(int(row["examples"]) for row in found) / 1000
    return f"{mean:.1f}{f' ± {half:.1f}' if len(found) > 1 else ''} ({seen:.0f})"
