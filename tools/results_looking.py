"""docs/results.md, the part about maps: what they show, and what the tokens know (lesson 07)."""

from results_common import compared, gap, grid, read, runs, spread

SCORES = {
    "pointing": "pointing game",
    "inside": "share inside",
    "auc": "AUC",
    "named": "named shape",
}
METHODS = ("last attention", "best head", "worst head", "rollout", "gradient-weighted", "occlusion")
OTHERS = ("contrast", "centre", "random order")
TRAINED, BEFORE = "trained", "before training"


def looking() -> str:
    """The whole section."""
    rows = read("looking_maps.csv")
    first, seeds = rows[0], len({row["seed"] for row in rows})
    accuracy = mean(chosen(rows, state=TRAINED, method=METHODS[0]), "test_accuracy")
    return (
        "## What maps show\n\n"
        f"A ViT of 4 blocks with a class token learned the shapes ({seeds} seeds, test accuracy "
        f"{accuracy} %). Its maps are compared with the masks of 100 test images. *Pointing game*: "
        "how often the largest value lies on a patch with part of the shape. *Share inside*: of "
        "the map's sum. *AUC*: how often a patch on the shape ranks above one beside it. *Named "
        "shape*: in images with two shapes, of which the trained model names one, how often the "
        "map has more of its sum on the half with that one. The best and the worst of 16 heads "
        "were chosen on validation images. All in percent; ± is the 95 % interval of one mean."
        f"\n\n{scores(rows)}\n\nWhat training adds, in points:\n\n{differences(rows)}\n\n"
        "**Deletion.** The accuracy of the trained model after covering the patches that a map "
        "ranks highest, with the mean colour of the training images or the image's own "
        f"background:\n\n{deletion()}\n\n**Layers.** What the vectors know after each block, of "
        "500 test images: the mean cosine of two images of one class and of two classes, how often "
        "the nearest of 1,000 training images has the same class, and the accuracy of the head "
        f"when it reads this block:\n\n{layers()}\n\n`{first['command']}` ({first['hardware']}, "
        f"torch {first['torch']}, {first['date']})"
    )


def scores(rows: list[dict]) -> str:
    """Every map and its scores."""
    table = []
    for state, methods in ((TRAINED, METHODS), (BEFORE, METHODS), ("no model", OTHERS)):
        for method in methods:
            mine = chosen(rows, state=state, method=method)
            table.append([method, state, *(mean(mine, column) for column in SCORES)])
    return grid(["map", "of", *SCORES.values()], table)


def differences(rows: list[dict]) -> str:
    """Trained minus before training, paired by seed, corrected for the whole table."""
    comparisons = len(METHODS) * len(SCORES)
    by_score = {column: runs(rows, column, "state", "method") for column in SCORES}
    table = []
    for method in METHODS:
        cells = []
        for values in by_score.values():
            trained, before = (values[state, method] for state in (TRAINED, BEFORE))
            cells.append(gap(compared(trained, before, comparisons)))
        table.append([method, *cells])
    return grid(["map", *SCORES.values()], table)


def deletion() -> str:
    """The accuracy by the number of patches covered."""
    rows, counts = read("looking_deletion.csv"), (2, 4, 8, 16)
    table = []
    for state, methods in ((TRAINED, METHODS), (BEFORE, METHODS), ("no model", OTHERS)):
        for method in methods:
            for fill in ("mean colour", "background")[: 1 if state == BEFORE else 2]:
                mine = chosen(rows, state=state, method=method, fill=fill)
                cells = [mean(mine, f"covered_{count}") for count in counts]
                table.append([method, state, fill, *cells])
    return grid(["map", "of", "covered with", *(f"{n} of 64" for n in counts)], table)


def layers() -> str:
    """Class tokens and means of patches, block by block."""
    rows = read("looking_layers.csv")
    table = []
    for pool, read_as in (("class", "class token"), ("class", "patches"), ("mean", "patches")):
        for block in sorted({row["block"] for row in rows}, key=int):
            cells = []
            for state in (BEFORE, TRAINED):
                mine = chosen(rows, pool=pool, read=read_as, state=state, block=block)
                cells += [mean(mine, name, 1, 2) for name in ("within", "between")]
                cells += [mean(mine, "neighbour")]
            mine = chosen(rows, pool=pool, read=read_as, state=TRAINED, block=block)
            what = "class token" if read_as == "class token" else f"mean of patches ({pool})"
            table.append([what, block, *cells, mean(mine, "lens")])
    head = [f"{name}, {when}" for when in ("before", "trained")
            for name in ("within", "between", "neighbour")]  # fmt: skip
    return grid(["vector", "after block", *head, "head, trained"], table)


def chosen(rows: list[dict], **key) -> list[dict]:
    """The rows with these values."""
    return [row for row in rows if all(row[name] == str(value) for name, value in key.items())]


def mean(rows: list[dict], column: str, scale: float = 100, digits: int = 1) -> str:
    """The mean over seeds and its 95 % interval; "-" where there are no values."""
    values = [scale * float(row[column]) for row in rows if row[column]]
    return spread(values, digits) if values else "-"
