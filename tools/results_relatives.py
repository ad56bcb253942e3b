"""docs/results.md, the parts about a ViT's relatives: CNN, hybrid, teachers, masked encoder."""

from results_common import compared, gap, grid, in_percent, read, runs, spread

RUN = ("task", "model", "images", "steps")


def vit_and_cnn() -> str:
    """Accuracy by the number of training images, and what damaged images do to it."""
    rows, costs = read("vit_and_cnn.csv"), read("vit_and_cnn_cost.csv")
    first, models = rows[0], ("CNN", "hybrid", "ViT")
    by_run, table = runs(rows, "test_accuracy", *RUN), []
    sizes = dict.fromkeys((r["task"], r["images"], r["steps"]) for r in rows if r["model"] == "CNN")
    compare = [key for key in sizes if key[0] in ("shapes", "cifar10")]
    for task, images, steps in compare:
        mine = {name: by_run[task, name, images, steps] for name in models}
        table.append(
            [task, f"{int(images):,}", steps, *(in_percent(mine[name]) for name in models)]
            + [gap(compared(mine[name], mine["ViT"], 2 * len(compare))) for name in models[:2]]
        )
    sizes_head = ["images", "number", "steps", *models, "CNN - ViT, points", "hybrid - ViT, points"]
    damage = runs(read("vit_and_cnn_damage.csv"), "right", *RUN, "kind", "amount")
    every = (*models, "ViT without positions")
    kinds = dict.fromkeys((key[0], *key[2:]) for key in damage)
    damaged = []
    for task, images, steps, kind, amount in kinds:
        found = (damage[task, name, images, steps, kind, amount] for name in every)
        damaged.append([task, kind, amount, *map(in_percent, found)])
    seeds = len({row["seed"] for row in rows})
    ratios = ", ".join(
        f"{row['ratio_to_vit']} of the {row['model']} ({row['precision']})"
        for row in costs
        if row["model"] != "ViT"
    )
    parameters = sorted({f"{int(row['parameters']):,}" for row in costs})
    flops = sorted({f"{int(row['forward_flops']) / 1e6:.1f}" for row in costs})
    return (
        "## A CNN, a hybrid and a ViT of one size\n\n"
        f"All have {parameters[0]} to {parameters[-1]} parameters and {flops[0]} to {flops[-1]} "
        f"MFLOP for an image of 32 pixels. Test accuracy, up to {seeds} seeds; the "
        "differences are paired by seed and corrected for "
        f"{2 * len(compare)} comparisons.\n\n{grid(sizes_head, table)}\n\n"
        "The models of the largest size on damaged test images, right answers in percent; of "
        "shapes, the half does not count. *shuffled* cuts an image into so many patches on a side, "
        "the others replace a share of the patches of 4 x 4 pixels by the mean colour. *cues* are "
        "models that learned shapes whose texture gives away the answer.\n\n"
        f"{grid(['images', 'damage', 'amount', *every], damaged)}\n\n"
        f"A training step in steps of the ViT, measured in turns: {ratios}.\n\n"
        f"`python benchmarks/vit_and_cnn.py` ({first['hardware']}, {first['precision']}, torch "
        f"{first['torch']}, {max(row['date'] for row in rows)}; CIFAR-10 as in the first table)."
    )


def masked_autoencoder() -> str:
    """What each choice does to a linear probe, and what pre-training is worth with few labels."""
    rows, few = read("masked_autoencoder_variants.csv"), read("masked_autoencoder_labels.csv")
    kinds = list(dict.fromkeys(row["data"] for row in rows))
    variants = dict.fromkeys(row["variant"] for row in rows)
    of = runs(rows, "test_accuracy", "data", "variant")
    choices = [
        [name, *(in_percent(of[kind, name]) if (kind, name) in of else "-" for kind in kinds)]
        for name in variants
    ]
    starts = ("probe, random encoder", "probe", "from scratch, equal steps")
    starts += ("from scratch", "fine-tuned")
    of = runs(few, "test_accuracy", "data", "labels", "variant")
    sizes = dict.fromkeys((row["data"], row["labels"]) for row in few)
    table = []
    for kind, labels in sizes:
        found = [of[kind, labels, name] for name in starts]
        gaps = (compared(found[4], found[i], 2 * len(sizes)) for i in (2, 3))
        leads = map(gap, gaps) if len(found[4]) > 1 else ("-", "-")
        table.append([kind, f"{int(labels):,}", *map(in_percent, found), *leads])
    epochs = ", ".join(
        f"{row['pretraining_epochs']} on {row['data']}"
        for each in (rows, few)
        for row in {row["data"]: row for row in each}.values()
    )
    head = ["images", "labels", *starts]
    head += ["fine-tuned - from scratch, equal steps", "fine-tuned - from scratch"]
    return (
        "## A masked autoencoder\n\n"
        "Pre-trained without labels, then judged by a linear probe on the frozen encoder's mean "
        "token. Every autoencoder hides 75 % unless its name says otherwise; shapes have plain "
        "pixels as their target, photographs normalised ones. Test accuracy in percent, ± is the "
        f"95 % interval.\n\n{grid(['autoencoder', *kinds], choices)}\n\n"
        "With few labels: the pre-trained ViT, fine-tuned, beside one from random weights that "
        "gets the FLOPs of pre-training too, as more steps with labels, and one that gets the "
        "steps of fine-tuning alone. The differences, in points, are paired by seed and "
        f"corrected for {2 * len(sizes)} comparisons.\n\n{grid(head, table)}\n\n"
        f"Epochs of pre-training: {epochs}. `python benchmarks/masked_autoencoder.py` "
        f"({rows[0]['hardware']}, torch {rows[0]['torch']}, {max(r['date'] for r in few)}; "
        "photographs are CIFAR-10 as in the first table)."
    )


def distillation() -> str:
    """Students with and without a teacher, and the errors that they share with others."""
    rows, errors = read("distillation.csv"), read("distillation_errors.csv")
    longer = "alone, equal FLOPs"
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    by_run = runs(rows, "accuracy", "task", "student")
    with_teacher = [row for row in rows if row["teacher"]]
    taught = runs(with_teacher, "teacher_accuracy", "task", "student")
    names = [n for n in dict.fromkeys(row["student"] for row in rows) if n != longer]
    table = []
    for task in tasks:
        base = by_run[task, longer]
        table.append([task, longer, "", in_percent(base), "-"])
        for name in names:
            if mine := by_run.get((task, name)):
                number = sum((task, each) in by_run for each in names)
                shown = in_percent(taught[task, name]) if (task, name) in taught else ""
                difference = gap(compared(mine, base, number)) if len(mine) > 1 else "one run"
                table.append([task, name, shown, in_percent(mine), difference])
    head = ["images", "student", "its teacher, %", "student, %", "minus alone at equal FLOPs"]
    others = list(dict.fromkeys(row["other"] for row in errors))
    kappas = runs(errors, "kappa", "task", "student", "other")
    shared = []
    for task in tasks:
        for name in dict.fromkeys(row["student"] for row in errors):
            found = [kappas.get((task, name, other)) for other in others]
            if any(found):
                shared.append([task, name, *map(in_hundredths, found)])
    first = rows[0]
    of_task = {row["task"]: row for row in rows}
    sizes = ", ".join(
        f"{task}: {row['images']} training images, CutMix in {float(row['cutmix']):.0%} of them"
        for task, row in of_task.items()
    )
    return (
        "## Distillation: a ViT taught by labels, a CNN or a ViT\n\n"
        f"{sizes}. *hard* learns the teacher's best class and *soft* all its probabilities, with a "
        "distillation token unless *no token* is said. *early CNN* is a CNN stopped at the ViT "
        "teacher's validation accuracy. Differences are paired by seed and corrected for the "
        f"comparisons of each kind of images.\n\n{grid(head, table)}\n\n"
        "Cohen's kappa of being right on the same test images, 0 by chance and 1 for the same "
        f"errors.\n\n{grid(['images', 'student', *others], shared)}\n\n"
        f"`python benchmarks/distillation.py` ({first['hardware']}, {first['precision']}, torch "
        f"{first['torch']}, {max(row['date'] for row in rows)}; CIFAR-10 as in the first table)."
    )


def in_hundredths(values: dict[int, float] | None) -> str:
    shown = list((values or {}).values())
    return spread(shown, 2) if len(shown) > 1 else f"{shown[0]:.2f} (one run)" if shown else "-"
