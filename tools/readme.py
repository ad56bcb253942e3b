"""Bring the README's pictures and tables of results up to date: python tools/readme.py

docs/patches.png: a photograph that ships with matplotlib (Grace Hopper, public domain), cut into patches.
docs/position_similarity.png: learned position embeddings at the random start and after training, from the table that
benchmarks/cifar10_budget.py left in data/results/.
README.md: what stands between its two "results" markers, from the tables in data/results/. A test compares the two.
"""

import csv
import itertools
import statistics
from pathlib import Path

import matplotlib.cbook
import torch
from PIL import Image, ImageOps
from safetensors.torch import load_file

from vit_tutorial.data import results_path
from vit_tutorial.inspection import analysis, plots

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
BEGIN, END = "<!-- results: made by tools/readme.py -->", "<!-- end of results -->"


def photograph(side: int = 224) -> Image.Image:
    """The upper square of the photograph, side x side pixels, RGB."""
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file, Image.open(file) as picture:
        return ImageOps.fit(picture.convert("RGB"), (side, side), centering=(0.5, 0.15))


def two_maps(start: torch.Tensor, end: torch.Tensor):
    """Similarity maps of 16 of the 64 patches, at the start and at the end, side by side on one colour scale."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 4.5), dpi=110)
    places = figure.add_gridspec(
        4, 11, width_ratios=[1] * 4 + [0.4] + [1] * 4 + [0.1, 0.2], left=0.04, right=0.9, top=0.9, bottom=0.06, wspace=0.12
    )
    for offset, (title, table) in zip((0, 5), {"at the random start": start, "after training": end}.items()):
        rows, (height, width) = analysis.patch_rows(table)
        similarity = analysis.cosine_similarity(rows).view(height, width, height, width)
        for i, j in itertools.product(range(4), range(4)):
            ax = figure.add_subplot(places[i, offset + j])
            drawn = ax.imshow(similarity[2 * i, 2 * j], vmin=-1, vmax=1, cmap="RdBu_r")
            ax.set(xticks=[], yticks=[])
            if j == 0:
                ax.set_ylabel(f"row {2 * i}", fontsize=9)
            if i == 3:
                ax.set_xlabel(f"column {2 * j}", fontsize=9)
        middle = 0.225 if offset == 0 else 0.645
        figure.text(middle, 0.94, title, ha="center", fontsize=12)
    scale = figure.add_subplot(places[:, 10])
    figure.colorbar(drawn, cax=scale, label="cosine similarity with the patch there")
    return figure


def read(name: str) -> list[dict]:
    """The rows of a committed table."""
    with open(results_path(name), newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def grid(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows])


def budget() -> str:
    """What a budget of minutes buys on CIFAR-10."""
    rows = read("cifar10_budget.csv")
    table = []
    for model in dict.fromkeys(row["model"] for row in rows):
        mine = [row for row in rows if row["model"] == model]
        test = [100 * float(row["test_accuracy"]) for row in mine]
        passes = statistics.mean(float(row["passes"]) for row in mine)
        what = "a small CNN, for honesty" if model == "cnn" else f"plain ViT, `{model}`"
        each = ", ".join(f"{value:.1f}" for value in test)
        seeds = ", ".join(row["seed"] for row in mine)
        seeds = f"seeds {seeds}" if len(mine) > 1 else f"seed {seeds} alone, so the spread is unknown"
        reached = f"**{statistics.mean(test):.1f} %** ({each}; {seeds})"
        table.append([what, f"{int(mine[0]['parameters']):,}", f"{passes:.1f}", reached])
    first = rows[0]
    minutes = max(float(row["minutes"]) for row in rows)
    head = ["model", "parameters", "passes", "test images"]
    return (
        f"**{first['data']}, {minutes:.0f} minutes of training on {first['hardware']}** ({first['precision']}, "
        f"torch {first['torch']}, {first['date']}). The test images were looked at once for each seed, "
        f"at the end of its run.\n\n{grid(head, table)}\n\n"
        f"`{first['command'].split(' --models')[0]}`; each row's own command is in `data/results/cifar10_budget.csv`."
    )


def steps() -> str:
    """Training steps beside the other libraries."""
    rows = read("step_cpu.csv")
    table = []
    for row in rows:
        middle, low, high = (float(row[name]) for name in ("ratio_to_best_other", "ratio_q1", "ratio_q3"))
        speed = f"{float(row['images_per_second']):.0f}"
        table.append([row["precision"], row["model"], row["attention"], speed, f"{middle:.2f} ({low:.2f} to {high:.2f})"])
    first = rows[0]
    head = ["precision", "library", "attention", "images a second", "ratio to the best other (quartiles)"]
    return (
        f"**One training step beside the other libraries**, {first['width']}x{first['depth']}, {first['tokens']} tokens, batch "
        f"{first['batch']}, the median of {first['rounds']} rounds in which all took turns ({first['hardware']}, "
        f"{first['threads']} threads, {first['versions']}, {first['date']}).\n\n{grid(head, table)}\n\n`{first['command']}`. "
        "Left to itself, `vit_tutorial` takes the fused form in fp32 and the explicit one in bf16 on a CPU."
    )


def times() -> str:
    """How long the lessons take."""
    rows = read("lesson_times.csv")
    cells = lambda r: [r["lesson"].split("_")[0], f"{float(r['seconds']):.0f} s", f"{int(r['peak_mb']) / 1000:.1f} GB"]
    table = [cells(row) for row in rows]
    whole = sum(float(row["seconds"]) for row in rows)
    first = rows[0]
    return (
        f"**The lessons, each in a fresh kernel**, {first['cores']} cores ({first['cpu']}, torch {first['torch']}, "
        f"{first['date']}); all "
        f"together {whole / 60:.1f} minutes.\n\n{grid(['lesson', 'time', 'memory at the peak'], table)}\n\n"
        "`python tools/notebooks.py times`"
    )


def results() -> str:
    """Everything between the two markers."""
    unknown = (
        "**On a GPU:** not measured yet, for want of one. `python benchmarks/cifar10_budget.py cifar10` and "
        "`python benchmarks/step.py` run there as they are."
    )
    return "\n\n".join([BEGIN, budget(), steps(), times(), unknown, END])


def main() -> None:
    plots.save(plots.patches(photograph(), 32, zoom=17), DOCS / "patches.png")
    tables = load_file(results_path("cifar10_positions.safetensors"))
    plots.save(two_maps(tables["start"].float(), tables["end"].float()), DOCS / "position_similarity.png")
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    readme.write_text(before + results() + rest.split(END)[1], encoding="utf-8")


if __name__ == "__main__":
    main()
