"""The README's part about training: budgets, the recipe, whole loops, faults. `tools/readme.py` puts it in its place."""

import csv
import statistics

import torch
from torch.utils.flop_counter import FlopCounterMode

from vit_tutorial import VisionTransformer, ViTConfig, training
from vit_tutorial.data import results_path
from vit_tutorial.studies import difference, interval
from vit_tutorial.studies.statistics import verdict

BEGIN, END = "<!-- training: made by tools/readme.py -->", "<!-- end of training -->"
# Machine, preset, minutes, what the project asks of a plain ViT at least, and its aim, in percent of the test images.
BUDGETS = (
    ("2 CPU cores", "cpu", 5, 73, 77),
    ("2 CPU cores", "cpu", 30, 80, 84),
    ("T4", "t4", 10, 87, 90),
    ("one A100 or H200", "a100", 1, 88, 91),
    ("one A100 or H200", "a100", 10, 94, 95.5),
    ("one A100 or H200", "a100, convolutional stem", 10, 96, 97),
)
T4_FLOPS, T4_SHARE = (
    20e12,
    0.25,
)  # fp16 as measured by others, and what of it a small ViT may reach: an assumption


def read(name: str, missing: bool = False) -> list[dict]:
    """The rows of a committed table; with `missing` none where there is no such table yet."""
    try:
        with open(results_path(name), newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        if missing:
            return []
        raise


def grid(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    return "\n".join(
        "| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows]
    )


def step_flops(preset: training.Recipe) -> int:
    """Floating-point operations of a training step, for one image: forward, and twice that backward."""
    with torch.device("meta"):
        model = VisionTransformer(ViTConfig.named(preset.model, **preset.config))
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(torch.zeros(1, 3, 32, 32))
    return 3 * counter.get_total_flops()


def budget() -> str:
    """What each preset reached in its budget, and what is not known yet."""
    found, table = read("budgets.csv", missing=True), []
    for machine, name, minutes, least, aim in BUDGETS:
        mine = [row for row in found if row["recipe"] == name and float(row["budget"]) == minutes]
        word, _, stem = name.partition(", ")
        preset = training.recipe(word, minutes)
        model = f"`--recipe {word}{' --stem convolutional' if stem else ''}` ({preset.model})"
        reached, passes, speed = "not measured yet", "-", "-"
        if mine:
            test = [100 * float(row["test_accuracy"]) for row in mine]
            seeds = ", ".join(row["seed"] for row in mine)
            reached = f"**{statistics.mean(test):.1f} %** ({', '.join(f'{t:.1f}' for t in test)}; seed{'s' * (len(mine) > 1)} {seeds})"
            passes = f"{statistics.mean(float(row['epochs']) for row in mine):.1f}"
            speed = f"{statistics.mean(float(row['images_per_second']) for row in mine):,.0f}"
        elif name == "t4":
            planned = T4_FLOPS * T4_SHARE / step_flops(preset)
            passes, speed = (
                f"{planned * 60 * minutes / 45_000:.0f} (planned)",
                f"{planned:,.0f} (planned)",
            )
        table.append(
            [f"{machine}, {minutes} min", model, reached, f"{least} %, {aim} %", passes, speed]
        )
    head = ["budget", "recipe", "test images", "at least, aim", "epochs", "images a second"]
    t4 = training.recipe("t4")
    how = "Nothing here is measured yet: `python benchmarks/budgets.py FOLDER --recipe NAME` does."
    if found:
        first = found[0]
        made = f"{first['hardware']}, {first['precision']}, torch {first['torch']}, {first['date']}"
        how = f"{first['data']} ({made}; `{first['command']}`)."
    return (
        f"**Accuracy for a budget**, plain ViTs (the last row is none) on CIFAR-10 without other data. {how} Validation images "
        f"pick everything; the test images are looked at once a run.\n\n{grid(head, table)}\n\nThe T4's plan: {t4.model} takes "
        f"{step_flops(t4) / 1e9:.2f} GFLOP an image and step; a T4 was seen at {T4_FLOPS / 1e12:.0f} TFLOP/s in fp16, of which "
        f"{T4_SHARE:.0%} is assumed."
    )


def recipe() -> str:
    """What each ingredient bought, paired by seed with what it was compared with."""
    rows, table = read("recipe.csv"), []
    runs: dict[tuple[str, str], dict[int, dict]] = {}
    for row in rows:
        runs.setdefault((row["study"], row["ingredient"]), {})[int(row["seed"])] = row
    accuracy = lambda key: {
        seed: float(row["validation_accuracy"]) for seed, row in runs[key].items()
    }

    def gain(study: str, name: str) -> str:
        against = next(iter(runs[study, name].values()))["against"]
        if not against:
            return "-"
        mean, half, _ = difference(accuracy((study, name)), accuracy((study, against)))
        return f"{100 * mean:+.2f} ± {100 * half:.2f}" + (
            " (noise)" if verdict(mean, half) == "within the noise" else ""
        )

    percent = lambda key: (
        f"{100 * interval(list(accuracy(key).values()))[0]:.1f}" if key in runs else "-"
    )
    for study, name in runs:
        if study == "ladder":
            table.append([name, percent((study, name)), gain(study, name), "-", "-"])
    for study, name in runs:
        if study == "alone":
            seen = ("reuse", name)
            table.append(
                [
                    name,
                    percent((study, name)),
                    gain(study, name),
                    percent(seen),
                    gain(*seen) if seen in runs else "-",
                ]
            )
    with_half = lambda key: "{:.1f} ± {:.1f}".format(
        *(100 * value for value in interval(list(accuracy(key).values())))
    )
    rates = [
        [name, with_half((study, name)), str(len(runs[study, name]))]
        for study, name in runs
        if study == "optimizer"
    ]
    first, often = rows[0], next(row for row in rows if row["study"] == "reuse")
    seeds, fewer = len(runs["ladder", "a first attempt"]), len(runs["reuse", "the ladder"])
    seeds = (
        f"{seeds} seeds" if seeds == fewer else f"{seeds} seeds on the ladder and {fewer} elsewhere"
    )
    head = [
        "ingredient",
        "each image seen 3 times, %",
        "gain",
        "few images, seen 27 times, %",
        "gain",
    ]
    return (
        f"**What each ingredient buys**, accuracy on the validation images, {first['model']}, {seeds}, "
        f"differences paired by seed "
        f"with 95 % intervals. Down to Muon each row adds to the one above; those below are each tried alone "
        f"on top of that, with all "
        f"{int(first['images']):,} images and {float(first['epochs']):g} passes, and with {int(often['images']):,} images and "
        f"{float(often['epochs']):g} passes: as many steps. Lesson 06b asks for your "
        f"guess first.\n\n{grid(head, table)}\n\nAdamW and Muon, "
        f"everything else equal, the same "
        f"learning rates for both:\n\n{grid(['optimiser and learning rate', 'validation images, %', 'seeds'], rates)}\n\n"
        f"`python benchmarks/recipe.py FOLDER` ({first['data']}; {first['hardware']}, {first['precision']}, "
        f"torch {first['torch']}, "
        f"{first['date']})."
    )


def loops() -> str:
    """Whole training loops beside each other."""
    rows, table = [row for row in read("loop_cpu.csv") if row["ended"] == "measured"], []
    three = lambda row, name: (
        f"{float(row[name]):.2f} ({float(row[f'{name}_q1']):.2f} to {float(row[f'{name}_q3']):.2f})"
    )
    for row in rows:
        ratio = three(row, "ratio_to_dataloader") if row["ratio_to_dataloader"] else "-"
        share = f"{float(row['share_of_peak']):.0%}" if row["share_of_peak"] else "-"
        how = " (compiled)" if row["compiled"] == "yes" else ""
        table.append(
            [
                row["loop"] + how,
                row["model"] or "-",
                f"{float(row['images_per_second']):,.0f}",
                ratio,
                share,
            ]
        )
    first = rows[0]
    head = [
        "loop",
        "model",
        "images a second",
        "ratio to the DataLoader's (quartiles)",
        "of the matmul peak",
    ]
    return (
        f"**The whole loop**, {first['width']}x{first['depth']}, {first['tokens']} tokens, batch {first['batch']}, "
        f"{first['precision']}, all in turns in one run ({first['hardware']}, {first['threads']} threads, {first['versions']}, "
        f"{first['date']}). A DataLoader with two workers starves a GPU, not a CPU: compare the rows without a model. Both "
        f"loops look twice at validation images, a tenth as many as there are to train on.\n\n"
        f"{grid(head, table)}\n\n`{first['command']}`; where the time goes: `data/results/profile_cpu.csv`."
    )


def faults() -> str:
    """What was done to running trainings, and what was lost."""
    rows, table = read("faults.csv"), []
    for row in rows:
        table.append(
            [
                row["fault"],
                row["tried"],
                row["resumed"],
                row["most_steps_lost"],
                row["most_seconds_lost"],
                row["same_weights"],
            ]
        )
    first = rows[0]
    head = [
        "fault",
        "times",
        "went on",
        "most steps lost",
        "most seconds lost",
        "the same weights in the end",
    ]
    return (
        f"**Nothing lost**, the real command line, `--save-every` a fraction of a second ({first['hardware']}, "
        f"{first['date']}). The "
        f"weights are compared bit for bit with those of a run that nobody "
        f"disturbed.\n\n{grid(head, table)}\n\n`{first['command']}`"
    )


def section() -> str:
    """Everything between the two markers."""
    parts = {"recipe.csv": recipe, "loop_cpu.csv": loops, "faults.csv": faults}
    measured = [make() for name, make in parts.items() if read(name, missing=True)]
    return "\n\n".join([BEGIN, budget(), *measured, END])
