"""docs/results.md, the part about training: accuracy for a budget, ingredients, speed, faults."""

import statistics

from results_common import compared, gap, grid, read, spread

from vit_tutorial import training


def cifar10_runs() -> list[tuple[str, str, list[dict]]]:
    """What was trained on CIFAR-10 by the clock: (name, size, one row for each seed)."""
    budgets, before = read("budgets.csv"), read("cifar10_budget.csv")
    runs = []
    for minutes in (5, 30):
        mine = [row for row in budgets if float(row["budget"]) == minutes]
        runs.append(("ViT", training.recipe("cpu", minutes).model, mine))
    size = next(row["model"] for row in before if row["model"] != "cnn")
    runs.append(("ViT, first recipe", size, [row for row in before if row["model"] == size]))
    runs.append(("small CNN", "-", [row for row in before if row["model"] == "cnn"]))
    return runs


def mean(rows: list[dict], column: str) -> float:
    return statistics.mean(float(row[column]) for row in rows)


def test_accuracies(rows: list[dict]) -> list[float]:
    """In percent, a seed each."""
    return [100 * float(row["test_accuracy"]) for row in rows]


def cifar10_table() -> str:
    """The one table of README.md: every training on CIFAR-10 by the clock, side by side."""
    table = []
    for name, _, rows in cifar10_runs():
        test = test_accuracies(rows)
        spread = f" ({min(test):.1f}–{max(test):.1f})" if len(test) > 1 else ""
        hardware = rows[0]["hardware"].replace("(R)", "").replace(" Processor", "")
        data = rows[0]["data"].removeprefix("CIFAR-10 ").strip("()")
        table.append(
            [name, data, f"{mean(rows, 'minutes'):.0f} min", hardware]
            + [f"**{statistics.mean(test):.1f} %**", f"{len(test)}{spread}"]
        )
    head = ["model", "data", "budget", "hardware", "test accuracy", "seeds"]
    return grid(head, table, tight=True)


def cifar10() -> str:
    """The same trainings with all that is known about them, and their commands."""
    table = []
    for name, size, rows in cifar10_runs():
        test = test_accuracies(rows)
        speed = f"{mean(rows, 'images_per_second'):,.0f}" if "images_per_second" in rows[0] else "-"
        table.append(
            [name, size, f"{int(rows[0]['parameters']):,}", f"{mean(rows, 'minutes'):.0f}"]
            + [f"{mean(rows, 'epochs'):.1f}", speed, f"**{statistics.mean(test):.1f} %**"]
            + [", ".join(f"{value:.1f} (seed {row['seed']})" for value, row in zip(test, rows))]
        )
    head = ["model", "size", "parameters", "minutes", "epochs", "images a second"]
    head += ["test accuracy", "each run"]
    first, before = read("budgets.csv"), read("cifar10_budget.csv")
    commands = [row["command"] for row in first]
    commands += [row["command"].split(" --models")[0] for row in before]
    first = first[0]
    return (
        "## CIFAR-10: accuracy for a time budget\n\n"
        f"{first['data']}, no other data; {first['hardware']}, {first['precision']}, torch "
        f"{first['torch']}, {first['date']}. Every choice was made on validation images; each run "
        "used the test images once, at its end. The CNN was run once, so its spread is "
        f"unknown.\n\n{grid(head, table)}\n\n"
        f"In the order of the rows: `{'`; `'.join(dict.fromkeys(commands))}`."
    )


def recipe_runs() -> dict[tuple[str, str], list[dict]]:
    """The runs of data/results/recipe.csv by study and ingredient."""
    runs: dict[tuple[str, str], list[dict]] = {}
    for row in read("recipe.csv"):
        runs.setdefault((row["study"], row["ingredient"]), []).append(row)
    return runs


def ingredients() -> dict[tuple[str, str], dict]:
    """What each ingredient brought, compared seed by seed and corrected for all comparisons."""
    runs = recipe_runs()
    by_seed = lambda key: {int(row["seed"]): float(row["validation_accuracy"]) for row in runs[key]}
    against = {key: (key[0], rows[0]["against"]) for key, rows in runs.items()}
    pairs = {key: other for key, other in against.items() if other[1]}
    return {key: compared(by_seed(key), by_seed(other), len(pairs)) for key, other in pairs.items()}


def recipe() -> str:
    """The ladder of the recipe, each later ingredient alone, and AdamW against Muon."""
    runs, gains = recipe_runs(), ingredients()
    accuracy = lambda key: [100 * float(row["validation_accuracy"]) for row in runs[key]]
    percent = lambda key: f"{statistics.mean(accuracy(key)):.1f}" if key in runs else "-"
    table = []
    for study, name in runs:
        if study in ("ladder", "alone"):
            often = ("reuse", name if study == "alone" else "")
            table.append(
                [name, percent((study, name)), gap(gains.get((study, name)))]
                + [percent(often), gap(gains.get(often))]
            )
    rates = [
        [name, spread(accuracy((study, name))), str(len(rows))]
        for (study, name), rows in runs.items()
        if study == "optimizer"
    ]
    first, often = runs["ladder", "a first attempt"][0], runs["reuse", "the ladder"][0]
    head = ["ingredient", "each image seen 3 times, %", "difference in points"]
    head += ["few images, seen 27 times, %", "difference in points"]
    return (
        "## What each ingredient of the recipe contributes\n\n"
        f"Validation accuracy of {first['model']}, {len(runs['ladder', 'a first attempt'])} seeds. "
        "Down to Muon, each row adds one ingredient to the row above. Every row below *the ladder* "
        f"adds one ingredient to the ladder, once with {int(first['images']):,} images and "
        f"{float(first['epochs']):g} epochs and once with {int(often['images']):,} images and "
        f"{float(often['epochs']):g} epochs, which is the same number of steps. Intervals are "
        f"corrected for {len(gains)} comparisons. Lesson 17 asks for your guess first.\n\n"
        f"{grid(head, table)}\n\n"
        "AdamW and Muon at the same learning rates, everything else equal; the interval is that of "
        f"each mean alone:\n\n{grid(['optimizer and rate', 'accuracy, %', 'seeds'], rates)}\n\n"
        f"`python benchmarks/recipe.py FOLDER` ({first['data']}; {first['hardware']}, "
        f"{first['precision']}, torch {first['torch']}, {first['date']})."
    )


def faults() -> str:
    """What was done to running trainings, and what was lost."""
    rows = read("faults.csv")
    columns = ["fault", "tried", "resumed", "most_steps_lost", "most_seconds_lost", "same_weights"]
    head = ["what happened", "times", "resumed", "most steps lost", "most seconds lost"]
    head += ["the same weights in the end"]
    first = rows[0]
    return (
        "## What a stopped run loses\n\n"
        "The real command line was run with a checkpoint every fraction of a second. The weights "
        "at the end are compared bit for bit with those of an undisturbed run.\n\n"
        f"{grid(head, [[row[column] for column in columns] for row in rows])}\n\n"
        f"`{first['command']}` ({first['hardware']}, {first['date']})."
    )


def steps() -> str:
    """Training steps beside the other libraries."""
    rows, table = [row for row in read("step_cpu.csv") if row["ended"] == "measured"], []
    for row in rows:
        ratio = [float(row[name]) for name in ("ratio_to_best_other", "ratio_q1", "ratio_q3")]
        pays = row["pays_after_minutes"]
        table.append(
            [row["precision"], row["model"]]
            + [row["attention"] + (", compiled" if row["compiled"] == "yes" else "")]
            + [f"{float(row['images_per_second']):.0f}"]
            + ["{:.2f} ({:.2f} to {:.2f})".format(*ratio)]
            + [f"{float(row['share_of_peak']):.0%}" if row["share_of_peak"] else "-"]
            + [f"{pays} min" if pays not in ("", "never") else pays or "-"]
        )
    head = ["precision", "library", "attention", "images a second"]
    head += ["ratio to the best other (quartiles)", "of the matmul peak", "compiling pays after"]
    return (
        "## One training step, compared with other libraries\n\n"
        f"{_machine(rows[0])} Medians of {rows[0]['rounds']} rounds in which all took turns.\n\n"
        f"{grid(head, table)}\n\n`{rows[0]['command']}`. On a CPU, `vit_tutorial` chooses fused "
        "attention in fp32 and explicit attention in bf16."
    )


def loops() -> str:
    """Whole training loops beside each other."""
    rows, table = [row for row in read("loop_cpu.csv") if row["ended"] == "measured"], []
    for row in rows:
        names = ("ratio_to_dataloader", "ratio_to_dataloader_q1", "ratio_to_dataloader_q3")
        ratio = [float(row[name]) for name in names if row[name]]
        table.append(
            [row["loop"] + (" (compiled)" if row["compiled"] == "yes" else ""), row["model"] or "-"]
            + [f"{float(row['images_per_second']):,.0f}"]
            + ["{:.2f} ({:.2f} to {:.2f})".format(*ratio) if ratio else "-"]
            + [f"{float(row['share_of_peak']):.0%}" if row["share_of_peak"] else "-"]
        )
    head = ["loop", "model", "images a second", "ratio to the DataLoader's (quartiles)"]
    head += ["of the matmul peak"]
    return (
        "## A whole training loop, compared with other loops\n\n"
        f"{_machine(rows[0])} All loops took turns in one run, in {rows[0]['precision']}, and "
        "evaluated twice on a tenth as many validation images. On a CPU the model is the slow "
        "part; the rows without a model show what a DataLoader with two workers would cost a "
        f"GPU.\n\n{grid(head, table)}\n\n`{rows[0]['command']}`. Where the time goes: "
        "`data/results/profile_cpu.csv`."
    )


def _machine(row: dict) -> str:
    """Model and machine of a table of speeds, in a sentence."""
    return (
        f"A model of {row['width']}x{row['depth']} with {row['tokens']} tokens, batch "
        f"{row['batch']}, on {row['hardware']}, {row['threads']} threads ({row['versions']}, "
        f"{row['date']})."
    )
