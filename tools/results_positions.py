"""docs/results.md, the part about positions: kinds, random starts, learned tables, weights."""

import statistics

from results_common import gap, grid, percent, read, summaries
from results_pictures import three_tables

from vit_tutorial.data import weights_path
from vit_tutorial.inspection.similarity import similarity_numbers
from vit_tutorial.training import load_model

WEIGHTS = ("vit_cifar10_start_0.02", "vit_cifar10_start_randn")
SHORT = ", after 3 epochs of a tiny model"  # what a row about relative or rotary positions must say


def study(name: str, reference: str) -> tuple[list[dict], dict[str, dict], dict[str, dict]]:
    """The rows of a study on the shapes, and its summaries there and on CIFAR-10."""
    shapes, cifar10 = (read(f"study_{name}_{data}.csv") for data in ("shapes", "cifar10"))
    return shapes, summaries(shapes, reference), summaries(cifar10, reference)


def provenance(name: str) -> str:
    """The runs of a study in words."""
    words = []
    for data, what in (("shapes", "Shapes"), ("cifar10", "CIFAR-10 (JPEG copy)")):
        rows = read(f"study_{name}_{data}.csv")
        first, seeds = rows[0], len({row["seed"] for row in rows})
        words.append(
            f"{what}: {len(rows)} runs, {seeds} seeds, width {first['dim']}, {first['depth']} "
            f"blocks, patch {first['patch_size']}, {float(first['epochs']):g} epochs, "
            f"{first['hardware']}, {max(row['date'] for row in rows)}."
        )
    return " ".join(words)


def kinds() -> str:
    """Every kind of position at every place, on both data sets."""
    rows, shapes, photos = study("kinds", "learned_1d, stem")
    plain = next(int(row["parameters"]) for row in rows if row["variant"] == "none")
    extra = {row["variant"]: int(row["parameters"]) - plain for row in rows}
    table = []
    for name in shapes:
        after = SHORT if name.startswith(("relative", "rotary")) and name in photos else ""
        table.append(
            [name.replace("_", " "), f"{extra[name]:,}", percent(shapes[name]), gap(shapes[name])]
            + [percent(photos.get(name)), gap(photos.get(name)) + after]
        )
    head = ["kind and place", "parameters", "shapes, %", "difference in points"]
    head += ["CIFAR-10, %", "difference in points"]
    return (
        "## Which position embedding, and where?\n\n"
        "Test accuracy, and the difference from a learned 1-D table at the stem. The shapes are "
        "built so that a model without positions cannot pass 50 %. Intervals are corrected for "
        f"{len(shapes) - 1} comparisons on the shapes and {len(photos) - 1} on CIFAR-10, where a "
        "tiny model was trained for 3 epochs: this shows how quickly each kind is learned, not "
        f"which is best in the end.\n\n{grid(head, table)}\n\n"
        "The paper's own table (ViT-B/16, ImageNet, 5-shot; appendix D.4) has none at 61.4, "
        "learned 1-D at 64.2 and every other kind between 64.0 and 64.3. Lesson 16 compares the "
        f"two point by point.\n\n`python -m vit_tutorial study kinds`. {provenance('kinds')} "
        "The runs on CIFAR-10 took `--data FOLDER --model CIFAR-64x2/4 --epochs 3 --seeds 3 "
        "--only` and the variants that have a number."
    )


def starts() -> str:
    """Every random start, and what is left of it."""
    rows, shapes, photos = study("start", "0.02")
    table = []
    for name in shapes:
        mine = [row for row in rows if row["variant"] == name]

        def mean(key: str, digits: int, mine=mine) -> str:
            values = [float(row[key]) for row in mine if row[key]]
            return f"{statistics.mean(values):.{digits}f}" if values else "-"

        table.append([name, percent(shapes[name]), gap(shapes[name]), mean("epochs_to_90", 1)])
        table[-1] += [mean("start_left_predicted", 3), mean("start_left", 3)]
        table[-1] += [mean("cosine_with_start", 2), percent(photos.get(name))]
        table[-1] += [gap(photos.get(name))]
    head = ["start", "shapes, %", "difference in points", "epochs to 90 %"]
    head += ["share of the start left: predicted", "measured", "cosine with the start"]
    head += ["CIFAR-10, %", "difference in points"]
    return (
        "## Which random start?\n\n"
        "A learned 1-D table at the stem, initialised in different ways; differences are relative "
        f"to standard deviation 0.02. Intervals are corrected for {len(shapes) - 1} "
        f"comparisons on the shapes and {len(photos) - 1} on CIFAR-10, where a tiny model was "
        f"trained for 3 epochs.\n\n{grid(head, table)}\n\n"
        "The predicted share is exp(-weight decay · sum of the learning rates). A table that "
        "starts at 0.02 grows far beyond its start, so its measured share means little.\n\n"
        f"`python -m vit_tutorial study start`. {provenance('start')}"
    )


def learned_tables() -> str:
    """What structure the shipped positions have, beside their start and the same rows shuffled."""
    keys = ("cosine_1", "cosine_4", "rows_recovered", "columns_recovered", "sinusoidal_share")
    table = []
    for name in WEIGHTS:
        for when, rows in three_tables(name).items():
            numbers = similarity_numbers(rows, (8, 8))
            label = f"started at {name.split('_')[-1]}, {when}"
            table.append([label, *(f"{numbers[key]:.2f}" for key in keys)])
    head = ["table", "cosine of neighbours", "four patches apart", "rows recovered"]
    head += ["columns recovered", "sinusoidal share"]
    return (
        "## Does a learned table contain the grid?\n\n"
        "![Three blocks of sixteen maps: noise before training, smooth neighbourhoods after it, "
        "noise again when the same rows are shuffled](position_similarity.png)\n\n"
        "*Each small map shows how similar the position of one patch is to those of all 64. "
        "Nobody told the model that its patches form a grid. Left and right look alike because "
        "training flips the photographs.*\n\n"
        f"The weights in this repository, 64 patches:\n\n{grid(head, table)}\n\n"
        f"`python -m vit_tutorial similarity data/weights/{WEIGHTS[0]}.safetensors`"
    )


def weights() -> str:
    """The weights in data/weights, each with its card."""
    table = []
    for name in WEIGHTS:
        path = weights_path(f"{name}.safetensors")
        notes = load_model(path)[1]["notes"]
        table.append(
            [f"[{name}](../data/weights/{name}.md)", f"{path.stat().st_size / 1e6:.1f} MB"]
            + [f"{notes['epochs']:g}", f"{notes['minutes']:.0f}"]
            + [f"{notes['validation_accuracy']:.1%}", f"{notes['test_accuracy']:.1%}"]
        )
    head = ["weights", "file", "epochs", "minutes", "validation accuracy", "test accuracy"]
    return (
        "## Weights in this repository\n\n"
        f"{notes['variant'].split(',')[0]} on {notes['trained_on']}; one seed each, "
        f"{notes['hardware']} ({notes['date']}).\n\n{grid(head, table)}\n\n"
        "`python benchmarks/weights.py FOLDER` trains them again. The minutes are for one "
        "thread on a machine that was busy with other work."
    )
