"""docs/results.md, the part about what people bring: few pictures, and damaged files."""

import statistics

from results_common import compared, gap, grid, read, runs, spread

TASKS = {  # of data/results/little_data.csv
    "textures": "ten textures, grey; photographs and classes are new to the weights",
    "shapes": "the embedded shapes at 48 pixels; images and classes are new to the weights, too",
    "cifar10": "other photographs of the very classes that the weights know: the best case",
}
METHODS = {
    "scratch": "from scratch",
    "all": "fine-tuned, all of it",
    "head": "fine-tuned, the head alone (`--freeze body`)",
}


def little_runs(rows: list[dict]) -> dict[tuple, dict[int, float]]:
    """Test accuracy of each seed, by task and method."""
    return runs(rows, "test_accuracy", "task", "method")


def little_is_complete() -> bool:
    """Whether the same five seeds or more were measured for every task and method."""
    found = little_runs(read("little_data.csv"))
    seeds = [set(found.get((task, method), ())) for task in TASKS for method in METHODS]
    return len(seeds[0]) >= 5 and all(other == seeds[0] for other in seeds)


def little_data() -> str:
    """50 pictures a class: what shipped weights are worth, with equal seconds."""
    rows = read("little_data.csv")
    found = little_runs(rows)
    tasks = [task for task in TASKS if (task, "scratch") in found]
    comparisons = len(tasks) * (len(METHODS) - 1)
    table = []
    for task in tasks:
        for method, words in METHODS.items():
            mine, scratch = found[task, method], found[task, "scratch"]
            accuracy = spread([100 * value for value in mine.values()])
            others = method != "scratch"
            difference = gap(compared(mine, scratch, comparisons)) if others else "-"
            epochs = statistics.mean(
                float(row["epochs"])
                for row in rows
                if (row["task"], row["method"]) == (task, method)
            )
            table.append([task, words, accuracy, difference, f"{epochs:.0f}"])
    first = rows[0]
    said = "\n".join(f"- **{task}**: {TASKS[task]}" for task in tasks)
    seeds = len({row["seed"] for row in rows})
    head = ["task", "method", "test accuracy, %", "difference from scratch, points", "epochs"]
    weights = next(row["weights"] for row in rows if row["weights"])
    return (
        f"## My little data set: {first['pictures_a_class']} pictures a class\n\n"
        f"Ten classes, {seeds} seeds, {float(first['seconds']):g} seconds of training for each run "
        "on one thread: the command line with its own choices for each method. Fine-tuned "
        f"runs start from `{weights}`, which was trained on the training images of "
        f"CIFAR-10. How near each task is to those images:\n\n{said}\n\n{grid(head, table)}\n\n"
        f"Intervals of differences are corrected for {comparisons} comparisons. In equal seconds a "
        "frozen body makes more epochs, because only the head needs gradients.\n\n"
        f"`{first['command']}` ({first['data']}; {first['hardware']}, {first['precision']}, torch "
        f"{first['torch']}, {first['date']})."
    )


def photographs() -> str:
    """What `predict` says of three files that no training of ours has seen."""
    rows = read("predict_photographs.csv")
    table = []
    for row in rows:
        named = (
            f"{row[f'class_{rank}']} {float(row[f'probability_{rank}']):.0%}" for rank in (1, 2, 3)
        )
        file = f"{row['photograph']} (`{row['file']}`)"
        table.append([f"`{row['model']}`", file, *named])
    first = rows[0]
    return (
        "## `predict` on three photographs\n\n"
        "The files as scikit-image ships them, given to `python -m vit_tutorial predict`. Both "
        "models were trained on the training images of CIFAR-10; they differ only in how their "
        "position embeddings started. The horse is a black silhouette. A rocket is none of the ten "
        "classes, and a model can only choose among those: a high probability is no sign that the "
        "right class is among them.\n\n"
        f"{grid(['model', 'picture', 'first', 'second', 'third'], table)}\n\n"
        f"`{first['command']}` ({first['hardware']}, {first['versions']}, {first['date']})."
    )


def fuzzing() -> str:
    """Damaged inputs for each parser, and what became of them."""
    rows = read("fuzz.csv")
    counts = ["inputs", "accepted", "refused", "tracebacks", "wrong", "over_5_s", "memory"]
    counts.append("outside")
    table = [
        [row["parser"], *(f"{int(row[name]):,}" for name in counts), f"{row['slowest_s']} s"]
        for row in rows
    ]
    head = ["what was damaged", "inputs", "read", "refused with a message", "tracebacks"]
    head += ["read wrongly", "over 5 s", "over 2 GiB", "outside the folder", "slowest"]
    first = rows[0]
    return (
        "## Damaged files, folders, tables and command lines\n\n"
        "Valid inputs were changed at random, one to three faults each: bytes, fields, values, "
        "names, links. *Read* means that the result was checked: pixels equal to those of the "
        "whole picture, finite weights, the right shapes. *Outside the folder* counts files "
        "written elsewhere, programs started and connections opened.\n\n"
        f"{grid(head, table)}\n\n`python benchmarks/fuzz.py` ({first['hardware']}, "
        f"{first['versions']}, {first['date']}). [What was found, and what happens now](cases.md)."
    )
