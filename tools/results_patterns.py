"""docs/results.md, the part about attention patterns and the small Image GPT (lesson 26)."""

from results_common import grid, read, spread

NAME = "attention_patterns.csv"
TABLES = ("uniform", "unigram", "previous pixel", "left and upper pixel")


def runs(rows: list[dict], task: str) -> dict[str, list[dict]]:
    """{pattern: its rows}, in the order of the table."""
    found: dict[str, list[dict]] = {}
    for row in rows:
        if row["task"] == task:
            found.setdefault(row["pattern"], []).append(row)
    return found


def with_interval(rows: list[dict], value: str, scale: float, digits: int) -> str:
    """The mean of runs and its 95 % interval; of one run the value alone."""
    shown = [scale * float(row[value]) for row in rows]
    return spread(shown, digits) if len(shown) > 1 else f"{shown[0]:.{digits}f}"


def attention_patterns() -> str:
    """Accuracy at equal cost, and bits per pixel."""
    rows = read(NAME)
    shapes, pixels = runs(rows, "shapes"), runs(rows, "pixels")
    right = ("test_accuracy", "shape_right", "half_right")
    accuracy = [
        [name, mine[0]["blocks"], mine[0]["tokens"], f"{int(mine[0]['pairs']):,}"]
        + [f"{int(mine[0]['forward_flops']) / 1e6:.2f}"]
        + [with_interval(mine, value, 100, 1) for value in right]
        for name, mine in sorted(shapes.items(), key=lambda item: int(item[1][0]["forward_flops"]))
    ]
    models = {name: mine for name, mine in pixels.items() if name not in TABLES}
    costs = [
        [name, "-", "-", with_interval(pixels[name], "bits_per_pixel", 1, 3)] for name in TABLES
    ]
    for name, mine in (*models.items(), ("raster", runs(rows, "ship")["raster"])):
        costs.append([name, mine[0]["steps"], f"{int(mine[0]['pairs']):,}"])
        costs[-1].append(with_interval(mine, "bits_per_pixel", 1, 3))
    first, seeds = next(iter(shapes.values())), next(iter(models.values()))
    head = ["pattern", "blocks", "tokens", "pairs", "MFLOP", "class, %", "shape, %", "half, %"]
    return (
        "## Attention patterns at equal cost\n\n"
        "Small ViTs of width 32 on the embedded shapes. MFLOP: a forward pass of the blocks, if "
        "only the pairs of the pattern are computed. *larger patches* are 8 pixels wide, all "
        f"others 4, in a model of width 64. {first[0]['steps']} steps of "
        f"{first[0]['batch_size']} images, {len(first)} seeds.\n\n{grid(head, accuracy)}\n\n"
        "Bits per pixel of small autoregressive models on test images of 16 x 16 pixels in 8 "
        f"colours, {len(seeds)} seeds; the tables are counted on the training images, and the last "
        "row is the model that lesson 26 loads.\n\n"
        f"{grid(['pattern', 'steps', 'pairs', 'bits per pixel'], costs)}\n\n"
        f"`python benchmarks/attention_patterns.py` ({rows[0]['hardware']}, "
        f"{first[0]['precision']}, torch {rows[0]['torch']}, {max(row['date'] for row in rows)})."
    )
