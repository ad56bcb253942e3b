"""docs/results.md, the part about DETR in miniature (lesson 25)."""

from results_common import compared, gap, grid, in_percent, read, runs, spread


def average_precision() -> dict[tuple, dict[int, float]]:
    """{(variant, steps): {seed: AP50, 0 to 1}}, as it is."""
    return runs(read("detection.csv"), "AP50", "variant", "steps")


def compared_steps() -> str:
    """The number of steps that all variants have in common."""
    return next(row["steps"] for row in read("detection.csv") if row["variant"] != "DETR")


def detection() -> str:
    """The whole section."""
    rows, steps = read("detection.csv"), compared_steps()
    names = ("AP50", "AP50_nms", "AP75", "AP")
    by = {name: runs(rows, name, "variant", "steps") for name in names}
    keys = [key for key in by["AP50"] if key[1] != "0"]
    others = sum(key[1] == steps for key in keys) - 1
    table = []
    for key in keys:
        cells = [in_percent(by[name][key]) for name in names]
        same = key[1] == steps and key[0] != "DETR"
        found = compared(by["AP50"][key], by["AP50"]["DETR", steps], others) if same else None
        table.append([*key, *cells, gap(found)])
    head = ["variant", "steps", "AP50", "AP50 after NMS", "AP75", "AP", "AP50 - DETR, points"]
    first = rows[0]
    return (
        "## Detection with object queries\n\n"
        f"DETR in miniature on scenes of 48 x 48 pixels with one to five shapes, trained on "
        f"{int(first['train_scenes']):,} scenes in batches of 32, scored on "
        f"{int(first['test_scenes']):,} others; {len({row['seed'] for row in rows})} seeds. Each "
        "variant changes one thing. *dense head* is the control: the same CNN, one box for each "
        "place of its feature map. Average precision in percent, ± is the 95 % interval of one "
        f"mean; the differences are paired by seed and corrected for {others} comparisons."
        f"\n\n{grid(head, table)}\n\n"
        "How much attention a token of the encoder pays to a neighbour on its own object, over "
        f"that to a neighbour on another one:\n\n{attention(rows)}\n\n"
        f"`python benchmarks/detection.py` ({first['hardware']}, torch {first['torch']}, "
        f"{max(row['date'] for row in rows)})."
    )


def attention(rows: list[dict]) -> str:
    """The ratios of both encoder blocks, before and after training."""
    table = []
    steps = dict.fromkeys(row["steps"] for row in rows if row["variant"] == "DETR")
    for count in steps:
        mine = [r for r in rows if (r["variant"], r["steps"]) == ("DETR", count)]
        ratios = ([float(r[f"own_over_other_{n}"]) for r in mine] for n in (1, 2))
        table.append([count, *(spread(each, 2) for each in ratios)])
    return grid(["steps", "block 1", "block 2"], table)
