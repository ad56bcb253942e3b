"""docs/results.md, the part about held-out classes with and without pre-training."""

from results_common import compared, gap, grid, in_percent, read, runs


def transfer() -> str:
    """Accuracy on held-out classes by the number of labelled images, with and without a body."""
    rows = read("transfer.csv")
    # A task with runs of one seed has no intervals yet, and is left out.
    tasks = [
        t for t in ("shapes", "cifar10") if len({r["seed"] for r in rows if r["task"] == t}) > 1
    ]
    rows = [row for row in rows if row["task"] in tasks]
    tuned, methods = "fine-tuned, AdamW", ("fine-tuned, SGD", "probe", "probe, untrained")
    table, fewer = [], []
    for task in tasks:
        mine = [row for row in rows if row["task"] == task]
        by_run = runs(mine, "test_accuracy", "method", "images", "pre_images")
        most = str(max(int(row["pre_images"]) for row in mine))
        of = lambda method, n, pre, found=by_run: found[method, n, pre]
        for n in dict.fromkeys(row["images"] for row in mine if row["method"] == "scratch"):
            scratch, best = of("scratch", n, "0"), of(tuned, n, most)
            others = [of(m, n, "0" if "untrained" in m else most) for m in methods]
            table.append(
                [task, f"{int(n):,}", *map(in_percent, (scratch, best, *others))]
                + [gap(compared(best, scratch, 4))]
            )
            for pre in dict.fromkeys(row["pre_images"] for row in mine if row["method"] == "probe"):
                if pre != most:
                    both = of("probe", n, pre), of("probe", n, most)
                    fewer.append([task, f"{int(n):,}", *map(in_percent, both)])
    head = ["images", "labelled", "scratch", tuned, *methods, "AdamW - scratch, points"]
    seeds = ", ".join(
        f"{len({row['seed'] for row in rows if row['task'] == task})} seeds of {task}"
        for task in tasks
    )
    machines = "; ".join(dict.fromkeys(row["hardware"] for row in rows))
    smaller = (
        "The probe on a body that saw a tenth of the images in pre-training, for as many steps:\n\n"
        f"{grid(['images', 'labelled', 'a tenth', 'all'], fewer)}\n\n"
    )
    return (
        "## When pre-training pays\n\n"
        "A small ViT is pre-trained on some classes and meets others. *scratch* has as many steps "
        "as pre-training and fine-tuning together. *probe* is least squares on frozen features, "
        f"*untrained* those of random weights. Right answers in percent, {seeds}; the "
        f"difference is paired by seed and corrected for the four of its images.\n\n"
        f"{grid(head, table)}\n\n{smaller if fewer else ''}"
        f"`python benchmarks/transfer.py` ({machines}, torch {rows[0]['torch']}, "
        f"{max(row['date'] for row in rows)}; CIFAR-10 as in the first table)."
    )
